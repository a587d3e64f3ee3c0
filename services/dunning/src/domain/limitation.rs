//! Until when a claim can be made for a debt: so many years from the day that it
//! was due, anew after a payment or a signed acknowledgment
//! (`data/limitation.toml`).

use std::sync::LazyLock;

use chrono::{Months, NaiveDate};
use contracts::dunning::LimitationState;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    valid_from: NaiveDate,
    years: u32,
    warn_months: u32,
    #[expect(dead_code, reason = "for who reads the table")]
    source: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    limitation: Vec<Rule>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    toml::from_str::<Table>(include_str!("../../data/limitation.toml"))
        .unwrap_or_default()
        .limitation
});

fn rule(day: NaiveDate) -> Option<&'static Rule> {
    RULES
        .iter()
        .filter(|rule| rule.valid_from <= day)
        .max_by_key(|rule| rule.valid_from)
}

/// What begins it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restart {
    Payment,
    Acknowledgment,
}

/// Until when, and from what it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limitation {
    pub last_on: NaiveDate,
    pub from: NaiveDate,
    pub by: Option<Restart>,
}

fn after(from: NaiveDate, today: NaiveDate) -> NaiveDate {
    let months = rule(today).map_or(0, |rule| rule.years * 12);
    from.checked_add_months(Months::new(months)).unwrap_or(from)
}

/// The last day on which a claim can be made. What came when it was over already
/// begins nothing anew (s.29(7)).
pub fn of(due_on: NaiveDate, restarts: &[(NaiveDate, Restart)], today: NaiveDate) -> Limitation {
    let mut sorted = restarts.to_vec();
    sorted.sort_unstable();
    let mut limitation = Limitation {
        last_on: after(due_on, today),
        from: due_on,
        by: None,
    };
    for (on, by) in sorted {
        if on > limitation.from && on <= limitation.last_on {
            limitation = Limitation {
                last_on: after(on, today),
                from: on,
                by: Some(by),
            };
        }
    }
    limitation
}

impl Limitation {
    /// What is to be said of it on a day; nothing while it is far away.
    pub fn state(&self, today: NaiveDate) -> Option<LimitationState> {
        if today > self.last_on {
            return Some(LimitationState::Barred);
        }
        let months = Months::new(rule(today).map_or(0, |rule| rule.warn_months));
        let warn_from = self
            .last_on
            .checked_sub_months(months)
            .unwrap_or(self.last_on);
        (today >= warn_from).then_some(LimitationState::Warned)
    }

    pub fn basis(&self) -> String {
        let on = self.from.format("%d/%m/%Y");
        match self.by {
            None => format!("due on {on}"),
            Some(Restart::Payment) => format!("paid in part on {on}"),
            Some(Restart::Acknowledgment) => format!("acknowledged on {on}"),
        }
    }
}

/// Debts that were due up to this day may be near their end.
pub fn oldest_due(today: NaiveDate) -> NaiveDate {
    let months = rule(today).map_or(0, |rule| (rule.years * 12).saturating_sub(rule.warn_months));
    today
        .checked_sub_months(Months::new(months))
        .unwrap_or(today)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    /// uk-domain 4.5: due date + 6 years, reset by part payment or a signed
    /// acknowledgment.
    #[test]
    fn six_years_from_the_due_day_anew_after_a_part_payment() {
        let today = day("2026-11-27");
        let due = day("2020-12-15");
        let plain = of(due, &[], today);
        assert_eq!(plain.last_on, day("2026-12-15"));
        assert_eq!(plain.state(today), Some(LimitationState::Warned));
        assert_eq!(
            plain.state(day("2026-12-15")),
            Some(LimitationState::Warned)
        );
        assert_eq!(
            plain.state(day("2026-12-16")),
            Some(LimitationState::Barred)
        );
        assert_eq!(plain.state(day("2026-06-14")), None);
        let paid = of(due, &[(day("2023-05-02"), Restart::Payment)], today);
        assert_eq!(paid.last_on, day("2029-05-02"));
        assert_eq!(paid.basis(), "paid in part on 02/05/2023");
    }

    /// s.29(7): what is over is not begun anew.
    #[test]
    fn what_is_barred_is_not_revived() {
        let due = day("2015-01-01");
        let late = [(day("2022-01-01"), Restart::Acknowledgment)];
        let limitation = of(due, &late, day("2026-11-27"));
        assert_eq!(limitation.last_on, day("2021-01-01"));
    }

    proptest! {
        /// In whatever order they are told.
        #[test]
        fn the_order_of_what_begins_it_anew_does_not_matter(
            days in proptest::collection::vec(0_i64..5000, 0..6),
        ) {
            let due = day("2010-01-01");
            let of_days = |days: &[i64]| {
                let all: Vec<_> = days
                    .iter()
                    .map(|n| (due + chrono::TimeDelta::days(*n), Restart::Payment))
                    .collect();
                of(due, &all, day("2026-11-27")).last_on
            };
            let mut reversed = days.clone();
            reversed.reverse();
            prop_assert_eq!(of_days(&days), of_days(&reversed));
            prop_assert!(of_days(&days) >= day("2016-01-01"));
        }
    }
}
