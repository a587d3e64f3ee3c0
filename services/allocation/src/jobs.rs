//! What happens by itself: the radar for client money without a reason to be
//! held.

use std::{collections::HashMap, time::Duration};

use chrono::NaiveDate;
use contracts::matters::{ResidualState, ResidualStep};
use kernel::{MatterId, ResidualId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing};
use uuid::Uuid;

use crate::{
    domain::legal::{
        Matter,
        residual::{self, Residual},
    },
    serve::residuals::{changed, withdrawn},
    store::{
        self,
        residuals::{Blip, Noted},
    },
};

/// How often the radar looks. What it looks for changes with the day, and when a
/// matter is told to be over.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Balances looked at in one transaction.
const PAGE: i64 = 200;

const RADAR: &str = "system:radar";

/// Looks at every balance that is held: opens a residual balance where nothing
/// speaks for holding it, escalates those that are open, and closes those that
/// are gone or held for a reason again.
pub(crate) async fn radar(bus: Bus) -> Result<(), Failure> {
    let mut after: Option<(MatterId, String)> = None;
    let mut found = 0;
    while !bus.shutdown().is_cancelled() {
        let (last, changed) = sweep(&bus, after.take()).await?;
        found += changed;
        match last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    if found > 0 {
        tracing::info!(found, "residual balances have changed");
        bus.notice(&["residuals".to_owned()]).await;
    }
    Ok(())
}

/// One page; gives where the next begins, and how much has changed.
async fn sweep(
    bus: &Bus,
    after: Option<(MatterId, String)>,
) -> Result<(Option<(MatterId, String)>, usize), Failure> {
    let now = bus.now();
    let today = london_date(now);
    let mut tx = bus.begin().await?;
    let mut blips = store::residuals::blips(tx.conn(), after, PAGE).await?;
    let last = blips
        .last()
        .filter(|_| blips.len() as i64 == PAGE)
        .map(|blip| (blip.matter, blip.balance.currency().code().to_owned()));
    let settings = store::matters::settings(tx.conn(), today).await?;
    let judge = |matter: &Matter, blip: &Blip| -> Option<(NaiveDate, i16)> {
        if !blip.balance.is_positive() {
            return None;
        }
        let since =
            residual::held_without_reason_since(matter, blip.last_moved_on, today, &settings)?;
        Some((since, residual::escalation(since, today, &settings).0))
    };
    let by_id = |matters: Vec<Matter>| -> HashMap<MatterId, Matter> {
        matters
            .into_iter()
            .map(|matter| (matter.id, matter))
            .collect()
    };
    // Looked at without locks first: on most days nothing has changed.
    let ids: Vec<MatterId> = blips.iter().map(|blip| blip.matter).collect();
    let seen = by_id(store::matters::look_at(tx.conn(), &ids).await?);
    blips.retain(|blip| {
        seen.get(&blip.matter)
            .is_some_and(|matter| judge(matter, blip) != blip.open)
    });
    if blips.is_empty() {
        return Ok((last, 0));
    }
    let ids: Vec<MatterId> = blips.iter().map(|blip| blip.matter).collect();
    let locked = by_id(store::matters::lock_all(tx.conn(), &ids).await?);
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let mut events = Vec::new();
    for blip in &blips {
        let currency = blip.balance.currency();
        let Some(matter) = locked.get(&blip.matter) else {
            continue;
        };
        // Again under the lock: a command may have been quicker.
        let Some(blip) = store::residuals::blip(tx.conn(), matter.id, currency).await? else {
            continue;
        };
        let open =
            store::residuals::lock(tx.conn(), None, Some((matter.id, currency.code()))).await?;
        let waited = open
            .as_ref()
            .filter(|residual| residual.state == ResidualState::Proposed)
            .and_then(|residual| residual.proposal.as_ref()?.approval);
        let Some((residual, step, detail)) = judged(open, &blip, judge(matter, &blip)) else {
            continue;
        };
        // What was asked for has changed: nobody need decide it.
        if let Some(approval) = waited.filter(|_| residual.state != ResidualState::Proposed) {
            events.push(Outgoing::new(
                &withdrawn(approval, &residual, matter, RADAR, &detail, now),
                approval.as_uuid(),
                2,
                bus.prefix(),
                now,
                &cause,
            )?);
        }
        let noted = Noted {
            step,
            detail: &detail,
            actor: RADAR,
            now,
            decided_by: None,
        };
        store::residuals::put(tx.conn(), &residual, &noted).await?;
        events.push(Outgoing::new(
            &changed(&residual, matter, step, RADAR, &detail, now),
            residual.id.as_uuid(),
            residual.version,
            bus.prefix(),
            now,
            &cause,
        )?);
    }
    tx.publish(&events).await?;
    tx.commit().await?;
    Ok((last, events.len()))
}

/// What a residual balance becomes, if it becomes anything: `now` is since when
/// it is one, and how far escalated.
fn judged(
    open: Option<Residual>,
    blip: &Blip,
    now: Option<(NaiveDate, i16)>,
) -> Option<(Residual, ResidualStep, String)> {
    let balance = blip.balance.display_uk();
    match (open, now) {
        (None, Some((since, level))) => Some((
            Residual {
                id: ResidualId::generate(),
                version: 1,
                matter: blip.matter,
                balance: blip.balance,
                state: ResidualState::Open,
                since,
                level,
                tracing_steps: 0,
                sra_applied_on: None,
                sra_reference: None,
                proposal: None,
            },
            ResidualStep::Opened,
            format!("{balance} without a reason to hold it since {since} (SRA 2.5)"),
        )),
        (Some(mut residual), Some((since, level)))
            if residual.since != since || residual.level != level =>
        {
            let detail = format!(
                "{balance} held since {since}: level {level} after {}",
                residual.level
            );
            // Money has moved since it was proposed.
            if residual.since != since && residual.state == ResidualState::Proposed {
                residual.state = ResidualState::Open;
                residual.proposal = None;
            }
            residual.since = since;
            residual.level = level;
            residual.version += 1;
            Some((residual, ResidualStep::Escalated, detail))
        }
        (Some(mut residual), None) => {
            residual.state = ResidualState::Closed;
            residual.version += 1;
            let why = if blip.balance.is_positive() {
                "there is a reason to hold it"
            } else {
                "nothing is held any more"
            };
            Some((residual, ResidualStep::Closed, why.to_owned()))
        }
        _ => None,
    }
}
