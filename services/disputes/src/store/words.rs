//! What people say in cases, and its erasure.

use chrono::{DateTime, Utc};
use contracts::disputes::CaseId;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::words::{ERASED, Seal};

/// Words of one line of a case's history.
#[derive(Debug)]
pub(crate) struct Words<'w> {
    pub(crate) text: &'w str,
    pub(crate) nudge: Option<Uuid>,
    pub(crate) evidence: Option<Uuid>,
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    case: CaseId,
    version: i64,
    words: &Words<'_>,
    seal: &Seal,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into disputes.words (case_id, version, nudge_id, evidence_id, sha256, salt, text)
         values ($1, $2, $3, $4, $5, $6, $7)",
        case.as_uuid(),
        version,
        words.nudge,
        words.evidence,
        &seal.sha256[..],
        &seal.salt[..],
        words.text
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Marks what was said to and by a stakeholder, and these lines, to be erased;
/// their links end at once. The cases it is in.
pub(crate) async fn ask(
    conn: &mut PgConnection,
    stakeholder: Option<&str>,
    lines: &[(CaseId, i64)],
    now: DateTime<Utc>,
) -> Result<Vec<CaseId>, Failure> {
    let nudges = sqlx::query!(
        "update disputes.nudge set erase_asked_at = coalesce(erase_asked_at, $2), expires_at = least(expires_at, $2)
         where lower(stakeholder) = lower($1) and erased_at is null returning nudge_id, case_id",
        stakeholder,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = nudges.iter().map(|nudge| nudge.nudge_id).collect();
    let (cases, versions): (Vec<Uuid>, Vec<i64>) = lines
        .iter()
        .map(|(case, version)| (case.as_uuid(), *version))
        .unzip();
    let words = sqlx::query_scalar!(
        "update disputes.words set erase_asked_at = coalesce(erase_asked_at, $4)
         where erased_at is null and (nudge_id = any($1)
           or (case_id, version) in (select * from unnest($2::uuid[], $3::bigint[])))
         returning case_id",
        &ids,
        &cases,
        &versions,
        now
    )
    .fetch_all(conn)
    .await?;
    let mut found: Vec<Uuid> = nudges.into_iter().map(|nudge| nudge.case_id).collect();
    found.extend(words);
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(CaseId::from).collect())
}

/// Closed cases in which something is still to be erased.
pub(crate) async fn due(conn: &mut PgConnection, rows: i64) -> Result<Vec<CaseId>, Failure> {
    let found = sqlx::query_scalar!(
        r#"select d.case_id from disputes.dispute d join (
             select case_id from disputes.words where erase_asked_at is not null and erased_at is null
             union select case_id from disputes.nudge where erase_asked_at is not null and erased_at is null) w
             using (case_id)
           where d.state = 'closed' order by d.case_id limit $1"#,
        rows
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(CaseId::from).collect())
}

/// Erases what is marked in these cases. Their rows, hashes and counts stay.
pub(crate) async fn erase(
    conn: &mut PgConnection,
    cases: &[CaseId],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let ids: Vec<Uuid> = cases.iter().map(|id| id.as_uuid()).collect();
    let papers = sqlx::query_scalar!(
        "update disputes.words set text = null, salt = null, erased_at = $2
         where case_id = any($1) and erase_asked_at is not null and erased_at is null returning evidence_id",
        &ids,
        now
    )
    .fetch_all(&mut *conn)
    .await?;
    let papers: Vec<Uuid> = papers.into_iter().flatten().collect();
    super::evidence::erase(&mut *conn, &papers).await?;
    let nudges = sqlx::query_scalar!(
        "update disputes.nudge set stakeholder = $3, question = $3, erased_at = $2,
           email = case when email is null then null else $3 end
         where case_id = any($1) and erase_asked_at is not null and erased_at is null returning nudge_id",
        &ids,
        now,
        ERASED
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "update disputes.nudge_comment set text = $2 where nudge_id = any($1)",
        &nudges,
        ERASED
    )
    .execute(conn)
    .await?;
    Ok(())
}
