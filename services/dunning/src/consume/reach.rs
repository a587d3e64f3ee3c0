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
            Some((before, _)) if *before == reached.now && !reached.idle => continue,
            Some((_, version)) => version + 1,
            // Nothing was ever shut, and something reaches them: no news.
            None if reached.now.iter().all(|way| !is_shut(way))
                && reached.now.iter().any(is_usable) =>
            {
                continue;
            }
            None => 1,
        };
        store::ways::tell(tx.conn(), reached.account, version, &reached.now, false).await?;
        let event = ReachChanged {
            owes_nothing: false,
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

/// Says of those accounts that owe nothing any more, and of whom it was told that no
/// address is known, that nobody need look for one.
pub(crate) async fn settled(tx: &mut Tx, accounts: &[Uuid], told: Told<'_>) -> Result<(), Failure> {
    let settled = store::ways::settled(tx.conn(), accounts).await?;
    let mut events = Vec::new();
    for reached in store::ways::of(tx.conn(), &settled, true).await? {
        let version = reached.told.map_or(1, |(_, version)| version + 1);
        store::ways::tell(tx.conn(), reached.account, version, &reached.now, true).await?;
        let event = ReachChanged {
            account_id: reached.account,
            account_ref: reached.account_ref,
            version,
            ways: reached.now,
            owes_nothing: true,
            cause: Some(told.cause.id),
            recorded_at: told.now,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
        };
        let about = event.account_id.as_uuid();
        let (prefix, now) = (told.prefix, told.now);
        events.push(Outgoing::new(
            &event, about, version, prefix, now, told.cause,
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
