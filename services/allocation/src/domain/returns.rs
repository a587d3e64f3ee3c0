//! Payments that come back: whose return a debit on the bank account is, and
//! what that takes apart.
//!
//! The bank may take a payment back days later (an unpaid Direct Debit, a
//! cheque), months later (an indemnity claim, E35), in part (a card dispute,
//! E41), before the payment itself was told (E31), or after the money was
//! refunded (E34). What it re-opens are the lines as they stand now, not as they
//! once were (E33).

pub mod advised;
mod tables;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{
        AdjustmentLine, AllocationLine, DebitState, Decision, Evidence, OutflowKind, OutflowLine,
        Reopened, Returned, Rule,
    },
    ingestion::DebitRecorded,
};
use kernel::{DebitId, DocumentId, EntryId, Money, MoneyError, ReceiptId};

use super::{
    evidence::{self, say},
    ledger::{self, Because, Books, Changes, Entry, Line, Moves, PayOut, Receipt, chart},
    legal::{self, bounce},
    name_key,
};
pub use tables::{Policy, Reason, Role, policy, reason};

/// Receipts that are shown to a person as what a debit may have taken back.
const CANDIDATES_MAX: usize = 5;
/// A bank's reference shorter than this could stand in a text by chance.
const BANK_REFERENCE_MIN: usize = 6;
/// Characters of a folded name that can stand for the whole, at least.
const NAME_MIN: usize = ledger::NAME_BEGINNING_MIN;

/// A bank line that took money from us.
#[derive(Debug, Clone)]
pub struct Debit {
    pub id: DebitId,
    pub version: i64,
    pub state: DebitState,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    /// Positive.
    pub amount: Money,
    pub scheme: Option<String>,
    /// Why, as the bank codes it.
    pub code: Option<String>,
    pub counterparty_name: Option<String>,
    pub counterparty_account: Option<String>,
    pub narrative: String,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    /// The receipt whose money it took.
    pub receipt: Option<ReceiptId>,
    /// What that receipt had no more.
    pub shortfall: Option<Money>,
    pub candidates: Vec<ReceiptId>,
    /// What it re-opened: suggested again if the money comes again.
    pub reopened: Vec<Line>,
    /// It is no bank line but an item of a report.
    pub item: Option<advised::Advised>,
    /// The bank line of the item, or the item of the bank line.
    pub pair: Option<DebitId>,
    pub evidence: Vec<Evidence>,
    pub recorded_at: DateTime<Utc>,
}

impl Debit {
    /// A debit as ingestion tells it.
    pub fn of(fact: &DebitRecorded, now: DateTime<Utc>) -> Self {
        let mut texts: Vec<&str> = fact.reference.as_deref().into_iter().collect();
        texts.extend(fact.remittance.unstructured.iter().map(String::as_str));
        texts.extend(
            fact.remittance
                .structured
                .iter()
                .map(|line| line.document_number.as_str()),
        );
        texts.dedup();
        Self {
            id: fact.debit_id,
            version: 1,
            state: DebitState::Unmatched,
            bank_account: fact.bank_account.clone(),
            bank_reference: fact.bank_reference.clone(),
            booked_on: fact.booked_on,
            amount: fact.amount,
            scheme: fact.scheme.clone(),
            code: fact.return_reason.clone(),
            counterparty_name: fact.counterparty_name.clone(),
            counterparty_account: fact.counterparty_account.clone(),
            narrative: texts.join(" · "),
            end_to_end_id: fact.end_to_end_id.clone(),
            mandate_reference: fact.mandate_reference.clone(),
            receipt: None,
            shortfall: None,
            candidates: Vec::new(),
            reopened: Vec::new(),
            item: None,
            pair: None,
            evidence: Vec::new(),
            recorded_at: now,
        }
    }

    /// Whether the money that it takes is not on the bank account yet, as far as
    /// the bank has said.
    pub fn is_in_transit(&self) -> bool {
        self.item.is_some()
    }

