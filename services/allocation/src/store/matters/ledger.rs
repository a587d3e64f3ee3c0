//! The lines of a matter's ledger, and what a decision adds to them.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AdjustmentKind, AdjustmentLine},
    api::matters::{MatterEntryView, MatterView},
    matters::{Component, EntryKind, MatterEntry, Side},
};
use kernel::{DisbursementId, DocumentId, MatterEntryId, MatterId, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{money, named};
use crate::domain::{
    ledger::{Because, Entry},
    legal::LegalChanges,
};

/// Lines of a matter that are shown at once.
const ENTRIES_MAX: i64 = 500;

/// Writes what a decision about client money adds.
pub(crate) async fn record(
    conn: &mut PgConnection,
    changes: &LegalChanges,
    because: &Because<'_>,
) -> Result<(), Failure> {
    book(conn, &changes.journal).await?;
    // One by one: the order is part of the decision (a shortage is made good
    // before the money goes back), and the lines are few.
    for row in &changes.entries {
        let entry = &row.entry;
        sqlx::query!(
            "insert into allocation.matter_entry (entry_id, matter_id, side, kind, currency, amount, component,
                 receipt_id, document_id, disbursement_id, payee, contra_of, cause, reason, actor, effective_on,
                 recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            entry.entry_id.as_uuid(),
            row.matter.as_uuid(),
            entry.side.name(),
            entry.kind.name(),
            entry.amount.currency().code(),
            entry.amount.amount(),
            entry.component.map(Component::name),
            entry.receipt_id.map(ReceiptId::as_uuid),
            entry.document_id.map(DocumentId::as_uuid),
            entry.disbursement_id.map(DisbursementId::as_uuid),
            entry.payee,
            entry.contra_of.map(MatterEntryId::as_uuid),
            row.cause,
            because.reason,
            because.actor,
            entry.effective_on,
            because.now
        )
        .execute(&mut *conn)
        .await?;
    }
    for row in &changes.moves {
        let due = &row.bank_move;
        sqlx::query!(
            "insert into allocation.bank_move (move_id, matter_id, kind, to_side, currency, amount, from_account,
                 receipt_id, arose_on, due_by, reason, actor, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            due.move_id.as_uuid(),
            row.matter.as_uuid(),
            due.kind.name(),
            due.to.name(),
            due.amount.currency().code(),
            due.amount.amount(),
            due.from_account,
            due.receipt_id.map(ReceiptId::as_uuid),
            due.arose_on,
            due.due_by,
            because.reason,
            because.actor,
            because.now
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Writes journal rows that no row of the open-item ledger books.
async fn book(conn: &mut PgConnection, entries: &[Entry]) -> Result<(), Failure> {
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

struct EntryRow {
    entry_id: Uuid,
    side: String,
    kind: String,
    currency: String,
    amount: Decimal,
    component: Option<String>,
    receipt_id: Option<Uuid>,
    document_id: Option<Uuid>,
    disbursement_id: Option<Uuid>,
    payee: Option<String>,
    contra_of: Option<Uuid>,
    effective_on: NaiveDate,
    actor: String,
    reason: String,
    recorded_at: DateTime<Utc>,
    undone: bool,
}

impl TryFrom<EntryRow> for MatterEntryView {
    type Error = Failure;

    fn try_from(row: EntryRow) -> Result<Self, Failure> {
        Ok(Self {
            entry: MatterEntry {
                entry_id: row.entry_id.into(),
                side: named::<Side>(row.side)?,
                kind: named::<EntryKind>(row.kind)?,
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                component: row.component.map(named).transpose()?,
                receipt_id: row.receipt_id.map(ReceiptId::from),
                document_id: row.document_id.map(DocumentId::from),
                disbursement_id: row.disbursement_id.map(DisbursementId::from),
                payee: row.payee,
                contra_of: row.contra_of.map(MatterEntryId::from),
            },
            actor: row.actor,
            reason: row.reason,
            recorded_at: row.recorded_at,
            undone: row.undone,
        })
    }
}

/// Both sides of a matter's ledger, oldest first. The business side is what was
/// allocated to its documents and what client money paid of them, with what the
/// firm laid out: read from where it happened, so that it cannot differ.
pub(crate) async fn entries(
    conn: &mut PgConnection,
    matter: &MatterView,
) -> Result<Vec<MatterEntryView>, Failure> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"select * from (
               select e.entry_id as "entry_id!", e.side as "side!", e.kind as "kind!", e.currency as "currency!",
                   e.amount as "amount!", e.component, e.receipt_id, e.document_id, e.disbursement_id, e.payee,
                   e.contra_of, e.effective_on as "effective_on!", e.actor as "actor!", e.reason as "reason!",
                   e.recorded_at as "recorded_at!",
                   exists (select 1 from allocation.matter_entry c where c.contra_of = e.entry_id) as "undone!"
               from allocation.matter_entry e where e.matter_id = $1
               union all
               select l.allocation_id, 'business', 'received', l.currency, l.amount, null, l.receipt_id, l.document_id,
                   null, null, l.contra_of, l.effective_on, l.actor, l.reason, l.recorded_at,
                   exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id)
               from allocation.matter_document d join allocation.allocation l using (document_id)
               where d.matter_ref = $2
               union all
               select a.adjustment_id, 'business', 'transferred', a.currency, a.amount, null, null, a.document_id,
                   null, null, a.contra_of, a.effective_on, a.actor, a.reason, a.recorded_at,
                   exists (select 1 from allocation.adjustment c where c.contra_of = a.adjustment_id)
               from allocation.matter_document d join allocation.adjustment a using (document_id)
               where d.matter_ref = $2 and a.kind = 'client_transfer') lines
           order by "recorded_at!" desc, "entry_id!" desc limit $3"#,
        matter.matter_id.as_uuid(),
        matter.matter_ref,
        ENTRIES_MAX
    )
    .fetch_all(conn)
    .await?;
    let mut entries = rows
        .into_iter()
        .map(MatterEntryView::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    entries.reverse();
    Ok(entries)
}

/// A stored line with its matter, and whether it was undone.
pub(crate) async fn entry(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<(MatterId, MatterEntryView)>, Failure> {
    let row = sqlx::query!(
        r#"select e.matter_id, e.entry_id, e.side, e.kind, e.currency, e.amount, e.component, e.receipt_id,
               e.document_id, e.disbursement_id, e.payee, e.contra_of, e.effective_on, e.actor, e.reason,
               e.recorded_at,
               exists (select 1 from allocation.matter_entry c where c.contra_of = e.entry_id) as "undone!"
           from allocation.matter_entry e where e.entry_id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let view = MatterEntryView::try_from(EntryRow {
            entry_id: row.entry_id,
            side: row.side,
            kind: row.kind,
            currency: row.currency,
            amount: row.amount,
            component: row.component,
            receipt_id: row.receipt_id,
            document_id: row.document_id,
            disbursement_id: row.disbursement_id,
            payee: row.payee,
            contra_of: row.contra_of,
            effective_on: row.effective_on,
            actor: row.actor,
            reason: row.reason,
            recorded_at: row.recorded_at,
            undone: row.undone,
        })?;
        Ok((MatterId::from(row.matter_id), view))
    })
    .transpose()
}

/// What a line was booked against in the journal, other than client money.
pub(crate) async fn booked_against(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<String>, Failure> {
    Ok(sqlx::query_scalar!(
        "select credit from allocation.journal where entry_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// An adjustment by which client money paid a bill.
pub(crate) async fn transfer_line(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<AdjustmentLine>, Failure> {
    let row = sqlx::query!(
        "select d.adjustment_id, d.document_id, i.document_ref, d.account_id, d.currency, d.amount, d.effective_on,
             d.cause
         from allocation.adjustment d join allocation.open_item i using (document_id)
         where d.adjustment_id = $1 and d.kind = 'client_transfer' and d.contra_of is null",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(AdjustmentLine {
            adjustment_id: row.adjustment_id.into(),
            kind: AdjustmentKind::ClientTransfer,
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            account_id: row.account_id.into(),
            amount: money(row.amount, &row.currency)?,
            effective_on: row.effective_on,
            contra_of: None,
            cause: row.cause,
        })
    })
    .transpose()
}
