use chrono::{DateTime, Utc};
use contracts::api::ingestion::{ImportProblem, ImportState, ImportView, StatementView};
use kernel::ImportId;
use messaging::{Failure, Tx};
use sqlx::{PgExecutor, PgPool, query, types::Json};
use uuid::Uuid;

use super::{column, or_lost_race, statements};

/// A file that waits to be read, now ours.
#[derive(Debug, Clone)]
pub(crate) struct Claimed {
    pub(crate) import_id: ImportId,
    pub(crate) file_name: String,
    pub(crate) format: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) actor: String,
    pub(crate) sha256: String,
    pub(crate) attempts: i32,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) state: ImportState,
    pub(crate) format: Option<String>,
    pub(crate) entries: i32,
    pub(crate) recorded: i32,
    pub(crate) duplicates: i32,
    pub(crate) problems: Vec<ImportProblem>,
    /// Of a dry run.
    pub(crate) statements: Vec<StatementView>,
}

pub(crate) async fn open(
    db: impl PgExecutor<'_>,
    import_id: ImportId,
    file_name: &str,
    format: Option<&str>,
    dry_run: bool,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.import
             (import_id, file_name, format, dry_run, state, actor, opened_at)
         values ($1, $2, $3, $4, 'uploading', $5, $6)",
        import_id.as_uuid(),
        file_name,
        format,
        dry_run,
        actor,
        now
    )
    .execute(db)
    .await?;
    Ok(())
}

/// An upload, locked.
pub(crate) struct Upload {
    pub(crate) state: ImportState,
    pub(crate) bytes: i64,
    pub(crate) sha256: Option<String>,
}

pub(crate) async fn lock(tx: &mut Tx, import_id: ImportId) -> Result<Option<Upload>, Failure> {
    let row = query!(
        "select state, bytes, sha256 from ingestion.import where import_id = $1 for update",
        import_id.as_uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        Ok(Upload {
            state: state_of(&row.state)?,
            bytes: row.bytes,
            sha256: row.sha256,
        })
    })
    .transpose()
}

/// One piece of the upload, if it is there.
pub(crate) async fn piece(
    tx: &mut Tx,
    import_id: ImportId,
    piece: i32,
) -> Result<Option<Vec<u8>>, Failure> {
    Ok(sqlx::query_scalar!(
        "select bytes from ingestion.import_piece where import_id = $1 and piece = $2",
        import_id.as_uuid(),
        piece
    )
    .fetch_optional(tx.conn())
    .await?)
}

