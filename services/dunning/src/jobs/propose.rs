//! Runs are worked out, and queued once they are approved: by ranges of accounts,
//! one transaction each, so that a crash loses one range at most and replicas
//! share the work.

use std::{sync::Arc, time::Duration};

use contracts::dunning::{RunId, RunKind, RunState};
use messaging::{Bus, Failure, Meta};
use uuid::Uuid;

use crate::{
    channel::Options,
    consume::judge::{SYSTEM, Told},
    domain::{
        chase::{self, Moment},
        policy::Policies,
        run::{Freezer, Line, Tally},
    },
    jobs::statements::{self, By},
    serve::runs::{freeze, step},
    store::{
        self,
        accounts::Among,
        runs::{Proposed, Range, Run},
        templates::Templates,
    },
};

/// How often somebody looks whether there is a run to work at.
pub(crate) const EVERY: Duration = Duration::from_millis(500);

/// Works out every run that waits for it.
pub(crate) async fn propose(bus: Bus, options: Arc<Options>) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let runs = store::runs::in_state(tx.conn(), RunState::Proposing).await?;
    if runs.is_empty() {
        return Ok(());
    }
    let policies = store::policies::all(tx.conn()).await?;
    let moment = crate::serve::standing::moment(tx.conn(), &bus).await?;
    drop(tx);
    for run in runs {
        // While the database answers one, the rules decide about another.
        let worker = || ranges(&bus, &run, &policies, moment, &options);
        let (one, other) = tokio::join!(worker(), worker());
        one?;
        other?;
        finish(&bus, run.id).await?;
    }
    Ok(())
}

/// Range after range, until none is left or the service ends.
async fn ranges(
    bus: &Bus,
    run: &Run,
    policies: &Policies,
    moment: Moment,
    options: &Options,
) -> Result<(), Failure> {
    let templates = Templates::default();
    while !bus.shutdown().is_cancelled() {
        let mut tx = bus.begin().await?;
        let Some(range) = store::runs::claim(tx.conn(), run.id).await? else {
            return Ok(());
        };
        let (lines, overdue) = if run.kind == RunKind::Reminders {
            reminders(tx.conn(), run, range, policies, moment).await?
        } else {
            let by = By {
                options,
                policies,
                templates: &templates,
                moment,
            };
            statements::range(tx.conn(), run, range, by).await?
        };
        let mut freezer = Freezer::default();
        let mut tally = Tally::default();
        let mut contacts = 0;
        for line in &lines {
            tally.add(line.counted());
            if let Some(frozen) = line.frozen() {
                freezer.add(&frozen);
                contacts += 1;
            }
        }
        store::runs::put_lines(tx.conn(), run.id, &lines).await?;
        let what = Proposed {
            contacts,
            digest: freezer.digest(),
            tally: tally.rows().map_err(Failure::of)?,
            overdue: i64::try_from(overdue).unwrap_or(i64::MAX),
        };
        store::runs::proposed(tx.conn(), run.id, range, &what).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// What a range of accounts comes to: its lines, and how many items of it are
/// overdue.
async fn reminders(
    conn: &mut sqlx::PgConnection,
    run: &Run,
    range: Range,
    policies: &Policies,
    mut moment: Moment,
) -> Result<(Vec<Line>, usize), Failure> {
    moment.today = run.as_of;
    let positions = store::positions::load(conn, Among::range(range.from, range.to)).await?;
    let (mut lines, mut overdue) = (Vec::with_capacity(positions.len()), 0);
    for position in &positions {
        let judgement = chase::judge(position, policies, moment).map_err(Failure::of)?;
        let Some(line) = Line::of(position, judgement, &run.scope) else {
            continue;
        };
        let late = |item: &&chase::Item| item.due_on < moment.today;
        let early = |verdict: &&chase::Verdict| {
            position
                .items
                .iter()
                .any(|item| item.document == verdict.document && item.due_on >= moment.today)
        };
        overdue +=
            position.items.iter().filter(late).count() + line.verdicts.iter().filter(early).count();
        lines.push(line);
    }
    Ok((lines, overdue))
}

/// When every range is worked out, the run is frozen.
async fn finish(bus: &Bus, id: RunId) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let Some(mut run) = store::runs::lock(tx.conn(), id).await? else {
        return Ok(());
    };
    let (all, proposed) = store::runs::progress(tx.conn(), id).await?;
    if run.state != RunState::Proposing || proposed < all {
        return Ok(());
    }
    freeze(tx.conn(), &mut run).await?;
    let now = bus.now();
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let told = Told {
        prefix: bus.prefix(),
        actor: SYSTEM,
        reason: "every account was looked at",
        cause: &cause,
        now,
    };
    step(&mut tx, &mut run, RunState::Proposed, told).await?;
    tx.commit().await?;
    tracing::info!(run = %id, contacts = run.contacts, "a run is proposed");
    bus.notice(&["dunning".to_owned()]).await;
    Ok(())
}

/// Queues what was approved, and lets it be sent.
pub(crate) async fn queue(bus: Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let runs = store::runs::in_state(tx.conn(), RunState::Approved).await?;
    drop(tx);
    for run in runs {
        loop {
            if bus.shutdown().is_cancelled() {
                return Ok(());
            }
            let mut tx = bus.begin().await?;
            let Some(range) = store::runs::unqueued(tx.conn(), run.id).await? else {
                break;
            };
            store::runs::queue_range(tx.conn(), run.id, range).await?;
            tx.commit().await?;
        }
        let mut tx = bus.begin().await?;
        let Some(mut run) = store::runs::lock(tx.conn(), run.id).await? else {
            continue;
        };
        // Another replica may still be at a range, or somebody paused it.
        if run.state != RunState::Approved || !store::runs::all_queued(tx.conn(), run.id).await? {
            continue;
        }
        let now = bus.now();
        let cause = Meta::of_command(Uuid::now_v7(), now, None);
        let told = Told {
            prefix: bus.prefix(),
            actor: SYSTEM,
            reason: "what was approved is queued",
            cause: &cause,
            now,
        };
        step(&mut tx, &mut run, RunState::Sending, told).await?;
        tx.commit().await?;
        bus.notice(&["dunning".to_owned()]).await;
    }
    Ok(())
}
