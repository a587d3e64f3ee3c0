//! Approvals, refunds, write-offs and small balances.

use axum::{
    Json,
    extract::{Extension, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::controls::{
        ApprovalDetail, ApprovalQueue, ChangeLimit, ClaimVatRelief, DecideApproval, DraftRefund,
        GetApproval, GetRefund, GetSmallBalances, GetWriteOff, ListApprovals, ListLimits,
        ListRecoveries, ListRefunds, ListSmallBalances, ListVatRelief, ListWriteOffReasons,
        ListWriteOffs, Person, PreviewApproval, ProposeSmallBalances, RedraftRefund, RefundContent,
        RefundStep, RequestWriteOff, ReverseWriteOff, RunStep, StepRefund, StepSmallBalances,
        Verdict, WriteOffAsk,
    },
    controls::{
        ApprovalId, ApprovalKind, ApprovalState, RefundId, RefundState, SmallBalanceRunId,
        WriteOffId, WriteOffState, differences,
    },
};
use kernel::{AccountId, Currency, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Path, Query,
    asked::Asked,
    list, page_request,
    reports::varied,
    table::{Cell, File, Form, Table, wanted},
};
use crate::{App, auth::Caller, openapi, problem::Problem};

/// Rows of the VAT file at most.
const FILE_ROWS_MAX: usize = 100_000;

/// Who asks or acts, with the roles of this moment.
pub(crate) fn person(caller: &Caller) -> Person {
    Person {
        actor: caller.actor(),
        roles: caller
            .roles
            .iter()
            .map(|role| role.name().to_owned())
            .collect(),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalsQuery {
    /// `waiting` when absent: those that you may decide.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::approval_queue)]
    queue: ApprovalQueue,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Requests that a second person decides, newest first.
#[utoipa::path(
    get, path = "/api/v1/approvals", tag = "controls", operation_id = "listApprovals", params(ApprovalsQuery),
    responses((status = 200, description = "A page of approvals", body = ref("#/components/schemas/Page_for_ApprovalView")))
)]
pub(crate) async fn list_approvals(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    Query(query): Query<ApprovalsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListApprovals {
            queue: query.queue,
            person: person(&caller),
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A request with its frozen content, where that differs from now, and what was
/// decided.
#[utoipa::path(
    get, path = "/api/v1/approvals/{id}", tag = "controls", operation_id = "getApproval",
    params(("id" = String, Path, format = Uuid, description = "The approval")),
    responses((status = 200, description = "The approval", body = ref("#/components/schemas/ApprovalDetail")))
)]
pub(crate) async fn get_approval(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(approval_id): Path<ApprovalId>,
) -> Result<Response, Problem> {
    Ok(Json(approval(&app, &caller, approval_id).await?).into_response())
}

/// A request as worklist keeps it and, while it is pending, as the service that
/// asked sees it now. When that one does not answer the rest is shown all the
/// same.
pub(crate) async fn approval(
    app: &App,
    caller: &Caller,
    approval_id: ApprovalId,
) -> Result<ApprovalDetail, Problem> {
    let ask = GetApproval {
        approval_id,
        person: person(caller),
    };
    let mut detail = app.bus.ask(&ask).await?;
    let about = &detail.approval;
    // Limits are worklist's own; a credit shows its whole content.
    let by_allocation = !matches!(
        about.kind,
        ApprovalKind::LimitChange
            | ApprovalKind::Credit
            | ApprovalKind::DunningTemplate
            | ApprovalKind::DunningPolicy
            | ApprovalKind::LegalReferral
            | ApprovalKind::MatchingRules
            | ApprovalKind::CollectionRun
            | ApprovalKind::PolicyAssignment
    );
    if about.state == ApprovalState::Pending && by_allocation {
        let preview = PreviewApproval {
            kind: about.kind,
            subject_id: about.subject_id,
        };
        if let Ok(now) = app.bus.ask(&preview).await {
            if !detail.content.is_null() {
                detail.differences = differences(&detail.content, &now.content);
            }
            detail.preview = Some(now);
        }
    }
    Ok(detail)
}

/// What an approver says.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DecisionRequest {
    /// Needed to reject.
    #[serde(default)]
    pub reason: String,
}

/// Approves. What was asked for is carried out a moment after the last approval
/// that it needs: then the approval has `carried_out_at`. Refused to who asked for
/// it, to who acts for them, and above one's limit.
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}/approve", tag = "controls", operation_id = "approve",
    params(
        ("id" = String, Path, format = Uuid, description = "The approval"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DecisionRequest"),
    responses((status = 200, description = "The approval as it is now", body = ref("#/components/schemas/ApprovalDetail")))
)]
pub(crate) async fn approve(
    Path(approval_id): Path<ApprovalId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("approve", |command_id, request: DecisionRequest, person| {
            DecideApproval {
                command_id,
                approval_id,
                verdict: Verdict::Approve,
                reason: request.reason,
                person,
            }
        })
        .await
}

