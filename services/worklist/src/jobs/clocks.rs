//! The timer of SLA clocks. It sleeps until the next one is due, takes those
//! that are in batches, and writes what they say in the transaction that notes
//! that they said it: whatever fails and whenever, each is said once.

use std::{collections::HashMap, time::Duration};

use kernel::london_date;
use messaging::{Bus, Failure, Meta};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    domain::{
        item::{Office, Touched},
        owner::Staff,
    },
    events, store,
};

/// Clocks in one transaction.
const BATCH: i64 = 500;
/// Another replica may have started a clock that is due before those we know:
/// looked for at least this often, by reading the first row of an index.
const LOOK: Duration = Duration::from_millis(400);
/// After news of a clock its transaction still has to commit.
const COMMIT: Duration = Duration::from_millis(15);
const SHORTEST: Duration = Duration::from_millis(5);

static NEW: Notify = Notify::const_new();

/// A clock has been started or changed here.
pub(crate) fn nudge() {
    NEW.notify_one();
}

/// Keeps time until shutdown.
pub(crate) async fn run(bus: Bus) -> Result<(), Failure> {
    while !bus.shutdown().is_cancelled() {
        if fire(&bus).await? == BATCH {
            continue;
        }
        let next = store::clocks::next_due(&mut *bus.pool().acquire().await?).await?;
        let wait = next.map_or(LOOK, |at| {
            let wait = (at - bus.now()).to_std().unwrap_or_default();
            wait.clamp(SHORTEST, LOOK)
        });
        tokio::select! {
            () = bus.shutdown().cancelled() => {}
            () = tokio::time::sleep(wait) => {}
            () = NEW.notified() => tokio::time::sleep(COMMIT).await,
        }
    }
    Ok(())
}

/// One batch; tells how many clocks were due.
async fn fire(bus: &Bus) -> Result<i64, Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let mut touched = store::clocks::take_due(tx.conn(), now, BATCH).await?;
    if touched.is_empty() {
        return Ok(0);
    }
    let due = touched.len() as i64;
    say(&mut tx, bus, &mut touched).await?;
    tx.commit().await?;
    tracing::debug!(due, "clocks had something to say");
    bus.notice(&["worklist".to_owned(), "sla".to_owned()]).await;
    Ok(due)
}

async fn say(tx: &mut messaging::Tx, bus: &Bus, touched: &mut [Touched]) -> Result<(), Failure> {
    let now = bus.now();
    let mut accounts: Vec<Uuid> = touched
        .iter()
        .filter_map(|one| one.item.account_id)
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    let known = store::work::accounts(tx.conn(), &accounts, &[]).await?;
    let accounts: HashMap<_, _> = known.into_iter().map(|(id, (_, one))| (id, one)).collect();
    let policies = store::clocks::policies(tx.conn()).await?;
    let office = Office {
        // Saying something moves nothing.
        staff: &Staff::default(),
        policies: &policies,
        accounts: &accounts,
        now,
    };
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let mut facts = Vec::new();
    for one in touched.iter_mut() {
        one.fire(&office);
        facts.extend(events::of(one, bus.prefix(), now, &cause)?);
        if !one.has_changed() {
            tracing::error!(
                item = %one.item.work_item_id,
                on = %london_date(now),
                "a clock is due and has nothing to say: its policy is gone"
            );
            if let Some(clock) = one.clock.as_mut() {
                clock.next_due_at = None;
            }
        }
    }
    store::work::put(tx.conn(), touched).await?;
    tx.publish(&facts).await
}
