//! Claims for late payment.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChargeId;
use crate::{Event, Role, names::names};

names! {
    ChargeKind {
        /// Interest for late payment.
        Interest = "interest",
        /// The fixed sum of section 5A of the Act.
        Compensation = "compensation",
        /// What a policy charges for a reminder.
        Fee = "fee",
        /// What a claim costs: court fees, a solicitor, an agency.
        Costs = "costs",
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
