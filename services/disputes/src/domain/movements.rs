//! What allocation's facts say of single documents.

use std::collections::BTreeMap;

use contracts::allocation::{AdjustmentKind, AdjustmentLine, AllocationLine};
use kernel::{DocumentId, Money, MoneyError};

use super::amounts::{Settled, least};

/// Movements by document.
pub type Moves = BTreeMap<DocumentId, Settled>;

fn of(moves: &mut Moves, document: DocumentId, amount: Money) -> &mut Settled {
    moves
        .entry(document)
        .or_insert_with(|| Settled::nothing(amount.currency()))
}

/// Adds the lines of one movement of a receipt. Cash and credit notes pay
/// together: what the credit notes give counts as credit, on the documents in
/// the order in which they stand. A contra is the same the other way round.
///
/// # Errors
/// When amounts overflow, or a document has two currencies.
pub fn lines(moves: &mut Moves, lines: &[AllocationLine]) -> Result<(), MoneyError> {
    for undo in [false, true] {
        let turn = |amount: Money| if undo { amount.neg() } else { amount };
        let these = || {
            lines
                .iter()
                .filter(move |line| line.contra_of.is_some() == undo)
        };
        let Some(first) = these().next() else {
            continue;
        };
        let mut credit = Money::zero(first.amount.currency());
        for line in these().filter(|line| turn(line.amount).is_negative()) {
            credit = credit.checked_sub(turn(line.amount))?;
            let settled = of(moves, line.document_id, line.amount);
            settled.credited = settled.credited.checked_add(line.amount)?;
        }
        for line in these().filter(|line| turn(line.amount).is_positive()) {
            let by_credit = least(credit, turn(line.amount))?;
            credit = credit.checked_sub(by_credit)?;
            let cash = turn(line.amount).checked_sub(by_credit)?;
            let settled = of(moves, line.document_id, line.amount);
            settled.credited = settled.credited.checked_add(turn(by_credit))?;
            settled.paid = settled.paid.checked_add(turn(cash))?;
        }
    }
    Ok(())
}

/// Adds what was settled without cash.
///
/// # Errors
/// When amounts overflow, or a document has two currencies.
pub fn adjustments(moves: &mut Moves, lines: &[AdjustmentLine]) -> Result<(), MoneyError> {
    for line in lines {
        let settled = of(moves, line.document_id, line.amount);
        let place = match line.kind {
            AdjustmentKind::Offset => &mut settled.credited,
            AdjustmentKind::WriteOff | AdjustmentKind::SmallBalance => &mut settled.written_off,
            AdjustmentKind::ClientTransfer => &mut settled.paid,
            AdjustmentKind::Discount | AdjustmentKind::BankCharge => &mut settled.cleared,
        };
        *place = place.checked_add(line.amount)?;
    }
    Ok(())
}

/// One sum for each document.
///
/// # Errors
/// When amounts overflow, or a document has two currencies.
pub fn add(moves: &mut Moves, more: Moves) -> Result<(), MoneyError> {
    for (document, settled) in more {
        match moves.get_mut(&document) {
            Some(known) => *known = known.plus(&settled)?,
            None => {
                moves.insert(document, settled);
            }
        }
    }
    Ok(())
}
