//! The tables that the program ships with: who may approve how much, and how
//! many people must.

use chrono::NaiveDate;
use contracts::controls::ApprovalKind;
use kernel::{Currency, Money};

use super::Limit;

/// The rows of a table without its head and its comments.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
        .map(|line| line.split(',').map(str::trim).collect())
}

fn money(text: &str, currency: &str) -> Option<Money> {
    Money::parse(text, Currency::parse(currency).ok()?).ok()
}

/// The limits to begin with.
pub fn shipped_limits() -> Vec<Limit> {
    rows(include_str!("../../../data/approval-limits.csv"))
        .filter_map(|row| {
            let [kind, role, currency, limit, from] = row[..] else {
                return None;
            };
            Some(Limit {
                kind: ApprovalKind::named(kind)?,
                role: role.to_owned(),
                amount: money(limit, currency)?,
                valid_from: from.parse().ok()?,
            })
        })
        .collect()
}

struct Needed {
    kind: ApprovalKind,
    above: Money,
    people: u8,
    from: NaiveDate,
}

fn needed_rows() -> impl Iterator<Item = Needed> {
    rows(include_str!("../../../data/approvers.csv")).filter_map(|row| {
        let [kind, currency, above, people, from] = row[..] else {
            return None;
        };
        Some(Needed {
            kind: ApprovalKind::named(kind)?,
            above: money(above, currency)?,
            people: people.parse().ok()?,
            from: from.parse().ok()?,
        })
    })
}

/// How many different people must approve so much of this kind: for each
/// threshold the newest row that counts by `day`, and of those the highest
/// threshold that the amount is above. 1 where none is.
pub fn people(kind: ApprovalKind, amount: Money, day: NaiveDate) -> u8 {
    let mut found: Option<Needed> = None;
    for row in needed_rows() {
        let counts = row.kind == kind
            && row.above.currency() == amount.currency()
            && row.above.amount() < amount.amount()
            && row.from <= day;
        let better =
            |than: &Needed| (row.above.amount(), row.from) >= (than.above.amount(), than.from);
        if counts && found.as_ref().is_none_or(better) {
            found = Some(row);
        }
    }
    found.map_or(1, |row| row.people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_row_is_read() {
        let text = include_str!("../../../data/approval-limits.csv");
        assert_eq!(shipped_limits().len(), rows(text).count());
        let text = include_str!("../../../data/approvers.csv");
        assert_eq!(needed_rows().count(), rows(text).count());
    }

    #[test]
    fn more_than_so_much_needs_two_people_from_the_day_on() {
        let gbp = |text| Money::parse(text, Currency::GBP).unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let refund = ApprovalKind::Refund;
        let then = day("2026-11-26");
        assert_eq!(people(refund, gbp("50000.00"), then), 1);
        assert_eq!(people(refund, gbp("50000.01"), then), 2);
        assert_eq!(people(refund, gbp("50000.01"), day("2025-12-31")), 1);
        assert_eq!(people(ApprovalKind::LimitChange, gbp("50000.01"), then), 1);
    }
}
