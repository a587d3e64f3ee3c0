//! Allocations and the journal: only ever added to.

use contracts::{
    allocation::{AllocationLine, Rule},
    api::allocation::{AllocationView, JournalEntry, PublishedEvent},
};
use kernel::{AllocationId, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::ledger::{Entry, Posting};

pub(crate) async fn insert(conn: &mut PgConnection, postings: &[Posting]) -> Result<(), Failure> {
    if postings.is_empty() {
        return Ok(());
    }
    fn column<'p, T>(postings: &'p [Posting], of: impl Fn(&'p Posting) -> T) -> Vec<T> {
        postings.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.allocation (allocation_id, receipt_id, document_id, account_id, currency, amount,
             contra_of, rule, reason, actor, effective_on, recorded_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::numeric[], $7::uuid[],
             $8::text[], $9::text[], $10::text[], $11::date[], $12::timestamptz[])",
        &column(postings, |p| p.line.allocation_id.as_uuid()),
        &column(postings, |p| p.receipt.as_uuid()),
        &column(postings, |p| p.line.document_id.as_uuid()),
        &column(postings, |p| p.line.account_id.as_uuid()),
        &column(postings, |p| p.line.amount.currency().code()) as &[&str],
        &column(postings, |p| p.line.amount.amount()),
        &column(postings, |p| p.line.contra_of.map(AllocationId::as_uuid)) as &[Option<Uuid>],
        &column(postings, |p| p.rule.name()) as &[&str],
        &column(postings, |p| p.reason.as_str()) as &[&str],
        &column(postings, |p| p.actor.as_str()) as &[&str],
        &column(postings, |p| p.line.effective_on),
        &column(postings, |p| p.recorded_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert_entries(
    conn: &mut PgConnection,
    entries: &[Entry],
) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    fn column<'e, T>(entries: &'e [Entry], of: impl Fn(&'e Entry) -> T) -> Vec<T> {
        entries.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.journal (entry_id, debit, credit, currency, amount, effective_on, recorded_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::date[],
             $7::timestamptz[])",
        &column(entries, |e| e.id.as_uuid()),
        &column(entries, |e| e.debit.as_str()) as &[&str],
        &column(entries, |e| e.credit.as_str()) as &[&str],
        &column(entries, |e| e.amount.currency().code()) as &[&str],
        &column(entries, |e| e.amount.amount()),
        &column(entries, |e| e.effective_on),
        &column(entries, |e| e.recorded_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every line of a receipt, oldest first.
pub(crate) async fn of_receipt(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Vec<AllocationView>, Failure> {
    let rows = sqlx::query!(
        r#"select l.allocation_id, l.document_id, i.document_ref, l.account_id, l.currency, l.amount, l.contra_of,
                l.rule, l.reason, l.actor, l.effective_on, l.recorded_at,
                exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id) as "undone!"
           from allocation.allocation l join allocation.open_item i using (document_id)
           where l.receipt_id = $1 order by l.allocation_id"#,
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AllocationView {
                line: AllocationLine {
                    allocation_id: row.allocation_id.into(),
                    document_id: row.document_id.into(),
                    document_ref: row.document_ref,
                    account_id: row.account_id.into(),
                    amount: money(row.amount, &row.currency)?,
                    effective_on: row.effective_on,
                    contra_of: row.contra_of.map(AllocationId::from),
                },
                rule: named::<Rule>(row.rule)?,
                actor: row.actor,
                reason: row.reason,
                recorded_at: row.recorded_at,
                undone: row.undone,
            })
        })
        .collect()
}

/// The receipt that an allocation is of.
pub(crate) async fn receipt_of(
    conn: &mut PgConnection,
    id: AllocationId,
) -> Result<Option<ReceiptId>, Failure> {
    let found = sqlx::query_scalar!(
        "select receipt_id from allocation.allocation where allocation_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(ReceiptId::from))
}

/// The entries with these ids, oldest first.
pub(crate) async fn entries(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<JournalEntry>, Failure> {
    let rows = sqlx::query!(
        "select entry_id, debit, credit, currency, amount, effective_on, recorded_at
         from allocation.journal where entry_id = any($1) order by recorded_at, entry_id",
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(JournalEntry {
                entry_id: row.entry_id.into(),
                debit: row.debit,
                credit: row.credit,
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

/// The facts about a receipt that were published at these times.
pub(crate) async fn events(
    conn: &mut PgConnection,
    about: ReceiptId,
    at: &[chrono::DateTime<chrono::Utc>],
) -> Result<Vec<PublishedEvent>, Failure> {
    let rows = sqlx::query!(
        r#"select o.event_id, o.event_type, o.recorded_at, o.traceparent,
                (o.tx, o.seq) <= (c.tx, c.seq) as "published!"
           from allocation.outbox o, allocation.relay_cursor c
           where o.recorded_at = any($2) and o.aggregate_id = $1 order by o.tx, o.seq"#,
        about.as_uuid(),
        at
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| PublishedEvent {
            event_id: row.event_id.into(),
            event_type: row.event_type,
            recorded_at: row.recorded_at,
            published: row.published,
            trace_id: row.traceparent.get(3..35).map(str::to_owned),
        })
        .collect())
}
