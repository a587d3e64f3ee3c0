//! Templates and policies that people draft and a second person publishes.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::NaiveDate;
use contracts::{
    api::disputes::EvidenceFile,
    api::dunning::{
        AssignPolicy, DraftEnclosure, DraftPolicy, DraftTemplate, EditionKind, EditionStep,
        FetchEnclosure, GetDunningPolicy, GetTemplate, ListEnclosures, ListPolicyAssignments,
        ListTemplates, PreviewTemplate, StepEdition, TemplatePreview,
    },
    dunning::AssignTo,
};
use messaging::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, evidence::attachment};
use crate::{App, problem::Problem};

/// Every template, with the version in force and the newest.
#[utoipa::path(
    get, path = "/api/v1/dunning/templates", tag = "dunning", operation_id = "listTemplates",
    responses((status = 200, description = "The templates", body = ref("#/components/schemas/Page_for_TemplateRow")))
)]
pub(crate) async fn templates(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListTemplates {}).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionQuery {
    /// The newest when absent.
    version: Option<i32>,
}

/// A version of a template: its words, what changed since the last published
/// one, what the law asks of it, and its history.
#[utoipa::path(
    get, path = "/api/v1/dunning/templates/{name}", tag = "dunning", operation_id = "getTemplate",
    params(("name" = String, Path, description = "The template"), VersionQuery),
    responses((status = 200, description = "The version", body = ref("#/components/schemas/TemplateDetail")))
)]
pub(crate) async fn template(
    State(app): State<App>,
    Path(template): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    let ask = GetTemplate {
        template,
        version: query.version,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// The words of a new version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TemplateDraftRequest {
    pub title: String,
    /// `courtesy`, `reminder`, `demand`, `before_action` or `protocol`.
    pub legal: String,
    pub subject: String,
    pub body: String,
    /// Today when absent.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
}

/// Drafts a new version. Refused with each field and line at fault.
#[utoipa::path(
    post, path = "/api/v1/dunning/templates/{name}/drafts", tag = "dunning", operation_id = "draftTemplate",
    params(
        ("name" = String, Path, description = "The template: a new name is a new template"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/TemplateDraftRequest"),
    responses((status = 200, description = "The draft", body = ref("#/components/schemas/TemplateDetail")))
)]
pub(crate) async fn draft_template(
    Path(template): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "draft_template",
            |command_id, body: TemplateDraftRequest, person| DraftTemplate {
                command_id,
                template,
                title: body.title,
                legal: body.legal,
                subject: body.subject,
                body: body.body,
                valid_from: body.valid_from,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// A step of a version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EditionStepRequest {
    pub step: EditionStep,
    pub reason: String,
}

async fn step(
    kind: EditionKind,
    name: String,
    version: i32,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "step_edition",
            |command_id, body: EditionStepRequest, person| StepEdition {
                command_id,
                kind,
                name,
                version,
                step: body.step,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Asks a second person to publish a version, or takes that back.
#[utoipa::path(
    post, path = "/api/v1/dunning/templates/{name}/versions/{version}/steps", tag = "dunning", operation_id = "stepTemplate",
    params(
        ("name" = String, Path, description = "The template"),
        ("version" = i32, Path, description = "The version"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/EditionStepRequest"),
    responses((status = 200, description = "The version as it is now", body = ref("#/components/schemas/EditionView")))
)]
pub(crate) async fn step_template(
    Path((name, version)): Path<(String, i32)>,
    asked: Asked,
) -> Result<Response, Problem> {
    step(EditionKind::Template, name, version, asked).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewQuery {
    /// The reference of an account that owes something.
    account: String,
}

async fn previewed(
    app: &App,
    template: String,
    version: i32,
    account_ref: String,
) -> Result<TemplatePreview, Problem> {
    let ask = PreviewTemplate {
        template,
        version: Some(version),
        account_ref,
    };
    Ok(app.bus.ask(&ask).await?)
}

/// A version filled in with what an account owes now. Nothing is sent or kept.
#[utoipa::path(
    get, path = "/api/v1/dunning/templates/{name}/versions/{version}/preview", tag = "dunning", operation_id = "previewTemplate",
    params(
        ("name" = String, Path, description = "The template"),
        ("version" = i32, Path, description = "The version"),
        PreviewQuery,
    ),
    responses((status = 200, description = "The e-mail and the letter", body = ref("#/components/schemas/TemplatePreview")))
)]
pub(crate) async fn preview(
    State(app): State<App>,
    Path((name, version)): Path<(String, i32)>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    Ok(Json(previewed(&app, name, version, query.account).await?).into_response())
}

/// A preview's letter as an answer.
pub(crate) fn letter(preview: &TemplatePreview) -> Result<Response, Problem> {
    let bytes = BASE64_STANDARD
        .decode(&preview.letter_base64)
        .map_err(|e| Failure::bug("gateway.bad_letter", e.to_string()))?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let pdf = HeaderValue::from_static("application/pdf");
    headers.insert(header::CONTENT_TYPE, pdf);
    let inline = HeaderValue::from_static("inline; filename=\"preview.pdf\"");
    headers.insert(header::CONTENT_DISPOSITION, inline);
    Ok(response)
}

/// The letter of a preview, as PDF.
#[utoipa::path(
    get, path = "/api/v1/dunning/templates/{name}/versions/{version}/letter", tag = "dunning", operation_id = "previewLetter",
    params(
        ("name" = String, Path, description = "The template"),
        ("version" = i32, Path, description = "The version"),
        PreviewQuery,
    ),
    responses((status = 200, description = "The letter", content_type = "application/pdf", body = Vec<u8>))
)]
pub(crate) async fn preview_letter(
    State(app): State<App>,
    Path((name, version)): Path<(String, i32)>,
    Query(query): Query<PreviewQuery>,
) -> Result<Response, Problem> {
    letter(&previewed(&app, name, version, query.account).await?)
}

/// A version of a policy: its text, its manual, what changed since the last
/// published one, and its history.
#[utoipa::path(
    get, path = "/api/v1/dunning/policies/{name}", tag = "dunning", operation_id = "getDunningPolicy",
    params(("name" = String, Path, description = "The policy"), VersionQuery),
    responses((status = 200, description = "The version", body = ref("#/components/schemas/DunningPolicyDetail")))
)]
pub(crate) async fn policy(
    State(app): State<App>,
    Path(policy): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    let ask = GetDunningPolicy {
        policy,
        version: query.version,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A new version of a policy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PolicyDraftRequest {
    /// TOML, or JSON when it begins with a brace.
    pub text: String,
    /// What the text says when absent; never before today.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
}

/// Drafts a new version. Refused with each field and line at fault.
#[utoipa::path(
    post, path = "/api/v1/dunning/policies/{name}/drafts", tag = "dunning", operation_id = "draftDunningPolicy",
    params(
        ("name" = String, Path, description = "The policy: a new name is a new policy"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/PolicyDraftRequest"),
    responses((status = 200, description = "The draft", body = ref("#/components/schemas/DunningPolicyDetail")))
)]
pub(crate) async fn draft_policy(
    Path(policy): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "draft_policy",
            |command_id, body: PolicyDraftRequest, person| DraftPolicy {
                command_id,
                policy,
                text: body.text,
                valid_from: body.valid_from,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Asks a second person to publish a version, or takes that back.
#[utoipa::path(
    post, path = "/api/v1/dunning/policies/{name}/versions/{version}/steps", tag = "dunning", operation_id = "stepDunningPolicy",
    params(
        ("name" = String, Path, description = "The policy"),
        ("version" = i32, Path, description = "The version"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/EditionStepRequest"),
    responses((status = 200, description = "The version as it is now", body = ref("#/components/schemas/EditionView")))
)]
pub(crate) async fn step_policy(
    Path((name, version)): Path<(String, i32)>,
    asked: Asked,
) -> Result<Response, Problem> {
    step(EditionKind::Policy, name, version, asked).await
}

/// Which accounts, and accounts of which parents, have a policy of their own: what
/// waits for a second person, then the newest word first, then what was refused.
#[utoipa::path(
    get, path = "/api/v1/dunning/policy-assignments", tag = "dunning", operation_id = "listPolicyAssignments",
    responses((status = 200, description = "The assignments", body = ref("#/components/schemas/Page_for_PolicyAssignment")))
)]
pub(crate) async fn assignments(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListPolicyAssignments {}).await?).into_response())
}

