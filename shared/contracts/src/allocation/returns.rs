//! Payments that the bank took back, and the bank lines that did it.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DebitId, DocumentId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Evidence;
use crate::{Event, Role, ingestion::ReturnReport};

/// Why and when a payment came back, and what is owed again: enough to chase
/// on from where chasing had stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Returned {
    /// The bank line that took it; absent when a person said that it came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debit_id: Option<DebitId>,
    /// Such as `dd_return`, `ddic`, `cheque_return` or `card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The reason as the bank codes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code in words, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether the scheme lets us collect the same amount once more.
    #[serde(default)]
    pub may_present_again: bool,
    /// The last day on which it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present_again_until: Option<NaiveDate>,
    /// Nobody may be chased before a person has looked: the payer has died.
    #[serde(default)]
    pub stops_chasing: bool,
    /// What came back.
    pub amount: Money,
    pub returned_on: NaiveDate,
    /// When the payment had been booked.
    pub paid_on: NaiveDate,
    /// What of it was on the receipt no more, because it had been refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Money>,
    /// What of it was a client's and had been spent: the firm makes it good the
    /// same day (SRA 6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_shortage: Option<Money>,
    pub reopened: Vec<Reopened>,
}

/// A document that is owed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reopened {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub account_id: AccountId,
    /// By how much more is owed, revoked discounts included.
    pub amount: Money,
    /// What is open of it now.
    pub open: Money,
    pub due_on: NaiveDate,
    /// Since when it had been taken for paid.
    pub paid_on: NaiveDate,
}

/// What a bank line that took money from us is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum DebitState {
    /// Nobody knows yet, or the payment that it returns has not come in.
    Unmatched,
    /// A payment that the bank took back.
    Returned,
    /// It took a payment back, and the payment came again: a chargeback won.
    Reversed,
    /// A payment of our own, a charge: nothing of the sales ledger.
    Ours,
    /// The same return is told by a report of Bacs and by a bank line, and the
    /// other of the two has moved the money.
    Paired,
    /// An indemnity claim: the bank will take the money, and has not yet.
    Expected,
    /// An indemnity claim that was withdrawn.
    Withdrawn,
}

impl DebitState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::Returned => "returned",
            Self::Reversed => "reversed",
            Self::Ours => "ours",
            Self::Paired => "paired",
            Self::Expected => "expected",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A report of Bacs told of the return, before or after the bank's own line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvisedBy {
    pub report: ReturnReport,
    pub reported_on: NaiveDate,
    /// What we had written on the payment.
    pub reference: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_on: Option<NaiveDate>,
    /// Until when a claim can be challenged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge_by: Option<NaiveDate>,
    /// When the bank will take what is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_on: Option<NaiveDate>,
}

/// A bank line that took money is on the ledger, or what is known of it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebitPosted {
    pub debit_id: DebitId,
    /// Rises by one with every change.
    pub version: i64,
    pub state: DebitState,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub amount: Money,
    pub scheme: Option<String>,
    pub code: Option<String>,
    /// The receipt whose money it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
    /// Whose money it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    /// What the receipt had no more, as it had been refunded: the payee owes it
    /// to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Money>,
    /// It is no bank line but an item of a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<AdvisedBy>,
    /// The bank line of the item, or the item of the bank line; absent of a line
    /// for several items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_with: Option<DebitId>,
    pub evidence: Vec<Evidence>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for DebitPosted {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "debit_posted";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(&self.bank_account)
    }
}
