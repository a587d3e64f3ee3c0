//! The statement of one account of a run, to be looked at: as it would be now, or
//! byte for byte as it was sent.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::api::{
    Refusal,
    dunning::{PreviewRunAccount, RunPreview},
};
use kernel::london_date;
use messaging::{Bus, Failure};
use sha2::{Digest as _, Sha256};

use super::{runs::no_run, standing::moment};
use crate::{
    channel::Options,
    jobs::statements::{self, By},
    store,
};

pub(crate) async fn preview_run_account(
    ask: PreviewRunAccount,
    bus: Bus,
    options: Arc<Options>,
) -> Result<RunPreview, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    if let Some((media_type, sha256, bytes)) =
        store::statements::kept(conn, ask.run_id, ask.account_id).await?
    {
        return Ok(RunPreview {
            run_id: ask.run_id,
            account_id: ask.account_id,
            sent: true,
            media_type,
            content_base64: BASE64_STANDARD.encode(bytes),
            sha256,
        });
    }
    let (run, account) = (ask.run_id.as_uuid(), ask.account_id.as_uuid());
    let one = store::dispatch::one(conn, run, account)
        .await?
        .ok_or_else(|| no_run(ask.run_id))?;
    if one.opens.is_empty() {
        return Err(Failure::conflict(
            "dunning.no_preview",
            "what a reminder says is shown once it is sent; a template has a preview of its own",
        )
        .into());
    }
    let moment = moment(conn, &bus).await?;
    let policies = store::policies::all(conn).await?;
    let templates = store::templates::published(conn, &[run], london_date(bus.now())).await?;
    let by = By {
        options: &options,
        policies: &policies,
        templates: &templates,
        moment,
    };
    let made = statements::preview(conn, bus.now(), &one, by).await?;
    let bytes = made.map_err(|why| {
        Failure::conflict(
            "dunning.not_sent",
            format!("there would be no statement now: {}", why.replace('_', " ")),
        )
    })?;
    Ok(RunPreview {
        run_id: ask.run_id,
        account_id: ask.account_id,
        sent: false,
        media_type: "application/pdf".to_owned(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        content_base64: BASE64_STANDARD.encode(bytes),
    })
}
