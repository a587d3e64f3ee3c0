//! Which rung takes what several come to.

use contracts::{
    allocation::Rule,
    rules::{RuleSet, RungMode},
};
use kernel::MoneyError;

use super::LADDER;
use crate::domain::{
    evidence::say,
    ladder::Verdict,
    ledger::{Books, Receipt},
};

/// The rungs of a rule set in the order in which they take a match: that of the
/// ladder, or the one in which they are listed, then those that are not.
pub(super) fn order(rules: &RuleSet) -> [Rule; LADDER.len()] {
    let listed = |rule: &Rule| rules.rungs.iter().position(|rung| rung.rule == *rule);
    let mut order = LADDER;
    // As the ladder has them: those that are not listed keep their places.
    if !LADDER.iter().filter_map(listed).is_sorted() {
        order.sort_by_key(|rule| listed(rule).unwrap_or(usize::MAX));
    }
    order
}

/// Lets the first rung take what several come to: `below` are those beside the
/// verdict's own, asked only where they matter.
///
/// # Errors
/// When amounts overflow.
pub fn take(
    mut verdict: Verdict,
    receipt: &Receipt,
    books: &Books,
    below: impl FnOnce(&Verdict) -> Result<Vec<Rule>, MoneyError>,
) -> Result<Verdict, MoneyError> {
    if verdict.lines.is_empty() {
        return Ok(verdict);
    }
    let Some(policy) = books.rules.policy(verdict.payer, receipt.booked_on, books) else {
        return Ok(verdict);
    };
    let own = verdict.decision.rule;
    let order = order(policy.rules);
    let is_off = |rule: Rule| policy.mode(rule).0 == RungMode::Off;
    if order == LADDER && !is_off(own) {
        return Ok(verdict);
    }
    let mut rungs = verdict.also.clone();
    rungs.extend(below(&verdict)?);
    rungs.push(own);
    let taker = order
        .into_iter()
        .find(|rule| rungs.contains(rule) && !is_off(*rule));
    verdict.also = rungs;
    if let Some(rule) = taker.filter(|rule| *rule != own) {
        let why = format!(
            "`{}` comes to the same as `{}`, and {} lets it go first",
            rule.name(),
            own.name(),
            policy.name()
        );
        verdict.decision.rule = rule;
        verdict.decision.evidence.push(say("rules", true, why));
        if let Some(meant) = &mut verdict.meant {
            meant.rule = rule;
        }
    }
    Ok(verdict)
}
