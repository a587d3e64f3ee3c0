//! The legal stage by its edge cases, and never a step under a stop.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    api::dunning::ReferralStep,
    controls::ApprovalId,
    dunning::{
        ContactId, ContactState, HoldKind, PreActionLaw, RecallReason, ReferralId, ReferralState,
        ReferredTo, ReplyKind,
    },
};
use kernel::{AccountId, Classified as _, Currency, DocumentId};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    pre_action::{Clock, freezes},
    referral::{Cost, Document, Facts, Left, Letter, Referral},
    stops::{Part, Stop, StopKind},
};

fn day(n: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + TimeDelta::days(n)
}

fn id(n: u128) -> DocumentId {
    Uuid::from_u128(n).into()
}

fn stop(kind: StopKind, from: i64, over: Option<i64>) -> Stop {
    Stop {
        debtor: None,
        subject: Uuid::from_u128(9),
        kind,
        parts: Vec::new(),
        starts_on: day(from),
        ends_on: None,
        ended_on: over.map(day),
    }
}

const SPACE: StopKind = StopKind::Hold(HoldKind::BreathingSpace);

fn facts(open: [i64; 2], stops: Vec<Stop>) -> Facts {
    Facts {
        open: BTreeMap::from([
            (id(1), Decimal::from(open[0])),
            (id(2), Decimal::from(open[1])),
        ]),
        interest: Decimal::ZERO,
        costs: BTreeMap::new(),
        stops,
        own_stops: Vec::new(),
        debtors: Vec::new(),
    }
}

/// A letter of claim of day 0 about two documents of 100.
fn referral(law: PreActionLaw) -> Referral {
    let document = |n| Document {
        document: id(n),
        document_ref: format!("INV-{n}"),
        open: Decimal::from(100),
    };
    let mut referral = Referral {
        id: ReferralId::generate(),
        version: 1,
        state: ReferralState::WaitingForReply,
        account: AccountId::generate(),
        account_ref: "ACME01".to_owned(),
        currency: Currency::GBP,
        law,
        documents: vec![document(1), document(2)],
        letters: vec![Letter {
            contact: ContactId::generate(),
            stage: "letter_of_claim".to_owned(),
            state: ContactState::Posted,
            on: day(0),
            sha256: None,
            debtor: None,
        }],
        clocks: vec![Clock::start(law, "reply", day(0)).unwrap()],
        replies: Vec::new(),
        notice_on: None,
        agreement_ended_on: None,
        to: Some(ReferredTo::Agency),
        handler: Some("Smith Agents".to_owned()),
        terms: None,
        requester: None,
        approval: None,
        approver: None,
        pack_sha256: None,
        referred_on: None,
        ended_on: None,
        recall: None,
        costs: Vec::new(),
        left: Left::default(),
        stopped: false,
        runs_until: None,
        to_tell: Vec::new(),
        not_against: Vec::new(),
        next_step: None,
    };
    referral.judge(&facts([100, 100], Vec::new()), day(0));
    referral
}

fn referred() -> Referral {
    let mut referral = referral(PreActionLaw::Protocol);
    referral.state = ReferralState::Referred;
    referral.referred_on = Some(day(40));
    referral
}

fn code(result: Result<(), super::referral_steps::ReferralRefused>) -> &'static str {
    result.unwrap_err().code()
}

fn reply(kind: ReplyKind, on: i64) -> ReferralStep {
    ReferralStep::Reply {
        kind,
        received_on: day(on),
        until: None,
    }
}

#[test]
fn without_a_reply_it_is_ready_after_thirty_days_and_a_company_after_fourteen() {
    let free = facts([100, 100], Vec::new());
    for (law, days) in [
        (PreActionLaw::Protocol, 30),
        (PreActionLaw::PracticeDirection, 14),
    ] {
        let mut one = referral(law);
        assert_eq!(one.runs_until, Some(day(days)));
        assert_eq!(one.next_on(&free, day(0)), Some(day(days + 1)));
        assert_eq!(one.judge(&free, day(days)), None);
        assert!(one.judge(&free, day(days + 1)).unwrap().contains("clock"));
        assert_eq!(one.state, ReferralState::ReadyToRefer);
        one.requestable(&free, day(days + 1)).unwrap();
    }
}

