//! What the bench measures on: servers of its own, the services on them, and a
//! ledger that it loads through the same door as everybody.

use std::{
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use async_nats::jetstream::{self, consumer::pull};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Prefix, Role,
    catalogue::{ALLOCATION, Durable, Outsider},
    subject::{IN_ACCOUNTS, IN_DOCUMENTS, IN_RECEIPTS},
};
use kernel::{Clock as _, SystemClock};
use load::{Pace, Window};
use runtime::{LocalStack, service};
use serde::Serialize;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, postgres::PgConnectOptions,
};
use uuid::Uuid;

use super::{
    payments::{self, ACCOUNTS, ALLOCATED, BLOCK, SUGGESTED},
    roles::{ROLES, Roles},
};
use crate::{Context, commands::up::start_stack, services};

/// The feed and the billing system that the bench is.
const SOURCE: &str = "bench";
/// Between two looks at how far the services are.
const POLL: Duration = Duration::from_millis(5);
/// Nothing has moved for this long: something is lost.
const STUCK: Duration = Duration::from_mins(1);

pub(super) struct Rig {
    pub(super) context: Context,
    pub(super) stack: LocalStack,
    pub(super) prefix: Prefix,
    /// As the user who may do everything.
    pub(super) nats: async_nats::Client,
    pub(super) js: jetstream::Context,
    /// To the server, beside the ledger: what is asked here does not count as
    /// the ledger's.
    pub(super) server: PgConnection,
    pub(super) ledger: PgConnection,
    config_file: PathBuf,
    today: NaiveDate,
    /// Blocks of documents that are on the ledger.
    blocks: u64,
    /// Blocks of them that no receipt has paid.
    unpaid: Vec<u64>,
    published: u64,
}

impl Rig {
    pub(super) async fn start(mut context: Context) -> anyhow::Result<Self> {
        // Not the directory for temporary files, which may be memory: there
        // every fsync would be free.
        let parent = PathBuf::from("/var/tmp");
        let parent = if parent.is_dir() {
            parent
        } else {
            std::env::temp_dir()
        };
        context.config.local.data_dir =
            parent.join(format!("counterfoil-bench-{}", std::process::id()));
        let stack = start_stack(&context.config, true).await?;
        let config_file = stack.data_dir().join("bench.toml");
        std::fs::write(&config_file, context.config.dump()?)?;
        stack.configure(&mut context.config);
        let made = Self::prepare(&context, &stack).await;
        match made {
            Ok((nats, server, ledger)) => Ok(Self {
                js: jetstream::new(nats.clone()),
                prefix: Prefix::try_new(&context.config.nats.prefix)?,
                today: SystemClock.today(),
                context,
                stack,
                nats,
                server,
                ledger,
                config_file,
                blocks: 0,
                unpaid: Vec::new(),
                published: 0,
            }),
            Err(error) => {
                stack.destroy().await?;
                Err(error)
            }
        }
    }

    async fn prepare(
        context: &Context,
        stack: &LocalStack,
    ) -> anyhow::Result<(async_nats::Client, PgConnection, PgConnection)> {
        let config = &context.config;
        service::migrate(config, &services::all(config, None)).await?;
        let admin: PgConnectOptions = stack.admin_options();
        Ok((
            service::nats(config, Outsider::Platform.name()).await?,
            PgConnection::connect_with(&admin).await?,
            PgConnection::connect_with(&admin.database(&config.database.name)).await?,
        ))
    }

    /// Stops the servers, and removes everything unless it is to be kept.
    pub(super) async fn end(self, keep: bool) -> anyhow::Result<()> {
        let _ = self.server.close().await;
        let _ = self.ledger.close().await;
        if keep {
            eprintln!("kept in {}", self.stack.data_dir().display());
            self.stack.stop().await?;
        } else {
            self.stack.destroy().await?;
        }
        Ok(())
    }

    pub(super) async fn start_roles(&self) -> anyhow::Result<Roles> {
        self.start_these(&ROLES).await
    }

