use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::inbound::Direction;
use messaging::{Failure, Tx};
use sqlx::query;
use uuid::Uuid;

use super::{column, or_lost_race};
use crate::domain::{
    file::ToldBy,
    record::{Known, NewLine},
};

/// Rows of one statement: more gain nothing.
const ROWS_MAX: usize = 5_000;

/// Marks those of `keys` as known that are.
pub(crate) async fn load_lines(
    tx: &mut Tx,
    keys: &[Uuid],
    known: &mut Known,
) -> Result<(), Failure> {
    for keys in keys.chunks(ROWS_MAX) {
        let found = sqlx::query_scalar!(
            "select dedup_key from ingestion.bank_line where dedup_key = any($1)",
            keys
        )
        .fetch_all(tx.conn())
        .await?;
        for key in found {
            known.know_line(key);
        }
    }
    Ok(())
}

/// Marks those of `keys` as known that are, and tells which statements told
/// them.
pub(crate) async fn load_told_lines(
    tx: &mut Tx,
    keys: &[Uuid],
    known: &mut Known,
) -> Result<ToldBy, Failure> {
    let mut told_by = ToldBy::new();
    for keys in keys.chunks(ROWS_MAX) {
        let rows = query!(
            r#"select l.dedup_key as "dedup_key!", s.statement_key as "statement_key?"
             from ingestion.bank_line l
             left join ingestion.statement s on s.statement_id = l.statement_id
             where l.dedup_key = any($1)"#,
            keys
        )
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            known.know_line(row.dedup_key);
            if let Some(key) = row.statement_key {
                told_by.insert(row.dedup_key, key);
            }
        }
    }
    Ok(told_by)
}

/// Which of these accounts of ours have no row yet.
pub(crate) async fn unseen_bank_accounts(
    tx: &mut Tx,
    mut keys: BTreeSet<String>,
) -> Result<BTreeSet<String>, Failure> {
    let asked: Vec<String> = keys.iter().cloned().collect();
    let seen = sqlx::query_scalar!(
        "select bank_account from ingestion.bank_account where bank_account = any($1)",
        &asked
    )
    .fetch_all(tx.conn())
    .await?;
    for key in seen {
        keys.remove(&key);
    }
    Ok(keys)
}

pub(crate) async fn record_bank_accounts(
    tx: &mut Tx,
    keys: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = keys.iter().cloned().collect();
    query!(
        "insert into ingestion.bank_account (bank_account, first_seen_at)
         select key, $2 from unnest($1::text[]) key order by key
         on conflict do nothing",
        &keys,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn record_lines(tx: &mut Tx, lines: &[NewLine]) -> Result<(), Failure> {
    // In the order of their keys, so that two transactions with the same lines
    // never wait for one another in a ring.
    let mut rows: Vec<&NewLine> = lines.iter().collect();
    rows.sort_unstable_by_key(|row| row.line.dedup_key);
    for rows in rows.chunks(ROWS_MAX) {
        record_some(tx, rows).await?;
    }
    Ok(())
}

async fn record_some(tx: &mut Tx, rows: &[&NewLine]) -> Result<(), Failure> {
    let narratives = column(rows, |r| r.line.receipt.remittance.unstructured.join("\n"));
    query!(
        "insert into ingestion.bank_line (line_id, dedup_key, bank_account, booked_on, value_on,
             amount, currency, direction, scheme, bank_reference, payer_name, payer_account,
             reference, end_to_end_id, mandate_reference, narrative, source, statement_id, line,
             import_id, message_id, recorded_at, raw)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[],
             $6::numeric[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
             $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
             $18::uuid[], $19::int[], $20::uuid[], $21::uuid[], $22::timestamptz[], $23::text[])",
        &column(rows, |r| r.line.receipt.receipt_id.as_uuid()),
        &column(rows, |r| r.line.dedup_key),
        &column(rows, |r| r.line.receipt.bank_account.as_str()) as _,
        &column(rows, |r| r.line.receipt.booked_on),
        &column(rows, |r| r.line.receipt.value_on),
        &column(rows, |r| r.line.receipt.amount.amount()),
        &column(rows, |r| r.line.receipt.amount.currency().code()) as _,
        &column(rows, |r| direction(r.line.direction)) as _,
        &column(rows, |r| r.line.receipt.scheme.as_deref()) as _,
        &column(rows, |r| r.line.receipt.bank_reference.as_deref()) as _,
        &column(rows, |r| r.line.receipt.payer_name.as_deref()) as _,
        &column(rows, |r| r.line.receipt.payer_account.as_deref()) as _,
        &column(rows, |r| r.line.receipt.reference.as_deref()) as _,
        &column(rows, |r| r.line.receipt.end_to_end_id.as_deref()) as _,
        &column(rows, |r| r.line.receipt.mandate_reference.as_deref()) as _,
        &narratives,
        &column(rows, |r| r.line.receipt.source.as_str()) as _,
        &column(rows, |r| position(r).map(|p| p.statement_id.as_uuid())) as _,
        &column(rows, |r| position(r).map(|p| p.line)) as _,
        &column(rows, |r| position(r).map(|p| p.import_id.as_uuid())) as _,
        &column(rows, |r| r.message_id) as _,
        &column(rows, |r| r.line.receipt.recorded_at),
        &column(rows, |r| r.line.raw.as_deref()) as _,
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

fn position(row: &NewLine) -> Option<&contracts::ingestion::StatementPosition> {
    row.line.receipt.statement.as_ref()
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Credit => "credit",
        Direction::Debit => "debit",
    }
}
