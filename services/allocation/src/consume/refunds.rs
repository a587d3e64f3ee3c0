//! Bank lines that carry the reference of a refund's payment: a debit says that it
//! is paid, a credit that it came back.

use std::collections::HashSet;

use chrono::NaiveDate;
use contracts::{
    allocation::{DebitState, OutflowKind, ReceiptReduced},
    controls::RefundState,
    ingestion::ReturnAdvised,
};
use messaging::{Failure, Outgoing};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    debits::{Desk, note},
    moved,
};
use crate::{
    domain::{
        Books, Receipt,
        evidence::say,
        ledger::{self, Moves, PayOut},
        policy,
        refunds::{Refund, Step, payment_references},
        returns::Debit,
    },
    serve::controls::{quote, receipt_moved, refund_told},
    store,
};

/// A refund with the receipt that it is of.
pub(crate) type Pair = (Refund, Receipt);

/// The refunds that bank lines of a batch name, under the locks of their
/// receipts.
pub(super) async fn load<'t>(
    conn: &mut PgConnection,
    texts: impl IntoIterator<Item = &'t str>,
    books: &mut Books,
) -> Result<Vec<Pair>, Failure> {
    let references = payment_references(texts);
    if references.is_empty() {
        return Ok(Vec::new());
    }
    let seen = store::refunds::by_payment(conn, &references).await?;
    let receipts: Vec<_> = seen.iter().map(|refund| refund.receipt).collect();
    let receipts = store::receipts::lock_all(conn, &receipts).await?;
    let mut pairs = Vec::new();
    for refund in store::refunds::by_payment(conn, &references).await? {
        let Some(receipt) = receipts.iter().find(|receipt| receipt.id == refund.receipt) else {
            continue;
        };
        // What the money may pay once it is back.
        let mut freed = receipt.clone();
        quote(&mut freed);
        freed.unallocated = freed
            .unallocated
            .checked_add(refund.amount)
            .map_err(Failure::of)?;
        store::look_up(conn, &[&freed], books).await?;
        pairs.push((refund, receipt.clone()));
    }
    Ok(pairs)
}

/// Takes `debit` for the payment of a refund, if it is one.
pub(super) fn paid(
    debit: &mut Debit,
    refunds: &mut [Pair],
    desk: &mut Desk<'_>,
) -> Result<bool, Failure> {
    let words = [debit.end_to_end_id.as_deref(), Some(&debit.narrative)];
    let references = payment_references(words.into_iter().flatten());
    let Some((refund, receipt)) = refunds.iter_mut().find(|(refund, receipt)| {
        references.contains(&refund.payment_reference())
            && refund.amount == debit.amount
            && receipt.bank_account == debit.bank_account
    }) else {
        return Ok(false);
    };
    if refund.state == RefundState::Paid {
        // Said by a person before, or paid a second time: somebody has to look.
        desk.because.reason = "a refund with this reference is paid already";
        let why = vec![say("refund", false, desk.because.reason)];
        note(debit, None, why, desk)?;
        return Ok(true);
    }
    if refund.state == RefundState::Returned {
        // A report told that it came back before the bank's line of its payment.
        desk.because.reason = "the payment of a refund that came back";
        debit.state = DebitState::Ours;
        let why = vec![say("refund", true, desk.because.reason)];
        note(debit, None, why, desk)?;
        return Ok(true);
    }
    desk.because.reason = "the bank has paid it";
    if refund.state == RefundState::InPaymentFile {
        let file = refund.reference.clone().unwrap_or_default();
        let Ok(step) = refund.on_its_way(RefundState::Sent, &file, &desk.because) else {
            return Ok(false);
        };
        tell(refund, step, desk)?;
    }
    let step = refund
        .paid(debit.booked_on, receipt, desk.changes, &desk.because)
        .map_err(Failure::of)?;
    tell(refund, step, desk)?;
    debit.state = DebitState::Ours;
    let why = vec![say(
        "refund",
        true,
        "it carries the reference and the amount of a refund of ours",
    )];
    note(debit, None, why, desk)?;
    Ok(true)
}