    pub(super) async fn start_these(&self, roles: &[Role]) -> anyhow::Result<Roles> {
        Roles::start(self.stack.data_dir(), &self.config_file, roles).await
    }

    /// A database of that name, empty.
    pub(super) async fn make_database(&mut self, name: &'static str) -> anyhow::Result<()> {
        for statement in [
            format!("drop database if exists {name}"),
            format!("create database {name}"),
        ] {
            self.server.execute(AssertSqlSafe(statement)).await?;
        }
        Ok(())
    }

    /// Statistics for the planner, and no checkpoint of what was before in the
    /// middle of what is measured.
    pub(super) async fn tidy(&mut self) -> anyhow::Result<()> {
        self.ledger.execute("vacuum analyze").await?;
        self.ledger.execute("checkpoint").await?;
        Ok(())
    }

    /// Puts as many open items on the ledger as are missing to `open_items`,
    /// through the services.
    pub(super) async fn load(&mut self, open_items: u64) -> anyhow::Result<()> {
        let missing = open_items
            .div_ceil(BLOCK)
            .saturating_sub(self.unpaid.len() as u64);
        if missing == 0 {
            return Ok(());
        }
        let mut roles = self.start_roles().await?;
        self.load_blocks(missing, &mut roles).await?;
        roles.stop().await
    }

    /// Puts `count` new blocks on the ledger and tells which.
    pub(super) async fn load_blocks(
        &mut self,
        count: u64,
        roles: &mut Roles,
    ) -> anyhow::Result<Range<u64>> {
        let blocks = self.blocks..self.blocks + count;
        let accounts = payments::accounts(blocks.clone()).map(Ok);
        self.publish_all(IN_ACCOUNTS, accounts).await?;
        let documents = payments::documents(blocks.clone(), self.today);
        self.publish_all(IN_DOCUMENTS, documents).await?;
        self.blocks = blocks.end;
        self.unpaid.extend(blocks.clone());
        self.projected(roles).await?;
        Ok(blocks)
    }

    /// Takes blocks whose documents are open, spread over all of them, for
    /// `receipts` receipts.
    pub(super) fn take(&mut self, receipts: u64) -> Vec<u64> {
        payments::shuffle(&mut self.unpaid);
        let taken = receipts.div_ceil(BLOCK).min(self.unpaid.len() as u64);
        self.unpaid
            .split_off(self.unpaid.len() - usize::try_from(taken).unwrap_or_default())
    }

    /// Publishes the receipts that pay `blocks`, at so many a second or as fast
    /// as the broker takes them, and tells when each was published.
    pub(super) async fn pay(
        &mut self,
        blocks: &[u64],
        per_second: Option<f64>,
    ) -> anyhow::Result<Vec<(Uuid, DateTime<Utc>)>> {
        self.unpaid.retain(|block| !blocks.contains(block));
        let subject = self.subject(IN_RECEIPTS);
        let mut window = Window::new(self.js.clone(), load::WINDOW);
        let mut pace = per_second.map(Pace::new);
        let mut sent = Vec::with_capacity(blocks.len() * BLOCK as usize);
        for receipt in payments::receipts(blocks, self.today) {
            let payload = serde_json::to_string(&receipt?)?;
            if let Some(pace) = &mut pace {
                pace.step().await;
            }
            let id = Uuid::now_v7();
            sent.push((id, SystemClock.now()));
            window
                .publish(&subject, id, payload)
                .await
                .map_err(anyhow::Error::from_boxed)?;
        }
        window.drain().await.map_err(anyhow::Error::from_boxed)?;
        self.published += sent.len() as u64;
        Ok(sent)
    }

    async fn publish_all<M: Serialize>(
        &self,
        thing: &str,
        messages: impl Iterator<Item = anyhow::Result<M>>,
    ) -> anyhow::Result<()> {
        let subject = self.subject(thing);
        let mut window = Window::new(self.js.clone(), load::WINDOW);
        for message in messages {
            window
                .publish(&subject, Uuid::now_v7(), serde_json::to_string(&message?)?)
                .await
                .map_err(anyhow::Error::from_boxed)?;
        }
        window.drain().await.map_err(anyhow::Error::from_boxed)
    }

