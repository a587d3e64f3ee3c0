//! Live pages: what services say has changed, passed on to open browsers.
//!
//! A notice is a hint, not a fact: it names topics, the page asks again. One
//! subscription per process, however many pages are open. A page carries how far
//! the notices were when it was made, so that what changes before it listens is
//! told to it none the less.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderName, HeaderValue},
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
use uuid::Uuid;

use crate::App;

/// Notices waiting for one slow page, and kept for one that is yet to listen, at
/// most; a page that missed some is told that everything may have changed.
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
pub(crate) struct Notices(Arc<Board>);

#[derive(Debug)]
struct Board {
    /// Tells this process's marks from those of another one, or of an earlier one.
    process: Uuid,
    sender: broadcast::Sender<Arc<[String]>>,
    latest: Mutex<Latest>,
}

/// The notices so far, of which the last are kept.
#[derive(Debug, Default)]
struct Latest {
    count: u64,
    kept: VecDeque<Arc<[String]>>,
}

impl Default for Notices {
    fn default() -> Self {
        Self(Arc::new(Board {
            process: Uuid::now_v7(),
            sender: broadcast::channel(WAITING).0,
            latest: Mutex::default(),
        }))
    }
}

impl Notices {
    fn latest(&self) -> MutexGuard<'_, Latest> {
        let latest = self.0.latest.lock();
        latest.unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the notices are now.
    pub(crate) fn mark(&self) -> String {
        self.mark_of(self.latest().count)
    }

    fn mark_of(&self, count: u64) -> String {
        format!("{}-{count}", self.0.process.simple())
    }

    /// How many notices there were at `mark`, if it is one of this process.
    fn count_at(&self, mark: &str) -> Option<u64> {
        let (process, count) = mark.split_once('-')?;
        let ours = process.parse::<Uuid>().ok()? == self.0.process;
        ours.then(|| count.parse().ok()).flatten()
    }

