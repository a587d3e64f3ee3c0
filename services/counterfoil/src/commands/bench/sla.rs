//! SLA clocks under load: worklist as a process of its own, killed in the
//! middle, and every breach that dashboards should have heard counted.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context as _, bail};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use contracts::{
    Role,
    catalogue::SLA,
    worklist::{SlaBreach, WorkItemId},
};
use futures::StreamExt as _;
use kernel::{Clock as _, SystemClock};

use super::{
    figures::Figures,
    progress, rank,
    rig::{Rig, load_average},
};
use crate::{Context, commands::run::on_signal};

/// The clocks fall due in this time.
const SPREAD: Duration = Duration::from_mins(1);
/// Before the first is due: the service must be up.
const BEFORE: Duration = Duration::from_secs(20);
/// After the last was due, nothing more is waited for.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(200);
/// What all the clocks are about.
const KIND: &str = "unallocated_receipt";

#[derive(Args)]
pub(crate) struct Sla {
    /// Clocks that run.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    clocks: u32,
    /// Of them, those that are due in one minute.
    #[arg(long, value_name = "M", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..))]
    due: u32,
    /// Events that open and rank work, for what one costs; 0: not measured.
    #[arg(long, value_name = "E", default_value_t = 5_000)]
    events: u32,
    /// Does not kill the service in the middle.
    #[arg(long)]
    no_kill: bool,
    /// Keeps the servers' data and the service's log.
    #[arg(long)]
    keep: bool,
}

/// When one breach was due, recorded and published.
struct Told {
    item: WorkItemId,
    due_at: DateTime<Utc>,
    published: DateTime<Utc>,
}

