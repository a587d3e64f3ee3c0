//! What disputes says happened: `counterfoil.evt.disputes.>`.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role, names::names};

kernel::typed_id! {
    /// A query, dispute or complaint.
    pub struct CaseId;
    /// A credit that billing is asked for.
    pub struct CreditRequestId;
}

names! {
    CaseKind {
        /// The debtor asks, or we think that they would: something must be
        /// answered before they pay.
        Query = "query",
        /// The debtor says that they do not owe it.
        Dispute = "dispute",
        /// About how they were treated. Beside disputes, never instead of one:
        /// it takes nothing off what may be chased.
        Complaint = "complaint",
    }
}

names! {
    CaseState {
        /// Nothing explains why an overdue item is not paid: the first contact
        /// confirms or clears it. Takes nothing off what may be chased.
        Suspected = "suspected",
        /// The debtor has said so.
        Confirmed = "confirmed",
        /// Somebody works on it.
        Assigned = "assigned",
        /// A department of ours must answer.
        AwaitingInternal = "awaiting_internal",
        /// The customer must answer: the only state in which its clocks stand
        /// still.
        AwaitingCustomer = "awaiting_customer",
        /// How to settle it is proposed and not yet agreed.
        Proposed = "proposed",
        /// Settled; what was disputed is chased again or credited.
        Resolved = "resolved",
        Closed = "closed",
    }
}

names! {
    /// How a case was settled.
    Resolution {
        /// They were right: a credit was requested.
        Upheld = "upheld",
        /// They owe it: it is chased on from where chasing had stopped.
        Rejected = "rejected",
        /// Some of it is credited, the rest is owed.
        Part = "part",
        /// A suspicion that was none.
        Cleared = "cleared",
        /// The debtor took it back.
        Withdrawn = "withdrawn",
        /// Its items were paid or settled otherwise.
        Settled = "settled",
    }
}

/// A document, or a part of one, that a case is about, with what became of the
/// part since. `disputed` is what of it is held back now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    /// What was disputed when the item came into the case.
    pub original: Money,
    pub disputed: Money,
    pub paid: Money,
    pub credited: Money,
    /// Settled without cash or credit note: a discount, an offset, a transfer.
    pub cleared: Money,
    pub written_off: Money,
}

/// A case is new, or in another state, or about other amounts. The whole of it,
/// so that a reader needs no other event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseChanged {
    pub case_id: CaseId,
    /// Rises by one with every change.
    pub version: i64,
    /// For people, such as `Q-000123`.
    pub case_ref: String,
    pub kind: CaseKind,
    pub state: CaseState,
    /// The state before this change; absent when the case is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CaseState>,
    /// What happened, such as `opened`, `assigned`, `amounts_moved`.
    pub step: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub items: Vec<CaseItem>,
    /// The sum of what is held back now; one currency per case.
    pub disputed: Money,
    /// Code of the taxonomy, such as `price`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    /// Who leads the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<String>,
    /// Who works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Who answers for what caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub responsible: Option<String>,
    /// The department that caused it, or must answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// When the debtor raised it, or we noticed: its clocks run from here.
    pub raised_at: DateTime<Utc>,
    /// Since when it is in this state, by the business clock.
    pub since: DateTime<Utc>,
    /// The case that this one was split from or merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<CaseId>,
    /// The event, message or command behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for CaseChanged {
    const CONTEXT: Role = Role::Disputes;
    const NAME: &'static str = "case_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Billing is asked for a credit note. The request ends when a credit note that
/// names it, or one for its document and amount, is on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditRequested {
    pub credit_request_id: CreditRequestId,
    pub case_id: CaseId,
    pub case_ref: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub document_id: DocumentId,
    pub document_ref: String,
    /// Positive; what the document shall be lowered by, VAT included.
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_code: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for CreditRequested {
    const CONTEXT: Role = Role::Disputes;
    const NAME: &'static str = "credit_requested";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
