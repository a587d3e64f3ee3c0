//! Money after matching: returns, moves, transfers, offsets, and what may be
//! chased.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use contracts::{
    allocation::DebitState,
    api::{
        returns::{
            GetChaseable, GetDebit, KeepOnAccount, ListDebits, MarkDebitOurs, MatchDebit,
            MoveAllocation, OffsetDocuments, OffsetLine, ReturnReceipt, ReverseDebit, Run,
            SettleDuplicate, TransferReceipt,
        },
        workbench::UndoTogether,
    },
};
use kernel::{AccountId, AllocationId, DebitId, DocumentId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request, receipts::stated};
use crate::{App, openapi, problem::Problem};

/// The payment did not stay with us.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReturnRequest {
    /// What came back; all that is left of the payment when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    /// `dd_return`, `ddic`, `cheque_return`, `card` and so on.
    #[serde(default)]
    pub scheme: Option<String>,
    /// The bank's code for the reason.
    #[serde(default)]
    pub code: Option<String>,
    /// Refused with 409 when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
    /// Why: kept for ever.
    pub reason: String,
}

/// Whose a receipt's unallocated money is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TransferRequest {
    pub account_id: AccountId,
    /// Keep it there on account.
    #[serde(default)]
    pub on_account: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    /// Why: kept for ever.
    pub reason: String,
}

/// Whether unallocated money stays on account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OnAccountRequest {
    pub on_account: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    /// Why: kept for ever.
    pub reason: String,
}

/// Whether a possible duplicate is one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DuplicateRequest {
    pub duplicate: bool,
    #[serde(default)]
    pub expected_version: Option<i64>,
    /// Why: kept for ever.
    pub reason: String,
}

/// Takes back all that one decision did to a receipt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UndoRunRequest {
    pub run: Run,
    /// Why: kept for ever.
    pub reason: String,
}

/// Where an allocation goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MoveRequest {
    pub document_id: DocumentId,
    /// A part of it; all of it when absent.
    #[serde(default)]
    pub amount: Option<Money>,
    /// Why: kept for ever.
    pub reason: String,
}

/// Credit notes that meet invoices; the lines come to nothing together.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OffsetRequest {
    pub lines: Vec<OffsetLine>,
    /// Why: kept for ever.
    pub reason: String,
}

/// The receipt that a debit took back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MatchDebitRequest {
    pub receipt_id: ReceiptId,
    /// Why: kept for ever.
    pub reason: String,
}

/// A debit is a payment of our own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DebitOursRequest {
    /// Why: kept for ever.
    pub reason: String,
}

/// What a debit took has come again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReverseDebitRequest {
    /// The receipt by which it came, when the bank booked a line of its own.
    #[serde(default)]
    pub credit: Option<ReceiptId>,
    /// Why: kept for ever.
    pub reason: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DebitsQuery {
    /// All when absent.
    #[param(schema_with = openapi::debit_state)]
    state: Option<DebitState>,
    /// Only those that took back what had been refunded before.
    #[serde(default)]
    #[param(required = false)]
    shortfall: bool,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Bank lines that took money from us, newest first.
#[utoipa::path(
    get, path = "/api/v1/debits", tag = "returns", operation_id = "listDebits", params(DebitsQuery),
    responses((status = 200, description = "A page of debits", body = ref("#/components/schemas/Page_for_DebitView")))
)]
pub(crate) async fn list_debits(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<DebitsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListDebits {
            state: query.state,
            shortfall: query.shortfall,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A bank line that took money from us.
#[utoipa::path(
    get, path = "/api/v1/debits/{id}", tag = "returns", operation_id = "getDebit",
    params(("id" = String, Path, format = Uuid, description = "The debit")),
    responses((status = 200, description = "The debit", body = ref("#/components/schemas/DebitView")))
)]
pub(crate) async fn get_debit(
    State(app): State<App>,
    Path(debit_id): Path<DebitId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetDebit { debit_id }).await?).into_response())
}

