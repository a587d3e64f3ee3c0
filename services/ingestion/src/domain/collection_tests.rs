use contracts::inbound::MandateStatus;
use proptest::prelude::*;

use super::*;
use crate::domain::mandate::{
    Due,
    advice::{Advice, Kind},
    tests::mandate,
};

/// A Monday; the week has no holiday.
const TODAY: &str = "2026-03-02";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn part(amount: &str) -> Part {
    Part {
        document_id: DocumentId::generate(),
        document_ref: "INV-1".into(),
        amount: gbp(amount),
    }
}

fn notice(sent: &str, entry: &str, amount: &str) -> Notice {
    Notice {
        sent_on: day(sent),
        entry_on: day(entry),
        amount: gbp(amount),
    }
}

fn ask(mandate: &Mandate, notices: &[Notice], entry: &str) -> Result<Collection, Stopped> {
    let wanted = Wanted {
        mandate,
        parts: vec![part("100.00"), part("20.00")],
        notices,
        entry_on: day(entry),
        last: false,
        notice_days: None,
    };
    propose(wanted, CollectionRunId::generate(), day(TODAY))
}

fn code(result: Result<Collection, Stopped>) -> &'static str {
    result.unwrap_err().code
}

fn proposed() -> Collection {
    let told = [notice("2026-02-16", "2026-03-06", "120.00")];
    ask(&mandate(MandateStatus::Active), &told, "2026-03-06").unwrap()
}

fn sent() -> Collection {
    proposed()
        .became(CollectionState::Approved, "")
        .became(CollectionState::InFile, "")
        .became(CollectionState::Sent, "")
}

#[test]
fn what_is_announced_is_collected_on_its_day_or_up_to_three_later() {
    let active = mandate(MandateStatus::Active);
    let told = [notice("2026-02-16", "2026-03-06", "120.00")];
    let one = ask(&active, &told, "2026-03-06").unwrap();
    assert_eq!((one.code.as_str(), one.amount), ("17", gbp("120.00")));
    assert_eq!(one.processing_on, day("2026-03-05"));
    assert!(ask(&active, &told, "2026-03-11").is_ok());
    let late = ask(&active, &told, "2026-03-12");
    assert_eq!(code(late), "collections.notice_of_other_day");
    let early = ask(&active, &told, "2026-03-05");
    assert_eq!(code(early), "collections.notice_of_other_day");
}

#[test]
fn what_is_not_announced_is_blocked_with_the_reason() {
    let active = mandate(MandateStatus::Active);
    assert_eq!(
        code(ask(&active, &[], "2026-03-06")),
        "collections.no_notice"
    );
    let other = [notice("2026-02-16", "2026-03-06", "119.99")];
    let stopped = ask(&active, &other, "2026-03-06");
    assert_eq!(code(stopped), "collections.notice_of_other_amount");
    // Nine working days.
    let short = [notice("2026-02-23", "2026-03-06", "120.00")];
    let stopped = ask(&active, &short, "2026-03-06");
    assert_eq!(code(stopped), "collections.notice_too_short");
    let wanted = Wanted {
        mandate: &active,
        parts: vec![part("120.00")],
        notices: &short,
        entry_on: day("2026-03-06"),
        last: true,
        notice_days: Some(5),
    };
    let agreed = propose(wanted, CollectionRunId::generate(), day(TODAY)).unwrap();
    assert_eq!(agreed.code, "19", "the last one");
}

#[test]
fn an_entry_day_is_a_working_day_that_a_file_can_reach() {
    let rules = rules(day(TODAY));
    let of = |entry: &str| processing_day(day(entry), day(TODAY), rules);
    assert_eq!(of("2026-03-04"), Ok(day("2026-03-03")));
    assert_eq!(of("2026-03-03").unwrap_err().code, "collections.too_late");
    assert_eq!(of("2026-03-07").unwrap_err().code, "collections.entry_day");
    assert_eq!(of("2026-04-03").unwrap_err().code, "collections.entry_day");
    assert_eq!(of("2026-04-07").unwrap_err().code, "collections.too_early");
}

#[test]
fn the_first_collection_waits_five_working_days_for_the_banks() {
    let lodged = mandate(MandateStatus::New).sent(day("2026-03-03")).unwrap();
    let told = [notice("2026-02-16", "2026-03-09", "120.00")];
    let soon = ask(&lodged, &told, "2026-03-09");
    assert_eq!(code(soon), "collections.too_soon_after_lodgement");
    let one = ask(&lodged, &told, "2026-03-10").unwrap();
    assert_eq!(one.code, "01");
    let captured = mandate(MandateStatus::New);
    let stopped = ask(&captured, &told, "2026-03-10");
    assert_eq!(code(stopped), "collections.mandate_not_active");
}