impl Sla {
    pub(crate) async fn run(self, context: Context) -> anyhow::Result<()> {
        if self.due > self.clocks {
            bail!("more clocks cannot be due than there are");
        }
        let interrupted = on_signal()?;
        let mut rig = Rig::start(context).await?;
        let done = tokio::select! {
            done = self.measure(&mut rig) => done,
            () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        let ended = rig.end(self.keep).await;
        done.and(ended)
    }

    async fn measure(&self, rig: &mut Rig) -> anyhow::Result<()> {
        let load = load_average()?;
        progress("starting clocks");
        self.start_clocks(rig).await?;
        rig.tidy().await?;
        // Nobody else writes clocks while these are changed.
        let first = SystemClock.now() + TimeDelta::from_std(BEFORE)?;
        self.set_due(rig, first).await?;
        let mut roles = rig.start_these(&[Role::Worklist]).await?;
        if SystemClock.now() > first {
            bail!("the service was not up before the first clock was due");
        }
        progress("a minute of breaches");
        let mut outage = None;
        let half = (first + TimeDelta::from_std(SPREAD / 2)? - SystemClock.now()).to_std()?;
        tokio::time::sleep(half).await;
        if !self.no_kill {
            let from = SystemClock.now();
            roles.kill().await?;
            roles = rig.start_these(&[Role::Worklist]).await?;
            outage = Some((from, SystemClock.now()));
        }
        let last = first + TimeDelta::from_std(SPREAD)?;
        let told = self.told(rig, last).await?;
        let mut figures = self.lateness(&told, outage);
        if self.events > 0 {
            progress("ranking");
            rank::measure(rig, self.events, self.clocks, &mut figures).await?;
        }
        let peaks = roles.peak_rss_mib()?;
        figures.set("peak_rss_mib", peaks.get(&Role::Worklist).copied());
        roles.stop().await?;
        figures.set("load_average", load);
        figures.set(
            "cores",
            std::thread::available_parallelism().map_or(0, usize::from),
        );
        figures.print(rig.context.json)?;
        let seen: HashMap<WorkItemId, usize> = told.iter().fold(HashMap::new(), |mut seen, one| {
            *seen.entry(one.item).or_default() += 1;
            seen
        });
        if seen.len() != self.due as usize || told.len() != seen.len() {
            bail!(
                "{} of {} breaches were told, {} of them more than once",
                seen.len(),
                self.due,
                seen.values().filter(|times| **times > 1).count()
            );
        }
        Ok(())
    }

    /// Work with running clocks, as the service would have written it; none due
    /// for an hour.
    async fn start_clocks(&self, rig: &mut Rig) -> anyhow::Result<()> {
        sqlx::query(
            "insert into worklist.work_item (work_item_id, version, kind, subject_id, subject_ref, subject_version, \
               detail, amount, currency, state, owner, owner_source, holder, skill, minutes, score, parts, by_hand, \
               business_at, sla, due_at, escalated, changed_at) \
             select gen_random_uuid(), 1, 'unallocated_receipt', gen_random_uuid(), 'BENCH-' || n, 1, 'bench', 100, \
               'GBP', 'open', 'user:p' || n % 20, 'skill', 'user:p' || n % 20, 'cash', 8, n % 100, '[]', 0, now(), \
               'running', now() + interval '2 hours', 0, now() from generate_series(1, $1::int) n",
        )
        .bind(self.clocks as i32)
        .execute(&mut rig.ledger)
        .await?;
        sqlx::query(
            "insert into worklist.sla_clock (work_item_id, cycle, policy, policy_version, started_at, spent, \
               running_since, fired, next_due_at, due_at, state) \
             select work_item_id, 1, 'deadline', 1, now(), 0, now(), 0, now() + interval '90 minutes', \
               now() + interval '2 hours', 'running' from worklist.work_item",
        )
        .execute(&mut rig.ledger)
        .await?;
        Ok(())
    }

    /// Lets so many of them have started two hours before they are due, warned
    /// already, spread evenly over the minute after `first`.
    async fn set_due(&self, rig: &mut Rig, first: DateTime<Utc>) -> anyhow::Result<()> {
        sqlx::query(
            "update worklist.sla_clock c set next_due_at = d.at, due_at = d.at, fired = 1, state = 'warned', \
               started_at = d.at - interval '2 hours', running_since = d.at - interval '2 hours' \
             from (select work_item_id, $1::timestamptz + (row_number() over ()) * $2::float8 * interval '1 second' as at \
                   from worklist.sla_clock limit $3::int) d where d.work_item_id = c.work_item_id",
        )
        .bind(first)
        .bind(SPREAD.as_secs_f64() / f64::from(self.due))
        .bind(self.due as i32)
        .execute(&mut rig.ledger)
        .await?;
        Ok(())
    }

    /// Everything that dashboards heard, once nothing more comes.
    async fn told(&self, rig: &mut Rig, last: DateTime<Utc>) -> anyhow::Result<Vec<Told>> {
        let give_up = last + TimeDelta::from_std(PATIENCE)?;
        loop {
            let now = SystemClock.now();
            let left: i64 = sqlx::query_scalar(
                "select count(*) from worklist.sla_clock where next_due_at <= $1",
            )
            .bind(last + TimeDelta::seconds(1))
            .fetch_one(&mut rig.ledger)
            .await?;
            let unsent: i64 = sqlx::query_scalar(
                "select count(*) from worklist.outbox o, worklist.relay_cursor c where (o.tx, o.seq) > (c.tx, c.seq)",
            )
            .fetch_one(&mut rig.ledger)
            .await?;
            if (left == 0 && unsent == 0 && now > last) || now > give_up {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        let stream = rig.js.get_stream(rig.prefix.stream(SLA)).await?;
        let there = stream.cached_info().state.messages;
        let consumer: jetstream::consumer::Consumer<pull::Config> = stream
            .create_consumer(pull::Config {
                deliver_policy: DeliverPolicy::All,
                ack_policy: AckPolicy::None,
                ..pull::Config::default()
            })
            .await?;
        let mut told = Vec::new();
        if there == 0 {
            return Ok(told);
        }
        let mut messages = consumer.messages().await?;
        for _ in 0..there {
            let message = messages.next().await.context("the stream ended")??;
            let breach: SlaBreach = serde_json::from_slice(&message.payload)?;
            // Deadlines of the day have clocks, too.
            if breach.kind != KIND {
                continue;
            }
            let info = message.info().map_err(anyhow::Error::from_boxed)?;
            told.push(Told {
                item: breach.work_item,
                due_at: breach.due_at,
                published: info.published,
            });
        }
        Ok(told)
    }

    /// What was due while the service was down is late by that; it is told
    /// apart.
    fn lateness(&self, told: &[Told], outage: Option<(DateTime<Utc>, DateTime<Utc>)>) -> Figures {
        let late = |one: &Told| (one.published - one.due_at).as_seconds_f64() * 1000.0;
        // A batch that was under way is due a little before.
        let margin = TimeDelta::seconds(1);
        let down = |one: &&Told| {
            outage.is_some_and(|(from, to)| (from - margin..=to + margin).contains(&one.due_at))
        };
        let mut up: Vec<f64> = told.iter().filter(|one| !down(one)).map(late).collect();
        let during: Vec<f64> = told.iter().filter(down).map(late).collect();
        up.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (up.len() as f64 * share) as usize;
            up.get(place.min(up.len().saturating_sub(1))).copied()
        };
        let mut distinct: Vec<_> = told.iter().map(|one| one.item.as_uuid()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let mut figures = Figures::default();
        figures.set("clocks", self.clocks);
        figures.set("due", self.due);
        figures.set("told", told.len());
        figures.set(
            "lost",
            self.due as usize - distinct.len().min(self.due as usize),
        );
        figures.set("doubled", told.len() - distinct.len());
        figures.set("lateness_p50_ms", at(0.5));
        figures.set("lateness_p99_ms", at(0.99));
        figures.set("lateness_max_ms", at(1.0));
        let outage_ms = outage.map(|(from, to)| (to - from).num_milliseconds());
        figures.set("outage_ms", outage_ms);
        figures.set("due_during_outage", during.len());
        figures.set(
            "lateness_during_outage_max_ms",
            during.into_iter().reduce(f64::max),
        );
        figures
    }
}
