//! Each overdue item has one reason; nobody is chased for what they do not owe.

use chrono::NaiveDate;
use contracts::{
    dunning::{Channel, ChaseReason, HoldKind},
    inbound::AccountKind,
};
use kernel::{AccountId, Currency, DocumentId, Money};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    chase::{Item, Judgement, Moment, Position, Reached, Terms, judge},
    enclosures::{self, InForce},
    policy::{Policies, Policy},
    stops::{Part, Stop, StopKind},
};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn policies() -> Policies {
    Policies::new(Policy::shipped().unwrap()).enclosing(every_form())
}

fn every_form() -> InForce {
    let from = day("2026-01-01");
    let forms = enclosures::forms().iter();
    InForce::new(forms.map(|form| (form.name.clone(), from)).collect())
}

/// A letter of claim is not proposed while a form that must go with it is not there.
#[test]
fn a_letter_of_claim_waits_for_its_forms() {
    let mut one = position(vec![at(item("2026-06-01", "500.00"), 40, "2026-10-01")]);
    one.kind = Some(AccountKind::Individual);
    if let Some(reached) = &mut one.items[0].reached {
        reached.policy = "consumer".to_owned();
        reached.rank = Policy::shipped()
            .unwrap()
            .iter()
            .find(|policy| policy.policy == "consumer")
            .and_then(|policy| policy.stages.iter().rev().nth(1))
            .map(|stage| stage.rank)
            .unwrap();
    }
    let claimed = judged(&one, "2026-11-27");
    assert_eq!(reasons(&claimed), [ChaseReason::ChaseNow]);
    assert_eq!(claimed.contact.unwrap().stage, "letter_of_claim");
    let without = Policies::new(Policy::shipped().unwrap());
    let refused = judge(&one, &without, moment("2026-11-27")).unwrap();
    assert_eq!(reasons(&refused), [ChaseReason::EnclosuresMissing]);
    assert_eq!(refused.contact, None);
}

fn moment(today: &str) -> Moment {
    Moment {
        today: day(today),
        feed_age_hours: Some(2),
    }
}

fn item(due_on: &str, open: &str) -> Item {
    Item {
        document: DocumentId::generate(),
        document_ref: "INV-1".to_owned(),
        due_on: day(due_on),
        open: gbp(open),
        terms: Terms::default(),
        resumed_on: None,
        settled_days: 0,
        reached: None,
        in_run: false,
    }
}

fn at(mut item: Item, rank: i16, on: &str) -> Item {
    item.reached = Some(Reached {
        rank,
        on: day(on),
        policy: "trade_credit".to_owned(),
        version: 1,
    });
    item
}

fn position(items: Vec<Item>) -> Position {
    Position {
        account: AccountId::generate(),
        account_ref: "C100".to_owned(),
        parent_ref: None,
        kind: Some(AccountKind::Company),
        segment: None,
        principal: None,
        has_email: true,
        has_address: true,
        has_phone: true,
        opted_out: Vec::new(),
        items,
        stops: Vec::new(),
        contacts: Vec::new(),
        debtors: Vec::new(),
    }
}

fn stop(kind: StopKind, item: &Item, amount: Option<&str>, from: &str, to: Option<&str>) -> Stop {
    Stop {
        debtor: None,
        subject: Uuid::now_v7(),
        kind,
        parts: vec![Part {
            document: item.document,
            amount: amount.map(gbp),
        }],
        starts_on: day(from),
        ends_on: to.map(day),
        ended_on: None,
    }
}

fn judged(position: &Position, today: &str) -> Judgement {
    judge(position, &policies(), moment(today)).unwrap()
}

fn reasons(judgement: &Judgement) -> Vec<ChaseReason> {
    judgement.verdicts.iter().map(|v| v.reason).collect()
}

#[test]
fn an_overdue_item_gets_its_first_reminder_and_no_later_one() {
    let judgement = judged(&position(vec![item("2026-10-01", "100.00")]), "2026-11-27");
    let contact = judgement.contact.unwrap();
    assert_eq!(contact.stage, "reminder");
    assert_eq!(contact.channel, Channel::Email);
    assert_eq!(contact.amounts, [gbp("100.00")]);
}

/// E60: a new invoice joins an account that is far along.
#[test]
fn e60_a_new_invoice_gets_the_first_letter_beside_the_threat_for_the_old_one() {
    let old = at(item("2026-09-01", "500.00"), 50, "2026-11-01");
    let new = item("2026-11-20", "80.00");
    let judgement = judged(&position(vec![old, new]), "2026-11-27");
    let to: Vec<_> = judgement.verdicts.iter().map(|v| v.to).collect();
    assert_eq!(to, [Some(60), Some(20)]);
}

