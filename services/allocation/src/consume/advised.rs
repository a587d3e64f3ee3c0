//! `return_advised`: a report of Bacs says that a payment comes back, and bank
//! lines that take the money of such items. What is decided about both is in
//! [`crate::domain::returns::advised`].

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    allocation::{DebitState, ReceiptReduced, Returned},
};
use kernel::{DebitId, EntryId, Money};
use messaging::{Decided, Failure, Meta};

use super::{
    State,
    debits::{self, Desk, Returns},
    moved,
};
use crate::{
    domain::{
        Changes, Receipt,
        evidence::say,
        ledger::{Entry, Moves, chart},
        returns::{
            self, Debit, Verdict,
            advised::{self, Part},
        },
    },
    store,
};

/// An item of a report that has just come.
pub(super) fn decide(
    debit: &Debit,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if !state.returns.known.insert(debit.id) {
        return Ok(());
    }
    let mut debit = debit.clone();
    debit.recorded_at = now;
    let mut desk = Desk {
        books: &mut state.books,
        changes: &mut decided.changes,
        events: &mut decided.events,
        prefix,
        cause,
        because: debits::because("", now, debit.booked_on),
    };
    let returns = &mut state.returns;
    if debit.state == DebitState::Withdrawn {
        return withdraw(&mut debit, returns, &mut desk);
    }
    if let Some(line) = told_by_line(&debit, returns)? {
        return explain(debit, line, returns, &mut desk);
    }
    let (id, fresh) = (debit.id, debit.state);
    returns.open.insert(id, debit);
    if let Some((line, items)) = line_of(id, returns)? {
        return pair(line, &items, id, returns, &mut desk);
    }
    let Some(mut debit) = returns.open.remove(&id) else {
        return Ok(());
    };
    if fresh == DebitState::Expected {
        desk.because.reason = "a payer has claimed it back: the bank will take it";
        let evidence = vec![say("claim", false, desk.because.reason)];
        debits::note(&mut debit, None, evidence, &mut desk)?;
    } else {
        seek(&mut debit, returns, &mut desk)?;
    }
    returns.open.insert(id, debit);
    Ok(())
}

/// Takes a bank line for the money of items that have come before it; `false`:
/// it is of none.
pub(super) fn paired(
    line: &Debit,
    returns: &mut Returns,
    desk: &mut Desk<'_>,
) -> Result<bool, Failure> {
    let items = advised::items_of(line, returns.open.values()).map_err(Failure::of)?;
    if items.is_empty() {
        return Ok(false);
    }
    returns.open.insert(line.id, line.clone());
    pair(line.id, &items, line.id, returns, desk)?;
    Ok(true)
}

/// The bank line that waits for this item, with all items that it is of.
fn line_of(item: DebitId, returns: &Returns) -> Result<Option<(DebitId, Vec<DebitId>)>, Failure> {
    for line in returns.open.values() {
        if line.item.is_some() || line.state != DebitState::Unmatched || line.pair.is_some() {
            continue;
        }
        let items = advised::items_of(line, returns.open.values()).map_err(Failure::of)?;
        if items.contains(&item) {
            return Ok(Some((line.id, items)));
        }
    }
    Ok(None)
}

/// The bank line that took the item's payment already.
fn told_by_line(debit: &Debit, returns: &Returns) -> Result<Option<DebitId>, Failure> {
    for line in returns.open.values() {
        let Some((receipt, _)) = line.receipt.and_then(|id| returns.receipts.get(&id)) else {
            continue;
        };
        if advised::is_told_of(debit, line, receipt).map_err(Failure::of)? {
            return Ok(Some(line.id));
        }
    }
    Ok(None)
}

