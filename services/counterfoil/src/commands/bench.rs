//! `counterfoil bench`: figures, each beside the machine's own limits.

mod dispatch;
mod dunning;
mod figures;
mod latency;
mod limits;
mod matching;
mod measured;
mod payments;
mod rank;
mod rig;
mod roles;
mod sla;

use std::{io::IsTerminal as _, time::Duration};

use anyhow::bail;
use clap::{Args, Subcommand};
use contracts::api::reporting::CheckInvariants;

use self::{
    figures::Figures,
    limits::{PGBENCH_DATABASE, PgBench},
    payments::BLOCK,
    rig::{Rig, load_average},
};
use super::run::on_signal;
use crate::{Context, client::Client};

/// Statements and commits that a receipt may cost: counts, which no neighbour
/// on the machine can spoil.
const ROUND_TRIPS_MAX: f64 = 0.1;
const COMMITS_MAX: f64 = 0.02;
const FLOOR_DATABASE: &str = "bench_floor";
/// The invariants are asked for again while something is on its way.
const INVARIANT_TRIES: u32 = 20;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Receipts per second from published to projected, by services and servers
    /// of its own.
    Pipeline(Pipeline),
    /// What allocation looks up and decides per receipt, how that grows with the
    /// ledger, and how it compares with plain SQL.
    Matching(matching::Matching),
    /// How late SLA breaches are told with many clocks running, whether a crash
    /// in the middle loses or doubles one, and what ranking work anew costs.
    Sla(sla::Sla),
    /// What working out a dunning run costs, how that grows with the ledger, and
    /// how it compares with plain SQL.
    Dunning(dunning::Dunning),
    /// What handing over the e-mails of a run costs, and whether a crash half way
    /// loses or doubles one.
    Dispatch(dispatch::Dispatch),
}

#[derive(Args)]
pub(crate) struct Pipeline {
    /// Receipts to publish (rounded up to twenties).
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    receipts: u64,
    /// Open items on the ledger before; as many as receipts, and never fewer.
    #[arg(long, value_name = "N")]
    open_items: Option<u64>,
    /// How long latency is measured, at a quarter of the rate; 0: not at all.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds_latency: u64,
    /// Of several rounds the median of each figure is printed.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Keeps the servers' data and the services' logs.
    #[arg(long)]
    keep: bool,
    /// Only what does not depend on the machine: fails when receipts are lost or
    /// doubled, the books do not balance, or a receipt costs too many round
    /// trips or commits.
    #[arg(long)]
    gate: bool,
}

impl Bench {
    pub(crate) async fn run(self, context: Context) -> anyhow::Result<()> {
        match self {
            Self::Pipeline(pipeline) => pipeline.run(context).await,
            Self::Matching(matching) => matching.run(context).await,
            Self::Sla(sla) => sla.run(context).await,
            Self::Dunning(dunning) => dunning.run(context).await,
            Self::Dispatch(dispatch) => dispatch.run(context).await,
        }
    }
}

/// Tells a person who watches what takes so long.
fn progress(doing: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("… {doing}");
    }
}

