//! What dunning did with an account, in a sentence.

use chrono::NaiveDate;
use contracts::dunning::{
    Channel, ContactChanged, ContactItem, ContactRecorded, ContactState, Direction, HoldChanged,
    PlanChanged, PromiseChanged,
};
use kernel::Money;

fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn about(items: &[ContactItem]) -> String {
    match items {
        [] => String::new(),
        [one] => format!(" about {}", one.document_ref),
        all => format!(" about {} documents", all.len()),
    }
}

fn to(debtor: Option<&str>) -> String {
    debtor.map_or_else(String::new, |debtor| format!(" to {debtor}"))
}

const fn called(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "E-mail",
        Channel::Letter => "Letter",
        Channel::Phone => "Call",
        Channel::Visit => "Visit",
    }
}

fn day(day: NaiveDate) -> String {
    day.format("%-d %b %Y").to_string()
}

/// A letter or e-mail and what became of it; nothing of what is only claimed, because
/// it is told again at once.
pub(crate) fn sent(event: &ContactChanged) -> Option<String> {
    let state = match event.state {
        ContactState::Claimed => return None,
        ContactState::Todo => "to be made".to_owned(),
        state => words(state.name()),
    };
    let stage = event
        .stage
        .as_deref()
        .map_or_else(String::new, |stage| format!(" ({})", words(stage)));
    Some(format!(
        "{}{stage}{}{}: {state}",
        called(event.channel),
        to(event.debtor_ref.as_deref()),
        about(&event.items),
    ))
}

/// What a person wrote down.
pub(crate) fn recorded(event: &ContactRecorded) -> String {
    let from = match event.direction {
        Direction::In => " from them",
        Direction::Out => "",
    };
    let outcome = event.outcome.map_or_else(
        || "not read yet".to_owned(),
        |outcome| words(outcome.name()),
    );
    let with = event
        .debtor_ref
        .as_deref()
        .map_or_else(String::new, |debtor| format!(" with {debtor}"));
    format!(
        "{}{from}{with}{}: {outcome}",
        called(event.channel),
        about(&event.items)
    )
}

pub(crate) fn held(event: &HoldChanged) -> String {
    let whose = event
        .debtor_ref
        .as_deref()
        .map_or_else(String::new, |debtor| format!(" of {debtor} only"));
    let until = event
        .ends_on
        .map_or_else(String::new, |on| format!(" until {}", day(on)));
    format!(
        "Hold, {}{whose}: {} from {}{until}",
        words(event.kind.name()),
        words(event.state.name()),
        day(event.starts_on)
    )
}

pub(crate) fn promised(event: &PromiseChanged) -> String {
    agreed("Promise", event.state.name(), event.amount, event.received)
}

pub(crate) fn planned(event: &PlanChanged) -> String {
    agreed(
        "Payment plan",
        event.state.name(),
        event.amount,
        event.received,
    )
}

fn agreed(what: &str, state: &str, amount: Money, received: Money) -> String {
    let came = if received.is_positive() {
        format!(", {} received", received.display_uk())
    } else {
        String::new()
    };
    format!("{what} of {}: {}{came}", amount.display_uk(), words(state))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use contracts::dunning::{ContactId, HoldId, HoldKind, HoldState};
    use kernel::AccountId;

    use super::*;

    fn contact(state: ContactState) -> ContactChanged {
        ContactChanged {
            contact_id: ContactId::generate(),
            version: 1,
            direction: Direction::Out,
            channel: Channel::Letter,
            state,
            account_id: AccountId::generate(),
            account_ref: "HOUSE7".to_owned(),
            debtor_ref: Some("TEN-BEN".to_owned()),
            run_id: None,
            stage: Some("final_demand".to_owned()),
            items: Vec::new(),
            amounts: Vec::new(),
            content_sha256: None,
            outcome: None,
            next_step: None,
            next_on: None,
            at: DateTime::UNIX_EPOCH,
            cause: None,
            recorded_at: DateTime::UNIX_EPOCH,
            actor: "system:dunning".to_owned(),
            reason: String::new(),
        }
    }

    #[test]
    fn a_letter_says_at_which_stage_to_whom_and_what_became_of_it() {
        assert_eq!(
            sent(&contact(ContactState::GoneAway)).unwrap(),
            "Letter (final demand) to TEN-BEN: gone away"
        );
        assert_eq!(sent(&contact(ContactState::Claimed)), None);
    }

    /// E97: whose hold it is.
    #[test]
    fn e97_a_hold_says_whose_it_is() {
        let day: NaiveDate = "2026-02-10".parse().unwrap();
        let now: DateTime<Utc> = DateTime::UNIX_EPOCH;
        let event = HoldChanged {
            hold_id: HoldId::generate(),
            version: 1,
            kind: HoldKind::BreathingSpace,
            state: HoldState::Active,
            account_id: AccountId::generate(),
            account_ref: "HOUSE7".to_owned(),
            debtor_ref: Some("TEN-ANN".to_owned()),
            documents: Vec::new(),
            starts_on: day,
            ends_on: Some(day),
            review_on: None,
            owner: String::new(),
            reference: None,
            cause: None,
            recorded_at: now,
            actor: String::new(),
            reason: String::new(),
        };
        assert_eq!(
            held(&event),
            "Hold, breathing space of TEN-ANN only: active from 10 Feb 2026 until 10 Feb 2026"
        );
    }
}
