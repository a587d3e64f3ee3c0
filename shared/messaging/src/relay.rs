//! Relay: from the outbox to the broker, in commit order.
//!
//! One relay of a service is active at a time (a session lock in Postgres). It
//! reads rows whose transaction is older than every one of the service still
//! running, so that a late commit can never be passed over; publishes a window;
//! and moves its cursor over what the broker has acknowledged without a gap.
//! Rows stay: [`republish`] publishes them again after the broker lost some.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::api::outbox::{Republish, Republished};
use futures::FutureExt as _;
use kernel::Classified;
use sqlx::{AssertSqlSafe, Connection, FromRow, PgConnection};
use uuid::Uuid;

use crate::{Bus, Failure, Outgoing};

/// What this replica commits wakes its relay at once; what another one commits
/// is found by looking. After finding some so, the relay looks again this soon,
/// and then ever less often.
const LOOK_SOON: Duration = Duration::from_millis(50);
const LOOK_LATE: Duration = Duration::from_secs(1);
const TROUBLE: Duration = Duration::from_millis(500);

#[derive(FromRow)]
struct Row {
    tx: String,
    seq: i64,
    event_id: Uuid,
    aggregate_id: Uuid,
    aggregate_version: i64,
    subject: String,
    event_type: String,
    partition_key: String,
    correlation_id: Uuid,
    causation_id: Uuid,
    traceparent: String,
    payload: String,
    recorded_at: DateTime<Utc>,
}

/// Relays until shutdown, then once more for what was committed last.
pub(crate) async fn run(bus: Bus) -> Result<(), Failure> {
    while !bus.shutdown().is_cancelled() {
        if let Err(error) = relay(&bus).await {
            tracing::warn!(
                code = error.code(),
                "the relay starts again: {}",
                error.chain()
            );
            tokio::select! {
                () = bus.shutdown().cancelled() => {}
                () = tokio::time::sleep(TROUBLE) => {}
            }
        }
    }
    Ok(())
}

async fn relay(bus: &Bus) -> Result<(), Failure> {
    // A connection of its own: the lock lives and dies with it.
    let mut conn = bus.pool().acquire().await?.detach();
    let done = relay_on(bus, &mut conn).await;
    // A connection that is broken cannot be closed politely.
    let _ = conn.close().await;
    done
}

