//! How long a receipt takes from published to projected, while the services
//! have time to spare.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::Role;
use futures::StreamExt as _;
use kernel::{Clock as _, SystemClock};
use load::percentile;
use sqlx::FromRow;
use uuid::Uuid;

use super::{payments::BLOCK, rig::Rig, roles::Roles};

/// Notices of the last batches arrive within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// In milliseconds, from published to projected.
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// The middle of: published to taken by ingestion, to taken by allocation,
    /// to taken by reporting, to projected.
    pub(super) hops_p50: [f64; 4],
}

/// When each service began the transaction that took a receipt.
struct Taken {
    receipt: Uuid,
    at: [DateTime<Utc>; 3],
}

#[derive(FromRow)]
struct TakenRow {
    receipt: Uuid,
    ingested: DateTime<Utc>,
    allocated: DateTime<Utc>,
    projected: DateTime<Utc>,
}

/// Publishes at `per_second` for `duration`, on documents of their own.
pub(super) async fn measure(
    rig: &mut Rig,
    roles: &mut Roles,
    per_second: f64,
    duration: Duration,
) -> anyhow::Result<Latency> {
    let blocks = (per_second * duration.as_secs_f64() / BLOCK as f64).ceil() as u64;
    let blocks: Vec<u64> = rig.load_blocks(blocks.max(1), roles).await?.collect();
    rig.tidy().await?;

    // Reporting tells open pages after each commit: nothing else says when a
    // batch was really there to be read.
    let mut subscription = rig
        .nats
        .subscribe(rig.prefix.notice(Role::Reporting))
        .await?;
    rig.nats.flush().await?;
    let notices = Arc::new(Mutex::new(Vec::new()));
    let heard = notices.clone();
    let listener = tokio::spawn(async move {
        while subscription.next().await.is_some() {
            let now = SystemClock.now();
            if let Ok(mut heard) = heard.lock() {
                heard.push(now);
            }
        }
    });
    let began = SystemClock.now();
    let published = rig.pay(&blocks, Some(per_second)).await?;
    rig.projected(roles).await?;

    let taken = taken(rig, began).await?;
    let batches: Vec<DateTime<Utc>> = taken
        .iter()
        .map(|taken| taken.at[2])
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let waiting = Instant::now();
    let projected = loop {
        let heard = notices
            .lock()
            .map(|heard| heard.clone())
            .unwrap_or_default();
        match pair(&batches, &heard) {
            Some(projected) => break projected,
            None if waiting.elapsed() > PATIENCE => {
                bail!("{} notices of {} batches", heard.len(), batches.len())
            }
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    listener.abort();

    let published: HashMap<Uuid, DateTime<Utc>> = published.into_iter().collect();
    let mut whole = Vec::with_capacity(taken.len());
    let mut hops: [Vec<Duration>; 4] = Default::default();
    for Taken { receipt, at } in &taken {
        let (Some(from), Some(to)) = (published.get(receipt), projected.get(&at[2])) else {
            continue;
        };
        whole.push(between(*from, *to));
        let steps = [*from, at[0], at[1], at[2], *to];
        for (hop, step) in hops.iter_mut().zip(steps.windows(2)) {
            if let [from, to] = step {
                hop.push(between(*from, *to));
            }
        }
    }
    if whole.len() != published.len() {
        bail!(
            "{} of {} receipts could be followed",
            whole.len(),
            published.len()
        );
    }
    Ok(Latency {
        p50: percentile(&mut whole, 0.5).as_secs_f64() * 1e3,
        p99: percentile(&mut whole, 0.99).as_secs_f64() * 1e3,
        hops_p50: hops.map(|mut times| percentile(&mut times, 0.5).as_secs_f64() * 1e3),
    })
}

fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// Follows every receipt through the inboxes by what caused what.
async fn taken(rig: &mut Rig, since: DateTime<Utc>) -> anyhow::Result<Vec<Taken>> {
    let rows: Vec<TakenRow> = sqlx::query_as(
        "select recorded.causation_id as receipt, ingested.claimed_at as ingested, allocated.claimed_at as allocated,
             projected.claimed_at as projected
         from ingestion.outbox recorded
         join ingestion.inbox ingested on ingested.message_id = recorded.causation_id
         join allocation.inbox allocated on allocated.message_id = recorded.event_id
         join allocation.outbox posted on posted.causation_id = recorded.event_id and posted.recorded_at >= $1
         join reporting.inbox projected on projected.message_id = posted.event_id
         where recorded.recorded_at >= $1",
    )
    .bind(since - TimeDelta::seconds(1))
    .fetch_all(&mut rig.ledger)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Taken {
            receipt: row.receipt,
            at: [row.ingested, row.allocated, row.projected],
        })
        .collect())
}

/// The notice of each batch: the first after its transaction began that no
/// batch before it had. One may arrive when the next batch has begun already.
fn pair(
    batches: &[DateTime<Utc>],
    notices: &[DateTime<Utc>],
) -> Option<BTreeMap<DateTime<Utc>, DateTime<Utc>>> {
    let mut notices = notices.iter();
    batches
        .iter()
        .map(|batch| Some((*batch, *notices.find(|notice| *notice >= batch)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    #[test]
    fn a_batch_has_the_notice_after_its_own_commit() {
        // Of before the first batch; late, when the second had begun; its own.
        let notices = [at(1), at(21), at(35)];
        let pairs = pair(&[at(10), at(20)], &notices).unwrap();
        assert_eq!(pairs[&at(10)], at(21));
        assert_eq!(pairs[&at(20)], at(35));
        assert_eq!(pair(&[at(10), at(20), at(30)], &notices), None);
    }
}
