//! `debit_recorded`: money left a bank account of ours. If it is a payment that
//! came back, what that payment paid is owed again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    allocation::{DebitPosted, DebitState, Evidence, ReceiptReduced, Rule},
    controls::RefundState,
    ingestion::ReturnAdvised,
};
use kernel::{DebitId, DocumentId, Money, ReceiptId, london_date};
use messaging::{Decided, Failure, Meta, Outgoing};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::{State, advised, moved, refunds};
use crate::{
    domain::{
        Books, Changes, Receipt,
        evidence::say,
        ledger::{self, Because, Moves, PayOut},
        returns::{self, Debit, Standing, TakeBack, Verdict, advised::Part},
    },
    store::{self, advised::Reach},
};

/// Who acts when no person does.
const SYSTEM: &str = "system:returns";

/// What is known of debits and of the receipts that they may concern.
#[derive(Debug, Default)]
pub(crate) struct Returns {
    pub(crate) known: std::collections::HashSet<DebitId>,
    /// Receipts that a debit of this batch may have taken back, or that one
    /// took whose money may be given again.
    pub(crate) receipts: BTreeMap<ReceiptId, (Receipt, Standing)>,
    /// Debits without their payment: of before, and of this batch.
    pub(crate) waiting: Vec<Debit>,
    /// Debits that took a payment which may be given again now.
    pub(crate) taken: Vec<Debit>,
    /// How many receipts of this batch each waiting debit fits.
    pub(crate) fits: HashMap<DebitId, usize>,
    /// Receipts that the debits of this batch changed.
    pub(crate) changed: Vec<ReceiptId>,
    /// Receipts with a refund that is under way and not sent.
    pub(crate) refunding: std::collections::HashSet<ReceiptId>,
    /// Refunds that lines of this batch name.
    pub(crate) refunds: Vec<refunds::Pair>,
    /// Those of them whose money is back on the bank account.
    pub(crate) credited: std::collections::HashSet<uuid::Uuid>,
    /// Items of reports and bank lines that are not settled between them: of
    /// before, and of this batch.
    pub(crate) open: BTreeMap<DebitId, Debit>,
}

impl Returns {
    /// Keeps `debit` as it stands now wherever it waits for receipts.
    pub(super) fn settle(&mut self, debit: &Debit) {
        for waiting in self.waiting.iter_mut().chain(&mut self.taken) {
            if waiting.id == debit.id {
                *waiting = debit.clone();
            }
        }
        self.waiting
            .retain(|waiting| waiting.state == DebitState::Unmatched);
    }
}

/// What a decision about a debit writes and tells.
pub(crate) struct Desk<'d> {
    pub(crate) books: &'d mut Books,
    pub(crate) changes: &'d mut Changes,
    pub(crate) events: &'d mut Vec<Outgoing>,
    pub(crate) prefix: &'d Prefix,
    pub(crate) cause: &'d Meta,
    pub(crate) because: Because<'d>,
}

