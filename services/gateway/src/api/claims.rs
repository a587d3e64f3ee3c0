//! Interest and compensation for late payment, and statements.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::dunning::{GetLatePayment, GetStatement, PostCharge, TakeBackCharge},
    dunning::{ChargeId, ChargeKind},
};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked};
use crate::{App, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LatePaymentQuery {
    /// To the end of this day; today when absent.
    #[param(value_type = Option<String>, format = Date)]
    until: Option<NaiveDate>,
}

/// What late payment of an account's debts has come to, with the working. A memo
/// until it is posted.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/late-payment", tag = "dunning", operation_id = "getLatePayment",
    params(("id" = String, Path, format = Uuid, description = "The account"), LatePaymentQuery),
    responses((status = 200, description = "The claims", body = ref("#/components/schemas/LatePayment")))
)]
pub(crate) async fn late_payment(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
    Query(query): Query<LatePaymentQuery>,
) -> Result<Response, Problem> {
    let ask = GetLatePayment {
        account_id,
        until: query.until,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A claim to post.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ChargeRequest {
    pub document_id: DocumentId,
    pub kind: ChargeKind,
    pub reason: String,
}

/// Posts what a late document has come to as an item of its own. Interest that
/// was posted before is taken off; compensation is posted once.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/charges", tag = "dunning", operation_id = "postCharge",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ChargeRequest"),
    responses((status = 200, description = "The charge", body = ref("#/components/schemas/ChargeView")))
)]
pub(crate) async fn post(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("post_charge", |command_id, body: ChargeRequest, person| {
            PostCharge {
                command_id,
                account_id,
                document_id: body.document_id,
                kind: body.kind,
                reason: body.reason,
                person,
            }
        })
        .await
}

/// A charge to take back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ChargeBackRequest {
    /// It was wrong, and is not only given up.
    #[serde(default)]
    pub wrong: bool,
    pub reason: String,
}

/// Gives a charge up, or takes back one that was wrong: a credit note of the
/// same amount goes to the ledger.
#[utoipa::path(
    post, path = "/api/v1/charges/{id}/taking-back", tag = "dunning", operation_id = "takeBackCharge",
    params(
        ("id" = String, Path, format = Uuid, description = "The charge"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ChargeBackRequest"),
    responses((status = 200, description = "The charge as it is now", body = ref("#/components/schemas/ChargeView")))
)]
pub(crate) async fn take_back(
    Path(charge_id): Path<ChargeId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "take_back_charge",
            |command_id, body: ChargeBackRequest, person| TakeBackCharge {
                command_id,
                charge_id,
                wrong: body.wrong,
                reason: body.reason,
                person,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// Only what is overdue and may be chased, and the rest with its reason.
    #[serde(default)]
    #[param(required = false)]
    red: bool,
    /// What was open at the end of this day; of today when absent.
    #[param(value_type = Option<String>, format = Date)]
    as_at: Option<NaiveDate>,
}

/// A statement of an account as it stands now, or a red one; or as it stood at the end
/// of a past day.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/statement", tag = "dunning", operation_id = "getStatement",
    params(("id" = String, Path, format = Uuid, description = "The account"), StatementQuery),
    responses((status = 200, description = "The statement", body = ref("#/components/schemas/Statement")))
)]
pub(crate) async fn statement(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Problem> {
    let ask = GetStatement {
        account_id,
        red: query.red,
        as_at: query.as_at,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}
