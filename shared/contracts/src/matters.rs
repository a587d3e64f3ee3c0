//! What allocation says about matters: client money, money that stands on the
//! wrong bank account, residual balances and disbursements. Facts of
//! `counterfoil.evt.allocation.>`.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{
    AccountId, BankMoveId, DisbursementId, DocumentId, MatterEntryId, MatterId, Money, ReceiptId,
    ResidualId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Role, inbound::MatterStatus};

/// The ledger's view of a matter is new or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterUpdated {
    pub matter_id: MatterId,
    pub matter_ref: String,
    /// Rises by one with every change of the matter, money among them.
    pub version: i64,
    pub account_id: AccountId,
    pub account_ref: String,
    pub title: String,
    pub fee_earner: Option<String>,
    pub opened_on: NaiveDate,
    pub concluded_on: Option<NaiveDate>,
    pub closed_on: Option<NaiveDate>,
    pub status: MatterStatus,
    /// The day from which the status counts.
    pub status_on: NaiveDate,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for MatterUpdated {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "matter_updated";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Whose money a line of a matter's ledger is. The two never net (SRA 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Client,
    Business,
}

impl Side {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Business => "business",
        }
    }
}

/// What a line of a matter's ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum EntryKind {
    /// From a receipt.
    Received,
    /// From the client side to the business side, against a delivered bill.
    Transferred,
    /// To a third party, for the client.
    PaidOut,
    /// To the client, or to whoever it belongs to.
    Returned,
    /// A residual balance that nobody could be found for.
    Charity,
    /// To the supplier of a disbursement.
    DisbursementPaid,
    /// The firm's own money, put in to make good a shortage.
    Correction,
}

impl EntryKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Transferred => "transferred",
            Self::PaidOut => "paid_out",
            Self::Returned => "returned",
            Self::Charity => "charity",
            Self::DisbursementPaid => "disbursement_paid",
            Self::Correction => "correction",
        }
    }
}

/// What a part of a mixed receipt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum Component {
    /// The client's, always.
    Damages,
    /// The firm's where the firm has paid the supplier, else the client's.
    Disbursement,
    /// The firm's only against a delivered bill (SRA 2.1(d)).
    Costs,
    /// As the costs that it is on.
    Vat,
}

impl Component {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damages => "damages",
            Self::Disbursement => "disbursement",
            Self::Costs => "costs",
            Self::Vat => "vat",
        }
    }
}

/// A line of a matter's ledger: made once, undone by a line of the opposite
/// amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatterEntry {
    pub entry_id: MatterEntryId,
    pub side: Side,
    pub kind: EntryKind,
    /// Positive: the side has more.
    pub amount: Money,
    pub effective_on: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disbursement_id: Option<DisbursementId>,
    /// Whom it was paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payee: Option<String>,
    /// The line that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contra_of: Option<MatterEntryId>,
}

/// Lines were added to a matter's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClientMoneyMoved {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub version: i64,
    pub account_id: AccountId,
    pub account_ref: String,
    pub lines: Vec<MatterEntry>,
    /// What is held for the client afterwards, in the lines' currency.
    pub client_balance: Money,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ClientMoneyMoved {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "client_money_moved";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Why money stands on the wrong one of our bank accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum BankMoveKind {
    /// A mixed receipt (SRA 4.2), or client money that came into a business
    /// account (SRA 2.3).
    MixedReceipt,
    /// Client money that has paid a bill (SRA 4.3).
    OfficeTransfer,
    /// Client money is short: the firm puts its own in (SRA 6.1).
    Shortage,
}

impl BankMoveKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::MixedReceipt => "mixed_receipt",
            Self::OfficeTransfer => "office_transfer",
            Self::Shortage => "shortage",
        }
    }
}

/// Money that the books have on one side and the bank on the other, until
/// somebody moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankMove {
    pub move_id: BankMoveId,
    pub kind: BankMoveKind,
    /// The side it must go to.
    pub to: Side,
    pub amount: Money,
    /// Where it stands, as `kernel::BankAccount::key`; unknown for own money
    /// that makes good a shortage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
    pub arose_on: NaiveDate,
    pub due_by: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_on: Option<NaiveDate>,
}

/// Money must be moved between our bank accounts, or was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankMoveChanged {
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub account_ref: String,
    pub bank_move: BankMove,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for BankMoveChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "bank_move_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// How a residual balance leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum ResidualRoute {
    /// To the client.
    Returned,
    /// To a charity, up to the limit of the SRA's prescribed circumstances.
    Charity,
    /// Above the limit: to a charity with the SRA's authority.
    SraAuthorised,
}