    pub fn policy(&self) -> Policy {
        let policy = policy(self.scheme.as_deref(), self.booked_on);
        // With a reason for a return it is one, whatever the scheme.
        if self.code.is_some() && policy.role != Role::Return {
            return Policy {
                role: Role::Return,
                ..policy
            };
        }
        policy
    }

    /// The bank's code in words.
    pub fn reason(&self) -> Option<Reason> {
        let code = self.code.as_deref()?;
        reason(self.scheme.as_deref(), code, self.booked_on)
    }
}

/// What stands of a receipt: neither contras nor undone. Oldest first.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub lines: Vec<AllocationLine>,
    pub adjustments: Vec<AdjustmentLine>,
    pub outflows: Vec<OutflowLine>,
}

impl Standing {
    /// What the bank has taken back already.
    fn returned(&self, like: Money) -> Result<Money, MoneyError> {
        Money::sum(
            self.outflows
                .iter()
                .filter(|outflow| outflow.kind == OutflowKind::Returned)
                .map(|outflow| outflow.amount),
            like.currency(),
        )
    }
}

/// What a debit is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The return of this receipt.
    Return(ReceiptId, Vec<Evidence>),
    /// A payment of our own.
    Ours(Vec<Evidence>),
    /// A person has to look, or the payment has not come in yet.
    Open(Vec<ReceiptId>, Vec<Evidence>),
}

/// How well a receipt fits a debit.
struct Fit {
    receipt: ReceiptId,
    /// A reference that only this payment has.
    sure: bool,
    evidence: Vec<Evidence>,
}

/// Says whose return `debit` is. `crowded`: there were more candidates than
/// were looked at, so that being the only one proves nothing.
///
/// # Errors
/// When amounts overflow.
pub fn judge<'r>(
    debit: &Debit,
    candidates: impl IntoIterator<Item = (&'r Receipt, &'r Standing)>,
    crowded: bool,
) -> Result<Verdict, MoneyError> {
    let policy = debit.policy();
    let mut fits = Vec::new();
    for (receipt, standing) in candidates {
        let found = match &debit.item {
            Some(item) => advised::fit(debit, item, receipt, standing)?,
            None => fit(debit, receipt, standing, policy)?,
        };
        if let Some(fit) = found {
            fits.push(fit);
        }
    }
    let mut sure: Vec<&Fit> = fits.iter().filter(|fit| fit.sure).collect();
    if let (Some(one), true) = (sure.pop(), sure.is_empty()) {
        return Ok(Verdict::Return(one.receipt, one.evidence.clone()));
    }
    if policy.role == Role::Ours {
        return Ok(Verdict::Ours(vec![say(
            "scheme",
            true,
            "a line of this kind is never the return of a payment",
        )]));
    }
    if let ([only], Role::Return, false) = (fits.as_slice(), policy.role, crowded) {
        return Ok(Verdict::Return(only.receipt, only.evidence.clone()));
    }
    let why = match (fits.is_empty(), policy.role) {
        (true, Role::Return) => "the payment that came back is not on the ledger yet",
        (true, _) => "no payment fits, and nothing says that it is a return",
        (false, Role::Return) => "more than one payment fits",
        (false, _) => "a payment fits, but nothing says that it is a return",
    };
    let mut evidence = vec![say("return", false, why)];
    evidence.extend(
        fits.first()
            .map(|fit| fit.evidence.clone())
            .unwrap_or_default(),
    );
    Ok(Verdict::Open(
        fits.iter()
            .map(|fit| fit.receipt)
            .take(CANDIDATES_MAX)
            .collect(),
        evidence,
    ))
}

/// Whether `receipt`, which has only just come, is what `debit` waited for
/// (E31).
///
/// # Errors
/// When amounts overflow.
pub fn awaited(debit: &Debit, receipt: &Receipt) -> Result<bool, MoneyError> {
    let nothing = Standing::default();
    let judged = judge(debit, [(receipt, &nothing)], !debit.candidates.is_empty())?;
    Ok(matches!(judged, Verdict::Return(..)))
}

