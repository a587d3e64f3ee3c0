//! Remittance advices, as they came in.

use std::collections::BTreeSet;

use messaging::{Failure, Tx};
use sqlx::query;

use super::{column, or_lost_race};
use crate::domain::record::{Known, NewRemittance};

/// Loads what is known of the advices of these sources and numbers.
pub(crate) async fn load_remittances(
    tx: &mut Tx,
    keys: BTreeSet<(&str, &str)>,
    known: &mut Known,
) -> Result<(), Failure> {
    let (sources, numbers): (Vec<String>, Vec<String>) = keys
        .into_iter()
        .map(|(source, number)| (source.to_owned(), number.to_owned()))
        .unzip();
    let rows = query!(
        "select source, remittance_ref, content_hash from ingestion.remittance
         where (source, remittance_ref) in (select * from unnest($1::text[], $2::text[]))",
        &sources,
        &numbers
    )
    .fetch_all(tx.conn())
    .await?;
    for row in rows {
        known.know_remittance(row.source, row.remittance_ref, row.content_hash);
    }
    Ok(())
}

pub(crate) async fn record_remittances(tx: &mut Tx, rows: &[NewRemittance]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    query!(
        "insert into ingestion.remittance (remittance_id, source, remittance_ref, paid_on, total, currency,
             content_hash, content, message_id, recorded_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::numeric[], $6::text[],
             $7::uuid[], $8::text[], $9::uuid[], $10::timestamptz[])",
        &column(rows, |r| r.advice.fact.remittance_id.as_uuid()),
        &column(rows, |r| r.advice.fact.source.as_str()) as _,
        &column(rows, |r| r.advice.fact.remittance_ref.as_str()) as _,
        &column(rows, |r| r.advice.fact.paid_on),
        &column(rows, |r| r.advice.fact.total.amount()),
        &column(rows, |r| r.advice.fact.total.currency().code()) as _,
        &column(rows, |r| r.advice.content_hash),
        &column(rows, |r| r.advice.content.as_str()) as _,
        &column(rows, |r| r.message_id) as _,
        &column(rows, |r| r.advice.fact.recorded_at),
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}