/// The bank's line and the report's items are the same returns: the line clears
/// what the items have taken or will take. `fresh` is the one that has just come.
fn pair(
    line: DebitId,
    items: &[DebitId],
    fresh: DebitId,
    returns: &mut Returns,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let Some(mut line) = returns.open.remove(&line) else {
        return Ok(());
    };
    let whose = store::matters::designation(&desk.books.client_accounts, &line.bank_account);
    desk.changes.entries.push(Entry {
        id: EntryId::from(line.id.as_uuid()),
        debit: chart::in_transit(&line.bank_account, whose),
        credit: chart::bank(&line.bank_account, whose),
        amount: line.amount,
        effective_on: line.booked_on,
        recorded_at: desk.because.now,
    });
    let mut last = None;
    for id in items {
        let Some(mut item) = returns.open.remove(id) else {
            continue;
        };
        item.version += i64::from(*id != fresh);
        item.pair = Some(line.id);
        desk.because.not_before = item.booked_on;
        let seeks = item.state == DebitState::Expected || *id == fresh;
        if item.state == DebitState::Expected {
            // The claim is taken now, on the day of the line.
            item.state = DebitState::Unmatched;
            desk.because.not_before = line.booked_on;
        }
        if item.bank_account.is_empty() {
            item.bank_account.clone_from(&line.bank_account);
        }
        if seeks {
            seek(&mut item, returns, desk)?;
        } else {
            desk.because.reason = "the bank has booked it";
            let mut evidence = item.evidence.clone();
            evidence.push(say("bank_line", true, desk.because.reason));
            let receipt = item.receipt.and_then(|id| returns.receipts.get(&id));
            debits::note(
                &mut item,
                receipt.map(|(receipt, _)| receipt),
                evidence,
                desk,
            )?;
        }
        returns.settle(&item);
        returns.open.insert(item.id, item.clone());
        last = Some(item);
    }
    line.version += i64::from(line.id != fresh);
    line.state = DebitState::Paired;
    line.candidates.clear();
    desk.because.not_before = line.booked_on;
    desk.because.reason = "a report has told of what it takes";
    let said = match (&last, items.len()) {
        (Some(item), 1) => {
            line.pair = Some(item.id);
            line.receipt = item.receipt;
            line.code = line.code.take().or_else(|| item.code.clone());
            line.scheme.clone_from(&item.scheme);
            "it is the money of an item of a report".to_owned()
        }
        (_, count) => format!("it is the money of {count} items of a report"),
    };
    let receipt = line.receipt.and_then(|id| returns.receipts.get(&id));
    let receipt = receipt.map(|(receipt, _)| receipt.clone());
    let evidence = vec![say("report", true, said)];
    debits::note(&mut line, receipt.as_ref(), evidence, desk)?;
    returns.settle(&line);
    Ok(())
}

/// Takes the item's payment back, or waits for it or for a person.
fn seek(debit: &mut Debit, returns: &mut Returns, desk: &mut Desk<'_>) -> Result<(), Failure> {
    let candidates = || {
        let receipts = returns.receipts.values();
        receipts.map(|(receipt, standing)| (receipt, standing))
    };
    // The look-up puts payments with the item's own marks first: among many of
    // the same amount, being the only one with a mark proves it.
    let mut verdict = returns::judge(debit, candidates(), false).map_err(Failure::of)?;
    if let Verdict::Open(fits, evidence) = &mut verdict
        && fits.is_empty()
    {
        match advised::part(debit, candidates(), desk.books).map_err(Failure::of)? {
            Part::None => {}
            Part::Lines(id, _, why) => verdict = Verdict::Return(id, why),
            Part::Unclear(receipts) => {
                fits.extend(receipts);
                let why = "the bank booked the collection as one receipt, and the reference names no lines of the amount";
                *evidence = vec![say("return", false, why)];
            }
        }
    }
    desk.because.reason = match debit.item.as_ref().map(|item| item.report) {
        Some(contracts::ingestion::ReturnReport::Ddica) => {
            "the payer claimed the payment back, and the bank has taken it"
        }
        _ => "the payer's bank did not pay it, as the report of Bacs says",
    };
    match verdict {
        Verdict::Return(id, _) if returns.refunding.contains(&id) => {
            debit.candidates = vec![id];
            let why = "a refund of this payment is under way: void it first";
            let evidence = vec![say("refund", false, why)];
            debits::note(debit, None, evidence, desk)?;
        }
        Verdict::Return(id, evidence) => {
            let Some((receipt, standing)) = returns.receipts.get_mut(&id) else {
                return Ok(());
            };
            debits::take(debit, receipt, standing, evidence, desk)?;
            returns.changed.push(id);
        }
        Verdict::Ours(evidence) => debits::note(debit, None, evidence, desk)?,
        Verdict::Open(candidates, evidence) => {
            debit.candidates = candidates;
            debits::note(debit, None, evidence, desk)?;
            returns.waiting.push(debit.clone());
        }
    }
    Ok(())
}