    fn subject(&self, thing: &str) -> String {
        self.prefix.subject(format_args!("{thing}.{SOURCE}"))
    }

    /// Waits until everything that was published has come through to
    /// reporting, and tells when that was seen.
    pub(super) async fn projected(&mut self, roles: &mut Roles) -> anyhow::Result<Instant> {
        // Each account, document and receipt is one event of allocation, at least.
        let events = self.blocks * (ACCOUNTS + BLOCK) + self.published;
        let durable = Durable {
            service: Role::Reporting,
            stream: ALLOCATION,
            event: None,
        };
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .js
            .get_consumer_from_stream(durable.name(), self.prefix.stream(durable.stream))
            .await?;
        let mut moved = (0, Instant::now());
        loop {
            let info = consumer.get_info().await?;
            let at = info.ack_floor.stream_sequence;
            let seen = Instant::now();
            let idle = info.num_pending == 0 && info.num_ack_pending == 0;
            if at >= events && idle && self.is_projected().await? {
                return Ok(seen);
            }
            if at > moved.0 {
                moved = (at, seen);
            } else if moved.1.elapsed() > STUCK {
                bail!(
                    "{at} of {events} events came through to reporting: {:?}; {}",
                    self.counts().await?,
                    roles.logs()
                );
            }
            roles.check()?;
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_projected(&mut self) -> anyhow::Result<bool> {
        let (documents, receipts): (i64, i64) = sqlx::query_as(
            "select (select count(*) from reporting.document d where d.generation = l.generation),
                    (select count(*) from reporting.receipt r where r.generation = l.generation)
             from reporting.live l",
        )
        .fetch_one(&mut self.ledger)
        .await?;
        Ok(documents as u64 >= self.blocks * BLOCK && receipts as u64 >= self.published)
    }

    /// What became of the receipts.
    pub(super) async fn counts(&mut self) -> anyhow::Result<Counts> {
        let (recorded, posted, projected, different, twice, allocated, suggested, dead): (
            i64,
            i64,
            i64,
            i64,
            i64,
            i64,
            i64,
            i64,
        ) = sqlx::query_as(
            "with projected as (
                 select bank_reference from reporting.receipt
                 where generation = (select generation from reporting.live)
             )
             select (select count(*) from ingestion.bank_line),
                 (select count(*) from allocation.receipt),
                 (select count(*) from projected),
                 (select count(distinct bank_reference) from projected),
                 (select count(*) - count(distinct (receipt_id, document_id)) from allocation.allocation),
                 (select count(*) from allocation.receipt where state = 'allocated'),
                 (select count(*) from allocation.receipt where suggestions > 0),
                 (select count(*) from ingestion.dead_letter) + (select count(*) from allocation.dead_letter)
                     + (select count(*) from reporting.dead_letter)",
        )
        .fetch_one(&mut self.ledger)
        .await?;
        let published = self.published as i64;
        Ok(Counts {
            published: self.published,
            lost: (published - different).max(0) as u64,
            doubled: [recorded, posted, projected]
                .iter()
                .map(|rows| (rows - published).max(0))
                .sum::<i64>() as u64
                + twice.max(0) as u64,
            allocated: allocated as u64,
            suggested: suggested as u64,
            dead_letters: dead as u64,
        })
    }
}

/// What became of all receipts that were published.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) published: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) allocated: u64,
    pub(super) suggested: u64,
    pub(super) dead_letters: u64,
}

impl Counts {
    /// Fails when the work that was measured is not the work that was meant.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let blocks = self.published / BLOCK;
        if self.dead_letters > 0 {
            bail!("messages became dead letters: {self:?}");
        }
        if self.allocated < blocks * ALLOCATED || self.suggested < blocks * SUGGESTED {
            bail!("receipts were not decided as their words say: {self:?}");
        }
        Ok(())
    }
}

/// The load average of the last minute.
pub(super) fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    let first = text.split(' ').next().context("no load average")?;
    Ok(first.parse()?)
}
