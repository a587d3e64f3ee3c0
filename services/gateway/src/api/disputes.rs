//! Queries, disputes and complaints.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::disputes::{
        CaseKey, CaseLine, CaseQueue, CaseStep, CountCases, ErasePerson, GetCase, GetFeedback,
        GetTaxonomy, HistoryLine, ListCases, NudgeStakeholder, OpenCase, StepCase,
    },
    disputes::{CaseId, CaseKind},
};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Path, Query, asked::Asked, controls::person, json, list, once::command_of, page_request, search,
};
use crate::{App, openapi, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CasesQuery {
    /// `open` when absent: all that are not closed.
    #[param(required = false, schema_with = openapi::case_queue)]
    queue: Option<CaseQueue>,
    /// `query`, `dispute` or `complaint`.
    #[param(value_type = Option<String>)]
    kind: Option<CaseKind>,
    /// Only this account's.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Only what is about this document.
    #[param(value_type = Option<String>)]
    document_id: Option<DocumentId>,
    /// Only this reason of the taxonomy.
    reason_code: Option<String>,
    /// Only what this department caused or must answer.
    department: Option<String>,
    /// Only where this person is coordinator, processor or responsible.
    who: Option<String>,
    /// Part of the case's reference, the account or a document.
    search: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Cases, the newest first.
#[utoipa::path(
    get, path = "/api/v1/disputes", tag = "disputes", operation_id = "listDisputes", params(CasesQuery),
    responses((status = 200, description = "A page of cases", body = ref("#/components/schemas/Page_for_CaseView")))
)]
pub(crate) async fn list_cases(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<CasesQuery>,
) -> Result<Response, Problem> {
    let ask = ListCases {
        queue: query.queue,
        kind: query.kind,
        account_id: query.account_id,
        document_id: query.document_id,
        reason_code: search(query.reason_code),
        department: search(query.department),
        who: search(query.who),
        search: search(query.search),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// Where a case is found: by its id, or by its reference such as `Q-000123`.
fn key(text: &str) -> CaseKey {
    text.parse()
        .map_or_else(|_| CaseKey::Ref(text.to_owned()), CaseKey::Id)
}

/// A case with its ledger, history, credits, evidence and links.
#[utoipa::path(
    get, path = "/api/v1/disputes/{id}", tag = "disputes", operation_id = "getDispute",
    params(("id" = String, Path, description = "The case's id, or its reference")),
    responses((status = 200, description = "The case", body = ref("#/components/schemas/CaseDetail")))
)]
pub(crate) async fn get_case(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetCase { case: key(&id) }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountsQuery {
    /// Only where this person is coordinator, processor or responsible.
    who: Option<String>,
}

/// How many cases wait in each queue, and about how much.
#[utoipa::path(
    get, path = "/api/v1/disputes/counts", tag = "disputes", operation_id = "countDisputes", params(CountsQuery),
    responses((status = 200, description = "The queues", body = ref("#/components/schemas/CaseCounts")))
)]
pub(crate) async fn counts(
    State(app): State<App>,
    Query(query): Query<CountsQuery>,
) -> Result<Response, Problem> {
    let ask = CountCases {
        who: search(query.who),
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// Reasons, root causes and departments, as they are in force today.
#[utoipa::path(
    get, path = "/api/v1/disputes/taxonomy", tag = "disputes", operation_id = "getDisputeTaxonomy",
    responses((status = 200, description = "The taxonomy", body = ref("#/components/schemas/Taxonomy")))
)]
pub(crate) async fn taxonomy(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetTaxonomy {}).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedbackQuery {
    /// Cases raised on this day or later; 90 days ago when absent.
    #[param(value_type = Option<String>, format = Date)]
    from: Option<NaiveDate>,
    /// And on this day or before; today when absent.
    #[param(value_type = Option<String>, format = Date)]
    to: Option<NaiveDate>,
}

