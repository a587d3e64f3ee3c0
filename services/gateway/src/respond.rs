//! The last touch to every answer: what only the outermost layer knows.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use opentelemetry::{
    KeyValue, global,
    metrics::Histogram,
    propagation::{Extractor, Injector},
};
use std::sync::LazyLock;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use crate::{auth::Caller, pages, problem::Problem};

/// Scripts, styles and everything else from here alone; nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'";

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("counterfoil")
        .f64_histogram("http_server_request_duration")
        .with_unit("s")
        .with_description("time until an answer began, by route and status")
        .with_boundaries(vec![
            0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ])
        .build()
});

/// Names one request in logs and answers.
#[derive(Debug, Clone)]
struct RequestId(String);

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'h>(&'h mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// Wraps the request in a span that continues the client's trace, counts it,
/// and tells the client both the request's id and the trace.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = Uuid::now_v7().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none", MatchedPath::as_str)
        .to_owned();
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!(
        "http",
        otel.name = format!("{method} {route}"),
        request_id = id,
        status = tracing::field::Empty
    );
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&Headers(request.headers()))
    });
    if let Err(error) = span.set_parent(parent) {
        tracing::trace!(%error, "the client's trace is not continued");
    }
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("status", status.as_u16());
    span.in_scope(|| tracing::debug!(status = status.as_u16(), "answered"));
    DURATION.record(
        began.elapsed().as_secs_f64(),
        &[
            KeyValue::new("method", method),
            KeyValue::new("route", route),
            KeyValue::new("status", i64::from(status.as_u16())),
        ],
    );
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert("x-request-id", id);
    }
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut HeadersMut(headers));
    });
    response
}

/// An error page that is finished as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendered;

/// Gives every error a body that its reader understands, and every answer the
/// headers that keep it where it belongs.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let id = request
        .extensions()
        .get::<RequestId>()
        .map(|RequestId(id)| id.clone());
    let mut response = next.run(request).await;
    let status = response.status();
    let told = response.extensions_mut().remove::<Problem>();
    let caller = response.extensions_mut().remove::<Caller>();
    if (status.is_client_error() || status.is_server_error())
        && response.extensions().get::<Rendered>().is_none()
    {
        let problem = Problem {
            instance: Some(path.clone()),
            request_id: id,
            ..told.unwrap_or_else(|| Problem::of_status(status))
        };
        let kept = [header::WWW_AUTHENTICATE, header::ALLOW];
        let kept = kept.map(|name| (response.headers_mut().remove(&name), name));
        response = if path.starts_with("/api/") || path.starts_with("/assets/") {
            problem.into_response()
        } else {
            pages::error_page(&problem, caller.as_ref())
        };
        for (value, name) in kept {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}
