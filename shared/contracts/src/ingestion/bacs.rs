//! What the reports of Bacs say, one event a record.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{BacsRecordId, ImportId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Role, names::names};

names! {
    /// Which report told that a payment comes back.
    ReturnReport {
        /// A collection of ours that the payer's bank did not pay.
        Arudd = "arudd",
        /// A payment of ours that the payee's bank sent back.
        Arucs = "arucs",
        /// An indemnity claim: the payer was refunded, and the bank will take the
        /// money from us.
        Ddica = "ddica",
    }
}

names! {
    /// Which report told about an instruction or an account.
    InstructionReport {
        /// The paying bank changed or cancelled an instruction.
        Addacs = "addacs",
        /// What became of the instructions that we lodged.
        Auddis = "auddis",
        /// A credit of ours was applied to a corrected account.
        Awacs = "awacs",
    }
}

/// A report of Bacs says that a payment comes back. Whose, and what that
/// re-opens, is for the ledger to find out; the bank's line of the money is told
/// apart, before or after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnAdvised {
    pub record_id: BacsRecordId,
    pub report: ReturnReport,
    pub import_id: ImportId,
    pub service_user_number: String,
    /// Our account, as `kernel::BankAccount::key`. A claim does not name it: it
    /// is there when an unpaid collection of this service user has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_account: Option<String>,
    /// What we had written on the payment: of a collection the instruction's
    /// reference.
    pub reference: String,
    /// The reason, one character.
    pub code: String,
    /// Positive.
    pub amount: Money,
    /// The day on which Bacs processed the payment; it was booked on the next
    /// working day. Of a claim the day on which the payer was debited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_on: Option<NaiveDate>,
    /// The processing day of the report.
    pub reported_on: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_name: Option<String>,
    /// As `kernel::BankAccount::key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_account: Option<String>,
    /// Such as `17`, a regular collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_code: Option<String>,
    /// The claim that it is a part of, by the bank's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The claim was withdrawn: nothing will be taken for it.
    #[serde(default)]
    pub withdrawn: bool,
    /// When the bank will take it, where a claim's report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_on: Option<NaiveDate>,
    /// How many items the report has of our account, and what they come to: the
    /// bank may book them as one line.
    pub items: i32,
    pub total: Money,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for ReturnAdvised {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "return_advised";

    /// The lane of the receipt that comes back.
    fn partition_key(&self) -> &str {
        self.payer_account
            .as_deref()
            .or(self.payer_name.as_deref())
            .unwrap_or(&self.service_user_number)
    }
}

/// A report of Bacs says something about an instruction to debit, or about the
/// account that a credit of ours went to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstructionAdvised {
    pub record_id: BacsRecordId,
    pub report: InstructionReport,
    pub import_id: ImportId,
    pub service_user_number: String,
    /// `A` of ADDACS; of AUDDIS `N`, `D` or `S` for an instruction that a bank
    /// returned (a new one, a cancelled one, one converted from paper), `V` for a
    /// file that was accepted and `R` for one that was rejected.
    pub record_type: String,
    /// The instruction's reference; a file has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words, where it is known, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_name: Option<String>,
    /// As `kernel::BankAccount::key`, like the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_payer_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_on: Option<NaiveDate>,
    /// The processing day of the report.
    pub reported_on: NaiveDate,
    /// Of a file: its volume serial number, and how many instructions were
    /// accepted and rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<i32>,
    /// Why a file was rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for InstructionAdvised {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "instruction_advised";

    /// What is said of one instruction stays in order.
    fn partition_key(&self) -> &str {
        self.reference
            .as_deref()
            .unwrap_or(&self.service_user_number)
    }
}
