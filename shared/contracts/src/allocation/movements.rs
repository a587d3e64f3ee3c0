//! What settles a debt without cash, and where a receipt's money goes when it
//! pays no document.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, AdjustmentId, DocumentId, Money, OutflowId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ReceiptMoved;
use crate::{Event, Role};

/// Why a debt changed without cash.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum AdjustmentKind {
    /// Given up as a bad debt, approved by a second person.
    WriteOff,
    /// A remainder too small to be worth asking for.
    SmallBalance,
    /// A settlement discount that the payer was entitled to.
    Discount,
    /// What a bank on the way kept of the payment.
    BankCharge,
    /// A credit note meeting an invoice of the same account, without cash.
    Offset,
    /// Client money that paid a delivered bill of its matter (SRA 4.3).
    ClientTransfer,
}

impl AdjustmentKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteOff => "write_off",
            Self::SmallBalance => "small_balance",
            Self::Discount => "discount",
            Self::BankCharge => "bank_charge",
            Self::Offset => "offset",
            Self::ClientTransfer => "client_transfer",
        }
    }
}

/// A change of one document's debt without cash. Undone by a line with the
/// opposite amount, never by a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdjustmentLine {
    pub adjustment_id: AdjustmentId,
    pub kind: AdjustmentKind,
    pub document_id: DocumentId,
    pub document_ref: String,
    pub account_id: AccountId,
    /// Positive lowers the debt; negative raises it: uses up a credit note, or
    /// undoes.
    pub amount: Money,
    pub effective_on: NaiveDate,
    /// The line that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contra_of: Option<AdjustmentId>,
    /// The request that it carries out, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
}

/// Where money of a receipt went that pays no document.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum OutflowKind {
    /// The bank took the payment back.
    Returned,
    /// Paid back to the payer.
    Refunded,
    /// Client money: to the client side of a matter.
    ClientLedger,
    /// Taken to income, because nobody could be found to whom it belongs.
    WrittenBack,
}

impl OutflowKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Refunded => "refunded",
            Self::ClientLedger => "client_ledger",
            Self::WrittenBack => "written_back",
        }
    }
}

/// Money that left a receipt other than onto a document. Undone by a line with
/// the opposite amount, never by a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutflowLine {
    pub outflow_id: OutflowId,
    pub kind: OutflowKind,
    /// Positive takes from the receipt; negative brings back.
    pub amount: Money,
    pub effective_on: NaiveDate,
    /// The line that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contra_of: Option<OutflowId>,
    /// The return, refund or matter entry that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
}

/// `receipt_reduced`: see [`ReceiptMoved`]; money left the receipt, perhaps
/// after its allocations were undone by the contras that come with it, or it
/// came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ReceiptReduced(pub ReceiptMoved);

impl Event for ReceiptReduced {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "receipt_reduced";

    fn partition_key(&self) -> &str {
        self.0.key()
    }
}

/// Debts of one account changed without cash, and no receipt is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebtAdjusted {
    pub account_id: AccountId,
    pub account_ref: String,
    pub lines: Vec<AdjustmentLine>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for DebtAdjusted {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "debt_adjusted";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
