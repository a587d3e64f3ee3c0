//! Money that left one of our bank accounts.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{DebitId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StatementPosition;
use crate::{Event, Role, inbound::RemittanceText};

/// Money left one of our bank accounts: a payment that came back, or one of our
/// own. Which it is, is for the ledger to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebitRecorded {
    pub debit_id: DebitId,
    /// The feed's or the file's name.
    pub source: String,
    /// Our account, as `kernel::BankAccount::key`.
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    /// Positive: what left.
    pub amount: Money,
    pub scheme: Option<String>,
    /// Whom the money went to; of a collection that came back, the debtor.
    pub counterparty_name: Option<String>,
    /// As `kernel::BankAccount::key`.
    pub counterparty_account: Option<String>,
    pub reference: Option<String>,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    /// Why a payment came back, as the bank codes it.
    pub return_reason: Option<String>,
    #[serde(default)]
    pub remittance: RemittanceText,
    pub statement: Option<StatementPosition>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for DebitRecorded {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "debit_recorded";

    /// The lane of the receipt that it may be the return of.
    fn partition_key(&self) -> &str {
        self.counterparty_account
            .as_deref()
            .or(self.counterparty_name.as_deref())
            .unwrap_or(&self.bank_account)
    }
}
