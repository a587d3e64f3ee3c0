//! What allocation answers about matters and the money that is held for
//! clients.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, BankMoveId, CommandId, DisbursementId, DocumentId, MatterEntryId, MatterId, Money,
    ReceiptId, ResidualId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest, call};
use crate::{
    controls::{ApprovalId, ClientPaymentId, ClientPaymentState},
    inbound::MatterStatus,
    matters::{
        BankMove, Component, DisbursementKind, DisbursementStep, EntryKind, MatterEntry,
        RecoveryState, ResidualRoute, ResidualState, ResidualStep, Side, SupplierState,
    },
};

/// Matters, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListMatters {
    /// Part of the matter's reference or title, or the account's reference.
    #[serde(default)]
    pub search: Option<String>,
    #[serde(default)]
    pub status: Option<MatterStatus>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListMatters => Allocation."matters"."list" -> Page<MatterView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterView {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub version: i64,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: Option<String>,
    pub title: String,
    pub fee_earner: Option<String>,
    pub opened_on: NaiveDate,
    pub concluded_on: Option<NaiveDate>,
    pub closed_on: Option<NaiveDate>,
    pub status: MatterStatus,
    /// Held for the client, per currency.
    pub client_money: Vec<Money>,
    /// Why client money is held, where a person has said so.
    pub hold_reason: Option<String>,
    pub hold_until: Option<NaiveDate>,
}

/// A matter with its ledgers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetMatter {
    pub matter_id: MatterId,
}
call!(GetMatter => Allocation."matters"."get" -> MatterDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterDetail {
    pub matter: MatterView,
    /// The latest lines of both sides, oldest first; at most 500.
    pub entries: Vec<MatterEntryView>,
    pub bills: Vec<MatterBill>,
    pub bank_moves: Vec<BankMove>,
    /// Payments of client money that a second person decides, the latest first;
    /// at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<ClientPaymentView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientPaymentView {
    pub payment_id: ClientPaymentId,
    pub state: ClientPaymentState,
    /// `returned`, `paid_out` or `disbursement_paid`.
    pub kind: EntryKind,
    pub amount: Money,
    pub payee: String,
    /// The disbursement whose supplier is paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disbursement_id: Option<DisbursementId>,
    pub bank_account: String,
    pub reason: String,
    pub requester: String,
    pub approval_id: ApprovalId,
    pub requested_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterEntryView {
    pub entry: MatterEntry,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
    pub undone: bool,
}

/// A document of the matter. It counts as delivered because it is on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterBill {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub issued_on: NaiveDate,
    pub amount: Money,
    pub open: Money,
}

/// One part of a mixed receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitPart {
    pub component: Component,
    pub amount: Money,
    /// The bill that it shall pay; any open bill of the matter when absent.
    #[serde(default)]
    pub document_id: Option<DocumentId>,
    /// The disbursement that it repays: says who has paid the supplier.
    #[serde(default)]
    pub disbursement_id: Option<DisbursementId>,
}

/// Splits a receipt by what it is for: the client's part goes to the matter's
/// client ledger, the firm's part onto its delivered bills, at once (SRA 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SplitReceipt {
    pub command_id: CommandId,
    pub receipt_id: ReceiptId,
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub matter_id: MatterId,
    pub parts: Vec<SplitPart>,
    pub actor: String,
    pub reason: String,
}
call!(SplitReceipt => Allocation."receipts"."split" -> MatterDetail);

/// Client money pays a delivered bill of the same matter (SRA 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TransferToBusiness {
    pub command_id: CommandId,
    pub matter_id: MatterId,
    pub document_id: DocumentId,
    pub amount: Money,
    pub actor: String,
    pub reason: String,
}
call!(TransferToBusiness => Allocation."matters"."transfer" -> MatterDetail);

/// Client money shall leave the client account once a second person has approved
/// it: to the client, to a third party, or to the supplier of a recorded
/// disbursement. Not to charity: see [`ProposeRoute`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayClientMoney {
    pub command_id: CommandId,
    pub matter_id: MatterId,
    /// `returned`, `paid_out` or `disbursement_paid`.
    pub kind: EntryKind,
    pub amount: Money,
    pub payee: String,
    /// Needed for `disbursement_paid`.
    #[serde(default)]
    pub disbursement_id: Option<DisbursementId>,
    /// The client account it leaves, as `kernel::BankAccount::key`; may be
    /// absent while there is only one.
    #[serde(default)]
    pub bank_account: Option<String>,
    pub actor: String,
    pub reason: String,
}
call!(PayClientMoney => Allocation."matters"."pay" -> MatterDetail);

/// Payments of client money that a second person decides, of all matters, the
/// latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListClientPayments {
    /// All when absent.
    #[serde(default)]
    pub state: Option<ClientPaymentState>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListClientPayments => Allocation."matters"."payments" -> Page<MatterPayment>);