impl Pipeline {
    async fn run(self, context: Context) -> anyhow::Result<()> {
        let interrupted = on_signal()?;
        let mut rig = Rig::start(context).await?;
        let done = tokio::select! {
            done = self.rounds(&mut rig) => done,
            () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        let ended = rig.end(self.keep).await;
        done.and(ended)
    }

    async fn rounds(&self, rig: &mut Rig) -> anyhow::Result<()> {
        let load = load_average()?;
        let mut rounds = Vec::new();
        let mut wrong = Vec::new();
        let mut statements = Vec::new();
        for _ in 0..self.rounds {
            let round = self.round(rig).await?;
            rounds.push(round.figures);
            wrong.extend(round.wrong);
            statements = round.statements;
        }
        let mut figures = Figures::median(rounds);
        figures.set("rounds", self.rounds);
        figures.set("load_average", load);
        figures.set(
            "cores",
            std::thread::available_parallelism().map_or(0, usize::from),
        );
        figures.set("nats_server", rig.nats.server_info().version);
        let postgres: String = sqlx::query_scalar("show server_version")
            .fetch_one(&mut rig.server)
            .await?;
        figures.set("postgres", postgres);
        let json = rig.context.json;
        figures.print(json)?;
        if !json {
            println!("\nstatements of the services by time:");
            for line in statements {
                println!("{line}");
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            bail!("{}", wrong.join("; "))
        }
    }

    async fn round(&self, rig: &mut Rig) -> anyhow::Result<Round> {
        let receipts = self.receipts.next_multiple_of(BLOCK);
        let open_items = self.open_items.unwrap_or(receipts).max(receipts);
        progress("loading accounts and documents");
        rig.load(open_items).await?;

        let limits = if self.gate {
            None
        } else {
            Some(self.limits(rig, receipts, open_items).await?)
        };

        progress("the measured run");
        let blocks = rig.take(receipts);
        let measured = measured::run(rig, &blocks).await?;

        let mut roles = rig.start_roles().await?;
        let latency = Duration::from_secs(self.seconds_latency);
        let latency = if self.gate || latency.is_zero() {
            None
        } else {
            progress("latency");
            let rate = measured.receipts_per_second / 4.0;
            Some(latency::measure(rig, &mut roles, rate, latency).await?)
        };
        progress("the invariants");
        let (holds, broken) = invariants(rig).await?;
        let counts = rig.counts().await?;
        roles.stop().await?;

        let after = match &limits {
            Some(Limits {
                pgbench: Some((pgbench, _)),
                ..
            }) => {
                progress("pgbench again");
                rig.tidy().await?;
                Some(pgbench.tps().await?)
            }
            _ => None,
        };
        let tps = limits
            .as_ref()
            .and_then(|limits| limits.pgbench.as_ref())
            .zip(after)
            .map(|((_, before), after)| f64::midpoint(*before, after));
        let floor = limits.as_ref().map(|limits| limits.floor);
        let rate = measured.receipts_per_second;

        let mut figures = Figures::default();
        figures.set("receipts", receipts);
        figures.set("open_items", open_items);
        figures.set("receipts_per_second", rate);
        figures.set("pgbench_tps", tps);
        figures.set("ratio_to_pgbench", tps.map(|tps| rate / tps));
        figures.set("floor_per_second", floor.map(|f| f.receipts_per_second));
        figures.set(
            "ratio_to_floor",
            floor.map(|f| rate / f.receipts_per_second),
        );
        figures.set(
            "floor_to_pgbench",
            floor.zip(tps).map(|(f, tps)| f.receipts_per_second / tps),
        );
        figures.set(
            "publish_per_second",
            limits.as_ref().map(|limits| limits.publish_per_second),
        );
        figures.set("p50_ms", latency.as_ref().map(|l| l.p50));
        figures.set("p99_ms", latency.as_ref().map(|l| l.p99));
        // Not measured is not zero.
        let floor_latency = floor.filter(|f| f.p99_ms > 0.0);
        figures.set("floor_p50_ms", floor_latency.map(|f| f.p50_ms));
        figures.set("floor_p99_ms", floor_latency.map(|f| f.p99_ms));
        for (hop, name) in [
            "to_ingestion",
            "to_allocation",
            "to_reporting",
            "to_projected",
        ]
        .into_iter()
        .enumerate()
        {
            let hop = latency.as_ref().and_then(|l| l.hops_p50.get(hop).copied());
            figures.set(format!("hop_p50_ms_{name}"), hop);
        }
        figures.set("round_trips_per_receipt", measured.round_trips_per_receipt);
        figures.set("commits_per_receipt", measured.commits_per_receipt);
        figures.extend(measured.more);
        figures.set("lost", counts.lost);
        figures.set("doubled", counts.doubled);
        figures.set(
            "allocated_share",
            measured.counts.allocated as f64 / measured.counts.published as f64,
        );
        figures.set("invariants_hold", holds);

        let mut wrong = broken;
        for counts in [&measured.counts, &counts] {
            if let Err(error) = counts.check() {
                wrong.push(error.to_string());
            }
            if counts.lost + counts.doubled > 0 {
                wrong.push(format!(
                    "{} receipts lost, {} doubled",
                    counts.lost, counts.doubled
                ));
            }
        }
        if self.gate {
            for (what, cost, most) in [
                (
                    "round trips",
                    measured.round_trips_per_receipt,
                    ROUND_TRIPS_MAX,
                ),
                ("commits", measured.commits_per_receipt, COMMITS_MAX),
            ] {
                if cost > most {
                    wrong.push(format!(
                        "a receipt costs {cost:.4} {what}, at most {most} are allowed"
                    ));
                }
            }
        }
        Ok(Round {
            figures,
            wrong,
            statements: measured.statements,
        })
    }

    /// What the same machine does without us, a moment before.
    async fn limits(
        &self,
        rig: &mut Rig,
        receipts: u64,
        open_items: u64,
    ) -> anyhow::Result<Limits> {
        let pgbench = if let Some(pgbench) = PgBench::find(&rig.context.config)? {
            progress("pgbench");
            rig.make_database(PGBENCH_DATABASE).await?;
            pgbench.init().await?;
            rig.tidy().await?;
            let tps = pgbench.tps().await?;
            Some((pgbench, tps))
        } else {
            eprintln!(
                "pgbench was not found beside initdb or on the PATH, so nothing is compared with it: install it with \
                 `apt-get install postgresql-contrib`"
            );
            None
        };
        progress("the broker alone");
        let publish_per_second = limits::publish_per_second(&rig.js).await?;
        progress("the floor");
        rig.make_database(FLOOR_DATABASE).await?;
        let user = contracts::catalogue::Outsider::Platform.name();
        let floor = load::run(&load::Options {
            database: rig.stack.admin_dsn(FLOOR_DATABASE)?.expose().to_owned(),
            nats_url: rig.stack.nats_url(),
            nats_user: user.to_owned(),
            nats_password: rig.stack.nats_password(user)?.expose().to_owned(),
            receipts,
            open_items,
            latency: Duration::from_secs(self.seconds_latency),
        })
        .await
        .map_err(|error| anyhow::Error::from_boxed(error).context("the floor"))?;
        Ok(Limits {
            pgbench,
            publish_per_second,
            floor,
        })
    }
}

struct Round {
    figures: Figures,
    /// Why it is no success.
    wrong: Vec<String>,
    statements: Vec<String>,
}

struct Limits {
    /// And its transactions per second before.
    pgbench: Option<(PgBench, f64)>,
    publish_per_second: f64,
    floor: load::Floor,
}

/// Whether no money was lost, and which check says otherwise.
async fn invariants(rig: &mut Rig) -> anyhow::Result<(bool, Vec<String>)> {
    let client = Client::connect(&mut rig.context).await?;
    for _ in 0..INVARIANT_TRIES {
        let report = client.ask(&CheckInvariants {}).await?;
        if report.settled {
            let broken = report
                .checks
                .iter()
                .filter(|check| !check.holds)
                .map(|check| {
                    format!(
                        "invariant {} ({}): {}",
                        check.invariant, check.what, check.detail
                    )
                })
                .collect();
            return Ok((report.holds, broken));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bail!("the services did not come to rest, so their books could not be compared")
}
