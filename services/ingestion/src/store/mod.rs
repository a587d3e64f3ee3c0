//! The only SQL.

mod accounts;
pub(crate) mod bacs;
pub(crate) mod bacs_files;
pub(crate) mod bank_accounts;
pub(crate) mod collections;
mod documents;
pub(crate) mod imports;
mod lines;
pub(crate) mod mandates;
mod matters;
pub(crate) mod queries;
pub(crate) mod refund_files;
mod remittances;
pub(crate) mod statements;

pub(crate) use accounts::{load_accounts, record_accounts};
pub(crate) use documents::{load_documents, record_documents};
pub(crate) use lines::{
    load_lines, load_told_lines, record_bank_accounts, record_lines, unseen_bank_accounts,
};
pub(crate) use matters::{load_matters, record_matters};

pub(crate) use remittances::{load_remittances, record_remittances};

use chrono::{DateTime, Utc};
use messaging::{Failure, Tx};

use crate::domain::record::Changes;

/// Writes everything that a batch or a file adds.
pub(crate) async fn record(
    tx: &mut Tx,
    changes: &Changes,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    record_accounts(tx, &changes.accounts, now).await?;
    record_matters(tx, &changes.matters, now).await?;
    record_documents(tx, &changes.documents).await?;
    record_remittances(tx, &changes.remittances).await?;
    record_lines(tx, &changes.lines).await
}

/// Somebody else recorded the same natural key since it was looked for: loading
/// and deciding again will find it.
pub(crate) fn or_lost_race(error: sqlx::Error) -> Failure {
    match &error {
        sqlx::Error::Database(refusal) if refusal.is_unique_violation() => {
            Failure::conflict("ingestion.lost_race", "the same was recorded meanwhile")
                .caused_by(error)
        }
        _ => error.into(),
    }
}

/// One column of many rows.
pub(crate) fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
