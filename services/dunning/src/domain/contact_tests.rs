//! What follows from a contact that a person writes down.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use contracts::{
    api::dunning::ContactStep,
    dunning::{Channel, ContactOutcome, ContactState, Direction, HoldId, HoldKind},
};
use kernel::{AccountId, london_date};
use proptest::prelude::*;

use super::{
    contact::{
        Contact, ContactRefused, Follows, Named, Said, Way, follows, is_restricted, named,
        outcomes, step, title,
    },
    hold::Hold,
    stops,
};

fn now() -> DateTime<Utc> {
    "2026-02-10T09:00:00Z".parse().unwrap()
}

fn today() -> NaiveDate {
    london_date(now())
}

fn call(outcome: ContactOutcome) -> Said {
    Said {
        direction: Direction::Out,
        channel: Channel::Phone,
        outcome: Some(outcome),
        next_step: Some("call again".to_owned()),
        next_on: today().checked_add_days(Days::new(2)),
        none_because: None,
        at: now() - TimeDelta::minutes(5),
        note: None,
        with_promise: false,
    }
}

fn kept(state: ContactState, direction: Direction, channel: Channel) -> Contact {
    Contact {
        debtor: None,
        id: contracts::dunning::ContactId::generate(),
        version: 1,
        direction,
        channel,
        state,
        account: AccountId::generate(),
        account_ref: "C100".to_owned(),
        run: None,
        stage: None,
        items: Vec::new(),
        amounts: Vec::new(),
        address: None,
        content_sha256: None,
        outcome: None,
        proposal: None,
        next_step: None,
        next_on: None,
        none_because: None,
        follows: None,
        hold: None,
        promise: None,
        at: now(),
        counted_on: None,
        actor: "user:jo".to_owned(),
        reason: "weekly".to_owned(),
        recorded_at: now(),
    }
}

