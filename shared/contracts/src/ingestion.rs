//! What ingestion says happened: `counterfoil.evt.ingestion.>`.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, DocumentId, ImportId, MatterId, Money, ReceiptId, RemittanceId, StatementId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Event, Role,
    inbound::{AccountKind, AdviceKind, DocumentKind, JointDebtor, MatterStatus, RemittanceText},
};

/// A debtor account is new, or billing changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRecorded {
    pub account_id: AccountId,
    pub account_ref: String,
    /// Rises by one with every change: a reader keeps the highest it has seen.
    pub version: i64,
    pub name: String,
    pub kind: AccountKind,
    pub parent_ref: Option<String>,
    pub terms_days: Option<u16>,
    pub currency: kernel::Currency,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub segment: Option<String>,
    pub department: Option<String>,
    pub principal: Option<String>,
    /// Those who owe it together; what is known stays when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtors: Option<Vec<JointDebtor>>,
    pub recorded_at: DateTime<Utc>,
    /// Who or what brought it: `feed:<source>` or a user through an import.
    pub actor: String,
}

impl Event for AccountRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "account_recorded";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// A billing document came in for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentRecorded {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_id: AccountId,
    pub account_ref: String,
    pub matter_ref: Option<String>,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Positive for every kind.
    pub gross: Money,
    pub net: Option<Money>,
    pub vat: Option<Money>,
    pub payment_reference: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for DocumentRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "document_recorded";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Where on a statement a receipt stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementPosition {
    pub statement_id: StatementId,
    pub import_id: ImportId,
    /// The line's place in the statement, from 1.
    pub line: i32,
}

/// Money arrived on one of our bank accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptRecorded {
    pub receipt_id: ReceiptId,
    /// The feed's or the file's name.
    pub source: String,
    /// Our account, as `kernel::BankAccount::key`.
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    pub amount: Money,
    pub scheme: Option<String>,
    pub payer_name: Option<String>,
    /// The payer's account, as `kernel::BankAccount::key`.
    pub payer_account: Option<String>,
    pub reference: Option<String>,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    #[serde(default)]
    pub remittance: RemittanceText,
    pub statement: Option<StatementPosition>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for ReceiptRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "receipt_recorded";

    /// The debtor is not known yet: the payer's account keeps one payer's
    /// receipts in one lane, as far as the bank tells it.
    fn partition_key(&self) -> &str {
        self.payer_account
            .as_deref()
            .or(self.payer_name.as_deref())
            .unwrap_or(&self.bank_account)
    }
}

/// A line of a remittance advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvisedLine {
    pub document_number: String,
    /// Of the payment; negative takes off.
    pub amount: Money,
    #[serde(default)]
    pub kind: AdviceKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduction: Option<Money>,
}

/// A remittance advice came in for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemittanceRecorded {
    pub remittance_id: RemittanceId,
    /// The number of the advice at its source.
    pub remittance_ref: String,
    pub source: String,
    pub payer_name: Option<String>,
    /// The payer's account, as `kernel::BankAccount::key`.
    pub payer_account: Option<String>,
    pub payment_reference: Option<String>,
    /// The day on which the payer says that it pays.
    pub paid_on: NaiveDate,
    /// Positive.
    pub total: Money,
    pub lines: Vec<AdvisedLine>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for RemittanceRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "remittance_recorded";

    /// In the lane of its payer's receipts, as far as it tells the payer.
    fn partition_key(&self) -> &str {
        self.payer_account
            .as_deref()
            .or(self.payer_name.as_deref())
            .unwrap_or(&self.source)
    }
}

mod bacs;
mod debits;
mod direct_debits;

pub use bacs::{InstructionAdvised, InstructionReport, ReturnAdvised, ReturnReport};
pub use debits::DebitRecorded;
pub use direct_debits::*;

/// A statement was read, with what its proof showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementRecorded {
    pub statement_id: StatementId,
    pub import_id: ImportId,
    pub bank_account: String,
    /// The bank's name for the statement.
    pub bank_statement_id: String,
    pub closes_on: Option<NaiveDate>,
    pub opening: Option<Money>,
    pub closing: Option<Money>,
    /// Opening plus lines equals closing; `None` when a balance is missing.
    pub ties: Option<bool>,
    /// Opening equals the closing before; `None` for the first.
    pub continues: Option<bool>,
    pub lines: i32,
    /// Lines already known from an earlier file or feed.
    pub duplicate_lines: i32,
    pub problems: Vec<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for StatementRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "statement_recorded";

    fn partition_key(&self) -> &str {
        &self.bank_account
    }
}

/// A matter is new, or the case system changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterRecorded {
    pub matter_id: MatterId,
    pub matter_ref: String,
    /// Rises by one with every change: a reader keeps the highest it has seen.
    pub version: i64,
    pub account_id: AccountId,
    pub account_ref: String,
    pub title: String,
    pub fee_earner: Option<String>,
    pub opened_on: NaiveDate,
    pub concluded_on: Option<NaiveDate>,
    pub closed_on: Option<NaiveDate>,
    pub status: MatterStatus,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for MatterRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "matter_recorded";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Whose money one of our bank accounts holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Designation {
    #[default]
    Business,
    /// Money held for clients (SRA Accounts Rules 2.2 and 3.1).
    Client,
}

impl Designation {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Client => "client",
        }
    }
}

/// Somebody said whose money one of our bank accounts holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankAccountDesignated {
    /// As `kernel::BankAccount::key`.
    pub bank_account: String,
    pub designation: Designation,
    /// Rises by one with every change.
    pub version: i64,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for BankAccountDesignated {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "bank_account_designated";

    fn partition_key(&self) -> &str {
        &self.bank_account
    }
}
