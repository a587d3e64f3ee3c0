//! Calls that are due, contacts that nobody knows the fate of, messages to read,
//! next steps of contacts, and debtors whom a way does not reach any more.

use chrono::NaiveTime;
use contracts::dunning::{
    Channel, ContactChanged, ContactItem, ContactRecorded, ContactState, ContactWay, Direction,
    ReachChanged, ReachState,
};
use kernel::{Money, london_time};
use messaging::{Failure, Raw};
use uuid::Uuid;

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

const CALL: &str = "call_due";
const UNKNOWN: &str = "contact_unknown";
const REPLY: &str = "reply_to_read";
const NEXT: &str = "follow_up";
const TRACE: &str = "debtor_to_trace";
const MISSING: &str = "address_missing";

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

/// The one sum, if they are of one currency.
fn sum(amounts: &[Money]) -> Option<Money> {
    match amounts {
        [one] => Some(*one),
        _ => None,
    }
}

/// What dunning did with a contact. Only what calls for a person is work.
pub(super) fn changed(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let contact: ContactChanged = raw.json()?;
    let opening = |detail: String| {
        Change::Open(Box::new(Opening {
            subject_ref: contact.account_ref.clone(),
            detail,
            account_id: Some(contact.account_id.as_uuid()),
            account_ref: Some(contact.account_ref.clone()),
            amount: sum(&contact.amounts),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: contact.recorded_at,
            since: contact.recorded_at,
            business_at: contact.at,
            related_id: None,
        }))
    };
    let by_mouth = matches!(contact.channel, Channel::Phone | Channel::Visit);
    let (kind, change) = match contact.state {
        ContactState::Todo => {
            let step = contact.next_step.as_deref().unwrap_or(&contact.reason);
            let to = contact
                .debtor_ref
                .as_deref()
                .map_or_else(String::new, |debtor| format!(" to {debtor}"));
            let what = match contact.channel {
                Channel::Visit => "visit",
                _ => "call",
            };
            (
                CALL,
                opening(format!("{step}: {what}{to}{}", about(&contact.items))),
            )
        }
        ContactState::Unknown => {
            let detail = format!(
                "{}{}: {}",
                contact.channel.name(),
                about(&contact.items),
                contact.reason
            );
            (UNKNOWN, opening(detail))
        }
        _ if by_mouth => (CALL, Change::CloseIfThere),
        // A first claim and its end are no news to anybody here.
        _ if contact.version > 2 => (UNKNOWN, Change::CloseIfThere),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Signal {
        kind,
        subject_id: contact.contact_id.as_uuid(),
        subject_version: contact.version,
        change,
        actor: contact.actor,
        reason: contact.reason,
        at: contact.recorded_at,
    }])
}

/// What a person wrote down of one.
pub(super) fn recorded(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let contact: ContactRecorded = raw.json()?;
    let signal = |kind, subject_id, subject_version, change| Signal {
        kind,
        subject_id,
        subject_version,
        change,
        actor: contact.actor.clone(),
        reason: contact.reason.clone(),
        at: contact.recorded_at,
    };
    let opening = |detail: String| Opening {
        subject_ref: contact.account_ref.clone(),
        detail,
        account_id: Some(contact.account_id.as_uuid()),
        account_ref: Some(contact.account_ref.clone()),
        amount: None,
        wanted: None,
        back_on: None,
        pause: None,
        starts_at: contact.recorded_at,
        since: contact.recorded_at,
        business_at: contact.at,
        related_id: None,
    };
    let (id, version) = (contact.contact_id.as_uuid(), contact.version);
    let mut signals = Vec::new();
    if let Some(followed) = &contact.follows {
        let earlier = followed.contact_id.as_uuid();
        signals.push(signal(
            NEXT,
            earlier,
            followed.version,
            Change::CloseIfThere,
        ));
    }
    if version > 1 {
        for kind in [CALL, UNKNOWN] {
            signals.push(signal(kind, id, version, Change::CloseIfThere));
        }
    }
    if contact.direction == Direction::In && contact.outcome.is_none() {
        let seems = contact.proposal.map_or_else(String::new, |proposal| {
            format!(": seems to say {}", words(proposal.name()))
        });
        let detail = format!("{} received{seems}", contact.channel.name());
        let change = Change::Open(Box::new(opening(detail)));
        signals.push(signal(REPLY, id, version, change));
    } else if version > 1 {
        signals.push(signal(REPLY, id, version, Change::CloseIfThere));
    }
    if let (Some(step), Some(on)) = (&contact.next_step, contact.next_on) {
        let due = london_time(on, NaiveTime::MIN);
        let opening = Opening {
            // Who said that they would do it.
            wanted: Some(contact.actor.clone()),
            back_on: Some(on),
            starts_at: due,
            since: due,
            ..opening(format!(
                "{step}, after {}: {}",
                contact.channel.name(),
                contact.reason
            ))
        };
        signals.push(signal(NEXT, id, version, Change::Open(Box::new(opening))));
    }
    Ok(signals)
}

fn way(way: &ContactWay) -> String {
    let because = way.because.map_or("unusable", |because| because.name());
    let since = way.since.map_or_else(String::new, |on| {
        format!(" since {}", on.format("%d/%m/%Y"))
    });
    format!("{}: {}{since}", way.channel.name(), words(because))
}

/// The work of finding an address is about the account, and of its own.
fn trace_of(account: Uuid) -> Uuid {
    Uuid::new_v5(&account, b"reach")
}

/// An address that turned out to be wrong is looked for by a person (E66); so is
/// a way to somebody whom none reaches that they want. Somebody of whom no address
/// was ever known is asked for one: another work, of another kind.
pub(super) fn reach(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let reach: ReachChanged = raw.json()?;
    let of = |state| reach.ways.iter().filter(move |way| way.state == state);
    let wrong: Vec<String> = of(ReachState::Unusable)
        .filter(|one| one.channel != Channel::Visit)
        .map(way)
        .collect();
    let left: Vec<&str> = of(ReachState::Usable)
        .map(|way| way.channel.name())
        .collect();
    let opening = |detail: String| {
        Change::Open(Box::new(Opening {
            subject_ref: reach.account_ref.clone(),
            detail,
            account_id: Some(reach.account_id.as_uuid()),
            account_ref: Some(reach.account_ref.clone()),
            amount: None,
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: reach.recorded_at,
            since: reach.recorded_at,
            business_at: reach.recorded_at,
            related_id: None,
        }))
    };
    let none = of(ReachState::NoAddress).count() == reach.ways.len();
    let trace = if none || (wrong.is_empty() && !left.is_empty()) {
        Change::CloseIfThere
    } else {
        let unwanted = of(ReachState::OptedOut).map(way);
        let shut: Vec<String> = wrong.iter().cloned().chain(unwanted).collect();
        let left = match left.as_slice() {
            [] => "nothing reaches them".to_owned(),
            left => format!("left: {}", left.join(", ")),
        };
        opening(format!("{}; {left}", shut.join(", ")))
    };
    let missing = if none && !reach.owes_nothing {
        opening("no e-mail address, telephone number or address is known".to_owned())
    } else {
        Change::CloseIfThere
    };
    let signal = |kind, change| Signal {
        kind,
        subject_id: trace_of(reach.account_id.as_uuid()),
        subject_version: reach.version,
        change,
        actor: reach.actor.clone(),
        reason: reach.reason.clone(),
        at: reach.recorded_at,
    };
    Ok(vec![signal(TRACE, trace), signal(MISSING, missing)])
}
