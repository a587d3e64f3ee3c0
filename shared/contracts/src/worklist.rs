//! What worklist says happened: `counterfoil.evt.worklist.>`, and what
//! dashboards listen to: `counterfoil.sla.<warning|breached>.<kind>`.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role, names::names};

kernel::typed_id! {
    /// Something that somebody must do.
    pub struct WorkItemId;
    /// One person doing another's work for a time.
    pub struct CoverId;
    /// A time in which a person is not there.
    pub struct AbsenceId;
}

names! {
    WorkState {
        Open = "open",
        /// Somebody has it in hand.
        InProgress = "in_progress",
        /// Put aside, or done for now: it comes back on its day.
        Waiting = "waiting",
        /// A person ended it, and said that nothing follows.
        Done = "done",
        /// Its cause is gone.
        Closed = "closed",
    }
}

names! {
    /// How an owner was found.
    OwnerSource {
        /// The account is in their portfolio.
        Portfolio = "portfolio",
        /// They know how to do it.
        Skill = "skill",
        /// A person gave it to them, or its cause names them.
        Assigned = "assigned",
        /// Nobody else was found: it falls to the one who answers for the rest.
        Default = "default",
    }
}

names! {
    SlaState {
        /// The kind has no clock, or it was stopped without counting.
        None = "none",
        Running = "running",
        /// Waiting for somebody for whom it may wait.
        Paused = "paused",
        Warned = "warned",
        Breached = "breached",
        /// Ended in time.
        Met = "met",
    }
}

impl WorkState {
    /// Whether somebody must still act, now or on a day.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Open | Self::InProgress | Self::Waiting)
    }
}

/// A part of a score: what, how much, and why in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScorePart {
    /// `kind`, `amount`, `age`, `sla`, `broken_promise`, `contact` or `by_hand`.
    pub part: String,
    pub points: i32,
    pub why: String,
}

/// A work item is new, or changed. The whole of it, so that a reader needs no
/// other event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkItemChanged {
    pub work_item_id: WorkItemId,
    /// Rises by one with every change.
    pub version: i64,
    /// Code of the registry of kinds, such as `unallocated_receipt`.
    pub kind: String,
    /// What it is about: a receipt, a case, an approval, …
    pub subject_id: Uuid,
    pub subject_ref: String,
    /// What happened, such as `opened`, `taken`, `completed`, `closed`.
    pub step: String,
    pub state: WorkState,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Who answers for it.
    pub owner: String,
    pub owner_source: OwnerSource,
    /// Who has it now: the owner, or who covers for them.
    pub holder: String,
    pub score: i32,
    pub parts: Vec<ScorePart>,
    /// The London day on which it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_on: Option<NaiveDate>,
    pub sla: SlaState,
    /// When it must be dealt with; absent without a clock, and while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// When its cause happened.
    pub business_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for WorkItemChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "work_item_changed";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(&self.subject_ref)
    }
}

names! {
    /// What an SLA clock says: a token of its subject.
    SlaLevel {
        /// Most of the time is gone.
        Warning = "warning",
        /// All of it is.
        Breached = "breached",
    }
}

/// An SLA clock has come to its warning or to its end. Published once for each,
/// on `counterfoil.sla.<warning|breached>.<kind>`; after an outage late, and
/// then `breached_at` is after `due_at`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlaBreach {
    pub work_item: WorkItemId,
    pub kind: String,
    pub subject_ref: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it had, or has, to be dealt with.
    pub due_at: DateTime<Utc>,
    /// When this was noticed and recorded.
    pub breached_at: DateTime<Utc>,
    /// Code and version of the policy, such as `receipt_processed.1`.
    pub policy: String,
    /// A decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

impl Event for SlaBreach {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "sla_breach";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(&self.subject_ref)
    }
}

/// What was not dealt with in time is told to somebody above.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkEscalated {
    pub work_item_id: WorkItemId,
    pub version: i64,
    pub kind: String,
    pub subject_ref: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    pub owner: String,
    /// From 1.
    pub level: i16,
    /// A role, or a person such as `user:jo`.
    pub to: String,
    pub policy: String,
    /// When this step was due.
    pub due_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
}

