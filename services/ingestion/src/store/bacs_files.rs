use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::{
        controls::Fetched,
        direct_debits::{BacsFileContent, BacsFileKind, BacsFileView},
    },
    ingestion::{BacsFileId, MandateId},
};
use kernel::{Currency, Money};
use messaging::{Failure, Tx};
use sqlx::{PgConnection, query};
use uuid::Uuid;

/// A file that is made.
pub(crate) struct Made {
    pub(crate) id: BacsFileId,
    pub(crate) kind: BacsFileKind,
    pub(crate) serial: String,
    pub(crate) processing_on: NaiveDate,
    pub(crate) records: usize,
    pub(crate) total: Money,
    pub(crate) content: String,
    pub(crate) sha256: String,
}

pub(crate) async fn put(
    tx: &mut Tx,
    made: &Made,
    instructions: &[(MandateId, &'static str)],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.bacs_file (file_id, kind, serial, processing_on, records, total, content, sha256,
             made_by, made_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        made.id.as_uuid(),
        made.kind.name(),
        made.serial,
        made.processing_on,
        i32::try_from(made.records).unwrap_or(i32::MAX),
        made.total.amount(),
        made.content,
        made.sha256,
        actor,
        now
    )
    .execute(tx.conn())
    .await?;
    let mandates: Vec<Uuid> = instructions.iter().map(|(id, _)| id.as_uuid()).collect();
    let codes: Vec<String> = instructions.iter().map(|(_, c)| (*c).to_owned()).collect();
    query!(
        "insert into ingestion.bacs_file_instruction (file_id, mandate_id, code)
         select $1, n.* from unnest($2::uuid[], $3::text[]) n",
        made.id.as_uuid(),
        &mandates,
        &codes
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Says that files must not be sent.
pub(crate) async fn void(tx: &mut Tx, files: &[BacsFileId], why: &str) -> Result<(), Failure> {
    let ids: Vec<Uuid> = files.iter().map(|id| id.as_uuid()).collect();
    query!(
        "update ingestion.bacs_file set void = $2 where file_id = any($1) and void is null",
        &ids,
        why
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    id: Option<BacsFileId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<BacsFileView>, Failure> {
    let found = query!(
        "select file_id, kind, serial, processing_on, records, total, sha256, made_by, made_at, void
         from ingestion.bacs_file
         where ($1::uuid is null or file_id = $1)
           and ($2::uuid is null or number < (select b.number from ingestion.bacs_file b where b.file_id = $2))
         order by number desc limit $3",
        id.map(BacsFileId::as_uuid),
        before,
        rows
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.file_id).collect();
    let fetches = query!(
        "select file_id, actor, fetched_at from ingestion.bacs_file_fetch where file_id = any($1)
         order by fetched_at limit 10000",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut fetched: HashMap<Uuid, Vec<Fetched>> = HashMap::new();
    for row in fetches {
        fetched.entry(row.file_id).or_default().push(Fetched {
            actor: row.actor,
            at: row.fetched_at,
        });
    }
    found
        .into_iter()
        .map(|row| {
            Ok(BacsFileView {
                fetched: fetched.remove(&row.file_id).unwrap_or_default(),
                file_id: row.file_id.into(),
                kind: BacsFileKind::named(&row.kind).ok_or_else(|| {
                    Failure::bug("ingestion.stored_kind", "a stored kind is not known")
                })?,
                serial: row.serial,
                processing_on: row.processing_on,
                records: row.records.into(),
                total: Money::try_new(row.total, Currency::GBP).map_err(Failure::of)?,
                sha256: row.sha256,
                made_by: row.made_by,
                made_at: row.made_at,
                void: row.void,
            })
        })
        .collect()
}

/// The bytes, and why they must not be sent; held against others who void it.
pub(crate) async fn content(
    tx: &mut Tx,
    id: BacsFileId,
) -> Result<Option<(BacsFileContent, Option<String>, BacsFileKind)>, Failure> {
    let row = query!(
        "select kind, serial, content, sha256, void from ingestion.bacs_file where file_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let kind = BacsFileKind::named(&row.kind)
            .ok_or_else(|| Failure::bug("ingestion.stored_kind", "a stored kind is not known"))?;
        let content = BacsFileContent {
            file_id: id,
            name: format!("BACS-{}-{}.txt", row.kind.to_uppercase(), row.serial),
            text: row.content,
            sha256: row.sha256,
        };
        Ok((content, row.void, kind))
    })
    .transpose()
}

/// Notes who has a file.
pub(crate) async fn fetched(
    tx: &mut Tx,
    command: Uuid,
    id: BacsFileId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.bacs_file_fetch (command_id, file_id, actor, fetched_at) values ($1, $2, $3, $4)",
        command,
        id.as_uuid(),
        actor,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
