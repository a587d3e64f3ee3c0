//! Money after matching: what comes back, moves on, or is taken apart again.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, AllocationId, CommandId, DebitId, DocumentId, EventId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest, allocation::ReceiptDetail, call};
use crate::allocation::{
    AdjustmentLine, AdvisedBy, ChaseableItem, ChaseableTotal, DebitState, Evidence,
};

/// Which decision: its moment (`recorded_at` of its lines), the event that told
/// of it, or the command or message that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    DecidedAt(DateTime<Utc>),
    Event(EventId),
    Command(CommandId),
}

/// Lets an allocation pay another document instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoveAllocation {
    pub command_id: CommandId,
    pub allocation_id: AllocationId,
    /// Where the money goes.
    pub document_id: DocumentId,
    /// A part of the allocation; all of it when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    pub actor: String,
    pub reason: String,
}
call!(MoveAllocation => Allocation."allocations"."move" -> ReceiptDetail);

/// Says whose a receipt's unallocated money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferReceipt {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    pub account_id: AccountId,
    /// Keep it there on account, deliberately.
    #[serde(default)]
    pub on_account: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub reason: String,
}
call!(TransferReceipt => Allocation."receipts"."transfer" -> ReceiptDetail);

/// Keeps unallocated money on account, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeepOnAccount {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    pub on_account: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub reason: String,
}
call!(KeepOnAccount => Allocation."receipts"."on_account" -> ReceiptDetail);

/// Says whether a possible duplicate is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettleDuplicate {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    pub duplicate: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub reason: String,
}
call!(SettleDuplicate => Allocation."receipts"."duplicate" -> ReceiptDetail);

/// The payment did not stay with us, whatever the bank line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnReceipt {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    /// All that is left of it when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    /// `dd_return`, `ddic`, `cheque_return`, `card`, …
    #[serde(default)]
    pub scheme: Option<String>,
    /// The bank's code for the reason.
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub reason: String,
}
call!(ReturnReceipt => Allocation."receipts"."return" -> ReceiptDetail);

/// Bank lines that took money from us, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDebits {
    /// All when absent.
    #[serde(default)]
    pub state: Option<DebitState>,
    /// Only those that took back what had been refunded.
    #[serde(default)]
    pub shortfall: bool,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListDebits => Allocation."debits"."list" -> Page<DebitView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetDebit {
    pub debit_id: DebitId,
}
call!(GetDebit => Allocation."debits"."get" -> DebitView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebitView {
    pub debit_id: DebitId,
    pub version: i64,
    pub state: DebitState,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub amount: Money,
    pub scheme: Option<String>,
    /// Why a payment came back, as the bank codes it, and in words.
    pub code: Option<String>,
    pub meaning: Option<String>,
    pub action: Option<String>,
    pub counterparty_name: Option<String>,
    /// Masked to the last four digits.
    pub counterparty_account: Option<String>,
    pub narrative: String,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    /// The receipt whose money it took.
    pub receipt_id: Option<ReceiptId>,
    /// What the payee owes us, because it had been refunded before.
    pub shortfall: Option<Money>,
    /// Receipts that it may be the return of, while nobody knows.
    pub candidates: Vec<ReceiptId>,
    /// It is no bank line but an item of a report of Bacs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<AdvisedBy>,
    /// The bank line of the item, or the item of the bank line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired_with: Option<DebitId>,
    pub evidence: Vec<Evidence>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

/// A person says which receipt a debit took back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchDebit {
    pub command_id: CommandId,
    pub debit_id: DebitId,
    pub receipt_id: ReceiptId,
    pub actor: String,
    pub reason: String,
}
call!(MatchDebit => Allocation."debits"."match" -> DebitView);

/// A person says that a debit is a payment of our own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkDebitOurs {
    pub command_id: CommandId,
    pub debit_id: DebitId,
    pub actor: String,
    pub reason: String,
}
call!(MarkDebitOurs => Allocation."debits"."ours" -> DebitView);

/// What a debit took has come again: a chargeback won, or a bank's correction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReverseDebit {
    pub command_id: CommandId,
    pub debit_id: DebitId,
    /// The receipt by which it came, when the bank booked a line of its own: its
    /// money goes to the receipt that was returned.
    #[serde(default)]
    pub credit: Option<ReceiptId>,
    pub actor: String,
    pub reason: String,
}
call!(ReverseDebit => Allocation."debits"."reverse" -> DebitView);

/// Credit notes meet invoices of the same account, without cash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OffsetDocuments {
    pub command_id: CommandId,
    pub account_id: AccountId,
    /// Together they come to nothing.
    pub lines: Vec<OffsetLine>,
    pub actor: String,
    pub reason: String,
}
call!(OffsetDocuments => Allocation."accounts"."offset" -> Offset);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OffsetLine {
    pub document_id: DocumentId,
    /// Positive lowers an invoice; negative uses up a credit note.
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offset {
    pub account_id: AccountId,
    pub lines: Vec<AdjustmentLine>,
}

/// What of an account may be chased now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetChaseable {
    pub account_id: AccountId,
    /// Only these documents; all that are open when empty.
    #[serde(default)]
    pub items: Vec<DocumentId>,
}
call!(GetChaseable => Allocation."chaseable"."get" -> Chaseable);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chaseable {
    pub account_id: AccountId,
    pub account_ref: String,
    /// One for each currency, of the whole account.
    pub totals: Vec<ChaseableTotal>,
    /// The oldest first.
    pub items: Vec<ChaseableItem>,
    /// When this was so.
    pub as_at: DateTime<Utc>,
}
