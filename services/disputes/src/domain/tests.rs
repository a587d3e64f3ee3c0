use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    api::{
        controls::Person,
        disputes::{CaseLine, CaseStep, CreditLine},
    },
    disputes::{CaseId, CaseKind, CaseState, Resolution},
};
use kernel::{AccountId, Currency, DocumentId, Money};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    Case, Origin, Part, Refused,
    amounts::{self, Settled, Standing},
    policy::Policy,
    steps::{self, Doing, Done, Item, Items, New},
};

fn pence(n: i64) -> Money {
    Money::try_new(Decimal::new(n, 2), Currency::GBP).unwrap()
}

fn doc(n: u128) -> DocumentId {
    Uuid::from_u128(n).into()
}

fn account() -> AccountId {
    Uuid::from_u128(77).into()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 2).unwrap()
}

fn now() -> DateTime<Utc> {
    day().and_hms_opt(9, 0, 0).unwrap().and_utc()
}

fn policy() -> Policy {
    Policy::on(day())
}

fn item(n: u128, free: i64) -> (DocumentId, Item) {
    let item = Item {
        document: doc(n),
        document_ref: format!("INV-{n}"),
        account: account(),
        account_ref: "ACME01".into(),
        due_on: day(),
        is_credit: false,
        free: pence(free),
    };
    (doc(n), item)
}

fn line(n: u128, amount: i64) -> CaseLine {
    CaseLine {
        document_id: doc(n),
        amount: Some(pence(amount)),
        lines: Vec::new(),
    }
}