/// A reply by form gives 30 days more, and 14 days' notice comes before a claim.
#[test]
fn a_reply_starts_its_own_clock_and_a_claim_needs_notice() {
    let free = facts([100, 100], Vec::new());
    let mut one = referral(PreActionLaw::Protocol);
    one.step(&reply(ReplyKind::AsksTime, 20), &free, day(20))
        .unwrap();
    one.judge(&free, day(20));
    assert_eq!(one.runs_until, Some(day(50)));
    assert!(one.next_step.as_deref().unwrap().contains("plan"));
    let notice = |on| ReferralStep::Notice { on: day(on) };
    assert_eq!(
        code(one.step(&notice(50), &free, day(50))),
        "dunning.clock_runs"
    );
    one.judge(&free, day(51));
    assert_eq!(one.state, ReferralState::ReplyReceived);
    assert_eq!(
        code(one.requestable(&free, day(51))),
        "dunning.referral_state"
    );
    one.step(&notice(51), &free, day(51)).unwrap();
    one.judge(&free, day(65));
    assert_eq!(one.state, ReferralState::NoticeGiven);
    one.judge(&free, day(66));
    assert_eq!(one.state, ReferralState::ReadyToRefer);
}

/// Documents that they asked for are sent first; then they have 30 days.
#[test]
fn documents_that_were_asked_for_are_sent_first() {
    let free = facts([100, 100], Vec::new());
    let mut one = referral(PreActionLaw::Protocol);
    one.step(&reply(ReplyKind::AsksDocuments, 10), &free, day(10))
        .unwrap();
    one.judge(&free, day(60));
    assert!(
        one.next_step
            .as_deref()
            .unwrap()
            .contains("send the documents")
    );
    let notice = ReferralStep::Notice { on: day(60) };
    assert_eq!(
        code(one.step(&notice, &free, day(60))),
        "dunning.documents_owed"
    );
    one.step(&ReferralStep::DocumentsSent { on: day(60) }, &free, day(60))
        .unwrap();
    one.judge(&free, day(60));
    assert_eq!(one.runs_until, Some(day(90)));
}

/// More time was agreed than the rules give.
#[test]
fn debt_advice_may_take_longer() {
    let free = facts([100, 100], Vec::new());
    let mut one = referral(PreActionLaw::Protocol);
    let advice = ReferralStep::Reply {
        kind: ReplyKind::TakesAdvice,
        received_on: day(5),
        until: Some(day(80)),
    };
    one.step(&advice, &free, day(5)).unwrap();
    one.judge(&free, day(5));
    assert_eq!(one.runs_until, Some(day(80)));
}

/// E73: a breathing space freezes the clock; with a firm, the firm is to stop.
#[test]
fn e73_a_breathing_space_freezes_the_clock_and_stops_the_firm() {
    let held = facts([100, 100], vec![stop(SPACE, 10, Some(70))]);
    let mut one = referral(PreActionLaw::Protocol);
    one.judge(&held, day(40));
    assert_eq!(
        (one.state, one.stopped),
        (ReferralState::WaitingForReply, true)
    );
    let notice = ReferralStep::Notice { on: day(40) };
    assert_eq!(
        code(one.step(&notice, &held, day(40))),
        "dunning.referral_stopped"
    );
    one.judge(&held, day(90));
    assert_eq!(one.state, ReferralState::WaitingForReply);
    one.judge(&held, day(91));
    assert_eq!(one.state, ReferralState::ReadyToRefer);

    let mut out = referred();
    let held = facts([100, 100], vec![stop(SPACE, 45, None)]);
    out.judge(&held, day(45)).unwrap();
    assert_eq!(out.to_tell, ["stop: breathing space"]);
    assert_eq!(
        out.next_step.as_deref(),
        Some("tell Smith Agents: stop: breathing space")
    );
    out.step(&ReferralStep::Told, &held, day(45)).unwrap();
    out.judge(&held, day(45));
    assert_eq!(out.next_step, None);
    let cost = out.chargeable(Decimal::ONE, &held, day(46));
    assert_eq!(code(cost), "dunning.referral_stopped");
    let over = facts([100, 100], vec![stop(SPACE, 45, Some(105))]);
    out.judge(&over, day(105)).unwrap();
    assert!(out.to_tell[0].starts_with("go on"));
}

