//! The ladder: what a receipt pays, from the surest evidence down.
//!
//! 1. The payer's own lines of documents and amounts, which add up: with the
//!    money, or in a remittance advice that came apart from it.
//! 2. Our own payment reference (with valid check digits, or as billing gave
//!    it) or a document number in the payer's words. The amount decides: what
//!    is named must add up to the receipt to the penny, or, for one own
//!    reference alone, be a part of what is open.
//! 3. A document number without its letters, or spoilt, with the amount and
//!    nobody else as the payer.
//! 4. A known payer: exactly one item of the amount; all that is owed or due;
//!    the only items that add up.
//!
//! When several rungs come to the same lines, the order of the rules says which
//! takes them, and so how far it may go; a rung that is off takes nothing. What
//! vetoes is no rung: no order and no switch lets it pass.
//!
//! Whatever is ambiguous or contradicts itself is left to a person, with the
//! reasons and with what could be meant, weighed ([`score`]). Precision is the
//! gate, rate is the score.

mod by_list;
mod by_payer;
mod by_reference;
mod by_share;
mod named;
mod score;

use contracts::allocation::{Decision, Evidence, MatchScore, Rule};
use kernel::{AccountId, DocumentId, Money, MoneyError};

use self::{named::Named, score::Scale};
use super::{
    evidence::{longer, say},
    grammar::{self, Grammar},
    ledger::{Books, Item, Line, Proposal, Receipt},
    payer::{self, Payer},
    remittance::{self, Found},
    rules::{self, Meant, Settled},
};

/// Documents named by one receipt that are still paid automatically; a longer
/// list is a remittance, and comes as one.
const NAMED_MAX: usize = 30;
/// Suggestions kept with a receipt.
pub(super) const SUGGESTIONS_MAX: usize = 5;

/// What the ladder says.
#[derive(Debug)]
pub struct Verdict {
    /// To post at once; empty if a person has to look.
    pub lines: Vec<Line>,
    pub decision: Decision,
    /// Whose money it is, as far as that is certain.
    pub payer: Option<AccountId>,
    pub suggestions: Vec<Proposal>,
    /// What the rules write off together with the lines.
    pub settled: Vec<Settled>,
    /// What is certain but for the amount: see [`rules`].
    pub meant: Option<Meant>,
    /// Other rungs that by themselves come to just these lines, as far as they
    /// were looked for.
    pub also: Vec<Rule>,
    /// What the rules would pay back, if the lines are posted.
    pub refund: Option<SuggestedRefund>,
}

/// The rest of a receipt that a rule set says to pay back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestedRefund {
    pub amount: Money,
    pub version: i64,
    pub reason: String,
}

/// Decides about the money that is left on `receipt`.
///
/// # Errors
/// When amounts overflow.
pub fn decide(receipt: &Receipt, books: &Books) -> Result<Verdict, MoneyError> {
    rules::apply(climb(receipt, books)?, receipt, books)
}

fn climb(receipt: &Receipt, books: &Books) -> Result<Verdict, MoneyError> {
    let payer = payer::identify(receipt, books);
    let found = remittance::find(receipt, books, payer);
    let named = Named::by(receipt, books, payer);
    // The payer's own lines: with the money, or in an advice of their own.
    let (told, apart) = match &found {
        _ if !receipt.advice.is_empty() => (receipt.advice.clone(), false),
        Found::One(advice, _) | Found::Near(advice, _) => (advice.advised(), true),
        Found::None | Found::Several(_) => (Vec::new(), false),
    };
    let mut list = by_list::follow(receipt, books, payer, &told)?;
    if let Found::One(advice, _) = &found
        && apart
        && !advice.is_surely_of(receipt)
    {
        list.doubt_twins(receipt.unallocated, books);
    }
    let listed = list.items.iter().map(|item| item.id).collect();
    let scale = Scale::new(receipt, books, payer, &named, listed);
    let certain = match &found {
        Found::Near(..) => false,
        Found::One(..) if apart => list.agrees_with(&named),
        _ => true,
    };
    let posted = (list.is_whole() && certain)
        .then(|| by_list::follow_up(receipt, payer, &list, &found))
        .map(|v| {
            rules::take(v, receipt, books, |v| {
                below(v, receipt, books, &named, payer)
            })
        })
        .transpose()?
        .filter(|v| !rules::is_off(v.decision.rule, v.payer, receipt, books));
    let mut verdict = if let Some(verdict) = posted {
        verdict
    } else {
        let rest = match by_reference::decide(receipt, books, &named, payer)? {
            Some(verdict) => verdict,
            None => by_payer::decide(receipt, books, &named, payer)?,
        };
        let rest = rules::take(rest, receipt, books, |v| {
            below(v, receipt, books, &named, payer)
        })?;
        by_list::beside(rest, receipt, payer, &list, &found)?
    };
    // One that may be another payment's stays free for that.
    if let Found::One(advice, _) = &found
        && !list.has_twin()
    {
        verdict.decision.remittance_id = Some(advice.id);
    }
    rank(&mut verdict, &scale);
    Ok(verdict)
}