/// A payment with the matter that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterPayment {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub matter_title: String,
    pub account_ref: String,
    pub payment: ClientPaymentView,
}

/// Takes a payment back that nobody has decided yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeBackClientPayment {
    pub command_id: CommandId,
    pub payment_id: ClientPaymentId,
    pub actor: String,
    pub reason: String,
}
call!(TakeBackClientPayment => Allocation."matters"."take-back-payment" -> MatterDetail);

/// Takes a line of a matter's ledger back by a contra. What a receipt brought
/// is taken back with the whole split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UndoMatterEntry {
    pub command_id: CommandId,
    pub entry_id: MatterEntryId,
    pub actor: String,
    pub reason: String,
}
call!(UndoMatterEntry => Allocation."matters"."undo" -> MatterDetail);

/// Says why client money is properly held on, until when; or, without a reason,
/// that there is none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldClientMoney {
    pub command_id: CommandId,
    pub matter_id: MatterId,
    #[serde(default)]
    pub hold: Option<Hold>,
    pub actor: String,
}
call!(HoldClientMoney => Allocation."matters"."hold" -> MatterDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    pub reason: String,
    pub until: NaiveDate,
}

/// Money that must be moved between our bank accounts, the most urgent first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListBankMoves {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListBankMoves => Allocation."bank_moves"."list" -> Page<BankMoveView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankMoveView {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub bank_move: BankMove,
    pub overdue: bool,
}

/// The money was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CompleteBankMove {
    pub command_id: CommandId,
    pub move_id: BankMoveId,
    pub done_on: NaiveDate,
    /// As `kernel::BankAccount::key`: one of the side it came from.
    pub from_account: String,
    /// As `kernel::BankAccount::key`: one of the side it must go to.
    pub to_account: String,
    pub actor: String,
    pub reason: String,
}
call!(CompleteBankMove => Allocation."bank_moves"."complete" -> MatterDetail);

/// Residual balances, the longest held first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListResiduals {
    /// Open ones when absent.
    #[serde(default)]
    pub closed: bool,
    #[serde(default)]
    pub search: Option<String>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListResiduals => Allocation."residuals"."list" -> Page<ResidualView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidualView {
    pub residual_id: ResidualId,
    pub version: i64,
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub matter_title: String,
    pub fee_earner: Option<String>,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: Option<String>,
    pub state: ResidualState,
    pub balance: Money,
    /// The day on which the last proper reason to hold it ended.
    pub since: NaiveDate,
    /// Days since then.
    pub days: i64,
    pub level: i16,
    /// When the next escalation is due.
    pub next_escalation_on: Option<NaiveDate>,
    pub tracing_steps: i64,
    pub route: Option<ResidualRoute>,
    pub opened_at: DateTime<Utc>,
    pub closed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetResidual {
    pub residual_id: ResidualId,
}
call!(GetResidual => Allocation."residuals"."get" -> ResidualDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidualDetail {
    pub residual: ResidualView,
    pub tracing: Vec<TracingStep>,
    pub proposal: Option<RouteProposal>,
    pub history: Vec<ResidualEvent>,
    /// What the rules ask for before money may go to charity, and whether it is
    /// there.
    pub charity_limit: Money,
    pub tracing_needed: i64,
    pub sra_applied_on: Option<NaiveDate>,
    pub sra_reference: Option<String>,
    /// The matter's client ledger, oldest first.
    pub entries: Vec<MatterEntryView>,
}

/// One attempt to find the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TracingStep {
    pub on: NaiveDate,
    /// `letter`, `telephone`, `email`, `tracing_agent`, …
    pub channel: String,
    pub outcome: String,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

/// A way out, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteProposal {
    pub route: ResidualRoute,
    /// The client, or the charity.
    pub payee: String,
    pub charity_number: Option<String>,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    /// The request that worklist decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidualEvent {
    pub step: ResidualStep,
    pub detail: String,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

/// Notes an attempt to find the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceOwner {
    pub command_id: CommandId,
    pub residual_id: ResidualId,
    pub on: NaiveDate,
    pub channel: String,
    pub outcome: String,
    pub actor: String,
}
call!(TraceOwner => Allocation."residuals"."trace" -> ResidualDetail);

/// Notes that the SRA was asked for its authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordSraApplication {
    pub command_id: CommandId,
    pub residual_id: ResidualId,
    pub on: NaiveDate,
    /// The SRA's reference.
    pub reference: String,
    pub actor: String,
}
call!(RecordSraApplication => Allocation."residuals"."sra" -> ResidualDetail);

/// Asks for a way out; a second person decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposeRoute {
    pub command_id: CommandId,
    pub residual_id: ResidualId,
    pub route: ResidualRoute,
    pub payee: String,
    #[serde(default)]
    pub charity_number: Option<String>,
    /// The client account it leaves; may be absent while there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_account: Option<String>,
    pub actor: String,
    pub reason: String,
}
call!(ProposeRoute => Allocation."residuals"."propose" -> ResidualDetail);