impl Event for WorkEscalated {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "work_escalated";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or(&self.subject_ref)
    }
}

/// A time in which a person is not there, both days included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Absence {
    pub absence_id: AbsenceId,
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// Such as `holiday`; never why somebody is ill.
    pub reason: String,
}

/// Somebody who works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// As the sign-in knows them, such as `user:jo`.
    pub actor: String,
    pub version: i64,
    pub name: String,
    pub roles: Vec<String>,
    pub skills: Vec<String>,
    /// Minutes for work items on each day of the week, Monday first.
    pub minutes: Vec<i32>,
    /// Whether work that nobody else may have falls to them.
    pub answers_for_rest: bool,
    pub active: bool,
    #[serde(default)]
    pub absences: Vec<Absence>,
}

/// A person is new, or something about them changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonChanged {
    pub person: Person,
    pub recorded_at: DateTime<Utc>,
    pub by: String,
    pub reason: String,
}

impl Event for PersonChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "person_changed";

    fn partition_key(&self) -> &str {
        &self.person.actor
    }
}

names! {
    CoverState {
        /// It has not begun.
        Planned = "planned",
        Active = "active",
        Ended = "ended",
        Cancelled = "cancelled",
    }
}

/// What happened to an owner's work while somebody covered, for their return.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverDigest {
    pub moved: i64,
    pub opened: i64,
    pub completed: i64,
    pub closed: i64,
    /// Handed back.
    pub returned: i64,
    /// Still in the hands of who covered, until they put it down (E108).
    pub kept: i64,
    /// In words, newest first, at most fifty.
    pub lines: Vec<String>,
}

/// Somebody will do, does, or did another's work for a time. The owner stays
/// accountable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverChanged {
    pub cover_id: CoverId,
    pub version: i64,
    pub owner: String,
    pub covered_by: String,
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    pub state: CoverState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<CoverDigest>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for CoverChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "cover_changed";

    fn partition_key(&self) -> &str {
        &self.owner
    }
}

/// Which accounts somebody looks after changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortfolioChanged {
    /// The rule, or the account for one that is named.
    pub rule: PortfolioRule,
    /// Open items that changed their owner.
    pub moved: i64,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for PortfolioChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "portfolio_changed";

    fn partition_key(&self) -> &str {
        &self.rule.owner
    }
}

/// Accounts of one owner: those that meet every test that is there. A named
/// account beats a range, a range beats a segment, a later rule an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortfolioRule {
    pub rule_id: Uuid,
    pub owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    /// First and last account reference, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// A rule that no longer counts.
    #[serde(default)]
    pub ended: bool,
}

/// A step of an escalation ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LadderStep {
    /// After the target, such as `1d`.
    pub after: String,
    /// A role, or a person such as `user:jo`.
    pub to: String,
}

/// How long something may take, and who is told when it takes longer. A version
/// never changes; running clocks keep theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlaPolicy {
    pub policy: String,
    pub version: i32,
    /// Clocks that start from this London day on.
    pub valid_from: NaiveDate,
    /// `30s`, `15m`, `4h`: of working time; `2d`: as many whole working days'
    /// hours.
    pub target: String,
    /// After this much of it a warning is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// `england_wales`, `scotland`, `northern_ireland`, or `always` for a clock
    /// that never stops.
    pub calendar: String,
    /// London time, such as `09:00`.
    pub opens: String,
    pub closes: String,
    /// For what it may stand still.
    #[serde(default)]
    pub pauses: Vec<String>,
    #[serde(default)]
    pub ladder: Vec<LadderStep>,
    /// Where the target comes from.
    #[serde(default)]
    pub source: String,
}

/// A policy has a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanged {
    pub policy: SlaPolicy,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for PolicyChanged {
    const CONTEXT: Role = Role::Worklist;
    const NAME: &'static str = "policy_changed";

    fn partition_key(&self) -> &str {
        &self.policy.policy
    }
}
