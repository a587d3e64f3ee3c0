//! The only SQL of reporting.

pub(crate) mod account_statement;
pub(crate) mod accounts;
pub(crate) mod aged_debt;
pub(crate) mod chasing;
pub(crate) mod control;
pub(crate) mod facts;
pub(crate) mod generation;
pub(crate) mod timeline;
pub(crate) mod unallocated;

use kernel::{Currency, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;

/// The word of a contract's enum, as it stands on the wire and in the tables.
pub(crate) fn enum_text<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        // Unit variants only ever serialise as strings.
        _ => String::new(),
    }
}

/// A contract's enum from its word.
pub(crate) fn enum_of<T: DeserializeOwned>(text: String) -> Result<T, Failure> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|e| {
        Failure::bug(
            "reporting.stored_word",
            "a stored word is none of its contract",
        )
        .caused_by(e)
    })
}

/// Money from its columns.
pub(crate) fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let wrong =
        |e| Failure::bug("reporting.stored_money", "a stored amount is no money").caused_by(e);
    Money::try_new(amount, Currency::parse(currency).map_err(wrong)?).map_err(wrong)
}

/// For statements over the whole ledger, until the end of the transaction: room
/// to hash a million documents without spilling, and no just-in-time
/// compilation, which takes longer than the report.
pub(crate) async fn prepare_report(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!(
        r#"select set_config('work_mem', '64MB', true) as "a!", set_config('jit', 'off', true) as "b!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}
