//! Matching rules as data: which set is for whom, and what it makes of a verdict
//! of the ladder.
//!
//! The ladder says what is certain. The rules only ever take away from that,
//! with one exception: a match that is certain but for a small difference in the
//! amount ([`difference`]).

mod book;
mod budget;
mod check;
mod difference;
mod life;
mod order;
pub mod replay;
pub mod shadow;

use std::sync::LazyLock;

use contracts::{
    allocation::{AdjustmentKind, Rule},
    rules::{DisputedItems, RuleScope, RuleSet, RungMode},
};
use kernel::{AccountId, DocumentId, Money, MoneyError};

pub use book::{Live, Rulebook, Used};
pub use budget::is_burnt;
pub use check::{LADDER, problems};
pub use life::{Next, NoStep, content, promote, restore, retire};
pub use order::take;

use super::{
    evidence::say,
    ladder::{SUGGESTIONS_MAX, Verdict},
    ledger::{self, Adjust, Because, Books, Changes, Item, Line, Moves, Proposal, Receipt},
};

/// The rule set that a new installation begins with.
pub const SHIPPED: &str = include_str!("shipped.toml");

/// Read once; a test reads it too, so that it is never empty.
static SHIPPED_SET: LazyLock<Option<RuleSet>> = LazyLock::new(|| toml::from_str(SHIPPED).ok());

/// What is shipped, as data.
///
/// # Errors
/// When the file in the program cannot be read, which a test rules out.
pub fn shipped() -> Result<RuleSet, toml::de::Error> {
    toml::from_str(SHIPPED)
}

/// The rules for one receipt.
#[derive(Debug, Clone, Copy)]
pub struct Policy<'b> {
    pub version: i64,
    pub rules: &'b RuleSet,
    pub scope: &'b RuleScope,
    book: &'b Rulebook,
}

impl Policy<'_> {
    /// How far a rung may go, and whether that is because it was wrong too often.
    fn mode(&self, rule: Rule) -> (RungMode, bool) {
        let listed = self.rules.rungs.iter().find(|rung| rung.rule == rule);
        let mode = listed.map_or(RungMode::Suggest, |rung| rung.mode);
        let demoted = mode == RungMode::Automatic
            && self
                .book
                .demoted
                .iter()
                .any(|(scope, of)| scope == self.scope && *of == rule);
        if demoted {
            (RungMode::Suggest, true)
        } else {
            (mode, false)
        }
    }

    /// How it is called in evidence.
    fn name(&self) -> String {
        match self.version {
            0 => "the rules as shipped".to_owned(),
            version => format!("rule set {version} ({})", self.rules.name),
        }
    }

    /// What comes first when the payer does not say: see
    /// [`RuleSet::components`].
    fn place(&self, item: &Item) -> usize {
        let components = &self.rules.components;
        components
            .iter()
            .position(|component| component.kinds.contains(&item.kind))
            .unwrap_or(components.len())
    }
}

/// What the payer means, when only the amount speaks against it.
#[derive(Debug, Clone)]
pub struct Meant {
    pub rule: Rule,
    pub account: AccountId,
    pub documents: Vec<DocumentId>,
    /// The payer's own list, which adds up to the cash though not to what is
    /// open.
    pub advised: Option<Vec<Line>>,
}

/// A debt that changes without cash, together with a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub document: DocumentId,
    /// Positive lowers the debt.
    pub amount: Money,
    pub kind: AdjustmentKind,
}

/// Lets `receipt` pay `lines`, and changes the debts that are settled with them
/// from the same day on.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn post(
    receipt: &mut Receipt,
    lines: &[Line],
    settled: &[Settled],
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Moves, MoneyError> {
    let mut adjustments = Vec::with_capacity(settled.len());
    let because_of_cash = Because {
        not_before: because.not_before.max(receipt.booked_on),
        ..*because
    };
    for one in settled {
        let what = Adjust {
            document: one.document,
            amount: one.amount,
            kind: one.kind,
            receipt: Some(receipt.id),
            cause: None,
            contra_of: None,
        };
        adjustments.extend(ledger::adjust(books, changes, &what, &because_of_cash)?);
        let account = books.items.get(&one.document).map(|item| item.account_id);
        if let Some(account) = account {
            books.rules.use_up(account, receipt.booked_on, one);
        }
    }
    Ok(Moves {
        lines: ledger::post(receipt, lines, books, changes, because)?,
        adjustments,
        outflows: Vec::new(),
    })
}

/// `items` in the order in which a receipt pays them when the payer does not say.
pub fn in_order<'i>(
    account: AccountId,
    receipt: &Receipt,
    books: &Books,
    items: &[&'i Item],
) -> Vec<&'i Item> {
    let mut items = items.to_vec();
    if let Some(policy) = books
        .rules
        .policy(Some(account), receipt.booked_on, books)
        .filter(|policy| !policy.rules.components.is_empty())
    {
        items.sort_by_key(|item| (policy.place(item), item.due_on, item.id));
    }
    items
}

/// Whether a rung is switched off for this account.
pub fn is_off(rule: Rule, account: Option<AccountId>, receipt: &Receipt, books: &Books) -> bool {
    books
        .rules
        .policy(account, receipt.booked_on, books)
        .is_some_and(|policy| policy.mode(rule).0 == RungMode::Off)
}

