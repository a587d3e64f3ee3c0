//! What allocation says happened: `counterfoil.evt.allocation.>`. Together
//! these rebuild every figure that reporting shows.

mod park;

pub use park::{ReceiptParked, ReceiptUnparked};

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, AllocationId, DocumentId, Money, ReceiptId, RemittanceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Event, Role,
    inbound::{AccountKind, DocumentKind, JointDebtor},
};

/// The ledger's view of a debtor account is new or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountUpdated {
    pub account_id: AccountId,
    pub account_ref: String,
    pub version: i64,
    /// The reference itself while billing has only mentioned the account.
    pub name: String,
    pub kind: Option<AccountKind>,
    pub parent_ref: Option<String>,
    pub terms_days: Option<u16>,
    pub currency: Option<kernel::Currency>,
    pub email: Option<String>,
    pub phone: Option<String>,
    /// In lines; absent in what was said before letters were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub segment: Option<String>,
    pub department: Option<String>,
    pub principal: Option<String>,
    /// Those who owe it together (E97); what is known stays when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtors: Option<Vec<JointDebtor>>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for AccountUpdated {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "account_updated";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// A document is on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentPosted {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_id: AccountId,
    pub account_ref: String,
    pub matter_ref: Option<String>,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Signed: what it adds to the debt, so negative for a credit note.
    pub amount: Money,
    pub payment_reference: Option<String>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for DocumentPosted {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "document_posted";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// Where a receipt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum ReceiptState {
    /// Nobody knows yet whose money it is.
    Unidentified,
    /// The payer is known, what it pays is not.
    Unallocated,
    /// A person keeps what is left of it on account, deliberately.
    OnAccount,
    PartAllocated,
    Allocated,
    /// All of it went back, or to another ledger.
    PaidOut,
}

impl ReceiptState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unidentified => "unidentified",
            Self::Unallocated => "unallocated",
            Self::OnAccount => "on_account",
            Self::PartAllocated => "part_allocated",
            Self::Allocated => "allocated",
            Self::PaidOut => "paid_out",
        }
    }
}

/// The rung of the ladder that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(extend("x-open" = true))]
pub enum Rule {
    /// Our own payment reference or an RF reference with valid check digits.
    OwnReference,
    /// A document number in the remittance text, the amount agreeing.
    DocumentNumber,
    /// A known payer with exactly one item of that amount.
    PayerAmount,
    /// A person decided.
    Manual,
    /// The bank took the payment back, or gave it again.
    Returned,
    /// No rung held.
    None,
    /// The payer said line by line what is paid.
    Remittance,
    /// A document number that the payer or the bank spoilt, payer and amount
    /// agreeing.
    NearNumber,
    /// Items of a known payer that add up to the amount, and no others do.
    SubsetSum,
    /// All that a known payer owes, or all that is due.
    Balance,
}

impl Rule {
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnReference => "own_reference",
            Self::DocumentNumber => "document_number",
            Self::Remittance => "remittance",
            Self::NearNumber => "near_number",
            Self::PayerAmount => "payer_amount",
            Self::SubsetSum => "subset_sum",
            Self::Balance => "balance",
            Self::Manual => "manual",
            Self::Returned => "returned",
            Self::None => "none",
        }
    }
}

/// One thing that spoke for or against a match, in words for the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// `reference`, `amount`, `payer_account`, `payer_name`, …
    pub kind: String,
    /// Whether it speaks for the match.
    pub supports: bool,
    pub detail: String,
}

/// How much speaks for a match, component by component. Whole numbers, so that
/// two readers never see different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchScore {
    /// What the text says of the documents, 0 to 100: 50 if it says nothing.
    pub reference: u8,
    /// How sure it is that their debtor paid, 0 to 100.
    pub payer: u8,
    /// How exactly the amounts agree, 0 to 100.
    pub amount: u8,
    /// Whether these are the ones that are due first, 0 to 100.
    pub date: u8,
    /// Whether they are a group that people pay together, 0 to 100.
    pub pattern: u8,
    /// All of them, weighted, 0 to 1000.
    pub total: u16,
}

