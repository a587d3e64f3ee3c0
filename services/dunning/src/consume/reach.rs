//! Which ways reach a debtor is told when it has changed: by a contact, or by an
//! address that is new.

use contracts::dunning::{ContactWay, ReachChanged, ReachState};
use messaging::{Failure, Outgoing, Tx};
use uuid::Uuid;

use super::judge::Told;
use crate::store;

/// Looks at the ways of accounts, and tells of those that have changed. With
/// `known` only of accounts of which something was told before: of the others
/// nothing was ever shut. That no address was ever known is told once they owe.
pub(crate) async fn look(
    tx: &mut Tx,
    accounts: &[Uuid],
    known: bool,
    told: Told<'_>,
) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    let all = store::ways::of(tx.conn(), accounts, known).await?;
    let mut events = Vec::new();
    for reached in all {
        let version = match &reached.told {
            Some((before, _)) if *before == reached.now => continue,
            Some((_, version)) => version + 1,
            // Nothing was ever shut, and something reaches them: no news.
            None if reached.now.iter().all(|way| !is_shut(way))
                && reached.now.iter().any(is_usable) =>
            {
                continue;
            }
            None => 1,
        };
        store::ways::tell(tx.conn(), reached.account, version, &reached.now).await?;
        let event = ReachChanged {
            account_id: reached.account,
            account_ref: reached.account_ref,
            version,
            ways: reached.now,
            cause: Some(told.cause.id),
            recorded_at: told.now,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
        };
        let about = event.account_id.as_uuid();
        events.push(Outgoing::new(
            &event,
            about,
            version,
            told.prefix,
            told.now,
            told.cause,
        )?);
    }
    tx.publish(&events).await
}

fn is_usable(way: &ContactWay) -> bool {
    way.state == ReachState::Usable
}

fn is_shut(way: &ContactWay) -> bool {
    matches!(way.state, ReachState::Unusable | ReachState::OptedOut)
}
