//! Receipts put aside, suggestions to accept together, documents by number, and
//! the lines of a batch.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::AllocationLine,
    api::{
        allocation::{AllocationView, OpenItemView, ReceiptQueue},
        workbench::{AutomaticReceipt, BatchLine, NamedItem, Parked},
    },
};
use kernel::{AllocationId, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::{Changes, Receipt, reference_key};

/// Puts a receipt aside; the caller holds its lock.
pub(crate) async fn park(
    conn: &mut PgConnection,
    receipt: &Receipt,
    parked: &Parked,
) -> Result<(), Failure> {
    sqlx::query!(
        "update allocation.receipt set version = $2, parked_at = $3, parked_by = $4, parked_reason = $5,
             parked_owner = $6, parked_until = $7
         where receipt_id = $1",
        receipt.id.as_uuid(),
        receipt.version,
        parked.at,
        parked.by,
        parked.reason,
        parked.owner,
        parked.until
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends it; the caller holds the lock and writes the rest of the receipt.
pub(crate) async fn unpark(conn: &mut PgConnection, id: ReceiptId) -> Result<(), Failure> {
    sqlx::query!(
        "update allocation.receipt set parked_at = null, parked_by = null, parked_reason = null,
             parked_owner = null, parked_until = null
         where receipt_id = $1",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a receipt is put aside on this day, also when its day has come.
pub(crate) async fn is_parked(conn: &mut PgConnection, id: ReceiptId) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select parked_at is not null as "parked!" from allocation.receipt where receipt_id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?
    .unwrap_or(false))
}

/// Receipts of an open queue whose best suggestion, and no other, has this
/// confidence: newest booking first, one more than asked for.
pub(crate) async fn acceptable(
    conn: &mut PgConnection,
    queue: ReceiptQueue,
    search: Option<&str>,
    confidence: &str,
    before: Option<Uuid>,
    today: NaiveDate,
    rows: i64,
) -> Result<Vec<ReceiptId>, Failure> {
    let (pattern, amount) = super::receipts::searched(search);
    let found = sqlx::query_scalar!(
        "select r.receipt_id from allocation.receipt r
         where r.unallocated > 0 and r.suggestions > 0
           and (r.parked_at is null or r.parked_until <= $1)
           and (not $2 or r.state = 'unidentified') and (not $3 or r.state <> 'unidentified')
           and ($4::text is null or r.payer_name ilike $4 or r.narrative ilike $4
                or r.bank_reference ilike $4 or r.amount = $5)
           and exists (select from allocation.suggestion s
                       where s.receipt_id = r.receipt_id and s.rank = 1 and s.confidence = $6)
           and not exists (select from allocation.suggestion s
                       where s.receipt_id = r.receipt_id and s.rank > 1 and s.confidence = $6)
           and ($7::uuid is null or (r.booked_on, r.receipt_id)
                < ((select b.booked_on from allocation.receipt b where b.receipt_id = $7), $7))
         order by r.booked_on desc, r.receipt_id desc limit $8",
        today,
        queue == ReceiptQueue::Unidentified,
        queue == ReceiptQueue::Unallocated,
        pattern,
        amount,
        confidence,
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(ReceiptId::from).collect())
}

/// Documents that are called one of `numbers`, whole, or without its letters as
/// people list them; paid ones too.
pub(crate) async fn named_items(
    conn: &mut PgConnection,
    numbers: &[String],
    currency: Option<&str>,
) -> Result<Vec<NamedItem>, Failure> {
    let mut asked: HashMap<String, Vec<&String>> = HashMap::new();
    for number in numbers {
        let key = reference_key(number);
        if !key.is_empty() {
            asked.entry(key).or_default().push(number);
        }
    }
    let keys: Vec<String> = asked.keys().cloned().collect();
    let rows = sqlx::query!(
        "select i.document_id, i.document_ref, i.kind, i.account_id, a.account_ref, a.name as account_name,
                i.issued_on, i.due_on, i.currency, i.amount, i.open, i.ref_key, i.tail_key
         from allocation.open_item i join allocation.account a using (account_id)
         where i.document_id = any(array(
             select n.document_id from allocation.open_item n where n.ref_key = any($1)
             union
             select t.document_id from allocation.open_item t where t.tail_key = any($1)))
           and ($2::text is null or i.currency = $2)
         order by i.document_id",
        &keys,
        currency
    )
    .fetch_all(conn)
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let item = OpenItemView {
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            kind: named(row.kind)?,
            account_id: row.account_id.into(),
            account_ref: row.account_ref,
            account_name: row.account_name,
            issued_on: row.issued_on,
            due_on: row.due_on,
            amount: money(row.amount, &row.currency)?,
            open: money(row.open, &row.currency)?,
        };
        let keys = [Some(&row.ref_key), row.tail_key.as_ref()];
        for number in keys.into_iter().flatten().filter_map(|key| asked.get(key)) {
            found.extend(number.iter().map(|number| NamedItem {
                number: (*number).clone(),
                item: item.clone(),
            }));
        }
    }
    Ok(found)
}

/// Notes which lines a batch made.
pub(crate) async fn note_batch(conn: &mut PgConnection, changes: &Changes) -> Result<(), Failure> {
    let Some(batch) = changes.batch else {
        return Ok(());
    };
    let lines: Vec<Uuid> = changes
        .postings
        .iter()
        .map(|posting| posting.line.allocation_id.as_uuid())
        .collect();
    sqlx::query!(
        "insert into allocation.batch_line (batch_id, allocation_id) select $1, unnest($2::uuid[])",
        batch,
        &lines
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The lines that a batch made.
pub(crate) async fn batch(conn: &mut PgConnection, batch: Uuid) -> Result<Vec<BatchLine>, Failure> {
    let rows = sqlx::query!(
        r#"select l.receipt_id, r.payer_name, l.allocation_id, l.document_id, i.document_ref, l.account_id,
                l.currency, l.amount, l.contra_of, l.rule, l.reason, l.actor, l.effective_on, l.recorded_at,
                exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id) as "undone!"
           from allocation.batch_line b join allocation.allocation l using (allocation_id)
               join allocation.receipt r using (receipt_id) join allocation.open_item i using (document_id)
           where b.batch_id = $1 order by l.receipt_id, l.allocation_id"#,
        batch
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(BatchLine {
                receipt_id: row.receipt_id.into(),
                payer_name: row.payer_name,
                allocation: AllocationView {
                    line: AllocationLine {
                        allocation_id: row.allocation_id.into(),
                        document_id: row.document_id.into(),
                        document_ref: row.document_ref,
                        account_id: row.account_id.into(),
                        amount: money(row.amount, &row.currency)?,
                        effective_on: row.effective_on,
                        contra_of: row.contra_of.map(AllocationId::from),
                    },
                    rule: named(row.rule)?,
                    actor: row.actor,
                    reason: row.reason,
                    recorded_at: row.recorded_at,
                    undone: row.undone,
                },
            })
        })
        .collect()
}

/// What stands of receipts that no person has decided: those with any.
pub(crate) async fn automatic(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
) -> Result<Vec<AutomaticReceipt>, Failure> {
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select l.receipt_id, l.currency, count(*) as "lines!", sum(l.amount) as "amount!"
           from allocation.allocation l
           where l.receipt_id = any($1) and l.contra_of is null and l.rule <> 'manual'
             and not exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id)
           group by l.receipt_id, l.currency order by l.receipt_id"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AutomaticReceipt {
                receipt_id: row.receipt_id.into(),
                lines: u32::try_from(row.lines).unwrap_or(u32::MAX),
                amount: money(row.amount, &row.currency)?,
            })
        })
        .collect()
}

/// What is stored of a receipt that is put aside.
pub(crate) fn parked(
    at: Option<DateTime<Utc>>,
    by: Option<String>,
    reason: Option<String>,
    owner: Option<String>,
    until: Option<NaiveDate>,
) -> Option<Parked> {
    Some(Parked {
        reason: reason?,
        owner,
        until,
        by: by?,
        at: at?,
    })
}
