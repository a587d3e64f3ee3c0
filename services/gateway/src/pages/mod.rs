//! The web pages: plain HTML with links and forms, made livelier by scripts
//! where those run.

pub(crate) mod account_statement;
pub(crate) mod accounts;
pub(crate) mod aged_debt;
pub(crate) mod cash;
pub(crate) mod client_payments;
pub(crate) mod controls;
pub(crate) mod direct_debits;
pub(crate) mod disputes;
pub(crate) mod dunning;
pub(crate) mod import_undo;
pub(crate) mod imports;
pub(crate) mod residual;
pub(crate) mod show;
pub(crate) mod sign_in;
mod visit;
pub(crate) mod worklist;

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::{auth::Caller, problem::Problem, respond::Rendered};
pub(crate) use visit::{Done, Toast, Undo, Visit};

/// A place in the rail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Today,
    Team,
    Cash,
    Accounts,
    AgedDebt,
    Imports,
    Residuals,
    Disputes,
    Dunning,
    Promises,
    Controls,
    /// Sign-in and errors.
    Elsewhere,
}

/// One entry of the rail.
pub(crate) struct Place {
    pub section: Section,
    pub title: &'static str,
    pub href: &'static str,
    /// Typed after `g`.
    pub key: &'static str,
}

pub(crate) const RAIL: [Place; 11] = [
    Place {
        section: Section::Today,
        title: "Today",
        href: "/today",
        key: "t",
    },
    Place {
        section: Section::Team,
        title: "Team",
        href: "/team",
        key: "m",
    },
    Place {
        section: Section::Cash,
        title: "Cash",
        href: "/cash",
        key: "c",
    },
    Place {
        section: Section::Residuals,
        title: "Residuals",
        href: "/residuals",
        key: "r",
    },
    Place {
        section: Section::Disputes,
        title: "Disputes",
        href: "/disputes",
        key: "d",
    },
    Place {
        section: Section::Dunning,
        title: "Dunning",
        href: "/dunning/runs",
        key: "u",
    },
    Place {
        section: Section::Promises,
        title: "Promises",
        href: "/promises",
        key: "p",
    },
    Place {
        section: Section::Accounts,
        title: "Accounts",
        href: "/accounts",
        key: "l",
    },
    Place {
        section: Section::AgedDebt,
        title: "Aged debt",
        href: "/aged-debt",
        key: "a",
    },
    Place {
        section: Section::Imports,
        title: "Imports",
        href: "/imports",
        key: "i",
    },
    Place {
        section: Section::Controls,
        title: "Controls",
        href: "/controls",
        key: "k",
    },
];

/// What surrounds every page.
pub(crate) struct Shell {
    pub title: String,
    pub section: Section,
    /// Nobody before sign-in.
    pub caller: Option<Caller>,
    /// London time, to the second.
    pub as_at: String,
    /// How far the notices of changes were when the page was made.
    pub heard: String,
    pub toast: Option<Toast>,
}

impl Shell {
    /// Whose page it is.
    pub(crate) fn name(&self) -> &str {
        self.caller.as_ref().map_or("", |caller| &caller.name)
    }

    /// `controller, manager`
    pub(crate) fn roles(&self) -> String {
        let roles = self.caller.iter().flat_map(|caller| &caller.roles);
        roles
            .map(|role| role.name().replace('_', " "))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// New for every form that moves money: sent twice, it counts once.
pub(crate) fn new_key() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// A page as an answer.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => {
            let headers = [
                (
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("text/html; charset=utf-8"),
                ),
                (
                    header::VARY,
                    HeaderValue::from_static("HX-Request, HX-Request-Type"),
                ),
            ];
            let mut response = (status, headers, text).into_response();
            if !status.is_success() {
                response.extensions_mut().insert(Rendered);
                // The address of a form that was not accepted shows nothing.
                response.headers_mut().insert(
                    HeaderName::from_static("hx-push-url"),
                    HeaderValue::from_static("false"),
                );
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'p> {
    shell: Shell,
    problem: &'p Problem,
}

/// A problem, for people.
pub(crate) fn error_page(problem: &Problem, caller: Option<&Caller>) -> Response {
    let page = ErrorPage {
        shell: Shell {
            title: problem.title.to_owned(),
            section: Section::Elsewhere,
            caller: caller.cloned(),
            as_at: String::new(),
            heard: String::new(),
            toast: None,
        },
        problem,
    };
    let mut response = html(problem.status(), &page);
    if let Some(seconds) = problem.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A problem that a page handler gives up with.
pub(crate) struct PageProblem(Problem, Option<Caller>);

impl axum::response::IntoResponse for PageProblem {
    fn into_response(self) -> Response {
        error_page(&self.0, self.1.as_ref())
    }
}
