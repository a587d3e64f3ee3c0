//! The taxonomy and the rules, from `data/`.

use chrono::{Days, NaiveDate, TimeDelta};
use contracts::{api::controls::Person, disputes::CaseKind};
use kernel::{Currency, Money};
use rust_decimal::Decimal;

use super::{Case, data::in_force};

const REASONS: &str = include_str!("../../data/reasons.csv");
const ROOT_CAUSES: &str = include_str!("../../data/root-causes.csv");
const DAYS: &str = include_str!("../../data/rules.csv");
const AMOUNTS: &str = include_str!("../../data/amounts.csv");
const STEPS: &str = include_str!("../../data/steps.csv");
const RETURNS: &str = include_str!("../../data/returns.csv");

/// The reason of a case that a short payment opened.
pub const SHORT_PAYMENT: &str = "short_payment";
/// The reason of a suspicion.
pub const UNEXPLAINED: &str = "unexplained";

/// Why a debtor does not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    pub code: &'static str,
    pub words: &'static str,
    pub kind: CaseKind,
    pub department: &'static str,
    /// Whether full payment settles the case (E23).
    pub payment_settles: bool,
}

/// What went wrong behind a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootCause {
    pub code: &'static str,
    pub words: &'static str,
    pub preventable: bool,
}

#[derive(Debug)]
struct Right {
    to: &'static str,
    roles: Vec<&'static str>,
    places: Vec<&'static str>,
}

