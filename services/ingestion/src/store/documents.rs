use std::collections::BTreeSet;

use messaging::{Failure, Tx};
use sqlx::query;

use super::{column, or_lost_race};
use crate::domain::record::{Known, NewDocument};

/// Rows of one statement: more gain nothing.
const ROWS_MAX: usize = 5_000;

/// Loads what is known of these documents. Without locks: a document never
/// changes.
pub(crate) async fn load_documents(
    tx: &mut Tx,
    refs: BTreeSet<&str>,
    known: &mut Known,
) -> Result<(), Failure> {
    let refs: Vec<String> = refs.into_iter().map(str::to_owned).collect();
    for refs in refs.chunks(ROWS_MAX) {
        let rows = query!(
            "select document_ref, content_hash from ingestion.document where document_ref = any($1)",
            refs
        )
        .fetch_all(tx.conn())
        .await?;
        for row in rows {
            known.know_document(row.document_ref, row.content_hash);
        }
    }
    Ok(())
}

pub(crate) async fn record_documents(tx: &mut Tx, rows: &[NewDocument]) -> Result<(), Failure> {
    let mut sorted: Vec<&NewDocument> = rows.iter().collect();
    sorted.sort_unstable_by(|a, b| a.fact.document_ref.cmp(&b.fact.document_ref));
    for rows in sorted.chunks(ROWS_MAX) {
        query!(
            "insert into ingestion.document (document_id, document_ref, kind, account_id, gross,
                 currency, content_hash, content, source, import_id, message_id, recorded_at)
             select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::numeric[],
                 $6::text[], $7::uuid[], $8::text[], $9::text[], $10::uuid[], $11::uuid[],
                 $12::timestamptz[])",
            &column(rows, |r| r.fact.document_id.as_uuid()),
            &column(rows, |r| r.fact.document_ref.as_str()) as _,
            &column(rows, |r| r.fact.kind.name()) as _,
            &column(rows, |r| r.fact.account_id.as_uuid()),
            &column(rows, |r| r.fact.gross.amount()),
            &column(rows, |r| r.fact.gross.currency().code()) as _,
            &column(rows, |r| r.content_hash),
            &column(rows, |r| r.content.as_str()) as _,
            &column(rows, |r| r.origin.source.as_str()) as _,
            &column(rows, |r| r.origin.import_id.map(kernel::ImportId::as_uuid)) as _,
            &column(rows, |r| r.origin.message_id) as _,
            &column(rows, |r| r.fact.recorded_at),
        )
        .execute(tx.conn())
        .await
        .map_err(or_lost_race)?;
    }
    Ok(())
}
