//! Payment files of refunds.

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::{
        controls::{
            FetchRefundFile, ListPayable, ListRefundFiles, OrderRefundFile, RefundFileContent,
            RefundFileStep, StepRefundFile,
        },
        direct_debits::GetBacsUser,
    },
    controls::{BacsUser, RefundFileFormat, RefundFileId},
};
use kernel::Currency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Path, Query,
    asked::Asked,
    controls::{RunsQuery, person},
    json, list,
    once::{command_id, key, once},
    page_request,
};
use crate::{App, auth::Caller, problem::Problem};

/// Verified refunds that wait for a payment file, by bank account of ours.
#[utoipa::path(
    get, path = "/api/v1/refund-files/payable", tag = "controls", operation_id = "listPayableRefunds",
    responses((status = 200, description = "All on one page", body = ref("#/components/schemas/Page_for_Payable")))
)]
pub(crate) async fn payable(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListPayable {}).await?).into_response())
}

/// Payment files, newest first, with who fetched them.
#[utoipa::path(
    get, path = "/api/v1/refund-files", tag = "controls", operation_id = "listRefundFiles", params(RunsQuery),
    responses((status = 200, description = "A page of payment files", body = ref("#/components/schemas/Page_for_RefundFileView")))
)]
pub(crate) async fn list_files(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let page = page_request(query.cursor, query.limit);
    let page = app.bus.ask(&ListRefundFiles { page }).await?;
    Ok(list(&uri, &page))
}

/// Which refunds go into a payment file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RefundFileRequest {
    /// Our account that pays, as `/refund-files/payable` names it.
    pub bank_account: String,
    pub currency: Currency,
    /// Our name as the bank knows it.
    pub debtor_name: String,
    /// Today when absent.
    #[serde(default)]
    pub execute_on: Option<NaiveDate>,
    /// `pain001` when absent. `std18` is refused, naming the setting, until it is
    /// configured who we are for Bacs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RefundFileFormat>,
}

/// Who we are for Bacs, if a file of this format needs it.
pub(crate) async fn bacs_for(
    app: &App,
    format: Option<RefundFileFormat>,
) -> Result<Option<BacsUser>, Problem> {
    match format {
        Some(RefundFileFormat::Std18) => Ok(Some(app.bus.ask(&GetBacsUser {}).await?)),
        _ => Ok(None),
    }
}

/// Puts the verified refunds of a bank account into a payment file, which is
/// there a moment later.
#[utoipa::path(
    post, path = "/api/v1/refund-files", tag = "controls", operation_id = "orderRefundFile",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/RefundFileRequest"),
    responses((status = 200, description = "What is in the file", body = ref("#/components/schemas/OrderedFile")))
)]
pub(crate) async fn order(
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
        "order_refund_file",
        &headers,
        said,
        async |command_id| {
            let request: RefundFileRequest = json(&headers, &body)?;
            let order = OrderRefundFile {
                command_id,
                bank_account: request.bank_account,
                currency: request.currency,
                debtor_name: request.debtor_name,
                execute_on: request.execute_on,
                format: request.format,
                bacs: bacs_for(&app, request.format).await?,
                person: person(&caller),
            };
            Ok(app.bus.ask(&order).await?)
        },
    )
    .await
}

/// What became of a payment file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RefundFileStepRequest {
    pub step: RefundFileStep,
}

/// Says that a whole file was sent, or never will be.
#[utoipa::path(
    post, path = "/api/v1/refund-files/{id}/steps", tag = "controls", operation_id = "stepRefundFile",
    params(
        ("id" = String, Path, format = Uuid, description = "The payment file"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/RefundFileStepRequest"),
    responses((status = 200, description = "Its refunds", body = ref("#/components/schemas/Page_for_RefundView")))
)]
pub(crate) async fn step(
    Path(file_id): Path<RefundFileId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "step_refund_file",
            |command_id, request: RefundFileStepRequest, person| StepRefundFile {
                command_id,
                file_id,
                step: request.step,
                person,
            },
        )
        .await
}

/// The bytes of a payment file, for the bank. Who has them is noted, once for
/// each key.
#[utoipa::path(
    post, path = "/api/v1/refund-files/{id}/content", tag = "controls", operation_id = "fetchRefundFile",
    params(
        ("id" = String, Path, format = Uuid, description = "The payment file"),
        ("Idempotency-Key" = String, Header, description = "New for every time it is fetched, the same for every repetition"),
    ),
    responses((status = 200, description = "ISO 20022 pain.001.001.09, or Bacs Standard 18 as plain text", content_type = "application/xml"))
)]
pub(crate) async fn fetch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(file_id): Path<RefundFileId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Not kept with other answers: it has bank details, and is the same again.
    let fetch = FetchRefundFile {
        command_id: command_id(caller.user_id, "fetch_refund_file", key(&headers)?),
        file_id,
        person: person(&caller),
    };
    Ok(file(app.bus.ask(&fetch).await?))
}

/// A file to be saved.
pub(crate) fn file(content: RefundFileContent) -> Response {
    // XML begins with its declaration; Standard 18 with a label.
    let kind = if content.text.starts_with("VOL1") {
        "text/plain; charset=us-ascii"
    } else {
        "application/xml; charset=utf-8"
    };
    let name = format!("attachment; filename=\"{}\"", content.name);
    let mut response = content.text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}