/// Rejects, with a reason.
#[utoipa::path(
    post, path = "/api/v1/approvals/{id}/reject", tag = "controls", operation_id = "reject",
    params(
        ("id" = String, Path, format = Uuid, description = "The approval"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DecisionRequest"),
    responses((status = 200, description = "The approval as it is now", body = ref("#/components/schemas/ApprovalDetail")))
)]
pub(crate) async fn reject(
    Path(approval_id): Path<ApprovalId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("reject", |command_id, request: DecisionRequest, person| {
            DecideApproval {
                command_id,
                approval_id,
                verdict: Verdict::Reject,
                reason: request.reason,
                person,
            }
        })
        .await
}

/// The limits in force today, by kind of request, role and currency.
#[utoipa::path(
    get, path = "/api/v1/approval-limits", tag = "controls", operation_id = "listLimits",
    responses((status = 200, description = "The limits, all on one page", body = ref("#/components/schemas/Page_for_LimitView")))
)]
pub(crate) async fn list_limits(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListLimits {}).await?).into_response())
}

/// Asks for another limit.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LimitRequest {
    pub kind: ApprovalKind,
    pub role: String,
    pub limit: Money,
    /// Today when absent.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
}

/// Asks for another limit, which a second person approves.
#[utoipa::path(
    post, path = "/api/v1/approval-limits", tag = "controls", operation_id = "changeLimit",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/LimitRequest"),
    responses((status = 200, description = "The request that waits for approval", body = ref("#/components/schemas/ApprovalDetail")))
)]
pub(crate) async fn change_limit(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "change_limit",
            |command_id, request: LimitRequest, person| ChangeLimit {
                command_id,
                kind: request.kind,
                role: request.role,
                limit: request.limit,
                valid_from: request.valid_from,
                reason: request.reason,
                person,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RefundsQuery {
    /// Only refunds in this state.
    #[param(value_type = Option<String>)]
    state: Option<RefundState>,
    /// Only refunds of this receipt.
    #[param(value_type = Option<String>, format = Uuid)]
    receipt_id: Option<ReceiptId>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Refunds, newest first.
#[utoipa::path(
    get, path = "/api/v1/refunds", tag = "controls", operation_id = "listRefunds", params(RefundsQuery),
    responses((status = 200, description = "A page of refunds", body = ref("#/components/schemas/Page_for_RefundView")))
)]
pub(crate) async fn list_refunds(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RefundsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListRefunds {
            state: query.state,
            receipt_id: query.receipt_id,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A refund with its evidence and history.
#[utoipa::path(
    get, path = "/api/v1/refunds/{id}", tag = "controls", operation_id = "getRefund",
    params(("id" = String, Path, format = Uuid, description = "The refund")),
    responses((status = 200, description = "The refund", body = ref("#/components/schemas/RefundDetail")))
)]
pub(crate) async fn get_refund(
    State(app): State<App>,
    Path(refund_id): Path<RefundId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetRefund { refund_id }).await?).into_response())
}