/// Looks up what the debits of a batch may have taken back, and what waits for
/// the receipts that have come.
pub(super) async fn load(
    conn: &mut PgConnection,
    debits: Vec<Debit>,
    reach: &Reach,
    refunds_back: &[&str],
    arriving: &[&Receipt],
    books: &mut Books,
) -> Result<Returns, Failure> {
    let mut returns = Returns::default();
    let of_debits = debits.iter().flat_map(|debit| {
        [
            debit.end_to_end_id.as_deref(),
            Some(debit.narrative.as_str()),
        ]
    });
    let of_credits = arriving.iter().flat_map(|credit| {
        [
            credit.detail.end_to_end_id.as_deref(),
            Some(credit.narrative.as_str()),
        ]
    });
    let named = refunds_back.iter().map(|reference| Some(*reference));
    let texts: Vec<&str> = of_debits.chain(of_credits).chain(named).flatten().collect();
    returns.refunds = refunds::load(conn, texts, books).await?;
    let named: Vec<uuid::Uuid> = returns
        .refunds
        .iter()
        .map(|(refund, _)| refund.id.as_uuid())
        .collect();
    returns.credited = store::returns::caused(conn, &named).await?;
    let mut receipts = Vec::new();
    if !debits.is_empty() {
        let ids: Vec<DebitId> = debits.iter().map(|debit| debit.id).collect();
        returns.known = store::returns::known(conn, &ids).await?;
        receipts = store::returns::lock_candidates(conn, &debits, &reach.receipts).await?;
        for debit in store::advised::lock(conn, &reach.open).await? {
            returns.open.insert(debit.id, debit);
        }
    }
    let amounts: Vec<Decimal> = arriving.iter().map(|r| r.amount.amount()).collect();
    let ends: Vec<String> = arriving
        .iter()
        .filter_map(|receipt| receipt.detail.end_to_end_id.clone())
        .collect();
    for debit in store::returns::lock_waiting(conn, &amounts, &ends).await? {
        match debit.state {
            DebitState::Unmatched => returns.waiting.push(debit),
            _ => returns.taken.push(debit),
        }
    }
    let taken: Vec<ReceiptId> = returns
        .taken
        .iter()
        .filter_map(|debit| debit.receipt)
        .collect();
    receipts.extend(store::receipts::lock_all(conn, &taken).await?);
    if receipts.is_empty() {
        return Ok(returns);
    }
    let ids: Vec<ReceiptId> = receipts.iter().map(|receipt| receipt.id).collect();
    returns.refunding = store::refunds::unsent(conn, &ids).await?;
    let mut standing = store::returns::standing(conn, &ids).await?;
    let mut documents: Vec<DocumentId> = Vec::new();
    for of in standing.values() {
        documents.extend(of.lines.iter().map(|line| line.document_id));
        documents.extend(of.adjustments.iter().map(|line| line.document_id));
    }
    let reopened = returns.taken.iter().flat_map(|debit| &debit.reopened);
    documents.extend(reopened.map(|line| line.document));
    let lines = returns.open.values().filter(|debit| debit.item.is_none());
    documents.extend(lines.flat_map(|debit| debit.reopened.iter().map(|line| line.document)));
    for item in store::items::lock(conn, &documents).await? {
        books.add(item);
    }
    for receipt in receipts {
        let of = standing.remove(&receipt.id).unwrap_or_default();
        returns.receipts.entry(receipt.id).or_insert((receipt, of));
    }
    Ok(returns)
}

pub(super) fn because(reason: &str, now: DateTime<Utc>, from: chrono::NaiveDate) -> Because<'_> {
    Because {
        rule: Rule::Returned,
        reason,
        actor: SYSTEM,
        now,
        not_before: from,
    }
}

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
        because: because("", now, debit.booked_on),
    };
    if refunds::paid(&mut debit, &mut state.returns.refunds, &mut desk)? {
        return Ok(());
    }
    if advised::paired(&debit, &mut state.returns, &mut desk)? {
        return Ok(());
    }
    let crowded = state
        .returns
        .receipts
        .values()
        .filter(|(receipt, _)| receipt.amount == debit.amount)
        .count() as i64
        >= store::returns::CANDIDATES_MAX;
    let candidates = state
        .returns
        .receipts
        .values()
        .map(|(receipt, standing)| (receipt, standing));
    let verdict = returns::judge(&debit, candidates, crowded).map_err(Failure::of)?;
    desk.because.reason = "the bank took the payment back";
    // E43: what is promised back to the payer is not paid back twice. A person
    // voids the refund, and then says whose return it is.
    let verdict = match verdict {
        Verdict::Return(id, mut evidence) if state.returns.refunding.contains(&id) => {
            evidence.push(say(
                "refund",
                false,
                "a refund of this payment is under way: void it first",
            ));
            Verdict::Open(vec![id], evidence)
        }
        verdict => verdict,
    };
    match verdict {
        Verdict::Return(id, evidence) => {
            let Some((receipt, standing)) = state.returns.receipts.get_mut(&id) else {
                return Ok(());
            };
            take(&mut debit, receipt, standing, evidence, &mut desk)?;
            state.returns.changed.push(id);
            state.returns.open.insert(debit.id, debit);
        }
        Verdict::Ours(evidence) => {
            debit.state = DebitState::Ours;
            note(&mut debit, None, evidence, &mut desk)?;
        }
        Verdict::Open(candidates, evidence) => {
            debit.candidates = candidates;
            desk.because.reason = "nobody knows yet whose payment it took";
            note(&mut debit, None, evidence, &mut desk)?;
            state.returns.open.insert(debit.id, debit.clone());
            state.returns.waiting.push(debit);
        }
    }
    Ok(())
}

