//! Commands that were given before, and what was answered.

use chrono::{DateTime, TimeDelta, Utc};
use messaging::Failure;
use sqlx::PgPool;
use uuid::Uuid;

/// How long an answer is kept for a client that asks again.
pub(crate) const KEPT_HOURS: i64 = 24;
/// A command still without an answer after this long was cut off: it may be
/// given again, since its command id is the same and moves the money once.
const CUT_OFF: TimeDelta = TimeDelta::minutes(2);

/// What identifies a command, and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command<'c> {
    pub caller: Uuid,
    pub route: &'c str,
    pub key: &'c str,
    /// Of everything that the client sent: another payload is another command.
    pub request_sha256: &'c [u8],
}

/// Where a command stands when a client gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Nobody gave it before: give it, then [`finish`], [`release`] or
    /// [`abandon`] it.
    New,
    /// It is under way.
    InFlight,
    /// The key was used with another payload.
    OtherRequest,
    /// It was answered.
    Answered { status: u16, body: Vec<u8> },
}

/// Takes the key, or tells what became of it.
pub(crate) async fn begin(
    pool: &PgPool,
    command: Command<'_>,
    now: DateTime<Utc>,
) -> Result<Begun, Failure> {
    // One statement decides: two requests at once cannot both be the first.
    let taken = sqlx::query!(
        "insert into gateway.idempotency as i (caller, route, key, request_sha256, started_at)
         values ($1, $2, $3, $4, $5)
         on conflict (caller, route, key) do update
             set started_at = excluded.started_at, released = false
         where i.status is null and (i.released or i.started_at <= $6)
           and i.request_sha256 = excluded.request_sha256",
        command.caller,
        command.route,
        command.key,
        command.request_sha256,
        now,
        now - CUT_OFF,
    )
    .execute(pool)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(Begun::New);
    }
    let row = sqlx::query!(
        "select request_sha256, status, body from gateway.idempotency
         where caller = $1 and route = $2 and key = $3",
        command.caller,
        command.route,
        command.key,
    )
    .fetch_optional(pool)
    .await?;
    Ok(match row {
        Some(row) if row.request_sha256 != command.request_sha256 => Begun::OtherRequest,
        Some(row) => match (row.status, row.body) {
            (Some(status), Some(body)) => Begun::Answered {
                status: u16::try_from(status).unwrap_or(500),
                body,
            },
            _ => Begun::InFlight,
        },
        // Abandoned between the two statements: the client may ask again.
        None => Begun::InFlight,
    })
}

/// Keeps the answer for the next time.
pub(crate) async fn finish(
    pool: &PgPool,
    command: Command<'_>,
    status: u16,
    body: &[u8],
) -> Result<(), Failure> {
    sqlx::query!(
        "update gateway.idempotency set status = $4, body = $5
         where caller = $1 and route = $2 and key = $3 and status is null",
        command.caller,
        command.route,
        command.key,
        i16::try_from(status).unwrap_or(500),
        body,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Nobody knows whether the money moved: only the same request may come again.
pub(crate) async fn release(pool: &PgPool, command: Command<'_>) -> Result<(), Failure> {
    sqlx::query!(
        "update gateway.idempotency set released = true
         where caller = $1 and route = $2 and key = $3 and status is null",
        command.caller,
        command.route,
        command.key,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Gives the key back: the command was refused, nothing moved.
pub(crate) async fn abandon(pool: &PgPool, command: Command<'_>) -> Result<(), Failure> {
    sqlx::query!(
        "delete from gateway.idempotency
         where caller = $1 and route = $2 and key = $3 and status is null",
        command.caller,
        command.route,
        command.key,
    )
    .execute(pool)
    .await?;
    Ok(())
}
