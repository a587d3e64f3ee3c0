//! Work, people and clocks.

use axum::{
    Json,
    extract::{Extension, State},
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::worklist::{
        ActOnWork, ApplyDayPlan, CountWork, EndCover, GetDayPlan, GetWork, ListDeadlines,
        ListKinds, ListPeople, ListPolicies, ListPortfolio, ListWork, PlanAbsence, PutPerson,
        PutPolicy, PutPortfolioRule, WorkAction, WorkView,
    },
    worklist::{CoverId, Person, PortfolioRule, SlaPolicy, SlaState, WorkItemId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request, search};
use crate::{
    App,
    auth::{Access, Caller, UserRole},
    openapi,
    problem::Problem,
};

/// Hands out work, and says who is away.
pub(crate) const MANAGE: Access = Access::Roles(&[
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Approver,
    UserRole::Cfo,
]);

/// Does work.
pub(crate) const WORK: Access = Access::Roles(&[
    UserRole::Controller,
    UserRole::PaymentsOfficer,
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Approver,
    UserRole::Cfo,
    UserRole::Ops,
]);

/// Giving work to others is for who hands it out.
///
/// # Errors
/// When it is not theirs to do.
pub(crate) fn may(caller: &Caller, action: &WorkAction) -> Result<(), Problem> {
    match action {
        WorkAction::Assign { .. } if !MANAGE.allows(&caller.roles) => Err(Problem::forbidden()),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WorkQuery {
    /// `mine` when absent.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::work_view)]
    view: WorkView,
    /// Only this kind.
    kind: Option<String>,
    /// Only this state of the clock, such as `breached`.
    #[param(schema_with = openapi::sla_state)]
    sla: Option<SlaState>,
    /// Only what is with this person, such as `user:jo`.
    holder: Option<String>,
    /// Only what is about this account.
    account_ref: Option<String>,
    /// In reference, account or detail.
    search: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Work, the most pressing first, each with what makes up its score.
#[utoipa::path(
    get, path = "/api/v1/worklist", tag = "worklist", operation_id = "listWork", params(WorkQuery),
    responses((status = 200, description = "A page of work items", body = ref("#/components/schemas/Page_for_WorkRow")))
)]
pub(crate) async fn list_work(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Query(query): Query<WorkQuery>,
) -> Result<Response, Problem> {
    let ask = ListWork {
        view: query.view,
        actor: caller.actor(),
        holder: search(query.holder),
        kinds: search(query.kind).into_iter().collect(),
        sla: query.sla.into_iter().collect(),
        account_ref: search(query.account_ref),
        text: search(query.search),
        subjects: Vec::new(),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountsQuery {
    /// Everybody's, not only yours.
    #[serde(default)]
    #[param(required = false)]
    team: bool,
}

/// Counts, minutes and money of what is due, at risk, late and snoozed.
#[utoipa::path(
    get, path = "/api/v1/worklist/counts", tag = "worklist", operation_id = "countWork", params(CountsQuery),
    responses((status = 200, description = "The counts", body = ref("#/components/schemas/WorkCounts")))
)]
pub(crate) async fn count_work(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<CountsQuery>,
) -> Result<Response, Problem> {
    let ask = CountWork {
        actor: caller.actor(),
        team: query.team,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A work item with its clocks and history.
#[utoipa::path(
    get, path = "/api/v1/worklist/{id}", tag = "worklist", operation_id = "getWork",
    params(("id" = String, Path, format = Uuid, description = "The work item")),
    responses((status = 200, description = "The work item", body = ref("#/components/schemas/WorkDetail")))
)]
pub(crate) async fn get_work(
    State(app): State<App>,
    Path(work_item_id): Path<WorkItemId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetWork { work_item_id }).await?).into_response())
}

/// What is done with a work item.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct WorkActionRequest {
    /// Refused when the item has changed since this version.
    #[serde(default)]
    pub expected_version: Option<i64>,
    pub action: WorkAction,
}

