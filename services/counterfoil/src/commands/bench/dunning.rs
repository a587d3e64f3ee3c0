//! What a dunning run costs over a large ledger, beside the plainest SQL that
//! groups the same items and writes one row for each account.

use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use contracts::{
    Role,
    api::{
        controls::Person,
        dunning::{GetRun, ProposeRun, RunScope, RunStep, RunView, StepRun},
    },
    dunning::{RunId, RunKind, RunState},
};
use kernel::CommandId;
use sqlx::Executor as _;

use super::{
    figures::Figures,
    progress,
    rig::{Rig, load_average},
};
use crate::{Context, client::Client, commands::run::on_signal};

/// Of a small ledger first: how the time grows.
const SMALL: u32 = 10_000;
const ITEMS_PER_ACCOUNT: u32 = 3;
const PATIENCE: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_millis(20);

#[derive(Args)]
pub(crate) struct Dunning {
    /// Accounts, of three open items each.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    accounts: u32,
    /// Keeps the servers' data and the service's log.
    #[arg(long)]
    keep: bool,
}

impl Dunning {
    pub(crate) async fn run(self, context: Context) -> anyhow::Result<()> {
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
        let small = SMALL.min(self.accounts);
        progress("a small ledger");
        seed(rig, 1, small).await?;
        rig.tidy().await?;
        let roles = rig.start_these(&[Role::Dunning]).await?;
        let client = Client::connect(&mut rig.context).await?;
        let (little, run) = propose(&client, "small").await?;
        cancel(&client, &run).await?;
        let mut figures = Figures::default();
        if small < self.accounts {
            progress("the whole ledger");
            seed(rig, small + 1, self.accounts).await?;
            rig.tidy().await?;
        }
        let before = plain_sql(rig).await?;
        progress("a run over it");
        let (spent, run) = propose(&client, "whole").await?;
        let after = plain_sql(rig).await?;
        let sql = f64::midpoint(before, after);
        let items = f64::from(self.accounts) * f64::from(ITEMS_PER_ACCOUNT);
        figures.set("accounts", self.accounts);
        figures.set("items", items as u64);
        figures.set("contacts", run.contacts);
        figures.set("unclassified", run.unclassified);
        figures.set("seconds", spent);
        figures.set("items_per_second", items / spent);
        figures.set("accounts_per_second", f64::from(self.accounts) / spent);
        figures.set("sql_seconds_before", before);
        figures.set("sql_seconds_after", after);
        figures.set("ratio_to_sql", spent / sql);
        if small < self.accounts {
            let growth = f64::from(self.accounts) / f64::from(small);
            figures.set("small_seconds", little);
            figures.set("growth_exponent", (spent / little).ln() / growth.ln());
        }
        for row in &run.tally {
            let key = format!("items_{}", row.reason.name());
            figures.set(key, row.items);
        }
        let peaks = roles.peak_rss_mib()?;
        figures.set("peak_rss_mib", peaks.get(&Role::Dunning).copied());
        roles.stop().await?;
        figures.set("load_average", load);
        figures.print(rig.context.json)?;
        if run.unclassified != 0 {
            bail!("{} overdue items have no reason", run.unclassified);
        }
        Ok(())
    }
}

