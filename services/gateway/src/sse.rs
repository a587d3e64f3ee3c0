//! Live pages: what services say has changed, passed on to open browsers.
//!
//! A notice is a hint, not a fact: it names topics, the page asks again. One
//! subscription per process, however many pages are open.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt as _, stream};
use messaging::{Bus, Failure};
use serde::{Deserialize, Serialize};
use tokio::{sync::broadcast, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::App;

/// Notices waiting for one slow page, at most; a page that missed some is told
/// that everything may have changed.
const WAITING: usize = 256;
/// A page is told at most once in this time.
const COALESCE: Duration = Duration::from_millis(250);
/// A stream ends after this long, so that the browser comes back and its
/// session is looked at again.
const LONGEST: Duration = Duration::from_mins(10);
/// Stands for every topic.
const EVERYTHING: &str = "*";

/// What a service publishes, and what a page is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Notice {
    topics: Vec<String>,
}

/// Where open pages listen.
#[derive(Debug, Clone)]
pub(crate) struct Notices(broadcast::Sender<Arc<[String]>>);

impl Default for Notices {
    fn default() -> Self {
        Self(broadcast::channel(WAITING).0)
    }
}

impl Notices {
    fn pass_on(&self, payload: &[u8]) {
        match serde_json::from_slice::<Notice>(payload) {
            // Nobody listening is no error.
            Ok(notice) => drop(self.0.send(notice.topics.into())),
            Err(error) => tracing::debug!(%error, "a notice makes no sense"),
        }
    }

    /// Listens to all services until shutdown.
    pub(crate) async fn listen(&self, bus: &Bus) -> Result<(), Failure> {
        let mut notices = bus
            .nats()
            .subscribe(bus.prefix().subject("notice.>"))
            .await
            .map_err(|error| {
                Failure::transient("gateway.notices", "the broker gives no notices")
                    .caused_by(error)
            })?;
        loop {
            tokio::select! {
                () = bus.shutdown().cancelled() => return Ok(()),
                message = notices.next() => match message {
                    Some(message) => self.pass_on(&message.payload),
                    None if bus.shutdown().is_cancelled() => return Ok(()),
                    None => return Err(Failure::transient("gateway.notices", "the broker gives no more notices")),
                },
            }
        }
    }

    fn stream(&self, shutdown: CancellationToken) -> impl Stream<Item = Notice> + use<> {
        let until = Instant::now() + LONGEST;
        stream::unfold(
            (self.0.subscribe(), shutdown),
            move |(mut notices, shutdown)| async move {
                let first = tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep_until(until) => return None,
                    first = notices.recv() => first,
                };
                let mut topics = Vec::new();
                gather(&mut topics, first)?;
                let pause = Instant::now() + COALESCE;
                while Instant::now() < pause
                    && let Ok(next) = tokio::time::timeout_at(pause, notices.recv()).await
                    && gather(&mut topics, next).is_some()
                {}
                topics.sort();
                topics.dedup();
                Some((Notice { topics }, (notices, shutdown)))
            },
        )
    }
}

/// `None` when there will be no more.
fn gather(
    topics: &mut Vec<String>,
    next: Result<Arc<[String]>, broadcast::error::RecvError>,
) -> Option<()> {
    match next {
        Ok(more) => topics.extend(more.iter().cloned()),
        Err(broadcast::error::RecvError::Lagged(_)) => topics.push(EVERYTHING.to_owned()),
        Err(broadcast::error::RecvError::Closed) => return None,
    }
    Some(())
}

/// Tells which topics (`receipts`, `aged-debt`, `imports`, `account:<id>`, …, or
/// `*` for all) have changed, as events named `notice` with `{"topics":[…]}`.
/// Notices may be lost: after a reconnection everything may have changed.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "listen",
    responses((status = 200, description = "A stream of server-sent events", content_type = "text/event-stream", body = String))
)]
pub(crate) async fn listen(State(app): State<App>) -> impl IntoResponse {
    let hello = stream::once(async {
        Ok::<_, Infallible>(
            Event::default()
                .event("hello")
                .retry(Duration::from_secs(2))
                .data("{}"),
        )
    });
    let notices = app
        .notices
        .stream(app.bus.shutdown().clone())
        .map(|notice| {
            let event = Event::default().event("notice");
            Ok(event.json_data(&notice).unwrap_or_default())
        });
    let headers = [(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    )];
    (
        headers,
        Sse::new(hello.chain(notices))
            .keep_alive(KeepAlive::new().interval(Duration::from_secs(15))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn notices_that_come_together_are_told_once() {
        let notices = Notices::default();
        let shutdown = CancellationToken::new();
        let mut stream = Box::pin(notices.stream(shutdown.clone()));
        notices.pass_on(br#"{"topics":["receipts","aged-debt"]}"#);
        notices.pass_on(br#"{"topics":["receipts","account:1"]}"#);
        notices.pass_on(b"nonsense");
        let told = stream.next().await.unwrap();
        assert_eq!(told.topics, ["account:1", "aged-debt", "receipts"]);
        shutdown.cancel();
        assert!(
            stream.next().await.is_none(),
            "a stream ends with the service"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_missed_notices_is_told_that_everything_may_have_changed() {
        let notices = Notices::default();
        let mut stream = Box::pin(notices.stream(CancellationToken::new()));
        for _ in 0..=WAITING {
            notices.pass_on(br#"{"topics":["imports"]}"#);
        }
        assert_eq!(stream.next().await.unwrap().topics, ["*", "imports"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_so_that_the_session_is_looked_at_again() {
        let notices = Notices::default();
        let mut stream = Box::pin(notices.stream(CancellationToken::new()));
        let began = Instant::now();
        assert!(stream.next().await.is_none());
        assert_eq!(began.elapsed(), LONGEST);
    }
}
