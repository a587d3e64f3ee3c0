//! The only SQL of allocation. Everything set-based: one statement per kind of
//! row, whatever the size of the batch.

pub(crate) mod accounts;
pub(crate) mod control;
pub(crate) mod items;
pub(crate) mod postings;
pub(crate) mod receipts;

use kernel::{Currency, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::domain::Changes;

/// Writes what was decided.
pub(crate) async fn record(conn: &mut PgConnection, changes: &Changes) -> Result<(), Failure> {
    accounts::put(conn, &changes.accounts).await?;
    items::insert(conn, &changes.new_items).await?;
    receipts::insert(conn, &changes.new_receipts).await?;
    receipts::update(conn, &changes.moved_receipts).await?;
    receipts::suggest(
        conn,
        changes.new_receipts.iter().chain(&changes.moved_receipts),
    )
    .await?;
    items::set_open(conn, &changes.open).await?;
    postings::insert(conn, &changes.postings).await?;
    postings::insert_entries(conn, &changes.entries).await?;
    accounts::learn(conn, &changes.learned).await
}

/// An amount and currency as they were stored.
pub(crate) fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let currency = Currency::parse(currency).map_err(Failure::of)?;
    Money::try_new(amount, currency).map_err(Failure::of)
}

/// Text that a closed set of names was stored as.
pub(crate) fn named<T: serde::de::DeserializeOwned>(name: String) -> Result<T, Failure> {
    serde_json::from_value(serde_json::Value::String(name)).map_err(|e| {
        Failure::bug(
            "allocation.stored_name",
            "a stored name is not known any more",
        )
        .caused_by(e)
    })
}
