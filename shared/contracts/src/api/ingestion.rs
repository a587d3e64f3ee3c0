//! What ingestion answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CommandId, ImportId, Money, ReceiptId, StatementId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ControlTotals, Page, PageRequest, call};
use crate::{inbound::BankAccountRef, ingestion::Designation};

/// Begins an upload. The bytes follow in pieces, because a message on the
/// broker is small and a bank file need not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenImport {
    pub file_name: String,
    /// Detected from the content when absent.
    pub format: Option<String>,
    /// Read and report, but record nothing.
    #[serde(default)]
    pub dry_run: bool,
    pub actor: String,
}
call!(OpenImport => Ingestion."imports"."open" -> ImportView);

/// One piece of an upload, at most [`AppendImport::MAX_BYTES`] before base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppendImport {
    pub import_id: ImportId,
    /// From 0; the same piece twice is the same piece.
    pub piece: i32,
    pub base64: String,
}
call!(AppendImport => Ingestion."imports"."append" -> ImportView);

impl AppendImport {
    pub const MAX_BYTES: usize = 512 * 1024;
}

/// The upload is whole: read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitImport {
    pub import_id: ImportId,
    /// Of the whole file, lower-case hex; refused when it differs.
    pub sha256: String,
}
call!(SubmitImport => Ingestion."imports"."submit" -> ImportView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetImport {
    pub import_id: ImportId,
}
call!(GetImport => Ingestion."imports"."get" -> ImportView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListImports {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListImports => Ingestion."imports"."list" -> Page<ImportView>);

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    Uploading,
    Queued,
    Reading,
    Recorded,
    /// Nothing of it was recorded: see the problems.
    Refused,
    /// The same bytes were recorded before: nothing changed.
    AlreadyKnown,
}

/// Something about a file that a person should see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportProblem {
    pub line: Option<i64>,
    /// Column, element path or field.
    pub place: Option<String>,
    pub code: String,
    pub detail: String,
}

/// One file, from upload to recorded or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportView {
    pub import_id: ImportId,
    pub file_name: String,
    pub format: Option<String>,
    pub state: ImportState,
    pub dry_run: bool,
    pub bytes: i64,
    pub sha256: Option<String>,
    /// Lines, rows or entries found.
    pub entries: i32,
    /// Entries that were new.
    pub recorded: i32,
    /// Entries already known.
    pub duplicates: i32,
    pub problems: Vec<ImportProblem>,
    pub statements: Vec<StatementView>,
    /// Of a report of Bacs, once it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportView>,
    pub actor: String,
    pub opened_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// A report of Bacs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportView {
    /// Such as `arudd`.
    pub kind: String,
    pub service_user_number: String,
    pub number: Option<String>,
    pub reported_on: NaiveDate,
    pub items: i32,
    /// Items that no report had told before.
    pub new_items: i32,
    /// What its items come to, where they are money.
    pub total: Option<Money>,
}

/// One statement of an import and its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementView {
    pub statement_id: StatementId,
    pub bank_account: String,
    pub bank_statement_id: String,
    pub closes_on: Option<NaiveDate>,
    pub opening: Option<Money>,
    pub closing: Option<Money>,
    pub ties: Option<bool>,
    pub continues: Option<bool>,
    pub lines: i32,
    pub duplicate_lines: i32,
    pub problems: Vec<String>,
}

/// The receipts that a file brought, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListImportReceipts {
    pub import_id: ImportId,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListImportReceipts => Ingestion."imports"."receipts" -> Page<ReceiptId>);

/// Where a receipt came from: the first link of `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetReceiptOrigin {
    pub receipt_id: ReceiptId,
}
call!(GetReceiptOrigin => Ingestion."receipts"."origin" -> ReceiptOrigin);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptOrigin {
    pub receipt_id: ReceiptId,
    pub source: String,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    pub amount: Money,
    pub payer_name: Option<String>,
    /// Masked to the last four digits.
    pub payer_account: Option<String>,
    pub narrative: String,
    pub import: Option<ImportId>,
    pub file_name: Option<String>,
    pub bank_statement_id: Option<String>,
    pub line: Option<i32>,
    /// The broker message that brought it, for a feed.
    pub message_id: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub published_at: Option<DateTime<Utc>>,
    pub trace_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetIngestionTotals {}
call!(GetIngestionTotals => Ingestion."control"."totals" -> ControlTotals);

/// Says whose money one of our bank accounts holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DesignateBankAccount {
    pub command_id: CommandId,
    /// Sort code and account number, or an IBAN.
    pub bank_account: BankAccountRef,
    pub designation: Designation,
    pub reason: String,
    pub actor: String,
}
call!(DesignateBankAccount => Ingestion."bank_accounts"."designate" -> BankAccountView);

/// Our own bank accounts, as far as they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListBankAccounts {}
call!(ListBankAccounts => Ingestion."bank_accounts"."list" -> Page<BankAccountView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankAccountView {
    pub bank_account: String,
    pub designation: Designation,
    pub version: i64,
    pub first_seen_at: DateTime<Utc>,
}
