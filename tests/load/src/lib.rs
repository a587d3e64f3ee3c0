//! The floor: what the bare job costs on this machine.
//!
//! A receipt is published; one stage takes it in, the next one finds its open
//! item by the reference in the text and allocates it with two journal rows and
//! an audit row, the last one adds it up per account. Inbox and outbox at each
//! hop, three schemas, every batch one statement, and nothing else: no
//! ambiguity, no suggestions, no retries, no dead letters, no history of facts,
//! no rights. Hand-written with the database's and the broker's own clients, so
//! that it shares no line with the suite that is measured against it.
//!
//! The suite does the same messages; the share of the floor that it reaches is
//! what its own work costs.

mod pace;
mod stages;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self, Context, Message,
    consumer::{AckPolicy, pull},
    stream,
};
use futures::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinSet,
};
use tokio_postgres::{Client, NoTls, types::ToSql};
use uuid::Uuid;

pub use pace::{Pace, Window, percentile};

use stages::{RECEIPTS, STAGES, STREAMS, Stage, receipts_of};

/// Whatever ended a run: a bench has nothing to decide on it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Messages in one batch, at most.
const BATCH_MAX: usize = 1000;
/// Messages published before their acknowledgements are awaited.
pub const WINDOW: usize = 512;
/// Nothing projected for this long: something is lost.
const STUCK: Duration = Duration::from_secs(30);
/// Open items of one account.
const ITEMS_PER_ACCOUNT: u64 = 10;

#[derive(Debug, Clone)]
pub struct Options {
    /// URL of a database that may be emptied.
    pub database: String,
    pub nats_url: String,
    /// May do everything on the broker.
    pub nats_user: String,
    pub nats_password: String,
    pub receipts: u64,
    /// At least as many as `receipts`: each pays one of them.
    pub open_items: u64,
    /// How long latency is measured, at a quarter of the rate that was reached;
    /// zero: not at all.
    pub latency: Duration,
}

/// What the floor reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    pub receipts: u64,
    /// From the first publish to the last commit of the last stage.
    pub seconds: f64,
    pub receipts_per_second: f64,
    /// Published to projected, at a quarter of the rate; zero when not measured.
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Runs the pipeline once: makes its tables and streams anew, loads the open
/// items, measures, checks that every receipt was allocated once, and deletes
/// the streams.
///
/// # Errors
/// When a server refuses, or what came out is not what went in.
pub async fn run(options: &Options) -> Result<Floor, Error> {
    let admin = connect(&options.database).await?;
    admin.batch_execute(include_str!("schema.sql")).await?;
    let open_items = options.open_items.max(options.receipts);
    load(&admin, 0, open_items).await?;

    let js = broker(options).await?;
    make_streams(&js).await?;
    let measured = measure(options, &admin, &js, open_items).await;
    delete_streams(&js).await?;
    measured
}

async fn measure(
    options: &Options,
    admin: &Client,
    js: &Context,
    open_items: u64,
) -> Result<Floor, Error> {
    let mut stages = JoinSet::new();
    let (tell, mut projected) = unbounded_channel();
    for stage in &STAGES {
        let database = options.database.clone();
        // A context each: the acknowledgements that one stage waits for must
        // not hold up another's.
        let js = broker(options).await?;
        let tell = stage.next.is_none().then(|| tell.clone());
        stages.spawn(async move { work(stage, &database, &js, tell).await });
    }
    drop(tell);

    let measuring = async {
        let began = Instant::now();
        let (_, ended) = tokio::try_join!(
            publish(js, 0..options.receipts, open_items, None),
            collect(&mut projected, options.receipts)
        )?;
        let last = ended.values().max().copied().unwrap_or(began);
        let seconds = (last - began).as_secs_f64();
        let mut floor = Floor {
            receipts: options.receipts,
            seconds,
            receipts_per_second: options.receipts as f64 / seconds,
            p50_ms: 0.0,
            p99_ms: 0.0,
        };
        let rate = floor.receipts_per_second / 4.0;
        let paced = (rate * options.latency.as_secs_f64()) as u64;
        if paced > 0 {
            load(admin, open_items, open_items + paced).await?;
            let range = open_items..open_items + paced;
            let (began, ended) = tokio::try_join!(
                publish(js, range, open_items + paced, Some(rate)),
                collect(&mut projected, paced)
            )?;
            let mut times: Vec<Duration> = began
                .iter()
                .filter_map(|(id, at)| Some(ended.get(id)?.duration_since(*at)))
                .collect();
            floor.p50_ms = percentile(&mut times, 0.5).as_secs_f64() * 1e3;
            floor.p99_ms = percentile(&mut times, 0.99).as_secs_f64() * 1e3;
        }
        check(admin, options.receipts + paced).await?;
        Ok(floor)
    };
    tokio::select! {
        done = measuring => done,
        // A stage only ever ends by an error.
        Some(ended) = stages.join_next() => {
            ended??;
            Err("a stage ended by itself".into())
        }
    }
}

