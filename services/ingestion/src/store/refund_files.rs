use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::{
    api::controls::{Fetched, RefundFileContent, RefundFileView},
    controls::{RefundFileFormat, RefundFileId, RefundFileOrdered},
};
use kernel::{Currency, Money};
use messaging::{Failure, Tx};
use sqlx::{PgPool, query};
use uuid::Uuid;

/// A file that was made of an order.
pub(crate) struct Made {
    pub(crate) order: RefundFileOrdered,
    pub(crate) content: String,
    pub(crate) sha256: String,
}

/// Those of `ids` that are made already, held against others who make them.
pub(crate) async fn known(tx: &mut Tx, ids: &[RefundFileId]) -> Result<Vec<RefundFileId>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select file_id from ingestion.refund_file where file_id = any($1)",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(RefundFileId::from).collect())
}

pub(crate) async fn put(tx: &mut Tx, made: &Made, now: DateTime<Utc>) -> Result<(), Failure> {
    let order = &made.order;
    query!(
        "insert into ingestion.refund_file (file_id, reference, format, bank_account, execute_on, payments, currency,
             total, content, sha256, ordered_by, made_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        order.file_id.as_uuid(),
        order.reference,
        order.format.name(),
        order.bank_account,
        order.execute_on,
        i32::try_from(order.payments.len()).unwrap_or(i32::MAX),
        order.total.currency().code(),
        order.total.amount(),
        made.content,
        made.sha256,
        order.actor,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(super::or_lost_race)?;
    Ok(())
}

pub(crate) async fn list(
    db: &PgPool,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<RefundFileView>, Failure> {
    let found = query!(
        "select file_id, reference, format, bank_account, execute_on, payments, currency, total, sha256, ordered_by,
             made_at
         from ingestion.refund_file
         where $1::uuid is null
            or number < (select b.number from ingestion.refund_file b where b.file_id = $1)
         order by number desc limit $2",
        before,
        rows
    )
    .fetch_all(db)
    .await?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.file_id).collect();
    let fetches = query!(
        "select file_id, actor, fetched_at from ingestion.refund_file_fetch where file_id = any($1)
         order by fetched_at limit 10000",
        &ids
    )
    .fetch_all(db)
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
            let currency = Currency::parse(&row.currency).map_err(Failure::of)?;
            Ok(RefundFileView {
                fetched: fetched.remove(&row.file_id).unwrap_or_default(),
                file_id: row.file_id.into(),
                reference: row.reference,
                format: RefundFileFormat::named(&row.format).ok_or_else(|| {
                    Failure::bug("ingestion.stored_format", "a stored format is not known")
                })?,
                bank_account: row.bank_account,
                execute_on: row.execute_on,
                payments: row.payments.into(),
                total: Money::try_new(row.total, currency).map_err(Failure::of)?,
                sha256: row.sha256,
                ordered_by: row.ordered_by,
                made_at: row.made_at,
            })
        })
        .collect()
}

pub(crate) async fn content(
    tx: &mut Tx,
    id: RefundFileId,
) -> Result<Option<RefundFileContent>, Failure> {
    let row = query!(
        "select reference, format, content, sha256 from ingestion.refund_file where file_id = $1",
        id.as_uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| RefundFileContent {
        file_id: id,
        name: match RefundFileFormat::named(&row.format) {
            Some(RefundFileFormat::Std18) => format!("{}.txt", row.reference),
            _ => format!("{}.xml", row.reference),
        },
        text: row.content,
        sha256: row.sha256,
    }))
}

/// Notes who has a file.
pub(crate) async fn fetched(
    tx: &mut Tx,
    command: Uuid,
    id: RefundFileId,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.refund_file_fetch (command_id, file_id, actor, fetched_at) values ($1, $2, $3, $4)",
        command,
        id.as_uuid(),
        actor,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
