//! Holds.

use axum::{
    Json,
    extract::{Extension, State},
    http::Uri,
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::dunning::{GetHold, HoldStep, ListHolds, PlaceHold, StepHold},
    dunning::{HoldId, HoldKind, HoldState},
};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, controls::person, list, page_request};
use crate::{App, auth::Caller, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HoldsQuery {
    /// Only this account's.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// `active`, `ended` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<HoldState>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Holds, the newest first. Reasons about health, death or safety are shown to
/// team leaders and managers only; the holds themselves to everybody.
#[utoipa::path(
    get, path = "/api/v1/holds", tag = "dunning", operation_id = "listHolds", params(HoldsQuery),
    responses((status = 200, description = "A page of holds", body = ref("#/components/schemas/Page_for_HoldView")))
)]
pub(crate) async fn list_holds(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Query(query): Query<HoldsQuery>,
) -> Result<Response, Problem> {
    let ask = ListHolds {
        account_id: query.account_id,
        state: query.state,
        person: person(&caller),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// One hold.
#[utoipa::path(
    get, path = "/api/v1/holds/{id}", tag = "dunning", operation_id = "getHold",
    params(("id" = String, Path, format = Uuid, description = "The hold")),
    responses((status = 200, description = "The hold", body = ref("#/components/schemas/HoldView")))
)]
pub(crate) async fn get_hold(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(hold_id): Path<HoldId>,
) -> Result<Response, Problem> {
    let ask = GetHold {
        hold_id,
        person: person(&caller),
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A reason not to chase.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HoldRequest {
    pub kind: HoldKind,
    pub account_id: AccountId,
    /// Which of the joint debtors it is about; everybody when absent.
    #[serde(default)]
    pub debtor_ref: Option<String>,
    /// The whole account when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    #[serde(default)]
    pub starts_on: Option<NaiveDate>,
    /// What the kind says when absent.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
    #[serde(default)]
    pub review_on: Option<NaiveDate>,
    /// What was issued after this day is not stopped.
    #[serde(default)]
    pub cut_off_on: Option<NaiveDate>,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    pub reason: String,
}

/// Places a hold.
#[utoipa::path(
    post, path = "/api/v1/holds", tag = "dunning", operation_id = "placeHold",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/HoldRequest"),
    responses((status = 200, description = "The hold", body = ref("#/components/schemas/HoldView")))
)]
pub(crate) async fn place(asked: Asked) -> Result<Response, Problem> {
    asked
        .once("place_hold", |command_id, body: HoldRequest, person| {
            PlaceHold {
                command_id,
                kind: body.kind,
                account_id: body.account_id,
                debtor_ref: body.debtor_ref,
                documents: body.documents,
                starts_on: body.starts_on,
                ends_on: body.ends_on,
                review_on: body.review_on,
                cut_off_on: body.cut_off_on,
                owner: body.owner,
                reference: body.reference,
                reason: body.reason,
                person,
            }
        })
        .await
}

/// A step of a hold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HoldStepRequest {
    /// The version that you saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: HoldStep,
    pub reason: String,
}

/// Changes, ends or cancels a hold, or adds debts to it.
#[utoipa::path(
    post, path = "/api/v1/holds/{id}/steps", tag = "dunning", operation_id = "stepHold",
    params(
        ("id" = String, Path, format = Uuid, description = "The hold"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/HoldStepRequest"),
    responses((status = 200, description = "The hold as it is now", body = ref("#/components/schemas/HoldView")))
)]
pub(crate) async fn step(Path(hold_id): Path<HoldId>, asked: Asked) -> Result<Response, Problem> {
    asked
        .once("step_hold", |command_id, body: HoldStepRequest, person| {
            StepHold {
                command_id,
                hold_id,
                version: body.version,
                step: body.step,
                reason: body.reason,
                person,
            }
        })
        .await
}