/// A policy of an account's own.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PolicyAssignmentRequest {
    pub to: AssignTo,
    pub reference: String,
    /// Back to what segment and kind say when absent.
    #[serde(default)]
    pub policy: Option<String>,
    /// Today when absent.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
}

/// Asks a second person that an account, or every account of a parent, have a policy
/// from a day on.
#[utoipa::path(
    post, path = "/api/v1/dunning/policy-assignments", tag = "dunning", operation_id = "assignPolicy",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PolicyAssignmentRequest"),
    responses((status = 200, description = "The assignment", body = ref("#/components/schemas/PolicyAssignment")))
)]
pub(crate) async fn assign(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "assign_policy",
            |command_id, body: PolicyAssignmentRequest, person| AssignPolicy {
                command_id,
                to: body.to,
                reference: body.reference,
                policy: body.policy,
                valid_from: body.valid_from,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// The official forms that letters need, with their versions.
#[utoipa::path(
    get, path = "/api/v1/dunning/enclosures", tag = "dunning", operation_id = "listEnclosures",
    responses((status = 200, description = "The forms", body = ref("#/components/schemas/Page_for_EnclosureRow")))
)]
pub(crate) async fn enclosures(State(app): State<App>) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&ListEnclosures {}).await?).into_response())
}

/// A form as a new version.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EnclosureDraftRequest {
    pub file_name: String,
    /// SHA-256 (hex) of the file.
    pub sha256: String,
    /// A PDF of at most 1,000 kB, in base64.
    pub base64: String,
    /// Today when absent.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
}