/// Takes, puts down, assigns, completes, snoozes, wakes or ranks a work item.
/// Completing needs an outcome and a next step.
#[utoipa::path(
    post, path = "/api/v1/worklist/{id}/actions", tag = "worklist", operation_id = "actOnWork",
    params(
        ("id" = String, Path, format = Uuid, description = "The work item"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/WorkActionRequest"),
    responses((status = 200, description = "The item as it is now", body = ref("#/components/schemas/Acted")))
)]
pub(crate) async fn act(Path(id): Path<WorkItemId>, asked: Asked) -> Result<Response, Problem> {
    asked
        .anew("work", |command_id, request: WorkActionRequest, caller| {
            may(caller, &request.action)?;
            Ok(ActOnWork {
                command_id,
                work_item_ids: vec![id],
                expected_version: request.expected_version,
                actor: caller.actor(),
                action: request.action,
            })
        })
        .await
}

/// The registry of kinds of work.
#[utoipa::path(
    get, path = "/api/v1/work-kinds", tag = "worklist", operation_id = "listWorkKinds",
    responses((status = 200, description = "The kinds, all on one page", body = ref("#/components/schemas/Page_for_KindView")))
)]
pub(crate) async fn list_kinds(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListKinds {}).await?).into_response())
}

/// The SLA policies in force today.
#[utoipa::path(
    get, path = "/api/v1/sla-policies", tag = "worklist", operation_id = "listSlaPolicies",
    responses((status = 200, description = "The policies, all on one page", body = ref("#/components/schemas/Page_for_SlaPolicy")))
)]
pub(crate) async fn list_policies(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListPolicies {}).await?).into_response())
}

/// A new version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PolicyRequest {
    /// Its version is not looked at: it gets the next.
    pub policy: SlaPolicy,
    pub reason: String,
}

/// Gives a policy its next version, which counts for clocks that start from its
/// day on.
#[utoipa::path(
    post, path = "/api/v1/sla-policies", tag = "worklist", operation_id = "putSlaPolicy",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PolicyRequest"),
    responses((status = 200, description = "The new version", body = ref("#/components/schemas/SlaPolicy")))
)]
pub(crate) async fn put_policy(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew(
            "sla-policy",
            |command_id, request: PolicyRequest, caller| {
                Ok(PutPolicy {
                    command_id,
                    policy: request.policy,
                    actor: caller.actor(),
                    reason: request.reason,
                })
            },
        )
        .await
}

/// Everybody who works here with how they stand today, and who covers for whom.
#[utoipa::path(
    get, path = "/api/v1/people", tag = "worklist", operation_id = "listPeople",
    responses((status = 200, description = "The team", body = ref("#/components/schemas/Team")))
)]
pub(crate) async fn list_people(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListPeople {}).await?).into_response())
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PersonRequest {
    /// Version and absences are not looked at.
    pub person: Person,
    pub reason: String,
}

