//! What stands in the letter of an account of a run.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    api::{
        Refusal,
        dunning::{PreviewRunAccount, RunPreview},
    },
    dunning::RunId,
};
use kernel::AccountId;
use messaging::Failure;

use crate::{
    App,
    api::Path,
    pages::{PageProblem, Visit},
    problem::Problem,
};

/// `GET /dunning/statements/{id}/letters/{account}`: as it would be now, or as it
/// was sent.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path((run_id, account_id)): Path<(RunId, AccountId)>,
) -> Result<Response, PageProblem> {
    let ask = PreviewRunAccount { run_id, account_id };
    let made: Result<RunPreview, Refusal> = app.bus.ask(&ask).await;
    let made = made.map_err(Problem::from).map_err(visit.give_up())?;
    let bytes = BASE64_STANDARD
        .decode(&made.content_base64)
        .map_err(|e| Failure::bug("gateway.bad_letter", e.to_string()))
        .map_err(Problem::from)
        .map_err(visit.give_up())?;
    let is_pdf = made.media_type == "application/pdf";
    let (media_type, name) = if is_pdf {
        ("application/pdf", "statement.pdf")
    } else {
        // A browser would show the parts of an e-mail as one text.
        ("text/plain; charset=utf-8", "statement.eml.txt")
    };
    Ok((
        [
            (header::CONTENT_TYPE, media_type.to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("inline; filename=\"{name}\""),
            ),
        ],
        bytes,
    )
        .into_response())
}
