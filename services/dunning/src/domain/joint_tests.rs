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
    chase::{Item, Judgement, Moment, Position, Reached, Terms, alone, judge},
    enclosures::{InForce, forms},
    joint::{Had, Joint, Sent, compare, each, of_everybody, seen, words},
    policy::{Policies, Policy, Stage},
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
        had: Vec::new(),
        missed: Vec::new(),
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

/// A letter that went to one of them, or to the account as a whole.
fn went(position: &Position, debtor: Option<&str>, rank: i16, on: i64) -> Sent {
    Sent {
        debtor: debtor.map(str::to_owned),
        had: Had {
            document: position.items[0].document,
            rank,
            on: day(on),
        },
        unknown: false,
    }
}

/// Two individuals, of whom B had the letter of claim and A all before it.
fn one_missed_the_claim() -> (Position, Vec<Sent>) {
    let mut position = position(&["A", "B"]);
    position.kind = Some(AccountKind::Individual);
    position.items[0].due_on = day(-200);
    position.items[0].reached = Some(Reached {
        rank: 60,
        on: day(-30),
        policy: "consumer".to_owned(),
        version: 1,
    });
    let sent = vec![
        went(&position, None, 50, -60),
        went(&position, Some("B"), 60, -30),
    ];
    (position, sent)
}

fn with_forms() -> Policies {
    let forms = forms().iter().map(|form| (form.name.clone(), day(-400)));
    Policies::new(Policy::shipped().unwrap()).enclosing(InForce::new(forms.collect()))
}

fn moment(n: i64) -> Moment {
    Moment {
        today: day(n),
        feed_age_hours: Some(2),
    }
}

/// E97: who was held while the letter of claim went to the other gets it when the hold
/// is over; not while it runs, not while nobody knows whether they have it.
#[test]
fn e97_who_missed_the_letter_of_claim_gets_it() {
    let (mut position, mut sent) = one_missed_the_claim();
    compare(&mut position.debtors, &sent);
    let policies = with_forms();
    let judgement = judge(&position, &policies, moment(0)).unwrap();
    assert_eq!(judgement.verdicts[0].to, Some(60));
    assert_eq!(judgement.contact.unwrap().stage, "letter_of_claim");
    let reasons = |position: &Position| {
        each(position)
            .iter()
            .map(|(_, seen)| alone(seen, &policies, moment(0)).unwrap().verdicts[0].reason)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reasons(&position),
        [ChaseReason::ChaseNow, ChaseReason::LastStageDone]
    );
    position.stops = vec![hold(HoldKind::Insolvency, Some("A"), -40, 100)];
    assert_eq!(
        reasons(&position),
        [ChaseReason::OnHold, ChaseReason::LastStageDone]
    );
    position.stops.clear();
    // Handed over to A, and nobody knows what became of it (E65).
    let mut unknown = went(&position, Some("A"), 60, -3);
    unknown.unknown = true;
    sent.push(unknown);
    compare(&mut position.debtors, &sent);
    assert_eq!(
        reasons(&position),
        [ChaseReason::Waiting, ChaseReason::LastStageDone]
    );
    sent[2].unknown = false;
    compare(&mut position.debtors, &sent);
    assert_eq!(reasons(&position), [ChaseReason::LastStageDone; 2]);
}

/// A reminder that one missed is not sent after the others are further.
#[test]
fn a_stage_that_nothing_needs_is_not_sent_later() {
    let (mut position, _) = one_missed_the_claim();
    position.items[0].reached.as_mut().unwrap().rank = 30;
    let sent = [
        went(&position, Some("A"), 20, -60),
        went(&position, Some("B"), 20, -60),
        went(&position, Some("B"), 30, -30),
    ];
    compare(&mut position.debtors, &sent);
    let judgement = judge(&position, &with_forms(), moment(0)).unwrap();
    assert_eq!(judgement.verdicts[0].to, Some(40));
}

