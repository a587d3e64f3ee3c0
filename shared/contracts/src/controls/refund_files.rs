//! Payment files of refunds: allocation says which refunds go, ingestion makes
//! and keeps the file.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RefundId;
use crate::{Event, Role, names::names};

kernel::typed_id! {
    /// One payment file.
    pub struct RefundFileId;
}

names! {
    RefundFileFormat {
        /// ISO 20022 `pain.001.001.09`, a customer credit transfer.
        Pain001 = "pain001",
        /// Bacs Standard 18, Direct Credits.
        Std18 = "std18",
    }
}

/// Who we are for Bacs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacsUser {
    /// The service user number, six digits.
    pub user_number: String,
    /// Our name as it stands on statements, at most 18 characters.
    pub user_name: String,
    /// The originating account, as `kernel::BankAccount::key`.
    pub account: String,
}

/// One refund in a payment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundPayment {
    pub refund_id: RefundId,
    /// What the bank line will carry back: 18 characters, as Bacs has no more.
    pub end_to_end_id: String,
    pub amount: Money,
    pub payee_name: String,
    /// As `kernel::BankAccount::key`: whole, because the file needs it.
    pub payee_account: String,
}

/// These refunds are in a payment file that is to be made. They are
/// `in_payment_file` from the same moment on, and in no other file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundFileOrdered {
    pub file_id: RefundFileId,
    /// The name of the file without its ending; in the file as the message id.
    pub reference: String,
    pub format: RefundFileFormat,
    /// Our account that pays, as `kernel::BankAccount::key`.
    pub bank_account: String,
    /// Our name as the bank knows it.
    pub debtor_name: String,
    pub execute_on: NaiveDate,
    pub payments: Vec<RefundPayment>,
    pub total: Money,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
    /// Who sends it to Bacs; there for Standard 18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bacs: Option<BacsUser>,
}

impl Event for RefundFileOrdered {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "refund_file_ordered";

    fn partition_key(&self) -> &str {
        &self.bank_account
    }
}

/// A payment file is made and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundFileMade {
    pub file_id: RefundFileId,
    pub reference: String,
    pub format: RefundFileFormat,
    pub bank_account: String,
    pub execute_on: NaiveDate,
    pub payments: u32,
    pub total: Money,
    /// Of the bytes of the file, in hex.
    pub sha256: String,
    pub recorded_at: DateTime<Utc>,
}

impl Event for RefundFileMade {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "refund_file_made";

    fn partition_key(&self) -> &str {
        &self.bank_account
    }
}