impl ResidualRoute {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Charity => "charity",
            Self::SraAuthorised => "sra_authorised",
        }
    }
}

/// Where a residual balance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum ResidualState {
    Open,
    /// A way out waits for a second person.
    Proposed,
    Closed,
}

impl ResidualState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Proposed => "proposed",
            Self::Closed => "closed",
        }
    }
}

/// What happened to a residual balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum ResidualStep {
    Opened,
    Escalated,
    Traced,
    SraApplied,
    Proposed,
    Rejected,
    PaidAway,
    /// The balance is gone, or there is a reason to hold it again.
    Closed,
}

impl ResidualStep {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Traced => "traced",
            Self::SraApplied => "sra_applied",
            Self::Proposed => "proposed",
            Self::Rejected => "rejected",
            Self::PaidAway => "paid_away",
            Self::Closed => "closed",
        }
    }
}

/// A residual balance was found, chased, or left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResidualChanged {
    pub residual_id: ResidualId,
    pub version: i64,
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub step: ResidualStep,
    pub state: ResidualState,
    pub balance: Money,
    /// The day on which the last proper reason to hold it ended.
    pub since: NaiveDate,
    /// Escalation: 0 until the first is due.
    pub level: i16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ResidualRoute>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ResidualChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "residual_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// What was bought for the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum DisbursementKind {
    MedicalReport,
    Engineer,
    CourtFee,
    Counsel,
    AtePremium,
    PoliceReport,
    Other,
}

impl DisbursementKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::MedicalReport => "medical_report",
            Self::Engineer => "engineer",
            Self::CourtFee => "court_fee",
            Self::Counsel => "counsel",
            Self::AtePremium => "ate_premium",
            Self::PoliceReport => "police_report",
            Self::Other => "other",
        }
    }
}

/// Where the supplier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum SupplierState {
    Incurred,
    SupplierInvoiced,
    /// Invoiced, and not to be paid for now.
    Unpaid,
    Paid,
}

impl SupplierState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incurred => "incurred",
            Self::SupplierInvoiced => "supplier_invoiced",
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
        }
    }
}

/// How far the money has come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum RecoveryState {
    NotClaimed,
    Claimed,
    Agreed,
    Recovered,
    /// Less came than was spent, and no more will.
    Shortfall,
    WrittenOff,
    /// The client bears it.
    ClientLiable,
    /// An after-the-event insurer bears it.
    Ate,
}

impl RecoveryState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotClaimed => "not_claimed",
            Self::Claimed => "claimed",
            Self::Agreed => "agreed",
            Self::Recovered => "recovered",
            Self::Shortfall => "shortfall",
            Self::WrittenOff => "written_off",
            Self::ClientLiable => "client_liable",
            Self::Ate => "ate",
        }
    }

    /// Whether nothing more is expected.
    pub const fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Recovered | Self::WrittenOff | Self::ClientLiable | Self::Ate
        )
    }
}

/// What happened to a disbursement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum DisbursementStep {
    Incurred,
    SupplierInvoiced,
    NotPaid,
    /// By the firm, with its own money.
    Paid,
    /// With client money.
    PaidByClient,
    Claimed,
    Agreed,
    Recovered,
    Shortfall,
    WriteOffRequested,
    WrittenOff,
    ClientLiable,
    Ate,
    /// The supplier gave money back (E92).
    SupplierRefunded,
}

impl DisbursementStep {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incurred => "incurred",
            Self::SupplierInvoiced => "supplier_invoiced",
            Self::NotPaid => "not_paid",
            Self::Paid => "paid",
            Self::PaidByClient => "paid_by_client",
            Self::Claimed => "claimed",
            Self::Agreed => "agreed",
            Self::Recovered => "recovered",
            Self::Shortfall => "shortfall",
            Self::WriteOffRequested => "write_off_requested",
            Self::WrittenOff => "written_off",
            Self::ClientLiable => "client_liable",
            Self::Ate => "ate",
            Self::SupplierRefunded => "supplier_refunded",
        }
    }
}

/// A disbursement is new, or went a step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisbursementChanged {
    pub disbursement_id: DisbursementId,
    pub version: i64,
    pub matter_id: MatterId,
    pub matter_ref: String,
    pub account_ref: String,
    pub step: DisbursementStep,
    /// The day on which it happened.
    pub on: NaiveDate,
    /// What the step was about, where it was about an amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_amount: Option<Money>,
    pub kind: DisbursementKind,
    pub supplier: String,
    /// With VAT.
    pub amount: Money,
    pub vat: Money,
    pub supplier_state: SupplierState,
    pub recovery_state: RecoveryState,
    pub recovered: Money,
    pub refunded: Money,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for DisbursementChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "disbursement_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
