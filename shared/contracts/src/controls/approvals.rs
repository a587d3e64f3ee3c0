//! Requests for a second person, and limits.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ApprovalId;
use crate::{Event, Role, names::names};

names! {
    /// What a request is for. Limits are per kind.
    ApprovalKind {
        Refund = "refund",
        WriteOff = "write_off",
        SmallBalances = "small_balances",
        /// A dunning run: what it asks debtors for, in one currency.
        DunningRun = "dunning_run",
        /// The words of letters and e-mails: of no amount.
        DunningTemplate = "dunning_template",
        /// When who is chased, and how: of no amount.
        DunningPolicy = "dunning_policy",
        /// Client money without a reason to hold it, and its way out.
        ResidualBalance = "residual_balance",
        /// Client money that leaves, to the client or to a third party.
        ClientPayment = "client_payment",
        /// A new limit for a role: nobody raises a limit alone.
        LimitChange = "limit_change",
        /// A credit that a dispute asks billing for.
        Credit = "credit",
        /// Debts that are handed over to a solicitor or an agency.
        LegalReferral = "legal_referral",
        /// How receipts are matched from a day on: of no amount.
        MatchingRules = "matching_rules",
        /// What is collected by Direct Debit on a day.
        CollectionRun = "collection_run",
        /// Which policy an account has, or the accounts of a parent: of no amount.
        PolicyAssignment = "policy_assignment",
    }
}

names! {
    ApprovalState {
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
        /// Nobody decided in time.
        Expired = "expired",
        /// What was to be approved changed, was taken back, or cannot be any more.
        Voided = "voided",
    }
}

/// Somebody asks a second person. Nothing is carried out yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRequested {
    pub approval_id: ApprovalId,
    pub kind: ApprovalKind,
    /// The refund, write-off, run, residual balance, payment or limit that is to be approved.
    pub subject_id: Uuid,
    /// In one line, for a list.
    pub title: String,
    /// What the approver's limit is held against; never negative.
    pub amount: Money,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    /// SHA-256 (hex) of the frozen content as canonical JSON.
    pub content_sha256: String,
    /// How many different people must approve.
    pub needed: u8,
    pub requester: String,
    pub reason: String,
    pub expires_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    /// What is asked for, as it is now. Absent before worklist decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<serde_json::Value>,
}

impl Event for ApprovalRequested {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_requested";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(self.kind.name())
    }
}

/// What a request was for is changed or taken back: nobody need decide it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalWithdrawn {
    pub approval_id: ApprovalId,
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
    pub account_ref: Option<String>,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for ApprovalWithdrawn {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_withdrawn";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(self.kind.name())
    }
}

names! {
    /// What became of what was approved.
    CarriedOut {
        Done = "done",
        /// Not done: what was asked for had changed or was over.
        Voided = "voided",
    }
}

/// What was approved is carried out, or cannot be any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalCarriedOut {
    pub approval_id: ApprovalId,
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
    pub account_ref: Option<String>,
    pub outcome: CarriedOut,
    /// Why it was voided.
    pub reason: Option<String>,
    pub recorded_at: DateTime<Utc>,
}

impl Event for ApprovalCarriedOut {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_carried_out";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(self.kind.name())
    }
}

/// A request came a step further: somebody approved (the first of two leaves it
/// pending) or rejected it, or it expired or was voided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDecided {
    pub approval_id: ApprovalId,
    /// Rises by one with every decision.
    pub version: i64,
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
    pub state: ApprovalState,
    pub amount: Money,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    /// Of the content that was decided about: other content is not approved.
    pub content_sha256: String,
    pub requester: String,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for ApprovalDecided {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "approval_decided";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(self.kind.name())
    }
}

/// As [`ApprovalDecided`], said by allocation before worklist decided. Only to
/// read what was said then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DecidedByAllocation(pub ApprovalDecided);

impl Event for DecidedByAllocation {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_decided";

    fn partition_key(&self) -> &str {
        self.0.partition_key()
    }
}

/// As [`ApprovalRequested`], said by disputes: a credit above what one person may give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RequestedByDisputes(pub ApprovalRequested);

impl Event for RequestedByDisputes {
    const CONTEXT: Role = Role::Disputes;
    const NAME: &'static str = "approval_requested";

    fn partition_key(&self) -> &str {
        self.0.partition_key()
    }
}

/// As [`ApprovalWithdrawn`], said by disputes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct WithdrawnByDisputes(pub ApprovalWithdrawn);

impl Event for WithdrawnByDisputes {
    const CONTEXT: Role = Role::Disputes;
    const NAME: &'static str = "approval_withdrawn";

    fn partition_key(&self) -> &str {
        self.0.partition_key()
    }
}

/// As [`ApprovalCarriedOut`], said by disputes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CarriedOutByDisputes(pub ApprovalCarriedOut);

impl Event for CarriedOutByDisputes {
    const CONTEXT: Role = Role::Disputes;
    const NAME: &'static str = "approval_carried_out";

    fn partition_key(&self) -> &str {
        self.0.partition_key()
    }
}

/// Somebody asks for another limit of a role; worklist's own request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitChangeRequested {
    pub approval_id: ApprovalId,
    /// What the limit is for.
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    pub valid_from: NaiveDate,
    pub requester: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for LimitChangeRequested {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "limit_change_requested";

    fn partition_key(&self) -> &str {
        &self.role
    }
}

/// A role has another limit from a day on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitChanged {
    pub approval_id: ApprovalId,
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    pub valid_from: NaiveDate,
    /// Who approved it last.
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for LimitChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "limit_changed";

    fn partition_key(&self) -> &str {
        &self.role
    }
}