/// Adds or changes a person: roles, skills, minutes of each day.
#[utoipa::path(
    post, path = "/api/v1/people", tag = "worklist", operation_id = "putPerson",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PersonRequest"),
    responses((status = 200, description = "The person", body = ref("#/components/schemas/Person")))
)]
pub(crate) async fn put_person(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew("person", |command_id, request: PersonRequest, caller| {
            Ok(PutPerson {
                command_id,
                person: request.person,
                actor: caller.actor(),
                reason: request.reason,
            })
        })
        .await
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AbsenceRequest {
    pub person: String,
    pub from: NaiveDate,
    /// The last day.
    pub to: NaiveDate,
    #[serde(default)]
    pub covered_by: Option<String>,
    pub reason: String,
}

/// Says that somebody is away; who covers gets their work for the time, and it
/// comes back by itself.
#[utoipa::path(
    post, path = "/api/v1/absences", tag = "worklist", operation_id = "planAbsence",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/AbsenceRequest"),
    responses((status = 200, description = "The absence and its cover", body = ref("#/components/schemas/AbsencePlanned")))
)]
pub(crate) async fn plan_absence(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew("absence", |command_id, request: AbsenceRequest, caller| {
            Ok(PlanAbsence {
                command_id,
                person: request.person,
                from: request.from,
                to: request.to,
                covered_by: request.covered_by,
                actor: caller.actor(),
                reason: request.reason,
            })
        })
        .await
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct WorkReason {
    pub reason: String,
}

/// Ends a cover before its time, or calls it off.
#[utoipa::path(
    post, path = "/api/v1/covers/{id}/end", tag = "worklist", operation_id = "endCover",
    params(
        ("id" = String, Path, format = Uuid, description = "The cover"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/WorkReason"),
    responses((status = 200, description = "The cover with its digest", body = ref("#/components/schemas/CoverView")))
)]
pub(crate) async fn end_cover(
    Path(cover_id): Path<CoverId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .anew("end-cover", |command_id, request: WorkReason, caller| {
            Ok(EndCover {
                command_id,
                cover_id,
                actor: caller.actor(),
                reason: request.reason,
            })
        })
        .await
}

/// Which accounts are in whose portfolio.
#[utoipa::path(
    get, path = "/api/v1/portfolio-rules", tag = "worklist", operation_id = "listPortfolioRules",
    responses((status = 200, description = "The rules, all on one page", body = ref("#/components/schemas/Page_for_PortfolioRule")))
)]
pub(crate) async fn list_portfolio(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListPortfolio { owner: None }).await?).into_response())
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PortfolioRequest {
    pub rule: PortfolioRule,
    pub reason: String,
}

/// Adds, changes or ends a rule, and moves the open work that it is about.
#[utoipa::path(
    post, path = "/api/v1/portfolio-rules", tag = "worklist", operation_id = "putPortfolioRule",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PortfolioRequest"),
    responses((status = 200, description = "The rule, and how much work it moved", body = ref("#/components/schemas/PortfolioPut")))
)]
pub(crate) async fn put_portfolio(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew(
            "portfolio",
            |command_id, request: PortfolioRequest, caller| {
                Ok(PutPortfolioRule {
                    command_id,
                    rule: request.rule,
                    actor: caller.actor(),
                    reason: request.reason,
                })
            },
        )
        .await
}

/// Who does what today by skill and the minutes that are left, and what will not
/// be done.
#[utoipa::path(
    get, path = "/api/v1/day-plan", tag = "worklist", operation_id = "getDayPlan",
    responses((status = 200, description = "The plan of the day", body = ref("#/components/schemas/DayPlan")))
)]
pub(crate) async fn day_plan(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetDayPlan {}).await?).into_response())
}

/// Carries out the moves that the plan of now proposes.
#[utoipa::path(
    post, path = "/api/v1/day-plan", tag = "worklist", operation_id = "applyDayPlan",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/WorkReason"),
    responses((status = 200, description = "The plan as it is then", body = ref("#/components/schemas/DayPlan")))
)]
pub(crate) async fn apply_plan(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew("day-plan", |command_id, request: WorkReason, caller| {
            Ok(ApplyDayPlan {
                command_id,
                actor: caller.actor(),
                reason: request.reason,
            })
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadlinesQuery {
    /// A week ago when absent.
    from: Option<NaiveDate>,
    /// In five weeks when absent.
    to: Option<NaiveDate>,
}

/// What must be done by a set time: with owner, state and evidence.
#[utoipa::path(
    get, path = "/api/v1/deadlines", tag = "worklist", operation_id = "listDeadlines", params(DeadlinesQuery),
    responses((status = 200, description = "The deadlines, all on one page", body = ref("#/components/schemas/Page_for_DeadlineView")))
)]
pub(crate) async fn list_deadlines(
    State(app): State<App>,
    Query(query): Query<DeadlinesQuery>,
) -> Result<Response, Problem> {
    let ask = ListDeadlines {
        from: query.from,
        to: query.to,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A day, or a problem that names the field.
pub(crate) fn day(text: &str, pointer: &str) -> Result<NaiveDate, Problem> {
    text.parse().map_err(|_| Problem {
        status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
        ..Problem::invalid("gateway.bad_day", pointer, "a day is needed")
    })
}