/// All of it, as it is in force on one day.
#[derive(Debug)]
pub struct Policy {
    pub reasons: Vec<Reason>,
    pub root_causes: Vec<RootCause>,
    days: Vec<(&'static str, u32)>,
    amounts: Vec<(&'static str, &'static str, Decimal)>,
    steps: Vec<Right>,
    returns: Vec<(&'static str, &'static str, &'static str)>,
}

fn bars(text: &'static str) -> Vec<&'static str> {
    text.split('|').filter(|part| !part.is_empty()).collect()
}

impl Policy {
    /// The rules of a day.
    pub fn on(day: NaiveDate) -> Self {
        let reasons = in_force(REASONS, 1, day).into_iter().filter_map(|row| {
            let [code, words, kind, department, paid, _] = row.try_into().ok()?;
            Some(Reason {
                code,
                words,
                kind: CaseKind::named(kind)?,
                department,
                payment_settles: paid == "settles",
            })
        });
        let root_causes = in_force(ROOT_CAUSES, 1, day).into_iter().filter_map(|row| {
            let [code, words, preventable, _] = row.try_into().ok()?;
            Some(RootCause {
                code,
                words,
                preventable: preventable == "yes",
            })
        });
        let days = in_force(DAYS, 1, day).into_iter().filter_map(|row| {
            let [rule, days, _] = row.try_into().ok()?;
            Some((rule, days.parse().ok()?))
        });
        let amounts = in_force(AMOUNTS, 2, day).into_iter().filter_map(|row| {
            let [rule, currency, amount, _] = row.try_into().ok()?;
            Some((rule, currency, amount.parse().ok()?))
        });
        let steps = in_force(STEPS, 1, day).into_iter().filter_map(|row| {
            let [step, roles, places, _] = row.try_into().ok()?;
            Some(Right {
                to: step,
                roles: bars(roles),
                places: bars(places),
            })
        });
        let returns = in_force(RETURNS, 2, day).into_iter().filter_map(|row| {
            let [scheme, code, reason, _] = row.try_into().ok()?;
            Some((scheme, code, reason))
        });
        Self {
            reasons: reasons.collect(),
            root_causes: root_causes.collect(),
            days: days.collect(),
            amounts: amounts.collect(),
            steps: steps.collect(),
            returns: returns.collect(),
        }
    }

    pub fn reason(&self, code: &str) -> Option<&Reason> {
        self.reasons.iter().find(|reason| reason.code == code)
    }

    pub fn root_cause(&self, code: &str) -> Option<&RootCause> {
        self.root_causes.iter().find(|cause| cause.code == code)
    }

    /// Every department that a reason names.
    pub fn departments(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .reasons
            .iter()
            .map(|reason| reason.department.to_owned())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    fn days(&self, rule: &str) -> u32 {
        self.days
            .iter()
            .find(|(name, _)| *name == rule)
            .map_or(0, |(_, days)| *days)
    }

    fn amount(&self, rule: &str, currency: Currency) -> Decimal {
        self.amounts
            .iter()
            .find(|(name, code, _)| *name == rule && *code == currency.code())
            .map_or(Decimal::ZERO, |(.., amount)| *amount)
    }

    /// Items due on this day or before are suspected when nothing explains them.
    pub fn suspect_due_by(&self, today: NaiveDate) -> NaiveDate {
        today
            .checked_sub_days(Days::new(self.days("suspect_after").into()))
            .unwrap_or(today)
    }

    /// How long a suspicion that was cleared is not raised again.
    pub fn suspect_again(&self) -> TimeDelta {
        TimeDelta::days(self.days("suspect_again").into())
    }

    /// Whether so much is credited only when a second person approves it.
    pub fn needs_second(&self, credit: Money) -> bool {
        credit.amount() > self.amount("credit_alone", credit.currency())
    }

    /// How long a second person has.
    pub fn credit_expires(&self) -> TimeDelta {
        TimeDelta::days(self.days("credit_expires").into())
    }

    /// How many suspicions are raised on one London day.
    pub fn suspect_daily(&self) -> usize {
        usize::try_from(self.days("suspect_daily")).unwrap_or(usize::MAX)
    }

    /// How long a rejected case that is not paid stays.
    pub fn close_resolved(&self) -> TimeDelta {
        TimeDelta::days(self.days("close_resolved").into())
    }

    /// How many files a case keeps.
    pub fn evidence_files(&self) -> i64 {
        self.days("evidence_files").into()
    }

    /// How long a link lives.
    pub fn nudge_valid(&self) -> TimeDelta {
        TimeDelta::days(self.days("nudge_valid").into())
    }

    /// From how much unexplained debt on a query is suspected, per currency.
    pub fn suspect_min(&self) -> Vec<(&'static str, Decimal)> {
        self.amounts
            .iter()
            .filter(|(name, ..)| *name == "suspect_min")
            .map(|(_, currency, amount)| (*currency, *amount))
            .collect()
    }

    pub fn is_short_enough(&self, missing: Money) -> bool {
        missing.is_positive()
            && missing.amount() >= self.amount("short_payment_min", missing.currency())
    }

    /// Whether a credit note of `given` answers a request for `asked`.
    pub fn answers(&self, asked: Money, given: Money) -> bool {
        asked.currency() == given.currency()
            && (asked.amount() - given.amount()).abs()
                <= self.amount("credit_tolerance", asked.currency())
    }

    /// The reason of the case that a returned payment opens, if it does.
    pub fn returned(&self, scheme: &str, code: &str) -> Option<&'static str> {
        self.returns
            .iter()
            .find(|(s, c, _)| *s == scheme && c.eq_ignore_ascii_case(code.trim()))
            .map(|(.., reason)| *reason)
    }

    /// Whether a person may take a step: by a role, or by a place in the case.
    pub fn may(&self, step: &str, person: &Person, case: Option<&Case>) -> bool {
        let Some(rule) = self.steps.iter().find(|rule| rule.to == step) else {
            return false;
        };
        let by_role = person
            .roles
            .iter()
            .any(|role| rule.roles.contains(&role.as_str()));
        by_role
            || case.is_some_and(|case| {
                let has = |place: &str, who: Option<&String>| {
                    rule.places.contains(&place)
                        && who.is_some_and(|who| is_person(who, &person.actor))
                };
                has("coordinator", case.coordinator.as_ref())
                    || has("processor", case.processor.as_ref())
                    || has("responsible", case.responsible.as_ref())
            })
    }
}

/// Whether a place in a case is this person's: `jo` and `user:jo` are one.
fn is_person(place: &str, actor: &str) -> bool {
    let bare = |name: &str| name.strip_prefix("user:").unwrap_or(name).to_lowercase();
    bare(place) == bare(actor)
}