impl MatchScore {
    /// The parts of the total with their names, for people.
    pub const fn parts(self) -> [(&'static str, u8); 5] {
        [
            ("Reference", self.reference),
            ("Payer", self.payer),
            ("Amount", self.amount),
            ("Date", self.date),
            ("Pattern", self.pattern),
        ]
    }
}

/// Why a receipt was or was not allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    pub rule: Rule,
    pub evidence: Vec<Evidence>,
    /// The next best candidate, and why it lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up: Option<String>,
    /// What would have made it automatic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_have_matched: Option<String>,
    /// Of what was allocated, or of the best suggestion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<MatchScore>,
    /// Of the next best candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner_up_score: Option<MatchScore>,
    /// By how much the best total is above the next best; 1000 if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<u16>,
    /// The remittance advice that belongs to the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remittance_id: Option<RemittanceId>,
    /// What the payer left unpaid and the rules say is disputed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputed: Vec<DisputedPart>,
}

/// A part of a document that was not paid with the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DisputedPart {
    pub document_id: DocumentId,
    /// Positive.
    pub amount: Money,
}

impl Decision {
    /// One that says no more than which rule and why.
    pub const fn because(rule: Rule, evidence: Vec<Evidence>) -> Self {
        Self {
            rule,
            evidence,
            runner_up: None,
            would_have_matched: None,
            score: None,
            runner_up_score: None,
            gap: None,
            remittance_id: None,
            disputed: Vec::new(),
        }
    }
}

/// A pence of cash meeting a document. Undone by a line with the opposite
/// amount, never by a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationLine {
    pub allocation_id: AllocationId,
    pub document_id: DocumentId,
    pub document_ref: String,
    pub account_id: AccountId,
    /// Positive lowers the debt; negative uses up a credit note, or undoes.
    pub amount: Money,
    /// The day from which the line counts: never before the receipt was booked
    /// or the document issued.
    pub effective_on: NaiveDate,
    /// The line that this one undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contra_of: Option<AllocationId>,
}

mod chaseable;
mod movements;
mod returns;

pub use chaseable::{ChaseTerm, ChaseableChanged, ChaseableItem, ChaseableTotal, TermKind};
pub use returns::{AdvisedBy, DebitPosted, DebitState, Reopened, Returned};

pub use movements::{
    AdjustmentKind, AdjustmentLine, DebtAdjusted, OutflowKind, OutflowLine, ReceiptReduced,
};

/// A receipt is on the ledger, with what was decided at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptPosted {
    pub receipt_id: ReceiptId,
    pub version: i64,
    pub bank_account: String,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    pub amount: Money,
    pub payer_name: Option<String>,
    pub payer_account: Option<String>,
    /// The payer's words, joined for reading.
    pub narrative: String,
    pub state: ReceiptState,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub unallocated: Money,
    pub lines: Vec<AllocationLine>,
    /// Debt that the same decision settled without cash: a discount, a charge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentLine>,
    pub decision: Decision,
    /// Suggestions waiting for a person.
    #[serde(default)]
    pub suggestions: u16,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for ReceiptPosted {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "receipt_posted";

    fn partition_key(&self) -> &str {
        self.account_ref
            .as_deref()
            .or(self.payer_account.as_deref())
            .unwrap_or(&self.bank_account)
    }
}

/// A receipt's money moved after it was posted: allocated later (by a person,
/// or because its document arrived), or un-done by contra lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptMoved {
    pub receipt_id: ReceiptId,
    /// Rises by one with every move of this receipt.
    pub version: i64,
    pub state: ReceiptState,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub unallocated: Money,
    pub lines: Vec<AllocationLine>,
    /// Debt settled without cash, or restored, by the same decision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentLine>,
    /// Money that left the receipt other than onto a document, or came back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outflows: Vec<OutflowLine>,
    /// Why the payment came back and what that re-opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Returned>,
    pub decision: Decision,
    #[serde(default)]
    pub suggestions: u16,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

/// `receipt_allocated`: see [`ReceiptMoved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ReceiptAllocated(pub ReceiptMoved);

/// `allocation_undone`: see [`ReceiptMoved`]; its lines are contras.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AllocationUndone(pub ReceiptMoved);

impl ReceiptMoved {
    /// The account's lane, or the receipt's own while nobody is known.
    pub(super) fn key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or("")
    }
}

impl Event for ReceiptAllocated {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "receipt_allocated";

    fn partition_key(&self) -> &str {
        self.0.key()
    }
}

impl Event for AllocationUndone {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "allocation_undone";

    fn partition_key(&self) -> &str {
        self.0.key()
    }
}
