//! Open sessions.

use chrono::{DateTime, TimeDelta, Utc};
use messaging::Failure;
use sqlx::PgPool;
use uuid::Uuid;

use crate::auth::UserRole;

/// A session that nobody uses for this long is over.
pub(crate) const IDLE: TimeDelta = TimeDelta::hours(2);
/// A session is over after this long, however busy.
pub(crate) const LONGEST: TimeDelta = TimeDelta::hours(12);
/// Use is written down at most this often: a list page makes many requests.
const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(1);

/// Who a session belongs to.
#[derive(Debug, Clone)]
pub(crate) struct SessionUser {
    pub user_id: Uuid,
    pub name: String,
    pub roles: Vec<UserRole>,
}

/// Opens a session under the SHA-256 of its secret.
pub(crate) async fn open(
    pool: &PgPool,
    token_sha256: &[u8],
    user_id: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into gateway.session (token_sha256, user_id, created_at, last_seen_at, expires_at)
         values ($1, $2, $3, $3, $4)",
        token_sha256,
        user_id,
        now,
        now + LONGEST,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whose session it is, if it is open still. `active` tells whether a person
/// did something, or only a page refreshed itself: the latter does not keep a
/// session open.
pub(crate) async fn find(
    pool: &PgPool,
    token_sha256: &[u8],
    now: DateTime<Utc>,
    active: bool,
) -> Result<Option<SessionUser>, Failure> {
    let row = sqlx::query!(
        "select u.user_id, u.name, u.roles, s.last_seen_at
         from gateway.session s join gateway.local_user u using (user_id)
         where s.token_sha256 = $1 and s.expires_at > $2 and s.last_seen_at > $3
           and u.disabled_at is null",
        token_sha256,
        now,
        now - IDLE,
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if active && now - row.last_seen_at >= TOUCH_EVERY {
        sqlx::query!(
            "update gateway.session set last_seen_at = $2 where token_sha256 = $1 and last_seen_at < $2",
            token_sha256,
            now,
        )
        .execute(pool)
        .await?;
    }
    Ok(Some(SessionUser {
        user_id: row.user_id,
        name: row.name,
        roles: UserRole::known(&row.roles),
    }))
}

/// Ends a session.
pub(crate) async fn close(pool: &PgPool, token_sha256: &[u8]) -> Result<(), Failure> {
    sqlx::query!(
        "delete from gateway.session where token_sha256 = $1",
        token_sha256
    )
    .execute(pool)
    .await?;
    Ok(())
}
