//! Work, people and clocks: what worklist answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Page, PageRequest, call};
use crate::worklist::{
    AbsenceId, CoverDigest, CoverId, CoverState, OwnerSource, Person, PortfolioRule, ScorePart,
    SlaPolicy, SlaState, WorkItemId, WorkState,
};

// ---- work

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkView {
    /// In the hands of who asks, due now.
    #[default]
    Mine,
    /// Everybody's, due now.
    Team,
    /// What fell to the one who answers for the rest.
    Unowned,
    /// Waits for its day.
    Snoozed,
    /// Ended, newest first.
    Ended,
}

/// Work, the most pressing first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListWork {
    #[serde(default)]
    pub view: WorkView,
    /// Who asks, such as `user:jo`.
    pub actor: String,
    /// Only what is with this person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Only these kinds; all when empty.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Only `warned` or `breached` and the like; all when empty.
    #[serde(default)]
    pub sla: Vec<SlaState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<String>,
    /// In reference, account or detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Only what is about one of these, whether it waits for its day or not; at
    /// most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Uuid>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListWork => Worklist."work"."list" -> Page<WorkRow>);

/// A work item in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkRow {
    pub work_item_id: WorkItemId,
    pub version: i64,
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// What to do next, by the registry of kinds.
    pub action: String,
    pub subject_id: Uuid,
    pub subject_ref: String,
    pub detail: String,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
    pub account_name: Option<String>,
    pub amount: Option<Money>,
    pub state: WorkState,
    pub owner: String,
    pub owner_source: OwnerSource,
    pub holder: String,
    pub minutes: i32,
    pub score: i32,
    pub parts: Vec<ScorePart>,
    pub back_on: Option<NaiveDate>,
    pub back_reason: Option<String>,
    pub sla: SlaState,
    pub due_at: Option<DateTime<Utc>>,
    pub escalated: i16,
    pub outcome: Option<String>,
    pub business_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetWork {
    pub work_item_id: WorkItemId,
}
call!(GetWork => Worklist."work"."get" -> WorkDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkDetail {
    pub item: WorkRow,
    pub skill: String,
    pub outcomes: Vec<String>,
    pub outcome_note: Option<String>,
    /// Why nothing follows, where it was ended so.
    pub no_next_reason: Option<String>,
    pub cover_id: Option<CoverId>,
    /// Newest first.
    pub clocks: Vec<ClockView>,
    /// Newest first.
    pub history: Vec<WorkStep>,
}

/// One run of an item's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockView {
    pub cycle: i32,
    pub policy: String,
    pub target: String,
    pub state: SlaState,
    pub started_at: DateTime<Utc>,
    pub due_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    /// Working time used, in seconds, up to the last change.
    pub spent_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkStep {
    pub version: i64,
    pub step: String,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

/// Counts for tiles and badges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountWork {
    pub actor: String,
    /// Of everybody's, not only theirs.
    #[serde(default)]
    pub team: bool,
}
call!(CountWork => Worklist."work"."count" -> WorkCounts);

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkCounts {
    pub due: Tally,
    pub at_risk: Tally,
    pub breached: Tally,
    pub snoozed: Tally,
    pub unowned: Tally,
    /// Ended today by this person, or by anybody.
    pub done_today: i64,
    /// By kind, the most pressing kind first.
    pub kinds: Vec<KindTally>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    pub count: i64,
    pub minutes: i64,
    /// One sum for each currency.
    pub money: Vec<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindTally {
    pub kind: String,
    pub title: String,
    pub tally: Tally,
}

/// What follows when something was done: never nothing without a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// It comes back on this London day.
    On(NaiveDate),
    /// Nothing, because.
    NoneBecause(String),
}

/// What a person does with a work item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum WorkAction {
    /// Takes it in hand.
    Take,
    /// Gives it back to where it was.
    PutDown,
    Assign {
        to: String,
        reason: String,
    },
    Complete {
        /// One of the kind's outcomes.
        outcome: String,
        /// What was done or found; the evidence of a deadline.
        #[serde(default)]
        note: String,
        next: NextStep,
    },
    Snooze {
        until: NaiveDate,
        reason: String,
    },
    /// Brings it back before its day.
    Wake,
    /// Ranks it by hand: so many points more or less; 0 takes that back.
    Rank {
        points: i32,
        reason: String,
    },
}

/// Does one thing with up to two hundred items: all of them or, if one refuses,
/// none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActOnWork {
    pub command_id: CommandId,
    pub work_item_ids: Vec<WorkItemId>,
    /// For one item: refused when it has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<i64>,
    pub actor: String,
    pub action: WorkAction,
}
call!(ActOnWork => Worklist."work"."act" -> Acted);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acted {
    pub items: Vec<WorkRow>,
}

