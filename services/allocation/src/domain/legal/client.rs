//! Client money: what is held for a client on one matter, and what may happen
//! to it. Never less than nothing, in any currency; never netted with the
//! firm's own.

mod bank;

use std::collections::HashMap;

use chrono::NaiveDate;
use contracts::{
    allocation::{AdjustmentKind, OutflowLine},
    ingestion::Designation,
    matters::{BankMoveKind, Component, EntryKind, MatterEntry, Side},
};
use kernel::{Currency, DisbursementId, DocumentId, EntryId, MatterEntryId, Money, ReceiptId};
use uuid::Uuid;

pub use bank::{moved, must_move, office_share, settle_bank};

use super::{EntryRow, LegalChanges, Matter, Refused, Settings};
use crate::domain::ledger::{self, Adjust, Because, Books, Changes, Entry, chart};

/// Ledger accounts of the journal that only client money has.
pub mod accounts {
    /// What the firm has laid out for matters.
    pub const DISBURSEMENTS: &str = "disbursements";
    /// Paid to suppliers; which bank line it was is not matched yet.
    pub const SUPPLIER_PAYMENTS: &str = "supplier_payments";
    /// What the firm has put in for clients whose money was short.
    pub const SHORTAGES: &str = "client_shortages";
}

/// A matter and what is held on it, under lock.
#[derive(Debug, Clone)]
pub struct Held {
    pub matter: Matter,
    balances: HashMap<Currency, Money>,
}

impl Held {
    pub fn new(matter: Matter, balances: impl IntoIterator<Item = Money>) -> Self {
        Self {
            matter,
            balances: balances
                .into_iter()
                .map(|money| (money.currency(), money))
                .collect(),
        }
    }

    /// What is held in a currency.
    pub fn balance(&self, currency: Currency) -> Money {
        self.balances
            .get(&currency)
            .copied()
            .unwrap_or_else(|| Money::zero(currency))
    }

    /// Every currency that was ever held.
    pub fn balances(&self) -> impl Iterator<Item = Money> {
        self.balances.values().copied()
    }
}

/// A line to be written.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The outflow, adjustment or own row that it is.
    pub id: Uuid,
    pub side: Side,
    pub kind: EntryKind,
    /// Positive: the side has more.
    pub amount: Money,
    pub effective_on: NaiveDate,
    pub component: Option<Component>,
    pub receipt: Option<ReceiptId>,
    pub document: Option<DocumentId>,
    pub disbursement: Option<DisbursementId>,
    pub payee: Option<String>,
    pub contra_of: Option<MatterEntryId>,
}

impl NewEntry {
    pub(super) fn new(kind: EntryKind, amount: Money, effective_on: NaiveDate) -> Self {
        Self {
            id: Uuid::now_v7(),
            side: Side::Client,
            kind,
            amount,
            effective_on,
            component: None,
            receipt: None,
            document: None,
            disbursement: None,
            payee: None,
            contra_of: None,
        }
    }
}

/// Writes a line, unless the client would then hold less than nothing. All that
/// changes client money goes through here.
///
/// # Errors
/// When more would leave than is held.
pub fn enter(
    held: &mut Held,
    changes: &mut LegalChanges,
    new: NewEntry,
    cause: Uuid,
) -> Result<MatterEntry, Refused> {
    if new.amount.is_zero() {
        return Err(Refused::NotPositive);
    }
    if new.side == Side::Client {
        let before = held.balance(new.amount.currency());
        let after = before.checked_add(new.amount)?;
        if after.is_negative() {
            return Err(Refused::MoreThanHeld {
                asked: new.amount.abs().display_uk(),
                held: before.display_uk(),
            });
        }
        held.balances.insert(after.currency(), after);
    }
    let entry = MatterEntry {
        entry_id: MatterEntryId::from(new.id),
        side: new.side,
        kind: new.kind,
        amount: new.amount,
        effective_on: new.effective_on,
        component: new.component,
        receipt_id: new.receipt,
        document_id: new.document,
        disbursement_id: new.disbursement,
        payee: new.payee,
        contra_of: new.contra_of,
    };
    changes.entries.push(EntryRow {
        matter: held.matter.id,
        entry: entry.clone(),
        cause,
    });
    Ok(entry)
}

