//! The page behind a link: one case, one question, no account.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use contracts::api::disputes::{CommentByLink, NudgeView, ReadNudge};
use uuid::Uuid;

use super::{Pairs, field};
use crate::{
    App,
    api::{Path, once::command_id},
    pages::{
        Section, Shell, error_page, html,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
};

#[derive(Template)]
#[template(path = "nudge.html")]
struct NudgePage {
    shell: Shell,
    token: String,
    view: NudgeView,
    typed: String,
    problems: Vec<String>,
}

impl NudgePage {
    fn new(token: String, view: NudgeView) -> Self {
        Self {
            shell: Shell {
                title: format!("{}: your comment", view.case_ref),
                section: Section::Elsewhere,
                caller: None,
                as_at: String::new(),
                heard: String::new(),
                toast: None,
            },
            token,
            view,
            typed: String::new(),
            problems: Vec::new(),
        }
    }
}

/// `GET /n/{token}`
pub(crate) async fn show(State(app): State<App>, Path(token): Path<String>) -> Response {
    let ask = ReadNudge {
        token: token.clone(),
    };
    match app.bus.ask(&ask).await {
        Ok(view) => html(StatusCode::OK, &NudgePage::new(token, view)),
        Err(refusal) => error_page(&Problem::from(refusal), None),
    }
}

/// `POST /n/{token}`
pub(crate) async fn comment(
    State(app): State<App>,
    Path(token): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Response {
    let text = field(&pairs, "text").to_owned();
    let ask = CommentByLink {
        command_id: command_id(Uuid::nil(), &token, field(&pairs, "key")),
        token: token.clone(),
        text: text.clone(),
    };
    let problem = match app.bus.ask(&ask).await {
        Ok(_) => return Redirect::to(&format!("/n/{token}")).into_response(),
        Err(refusal) => Problem::from(refusal),
    };
    let read = ReadNudge {
        token: token.clone(),
    };
    match app.bus.ask(&read).await {
        Ok(view) if problem.status().is_client_error() => {
            let mut page = NudgePage::new(token, view);
            page.typed = text;
            page.problems = vec![problem.detail.clone()];
            page.problems
                .extend(problem.errors.iter().map(|field| field.detail.clone()));
            html(problem.status(), &page)
        }
        _ => error_page(&problem, None),
    }
}
