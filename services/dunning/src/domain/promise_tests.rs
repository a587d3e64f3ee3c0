//! Promises and plans held against plain models.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    api::dunning::Every,
    dunning::{PlanId, PlanState, PromiseId, PromiseState},
};
use kernel::{AccountId, Currency, DocumentId, Money};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    agreed::{Books, Cash, Covered, Payment},
    plan::{self, Plan},
    promise::Promise,
    stops,
};

fn day(n: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + TimeDelta::days(n)
}

fn taken() -> DateTime<Utc> {
    "2026-03-02T10:00:00Z".parse().unwrap()
}

fn covered(document: DocumentId, amount: i64) -> Covered {
    Covered {
        document,
        document_ref: "INV-1".to_owned(),
        amount: amount.into(),
        left: amount.into(),
    }
}

fn payment(due: i64, amount: i64) -> Payment {
    Payment {
        due_on: day(due),
        last_on: day(due + 2),
        amount: amount.into(),
        received: Decimal::ZERO,
    }
}

fn promise(document: DocumentId, payments: &[(i64, i64)]) -> Promise {
    let amount = payments.iter().map(|(_, amount)| amount).sum();
    Promise {
        id: PromiseId::generate(),
        version: 1,
        state: PromiseState::Open,
        account: AccountId::generate(),
        account_ref: "A1".to_owned(),
        currency: Currency::GBP,
        items: vec![covered(document, amount)],
        payments: payments.iter().map(|(on, a)| payment(*on, *a)).collect(),
        received: Decimal::ZERO,
        tolerance: Decimal::ONE,
        anywhere: false,
        stops: true,
        level: 0,
        method: None,
        promised_by: None,
        was_kept: false,
        late_reversal: false,
        replaced_by: None,
        taken_at: taken(),
        taken_on: day(0),
        taken_by: "user:jo".to_owned(),
        reason: "they said so".to_owned(),
        ended_on: None,
    }
}

fn plan(document: DocumentId, payments: &[(i64, i64)]) -> Plan {
    let amount = payments.iter().map(|(_, amount)| amount).sum();
    Plan {
        id: PlanId::generate(),
        version: 1,
        state: PlanState::Active,
        account: AccountId::generate(),
        account_ref: "A1".to_owned(),
        currency: Currency::GBP,
        items: vec![covered(document, amount)],
        payments: payments.iter().map(|(on, a)| payment(*on, *a)).collect(),
        received: Decimal::ZERO,
        every: Every::Week,
        grace_working_days: 2,
        allowed: 2,
        missed: 0,
        interest_frozen: true,
        method: None,
        taken_at: taken(),
        taken_on: day(0),
        taken_by: "user:jo".to_owned(),
        reason: "agreed".to_owned(),
        ended_on: None,
    }
}

fn cash(document: DocumentId, receipt: u128, amount: i64, on: i64) -> Cash {
    Cash {
        document,
        amount: amount.into(),
        effective_on: day(on),
        receipt: Some(Uuid::from_u128(receipt)),
        recorded_at: taken() + TimeDelta::days(on) + TimeDelta::hours(1),
    }
}

fn books(document: DocumentId, open: i64, cash: Vec<Cash>) -> Books {
    Books {
        open: [(document, Decimal::from(open))].into(),
        cash,
        ..Books::default()
    }
}

#[test]
fn e82_a_promise_is_kept_within_its_grace_and_tolerance() {
    let d = DocumentId::generate();
    let mut p = promise(d, &[(7, 100)]);
    p.judge(&books(d, 1, vec![cash(d, 1, 99, 9)]), day(9));
    assert_eq!(p.state, PromiseState::Kept);
    let mut late = promise(d, &[(7, 100)]);
    late.judge(&books(d, 100, vec![]), day(9));
    assert_eq!(late.state, PromiseState::Open);
    late.judge(&books(d, 1, vec![cash(d, 1, 99, 10)]), day(10));
    assert_eq!(late.state, PromiseState::Broken);
    assert_eq!(late.ended_on, Some(day(10)));
}

