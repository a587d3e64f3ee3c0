//! Runs of statements, plain and red: the list, a new one, and what stands in the
//! letter of an account. A run itself has the pages of dunning runs.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    api::{
        PageRequest, Refusal,
        dunning::{ListRuns, PreviewRunAccount, ProposeRun, RunPreview, RunScope, RunView},
    },
    dunning::{RunId, RunKind, RunState},
};
use kernel::{AccountId, london_date};
use messaging::Failure;

use super::{
    Pairs, field, form_key, problems,
    runs::{STATEMENTS, words},
    some, sums,
};
use crate::{
    App,
    api::{Path, controls::person, encoded, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

#[derive(Template)]
#[template(path = "statement_runs.html")]
struct RunsPage {
    shell: Shell,
    runs: Vec<RunView>,
    next: Option<String>,
    may_act: bool,
    today: String,
    as_of: String,
    red: bool,
    title: String,
    reason: String,
    segments: String,
    principals: String,
    accounts: String,
    problems: Vec<String>,
}

async fn list(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<RunsPage, Problem> {
    let found = app
        .bus
        .ask(&ListRuns {
            kinds: vec![RunKind::Statement, RunKind::RedStatement],
            page: PageRequest {
                cursor: some(field(pairs, "cursor")),
                limit: None,
            },
        })
        .await?;
    let today = london_date(visit.now);
    let title = some(field(pairs, "title"));
    Ok(RunsPage {
        shell: visit.shell(Section::Dunning, "Statements"),
        runs: found.items,
        next: found
            .next_cursor
            .map(|cursor| format!("{STATEMENTS}?cursor={}", encoded(&cursor))),
        may_act: routes::DISPUTE.allows(&visit.caller.roles),
        title: title.unwrap_or_else(|| format!("Statements of {}", today.uk())),
        as_of: some(field(pairs, "as_of")).unwrap_or_else(|| today.to_string()),
        today: today.to_string(),
        red: field(pairs, "kind") == RunKind::RedStatement.name(),
        reason: field(pairs, "reason").to_owned(),
        segments: field(pairs, "segments").to_owned(),
        principals: field(pairs, "principals").to_owned(),
        accounts: field(pairs, "accounts").to_owned(),
        problems: problems(refused),
    })
}

/// `GET /dunning/statements`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = list(&app, &visit, &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `POST /dunning/statements`
pub(crate) async fn propose(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let kind = RunKind::named(field(&pairs, "kind")).filter(|kind| !kind.is_reminders());
        let as_of = field(&pairs, "as_of");
        Ok(ProposeRun {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            kind: kind.ok_or_else(|| {
                Problem::invalid(
                    "gateway.bad_form",
                    "/kind",
                    "Choose statements or red ones.",
                )
            })?,
            as_of: match as_of {
                "" => None,
                day => Some(day.parse().map_err(|_| {
                    Problem::invalid("gateway.bad_date", "/as_of", "Give the day.")
                })?),
            },
            title: field(&pairs, "title").to_owned(),
            scope: RunScope {
                segments: words(field(&pairs, "segments")),
                principals: words(field(&pairs, "principals")),
                accounts: words(field(&pairs, "accounts")),
                ..RunScope::default()
            },
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let sent = match command() {
        Ok(command) => app.bus.ask(&command).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(run) => {
            let toast = Toast {
                text: "The statements are being worked out.".to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&format!("{STATEMENTS}/{}", run.run_id), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let page = list(&app, &visit, &pairs, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// `GET /dunning/statements/{id}/letters/{account}`: as it would be now, or as it
/// was sent.
pub(crate) async fn letter(
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
