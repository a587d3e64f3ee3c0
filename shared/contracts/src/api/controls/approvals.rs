//! Requests for a second person and the limits of roles: what worklist answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Person;
use crate::{
    api::{Page, PageRequest, call},
    controls::{ApprovalId, ApprovalKind, ApprovalState},
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalQueue {
    /// Pending, and neither asked for nor yet decided by this person.
    #[default]
    Waiting,
    /// Asked for by this person.
    Mine,
    /// Decided, expired or voided.
    History,
    All,
}

/// Approvals, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListApprovals {
    #[serde(default)]
    pub queue: ApprovalQueue,
    pub person: Person,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListApprovals => Worklist."approvals"."list" -> Page<ApprovalView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    pub approval_id: ApprovalId,
    pub version: i64,
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
    pub state: ApprovalState,
    pub title: String,
    pub amount: Money,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub requester: String,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Different people who must approve, and those who have.
    pub needed: u8,
    pub approved_by: Vec<String>,
    /// Why the person who asks may not decide it; absent when they may.
    pub why_not: Option<String>,
    /// When what was approved was carried out: a moment after the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried_out_at: Option<DateTime<Utc>>,
    /// Why it ended without a decision, or was not carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_because: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetApproval {
    pub approval_id: ApprovalId,
    pub person: Person,
}
call!(GetApproval => Worklist."approvals"."get" -> ApprovalDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDetail {
    pub approval: ApprovalView,
    /// What was asked for, as it was then.
    pub content: serde_json::Value,
    /// SHA-256 (hex) of the content as canonical JSON.
    pub content_sha256: String,
    /// Where the subject differs from the frozen content now.
    pub differences: Vec<Difference>,
    pub decisions: Vec<DecisionView>,
    /// What roles may approve of this kind and currency, the lowest limit first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<LimitView>,
    /// What it would do, and what speaks for and against it. Absent when it is
    /// over, and when the service that asked does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

/// What is asked for as it is now, of the service that asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewApproval {
    pub kind: ApprovalKind,
    pub subject_id: Uuid,
}
call!(PreviewApproval => Allocation."controls"."preview" -> Preview);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// In the form of the frozen content.
    pub content: serde_json::Value,
    /// The ledger before and after it is carried out.
    pub ledger: Vec<BeforeAfter>,
    /// What speaks for or against it, such as the payee's account being the one
    /// that paid, or the same refund a second time.
    pub checks: Vec<Check>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BeforeAfter {
    /// Such as `INV-1 open` or `unallocated on the receipt`.
    pub what: String,
    pub before: Money,
    pub after: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub passed: bool,
    /// In words.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// A JSON pointer into the content.
    pub pointer: String,
    pub then: Option<String>,
    pub now: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionView {
    pub actor: String,
    pub verdict: Verdict,
    pub reason: String,
    /// The limit that the person had at that moment.
    pub limit: Option<Money>,
    pub decided_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Reject,
}

/// Approves or rejects. What is approved is carried out a moment later by the
/// service that asked, if it is as it was asked for still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecideApproval {
    pub command_id: CommandId,
    pub approval_id: ApprovalId,
    pub verdict: Verdict,
    /// Needed to reject.
    #[serde(default)]
    pub reason: String,
    pub person: Person,
}
call!(DecideApproval => Worklist."approvals"."decide" -> ApprovalDetail);

/// The limits in force today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListLimits {}
call!(ListLimits => Worklist."limits"."list" -> Page<LimitView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitView {
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    pub valid_from: NaiveDate,
}

/// Asks for a new limit: an approval like any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeLimit {
    pub command_id: CommandId,
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    /// Today when absent; never in the past.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}
call!(ChangeLimit => Worklist."limits"."change" -> ApprovalDetail);
