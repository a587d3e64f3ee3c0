//! Policies, as they were written.

use chrono::{DateTime, Utc};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::domain::policy::{Policies, Policy};

const SYSTEM: &str = "system:dunning";

/// Everything that may be in force, or that something runs under.
pub(crate) async fn all(conn: &mut PgConnection) -> Result<Policies, Failure> {
    let rows = sqlx::query_scalar!(
        "select body from dunning.policy where state in ('published', 'retired')"
    )
    .fetch_all(conn)
    .await?;
    let read = |body| serde_json::from_value::<Policy>(body);
    let policies: Result<Vec<Policy>, _> = rows.into_iter().map(read).collect();
    Ok(Policies::new(policies?))
}

/// Writes the built-in examples that are not there yet. A version that is there
/// is never written over.
pub(crate) async fn seed(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Failure> {
    for policy in Policy::shipped().map_err(Failure::of)? {
        let body = serde_json::to_value(&policy)?;
        let sha256 = hex::encode(Sha256::digest(body.to_string().as_bytes()));
        sqlx::query!(
            "insert into dunning.policy (policy, version, valid_from, state, body, sha256, actor, recorded_at)
             values ($1, $2, $3, 'published', $4, $5, $6, $7) on conflict do nothing",
            policy.policy,
            policy.version,
            policy.valid_from,
            body,
            sha256,
            SYSTEM,
            now
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
