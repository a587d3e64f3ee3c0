//! Relay: from the outbox to the broker, in commit order.
//!
//! One relay of a service is active at a time (a session lock in Postgres). It
//! reads rows whose transaction is older than every one of the service still
//! running, so that a late commit can never be passed over; publishes a window;
//! and moves its cursor over what the broker has acknowledged without a gap.
//! Rows stay: [`republish`] sends them again after the broker lost some.

use std::time::Duration;

use chrono::{DateTime, Utc};
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
        if let Some((to_tx, to_seq)) = sent.up_to {
            (tx, seq) = (to_tx, to_seq);
            sqlx::query(AssertSqlSafe(bus.sql().advance.as_str()))
                .bind(&tx)
                .bind(seq)
                .execute(&mut *conn)
                .await?;
        }
        if let Some(error) = sent.error {
            return Err(error);
        }
        woken = more
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
    error: Option<Failure>,
}

async fn publish(bus: &Bus, rows: Vec<Row>) -> Sent {
    let mut acks = Vec::with_capacity(rows.len());
    let mut sent = Sent {
        up_to: None,
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
    let mut relayed = 0;
    for (place, ack) in acks {
        match ack.await {
            Ok(_) => {
                relayed += 1;
                sent.up_to = Some(place);
            }
            Err(error) => {
                sent.error = Some(lost(error));
                break;
            }
        }
    }
    bus.metrics().relayed(relayed);
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

/// Sends everything recorded since `since` again: for when the broker lost
/// what it had acknowledged. Readers that have it already ignore it. The
/// running relay takes up the new place when it is next started.
///
/// # Errors
/// When the database cannot be reached.
pub async fn republish(bus: &Bus, since: DateTime<Utc>) -> Result<(), Failure> {
    sqlx::query(AssertSqlSafe(bus.sql().rewind.as_str()))
        .bind(since)
        .execute(bus.pool())
        .await?;
    Ok(())
}
