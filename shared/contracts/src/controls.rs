//! Four eyes: what needs a second person, and what became of it.
//!
//! The way of a request: the service that needs a second person freezes what it
//! asks for and says `approval_requested`; worklist keeps it and says
//! `approval_decided`; the service compares, carries out, and says
//! `approval_carried_out`. What is changed or taken back before is
//! `approval_withdrawn`.

mod approvals;
mod frozen;
mod refund_files;

pub use approvals::*;
pub use frozen::{differences, frozen, name_of, same_person};
pub use refund_files::*;

use chrono::{DateTime, Utc};
use kernel::{AccountId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// A payment of client money that is asked for.
    pub struct ClientPaymentId;
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
    /// Where a payment of client money stands.
    ClientPaymentState {
        Requested = "requested",
        Paid = "paid",
        Rejected = "rejected",
        Expired = "expired",
        /// There was not enough held any more when it was approved.
        Voided = "voided",
        TakenBack = "taken_back",
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