/// What of an account may be chased now, item by item, and why not the rest.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/chaseable", tag = "accounts", operation_id = "getChaseable",
    params(("id" = String, Path, format = Uuid, description = "The account")),
    responses((status = 200, description = "The figures with their terms", body = ref("#/components/schemas/Chaseable")))
)]
pub(crate) async fn chaseable(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
) -> Result<Response, Problem> {
    let ask = GetChaseable {
        account_id,
        items: Vec::new(),
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// Takes a payment back that did not stay: what it paid is owed again. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/return", tag = "returns", operation_id = "returnReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ReturnRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn return_receipt(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "return_receipt",
            |command_id, request: ReturnRequest, caller| {
                Ok(ReturnReceipt {
                    command_id,
                    receipt_id,
                    amount: request.amount,
                    scheme: request.scheme,
                    code: request.code,
                    expected_version: request.expected_version,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Says whose the unallocated money of a receipt is. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/transfer", tag = "returns", operation_id = "transferReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TransferRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn transfer(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "transfer",
            |command_id, request: TransferRequest, caller| {
                Ok(TransferReceipt {
                    command_id,
                    receipt_id,
                    account_id: request.account_id,
                    on_account: request.on_account,
                    expected_version: request.expected_version,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Keeps unallocated money on account, or no longer. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/on-account", tag = "returns", operation_id = "keepOnAccount",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/OnAccountRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn on_account(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "on_account",
            |command_id, request: OnAccountRequest, caller| {
                Ok(KeepOnAccount {
                    command_id,
                    receipt_id,
                    on_account: request.on_account,
                    expected_version: request.expected_version,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Says whether a possible duplicate is one. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/duplicate", tag = "returns", operation_id = "settleDuplicate",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DuplicateRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn duplicate(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "duplicate",
            |command_id, request: DuplicateRequest, caller| {
                Ok(SettleDuplicate {
                    command_id,
                    receipt_id,
                    duplicate: request.duplicate,
                    expected_version: request.expected_version,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Takes back all that one decision did to a receipt, as far as it stands. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/undo-run", tag = "returns", operation_id = "undoRun",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UndoRunRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn undo_run(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked("undo_run", |command_id, request: UndoRunRequest, caller| {
            Ok(UndoTogether {
                command_id,
                receipt_id,
                allocation_ids: Vec::new(),
                run: Some(request.run),
                automatic: false,
                cause: None,
                actor: caller.actor(),
                reason: stated(&request.reason)?,
            })
        })
        .await
}

/// Lets an allocation pay another document instead. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/allocations/{id}/move", tag = "returns", operation_id = "moveAllocation",
    params(
        ("id" = String, Path, format = Uuid, description = "The allocation"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/MoveRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn move_allocation(
    Path(allocation_id): Path<AllocationId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "move_allocation",
            |command_id, request: MoveRequest, caller| {
                Ok(MoveAllocation {
                    command_id,
                    allocation_id,
                    document_id: request.document_id,
                    amount: request.amount,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Lets credit notes of an account meet its invoices, without cash. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/offsets", tag = "returns", operation_id = "offsetDocuments",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/OffsetRequest"),
    responses((status = 200, description = "What was offset", body = ref("#/components/schemas/Offset")))
)]
pub(crate) async fn offset(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked("offset", |command_id, request: OffsetRequest, caller| {
            Ok(OffsetDocuments {
                command_id,
                account_id,
                lines: request.lines,
                actor: caller.actor(),
                reason: stated(&request.reason)?,
            })
        })
        .await
}

/// Says which payment a debit took back. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/debits/{id}/match", tag = "returns", operation_id = "matchDebit",
    params(
        ("id" = String, Path, format = Uuid, description = "The debit"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/MatchDebitRequest"),
    responses((status = 200, description = "The debit as it is now", body = ref("#/components/schemas/DebitView")))
)]
pub(crate) async fn match_debit(
    Path(debit_id): Path<DebitId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "match_debit",
            |command_id, request: MatchDebitRequest, caller| {
                Ok(MatchDebit {
                    command_id,
                    debit_id,
                    receipt_id: request.receipt_id,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Says that a debit is a payment of our own. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/debits/{id}/ours", tag = "returns", operation_id = "markDebitOurs",
    params(
        ("id" = String, Path, format = Uuid, description = "The debit"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DebitOursRequest"),
    responses((status = 200, description = "The debit as it is now", body = ref("#/components/schemas/DebitView")))
)]
pub(crate) async fn debit_ours(
    Path(debit_id): Path<DebitId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "debit_ours",
            |command_id, request: DebitOursRequest, caller| {
                Ok(MarkDebitOurs {
                    command_id,
                    debit_id,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}

/// Says that what a debit took has come again: a chargeback won. What it had paid is suggested again. Repeated with the same
/// `Idempotency-Key`, it happens once.
#[utoipa::path(
    post, path = "/api/v1/debits/{id}/reverse", tag = "returns", operation_id = "reverseDebit",
    params(
        ("id" = String, Path, format = Uuid, description = "The debit"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ReverseDebitRequest"),
    responses((status = 200, description = "The debit as it is now", body = ref("#/components/schemas/DebitView")))
)]
pub(crate) async fn reverse_debit(
    Path(debit_id): Path<DebitId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked(
            "reverse_debit",
            |command_id, request: ReverseDebitRequest, caller| {
                Ok(ReverseDebit {
                    command_id,
                    debit_id,
                    credit: request.credit,
                    actor: caller.actor(),
                    reason: stated(&request.reason)?,
                })
            },
        )
        .await
}