pub(crate) async fn add_piece(
    tx: &mut Tx,
    import_id: ImportId,
    piece: i32,
    bytes: &[u8],
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.import_piece (import_id, piece, bytes) values ($1, $2, $3)",
        import_id.as_uuid(),
        piece,
        bytes
    )
    .execute(tx.conn())
    .await?;
    query!(
        "update ingestion.import set bytes = bytes + $2 where import_id = $1",
        import_id.as_uuid(),
        bytes.len() as i64
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The whole file; `None` when a piece before the last one is missing.
pub(crate) async fn whole_file(
    db: impl PgExecutor<'_>,
    import_id: ImportId,
) -> Result<Option<Vec<u8>>, Failure> {
    let pieces = query!(
        "select piece, bytes from ingestion.import_piece where import_id = $1 order by piece",
        import_id.as_uuid()
    )
    .fetch_all(db)
    .await?;
    let mut file = Vec::with_capacity(pieces.iter().map(|piece| piece.bytes.len()).sum());
    for (expected, row) in (0..).zip(pieces) {
        if row.piece != expected {
            return Ok(None);
        }
        file.extend_from_slice(&row.bytes);
    }
    Ok(Some(file))
}

pub(crate) async fn submit(
    tx: &mut Tx,
    import_id: ImportId,
    sha256: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "update ingestion.import set state = 'queued', sha256 = $2, submitted_at = $3
         where import_id = $1",
        import_id.as_uuid(),
        sha256,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes the oldest file that waits, or whose reader has died.
pub(crate) async fn claim(
    pool: &PgPool,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Option<Claimed>, Failure> {
    let row = query!(
        "update ingestion.import set state = 'reading', lease_until = $2, attempts = attempts + 1
         where import_id = (
             select import_id from ingestion.import
             where state = 'queued' or (state = 'reading' and lease_until < $1)
             order by submitted_at limit 1 for update skip locked)
         returning import_id, file_name, format, dry_run, actor, sha256, attempts",
        now,
        lease_until
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| Claimed {
        import_id: ImportId::from(row.import_id),
        file_name: row.file_name,
        format: row.format,
        dry_run: row.dry_run,
        actor: row.actor,
        sha256: row.sha256.unwrap_or_default(),
        attempts: row.attempts,
    }))
}

/// Tells how far the reading is, and that the reader lives.
pub(crate) async fn progress(
    pool: &PgPool,
    claimed: &Claimed,
    entries: i32,
    recorded: i32,
    lease_until: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "update ingestion.import set entries = $3, recorded = $4, lease_until = $5
         where import_id = $1 and state = 'reading' and attempts = $2",
        claimed.import_id.as_uuid(),
        claimed.attempts,
        entries,
        recorded,
        lease_until
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Puts a file back that could not be read for a reason outside of it.
pub(crate) async fn release(pool: &PgPool, claimed: &Claimed) -> Result<(), Failure> {
    query!(
        "update ingestion.import
         set state = 'queued', lease_until = null, attempts = attempts - 1,
             entries = 0, recorded = 0
         where import_id = $1 and state = 'reading' and attempts = $2",
        claimed.import_id.as_uuid(),
        claimed.attempts
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Writes what became of the file.
///
/// # Errors
/// A conflict when another reader has taken it over, or has recorded the same
/// bytes.
pub(crate) async fn finish(
    db: impl PgExecutor<'_>,
    claimed: &Claimed,
    outcome: &Outcome,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let done = query!(
        "update ingestion.import
         set state = $3, format = coalesce($4, format), entries = $5, recorded = $6,
             duplicates = $7, problems = $8, dry_run_statements = $9, finished_at = $10,
             lease_until = null
         where import_id = $1 and state = 'reading' and attempts = $2",
        claimed.import_id.as_uuid(),
        claimed.attempts,
        name_of(outcome.state),
        outcome.format,
        outcome.entries,
        outcome.recorded,
        outcome.duplicates,
        Json(&outcome.problems) as _,
        Json(&outcome.statements) as _,
        now
    )
    .execute(db)
    .await
    .map_err(or_lost_race)?;
    if done.rows_affected() == 0 {
        return Err(Failure::conflict(
            "ingestion.import_taken_over",
            format!("import {} is no longer ours to finish", claimed.import_id),
        ));
    }
    Ok(())
}

/// So much is found about a file later, at most.
const LATER_MAX: i32 = 200;

/// Adds what was found about a recorded file later.
pub(crate) async fn add_problems(
    tx: &mut Tx,
    import_id: Uuid,
    problems: &[ImportProblem],
) -> Result<(), Failure> {
    query!(
        "update ingestion.import set problems = problems || $2
         where import_id = $1 and jsonb_array_length(problems) < $3",
        import_id,
        Json(problems) as _,
        LATER_MAX
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What recorded files complain of with `code` is said anew, or taken back. What
/// complained of nothing does not begin to.
pub(crate) async fn judge_again(
    tx: &mut Tx,
    imports: &[Uuid],
    code: &str,
    now: Option<&ImportProblem>,
) -> Result<(), Failure> {
    query!(
        "update ingestion.import i set problems = coalesce((
             select jsonb_agg(case when p.problem ->> 'code' = $2 then $3::jsonb else p.problem end order by p.at)
             from jsonb_array_elements(i.problems) with ordinality p(problem, at)
             where p.problem ->> 'code' <> $2 or $3::jsonb is not null), '[]')
         where import_id = any($1) and problems @> jsonb_build_array(jsonb_build_object('code', $2::text))",
        imports,
        code,
        now.map(Json) as _
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many entries the same bytes had when they were recorded, if they were.
pub(crate) async fn recorded_before(
    db: impl PgExecutor<'_>,
    sha256: &str,
) -> Result<Option<i32>, Failure> {
    Ok(sqlx::query_scalar!(
        "select entries from ingestion.import
         where sha256 = $1 and state = 'recorded' and not dry_run",
        sha256
    )
    .fetch_optional(db)
    .await?)
}

pub(crate) async fn view(pool: &PgPool, import_id: ImportId) -> Result<ImportView, Failure> {
    let mut views = views(pool, Some(import_id), None, 1).await?;
    views.pop().ok_or_else(|| missing(import_id))
}

pub(crate) fn missing(import_id: ImportId) -> Failure {
    Failure::not_found(
        "ingestion.no_import",
        format!("there is no import {import_id}"),
    )
}

/// Imports, the newest first: one, or those opened before `after`.
pub(crate) async fn views(
    pool: &PgPool,
    one: Option<ImportId>,
    after: Option<ImportId>,
    limit: i64,
) -> Result<Vec<ImportView>, Failure> {
    let rows = query!(
        r#"select import_id, file_name, format, dry_run, state, bytes, sha256, entries, recorded,
             duplicates, problems as "problems: Json<Vec<ImportProblem>>",
             dry_run_statements as "dry_run_statements: Json<Vec<StatementView>>",
             actor, opened_at, finished_at
         from ingestion.import
         where ($1::uuid is null or import_id = $1) and ($2::uuid is null or import_id < $2)
         order by import_id desc limit $3"#,
        one.map(ImportId::as_uuid),
        after.map(ImportId::as_uuid),
        limit
    )
    .fetch_all(pool)
    .await?;
    let mut recorded = statements::of_imports(pool, &column(&rows, |row| row.import_id)).await?;
    let mut reports = super::bacs::of_imports(pool, &column(&rows, |row| row.import_id)).await?;
    rows.into_iter()
        .map(|row| {
            Ok(ImportView {
                report: reports.remove(&row.import_id),
                import_id: ImportId::from(row.import_id),
                file_name: row.file_name,
                format: row.format,
                state: state_of(&row.state)?,
                dry_run: row.dry_run,
                bytes: row.bytes,
                sha256: row.sha256,
                entries: row.entries,
                recorded: row.recorded,
                duplicates: row.duplicates,
                problems: row.problems.0,
                statements: recorded
                    .remove(&row.import_id)
                    .unwrap_or(row.dry_run_statements.0),
                actor: row.actor,
                opened_at: row.opened_at,
                finished_at: row.finished_at,
            })
        })
        .collect()
}

const STATES: [(ImportState, &str); 6] = [
    (ImportState::Uploading, "uploading"),
    (ImportState::Queued, "queued"),
    (ImportState::Reading, "reading"),
    (ImportState::Recorded, "recorded"),
    (ImportState::Refused, "refused"),
    (ImportState::AlreadyKnown, "already_known"),
];

fn state_of(name: &str) -> Result<ImportState, Failure> {
    STATES
        .iter()
        .find(|(_, known)| *known == name)
        .map(|(state, _)| *state)
        .ok_or_else(|| {
            Failure::bug(
                "ingestion.import_state",
                format!("no import state is called {name:?}"),
            )
        })
}

fn name_of(state: ImportState) -> &'static str {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or("refused", |(_, name)| name)
}
