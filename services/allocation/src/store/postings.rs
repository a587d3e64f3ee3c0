//! Allocations and the journal: only ever added to.

use contracts::{
    allocation::{AllocationLine, Rule},
    api::allocation::{AllocationView, JournalEntry, PublishedEvent},
    ingestion::Designation,
};
use kernel::{AccountId, AllocationId, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named, receipts::StoredLine};
use crate::domain::{Changes, Receipt, ledger::Held};

/// One column of many rows.
fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// Writes new receipts, the suggestions of those that wait, allocations with
/// what they leave open, and the journal: one statement, because for a small
/// batch the round trips would take longer than the rows.
pub(crate) async fn post(conn: &mut PgConnection, changes: &Changes) -> Result<(), Failure> {
    let receipts = changes.new_receipts.as_slice();
    let suggested = suggested(receipts.iter().chain(&changes.moved_receipts))?;
    let (postings, entries) = (changes.postings.as_slice(), changes.entries.as_slice());
    if entries.is_empty() && suggested.receipts.is_empty() {
        return Ok(());
    }
    // A receipt whose money is all gone is never looked up by its words again.
    // Arrays of arrays do not exist for rows of different length: the tokens
    // travel joined, and have no space in them.
    let tokens = column(receipts, |r| {
        if r.unallocated.is_zero() {
            String::new()
        } else {
            r.tokens.join(" ")
        }
    });
    let decisions = receipts
        .iter()
        .map(|r| serde_json::to_string(&r.decision))
        .collect::<Result<Vec<_>, _>>()?;
    let (paid, open): (Vec<Uuid>, Vec<Decimal>) = changes
        .open
        .iter()
        .map(|(id, open)| (id.as_uuid(), open.amount()))
        .unzip();
    sqlx::query!(
        "with received as (
             insert into allocation.receipt (receipt_id, version, bank_account, bank_reference, booked_on, value_on,
                 currency, amount, unallocated, payer_name, payer_account, narrative, tokens, state, account_id,
                 decision, suggestions, paid_out, scheme, end_to_end_id, mandate_reference, held, twin, recorded_at,
                 client_account)
             select t.id, t.version, t.bank, t.bank_ref, t.booked, t.valued, t.currency, t.amount, t.unallocated, t.payer,
                 t.payer_account, t.narrative,
                 case when t.tokens = '' then '{}' else string_to_array(t.tokens, ' ') end,
                 t.state, t.account, t.decision, t.suggestions, t.gone, t.scheme, t.e2e, t.mandate, t.held, t.twin, t.at,
                 t.client
             from unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::date[], $6::text[], $7::numeric[],
                 $8::numeric[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::uuid[],
                 $15::text[], $16::smallint[], $17::timestamptz[], $48::bigint[], $49::numeric[], $50::text[],
                 $51::text[], $52::text[], $53::text[], $54::uuid[], $55::bool[])
                 as t(id, bank, bank_ref, booked, valued, currency, amount, unallocated, payer, payer_account,
                     narrative, tokens, state, account, decision, suggestions, at, version, gone, scheme, e2e,
                     mandate, held, twin, client)
         ), suggested as (
             insert into allocation.suggestion (receipt_id, rank, rule, confidence, account_id, lines, evidence,
                 score, would)
             select * from unnest($18::uuid[], $19::smallint[], $20::text[], $21::text[], $22::uuid[], $23::jsonb[],
                 $24::jsonb[], $46::jsonb[], $47::text[])
         ), paid as (
             update allocation.open_item i set open = t.open
             from unnest($25::uuid[], $26::numeric[]) as t(id, open) where i.document_id = t.id
         ), allocated as (
             insert into allocation.allocation (allocation_id, receipt_id, document_id, account_id, currency, amount,
                 contra_of, rule, reason, actor, effective_on, recorded_at)
             select * from unnest($27::uuid[], $28::uuid[], $29::uuid[], $30::uuid[], $31::text[], $32::numeric[],
                 $33::uuid[], $34::text[], $35::text[], $36::text[], $37::date[], $38::timestamptz[])
         )
         insert into allocation.journal (entry_id, debit, credit, currency, amount, effective_on, recorded_at)
         select * from unnest($39::uuid[], $40::text[], $41::text[], $42::text[], $43::numeric[], $44::date[],
             $45::timestamptz[])",
        &column(receipts, |r| r.id.as_uuid()),
        &column(receipts, |r| r.bank_account.as_str()) as &[&str],
        &column(receipts, |r| r.bank_reference.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.booked_on),
        &column(receipts, |r| r.value_on),
        &column(receipts, |r| r.amount.currency().code()) as &[&str],
        &column(receipts, |r| r.amount.amount()),
        &column(receipts, |r| r.unallocated.amount()),
        &column(receipts, |r| r.payer_name.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.payer_account.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.narrative.as_str()) as &[&str],
        &tokens,
        &column(receipts, |r| r.state().name()) as &[&str],
        &column(receipts, |r| r.account.map(AccountId::as_uuid)) as &[Option<Uuid>],
        &decisions,
        &column(receipts, |r| r.suggestions.len() as i16),
        &column(receipts, |r| r.recorded_at),
        &suggested.receipts,
        &suggested.ranks,
        &suggested.rules as &[&str],
        &suggested.confidences as &[&str],
        &suggested.accounts,
        &suggested.lines,
        &suggested.evidence,
        &paid,
        &open,
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
        &column(postings, |p| p.recorded_at),
        &column(entries, |e| e.id.as_uuid()),
        &column(entries, |e| e.debit.as_str()) as &[&str],
        &column(entries, |e| e.credit.as_str()) as &[&str],
        &column(entries, |e| e.amount.currency().code()) as &[&str],
        &column(entries, |e| e.amount.amount()),
        &column(entries, |e| e.effective_on),
        &column(entries, |e| e.recorded_at),
        &suggested.scores as &[Option<Value>],
        &suggested.would as &[Option<&str>],
        &column(receipts, |r| r.version),
        &column(receipts, |r| r.paid_out.amount()),
        &column(receipts, |r| r.detail.scheme.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.detail.end_to_end_id.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.detail.mandate_reference.as_deref()) as &[Option<&str>],
        &column(receipts, |r| r.detail.held.map(Held::name)) as &[Option<&str>],
        &column(receipts, |r| r
            .detail
            .held
            .and_then(Held::twin)
            .map(ReceiptId::as_uuid)) as &[Option<Uuid>],
        &column(receipts, |r| r.designation == Designation::Client)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Columns of `allocation.suggestion`.
#[derive(Default)]
struct Suggested<'r> {
    receipts: Vec<Uuid>,
    ranks: Vec<i16>,
    rules: Vec<&'r str>,
    confidences: Vec<&'r str>,
    accounts: Vec<Uuid>,
    lines: Vec<Value>,
    evidence: Vec<Value>,
    scores: Vec<Option<Value>>,
    would: Vec<Option<&'r str>>,
}

fn suggested<'r>(receipts: impl Iterator<Item = &'r Receipt>) -> Result<Suggested<'r>, Failure> {
    let mut rows = Suggested::default();
    for receipt in receipts {
        for (rank, proposal) in (1..).zip(&receipt.suggestions) {
            rows.receipts.push(receipt.id.as_uuid());
            rows.ranks.push(rank);
            rows.rules.push(proposal.rule.name());
            rows.confidences.push(proposal.confidence);
            rows.accounts.push(proposal.account.as_uuid());
            let stored: Vec<StoredLine> = proposal
                .lines
                .iter()
                .map(|line| StoredLine {
                    document: line.document,
                    amount: line.amount,
                })
                .collect();
            rows.lines.push(serde_json::to_value(stored)?);
            rows.evidence
                .push(serde_json::to_value(&proposal.evidence)?);
            rows.scores
                .push(proposal.score.map(serde_json::to_value).transpose()?);
            rows.would.push(proposal.would.as_deref());
        }
    }
    Ok(rows)
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
