//! Writing facts: one statement per table and batch, columns as arrays.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::allocation::AllocationLine;
use kernel::ReceiptId;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::generation::LIVE_LOCK;

mod happened;
mod movements;

pub(crate) use happened::Happened;
use happened::Happenings;
pub(crate) use movements::Said;
use movements::{Adjustments, Outflows};

/// What a batch adds to each table.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) accounts: Accounts,
    pub(crate) documents: Documents,
    pub(crate) receipts: Receipts,
    pub(crate) movements: Movements,
    pub(crate) lines: Lines,
    pub(crate) adjustments: Adjustments,
    pub(crate) outflows: Outflows,
    pub(crate) happened: Happenings,
}

/// Columns of `reporting.account`.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    pub(crate) account_id: Vec<Uuid>,
    pub(crate) version: Vec<i64>,
    pub(crate) account_ref: Vec<String>,
    pub(crate) name: Vec<String>,
    pub(crate) kind: Vec<Option<String>>,
    pub(crate) parent_ref: Vec<Option<String>>,
    pub(crate) terms_days: Vec<Option<i32>>,
    pub(crate) currency: Vec<Option<String>>,
    pub(crate) email: Vec<Option<String>>,
    pub(crate) phone: Vec<Option<String>>,
    pub(crate) segment: Vec<Option<String>>,
    pub(crate) department: Vec<Option<String>>,
    pub(crate) principal: Vec<Option<String>>,
    pub(crate) recorded_at: Vec<DateTime<Utc>>,
    pub(crate) actor: Vec<String>,
    pub(crate) event_id: Vec<Uuid>,
}

/// Columns of `reporting.document`.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    pub(crate) document_id: Vec<Uuid>,
    pub(crate) document_ref: Vec<String>,
    pub(crate) kind: Vec<String>,
    pub(crate) account_id: Vec<Uuid>,
    pub(crate) account_ref: Vec<String>,
    pub(crate) matter_ref: Vec<Option<String>>,
    pub(crate) issued_on: Vec<NaiveDate>,
    pub(crate) due_on: Vec<NaiveDate>,
    pub(crate) amount: Vec<Decimal>,
    pub(crate) currency: Vec<String>,
    pub(crate) recorded_at: Vec<DateTime<Utc>>,
    pub(crate) actor: Vec<String>,
    pub(crate) event_id: Vec<Uuid>,
}

/// Columns of `reporting.receipt`.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    pub(crate) receipt_id: Vec<Uuid>,
    pub(crate) version: Vec<i64>,
    pub(crate) bank_reference: Vec<Option<String>>,
    pub(crate) booked_on: Vec<NaiveDate>,
    pub(crate) amount: Vec<Decimal>,
    pub(crate) unallocated: Vec<Decimal>,
    pub(crate) currency: Vec<String>,
    pub(crate) payer_name: Vec<Option<String>>,
    pub(crate) narrative: Vec<String>,
    pub(crate) state: Vec<String>,
    pub(crate) account_id: Vec<Option<Uuid>>,
    pub(crate) account_ref: Vec<Option<String>>,
    pub(crate) rule: Vec<String>,
    pub(crate) recorded_at: Vec<DateTime<Utc>>,
    pub(crate) actor: Vec<String>,
    pub(crate) event_id: Vec<Uuid>,
}

/// Columns of `reporting.movement`.
#[derive(Debug, Default)]
pub(crate) struct Movements {
    pub(crate) receipt_id: Vec<Uuid>,
    pub(crate) version: Vec<i64>,
    pub(crate) undone: Vec<bool>,
    pub(crate) unallocated: Vec<Decimal>,
    pub(crate) state: Vec<String>,
    pub(crate) account_id: Vec<Option<Uuid>>,
    pub(crate) account_ref: Vec<Option<String>>,
    pub(crate) rule: Vec<String>,
    pub(crate) reason: Vec<String>,
    pub(crate) recorded_at: Vec<DateTime<Utc>>,
    pub(crate) actor: Vec<String>,
    pub(crate) event_id: Vec<Uuid>,
}

/// Columns of `reporting.allocation`.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    receipt_id: Vec<Uuid>,
    allocation_id: Vec<Uuid>,
    version: Vec<i64>,
    document_id: Vec<Uuid>,
    account_id: Vec<Uuid>,
    amount: Vec<Decimal>,
    currency: Vec<String>,
    effective_on: Vec<NaiveDate>,
    recorded_at: Vec<DateTime<Utc>>,
    contra_of: Vec<Option<Uuid>>,
}

/// The posting or movement of a receipt that lines came with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) receipt_id: ReceiptId,
    pub(crate) version: i64,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl Lines {
    pub(crate) fn push(&mut self, step: Step, line: &AllocationLine) {
        self.receipt_id.push(step.receipt_id.as_uuid());
        self.allocation_id.push(line.allocation_id.as_uuid());
        self.version.push(step.version);
        self.document_id.push(line.document_id.as_uuid());
        self.account_id.push(line.account_id.as_uuid());
        self.amount.push(line.amount.amount());
        self.currency.push(line.amount.currency().code().to_owned());
        self.effective_on.push(line.effective_on);
        self.recorded_at.push(step.recorded_at);
        self.contra_of
            .push(line.contra_of.map(kernel::AllocationId::as_uuid));
    }
}

