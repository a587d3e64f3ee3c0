//! Refunds: what allocation answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, BankAccount, CommandId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Person;
use crate::api::{Page, PageRequest, call};
use crate::controls::{ApprovalId, RefundId, RefundState};

/// Where the money shall go when not back to its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payee {
    pub name: String,
    pub account: BankAccount,
    /// Why not the account that paid.
    pub reason: String,
}

/// Something that shows why: a document elsewhere, by hash or reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attachment {
    pub label: String,
    /// Where it is kept, such as a ticket or a document number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// SHA-256 (hex) of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Drafts a refund of a receipt's unallocated money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftRefund {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    pub content: RefundContent,
    /// Submit it for approval at once.
    #[serde(default)]
    pub submit: bool,
    pub person: Person,
}
call!(DraftRefund => Allocation."refunds"."draft" -> RefundDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundContent {
    /// All that is unallocated when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    /// Why it is paid back.
    pub reason: String,
    /// Absent: back to the account that paid.
    #[serde(default)]
    pub payee: Option<Payee>,
    #[serde(default)]
    pub evidence: Vec<Attachment>,
}

/// Drafts a refund anew: an approval that was asked for or given is void, and
/// reserved money is free again. Not once it is in a payment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedraftRefund {
    pub command_id: CommandId,
    pub refund_id: RefundId,
    pub content: RefundContent,
    #[serde(default)]
    pub submit: bool,
    pub person: Person,
}
call!(RedraftRefund => Allocation."refunds"."redraft" -> RefundDetail);

/// Brings a refund a step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRefund {
    pub command_id: CommandId,
    pub refund_id: RefundId,
    pub step: RefundStep,
    pub person: Person,
}
call!(StepRefund => Allocation."refunds"."step" -> RefundDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RefundStep {
    /// Reserves the money and asks for approval.
    Submit,
    /// The payee's bank details are right; not by who asked for the refund.
    Verify {
        /// How, such as `confirmation of payee` or `called back`.
        how: String,
    },
    /// It is in a payment file that was made elsewhere.
    IntoPaymentFile { reference: String },
    /// The file went to the bank.
    Sent { reference: String },
    /// The bank has paid it.
    Paid { paid_on: NaiveDate },
    /// The payee's bank sent it back (ARUCS): the money is unallocated again.
    Returned {
        /// The ARUCS reason code.
        code: String,
        returned_on: NaiveDate,
    },
    /// Taken back before it is in a payment file.
    Cancel { reason: String },
}

/// A receipt is about to be returned by the bank: refunds of it that are not
/// sent yet are void (E43).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VoidRefunds {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    pub reason: String,
    pub actor: String,
}
call!(VoidRefunds => Allocation."refunds"."void" -> Page<RefundView>);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRefunds {
    #[serde(default)]
    pub state: Option<RefundState>,
    #[serde(default)]
    pub receipt_id: Option<ReceiptId>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListRefunds => Allocation."refunds"."list" -> Page<RefundView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRefund {
    pub refund_id: RefundId,
}
call!(GetRefund => Allocation."refunds"."get" -> RefundDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundView {
    pub refund_id: RefundId,
    pub version: i64,
    pub state: RefundState,
    pub receipt_id: ReceiptId,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub amount: Money,
    pub payee_name: Option<String>,
    /// Masked to the last four characters.
    pub payee_account: Option<String>,
    pub to_source: bool,
    pub reason: String,
    pub requester: String,
    pub approval_id: Option<ApprovalId>,
    pub reference: Option<String>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundDetail {
    pub refund: RefundView,
    pub payee_reason: Option<String>,
    pub evidence: Vec<Attachment>,
    /// Other refunds of the same amount to the same payee in the last 90 days.
    pub alike: Vec<RefundId>,
    pub history: Vec<StepView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    pub version: i64,
    pub state: RefundState,
    pub actor: String,
    pub reason: String,
    pub reference: Option<String>,
    pub recorded_at: DateTime<Utc>,
}
