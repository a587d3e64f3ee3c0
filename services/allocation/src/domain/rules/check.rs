//! What is wrong with a rule set.

use std::collections::BTreeSet;

use contracts::{
    allocation::Rule,
    api::FieldProblem,
    rules::{Cap, Limit, Remainder, RemainderAction, RuleScope, RuleSet, When},
};
use kernel::Money;
use rust_decimal::Decimal;

/// The rungs, in the order of the ladder: the surest evidence first.
pub const LADDER: [Rule; 7] = [
    Rule::Remittance,
    Rule::OwnReference,
    Rule::DocumentNumber,
    Rule::NearNumber,
    Rule::PayerAmount,
    Rule::Balance,
    Rule::SubsetSum,
];

const TEXT_MAX: usize = 100;
const REMAINDERS_MAX: usize = 50;
const DAYS_MAX: u16 = 366;
const GRACE_MAX: u16 = 30;

/// Everything that is wrong, with where it stands; empty: it may be used.
pub fn problems(rules: &RuleSet) -> Vec<FieldProblem> {
    let mut found = Problems(Vec::new());
    found.text("/name", &rules.name);
    match &rules.scope {
        RuleScope::Ledger => {}
        RuleScope::Segment(key) | RuleScope::Account(key) => found.text("/scope", key),
    }
    found.rungs(rules);
    if let Some(tolerance) = &rules.tolerance {
        if tolerance.under.is_none() && tolerance.over.is_none() {
            found.say("/tolerance", "a tolerance is under, over, or both");
        }
        for (side, limit) in [("under", &tolerance.under), ("over", &tolerance.over)] {
            if let Some(limit) = limit {
                found.limit(&format!("/tolerance/{side}"), limit, &tolerance.cap);
            }
        }
        found.days("/tolerance/cap/days", tolerance.cap.days, DAYS_MAX);
        found.amounts("/tolerance/cap/amounts", &tolerance.cap.amounts);
    }
    if let Some(discount) = &rules.discount {
        found.percent("/discount/percent", discount.percent);
        found.days("/discount/days", discount.days, DAYS_MAX);
        if discount.grace_days > GRACE_MAX {
            found.say(
                "/discount/grace_days",
                format!("at most {GRACE_MAX} working days"),
            );
        }
    }
    found.amounts("/bank_charges", &rules.bank_charges);
    let mut kinds = BTreeSet::new();
    for (n, component) in rules.components.iter().enumerate() {
        for kind in &component.kinds {
            if kind.is_credit() || !kinds.insert(kind.name()) {
                found.say(
                    format!("/components/{n}/kinds"),
                    format!(
                        "`{}` stands in one component at most, and a credit note in none: it is used first",
                        kind.name()
                    ),
                );
            }
        }
    }
    if rules.remainders.len() > REMAINDERS_MAX {
        found.say("/remainders", format!("at most {REMAINDERS_MAX} rows"));
    }
    for (n, row) in rules.remainders.iter().enumerate() {
        found.remainder(n, row, rules);
    }
    if let Some(budget) = &rules.budget {
        if budget.lines == 0 || budget.wrong >= budget.lines {
            found.say("/budget", "fewer wrong lines than lines");
        }
        found.days("/budget/days", budget.days, DAYS_MAX);
    }
    if rules.shadow_percent.is_some_and(|percent| percent > 100) {
        found.say("/shadow_percent", "between 0 and 100");
    }
    found.0
}

struct Problems(Vec<FieldProblem>);