/// A stage of the pipeline, until its task is dropped.
async fn work(
    stage: &'static Stage,
    database: &str,
    js: &Context,
    tell: Option<UnboundedSender<(Vec<Uuid>, Instant)>>,
) -> Result<(), Error> {
    let client = connect(database).await?;
    let statement = client.prepare(stage.statement).await?;
    // Losing the last step of the cursor only publishes some rows again.
    let settler = connect(database).await?;
    settler
        .batch_execute("set synchronous_commit = off")
        .await?;
    let settle = match stage.next {
        Some(_) => Some(
            settler
                .prepare(&format!("update {}.relay_cursor set seq = $1", stage.name))
                .await?,
        ),
        None => None,
    };
    let consumer: jetstream::consumer::Consumer<pull::Config> = js
        .get_consumer_from_stream(stage.name, stage.stream)
        .await?;
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .messages()
        .await?;
    while let Some(first) = messages.next().await {
        let mut batch = vec![first?];
        // What is there is taken, nothing is waited for. Outside of the runtime's budget for one task, which would
        // make it some sixty messages at most.
        while batch.len() < BATCH_MAX
            && let Some(Some(next)) = tokio::task::unconstrained(messages.next()).now_or_never()
        {
            batch.push(next?);
        }
        let columns = (stage.columns)(&batch)?;
        let parameters: Vec<&(dyn ToSql + Sync)> = columns
            .iter()
            .map(|column| &**column as &(dyn ToSql + Sync))
            .collect();
        let rows = client.query(&statement, &parameters).await?;
        if let Some(tell) = &tell {
            tell.send((receipts_of(&batch)?, Instant::now()))?;
        }
        if let (Some(next), Some(settle)) = (stage.next, &settle) {
            let mut window = Window::new(js.clone(), WINDOW);
            let mut last = 0_i64;
            for row in &rows {
                last = last.max(row.try_get(0)?);
                window
                    .publish(next, row.try_get(1)?, row.try_get(2)?)
                    .await?;
            }
            window.drain().await?;
            if last > 0 {
                settler.execute(settle, &[&last]).await?;
            }
        }
        ack(&batch).await?;
    }
    Err("the subscription ended".into())
}

async fn ack(batch: &[Message]) -> Result<(), Error> {
    for message in batch {
        message.ack().await?;
    }
    Ok(())
}

