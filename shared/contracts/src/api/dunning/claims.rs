//! Interest and compensation for late payment, and statements.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{call, controls::Person},
    dunning::{ChargeId, ChargeKind, ChargeState, ChaseReason},
};

/// What late payment of an account's debts has come to, by policy; and what of
/// it was posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetLatePayment {
    pub account_id: AccountId,
    /// To the end of this day; today when absent.
    #[serde(default)]
    pub until: Option<NaiveDate>,
}

call!(GetLatePayment => Dunning."late_payment"."get" -> LatePayment);

/// A memo until it is posted: nothing of it is on the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatePayment {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub until: NaiveDate,
    /// Why nothing may be claimed, if nothing may: a consumer, no policy.
    pub none_because: Option<String>,
    pub claims: Vec<LateClaim>,
    pub charges: Vec<ChargeView>,
}

/// What one document that was or is late has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LateClaim {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    /// As it was when it became late, with VAT.
    pub principal: Money,
    pub open: Money,
    pub interest: Money,
    pub compensation: Option<Money>,
    /// Line by line, to be printed.
    pub working: Vec<String>,
    /// Why it is not to be claimed now, such as a query that is open.
    pub held_back: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargeView {
    pub charge_id: ChargeId,
    pub version: i64,
    pub charge_ref: String,
    pub kind: ChargeKind,
    pub state: ChargeState,
    pub document_id: DocumentId,
    pub document_ref: String,
    pub amount: Money,
    pub charged_on: NaiveDate,
    pub working: Vec<String>,
    pub actor: String,
    pub reason: String,
    pub changed_at: DateTime<Utc>,
}

/// Posts what a document has come to: an item of its own on the ledger. What was
/// posted before is taken off; compensation is posted once for each invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostCharge {
    pub command_id: CommandId,
    pub account_id: AccountId,
    pub document_id: DocumentId,
    pub kind: ChargeKind,
    pub reason: String,
    pub person: Person,
}

call!(PostCharge => Dunning."charge"."post" -> ChargeView);

/// Gives a charge up, or takes back what should not have been charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakeBackCharge {
    pub command_id: CommandId,
    pub charge_id: ChargeId,
    /// It was wrong, and is not only given up.
    #[serde(default)]
    pub wrong: bool,
    pub reason: String,
    pub person: Person,
}

call!(TakeBackCharge => Dunning."charge"."take_back" -> ChargeView);

/// A statement of an account as it stands now, or as it stood at the end of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetStatement {
    pub account_id: AccountId,
    /// Only what is overdue and may be chased now, and the rest with its reason.
    #[serde(default)]
    pub red: bool,
    /// What was open at the end of this past day, by the days from which movements
    /// count: what is known now of it. Of no reason, which are of today; never red.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_at: Option<NaiveDate>,
}

call!(GetStatement => Dunning."statement"."get" -> Statement);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub address: Option<String>,
    pub as_at: NaiveDate,
    pub red: bool,
    pub lines: Vec<StatementItem>,
    /// What stands on no line of a red statement, and why.
    pub left_out: Vec<StatementItem>,
    /// One sum for each currency of the lines.
    pub totals: Vec<Money>,
    /// Sums by how late the lines are: not due, 1-30, 31-60, 61-90, over 90 days.
    pub ageing: Vec<AgeBand>,
    /// SHA-256 (hex) of all of the above.
    pub content_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgeBand {
    pub title: String,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub matter_ref: Option<String>,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Signed: negative for a credit note.
    pub open: Money,
    /// What may be chased of it now.
    pub chaseable: Option<Money>,
    /// Days after the due day; negative before it.
    pub days_late: i64,
    pub reason: Option<ChaseReason>,
}
