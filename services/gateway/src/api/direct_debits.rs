//! Direct Debit: mandates, advance notices, collection runs and files for Bacs.

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::{
    allocation::TermKind,
    api::{
        PageRequest,
        direct_debits::{
            AdvanceNotice, CollectionRunView, DiscardCollectionRun, FetchBacsFile, GetMandate,
            ListBacsFiles, ListCollectionRuns, ListMandates, MakeCollectionFile,
            MakeInstructionFile, OpenNow, PresentAgain, ProposeCollections, RecordNotices,
            ToCollect,
        },
        returns::GetChaseable,
    },
    ingestion::{
        BacsFileId, CollectionId, CollectionRunId, CollectionState, MandateId, MandateState,
    },
};
use kernel::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Path, Query,
    asked::Asked,
    controls::{RunsQuery, person},
    json, list,
    once::{command_id, key, once},
    page_request,
    refund_files::file,
};
use crate::{App, auth::Caller, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MandatesQuery {
    /// Such as `active`; all when absent.
    state: Option<String>,
    /// Of one account.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Direct Debit mandates, by account and reference.
#[utoipa::path(
    get, path = "/api/v1/mandates", tag = "direct debits", operation_id = "listMandates", params(MandatesQuery),
    responses((status = 200, description = "A page of mandates", body = ref("#/components/schemas/Page_for_MandateView")))
)]
pub(crate) async fn list_mandates(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<MandatesQuery>,
) -> Result<Response, Problem> {
    let state = match query.state.as_deref() {
        None => None,
        Some(name) => Some(MandateState::named(name).ok_or_else(|| {
            let detail = format!("no state is called {name:?}");
            Problem::invalid("gateway.bad_state", "/state", detail)
        })?),
    };
    let ask = ListMandates {
        state,
        account_id: query.account_id,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// A mandate with all that it has been.
#[utoipa::path(
    get, path = "/api/v1/mandates/{id}", tag = "direct debits", operation_id = "getMandate",
    params(("id" = String, Path, format = Uuid, description = "The mandate")),
    responses((status = 200, description = "The mandate", body = ref("#/components/schemas/MandateDetail")))
)]
pub(crate) async fn get_mandate(
    State(app): State<App>,
    Path(mandate_id): Path<MandateId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetMandate { mandate_id }).await?).into_response())
}

/// Which instructions go into a file: all that are due.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct InstructionFileRequest {
    /// The next working day when absent.
    #[serde(default)]
    pub processing_on: Option<NaiveDate>,
}

/// Puts every instruction that is due (0N, 0C) into a file for Bacs.
#[utoipa::path(
    post, path = "/api/v1/mandates/instruction-file", tag = "direct debits", operation_id = "makeInstructionFile",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/InstructionFileRequest"),
    responses((status = 200, description = "The file", body = ref("#/components/schemas/BacsFileView")))
)]
pub(crate) async fn make_instruction_file(asked: Asked) -> Result<Response, Problem> {
    let make = |command_id, request: InstructionFileRequest, person| MakeInstructionFile {
        command_id,
        processing_on: request.processing_on,
        person,
    };
    asked.once("make_instruction_file", make).await
}

/// What payers were told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NoticesRequest {
    pub notices: Vec<AdvanceNotice>,
}

/// Records advance notices: without one nothing is collected.
#[utoipa::path(
    post, path = "/api/v1/advance-notices", tag = "direct debits", operation_id = "recordNotices",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/NoticesRequest"),
    responses((status = 200, description = "How many", body = ref("#/components/schemas/NoticesRecorded")))
)]
pub(crate) async fn record_notices(asked: Asked) -> Result<Response, Problem> {
    let make = |command_id, request: NoticesRequest, person| RecordNotices {
        command_id,
        notices: request.notices,
        person,
    };
    asked.once("record_notices", make).await
}

/// Collection runs, the latest entry day first.
#[utoipa::path(
    get, path = "/api/v1/collection-runs", tag = "direct debits", operation_id = "listCollectionRuns", params(RunsQuery),
    responses((status = 200, description = "A page of runs", body = ref("#/components/schemas/Page_for_CollectionRunView")))
)]
pub(crate) async fn list_runs(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let ask = ListCollectionRuns {
        run_id: None,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// What is to be collected, and when.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CollectionsRequest {
    pub entry_on: NaiveDate,
    pub documents: Vec<ToCollect>,
    pub reason: String,
}

/// Asks for collections; a second person decides. What cannot be collected is
/// told with the reason.
#[utoipa::path(
    post, path = "/api/v1/collection-runs", tag = "direct debits", operation_id = "proposeCollections",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/CollectionsRequest"),
    responses((status = 200, description = "The run, and what is blocked", body = ref("#/components/schemas/Proposed")))
)]
pub(crate) async fn propose(asked: Asked) -> Result<Response, Problem> {
    let make = |command_id, request: CollectionsRequest, person| ProposeCollections {
        command_id,
        entry_on: request.entry_on,
        documents: request.documents,
        reason: request.reason,
        person,
    };
    asked.once("propose_collections", make).await
}

