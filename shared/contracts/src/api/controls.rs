//! Approvals, refunds, write-offs and small balances: what allocation answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, BankAccount, CommandId, Currency, DocumentId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Page, PageRequest, call};
use crate::controls::{
    ApprovalId, ApprovalKind, ApprovalState, DebtPart, RefundId, RefundState, RunState,
    SmallBalanceRunId, WriteOffId, WriteOffState,
};

/// Who asks or acts. Two sessions and two roles of one person are one actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Such as `user:jo`.
    pub actor: String,
    /// Roles at this moment: limits follow from them.
    pub roles: Vec<String>,
}

// ---- approvals

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalQueue {
    /// Pending, and neither asked for nor yet decided by this person.
    #[default]
    Waiting,
    /// Asked for by this person.
    Mine,
    /// Decided, expired or voided.
    History,
    All,
}

/// Approvals, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListApprovals {
    #[serde(default)]
    pub queue: ApprovalQueue,
    pub person: Person,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListApprovals => Allocation."approvals"."list" -> Page<ApprovalView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    pub approval_id: ApprovalId,
    pub version: i64,
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
    pub state: ApprovalState,
    pub title: String,
    pub amount: Money,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub requester: String,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Different people who must approve, and those who have.
    pub needed: u8,
    pub approved_by: Vec<String>,
    /// Why the person who asks may not decide it; absent when they may.
    pub why_not: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetApproval {
    pub approval_id: ApprovalId,
    pub person: Person,
}
call!(GetApproval => Allocation."approvals"."get" -> ApprovalDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDetail {
    pub approval: ApprovalView,
    /// What was asked for, as it was then.
    pub content: serde_json::Value,
    /// SHA-256 (hex) of the content as canonical JSON.
    pub content_sha256: String,
    /// Where the subject differs from the frozen content now.
    pub differences: Vec<Difference>,
    pub decisions: Vec<DecisionView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// A JSON pointer into the content.
    pub pointer: String,
    pub then: Option<String>,
    pub now: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionView {
    pub actor: String,
    pub verdict: Verdict,
    pub reason: String,
    /// The limit that the person had at that moment.
    pub limit: Option<Money>,
    pub decided_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Reject,
}

/// Approves or rejects. The decision that completes an approval carries it out
/// in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecideApproval {
    pub command_id: CommandId,
    pub approval_id: ApprovalId,
    pub verdict: Verdict,
    /// Needed to reject.
    #[serde(default)]
    pub reason: String,
    pub person: Person,
}
call!(DecideApproval => Allocation."approvals"."decide" -> ApprovalDetail);

/// The limits in force today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListLimits {}
call!(ListLimits => Allocation."limits"."list" -> Page<LimitView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitView {
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    pub valid_from: NaiveDate,
}

/// Asks for a new limit: an approval like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeLimit {
    pub command_id: CommandId,
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    /// Today when absent; never in the past.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}
call!(ChangeLimit => Allocation."limits"."change" -> ApprovalDetail);

// ---- refunds

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

// ---- write-offs

/// Asks that documents, or parts of them, be written off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestWriteOff {
    pub command_id: CommandId,
    /// One of the reasons of `ListWriteOffReasons`.
    pub reason_code: String,
    pub reason: String,
    pub lines: Vec<WriteOffAsk>,
    pub person: Person,
}
call!(RequestWriteOff => Allocation."write-offs"."request" -> WriteOffDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteOffAsk {
    pub document_id: DocumentId,
    /// All that is open when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    /// `principal` when absent.
    #[serde(default)]
    pub part: Option<DebtPart>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListWriteOffReasons {}
call!(ListWriteOffReasons => Allocation."write-offs"."reasons" -> Page<WriteOffReason>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteOffReason {
    pub code: String,
    pub words: String,
    /// Whether the VAT in it may be claimed back as bad-debt relief.
    pub vat_relief: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListWriteOffs {
    #[serde(default)]
    pub state: Option<WriteOffState>,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListWriteOffs => Allocation."write-offs"."list" -> Page<WriteOffView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetWriteOff {
    pub write_off_id: WriteOffId,
}
call!(GetWriteOff => Allocation."write-offs"."get" -> WriteOffDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteOffView {
    pub write_off_id: WriteOffId,
    pub version: i64,
    pub state: WriteOffState,
    pub account_id: AccountId,
    pub account_ref: String,
    pub reason_code: String,
    pub reason: String,
    pub amount: Money,
    /// What was taken back since.
    pub reversed: Money,
    pub requester: String,
    pub approval_id: Option<ApprovalId>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteOffDetail {
    pub write_off: WriteOffView,
    pub lines: Vec<WriteOffLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriteOffLine {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub part: DebtPart,
    pub amount: Money,
    pub reversed: Money,
    /// The VAT in the amount; absent where billing did not say.
    pub vat: Option<Money>,
}

/// Takes a write-off back: whole, or as far as a receipt pays it after all,
/// which is allocated to the documents in the same command (E45).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReverseWriteOff {
    pub command_id: CommandId,
    pub write_off_id: WriteOffId,
    /// The payment that came after all.
    #[serde(default)]
    pub receipt_id: Option<ReceiptId>,
    pub reason: String,
    pub person: Person,
}
call!(ReverseWriteOff => Allocation."write-offs"."reverse" -> WriteOffDetail);

/// Receipts with money left whose words name a written-off document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRecoveries {}
call!(ListRecoveries => Allocation."write-offs"."recoveries" -> Page<Recovery>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    pub receipt_id: ReceiptId,
    pub booked_on: NaiveDate,
    pub payer_name: Option<String>,
    pub unallocated: Money,
    pub write_off_id: WriteOffId,
    pub document_ref: String,
    pub account_ref: String,
    /// What is written off of the document still.
    pub written_off: Money,
}

/// VAT bad-debt relief (VAT Act 1994 s36; Notice 700/18), a line per document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListVatRelief {
    /// Only what may be claimed on this day and is not claimed yet.
    #[serde(default)]
    pub claimable_on: Option<NaiveDate>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListVatRelief => Allocation."write-offs"."vat-relief" -> Page<VatRelief>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VatRelief {
    pub write_off_id: WriteOffId,
    pub document_id: DocumentId,
    pub document_ref: String,
    pub account_ref: String,
    pub written_off_on: NaiveDate,
    /// Gross.
    pub amount: Money,
    /// The VAT in what is written off still; absent where billing did not say.
    pub vat: Option<Money>,
    pub supplied_on: NaiveDate,
    pub due_on: NaiveDate,
    pub earliest_claim_on: NaiveDate,
    pub latest_claim_on: NaiveDate,
    pub claimed_on: Option<NaiveDate>,
    pub claimed: Option<Money>,
    /// To be paid back to HMRC, because the debt was paid after the claim.
    pub repayable: Option<Money>,
}

/// Notes that the relief was claimed in a VAT return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimVatRelief {
    pub command_id: CommandId,
    pub write_off_id: WriteOffId,
    pub claimed_on: NaiveDate,
    pub person: Person,
}
call!(ClaimVatRelief => Allocation."write-offs"."claim" -> WriteOffDetail);

// ---- small balances

/// Lists what may be cleared today and freezes the list. Nothing moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposeSmallBalances {
    pub command_id: CommandId,
    pub currency: Currency,
    /// Asks for approval at once.
    #[serde(default)]
    pub submit: bool,
    pub reason: String,
    pub person: Person,
}
call!(ProposeSmallBalances => Allocation."small-balances"."propose" -> SmallBalanceRun);

/// Asks for approval of a proposed run, or takes a posted one back by contras.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepSmallBalances {
    pub command_id: CommandId,
    pub run_id: SmallBalanceRunId,
    pub step: RunStep,
    pub reason: String,
    pub person: Person,
}
call!(StepSmallBalances => Allocation."small-balances"."step" -> SmallBalanceRun);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStep {
    Submit,
    Undo,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListSmallBalances {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListSmallBalances => Allocation."small-balances"."list" -> Page<SmallBalanceRunView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetSmallBalances {
    pub run_id: SmallBalanceRunId,
}
call!(GetSmallBalances => Allocation."small-balances"."get" -> SmallBalanceRun);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmallBalanceRunView {
    pub run_id: SmallBalanceRunId,
    pub version: i64,
    pub state: RunState,
    /// Balances up to this, either way.
    pub at_most: Money,
    pub lines: i64,
    /// The sum of what is cleared, debts and credits both counted as positive.
    pub amount: Money,
    pub reason: String,
    pub requester: String,
    pub approval_id: Option<ApprovalId>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmallBalanceRun {
    pub run: SmallBalanceRunView,
    pub lines: Vec<SmallBalanceLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmallBalanceLine {
    /// A document with a small rest; or else a receipt with one.
    pub document_id: Option<DocumentId>,
    pub receipt_id: Option<ReceiptId>,
    pub reference: String,
    /// Signed: what the document had open (a credit note's is negative), or
    /// what was left on the receipt.
    pub amount: Money,
    /// Whether it was cleared: not when it had moved before the approval.
    pub cleared: bool,
}
