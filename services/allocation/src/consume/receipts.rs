//! `receipt_recorded`: money is on the ledger, and the ladder says what it
//! pays. Also for money that waited until its document came.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    allocation::{ReceiptAllocated, ReceiptMoved, ReceiptPosted, Rule},
};
use kernel::london_date;
use messaging::{Decided, Failure, Meta, Outgoing};

use super::{
    State,
    debits::{self, Arrival},
    duplicates,
};
use crate::domain::{
    Changes, Learned, Receipt,
    ladder::{self, Verdict},
    ledger::{self, Because, Held, Moves},
    refunds, rules,
};
use crate::{serve::controls::refund_told, store};

/// Who acts when no person does.
const SYSTEM: &str = "system:ladder";

pub(super) fn decide(
    mut receipt: Receipt,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if !state.known_receipts.insert(receipt.id) {
        return Ok(());
    }
    receipt.recorded_at = now;
    receipt.designation =
        store::matters::designation(&state.books.client_accounts, &receipt.bank_account);
    decided.changes.entries.push(ledger::banked(&receipt));
    let arrival = debits::arrival(&receipt, &mut state.returns, &decided.changes)?;
    let not_before = receipt.booked_on;
    let drafts = decided.changes.refunds.len();
    let moves = match arrival {
        Arrival::Plain => {
            let moves = climb(&mut receipt, state, decided, now, not_before)?;
            if moves.lines.is_empty() {
                duplicates::hold(&mut receipt, state, &decided.changes);
            }
            moves
        }
        // What the bank has taken back, or gives back, pays nothing by itself.
        Arrival::Awaited(_) | Arrival::GivesBack(_) | Arrival::Refund(_) => Moves::default(),
    };
    let event = ReceiptPosted {
        receipt_id: receipt.id,
        version: receipt.version,
        bank_account: receipt.bank_account.clone(),
        bank_reference: receipt.bank_reference.clone(),
        booked_on: receipt.booked_on,
        value_on: receipt.value_on,
        amount: receipt.amount,
        payer_name: receipt.payer_name.clone(),
        payer_account: receipt.payer_account.clone(),
        narrative: receipt.narrative.clone(),
        state: receipt.state(),
        account_id: receipt.account,
        account_ref: receipt.account_ref.clone(),
        unallocated: receipt.unallocated,
        lines: moves.lines,
        adjustments: moves.adjustments,
        decision: receipt.decision.clone(),
        suggestions: receipt.suggestions.len() as u16,
        recorded_at: now,
        actor: SYSTEM.to_owned(),
    };
    decided.events.push(Outgoing::new(
        &event,
        receipt.id.as_uuid(),
        receipt.version,
        prefix,
        now,
        cause,
    )?);
    tell_drafts(cause, decided, drafts, prefix, now)?;
    decided.changes.new_receipts.push(receipt.clone());
    debits::settle_arrival(arrival, &mut receipt, cause, state, decided, prefix, now)
}

/// Looks at a receipt again because a document that it may name, or an advice
/// that may be about it, has come.
pub(super) fn decide_again(
    receipt: &mut Receipt,
    reason: &str,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut reason = reason;
    let drafts = decided.changes.refunds.len();
    let moves = if receipt.is_spoken_for() {
        // E48: what a person has touched is the person's. Money on account is
        // offered for the document, never taken for it (E22).
        if receipt.detail.held != Some(Held::OnAccount) {
            return Ok(());
        }
        receipt.suggestions = ladder::suggest(receipt, &state.books, &[]).map_err(Failure::of)?;
        reason = "its document arrived; the money stays on account until a person decides";
        Moves::default()
    } else {
        climb(receipt, state, decided, now, london_date(now))?
    };
    receipt.version += 1;
    let event = ReceiptAllocated(moved(receipt, moves, now, SYSTEM, reason));
    decided.events.push(Outgoing::new(
        &event,
        receipt.id.as_uuid(),
        receipt.version,
        prefix,
        now,
        cause,
    )?);
    tell_drafts(cause, decided, drafts, prefix, now)?;
    decided.changes.moved_receipts.push(receipt.clone());
    Ok(())
}

