//! Promises and payment plans.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Page, PageRequest, call, controls::Person},
    dunning::{CoveredItem, Instalment, PlanId, PlanState, PromiseId, PromiseState},
    names::names,
};

/// What of a document is promised: all that is open without amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromisedLine {
    pub document_id: DocumentId,
    #[serde(default)]
    pub amount: Option<Money>,
}

/// A payment that is to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedPayment {
    pub due_on: NaiveDate,
    pub amount: Money,
}

/// What was promised, with the contact in which it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromiseTerms {
    pub lines: Vec<PromisedLine>,
    /// Together what the lines come to.
    pub instalments: Vec<ExpectedPayment>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub promised_by: Option<String>,
    /// The promise in whose place it is (E83).
    #[serde(default)]
    pub replaces: Option<PromiseId>,
}

/// Writes down a debtor's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TakePromise {
    pub command_id: CommandId,
    pub account_id: AccountId,
    pub lines: Vec<PromisedLine>,
    /// Together what the lines come to.
    pub instalments: Vec<ExpectedPayment>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub promised_by: Option<String>,
    /// The promise in whose place it is (E83).
    #[serde(default)]
    pub replaces: Option<PromiseId>,
    pub reason: String,
    pub person: Person,
}

call!(TakePromise => Dunning."promise"."take" -> PromiseView);

/// Takes a promise back: it was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithdrawPromise {
    pub command_id: CommandId,
    pub promise_id: PromiseId,
    pub reason: String,
    pub person: Person,
}

call!(WithdrawPromise => Dunning."promise"."withdraw" -> PromiseView);

names! {
    PromiseTab {
        /// Open, and a payment of it is due today or was due and has grace.
        DueToday = "due_today",
        Upcoming = "upcoming",
        /// Also those that were kept in part only.
        Broken = "broken",
        Kept = "kept",
        All = "all",
    }
}

/// Promises, by the day that they are judged on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPromises {
    /// All when absent.
    #[serde(default)]
    pub tab: Option<PromiseTab>,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListPromises => Dunning."promise"."list" -> Page<PromiseView>);

/// One promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPromise {
    pub promise_id: PromiseId,
}

call!(GetPromise => Dunning."promise"."get" -> PromiseView);

/// How promises that fell due in a period came out, for each person who took them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPromiseFigures {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

call!(GetPromiseFigures => Dunning."promise"."figures" -> PromiseFigures);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromiseFigures {
    /// By person and currency.
    pub rows: Vec<PromiseFigure>,
}

/// What became of the promises that one person took: withdrawn and replaced ones,
/// and those that are still open, do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromiseFigure {
    pub taken_by: String,
    pub kept: u32,
    pub partly_kept: u32,
    pub broken: u32,
    pub promised: Money,
    /// Of what was promised, in time.
    pub received: Money,
}

/// A promise as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromiseView {
    pub promise_id: PromiseId,
    pub version: i64,
    pub state: PromiseState,
    pub account_id: AccountId,
    pub account_ref: String,
    pub items: Vec<CoveredItem>,
    pub instalments: Vec<Instalment>,
    pub amount: Money,
    pub received: Money,
    pub judged_on: NaiveDate,
    /// How many promises of the account were broken before it.
    pub level: u32,
    /// Not when too many were broken before it.
    pub stops_chasing: bool,
    pub method: Option<String>,
    pub promised_by: Option<String>,
    pub late_reversal: bool,
    pub replaced_by: Option<PromiseId>,
    pub taken_by: String,
    pub taken_at: DateTime<Utc>,
    pub reason: String,
}

names! {
    /// How often a plan is paid.
    Every {
        Week = "week",
        Fortnight = "fortnight",
        FourWeeks = "four_weeks",
        Month = "month",
    }
}

/// Works out a schedule: writes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposePlan {
    pub total: Money,
    pub first_on: NaiveDate,
    pub every: Every,
    pub count: u32,
}

call!(ProposePlan => Dunning."plan"."propose" -> ProposedPlan);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposedPlan {
    pub instalments: Vec<ExpectedPayment>,
}

/// Agrees instalments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenPlan {
    pub command_id: CommandId,
    pub account_id: AccountId,
    pub lines: Vec<PromisedLine>,
    /// Together what the lines come to.
    pub instalments: Vec<ExpectedPayment>,
    pub every: Every,
    #[serde(default)]
    pub method: Option<String>,
    pub reason: String,
    pub person: Person,
}

call!(OpenPlan => Dunning."plan"."open" -> PlanView);

/// What is done with a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum PlanStep {
    /// What was missed is spread over the instalments to come (E88).
    Respread,
    /// What was missed is paid after the last instalment (E88).
    Extend,
    Cancel,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepPlan {
    pub command_id: CommandId,
    pub plan_id: PlanId,
    #[serde(flatten)]
    pub step: PlanStep,
    pub reason: String,
    pub person: Person,
}

call!(StepPlan => Dunning."plan"."step" -> PlanView);

/// Plans, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPlans {
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub state: Option<PlanState>,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListPlans => Dunning."plan"."list" -> Page<PlanView>);

/// One plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPlan {
    pub plan_id: PlanId,
}

call!(GetPlan => Dunning."plan"."get" -> PlanView);

/// A plan as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    pub plan_id: PlanId,
    pub version: i64,
    pub state: PlanState,
    pub account_id: AccountId,
    pub account_ref: String,
    pub items: Vec<CoveredItem>,
    pub instalments: Vec<Instalment>,
    pub amount: Money,
    pub received: Money,
    pub missed: u32,
    pub interest_frozen: bool,
    pub method: Option<String>,
    pub taken_by: String,
    pub taken_at: DateTime<Utc>,
    pub reason: String,
}
