//! Clocks before a claim that have run out, and old debts whose last day for a
//! claim comes near.

use std::time::Duration;

use kernel::london_date;
use messaging::{Bus, Failure, Meta};
use uuid::Uuid;

use crate::{
    consume::{
        judge::{SYSTEM, Told},
        referrals,
    },
    domain::limitation,
    store,
};

pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// Accounts or debts of one transaction.
const PAGE: i64 = 500;
/// Transactions of one round.
const PAGES: usize = 50;

/// Judges referrals of which a day has come.
pub(crate) async fn referrals(bus: Bus) -> Result<(), Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let accounts = store::referrals::due(tx.conn(), london_date(now), PAGE).await?;
    if accounts.is_empty() {
        return Ok(());
    }
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    referrals::accounts(&mut tx, bus.prefix(), &accounts, now, &cause).await?;
    tx.commit().await?;
    bus.notice(&["dunning".to_owned()]).await;
    Ok(())
}

/// Looks at every old debt once a day.
pub(crate) async fn limitations(bus: Bus) -> Result<(), Failure> {
    for _ in 0..PAGES {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let now = bus.now();
        let today = london_date(now);
        let mut tx = bus.begin().await?;
        let Some(after) = store::limitations::watch(tx.conn(), today).await? else {
            break;
        };
        let until = limitation::oldest_due(today);
        let debts = store::limitations::old(tx.conn(), until, after, PAGE).await?;
        let more = i64::try_from(debts.len()).unwrap_or(i64::MAX) == PAGE;
        let to = debts
            .last()
            .filter(|_| more)
            .map(|debt| (debt.due_on, debt.document.as_uuid()));
        let cause = Meta::of_command(Uuid::now_v7(), now, None);
        let told = Told {
            prefix: bus.prefix(),
            now,
            cause: &cause,
            actor: SYSTEM,
            reason: "",
        };
        referrals::limitations(&mut tx, &debts, told).await?;
        store::limitations::watched(tx.conn(), today, to).await?;
        tx.commit().await?;
        if !debts.is_empty() {
            bus.notice(&["dunning".to_owned()]).await;
        }
    }
    Ok(())
}