/// Takes a proposal back that nobody has decided yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeBackRoute {
    pub command_id: CommandId,
    pub residual_id: ResidualId,
    pub actor: String,
    pub reason: String,
}
call!(TakeBackRoute => Allocation."residuals"."take-back" -> ResidualDetail);

/// The central register of residual balances that were paid to charity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListCharityRegister {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListCharityRegister => Allocation."residuals"."register" -> Page<CharityPayment>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CharityPayment {
    pub residual_id: ResidualId,
    pub matter_ref: String,
    /// The rightful owner.
    pub owner: String,
    pub amount: Money,
    pub charity: String,
    pub charity_number: String,
    pub paid_on: NaiveDate,
    pub route: ResidualRoute,
    pub sra_reference: Option<String>,
    pub requested_by: String,
    pub approved_by: String,
}

/// Disbursements, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDisbursements {
    /// Only what is still to be paid or to come back.
    #[serde(default)]
    pub outstanding: bool,
    #[serde(default)]
    pub matter_id: Option<MatterId>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListDisbursements => Allocation."disbursements"."list" -> Page<DisbursementView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisbursementView {
    pub disbursement_id: DisbursementId,
    pub version: i64,
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub kind: DisbursementKind,
    pub supplier: String,
    /// With VAT.
    pub amount: Money,
    pub vat: Money,
    pub incurred_on: NaiveDate,
    pub paid_on: Option<NaiveDate>,
    /// Whose money paid the supplier.
    pub funded_by: Option<Side>,
    /// Such as the opponent's insurer.
    pub recoverable_from: Option<String>,
    pub supplier_state: SupplierState,
    pub recovery_state: RecoveryState,
    pub agreed: Option<Money>,
    pub recovered: Money,
    pub refunded: Money,
    /// Came back twice, from the opponent and from the supplier: to be paid on
    /// (E92).
    pub to_pay_on: Money,
    pub write_off_requested_by: Option<String>,
    /// The age band from the day it was incurred.
    pub band: String,
    pub days: i64,
    /// Days since the matter was concluded.
    pub days_since_conclusion: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordDisbursement {
    pub command_id: CommandId,
    pub matter_id: MatterId,
    pub kind: DisbursementKind,
    pub supplier: String,
    /// With VAT.
    pub amount: Money,
    pub vat: Money,
    pub incurred_on: NaiveDate,
    #[serde(default)]
    pub recoverable_from: Option<String>,
    pub actor: String,
}
call!(RecordDisbursement => Allocation."disbursements"."record" -> DisbursementView);

/// Takes a disbursement a step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoveDisbursement {
    pub command_id: CommandId,
    pub disbursement_id: DisbursementId,
    pub step: DisbursementStep,
    pub on: NaiveDate,
    /// Needed for `agreed`, `recovered` and `supplier_refunded`.
    #[serde(default)]
    pub amount: Option<Money>,
    pub actor: String,
    pub reason: String,
}
call!(MoveDisbursement => Allocation."disbursements"."move" -> DisbursementView);

/// Why a file cannot be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetClosureGate {
    pub matter_id: MatterId,
}
call!(GetClosureGate => Allocation."matters"."closure" -> ClosureGate);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosureGate {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub may_close: bool,
    pub blockers: Vec<Blocker>,
    /// What this ledger cannot see and a person must check.
    pub not_checked: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// Stable, such as `client_money_held`.
    pub code: String,
    pub detail: String,
    pub amount: Option<Money>,
}

/// File numbers as at the end of a day, as a fold over what was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountMatters {
    /// Today when absent.
    #[serde(default)]
    pub as_at: Option<NaiveDate>,
}
call!(CountMatters => Allocation."matters"."count" -> MatterCounts);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterCounts {
    pub as_at: NaiveDate,
    pub opened: i64,
    pub reopened: i64,
    pub concluded: i64,
    pub closed: i64,
    /// Opened, reopened or concluded.
    pub not_closed: i64,
}

/// Holds our files against the case system's list of those that are not closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckMatters {
    #[serde(default)]
    pub as_at: Option<NaiveDate>,
    /// The case system's matters that are not closed, with their status; at
    /// most 10,000.
    pub theirs: Vec<TheirMatter>,
}
call!(CheckMatters => Allocation."matters"."check" -> MatterCheck);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TheirMatter {
    pub matter_ref: String,
    pub status: MatterStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterCheck {
    pub as_at: NaiveDate,
    pub agrees: bool,
    pub ours: i64,
    pub theirs: i64,
    /// Every file number that differs, at most 1,000 of them.
    pub differences: Vec<MatterDifference>,
    /// Differences beyond those listed.
    pub more: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterDifference {
    pub matter_ref: String,
    /// Absent: not among our files that are not closed.
    pub ours: Option<MatterStatus>,
    pub theirs: Option<MatterStatus>,
}
