//! Receipts, their allocations, and the open items they may pay.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use contracts::api::allocation::{
    AllocateLine, AllocateReceipt, CountReceipts, FindOpenItems, GetReceipt, ListReceipts,
    ReceiptQueue, UndoAllocation, UndoCause,
};
use kernel::{AccountId, AllocationId, Currency, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request, search};
use crate::{App, openapi, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReceiptsQuery {
    /// `to_review` when absent.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::receipt_queue)]
    queue: ReceiptQueue,
    /// Part of the payer's name or narrative, an amount, or a bank reference.
    search: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Receipts of a queue, newest booking first.
#[utoipa::path(
    get, path = "/api/v1/receipts", tag = "receipts", operation_id = "listReceipts", params(ReceiptsQuery),
    responses((status = 200, description = "A page of receipts", body = ref("#/components/schemas/Page_for_ReceiptView")))
)]
pub(crate) async fn list_receipts(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ReceiptsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListReceipts {
            queue: query.queue,
            search: search(query.search),
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// How many receipts and how much money is in each queue.
#[utoipa::path(
    get, path = "/api/v1/receipts/counts", tag = "receipts", operation_id = "countReceipts",
    responses((status = 200, description = "The queues", body = ref("#/components/schemas/QueueCounts")))
)]
pub(crate) async fn count_receipts(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&CountReceipts {}).await?).into_response())
}

/// A receipt with its decision, its suggestions and every allocation ever.
#[utoipa::path(
    get, path = "/api/v1/receipts/{id}", tag = "receipts", operation_id = "getReceipt",
    params(("id" = String, Path, format = Uuid, description = "The receipt")),
    responses((status = 200, description = "The receipt", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn get_receipt(
    State(app): State<App>,
    Path(receipt_id): Path<ReceiptId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetReceipt { receipt_id }).await?).into_response())
}

/// The matches that a person may accept, the best first.
#[utoipa::path(
    get, path = "/api/v1/receipts/{id}/suggestions", tag = "receipts", operation_id = "listSuggestions",
    params(("id" = String, Path, format = Uuid, description = "The receipt")),
    responses((status = 200, description = "The suggestions, all on one page", body = ref("#/components/schemas/Page_for_Suggestion")))
)]
pub(crate) async fn list_suggestions(
    State(app): State<App>,
    Path(receipt_id): Path<ReceiptId>,
) -> Result<Response, Problem> {
    let detail = app.bus.ask(&GetReceipt { receipt_id }).await?;
    Ok(Json(contracts::api::Page {
        items: detail.suggestions,
        next_cursor: None,
    })
    .into_response())
}

/// Allocates a receipt, wholly or in part, to one document or many.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AllocationRequest {
    /// The documents and how much of the receipt each takes; negative for a
    /// credit note that is used up.
    pub lines: Vec<AllocateLine>,
    /// Why: kept with the allocation for ever.
    pub reason: String,
    /// Refused with 409 when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
}

/// Takes an allocation back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UndoRequest {
    /// Why: kept with the contra line for ever.
    pub reason: String,
    /// What was the matter: a wrong match counts against the rung that made it.
    #[serde(default)]
    pub cause: Option<UndoCause>,
}

pub(crate) fn stated(reason: &str) -> Result<String, Problem> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Problem::invalid(
            "gateway.reason_missing",
            "/reason",
            "say why",
        ));
    }
    Ok(reason.to_owned())
}

/// Allocates a receipt. Repeated with the same `Idempotency-Key`, it moves the
/// money once and answers the same.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/allocations", tag = "receipts", operation_id = "allocateReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/AllocationRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn allocate(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "allocate",
            |command_id, request: AllocationRequest, caller| {
                Ok(AllocateReceipt {
                    command_id,
                    receipt_id,
                    expected_version: request.expected_version,
                    reason: stated(&request.reason)?,
                    lines: request.lines,
                    actor: caller.actor(),
                })
            },
        )
        .await
}

/// Takes an allocation back by a contra line. Repeated with the same
/// `Idempotency-Key`, it is undone once.
#[utoipa::path(
    post, path = "/api/v1/allocations/{id}/undo", tag = "receipts", operation_id = "undoAllocation",
    params(
        ("id" = String, Path, format = Uuid, description = "The allocation"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UndoRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn undo(
    Path(allocation_id): Path<AllocationId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked("undo", |command_id, request: UndoRequest, caller| {
            Ok(UndoAllocation {
                command_id,
                allocation_id,
                reason: stated(&request.reason)?,
                cause: request.cause,
                actor: caller.actor(),
            })
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ItemsQuery {
    /// Document or account reference, or part of the account's name.
    search: Option<String>,
    /// Only items of this account.
    #[param(value_type = Option<String>, format = Uuid)]
    account_id: Option<AccountId>,
    /// Only items in this currency (ISO 4217).
    #[param(value_type = Option<String>)]
    currency: Option<Currency>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Open documents that a receipt may be allocated to.
#[utoipa::path(
    get, path = "/api/v1/items", tag = "receipts", operation_id = "findOpenItems", params(ItemsQuery),
    responses((status = 200, description = "A page of open items", body = ref("#/components/schemas/Page_for_OpenItemView")))
)]
pub(crate) async fn find_items(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ItemsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&FindOpenItems {
            search: search(query.search),
            account_id: query.account_id,
            currency: query.currency,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}