#[test]
fn e84_a_part_in_time_and_the_rest_later_stays_partly_kept() {
    let d = DocumentId::generate();
    let mut p = promise(d, &[(7, 100)]);
    p.judge(&books(d, 60, vec![cash(d, 1, 40, 5)]), day(5));
    assert_eq!((p.state, p.items[0].left), (PromiseState::Open, 60.into()));
    p.judge(&books(d, 60, vec![cash(d, 1, 40, 5)]), day(10));
    assert_eq!(p.state, PromiseState::PartlyKept);
    assert_eq!(p.items[0].left, Decimal::ZERO);
    let all = vec![cash(d, 1, 40, 5), cash(d, 2, 60, 14)];
    p.judge(&books(d, 0, all), day(14));
    assert_eq!(p.state, PromiseState::PartlyKept);
    assert_eq!(p.received, 100.into());
}

#[test]
fn e86_e32_a_return_after_it_was_kept_breaks_it_and_its_end_stays() {
    let d = DocumentId::generate();
    let mut p = promise(d, &[(7, 100)]);
    p.judge(&books(d, 0, vec![cash(d, 1, 100, 6)]), day(6));
    assert_eq!((p.state, p.ended_on), (PromiseState::Kept, Some(day(6))));
    let back = vec![cash(d, 1, 100, 6), cash(d, 1, -100, 15)];
    p.judge(&books(d, 100, back.clone()), day(15));
    assert_eq!(p.state, PromiseState::Broken);
    assert!(p.late_reversal);
    assert_eq!(p.ended_on, Some(day(6)));
    // While its time is not over it is only open again.
    let mut early = promise(d, &[(20, 100)]);
    early.judge(&books(d, 0, vec![cash(d, 1, 100, 6)]), day(6));
    early.judge(&books(d, 100, back), day(15));
    assert_eq!((early.state, early.ended_on), (PromiseState::Open, None));
}

#[test]
fn e87_what_was_credited_lapses_and_is_not_kept() {
    let d = DocumentId::generate();
    let mut p = promise(d, &[(7, 100)]);
    p.judge(&books(d, 0, vec![]), day(3));
    assert_eq!(p.state, PromiseState::Lapsed);
}

#[test]
fn e81_cash_elsewhere_counts_only_where_the_policy_says_so() {
    let (d, other) = (DocumentId::generate(), DocumentId::generate());
    let known = books(d, 100, vec![cash(other, 1, 100, 5)]);
    let mut p = promise(d, &[(7, 100)]);
    p.judge(&known, day(5));
    assert_eq!(p.state, PromiseState::Open);
    p.anywhere = true;
    p.judge(&known, day(5));
    assert_eq!(p.state, PromiseState::Kept);
}

#[test]
fn e83_a_replaced_promise_is_never_judged_again() {
    let d = DocumentId::generate();
    let mut p = promise(d, &[(7, 100)]);
    p.end(PromiseState::Replaced, day(4));
    p.judge(&books(d, 100, vec![]), day(40));
    assert_eq!(
        (p.state, p.ended_on),
        (PromiseState::Replaced, Some(day(4)))
    );
}

#[test]
fn e88_the_last_instalment_has_the_remainder_and_too_much_goes_to_the_next() {
    let parts = plan::split(100.into(), 3, 2);
    assert_eq!(parts.iter().sum::<Decimal>(), Decimal::from(100));
    assert_eq!(parts[2].to_string(), "33.34");
    let d = DocumentId::generate();
    let mut p = plan(d, &[(7, 50), (14, 50)]);
    p.judge(&books(d, 30, vec![cash(d, 1, 70, 6)]), day(6));
    let filled: Vec<Decimal> = p.payments.iter().map(|one| one.received).collect();
    assert_eq!(filled, [Decimal::from(50), Decimal::from(20)]);
    let first = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let months: Vec<_> = (0..3)
        .filter_map(|n| plan::day(first, Every::Month, n))
        .collect();
    assert_eq!(months[1].to_string(), "2026-02-28");
    assert_eq!(months[2].to_string(), "2026-03-31");
}

#[test]
fn e88_what_was_missed_is_spread_or_paid_at_the_end() {
    let d = DocumentId::generate();
    let known = books(d, 80, vec![cash(d, 1, 20, 6)]);
    let mut p = plan(d, &[(7, 50), (14, 25), (21, 25)]);
    p.judge(&known, day(10));
    assert_eq!((p.missed, p.state), (1, PlanState::Active));
    let mut longer = p.clone();
    assert!(p.respread(day(10)));
    p.judge(&known, day(10));
    let due: Vec<Decimal> = p.payments.iter().map(|one| one.amount).collect();
    assert_eq!(due, [20, 40, 40].map(Decimal::from));
    assert_eq!(p.missed, 0);
    assert!(longer.extend(day(10), day(28), day(30)));
    longer.judge(&known, day(10));
    assert_eq!((longer.missed, longer.payments[3].amount), (0, 30.into()));
    assert_eq!(
        longer.amount(),
        longer.payments.iter().map(|one| one.amount).sum()
    );
}