/// Tells of the refunds that rules have drafted, from the `from`th on.
fn tell_drafts(
    cause: &Meta,
    decided: &mut Decided<Changes>,
    from: usize,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let changes = &decided.changes;
    for refund in changes.refunds.iter().skip(from) {
        let steps = changes.refund_steps.iter();
        for step in steps.filter(|step| step.refund == refund.id) {
            decided.events.push(Outgoing::new(
                &refund_told(refund, step),
                refund.id.as_uuid(),
                refund.version,
                prefix,
                now,
                cause,
            )?);
        }
    }
    Ok(())
}

/// Asks the ladder and posts what it says.
fn climb(
    receipt: &mut Receipt,
    state: &mut State,
    decided: &mut Decided<Changes>,
    now: DateTime<Utc>,
    not_before: chrono::NaiveDate,
) -> Result<Moves, Failure> {
    let cash = receipt.unallocated;
    let verdict = ladder::decide(receipt, &state.books).map_err(Failure::of)?;
    for shadow in &mut state.shadows {
        let compared = shadow.compare(receipt, &mut state.books, &verdict, london_date(now));
        decided
            .changes
            .compared
            .extend(compared.map_err(Failure::of)?);
    }
    let Verdict {
        lines,
        decision,
        payer,
        suggestions,
        settled,
        refund,
        ..
    } = verdict;
    let because = Because {
        rule: decision.rule,
        reason: "",
        actor: SYSTEM,
        now,
        not_before,
    };
    receipt.account = payer;
    receipt.account_ref = payer.and_then(|id| {
        let known = state
            .books
            .accounts
            .get(&id)
            .map(|account| account.reference.clone());
        known.or_else(|| {
            let of_payer = |item: &&crate::domain::Item| item.account_id == id;
            state
                .books
                .items
                .values()
                .find(of_payer)
                .map(|item| item.account_ref.clone())
        })
    });
    let (books, changes) = (&mut state.books, &mut decided.changes);
    let moves =
        rules::post(receipt, &lines, &settled, books, changes, &because).map_err(Failure::of)?;
    if let Some(advice) = decision.remittance_id {
        // No other receipt may use it, not even one of this batch.
        state.books.use_advice(advice, cash, receipt.id);
        decided.changes.used_advices.push((advice, receipt.id));
    }
    // What a reference has proved is remembered of the bank account.
    if let (Some(bank), Some(first), true) = (
        &receipt.payer_account,
        moves.lines.first(),
        matches!(
            decision.rule,
            Rule::OwnReference | Rule::DocumentNumber | Rule::Remittance
        ),
    ) {
        decided.changes.learned.push(Learned {
            bank: bank.clone(),
            account: first.account_id,
            by: SYSTEM.to_owned(),
            seen_on: receipt.booked_on,
        });
    }
    receipt.decision = decision;
    receipt.suggestions = suggestions;
    if let Some(ask) = refund.filter(|ask| ask.amount == receipt.unallocated)
        && state.refunded.insert(receipt.id)
        && let Some((refund, step)) = refunds::suggested(receipt, &ask, now).map_err(Failure::of)?
    {
        decided.changes.refunds.push(refund);
        decided.changes.refund_steps.push(step);
    }
    Ok(moves)
}

/// The event of a receipt whose money moved after it was posted.
pub(crate) fn moved(
    receipt: &Receipt,
    moves: Moves,
    now: DateTime<Utc>,
    actor: &str,
    reason: &str,
) -> ReceiptMoved {
    ReceiptMoved {
        receipt_id: receipt.id,
        version: receipt.version,
        state: receipt.state(),
        account_id: receipt.account,
        account_ref: receipt.account_ref.clone(),
        unallocated: receipt.unallocated,
        lines: moves.lines,
        adjustments: moves.adjustments,
        outflows: moves.outflows,
        returned: None,
        decision: receipt.decision.clone(),
        suggestions: receipt.suggestions.len() as u16,
        recorded_at: now,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    }
}
