//! Whether the provider of e-mail takes what is handed over. One that is down is a
//! state: runs that wait for it say since when, what it answered, and when it is asked
//! again; they go on by themselves.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::dunning::ProviderDown;
use mail::Mailer;
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use crate::store::{self, provider};

/// It is asked again after as long as it has been down: not before, and not later.
const SOONEST: TimeDelta = TimeDelta::seconds(5);
const LATEST: TimeDelta = TimeDelta::minutes(5);
/// Letters of an answer that are kept.
const ANSWER_MAX: usize = 300;

/// Whether it takes e-mails now; says so of the runs that wait for it, or go on.
pub(super) async fn answers(bus: &Bus, mailer: Option<&Mailer>) -> Result<bool, Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let known = provider::down(tx.conn()).await?;
    drop(tx);
    let early = |down: &ProviderDown| down.next_try_at.is_some_and(|at| at > now);
    let down = match (mailer, &known) {
        (_, Some(down)) if early(down) => known.clone(),
        (None, _) => Some(ProviderDown {
            since: known.as_ref().map_or(now, |down| down.since),
            answer: "no provider of e-mail is configured".to_owned(),
            next_try_at: None,
        }),
        (Some(mailer), _) => mailer
            .answers()
            .await
            .err()
            .map(|answer| tried(known.as_ref(), &answer, now)),
    };
    if down.is_none() && known.is_none() {
        return Ok(true);
    }
    let mut tx = bus.begin().await?;
    if down != known {
        provider::put(tx.conn(), down.as_ref(), now).await?;
    }
    tell(&mut tx, bus, down.as_ref()).await?;
    tx.commit().await?;
    Ok(down.is_none())
}

fn tried(known: Option<&ProviderDown>, answer: &str, now: DateTime<Utc>) -> ProviderDown {
    let since = known.map_or(now, |down| down.since);
    let wait = (now - since).clamp(SOONEST, LATEST);
    ProviderDown {
        since,
        answer: answer.chars().take(ANSWER_MAX).collect(),
        next_try_at: Some(now + wait),
    }
}

/// Tells of runs that begin to wait, or go on.
async fn tell(tx: &mut Tx, bus: &Bus, down: Option<&ProviderDown>) -> Result<(), Failure> {
    let now = bus.now();
    let cause = Uuid::now_v7();
    let meta = Meta::of_command(cause, now, None);
    let runs = store::dispatch::wait(tx.conn(), down, cause, now).await?;
    let told: Result<Vec<Outgoing>, Failure> = runs
        .iter()
        .map(|run| {
            let id = run.run_id.as_uuid();
            Outgoing::new(run, id, run.version, bus.prefix(), now, &meta)
        })
        .collect();
    tx.publish(&told?).await?;
    if !runs.is_empty() {
        bus.notice(&["dunning".to_owned()]).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_less_often_the_longer_it_is_down() {
        let start = DateTime::UNIX_EPOCH;
        let mut down = tried(None, "421 closed", start);
        let mut waits = Vec::new();
        for _ in 0..9 {
            let at = down.next_try_at.unwrap();
            let next = tried(Some(&down), "421 closed", at);
            assert_eq!(next.since, start);
            waits.push((next.next_try_at.unwrap() - at).num_seconds());
            down = next;
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
