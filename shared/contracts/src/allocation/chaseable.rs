//! What of a debt may be chased now, and why not the rest.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, EventId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role};

/// Why a part of a debt is not chased.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum TermKind {
    /// The debtor disputes it.
    Disputed,
    /// The debtor promised to pay it, and the day has not come.
    Promised,
    /// It is paid by a plan that is kept.
    OnPlan,
    /// A Direct Debit for it is under way.
    InDirectDebit,
    /// Cash that seems to be the debtor's has not been allocated yet.
    LikelyTheirs,
    /// A credit note of the account has not been used.
    UnappliedCredit,
}

impl TermKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disputed => "disputed",
            Self::Promised => "promised",
            Self::OnPlan => "on_plan",
            Self::InDirectDebit => "in_direct_debit",
            Self::LikelyTheirs => "likely_theirs",
            Self::UnappliedCredit => "unapplied_credit",
        }
    }
}

/// A part of a debt that is not chased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChaseTerm {
    pub kind: TermKind,
    /// What it takes off, never more than is left.
    pub amount: Money,
    /// The receipt, credit note, dispute, promise, plan or collection.
    pub subject: Uuid,
    /// The events that told of it, as far as they are still kept.
    pub events: Vec<EventId>,
}

/// A debt, and what of it may be chased: open less every term, between nothing
/// and what is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChaseableItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub open: Money,
    pub chaseable: Money,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<ChaseTerm>,
}

/// An account's sum in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChaseableTotal {
    /// Debts only: what credit notes are worth is among the terms.
    pub open: Money,
    pub chaseable: Money,
}

/// What of an account may be chased has changed. Told of accounts of which less
/// than everything may be, and once more when everything may be again: of all
/// others what is open may be chased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChaseableChanged {
    pub account_id: AccountId,
    pub account_ref: String,
    /// Rises by one with every change.
    pub version: i64,
    /// One for each currency.
    pub totals: Vec<ChaseableTotal>,
    /// The debts of which less than everything may be chased.
    pub items: Vec<ChaseableItem>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for ChaseableChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "chaseable_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
