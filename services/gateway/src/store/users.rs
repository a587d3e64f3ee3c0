//! Local users and their failed sign-ins.

use chrono::{DateTime, Utc};
use messaging::Failure;
use sqlx::PgPool;
use uuid::Uuid;

use crate::auth::UserRole;

/// A user as the database has it.
#[derive(Debug, Clone)]
pub(crate) struct LocalUser {
    pub user_id: Uuid,
    pub name: String,
    /// A PHC string.
    pub password_hash: String,
    pub roles: Vec<UserRole>,
}

/// The user of that name who is not disabled.
pub(crate) async fn find(pool: &PgPool, name: &str) -> Result<Option<LocalUser>, Failure> {
    let row = sqlx::query!(
        "select user_id, name, password_hash, roles
         from gateway.local_user where name = $1 and disabled_at is null",
        name,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| LocalUser {
        user_id: row.user_id,
        name: row.name,
        password_hash: row.password_hash,
        roles: UserRole::known(&row.roles),
    }))
}

/// Whether there is a demo user of that name, disabled or not.
pub(crate) async fn demo_exists(pool: &PgPool, name: &str) -> Result<bool, Failure> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from gateway.local_user where name = $1 and demo) as "found!""#,
        name,
    )
    .fetch_one(pool)
    .await?;
    Ok(found)
}

/// Inserts a user; `false` when the name is taken.
pub(crate) async fn insert(
    pool: &PgPool,
    user: &LocalUser,
    demo: bool,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let roles: Vec<String> = user
        .roles
        .iter()
        .map(|role| role.name().to_owned())
        .collect();
    let done = sqlx::query!(
        "insert into gateway.local_user (user_id, name, password_hash, roles, demo, created_at)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (name) do nothing",
        user.user_id,
        user.name,
        user.password_hash,
        &roles,
        demo,
        now,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets the demo users in.
pub(crate) async fn enable_demo(pool: &PgPool) -> Result<(), Failure> {
    sqlx::query!(
        "update gateway.local_user set disabled_at = null where demo and disabled_at is not null"
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Keeps the demo users out, and ends their sessions.
pub(crate) async fn disable_demo(pool: &PgPool, now: DateTime<Utc>) -> Result<(), Failure> {
    sqlx::query!(
        "update gateway.local_user set disabled_at = $1 where demo and disabled_at is null",
        now
    )
    .execute(pool)
    .await?;
    sqlx::query!("delete from gateway.session where user_id in (select user_id from gateway.local_user where demo)")
        .execute(pool)
        .await?;
    Ok(())
}

/// Failed sign-ins of each subject that has any.
pub(crate) async fn failures(
    pool: &PgPool,
    subjects: &[String],
) -> Result<Vec<(String, i32, DateTime<Utc>)>, Failure> {
    let rows = sqlx::query!(
        "select subject, failures, last_at from gateway.sign_in_failure where subject = any($1)",
        subjects,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.subject, row.failures, row.last_at))
        .collect())
}

/// Counts one more failure for each subject.
pub(crate) async fn count_failure(
    pool: &PgPool,
    subjects: &[String],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into gateway.sign_in_failure as f (subject, failures, last_at)
         select subject, 1, $2 from unnest($1::text[]) as subject order by subject
         on conflict (subject) do update set
             failures = least(f.failures + 1, 1000), last_at = excluded.last_at",
        subjects,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets the failures of one subject.
pub(crate) async fn forget_failures(pool: &PgPool, subject: &str) -> Result<(), Failure> {
    sqlx::query!(
        "delete from gateway.sign_in_failure where subject = $1",
        subject
    )
    .execute(pool)
    .await?;
    Ok(())
}