    fn pass_on(&self, payload: &[u8]) {
        match serde_json::from_slice::<Notice>(payload) {
            Ok(notice) => {
                let topics: Arc<[String]> = notice.topics.into();
                let mut latest = self.latest();
                latest.count += 1;
                latest.kept.push_back(Arc::clone(&topics));
                if latest.kept.len() > WAITING {
                    latest.kept.pop_front();
                }
                // Under the lock, so that a stream begins at a count. Nobody
                // listening is no error.
                drop(self.0.sender.send(topics));
            }
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

    /// What is told to one page: first what came after `since`, then what comes.
    fn stream(
        &self,
        since: Option<&str>,
        shutdown: CancellationToken,
    ) -> impl Stream<Item = Told> + use<> {
        let until = Instant::now() + LONGEST;
        let latest = self.latest();
        let start = Listener {
            notices: self.clone(),
            missed: since.map_or_else(Vec::new, |since| latest.after(self.count_at(since))),
            incoming: self.0.sender.subscribe(),
            count: latest.count,
            shutdown,
        };
        drop(latest);
        stream::unfold(start, move |mut listener| async move {
            let told = listener.next(until).await?;
            Some((told, listener))
        })
    }
}

impl Latest {
    /// The topics of the notices after the first `count`; of all when it is not
    /// known how many those are, or no longer which.
    fn after(&self, count: Option<u64>) -> Vec<String> {
        let missed = count.and_then(|count| self.count.checked_sub(count));
        match missed.map(usize::try_from) {
            Some(Ok(missed)) if missed <= self.kept.len() => {
                let from = self.kept.len() - missed;
                let topics = self.kept.iter().skip(from).flat_map(|topics| topics.iter());
                sorted(topics.cloned().collect())
            }
            _ => vec![EVERYTHING.to_owned()],
        }
    }
}

/// A notice, and how far the notices are with it.
struct Told {
    notice: Notice,
    mark: String,
}

/// One open page.
struct Listener {
    notices: Notices,
    missed: Vec<String>,
    incoming: broadcast::Receiver<Arc<[String]>>,
    count: u64,
    shutdown: CancellationToken,
}

impl Listener {
    /// `None` when there will be no more.
    async fn next(&mut self, until: Instant) -> Option<Told> {
        let mut topics = std::mem::take(&mut self.missed);
        if topics.is_empty() {
            let first = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(until) => return None,
                first = self.incoming.recv() => first,
            };
            self.gather(&mut topics, first)?;
            let pause = Instant::now() + COALESCE;
            while Instant::now() < pause
                && let Ok(next) = tokio::time::timeout_at(pause, self.incoming.recv()).await
                && self.gather(&mut topics, next).is_some()
            {}
        }
        Some(Told {
            notice: Notice {
                topics: sorted(topics),
            },
            mark: self.notices.mark_of(self.count),
        })
    }

    /// `None` when there will be no more.
    fn gather(
        &mut self,
        topics: &mut Vec<String>,
        next: Result<Arc<[String]>, broadcast::error::RecvError>,
    ) -> Option<()> {
        match next {
            Ok(more) => {
                self.count += 1;
                topics.extend(more.iter().cloned());
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                self.count += lost;
                topics.push(EVERYTHING.to_owned());
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(())
    }
}

fn sorted(mut topics: Vec<String>) -> Vec<String> {
    topics.sort();
    topics.dedup();
    topics
}

/// Where a page begins to listen.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// The mark that the page was made with; a browser that comes back sends the
    /// last event's id instead, as it does by itself.
    since: Option<String>,
}

/// Tells which topics (`receipts`, `aged-debt`, `imports`, `account:<id>`, …, or
/// `*` for all) have changed, as events named `notice` with `{"topics":[…]}`.
/// Whoever comes back with the last event's id hears first what came meanwhile.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events", operation_id = "listen", params(Since),
    responses((status = 200, description = "A stream of server-sent events", content_type = "text/event-stream", body = String))
)]
pub(crate) async fn listen(
    State(app): State<App>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let last = headers.get("last-event-id");
    let last = last.and_then(|value| value.to_str().ok());
    let since = last.or(since.since.as_deref());
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
        .stream(since, app.bus.shutdown().clone())
        .map(|told| {
            let event = Event::default().event("notice").id(told.mark);
            Ok(event.json_data(&told.notice).unwrap_or_default())
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

    fn listen(notices: &Notices, since: Option<&str>) -> impl Stream<Item = Told> + Unpin {
        Box::pin(notices.stream(since, CancellationToken::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn notices_that_come_together_are_told_once() {
        let notices = Notices::default();
        let shutdown = CancellationToken::new();
        let mut stream = Box::pin(notices.stream(None, shutdown.clone()));
        notices.pass_on(br#"{"topics":["receipts","aged-debt"]}"#);
        notices.pass_on(br#"{"topics":["receipts","account:1"]}"#);
        notices.pass_on(b"nonsense");
        let told = stream.next().await.unwrap();
        assert_eq!(told.notice.topics, ["account:1", "aged-debt", "receipts"]);
        assert_eq!(told.mark, notices.mark());
        shutdown.cancel();
        assert!(
            stream.next().await.is_none(),
            "a stream ends with the service"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_missed_notices_is_told_that_everything_may_have_changed() {
        let notices = Notices::default();
        let mut stream = listen(&notices, None);
        for _ in 0..=WAITING {
            notices.pass_on(br#"{"topics":["imports"]}"#);
        }
        let told = stream.next().await.unwrap();
        assert_eq!(told.notice.topics, ["*", "imports"]);
        assert_eq!(told.mark, notices.mark());
    }

    #[tokio::test(start_paused = true)]
    async fn what_changes_before_a_page_listens_is_told_to_it() {
        let notices = Notices::default();
        notices.pass_on(br#"{"topics":["imports"]}"#);
        let made = notices.mark();
        notices.pass_on(br#"{"topics":["controls"]}"#);
        let mut late = listen(&notices, Some(&made));
        let told = late.next().await.unwrap();
        assert_eq!(told.notice.topics, ["controls"]);
        assert_eq!(told.mark, notices.mark());
        // Whoever has heard all waits for what comes.
        let mut again = listen(&notices, Some(&told.mark));
        notices.pass_on(br#"{"topics":["receipts"]}"#);
        assert_eq!(again.next().await.unwrap().notice.topics, ["receipts"]);
        assert_eq!(late.next().await.unwrap().notice.topics, ["receipts"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_that_says_nothing_here_means_everything() {
        let notices = Notices::default();
        let old = notices.mark();
        for _ in 0..=WAITING {
            notices.pass_on(br#"{"topics":["imports"]}"#);
        }
        let other = Notices::default().mark();
        for mark in [old.as_str(), other.as_str(), "nonsense", ""] {
            let told = listen(&notices, Some(mark)).next().await.unwrap();
            assert_eq!(told.notice.topics, ["*"], "{mark}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_so_that_the_session_is_looked_at_again() {
        let notices = Notices::default();
        let mut stream = listen(&notices, None);
        let began = Instant::now();
        assert!(stream.next().await.is_none());
        assert_eq!(began.elapsed(), LONGEST);
    }
}
