//! Why debts are chased or not.

use chrono::NaiveDate;
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::call,
    dunning::{ChaseReason, HoldKind},
};

/// Why each overdue item of an account is chased or not, now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetStanding {
    pub account_id: AccountId,
}

call!(GetStanding => Dunning."standing"."get" -> Standing);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    pub account_id: AccountId,
    /// The policy and its version, such as `trade_credit v1`.
    pub policy: Option<String>,
    /// Overdue items, and those that a stage before the due day has come for.
    pub items: Vec<ItemStanding>,
    /// The stage of the contact that is due now.
    pub next_contact: Option<String>,
    /// Since when nothing is supplied to them on credit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_stopped_on: Option<NaiveDate>,
}

/// One item and the one reason that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemStanding {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub open: Money,
    /// What may be chased of it now.
    pub chaseable: Money,
    pub reason: ChaseReason,
    pub hold: Option<HoldKind>,
    /// The stage that it has come to.
    pub stage: Option<String>,
    /// The stage that is next.
    pub next_stage: Option<String>,
    /// When something changes by itself, if that is known.
    pub next_on: Option<NaiveDate>,
}