/// The registry of kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListKinds {}
call!(ListKinds => Worklist."kinds"."list" -> Page<KindView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KindView {
    pub kind: String,
    pub title: String,
    pub action: String,
    pub skill: String,
    pub minutes: i32,
    pub points: i32,
    pub policy: Option<String>,
    pub outcomes: Vec<String>,
}

// ---- clocks

/// The policies in force today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPolicies {}
call!(ListPolicies => Worklist."policies"."list" -> Page<SlaPolicy>);

/// Gives a policy its next version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PutPolicy {
    pub command_id: CommandId,
    /// Its version is not looked at.
    pub policy: SlaPolicy,
    pub actor: String,
    pub reason: String,
}
call!(PutPolicy => Worklist."policies"."put" -> SlaPolicy);

// ---- people

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPeople {}
call!(ListPeople => Worklist."people"."list" -> Team);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Team {
    pub people: Vec<PersonView>,
    /// To whom falls what nobody else may have.
    pub default_owner: String,
    pub covers: Vec<CoverView>,
}

/// A person with how they stand today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonView {
    pub person: Person,
    pub absent_today: bool,
    /// Minutes for work today.
    pub minutes_today: i32,
    pub due: Tally,
    pub at_risk: i64,
    pub breached: i64,
    pub done_today: i64,
    pub minutes_done_today: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PutPerson {
    pub command_id: CommandId,
    /// Its version and absences are not looked at.
    pub person: Person,
    pub actor: String,
    pub reason: String,
}
call!(PutPerson => Worklist."people"."put" -> Person);

/// Says that somebody is away; with `covered_by` their work goes to that person
/// for the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanAbsence {
    pub command_id: CommandId,
    pub person: String,
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covered_by: Option<String>,
    pub actor: String,
    pub reason: String,
}
call!(PlanAbsence => Worklist."people"."absence" -> AbsencePlanned);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AbsencePlanned {
    pub absence_id: AbsenceId,
    pub cover: Option<CoverView>,
}

/// Ends a cover before its time, or calls it off; the absence ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndCover {
    pub command_id: CommandId,
    pub cover_id: CoverId,
    pub actor: String,
    pub reason: String,
}
call!(EndCover => Worklist."covers"."end" -> CoverView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CoverView {
    pub cover_id: CoverId,
    pub owner: String,
    pub covered_by: String,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub state: CoverState,
    pub digest: Option<CoverDigest>,
    pub reason: String,
}

// ---- portfolios

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPortfolio {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}
call!(ListPortfolio => Worklist."portfolio"."list" -> Page<PortfolioRule>);

/// Adds, changes or ends a rule, and moves the open work that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PutPortfolioRule {
    pub command_id: CommandId,
    pub rule: PortfolioRule,
    pub actor: String,
    pub reason: String,
}
call!(PutPortfolioRule => Worklist."portfolio"."put" -> PortfolioPut);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PortfolioPut {
    pub rule: PortfolioRule,
    /// Open items that changed their owner.
    pub moved: i64,
}

// ---- the day

/// Who does what today, by skill and the minutes that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetDayPlan {}
call!(GetDayPlan => Worklist."plan"."get" -> DayPlan);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayPlan {
    pub on: NaiveDate,
    pub people: Vec<PersonPlan>,
    /// What would be done by somebody else than who has it now.
    pub moves: Vec<PlannedMove>,
    /// What will not be done today.
    pub left_over: Tally,
    /// The most pressing of it.
    pub left_over_items: Vec<WorkRow>,
    /// Items looked at; the least pressing beyond that are left over unseen.
    pub looked_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonPlan {
    pub actor: String,
    pub name: String,
    /// For work today, less what they did.
    pub minutes: i32,
    pub planned_minutes: i32,
    pub items: i64,
    /// Of what is with them now and will not be done.
    pub left_over: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedMove {
    pub work_item_id: WorkItemId,
    pub title: String,
    pub subject_ref: String,
    pub from: String,
    pub to: String,
    pub minutes: i32,
    pub amount: Option<Money>,
    pub why: String,
}

/// Carries out the moves that the plan of now proposes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplyDayPlan {
    pub command_id: CommandId,
    pub actor: String,
    pub reason: String,
}
call!(ApplyDayPlan => Worklist."plan"."apply" -> DayPlan);

/// What must be done by a set time: with owner, state and evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDeadlines {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<NaiveDate>,
}
call!(ListDeadlines => Worklist."deadlines"."list" -> Page<DeadlineView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadlineView {
    pub deadline: String,
    pub title: String,
    pub due_at: DateTime<Utc>,
    /// Its work item, from the day before on.
    pub work_item_id: Option<WorkItemId>,
    pub owner: Option<String>,
    /// `to_come`, `open`, `late`, `done`.
    pub state: String,
    pub evidence: Option<String>,
}