/// A year of runs over one debt of three: what went to whom, by the send ledger.
fn a_year(stops: Vec<Stop>, every: i64) -> Result<(Position, Vec<Sent>), TestCaseError> {
    let mut position = position(&["A", "B", "C"]);
    position.kind = Some(AccountKind::Individual);
    for debtor in &mut position.debtors {
        debtor.phone = Some("020 7946 0000".to_owned());
    }
    position.items = vec![item("INV-1", day(-60)), item("INV-2", day(-20))];
    position.stops = stops;
    let (policies, mut sent) = (with_forms(), Vec::<Sent>::new());
    let policy = policies.get("consumer", 1).unwrap();
    let needed = |rank: i16| policy.at(rank, position.kind).is_some_and(Stage::is_needed);
    let needed: Vec<i16> = (0..100).filter(|rank| needed(*rank)).collect();
    for n in (-40..400).step_by(usize::try_from(every).unwrap()) {
        let approved = judge(&position, &policies, moment(n)).unwrap();
        let chased = approved.verdicts.iter().filter(|one| one.is_chased());
        let highest = chased.clone().filter_map(|one| one.to).max();
        prop_assert_eq!(approved.contact.as_ref().map(|one| one.rank), highest);
        let approved: Vec<_> = chased.map(|one| (one.document, one.to)).collect();
        let mut letters = Vec::new();
        for (debtor, seen) in each(&position) {
            let whose = debtor.map(|one| one.debtor_ref.clone());
            for verdict in alone(&seen, &policies, moment(n)).unwrap().verdicts {
                let is = approved.contains(&(verdict.document, verdict.to));
                if let (true, true, Some(rank)) = (is, verdict.is_chased(), verdict.to) {
                    let held = |stop: &&Stop| stop.is_active(day(n)) && stop.pauses();
                    prop_assert!(!seen.stops.iter().any(|stop| held(&stop)));
                    letters.push(Sent {
                        debtor: whose.clone(),
                        had: Had {
                            document: verdict.document,
                            rank,
                            on: day(n),
                        },
                        unknown: false,
                    });
                }
            }
        }
        for letter in letters {
            let (had, whose) = (letter.had, letter.debtor.as_deref());
            let theirs = || sent.iter().filter(|one| one.debtor.as_deref() == whose);
            let about = |one: &&Sent| one.had.document == had.document;
            // Never twice, and nothing further before what it needs.
            prop_assert!(!theirs().filter(about).any(|one| one.had.rank == had.rank));
            for rank in needed.iter().filter(|rank| **rank < had.rank) {
                let is = |one: &&Sent| one.had.rank == *rank;
                let before = sent.iter().filter(about).any(|one| is(&one));
                prop_assert!(!before || theirs().filter(about).any(|one| is(&one)));
            }
            sent.push(letter);
        }
        for item in &mut position.items {
            let of = sent.iter().filter(|one| one.had.document == item.document);
            let last = of.max_by_key(|one| (one.had.rank, std::cmp::Reverse(one.had.on)));
            item.reached = last.map(|one| Reached {
                rank: one.had.rank,
                on: one.had.on,
                policy: "consumer".to_owned(),
                version: 1,
            });
        }
        for debtor in &mut position.debtors {
            let of = sent
                .iter()
                .filter(|one| one.debtor.as_ref() == Some(&debtor.debtor_ref));
            debtor.contacts = of.map(|one| one.had.on).collect();
            debtor.contacts.dedup();
        }
        compare(&mut position.debtors, &sent);
    }
    Ok((position, sent))
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
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// E97: however holds lie, at the end each of them had the letter of claim about
    /// each debt, once, and nothing after it before.
    #[test]
    fn e97_nobody_misses_the_letter_of_claim(stops in stops(), every in 1_i64..9) {
        let (position, sent) = a_year(stops, every)?;
        for debtor in &position.debtors {
            for item in &position.items {
                let had = sent.iter().any(|one| {
                    one.debtor.as_ref() == Some(&debtor.debtor_ref)
                        && (one.had.document, one.had.rank) == (item.document, 60)
                });
                prop_assert!(had, "{} had no letter of claim about {}", debtor.debtor_ref, item.document_ref);
            }
        }
    }
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