/// One run.
pub(crate) async fn run(app: &App, run_id: CollectionRunId) -> Result<CollectionRunView, Problem> {
    let ask = ListCollectionRuns {
        run_id: Some(run_id),
        page: PageRequest::default(),
    };
    let found = app.bus.ask(&ask).await?.items.into_iter().next();
    found.ok_or_else(|| Problem::not_found(format!("there is no collection run {run_id}")))
}

/// What is open of the documents of a run now, less what is disputed: allocation
/// knows, and ingestion is told.
pub(crate) async fn open_now(app: &App, run: &CollectionRunView) -> Result<Vec<OpenNow>, Problem> {
    let mut accounts: Vec<AccountId> = run
        .collections
        .iter()
        .filter(|one| one.state == CollectionState::Approved)
        .map(|one| one.account_id)
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let mut open = Vec::new();
    for account_id in accounts {
        let ask = GetChaseable {
            account_id,
            items: Vec::new(),
        };
        for item in app.bus.ask(&ask).await?.items {
            let mut left = item.open;
            for term in item.terms.iter().filter(|t| t.kind == TermKind::Disputed) {
                left = left.checked_sub(term.amount).unwrap_or(left);
            }
            open.push(OpenNow {
                document_id: item.document_id,
                open: left,
            });
        }
    }
    Ok(open)
}

/// Puts the approved collections of a run into a file for Bacs. What is paid or
/// disputed by now is not in it.
#[utoipa::path(
    post, path = "/api/v1/collection-runs/{id}/file", tag = "direct debits", operation_id = "makeCollectionFile",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/CollectionRunView")))
)]
pub(crate) async fn make_file(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(run_id): Path<CollectionRunId>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "make_collection_file",
        &headers,
        said,
        async |command_id| {
            let of = run(&app, run_id).await?;
            let make = MakeCollectionFile {
                command_id,
                run_id,
                open: open_now(&app, &of).await?,
                person: person(&caller),
            };
            Ok(app.bus.ask(&make).await?)
        },
    )
    .await
}

/// Why a run is given up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DiscardRequest {
    pub reason: String,
}

/// Gives up what of a run was not sent yet.
#[utoipa::path(
    post, path = "/api/v1/collection-runs/{id}/discard", tag = "direct debits", operation_id = "discardCollectionRun",
    params(
        ("id" = String, Path, format = Uuid, description = "The run"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/DiscardRequest"),
    responses((status = 200, description = "The run", body = ref("#/components/schemas/CollectionRunView")))
)]
pub(crate) async fn discard(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(run_id): Path<CollectionRunId>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "discard_collection_run",
        &headers,
        said,
        async |command_id| {
            let request: DiscardRequest = json(&headers, &body)?;
            let discard = DiscardCollectionRun {
                command_id,
                run_id,
                reason: request.reason,
                person: person(&caller),
            };
            Ok(app.bus.ask(&discard).await?)
        },
    )
    .await
}

/// When an unpaid collection is presented again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AgainRequest {
    pub entry_on: NaiveDate,
    pub reason: String,
}

/// Presents an unpaid collection again (code 18): the same amount, within a month,
/// twice at most. A second person decides.
#[utoipa::path(
    post, path = "/api/v1/collections/{id}/present-again", tag = "direct debits", operation_id = "presentAgain",
    params(
        ("id" = String, Path, format = Uuid, description = "The collection that came back"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/AgainRequest"),
    responses((status = 200, description = "The run that it is in", body = ref("#/components/schemas/CollectionRunView")))
)]
pub(crate) async fn present_again(
    Path(collection_id): Path<CollectionId>,
    asked: Asked,
) -> Result<Response, Problem> {
    let make = |command_id, request: AgainRequest, person| PresentAgain {
        command_id,
        collection_id,
        entry_on: request.entry_on,
        reason: request.reason,
        person,
    };
    asked.once("present_again", make).await
}

/// Files for Bacs, newest first, with who fetched them.
#[utoipa::path(
    get, path = "/api/v1/bacs-files", tag = "direct debits", operation_id = "listBacsFiles", params(RunsQuery),
    responses((status = 200, description = "A page of files", body = ref("#/components/schemas/Page_for_BacsFileView")))
)]
pub(crate) async fn list_files(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let page = page_request(query.cursor, query.limit);
    Ok(list(&uri, &app.bus.ask(&ListBacsFiles { page }).await?))
}

/// The bytes of a file, for Bacs. Who has them is noted, and what is in it counts
/// as sent from then on. A void file is refused.
#[utoipa::path(
    post, path = "/api/v1/bacs-files/{id}/content", tag = "direct debits", operation_id = "fetchBacsFile",
    params(
        ("id" = String, Path, format = Uuid, description = "The file"),
        ("Idempotency-Key" = String, Header, description = "New for every time it is fetched, the same for every repetition"),
    ),
    responses((status = 200, description = "Bacs Standard 18", content_type = "text/plain"))
)]
pub(crate) async fn fetch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(file_id): Path<BacsFileId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Not kept with other answers: it has bank details, and is the same again.
    let fetch = FetchBacsFile {
        command_id: command_id(caller.user_id, "fetch_bacs_file", key(&headers)?),
        file_id,
        person: person(&caller),
    };
    Ok(file(app.bus.ask(&fetch).await?.into()))
}