fn person(roles: &[&str]) -> Person {
    Person {
        actor: "user:jo".into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

fn opened(
    lines: &[CaseLine],
    items: &Items,
    reason_code: &str,
    origin: Origin,
) -> Result<Case, Refused> {
    let reason = policy().reason(reason_code).map(|reason| reason.kind);
    steps::open(
        New {
            id: CaseId::from(Uuid::from_u128(1)),
            case_ref: "Q-000001".into(),
            kind: reason.unwrap_or(CaseKind::Dispute),
            account: account(),
            account_ref: "ACME01".into(),
            currency: Currency::GBP,
            lines,
            reason_code,
            raised_at: now(),
            processor: None,
            origin,
            cause: Uuid::from_u128(9),
        },
        items,
        &policy(),
        now(),
    )
}

/// £100 of INV-1 is open, and £40 of it is disputed.
fn dispute() -> (Case, Items) {
    let items = Items::from([item(1, 10_000)]);
    let case = opened(&[line(1, 4_000)], &items, "price", Origin::Person).unwrap();
    (case, items)
}

fn take(case: &mut Case, step: &CaseStep, items: &Items) -> Result<Done, Refused> {
    let (policy, person) = (policy(), person(&["manager"]));
    let doing = Doing {
        policy: &policy,
        person: &person,
        reason: "because",
        now: now() + TimeDelta::hours(1),
    };
    steps::step(case, step, doing, items)
}

fn assigned(case: &mut Case, items: &Items) {
    let step = CaseStep::Assign {
        coordinator: None,
        processor: Some("jo".into()),
        responsible: None,
    };
    take(case, &step, items).unwrap();
}

fn credit(amount: i64) -> Vec<CreditLine> {
    vec![CreditLine {
        document_id: doc(1),
        amount: pence(amount),
    }]
}

fn standing(gross: i64) -> Standing {
    Standing {
        gross: pence(gross),
        settled: Settled::nothing(Currency::GBP),
        noted: pence(0),
    }
}

fn paid(amount: i64) -> Settled {
    Settled {
        paid: pence(amount),
        ..Settled::nothing(Currency::GBP)
    }
}

/// What moves on the one document of the case.
fn moves(case: &mut Case, standing: &mut Standing, moved: &Settled) -> Option<&'static str> {
    *standing = standing.after(moved).unwrap();
    let owed = standing.owed().unwrap();
    let mut parts: Vec<&mut Part> = case.parts.iter_mut().collect();
    amounts::absorb(&mut parts, owed, moved).unwrap();
    let settles = policy()
        .reason(case.reason_code.as_deref().unwrap())
        .unwrap()
        .payment_settles;
    amounts::follow(case, owed, settles, now()).unwrap()
}

#[test]
fn e24_a_payment_of_what_is_not_disputed_leaves_the_dispute_as_it_is() {
    let (mut case, _) = dispute();
    let mut of = standing(10_000);
    assert_eq!(moves(&mut case, &mut of, &paid(6_000)), None);
    assert_eq!(case.held().unwrap(), pence(4_000));
    // A penny more is of the disputed part.
    moves(&mut case, &mut of, &paid(1));
    assert_eq!(case.held().unwrap(), pence(3_999));
    assert_eq!(case.parts[0].paid, pence(1));
    // And back again.
    moves(&mut case, &mut of, &paid(-1));
    assert_eq!(case.held().unwrap(), pence(4_000));
    assert_eq!(case.parts[0].paid, pence(0));
}

#[test]
fn e23_full_payment_settles_a_case_unless_it_is_under_protest_or_the_reason_says_otherwise() {
    let (mut case, _) = dispute();
    let mut of = standing(10_000);
    assert_eq!(moves(&mut case, &mut of, &paid(10_000)), Some("settled"));
    assert_eq!(case.state, CaseState::Closed);
    assert_eq!(case.resolution, Some(Resolution::Settled));
    // The payment comes back: so does the dispute, with what it was about.
    assert_eq!(moves(&mut case, &mut of, &paid(-10_000)), Some("reopened"));
    assert_eq!(case.state, CaseState::Confirmed);
    assert_eq!(case.held().unwrap(), pence(4_000));

    let (mut case, items) = dispute();
    let protest = CaseStep::Protest {
        under_protest: true,
    };
    take(&mut case, &protest, &items).unwrap();
    assert_eq!(moves(&mut case, &mut standing(10_000), &paid(10_000)), None);
    assert_eq!(case.state, CaseState::Confirmed);
    assert_eq!(case.held().unwrap(), pence(0), "nothing is held any more");

    let items = Items::from([item(1, 10_000)]);
    let mut case = opened(&[line(1, 4_000)], &items, "liability", Origin::Person).unwrap();
    assert_eq!(moves(&mut case, &mut standing(10_000), &paid(10_000)), None);
    assert_eq!(case.state, CaseState::Confirmed);
}

#[test]
fn no_more_is_disputed_than_is_open_and_free() {
    let items = Items::from([item(1, 10_000)]);
    let more = opened(&[line(1, 10_001)], &items, "price", Origin::Person);
    assert!(matches!(more, Err(Refused::MoreThanOpen { .. })));
    let nothing = opened(&[line(1, 0)], &items, "price", Origin::Person);
    assert!(matches!(nothing, Err(Refused::NotPositive)));
    assert!(matches!(
        opened(&[], &items, "price", Origin::Person),
        Err(Refused::NoDocument)
    ));
    let all = CaseLine {
        amount: None,
        ..line(1, 1)
    };
    let case = opened(&[all], &items, "price", Origin::Person).unwrap();
    assert_eq!(case.held().unwrap(), pence(10_000));
}

#[test]
fn a_suspicion_holds_nothing_until_it_is_confirmed() {
    let items = Items::from([item(1, 10_000), item(2, 5_000)]);
    let lines = [line(1, 10_000), line(2, 5_000)];
    let mut case = opened(&lines, &items, "unexplained", Origin::Suspicion).unwrap();
    assert_eq!(case.state, CaseState::Suspected);
    assert_eq!(case.held().unwrap(), pence(0));
    assert_eq!(case.item(&case.parts[0]).disputed, pence(0));
    let settle = CaseStep::Resolve {
        credits: Vec::new(),
    };
    assert!(take(&mut case, &settle, &items).is_err());
    let confirm = CaseStep::Confirm {
        reason_code: "quality".into(),
        lines: vec![line(1, 2_500)],
    };
    take(&mut case, &confirm, &items).unwrap();
    assert_eq!(case.state, CaseState::Confirmed);
    assert_eq!(case.kind, CaseKind::Dispute);
    assert_eq!(case.parts.len(), 1, "what was not named left the case");
    assert_eq!(case.held().unwrap(), pence(2_500));
}

#[test]
fn a_complaint_holds_nothing_and_has_reasons_of_its_own() {
    let items = Items::from([item(1, 10_000)]);
    let case = opened(
        &[line(1, 10_000)],
        &items,
        "service_complaint",
        Origin::Person,
    )
    .unwrap();
    assert_eq!(case.kind, CaseKind::Complaint);
    assert_eq!(case.held().unwrap(), pence(0));
    let wrong = CaseStep::Classify {
        reason_code: Some("price".into()),
        root_cause: None,
        preventable: None,
        department: None,
    };
    let mut case = case;
    assert!(matches!(
        take(&mut case, &wrong, &items),
        Err(Refused::OtherKind(..))
    ));
}

#[test]
fn work_needs_somebody_who_does_it() {
    let (mut case, items) = dispute();
    let put = CaseStep::AwaitInternal { from: None };
    assert!(matches!(
        take(&mut case, &put, &items),
        Err(Refused::Unassigned)
    ));
    assigned(&mut case, &items);
    assert_eq!(case.state, CaseState::Assigned);
    take(&mut case, &put, &items).unwrap();
    assert_eq!(case.state, CaseState::AwaitingInternal);
    assert_eq!(case.awaiting.as_deref(), Some("Sales"));
    assert_eq!(case.since, now() + TimeDelta::hours(1));
    take(&mut case, &CaseStep::Answer, &items).unwrap();
    assert_eq!(
        (case.state, case.awaiting.clone()),
        (CaseState::Assigned, None)
    );
    take(&mut case, &CaseStep::AwaitCustomer, &items).unwrap();
    assert_eq!(case.state, CaseState::AwaitingCustomer);
}

#[test]
fn upheld_in_part_holds_the_credit_and_releases_the_rest() {
    let (mut case, items) = dispute();
    assigned(&mut case, &items);
    let propose = CaseStep::Propose {
        credits: credit(1_500),
    };
    take(&mut case, &propose, &items).unwrap();
    assert_eq!(case.state, CaseState::Proposed);
    let done = take(&mut case, &CaseStep::Agree, &items).unwrap();
    assert_eq!(done.step, "part_upheld");
    assert_eq!(done.credits, credit(1_500));
    assert_eq!(case.state, CaseState::Resolved);
    assert_eq!(case.held().unwrap(), pence(1_500));
    assert_eq!(case.parts[0].released, pence(2_500));
    assert!(matches!(
        take(&mut case, &CaseStep::Close, &items),
        Err(Refused::CreditDue)
    ));
    // The credit note comes, and later meets the invoice.
    let mut of = standing(10_000);
    let noted = amounts::credit(&mut case.parts[0], pence(1_500), pence(1_500)).unwrap();
    of.noted = noted;
    let owed = of.owed().unwrap();
    assert_eq!(
        amounts::follow(&mut case, owed, true, now()).unwrap(),
        Some("closed")
    );
    assert_eq!(case.parts[0].credited, pence(1_500));
    let met = Settled {
        credited: pence(1_500),
        ..Settled::nothing(Currency::GBP)
    };
    let before = case.clone();
    moves(&mut case, &mut of, &met);
    assert_eq!(case, before, "it counts once");
    assert_eq!((of.noted, of.owed().unwrap()), (pence(0), pence(8_500)));
}

#[test]
fn e54_a_rejected_case_holds_nothing_and_may_be_opened_again() {
    let (mut case, items) = dispute();
    let reject = CaseStep::Resolve {
        credits: Vec::new(),
    };
    let done = take(&mut case, &reject, &items).unwrap();
    assert_eq!(done.step, "rejected");
    assert_eq!(case.held().unwrap(), pence(0));
    take(&mut case, &CaseStep::Reopen, &items).unwrap();
    assert_eq!(case.held().unwrap(), pence(4_000));
    assert_eq!(case.resolution, None);
    // Meanwhile most of it was paid: no more is held than is owed.
    take(&mut case, &reject, &items).unwrap();
    let less = Items::from([item(1, 1_000)]);
    take(&mut case, &CaseStep::Reopen, &less).unwrap();
    assert_eq!(case.held().unwrap(), pence(1_000));
}

#[test]
fn a_part_is_split_off_and_merged_again() {
    let (mut case, _) = dispute();
    let mut other = steps::split(
        &mut case,
        &[line(1, 1_500)],
        Uuid::from_u128(2).into(),
        "Q-000002".into(),
        Uuid::from_u128(9),
        now(),
    )
    .unwrap();
    assert_eq!(case.held().unwrap(), pence(2_500));
    assert_eq!(other.held().unwrap(), pence(1_500));
    assert_eq!(other.related, Some(case.id));
    steps::merge(&mut case, &mut other, now()).unwrap();
    assert_eq!(case.held().unwrap(), pence(4_000));
    assert_eq!(case.parts[0].original, pence(4_000));
    assert_eq!((other.state, other.parts.len()), (CaseState::Closed, 0));
    assert!(matches!(
        steps::split(
            &mut case,
            &[line(1, 4_000)],
            Uuid::from_u128(3).into(),
            "Q-000003".into(),
            Uuid::nil(),
            now()
        ),
        Err(Refused::NothingSplit)
    ));
}

#[test]
fn a_credit_needs_more_rights_than_a_rejection_and_a_place_in_the_case_is_a_right() {
    let policy = policy();
    let (mut case, _) = dispute();
    let jo = person(&["controller"]);
    assert!(policy.may("resolve_without_credit", &jo, Some(&case)));
    assert!(!policy.may("resolve_with_credit", &jo, Some(&case)));
    assert!(policy.may("resolve_with_credit", &person(&["manager"]), Some(&case)));
    let nobody = person(&["auditor"]);
    assert!(!policy.may("comment", &nobody, Some(&case)));
    case.responsible = Some("Jo".into());
    assert!(policy.may("comment", &nobody, Some(&case)));
    assert!(!policy.may("split", &nobody, Some(&case)));
    assert!(!policy.may("no such step", &person(&["manager"]), None));
}

#[test]
fn every_row_of_the_tables_is_understood() {
    let policy = policy();
    assert_eq!(policy.reasons.len(), 21);
    assert_eq!(policy.root_causes.len(), 12);
    assert_eq!(policy.suspect_due_by(day()), day() - TimeDelta::days(5));
    assert_eq!(policy.suspect_min().len(), 3);
    assert_eq!(policy.nudge_valid(), TimeDelta::days(7));
    assert_eq!(
        policy.returned("dd_return", "4"),
        Some("direct_debit_notice")
    );
    assert_eq!(policy.returned("dd_return", "0"), None);
    for code in [
        "short_payment",
        "unexplained",
        "direct_debit_notice",
        "query",
    ] {
        assert!(policy.reason(code).is_some(), "{code}");
    }
    assert!(policy.answers(pence(1_000), pence(995)));
    assert!(!policy.answers(pence(1_000), pence(994)));
    assert!(Policy::on(NaiveDate::MIN).reasons.is_empty());
}

#[derive(Debug, Clone)]
enum Event {
    Moved(usize, usize, i64),
    Step(CaseStep),
    Note(i64),
    Split(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let amount = || 1_i64..6_000;
    prop_oneof![
        4 => (0_usize..2, 0_usize..4, -6_000_i64..6_000)
            .prop_map(|(d, kind, amount)| Event::Moved(d, kind, amount)),
        1 => amount().prop_map(Event::Note),
        1 => amount().prop_map(Event::Split),
        1 => Just(Event::Step(CaseStep::Reopen)),
        1 => Just(Event::Step(CaseStep::Withdraw)),
        1 => any::<bool>().prop_map(|under_protest| Event::Step(CaseStep::Protest { under_protest })),
        1 => amount().prop_map(|n| Event::Step(CaseStep::Resolve { credits: credit(n) })),
        1 => Just(Event::Step(CaseStep::Resolve { credits: Vec::new() })),
    ]
}

proptest! {
    /// Whatever happens, every penny that was disputed is in one place, and no
    /// more is held of a document than is owed of it.
    #[test]
    fn every_penny_is_in_one_place(
        first in (1_i64..10_000, 1_i64..10_000),
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut items = Items::from([item(1, 10_000), item(2, 10_000)]);
        let lines = [line(1, first.0), line(2, first.1)];
        let mut cases = vec![opened(&lines, &items, "price", Origin::Person).unwrap()];
        let mut standings = HashMap::from([(doc(1), standing(10_000)), (doc(2), standing(10_000))]);
        for event in events {
            match event {
                Event::Moved(d, kind, amount) => {
                    let document = doc(d as u128 + 1);
                    let mut moved = Settled::nothing(Currency::GBP);
                    *[&mut moved.paid, &mut moved.credited, &mut moved.cleared, &mut moved.written_off][kind]
                        = pence(amount);
                    let of = standings.get_mut(&document).unwrap();
                    let after = of.after(&moved).unwrap();
                    // The ledger undoes no more than there is, and settles no more than is open.
                    let sane = !after.settled.paid.is_negative() && !after.settled.credited.is_negative()
                        && !after.settled.cleared.is_negative() && !after.settled.written_off.is_negative()
                        && !after.open().unwrap().is_negative();
                    if !sane { continue; }
                    *of = after;
                    let owed = of.owed().unwrap();
                    let mut parts: Vec<&mut Part> = cases.iter_mut()
                        .filter(|c| c.holds() || c.resolution == Some(Resolution::Settled))
                        .flat_map(|c| &mut c.parts).filter(|p| p.document == document).collect();
                    amounts::absorb(&mut parts, owed, &moved).unwrap();
                }
                Event::Note(amount) => {
                    let Some(part) = cases[0].parts.iter_mut().find(|p| p.document == doc(1)) else { continue };
                    let noted = amounts::credit(part, pence(amount), pence(amount)).unwrap();
                    let of = standings.get_mut(&doc(1)).unwrap();
                    of.noted = of.noted.checked_add(noted).unwrap();
                }
                Event::Split(amount) => {
                    let id = Uuid::from_u128(100 + cases.len() as u128);
                    let mut old = cases[0].clone();
                    if let Ok(new) = steps::split(&mut old, &[line(1, amount)], id.into(), "Q".into(), id, now()) {
                        let before = cases[0].held().unwrap();
                        let after = old.held().unwrap().checked_add(new.held().unwrap()).unwrap();
                        prop_assert_eq!(before, after);
                        cases[0] = old;
                        cases.push(new);
                    }
                }
                Event::Step(step) => {
                    for (document, item) in &mut items {
                        let held = cases[1..].iter().filter(|c| c.holds()).flat_map(|c| &c.parts)
                            .filter(|p| p.document == *document).map(|p| p.disputed);
                        let held = Money::sum(held, Currency::GBP).unwrap();
                        item.free = standings[document].owed().unwrap().checked_sub(held).unwrap();
                    }
                    let mut after = cases[0].clone();
                    if take(&mut after, &step, &items).is_ok() {
                        cases[0] = after;
                    }
                }
            }
            for case in &mut cases {
                let owed = Money::sum(
                    case.parts.iter().map(|p| standings[&p.document].owed().unwrap()), Currency::GBP).unwrap();
                amounts::follow(case, owed, true, now()).unwrap();
            }
            let mut held: HashMap<DocumentId, Money> = HashMap::new();
            for case in &cases {
                for part in &case.parts {
                    prop_assert!(part.adds_up().unwrap(), "{part:?}");
                    let sum = held.entry(part.document).or_insert(pence(0));
                    *sum = sum.checked_add(case.item(part).disputed).unwrap();
                    if case.state == CaseState::Closed {
                        prop_assert!(part.disputed.is_zero(), "{case:?}");
                    }
                }
            }
            for (document, held) in held {
                let owed = standings[&document].owed().unwrap();
                prop_assert!(held.checked_cmp(owed).unwrap().is_le(), "{held} of {owed}");
            }
        }
    }

    /// What is paid and taken back leaves the case as it was.
    #[test]
    fn a_payment_that_is_undone_leaves_no_trace(
        disputed in 1_i64..=10_000,
        payments in prop::collection::vec(1_i64..4_000, 1..6),
    ) {
        let items = Items::from([item(1, 10_000)]);
        let mut case = opened(&[line(1, disputed)], &items, "price", Origin::Person).unwrap();
        let before = case.parts.clone();
        let mut of = standing(10_000);
        let mut made = Vec::new();
        for amount in payments {
            let amount = amount.min((of.open().unwrap().amount() * Decimal::ONE_HUNDRED).try_into().unwrap());
            if amount == 0 { break; }
            moves(&mut case, &mut of, &paid(amount));
            made.push(amount);
        }
        for amount in made {
            moves(&mut case, &mut of, &paid(-amount));
        }
        prop_assert_eq!(case.parts, before);
        prop_assert_ne!(case.state, CaseState::Closed);
    }
}
