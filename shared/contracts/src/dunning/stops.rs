//! Holds: reasons not to chase.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::HoldId;
use crate::{Event, Role, names::names};

names! {
    /// Why a debt or a debtor is not chased. What each stops is data of dunning
    /// (`data/holds.toml`).
    HoldKind {
        /// Debt Respite Scheme, standard: 60 days (E73).
        BreathingSpace = "breathing_space",
        /// Debt Respite Scheme, mental-health crisis: the treatment and 30 days.
        MentalHealthCrisis = "mental_health_crisis",
        /// Winding-up, administration, CVA, liquidation, bankruptcy, IVA, DRO.
        Insolvency = "insolvency",
        /// Part A1 moratorium of a company.
        Moratorium = "moratorium",
        Deceased = "deceased",
        Vulnerable = "vulnerable",
        Complaint = "complaint",
        /// Objection to the use of their data, or identity theft alleged.
        DataObjection = "data_objection",
        /// With a solicitor, a court or an agency.
        Legal = "legal",
        /// Older than the law lets a claim be made.
        StatuteBarred = "statute_barred",
        /// The debtor takes debt advice.
        DebtAdvice = "debt_advice",
        /// A refund, an indemnity claim or a credit note is being worked on.
        Preparation = "preparation",
        /// What a person decides, with a reason in words.
        Other = "other",
    }
}

names! {
    HoldState {
        Active = "active",
        /// It came to its end, or was taken off.
        Ended = "ended",
        /// It should not have been: time that it stopped counts as if it had not.
        Cancelled = "cancelled",
    }
}

/// A hold is placed, changed or over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldChanged {
    pub hold_id: HoldId,
    pub version: i64,
    pub kind: HoldKind,
    pub state: HoldState,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors; it is everybody's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    /// The documents that it is about; the whole account when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentId>,
    pub starts_on: NaiveDate,
    /// The last day that it stops; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_on: Option<NaiveDate>,
    /// When somebody looks at it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_on: Option<NaiveDate>,
    /// Who answers for it.
    pub owner: String,
    /// Such as the number of a breathing space or of a court.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for HoldChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "hold_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