/// E55, E102: what is asked for is void when it changes before it is decided.
#[test]
fn a_payment_or_a_query_voids_the_request() {
    for changed in [
        facts([60, 100], Vec::new()),
        facts([100, 100], vec![stop(StopKind::Query, 40, None)]),
    ] {
        let mut one = referral(PreActionLaw::Protocol);
        one.state = ReferralState::Requested;
        one.approval = Some(ApprovalId::generate());
        one.judge(&changed, day(40)).unwrap();
        assert_eq!(one.state, ReferralState::ReadyToRefer);
        assert_eq!(one.approval, None);
    }
}

/// E53: a query about one document; left out, the rest goes on.
#[test]
fn e53_what_is_in_query_is_left_out_and_the_rest_goes_on() {
    let mut query = stop(StopKind::Query, 31, None);
    query.parts = vec![Part {
        document: id(2),
        amount: None,
    }];
    let queried = facts([100, 100], vec![query]);
    let mut one = referral(PreActionLaw::Protocol);
    one.judge(&facts([100, 100], Vec::new()), day(31));
    one.judge(&queried, day(31));
    assert_eq!(
        code(one.requestable(&queried, day(31))),
        "dunning.referral_stopped"
    );
    let out = ReferralStep::LeaveOut {
        documents: vec![id(2)],
    };
    one.step(&out, &queried, day(31)).unwrap();
    one.judge(&queried, day(31));
    one.requestable(&queried, day(31)).unwrap();
    assert_eq!(one.left.principal, Decimal::from(100));
}

/// A promise after the letter that is broken: 14 days' notice before a claim.
#[test]
fn a_broken_agreement_needs_notice() {
    let promised = |over| facts([100, 100], vec![stop(StopKind::Promise, 31, over)]);
    let mut one = referral(PreActionLaw::Protocol);
    one.judge(&facts([100, 100], Vec::new()), day(31));
    assert_eq!(one.state, ReferralState::ReadyToRefer);
    let open = promised(None);
    one.judge(&open, day(31));
    assert_eq!(
        code(one.requestable(&open, day(31))),
        "dunning.referral_stopped"
    );
    let broken = promised(Some(38));
    one.judge(&broken, day(38)).unwrap();
    assert_eq!(one.state, ReferralState::WaitingForReply);
    assert!(one.next_step.as_deref().unwrap().contains("notice"));
    one.step(&ReferralStep::Notice { on: day(38) }, &broken, day(38))
        .unwrap();
    one.judge(&broken, day(52));
    assert_eq!(one.state, ReferralState::NoticeGiven);
    one.judge(&broken, day(53));
    assert_eq!(one.state, ReferralState::ReadyToRefer);
}

/// E75, E76, E46: paid to us while a firm has it; interest, then costs are left;
/// and a payment that bounces.
#[test]
fn e76_a_payment_is_told_to_the_firm_and_only_costs_are_left() {
    let mut one = referred();
    one.costs.push(Cost {
        id: Uuid::from_u128(3),
        what: "court fee".to_owned(),
        amount: Decimal::from(35),
        on: day(41),
        charge: None,
        document: None,
    });
    let mut now = facts([100, 100], Vec::new());
    now.interest = Decimal::from(10);
    one.judge(&now, day(41));
    now.open.insert(id(1), Decimal::ZERO);
    let said = one.judge(&now, day(50)).unwrap();
    assert!(said.contains("£100.00 is settled"), "{said}");
    assert!(
        one.next_step
            .as_deref()
            .unwrap()
            .contains("tell Smith Agents")
    );
    now.open.insert(id(2), Decimal::ZERO);
    one.judge(&now, day(51)).unwrap();
    // Interest is still owed.
    assert_eq!(one.state, ReferralState::Referred);
    now.interest = Decimal::ZERO;
    assert!(
        one.judge(&now, day(52))
            .unwrap()
            .contains("only costs are left")
    );
    assert_eq!(one.state, ReferralState::CostsOnly);
    assert_eq!(one.left.costs, Decimal::from(35));
    now.open.insert(id(2), Decimal::from(100));
    assert!(one.judge(&now, day(53)).unwrap().contains("owed again"));
    assert_eq!(one.state, ReferralState::Referred);
}