/// What the rules make of what the ladder says.
///
/// # Errors
/// When amounts overflow.
pub fn apply(
    mut verdict: Verdict,
    receipt: &Receipt,
    books: &Books,
) -> Result<Verdict, MoneyError> {
    let meant = verdict.meant.take();
    let account = verdict.payer.or(meant.as_ref().map(|meant| meant.account));
    let Some(policy) = books.rules.policy(account, receipt.booked_on, books) else {
        return Ok(verdict);
    };
    if let Some(meant) = &meant {
        difference::settle(&mut verdict, meant, receipt, books, &policy)?;
    }
    let (mode, demoted) = policy.mode(verdict.decision.rule);
    if !verdict.lines.is_empty() {
        // Named is named, whichever rung takes it.
        let guess = verdict.also.iter().all(|rule| is_guess(*rule));
        let disputed = unnamed_dispute(verdict.decision.rule, &verdict.lines, books, &policy)
            .filter(|_| guess);
        if let Some(document) = disputed {
            let why = disputed_words(document);
            verdict.decision.evidence.push(say("disputed", false, why));
            hold(&mut verdict, "automatic without the dispute");
        } else if mode != RungMode::Automatic {
            let name = policy.name();
            let why = if demoted {
                "this rung was wrong too often: it only suggests until a second person restores it"
                    .to_owned()
            } else {
                format!("{name} does not let this rung post")
            };
            verdict.decision.evidence.push(say("rules", false, why));
            hold(&mut verdict, "automatic if the rules let this rung post");
        }
    }
    verdict
        .suggestions
        .retain(|proposal| policy.mode(proposal.rule).0 != RungMode::Off);
    set_disputed_back(&mut verdict, books, &policy);
    Ok(verdict)
}

/// E13: a guess that takes a disputed document in stands behind those that leave
/// it out, and says so.
fn set_disputed_back(verdict: &mut Verdict, books: &Books, policy: &Policy<'_>) {
    let suggestions = std::mem::take(&mut verdict.suggestions);
    let (mut behind, mut first): (Vec<Proposal>, Vec<Proposal>) = suggestions
        .into_iter()
        .partition(|p| unnamed_dispute(p.rule, &p.lines, books, policy).is_some());
    for proposal in &mut behind {
        if let Some(document) = unnamed_dispute(proposal.rule, &proposal.lines, books, policy) {
            let said = say("disputed", false, disputed_words(document));
            if !proposal.evidence.contains(&said) {
                proposal.evidence.push(said);
            }
        }
    }
    let moved = !behind.is_empty() && !first.is_empty();
    first.append(&mut behind);
    verdict.suggestions = first;
    if moved && verdict.lines.is_empty() {
        let mut scores = verdict.suggestions.iter().filter_map(|p| p.score);
        let (best, second) = (scores.next(), scores.next());
        let decision = &mut verdict.decision;
        decision.score = best;
        decision.runner_up_score = second;
        decision.gap =
            best.map(|best| second.map_or(1000, |other| best.total.saturating_sub(other.total)));
    }
}

fn disputed_words(document: &str) -> String {
    format!("some of {document} is disputed, and the payer does not name it")
}

/// Turns what would have been posted into the best suggestion.
fn hold(verdict: &mut Verdict, would: &str) {
    let lines = cash_only(verdict);
    if let (Some(account), false) = (verdict.payer, lines.is_empty()) {
        verdict.suggestions.insert(
            0,
            Proposal {
                rule: verdict.decision.rule,
                confidence: "high",
                account,
                lines,
                evidence: verdict.decision.evidence.clone(),
                score: verdict.decision.score,
                would: Some(would.to_owned()),
            },
        );
        verdict.suggestions.truncate(SUGGESTIONS_MAX);
    }
    verdict.decision.rule = Rule::None;
    verdict.refund = None;
    verdict.decision.disputed.clear();
    verdict.decision.would_have_matched = Some(would.to_owned());
}

/// Takes the lines out of a verdict as a person may post them: no document gets
/// more than is open of it.
pub fn cash_only(verdict: &mut Verdict) -> Vec<Line> {
    let mut lines = std::mem::take(&mut verdict.lines);
    for settled in std::mem::take(&mut verdict.settled) {
        for line in &mut lines {
            if line.document == settled.document
                && settled.amount.is_negative()
                && let Ok(less) = line.amount.checked_add(settled.amount)
            {
                line.amount = less;
            }
        }
    }
    lines
}

/// Whether a rung goes by something else than a number that the payer wrote.
const fn is_guess(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::PayerAmount | Rule::Balance | Rule::SubsetSum | Rule::NearNumber
    )
}

/// A disputed document that would be paid though the payer does not name it.
fn unnamed_dispute<'b>(
    rule: Rule,
    lines: &[Line],
    books: &'b Books,
    policy: &Policy<'_>,
) -> Option<&'b str> {
    if !is_guess(rule) || policy.rules.disputed == DisputedItems::TakeIn {
        return None;
    }
    lines
        .iter()
        .filter(|line| is_disputed(line.document, books))
        .find_map(|line| Some(books.items.get(&line.document)?.document_ref.as_str()))
}

/// Whether some of a document is disputed.
fn is_disputed(document: DocumentId, books: &Books) -> bool {
    books
        .disputed
        .get(&document)
        .is_some_and(|amount| !amount.is_zero())
}

/// What `lines` leave of the items, for writing it off.
fn shortfalls(items: &[&Item], lines: &[Line]) -> Result<Vec<(DocumentId, Money)>, MoneyError> {
    let mut short = Vec::new();
    for item in items {
        let mut left = item.open;
        for line in lines.iter().filter(|line| line.document == item.id) {
            left = left.checked_sub(line.amount)?;
        }
        if !left.is_zero() {
            short.push((item.id, left));
        }
    }
    Ok(short)
}

#[cfg(test)]
mod tests;
