//! Templates, as they were written.

use chrono::{DateTime, Utc};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::domain::template::Template;

/// The published ones, the newest version of each of the firm itself.
pub(crate) async fn published(conn: &mut PgConnection) -> Result<Vec<Template>, Failure> {
    let rows = sqlx::query_scalar!(
        "select distinct on (template) body from dunning.template
         where state = 'published' and principal = '' order by template, version desc"
    )
    .fetch_all(conn)
    .await?;
    let read: Result<Vec<Template>, _> = rows.into_iter().map(serde_json::from_value).collect();
    Ok(read?)
}

/// Writes the built-in ones that are not there yet. A version that is there is
/// never written over.
pub(crate) async fn seed(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Failure> {
    for template in Template::shipped().map_err(Failure::of)? {
        let body = serde_json::to_value(&template)?;
        let sha256 = hex::encode(Sha256::digest(body.to_string().as_bytes()));
        sqlx::query!(
            "insert into dunning.template (template, version, state, body, sha256, actor, recorded_at)
             values ($1, $2, 'published', $3, $4, 'system:dunning', $5) on conflict do nothing",
            template.template,
            template.version,
            body,
            sha256,
            now
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Keeps bytes by their hash, which is returned.
pub(crate) async fn archive(
    conn: &mut PgConnection,
    media_type: &str,
    bytes: &[u8],
    now: DateTime<Utc>,
) -> Result<String, Failure> {
    let sha256 = hex::encode(Sha256::digest(bytes));
    sqlx::query!(
        "insert into dunning.archive (sha256, media_type, bytes, recorded_at) values ($1, $2, $3, $4)
         on conflict do nothing",
        sha256,
        media_type,
        bytes,
        now
    )
    .execute(conn)
    .await?;
    Ok(sha256)
}
