//! What must be done by a set time: when it comes round. An occurrence is a work
//! item like any other, whose clock ends at its time.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use kernel::{Division, london_time};
use uuid::Uuid;

use super::{data::rows, hours::is_working_day};

/// Days before a day off that its occurrence may move to.
const BACK_MAX: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    WorkingDay,
    /// Monday is 1.
    Weekly(u32),
    MonthEnd,
    /// The n-th working day of a month.
    MonthStart(u32),
    Every(i64, NaiveDate),
}

pub(crate) struct Deadline {
    pub code: &'static str,
    pub title: &'static str,
    rule: Rule,
    time: NaiveTime,
    /// Who does it: whoever has this role.
    pub role: &'static str,
    valid_from: NaiveDate,
}

/// A deadline on one day.
pub(crate) struct Occurrence {
    pub deadline: &'static Deadline,
    pub on: NaiveDate,
    pub due_at: DateTime<Utc>,
}

impl Occurrence {
    /// What its work item is about: the same for whoever works it out.
    pub(crate) fn subject(&self) -> Uuid {
        let name = format!("counterfoil deadline {} {}", self.deadline.code, self.on);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
    }
}

static DEADLINES: LazyLock<Vec<Deadline>> = LazyLock::new(|| {
    rows(include_str!("../../data/deadlines.csv"))
        .filter_map(|row| {
            Some(Deadline {
                code: row.first()?,
                title: row.get(1)?,
                rule: rule(row.get(2)?)?,
                time: NaiveTime::parse_from_str(row.get(3)?, "%H:%M").ok()?,
                role: row.get(4)?,
                valid_from: row.get(5)?.parse().ok()?,
            })
        })
        .collect()
});

fn rule(text: &str) -> Option<Rule> {
    let mut parts = text.split(':');
    let rule = match (parts.next()?, parts.next(), parts.next()) {
        ("working_day", None, None) => Rule::WorkingDay,
        ("month_end", None, None) => Rule::MonthEnd,
        ("weekly", Some(day), None) => Rule::Weekly(day.parse().ok()?),
        ("month_start", Some(n), None) => Rule::MonthStart(n.parse().ok()?),
        ("every", Some(days), Some(from)) => {
            Rule::Every(days.parse().ok().filter(|n| *n > 0)?, from.parse().ok()?)
        }
        _ => return None,
    };
    Some(rule)
}

fn works(day: NaiveDate) -> bool {
    is_working_day(Division::EnglandWales, day)
}

/// The day itself, or the working day before.
fn at_the_latest(day: NaiveDate) -> NaiveDate {
    let back = (0..BACK_MAX).filter_map(|n| day.checked_sub_days(Days::new(n)));
    back.into_iter().find(|day| works(*day)).unwrap_or(day)
}

impl Rule {
    /// Whether it names `day`, before days off are looked at.
    fn names(self, day: NaiveDate) -> bool {
        match self {
            Self::WorkingDay => works(day),
            Self::Weekly(weekday) => day.weekday().number_from_monday() == weekday,
            Self::MonthEnd => day.succ_opt().is_some_and(|next| next.day() == 1),
            Self::MonthStart(n) => {
                let first = day.with_day(1).unwrap_or(day);
                works(day)
                    && first
                        .iter_days()
                        .take_while(|d| *d <= day)
                        .filter(|d| works(*d))
                        .count()
                        == n as usize
            }
            Self::Every(days, from) => day >= from && (day - from).num_days() % days == 0,
        }
    }

    fn falls_on(self, day: NaiveDate) -> bool {
        works(day)
            && day
                .iter_days()
                .take(BACK_MAX as usize)
                .any(|named| self.names(named) && at_the_latest(named) == day)
    }
}

/// What comes round from one day to another, both included, in the order of
/// time.
pub(crate) fn between(from: NaiveDate, to: NaiveDate) -> Vec<Occurrence> {
    let mut found: Vec<Occurrence> = from
        .iter_days()
        .take_while(|day| *day <= to)
        .flat_map(|day| {
            DEADLINES
                .iter()
                .filter(move |one| one.valid_from <= day && one.rule.falls_on(day))
                .map(move |deadline| Occurrence {
                    deadline,
                    on: day,
                    due_at: london_time(day, deadline.time),
                })
        })
        .collect();
    found.sort_by_key(|one| one.due_at);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(code: &str, from: &str, to: &str) -> Vec<String> {
        between(from.parse().unwrap(), to.parse().unwrap())
            .iter()
            .filter(|one| one.deadline.code == code)
            .map(|one| one.due_at.to_rfc3339())
            .collect()
    }

    #[test]
    fn every_row_is_understood() {
        let rows = rows(include_str!("../../data/deadlines.csv")).count();
        assert_eq!(DEADLINES.len(), rows);
    }

    #[test]
    fn deadlines_move_before_days_off_and_follow_summer_time() {
        // Ten in London is nine in UTC; Good Friday and Easter Monday are off.
        assert_eq!(
            days("expected_cash", "2026-04-02", "2026-04-07"),
            ["2026-04-02T09:00:00+00:00", "2026-04-07T09:00:00+00:00"]
        );
        // 31 May 2026 is a Sunday.
        assert_eq!(
            days("month_end", "2026-05-20", "2026-06-05"),
            ["2026-05-29T16:00:00+00:00"]
        );
        // The fifth working day of January: the first is a holiday.
        assert_eq!(
            days("factoring", "2026-01-01", "2026-01-31"),
            ["2026-01-08T15:00:00+00:00"]
        );
        assert_eq!(days("auddis", "2026-04-01", "2026-04-14").len(), 2);
    }

    #[test]
    fn client_accounts_are_reconciled_at_least_every_five_weeks() {
        let on: Vec<NaiveDate> =
            between("2026-01-05".parse().unwrap(), "2027-12-31".parse().unwrap())
                .iter()
                .filter(|one| one.deadline.code == "client_reconciliation")
                .map(|one| one.on)
                .collect();
        assert!(on.len() > 15);
        assert!(
            on.windows(2)
                .all(|pair| (pair[1] - pair[0]).num_days() <= 35 + 4)
        );
    }
}
