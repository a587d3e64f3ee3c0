//! Official forms that go with letters: what there is, and the forms that upload one
//! and ask a second person for it.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::api::dunning::{
    DraftEnclosure, EditionKind, EditionState, EnclosureEdition, EnclosureRow, ListEnclosures,
};
use sha2::{Digest as _, Sha256};

use super::{
    Pairs,
    editions::{day, step},
    form_key, problems,
};
use crate::{
    App,
    api::{Path, controls::person, evidence::Sent, imports::Upload, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

const PLACE: &str = "/dunning/enclosures";

#[derive(Template)]
#[template(path = "enclosures.html")]
struct EnclosuresPage {
    shell: Shell,
    forms: Vec<EnclosureRow>,
    today: String,
    actor: String,
    may_write: bool,
    problems: Vec<String>,
}

impl EnclosuresPage {
    fn can_be_asked_for(&self, one: &EnclosureEdition) -> bool {
        self.may_write
            && one.edition.state == EditionState::Draft
            && one.edition.drafted_by == self.actor
    }

    fn can_be_taken_back(&self, one: &EnclosureEdition) -> bool {
        self.may_write
            && one.edition.state == EditionState::Requested
            && one.edition.drafted_by == self.actor
    }
}

async fn all(
    app: &App,
    visit: &Visit,
    refused: Option<&Problem>,
) -> Result<EnclosuresPage, Problem> {
    Ok(EnclosuresPage {
        shell: visit.shell(Section::Dunning, "Enclosures"),
        forms: app.bus.ask(&ListEnclosures {}).await?.items,
        today: kernel::london_date(visit.now).to_string(),
        actor: person(&visit.caller).actor,
        may_write: routes::WORDS.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /dunning/enclosures`
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, PageProblem> {
    let page = all(&app, &visit, None).await.map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn answer(
    app: &App,
    visit: &Visit,
    done: Result<Toast, Problem>,
) -> Result<Response, PageProblem> {
    match done {
        Ok(toast) => Ok(visit.go(PLACE, &toast)),
        Err(problem) if problem.status().is_client_error() => {
            let page = all(app, visit, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// `POST /dunning/enclosures/{name}/drafts`: a form with a file in it.
pub(crate) async fn draft(
    State(app): State<App>,
    visit: Visit,
    Path(enclosure): Path<String>,
    upload: Result<Upload, Problem>,
) -> Result<Response, PageProblem> {
    let (sent, read) = match upload {
        Ok(upload) => Sent::read(upload).await,
        Err(problem) => (Sent::default(), Err(problem)),
    };
    let drafted = async {
        read?;
        let command = DraftEnclosure {
            command_id: command_id(visit.caller.user_id, "page", form_key(&sent.pairs)?),
            enclosure,
            file_name: sent.name.clone(),
            sha256: hex::encode(Sha256::digest(&sent.bytes)),
            base64: BASE64_STANDARD.encode(&sent.bytes),
            valid_from: day(&sent.pairs, "valid_from")?,
            reason: sent.field("reason").to_owned(),
            person: person(&visit.caller),
        };
        let row = app.bus.ask(&command).await?;
        Ok(Toast {
            text: format!(
                "{} is kept as a draft: ask a second person for it.",
                row.title
            ),
            warning: false,
            undo: None,
        })
    }
    .await;
    answer(&app, &visit, drafted).await
}

/// `POST /dunning/enclosures/{name}/steps`
pub(crate) async fn step_one(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = step(&app, &visit, EditionKind::Enclosure, &name, &pairs).await;
    answer(&app, &visit, done.map(|(_, toast)| toast)).await
}