/// `return_advised` of a payment of ours: a refund that came back.
pub(super) fn sent_back(
    fact: &ReturnAdvised,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut pairs = std::mem::take(&mut state.returns.refunds);
    let returns = &state.returns;
    let moved: Vec<ReceiptId> = decided
        .changes
        .moved_receipts
        .iter()
        .map(|receipt| receipt.id)
        .collect();
    let mut desk = Desk {
        books: &mut state.books,
        changes: &mut decided.changes,
        events: &mut decided.events,
        prefix,
        cause,
        because: because("", now, fact.reported_on),
    };
    let touched = |id| {
        returns.receipts.contains_key(&id) || returns.changed.contains(&id) || moved.contains(&id)
    };
    let restored = refunds::advised(fact, &mut pairs, touched, &mut desk)?;
    state.returns.refunds = pairs;
    state.returns.changed.extend(restored);
    Ok(())
}

/// Takes the money of `debit` back from `receipt`, and tells of both.
pub(crate) fn take(
    debit: &mut Debit,
    receipt: &mut Receipt,
    standing: &mut Standing,
    evidence: Vec<Evidence>,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let mut what = TakeBack::by(debit);
    // A collection that the bank booked as one receipt: only the lines of the
    // payer whose part comes back.
    if debit.item.is_some() && debit.amount != receipt.amount {
        let candidates = [(&*receipt, &*standing)];
        if let Part::Lines(_, lines, _) =
            returns::advised::part(debit, candidates, desk.books).map_err(Failure::of)?
        {
            what.told.only = Some(lines);
        }
    }
    let (moves, returned) = returns::take_back(
        receipt,
        standing,
        &what,
        desk.books,
        desk.changes,
        &desk.because,
    )
    .map_err(Failure::of)?;
    debit.state = DebitState::Returned;
    debit.receipt = Some(receipt.id);
    debit.shortfall = returned.shortfall;
    debit.candidates.clear();
    debit.reopened = returns::lines_of(&returned);
    settle(standing, &moves);
    let mut event = moved(
        receipt,
        moves,
        desk.because.now,
        desk.because.actor,
        desk.because.reason,
    );
    event.returned = Some(returned);
    tell(&ReceiptReduced(event), receipt, desk)?;
    note(debit, Some(receipt), evidence, desk)
}

/// Gives the money of `debit` back to `receipt`, and tells of both.
pub(crate) fn give(
    debit: &mut Debit,
    receipt: &mut Receipt,
    standing: &mut Standing,
    evidence: Vec<Evidence>,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let moves = returns::give_back(receipt, standing, debit, desk.changes, &desk.because)
        .map_err(Failure::of)?;
    receipt.suggestions = returns::once_paid(receipt, debit, desk.books)
        .map_err(Failure::of)?
        .into_iter()
        .collect();
    settle(standing, &moves);
    debit.state = DebitState::Reversed;
    debit.shortfall = None;
    let event = moved(
        receipt,
        moves,
        desk.because.now,
        desk.because.actor,
        desk.because.reason,
    );
    tell(&ReceiptReduced(event), receipt, desk)?;
    note(debit, Some(receipt), evidence, desk)
}

