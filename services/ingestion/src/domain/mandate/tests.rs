use contracts::inbound::{BankAccountRef, BillingMandate};
use proptest::prelude::*;

use super::*;

pub(crate) fn told(status: MandateStatus) -> inbound::Mandate {
    inbound::mandate(BillingMandate {
        mandate_reference: "HARBOUR001".into(),
        account_ref: "ACME01".into(),
        payer_name: "Acme Ltd".into(),
        payer_account: BankAccountRef {
            sort_code: Some("10-79-99".into()),
            account_number: Some("88837491".into()),
            iban: None,
        },
        signed_on: day("2026-01-05"),
        paperless: false,
        status: Some(status),
    })
    .unwrap()
}

pub(crate) fn mandate(status: MandateStatus) -> Mandate {
    let mut mandate = Mandate::captured(&told(status), AccountId::generate());
    mandate.version = 1;
    mandate
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn advice(kind: Kind, code: &str, reported: &str) -> Advice {
    Advice {
        kind,
        user_number: "123456".into(),
        reference: "HARBOUR001".into(),
        code: code.into(),
        payer_name: None,
        payer_account: Some("GB:107999-88837491".into()),
        new_payer_account: None,
        effective_on: None,
        reported_on: day(reported),
    }
}

#[test]
fn a_mandate_is_lodged_and_active_when_no_bank_sent_it_back() {
    let captured = mandate(MandateStatus::New);
    assert_eq!(captured.due, Some(Due::New));
    // Processed on Thursday 2 April 2026: Easter is between.
    let lodged = captured.sent(day("2026-04-02")).unwrap();
    assert_eq!(lodged.state, MandateState::Lodged);
    let from = lodged.usable_from(rules(day("2026-04-02")));
    assert_eq!(from, Some(day("2026-04-13")));
    assert_eq!(lodged.aged(day("2026-04-12")), None);
    let active = lodged.aged(day("2026-04-13")).unwrap();
    assert_eq!(active.state, MandateState::Active);
}

#[test]
fn addacs_cancels_suspends_amends_and_reinstates() {
    let active = mandate(MandateStatus::Active);
    for code in ["0", "1", "2", "B"] {
        let outcome = active.hear(&advice(Kind::Addacs, code, "2026-03-02"));
        let next = outcome.mandate.unwrap();
        assert_eq!(next.state, MandateState::Cancelled, "{code}");
        assert_eq!(outcome.collections, ForCollections::Drop);
        assert!(outcome.to_do.is_some());
    }
    let disputed = active.hear(&advice(Kind::Addacs, "D", "2026-03-02"));
    assert_eq!(disputed.mandate.unwrap().state, MandateState::Suspended);
    for code in ["C", "E"] {
        let amended = Advice {
            new_payer_account: Some("GB:200000-11112222".into()),
            ..advice(Kind::Addacs, code, "2026-03-02")
        };
        let outcome = active.hear(&amended);
        let next = outcome.mandate.unwrap();
        assert_eq!(next.state, MandateState::Active, "{code}");
        assert_eq!(next.due, None, "neither 0C nor 0N");
        assert_eq!(next.payer_account, "GB:200000-11112222");
        assert_eq!(outcome.collections, ForCollections::Amend);
        assert_eq!(next.hear(&amended).mandate, None, "told again");
    }
    let cancelled = active.hear(&advice(Kind::Addacs, "1", "2026-03-02"));
    let cancelled = cancelled.mandate.unwrap();
    let back = cancelled.hear(&advice(Kind::Addacs, "R", "2026-03-10"));
    let back = back.mandate.unwrap();
    assert_eq!(back.state, MandateState::Active);
    // The cancellation of before comes late: the bank took it back.
    assert_eq!(
        back.hear(&advice(Kind::Addacs, "1", "2026-03-02")).mandate,
        None
    );
    let again = back.hear(&advice(Kind::Addacs, "1", "2026-03-11"));
    assert_eq!(again.mandate.unwrap().state, MandateState::Cancelled);
}

/// With the new account a new instruction goes there; without, nothing is
/// collected until there is one.
#[test]
fn addacs_3_needs_a_new_instruction() {
    let active = mandate(MandateStatus::Active);
    let moved = Advice {
        new_payer_account: Some("GB:200000-11112222".into()),
        ..advice(Kind::Addacs, "3", "2026-03-02")
    };
    let next = active.hear(&moved).mandate.unwrap();
    assert_eq!(
        (next.state, next.due),
        (MandateState::Captured, Some(Due::New))
    );
    assert_eq!(next.payer_account, "GB:200000-11112222");
    assert!(!next.first_sent, "the next collection is a first one");
    let unknown = active.hear(&advice(Kind::Addacs, "3", "2026-03-02"));
    assert_eq!(unknown.mandate.unwrap().state, MandateState::Suspended);
}

#[test]
fn e39_auddis_says_that_the_reference_is_not_unique_and_what_to_do() {
    let lodged = mandate(MandateStatus::New).sent(day("2026-03-03")).unwrap();
    let outcome = lodged.hear(&advice(Kind::AuddisReturned, "I", "2026-03-05"));
    let next = outcome.mandate.unwrap();
    assert_eq!(next.state, MandateState::Invalid);
    assert!(next.reason.contains("payer reference not unique"));
    assert!(next.to_do.unwrap().contains("new reference"));
    assert_eq!(outcome.collections, ForCollections::Drop);
}

#[test]
fn a_refused_file_is_sent_again_and_an_accepted_one_waits_for_the_banks() {
    let lodged = mandate(MandateStatus::New).sent(day("2026-03-03")).unwrap();
    let taken = lodged.hear(&advice(Kind::AuddisAccepted, "", "2026-03-04"));
    assert_eq!(taken.mandate.unwrap().state, MandateState::Lodged);
    let refused = lodged.hear(&advice(Kind::AuddisRejected, "", "2026-03-04"));
    let next = refused.mandate.unwrap();
    assert_eq!(
        (next.state, next.due),
        (MandateState::Captured, Some(Due::New))
    );
}

#[test]
fn an_unknown_code_stops_everything_until_somebody_has_looked() {
    let outcome = mandate(MandateStatus::Active).hear(&advice(Kind::Addacs, "Z", "2026-03-02"));
    assert_eq!(outcome.mandate.unwrap().state, MandateState::Suspended);
    assert_eq!(outcome.collections, ForCollections::Drop);
}

#[test]
fn billing_gives_a_mandate_up_and_banks_hear_of_it() {
    let active = mandate(MandateStatus::Active);
    let outcome = active.told(&told(MandateStatus::Cancelled), active.account_id);
    let next = outcome.unwrap().mandate.unwrap();
    assert_eq!(
        (next.state, next.due),
        (MandateState::CancelPending, Some(Due::Cancel))
    );
    let sent = next.sent(day("2026-03-03")).unwrap();
    assert_eq!((sent.state, sent.due), (MandateState::Cancelled, None));
    // One that no bank knows needs no word.
    let captured = mandate(MandateStatus::New);
    let outcome = captured.told(&told(MandateStatus::Cancelled), captured.account_id);
    assert_eq!(
        outcome.unwrap().mandate.unwrap().state,
        MandateState::Cancelled
    );
    assert_eq!(
        captured.told(&told(MandateStatus::New), captured.account_id),
        None
    );
}

/// A bank's word stands when billing repeats what it said before.
#[test]
fn an_old_word_of_billing_does_not_undo_what_a_bank_amended() {
    let active = mandate(MandateStatus::Active);
    let amended = Advice {
        new_payer_account: Some("GB:200000-11112222".into()),
        ..advice(Kind::Addacs, "C", "2026-03-02")
    };
    let next = active.hear(&amended).mandate.unwrap();
    let mut renamed = told(MandateStatus::Active);
    renamed.wire.payer_name = "Acme Limited".into();
    renamed.content = serde_json::to_string(&renamed.wire).unwrap();
    let after = next
        .told(&renamed, next.account_id)
        .unwrap()
        .mandate
        .unwrap();
    assert_eq!(after.payer_account, "GB:200000-11112222");
    assert_eq!(after.state, MandateState::Active);
}

#[test]
fn an_instruction_that_is_not_used_for_two_years_may_be_gone() {
    let mut active = mandate(MandateStatus::Active);
    active.last_used_on = Some(day("2026-01-05"));
    assert_eq!(active.aged(day("2028-01-04")), None);
    let next = active.aged(day("2028-01-05")).unwrap();
    assert_eq!(next.state, MandateState::Dormant);
}

/// The payer cancelled, then signed anew: the bank's old word is not about that.
#[test]
fn what_a_bank_said_before_the_mandate_was_signed_stops_nothing() {
    let active = mandate(MandateStatus::Active);
    let outcome = active.hear(&advice(Kind::Addacs, "1", "2026-01-04"));
    assert_eq!(outcome.mandate, None);
    assert!(outcome.reason.contains("signed later"));
    assert!(outcome.to_do.is_some(), "somebody has a look");
    let outcome = active.hear(&advice(Kind::Addacs, "1", "2026-01-05"));
    assert_eq!(outcome.mandate.unwrap().state, MandateState::Cancelled);
}

#[test]
fn a_bank_does_not_reinstate_what_billing_gave_up() {
    let given_up = mandate(MandateStatus::Cancelled);
    let outcome = given_up.hear(&advice(Kind::Addacs, "R", "2026-03-02"));
    assert_eq!(outcome.mandate, None);
    assert!(outcome.to_do.unwrap().contains("gave the mandate up"));
}

/// What becomes of a mandate by these advices, in the order in which they are
/// heard when they come together.
fn listen(mandate: Mandate, advices: &[Advice]) -> Mandate {
    advice::in_order(advices)
        .into_iter()
        .fold(mandate, |now, at| {
            now.hear(&advices[at]).mandate.unwrap_or(now)
        })
}

fn any_advice() -> impl Strategy<Value = Advice> {
    let kind = prop::sample::select(vec![
        Kind::Addacs,
        Kind::AuddisReturned,
        Kind::AuddisAccepted,
        Kind::AuddisRejected,
        Kind::Unpaid,
    ]);
    (kind, "[0-9A-R]", any::<bool>(), 0_u32..60).prop_map(|(kind, code, new, days)| Advice {
        new_payer_account: new.then(|| "GB:200000-11112222".to_owned()),
        reported_on: day("2026-03-02") + chrono::Days::new(u64::from(days)),
        ..advice(kind, &code, "2026-03-02")
    })
}

proptest! {
    /// A mandate is told before, among or after the reports about it: it ends the
    /// same. Those before it may come in any order of their days; those after it
    /// come as they are made.
    #[test]
    fn a_mandate_that_is_told_late_ends_as_one_that_was_told_early(
        advices in prop::collection::vec(any_advice(), 0..12),
        before in 0..12_usize,
        stir in 1..61_i64,
        status in prop::sample::select(vec![
            MandateStatus::New, MandateStatus::Active, MandateStatus::Cancelled,
        ]),
        signed in 0_u64..20,
    ) {
        let mut told = mandate(status);
        told.signed_on = day("2026-02-25") + chrono::Days::new(signed);
        let made: Vec<Advice> = advice::in_order(&advices)
            .into_iter()
            .map(|at| advices[at].clone())
            .collect();
        let early = made.iter().fold(told.clone(), |now, advice| {
            now.hear(advice).mandate.unwrap_or(now)
        });
        let (noted, after) = made.split_at(before.min(made.len()));
        let mut noted = noted.to_vec();
        // The days are stirred; those of one day stay as they came.
        noted.sort_by_key(|advice| {
            (advice.reported_on - day("2026-03-01")).num_days() * stir % 61
        });
        let late = after.iter().fold(listen(told, &noted), |now, advice| {
            now.hear(advice).mandate.unwrap_or(now)
        });
        prop_assert_eq!(late, early);
    }

    /// Whatever reports say in whatever order: what is stopped drops what is
    /// collected, only an instruction that is to be lodged or given up is due, and
    /// the same advice again never makes more of it.
    #[test]
    fn any_advices_keep_a_mandate_in_order(advices in prop::collection::vec(any_advice(), 0..12)) {
        let mut now = mandate(MandateStatus::Active);
        for advice in &advices {
            let outcome = now.hear(advice);
            let Some(next) = outcome.mandate else {
                prop_assert_eq!(outcome.collections, ForCollections::Keep);
                continue;
            };
            let usable = matches!(next.state, MandateState::Active | MandateState::Lodged);
            // What is stopped already has nothing left to drop.
            let stays = next.state == now.state;
            prop_assert!(stays || usable || outcome.collections == ForCollections::Drop
                || next.state == MandateState::CancelPending);
            prop_assert_eq!(
                next.due == Some(Due::New),
                next.state == MandateState::Captured
            );
            prop_assert_eq!(
                next.due == Some(Due::Cancel),
                next.state == MandateState::CancelPending
            );
            let again = next.hear(advice);
            if let Some(again) = again.mandate {
                prop_assert_eq!(again.payer_account, next.payer_account.clone());
                prop_assert_eq!(again.state, next.state);
            }
            now = next;
        }
    }
}
