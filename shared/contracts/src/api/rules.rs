//! What allocation answers about its matching rules.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{CommandId, Money, ReceiptId};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FieldProblem, Page, PageRequest, call};
use crate::{
    allocation::Rule,
    controls::ApprovalId,
    rules::{RuleScope, RuleSet, RuleSetState, ShadowOutcome},
};

/// Rule sets, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRuleSets {
    #[serde(default)]
    pub state: Option<RuleSetState>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListRuleSets => Allocation."rules"."list" -> Page<RuleSetView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSetView {
    pub version: i64,
    pub name: String,
    pub scope: RuleScope,
    pub valid_from: NaiveDate,
    pub state: RuleSetState,
    pub author: String,
    /// Who made it live.
    pub approver: Option<String>,
    /// What a second person was asked about it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    pub recorded_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

/// One rule set with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRuleSet {
    pub version: i64,
}
call!(GetRuleSet => Allocation."rules"."get" -> RuleSetDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSetDetail {
    #[serde(flatten)]
    pub view: RuleSetView,
    pub rule_set: RuleSet,
    /// The oldest first.
    pub steps: Vec<RuleSetStep>,
    /// Rungs of its scope that only suggest because they were wrong too often.
    pub demoted: Vec<DemotionView>,
    /// What it decided beside the live rules, if it was ever a shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowReport>,
}

/// What a shadow would have done, beside what the live rules did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowReport {
    /// The latest first.
    pub days: Vec<ShadowDay>,
    /// The latest first.
    pub examples: Vec<ShadowExample>,
}

/// Receipts of a day in London, by what came of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowDay {
    pub day: NaiveDate,
    pub same: i64,
    pub live_only: i64,
    pub shadow_only: i64,
    pub different_lines: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowExample {
    pub day: NaiveDate,
    pub outcome: ShadowOutcome,
    pub receipt_id: ReceiptId,
    pub live: ReplayDecision,
    pub shadow: ReplayDecision,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSetStep {
    pub state: RuleSetState,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DemotionView {
    pub scope: RuleScope,
    pub rule: Rule,
    pub wrong: i64,
    pub lines: i64,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

/// What is wrong with a rule set; nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValidateRuleSet {
    pub rule_set: RuleSet,
}
call!(ValidateRuleSet => Allocation."rules"."validate" -> RuleSetCheck);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleSetCheck {
    /// Empty: it is good.
    pub problems: Vec<FieldProblem>,
}

/// Stores a rule set as a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftRuleSet {
    pub command_id: CommandId,
    pub rule_set: RuleSet,
    pub actor: String,
    pub reason: String,
}
call!(DraftRuleSet => Allocation."rules"."draft" -> RuleSetDetail);

/// One step on: a draft becomes a shadow; of a shadow a second person is asked,
/// by whoever wrote it, whether it shall be live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromoteRuleSet {
    pub command_id: CommandId,
    pub version: i64,
    pub actor: String,
    pub reason: String,
}
call!(PromoteRuleSet => Allocation."rules"."promote" -> RuleSetDetail);

/// Takes a rule set out of use. What it decided stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetireRuleSet {
    pub command_id: CommandId,
    pub version: i64,
    pub actor: String,
    pub reason: String,
}
call!(RetireRuleSet => Allocation."rules"."retire" -> RuleSetDetail);

/// Lets a demoted rung post again. Not by the person whose undo demoted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreRung {
    pub command_id: CommandId,
    pub scope: RuleScope,
    pub rule: Rule,
    pub actor: String,
    pub reason: String,
}
call!(RestoreRung => Allocation."rules"."restore" -> DemotedRungs);

/// Rungs that only suggest because they were wrong too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDemotedRungs {}
call!(ListDemotedRungs => Allocation."rules"."demoted" -> DemotedRungs);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DemotedRungs {
    pub demoted: Vec<DemotionView>,
}

/// Runs a rule set over past receipts, in the order in which things happened,
/// beside the rules that are live. Changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayRules {
    /// A stored rule set…
    #[serde(default)]
    pub version: Option<i64>,
    /// …or one that is not stored.
    #[serde(default)]
    pub rule_set: Option<RuleSet>,
    /// Receipts booked from this day…
    #[serde(default)]
    pub from: Option<NaiveDate>,
    /// …to this day.
    #[serde(default)]
    pub to: Option<NaiveDate>,
    /// Receipts at most: 2,000 when absent, 10,000 at most. The latest count.
    #[serde(default)]
    pub receipts: Option<u32>,
}
call!(ReplayRules => Allocation."rules"."replay" -> ReplayReport);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayReport {
    pub receipts: i64,
    /// Not all that was asked for was run, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// The rules that are live now.
    pub live: ReplayScore,
    pub candidate: ReplayScore,
    /// Decisions that would be different.
    pub changed: i64,
    /// The first of them, in the order in which they happened.
    pub changes: Vec<ReplayChange>,
}

/// How one of the two did. Automatic decisions are judged by what stands on the
/// receipt today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayScore {
    pub automatic: i64,
    /// Automatic decisions per receipt.
    pub rate: Option<Decimal>,
    pub right: i64,
    /// Something else stands there, or a person undid just this.
    pub wrong: i64,
    /// Nobody has decided about the receipt yet.
    pub unjudged: i64,
    /// Right ones per right and wrong one.
    pub precision: Option<Decimal>,
    /// Small balances, discounts and bank charges, per currency; lowered debts
    /// and raised ones both count.
    pub written_off: Vec<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayChange {
    pub receipt_id: ReceiptId,
    pub booked_on: NaiveDate,
    pub amount: Money,
    pub from: ReplayDecision,
    pub to: ReplayDecision,
}

/// What was decided, for reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayDecision {
    pub automatic: bool,
    pub rule: Rule,
    /// Document number and amount.
    pub lines: Vec<String>,
    /// Kind, document number and amount.
    pub adjustments: Vec<String>,
}