impl Problems {
    fn say(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldProblem {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    fn text(&mut self, pointer: &str, text: &str) {
        if text.trim().is_empty() || text.len() > TEXT_MAX {
            self.say(pointer, format!("between 1 and {TEXT_MAX} characters"));
        }
    }

    fn days(&mut self, pointer: &str, days: u16, max: u16) {
        if days == 0 || days > max {
            self.say(pointer, format!("between 1 and {max} days"));
        }
    }

    fn percent(&mut self, pointer: &str, percent: Decimal) {
        if percent <= Decimal::ZERO || percent > Decimal::ONE_HUNDRED {
            self.say(pointer, "more than 0 and at most 100");
        }
    }

    fn amounts(&mut self, pointer: &str, amounts: &[Money]) {
        let mut seen = BTreeSet::new();
        for (n, amount) in amounts.iter().enumerate() {
            if !amount.is_positive() {
                self.say(format!("{pointer}/{n}"), "an amount is more than nothing");
            }
            if !seen.insert(amount.currency().code()) {
                self.say(
                    format!("{pointer}/{n}"),
                    format!("{} stands there twice", amount.currency().code()),
                );
            }
        }
    }

    fn limit(&mut self, pointer: &str, limit: &Limit, cap: &Cap) {
        self.percent(&format!("{pointer}/percent"), limit.percent);
        self.amounts(&format!("{pointer}/amounts"), &limit.amounts);
        if limit.amounts.is_empty() {
            self.say(
                format!("{pointer}/amounts"),
                "a percentage alone is no limit on a large invoice (E9)",
            );
        }
        for amount in &limit.amounts {
            if !cap
                .amounts
                .iter()
                .any(|c| c.currency() == amount.currency())
            {
                self.say(
                    "/tolerance/cap/amounts",
                    format!(
                        "a tolerance in {} needs a cap in it (E8)",
                        amount.currency().code()
                    ),
                );
            }
        }
    }

    fn rungs(&mut self, rules: &RuleSet) {
        let mut seen = BTreeSet::new();
        for (n, rung) in rules.rungs.iter().enumerate() {
            let name = rung.rule.name();
            let wrong = if !LADDER.contains(&rung.rule) {
                Some(format!(
                    "`{name}` is no rung; these are: {}",
                    LADDER.map(Rule::name).join(", ")
                ))
            } else if !seen.insert(name) {
                Some(format!("`{name}` stands there twice"))
            } else {
                None
            };
            if let Some(wrong) = wrong {
                self.say(format!("/rungs/{n}/rule"), wrong);
            }
        }
    }

    fn remainder(&mut self, n: usize, row: &Remainder, rules: &RuleSet) {
        let at = format!("/remainders/{n}");
        if let Some(percent) = row.percent {
            self.percent(&format!("{at}/percent"), percent);
        }
        self.amounts(&format!("{at}/amounts"), &row.amounts);
        let tolerance = rules.tolerance.as_ref();
        let side = match row.when {
            When::Over => tolerance.and_then(|tolerance| tolerance.over.as_ref()),
            When::Under => tolerance.and_then(|tolerance| tolerance.under.as_ref()),
        };
        let wrong = match (row.action, row.when) {
            (RemainderAction::WriteOff, _) if side.is_none() => {
                Some("there is no tolerance on this side")
            }
            (
                RemainderAction::Discount | RemainderAction::BankCharge | RemainderAction::Dispute,
                When::Over,
            ) => Some("only when less was paid"),
            (RemainderAction::OnAccount | RemainderAction::SuggestRefund, When::Under) => {
                Some("only when more was paid")
            }
            (RemainderAction::Discount, _) if rules.discount.is_none() => {
                Some("there is no discount")
            }
            (RemainderAction::BankCharge, _) if rules.bank_charges.is_empty() => {
                Some("there are no bank charges")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.say(format!("{at}/action"), wrong);
        }
        // A row that always fires hides those behind it.
        let always = |row: &Remainder| {
            row.percent.is_none()
                && row.amounts.is_empty()
                && matches!(
                    row.action,
                    RemainderAction::OnAccount
                        | RemainderAction::SuggestRefund
                        | RemainderAction::Dispute
                        | RemainderAction::Person
                )
        };
        let before = rules.remainders.get(..n).unwrap_or_default();
        if before
            .iter()
            .any(|other| other.when == row.when && always(other))
        {
            self.say(at, "a row before it always fires");
        }
    }
}