/// A refund of a receipt's unallocated money.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RefundRequest {
    pub receipt_id: ReceiptId,
    #[serde(flatten)]
    pub content: RefundContent,
    /// Reserve the money and ask for approval at once.
    #[serde(default)]
    pub submit: bool,
}

/// Drafts a refund. Back to the account that paid, or with a reason and a
/// second approver to another payee.
#[utoipa::path(
    post, path = "/api/v1/refunds", tag = "controls", operation_id = "draftRefund",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/RefundRequest"),
    responses((status = 200, description = "The refund", body = ref("#/components/schemas/RefundDetail")))
)]
pub(crate) async fn draft_refund(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "draft_refund",
            |command_id, request: RefundRequest, person| DraftRefund {
                command_id,
                receipt_id: request.receipt_id,
                content: request.content,
                submit: request.submit,
                person,
            },
        )
        .await
}

/// A refund drafted anew.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RedraftRequest {
    #[serde(flatten)]
    pub content: RefundContent,
    #[serde(default)]
    pub submit: bool,
}

/// Drafts a refund anew: an approval asked for or given is void, reserved money
/// is free again.
#[utoipa::path(
    post, path = "/api/v1/refunds/{id}/redraft", tag = "controls", operation_id = "redraftRefund",
    params(
        ("id" = String, Path, format = Uuid, description = "The refund"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/RedraftRequest"),
    responses((status = 200, description = "The refund", body = ref("#/components/schemas/RefundDetail")))
)]
pub(crate) async fn redraft_refund(
    Path(refund_id): Path<RefundId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "redraft_refund",
            |command_id, request: RedraftRequest, person| RedraftRefund {
                command_id,
                refund_id,
                content: request.content,
                submit: request.submit,
                person,
            },
        )
        .await
}

/// Brings a refund a step further: submitted, verified, in a payment file (which
/// is made elsewhere), sent, paid, returned or cancelled.
#[utoipa::path(
    post, path = "/api/v1/refunds/{id}/steps", tag = "controls", operation_id = "stepRefund",
    params(
        ("id" = String, Path, format = Uuid, description = "The refund"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/RefundStep"),
    responses((status = 200, description = "The refund", body = ref("#/components/schemas/RefundDetail")))
)]
pub(crate) async fn step_refund(
    Path(refund_id): Path<RefundId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("step_refund", |command_id, step: RefundStep, person| {
            StepRefund {
                command_id,
                refund_id,
                step,
                person,
            }
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WriteOffsQuery {
    /// Only write-offs in this state.
    #[param(value_type = Option<String>)]
    state: Option<WriteOffState>,
    /// Only write-offs of this account.
    #[param(value_type = Option<String>, format = Uuid)]
    account_id: Option<AccountId>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Write-offs, newest first.
#[utoipa::path(
    get, path = "/api/v1/write-offs", tag = "controls", operation_id = "listWriteOffs", params(WriteOffsQuery),
    responses((status = 200, description = "A page of write-offs", body = ref("#/components/schemas/Page_for_WriteOffView")))
)]
pub(crate) async fn list_write_offs(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<WriteOffsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListWriteOffs {
            state: query.state,
            account_id: query.account_id,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A write-off with its documents.
#[utoipa::path(
    get, path = "/api/v1/write-offs/{id}", tag = "controls", operation_id = "getWriteOff",
    params(("id" = String, Path, format = Uuid, description = "The write-off")),
    responses((status = 200, description = "The write-off", body = ref("#/components/schemas/WriteOffDetail")))
)]
pub(crate) async fn get_write_off(
    State(app): State<App>,
    Path(write_off_id): Path<WriteOffId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetWriteOff { write_off_id }).await?).into_response())
}

/// Why a debt may be written off.
#[utoipa::path(
    get, path = "/api/v1/write-offs/reasons", tag = "controls", operation_id = "listWriteOffReasons",
    responses((status = 200, description = "The reasons, all on one page", body = ref("#/components/schemas/Page_for_WriteOffReason")))
)]
pub(crate) async fn write_off_reasons(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListWriteOffReasons {}).await?).into_response())
}