/// Accounts with items, and what stands in the way of chasing some: a tenth is
/// promised, a twentieth in query, on hold, likely paid, and half of them have
/// had letters before.
async fn seed(rig: &mut Rig, from: u32, to: u32) -> anyhow::Result<()> {
    let statements = [
        "insert into dunning.account (account_id, account_ref, version, name, kind, email, phone, address)
         select md5('account' || n)::uuid, 'B' || n, 1, 'Bench ' || n,
           (array['company', 'sole_trader', 'public_body'])[1 + n % 3],
           case when n % 10 < 8 then n || '@example.invalid' end, '020', case when n % 10 > 5 then 'A road' end
         from generate_series($1::int, $2::int) n",
        "insert into dunning.item (document_id, document_ref, kind, account_id, account_ref, issued_on, due_on, currency,
           gross, likely_theirs)
         select md5('item' || n || ' ' || i)::uuid, 'I' || n || '-' || i, 'invoice', md5('account' || n)::uuid, 'B' || n,
           current_date - 120, current_date - (n * 7 + i * 31) % 100 + 5, 'GBP', 20 + (n * 13 + i) % 900,
           case when n % 20 = 1 then 5000 else 0 end
         from generate_series($1::int, $2::int) n, generate_series(1, 3) i",
        "insert into dunning.stop (subject_id, version, kind, hold_kind, account_id, documents, amounts, currency, starts_on,
           ends_on)
         select md5('stop' || n)::uuid, 1, k.kind, k.hold, md5('account' || n)::uuid,
           case when k.hold is null then array[md5('item' || n || ' 1')::uuid] else '{}' end,
           case when k.hold is null then array[null::numeric] else '{}' end, 'GBP', current_date - 10, current_date + 5
         from generate_series($1::int, $2::int) n
         join lateral (select case when n % 20 < 2 then 'promise' when n % 20 = 2 then 'query' else 'hold' end as kind,
           case when n % 20 = 3 then 'other' end as hold) k on n % 20 < 4",
        "insert into dunning.reached (account_id, documents, ranks, days, policies, policy_versions, contacts)
         select md5('account' || n)::uuid, array[md5('item' || n || ' 1')::uuid, md5('item' || n || ' 2')::uuid],
           array[20, 30]::smallint[], array[current_date - 30, current_date - 4], array['trade_credit', 'trade_credit'],
           array[1, 1], array[current_date - 30, current_date - 4]
         from generate_series($1::int, $2::int) n where n % 2 = 0",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(i32::try_from(from)?)
            .bind(i32::try_from(to)?)
            .execute(&mut rig.ledger)
            .await?;
    }
    Ok(())
}

/// The plainest SQL: groups the items of each account, and writes one row.
async fn plain_sql(rig: &mut Rig) -> anyhow::Result<f64> {
    rig.ledger
        .execute(
            "drop table if exists dunning.bench_notice;
             create table dunning.bench_notice (account_id uuid primary key, late integer, total numeric, items bigint)",
        )
        .await?;
    let began = Instant::now();
    rig.ledger
        .execute(
            "insert into dunning.bench_notice
             select account_id, max(current_date - due_on), sum(open), count(*) from dunning.item
             where open > 0 and due_on < current_date group by account_id",
        )
        .await?;
    let spent = began.elapsed().as_secs_f64();
    rig.ledger
        .execute("drop table dunning.bench_notice")
        .await?;
    Ok(spent)
}

pub(super) fn person() -> Person {
    Person {
        actor: "user:bench".to_owned(),
        roles: vec!["manager".to_owned()],
    }
}

/// Seconds from the command until the proposal is frozen.
pub(super) async fn propose(client: &Client, title: &str) -> anyhow::Result<(f64, RunView)> {
    let run = client
        .ask(&ProposeRun {
            kind: RunKind::Reminders,
            command_id: CommandId::generate(),
            as_of: None,
            title: title.to_owned(),
            scope: RunScope::default(),
            reason: "bench".to_owned(),
            person: person(),
        })
        .await?;
    let run = await_run(client, run.run_id, RunState::Proposed).await?;
    Ok(((run.changed_at - run.created_at).as_seconds_f64(), run))
}

/// The run, once it is in that state.
pub(super) async fn await_run(
    client: &Client,
    run_id: RunId,
    state: RunState,
) -> anyhow::Result<RunView> {
    let began = Instant::now();
    loop {
        let run = client.ask(&GetRun { run_id }).await?;
        if run.state == state {
            return Ok(run);
        }
        if began.elapsed() > PATIENCE {
            bail!("the run is {:?}, at {} %", run.state, run.progress);
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn cancel(client: &Client, run: &RunView) -> anyhow::Result<()> {
    client
        .ask(&StepRun {
            command_id: CommandId::generate(),
            run_id: run.run_id,
            version: None,
            step: RunStep::Cancel,
            reason: "bench".to_owned(),
            person: person(),
        })
        .await?;
    Ok(())
}
