//! Four eyes: what needs a second person, and what became of it. Published by
//! allocation; the approvals themselves are generic, so that the worklist can
//! take them over.

use chrono::{DateTime, Utc};
use kernel::{AccountId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role, names::names};

kernel::typed_id! {
    /// A request that a second person decides.
    pub struct ApprovalId;
    /// Money to be paid back.
    pub struct RefundId;
    /// A debt, or part of one, that is given up.
    pub struct WriteOffId;
    /// One clearing of small balances.
    pub struct SmallBalanceRunId;
}

names! {
    /// What a request is for. Limits are per kind.
    ApprovalKind {
        Refund = "refund",
        WriteOff = "write_off",
        SmallBalances = "small_balances",
        /// A new limit for a role: nobody raises a limit alone.
        LimitChange = "limit_change",
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
    /// The refund, write-off, run or limit that is to be approved.
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
}

impl Event for ApprovalRequested {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_requested";

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
    pub content_sha256: String,
    pub requester: String,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for ApprovalDecided {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "approval_decided";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(self.kind.name())
    }
}

names! {
    /// Where a refund stands. The money is reserved on the receipt from
    /// `submitted` to `paid`.
    RefundState {
        Draft = "draft",
        Submitted = "submitted",
        Approved = "approved",
        /// The payee's bank details were verified.
        Verified = "verified",
        InPaymentFile = "in_payment_file",
        Sent = "sent",
        Paid = "paid",
        /// The payee's bank sent it back: the money is unallocated again.
        Returned = "returned",
        Rejected = "rejected",
        Expired = "expired",
        /// The receipt bounced before the refund was sent.
        Voided = "voided",
        Cancelled = "cancelled",
    }
}

/// A refund is in another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundChanged {
    pub refund_id: RefundId,
    /// Rises by one with every change.
    pub version: i64,
    pub state: RefundState,
    pub receipt_id: ReceiptId,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub amount: Money,
    /// Masked to the last four characters.
    pub payee_account: Option<String>,
    /// Whether it goes back to where the money came from.
    pub to_source: bool,
    /// Payment file or payment reference, or the ARUCS reason code of a return.
    pub reference: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for RefundChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "refund_changed";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or("")
    }
}

names! {
    WriteOffState {
        Requested = "requested",
        Posted = "posted",
        Rejected = "rejected",
        Expired = "expired",
        /// It could not be carried out: the items had moved.
        Voided = "voided",
        /// Part of it was taken back, for a payment that came after all.
        PartReversed = "part_reversed",
        Reversed = "reversed",
    }
}

names! {
    RunState {
        Proposed = "proposed",
        Requested = "requested",
        Posted = "posted",
        Rejected = "rejected",
        Expired = "expired",
        Undone = "undone",
    }
}

names! {
    /// What part of a debt is written off (E46).
    DebtPart {
        Principal = "principal",
        Interest = "interest",
        Costs = "costs",
    }
}