/// Uploads a form as a new version: a second person publishes it.
#[utoipa::path(
    post, path = "/api/v1/dunning/enclosures/{name}/drafts", tag = "dunning", operation_id = "draftEnclosure",
    params(
        ("name" = String, Path, description = "The form"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/EnclosureDraftRequest"),
    responses((status = 200, description = "The form", body = ref("#/components/schemas/EnclosureRow")))
)]
pub(crate) async fn draft_enclosure(
    Path(enclosure): Path<String>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "draft_enclosure",
            |command_id, body: EnclosureDraftRequest, person| DraftEnclosure {
                command_id,
                enclosure,
                file_name: body.file_name,
                sha256: body.sha256,
                base64: body.base64,
                valid_from: body.valid_from,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Asks a second person to publish a version of a form, or takes that back.
#[utoipa::path(
    post, path = "/api/v1/dunning/enclosures/{name}/versions/{version}/steps", tag = "dunning", operation_id = "stepEnclosure",
    params(
        ("name" = String, Path, description = "The form"),
        ("version" = i32, Path, description = "The version"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/EditionStepRequest"),
    responses((status = 200, description = "The version as it is now", body = ref("#/components/schemas/EditionView")))
)]
pub(crate) async fn step_enclosure(
    Path((name, version)): Path<(String, i32)>,
    asked: Asked,
) -> Result<Response, Problem> {
    step(EditionKind::Enclosure, name, version, asked).await
}

/// The file of a version of a form, as PDF.
#[utoipa::path(
    get, path = "/api/v1/dunning/enclosures/{name}/file", tag = "dunning", operation_id = "fetchEnclosure",
    params(("name" = String, Path, description = "The form"), VersionQuery),
    responses((status = 200, description = "The file, byte for byte", content_type = "application/pdf"))
)]
pub(crate) async fn enclosure_file(
    State(app): State<App>,
    Path(enclosure): Path<String>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, Problem> {
    let ask = FetchEnclosure {
        enclosure,
        version: query.version,
    };
    let file = app.bus.ask(&ask).await?;
    attachment(EvidenceFile {
        name: file.file_name,
        media_type: file.media_type,
        sha256: file.sha256,
        base64: file.base64,
    })
}
