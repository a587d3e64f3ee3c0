//! What a service holds in its hand: the database, the broker, the clock.

use std::{collections::HashSet, sync::Arc, time::Duration};

use async_nats::jetstream;
use chrono::{DateTime, Utc};
use contracts::{
    Prefix, Role,
    api::{Call, Refusal, RefusalClass},
};
use kernel::Clock;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Failure, Outgoing, metrics::Metrics, tables::Sql};

/// Limits and times of the way of a message.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Messages in one batch, at most.
    pub batch_max: usize,
    /// After this long without an answer the broker delivers again.
    pub ack_wait: Duration,
    /// Deliveries of one message before it becomes a dead letter even if its
    /// failure looked transient.
    pub max_deliver: i64,
    /// Facts published before their acknowledgements are awaited.
    pub relay_window: usize,
    /// How long claimed ids and published facts are kept.
    pub retention: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_max: 1000,
            ack_wait: Duration::from_secs(8),
            max_deliver: 12,
            relay_window: 1024,
            retention: Duration::from_hours(30 * 24),
            request_timeout: Duration::from_secs(10),
        }
    }
}

struct Inner {
    role: Role,
    prefix: Prefix,
    pool: PgPool,
    nats: async_nats::Client,
    jetstream: jetstream::Context,
    clock: Arc<dyn Clock>,
    settings: Settings,
    shutdown: CancellationToken,
    sql: Sql,
    metrics: Metrics,
    /// Wakes the relay after a commit.
    committed: Notify,
    /// Cancelled once requests are answered.
    answering: CancellationToken,
}

/// One service's connections; cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

impl Bus {
    pub fn new(
        role: Role,
        prefix: Prefix,
        pool: PgPool,
        nats: async_nats::Client,
        clock: Arc<dyn Clock>,
        settings: Settings,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            jetstream: jetstream::new(nats.clone()),
            sql: Sql::of(role),
            metrics: Metrics::of(role),
            committed: Notify::new(),
            answering: CancellationToken::new(),
            role,
            prefix,
            pool,
            nats,
            clock,
            settings,
            shutdown,
        }))
    }

    pub fn role(&self) -> Role {
        self.0.role
    }

    pub fn prefix(&self) -> &Prefix {
        &self.0.prefix
    }

    pub fn pool(&self) -> &PgPool {
        &self.0.pool
    }

    pub fn nats(&self) -> &async_nats::Client {
        &self.0.nats
    }

    pub fn jetstream(&self) -> &jetstream::Context {
        &self.0.jetstream
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub fn now(&self) -> DateTime<Utc> {
        // Postgres keeps microseconds: a time that is read back must equal the
        // one that was written.
        let now = self.0.clock.now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Cancelled when the service is asked to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Returns once the service's endpoints are there for whoever asks.
    pub async fn answering(&self) {
        self.0.answering.cancelled().await;
    }

    pub(crate) fn is_answering(&self) {
        self.0.answering.cancel();
    }

    pub(crate) fn sql(&self) -> &Sql {
        &self.0.sql
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn committed(&self) -> &Notify {
        &self.0.committed
    }

    /// Begins a business transaction.
    pub async fn begin(&self) -> Result<Tx, Failure> {
        Ok(Tx {
            inner: self.0.pool.begin().await?,
            bus: self.clone(),
            published: false,
        })
    }

    /// A transaction that only reads, and sees one moment however many questions
    /// it asks: what is shown of a thing fits together.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn look(&self) -> Result<Tx, Failure> {
        let begin = "begin isolation level repeatable read read only";
        Ok(Tx {
            inner: self.0.pool.begin_with(begin).await?,
            bus: self.clone(),
            published: false,
        })
    }

    /// Facts in the outbox that the broker does not have yet.
    pub async fn unpublished(&self) -> Result<i64, Failure> {
        let (count, _): (i64, Option<DateTime<Utc>>) =
            sqlx::query_as(AssertSqlSafe(self.sql().unpublished.as_str()))
                .fetch_one(self.pool())
                .await?;
        Ok(count)
    }

    /// Tells open pages that what they show may have changed. May be lost.
    pub async fn notice(&self, topics: &[String]) {
        if topics.is_empty() {
            return;
        }
        let payload = serde_json::json!({ "topics": topics }).to_string();
        let subject = self.prefix().notice(self.role());
        if let Err(error) = self.nats().publish(subject, payload.into()).await {
            tracing::debug!(%error, "a notice to open pages was lost");
        }
    }

    /// Asks another service and waits for its answer.
    ///
    /// # Errors
    /// What the other service refused, or `Unavailable` when nobody answers in
    /// time.
    pub async fn ask<C: Call>(&self, call: &C) -> Result<C::Reply, Refusal> {
        ask(
            &self.0.nats,
            &self.0.prefix.call::<C>(),
            call,
            self.0.settings.request_timeout,
        )
        .await
    }
}

/// One question over `nats`; for those who have no [`Bus`], such as the command
/// line.
///
/// # Errors
/// As [`Bus::ask`].
pub async fn ask<Q: serde::Serialize, R: serde::de::DeserializeOwned>(
    nats: &async_nats::Client,
    subject: &str,
    question: &Q,
    timeout: Duration,
) -> Result<R, Refusal> {
    let payload = serde_json::to_vec(question).map_err(|e| Refusal::from(Failure::from(e)))?;
    let mut headers = async_nats::HeaderMap::new();
    if let Some(parent) = crate::metrics::current_traceparent() {
        headers.insert("traceparent", parent);
    }
    let request = async_nats::Request::new()
        .payload(payload.into())
        .headers(headers)
        .timeout(Some(timeout));
    let reply = nats
        .send_request(subject.to_owned(), request)
        .await
        .map_err(|error| Refusal {
            code: "messaging.no_answer".into(),
            class: RefusalClass::Unavailable,
            detail: format!("nobody answered on `{subject}`: {error}"),
            fields: Vec::new(),
        })?;
    if let Some(refusal) = reply
        .headers
        .as_ref()
        .and_then(|h| h.get(crate::host::REFUSAL))
    {
        return Err(
            serde_json::from_str(refusal.as_str()).unwrap_or_else(|_| Refusal {
                code: "messaging.refused".into(),
                class: RefusalClass::Internal,
                detail: refusal.to_string(),
                fields: Vec::new(),
            }),
        );
    }
    serde_json::from_slice(&reply.payload).map_err(|error| Refusal {
        code: "messaging.answer_malformed".into(),
        class: RefusalClass::Internal,
        detail: format!("the answer on `{subject}` is not what was promised: {error}"),
        fields: Vec::new(),
    })
}

/// A business transaction: effects, claimed ids and outgoing facts commit
/// together or not at all.
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    bus: Bus,
    /// Whether there is something for the relay.
    published: bool,
}

