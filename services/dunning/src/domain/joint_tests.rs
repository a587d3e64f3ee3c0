//! Several debtors of one account: each is asked for the whole, and what is one
//! person's own stops that one only (E73, E97).

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    dunning::{ChaseReason, HoldKind},
    inbound::AccountKind,
};
use kernel::{AccountId, Currency, DocumentId, Money};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    chase::{Item, Judgement, Moment, Position, Terms, alone, judge},
    joint::{Joint, each, of_everybody, seen, words},
    policy::{Policies, Policy},
    stops::{Stop, StopKind},
};

fn day(n: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + TimeDelta::days(n)
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn item(document_ref: &str, due_on: NaiveDate) -> Item {
    Item {
        document: DocumentId::generate(),
        document_ref: document_ref.to_owned(),
        due_on,
        open: gbp("100.00"),
        terms: Terms::default(),
        resumed_on: None,
        settled_days: 0,
        reached: None,
        in_run: false,
    }
}

fn joint(debtor_ref: &str) -> Joint {
    Joint {
        debtor_ref: debtor_ref.to_owned(),
        name: format!("Tenant {debtor_ref}"),
        kind: Some(AccountKind::Individual),
        email: Some(format!("{debtor_ref}@example.org").to_lowercase()),
        phone: None,
        address: Some("1 Some Road".to_owned()),
        opted_out: Vec::new(),
        contacts: Vec::new(),
    }
}

fn position(debtors: &[&str]) -> Position {
    Position {
        account: AccountId::generate(),
        account_ref: "T100".to_owned(),
        parent_ref: None,
        kind: Some(AccountKind::Company),
        segment: None,
        principal: None,
        has_email: true,
        has_address: true,
        has_phone: true,
        opted_out: Vec::new(),
        items: vec![item("INV-1", day(-60))],
        stops: Vec::new(),
        contacts: Vec::new(),
        debtors: debtors.iter().map(|one| joint(one)).collect(),
    }
}

fn hold(kind: HoldKind, debtor: Option<&str>, from: i64, days: i64) -> Stop {
    Stop {
        subject: Uuid::now_v7(),
        kind: StopKind::Hold(kind),
        debtor: debtor.map(str::to_owned),
        parts: Vec::new(),
        starts_on: day(from),
        ends_on: Some(day(from + days)),
        ended_on: None,
    }
}

fn insolvent(debtor: Option<&str>) -> Stop {
    hold(HoldKind::Insolvency, debtor, -5, 59)
}

fn judged(position: &Position) -> Judgement {
    let policies = Policies::new(Policy::shipped().unwrap());
    let moment = Moment {
        today: day(0),
        feed_age_hours: Some(2),
    };
    judge(position, &policies, moment).unwrap()
}

fn each_judged(position: &Position) -> Vec<ChaseReason> {
    let policies = Policies::new(Policy::shipped().unwrap());
    let moment = Moment {
        today: day(0),
        feed_age_hours: Some(2),
    };
    each(position)
        .iter()
        .map(|(_, seen)| alone(seen, &policies, moment).unwrap().verdicts[0].reason)
        .collect()
}

/// E73: a breathing space of one tenant lets nobody contact the other either.
#[test]
fn e73_the_breathing_space_of_one_protects_both() {
    for kind in [HoldKind::BreathingSpace, HoldKind::MentalHealthCrisis] {
        let mut position = position(&["A", "B"]);
        position.stops = vec![hold(kind, Some("A"), -5, 59)];
        assert_eq!(judged(&position).contact, None);
        assert_eq!(
            each_judged(&position),
            [ChaseReason::OnHold, ChaseReason::OnHold]
        );
    }
}

/// E73, E97: the insolvency of one tenant leaves the other chased for all of it.
#[test]
fn e73_the_insolvency_of_one_is_theirs_alone() {
    let mut position = position(&["A", "B"]);
    position.stops = vec![insolvent(Some("A"))];
    let judgement = judged(&position);
    assert_eq!(judgement.verdicts[0].reason, ChaseReason::ChaseNow);
    assert_eq!(judgement.verdicts[0].chaseable, gbp("100.00"));
    assert_eq!(judgement.contact.unwrap().amounts, [gbp("100.00")]);
    assert_eq!(
        each_judged(&position),
        [ChaseReason::OnHold, ChaseReason::ChaseNow]
    );
}

/// E73, E97: where all are held the hold is the reason; a hold that names nobody is
/// everybody's.
#[test]
fn e97_a_hold_of_everybody_is_the_reason() {
    for stops in [
        vec![insolvent(Some("A")), insolvent(Some("B"))],
        vec![insolvent(None)],
        vec![
            hold(HoldKind::Deceased, Some("A"), -5, 59),
            insolvent(Some("B")),
        ],
    ] {
        let mut position = position(&["A", "B"]);
        position.stops = stops;
        let judgement = judged(&position);
        assert_eq!(judgement.verdicts[0].reason, ChaseReason::OnHold);
        assert!(judgement.verdicts[0].hold.is_some());
        assert_eq!(judgement.contact, None);
    }
}

/// E79, E97: only a person may contact who is vulnerable; the other gets a letter.
#[test]
fn e79_only_the_vulnerable_one_is_left_to_a_person() {
    let mut position = position(&["A", "B"]);
    position.stops = vec![hold(HoldKind::Vulnerable, Some("A"), -5, 59)];
    assert!(!judged(&position).contact.unwrap().by_person);
    assert_eq!(each_judged(&position)[1], ChaseReason::ChaseNow);
}

/// E61, E97: the contact budget is each debtor's own.
#[test]
fn e61_each_has_a_contact_budget() {
    let mut position = position(&["A", "B"]);
    position.debtors[0].contacts = vec![day(-1); 10];
    assert_eq!(
        each_judged(&position),
        [ChaseReason::ContactedRecently, ChaseReason::ChaseNow]
    );
    position.debtors[1].contacts = vec![day(-1); 10];
    let reason = judged(&position).verdicts[0].reason;
    assert_eq!(reason, ChaseReason::ContactedRecently);
}

/// E66, E97: who cannot be reached is no reason while another can; and it is more
/// to be done than a hold.
#[test]
fn e97_one_without_an_address_does_not_stop_the_other() {
    let mut position = position(&["A", "B"]);
    position.debtors[0].email = None;
    position.debtors[0].address = None;
    assert_eq!(judged(&position).verdicts[0].reason, ChaseReason::ChaseNow);
    position.stops = vec![insolvent(Some("B"))];
    let reason = judged(&position).verdicts[0].reason;
    assert_eq!(reason, ChaseReason::NoAddress);
}

/// E73: what was charged while one was in breathing space is not asked of that one,
/// also not later.
#[test]
fn e73_a_charge_of_the_time_is_not_asked_of_who_was_held() {
    let mut position = position(&["A", "B"]);
    position.items.push(item("LPI-000001", day(-20)));
    position.stops = vec![hold(HoldKind::BreathingSpace, Some("A"), -30, 20)];
    let to = |n: usize| seen(&position, &position.debtors[n]).items.len();
    assert_eq!((to(0), to(1)), (1, 2));
}

#[test]
fn e97_a_letter_names_all_of_them() {
    let all = [joint("A"), joint("B"), joint("C")];
    let said = words(&all).unwrap();
    for one in &all {
        assert!(said.contains(&one.name), "{said}");
    }
    assert_eq!(words(&all[..1]), None);
}

fn kinds() -> impl Strategy<Value = HoldKind> {
    proptest::sample::select(HoldKind::ALL)
}

fn stops() -> impl Strategy<Value = Vec<Stop>> {
    let whose = proptest::option::of(proptest::sample::select(vec!["A", "B", "C"]));
    proptest::collection::vec(
        (kinds(), whose, -40_i64..10, 0_i64..40)
            .prop_map(|(kind, whose, from, days)| hold(kind, whose, from, days)),
        0..6,
    )
}

proptest! {
    /// E97: an account is chased exactly when one of its debtors is, has one reason
    /// for each item, and a hold is it only if it is everybody's.
    #[test]
    fn e97_chased_when_somebody_is(stops in stops()) {
        let mut position = position(&["A", "B", "C"]);
        position.stops = stops;
        let each = each_judged(&position);
        let judgement = judged(&position);
        prop_assert_eq!(judgement.verdicts.len(), 1);
        let reason = judgement.verdicts[0].reason;
        let chased = each.contains(&ChaseReason::ChaseNow);
        prop_assert_eq!(reason == ChaseReason::ChaseNow, chased);
        prop_assert_eq!(judgement.contact.is_some(), chased);
        let held = |reason: &ChaseReason| matches!(reason, ChaseReason::OnHold | ChaseReason::WithLegal);
        prop_assert_eq!(held(&reason), each.iter().all(held));
        prop_assert!(each.contains(&reason));
    }

    /// E97: who owes alone is judged as ever, and one debtor is as good as none.
    #[test]
    fn e97_one_debtor_is_as_the_account(stops in stops()) {
        let mut owes_alone = position(&[]);
        owes_alone.stops = stops.into_iter().filter(|stop| stop.debtor.is_none()).collect();
        let mut one = owes_alone.clone();
        one.has_phone = false;
        one.debtors = vec![joint("A")];
        owes_alone.has_phone = false;
        prop_assert_eq!(judged(&owes_alone), judged(&one));
    }

    /// E73: on each day a stop is everybody's exactly when it names nobody, or each
    /// of them has one.
    #[test]
    fn e73_what_binds_everybody(stops in stops()) {
        let debtors = ["A".to_owned(), "B".to_owned(), "C".to_owned()];
        let all = of_everybody(stops.clone(), &debtors, |_| true);
        for n in -45..55 {
            let on = |stop: &&Stop| stop.is_active(day(n));
            let nobodys = stops.iter().filter(on).any(|stop| stop.debtor.is_none());
            let of_each = debtors.iter().all(|debtor| {
                stops.iter().filter(on).any(|stop| stop.debtor.as_ref() == Some(debtor))
            });
            prop_assert_eq!(all.iter().any(|stop| stop.is_active(day(n))), nobodys || of_each);
        }
    }
}