/// Receipts with money left whose words name a written-off document.
#[utoipa::path(
    get, path = "/api/v1/write-offs/recoveries", tag = "controls", operation_id = "listRecoveries",
    responses((status = 200, description = "At most 100 of them", body = ref("#/components/schemas/Page_for_Recovery")))
)]
pub(crate) async fn recoveries(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListRecoveries {}).await?).into_response())
}

/// Documents, or parts of them, to be written off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct WriteOffRequest {
    /// A code of `/write-offs/reasons`.
    pub reason_code: String,
    pub reason: String,
    /// All of one account.
    pub lines: Vec<WriteOffAsk>,
}

/// Asks that documents be written off.
#[utoipa::path(
    post, path = "/api/v1/write-offs", tag = "controls", operation_id = "requestWriteOff",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/WriteOffRequest"),
    responses((status = 200, description = "The write-off that waits for approval", body = ref("#/components/schemas/WriteOffDetail")))
)]
pub(crate) async fn request_write_off(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "request_write_off",
            |command_id, request: WriteOffRequest, person| RequestWriteOff {
                command_id,
                reason_code: request.reason_code,
                reason: request.reason,
                lines: request.lines,
                person,
            },
        )
        .await
}

/// Takes a write-off back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ReversalRequest {
    /// The payment that came after all: the write-off is taken back as far as it
    /// goes, and it is allocated.
    #[serde(default)]
    pub receipt_id: Option<ReceiptId>,
    pub reason: String,
}

/// Takes a write-off back, whole or as far as a payment goes.
#[utoipa::path(
    post, path = "/api/v1/write-offs/{id}/reverse", tag = "controls", operation_id = "reverseWriteOff",
    params(
        ("id" = String, Path, format = Uuid, description = "The write-off"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ReversalRequest"),
    responses((status = 200, description = "The write-off", body = ref("#/components/schemas/WriteOffDetail")))
)]
pub(crate) async fn reverse_write_off(
    Path(write_off_id): Path<WriteOffId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "reverse_write_off",
            |command_id, request: ReversalRequest, person| ReverseWriteOff {
                command_id,
                write_off_id,
                receipt_id: request.receipt_id,
                reason: request.reason,
                person,
            },
        )
        .await
}

/// In which VAT return the relief was claimed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ClaimRequest {
    pub claimed_on: NaiveDate,
}

