//! Links for people without an account.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::{NudgeComment, NudgeMail},
    disputes::CaseId,
};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

/// A nudge, found by its link.
pub(crate) struct Nudge {
    pub(crate) id: Uuid,
    pub(crate) case: CaseId,
    pub(crate) stakeholder: String,
    pub(crate) question: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) asked_by: String,
    pub(crate) asked_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    /// Where it is sent, and what became of that.
    pub(crate) mail: Option<(String, NudgeMail)>,
}

pub(crate) async fn put(conn: &mut PgConnection, nudge: &Nudge) -> Result<(), Failure> {
    sqlx::query!(
        "insert into disputes.nudge (nudge_id, case_id, stakeholder, question, secret_sha256, asked_by, asked_at,
           expires_at, email, mail_state) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        nudge.id,
        nudge.case.as_uuid(),
        nudge.stakeholder,
        nudge.question,
        nudge.hash,
        nudge.asked_by,
        nudge.asked_at,
        nudge.expires_at,
        nudge.mail.as_ref().map(|(email, _)| email.as_str()),
        nudge.mail.as_ref().map(|(_, state)| state.name())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The nudge of this id, as it is; the caller compares the hash.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid) -> Result<Option<Nudge>, Failure> {
    let row = sqlx::query!(
        "select nudge_id, case_id, stakeholder, question, secret_sha256, asked_by, asked_at, expires_at, email,
           mail_state
         from disputes.nudge where nudge_id = $1",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Nudge {
        id: row.nudge_id,
        case: row.case_id.into(),
        stakeholder: row.stakeholder,
        question: row.question,
        hash: row.secret_sha256,
        asked_by: row.asked_by,
        asked_at: row.asked_at,
        expires_at: row.expires_at,
        mail: row
            .email
            .zip(row.mail_state.as_deref().and_then(NudgeMail::named)),
    }))
}

/// What became of an e-mail that was being handed over; once.
pub(crate) async fn mark(
    conn: &mut PgConnection,
    id: Uuid,
    state: NudgeMail,
) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "update disputes.nudge set mail_state = $2 where nudge_id = $1 and mail_state = 'sending'",
        id,
        state.name()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What was claimed before this moment and never marked: whoever handed it over
/// is gone.
pub(crate) async fn lost(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    rows: i64,
) -> Result<Vec<(Uuid, CaseId)>, Failure> {
    let found = sqlx::query!(
        "select nudge_id, case_id from disputes.nudge where mail_state = 'sending' and asked_at < $1
         order by asked_at limit $2",
        before,
        rows
    )
    .fetch_all(conn)
    .await?;
    Ok(found
        .into_iter()
        .map(|row| (row.nudge_id, row.case_id.into()))
        .collect())
}

/// Comments by one link follow one another: the count is raised under its lock.
pub(crate) async fn count(
    conn: &mut PgConnection,
    id: Uuid,
    most: i32,
    not_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "update disputes.nudge set comments = comments + 1, commented_at = $4
         where nudge_id = $1 and comments < $2 and (commented_at is null or commented_at <= $3)",
        id,
        most,
        not_since,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn comment(
    conn: &mut PgConnection,
    id: Uuid,
    text: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into disputes.nudge_comment (nudge_id, at, text) values ($1, $2, $3)",
        id,
        now,
        text
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn comments(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Vec<NudgeComment>, Failure> {
    Ok(sqlx::query_as!(
        NudgeComment,
        "select at, text from disputes.nudge_comment where nudge_id = $1 order by at",
        id
    )
    .fetch_all(conn)
    .await?)
}