/// What each department caused: cases, money and days, for the department.
#[utoipa::path(
    get, path = "/api/v1/disputes/feedback", tag = "disputes", operation_id = "getDisputeFeedback",
    params(FeedbackQuery),
    responses((status = 200, description = "The report", body = ref("#/components/schemas/Feedback")))
)]
pub(crate) async fn feedback(
    State(app): State<App>,
    Query(query): Query<FeedbackQuery>,
) -> Result<Response, Problem> {
    let ask = GetFeedback {
        from: query.from,
        to: query.to,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A case to open.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CaseRequest {
    pub kind: CaseKind,
    /// Needed for a complaint about no document.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub lines: Vec<CaseLine>,
    pub reason_code: String,
    /// What the debtor said.
    pub reason: String,
    #[serde(default)]
    pub raised_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub processor: Option<String>,
    /// The dispute that a complaint is beside.
    #[serde(default)]
    pub linked: Option<CaseId>,
}

/// Opens a case. What is disputed is not chased from now on.
#[utoipa::path(
    post, path = "/api/v1/disputes", tag = "disputes", operation_id = "openDispute",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/CaseRequest"),
    responses((status = 200, description = "The case", body = ref("#/components/schemas/CaseDetail")))
)]
pub(crate) async fn open(asked: Asked) -> Result<Response, Problem> {
    asked
        .anew("open_dispute", |command_id, body: CaseRequest, caller| {
            Ok(OpenCase {
                command_id,
                kind: body.kind,
                account_id: body.account_id,
                lines: body.lines,
                reason_code: body.reason_code,
                reason: body.reason,
                raised_at: body.raised_at,
                processor: body.processor,
                linked: body.linked,
                person: person(caller),
            })
        })
        .await
}

/// A step of a case.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CaseStepRequest {
    /// The version that you saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: CaseStep,
    pub reason: String,
}

/// Takes a step: confirm, assign, wait, answer, propose, resolve, reopen, split,
/// merge, comment and so on. Who may take which is in the rules of disputes.
#[utoipa::path(
    post, path = "/api/v1/disputes/{id}/steps", tag = "disputes", operation_id = "stepDispute",
    params(
        ("id" = String, Path, format = Uuid, description = "The case"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/CaseStepRequest"),
    responses((status = 200, description = "The case as it is now", body = ref("#/components/schemas/CaseDetail")))
)]
pub(crate) async fn step(Path(case_id): Path<CaseId>, asked: Asked) -> Result<Response, Problem> {
    asked
        .anew(
            "step_dispute",
            |command_id, body: CaseStepRequest, caller| {
                Ok(StepCase {
                    command_id,
                    case_id,
                    version: body.version,
                    step: body.step,
                    reason: body.reason,
                    person: person(caller),
                })
            },
        )
        .await
}

/// A question to somebody without an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NudgeRequest {
    pub stakeholder: String,
    /// Where the question is sent with the link, once; absent: the link is only
    /// answered.
    #[serde(default)]
    pub email: Option<String>,
    pub question: String,
}

/// Makes a link by which a stakeholder can comment on this one case without an
/// account. The answer to the first sending has it, no repetition does: only a
/// hash of it is kept.
#[utoipa::path(
    post, path = "/api/v1/disputes/{id}/nudges", tag = "disputes", operation_id = "nudgeStakeholder",
    params(
        ("id" = String, Path, format = Uuid, description = "The case"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/NudgeRequest"),
    responses((status = 200, description = "The link, behind `/n/`", body = ref("#/components/schemas/Nudged")))
)]
pub(crate) async fn nudge(Path(case_id): Path<CaseId>, asked: Asked) -> Result<Response, Problem> {
    let body: NudgeRequest = json(&asked.headers, &asked.body)?;
    // Not by `once`, which keeps its answers.
    let ask = NudgeStakeholder {
        command_id: command_of(&asked.caller, "nudge", &asked.headers)?,
        case_id,
        stakeholder: body.stakeholder,
        email: body.email,
        question: body.question,
        person: person(&asked.caller),
    };
    let nudged = asked.app.bus.ask(&ask).await?;
    Ok((StatusCode::OK, Json(nudged)).into_response())
}

/// Whose words are erased.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ErasureRequest {
    /// As the links named them.
    #[serde(default)]
    pub stakeholder: Option<String>,
    /// Comments and papers that name them.
    #[serde(default)]
    pub lines: Vec<HistoryLine>,
    /// Stays in the history: name nobody here.
    pub reason: String,
}

/// Erases what was said to and by a stakeholder, their name, and lines that name
/// a person. Amounts, dates and hashes stay; in a case that is not closed it is
/// erased when it closes.
#[utoipa::path(
    post, path = "/api/v1/disputes/erasures", tag = "disputes", operation_id = "erasePerson",
    params(
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ErasureRequest"),
    responses((status = 200, description = "Where it is erased, and which cases it waits for", body = ref("#/components/schemas/Erased")))
)]
pub(crate) async fn erase(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "erase_person",
            |command_id, body: ErasureRequest, person| ErasePerson {
                command_id,
                stakeholder: body.stakeholder,
                lines: body.lines,
                reason: body.reason,
                person,
            },
        )
        .await
}
