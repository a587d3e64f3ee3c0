//! Messages with money in them that a service could not handle.

use contracts::dead_letters::{DeadLetterChanged, DeadLetterState};
use messaging::{Failure, Raw};

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

/// Every service says so on its own subject.
pub(super) const CHANGED: &str = ".dead_letter_changed.v1";
const KIND: &str = "dead_letter";

pub(super) fn changed(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let letter: DeadLetterChanged = raw.json()?;
    let change = match letter.state {
        DeadLetterState::Waiting => Change::Open(Box::new(Opening {
            // What it is about is what could not be read: the message names it.
            subject_ref: letter
                .message_type
                .clone()
                .unwrap_or_else(|| letter.subject.clone()),
            detail: format!("{}: {}, {}", letter.service, letter.code, letter.subject),
            account_id: None,
            account_ref: None,
            amount: letter.amount,
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: letter.failed_at,
            since: letter.failed_at,
            business_at: letter.failed_at,
            related_id: Some(letter.message_id),
        })),
        DeadLetterState::Replayed | DeadLetterState::Discarded => Change::Close,
    };
    Ok(vec![Signal {
        kind: KIND,
        subject_id: letter.dead_letter_id,
        subject_version: letter.version,
        change,
        actor: letter.actor,
        reason: letter.reason,
        at: letter.recorded_at,
    }])
}
