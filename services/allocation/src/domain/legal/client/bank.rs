//! Where the books and the bank differ: what must be moved between bank accounts,
//! and by when.

use chrono::NaiveDate;
use contracts::{
    ingestion::Designation,
    matters::{BankMove, BankMoveKind, Side},
};
use kernel::{BankMoveId, EntryId, Money, ReceiptId};

use super::super::{LegalChanges, MoveRow, Refused, Settings, working_days_after};
use super::Held;
use crate::domain::ledger::{Because, Entry, Receipt, chart};

/// The firm's own account in which client money must not stay, and the other
/// way round: notes that `amount` must be moved to `to`.
///
/// # Errors
/// When the day it is due cannot be worked out.
#[expect(clippy::too_many_arguments, reason = "one for each column of the row")]
pub fn must_move(
    held: &Held,
    changes: &mut LegalChanges,
    kind: BankMoveKind,
    to: Side,
    amount: Money,
    from_account: Option<String>,
    receipt: Option<ReceiptId>,
    today: NaiveDate,
    settings: &Settings,
) -> Result<(), Refused> {
    let due_by = due_by(kind, to, today, settings)?;
    changes.moves.push(MoveRow {
        matter: held.matter.id,
        bank_move: BankMove {
            move_id: BankMoveId::generate(),
            kind,
            to,
            amount,
            from_account,
            receipt_id: receipt,
            arose_on: today,
            due_by,
            done_on: None,
        },
    });
    Ok(())
}

/// Notes what must be moved so that the client's part of a receipt that came
/// into a business account stands on a client account (SRA 2.3). `to_client` went
/// to the client ledger, `noted` is what was noted before (positive: towards the
/// business). The firm's part of a receipt on a client account is noted with
/// every allocation: see [`office_share`].
///
/// # Errors
/// When amounts cannot be added.
pub fn settle_bank(
    held: &Held,
    changes: &mut LegalChanges,
    receipt: &Receipt,
    to_client: Money,
    noted: Money,
    today: NaiveDate,
    settings: &Settings,
) -> Result<(), Refused> {
    if receipt.designation == Designation::Client {
        return Ok(());
    }
    let missing = to_client.neg().checked_sub(noted)?;
    if missing.is_zero() {
        return Ok(());
    }
    let (to, from) = if missing.is_positive() {
        // What goes back the way it came stands on no account that we know.
        (Side::Business, None)
    } else {
        (Side::Client, Some(receipt.bank_account.clone()))
    };
    must_move(
        held,
        changes,
        BankMoveKind::MixedReceipt,
        to,
        missing.abs(),
        from,
        Some(receipt.id),
        today,
        settings,
    )
}

/// What of a client account must go to a business account, or come back from
/// there, because a receipt paid delivered bills of a matter (SRA 4.2, 4.3).
/// `missing` is what was allocated to them less what was noted before; below
/// nothing when it was taken back. What the bank has taken back is missing for
/// other clients: made good the same day (SRA 6.1, E94).
///
/// # Errors
/// When the day it is due cannot be worked out.
pub fn office_share(
    missing: Money,
    bank_account: &str,
    receipt: ReceiptId,
    returned: bool,
    today: NaiveDate,
    settings: &Settings,
) -> Result<BankMove, Refused> {
    let (kind, to, from) = match (missing.is_positive(), returned) {
        (true, _) => (
            BankMoveKind::MixedReceipt,
            Side::Business,
            Some(bank_account.to_owned()),
        ),
        (false, true) => (BankMoveKind::Shortage, Side::Client, None),
        (false, false) => (BankMoveKind::MixedReceipt, Side::Client, None),
    };
    Ok(BankMove {
        move_id: BankMoveId::generate(),
        kind,
        to,
        amount: missing.abs(),
        from_account: from,
        receipt_id: Some(receipt),
        arose_on: today,
        due_by: due_by(kind, to, today, settings)?,
        done_on: None,
    })
}

pub(super) fn due_by(
    kind: BankMoveKind,
    to: Side,
    today: NaiveDate,
    settings: &Settings,
) -> Result<NaiveDate, Refused> {
    let days = match (kind, to) {
        // Made good on the day it is found (SRA 6.1).
        (BankMoveKind::Shortage, _) => 0,
        (_, Side::Client) => settings.to_client_days,
        (_, Side::Business) => settings.to_business_days,
    };
    if days == 0 {
        return Ok(today);
    }
    working_days_after(today, days)
}

/// The entry of money that was moved between our bank accounts.
pub fn moved(
    bank_move: &BankMove,
    from: &str,
    to: &str,
    done_on: NaiveDate,
    because: &Because<'_>,
) -> Entry {
    let (debit, credit) = match bank_move.to {
        Side::Client => (
            chart::bank(to, Designation::Client),
            chart::bank(from, Designation::Business),
        ),
        Side::Business => (
            chart::bank(to, Designation::Business),
            chart::bank(from, Designation::Client),
        ),
    };
    Entry {
        id: EntryId::from(bank_move.move_id.as_uuid()),
        debit,
        credit,
        amount: bank_move.amount,
        effective_on: done_on,
        recorded_at: because.now,
    }
}
