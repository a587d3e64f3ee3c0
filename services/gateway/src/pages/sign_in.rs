//! In and out.

use std::net::IpAddr;

use askama::Template;
use axum::{
    Form,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Section, Shell, html,
    visit::{cookie, set_cookie},
};
use crate::{
    App,
    api::encoded,
    auth::{
        self, Address, SESSION_COOKIE, SESSION_COOKIE_SECURE, Verdict, by_password, new_session,
        token_sha256,
    },
    problem::Problem,
    routes::destination,
    store::sessions,
};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    shell: Shell,
    name: String,
    next: String,
    problem: Option<String>,
    demo: bool,
}

impl SignInPage {
    fn new(app: &App, name: String, next: &str, problem: Option<String>) -> Self {
        Self {
            shell: Shell {
                title: "Sign in".to_owned(),
                section: Section::Elsewhere,
                caller: None,
                as_at: String::new(),
                heard: String::new(),
                toast: None,
            },
            name,
            next: safe(next).to_owned(),
            problem,
            demo: app.options.demo,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Next {
    #[serde(default)]
    next: String,
}

/// An address on this site, whatever was asked for.
fn safe(next: &str) -> &str {
    let local = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(['\\', '\r', '\n', '\t']);
    if local { next } else { "/" }
}

/// Sends whoever is not signed in to do so, and back again afterwards.
pub(crate) fn first(request: &Request) -> Response {
    let to = |next: &str| format!("/sign-in?next={}", encoded(safe(next)));
    if request.headers().contains_key("hx-request") {
        // The whole page has to change, not a part of it.
        let at = request
            .headers()
            .get("hx-current-url")
            .and_then(|url| url.to_str().ok());
        let next = at.and_then(|url| url.parse::<Uri>().ok()).map_or_else(
            || "/".to_owned(),
            |url| {
                url.path_and_query()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            },
        );
        let mut response = Problem::sign_in_needed().into_response();
        if let Ok(value) = HeaderValue::try_from(to(&next)) {
            response
                .headers_mut()
                .insert(HeaderName::from_static("hx-redirect"), value);
        }
        response.extensions_mut().remove::<Problem>();
        response.extensions_mut().insert(crate::respond::Rendered);
        return response;
    }
    Redirect::to(&to(&destination(request.method(), request.uri()))).into_response()
}

/// `GET /sign-in`
pub(crate) async fn form(State(app): State<App>, Query(Next { next }): Query<Next>) -> Response {
    html(
        StatusCode::OK,
        &SignInPage::new(&app, String::new(), &next, None),
    )
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `POST /sign-in`
pub(crate) async fn submit(
    State(app): State<App>,
    Address(address): Address,
    headers: HeaderMap,
    Form(Credentials {
        name,
        password,
        next,
    }): Form<Credentials>,
) -> Response {
    match enter(&app, address, &headers, name.trim(), &password).await {
        Ok(Entered::In(cookie)) => {
            let mut response = Redirect::to(safe(&next)).into_response();
            set_cookie(&mut response, &cookie);
            response
        }
        Ok(Entered::No(status, problem)) => {
            html(status, &SignInPage::new(&app, name, &next, Some(problem)))
        }
        Err(problem) => super::error_page(&problem, None),
    }
}

enum Entered {
    In(String),
    No(StatusCode, String),
}

async fn enter(
    app: &App,
    address: IpAddr,
    headers: &HeaderMap,
    name: &str,
    password: &str,
) -> Result<Entered, Problem> {
    match by_password(app, name, password, address).await? {
        Verdict::Wait(seconds) => Ok(Entered::No(
            StatusCode::TOO_MANY_REQUESTS,
            format!("Too many failed sign-ins. Try again in {seconds} s."),
        )),
        Verdict::Wrong => {
            tracing::info!(%address, "a sign-in failed");
            Ok(Entered::No(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The name or the password is wrong.".to_owned(),
            ))
        }
        Verdict::Right(caller) => {
            // A session that somebody may have planted does not live on.
            if let Some(old) = auth::session_token(headers, app.options.secure_cookies) {
                sessions::close(app.bus.pool(), &token_sha256(&old)).await?;
            }
            let (token, sha256) = new_session();
            sessions::open(app.bus.pool(), &sha256, caller.user_id, app.bus.now()).await?;
            tracing::info!(user = caller.name, "signed in");
            let longest = sessions::LONGEST.num_seconds();
            Ok(Entered::In(session_cookie(
                &token,
                longest,
                app.options.secure_cookies,
            )))
        }
    }
}

fn session_cookie(value: &str, seconds: i64, secure: bool) -> String {
    let name = if secure {
        SESSION_COOKIE_SECURE
    } else {
        SESSION_COOKIE
    };
    cookie(name, value, seconds, secure)
}

/// `POST /sign-out`
pub(crate) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Response {
    let secure = app.options.secure_cookies;
    if let Some(token) = auth::session_token(&headers, secure)
        && let Err(failure) = sessions::close(app.bus.pool(), &token_sha256(&token)).await
    {
        return super::error_page(&failure.into(), None);
    }
    let mut response = Redirect::to("/sign-in").into_response();
    set_cookie(&mut response, &session_cookie("", 0, secure));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_sign_in_nobody_is_sent_to_another_site() {
        assert_eq!(safe("/cash?queue=all"), "/cash?queue=all");
        for elsewhere in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "cash",
            "",
            "/a\r\nb",
        ] {
            assert_eq!(safe(elsewhere), "/", "{elsewhere:?}");
        }
    }

    #[test]
    fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        assert_eq!(
            session_cookie("secret", 60, false),
            "counterfoil_session=secret; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
        );
        assert_eq!(
            session_cookie("secret", 60, true),
            "__Host-counterfoil_session=secret; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
    }

    #[tokio::test]
    async fn a_part_of_a_page_makes_the_whole_page_go_to_sign_in() {
        let request = Request::builder()
            .uri("/cash")
            .header("hx-request", "true")
            .header(
                "hx-current-url",
                "http://127.0.0.1:8080/cash?queue=all&receipt=1",
            )
            .body(axum::body::Body::empty())
            .unwrap();
        let response = first(&request);
        assert_eq!(response.status(), 401);
        assert_eq!(
            response.headers()["hx-redirect"],
            "/sign-in?next=%2Fcash%3Fqueue%3Dall%26receipt%3D1"
        );
    }
}