/// The refund whose payment came back with the money of `credit`.
/// `credited` are those whose money is back already.
pub(super) fn came_back(
    credit: &Receipt,
    refunds: &mut Vec<Pair>,
    credited: &HashSet<Uuid>,
) -> Option<Pair> {
    let words = [
        credit.detail.end_to_end_id.as_deref(),
        Some(credit.narrative.as_str()),
    ];
    let references = payment_references(words.into_iter().flatten());
    let at = refunds.iter().position(|(refund, receipt)| {
        references.contains(&refund.payment_reference())
            && refund.amount == credit.amount
            && receipt.bank_account == credit.bank_account
            && match refund.state {
                RefundState::Sent | RefundState::Paid => true,
                // As a report has told.
                RefundState::Returned => !credited.contains(&refund.id.as_uuid()),
                _ => false,
            }
    })?;
    // The line of its payment may be in the same batch.
    if refunds.get(at)?.0.state == RefundState::Returned {
        return refunds.get(at).cloned();
    }
    Some(refunds.remove(at))
}

/// The money of `credit` stands on the receipt again that the refund was of.
pub(super) fn give_back(
    credit: &mut Receipt,
    (mut refund, mut receipt): Pair,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    desk.because.reason = "the payee's bank sent the refund back";
    let out = PayOut {
        amount: credit.amount,
        kind: OutflowKind::Returned,
        cause: Some(refund.id.as_uuid()),
        contra_of: None,
        in_transit: false,
    };
    let outflow =
        ledger::pay_out(credit, desk.changes, &out, &desk.because).map_err(Failure::of)?;
    credit.version += 1;
    credit.suggestions.clear();
    let moves = Moves {
        outflows: vec![outflow],
        ..Moves::default()
    };
    let because = desk.because;
    let event = moved(credit, moves, because.now, because.actor, because.reason);
    super::debits::tell(&ReceiptReduced(event), credit, desk)?;
    if refund.state == RefundState::Returned {
        return Ok(());
    }
    restore(&mut refund, &mut receipt, None, credit.booked_on, desk)
}

/// The money of `refund` stands on its receipt again.
fn restore(
    refund: &mut Refund,
    receipt: &mut Receipt,
    code: Option<&str>,
    on: NaiveDate,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let because = desk.because;
    let (step, line) = refund
        .returned(code, on, receipt, desk.changes, &because)
        .map_err(Failure::of)?;
    tell(refund, step, desk)?;
    let lines = line.into_iter().collect();
    let event = receipt_moved(receipt, Vec::new(), lines, desk.books, &because)?;
    super::debits::tell(&ReceiptReduced(event), receipt, desk)
}

/// An item of ARUCS: the payee's bank sent a payment of ours back. If it is a
/// refund, its money stands on its receipt again, before the bank's line of it.
/// Nothing else of ours is on this ledger.
pub(super) fn advised(
    fact: &ReturnAdvised,
    refunds: &mut [Pair],
    touched: impl Fn(kernel::ReceiptId) -> bool,
    desk: &mut Desk<'_>,
) -> Result<Option<kernel::ReceiptId>, Failure> {
    let references = payment_references([fact.reference.as_str()]);
    let found = refunds.iter_mut().find(|(refund, receipt)| {
        references.contains(&refund.payment_reference())
            && refund.amount == fact.amount
            && fact.bank_account.as_deref() == Some(receipt.bank_account.as_str())
            && matches!(refund.state, RefundState::Sent | RefundState::Paid)
    });
    // Where the same batch moves its receipt otherwise too, the bank's line will
    // tell it.
    let Some((refund, receipt)) = found.filter(|(_, receipt)| !touched(receipt.id)) else {
        return Ok(None);
    };
    desk.because.reason = "the payee's bank sent the refund back, as the report of Bacs says";
    let code = policy::arucs(&fact.code).map(|_| fact.code.as_str());
    restore(refund, receipt, code, fact.reported_on, desk)?;
    Ok(Some(receipt.id))
}

fn tell(refund: &Refund, step: Step, desk: &mut Desk<'_>) -> Result<(), Failure> {
    desk.events.push(Outgoing::new(
        &refund_told(refund, &step),
        refund.id.as_uuid(),
        refund.version,
        desk.prefix,
        desk.because.now,
        desk.cause,
    )?);
    desk.changes
        .refunds
        .retain(|changed| changed.id != refund.id);
    desk.changes.refunds.push(refund.clone());
    desk.changes.refund_steps.push(step);
    Ok(())
}
