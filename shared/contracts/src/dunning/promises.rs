//! Promises and payment plans.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PlanId, PromiseId};
use crate::{Event, Role, names::names};

/// What of a document is promised or on a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoveredItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    /// What was promised of it.
    pub amount: Money,
    /// What of it is still to come, and so not chased.
    pub left: Money,
}

/// One payment of a promise or plan, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instalment {
    pub due_on: NaiveDate,
    pub amount: Money,
    pub received: Money,
}

names! {
    PromiseState {
        Open = "open",
        Kept = "kept",
        /// Some of it came in time, and the time is over.
        PartlyKept = "partly_kept",
        /// The time is over; or it was kept and the payment bounced since (E86).
        Broken = "broken",
        /// Taken back by the debtor, or by us as no promise at all.
        Withdrawn = "withdrawn",
        /// Another promise took its place; counts against nobody (E83).
        Replaced = "replaced",
        /// What was promised was credited or given up instead (E87).
        Lapsed = "lapsed",
    }
}

/// A promise is new, or something came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromiseChanged {
    pub promise_id: PromiseId,
    pub version: i64,
    pub state: PromiseState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PromiseState>,
    pub account_id: AccountId,
    pub account_ref: String,
    pub items: Vec<CoveredItem>,
    /// At least one.
    pub instalments: Vec<Instalment>,
    pub amount: Money,
    pub received: Money,
    /// The last day on which it counts as kept: the grace is in it.
    pub judged_on: NaiveDate,
    /// How many promises of the account were broken before it.
    pub level: u32,
    /// How it is to be paid, such as `cheque` (E85).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Who at the debtor's promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_by: Option<String>,
    /// Kept, and broken since because a payment was returned.
    #[serde(default)]
    pub late_reversal: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<PromiseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for PromiseChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "promise_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

names! {
    PlanState {
        Active = "active",
        Completed = "completed",
        /// Instalments were missed beyond what the plan allows.
        Defaulted = "defaulted",
        Cancelled = "cancelled",
    }
}

/// A plan is new, or something came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanChanged {
    pub plan_id: PlanId,
    pub version: i64,
    pub state: PlanState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PlanState>,
    pub account_id: AccountId,
    pub account_ref: String,
    pub items: Vec<CoveredItem>,
    pub instalments: Vec<Instalment>,
    pub amount: Money,
    pub received: Money,
    /// Instalments that are late beyond the grace.
    pub missed: u32,
    /// Whether no interest runs while it is kept.
    pub interest_frozen: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for PlanChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "plan_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
