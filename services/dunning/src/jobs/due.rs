//! What happens when a day is over: promises and plans are judged, and holds
//! come to their end or their review.

use std::time::Duration;

use contracts::dunning::HoldState;
use kernel::london_date;
use messaging::{Bus, Failure, Meta};
use uuid::Uuid;

use crate::{
    consume::judge::{self, SYSTEM, Told},
    store,
};

pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// Accounts or holds of one transaction.
const PAGE: i64 = 200;
/// Transactions of one round.
const PAGES: usize = 20;

/// Judges promises and plans of which a payment's time is over.
pub(crate) async fn judge(bus: Bus) -> Result<(), Failure> {
    for _ in 0..PAGES {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let now = bus.now();
        let mut tx = bus.begin().await?;
        let accounts = store::promises::due(tx.conn(), london_date(now), PAGE).await?;
        if accounts.is_empty() {
            break;
        }
        let cause = Meta::of_command(Uuid::now_v7(), now, None);
        judge::accounts(&mut tx, bus.prefix(), &accounts, now, &cause).await?;
        tx.commit().await?;
        bus.notice(&["dunning".to_owned()]).await;
    }
    Ok(())
}

/// Ends holds whose last day is over, says when a review is due, and takes up
/// debts from before a cut-off that came later (E74).
pub(crate) async fn holds(bus: Bus) -> Result<(), Failure> {
    let now = bus.now();
    let today = london_date(now);
    let mut tx = bus.begin().await?;
    let due = store::holds::due(tx.conn(), today, PAGE).await?;
    let later = store::holds::found_later(tx.conn(), PAGE).await?;
    if due.is_empty() && later.is_empty() {
        return Ok(());
    }
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let told = Told {
        prefix: bus.prefix(),
        now,
        cause: &cause,
        actor: SYSTEM,
        reason: "",
    };
    let mut ended = Vec::new();
    for (mut hold, _) in due {
        let over = hold.ends_on.is_some_and(|last| last < today);
        let reason = if over {
            hold.state = HoldState::Ended;
            hold.ended_on = hold.ends_on.and_then(|last| last.succ_opt());
            "its last day is over"
        } else {
            "its review is due"
        };
        hold.version += 1;
        ended.push(hold.id);
        judge::put_hold(&mut tx, &hold, Told { reason, ..told }).await?;
    }
    for (mut hold, documents) in later {
        // Once in a round: it is taken up as it is written now.
        if ended.contains(&hold.id) {
            continue;
        }
        hold.documents.extend(documents);
        hold.version += 1;
        let reason = "a debt from before its cut-off came to be known";
        judge::put_hold(&mut tx, &hold, Told { reason, ..told }).await?;
    }
    tx.commit().await?;
    bus.notice(&["dunning".to_owned()]).await;
    Ok(())
}
