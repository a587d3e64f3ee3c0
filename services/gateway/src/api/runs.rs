//! Dunning runs, and why an account's debts are chased or not.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::dunning::{
        EditRun, GetRun, GetStanding, ListDunningPolicies, ListRunAccounts, ListRuns,
        PreviewRunAccount, ProposeRun, RunAccountState, RunEdit, RunScope, RunStep, StepRun,
    },
    dunning::{ChaseReason, RunId, RunKind, StatementExclusion},
};
use kernel::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request};
use crate::{App, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Only these: `reminders`, `statement` or `red_statement`.
    #[param(value_type = Option<String>)]
    kind: Option<RunKind>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Dunning runs, the newest first.
#[utoipa::path(
    get, path = "/api/v1/dunning/runs", tag = "dunning", operation_id = "listDunningRuns", params(RunsQuery),
    responses((status = 200, description = "A page of runs", body = ref("#/components/schemas/Page_for_DunningRunView")))
)]
pub(crate) async fn list_runs(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let ask = ListRuns {
        kinds: query.kind.into_iter().collect(),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A run with what it comes to, by reason.
#[utoipa::path(
    get, path = "/api/v1/dunning/runs/{id}", tag = "dunning", operation_id = "getDunningRun",
    params(("id" = String, Path, format = Uuid, description = "The run")),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/DunningRunView")))
)]
pub(crate) async fn get_run(
    State(app): State<App>,
    Path(run_id): Path<RunId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetRun { run_id }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunAccountsQuery {
    /// Only where the contact stands so, such as `proposed` or `excluded`.
    #[param(value_type = Option<String>)]
    state: Option<RunAccountState>,
    /// Only accounts with an item that has this reason, such as `promised`.
    #[param(value_type = Option<String>)]
    reason: Option<ChaseReason>,
    /// Only accounts without a statement for this reason, such as `nothing_owed`.
    #[param(value_type = Option<String>)]
    excluded: Option<StatementExclusion>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// The accounts of a run: who is contacted, and of all others why not.
#[utoipa::path(
    get, path = "/api/v1/dunning/runs/{id}/accounts", tag = "dunning", operation_id = "listDunningRunAccounts",
    params(("id" = String, Path, format = Uuid, description = "The run"), RunAccountsQuery),
    responses((status = 200, description = "A page of accounts", body = ref("#/components/schemas/Page_for_RunAccount")))
)]
pub(crate) async fn accounts(
    State(app): State<App>,
    uri: Uri,
    Path(run_id): Path<RunId>,
    Query(query): Query<RunAccountsQuery>,
) -> Result<Response, Problem> {
    let ask = ListRunAccounts {
        run_id,
        state: query.state,
        reason: query.reason,
        excluded: query.excluded,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// The statement of an account of a run: as it would be now, or byte for byte as
/// it was sent.
#[utoipa::path(
    get, path = "/api/v1/dunning/runs/{id}/accounts/{account}/statement", tag = "dunning",
    operation_id = "previewRunStatement",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("account" = String, Path, format = Uuid, description = "The account"),
    ),
    responses((status = 200, description = "The statement", body = ref("#/components/schemas/RunPreview")))
)]
pub(crate) async fn preview(
    State(app): State<App>,
    Path((run_id, account_id)): Path<(RunId, AccountId)>,
) -> Result<Response, Problem> {
    let ask = PreviewRunAccount { run_id, account_id };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A run to work out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DunningRunRequest {
    /// Reminders when absent; else statements or red statements.
    #[serde(default)]
    pub kind: RunKind,
    /// Today when absent; never after it, nor before that of a later run.
    #[serde(default)]
    pub as_of: Option<NaiveDate>,
    pub title: String,
    #[serde(default)]
    pub scope: RunScope,
    pub reason: String,
}

/// Works out whom to contact. Nothing is sent before a second person approves.
#[utoipa::path(
    post, path = "/api/v1/dunning/runs", tag = "dunning", operation_id = "proposeDunningRun",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/DunningRunRequest"),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/DunningRunView")))
)]
pub(crate) async fn propose(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "propose_run",
            |command_id, body: DunningRunRequest, person| ProposeRun {
                command_id,
                kind: body.kind,
                as_of: body.as_of,
                title: body.title,
                scope: body.scope,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// A step of a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DunningRunStepRequest {
    /// The version that you saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    pub step: RunStep,
    pub reason: String,
}

/// Asks a second person, takes that back, pauses, resumes or cancels.
#[utoipa::path(
    post, path = "/api/v1/dunning/runs/{id}/steps", tag = "dunning", operation_id = "stepDunningRun",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DunningRunStepRequest"),
    responses((status = 200, description = "The run as it is now", body = ref("#/components/schemas/DunningRunView")))
)]
pub(crate) async fn step(Path(run_id): Path<RunId>, asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "step_run",
            |command_id, body: DunningRunStepRequest, person| StepRun {
                command_id,
                run_id,
                version: body.version,
                step: body.step,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// A change to one account of a proposal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DunningRunEditRequest {
    pub account_id: AccountId,
    #[serde(flatten)]
    pub edit: RunEdit,
    pub reason: String,
}

/// Takes an account out of a proposal or back into it, changes the channel, or
/// adds a sentence. A request to approve it is taken back.
#[utoipa::path(
    post, path = "/api/v1/dunning/runs/{id}/edits", tag = "dunning", operation_id = "editDunningRun",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DunningRunEditRequest"),
    responses((status = 200, description = "The account as it is now", body = ref("#/components/schemas/RunAccount")))
)]
pub(crate) async fn edit(Path(run_id): Path<RunId>, asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "edit_run",
            |command_id, body: DunningRunEditRequest, person| EditRun {
                command_id,
                run_id,
                account_id: body.account_id,
                edit: body.edit,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Why each overdue item of an account is chased or not, now: exactly one reason
/// each.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/standing", tag = "dunning", operation_id = "getStanding",
    params(("id" = String, Path, format = Uuid, description = "The account")),
    responses((status = 200, description = "Its overdue items", body = ref("#/components/schemas/Standing")))
)]
pub(crate) async fn standing(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetStanding { account_id }).await?).into_response())
}

/// Every version of every policy, with the manual that is written from it.
#[utoipa::path(
    get, path = "/api/v1/dunning/policies", tag = "dunning", operation_id = "listDunningPolicies",
    responses((status = 200, description = "The policies", body = ref("#/components/schemas/Page_for_DunningPolicyView")))
)]
pub(crate) async fn policies(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListDunningPolicies {}).await?).into_response())
}
