//! What dunning knows of an account's debts, for whoever takes them over.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

/// A document with what it was billed at.
pub(crate) struct Billed {
    pub(crate) document_id: Uuid,
    pub(crate) document_ref: String,
    pub(crate) matter_ref: Option<String>,
    pub(crate) issued_on: NaiveDate,
    pub(crate) due_on: NaiveDate,
    pub(crate) currency: String,
    pub(crate) gross: Decimal,
    pub(crate) open: Decimal,
}

fn uuids(ids: &[DocumentId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

pub(crate) async fn billed(
    conn: &mut PgConnection,
    documents: &[DocumentId],
) -> Result<Vec<Billed>, Failure> {
    Ok(sqlx::query_as!(
        Billed,
        r#"select document_id, document_ref as "document_ref!", matter_ref, issued_on as "issued_on!", due_on as "due_on!",
             currency, gross as "gross!", open as "open!"
           from dunning.item where document_id = any($1) and document_ref is not null and gross is not null
           order by due_on, document_id"#,
        &uuids(documents)
    )
    .fetch_all(conn)
    .await?)
}

/// What moved on a document: the line of the ledger is its evidence.
pub(crate) struct Moved {
    pub(crate) document_id: Uuid,
    pub(crate) line_id: Uuid,
    pub(crate) receipt_id: Option<Uuid>,
    pub(crate) kind: String,
    pub(crate) effective_on: NaiveDate,
    pub(crate) amount: Decimal,
    pub(crate) recorded_at: DateTime<Utc>,
}

pub(crate) async fn moved(
    conn: &mut PgConnection,
    documents: &[DocumentId],
) -> Result<Vec<Moved>, Failure> {
    Ok(sqlx::query_as!(
        Moved,
        "select document_id, line_id, receipt_id, kind, effective_on, amount, recorded_at from dunning.movement
         where document_id = any($1) order by effective_on, document_id, line_id limit 20000",
        &uuids(documents)
    )
    .fetch_all(conn)
    .await?)
}

/// A contact, and what proves that it was sent.
pub(crate) struct Contacted {
    pub(crate) contact_id: Uuid,
    pub(crate) at: DateTime<Utc>,
    pub(crate) direction: String,
    pub(crate) channel: String,
    pub(crate) state: String,
    pub(crate) stage: Option<String>,
    pub(crate) documents: Vec<String>,
    pub(crate) address: Option<String>,
    pub(crate) provider_reference: Option<String>,
    pub(crate) content_sha256: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) actor: String,
}

pub(crate) async fn contacted(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<Contacted>, Failure> {
    Ok(sqlx::query_as!(
        Contacted,
        r#"select c.contact_id, c.at, c.direction, c.channel, c.state, c.stage,
             coalesce((select array_agg(ci.document_ref order by ci.document_ref) from dunning.contact_item ci
               where ci.contact_id = c.contact_id), '{}') as "documents!",
             c.address, c.provider_reference, c.content_sha256, c.outcome, c.actor
           from dunning.contact c where c.account_id = $1 order by c.at, c.contact_id limit 5000"#,
        account.as_uuid()
    )
    .fetch_all(conn)
    .await?)
}

/// What was sent, byte for byte.
pub(crate) struct Archived {
    pub(crate) sha256: String,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
}

/// Of these, as many as are within a number of bytes, in the order of their
/// hashes.
pub(crate) async fn archived(
    conn: &mut PgConnection,
    hashes: &[String],
    bytes: i64,
) -> Result<Vec<Archived>, Failure> {
    Ok(sqlx::query_as!(
        Archived,
        r#"select sha256, media_type, bytes from (
             select sha256, media_type, bytes, sum(octet_length(bytes)) over (order by sha256) as so_far
             from dunning.archive where sha256 = any($1)) a
           where so_far <= $2 order by sha256"#,
        hashes,
        bytes
    )
    .fetch_all(conn)
    .await?)
}