async fn relay_on(bus: &Bus, conn: &mut PgConnection) -> Result<(), Failure> {
    loop {
        let (mine,): (bool,) = sqlx::query_as(
            "select pg_try_advisory_lock(hashtext('counterfoil relay'), hashtext($1))",
        )
        .bind(bus.role().name())
        .fetch_one(&mut *conn)
        .await?;
        if mine {
            break;
        }
        tokio::select! {
            () = bus.shutdown().cancelled() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
    // Losing the last step of the cursor costs a few duplicates, which the
    // readers' inboxes absorb; waiting for the disk at each window costs more.
    sqlx::query("set synchronous_commit = off")
        .execute(&mut *conn)
        .await?;
    let (mut tx, mut seq): (String, i64) = sqlx::query_as(AssertSqlSafe(bus.sql().cursor.as_str()))
        .fetch_one(&mut *conn)
        .await?;
    let mut wait = LOOK_SOON;
    let mut woken = true;
    // Facts that the broker has and the cursor does not tell of yet.
    let mut ahead = 0;
    loop {
        let ending = bus.shutdown().is_cancelled();
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(bus.sql().unsent.as_str()))
            .bind(&tx)
            .bind(seq)
            .bind(bus.settings().relay_window as i32)
            .fetch_all(&mut *conn)
            .await?;
        if rows.is_empty() && ending {
            return Ok(());
        }
        if !woken {
            wait = if rows.is_empty() {
                (wait * 2).min(LOOK_LATE)
            } else {
                LOOK_SOON
            };
        }
        let more = rows.len() >= bus.settings().relay_window;
        let sent = publish(bus, rows).await;
        if let Some(place) = sent.up_to {
            (tx, seq) = place;
            ahead += sent.relayed;
        }
        // What was committed meanwhile goes first: the cursor may trail by a
        // window, which after a crash costs as many duplicates.
        let next = sent.error.is_none() && bus.committed().notified().now_or_never().is_some();
        if ahead > 0 && (!next || ahead >= bus.settings().relay_window) {
            sqlx::query(AssertSqlSafe(bus.sql().advance.as_str()))
                .bind(&tx)
                .bind(seq)
                .execute(&mut *conn)
                .await?;
            ahead = 0;
        }
        if let Some(error) = sent.error {
            return Err(error);
        }
        woken = more
            || next
            || tokio::select! {
                () = bus.shutdown().cancelled() => true,
                () = bus.committed().notified() => true,
                () = tokio::time::sleep(wait) => false,
            };
    }
}

struct Sent {
    /// The last row that the broker has, without a gap before it.
    up_to: Option<(String, i64)>,
    relayed: usize,
    /// Those of them that the stream had already.
    duplicates: usize,
    error: Option<Failure>,
}

async fn publish(bus: &Bus, rows: Vec<Row>) -> Sent {
    let mut acks = Vec::with_capacity(rows.len());
    let mut sent = Sent {
        up_to: None,
        relayed: 0,
        duplicates: 0,
        error: None,
    };
    let lost = |error: async_nats::jetstream::context::PublishError| {
        Failure::transient("messaging.publish", "the broker did not take a fact").caused_by(error)
    };
    for row in rows {
        let place = (row.tx, row.seq);
        let event = Outgoing {
            event_id: row.event_id,
            aggregate_id: row.aggregate_id,
            aggregate_version: row.aggregate_version,
            subject: row.subject,
            event_type: row.event_type,
            partition_key: row.partition_key,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            traceparent: row.traceparent,
            payload: row.payload,
            recorded_at: row.recorded_at,
        };
        let headers = event.headers();
        match bus
            .jetstream()
            .publish_with_headers(event.subject, headers, event.payload.into())
            .await
        {
            Ok(ack) => acks.push((place, ack)),
            Err(error) => {
                sent.error = Some(lost(error));
                break;
            }
        }
    }
    for (place, ack) in acks {
        match ack.await {
            Ok(ack) => {
                sent.relayed += 1;
                sent.duplicates += usize::from(ack.duplicate);
                sent.up_to = Some(place);
            }
            Err(error) => {
                sent.error = Some(lost(error));
                break;
            }
        }
    }
    bus.metrics().relayed(sent.relayed);
    sent
}

/// Notes how far behind the relay is.
pub(crate) async fn observe(bus: &Bus) -> Result<(), Failure> {
    let (rows, oldest): (i64, Option<DateTime<Utc>>) =
        sqlx::query_as(AssertSqlSafe(bus.sql().unpublished.as_str()))
            .fetch_one(bus.pool())
            .await?;
    let age = oldest.map_or(0.0, |at| (bus.now() - at).as_seconds_f64().max(0.0));
    bus.metrics().outbox(rows.max(0) as u64, age);
    Ok(())
}

/// Facts that one request publishes again, at most.
const REPUBLISH_MAX: usize = 20_000;

/// Publishes facts again that the broker has had: for when it lost some. Readers
/// that have one ignore it. The cursor stays where it is, and what it has not
/// reached is the running relay's.
pub(crate) async fn republish(ask: Republish, bus: Bus) -> Result<Republished, Failure> {
    let bad = || Failure::permanent("messaging.bad_cursor", "the cursor is not one of ours");
    let (mut tx, mut seq) = match &ask.after {
        None => ("0".to_owned(), 0),
        Some(after) => {
            let (tx, seq) = after.split_once(':').ok_or_else(bad)?;
            let tx: u64 = tx.parse().map_err(|e| bad().caused_by(e))?;
            let seq: i64 = seq.parse().map_err(|e| bad().caused_by(e))?;
            (tx.to_string(), seq)
        }
    };
    let mut done = Republished {
        facts: 0,
        duplicates: 0,
        next: None,
    };
    while done.facts < REPUBLISH_MAX as u64 {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(bus.sql().sent.as_str()))
            .bind(&tx)
            .bind(seq)
            .bind(ask.from)
            .bind(ask.to)
            .bind(bus.settings().relay_window as i64)
            .fetch_all(bus.pool())
            .await?;
        if rows.is_empty() {
            return Ok(done);
        }
        let sent = publish(&bus, rows).await;
        if let Some(error) = sent.error {
            return Err(error);
        }
        done.facts += sent.relayed as u64;
        done.duplicates += sent.duplicates as u64;
        let Some(place) = sent.up_to else {
            return Ok(done);
        };
        (tx, seq) = place;
    }
    done.next = Some(format!("{tx}:{seq}"));
    Ok(done)
}