#[test]
fn e89_a_default_ends_the_stop_and_lasts_until_all_is_paid() {
    let d = DocumentId::generate();
    let mut p = plan(d, &[(7, 50), (14, 50)]);
    p.judge(&books(d, 100, vec![]), day(17));
    assert_eq!((p.state, p.ended_on), (PlanState::Defaulted, Some(day(17))));
    assert_eq!(p.items[0].left, Decimal::ZERO);
    // It stops nothing any more, and the days that it did stay known.
    let stop = p.stop().unwrap();
    assert!(!stop.is_active(day(17)));
    let open = Money::parse("100.00", Currency::GBP).unwrap();
    let stopped = stops::paused(&[stop], d, open, day(0), day(30));
    assert_eq!(stopped, 17);
    p.judge(&books(d, 50, vec![cash(d, 1, 50, 18)]), day(18));
    assert_eq!(p.state, PlanState::Defaulted);
    p.judge(&books(d, 0, vec![cash(d, 1, 100, 19)]), day(19));
    assert_eq!(p.state, PlanState::Completed);
}

/// A policy bears one that is missed, but not that nothing is to come any more.
#[test]
fn e89_the_last_instalment_missed_is_a_default() {
    let d = DocumentId::generate();
    let known = books(d, 50, vec![cash(d, 1, 50, 6)]);
    let mut p = plan(d, &[(7, 50), (14, 50)]);
    p.allowed = 2;
    p.judge(&known, day(16));
    assert_eq!((p.state, p.missed), (PlanState::Active, 0));
    p.judge(&known, day(17));
    assert_eq!((p.state, p.missed), (PlanState::Defaulted, 1));
}

#[test]
fn e90_what_is_in_dispute_is_not_expected_of_a_plan() {
    let d = DocumentId::generate();
    let mut known = books(d, 100, vec![]);
    known.disputed = [(d, Decimal::from(100))].into();
    let mut p = plan(d, &[(7, 50), (14, 50)]);
    p.judge(&known, day(17));
    assert_eq!((p.state, p.missed), (PlanState::Active, 0));
    assert_eq!(p.items[0].left, Decimal::ZERO);
    known.disputed.clear();
    p.judge(&known, day(17));
    assert_eq!(p.state, PlanState::Defaulted);
}

proptest! {
    /// A plain model: a promise of one payment is kept when what is left of each
    /// receipt, from its day on, was enough in time; in whatever order the
    /// facts come.
    #[test]
    fn keeping_does_not_depend_on_the_order_of_facts(
        receipts in proptest::collection::vec((1_i64..60, 1_i64..14, proptest::bool::ANY), 0..6),
        order in any::<u64>(),
        today in 0_i64..30,
    ) {
        let d = DocumentId::generate();
        let mut facts = Vec::new();
        let (mut in_time, mut in_all) = (0, 0);
        for (n, (amount, on, returned)) in receipts.iter().enumerate() {
            let id = n as u128 + 1;
            facts.push(cash(d, id, *amount, *on));
            if *returned {
                facts.push(cash(d, id, -amount, on + 20));
            } else {
                in_all += amount;
                if *on <= 9 { in_time += amount; }
            }
        }
        if !facts.is_empty() {
            let turned = usize::try_from(order % facts.len() as u64).unwrap();
            facts.rotate_left(turned);
        }
        let mut p = promise(d, &[(7, 100)]);
        p.judge(&books(d, (400 - in_all).max(0), facts), day(today));
        let model = if in_time >= 99 {
            PromiseState::Kept
        } else if today <= 9 {
            PromiseState::Open
        } else if in_time > 0 {
            PromiseState::PartlyKept
        } else {
            PromiseState::Broken
        };
        prop_assert_eq!(p.state, model);
        prop_assert_eq!(p.received, Decimal::from(in_all.min(100)));
        if p.state == PromiseState::Open {
            prop_assert_eq!(p.items[0].left, Decimal::from((100 - in_all).max(0)));
        }
    }
}
