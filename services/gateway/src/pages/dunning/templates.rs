//! Templates: what there is, one with its words, its history and a preview, and
//! the form that drafts the next version.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::{
    Page, Refusal,
    dunning::{
        DiffKind, DraftTemplate, EditionKind, EditionState, GetTemplate, ListTemplates,
        PreviewTemplate, TemplateDetail, TemplatePreview, TemplateRow,
    },
};

use super::{
    Pairs,
    editions::{day, step},
    field, form_key, problems, some,
};
use crate::{
    App,
    api::{Path, controls::person, editions::letter, encoded, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

const PLACE: &str = "/dunning/templates";
const KINDS: [&str; 5] = [
    "courtesy",
    "reminder",
    "demand",
    "before_action",
    "protocol",
];

#[derive(Template)]
#[template(path = "templates.html")]
struct TemplatesPage {
    shell: Shell,
    templates: Vec<TemplateRow>,
    name: String,
    draft: Draft,
    kinds: [&'static str; 5],
    may_write: bool,
    problems: Vec<String>,
}

async fn all(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<TemplatesPage, Problem> {
    let found: Page<TemplateRow> = app.bus.ask(&ListTemplates {}).await?;
    let today = kernel::london_date(visit.now).to_string();
    Ok(TemplatesPage {
        shell: visit.shell(Section::Dunning, "Templates"),
        templates: found.items,
        name: field(pairs, "name").to_owned(),
        draft: Draft {
            title: field(pairs, "title").to_owned(),
            legal: field(pairs, "legal").to_owned(),
            subject: field(pairs, "subject").to_owned(),
            body: field(pairs, "body").to_owned(),
            valid_from: some(field(pairs, "valid_from")).unwrap_or(today),
            reason: field(pairs, "reason").to_owned(),
        },
        kinds: KINDS,
        may_write: routes::WORDS.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /dunning/templates`
pub(crate) async fn list(State(app): State<App>, visit: Visit) -> Result<Response, PageProblem> {
    let page = all(&app, &visit, &Pairs::new(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `POST /dunning/templates`: the first draft of a new one.
pub(crate) async fn create(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    match drafted(&app, &visit, field(&pairs, "name"), &pairs).await {
        Ok((to, toast)) => Ok(visit.go(&to, &toast)),
        Err(problem) if problem.status().is_client_error() => {
            let page = all(&app, &visit, &pairs, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// What stands in the form: what was typed, else what is shown.
struct Draft {
    title: String,
    legal: String,
    subject: String,
    body: String,
    valid_from: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "template.html")]
struct TemplatePage {
    shell: Shell,
    t: TemplateDetail,
    draft: Draft,
    /// The form is open: something in it was refused.
    typed: bool,
    account: String,
    preview: Option<TemplatePreview>,
    /// Why there is none.
    no_preview: Option<String>,
    kinds: [&'static str; 5],
    may_write: bool,
    is_own: bool,
    refused: Option<Problem>,
    problems: Vec<String>,
}

impl TemplatePage {
    fn place(&self) -> String {
        format!("{PLACE}/{}", encoded(&self.t.template))
    }

    /// What the preview is of.
    fn query(&self) -> String {
        let account = encoded(&self.account);
        format!("version={}&account={account}", self.t.edition.version)
    }

    /// What is wrong with one field of the form.
    fn at(&self, field: &str) -> Vec<&str> {
        let errors = self.refused.iter().flat_map(|problem| &problem.errors);
        errors
            .filter(|error| error.pointer.strip_prefix('/') == Some(field))
            .map(|error| error.detail.as_str())
            .collect()
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    name: &str,
    pairs: &Pairs,
    refused: Option<Problem>,
) -> Result<TemplatePage, Problem> {
    let ask = GetTemplate {
        template: name.to_owned(),
        version: field(pairs, "version").parse().ok(),
    };
    let t = app.bus.ask(&ask).await?;
    let account = field(pairs, "account").to_owned();
    let (mut preview, mut no_preview) = (None, None);
    if !account.is_empty() {
        let ask = PreviewTemplate {
            template: name.to_owned(),
            version: Some(t.edition.version),
            account_ref: account.clone(),
        };
        let made: Result<TemplatePreview, Refusal> = app.bus.ask(&ask).await;
        match made.map_err(Problem::from) {
            Ok(made) => preview = Some(made),
            Err(problem) if problem.status().is_client_error() => {
                no_preview = Some(problem.detail);
            }
            Err(problem) => return Err(problem),
        }
    }
    let typed = pairs.iter().any(|(name, _)| name == "body");
    let or = |name: &str, shown: &str| {
        if typed {
            field(pairs, name).to_owned()
        } else {
            shown.to_owned()
        }
    };
    let today = kernel::london_date(visit.now).to_string();
    Ok(TemplatePage {
        shell: visit.shell(Section::Dunning, t.title.clone()),
        draft: Draft {
            title: or("title", &t.title),
            legal: or("legal", &t.legal),
            subject: or("subject", &t.subject),
            body: or("body", &t.body),
            valid_from: or("valid_from", &today),
            reason: if typed {
                field(pairs, "reason").to_owned()
            } else {
                String::new()
            },
        },
        typed,
        account,
        preview,
        no_preview,
        kinds: KINDS,
        may_write: routes::WORDS.allows(&visit.caller.roles),
        is_own: t.edition.drafted_by == person(&visit.caller).actor,
        problems: problems(refused.as_ref()),
        refused,
        t,
    })
}

/// `GET /dunning/templates/{name}`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &name, &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn again(
    app: &App,
    visit: &Visit,
    name: &str,
    pairs: &Pairs,
    problem: Problem,
) -> Result<Response, PageProblem> {
    if !problem.status().is_client_error() {
        return Err(visit.give_up()(problem));
    }
    let status = problem.status();
    let page = assemble(app, visit, name, pairs, Some(problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(status, &page))
}

/// Drafts what a form says: where to go then, and what to tell.
async fn drafted(
    app: &App,
    visit: &Visit,
    name: &str,
    pairs: &Pairs,
) -> Result<(String, Toast), Problem> {
    let command = DraftTemplate {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        template: name.to_owned(),
        title: field(pairs, "title").to_owned(),
        legal: field(pairs, "legal").to_owned(),
        subject: field(pairs, "subject").to_owned(),
        body: field(pairs, "body").to_owned(),
        valid_from: day(pairs, "valid_from")?,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let made: Result<TemplateDetail, Refusal> = app.bus.ask(&command).await;
    let version = made?.edition.version;
    let toast = Toast {
        text: format!("Version {version} is drafted. Look at it, then ask a second person."),
        warning: false,
        undo: None,
    };
    let to = format!("{PLACE}/{}?version={version}", encoded(name));
    Ok((to, toast))
}

/// `POST /dunning/templates/{name}/drafts`
pub(crate) async fn draft(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    match drafted(&app, &visit, &name, &pairs).await {
        Ok((to, toast)) => Ok(visit.go(&to, &toast)),
        Err(problem) => again(&app, &visit, &name, &pairs, problem).await,
    }
}

/// `POST /dunning/templates/{name}/steps`
pub(crate) async fn step_one(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    match step(&app, &visit, EditionKind::Template, &name, &pairs).await {
        Ok((version, toast)) => {
            let to = format!("{PLACE}/{}?version={version}", encoded(&name));
            Ok(visit.go(&to, &toast))
        }
        Err(problem) => again(&app, &visit, &name, &pairs, problem).await,
    }
}

async fn previewed(
    app: &App,
    visit: &Visit,
    name: String,
    pairs: &Pairs,
) -> Result<TemplatePreview, PageProblem> {
    let ask = PreviewTemplate {
        template: name,
        version: field(pairs, "version").parse().ok(),
        account_ref: field(pairs, "account").to_owned(),
    };
    let made: Result<TemplatePreview, Refusal> = app.bus.ask(&ask).await;
    made.map_err(Problem::from).map_err(visit.give_up())
}

/// `GET /dunning/templates/{name}/letter`: the preview as PDF.
pub(crate) async fn pdf(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let made = previewed(&app, &visit, name, &pairs).await?;
    letter(&made).map_err(visit.give_up())
}

/// `GET /dunning/templates/{name}/email`: the preview as its HTML.
pub(crate) async fn email(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<axum::response::Html<String>, PageProblem> {
    Ok(axum::response::Html(
        previewed(&app, &visit, name, &pairs).await?.html,
    ))
}
