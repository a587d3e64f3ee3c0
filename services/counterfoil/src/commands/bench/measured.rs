//! The measured run: receipts in, projections out, and what it took.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context as _;
use contracts::Role;
use sqlx::{Executor as _, PgConnection};

use super::{
    figures::Figures,
    rig::{Counts, Rig},
    roles::{ROLES, cpu_seconds, metric},
};

/// The steps of the way of a message, as their histogram names them.
const STEPS: [&str; 6] = ["claim", "load", "decide", "record", "commit", "settle"];

/// What one run came to.
pub(super) struct Measured {
    pub(super) receipts_per_second: f64,
    /// Statements that the services sent, per receipt.
    pub(super) round_trips_per_receipt: f64,
    pub(super) commits_per_receipt: f64,
    pub(super) counts: Counts,
    /// Everything else, ready to print.
    pub(super) more: Figures,
    /// The statements that took most time, for people.
    pub(super) statements: Vec<String>,
}

/// What the servers have counted so far.
struct Counters {
    wal_bytes: i64,
    disk_bytes: i64,
    postgres_cpu: f64,
    nats_cpu: f64,
    own_cpu: f64,
}

impl Counters {
    async fn read(rig: &mut Rig) -> anyhow::Result<Self> {
        let (wal_bytes, disk_bytes): (i64, i64) = sqlx::query_as(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, pg_database_size(datname)
             from pg_stat_database where datname = $1",
        )
        .bind(&rig.context.config.database.name)
        .fetch_one(&mut rig.server)
        .await?;
        let pids = rig.stack.pids();
        let postgres = pids.postgres.context("Postgres has ended")?;
        let nats = pids.nats.context("NATS has ended")?;
        Ok(Self {
            wal_bytes,
            disk_bytes,
            // The connections of the services have ended by now, each a child.
            postgres_cpu: cpu_seconds(postgres, true)?,
            nats_cpu: cpu_seconds(nats, false)?,
            own_cpu: cpu_seconds(std::process::id(), false)?,
        })
    }
}

/// Publishes the receipts of `blocks` and waits until reporting has them. The
/// services are started before and stopped after it: a connection tells all of
/// its statistics only when it ends.
pub(super) async fn run(rig: &mut Rig, blocks: &[u64]) -> anyhow::Result<Measured> {
    rig.tidy().await?;
    rig.ledger.execute("select pg_stat_statements_reset()").await.context(
        "pg_stat_statements is not there: it is in the package of Postgres' contributed modules",
    )?;
    let before = Counters::read(rig).await?;
    let starting = Instant::now();
    let mut roles = rig.start_roles().await?;
    let ready = starting.elapsed().as_secs_f64();

    let began = Instant::now();
    let receipts = rig.pay(blocks, None).await?.len() as f64;
    let ended = rig.projected(&mut roles).await?;
    let seconds = (ended - began).as_secs_f64();

    let peaks = roles.peak_rss_mib()?;
    let cpu = roles.cpu_seconds()?;
    let pages = roles.metrics().await?;
    roles.stop().await?;
    gone(&mut rig.server).await?;
    let after = Counters::read(rig).await?;
    let (calls, commits, statements) = statements(&mut rig.ledger, receipts).await?;

    let mut more = Figures::default();
    more.set("seconds", seconds);
    more.set("seconds_until_all_are_ready", ready);
    more.set(
        "wal_bytes_per_receipt",
        (after.wal_bytes - before.wal_bytes) as f64 / receipts,
    );
    more.set(
        "disk_bytes_per_receipt",
        (after.disk_bytes - before.disk_bytes) as f64 / receipts,
    );
    more.set("peak_rss_mib", peaks.values().sum::<f64>());
    for (role, mib) in &peaks {
        more.set(format!("rss_mib_{role}"), *mib);
    }
    for (role, seconds) in &cpu {
        more.set(format!("cpu_seconds_{role}"), *seconds);
    }
    more.set(
        "cpu_seconds_postgres",
        after.postgres_cpu - before.postgres_cpu,
    );
    more.set("cpu_seconds_nats", after.nats_cpu - before.nats_cpu);
    more.set("cpu_seconds_bench", after.own_cpu - before.own_cpu);
    steps(&pages, &mut more);
    Ok(Measured {
        receipts_per_second: receipts / seconds,
        round_trips_per_receipt: calls as f64 / receipts,
        commits_per_receipt: commits as f64 / receipts,
        counts: rig.counts().await?,
        more,
        statements,
    })
}

/// The time of each step of each service, and how large its batches were.
fn steps(pages: &BTreeMap<Role, String>, figures: &mut Figures) {
    for (role, page) in pages {
        let batch = |what: &str| metric(page, &format!("counterfoil_batch_messages_{what}"), &[]);
        if let (Some(messages), Some(batches)) = (batch("sum"), batch("count")) {
            figures.set(format!("batch_mean_{role}"), messages / batches.max(1.0));
        }
        for step in STEPS {
            let label = format!("step=\"{step}\"");
            let seconds = metric(page, "counterfoil_step_duration_seconds_sum", &[&label]);
            figures.set(format!("step_seconds_{role}_{step}"), seconds);
        }
    }
}

/// Waits until no service is connected any more.
async fn gone(server: &mut PgConnection) -> anyhow::Result<()> {
    let roles = ROLES.map(Role::name);
    loop {
        let connected: i64 =
            sqlx::query_scalar("select count(*) from pg_stat_activity where usename = any($1)")
                .bind(&roles[..])
                .fetch_one(&mut *server)
                .await?;
        if connected == 0 {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// How many statements the services sent, how many of them committed something,
/// and those that took most time. The server's own count of commits has those of
/// autovacuum too, which come when they come.
async fn statements(
    ledger: &mut PgConnection,
    receipts: f64,
) -> anyhow::Result<(i64, i64, Vec<String>)> {
    let roles = ROLES.map(Role::name);
    // A relay's cursor moves outside of transactions.
    let (calls, commits): (i64, i64) = sqlx::query_as(
        "select coalesce(sum(s.calls), 0)::bigint,
                coalesce(sum(s.calls) filter (where s.query ~* '^(commit|update [a-z]+.relay_cursor)'), 0)::bigint
         from pg_stat_statements s join pg_roles r on r.oid = s.userid
         where r.rolname = any($1)",
    )
    .bind(&roles[..])
    .fetch_one(&mut *ledger)
    .await?;
    let top: Vec<(String, i64, f64, String)> = sqlx::query_as(
        "select r.rolname::text, s.calls, s.total_exec_time, left(regexp_replace(s.query, '\\s+', ' ', 'g'), 90)
         from pg_stat_statements s join pg_roles r on r.oid = s.userid where r.rolname = any($1)
         order by s.total_exec_time desc limit 14",
    )
    .bind(&roles[..])
    .fetch_all(&mut *ledger)
    .await?;
    let lines = top
        .into_iter()
        .map(|(role, calls, ms, query)| {
            format!(
                "{:8.0} ms {:6.1} µs/receipt {calls:6} calls  {role}: {query}",
                ms,
                ms * 1e3 / receipts
            )
        })
        .collect();
    Ok((calls, commits, lines))
}