/// Whether `receipt`, which has only just come, is what `debit` took, given
/// again: a chargeback that was won (E41).
pub fn given_again(debit: &Debit, receipt: &Receipt) -> bool {
    debit.state == DebitState::Returned
        && debit.policy().may_be_won
        && debit.bank_account == receipt.bank_account
        && debit.amount == receipt.amount
        && debit.booked_on <= receipt.booked_on
        && debit.end_to_end_id.is_some()
        && debit.end_to_end_id == receipt.detail.end_to_end_id
}

fn fit(
    debit: &Debit,
    receipt: &Receipt,
    standing: &Standing,
    policy: Policy,
) -> Result<Option<Fit>, MoneyError> {
    if receipt.bank_account != debit.bank_account
        || receipt.amount.currency() != debit.amount.currency()
        || receipt.booked_on > debit.booked_on
    {
        return Ok(None);
    }
    let days = (debit.booked_on - receipt.booked_on).num_days();
    if policy.window_days.is_some_and(|window| days > window) {
        return Ok(None);
    }
    let left = receipt
        .amount
        .checked_sub(standing.returned(receipt.amount)?)?;
    let order = debit.amount.checked_cmp(left)?;
    if order.is_gt() || (debit.amount != receipt.amount && !policy.in_part) {
        return Ok(None);
    }
    let mut evidence = Vec::new();
    let mut sure = false;
    let mut against = false;
    // A sign that both sides state speaks for or against.
    let mut compare = |kind: &str, what: &str, a: Option<&str>, b: Option<&str>| {
        let (Some(a), Some(b)) = (a, b) else {
            return false;
        };
        let same = a.eq_ignore_ascii_case(b);
        let says = if same { "the same" } else { "another" };
        evidence.push(say(kind, same, format!("{says} {what} as the payment")));
        against |= !same;
        same
    };
    let detail = &receipt.detail;
    sure |= compare(
        "end_to_end_id",
        "end-to-end id",
        debit.end_to_end_id.as_deref(),
        detail.end_to_end_id.as_deref(),
    );
    compare(
        "mandate",
        "mandate",
        debit.mandate_reference.as_deref(),
        detail.mandate_reference.as_deref(),
    );
    compare(
        "payer_account",
        "bank account",
        debit.counterparty_account.as_deref(),
        receipt.payer_account.as_deref(),
    );
    if against {
        return Ok(None);
    }
    if let Some(reference) = receipt.bank_reference.as_deref()
        && reference.len() >= BANK_REFERENCE_MIN
        && debit
            .narrative
            .to_ascii_uppercase()
            .contains(&reference.to_ascii_uppercase())
    {
        sure = true;
        evidence.push(say(
            "reference",
            true,
            "the text has the bank's reference of the payment",
        ));
    }
    if same_name(
        debit.counterparty_name.as_deref(),
        receipt.payer_name.as_deref(),
    ) {
        evidence.push(say("payer_name", true, "the same name as the payment"));
    }
    let said = evidence::keys([debit.narrative.as_str()]);
    let paid = evidence::keys([receipt.narrative.as_str()]);
    if said.iter().any(|key| paid.contains(key)) {
        evidence.push(say(
            "reference",
            true,
            "the text has a reference of the payment",
        ));
    }
    if evidence.is_empty() {
        return Ok(None);
    }
    evidence.push(say(
        "amount",
        true,
        if debit.amount == receipt.amount {
            "the amount of the payment".to_owned()
        } else {
            format!("a part of the payment of {}", receipt.amount.display_uk())
        },
    ));
    Ok(Some(Fit {
        receipt: receipt.id,
        sure,
        evidence,
    }))
}

fn same_name(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a.map(name_key), b.map(name_key)) else {
        return false;
    };
    let (short, long) = if a.len() < b.len() {
        (&a, &b)
    } else {
        (&b, &a)
    };
    !short.is_empty()
        && (short == long || (short.len() >= NAME_MIN && long.starts_with(short.as_str())))
}