/// E36: presented again only for ARUDD 0, with the same amount, within a month,
/// twice at most.
#[test]
fn e36_only_refer_to_payer_is_presented_again_the_same_amount_within_a_month_twice() {
    let active = mandate(MandateStatus::Active);
    let run = CollectionRunId::generate;
    let again = |one: &Collection, entry: &str, today: &str| {
        one.present_again(&active, day(entry), run(), day(today))
    };
    let other = sent().unpaid(false, "ARUDD 1").unwrap();
    let refused = again(&other, "2026-03-16", "2026-03-10");
    assert_eq!(refused.unwrap_err().code, "collections.not_presented_again");
    let refused = again(&sent(), "2026-03-16", "2026-03-10");
    assert_eq!(refused.unwrap_err().code, "collections.not_presented_again");
    let unpaid = sent().unpaid(true, "ARUDD 0").unwrap();
    // Processed on 5 March: thirty days end before the month does.
    assert_eq!(
        unpaid.again_until(rules(day(TODAY))),
        Some(day("2026-04-04"))
    );
    let second = again(&unpaid, "2026-03-16", "2026-03-10").unwrap();
    assert_eq!((second.code.as_str(), second.amount), ("18", unpaid.amount));
    assert_eq!(second.first_on, unpaid.processing_on);
    let late = again(&unpaid, "2026-04-08", "2026-04-01");
    assert_eq!(late.unwrap_err().code, "collections.presented_too_late");
    let third = second
        .became(CollectionState::Sent, "")
        .unpaid(true, "ARUDD 0")
        .unwrap();
    let third = again(&third, "2026-03-26", "2026-03-20").unwrap();
    assert_eq!((third.again, third.first_id), (2, Some(unpaid.id)));
    let last = third
        .became(CollectionState::Sent, "")
        .unpaid(true, "ARUDD 0")
        .unwrap();
    let refused = again(&last, "2026-04-02", "2026-03-27");
    assert_eq!(refused.unwrap_err().code, "collections.presented_too_often");
}

/// E38: an amendment or cancellation while a collection is under way.
#[test]
fn e38_what_is_not_sent_is_dropped_or_amended_and_what_is_sent_is_at_risk() {
    let approved = proposed().became(CollectionState::Approved, "");
    let in_file = approved.became(CollectionState::InFile, "");
    let why = "ADDACS 1: cancelled by the payer";
    for one in [&proposed(), &approved, &in_file] {
        let gone = one.follow(ForCollections::Drop, why).unwrap();
        assert_eq!(gone.state, CollectionState::Cancelled);
        assert_eq!(gone.reason, why);
        assert!(!gone.is_to_come());
        let amended = one.follow(ForCollections::Amend, why).unwrap();
        assert_ne!(
            amended.state,
            CollectionState::InFile,
            "out of the old file"
        );
        assert!(amended.is_live());
    }
    for effect in [ForCollections::Drop, ForCollections::Amend] {
        let risky = sent().follow(effect, why).unwrap();
        assert_eq!(risky.state, CollectionState::AtRisk);
        assert!(risky.is_live(), "no second one takes its place");
        assert_eq!(risky.follow(effect, why), None);
    }
}

/// E39: the bank sends the instruction back after the first collection was
/// scheduled.
#[test]
fn e39_a_returned_instruction_cancels_the_first_collection() {
    let lodged = mandate(MandateStatus::New).sent(day("2026-03-03")).unwrap();
    let told = [notice("2026-02-16", "2026-03-10", "120.00")];
    let first = ask(&lodged, &told, "2026-03-10").unwrap();
    let advice = Advice {
        kind: Kind::AuddisReturned,
        user_number: "123456".into(),
        reference: lodged.reference.clone(),
        code: "I".into(),
        payer_name: None,
        payer_account: None,
        new_payer_account: None,
        effective_on: None,
        reported_on: day("2026-03-05"),
    };
    let outcome = lodged.hear(&advice);
    let gone = first
        .became(CollectionState::Approved, "")
        .follow(outcome.collections, &outcome.reason)
        .unwrap();
    assert_eq!(gone.state, CollectionState::Cancelled);
    assert!(gone.reason.contains("payer reference not unique"));
    assert!(gone.documents().iter().all(|d| d.to_come.is_zero()));
    assert_ne!(outcome.mandate.unwrap().due, Some(Due::New));
}

#[test]
fn it_is_collected_when_it_can_come_back_no_more() {
    // Entry on Friday: it could come back until Tuesday.
    assert_eq!(sent().aged(day("2026-03-10")), None);
    let done = sent().aged(day("2026-03-11")).unwrap();
    assert_eq!(done.state, CollectionState::Collected);
    assert!(!done.is_to_come());
    assert_eq!(proposed().aged(day("2026-03-11")), None);
}

proptest! {
    /// Whatever was announced: what may be collected has its amount announced
    /// early enough for its day, and is processed after today.
    #[test]
    fn nothing_is_collected_that_was_not_announced(
        sent in 0_u64..40, entry in 0_u64..40, asked in 0_u64..40, pence in 11_900_i64..12_100,
    ) {
        let first = day("2026-02-02");
        let amount = Money::try_new(rust_decimal::Decimal::new(pence, 2), Currency::GBP).unwrap();
        let told = [Notice { sent_on: first + Days::new(sent), entry_on: first + Days::new(entry), amount }];
        let wanted = first + Days::new(asked);
        if let Ok(one) = ask(&mandate(MandateStatus::Active), &told, &wanted.to_string()) {
            prop_assert_eq!(one.amount, amount);
            prop_assert!(one.entry_on >= told[0].entry_on);
            prop_assert!(CALENDAR.add_working_days(told[0].sent_on, 10).unwrap() <= told[0].entry_on);
            prop_assert!(one.processing_on > day(TODAY));
            prop_assert!(CALENDAR.is_working_day(one.entry_on).unwrap());
        }
    }
}
