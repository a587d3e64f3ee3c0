//! Files for Bacs: listed, and given out with a note of who has them. From the
//! first time that it is given out, what is in a file counts as sent.

use contracts::{
    api::{
        Page, Refusal,
        direct_debits::{BacsFileContent, BacsFileView, FetchBacsFile, ListBacsFiles},
    },
    ingestion::{BacsFileId, CollectionState, MandateId, MandateState},
};
use messaging::{Bus, Failure, Meta};
use uuid::Uuid;

use crate::{
    consume::direct_debits::Teller,
    store::{self, collections::Which},
};

pub(crate) async fn list(ask: ListBacsFiles, bus: Bus) -> Result<Page<BacsFileView>, Failure> {
    let before = ask.page.cursor.as_deref().map(Uuid::parse_str).transpose();
    let before = before.map_err(|error| {
        Failure::permanent("ingestion.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", error.to_string())
    })?;
    let rows = ask.page.rows();
    let mut tx = bus.look().await?;
    let mut items = store::bacs_files::list(tx.conn(), None, before, rows + 1).await?;
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

pub(super) async fn view(bus: &Bus, id: BacsFileId) -> Result<BacsFileView, Failure> {
    let mut tx = bus.look().await?;
    let found = store::bacs_files::list(tx.conn(), Some(id), None, 1).await?;
    found.into_iter().next().ok_or_else(|| none(id))
}

fn none(id: BacsFileId) -> Failure {
    Failure::not_found("ingestion.no_bacs_file", format!("there is no file {id}"))
}

pub(crate) async fn fetch(ask: FetchBacsFile, bus: Bus) -> Result<BacsFileContent, Refusal> {
    super::named("/person/actor", &ask.person.actor)?;
    let now = bus.now();
    let files = [ask.file_id];
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    let new = !tx.claim(&[command]).await?.is_empty();
    let seen = store::collections::find(tx.conn(), Which::Files(&files), false).await?;
    let mut ids: Vec<MandateId> = seen.iter().map(|one| one.mandate_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut mandates = store::mandates::lock(&mut tx, store::mandates::Which::Ids(&ids)).await?;
    let collections = store::collections::lock(&mut tx, Which::Files(&files)).await?;
    let (content, void, _) = store::bacs_files::content(&mut tx, ask.file_id)
        .await?
        .ok_or_else(|| none(ask.file_id))?;
    if let Some(why) = void {
        return Err(Failure::conflict(
            "ingestion.bacs_file_void",
            format!("this file is void and must not be sent: {why}"),
        )
        .into());
    }
    if new {
        let actor = ask.person.actor.trim();
        store::bacs_files::fetched(&mut tx, command, ask.file_id, actor, now).await?;
        let cause = Meta::of_command(command, now, None);
        let teller = Teller {
            prefix: bus.prefix(),
            actor,
            cause: &cause,
            now,
        };
        for one in &collections {
            if one.state != CollectionState::InFile {
                continue;
            }
            let next = one.became(CollectionState::Sent, "its file was fetched for Bacs");
            teller.collection(&mut tx, &next).await?;
            if let Some(mandate) = mandates.iter_mut().find(|m| m.id == one.mandate_id) {
                mandate.version += 1;
                mandate.first_sent = true;
                mandate.last_used_on = mandate.last_used_on.max(Some(one.entry_on));
                if one.code == "19" {
                    mandate.state = MandateState::Final;
                    "its last collection (19) was sent".clone_into(&mut mandate.reason);
                } else {
                    mandate.reason = format!("collected by on {}", one.entry_on);
                }
                teller.mandate(&mut tx, mandate).await?;
            }
        }
    }
    tx.commit().await?;
    bus.notice(&["direct-debits".to_owned()]).await;
    Ok(content)
}
