//! Payment files of refunds: listed, and given out with a note of who has them.

use contracts::api::{
    Page,
    controls::{FetchRefundFile, ListRefundFiles, RefundFileContent, RefundFileView},
};
use messaging::{Bus, Failure};
use uuid::Uuid;

use crate::store;

pub(crate) async fn list(call: ListRefundFiles, bus: Bus) -> Result<Page<RefundFileView>, Failure> {
    let before = call.page.cursor.as_deref().map(Uuid::parse_str).transpose();
    let before = before.map_err(|error| {
        Failure::permanent("ingestion.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", error.to_string())
    })?;
    let rows = call.page.rows();
    let mut items = store::refund_files::list(bus.pool(), before, rows + 1).await?;
    let more = items.len() as i64 > rows;
    items.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    Ok(Page {
        next_cursor: items
            .last()
            .filter(|_| more)
            .map(|file| file.file_id.to_string()),
        items,
    })
}

pub(crate) async fn fetch(call: FetchRefundFile, bus: Bus) -> Result<RefundFileContent, Failure> {
    super::named("/person/actor", &call.person.actor)?;
    let mut tx = bus.begin().await?;
    let command = call.command_id.as_uuid();
    let new = !tx.claim(&[command]).await?.is_empty();
    let found = store::refund_files::content(&mut tx, call.file_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "ingestion.no_refund_file",
                format!("there is no payment file {}", call.file_id),
            )
        })?;
    if new {
        let actor = call.person.actor.trim();
        store::refund_files::fetched(&mut tx, command, call.file_id, actor, bus.now()).await?;
    }
    tx.commit().await?;
    Ok(found)
}
