//! The way to a court: referrals, what was handed over, and acknowledgments.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::NaiveDate;
use contracts::{
    api::dunning::{
        AcknowledgeDebt, GetLegal, GetPack, GetReferral, ListReferrals, OpenReferral, ReferralStep,
        StepReferral,
    },
    dunning::{ReferralId, ReferralState},
};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request};
use crate::{App, problem::Problem};

/// Where an account stands on the way to a court: which overdue documents a
/// referral may begin with and why others may not, until when a claim can be
/// made for each, and its referrals.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/referrals", tag = "dunning", operation_id = "getLegal",
    params(("id" = String, Path, format = Uuid, description = "The account")),
    responses((status = 200, description = "Documents and referrals", body = ref("#/components/schemas/LegalView")))
)]
pub(crate) async fn legal(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetLegal { account_id }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReferralsQuery {
    /// Only this account's.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Such as `waiting_for_reply` or `referred`.
    #[param(value_type = Option<String>)]
    state: Option<ReferralState>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Referrals, the newest first.
#[utoipa::path(
    get, path = "/api/v1/referrals", tag = "dunning", operation_id = "listReferrals", params(ReferralsQuery),
    responses((status = 200, description = "A page of referrals", body = ref("#/components/schemas/Page_for_ReferralView")))
)]
pub(crate) async fn list_referrals(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ReferralsQuery>,
) -> Result<Response, Problem> {
    let ask = ListReferrals {
        account_id: query.account_id,
        state: query.state,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A referral with its clocks and what was handed over.
#[utoipa::path(
    get, path = "/api/v1/referrals/{id}", tag = "dunning", operation_id = "getReferral",
    params(("id" = String, Path, format = Uuid, description = "The referral")),
    responses((status = 200, description = "The referral", body = ref("#/components/schemas/ReferralView")))
)]
pub(crate) async fn get(
    State(app): State<App>,
    Path(referral_id): Path<ReferralId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetReferral { referral_id }).await?).into_response())
}

/// A referral to begin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReferralRequest {
    /// Every document that may be in it when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    /// The day that the letter was posted, where it is only known to be printed.
    #[serde(default)]
    pub posted_on: Option<NaiveDate>,
    pub reason: String,
}

/// Begins the legal stage after a letter of claim or before action.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/referrals", tag = "dunning", operation_id = "openReferral",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ReferralRequest"),
    responses((status = 200, description = "The referral", body = ref("#/components/schemas/ReferralView")))
)]
pub(crate) async fn open(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "open_referral",
            |command_id, body: ReferralRequest, person| OpenReferral {
                command_id,
                account_id,
                documents: body.documents,
                posted_on: body.posted_on,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// A step of a referral.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReferralStepRequest {
    /// The version that you saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: ReferralStep,
    pub reason: String,
}

/// Takes a step: a reply, documents sent, notice, a request to hand over, recall,
/// costs, giving up, closing. None towards a court while a hold, promise, plan or
/// query covers it.
#[utoipa::path(
    post, path = "/api/v1/referrals/{id}/steps", tag = "dunning", operation_id = "stepReferral",
    params(
        ("id" = String, Path, format = Uuid, description = "The referral"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ReferralStepRequest"),
    responses((status = 200, description = "The referral as it is now", body = ref("#/components/schemas/ReferralView")))
)]
pub(crate) async fn step(
    Path(referral_id): Path<ReferralId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "step_referral",
            |command_id, body: ReferralStepRequest, person| StepReferral {
                command_id,
                referral_id,
                version: body.version,
                step: body.step,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Where a pack is.
#[derive(Debug, Deserialize)]
pub(crate) struct PackPath {
    id: ReferralId,
    sha256: String,
}

/// What was handed over, or is to be, byte for byte as it was kept: a ZIP whose
/// SHA-256 is in its address, with a manifest of the SHA-256 of each file.
#[utoipa::path(
    get, path = "/api/v1/referrals/{id}/packs/{sha256}", tag = "dunning", operation_id = "getReferralPack",
    params(
        ("id" = String, Path, format = Uuid, description = "The referral"),
        ("sha256" = String, Path, description = "SHA-256 (hex) of the pack"),
    ),
    responses((status = 200, description = "The pack", content_type = "application/zip"))
)]
pub(crate) async fn pack(
    State(app): State<App>,
    Path(path): Path<PackPath>,
) -> Result<Response, Problem> {
    let mut bytes = Vec::new();
    let name = loop {
        let ask = GetPack {
            referral_id: path.id,
            sha256: path.sha256.clone(),
            offset: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
        };
        let part = app.bus.ask(&ask).await?;
        let more = STANDARD.decode(&part.base64).unwrap_or_default();
        let is_last = more.is_empty();
        bytes.extend(more);
        if is_last || i64::try_from(bytes.len()).unwrap_or(i64::MAX) >= part.size {
            break part.name;
        }
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/zip"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A written and signed acknowledgment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AcknowledgmentRequest {
    pub documents: Vec<DocumentId>,
    pub signed_on: NaiveDate,
    pub signed_by: String,
    /// Where the paper is.
    #[serde(default)]
    pub reference: Option<String>,
    pub reason: String,
}

/// Records a written and signed acknowledgment of debts: limitation begins anew
/// (Limitation Act 1980 s.29), unless it was over before.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/acknowledgments", tag = "dunning", operation_id = "acknowledgeDebt",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/AcknowledgmentRequest"),
    responses((status = 200, description = "Documents and referrals as they are now", body = ref("#/components/schemas/LegalView")))
)]
pub(crate) async fn acknowledge(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "acknowledge_debt",
            |command_id, body: AcknowledgmentRequest, person| AcknowledgeDebt {
                command_id,
                account_id,
                documents: body.documents,
                signed_on: body.signed_on,
                signed_by: body.signed_by,
                reference: body.reference,
                reason: body.reason,
                person,
            },
        )
        .await
}