/// E59: the oldest item is paid; the others stay where they are.
#[test]
fn e59_the_others_keep_their_own_stage_when_the_oldest_is_paid() {
    let younger = at(item("2026-11-01", "300.00"), 20, "2026-11-10");
    let judgement = judged(&position(vec![younger]), "2026-11-27");
    assert_eq!(judgement.verdicts[0].to, Some(30));
    assert_eq!(judgement.contact.unwrap().stage, "second_reminder");
}

/// E53: one of nine is in dispute.
#[test]
fn e53_what_is_not_disputed_is_chased_and_of_a_part_only_the_rest() {
    let mut items: Vec<Item> = (0..9).map(|_| item("2026-11-01", "50.00")).collect();
    items[0].open = gbp("90.00");
    let mut position = position(items);
    position.stops = vec![
        stop(
            StopKind::Query,
            &position.items[0],
            Some("40.00"),
            "2026-11-05",
            None,
        ),
        stop(
            StopKind::Query,
            &position.items[1],
            Some("50.00"),
            "2026-11-05",
            None,
        ),
    ];
    let judgement = judged(&position, "2026-11-27");
    assert_eq!(judgement.verdicts[0].chaseable, gbp("50.00"));
    assert_eq!(judgement.verdicts[0].reason, ChaseReason::ChaseNow);
    assert_eq!(judgement.verdicts[1].reason, ChaseReason::InQuery);
    assert_eq!(judgement.contact.unwrap().amounts, [gbp("400.00")]);
}

/// E49, E77: cash that is likely theirs, a Direct Debit on its way; E50: credit
/// that covers all.
#[test]
fn e49_e50_e77_what_will_be_paid_anyway_is_not_chased() {
    let mut items: Vec<Item> = (0..3).map(|_| item("2026-11-01", "50.00")).collect();
    items[0].terms.likely_theirs = gbp("50.00").amount();
    items[1].terms.in_direct_debit = gbp("50.00").amount();
    items[2].terms.unapplied_credit = gbp("50.00").amount();
    let judgement = judged(&position(items), "2026-11-27");
    assert_eq!(
        reasons(&judgement),
        [
            ChaseReason::CashLikelyTheirs,
            ChaseReason::DirectDebitWillCollect,
            ChaseReason::CreditUnused
        ]
    );
    assert_eq!(judgement.contact, None);
}

/// E51: each under the minimum, together above. E52: per currency.
#[test]
fn e51_e52_the_minimum_is_of_the_sum_in_its_currency() {
    let two = position(vec![
        item("2026-11-01", "15.00"),
        item("2026-11-02", "15.00"),
    ]);
    assert_eq!(
        judged(&two, "2026-11-27").contact.unwrap().amounts,
        [gbp("30.00")]
    );
    let mut mixed = two;
    mixed.items[1].open = Money::parse("15.00", Currency::EUR).unwrap();
    let judgement = judged(&mixed, "2026-11-27");
    assert_eq!(reasons(&judgement), [ChaseReason::BelowMinimum; 2]);
    assert_eq!(judgement.contact, None);
}

/// E54: the dispute is rejected; its days are subtracted, the stage is kept.
#[test]
fn e54_chasing_goes_on_at_its_stage_with_the_stopped_days_subtracted() {
    let mut one = position(vec![at(item("2026-10-01", "100.00"), 20, "2026-10-05")]);
    let mut query = stop(
        StopKind::Query,
        &one.items[0],
        Some("100.00"),
        "2026-10-06",
        None,
    );
    query.ended_on = Some(day("2026-11-20"));
    one.stops = vec![query];
    // The second reminder is due 7 days after the first was sent: one had passed.
    let waiting = judged(&one, "2026-11-24");
    assert_eq!(reasons(&waiting), [ChaseReason::Waiting]);
    assert_eq!(waiting.verdicts[0].next_on, Some(day("2026-11-29")));
    assert_eq!(
        judged(&one, "2026-11-29").contact.unwrap().stage,
        "second_reminder"
    );
}

