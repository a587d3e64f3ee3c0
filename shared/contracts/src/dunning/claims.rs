//! Claims for late payment, and debts that are with somebody else.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ChargeId, ReferralId};
use crate::{Event, Role, names::names};

names! {
    ChargeKind {
        /// Interest for late payment.
        Interest = "interest",
        /// The fixed sum of section 5A of the Act.
        Compensation = "compensation",
        /// What a policy charges for a reminder.
        Fee = "fee",
    }
}

names! {
    ChargeState {
        /// It is on the ledger as an item of its own.
        Posted = "posted",
        /// Given up; the item is credited.
        Waived = "waived",
        /// It should not have been: the payment was in time, the dispute upheld.
        Reversed = "reversed",
    }
}

/// A claim for late payment is posted, or taken back. Allocation makes an item
/// of it, and credits it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeChanged {
    pub charge_id: ChargeId,
    pub version: i64,
    pub kind: ChargeKind,
    pub state: ChargeState,
    pub account_id: AccountId,
    pub account_ref: String,
    /// The document that was late.
    pub document_id: DocumentId,
    pub document_ref: String,
    /// The number of the item that it becomes, such as `LPI-000042`.
    pub charge_ref: String,
    pub amount: Money,
    pub charged_on: NaiveDate,
    /// The working, line by line, to be printed.
    pub working: Vec<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ChargeChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "charge_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

names! {
    ReferralState {
        /// The letter before action or of claim is out, and its clock runs.
        Claimed = "claimed",
        /// The debtor answered: another clock.
        Answered = "answered",
        /// Nothing more must be waited for.
        Ready = "ready",
        /// With a solicitor, a court or an agency.
        Placed = "placed",
        /// Everything is paid but what the chase cost (E76).
        CostsOnly = "costs_only",
        Recalled = "recalled",
        /// Paid, or given up.
        Closed = "closed",
    }
}

/// A debt is on its way to a solicitor or an agency, or comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralChanged {
    pub referral_id: ReferralId,
    pub version: i64,
    pub state: ReferralState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ReferralState>,
    pub account_id: AccountId,
    pub account_ref: String,
    pub documents: Vec<DocumentId>,
    pub amount: Money,
    /// The solicitor, court or agency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_with: Option<String>,
    /// The day from which the next step may be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<NaiveDate>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ReferralChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "referral_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
