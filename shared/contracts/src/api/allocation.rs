//! What allocation answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, AllocationId, CommandId, DocumentId, EntryId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ControlTotals, Page, PageRequest, call};
use crate::{
    allocation::{
        AdjustmentLine, AllocationLine, Decision, Evidence, MatchScore, OutflowLine, ReceiptState,
        Rule,
    },
    inbound::DocumentKind,
};

/// Receipts, newest booking first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListReceipts {
    pub queue: ReceiptQueue,
    /// Part of the payer's name or narrative, an amount, or a bank reference.
    #[serde(default)]
    pub search: Option<String>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListReceipts => Allocation."receipts"."list" -> Page<ReceiptView>);

/// The queues of the workbench.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptQueue {
    /// Everything with money left on it that nobody has put aside.
    #[default]
    ToReview,
    /// To review, and with a suggestion to accept.
    Suggested,
    /// To review, and nobody knows whose money it is.
    Unidentified,
    /// To review, and the payer is known.
    Unallocated,
    /// Kept on account by a person.
    OnAccount,
    /// It seems to pay again what was paid, and is held until a person says.
    PossibleDuplicates,
    /// Money left, and put aside to check.
    Parked,
    /// Money of it was allocated on this London day.
    AllocatedToday,
    Allocated,
    All,
}

/// How much is in each queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountReceipts {}
call!(CountReceipts => Allocation."receipts"."count" -> QueueCounts);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueCounts {
    pub queues: Vec<QueueCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueCount {
    pub queue: ReceiptQueue,
    pub receipts: i64,
    /// Unallocated money per currency (received money for `allocated`, money
    /// allocated today for `allocated_today`).
    pub totals: Vec<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptView {
    pub receipt_id: ReceiptId,
    pub version: i64,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    pub amount: Money,
    pub unallocated: Money,
    pub payer_name: Option<String>,
    /// Masked to the last four digits.
    pub payer_account: Option<String>,
    pub narrative: String,
    pub state: ReceiptState,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub account_name: Option<String>,
    pub suggestions: i16,
    pub recorded_at: DateTime<Utc>,
    /// Put aside to check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<super::workbench::Parked>,
}

/// A receipt with all that is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetReceipt {
    pub receipt_id: ReceiptId,
}
call!(GetReceipt => Allocation."receipts"."get" -> ReceiptDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptDetail {
    pub receipt: ReceiptView,
    pub decision: Decision,
    pub suggestions: Vec<Suggestion>,
    /// Every line ever, contras among them, oldest first.
    pub allocations: Vec<AllocationView>,
    /// What came with it without cash, and stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentLine>,
    /// Money that left it other than onto a document, and has not come back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outflows: Vec<OutflowLine>,
    /// Why what is left is not allocated by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// Why money is kept from being allocated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Held {
    /// A person keeps it on account.
    OnAccount,
    /// It seems to repeat another payment.
    PossibleDuplicate { twin: ReceiptId },
    /// A person said that it repeats another payment: to be refunded.
    Duplicate { twin: ReceiptId },
}

/// A match that a person may accept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suggestion {
    /// 1 is the best.
    pub rank: i16,
    pub rule: Rule,
    /// `high`, `medium` or `low`.
    pub confidence: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: String,
    pub lines: Vec<SuggestedLine>,
    pub evidence: Vec<Evidence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<MatchScore>,
    /// By how much the total is below that of the best suggestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u16>,
    /// The one change that would have made it automatic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_have_matched: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuggestedLine {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub open: Money,
    pub amount: Money,
    pub due_on: NaiveDate,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationView {
    #[serde(flatten)]
    pub line: AllocationLine,
    pub rule: Rule,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
    /// Whether a contra has undone it.
    pub undone: bool,
}

/// Open documents that a person may allocate to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FindOpenItems {
    /// Document or account reference, or part of the account's name.
    #[serde(default)]
    pub search: Option<String>,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub currency: Option<kernel::Currency>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(FindOpenItems => Allocation."items"."find" -> Page<OpenItemView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenItemView {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: String,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Signed.
    pub amount: Money,
    /// Signed.
    pub open: Money,
}

/// A person allocates a receipt, wholly or in part, to one document or many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocateReceipt {
    /// The same command twice moves the money once.
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    /// Refused when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub lines: Vec<AllocateLine>,
    pub actor: String,
    pub reason: String,
}
call!(AllocateReceipt => Allocation."receipts"."allocate" -> ReceiptDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocateLine {
    pub document_id: DocumentId,
    /// Negative for a credit note.
    pub amount: Money,
}

/// Takes one allocation back by a contra line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UndoAllocation {
    pub command_id: CommandId,
    pub allocation_id: AllocationId,
    pub actor: String,
    pub reason: String,
    /// What was the matter, where the person says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<UndoCause>,
}
call!(UndoAllocation => Allocation."allocations"."undo" -> ReceiptDetail);

/// Why an allocation is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UndoCause {
    /// The match was wrong: counts against the rung that made it.
    WrongMatch,
    /// It was right until the payer said otherwise.
    PayerChangedMind,
    Other,
}

/// The middle links of `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceReceipt {
    pub receipt_id: ReceiptId,
}
call!(TraceReceipt => Allocation."receipts"."trace" -> ReceiptTrace);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptTrace {
    pub detail: ReceiptDetail,
    pub journal: Vec<JournalEntry>,
    pub events: Vec<PublishedEvent>,
    /// Bank lines that took its money back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debits: Vec<super::returns::DebitView>,
    /// What was decided before, oldest first: nothing that explains an
    /// allocation is ever lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_decisions: Vec<PastDecision>,
}

/// A decision that a later one has replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PastDecision {
    /// The version of the receipt that it made.
    pub version: i64,
    pub decision: Decision,
    /// When the allocations that were there then were last changed; the first
    /// decision of a time is the one that changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated_at: Option<DateTime<Utc>>,
}

/// One double entry: one account debited, one credited, the same amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JournalEntry {
    pub entry_id: EntryId,
    pub debit: String,
    pub credit: String,
    pub amount: Money,
    pub effective_on: NaiveDate,
    pub recorded_at: DateTime<Utc>,
}

/// An event in the outbox, and whether the broker has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedEvent {
    pub event_id: kernel::EventId,
    pub event_type: String,
    pub recorded_at: DateTime<Utc>,
    pub published: bool,
    pub trace_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetAllocationTotals {}
call!(GetAllocationTotals => Allocation."control"."totals" -> ControlTotals);