fn field(said: &Said) -> &'static str {
    match follows(said, now()) {
        Err(ContactRefused::Wrong { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_outcome_says_what_follows() {
    for outcome in ContactOutcome::ALL {
        let somewhere = Channel::ALL.iter().any(|channel| {
            let said = Said {
                channel: *channel,
                ..call(*outcome)
            };
            follows(&said, now()).is_ok()
        });
        assert!(somewhere, "{}", outcome.name());
        assert_ne!(title(*outcome), outcome.name());
    }
    assert!(is_restricted(ContactOutcome::VulnerabilityTold));
}

/// Every row of the table can be said of some contact, and what it places is a kind
/// of hold that stops letters.
#[test]
fn the_table_of_outcomes_is_whole() {
    let all = outcomes(None, None, today());
    assert_eq!(all.len(), ContactOutcome::ALL.len());
    for one in &all {
        assert!(
            !one.ours.is_empty() || !one.theirs.is_empty(),
            "{}",
            one.title
        );
        if let Some(kind) = one.hold {
            let effect = stops::effect(kind, today()).unwrap();
            assert_ne!(effect.contact, stops::Contact::All, "{}", one.title);
            assert!(!effect.escalates, "{}", one.title);
        }
    }
    let of = |channel, direction| -> Vec<ContactOutcome> {
        outcomes(Some(channel), Some(direction), today())
            .into_iter()
            .map(|one| one.outcome)
            .collect()
    };
    assert!(!of(Channel::Phone, Direction::Out).contains(&ContactOutcome::Bounced));
    assert!(!of(Channel::Email, Direction::In).contains(&ContactOutcome::NoAnswer));
    assert!(!of(Channel::Letter, Direction::Out).contains(&ContactOutcome::Promised));
    assert!(of(Channel::Letter, Direction::In).contains(&ContactOutcome::DeceasedTold));
}

/// E37: who tells that the debtor has died stops all letters by it; the words are
/// not for everybody (E99), and next is whoever looks after the estate.
#[test]
fn e37_told_of_a_death_holds_everything_and_asks_for_the_executor() {
    let mut said = call(ContactOutcome::DeceasedTold);
    said.direction = Direction::In;
    (said.next_step, said.next_on) = (None, None);
    let after = follows(&said, now()).unwrap();
    let told = after.hold.unwrap();
    assert_eq!(told.kind, HoldKind::Deceased);
    assert!(after.next_step.unwrap().contains("executor"));
    assert_eq!(after.next_on, today().checked_add_days(Days::new(14)));
    assert!(is_restricted(ContactOutcome::DeceasedTold));
    // What a person says is next goes before.
    let mut own = call(ContactOutcome::DeceasedTold);
    own.next_step = Some("write to the solicitor".to_owned());
    let after = follows(&own, now()).unwrap();
    assert_eq!(after.next_step, own.next_step);
    // The hold is of the whole account, until a person confirms it.
    let contact = kept(ContactState::Done, Direction::In, Channel::Phone);
    let mut hold = Hold::told(HoldId::generate(), told, &contact, today());
    assert!(hold.is_active() && hold.unconfirmed && hold.documents.is_empty());
    assert_eq!((hold.ends_on, hold.owner.as_str()), (None, "user:jo"));
    assert_eq!(hold.told_in, Some(contact.id));
    let kept = stops::effect(HoldKind::Deceased, today()).unwrap();
    hold.confirm(kept, today());
    assert!(!hold.unconfirmed);
    assert_eq!(hold.review_on, Some(kept.review_on(today())));
}

/// E79: what one person is told mutes everybody's runs; which hold it is says the
/// table.
#[test]
fn e79_what_is_told_places_its_kind_of_hold() {
    for (outcome, kind) in [
        (ContactOutcome::VulnerabilityTold, HoldKind::Vulnerable),
        (ContactOutcome::InsolvencyTold, HoldKind::Insolvency),
        (ContactOutcome::BreathingSpaceTold, HoldKind::BreathingSpace),
        (ContactOutcome::DebtAdviceTold, HoldKind::DebtAdvice),
        (ContactOutcome::Complains, HoldKind::Complaint),
        (ContactOutcome::ObjectsToData, HoldKind::DataObjection),
    ] {
        let after = follows(&call(outcome), now()).unwrap();
        assert_eq!(after.hold.map(|hold| hold.kind), Some(kind));
    }
    assert_eq!(
        follows(&call(ContactOutcome::Refuses), now()).unwrap().hold,
        None
    );
    // Thirty days for debt advice, today with them; then as the kind does.
    let told = follows(&call(ContactOutcome::DebtAdviceTold), now())
        .unwrap()
        .hold
        .unwrap();
    let contact = kept(ContactState::Done, Direction::Out, Channel::Phone);
    let hold = Hold::told(HoldId::generate(), told, &contact, today());
    assert_eq!(hold.ends_on, today().checked_add_days(Days::new(29)));
}

#[test]
fn a_promise_is_made_only_where_one_was() {
    let mut said = call(ContactOutcome::Promised);
    said.with_promise = true;
    (said.next_step, said.next_on) = (None, None);
    // Nobody need look after it: its day decides.
    assert!(follows(&said, now()).unwrap().none_because.is_some());
    said.outcome = Some(ContactOutcome::Refuses);
    assert_eq!(field(&said), "/promise");
    said.outcome = None;
    said.channel = Channel::Email;
    assert_eq!(field(&said), "/promise");
}

/// The field's own rule: a call ends with an outcome and a next step.
#[test]
fn a_call_of_ours_has_an_outcome_and_a_next_step() {
    let full = call(ContactOutcome::NoAnswer);
    assert!(follows(&full, now()).is_ok());
    let mut one = full.clone();
    one.outcome = None;
    assert_eq!(field(&one), "/outcome");
    let mut one = full.clone();
    one.next_on = None;
    assert_eq!(field(&one), "/next_on");
    one.next_step = None;
    assert_eq!(field(&one), "/next_step");
    one.none_because = Some("it is paid".to_owned());
    assert!(follows(&one, now()).is_ok());
    let mut one = full.clone();
    one.next_on = today().pred_opt();
    assert_eq!(field(&one), "/next_on");
    let mut one = full.clone();
    one.none_because = Some("it is paid".to_owned());
    assert_eq!(field(&one), "/none_because");
    let mut one = full;
    one.at = now() + TimeDelta::minutes(1);
    assert_eq!(field(&one), "/at");
    // A call that came in needs no next step, and an outcome.
    let mut one = call(ContactOutcome::PaidAlready);
    one.direction = Direction::In;
    (one.next_step, one.next_on) = (None, None);
    assert_eq!(follows(&one, now()).unwrap().counted_on, None);
}

/// E66: what came back is no reminder, and its address is given up.
#[test]
fn e66_what_came_back_counts_as_no_stage() {
    let mut said = call(ContactOutcome::GoneAway);
    said.channel = Channel::Letter;
    let follows = follows(&said, now()).unwrap();
    assert_eq!(
        (follows.void, follows.counted_on, follows.way),
        (true, None, Some(Way::Unusable))
    );
    for (state, expected) in [
        (
            ContactState::Printed,
            Ok(Named::CameBack(ContactState::GoneAway)),
        ),
        (
            ContactState::Posted,
            Ok(Named::CameBack(ContactState::GoneAway)),
        ),
        (ContactState::Done, Ok(Named::NextStep)),
    ] {
        let letter = kept(state, Direction::Out, Channel::Letter);
        assert_eq!(
            named(&letter, &said, &follows),
            expected,
            "{}",
            state.name()
        );
    }
    let email = kept(ContactState::Sent, Direction::Out, Channel::Email);
    assert!(named(&email, &said, &follows).is_err());
    assert_eq!(
        step(&email, ContactStep::CameBack).unwrap(),
        (ContactState::Bounced, true)
    );
}

/// E65: what nobody knew of is said to be sent or not, once.
#[test]
fn e65_a_person_says_what_became_of_it() {
    let unknown = kept(ContactState::Unknown, Direction::Out, Channel::Email);
    assert_eq!(
        step(&unknown, ContactStep::Sent).unwrap(),
        (ContactState::Sent, false)
    );
    assert_eq!(
        step(&unknown, ContactStep::NotSent).unwrap(),
        (ContactState::Failed, true)
    );
    let sent = kept(ContactState::Sent, Direction::Out, Channel::Email);
    for refused in [ContactStep::Sent, ContactStep::NotSent, ContactStep::Posted] {
        assert!(step(&sent, refused).is_err());
    }
    let printed = kept(ContactState::Printed, Direction::Out, Channel::Letter);
    assert_eq!(
        step(&printed, ContactStep::Posted).unwrap(),
        (ContactState::Posted, false)
    );
}

#[test]
fn a_call_that_was_due_is_done_in_its_own_way() {
    let due = kept(ContactState::Todo, Direction::Out, Channel::Phone);
    let said = call(ContactOutcome::Promised);
    let after = follows(&said, now()).unwrap();
    assert_eq!(named(&due, &said, &after), Ok(Named::Done));
    let mut visit = said;
    visit.channel = Channel::Visit;
    assert!(named(&due, &visit, &after).is_err());
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

fn saids() -> impl Strategy<Value = Said> {
    (
        any_of(Direction::ALL),
        any_of(Channel::ALL),
        proptest::option::of(any_of(ContactOutcome::ALL)),
        0..3_u8,
        0_i64..5000,
        ".{0,80}",
    )
        .prop_map(|(direction, channel, outcome, next, minutes, note)| Said {
            direction,
            channel,
            outcome,
            next_step: (next == 0).then(|| "write".to_owned()),
            next_on: (next == 0).then(today),
            none_because: (next == 1).then(|| "paid".to_owned()),
            at: now() - TimeDelta::minutes(minutes),
            note: Some(note),
            with_promise: false,
        })
}

proptest! {
    /// E61: only what we did counts, on the day that it happened; what reached
    /// nobody does not.
    #[test]
    fn e61_the_budget_counts_what_we_did(said in saids()) {
        if let Ok(Follows { counted_on, void, .. }) = follows(&said, now()) {
            if said.direction == Direction::In || void {
                prop_assert_eq!(counted_on, None);
            } else {
                prop_assert_eq!(counted_on, Some(london_date(said.at)));
            }
        }
    }

    /// An outcome is taken exactly on the channels and in the directions that the
    /// list of it shows.
    #[test]
    fn what_the_list_shows_is_what_is_taken(said in saids()) {
        if let Some(outcome) = said.outcome {
            let shown = outcomes(Some(said.channel), Some(said.direction), today());
            let is_shown = shown.iter().any(|one| one.outcome == outcome);
            let refused = matches!(follows(&said, now()), Err(ContactRefused::Wrong { field: "/outcome", .. }));
            prop_assert_eq!(is_shown, !refused);
        }
    }

    /// A message that came in changes nothing by itself, whatever it says: what
    /// it seems to mean is a proposal.
    #[test]
    fn a_message_is_a_proposal_until_a_person_reads_it(said in saids(), words in ".{0,60}unsubscribe.{0,60}") {
        let message = Said { direction: Direction::In, outcome: None, channel: Channel::Email, note: Some(words), ..said };
        if let Ok(after) = follows(&message, now()) {
            prop_assert_eq!((after.way, after.void, after.counted_on), (None, false, None));
            prop_assert_eq!(after.proposal, Some(ContactOutcome::OptedOut));
        }
    }

    /// No call of ours is written down without what came of it and what is next.
    #[test]
    fn a_call_never_ends_without_a_next_step(said in saids()) {
        let by_mouth = matches!(said.channel, Channel::Phone | Channel::Visit);
        if let Ok(after) = follows(&said, now()) && by_mouth {
            prop_assert!(said.outcome.is_some());
            prop_assert_eq!(after.next_step.is_some(), after.next_on.is_some());
            let next = after.next_step.is_some() || after.none_because.is_some();
            prop_assert!(next || said.direction == Direction::In);
        }
    }

    /// Every state takes each step at most to one other, and what is not ours is
    /// never said to be sent or posted.
    #[test]
    fn only_what_was_sent_comes_back(state in any_of(ContactState::ALL), channel in any_of(Channel::ALL)) {
        let contact = kept(state, Direction::Out, channel);
        let went = matches!(state, ContactState::Sent | ContactState::Printed | ContactState::Posted
            | ContactState::Delivered | ContactState::Unknown);
        match step(&contact, ContactStep::CameBack) {
            Ok((after, void)) => {
                prop_assert!(went && void);
                prop_assert!(matches!(after, ContactState::Bounced | ContactState::GoneAway));
            }
            Err(_) => prop_assert!(!went),
        }
    }
}