impl Tx {
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Inserts `ids` into the inbox and tells which of them were new.
    pub async fn claim(&mut self, ids: &[Uuid]) -> Result<HashSet<Uuid>, Failure> {
        // Sorted, so that two transactions never wait for one another in a ring.
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let new: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(self.bus.sql().claim.as_str()))
            .bind(&sorted)
            .fetch_all(&mut *self.inner)
            .await?;
        Ok(new.into_iter().collect())
    }

    /// Puts facts into the outbox.
    pub async fn publish(&mut self, events: &[Outgoing]) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        fn column<'e, T>(events: &'e [Outgoing], of: impl Fn(&'e Outgoing) -> T) -> Vec<T> {
            events.iter().map(of).collect()
        }
        sqlx::query(AssertSqlSafe(self.bus.sql().publish.as_str()))
            .bind(column(events, |e| e.event_id))
            .bind(column(events, |e| e.aggregate_id))
            .bind(column(events, |e| e.aggregate_version))
            .bind(column(events, |e| e.subject.as_str()))
            .bind(column(events, |e| e.event_type.as_str()))
            .bind(column(events, |e| e.partition_key.as_str()))
            .bind(column(events, |e| e.correlation_id))
            .bind(column(events, |e| e.causation_id))
            .bind(column(events, |e| e.traceparent.as_str()))
            .bind(column(events, |e| e.payload.as_str()))
            .bind(column(events, |e| e.recorded_at))
            .execute(&mut *self.inner)
            .await?;
        self.published = true;
        Ok(())
    }

    /// Commits, and wakes the relay if it has work now.
    pub async fn commit(self) -> Result<(), Failure> {
        self.inner.commit().await?;
        if self.published {
            self.bus.committed().notify_one();
        }
        Ok(())
    }

    pub(crate) async fn rollback(self) -> Result<(), Failure> {
        Ok(self.inner.rollback().await?)
    }
}
