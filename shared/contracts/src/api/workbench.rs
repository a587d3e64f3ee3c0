//! What the allocation workbench asks beyond one receipt: putting receipts
//! aside, accepting many suggestions, looking documents up by their numbers, and
//! finding again what one batch has done.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AllocationId, CommandId, Currency, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Page, PageRequest,
    allocation::{
        AllocationView, OpenItemView, ReceiptDetail, ReceiptQueue, ReceiptView, Suggestion,
        UndoCause,
    },
    call,
    returns::Run,
};

/// Puts a receipt aside "to check". Its money stays unallocated. Parking a
/// parked receipt changes reason, owner and date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkReceipt {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    /// Refused when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub reason: String,
    /// Who is to check it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The London day on which it comes back by itself; after today.
    #[serde(default)]
    pub until: Option<NaiveDate>,
    pub actor: String,
}
call!(ParkReceipt => Allocation."receipts"."park" -> ReceiptDetail);

/// Takes a parked receipt up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnparkReceipt {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub reason: String,
}
call!(UnparkReceipt => Allocation."receipts"."unpark" -> ReceiptDetail);

/// Why a receipt is put aside, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parked {
    pub reason: String,
    pub owner: Option<String>,
    /// It comes back by itself on this day.
    pub until: Option<NaiveDate>,
    pub by: String,
    pub at: DateTime<Utc>,
}

/// Receipts of a queue whose best suggestion, and no other, has a confidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAcceptable {
    pub queue: ReceiptQueue,
    #[serde(default)]
    pub search: Option<String>,
    /// `high`, `medium` or `low`.
    pub confidence: String,
    /// At most [`ListAcceptable::MAX`] on a page.
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListAcceptable => Allocation."receipts"."acceptable" -> Page<Acceptable>);

impl ListAcceptable {
    /// More than this cannot be looked through before saying yes.
    pub const MAX: u16 = 100;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acceptable {
    pub receipt: ReceiptView,
    pub suggestion: Suggestion,
}

/// Allocates a receipt as one of its suggestions says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcceptSuggestion {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    /// The version that the suggestion was shown with: suggestions change with
    /// every move of a receipt.
    pub expected_version: i64,
    pub rank: i16,
    /// The batch that this is a part of, to find its lines again.
    #[serde(default)]
    pub batch_id: Option<Uuid>,
    pub actor: String,
    pub reason: String,
}
call!(AcceptSuggestion => Allocation."receipts"."accept" -> ReceiptDetail);

/// Takes allocations of one receipt back as one move, all of them or none: those
/// that are named, those of one decision, or all that came about by themselves.
/// Lines with a credit note among them may not be taken apart one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UndoTogether {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocation_ids: Vec<AllocationId>,
    /// What one decision moved, as far as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// What no person has decided, as far as it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// See [`crate::api::allocation::UndoAllocation`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<UndoCause>,
    pub actor: String,
    pub reason: String,
}
call!(UndoTogether => Allocation."receipts"."undo_together" -> ReceiptDetail);

/// What stands of receipts that no person has decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAutomatic {
    /// At most [`ListAutomatic::MAX`].
    pub receipt_ids: Vec<ReceiptId>,
}
call!(ListAutomatic => Allocation."receipts"."list_automatic" -> AutomaticReceipts);

impl ListAutomatic {
    pub const MAX: usize = 500;
}

/// Those of the receipts that paid something by themselves, in the order of
/// their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutomaticReceipts {
    pub receipts: Vec<AutomaticReceipt>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AutomaticReceipt {
    pub receipt_id: ReceiptId,
    /// Lines that stand.
    pub lines: u32,
    /// What they come to.
    pub amount: Money,
}

/// Documents by their numbers, as somebody has listed them. Documents that are
/// paid are among the answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameItems {
    /// At most [`NameItems::MAX`].
    pub numbers: Vec<String>,
    #[serde(default)]
    pub currency: Option<Currency>,
}
call!(NameItems => Allocation."items"."name" -> NamedItems);

impl NameItems {
    pub const MAX: usize = 500;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedItems {
    /// One entry for each document that a number names; none for unknown
    /// numbers.
    pub items: Vec<NamedItem>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedItem {
    /// As it was asked for.
    pub number: String,
    pub item: OpenItemView,
}

/// The lines that a batch made, by receipt and in the order in which they were
/// made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetBatch {
    pub batch_id: Uuid,
}
call!(GetBatch => Allocation."batches"."get" -> BatchView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchView {
    pub batch_id: Uuid,
    pub lines: Vec<BatchLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchLine {
    pub receipt_id: ReceiptId,
    pub payer_name: Option<String>,
    #[serde(flatten)]
    pub allocation: AllocationView,
}
