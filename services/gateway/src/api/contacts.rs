//! Contacts that people write down, and which ways reach a debtor.

use axum::{
    Json,
    extract::{Extension, State},
    http::Uri,
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::{
        ContactStep, EraseContactNotes, GetReach, ListContacts, ListOutcomes, PromiseTerms,
        RecordContact, StepContact,
    },
    dunning::{Channel, ContactId, ContactOutcome, Direction},
};
use kernel::{AccountId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, controls::person, list, page_request};
use crate::{App, auth::Caller, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContactsQuery {
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Contacts with a debtor in both directions, the latest first. Words about
/// health or safety are shown to team leaders and managers only.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/contacts", tag = "dunning", operation_id = "listContacts",
    params(("id" = String, Path, format = Uuid, description = "The account"), ContactsQuery),
    responses((status = 200, description = "A page of contacts", body = ref("#/components/schemas/Page_for_ContactView")))
)]
pub(crate) async fn list_contacts(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(account_id): Path<AccountId>,
    uri: Uri,
    Query(query): Query<ContactsQuery>,
) -> Result<Response, Problem> {
    let ask = ListContacts {
        account_id,
        contact_id: None,
        person: person(&caller),
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OutcomesQuery {
    /// `email`, `letter`, `phone` or `visit`; all when absent.
    channel: Option<String>,
    /// `out`: ours to them, or `in`: theirs to us; both when absent.
    direction: Option<String>,
}

/// What can come of a contact, by how it went: what it places and what is next by
/// itself.
#[utoipa::path(
    get, path = "/api/v1/contact-outcomes", tag = "dunning", operation_id = "listContactOutcomes",
    params(OutcomesQuery),
    responses((status = 200, description = "The outcomes", body = ref("#/components/schemas/Outcomes")))
)]
pub(crate) async fn outcomes(
    State(app): State<App>,
    Query(query): Query<OutcomesQuery>,
) -> Result<Response, Problem> {
    let unknown =
        |name| Problem::invalid("gateway.bad_query", name, "not one of those that there are");
    let ask = ListOutcomes {
        channel: query
            .channel
            .map(|name| Channel::named(&name).ok_or_else(|| unknown("/channel")))
            .transpose()?,
        direction: query
            .direction
            .map(|name| Direction::named(&name).ok_or_else(|| unknown("/direction")))
            .transpose()?,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// A contact with a debtor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ContactRequest {
    /// A call or visit that was to be done and is done now; a letter or e-mail
    /// that came back; or an earlier contact whose next step this was.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// Which of the joint debtors it was with.
    #[serde(default)]
    pub debtor_ref: Option<String>,
    pub direction: Direction,
    pub channel: Channel,
    /// Needed of calls and visits; a message that came in is read later without.
    #[serde(default)]
    pub outcome: Option<ContactOutcome>,
    /// With its day, needed after a call or visit of ours; or why nothing follows.
    #[serde(default)]
    pub next_step: Option<String>,
    #[serde(default)]
    pub next_on: Option<NaiveDate>,
    #[serde(default)]
    pub none_because: Option<String>,
    /// What they promised in it: only with the outcome `promised`. Taken with the
    /// contact or refused with it.
    #[serde(default)]
    pub promise: Option<PromiseTerms>,
    /// Those that it was about; those promised when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    /// When it happened; now when absent.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// What was said, at most 2000 characters.
    #[serde(default)]
    pub note: Option<String>,
}

/// Writes down a contact.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/contacts", tag = "dunning", operation_id = "recordContact",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ContactRequest"),
    responses((status = 200, description = "The contact", body = ref("#/components/schemas/ContactView")))
)]
pub(crate) async fn record(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "record_contact",
            |command_id, body: ContactRequest, person| RecordContact {
                command_id,
                account_id,
                contact_id: body.contact_id,
                debtor_ref: body.debtor_ref,
                direction: body.direction,
                channel: body.channel,
                outcome: body.outcome,
                next_step: body.next_step,
                next_on: body.next_on,
                none_because: body.none_because,
                promise: body.promise,
                documents: body.documents,
                at: body.at,
                note: body.note,
                person,
            },
        )
        .await
}

/// What a person says of a contact.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ContactStepRequest {
    /// The version that you saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: ContactStep,
    pub reason: String,
}

/// Says that a contact was sent or not, was posted, came back, or what a message
/// that came in means.
#[utoipa::path(
    post, path = "/api/v1/contacts/{id}/steps", tag = "dunning", operation_id = "stepContact",
    params(
        ("id" = String, Path, format = Uuid, description = "The contact"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ContactStepRequest"),
    responses((status = 200, description = "The contact as it is now", body = ref("#/components/schemas/ContactView")))
)]
pub(crate) async fn step(
    Path(contact_id): Path<ContactId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "step_contact",
            |command_id, body: ContactStepRequest, person| StepContact {
                command_id,
                contact_id,
                version: body.version,
                step: body.step,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Which ways reach a debtor, since when one does not, and how much of the
/// contact budget is used over all accounts of the debtor.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/reach", tag = "dunning", operation_id = "getReach",
    params(("id" = String, Path, format = Uuid, description = "The account")),
    responses((status = 200, description = "The ways", body = ref("#/components/schemas/Reach")))
)]
pub(crate) async fn reach(
    State(app): State<App>,
    Path(account_id): Path<AccountId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetReach { account_id }).await?).into_response())
}

/// Whose notes are erased, and why.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NotesErasureRequest {
    /// Only of this one of the joint debtors.
    #[serde(default)]
    pub debtor_ref: Option<String>,
    pub reason: String,
}

/// Erases what was said in the contacts of an account; the contacts stay.
#[utoipa::path(
    post, path = "/api/v1/accounts/{id}/contacts/erasure", tag = "dunning", operation_id = "eraseContactNotes",
    params(
        ("id" = String, Path, format = Uuid, description = "The account"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/NotesErasureRequest"),
    responses((status = 200, description = "How many notes there were", body = ref("#/components/schemas/ErasedNotes")))
)]
pub(crate) async fn erase(
    Path(account_id): Path<AccountId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "erase_contact_notes",
            |command_id, body: NotesErasureRequest, person| EraseContactNotes {
                command_id,
                account_id,
                debtor_ref: body.debtor_ref,
                reason: body.reason,
                person,
            },
        )
        .await
}
