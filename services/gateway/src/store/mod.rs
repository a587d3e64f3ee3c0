//! The only SQL of the gateway: who may come in, who is in, and which commands
//! were already given.

pub(crate) mod idempotency;
pub(crate) mod sessions;
pub(crate) mod users;

use chrono::{DateTime, TimeDelta, Utc};
use messaging::Failure;
use sqlx::PgPool;

/// Rows of one kind that one pass of the clean-up deletes, so that a pass never
/// holds its locks for long.
const EXPIRE_BATCH: i64 = 1000;

/// Forgets what is over: expired sessions, failed sign-ins that no longer
/// delay anybody, and answers that no client asks for again. Returns how many
/// rows went.
///
/// # Errors
/// When the database does.
pub(crate) async fn expire(pool: &PgPool, now: DateTime<Utc>) -> Result<u64, Failure> {
    let sessions = sqlx::query!(
        "delete from gateway.session where token_sha256 in (
            select token_sha256 from gateway.session
            where expires_at <= $1 or last_seen_at <= $2 limit $3)",
        now,
        now - sessions::IDLE,
        EXPIRE_BATCH,
    )
    .execute(pool)
    .await?;
    let failures = sqlx::query!(
        "delete from gateway.sign_in_failure where subject in (
            select subject from gateway.sign_in_failure where last_at <= $1 limit $2)",
        now - crate::auth::throttle::FORGET_AFTER,
        EXPIRE_BATCH,
    )
    .execute(pool)
    .await?;
    let answers = sqlx::query!(
        "delete from gateway.idempotency where (caller, route, key) in (
            select caller, route, key from gateway.idempotency where started_at <= $1 limit $2)",
        now - TimeDelta::hours(idempotency::KEPT_HOURS),
        EXPIRE_BATCH,
    )
    .execute(pool)
    .await?;
    Ok(sessions.rows_affected() + failures.rows_affected() + answers.rows_affected())
}