/// The rungs below that of `verdict` that by themselves, and with all that vetoes
/// them, come to its lines.
fn below(
    verdict: &Verdict,
    receipt: &Receipt,
    books: &Books,
    named: &Named<'_>,
    payer: Option<Payer>,
) -> Result<Vec<Rule>, MoneyError> {
    let mut rungs = Vec::new();
    let mut agrees = |other: Verdict| {
        if !other.lines.is_empty() && same_lines(&other.lines, &verdict.lines) {
            rungs.push(other.decision.rule);
            rungs.extend(other.also);
        }
    };
    if verdict.decision.rule == Rule::Remittance
        && let Some(other) = by_reference::decide(receipt, books, named, payer)?
    {
        agrees(other);
    }
    if !named.open.is_empty() || verdict.decision.rule == Rule::Remittance {
        agrees(by_payer::decide(receipt, books, named, payer)?);
    }
    Ok(rungs)
}

pub(super) fn same_lines(some: &[Line], others: &[Line]) -> bool {
    some.len() == others.len() && some.iter().all(|line| others.contains(line))
}

/// Weighs what was decided or suggested: the best first.
fn rank(verdict: &mut Verdict, scale: &Scale<'_>) {
    for proposal in &mut verdict.suggestions {
        proposal.score = Some(scale.weigh(proposal.account, &proposal.lines));
    }
    // Two rungs may have come to the same.
    let mut seen: Vec<Vec<Line>> = Vec::new();
    verdict.suggestions.retain(|proposal| {
        let mut lines = proposal.lines.clone();
        lines.sort_by_key(|line| line.document);
        let new = !seen.contains(&lines);
        seen.push(lines);
        new
    });
    let total = |score: &Option<MatchScore>| score.map_or(0, |score| score.total);
    verdict
        .suggestions
        .sort_by_key(|proposal| std::cmp::Reverse(total(&proposal.score)));
    let mut scores = verdict.suggestions.iter().filter_map(|p| p.score);
    let (best, second) = match (verdict.payer, verdict.lines.as_slice()) {
        (Some(account), [_, ..]) => (Some(scale.weigh(account, &verdict.lines)), scores.next()),
        _ => (scores.next(), scores.next()),
    };
    verdict.decision.score = best;
    verdict.decision.runner_up_score = second;
    verdict.decision.gap =
        best.map(|best| second.map_or(1000, |second| best.total.saturating_sub(second.total)));
    // What lost against something that was posted is only its runner-up.
    if !verdict.lines.is_empty() {
        verdict.suggestions.clear();
    }
    verdict.suggestions.truncate(SUGGESTIONS_MAX);
    let would = verdict.decision.would_have_matched.clone();
    for proposal in &mut verdict.suggestions {
        if proposal.would.is_none() {
            proposal.would.clone_from(&would);
        }
    }
}

/// What a person may do with the money that is left after having decided about
/// some of it: nothing is ever posted (E48). What was just undone can be done
/// again, but is no longer sure.
///
/// # Errors
/// When amounts overflow.
pub fn suggest(
    receipt: &Receipt,
    books: &Books,
    undone: &[DocumentId],
) -> Result<Vec<Proposal>, MoneyError> {
    if !receipt.unallocated.is_positive() {
        return Ok(Vec::new());
    }
    let mut verdict = decide(receipt, books)?;
    let lines = rules::cash_only(&mut verdict);
    let mut suggestions = verdict.suggestions;
    if let (false, Some(account)) = (lines.is_empty(), verdict.payer) {
        suggestions.push(Proposal {
            rule: verdict.decision.rule,
            confidence: "high",
            account,
            lines,
            evidence: verdict.decision.evidence,
            score: verdict.decision.score,
            would: Some("automatic if no person had decided about this receipt".to_owned()),
        });
    }
    for suggestion in &mut suggestions {
        if suggestion
            .lines
            .iter()
            .any(|l| undone.contains(&l.document))
        {
            suggestion.confidence = "low";
            suggestion
                .evidence
                .push(say("person", false, "a person took this back before"));
        }
    }
    Ok(suggestions)
}