/// The journal row of a line that no other row books.
pub(super) fn book(
    changes: &mut LegalChanges,
    entry: &MatterEntry,
    debit: String,
    credit: String,
    because: &Because<'_>,
) {
    changes.journal.push(Entry {
        id: EntryId::from(entry.entry_id.as_uuid()),
        debit,
        credit,
        amount: entry.amount.abs(),
        effective_on: entry.effective_on,
        recorded_at: because.now,
    });
}

/// Client money that came with a receipt, as its outflow says.
///
/// # Errors
/// When amounts cannot be added.
pub fn receive(
    held: &mut Held,
    changes: &mut LegalChanges,
    receipt: ReceiptId,
    outflow: &OutflowLine,
    component: Component,
    disbursement: Option<DisbursementId>,
    cause: Uuid,
) -> Result<MatterEntry, Refused> {
    let new = NewEntry {
        id: outflow.outflow_id.as_uuid(),
        component: Some(component),
        receipt: Some(receipt),
        disbursement,
        ..NewEntry::new(EntryKind::Received, outflow.amount, outflow.effective_on)
    };
    enter(held, changes, new, cause)
}

/// Lets client money pay a delivered bill of the matter, up to the less of what
/// the bill still needs and what is held (SRA 4.3). `bills` are the matter's.
///
/// # Errors
/// When there is no such bill, or less than that.
#[allow(clippy::too_many_arguments, reason = "both ledgers and their rules")]
pub fn transfer(
    held: &mut Held,
    bills: &[DocumentId],
    document: DocumentId,
    amount: Money,
    books: &mut Books,
    changes: &mut Changes,
    legal: &mut LegalChanges,
    cause: Uuid,
    settings: &Settings,
    because: &Because<'_>,
) -> Result<contracts::allocation::AdjustmentLine, Refused> {
    if !amount.is_positive() {
        return Err(Refused::NotPositive);
    }
    let no_bill = || Refused::NoBill {
        document: document.to_string(),
        matter: held.matter.reference.clone(),
    };
    if !bills.contains(&document) {
        return Err(no_bill());
    }
    let item = books.items.get(&document).ok_or_else(no_bill)?;
    if item.amount.is_negative() {
        return Err(no_bill());
    }
    if amount.checked_cmp(item.open)?.is_gt() {
        return Err(Refused::MoreThanBilled {
            document_ref: item.document_ref.clone(),
            asked: amount.display_uk(),
            open: item.open.display_uk(),
        });
    }
    let balance = held.balance(amount.currency());
    if amount.checked_cmp(balance)?.is_gt() {
        return Err(Refused::MoreThanHeld {
            asked: amount.display_uk(),
            held: balance.display_uk(),
        });
    }
    let what = Adjust {
        document,
        amount,
        kind: AdjustmentKind::ClientTransfer,
        receipt: None,
        cause: Some(cause),
        contra_of: None,
    };
    let line = ledger::adjust(books, changes, &what, because)?.ok_or_else(no_bill)?;
    let new = NewEntry {
        id: line.adjustment_id.as_uuid(),
        document: Some(document),
        ..NewEntry::new(EntryKind::Transferred, amount.neg(), line.effective_on)
    };
    enter(held, legal, new, cause)?;
    must_move(
        held,
        legal,
        BankMoveKind::OfficeTransfer,
        Side::Business,
        amount,
        None,
        None,
        because.not_before,
        settings,
    )?;
    Ok(line)
}

/// A payment of client money out of a client account.
#[derive(Debug, Clone)]
pub struct Payment<'p> {
    pub kind: EntryKind,
    pub amount: Money,
    pub payee: &'p str,
    pub disbursement: Option<DisbursementId>,
    /// The client account that it leaves.
    pub bank_account: &'p str,
}

