//! One person's request for a page.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Redirect, Response},
};
use axum_extra::extract::CookieJar;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::{AllocationId, ReceiptId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PageProblem, Section, Shell, html, show};
use crate::{
    App,
    auth::{Caller, REFRESH_HEADER},
    problem::Problem,
};

/// Carries a [`Toast`] over a redirect.
const TOAST_COOKIE: &str = "counterfoil_toast";

/// What just happened, in one line, with a way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Toast {
    pub text: String,
    /// Worth a second look.
    #[serde(default)]
    pub warning: bool,
    #[serde(default)]
    pub undo: Option<Undo>,
}

/// What the toast's button takes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub receipt: ReceiptId,
    pub allocations: Vec<AllocationId>,
}

/// What a form did.
pub(crate) struct Done {
    /// Where the browser goes.
    pub to: String,
    /// What it tells there.
    pub text: String,
}

/// Who asks for a page, when, and what they were told last.
pub(crate) struct Visit {
    pub caller: Caller,
    pub now: DateTime<Utc>,
    toast: Option<Toast>,
    /// Taken before the page's figures are.
    heard: String,
    secure: bool,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Caller>().cloned();
        // A page that refreshes itself must not take the message away from the
        // person who is about to get it.
        let toast = (!parts.headers.contains_key(REFRESH_HEADER))
            .then(|| toast(&parts.headers))
            .flatten();
        Ok(Self {
            // No handler of a page runs before `routes::require` let it.
            caller: caller.unwrap_or(Caller {
                user_id: Uuid::nil(),
                name: String::new(),
                roles: Vec::new(),
            }),
            now: app.bus.now(),
            toast,
            heard: app.notices.mark(),
            secure: app.options.secure_cookies,
        })
    }
}

fn toast(headers: &HeaderMap) -> Option<Toast> {
    let jar = CookieJar::from_headers(headers);
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(jar.get(TOAST_COOKIE)?.value())
        .ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A cookie for this site alone, which no script can read. The value is plain:
/// base64url, or nothing.
pub(super) fn cookie(name: &str, value: &str, seconds: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly; SameSite=Lax{secure}; Path=/; Max-Age={seconds}")
}

impl Visit {
    pub(crate) fn shell(&self, section: Section, title: impl Into<String>) -> Shell {
        Shell {
            title: title.into(),
            section,
            caller: Some(self.caller.clone()),
            as_at: show::stamp(self.now),
            heard: self.heard.clone(),
            toast: self.toast.clone(),
        }
    }

    /// The page, and with it the end of the last message.
    pub(crate) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        let mut response = html(status, page);
        if self.toast.is_some() {
            set_cookie(&mut response, &cookie(TOAST_COOKIE, "", 0, self.secure));
        }
        response
    }

    /// Sends the browser to `to`, where it tells `toast`.
    pub(crate) fn go(&self, to: &str, toast: &Toast) -> Response {
        let mut response = Redirect::to(to).into_response();
        let value = serde_json::to_vec(toast).unwrap_or_default();
        let value = BASE64_URL_SAFE_NO_PAD.encode(value);
        set_cookie(
            &mut response,
            &cookie(TOAST_COOKIE, &value, 60, self.secure),
        );
        response
    }

    /// What a form led to: on to a place with a message, or what the person can
    /// mend, for the page to show beside the form.
    pub(crate) fn settle(
        &self,
        done: Result<Done, Problem>,
    ) -> Result<Result<Response, Problem>, PageProblem> {
        match done {
            Ok(Done { to, text }) => {
                let toast = Toast {
                    text,
                    warning: false,
                    undo: None,
                };
                Ok(Ok(self.go(&to, &toast)))
            }
            Err(problem) if problem.status().is_client_error() => Ok(Err(problem)),
            Err(problem) => Err(self.give_up()(problem)),
        }
    }

    /// For `map_err`: gives up with an error page.
    pub(crate) fn give_up<P: Into<Problem>>(&self) -> impl Fn(P) -> PageProblem {
        let caller = self.caller.clone();
        move |problem| PageProblem(problem.into(), Some(caller.clone()))
    }
}

pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}
