//! The admin server (`/livez`, `/readyz`, `/metrics`, `/version`) and the [`Health`] that it tells.
//!
//! It has no sign-in: its port stays inside the network.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// How a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthState {
    /// Not ready yet.
    Starting,
    /// Does its work.
    Ready,
    /// Cannot do its work, and why. It goes on trying.
    Failing(String),
    /// Ends in order: finishes what it has, takes nothing new.
    Draining,
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Ready => f.write_str("ready"),
            Self::Failing(reason) => write!(f, "failing: {reason}"),
            Self::Draining => f.write_str("draining"),
        }
    }
}

/// How all components of the process are. Clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    states: watch::Sender<BTreeMap<String, HealthState>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            states: watch::Sender::new(BTreeMap::new()),
        }
    }
}

impl Health {
    /// Nothing registered yet, and therefore not ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a component, starting. The same name again starts it anew.
    pub fn register(&self, name: impl Into<String>) -> Component {
        let component = Component {
            name: name.into(),
            health: self.clone(),
        };
        component.set(HealthState::Starting);
        component
    }

    /// Whether there are components, and all are ready.
    pub fn is_ready(&self) -> bool {
        all_ready(&self.states.borrow())
    }

    /// Every component with its state, in the order of their names.
    pub fn states(&self) -> BTreeMap<String, HealthState> {
        self.states.borrow().clone()
    }

    /// Returns once all components are ready.
    pub async fn wait_ready(&self) {
        // `wait_for` fails only when the sender is gone, and we hold one.
        let _ = self.states.subscribe().wait_for(all_ready).await;
    }

    /// All components end: `/readyz` says no from now on, so that nobody sends new work.
    pub fn drain(&self) {
        self.states.send_modify(|states| {
            for state in states.values_mut() {
                *state = HealthState::Draining;
            }
        });
    }
}

fn all_ready(states: &BTreeMap<String, HealthState>) -> bool {
    !states.is_empty() && states.values().all(|state| *state == HealthState::Ready)
}

/// One component's hand on [`Health`].
#[derive(Debug, Clone)]
pub struct Component {
    name: String,
    health: Health,
}

impl Component {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Not ready (again).
    pub fn starting(&self) {
        self.set(HealthState::Starting);
    }

    /// Does its work.
    pub fn ready(&self) {
        self.set(HealthState::Ready);
    }

    /// Cannot do its work, and why.
    pub fn failing(&self, reason: impl Into<String>) {
        self.set(HealthState::Failing(reason.into()));
    }

    /// Ends in order.
    pub fn draining(&self) {
        self.set(HealthState::Draining);
    }

    fn set(&self, state: HealthState) {
        self.health.states.send_if_modified(|states| {
            let changed = states.get(&self.name) != Some(&state);
            if changed {
                states.insert(self.name.clone(), state);
            }
            changed
        });
    }
}

/// The admin server could not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} (admin.listen)")]
pub struct AdminError {
    /// The address.
    listen: SocketAddr,
    /// Why not.
    #[source]
    source: io::Error,
}

/// A running admin server. Dropping it ends it.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AdminServer {
    /// Listens on `listen` (port 0: any free one) and answers from a task of its own.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn start(listen: SocketAddr, health: Health) -> Result<Self, AdminError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = bind.await.map_err(|source| AdminError { listen, source })?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router(health))
                .with_graceful_shutdown(stopped.cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the admin server ended");
            }
        });
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what is under way, then ends. To be called last: an orchestrator watches the drain through it.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // A connection that somebody keeps open must not keep the process.
        if tokio::time::timeout(std::time::Duration::from_secs(2), &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(health)
}

async fn readyz(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let states = health.states();
    let (status, word) = if all_ready(&states) {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part == "verbose" || part == "verbose=true")
    });
    let mut text = String::new();
    if verbose {
        for (name, state) in &states {
            let mark = if *state == HealthState::Ready {
                '+'
            } else {
                '-'
            };
            let _ = writeln!(text, "[{mark}] {name}: {state}");
        }
    }
    text.push_str(word);
    text.push('\n');
    (status, text).into_response()
}

async fn metrics() -> Response {
    match telemetry::metrics_text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no metrics");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

async fn version() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "name": "counterfoil", "version": env!("CARGO_PKG_VERSION") }))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_components() {
        let health = Health::new();
        let server = AdminServer::start("127.0.0.1:0".parse().unwrap(), health.clone())
            .await
            .unwrap();
        let address = server.address();
        assert_ne!(address.port(), 0);
        assert!(
            get(address, "/livez").await.starts_with("HTTP/1.1 200"),
            "alive before it is ready"
        );
        assert!(
            get(address, "/readyz").await.starts_with("HTTP/1.1 503"),
            "nothing is registered"
        );

        let database = health.register("database");
        let allocation = health.register("allocation");
        database.ready();
        allocation.failing("no stream ALLOCATION");
        let answer = get(address, "/readyz?verbose").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("[+] database: ready\n"), "{answer}");
        assert!(
            answer.contains("[-] allocation: failing: no stream ALLOCATION\n"),
            "{answer}"
        );

        let waiting = tokio::spawn({
            let health = health.clone();
            async move { health.wait_ready().await }
        });
        allocation.ready();
        waiting.await.unwrap();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));

        health.drain();
        assert!(
            get(address, "/readyz?verbose")
                .await
                .contains("[-] database: draining\n")
        );
        assert!(
            get(address, "/livez").await.starts_with("HTTP/1.1 200"),
            "draining is alive"
        );
        assert!(
            get(address, "/version")
                .await
                .contains(env!("CARGO_PKG_VERSION"))
        );
        let metrics = get(address, "/metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200") && metrics.contains("target_info"),
            "{metrics}"
        );

        server.stop().await;
        assert!(
            tokio::net::TcpStream::connect(address).await.is_err(),
            "nobody listens any more"
        );
    }
}