/// Pays client money away.
///
/// # Errors
/// When it is more than is held, or to nobody.
pub fn pay(
    held: &mut Held,
    changes: &mut LegalChanges,
    payment: &Payment<'_>,
    cause: Uuid,
    because: &Because<'_>,
) -> Result<MatterEntry, Refused> {
    if !payment.amount.is_positive() {
        return Err(Refused::NotPositive);
    }
    let payee = payment.payee.trim();
    if payee.is_empty() {
        return Err(Refused::Missing("whom it is paid to"));
    }
    let new = NewEntry {
        payee: Some(payee.to_owned()),
        disbursement: payment.disbursement,
        ..NewEntry::new(payment.kind, payment.amount.neg(), because.not_before)
    };
    let entry = enter(held, changes, new, cause)?;
    book(
        changes,
        &entry,
        chart::CLIENT_MONEY.to_owned(),
        chart::bank(payment.bank_account, Designation::Client),
        because,
    );
    Ok(entry)
}

/// What the firm lays out for a disbursement with its own money, or (negative)
/// has back from the supplier: a line on the business side.
///
/// # Errors
/// When amounts cannot be added.
#[expect(clippy::too_many_arguments, reason = "one for each column of the row")]
pub fn lay_out(
    held: &mut Held,
    changes: &mut LegalChanges,
    amount: Money,
    disbursement: DisbursementId,
    supplier: &str,
    on: NaiveDate,
    cause: Uuid,
    because: &Because<'_>,
) -> Result<MatterEntry, Refused> {
    let new = NewEntry {
        side: Side::Business,
        payee: Some(supplier.to_owned()),
        disbursement: Some(disbursement),
        ..NewEntry::new(EntryKind::DisbursementPaid, amount.neg(), on)
    };
    let entry = enter(held, changes, new, cause)?;
    let sides = (
        accounts::DISBURSEMENTS.to_owned(),
        accounts::SUPPLIER_PAYMENTS.to_owned(),
    );
    let (debit, credit) = if amount.is_negative() {
        (sides.1, sides.0)
    } else {
        sides
    };
    book(changes, &entry, debit, credit, because);
    Ok(entry)
}

/// Takes back a payment of client money by a contra: the cheque came back.
///
/// # Errors
/// When it was undone before, or is no payment.
pub fn undo_payment(
    held: &mut Held,
    changes: &mut LegalChanges,
    entry: &MatterEntry,
    undone: bool,
    bank: String,
    cause: Uuid,
    because: &Because<'_>,
) -> Result<MatterEntry, Refused> {
    undoable(entry, undone)?;
    let contra = contra(entry, Uuid::now_v7(), because);
    let contra = enter(held, changes, contra, cause)?;
    book(
        changes,
        &contra,
        bank,
        chart::CLIENT_MONEY.to_owned(),
        because,
    );
    Ok(contra)
}

/// # Errors
/// When a contra is there already, or this is one.
pub fn undoable(entry: &MatterEntry, undone: bool) -> Result<(), Refused> {
    if entry.contra_of.is_some() {
        return Err(Refused::IsContra);
    }
    if undone {
        return Err(Refused::AlreadyUndone);
    }
    Ok(())
}

/// The line that takes `entry` back, under the id of the row that books it.
pub fn contra(entry: &MatterEntry, id: Uuid, because: &Because<'_>) -> NewEntry {
    NewEntry {
        id,
        side: entry.side,
        kind: entry.kind,
        amount: entry.amount.neg(),
        // What was reported for the days before stays as it was (E47).
        effective_on: because.not_before.max(entry.effective_on),
        component: entry.component,
        receipt: entry.receipt_id,
        document: entry.document_id,
        disbursement: entry.disbursement_id,
        payee: entry.payee.clone(),
        contra_of: Some(entry.entry_id),
    }
}
