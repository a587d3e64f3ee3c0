//! How pressing a work item is: a whole number, and what makes it up.

use std::sync::LazyLock;

use chrono::NaiveDate;
use contracts::worklist::{ScorePart, SlaState};
use kernel::Money;
use rust_decimal::Decimal;

use super::data::{in_force, rows};

/// By how much a person may rank an item up or down.
pub(crate) const BY_HAND_MAX: i32 = 50;

struct Weight {
    part: &'static str,
    step: i64,
    points: i32,
    cap: i32,
    valid_from: NaiveDate,
}

static WEIGHTS: LazyLock<Vec<Weight>> = LazyLock::new(|| {
    rows(include_str!("../../data/score-weights.csv"))
        .filter_map(|row| {
            Some(Weight {
                part: row.first()?,
                step: row.get(1)?.parse().ok().filter(|step| *step > 0)?,
                points: row.get(2)?.parse().ok()?,
                cap: row.get(3)?.parse().ok()?,
                valid_from: row.get(4)?.parse().ok()?,
            })
        })
        .collect()
});

static AMOUNTS: LazyLock<Vec<(Decimal, NaiveDate)>> = LazyLock::new(|| {
    rows(include_str!("../../data/amounts.csv"))
        .filter_map(|row| Some((row.first()?.parse().ok()?, row.get(1)?.parse().ok()?)))
        .collect()
});

/// What the score of an item is made of.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'f> {
    /// Points and title of the kind.
    pub kind: (i32, &'f str),
    pub amount: Option<Money>,
    pub business_on: NaiveDate,
    pub sla: SlaState,
    pub escalated: i16,
    pub broken_promise_on: Option<NaiveDate>,
    pub last_contact_on: Option<NaiveDate>,
    /// By hand, with the reason.
    pub by_hand: Option<(i32, &'f str)>,
}

/// The score and its parts; parts that count nothing are left out.
pub(crate) fn score(facts: &Facts<'_>, today: NaiveDate) -> (i32, Vec<ScorePart>) {
    let mut parts = Vec::new();
    let mut put = |part: &str, points: i32, why: String| {
        if points != 0 {
            parts.push(ScorePart {
                part: part.to_owned(),
                points,
                why,
            });
        }
    };
    put("kind", facts.kind.0, facts.kind.1.to_owned());
    if let Some(amount) = facts.amount {
        let steps = AMOUNTS
            .iter()
            .filter(|(from, valid)| *valid <= today && amount.amount().abs() >= *from)
            .count();
        put(
            "amount",
            points("amount", steps as i64, today),
            amount.display_uk(),
        );
    }
    let age = days(facts.business_on, today);
    put("age", points("age", age, today), since(age));
    let (level, why) = match facts.sla {
        SlaState::Running => (1, "the clock runs".to_owned()),
        SlaState::Warned => (2, "nearly out of time".to_owned()),
        SlaState::Breached if facts.escalated > 0 => (
            3 + i64::from(facts.escalated),
            format!("out of time, escalated {}x", facts.escalated),
        ),
        SlaState::Breached => (3, "out of time".to_owned()),
        SlaState::None | SlaState::Paused | SlaState::Met => (0, String::new()),
    };
    put("sla", points("sla", level, today), why);
    if let Some(on) = facts.broken_promise_on {
        put(
            "broken_promise",
            points("broken_promise", 1, today),
            format!("a promise broken on {}", on.format("%-d %b")),
        );
    }
    if let Some(on) = facts.last_contact_on {
        let silent = days(on, today);
        put(
            "contact",
            points("contact", silent, today),
            format!("no contact for {silent} days"),
        );
    }
    if let Some((points, reason)) = facts.by_hand {
        put("by_hand", points, reason.to_owned());
    }
    (parts.iter().map(|part| part.points).sum(), parts)
}

fn days(from: NaiveDate, to: NaiveDate) -> i64 {
    (to - from).num_days().max(0)
}

fn since(days: i64) -> String {
    match days {
        1 => "waiting for a day".to_owned(),
        _ => format!("waiting for {days} days"),
    }
}

fn points(part: &str, amount: i64, today: NaiveDate) -> i32 {
    let named = WEIGHTS.iter().filter(|weight| weight.part == part);
    in_force(named, today, |weight| weight.valid_from).map_or(0, |weight| {
        let steps = i32::try_from(amount / weight.step).unwrap_or(i32::MAX);
        steps.saturating_mul(weight.points).min(weight.cap)
    })
}

#[cfg(test)]
mod tests {
    use kernel::Currency;
    use proptest::prelude::*;

    use super::*;

    fn today() -> NaiveDate {
        "2026-06-30".parse().unwrap()
    }

    fn facts(pence: i64) -> Facts<'static> {
        Facts {
            kind: (14, "Unallocated receipt"),
            amount: Some(
                Money::try_new(Decimal::new(pence, 2), Currency::parse("GBP").unwrap()).unwrap(),
            ),
            business_on: today(),
            sla: SlaState::Running,
            escalated: 0,
            broken_promise_on: None,
            last_contact_on: None,
            by_hand: None,
        }
    }

    #[test]
    fn each_part_is_told_with_its_points() {
        let mut facts = facts(1_240_000);
        facts.sla = SlaState::Breached;
        facts.escalated = 1;
        facts.broken_promise_on = Some("2026-06-28".parse().unwrap());
        facts.by_hand = Some((-5, "they called"));
        let (sum, parts) = score(&facts, today());
        let told: Vec<(&str, i32)> = parts.iter().map(|p| (p.part.as_str(), p.points)).collect();
        let want = [
            ("kind", 14),
            ("amount", 16),
            ("sla", 28),
            ("broken_promise", 10),
            ("by_hand", -5),
        ];
        assert_eq!(told, want);
        assert_eq!(sum, 63);
        assert_eq!(parts[1].why, "£12,400.00");
    }

    proptest! {
        /// The score is its parts, and nothing is pressing the less for being
        /// larger, older or later.
        #[test]
        fn larger_older_and_later_is_never_less(
            small in 0..10_000_000i64, more in 0..90_000_000i64, days in 0..400u64, sla in 0..4usize,
        ) {
            let of = |facts: &Facts<'_>| score(facts, today());
            let base = facts(small);
            let (sum, parts) = of(&base);
            prop_assert_eq!(sum, parts.iter().map(|p| p.points).sum::<i32>());
            prop_assert!(of(&facts(small + more)).0 >= sum);
            let older = Facts { business_on: today() - chrono::Days::new(days), ..base.clone() };
            prop_assert!(of(&older).0 >= sum);
            let later = [SlaState::Paused, SlaState::Running, SlaState::Warned, SlaState::Breached];
            let scores: Vec<i32> = later.iter().map(|sla| of(&Facts { sla: *sla, ..base.clone() }).0).collect();
            prop_assert!(scores[..=sla].iter().all(|s| *s <= scores[sla]));
        }
    }
}
