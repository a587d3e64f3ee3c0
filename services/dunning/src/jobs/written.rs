//! What is written to a debtor, by whichever way.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{Channel, ContactChanged, ContactItem, ContactState, Direction};
use kernel::Money;
use mail::{Attached, Email};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    consume::judge::SYSTEM,
    domain::{
        joint::{self, Joint},
        letter,
        template::{Addressee, Facts, Filled, Sender, Template},
    },
    store::{contacts::Written, dispatch::Queued, enclosures::Enclosed},
};

/// Whom it goes to: the account, or one of those who owe it together (E97).
pub(crate) struct To {
    pub(crate) debtor: Option<String>,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) address: Option<String>,
    /// Who owes it together, as their letters say.
    pub(crate) joint: Option<String>,
}

impl To {
    pub(crate) fn of(one: &Queued, debtor: Option<&Joint>, all: &[Joint]) -> Self {
        match debtor {
            None => Self {
                debtor: None,
                name: one.name.clone(),
                email: one.email.clone(),
                phone: one.phone.clone(),
                address: one.address.clone(),
                joint: None,
            },
            Some(debtor) => Self {
                debtor: Some(debtor.debtor_ref.clone()),
                name: debtor.name.clone(),
                email: debtor.email.clone(),
                phone: debtor.phone.clone(),
                address: debtor.address.clone(),
                joint: joint::words(all),
            },
        }
    }

    pub(crate) fn addressee(&self, one: &Queued) -> Addressee {
        Addressee {
            r#ref: one.account_ref.clone(),
            name: self.name.clone(),
            address: self.address.clone(),
        }
    }
}

/// What is to be written, and to whom.
pub(crate) struct Making<'a> {
    pub(crate) one: &'a Queued,
    pub(crate) to: &'a To,
    pub(crate) sender: &'a Sender,
    pub(crate) channel: Channel,
    pub(crate) template: &'a Template,
    pub(crate) facts: &'a Facts,
    pub(crate) enclosed: Vec<Enclosed>,
    pub(crate) stage: &'a str,
    pub(crate) title: &'a str,
    pub(crate) items: Vec<ContactItem>,
    /// In the order of the items; none where it is no stage.
    pub(crate) ranks: Vec<Option<i16>>,
    pub(crate) amounts: Vec<Money>,
    pub(crate) counted_on: Option<NaiveDate>,
}

fn contact_of(one: &Queued, to: &To) -> Uuid {
    joint::contact_id(one.run_id, one.account_id, to.debtor.as_deref())
}

/// What is printed on a letter for the debtor to quote.
pub(crate) fn reference(one: &Queued, to: &To) -> String {
    let number = contact_of(one, to).simple().to_string();
    let short = number.get(..8).unwrap_or_default();
    format!("{}/{short}", one.account_ref)
}

struct Made<'a> {
    state: ContactState,
    media_type: &'static str,
    bytes: Vec<u8>,
    address: Option<&'a str>,
}

fn made<'a>(making: &Making<'a>, filled: &Filled, now: DateTime<Utc>) -> Result<Made<'a>, Failure> {
    let (one, to, facts) = (making.one, making.to, making.facts);
    let todo = |address| Made {
        state: ContactState::Todo,
        media_type: "text/plain",
        bytes: letter::text(filled, facts).into_bytes(),
        address,
    };
    let names: Vec<String> = making
        .enclosed
        .iter()
        .map(|one| format!("{}.pdf", one.name.replace('_', "-")))
        .collect();
    let attached: Vec<Attached<'_>> = making
        .enclosed
        .iter()
        .zip(&names)
        .map(|(one, name)| Attached {
            name,
            bytes: &one.bytes,
        })
        .collect();
    Ok(match making.channel {
        Channel::Email => Made {
            state: ContactState::Claimed,
            media_type: "message/rfc822",
            bytes: Email {
                from: (&making.sender.name, &making.sender.email),
                to: to.email.as_deref().unwrap_or_default(),
                about: contact_of(one, to),
                at: now,
                subject: &filled.subject,
                text: &letter::text(filled, facts),
                html: Some(&letter::html(filled, facts)),
                attached: &attached,
            }
            .bytes()?,
            address: to.email.as_deref(),
        },
        Channel::Letter => Made {
            state: ContactState::Printed,
            media_type: "application/pdf",
            bytes: letter::pdf(filled, facts, &reference(one, to)),
            address: to.address.as_deref(),
        },
        Channel::Phone => todo(to.phone.as_deref()),
        Channel::Visit => todo(to.address.as_deref()),
    })
}

/// Makes it; or why it cannot be made.
pub(crate) fn write(now: DateTime<Utc>, making: Making<'_>) -> Result<Written, String> {
    let filled = making
        .template
        .fill(making.facts)
        .map_err(|e| e.to_string())?;
    let made =
        made(&making, &filled, now).map_err(|error| format!("no e-mail can be made: {error}"))?;
    let sha256 = hex::encode(Sha256::digest(&made.bytes));
    let todo = made.state == ContactState::Todo;
    let one = making.one;
    let event = ContactChanged {
        contact_id: contact_of(one, making.to).into(),
        version: 1,
        direction: Direction::Out,
        channel: making.channel,
        state: made.state,
        account_id: one.account_id.into(),
        account_ref: one.account_ref.clone(),
        debtor_ref: making.to.debtor.clone(),
        run_id: Some(one.run_id.into()),
        stage: Some(making.stage.to_owned()),
        items: making.items,
        amounts: making.amounts,
        content_sha256: Some(sha256.clone()),
        outcome: None,
        next_step: todo.then(|| making.title.to_owned()),
        next_on: todo.then_some(making.facts.on),
        at: now,
        cause: Some(one.run_id),
        recorded_at: now,
        actor: SYSTEM.to_owned(),
        reason: making.title.to_owned(),
    };
    Ok(Written {
        event,
        media_type: made.media_type,
        address: made.address.map(str::to_owned),
        bytes: made.bytes,
        sha256,
        enclosed: making.enclosed,
        ranks: making.ranks,
        policy: one.policy.clone(),
        policy_version: one.policy_version,
        template: making.template.template.clone(),
        template_version: making.template.version,
        counted_on: making.counted_on,
    })
}
