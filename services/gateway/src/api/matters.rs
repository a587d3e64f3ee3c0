//! Matters, client money, residual balances, disbursements, and whose money our
//! bank accounts hold.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    api::{
        controls::{DecideApproval, Verdict},
        ingestion::{DesignateBankAccount, ListBankAccounts},
        matters::{
            CheckMatters, CompleteBankMove, CountMatters, GetClosureGate, GetMatter, GetResidual,
            Hold, HoldClientMoney, ListBankMoves, ListCharityRegister, ListClientPayments,
            ListDisbursements, ListMatters, ListResiduals, MoveDisbursement, PayClientMoney,
            ProposeRoute, RecordDisbursement, RecordSraApplication, ResidualDetail, SplitPart,
            SplitReceipt, TakeBackClientPayment, TakeBackRoute, TheirMatter, TraceOwner,
            TransferToBusiness, UndoMatterEntry,
        },
    },
    controls::{ApprovalId, ClientPaymentId, ClientPaymentState},
    inbound::{BankAccountRef, MatterStatus},
    ingestion::Designation,
    matters::{DisbursementKind, DisbursementStep, EntryKind, ResidualRoute, ResidualState},
};
use kernel::{
    BankMoveId, DisbursementId, DocumentId, MatterEntryId, MatterId, Money, ReceiptId, ResidualId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Path, Query, UndoRequest, asked::Asked, controls::person, json, list, once::once, page_request,
    search,
};
use crate::{App, problem::Problem};

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MattersQuery {
    /// Part of the matter's reference or title, or the account's reference.
    search: Option<String>,
    /// `opened`, `concluded`, `closed` or `reopened`.
    #[param(value_type = Option<String>)]
    status: Option<MatterStatus>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Matters, the newest first, with what is held for each client.
#[utoipa::path(
    get, path = "/api/v1/matters", tag = "matters", operation_id = "listMatters", params(MattersQuery),
    responses((status = 200, description = "A page of matters", body = ref("#/components/schemas/Page_for_MatterView")))
)]
pub(crate) async fn list_matters(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<MattersQuery>,
) -> Result<Response, Problem> {
    let ask = ListMatters {
        search: search(query.search),
        status: query.status,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A matter with both sides of its ledger, its bills and what must be moved
/// between bank accounts.
#[utoipa::path(
    get, path = "/api/v1/matters/{id}", tag = "matters", operation_id = "getMatter",
    params(("id" = String, Path, format = Uuid, description = "The matter")),
    responses((status = 200, description = "The matter", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn get_matter(
    State(app): State<App>,
    Path(matter_id): Path<MatterId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetMatter { matter_id }).await?).into_response())
}

/// What stands in the way of closing a matter.
#[utoipa::path(
    get, path = "/api/v1/matters/{id}/closure", tag = "matters", operation_id = "getClosureGate",
    params(("id" = String, Path, format = Uuid, description = "The matter")),
    responses((status = 200, description = "The gate", body = ref("#/components/schemas/ClosureGate")))
)]
pub(crate) async fn closure(
    State(app): State<App>,
    Path(matter_id): Path<MatterId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetClosureGate { matter_id }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountQuery {
    /// The day at whose end files are counted; today when absent.
    as_at: Option<NaiveDate>,
}

/// How many files are open, concluded and closed.
#[utoipa::path(
    get, path = "/api/v1/matters/counts", tag = "matters", operation_id = "countMatters", params(CountQuery),
    responses((status = 200, description = "The counts", body = ref("#/components/schemas/MatterCounts")))
)]
pub(crate) async fn counts(
    State(app): State<App>,
    Query(query): Query<CountQuery>,
) -> Result<Response, Problem> {
    let ask = CountMatters { as_at: query.as_at };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// The case system's list of files that are not closed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MatterCheckRequest {
    /// The day that the list is of; today when absent.
    #[serde(default)]
    pub as_at: Option<NaiveDate>,
    pub matters: Vec<TheirMatter>,
}

/// Holds our files against the case system's, and lists every file number that
/// differs. Changes nothing.
#[utoipa::path(
    post, path = "/api/v1/matters/check", tag = "matters", operation_id = "checkMatters",
    request_body = ref("#/components/schemas/MatterCheckRequest"),
    responses((status = 200, description = "What differs", body = ref("#/components/schemas/MatterCheck")))
)]
pub(crate) async fn check(asked: Asked) -> Result<Response, Problem> {
    let request: MatterCheckRequest = json(&asked.headers, &asked.body)?;
    let ask = CheckMatters {
        as_at: request.as_at,
        theirs: request.matters,
    };
    Ok(Json(asked.app.bus.ask(&ask).await?).into_response())
}

