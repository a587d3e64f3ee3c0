//! Versions of templates and policies on their way, and what is published.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::{EditionKind, EditionState},
    controls::ApprovalId,
};
use messaging::Failure;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::known;
use crate::domain::edition::Edition;

/// Versions of one name that are listed.
const VERSIONS_MAX: i64 = 200;
/// Versions of all names that are listed.
const ALL_MAX: i64 = 5000;

struct Row {
    edition_id: Uuid,
    kind: String,
    name: String,
    version: i32,
    state: String,
    title: String,
    valid_from: NaiveDate,
    body: serde_json::Value,
    source: String,
    sha256: String,
    drafted_by: String,
    drafted_at: DateTime<Utc>,
    reason: String,
    approval_id: Option<Uuid>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    decision: Option<String>,
}

fn edition(row: Row) -> Result<Edition, Failure> {
    Ok(Edition {
        id: row.edition_id,
        kind: known(EditionKind::named(&row.kind), &row.kind)?,
        name: row.name,
        version: row.version,
        state: known(EditionState::named(&row.state), &row.state)?,
        title: row.title,
        valid_from: row.valid_from,
        body: row.body,
        source: row.source,
        sha256: row.sha256,
        drafted_by: row.drafted_by,
        drafted_at: row.drafted_at,
        reason: row.reason,
        approval: row.approval_id.map(Into::into),
        decided_by: row.decided_by,
        decided_at: row.decided_at,
        decision: row.decision,
    })
}

/// The hash of an edition's words.
pub(crate) fn sha256(body: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(body.to_string().as_bytes()))
}

/// Writes a new edition; one of this version that is there stays.
pub(crate) async fn insert(conn: &mut PgConnection, one: &Edition) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "insert into dunning.edition (edition_id, kind, name, version, state, title, valid_from, body, source, sha256,
           drafted_by, drafted_at, reason, approval_id, decided_by, decided_at, decision)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) on conflict do nothing",
        one.id,
        one.kind.name(),
        one.name,
        one.version,
        one.state.name(),
        one.title,
        one.valid_from,
        one.body,
        one.source,
        one.sha256,
        one.drafted_by,
        one.drafted_at,
        one.reason,
        one.approval.map(ApprovalId::as_uuid),
        one.decided_by,
        one.decided_at,
        one.decision
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Writes what became of an edition: its words stay as they were.
pub(crate) async fn update(conn: &mut PgConnection, one: &Edition) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.edition set state = $2, valid_from = $3, approval_id = $4, decided_by = $5, decided_at = $6,
           decision = $7 where edition_id = $1",
        one.id,
        one.state.name(),
        one.valid_from,
        one.approval.map(ApprovalId::as_uuid),
        one.decided_by,
        one.decided_at,
        one.decision
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what the program comes with, unless a person's version has its number.
pub(crate) async fn seed(
    conn: &mut PgConnection,
    one: &Edition,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if insert(&mut *conn, one).await? {
        publish(conn, one, now).await?;
    }
    Ok(())
}

/// All versions of a name, the newest first. Nobody else drafts or steps one
/// meanwhile when they are locked.
pub(crate) async fn of(
    conn: &mut PgConnection,
    kind: EditionKind,
    name: &str,
    lock: bool,
) -> Result<Vec<Edition>, Failure> {
    if lock {
        sqlx::query!("lock table dunning.edition in share row exclusive mode")
            .execute(&mut *conn)
            .await?;
    }
    let rows = sqlx::query_as!(
        Row,
        "select edition_id, kind, name, version, state, title, valid_from, body, source, sha256, drafted_by, drafted_at,
           reason, approval_id, decided_by, decided_at, decision
         from dunning.edition where kind = $1 and name = $2 order by version desc limit $3",
        kind.name(),
        name,
        VERSIONS_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(edition).collect()
}

/// All versions of all names of a kind: by name, the newest first.
pub(crate) async fn all(
    conn: &mut PgConnection,
    kind: EditionKind,
) -> Result<Vec<Edition>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select edition_id, kind, name, version, state, title, valid_from, body, source, sha256, drafted_by, drafted_at,
           reason, approval_id, decided_by, decided_at, decision
         from dunning.edition where kind = $1 order by name, version desc limit $2",
        kind.name(),
        ALL_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(edition).collect()
}

/// Some; locked.
pub(crate) async fn lock(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Edition>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select edition_id, kind, name, version, state, title, valid_from, body, source, sha256, drafted_by, drafted_at,
           reason, approval_id, decided_by, decided_at, decision
         from dunning.edition where edition_id = any($1) order by edition_id for update",
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(edition).collect()
}

/// Work takes it up from its day on.
pub(crate) async fn publish(
    conn: &mut PgConnection,
    one: &Edition,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let actor = one.decided_by.as_deref().unwrap_or(&one.drafted_by);
    match one.kind {
        EditionKind::Template => {
            sqlx::query!(
                "insert into dunning.template (template, version, state, body, sha256, actor, recorded_at, valid_from)
                 values ($1, $2, 'published', $3, $4, $5, $6, $7) on conflict do nothing",
                one.name,
                one.version,
                one.body,
                one.sha256,
                actor,
                now,
                one.valid_from
            )
            .execute(conn)
            .await?;
        }
        EditionKind::Policy => {
            let mut body = one.body.clone();
            if let Some(fields) = body.as_object_mut() {
                fields.insert(
                    "valid_from".to_owned(),
                    serde_json::to_value(one.valid_from)?,
                );
            }
            sqlx::query!(
                "insert into dunning.policy (policy, version, valid_from, state, body, sha256, actor, recorded_at)
                 values ($1, $2, $3, 'published', $4, $5, $6, $7) on conflict do nothing",
                one.name,
                one.version,
                one.valid_from,
                body,
                one.sha256,
                actor,
                now
            )
            .execute(conn)
            .await?;
        }
        // Its file is in the archive, and work looks at its edition itself.
        EditionKind::Enclosure => {}
    }
    Ok(())
}
