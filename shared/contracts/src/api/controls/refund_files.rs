//! Payment files of refunds: ordered of allocation, kept by ingestion.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CommandId, Currency, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Person, RefundView};
use crate::{
    api::{Page, PageRequest, call},
    controls::{BacsUser, RefundFileFormat, RefundFileId, RefundId},
};

/// Puts verified refunds of one bank account into a payment file. The file is
/// there a moment later; its id is the command's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRefundFile {
    pub command_id: CommandId,
    /// Our account that pays, as `kernel::BankAccount::key`: the one that the
    /// receipts came in on.
    pub bank_account: String,
    pub currency: Currency,
    /// Our name as the bank knows it.
    pub debtor_name: String,
    /// Today when absent; never in the past.
    #[serde(default)]
    pub execute_on: Option<NaiveDate>,
    /// `pain001` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RefundFileFormat>,
    /// Who we are for Bacs; needed for `std18`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bacs: Option<BacsUser>,
    pub person: Person,
}
call!(OrderRefundFile => Allocation."refunds"."order-file" -> OrderedFile);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderedFile {
    pub file_id: RefundFileId,
    pub reference: String,
    pub refunds: Vec<RefundView>,
    pub total: Money,
    /// Verified refunds that are not in it, and why.
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    pub refund_id: RefundId,
    pub why: String,
}

/// What waits to go into a payment file, by bank account of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPayable {}
call!(ListPayable => Allocation."refunds"."payable" -> Page<Payable>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payable {
    /// As `kernel::BankAccount::key`.
    pub bank_account: String,
    pub refunds: i64,
    pub total: Money,
}

/// Says what became of a whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRefundFile {
    pub command_id: CommandId,
    pub file_id: RefundFileId,
    pub step: RefundFileStep,
    pub person: Person,
}
call!(StepRefundFile => Allocation."refunds"."step-file" -> Page<RefundView>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundFileStep {
    /// It went to the bank. Refused when a refund in it is void by now.
    Sent,
    /// It was not sent and never will be: its refunds may go into another.
    Discarded,
}

/// Payment files, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRefundFiles {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListRefundFiles => Ingestion."refund-files"."list" -> Page<RefundFileView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundFileView {
    pub file_id: RefundFileId,
    pub reference: String,
    pub format: RefundFileFormat,
    pub bank_account: String,
    pub execute_on: NaiveDate,
    pub payments: i64,
    pub total: Money,
    /// Of the bytes of the file, in hex.
    pub sha256: String,
    pub ordered_by: String,
    pub made_at: DateTime<Utc>,
    /// Who fetched it, and when, oldest first.
    pub fetched: Vec<Fetched>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fetched {
    pub actor: String,
    pub at: DateTime<Utc>,
}

/// Gives the bytes of a file, and notes who has them. The same command again
/// gives the same bytes and notes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchRefundFile {
    pub command_id: CommandId,
    pub file_id: RefundFileId,
    pub person: Person,
}
call!(FetchRefundFile => Ingestion."refund-files"."fetch" -> RefundFileContent);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundFileContent {
    pub file_id: RefundFileId,
    /// With its ending.
    pub name: String,
    /// UTF-8.
    pub text: String,
    pub sha256: String,
}
