//! Debts that change without cash, and money that leaves a receipt other than
//! onto a document.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::allocation::{AdjustmentKind, AdjustmentLine, OutflowKind, OutflowLine};
use kernel::{AdjustmentId, DocumentId, EntryId, Money, MoneyError, OutflowId, ReceiptId};
use uuid::Uuid;

use super::{Because, Books, Changes, Entry, Receipt, chart};

/// An adjustment row: made once, never edited.
#[derive(Debug, Clone)]
pub struct Adjusted {
    pub line: AdjustmentLine,
    pub receipt: Option<ReceiptId>,
    pub reason: String,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

/// An outflow row: made once, never edited.
#[derive(Debug, Clone)]
pub struct PaidOut {
    pub line: OutflowLine,
    pub receipt: ReceiptId,
    pub reason: String,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

/// What changes a debt without cash.
#[derive(Debug, Clone, Copy)]
pub struct Adjust {
    pub document: DocumentId,
    /// Positive lowers the debt.
    pub amount: Money,
    pub kind: AdjustmentKind,
    /// The receipt that it comes with.
    pub receipt: Option<ReceiptId>,
    pub cause: Option<Uuid>,
    pub contra_of: Option<AdjustmentId>,
}

/// Changes what is open of a document without cash. The amount must have been
/// checked against what is open. `None`: the document is not among `books`.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn adjust(
    books: &mut Books,
    changes: &mut Changes,
    what: &Adjust,
    because: &Because<'_>,
) -> Result<Option<AdjustmentLine>, MoneyError> {
    let Some(item) = books.items.get_mut(&what.document) else {
        return Ok(None);
    };
    item.open = item.open.checked_sub(what.amount)?;
    changes.open.insert(item.id, item.open);
    let line = AdjustmentLine {
        adjustment_id: AdjustmentId::generate(),
        kind: what.kind,
        document_id: item.id,
        document_ref: item.document_ref.clone(),
        account_id: item.account_id,
        amount: what.amount,
        effective_on: because.not_before.max(item.issued_on),
        contra_of: what.contra_of,
        cause: what.cause,
    };
    changes.entries.push(entry(
        line.adjustment_id.as_uuid(),
        chart::of_adjustment(line.kind).to_owned(),
        chart::DEBTORS.to_owned(),
        line.amount,
        line.effective_on,
        because,
    ));
    changes.adjustments.push(Adjusted {
        line: line.clone(),
        receipt: what.receipt,
        reason: because.reason.to_owned(),
        actor: because.actor.to_owned(),
        recorded_at: because.now,
    });
    Ok(Some(line))
}

/// Takes `line` back by a contra.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn undo_adjustment(
    books: &mut Books,
    changes: &mut Changes,
    line: &AdjustmentLine,
    receipt: Option<ReceiptId>,
    because: &Because<'_>,
) -> Result<Option<AdjustmentLine>, MoneyError> {
    let because = Because {
        not_before: because.not_before.max(line.effective_on),
        ..*because
    };
    let what = Adjust {
        document: line.document_id,
        amount: line.amount.neg(),
        kind: line.kind,
        receipt,
        cause: line.cause,
        contra_of: Some(line.adjustment_id),
    };
    adjust(books, changes, &what, &because)
}

/// Money that leaves a receipt.
#[derive(Debug, Clone, Copy)]
pub struct PayOut {
    /// Positive takes from the receipt.
    pub amount: Money,
    pub kind: OutflowKind,
    pub cause: Option<Uuid>,
    pub contra_of: Option<OutflowId>,
    /// A report has told of a return that the bank has not booked yet.
    pub in_transit: bool,
}

/// Takes money from what is unallocated of a receipt. The amount must have been
/// checked against that.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn pay_out(
    receipt: &mut Receipt,
    changes: &mut Changes,
    what: &PayOut,
    because: &Because<'_>,
) -> Result<OutflowLine, MoneyError> {
    receipt.unallocated = receipt.unallocated.checked_sub(what.amount)?;
    receipt.paid_out = receipt.paid_out.checked_add(what.amount)?;
    let line = OutflowLine {
        outflow_id: OutflowId::generate(),
        kind: what.kind,
        amount: what.amount,
        effective_on: because.not_before.max(receipt.booked_on),
        contra_of: what.contra_of,
        cause: what.cause,
    };
    let to = if what.in_transit {
        chart::in_transit(&receipt.bank_account, receipt.designation)
    } else {
        chart::of_outflow(line.kind, receipt)
    };
    changes.entries.push(entry(
        line.outflow_id.as_uuid(),
        chart::UNALLOCATED.to_owned(),
        to,
        line.amount,
        line.effective_on,
        because,
    ));
    changes.outflows.push(PaidOut {
        line: line.clone(),
        receipt: receipt.id,
        reason: because.reason.to_owned(),
        actor: because.actor.to_owned(),
        recorded_at: because.now,
    });
    Ok(line)
}

/// Brings `line` back by a contra.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn undo_outflow(
    receipt: &mut Receipt,
    changes: &mut Changes,
    line: &OutflowLine,
    because: &Because<'_>,
) -> Result<OutflowLine, MoneyError> {
    let because = Because {
        not_before: because.not_before.max(line.effective_on),
        ..*because
    };
    let what = PayOut {
        amount: line.amount.neg(),
        kind: line.kind,
        cause: line.cause,
        contra_of: Some(line.outflow_id),
        in_transit: false,
    };
    pay_out(receipt, changes, &what, &because)
}

/// The journal entry of a signed amount: a contra swaps the sides.
fn entry(
    id: Uuid,
    debit: String,
    credit: String,
    amount: Money,
    effective_on: NaiveDate,
    because: &Because<'_>,
) -> Entry {
    let (debit, credit) = if amount.is_negative() {
        (credit, debit)
    } else {
        (debit, credit)
    };
    Entry {
        id: EntryId::from(id),
        debit,
        credit,
        amount: amount.abs(),
        effective_on,
        recorded_at: because.now,
    }
}