/// The item says why a bank line took its payment: it moves nothing, and those
/// who act on the reason hear of it.
fn explain(
    mut debit: Debit,
    line: DebitId,
    returns: &mut Returns,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let Some(mut line) = returns.open.remove(&line) else {
        return Ok(());
    };
    debit.state = DebitState::Paired;
    debit.receipt = line.receipt;
    debit.pair = Some(line.id);
    if debit.bank_account.is_empty() {
        debit.bank_account.clone_from(&line.bank_account);
    }
    let unexplained = line.code.is_none();
    line.version += 1;
    line.pair = Some(debit.id);
    line.code = line.code.take().or_else(|| debit.code.clone());
    if line.policy().role != returns::Role::Return || line.scheme.is_none() {
        line.scheme.clone_from(&debit.scheme);
    }
    desk.because.reason = "the report says why the bank took it";
    let receipt = line.receipt.and_then(|id| returns.receipts.get_mut(&id));
    if let (true, Some((receipt, _))) = (unexplained, receipt) {
        let told = returned_again(&line, &debit, receipt, desk);
        receipt.version += 1;
        receipt.decision = contracts::allocation::Decision::because(
            desk.because.rule,
            vec![say(
                "return",
                false,
                returns::in_words(&told, debit.item.as_ref().map(|item| item.report)),
            )],
        );
        let because = desk.because;
        let mut event = moved(
            receipt,
            Moves::default(),
            because.now,
            because.actor,
            because.reason,
        );
        event.returned = Some(told);
        debits::tell(&ReceiptReduced(event), receipt, desk)?;
        returns.changed.push(receipt.id);
    }
    let receipt = line.receipt.and_then(|id| returns.receipts.get(&id));
    let receipt = receipt.map(|(receipt, _)| receipt.clone());
    let mut evidence = line.evidence.clone();
    evidence.push(say("report", true, desk.because.reason));
    debits::note(&mut line, receipt.as_ref(), evidence, desk)?;
    let why = "the bank's own line had taken the payment already";
    let evidence = vec![say("bank_line", true, why)];
    debits::note(&mut debit, receipt.as_ref(), evidence, desk)?;
    returns.settle(&line);
    Ok(())
}

/// What came back with `line`, with the reason that the item gives.
fn returned_again(line: &Debit, debit: &Debit, receipt: &Receipt, desk: &Desk<'_>) -> Returned {
    let mut told = returns::told(
        line.amount,
        debit.scheme.as_deref(),
        debit.code.as_deref(),
        line.booked_on,
        receipt,
    );
    told.debit_id = Some(line.id);
    told.shortfall = line.shortfall;
    let nothing = Money::zero(line.amount.currency());
    told.reopened = line
        .reopened
        .iter()
        .filter_map(|reopened| {
            let item = desk.books.items.get(&reopened.document)?;
            Some(contracts::allocation::Reopened {
                document_id: item.id,
                document_ref: item.document_ref.clone(),
                account_id: item.account_id,
                // It was told when the line took it.
                amount: nothing,
                open: item.open,
                due_on: item.due_on,
                paid_on: receipt.booked_on,
            })
        })
        .collect();
    told
}

/// A claim that will not be taken.
fn withdraw(debit: &mut Debit, returns: &mut Returns, desk: &mut Desk<'_>) -> Result<(), Failure> {
    desk.because.reason = "the claim was withdrawn";
    let why = || vec![say("claim", true, "the claim was withdrawn")];
    let same = |other: &&Debit| {
        other.state == DebitState::Expected
            && other.amount == debit.amount
            && other.narrative == debit.narrative
            && other
                .item
                .as_ref()
                .map(|item| (&item.service_user, item.original_on))
                == debit
                    .item
                    .as_ref()
                    .map(|item| (&item.service_user, item.original_on))
    };
    if let Some(id) = returns.open.values().find(same).map(|other| other.id)
        && let Some(mut claim) = returns.open.remove(&id)
    {
        claim.version += 1;
        claim.state = DebitState::Withdrawn;
        debits::note(&mut claim, None, why(), desk)?;
    }
    debits::note(debit, None, why(), desk)
}