/// Splits a receipt by what it is for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SplitRequest {
    pub matter_id: MatterId,
    pub parts: Vec<SplitPart>,
    /// Why: kept for ever.
    pub reason: String,
    /// Refused with 409 when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
}

/// Splits a mixed receipt: the client's part goes to the matter's client ledger,
/// the firm's part pays its delivered bills.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/split", tag = "matters", operation_id = "splitReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/SplitRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn split(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("split", |command_id, body: SplitRequest, person| {
            SplitReceipt {
                command_id,
                receipt_id,
                expected_version: body.expected_version,
                matter_id: body.matter_id,
                parts: body.parts,
                actor: person.actor,
                reason: body.reason,
            }
        })
        .await
}

/// Lets client money pay a delivered bill.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TransferRequest {
    /// A bill of the same matter.
    pub document_id: DocumentId,
    pub amount: Money,
    pub reason: String,
}

/// Moves client money to the business side, against a delivered bill of the
/// matter and no further than that bill and the client's balance go.
#[utoipa::path(
    post, path = "/api/v1/matters/{id}/transfers", tag = "matters", operation_id = "transferToBusiness",
    params(
        ("id" = String, Path, format = Uuid, description = "The matter"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TransferRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn transfer(
    Path(matter_id): Path<MatterId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("transfer", |command_id, body: TransferRequest, person| {
            TransferToBusiness {
                command_id,
                matter_id,
                document_id: body.document_id,
                amount: body.amount,
                actor: person.actor,
                reason: body.reason,
            }
        })
        .await
}

/// Pays client money away.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ClientPaymentRequest {
    /// `returned`, `paid_out` or `disbursement_paid`.
    pub kind: EntryKind,
    pub amount: Money,
    /// Whom it is paid to.
    pub payee: String,
    /// Needed for `disbursement_paid`.
    #[serde(default)]
    pub disbursement_id: Option<DisbursementId>,
    /// The client account that it leaves; may be absent while there is one.
    #[serde(default)]
    pub bank_account: Option<String>,
    pub reason: String,
}

/// Asks for client money to be paid to the client, a third party or the supplier of
/// a disbursement, which a second person decides.
#[utoipa::path(
    post, path = "/api/v1/matters/{id}/payments", tag = "matters", operation_id = "payClientMoney",
    params(
        ("id" = String, Path, format = Uuid, description = "The matter"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ClientPaymentRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn pay(
    Path(matter_id): Path<MatterId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "pay-client-money",
            |command_id, body: ClientPaymentRequest, person| PayClientMoney {
                command_id,
                matter_id,
                kind: body.kind,
                amount: body.amount,
                payee: body.payee,
                disbursement_id: body.disbursement_id,
                bank_account: body.bank_account,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClientPaymentsQuery {
    /// `requested`, `paid`, `rejected`, `expired`, `voided` or `taken_back`; all when absent.
    #[param(value_type = Option<String>)]
    state: Option<ClientPaymentState>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Payments of client money that a second person decides, of all matters, the
/// latest first.
#[utoipa::path(
    get, path = "/api/v1/client-payments", tag = "matters", operation_id = "listClientPayments", params(ClientPaymentsQuery),
    responses((status = 200, description = "A page of payments", body = ref("#/components/schemas/Page_for_MatterPayment")))
)]
pub(crate) async fn list_payments(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ClientPaymentsQuery>,
) -> Result<Response, Problem> {
    let ask = ListClientPayments {
        state: query.state,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// Takes a payment of client money back that nobody has decided yet.
#[utoipa::path(
    post, path = "/api/v1/client-payments/{id}/take-back", tag = "matters", operation_id = "takeBackClientPayment",
    params(
        ("id" = String, Path, format = Uuid, description = "The payment"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TakeBackRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn take_back_payment(
    Path(payment_id): Path<ClientPaymentId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "take-back-client-payment",
            |command_id, body: TakeBackRequest, person| TakeBackClientPayment {
                command_id,
                payment_id,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

/// Takes a line of a matter's client ledger back by a contra line.
#[utoipa::path(
    post, path = "/api/v1/matter-entries/{id}/undo", tag = "matters", operation_id = "undoMatterEntry",
    params(
        ("id" = String, Path, format = Uuid, description = "The line"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UndoRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn undo_entry(
    Path(entry_id): Path<MatterEntryId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "undo-matter-entry",
            |command_id, body: UndoRequest, person| UndoMatterEntry {
                command_id,
                entry_id,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

/// Says why client money is held on, or that there is no reason any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct HoldRequest {
    /// Absent: no reason any more.
    #[serde(default)]
    pub hold: Option<Hold>,
}

/// Notes a proper reason to hold client money on a matter, or its end.
#[utoipa::path(
    post, path = "/api/v1/matters/{id}/hold", tag = "matters", operation_id = "holdClientMoney",
    params(
        ("id" = String, Path, format = Uuid, description = "The matter"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/HoldRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn hold(
    Path(matter_id): Path<MatterId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "hold-client-money",
            |command_id, body: HoldRequest, person| HoldClientMoney {
                command_id,
                matter_id,
                hold: body.hold,
                actor: person.actor,
            },
        )
        .await
}

/// Money that must be moved between our bank accounts, the most urgent first.
#[utoipa::path(
    get, path = "/api/v1/bank-moves", tag = "matters", operation_id = "listBankMoves", params(PageQuery),
    responses((status = 200, description = "A page of moves", body = ref("#/components/schemas/Page_for_BankMoveView")))
)]
pub(crate) async fn list_moves(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let ask = ListBankMoves {
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// The money was moved.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct MoveDoneRequest {
    pub done_on: NaiveDate,
    pub from_account: String,
    pub to_account: String,
    pub reason: String,
}

/// Notes that money was moved between our bank accounts.
#[utoipa::path(
    post, path = "/api/v1/bank-moves/{id}/done", tag = "matters", operation_id = "completeBankMove",
    params(
        ("id" = String, Path, format = Uuid, description = "The move"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/MoveDoneRequest"),
    responses((status = 200, description = "The matter as it is now", body = ref("#/components/schemas/MatterDetail")))
)]
pub(crate) async fn move_done(
    Path(move_id): Path<BankMoveId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "bank-move-done",
            |command_id, body: MoveDoneRequest, person| CompleteBankMove {
                command_id,
                move_id,
                done_on: body.done_on,
                from_account: body.from_account,
                to_account: body.to_account,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResidualsQuery {
    /// Those that are closed; those that are open when absent.
    #[serde(default)]
    #[param(required = false)]
    closed: bool,
    /// Part of the matter's reference or title, or the account's reference.
    search: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Client money that no proper reason holds any more, the longest held first.
#[utoipa::path(
    get, path = "/api/v1/residual-balances", tag = "matters", operation_id = "listResidualBalances",
    params(ResidualsQuery),
    responses((status = 200, description = "A page of balances", body = ref("#/components/schemas/Page_for_ResidualView")))
)]
pub(crate) async fn list_residuals(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ResidualsQuery>,
) -> Result<Response, Problem> {
    let ask = ListResiduals {
        closed: query.closed,
        search: search(query.search),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A residual balance with its tracing log, its proposal and its history.
#[utoipa::path(
    get, path = "/api/v1/residual-balances/{id}", tag = "matters", operation_id = "getResidualBalance",
    params(("id" = String, Path, format = Uuid, description = "The residual balance")),
    responses((status = 200, description = "The balance", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn get_residual(
    State(app): State<App>,
    Path(residual_id): Path<ResidualId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetResidual { residual_id }).await?).into_response())
}

/// An attempt to find the owner.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TracingRequest {
    pub on: NaiveDate,
    /// Such as `letter`, `telephone` or `tracing agent`.
    pub channel: String,
    pub outcome: String,
}

/// Notes an attempt to find the owner of a residual balance.
#[utoipa::path(
    post, path = "/api/v1/residual-balances/{id}/tracing", tag = "matters", operation_id = "traceOwner",
    params(
        ("id" = String, Path, format = Uuid, description = "The residual balance"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TracingRequest"),
    responses((status = 200, description = "The balance as it is now", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn trace(
    Path(residual_id): Path<ResidualId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("trace-owner", |command_id, body: TracingRequest, person| {
            TraceOwner {
                command_id,
                residual_id,
                on: body.on,
                channel: body.channel,
                outcome: body.outcome,
                actor: person.actor,
            }
        })
        .await
}

/// The SRA was asked for its authority.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SraRequest {
    pub on: NaiveDate,
    pub reference: String,
}

/// Notes that the SRA was asked for its authority, as a balance above the
/// charity limit needs.
#[utoipa::path(
    post, path = "/api/v1/residual-balances/{id}/sra-application", tag = "matters",
    operation_id = "recordSraApplication",
    params(
        ("id" = String, Path, format = Uuid, description = "The residual balance"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/SraRequest"),
    responses((status = 200, description = "The balance as it is now", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn sra(
    Path(residual_id): Path<ResidualId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("sra-application", |command_id, body: SraRequest, person| {
            RecordSraApplication {
                command_id,
                residual_id,
                on: body.on,
                reference: body.reference,
                actor: person.actor,
            }
        })
        .await
}

/// A way out for a residual balance.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RouteRequest {
    pub route: ResidualRoute,
    /// The client, or the charity.
    pub payee: String,
    #[serde(default)]
    pub charity_number: Option<String>,
    /// The client account that it leaves; may be absent while there is one.
    #[serde(default)]
    pub bank_account: Option<String>,
    pub reason: String,
}

/// Asks for a way out; a second person decides.
#[utoipa::path(
    post, path = "/api/v1/residual-balances/{id}/proposal", tag = "matters", operation_id = "proposeRoute",
    params(
        ("id" = String, Path, format = Uuid, description = "The residual balance"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/RouteRequest"),
    responses((status = 200, description = "The balance as it is now", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn propose(
    Path(residual_id): Path<ResidualId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("propose-route", |command_id, body: RouteRequest, person| {
            ProposeRoute {
                command_id,
                residual_id,
                route: body.route,
                payee: body.payee,
                charity_number: body.charity_number,
                bank_account: body.bank_account,
                actor: person.actor,
                reason: body.reason,
            }
        })
        .await
}

/// A second person's decision.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DecisionRequest {
    pub approved: bool,
    pub expected_version: i64,
    /// Needed to reject.
    pub reason: String,
}

/// The request that a proposal waits for, as the page showed it.
pub(crate) fn waiting(detail: &ResidualDetail, expected: i64) -> Result<ApprovalId, Problem> {
    let residual = &detail.residual;
    let conflict = |code: &str, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    if residual.state == ResidualState::Proposed && residual.version != expected {
        return Err(conflict(
            "matters.moved_on",
            "The balance has changed since the page was shown: look at it again.",
        ));
    }
    let proposal = detail.proposal.as_ref();
    proposal
        .and_then(|proposal| proposal.approval_id)
        .ok_or_else(|| {
            conflict(
                "matters.residual_state",
                "No proposal waits for a decision.",
            )
        })
}

/// Approves or rejects a proposal, as `/approvals/{id}` does too. Approved, the
/// money leaves the client ledger a moment later.
#[utoipa::path(
    post, path = "/api/v1/residual-balances/{id}/decision", tag = "matters", operation_id = "decideRoute",
    params(
        ("id" = String, Path, format = Uuid, description = "The residual balance"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DecisionRequest"),
    responses((status = 200, description = "The balance as it is now", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn decide(
    Path(residual_id): Path<ResidualId>,
    asked: Asked,
) -> Result<Response, Problem> {
    let said = [asked.uri.path().as_bytes(), &asked.body];
    let (app, caller) = (&asked.app, &asked.caller);
    once(
        app,
        caller,
        "decide-route",
        &asked.headers,
        said,
        async |command_id| {
            let body: DecisionRequest = json(&asked.headers, &asked.body)?;
            let detail = app.bus.ask(&GetResidual { residual_id }).await?;
            let decide = DecideApproval {
                command_id,
                approval_id: waiting(&detail, body.expected_version)?,
                verdict: if body.approved {
                    Verdict::Approve
                } else {
                    Verdict::Reject
                },
                reason: body.reason,
                person: person(caller),
            };
            app.bus.ask(&decide).await?;
            Ok(app.bus.ask(&GetResidual { residual_id }).await?)
        },
    )
    .await
}

/// Why a proposal or payment is taken back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TakeBackRequest {
    pub reason: String,
}

/// Takes a proposal back that nobody has decided yet.
#[utoipa::path(
    post, path = "/api/v1/residual-balances/{id}/take-back", tag = "matters", operation_id = "takeBackRoute",
    params(
        ("id" = String, Path, format = Uuid, description = "The residual balance"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TakeBackRequest"),
    responses((status = 200, description = "The balance as it is now", body = ref("#/components/schemas/ResidualDetail")))
)]
pub(crate) async fn take_back(
    Path(residual_id): Path<ResidualId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "take-back-route",
            |command_id, body: TakeBackRequest, person| TakeBackRoute {
                command_id,
                residual_id,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

/// The central register of residual balances that went to charity.
#[utoipa::path(
    get, path = "/api/v1/residual-balances/register", tag = "matters", operation_id = "listCharityRegister",
    params(PageQuery),
    responses((status = 200, description = "A page of the register", body = ref("#/components/schemas/Page_for_CharityPayment")))
)]
pub(crate) async fn register(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let ask = ListCharityRegister {
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DisbursementsQuery {
    /// Only what is still to be paid or to come back.
    #[serde(default)]
    #[param(required = false)]
    outstanding: bool,
    #[param(value_type = Option<String>, format = Uuid)]
    matter_id: Option<MatterId>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Disbursements with their age, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/disbursements", tag = "matters", operation_id = "listDisbursements",
    params(DisbursementsQuery),
    responses((status = 200, description = "A page of disbursements", body = ref("#/components/schemas/Page_for_DisbursementView")))
)]
pub(crate) async fn list_disbursements(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<DisbursementsQuery>,
) -> Result<Response, Problem> {
    let ask = ListDisbursements {
        outstanding: query.outstanding,
        matter_id: query.matter_id,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// What was spent on a matter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DisbursementRequest {
    pub matter_id: MatterId,
    pub kind: DisbursementKind,
    pub supplier: String,
    /// With VAT.
    pub amount: Money,
    pub vat: Money,
    pub incurred_on: NaiveDate,
    #[serde(default)]
    pub recoverable_from: Option<String>,
}

/// Records a disbursement.
#[utoipa::path(
    post, path = "/api/v1/disbursements", tag = "matters", operation_id = "recordDisbursement",
    params(
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DisbursementRequest"),
    responses((status = 200, description = "The disbursement", body = ref("#/components/schemas/DisbursementView")))
)]
pub(crate) async fn record_disbursement(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "record-disbursement",
            |command_id, body: DisbursementRequest, person| RecordDisbursement {
                command_id,
                matter_id: body.matter_id,
                kind: body.kind,
                supplier: body.supplier,
                amount: body.amount,
                vat: body.vat,
                incurred_on: body.incurred_on,
                recoverable_from: body.recoverable_from,
                actor: person.actor,
            },
        )
        .await
}

/// A step of a disbursement.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DisbursementStepRequest {
    pub step: DisbursementStep,
    pub on: NaiveDate,
    /// Needed for `agreed`, `recovered` and `supplier_refunded`.
    #[serde(default)]
    pub amount: Option<Money>,
    pub reason: String,
}

/// Takes a disbursement a step further.
#[utoipa::path(
    post, path = "/api/v1/disbursements/{id}/steps", tag = "matters", operation_id = "moveDisbursement",
    params(
        ("id" = String, Path, format = Uuid, description = "The disbursement"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DisbursementStepRequest"),
    responses((status = 200, description = "The disbursement as it is now", body = ref("#/components/schemas/DisbursementView")))
)]
pub(crate) async fn move_disbursement(
    Path(disbursement_id): Path<DisbursementId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "move-disbursement",
            |command_id, body: DisbursementStepRequest, person| MoveDisbursement {
                command_id,
                disbursement_id,
                step: body.step,
                on: body.on,
                amount: body.amount,
                actor: person.actor,
                reason: body.reason,
            },
        )
        .await
}

/// Our own bank accounts, and whose money each holds.
#[utoipa::path(
    get, path = "/api/v1/bank-accounts", tag = "matters", operation_id = "listBankAccounts",
    responses((status = 200, description = "All of them on one page", body = ref("#/components/schemas/Page_for_BankAccountView")))
)]
pub(crate) async fn bank_accounts(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListBankAccounts {}).await?).into_response())
}

/// Whose money a bank account of ours holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DesignationRequest {
    /// Sort code and account number, or an IBAN.
    pub bank_account: BankAccountRef,
    pub designation: Designation,
    pub reason: String,
}

/// Says whose money a bank account of ours holds. What was booked before stays
/// where it is.
#[utoipa::path(
    post, path = "/api/v1/bank-accounts/designation", tag = "matters", operation_id = "designateBankAccount",
    params(
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DesignationRequest"),
    responses((status = 200, description = "The account as it is now", body = ref("#/components/schemas/BankAccountView")))
)]
pub(crate) async fn designate(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "designate-bank-account",
            |command_id, body: DesignationRequest, person| DesignateBankAccount {
                command_id,
                bank_account: body.bank_account,
                designation: body.designation,
                reason: body.reason,
                actor: person.actor,
            },
        )
        .await
}
