use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use kernel::MatterId;
use messaging::{Failure, Tx};
use sqlx::query;

use super::{column, or_lost_race};
use crate::domain::record::{Known, KnownMatter, MatterRow};

/// Loads matters, locked in the order of their references.
pub(crate) async fn load_matters(
    tx: &mut Tx,
    references: BTreeSet<&str>,
    known: &mut Known,
) -> Result<(), Failure> {
    if references.is_empty() {
        return Ok(());
    }
    let references: Vec<String> = references.into_iter().map(str::to_owned).collect();
    let rows = query!(
        "select matter_ref, matter_id, version, content from ingestion.matter
         where matter_ref = any($1) order by matter_ref for update",
        &references
    )
    .fetch_all(tx.conn())
    .await?;
    for row in rows {
        known.know_matter(
            row.matter_ref,
            KnownMatter {
                matter_id: MatterId::from(row.matter_id),
                version: row.version,
                content: row.content,
            },
        );
    }
    Ok(())
}

/// Writes matters that are new or changed; `rows` are in the order of their
/// references.
pub(crate) async fn record_matters(
    tx: &mut Tx,
    rows: &[MatterRow],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let written = query!(
        "insert into ingestion.matter (matter_id, matter_ref, version, content, first_seen_at, recorded_at)
         select n.*, $5, $5 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[]) n
         on conflict (matter_ref) do update set version = excluded.version, content = excluded.content,
             recorded_at = excluded.recorded_at where matter.matter_id = excluded.matter_id",
        &column(rows, |r| r.matter.matter_id.as_uuid()),
        &column(rows, |r| r.matter_ref.as_str()) as _,
        &column(rows, |r| r.matter.version),
        &column(rows, |r| r.matter.content.as_str()) as _,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    if written.rows_affected() == rows.len() as u64 {
        Ok(())
    } else {
        // Somebody else recorded one of them since it was looked for.
        Err(Failure::conflict(
            "ingestion.lost_race",
            "the same was recorded meanwhile",
        ))
    }
}