/// A stop that ended yesterday does not let a letter out today.
#[test]
fn nobody_is_contacted_while_it_cools_off() {
    let mut one = position(vec![item("2026-10-01", "100.00")]);
    one.stops = vec![stop(
        StopKind::Promise,
        &one.items[0],
        None,
        "2026-11-20",
        Some("2026-11-26"),
    )];
    assert_eq!(
        reasons(&judged(&one, "2026-11-27")),
        [ChaseReason::ContactedRecently]
    );
    assert_eq!(
        reasons(&judged(&one, "2026-11-29")),
        [ChaseReason::ChaseNow]
    );
}

/// E73: a breathing space covers some debts only.
#[test]
fn e73_only_the_debts_of_the_breathing_space_stop() {
    let mut two = position(vec![
        item("2026-11-01", "60.00"),
        item("2026-11-02", "70.00"),
    ]);
    two.stops = vec![stop(
        StopKind::Hold(HoldKind::BreathingSpace),
        &two.items[0],
        None,
        "2026-11-20",
        Some("2027-01-18"),
    )];
    let judgement = judged(&two, "2026-11-27");
    assert_eq!(
        reasons(&judgement),
        [ChaseReason::OnHold, ChaseReason::ChaseNow]
    );
    assert_eq!(judgement.verdicts[0].hold, Some(HoldKind::BreathingSpace));
    assert_eq!(judgement.verdicts[0].next_on, Some(day("2027-01-19")));
    assert!(judgement.verdicts[0].chaseable.is_zero());
}

/// E79: who is vulnerable is called by a person, never written to by a run.
#[test]
fn e79_a_vulnerable_debtor_is_left_to_a_person() {
    let mut one = position(vec![item("2026-11-01", "60.00")]);
    let mut hold = stop(
        StopKind::Hold(HoldKind::Vulnerable),
        &one.items[0],
        None,
        "2026-11-01",
        None,
    );
    hold.parts.clear();
    one.stops = vec![hold];
    assert_eq!(
        judged(&one, "2026-11-27").contact.unwrap().channel,
        Channel::Phone
    );
    one.has_phone = false;
    assert_eq!(
        reasons(&judged(&one, "2026-11-27")),
        [ChaseReason::NoAddress]
    );
}

/// E61 in one account: the budget counts every channel.
#[test]
fn the_contact_budget_holds_back_a_further_one() {
    let mut one = position(vec![item("2026-11-01", "60.00")]);
    one.contacts = ["2026-11-22", "2026-11-24", "2026-11-26"].map(day).to_vec();
    let judgement = judged(&one, "2026-11-27");
    assert_eq!(reasons(&judgement), [ChaseReason::ContactedRecently]);
    assert_eq!(judgement.verdicts[0].next_on, Some(day("2026-11-29")));
    assert!(judged(&one, "2026-11-29").contact.is_some());
}

#[test]
fn a_stale_bank_feed_stops_the_letter() {
    let one = position(vec![item("2026-11-01", "60.00")]);
    let stale = Moment {
        feed_age_hours: Some(97),
        ..moment("2026-11-27")
    };
    let judgement = judge(&one, &policies(), stale).unwrap();
    assert_eq!(reasons(&judgement), [ChaseReason::FeedStale]);
}

/// E63: due today is not overdue; the day after is the first day late.
#[test]
fn e63_the_due_day_itself_is_in_time() {
    let one = position(vec![at(item("2026-11-27", "60.00"), 10, "2026-11-22")]);
    assert_eq!(judged(&one, "2026-11-27").verdicts, []);
    assert_eq!(reasons(&judged(&one, "2026-11-28")), [ChaseReason::Waiting]);
}

#[test]
fn a_courtesy_comes_before_the_due_day_and_never_after() {
    let one = position(vec![item("2026-12-01", "60.00")]);
    assert_eq!(
        judged(&one, "2026-11-27").contact.unwrap().stage,
        "before_due"
    );
    assert_eq!(
        judged(&one, "2026-12-04").contact.unwrap().stage,
        "reminder"
    );
}

/// Nobody is asked in one letter for what is overdue and what is not due yet.
#[test]
fn what_is_not_due_yet_is_in_no_letter_about_what_is_overdue() {
    let due_later = item("2026-12-01", "60.00");
    let both = position(vec![item("2026-11-01", "20.00"), due_later.clone()]);
    let judgement = judged(&both, "2026-11-27");
    assert_eq!(
        reasons(&judgement),
        [ChaseReason::BelowMinimum, ChaseReason::Waiting]
    );
    assert_eq!(judgement.contact, None);
    let both = position(vec![item("2026-11-01", "30.00"), due_later]);
    let contact = judged(&both, "2026-11-27").contact.unwrap();
    assert_eq!(contact.stage, "reminder");
    assert_eq!(contact.amounts, [gbp("30.00")]);
}

