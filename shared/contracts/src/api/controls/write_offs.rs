//! Write-offs and small balances: what allocation answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, Currency, DocumentId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Person;
use crate::api::{Page, PageRequest, call};
use crate::controls::{
    ApprovalId, DebtPart, RunState, SmallBalanceRunId, WriteOffId, WriteOffState,
};

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
