//! What comes in from outside: `counterfoil.in.>`.
//!
//! Amounts and currencies are strings here and are checked by ingestion, so
//! that a refusal can name the field and what was wrong with it. Readers ignore
//! fields they do not know.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bank account as outside systems name it: UK sort code and account number,
/// or an IBAN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankAccountRef {
    /// Six digits, hyphens allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_code: Option<String>,
    /// Six to eight digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
}

/// Who paid, as far as the bank says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    pub account: BankAccountRef,
}

/// Whether money came in or went out, seen from our account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Credit,
    Debit,
}

/// One line of a structured remittance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemittanceLine {
    pub document_number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// What the payer said the money is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemittanceText {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unstructured: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub structured: Vec<RemittanceLine>,
}

/// `BankReceipt.v1`: one line of a bank account, from a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BankReceipt {
    /// Which feed says so; only told on, never interpreted.
    pub feed: String,
    /// Our account.
    pub bank_account: BankAccountRef,
    /// The bank's own reference of the line. With account, day, amount and
    /// direction it identifies the line for ever.
    pub bank_reference: String,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    /// A positive decimal in units of the currency, such as `"123.45"`.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
    pub direction: Direction,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    #[serde(default)]
    pub payer: Payer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_to_end_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate_reference: Option<String>,
    /// On a debit that took a payment back: why, as the bank codes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remittance: Option<RemittanceText>,
}

/// What a debtor is in law: decides what may be charged and how it may be
/// chased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    Company,
    SoleTrader,
    Individual,
    PublicBody,
}

/// One of several who owe an account together: each owes the whole (E97).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JointDebtor {
    /// How billing calls the person or firm: the same on all their accounts.
    pub debtor_ref: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AccountKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The account's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// `BillingAccount.v1`: a debtor account, as the billing system has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillingAccount {
    pub account_ref: String,
    pub name: String,
    pub kind: AccountKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_days: Option<u16>,
    pub currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Those who owe it together, at most 20. What is known stays when absent;
    /// nobody but the account itself owes it when empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtors: Option<Vec<JointDebtor>>,
}

/// What a billing document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    Invoice,
    CreditNote,
    Disbursement,
}

impl DocumentKind {
    /// Whether it lowers what the debtor owes.
    pub const fn is_credit(self) -> bool {
        matches!(self, Self::CreditNote)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
            Self::Disbursement => "disbursement",
        }
    }
}

/// A line of a billing document; told on, not interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentLine {
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat: Option<String>,
}

/// `BillingDocument.v1`: an invoice, credit note or disbursement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillingDocument {
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_ref: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter_ref: Option<String>,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Positive for every kind: the kind says which way it counts.
    pub gross: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat: Option<String>,
    pub currency: String,
    /// The reference that the debtor is asked to quote, often an ISO 11649 RF
    /// reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_reference: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<DocumentLine>,
}

/// What a line of a remittance advice is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdviceKind {
    #[default]
    Invoice,
    /// A credit note, taken off the payment.
    CreditNote,
    Disbursement,
    /// A debit note of the payer's own, which we never issued (E12).
    Deduction,
    /// Something else, or not told.
    Other,
}

/// A line of a remittance advice: how much of the payment is for one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemittanceAdviceLine {
    pub document_number: String,
    /// What of the payment is for the document, in units of the currency;
    /// discount and deduction are taken off already. A credit note may stand
    /// with or without a minus.
    pub amount: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<AdviceKind>,
    /// Early-settlement discount that the payer took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<String>,
    /// What the payer kept back for any other reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deduction: Option<String>,
}

/// `Remittance.v1`: a remittance advice that came apart from the cash, by mail,
/// portal or EDI. It may come before the money or after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Remittance {
    /// The number of the advice. With the source it identifies it for ever.
    pub remittance_id: String,
    /// Which mailbox or system says so.
    pub source: String,
    #[serde(default)]
    pub payer: Payer,
    /// The reference under which the payer says that it pays: a payment run, a
    /// BACS reference, an end-to-end id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_reference: Option<String>,
    /// The day on which the payer says that it pays.
    pub date: NaiveDate,
    /// What the payment comes to, as a positive decimal.
    pub total: String,
    /// ISO 4217.
    pub currency: String,
    pub lines: Vec<RemittanceAdviceLine>,
}

/// Where a matter stands in the case system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatterStatus {
    Opened,
    /// The work is done; money may still have to move.
    Concluded,
    Closed,
    /// Taken up again after it was concluded or closed.
    Reopened,
}

impl MatterStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Concluded => "concluded",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
        }
    }

    /// Whether work goes on.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Opened | Self::Reopened)
    }
}

/// `BillingMatter.v1`: a file of a law firm as the case system has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillingMatter {
    pub matter_ref: String,
    /// The client.
    pub account_ref: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_earner: Option<String>,
    pub opened_on: NaiveDate,
    /// Needed once it is concluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concluded_on: Option<NaiveDate>,
    /// Needed once it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_on: Option<NaiveDate>,
    pub status: MatterStatus,
}

/// What a billing system knows of a mandate when it tells of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MandateStatus {
    /// Its instruction was not lodged yet.
    #[default]
    New,
    /// It was lodged before, and is in use.
    Active,
    /// The payer or we gave it up.
    Cancelled,
}

/// `BillingMandate.v1`: a Direct Debit mandate of a debtor, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillingMandate {
    /// The core reference: 6 to 18 characters of `A-Z 0-9 - / . &`, the first a
    /// letter or digit, never changed while the mandate lives.
    pub mandate_reference: String,
    pub account_ref: String,
    /// As the bank knows the payer.
    pub payer_name: String,
    pub payer_account: BankAccountRef,
    pub signed_on: NaiveDate,
    /// Taken by telephone or on a page.
    #[serde(default)]
    pub paperless: bool,
    /// `new` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<MandateStatus>,
}