/// E75: everything is paid to us: it is recalled, and chased in the house again.
#[test]
fn e75_everything_paid_recalls_it() {
    let mut one = referred();
    assert!(one.stop().unwrap().is_active(day(41)));
    one.judge(&facts([0, 0], Vec::new()), day(60)).unwrap();
    assert_eq!(one.state, ReferralState::Recalled);
    assert_eq!(one.recall, Some(RecallReason::Paid));
    assert!(!one.stop().unwrap().is_active(day(60)));
    assert!(one.to_tell.iter().any(|told| told.contains("recalled")));
}

#[test]
fn what_was_paid_before_it_was_handed_over_is_closed() {
    let mut one = referral(PreActionLaw::Protocol);
    one.judge(&facts([0, 0], Vec::new()), day(12)).unwrap();
    assert_eq!(one.state, ReferralState::Closed);
    assert_eq!(one.next_on(&facts([0, 0], Vec::new()), day(12)), None);
}

#[derive(Debug, Clone)]
enum Do {
    Wait(i64),
    Reply(ReplyKind),
    Notice,
    Documents,
    Request,
    Approve,
    Pay(i64),
}

fn doing() -> impl Strategy<Value = Do> {
    prop_oneof![
        4 => (1_i64..40).prop_map(Do::Wait),
        1 => proptest::sample::select(ReplyKind::ALL).prop_map(Do::Reply),
        2 => Just(Do::Notice),
        1 => Just(Do::Documents),
        2 => Just(Do::Request),
        2 => Just(Do::Approve),
        1 => (1_i64..150).prop_map(Do::Pay),
    ]
}

proptest! {
    /// However people, cash and stops come: it is never taken a step nearer to a
    /// court on a day that a stop covers it, and never referred before the days
    /// of its letter have run without a stop.
    #[test]
    fn never_a_step_under_a_stop(
        doings in proptest::collection::vec(doing(), 1..25),
        spans in proptest::collection::vec((0_i64..200, 1_i64..60, 0_usize..4), 0..4),
    ) {
        let kinds = [SPACE, StopKind::Promise, StopKind::Plan, StopKind::Query];
        let all: Vec<Stop> = spans
            .iter()
            .map(|(from, days, kind)| stop(kinds[*kind], *from, Some(from + days)))
            .collect();
        let mut one = referral(PreActionLaw::Protocol);
        let mut today = 0;
        let mut open = 100;
        for doing in doings {
            let was = one.state;
            let known = facts([open, 100], all.iter().filter(|s| s.starts_on <= day(today)).cloned().collect());
            match doing {
                Do::Wait(days) => today += days,
                Do::Reply(kind) => drop(one.step(&reply(kind, today), &known, day(today))),
                Do::Notice => drop(one.step(&ReferralStep::Notice { on: day(today) }, &known, day(today))),
                Do::Documents => drop(one.step(&ReferralStep::DocumentsSent { on: day(today) }, &known, day(today))),
                Do::Request => {
                    if one.requestable(&known, day(today)).is_ok() {
                        one.state = ReferralState::Requested;
                    }
                }
                Do::Approve => {
                    one.judge(&known, day(today));
                    if one.state == ReferralState::Requested {
                        one.state = ReferralState::Referred;
                        one.referred_on = Some(day(today));
                    }
                }
                Do::Pay(amount) => open = (open - amount).max(0),
            }
            let known = facts([open, 100], all.iter().filter(|s| s.starts_on <= day(today)).cloned().collect());
            one.judge(&known, day(today));
            let stopped = known.stops.iter().any(|stop| freezes(stop) && stop.is_active(day(today)));
            let nearer = one.state != was
                && matches!(
                    one.state,
                    ReferralState::NoticeGiven
                        | ReferralState::ReadyToRefer
                        | ReferralState::Requested
                        | ReferralState::Referred
                );
            // A request that is void goes back to where it was.
            let back = was == ReferralState::Requested && one.state == ReferralState::ReadyToRefer;
            prop_assert!(!(nearer && stopped && !back), "{was:?} to {:?} on day {today}", one.state);
            if matches!(one.state, ReferralState::Requested | ReferralState::Referred) {
                let run = (1..today)
                    .filter(|d| !all.iter().any(|stop| stop.is_active(day(*d))))
                    .count();
                prop_assert!(run >= 30, "only {run} days ran");
            }
        }
    }
}