/// Takes the money of a credit that gave `debit` back off the credit's own
/// receipt: it stands on the receipt that was returned.
pub(crate) fn pass_on(
    credit: &mut Receipt,
    debit: &Debit,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    let out = PayOut {
        amount: debit.amount,
        kind: contracts::allocation::OutflowKind::Returned,
        cause: Some(debit.id.as_uuid()),
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
    let event = moved(
        credit,
        moves,
        desk.because.now,
        desk.because.actor,
        desk.because.reason,
    );
    tell(&ReceiptReduced(event), credit, desk)
}

/// Keeps `standing` as the moves leave it, for the next debit of the batch.
fn settle(standing: &mut Standing, moves: &Moves) {
    let undone: Vec<_> = moves
        .lines
        .iter()
        .filter_map(|line| line.contra_of)
        .collect();
    standing
        .lines
        .retain(|line| !undone.contains(&line.allocation_id));
    let made = moves.lines.iter().filter(|line| line.contra_of.is_none());
    standing.lines.extend(made.cloned());
    let revoked: Vec<_> = moves
        .adjustments
        .iter()
        .filter_map(|line| line.contra_of)
        .collect();
    standing
        .adjustments
        .retain(|line| !revoked.contains(&line.adjustment_id));
    let undone: Vec<_> = moves
        .outflows
        .iter()
        .filter_map(|line| line.contra_of)
        .collect();
    standing
        .outflows
        .retain(|line| !undone.contains(&line.outflow_id));
    let made = moves
        .outflows
        .iter()
        .filter(|line| line.contra_of.is_none());
    standing.outflows.extend(made.cloned());
}

/// Notes how the receipt stands now, once, and what is told of it.
pub(super) fn tell(
    event: &ReceiptReduced,
    receipt: &Receipt,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    desk.events.push(Outgoing::new(
        event,
        receipt.id.as_uuid(),
        receipt.version,
        desk.prefix,
        desk.because.now,
        desk.cause,
    )?);
    // A receipt that has only just come is written once, as it stands now.
    let new = desk.changes.new_receipts.iter_mut();
    if let Some(new) = new.rev().find(|new| new.id == receipt.id) {
        *new = receipt.clone();
        return Ok(());
    }
    desk.changes
        .moved_receipts
        .retain(|moved| moved.id != receipt.id);
    desk.changes.moved_receipts.push(receipt.clone());
    Ok(())
}

/// Notes how the debit stands now, once, and what is told of it.
pub(crate) fn note(
    debit: &mut Debit,
    receipt: Option<&Receipt>,
    evidence: Vec<Evidence>,
    desk: &mut Desk<'_>,
) -> Result<(), Failure> {
    debit.evidence = evidence;
    let event = DebitPosted {
        debit_id: debit.id,
        version: debit.version,
        state: debit.state,
        bank_account: debit.bank_account.clone(),
        bank_reference: debit.bank_reference.clone(),
        booked_on: debit.booked_on,
        amount: debit.amount,
        scheme: debit.scheme.clone(),
        code: debit.code.clone(),
        receipt_id: debit.receipt,
        account_id: receipt.and_then(|receipt| receipt.account),
        account_ref: receipt.and_then(|receipt| receipt.account_ref.clone()),
        shortfall: debit.shortfall,
        advised: debit.advised_by(),
        paired_with: debit.pair,
        evidence: debit.evidence.clone(),
        recorded_at: desk.because.now,
        actor: desk.because.actor.to_owned(),
        reason: desk.because.reason.to_owned(),
    };
    desk.events.push(Outgoing::new(
        &event,
        debit.id.as_uuid(),
        debit.version,
        desk.prefix,
        desk.because.now,
        desk.cause,
    )?);
    desk.changes
        .debits
        .retain(|noted| noted.debit.id != debit.id);
    desk.changes.debits.push(ledger::NotedDebit {
        debit: debit.clone(),
        actor: desk.because.actor.to_owned(),
        reason: desk.because.reason.to_owned(),
    });
    Ok(())
}

/// How many of the receipts that have just come each waiting debit fits: with
/// two, nobody can say which was returned.
pub(super) fn count_fits<'r>(
    returns: &mut Returns,
    arriving: impl Iterator<Item = &'r Receipt> + Clone,
) -> Result<(), Failure> {
    for debit in &returns.waiting {
        // The same receipt may come twice in a batch.
        let mut fits = BTreeSet::new();
        for receipt in arriving.clone() {
            if returns::awaited(debit, receipt).map_err(Failure::of)? {
                fits.insert(receipt.id);
            }
        }
        returns.fits.insert(debit.id, fits.len());
    }
    Ok(())
}

/// What a receipt that has just come has to do with debits.
pub(super) enum Arrival {
    /// Nothing.
    Plain,
    /// It was taken back before it came (E31).
    Awaited(Box<Debit>),
    /// It gives back what a debit took (E41).
    GivesBack(Box<Debit>),
    /// It is a refund of ours that the payee's bank sent back.
    Refund(Box<refunds::Pair>),
}

