//! Matching rules: from draft to live, and over the past.

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use contracts::{
    allocation::Rule,
    api::rules::{
        DraftRuleSet, GetRuleSet, ListDemotedRungs, ListRuleSets, PromoteRuleSet, ReplayRules,
        RestoreRung, RetireRuleSet, ValidateRuleSet,
    },
    rules::{RuleScope, RuleSet, RuleSetState},
};
use kernel::CommandId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, json, list, once::once, page_request, receipts::stated};
use crate::{App, auth::Caller, openapi, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RulesQuery {
    /// Only those that stand so.
    #[param(required = false, schema_with = openapi::rule_set_state)]
    state: Option<RuleSetState>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Matching rules, the newest version first.
#[utoipa::path(
    get, path = "/api/v1/matching/rules", tag = "matching", operation_id = "listRuleSets", params(RulesQuery),
    responses((status = 200, description = "A page of rule sets", body = ref("#/components/schemas/Page_for_RuleSetView")))
)]
pub(crate) async fn list_rule_sets(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RulesQuery>,
) -> Result<Response, Problem> {
    let ask = ListRuleSets {
        state: query.state,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A rule set with its history.
#[utoipa::path(
    get, path = "/api/v1/matching/rules/{version}", tag = "matching", operation_id = "getRuleSet",
    params(("version" = i64, Path, description = "The version")),
    responses((status = 200, description = "The rule set", body = ref("#/components/schemas/RuleSetDetail")))
)]
pub(crate) async fn get_rule_set(
    State(app): State<App>,
    Path(version): Path<i64>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetRuleSet { version }).await?).into_response())
}

/// What is wrong with a rule set; nothing is stored.
#[utoipa::path(
    post, path = "/api/v1/matching/rules/validate", tag = "matching", operation_id = "validateRuleSet",
    request_body = ref("#/components/schemas/RuleSet"),
    responses((status = 200, description = "Its mistakes, if any", body = ref("#/components/schemas/RuleSetCheck")))
)]
pub(crate) async fn validate(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let rule_set: RuleSet = json(&headers, &body)?;
    Ok(Json(app.bus.ask(&ValidateRuleSet { rule_set }).await?).into_response())
}

/// Stores a rule set as a draft.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DraftRequest {
    pub rule_set: RuleSet,
    /// Why: kept with the version for ever.
    pub reason: String,
}

/// Moves a rule set on, or takes it out of use.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct StepRequest {
    /// Why: kept with the step for ever.
    pub reason: String,
}

/// Stores a rule set as a draft.
#[utoipa::path(
    post, path = "/api/v1/matching/rules", tag = "matching", operation_id = "draftRuleSet",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/DraftRequest"),
    responses((status = 200, description = "The draft", body = ref("#/components/schemas/RuleSetDetail")))
)]
pub(crate) async fn draft(asked: Asked) -> Result<Response, Problem> {
    asked
        .checked(
            "draft_rules",
            |command_id, request: DraftRequest, caller| {
                Ok(DraftRuleSet {
                    command_id,
                    rule_set: request.rule_set,
                    reason: stated(&request.reason)?,
                    actor: caller.actor(),
                })
            },
        )
        .await
}

/// One step on: a draft becomes a shadow; a shadow becomes live, which its
/// author cannot do.
#[utoipa::path(
    post, path = "/api/v1/matching/rules/{version}/promote", tag = "matching", operation_id = "promoteRuleSet",
    params(
        ("version" = i64, Path, description = "The version"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/StepRequest"),
    responses((status = 200, description = "The rule set as it is now", body = ref("#/components/schemas/RuleSetDetail")))
)]
pub(crate) async fn promote(Path(version): Path<i64>, asked: Asked) -> Result<Response, Problem> {
    asked
        .checked(
            "promote_rules",
            |command_id, request: StepRequest, caller| {
                Ok(PromoteRuleSet {
                    command_id,
                    version,
                    reason: stated(&request.reason)?,
                    actor: caller.actor(),
                })
            },
        )
        .await
}

/// Takes a rule set out of use; what it decided stays.
#[utoipa::path(
    post, path = "/api/v1/matching/rules/{version}/retire", tag = "matching", operation_id = "retireRuleSet",
    params(
        ("version" = i64, Path, description = "The version"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/StepRequest"),
    responses((status = 200, description = "The rule set as it is now", body = ref("#/components/schemas/RuleSetDetail")))
)]
pub(crate) async fn retire(Path(version): Path<i64>, asked: Asked) -> Result<Response, Problem> {
    asked
        .checked(
            "retire_rules",
            |command_id, request: StepRequest, caller| {
                Ok(RetireRuleSet {
                    command_id,
                    version,
                    reason: stated(&request.reason)?,
                    actor: caller.actor(),
                })
            },
        )
        .await
}

/// Runs a rule set over past receipts, beside the live rules. Changes nothing.
#[utoipa::path(
    post, path = "/api/v1/matching/rules/replay", tag = "matching", operation_id = "replayRules",
    request_body = ref("#/components/schemas/ReplayRules"),
    responses((status = 200, description = "What would have been different", body = ref("#/components/schemas/ReplayReport")))
)]
pub(crate) async fn replay(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let ask: ReplayRules = json(&headers, &body)?;
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// Rungs that only suggest because they were wrong too often.
#[utoipa::path(
    get, path = "/api/v1/matching/demoted-rungs", tag = "matching", operation_id = "listDemotedRungs",
    responses((status = 200, description = "The rungs", body = ref("#/components/schemas/DemotedRungs")))
)]
pub(crate) async fn demoted(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListDemotedRungs {}).await?).into_response())
}

/// Lets a demoted rung post again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RestoreRequest {
    pub scope: RuleScope,
    pub rule: Rule,
    /// Why: kept with the restoration for ever.
    pub reason: String,
}

/// Lets a demoted rung post again; not by the person whose undo demoted it.
#[utoipa::path(
    post, path = "/api/v1/matching/demoted-rungs/restore", tag = "matching", operation_id = "restoreRung",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/RestoreRequest"),
    responses((status = 200, description = "The rungs that are still demoted", body = ref("#/components/schemas/DemotedRungs")))
)]
pub(crate) async fn restore(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "restore_rung",
        &headers,
        said,
        async |command_id: CommandId| {
            let request: RestoreRequest = json(&headers, &body)?;
            let command = RestoreRung {
                command_id,
                scope: request.scope,
                rule: request.rule,
                reason: stated(&request.reason)?,
                actor: caller.actor(),
            };
            Ok(app.bus.ask(&command).await?)
        },
    )
    .await
}