/// What a report says of a return beside its amount.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The report that told it before the bank's own line.
    pub report: Option<contracts::ingestion::ReturnReport>,
    /// Of a receipt that is many payments: the lines of the one that comes back.
    pub only: Option<Vec<kernel::AllocationId>>,
}

/// What is taken back of a receipt, by whom and why.
#[derive(Debug, Clone)]
pub struct TakeBack {
    pub amount: Money,
    pub told: Told,
    pub debit: Option<DebitId>,
    pub scheme: Option<String>,
    pub code: Option<String>,
    /// The outflow's cause: the debit, or the command.
    pub cause: uuid::Uuid,
}

impl TakeBack {
    /// All of a debit.
    pub fn by(debit: &Debit) -> Self {
        Self {
            amount: debit.amount,
            told: Told {
                report: debit.item.as_ref().map(|item| item.report),
                only: None,
            },
            debit: Some(debit.id),
            scheme: debit.scheme.clone(),
            code: debit.code.clone(),
            cause: debit.id.as_uuid(),
        }
    }
}

/// Takes money back from a receipt. All of it: every line that stands is undone
/// by a contra and every adjustment that came with the receipt is revoked (E21,
/// E32). A part of it: what pays nothing yet goes first, then the newest lines,
/// each only as far as needed (E41). What went to a client ledger goes back last
/// (E94). What the receipt has no more, because it was refunded, is a shortfall
/// that the payee owes us (E34).
///
/// # Errors
/// When currencies differ, an amount overflows, or client money has moved
/// meanwhile.
pub fn take_back(
    receipt: &mut Receipt,
    standing: &Standing,
    what: &TakeBack,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<(Moves, Returned), legal::Refused> {
    let kept = receipt.amount.checked_sub(receipt.paid_out)?;
    let missing = what.amount.checked_sub(kept)?;
    let back = bounce::bring_back(
        receipt, standing, missing, books, changes, what.cause, because,
    )?;
    let kept = receipt.amount.checked_sub(receipt.paid_out)?;
    let taken = if what.amount.checked_cmp(kept)?.is_gt() {
        kept
    } else {
        what.amount
    };
    let shortfall = what.amount.checked_sub(taken)?;
    let mut moves = Moves {
        outflows: back.outflows,
        ..Moves::default()
    };
    let mut gone: Vec<AllocationLine> = Vec::new();
    let only = what.told.only.as_deref();
    let whole = taken == kept && only.is_none();
    for line in standing.lines.iter().rev() {
        if let Some(only) = only {
            if !only.contains(&line.allocation_id) {
                continue;
            }
        } else if !whole
            && (line.amount.is_negative() || !receipt.unallocated.checked_cmp(taken)?.is_lt())
        {
            continue;
        }
        gone.push(line.clone());
        let undone = ledger::undo(receipt, line, books, changes, because)?;
        moves.lines.extend(undone);
    }
    let revoked: Vec<&AdjustmentLine> = standing
        .adjustments
        .iter()
        .filter(|adjustment| {
            whole
                || gone
                    .iter()
                    .any(|line| line.document_id == adjustment.document_id)
        })
        .collect();
    for adjustment in &revoked {
        let undone =
            ledger::undo_adjustment(books, changes, adjustment, Some(receipt.id), because)?;
        moves.adjustments.extend(undone);
    }
    // Everything of one return counts from one day, so that no day in between
    // shows money twice or not at all.
    let from = moves
        .lines
        .iter()
        .map(|line| line.effective_on)
        .chain(moves.adjustments.iter().map(|line| line.effective_on))
        .chain(moves.outflows.iter().map(|line| line.effective_on))
        .fold(because.not_before, NaiveDate::max);
    let because = Because {
        not_before: from,
        ..*because
    };
    if let (false, None, Some(last)) = (whole, only, gone.last()) {
        let rest = receipt.unallocated.checked_sub(taken)?;
        if rest.is_positive() {
            let line = Line {
                document: last.document_id,
                amount: rest,
            };
            moves
                .lines
                .extend(ledger::post(receipt, &[line], books, changes, &because)?);
        }
    }
    if taken.is_positive() {
        let out = PayOut {
            amount: taken,
            kind: OutflowKind::Returned,
            cause: Some(what.cause),
            contra_of: None,
            in_transit: what.told.report.is_some(),
        };
        moves
            .outflows
            .push(ledger::pay_out(receipt, changes, &out, &because)?);
    }
    if let (true, Some(debit)) = (shortfall.is_positive(), what.debit) {
        changes.entries.push(Entry {
            id: EntryId::from(debit.as_uuid()),
            debit: chart::RETURN_SHORTFALLS.to_owned(),
            credit: if what.told.report.is_some() {
                chart::in_transit(&receipt.bank_account, receipt.designation)
            } else {
                receipt.bank()
            },
            amount: shortfall,
            effective_on: from,
            recorded_at: because.now,
        });
    }
    let mut returned = told(
        what.amount,
        what.scheme.as_deref(),
        what.code.as_deref(),
        from,
        receipt,
    );
    returned.debit_id = what.debit;
    returned.shortfall = shortfall.is_positive().then_some(shortfall);
    returned.client_shortage = back.shortage;
    returned.reopened = reopened(&moves, &gone, books)?;
    receipt.version += 1;
    receipt.suggestions.clear();
    receipt.detail.held = None;
    let mut evidence = vec![say("return", false, in_words(&returned, what.told.report))];
    if let Some(short) = returned.client_shortage {
        evidence.push(say(
            "client_money",
            false,
            format!(
                "{} of it was the client's and is spent: a shortage on the client ledger, which the firm makes good \
                 today (SRA 6.1)",
                short.display_uk()
            ),
        ));
    }
    receipt.decision = Decision::because(because.rule, evidence);
    Ok((moves, returned))
}

/// What is told of a return for a reason, without what it re-opened.
pub fn told(
    amount: Money,
    scheme: Option<&str>,
    code: Option<&str>,
    from: NaiveDate,
    receipt: &Receipt,
) -> Returned {
    let reason = code.and_then(|code| reason(scheme, code, from));
    let again = reason.and_then(|reason| reason.again_until(receipt.booked_on));
    Returned {
        debit_id: None,
        scheme: scheme.map(str::to_owned),
        code: code.map(str::to_owned),
        meaning: reason.map(|reason| reason.meaning.to_owned()),
        action: reason.map(|reason| reason.action.to_owned()),
        may_present_again: again.is_some_and(|until| until.is_none_or(|until| from <= until)),
        present_again_until: again.flatten().filter(|until| from <= *until),
        stops_chasing: reason.is_some_and(|reason| reason.stops_chasing),
        amount,
        returned_on: from,
        paid_on: receipt.booked_on,
        shortfall: None,
        client_shortage: None,
        reopened: Vec::new(),
    }
}

/// The documents of which more is owed after `moves`.
fn reopened(
    moves: &Moves,
    gone: &[AllocationLine],
    books: &Books,
) -> Result<Vec<Reopened>, MoneyError> {
    let mut found: Vec<Reopened> = Vec::new();
    let changed = moves
        .lines
        .iter()
        .map(|line| (line.document_id, line.amount))
        .chain(
            moves
                .adjustments
                .iter()
                .map(|line| (line.document_id, line.amount)),
        );
    for (document, amount) in changed {
        let amount = amount.neg();
        if let Some(known) = found.iter_mut().find(|known| known.document_id == document) {
            known.amount = known.amount.checked_add(amount)?;
            continue;
        }
        let Some(item) = books.items.get(&document) else {
            continue;
        };
        let paid_on = gone
            .iter()
            .filter(|line| line.document_id == document)
            .map(|line| line.effective_on)
            .min();
        found.push(Reopened {
            document_id: document,
            document_ref: item.document_ref.clone(),
            account_id: item.account_id,
            amount,
            open: item.open,
            due_on: item.due_on,
            paid_on: paid_on.unwrap_or(item.issued_on),
        });
    }
    found.retain(|reopened| !reopened.amount.is_zero());
    found.sort_by_key(|reopened| (reopened.due_on, reopened.document_id));
    Ok(found)
}

pub fn in_words(returned: &Returned, report: Option<contracts::ingestion::ReturnReport>) -> String {
    let amount = returned.amount.display_uk();
    let code = returned.code.as_deref();
    match (report, &returned.meaning, code) {
        (Some(report), meaning, code) => {
            let said = [
                Some(report.name().to_uppercase()),
                code.map(str::to_owned),
                meaning.clone(),
            ];
            let said: Vec<String> = said.into_iter().flatten().collect();
            format!("{amount} came back: {}", said.join(" "))
        }
        (None, Some(meaning), _) => format!("{amount} came back: {meaning}"),
        (None, None, Some(code)) => format!("{amount} came back, code {code}"),
        (None, None, None) => format!("{amount} came back"),
    }
}

/// What a debit took is there again: the outflow is brought back by a contra.
/// What it had paid is only suggested again, never posted (E41, E48).
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn give_back(
    receipt: &mut Receipt,
    standing: &Standing,
    debit: &Debit,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Moves, MoneyError> {
    let mut moves = Moves::default();
    // Once the bank had booked it too, the bank gives it back.
    let in_transit = debit.is_in_transit() && debit.pair.is_none();
    for outflow in &standing.outflows {
        if outflow.kind == OutflowKind::Returned && outflow.cause == Some(debit.id.as_uuid()) {
            let because = Because {
                not_before: because.not_before.max(outflow.effective_on),
                ..*because
            };
            let out = PayOut {
                amount: outflow.amount.neg(),
                kind: outflow.kind,
                cause: outflow.cause,
                contra_of: Some(outflow.outflow_id),
                in_transit,
            };
            moves
                .outflows
                .push(ledger::pay_out(receipt, changes, &out, &because)?);
        }
    }
    if let Some(shortfall) = debit.shortfall {
        changes.entries.push(Entry {
            id: EntryId::generate(),
            debit: if in_transit {
                chart::in_transit(&receipt.bank_account, receipt.designation)
            } else {
                receipt.bank()
            },
            credit: chart::RETURN_SHORTFALLS.to_owned(),
            amount: shortfall,
            effective_on: because.not_before,
            recorded_at: because.now,
        });
    }
    receipt.version += 1;
    receipt.decision = Decision::because(
        because.rule,
        vec![say(
            "return",
            true,
            format!(
                "{} that had come back is here again",
                debit.amount.display_uk()
            ),
        )],
    );
    Ok(moves)
}

/// What a debit had re-opened, as far as it is still open and the money reaches:
/// to be suggested.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn once_paid(
    receipt: &Receipt,
    debit: &Debit,
    books: &Books,
) -> Result<Option<super::Proposal>, MoneyError> {
    let mut left = receipt.unallocated;
    let mut lines = Vec::new();
    let mut account = None;
    for line in &debit.reopened {
        let Some(item) = books.items.get(&line.document) else {
            continue;
        };
        if !line.amount.is_positive() || !left.is_positive() {
            continue;
        }
        let mut amount = line.amount;
        for most in [item.open, left] {
            if amount.checked_cmp(most)?.is_gt() {
                amount = most;
            }
        }
        if !amount.is_positive() {
            continue;
        }
        left = left.checked_sub(amount)?;
        account = Some(item.account_id);
        lines.push(Line {
            document: line.document,
            amount,
        });
    }
    Ok(account.map(|account| super::Proposal {
        rule: Rule::Returned,
        confidence: "high",
        account,
        lines,
        evidence: vec![say(
            "return",
            true,
            "this is what the payment had paid before the bank took it back",
        )],
        score: None,
        would: None,
    }))
}

/// The lines that a return re-opened, for the debit's own row.
pub fn lines_of(returned: &Returned) -> Vec<Line> {
    returned
        .reopened
        .iter()
        .map(|reopened| Line {
            document: DocumentId::from(reopened.document_id.as_uuid()),
            amount: reopened.amount,
        })
        .collect()
}