/// E64: counted from the end of the month.
#[test]
fn e64_an_end_of_month_clock() {
    let mut one = position(vec![item("2026-11-03", "60.00")]);
    one.segment = Some("broker".to_owned());
    assert_eq!(
        judged(&one, "2026-12-04").verdicts[0].next_on,
        Some(day("2026-12-05"))
    );
    assert!(judged(&one, "2026-12-05").contact.is_some());
}

/// E32: the payment bounced; the stage is the one from before, and the days in
/// which it was paid do not count.
#[test]
fn e32_a_returned_payment_resumes_the_stage() {
    let mut back = at(item("2026-10-01", "100.00"), 30, "2026-10-20");
    back.resumed_on = Some(day("2026-11-20"));
    back.settled_days = 30;
    let judgement = judged(&position(vec![back]), "2026-11-24");
    assert_eq!(judgement.verdicts[0].to, Some(40));
    // 5 days after the last reminder, less the 30 paid ones, is November 24.
    assert_eq!(judgement.contact.unwrap().stage, "call");
}

#[test]
fn a_suspected_query_is_chased_and_says_so() {
    let mut one = position(vec![item("2026-11-01", "60.00")]);
    one.stops = vec![stop(
        StopKind::Suspected,
        &one.items[0],
        None,
        "2026-11-06",
        None,
    )];
    let judgement = judged(&one, "2026-11-27");
    assert_eq!(reasons(&judgement), [ChaseReason::SuspectedQuery]);
    assert!(judgement.contact.is_some());
}

fn any_stop(items: usize) -> impl Strategy<Value = (usize, StopKind, i64, i64, Option<u32>)> {
    let kind = prop_oneof![
        Just(StopKind::Promise),
        Just(StopKind::Plan),
        Just(StopKind::Query),
        Just(StopKind::Suspected),
        Just(StopKind::Hold(HoldKind::BreathingSpace)),
        Just(StopKind::Hold(HoldKind::Other)),
    ];
    (
        0..items,
        kind,
        0_i64..120,
        1_i64..60,
        proptest::option::of(1_u32..200),
    )
}

proptest! {
    /// Whatever stands in the way: every overdue item has one reason, no more
    /// than what is open is chased, and what is stopped is not.
    #[test]
    fn every_overdue_item_has_one_reason(
        opens in proptest::collection::vec((1_u32..200, 0_i64..90), 1..6),
        stops in proptest::collection::vec(any_stop(5), 0..6),
        asked in 0_i64..150,
    ) {
        let start = day("2026-07-01");
        let plus = |n: i64| start + chrono::TimeDelta::days(n);
        let items: Vec<Item> = opens
            .iter()
            .map(|(open, due)| {
                let mut one = item("2026-07-01", &format!("{open}.00"));
                one.due_on = plus(*due);
                one
            })
            .collect();
        let mut position = position(items);
        for (n, kind, from, length, amount) in stops {
            let Some(item) = position.items.get(n) else { continue };
            let amount = amount.map(|a| format!("{a}.00"));
            let mut one = stop(kind, item, amount.as_deref(), "2026-07-01", None);
            one.starts_on = plus(from);
            one.ends_on = Some(plus(from + length));
            position.stops.push(one);
        }
        let today = plus(asked);
        let now = Moment { today, feed_age_hours: None };
        let judgement = judge(&position, &policies(), now).unwrap();
        for item in &position.items {
            let of: Vec<_> = judgement
                .verdicts
                .iter()
                .filter(|v| v.document == item.document)
                .collect();
            prop_assert!(of.len() <= 1);
            prop_assert!(of.len() == 1 || item.due_on >= today);
            for verdict in of {
                prop_assert!(!verdict.chaseable.is_negative());
                prop_assert!(verdict.chaseable.amount() <= item.open.amount());
                let stopped = position.stops.iter().any(|stop| {
                    stop.pauses()
                        && stop.is_active(today)
                        && stop.covers(item.document).is_some_and(|part| part
                            .amount
                            .is_none_or(|amount| amount.amount() >= item.open.amount()))
                });
                prop_assert!(!(stopped && verdict.is_chased()));
            }
        }
        let claimed: rust_decimal::Decimal = judgement
            .verdicts
            .iter()
            .filter(|v| v.is_chased())
            .map(|v| v.chaseable.amount())
            .sum();
        let contacted: rust_decimal::Decimal = judgement
            .contact
            .iter()
            .flat_map(|contact| &contact.amounts)
            .map(|amount| amount.amount())
            .sum();
        prop_assert_eq!(claimed, contacted);
    }

    /// Day after day, with whatever stops in between: no stage is skipped, none
    /// comes twice.
    #[test]
    fn stages_come_one_after_the_other(
        stops in proptest::collection::vec(any_stop(1), 0..5),
        days in proptest::collection::vec(0_i64..4, 1..60),
    ) {
        let start = day("2026-07-01");
        let plus = |n: i64| start + chrono::TimeDelta::days(n);
        let mut position = position(vec![item("2026-07-01", "900.00")]);
        for (_, kind, from, length, amount) in stops {
            let amount = amount.map(|a| format!("{a}.00"));
            let mut one = stop(kind, &position.items[0], amount.as_deref(), "2026-07-01", None);
            one.starts_on = plus(from);
            one.ends_on = Some(plus(from + length));
            position.stops.push(one);
        }
        let ladder = [20_i16, 30, 40, 50, 60];
        let mut sent = Vec::new();
        let mut n = 1;
        for step in days {
            n += step;
            let today = plus(n);
            let now = Moment { today, feed_age_hours: None };
            let judgement = judge(&position, &policies(), now).unwrap();
            if let Some(contact) = judgement.contact {
                sent.push(contact.rank);
                position.items[0].reached = Some(Reached {
                    rank: contact.rank,
                    on: today,
                    policy: "trade_credit".to_owned(),
                    version: 1,
                });
                position.contacts.push(today);
            }
        }
        prop_assert_eq!(&sent[..], &ladder[..sent.len()]);
    }
}

