//! What of an account may be chased now.

use contracts::api::{
    Refusal,
    returns::{Chaseable, GetChaseable},
};
use messaging::{Bus, Failure};

use crate::{domain::chaseable, store};

pub(crate) async fn get_chaseable(ask: GetChaseable, bus: Bus) -> Result<Chaseable, Refusal> {
    let mut tx = bus.begin().await?;
    let (account_ref, position) = store::chaseable::positions(tx.conn(), &[ask.account_id])
        .await?
        .remove(&ask.account_id)
        .ok_or_else(|| {
            Failure::not_found(
                "allocation.no_account",
                format!("there is no account {}", ask.account_id),
            )
        })?;
    let mut items = chaseable::chaseable(position).map_err(Failure::of)?;
    let totals = chaseable::totals(&items).map_err(Failure::of)?;
    if !ask.items.is_empty() {
        items.retain(|item| ask.items.contains(&item.document_id));
    }
    Ok(Chaseable {
        account_id: ask.account_id,
        account_ref,
        totals,
        items,
        as_at: bus.now(),
    })
}
