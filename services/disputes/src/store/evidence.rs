//! Evidence: what proves something in a case, and the files that are kept.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::{EvidenceView, KeptFile},
    disputes::CaseId,
};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::words::ERASED;

/// A paper, as it is noted.
#[derive(Debug)]
pub(crate) struct Paper<'p> {
    pub(crate) label: &'p str,
    pub(crate) reference: Option<&'p str>,
    pub(crate) sha256: Option<&'p str>,
    pub(crate) file: Option<File<'p>>,
}

/// A file to be kept; its hash is the paper's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct File<'f> {
    pub(crate) name: &'f str,
    pub(crate) media_type: &'f str,
    pub(crate) bytes: &'f [u8],
}

/// A file that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) media_type: String,
    pub(crate) sha256: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    id: Uuid,
    case: CaseId,
    paper: &Paper<'_>,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let kept = paper.file.and(paper.sha256);
    if let (Some(sha256), Some(file)) = (kept, paper.file) {
        sqlx::query!(
            "insert into disputes.file (sha256, media_type, bytes, recorded_at) values ($1, $2, $3, $4)
             on conflict do nothing",
            sha256,
            file.media_type,
            file.bytes,
            now
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!(
        "insert into disputes.evidence (evidence_id, case_id, label, reference, sha256, file_name, file_sha256,
           added_by, added_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id,
        case.as_uuid(),
        paper.label,
        paper.reference,
        paper.sha256,
        paper.file.map(|file| file.name),
        kept,
        actor,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many files a case has.
pub(crate) async fn files(conn: &mut PgConnection, case: CaseId) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select count(*) as "count!" from disputes.evidence where case_id = $1 and file_sha256 is not null"#,
        case.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}

pub(crate) async fn fetch(
    conn: &mut PgConnection,
    case: CaseId,
    id: Uuid,
) -> Result<Option<Kept>, Failure> {
    Ok(sqlx::query_as!(
        Kept,
        r#"select coalesce(e.file_name, '') as "name!", f.media_type, f.sha256, f.bytes
           from disputes.evidence e join disputes.file f on f.sha256 = e.file_sha256
           where e.case_id = $1 and e.evidence_id = $2"#,
        case.as_uuid(),
        id
    )
    .fetch_optional(conn)
    .await?)
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    case: CaseId,
) -> Result<Vec<EvidenceView>, Failure> {
    let rows = sqlx::query!(
        r#"select e.evidence_id, e.label, e.reference, e.sha256, e.added_by, e.added_at, e.file_name,
             f.media_type as "media_type?", octet_length(f.bytes) as "bytes?"
           from disputes.evidence e left join disputes.file f on f.sha256 = e.file_sha256
           where e.case_id = $1 order by e.added_at limit 500"#,
        case.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| EvidenceView {
            label: row.label,
            reference: row.reference,
            sha256: row.sha256,
            by: row.added_by,
            at: row.added_at,
            evidence_id: Some(row.evidence_id),
            file: row
                .media_type
                .zip(row.bytes)
                .map(|(media_type, bytes)| KeptFile {
                    name: row.file_name.unwrap_or_default(),
                    media_type,
                    bytes,
                }),
        })
        .collect())
}

/// Takes out what a paper says and the file itself, unless another case keeps the
/// same one. The hash stays.
pub(crate) async fn erase(conn: &mut PgConnection, papers: &[Uuid]) -> Result<(), Failure> {
    let files = sqlx::query_scalar!(
        r#"select file_sha256 as "sha256!" from disputes.evidence
           where evidence_id = any($1) and file_sha256 is not null"#,
        papers
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "update disputes.evidence set label = $2, reference = null, file_name = null, file_sha256 = null
         where evidence_id = any($1)",
        papers,
        ERASED
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from disputes.file f where f.sha256 = any($1)
           and not exists (select from disputes.evidence e where e.file_sha256 = f.sha256)",
        &files
    )
    .execute(conn)
    .await?;
    Ok(())
}