/// Notes that the VAT in a write-off was claimed as bad-debt relief.
#[utoipa::path(
    post, path = "/api/v1/write-offs/{id}/vat-claims", tag = "controls", operation_id = "claimVatRelief",
    params(
        ("id" = String, Path, format = Uuid, description = "The write-off"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ClaimRequest"),
    responses((status = 200, description = "The write-off", body = ref("#/components/schemas/WriteOffDetail")))
)]
pub(crate) async fn claim_vat_relief(
    Path(write_off_id): Path<WriteOffId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "claim_vat_relief",
            |command_id, request: ClaimRequest, person| ClaimVatRelief {
                command_id,
                write_off_id,
                claimed_on: request.claimed_on,
                person,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VatReliefQuery {
    /// Only what may be claimed on this day and is not claimed yet.
    claimable_on: Option<NaiveDate>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// VAT bad-debt relief, a line per written-off document. As CSV or a workbook
/// all lines come at once.
#[utoipa::path(
    get, path = "/api/v1/write-offs/vat-relief", tag = "controls", operation_id = "listVatRelief", params(VatReliefQuery),
    responses((status = 200, description = "The lines", content(
        (ref("#/components/schemas/Page_for_VatRelief") = "application/json"),
        (String = "text/csv"),
        (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )))
)]
pub(crate) async fn vat_relief(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<VatReliefQuery>,
) -> Result<Response, Problem> {
    let question = ListVatRelief {
        claimable_on: query.claimable_on,
        page: page_request(query.cursor, query.limit),
    };
    Ok(varied(match wanted(&headers)? {
        Form::Json => list(&uri, &app.bus.ask(&question).await?),
        Form::File(file) => vat_relief_file(&app, question, file).await?,
    }))
}

/// All lines as a file.
pub(crate) async fn vat_relief_file(
    app: &App,
    mut question: ListVatRelief,
    file: File,
) -> Result<Response, Problem> {
    let columns = [
        "account_ref",
        "document_ref",
        "written_off_on",
        "currency",
        "amount",
        "vat",
        "supplied_on",
        "due_on",
        "earliest_claim_on",
        "latest_claim_on",
        "claimed_on",
        "claimed",
        "repayable",
    ];
    let mut table = Table {
        name: "vat-bad-debt-relief".to_owned(),
        columns: columns.map(str::to_owned).into(),
        rows: Vec::new(),
    };
    question.page = page_request(None, Some(200));
    loop {
        let page = app.bus.ask(&question).await?;
        table.rows.extend(page.items.into_iter().map(|line| {
            vec![
                Cell::Text(line.account_ref),
                Cell::Text(line.document_ref),
                Cell::Date(line.written_off_on),
                Cell::text(line.amount.currency().code()),
                Cell::Amount(line.amount),
                Cell::maybe(line.vat, Cell::Amount),
                Cell::Date(line.supplied_on),
                Cell::Date(line.due_on),
                Cell::Date(line.earliest_claim_on),
                Cell::Date(line.latest_claim_on),
                Cell::maybe(line.claimed_on, Cell::Date),
                Cell::maybe(line.claimed, Cell::Amount),
                Cell::maybe(line.repayable, Cell::Amount),
            ]
        }));
        if page.next_cursor.is_none() || table.rows.len() >= FILE_ROWS_MAX {
            return table.into_file(file).await;
        }
        question.page.cursor = page.next_cursor;
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    /// Where the page begins, from `next_cursor`.
    pub(super) cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u16>,
}

/// Runs that clear small balances, newest first.
#[utoipa::path(
    get, path = "/api/v1/small-balances", tag = "controls", operation_id = "listSmallBalances", params(RunsQuery),
    responses((status = 200, description = "A page of runs", body = ref("#/components/schemas/Page_for_SmallBalanceRunView")))
)]
pub(crate) async fn list_small_balances(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListSmallBalances {
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A run with its lines.
#[utoipa::path(
    get, path = "/api/v1/small-balances/{id}", tag = "controls", operation_id = "getSmallBalances",
    params(("id" = String, Path, format = Uuid, description = "The run")),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/SmallBalanceRun")))
)]
pub(crate) async fn get_small_balances(
    State(app): State<App>,
    Path(run_id): Path<SmallBalanceRunId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetSmallBalances { run_id }).await?).into_response())
}

/// What is small today, to be cleared.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SmallBalancesRequest {
    pub currency: Currency,
    pub reason: String,
    /// Ask for approval at once.
    #[serde(default)]
    pub submit: bool,
}

/// Lists what may be cleared and freezes the list. Nothing moves yet.
#[utoipa::path(
    post, path = "/api/v1/small-balances", tag = "controls", operation_id = "proposeSmallBalances",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/SmallBalancesRequest"),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/SmallBalanceRun")))
)]
pub(crate) async fn propose_small_balances(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "propose_small_balances",
            |command_id, request: SmallBalancesRequest, person| ProposeSmallBalances {
                command_id,
                currency: request.currency,
                submit: request.submit,
                reason: request.reason,
                person,
            },
        )
        .await
}

/// What shall happen to a run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunStepRequest {
    pub step: RunStep,
    pub reason: String,
}

/// Asks for approval of a proposed run, or takes a posted one back by contras.
#[utoipa::path(
    post, path = "/api/v1/small-balances/{id}/steps", tag = "controls", operation_id = "stepSmallBalances",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/RunStepRequest"),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/SmallBalanceRun")))
)]
pub(crate) async fn step_small_balances(
    Path(run_id): Path<SmallBalanceRunId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "step_small_balances",
            |command_id, request: RunStepRequest, person| StepSmallBalances {
                command_id,
                run_id,
                step: request.step,
                reason: request.reason,
                person,
            },
        )
        .await
}