async fn connect(database: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
    // It ends with its client, and what breaks it fails the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

async fn broker(options: &Options) -> Result<Context, Error> {
    let client = async_nats::ConnectOptions::with_user_and_password(
        options.nats_user.clone(),
        options.nats_password.clone(),
    )
    .connect(&options.nats_url)
    .await?;
    Ok(jetstream::new(client))
}

async fn make_streams(js: &Context) -> Result<(), Error> {
    delete_streams(js).await?;
    for (stream, subject) in STREAMS {
        js.create_stream(stream::Config {
            name: stream.to_owned(),
            subjects: vec![subject.to_owned()],
            ..stream::Config::default()
        })
        .await?;
    }
    for stage in &STAGES {
        js.create_consumer_on_stream(
            pull::Config {
                durable_name: Some(stage.name.to_owned()),
                ack_policy: AckPolicy::Explicit,
                max_ack_pending: 8 * BATCH_MAX as i64,
                ..pull::Config::default()
            },
            stage.stream,
        )
        .await?;
    }
    Ok(())
}

/// Those of this run, or of one that did not come to its end.
async fn delete_streams(js: &Context) -> Result<(), Error> {
    for (stream, _) in STREAMS {
        if js.get_stream(stream).await.is_ok() {
            js.delete_stream(stream).await?;
        }
    }
    Ok(())
}

/// The open items from `from` to `to`, and statistics for the planner.
async fn load(admin: &Client, from: u64, to: u64) -> Result<(), Error> {
    admin
        .execute(
            "insert into allocate.open_item (document_id, reference, account_id, amount, open)
             select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'INV-' || n,
                 ('00000000-0000-7000-9000-' || lpad(to_hex(n / $3), 12, '0'))::uuid, a.amount, a.amount
             from generate_series($1::bigint, $2::bigint - 1) n
             cross join lateral (select (100 + n % 100000)::numeric / 100 as amount) a",
            &[&(from as i64), &(to as i64), &(ITEMS_PER_ACCOUNT as i64)],
        )
        .await?;
    admin.batch_execute("vacuum analyze").await?;
    admin.batch_execute("checkpoint").await?;
    Ok(())
}

/// Scatters the payments over the open items: a prime step visits each once.
fn item_of(receipt: u64, open_items: u64) -> u64 {
    const STEP: u64 = 1_000_003;
    if open_items.is_multiple_of(STEP) {
        return receipt;
    }
    receipt * STEP % open_items
}

/// Publishes one receipt per item of `range` (its numbers spread below
/// `open_items`), and tells when each was published.
async fn publish(
    js: &Context,
    range: std::ops::Range<u64>,
    open_items: u64,
    per_second: Option<f64>,
) -> Result<HashMap<Uuid, Instant>, Error> {
    let mut window = Window::new(js.clone(), WINDOW);
    let mut pace = per_second.map(Pace::new);
    let mut published = HashMap::new();
    for receipt in range {
        let item = match &mut pace {
            Some(pace) => {
                pace.step().await;
                // Those loaded for this, which nobody has paid yet.
                receipt
            }
            None => item_of(receipt, open_items),
        };
        let id = Uuid::now_v7();
        let pence = 100 + item % 100_000;
        let payload = serde_json::json!({
            "feed": "bench",
            "bank_account": {"sort_code": "200000", "account_number": "55779911"},
            "bank_reference": format!("FP{receipt:012}"),
            "booked_on": "2026-03-02",
            "value_on": "2026-03-02",
            "amount": format!("{}.{:02}", pence / 100, pence % 100),
            "currency": "GBP",
            "direction": "credit",
            "scheme": "faster_payments",
            "payer": {
                "name": format!("Bench Debtor {} Ltd", item / ITEMS_PER_ACCOUNT),
                "sort_code": "601613",
                "account_number": format!("{:08}", item / ITEMS_PER_ACCOUNT),
            },
            "remittance": {"unstructured": [format!("PAYMENT OF INV-{item} WITH THANKS")]},
        })
        .to_string();
        published.insert(id, Instant::now());
        window.publish(RECEIPTS, id, payload).await?;
    }
    window.drain().await?;
    Ok(published)
}

/// Waits for `count` receipts to be projected, and tells when each was.
async fn collect(
    projected: &mut UnboundedReceiver<(Vec<Uuid>, Instant)>,
    count: u64,
) -> Result<HashMap<Uuid, Instant>, Error> {
    let mut ended = HashMap::new();
    while (ended.len() as u64) < count {
        match tokio::time::timeout(STUCK, projected.recv()).await {
            Ok(Some((receipts, at))) => {
                for receipt in receipts {
                    ended.entry(receipt).or_insert(at);
                }
            }
            Ok(None) => return Err("the last stage ended".into()),
            Err(_) => {
                return Err(format!("{} of {count} receipts were projected", ended.len()).into());
            }
        }
    }
    Ok(ended)
}

/// What came out is what went in: each receipt once, and the books balance.
async fn check(admin: &Client, receipts: u64) -> Result<(), Error> {
    let row = admin
        .query_one(
            "select (select count(*) from ingest.receipt),
                 (select count(distinct receipt_id) from allocate.allocation),
                 (select count(*) from allocate.audit),
                 (select count(*) / 2 from allocate.journal),
                 (select sum(receipts)::bigint from project.balance),
                 (select sum(amount) = 0 from allocate.journal)
                     and (select sum(amount) from ingest.receipt) = (select sum(allocated) from project.balance)",
            &[],
        )
        .await?;
    let counts = (0..5)
        .map(|column| row.try_get::<_, i64>(column))
        .collect::<Result<Vec<_>, _>>()?;
    let balanced: bool = row.try_get(5)?;
    if balanced && counts.iter().all(|count| *count == receipts as i64) {
        Ok(())
    } else {
        Err(
            format!("the floor's books are wrong: {counts:?} of {receipts}, balanced: {balanced}")
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_paid_once() {
        for open_items in [1_u64, 20, 1000, 1_000_003] {
            let mut items: Vec<u64> = (0..open_items).map(|n| item_of(n, open_items)).collect();
            items.sort_unstable();
            items.dedup();
            assert_eq!(items.len() as u64, open_items);
            assert!(items.iter().all(|item| *item < open_items));
        }
    }
}