/// Whether what is named alone decides, so that the payer need not be looked
/// up. Only saves a query: the ladder decides for itself.
pub fn settled_by_reference(amount: Money, tokens: &[String], books: &Books) -> bool {
    let mut named = tokens.iter().flat_map(|token| books.named(token));
    match (named.next(), named.next()) {
        (Some(item), None) => item.open == amount,
        _ => false,
    }
}

/// Posted at once.
fn automatic(
    rule: Rule,
    account: AccountId,
    lines: Vec<Line>,
    evidence: Vec<Evidence>,
    runner_up: Option<Proposal>,
) -> Verdict {
    Verdict {
        lines,
        decision: Decision {
            runner_up: runner_up.as_ref().and_then(Proposal::why),
            ..Decision::because(rule, evidence)
        },
        payer: Some(account),
        suggestions: runner_up.into_iter().collect(),
        settled: Vec::new(),
        meant: None,
        also: Vec::new(),
        refund: None,
    }
}

/// For a person to decide.
fn left(
    payer: Option<AccountId>,
    evidence: Vec<Evidence>,
    runner_up: Option<String>,
    would_have_matched: impl Into<String>,
    suggestions: Vec<Proposal>,
) -> Verdict {
    Verdict {
        lines: Vec::new(),
        decision: Decision {
            runner_up,
            would_have_matched: Some(would_have_matched.into()),
            ..Decision::because(Rule::None, evidence)
        },
        payer,
        suggestions,
        settled: Vec::new(),
        meant: None,
        also: Vec::new(),
        refund: None,
    }
}

/// Everything that is open on `items`.
pub(super) fn whole<'i>(items: impl IntoIterator<Item = &'i Item>) -> Vec<Line> {
    items
        .into_iter()
        .map(|item| Line {
            document: item.id,
            amount: item.open,
        })
        .collect()
}

/// As much of `cash` as the items take, in their order: credit notes whole
/// first, because they make room.
pub(super) fn spread(cash: Money, items: &[&Item]) -> Result<Vec<Line>, MoneyError> {
    let mut left = cash;
    let mut lines = whole(items.iter().copied().filter(|item| item.open.is_negative()));
    for line in &lines {
        left = left.checked_sub(line.amount)?;
    }
    for item in items.iter().filter(|item| item.open.is_positive()) {
        if !left.is_positive() {
            break;
        }
        let amount = if left.checked_cmp(item.open)?.is_lt() {
            left
        } else {
            item.open
        };
        left = left.checked_sub(amount)?;
        lines.push(Line {
            document: item.id,
            amount,
        });
    }
    // Credit alone is no use of cash.
    if !lines.iter().any(|line| line.amount.is_positive()) {
        lines.clear();
    }
    Ok(lines)
}

/// What an account owes in the currency of `cash`, the oldest first.
pub(super) fn owed(account: AccountId, cash: Money, books: &Books) -> Vec<&Item> {
    let mut items: Vec<&Item> = books
        .of_account(account)
        .filter(|item| !item.open.is_zero() && item.open.currency() == cash.currency())
        .collect();
    items.sort_by_key(|item| (item.due_on, item.id));
    items
}

/// What an account owes of exactly this amount.
fn same_amount(cash: Money, books: &Books, account: Option<AccountId>) -> Vec<&Item> {
    let mut items = account.map_or_else(Vec::new, |account| owed(account, cash, books));
    items.retain(|item| item.open == cash);
    items
}

/// A number in the words that looks like one of the account's documents, while
/// nothing on the ledger has it: the payer means a document that we do not see,
/// or mistyped one (E12, E22).
fn stray<'r>(receipt: &'r Receipt, account: AccountId, books: &Books) -> Option<&'r String> {
    let mut series = Grammar::default();
    for item in books.of_account(account) {
        series.learn(&item.document_ref);
    }
    let others = grammar::other_numbers(&receipt.narrative, receipt.booked_on);
    receipt.tokens.iter().find(|key| {
        series.has(key)
            && !others.contains(*key)
            && books.named(key).next().is_none()
            && !longer(key, &receipt.tokens).any(|other| books.named(other).next().is_some())
            && books.with_tail(key).next().is_none()
    })
}

fn unknown_number() -> Evidence {
    say(
        "reference",
        false,
        "the text has what looks like a document number, but there is no such document",
    )
}

#[cfg(test)]
mod tests;