/// Inserts what is not there yet; tables that get nothing cost no round trip.
/// Into the live generation, which then stays live until the transaction ends,
/// unless another one is named: that one is being rebuilt.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    generation: Option<i16>,
    facts: Facts,
) -> Result<(), Failure> {
    let Facts {
        accounts,
        documents,
        receipts,
        movements,
        lines,
        adjustments,
        outflows,
        happened,
    } = facts;
    if !accounts.account_id.is_empty() {
        sqlx::query!(
            "insert into reporting.account (generation, account_id, version, account_ref, name, kind, parent_ref, \
             terms_days, currency, email, phone, segment, department, principal, recorded_at, actor, event_id) \
             select (select coalesce($1, reporting.hold_live($18))), * \
             from unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], \
             $8::integer[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], \
             $15::timestamptz[], $16::text[], $17::uuid[]) \
             on conflict do nothing",
            generation,
            &accounts.account_id,
            &accounts.version,
            &accounts.account_ref,
            &accounts.name,
            &accounts.kind as &[Option<String>],
            &accounts.parent_ref as &[Option<String>],
            &accounts.terms_days as &[Option<i32>],
            &accounts.currency as &[Option<String>],
            &accounts.email as &[Option<String>],
            &accounts.phone as &[Option<String>],
            &accounts.segment as &[Option<String>],
            &accounts.department as &[Option<String>],
            &accounts.principal as &[Option<String>],
            &accounts.recorded_at,
            &accounts.actor,
            &accounts.event_id,
            LIVE_LOCK,
        )
        .execute(&mut *conn)
        .await?;
    }
    if !documents.document_id.is_empty() {
        sqlx::query!(
            "insert into reporting.document (generation, document_id, document_ref, kind, account_id, account_ref, \
             matter_ref, issued_on, due_on, amount, currency, recorded_at, actor, event_id) \
             select (select coalesce($1, reporting.hold_live($15))), * \
             from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], \
             $8::date[], $9::date[], $10::numeric[], $11::text[], $12::timestamptz[], $13::text[], $14::uuid[]) \
             on conflict do nothing",
            generation,
            &documents.document_id,
            &documents.document_ref,
            &documents.kind,
            &documents.account_id,
            &documents.account_ref,
            &documents.matter_ref as &[Option<String>],
            &documents.issued_on,
            &documents.due_on,
            &documents.amount,
            &documents.currency,
            &documents.recorded_at,
            &documents.actor,
            &documents.event_id,
            LIVE_LOCK,
        )
        .execute(&mut *conn)
        .await?;
    }
    if !movements.receipt_id.is_empty() {
        sqlx::query!(
            "insert into reporting.movement (generation, receipt_id, version, undone, unallocated, state, \
             account_id, account_ref, rule, reason, recorded_at, actor, event_id) \
             select (select coalesce($1, reporting.hold_live($14))), * \
             from unnest($2::uuid[], $3::bigint[], $4::boolean[], $5::numeric[], $6::text[], \
             $7::uuid[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::text[], $13::uuid[]) \
             on conflict do nothing",
            generation,
            &movements.receipt_id,
            &movements.version,
            &movements.undone,
            &movements.unallocated,
            &movements.state,
            &movements.account_id as &[Option<Uuid>],
            &movements.account_ref as &[Option<String>],
            &movements.rule,
            &movements.reason,
            &movements.recorded_at,
            &movements.actor,
            &movements.event_id,
            LIVE_LOCK,
        )
        .execute(&mut *conn)
        .await?;
    }
    if !receipts.receipt_id.is_empty() || !lines.allocation_id.is_empty() {
        // Receipts come with their lines: one statement, because for a small
        // batch the round trips would take longer than the rows.
        sqlx::query!(
            "with receipts as ( \
             insert into reporting.receipt (generation, receipt_id, version, bank_reference, booked_on, amount, \
             unallocated, currency, payer_name, narrative, state, account_id, account_ref, rule, recorded_at, actor, \
             event_id) \
             select (select coalesce($1, reporting.hold_live($28))), * \
             from unnest($2::uuid[], $3::bigint[], $4::text[], $5::date[], $6::numeric[], \
             $7::numeric[], $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::text[], \
             $15::timestamptz[], $16::text[], $17::uuid[]) \
             on conflict do nothing) \
             insert into reporting.allocation (generation, receipt_id, allocation_id, version, document_id, \
             account_id, amount, currency, effective_on, recorded_at, contra_of) \
             select (select coalesce($1, reporting.hold_live($28))), * \
             from unnest($18::uuid[], $19::uuid[], $20::bigint[], $21::uuid[], $22::uuid[], \
             $23::numeric[], $24::text[], $25::date[], $26::timestamptz[], $27::uuid[]) \
             on conflict do nothing",
            generation,
            &receipts.receipt_id,
            &receipts.version,
            &receipts.bank_reference as &[Option<String>],
            &receipts.booked_on,
            &receipts.amount,
            &receipts.unallocated,
            &receipts.currency,
            &receipts.payer_name as &[Option<String>],
            &receipts.narrative,
            &receipts.state,
            &receipts.account_id as &[Option<Uuid>],
            &receipts.account_ref as &[Option<String>],
            &receipts.rule,
            &receipts.recorded_at,
            &receipts.actor,
            &receipts.event_id,
            &lines.receipt_id,
            &lines.allocation_id,
            &lines.version,
            &lines.document_id,
            &lines.account_id,
            &lines.amount,
            &lines.currency,
            &lines.effective_on,
            &lines.recorded_at,
            &lines.contra_of as &[Option<Uuid>],
            LIVE_LOCK,
        )
        .execute(&mut *conn)
        .await?;
    }
    adjustments.insert(conn, generation).await?;
    outflows.insert(conn, generation).await?;
    happened.insert(conn, generation).await
}