pub(super) fn arrival(
    receipt: &Receipt,
    returns: &mut Returns,
    changes: &Changes,
) -> Result<Arrival, Failure> {
    // An item before a bank line of the same payment: the line may be paired with
    // another item.
    returns.waiting.sort_by_key(|debit| debit.item.is_none());
    for at in 0..returns.waiting.len() {
        let Some(debit) = returns.waiting.get(at) else {
            break;
        };
        if returns.fits.get(&debit.id) == Some(&1)
            && returns::awaited(debit, receipt).map_err(Failure::of)?
        {
            return Ok(Arrival::Awaited(Box::new(returns.waiting.remove(at))));
        }
    }
    let touched = |pair: &refunds::Pair, returns: &Returns| {
        let id = pair.1.id;
        returns.receipts.contains_key(&id)
            || returns.changed.contains(&id)
            || changes.moved_receipts.iter().any(|moved| moved.id == id)
    };
    let mut pairs = std::mem::take(&mut returns.refunds);
    let refund = refunds::came_back(receipt, &mut pairs, &returns.credited);
    returns.refunds = pairs;
    match refund {
        // Its receipt has the money already.
        Some(pair) if pair.0.state == RefundState::Returned => {
            returns.credited.insert(pair.0.id.as_uuid());
            return Ok(Arrival::Refund(Box::new(pair)));
        }
        // Where the same batch moves its receipt otherwise too a person decides.
        Some(pair) if !touched(&pair, returns) => {
            returns.changed.push(pair.1.id);
            return Ok(Arrival::Refund(Box::new(pair)));
        }
        _ => {}
    }
    let given = returns
        .taken
        .iter()
        .position(|debit| returns::given_again(debit, receipt));
    Ok(given.map_or(Arrival::Plain, |at| {
        Arrival::GivesBack(Box::new(returns.taken.remove(at)))
    }))
}

/// Settles `debit` with `receipt`, which has just been posted without a line.
pub(super) fn settle_arrival(
    arrival: Arrival,
    receipt: &mut Receipt,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let mut desk = Desk {
        books: &mut state.books,
        changes: &mut decided.changes,
        events: &mut decided.events,
        prefix,
        cause,
        because: because("", now, london_date(now)),
    };
    match arrival {
        Arrival::Plain => Ok(()),
        Arrival::Refund(pair) => {
            desk.because.not_before = receipt.booked_on;
            refunds::give_back(receipt, *pair, &mut desk)
        }
        Arrival::Awaited(mut debit) => {
            debit.version += 1;
            desk.because.not_before = debit.booked_on.max(receipt.booked_on);
            desk.because.reason = "the bank had taken the payment back before it was told";
            let evidence = fit_evidence(&debit, receipt)?;
            let mut nothing = Standing::default();
            take(&mut debit, receipt, &mut nothing, evidence, &mut desk)
        }
        Arrival::GivesBack(mut debit) => {
            let Some((original, standing)) = debit
                .receipt
                .and_then(|id| state.returns.receipts.get_mut(&id))
            else {
                return Ok(());
            };
            debit.version += 1;
            desk.because.not_before = receipt.booked_on.max(debit.booked_on);
            desk.because.reason = "the bank gave back what it had taken";
            let evidence = debit.evidence.clone();
            pass_on(receipt, &debit, &mut desk)?;
            give(&mut debit, original, standing, evidence, &mut desk)
        }
    }
}

fn fit_evidence(debit: &Debit, receipt: &Receipt) -> Result<Vec<Evidence>, Failure> {
    let nothing = Standing::default();
    let judged = returns::judge(debit, [(receipt, &nothing)], false).map_err(Failure::of)?;
    Ok(match judged {
        Verdict::Return(_, evidence) | Verdict::Ours(evidence) | Verdict::Open(_, evidence) => {
            evidence
        }
    })
}

/// Whether the payment was so much: a debit can take back what was refunded, but
/// not more than was paid.
pub(crate) fn covers_whole(receipt: &Receipt, amount: Money) -> Result<bool, Failure> {
    Ok(!amount
        .checked_cmp(receipt.amount)
        .map_err(Failure::of)?
        .is_gt())
}

/// Whether so much of a receipt is unallocated.
pub(crate) fn covers(credit: &Receipt, amount: Money) -> Result<bool, Failure> {
    Ok(!amount
        .checked_cmp(credit.unallocated)
        .map_err(Failure::of)?
        .is_gt())
}
