//! Whether the provider of e-mail takes what is handed over.

use chrono::{DateTime, Utc};
use contracts::dunning::ProviderDown;
use messaging::Failure;
use sqlx::PgConnection;

/// Nothing while it answers.
pub(crate) async fn down(conn: &mut PgConnection) -> Result<Option<ProviderDown>, Failure> {
    Ok(sqlx::query_as!(
        ProviderDown,
        "select down_since as since, answer, next_try_at from dunning.provider where channel = 'email'"
    )
    .fetch_optional(conn)
    .await?)
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    down: Option<&ProviderDown>,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let Some(down) = down else {
        sqlx::query!("delete from dunning.provider where channel = 'email'")
            .execute(conn)
            .await?;
        return Ok(());
    };
    sqlx::query!(
        "insert into dunning.provider (channel, down_since, answer, tried_at, next_try_at)
         values ('email', $1, $2, $3, $4)
         on conflict (channel) do update set answer = excluded.answer, tried_at = excluded.tried_at,
           next_try_at = excluded.next_try_at",
        down.since,
        down.answer,
        now,
        down.next_try_at
    )
    .execute(conn)
    .await?;
    Ok(())
}
