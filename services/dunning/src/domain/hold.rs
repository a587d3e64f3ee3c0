//! Holds: who placed one, until when, and what it stops.

use chrono::{Days, NaiveDate};
use contracts::dunning::{ContactId, HoldId, HoldKind, HoldState};
use kernel::{AccountId, DocumentId};
use serde::{Deserialize, Serialize};

use super::{
    contact::{Contact, ToldHold},
    stops::{Effect, Part, Stop, StopKind},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: HoldId,
    pub version: i64,
    pub kind: HoldKind,
    pub state: HoldState,
    pub account: AccountId,
    pub account_ref: String,
    /// Whose it is; everybody's when nobody of them is named (E97).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<String>,
    /// The whole account when empty.
    pub documents: Vec<DocumentId>,
    pub starts_on: NaiveDate,
    pub ends_on: Option<NaiveDate>,
    pub review_on: Option<NaiveDate>,
    /// What was issued after this day is not stopped (E74).
    pub cut_off_on: Option<NaiveDate>,
    pub owner: String,
    pub reference: Option<String>,
    pub reason: String,
    pub ended_on: Option<NaiveDate>,
    pub warnings: Vec<String>,
    /// The contact that it was told of in, when that placed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_in: Option<ContactId>,
    /// Nobody has confirmed what was told yet.
    #[serde(default)]
    pub unconfirmed: bool,
}

/// Who may read why somebody is not chased when that is about their health,
/// their death or their safety (E99).
const READERS: [&str; 3] = ["team_leader", "manager", "cfo"];

/// Whether the words of a kind are not for everybody.
pub const fn is_restricted(kind: HoldKind) -> bool {
    matches!(
        kind,
        HoldKind::Deceased | HoldKind::Vulnerable | HoldKind::MentalHealthCrisis
    )
}

pub fn may_read(kind: HoldKind, roles: &[String]) -> bool {
    !is_restricted(kind) || roles.iter().any(|role| READERS.contains(&role.as_str()))
}

/// Of whom something was told, by whom, and in which words.
pub struct Teller<'t> {
    pub account: AccountId,
    pub account_ref: &'t str,
    /// Which of the joint debtors it is told of, if somebody said so.
    pub debtor: Option<&'t str>,
    pub actor: &'t str,
    pub reason: &'t str,
}

impl Hold {
    /// What was told in a contact stops the whole account from today. Who took the
    /// contact looks into it.
    pub fn told(id: HoldId, told: ToldHold, contact: &Contact, today: NaiveDate) -> Self {
        let teller = Teller {
            account: contact.account,
            account_ref: &contact.account_ref,
            debtor: contact.debtor.as_deref(),
            actor: &contact.actor,
            reason: &contact.reason,
        };
        Self {
            told_in: Some(contact.id),
            ..Self::heard(id, told, &teller, today)
        }
    }

    /// What was told stops the whole account from today, until somebody confirms or
    /// cancels it.
    pub fn heard(id: HoldId, told: ToldHold, teller: &Teller<'_>, today: NaiveDate) -> Self {
        let after = |days| today.checked_add_days(Days::new(days));
        Self {
            id,
            version: 1,
            kind: told.kind,
            state: HoldState::Active,
            account: teller.account,
            account_ref: teller.account_ref.to_owned(),
            debtor: teller.debtor.map(str::to_owned),
            documents: Vec::new(),
            starts_on: today,
            ends_on: told.days.and_then(|days| after(days.saturating_sub(1))),
            review_on: after(told.review),
            cut_off_on: None,
            owner: teller.actor.to_owned(),
            reference: None,
            reason: teller.reason.to_owned(),
            ended_on: None,
            warnings: Vec::new(),
            told_in: None,
            unconfirmed: true,
        }
    }

    /// A person says that it is so: from now on it lasts as its kind does.
    pub fn confirm(&mut self, effect: &Effect, today: NaiveDate) {
        self.unconfirmed = false;
        self.ends_on = effect.ends_on(self.starts_on);
        self.review_on = Some(effect.review_on(today));
    }

    pub fn is_active(&self) -> bool {
        self.state == HoldState::Active
    }

    /// What it stops. One that should not have been has stopped nothing: it is
    /// over on the day that it began.
    pub fn stop(&self) -> Stop {
        Stop {
            subject: self.id.as_uuid(),
            debtor: self.debtor.clone(),
            kind: StopKind::Hold(self.kind),
            parts: self
                .documents
                .iter()
                .map(|document| Part {
                    document: *document,
                    amount: None,
                })
                .collect(),
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            ended_on: match self.state {
                HoldState::Cancelled => Some(self.starts_on),
                _ => self.ended_on,
            },
        }
    }
}
