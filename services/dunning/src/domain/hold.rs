//! Holds: who placed one, until when, and what it stops.

use chrono::NaiveDate;
use contracts::dunning::{HoldId, HoldKind, HoldState};
use kernel::{AccountId, DocumentId};
use serde::{Deserialize, Serialize};

use super::stops::{Part, Stop, StopKind};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: HoldId,
    pub version: i64,
    pub kind: HoldKind,
    pub state: HoldState,
    pub account: AccountId,
    pub account_ref: String,
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

impl Hold {
    pub fn is_active(&self) -> bool {
        self.state == HoldState::Active
    }

    /// What it stops. One that should not have been has stopped nothing: it is
    /// over on the day that it began.
    pub fn stop(&self) -> Stop {
        Stop {
            subject: self.id.as_uuid(),
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