/// E67: who opted out of e-mail is reminded in another way or not at all; what
/// must be served goes all the same when nothing else is left.
#[test]
fn e67_an_opt_out_is_respected_but_what_must_be_served_goes() {
    let mut one = position(vec![item("2026-11-01", "60.00")]);
    let first = judged(&one, "2026-11-27").contact.unwrap();
    assert_eq!(first.channel, Channel::Email);
    one.opted_out = vec![Channel::Email];
    let other = judged(&one, "2026-11-27");
    if let Some(contact) = &other.contact {
        assert_ne!(contact.channel, Channel::Email);
    } else {
        assert_eq!(reasons(&other), [ChaseReason::NoAddress]);
    }
    one.opted_out = Channel::ALL.to_vec();
    for stage in &Policy::shipped().unwrap()[0].stages {
        let served = matches!(
            stage.legal,
            super::policy::LegalClass::BeforeAction | super::policy::LegalClass::Protocol
        );
        let found = super::chase::channel(stage, None, &one, false, day("2026-11-27"));
        assert_eq!(found.is_some(), served, "{}", stage.code);
    }
}

proptest! {
    /// E66, E67: no stage goes by a way whose address is wrong, nor by one that
    /// is not wanted while another is left.
    #[test]
    fn e66_no_stage_goes_by_a_way_that_does_not_reach(
        email in any::<bool>(), address in any::<bool>(), phone in any::<bool>(), by_person in any::<bool>(),
        out in proptest::collection::vec(proptest::sample::select(Channel::ALL), 0..4),
        which in 0_usize..100,
    ) {
        let mut one = position(Vec::new());
        (one.has_email, one.has_address, one.has_phone) = (email, address, phone);
        one.opted_out = out;
        let shipped = Policy::shipped().unwrap();
        let stages: Vec<_> = shipped.iter().flat_map(|policy| &policy.stages).collect();
        let stage = stages[which % stages.len()];
        let today = day("2026-11-27");
        let open = |channel: Channel| match channel {
            Channel::Email => email && !by_person,
            Channel::Letter => address && !by_person,
            Channel::Phone => phone,
            Channel::Visit => address,
        };
        match super::chase::channel(stage, None, &one, by_person, today) {
            Some(channel) => {
                prop_assert!(open(channel));
                if one.opted_out.contains(&channel) {
                    prop_assert!(super::reach::is_served(stage.legal, today));
                    prop_assert!(stage.channels.iter().all(|c| !open(*c) || one.opted_out.contains(c)));
                }
            }
            None => prop_assert!(stage.channels.iter().all(|c| !open(*c) || one.opted_out.contains(c))),
        }
    }
}
