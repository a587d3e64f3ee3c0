//! `counterfoil bench matching`: what allocation looks up and decides per
//! receipt, over a ledger of a given size on a Postgres of its own; how that
//! grows with the ledger; and how it compares with the plainest SQL that finds
//! the same reference matches.
//!
//! Each batch is loaded (with its locks) and decided in a transaction that is
//! rolled back: the ledger stays as it is, and what is written afterwards is
//! `bench pipeline`'s to measure.

mod touched;

use std::{sync::Arc, time::Instant};

use allocation::{consume::Ledger, consume::Message, domain::arrival};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Args;
use contracts::{Role, inbound::RemittanceText, ingestion::ReceiptRecorded};
use kernel::{Clock as _, Currency, Money, ReceiptId, SystemClock};
use messaging::{Bus, Consumer as _, Incoming, Meta};
use runtime::service;
use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, Executor as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::touched::Touched;
use super::{
    figures::Figures,
    progress,
    rig::{Rig, load_average},
};
use crate::{Context, commands::run::on_signal};

/// The ledger that growth is measured from.
const SMALL: u64 = 10_000;
/// Open items of each account.
const OF_ACCOUNT: u64 = 10;
/// Receipts of one kind when growth is measured, and how many of them go
/// together.
const GROWTH_RECEIPTS: u64 = 6_000;
const GROWTH_BATCH: usize = 200;
/// Receipts that are looked at one by one for percentiles.
const SINGLE: u64 = 3_000;
/// Of the payer with many items, and of one with few.
const MANY_RECEIPTS: u64 = 400;
const MANY: u64 = 10_000;
/// Larger than any number of the ledger: the payer with many items.
const MANY_FROM: u64 = 90_000_000;

/// What is aimed at: exponents of the time per receipt from the small ledger to
/// the large one, ratios and times.
const GROWTH_MAX: f64 = 0.05;
const GROWTH_UNKNOWN_MAX: f64 = 0.2;
const PAYER_OF_MANY_MAX: f64 = 20.0;
const DECIDE_US_MAX: f64 = 1_000.0;

#[derive(Args)]
pub(crate) struct Matching {
    /// Open items on the ledger.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(SMALL..))]
    items: u64,
    /// Receipts of mixed difficulty.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    receipts: u64,
    /// Receipts that are loaded and decided together.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    batch: u64,
    /// Keeps the servers' data.
    #[arg(long)]
    keep: bool,
}

/// How a receipt says what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A document's number with its amount.
    Reference,
    /// Its number without the letters.
    Bare,
    /// Two of its digits swapped, from a payer with a name.
    Spoilt,
    /// Nothing but who pays how much.
    PayerAmount,
    /// The number of the account instead.
    AccountNumber,
    /// Two items of the payer in one sum.
    LumpSum,
    /// Nobody knows the payer, and nothing is named.
    Unknown,
}

/// Of a hundred receipts.
const MIX: [(Kind, u64); 7] = [
    (Kind::Reference, 45),
    (Kind::Bare, 8),
    (Kind::Spoilt, 7),
    (Kind::PayerAmount, 15),
    (Kind::AccountNumber, 8),
    (Kind::LumpSum, 9),
    (Kind::Unknown, 8),
];

impl Matching {
    pub(super) async fn run(self, context: Context) -> anyhow::Result<()> {
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
        let bus = service::connect(
            &rig.context.config,
            Role::Allocation,
            Arc::new(SystemClock),
            CancellationToken::new(),
        )
        .await?;
        let bench = Bench {
            ledger: Ledger::new(bus.prefix().clone()),
            bus,
            today: SystemClock.today(),
        };
        let kinds = [Kind::Reference, Kind::PayerAmount, Kind::Unknown];

        progress("a small ledger");
        bench.fill(rig, 0, SMALL).await?;
        let mut small = Vec::new();
        for kind in kinds {
            small.push(bench.per_receipt(rig, kind, SMALL).await?);
        }
        progress("a large ledger");
        bench.fill(rig, SMALL, self.items).await?;
        let mut large = Vec::new();
        for kind in kinds {
            large.push(bench.per_receipt(rig, kind, self.items).await?);
        }

        progress("receipts of every kind");
        let mixed: Vec<ReceiptRecorded> = (0..self.receipts)
            .map(|n| bench.receipt(mixed(n), n, self.items))
            .collect::<anyhow::Result<_>>()?;
        let began = Instant::now();
        let mut lines = 0;
        for batch in mixed.chunks(self.batch as usize) {
            lines += bench.look(batch).await?.lines;
        }
        let seconds = began.elapsed().as_secs_f64();

        progress("one by one");
        let mut singles = Vec::new();
        let mut thinking = Vec::new();
        for receipt in mixed.iter().take(SINGLE as usize) {
            let looked = bench.look(std::slice::from_ref(receipt)).await?;
            singles.push(looked.load + looked.decide);
            thinking.push(looked.decide);
        }
        let round_trip = bench.round_trip().await?;

        progress("plain SQL");
        let references: Vec<ReceiptRecorded> = (0..self.receipts)
            .map(|n| bench.receipt(Kind::Reference, n, self.items))
            .collect::<anyhow::Result<_>>()?;
        let sql = bench.plain_sql(rig, &references, self.items).await?;
        let began = Instant::now();
        let mut by_reference = 0;
        for batch in references.chunks(self.batch as usize) {
            by_reference += bench.look(batch).await?.lines;
        }
        let by_reference_seconds = began.elapsed().as_secs_f64();

        progress("a payer with many items");
        bench.fill_many(rig).await?;
        let few = bench.of_one_payer(Kind::PayerAmount, 0, OF_ACCOUNT).await?;
        let many = bench
            .of_one_payer(Kind::PayerAmount, MANY_FROM, MANY)
            .await?;

        let receipts = self.receipts as f64;
        let ours = receipts / by_reference_seconds;
        let mut figures = Figures::default();
        figures.set("open_items", self.items);
        figures.set("accounts", self.items / OF_ACCOUNT);
        figures.set("receipts", self.receipts);
        figures.set("batch", self.batch);
        figures.set("receipts_per_second", receipts / seconds);
        figures.set("lines_decided", lines);
        figures.set("p50_us", percentile(&mut singles, 0.50));
        figures.set("p99_us", percentile(&mut singles, 0.99));
        figures.set("decide_p50_us", percentile(&mut thinking, 0.50));
        figures.set("decide_p99_us", percentile(&mut thinking, 0.99));
        figures.set("limit_round_trip_us", round_trip);
        figures.set("by_reference_per_second", ours);
        figures.set("by_reference_found", by_reference);
        figures.set("sql_per_second", receipts / sql.0);
        figures.set("sql_found", sql.1);
        figures.set("ratio_to_sql", ours * sql.0 / receipts);
        let growth = (self.items as f64 / SMALL as f64).ln();
        let mut goals = vec![
            (
                "P7 one payer with many items, p99 over one with few",
                many / few,
                PAYER_OF_MANY_MAX,
            ),
            (
                "P8 deciding about one receipt, p99, microseconds",
                percentile(&mut thinking, 0.99),
                DECIDE_US_MAX,
            ),
        ];
        for (name, (small, large)) in ["by_reference", "by_payer_and_amount", "unknown_payer"]
            .iter()
            .zip(small.iter().zip(&large))
        {
            for (size, cost) in [(SMALL, small), (self.items, large)] {
                figures.set(format!("us_{name}_{size}"), cost.micros);
                figures.set(format!("pages_{name}_{size}"), cost.touched.pages);
                figures.set(format!("wal_bytes_{name}_{size}"), cost.touched.wal_bytes);
                if !rig.context.json {
                    println!("{name}, {size} open items:");
                    for line in &cost.touched.statements {
                        println!("{line}");
                    }
                }
            }
            if growth > 0.0 {
                let exponent = |small: f64, large: f64| (large / small).ln() / growth;
                let time = exponent(small.micros, large.micros);
                figures.set(format!("exponent_{name}"), time);
                goals.push(match *name {
                    "by_reference" => ("P5 growth by reference", time, GROWTH_MAX),
                    "unknown_payer" => (
                        "P6 growth where nobody knows the payer",
                        time,
                        GROWTH_UNKNOWN_MAX,
                    ),
                    _ => ("P5 growth by payer and amount", time, GROWTH_MAX),
                });
                figures.set(
                    format!("exponent_pages_{name}"),
                    exponent(small.touched.pages, large.touched.pages),
                );
            }
        }
        figures.set("p99_us_payer_of_10", few);
        figures.set(format!("p99_us_payer_of_{MANY}"), many);
        figures.set("ratio_of_many_items", many / few);
        figures.set("peak_rss_mib", peak_rss_mib()?);
        figures.set("load_average", load);
        figures.set(
            "cores",
            std::thread::available_parallelism().map_or(0, usize::from),
        );
        figures.print(rig.context.json)?;
        if !rig.context.json {
            println!();
            for (what, is, most) in &goals {
                let verdict = if is <= most { "holds" } else { "missed" };
                println!("{what:<58} {is:10.3}  at most {most:<8} {verdict}");
            }
        }
        Ok(())
    }
}

/// The kind of the `n`-th receipt.
fn mixed(n: u64) -> Kind {
    let mut at = spread(n, 100);
    for (kind, of) in MIX {
        if at < of {
            return kind;
        }
        at -= of;
    }
    Kind::Reference
}

/// A number below `below` that looks drawn, the same every time.
fn spread(n: u64, below: u64) -> u64 {
    let mixed = (n ^ 0x9e37_79b9).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 33) % below
}

/// What of pence the `item`-th document has open: hardly two have the same, as
/// with hours and mileage.
fn pence(item: u64) -> u64 {
    1_000 + item * 7_919 % 999_000
}

struct Bench {
    ledger: Ledger,
    bus: Bus,
    today: NaiveDate,
}

/// What a receipt costs.
struct Cost {
    /// The median batch's.
    micros: f64,
    touched: Touched,
}

/// What one batch took, in microseconds, and what it came to.
struct Looked {
    load: f64,
    decide: f64,
    lines: usize,
}

impl Bench {
    /// Puts items `from..to` and their accounts on the ledger.
    async fn fill(&self, rig: &mut Rig, from: u64, to: u64) -> anyhow::Result<()> {
        let today = self.today;
        let accounts = format!(
            "insert into allocation.account (account_id, account_ref, version, name, name_key, ref_key, recorded_at)
             select lpad(to_hex(n), 32, '0')::uuid, 'AC' || lpad(n::text, 8, '0'), 1,
                 'Debtor ' || lpad(n::text, 8, '0') || ' Ltd', 'DEBTOR' || lpad(n::text, 8, '0') || 'LTD',
                 'AC' || lpad(n::text, 8, '0'), now()
             from generate_series({}, {}) n",
            from / OF_ACCOUNT,
            to / OF_ACCOUNT - 1
        );
        let items = format!(
            "insert into allocation.open_item (document_id, document_ref, kind, account_id, account_ref, issued_on,
                 due_on, currency, amount, open, ref_key, tail_key, recorded_at)
             select ('d' || lpad(to_hex(n), 31, '0'))::uuid, 'INV-' || lpad(n::text, 8, '0'), 'invoice',
                 lpad(to_hex(n / {OF_ACCOUNT}), 32, '0')::uuid, 'AC' || lpad((n / {OF_ACCOUNT})::text, 8, '0'),
                 date '{today}' - 40 - (n % 50)::int,
                 date '{today}' - 10 - (n % 50)::int, 'GBP', a.amount, a.amount, '1NV' || lpad(n::text, 8, '0'),
                 lpad(n::text, 8, '0'), now()
             from generate_series({from}, {}) n,
                 lateral (select (1000 + n::bigint * 7919 % 999000) / 100.0 as amount) a",
            to - 1
        );
        for statement in [accounts, items] {
            rig.ledger.execute(AssertSqlSafe(statement)).await?;
        }
        rig.tidy().await
    }

    /// One account with many items.
    async fn fill_many(&self, rig: &mut Rig) -> anyhow::Result<()> {
        let account = MANY_FROM / OF_ACCOUNT;
        let today = self.today;
        let statements = [
            format!(
                "insert into allocation.account (account_id, account_ref, version, name, name_key, ref_key, recorded_at)
                 select lpad(to_hex(n), 32, '0')::uuid, 'AC' || lpad(n::text, 8, '0'), 1,
                     'Debtor ' || lpad(n::text, 8, '0') || ' Ltd', 'DEBTOR' || lpad(n::text, 8, '0') || 'LTD',
                     'AC' || lpad(n::text, 8, '0'), now()
                 from generate_series({account}, {account}) n"
            ),
            format!(
                "insert into allocation.open_item (document_id, document_ref, kind, account_id, account_ref,
                     issued_on, due_on, currency, amount, open, ref_key, tail_key, recorded_at)
                 select ('d' || lpad(to_hex(n), 31, '0'))::uuid, 'INV-' || lpad(n::text, 8, '0'), 'invoice',
                     lpad(to_hex({account}), 32, '0')::uuid, 'AC' || lpad('{account}', 8, '0'), date '{today}' - 40 - (n % 50)::int,
                     date '{today}' - 10 - (n % 50)::int, 'GBP', a.amount, a.amount, '1NV' || lpad(n::text, 8, '0'),
                     lpad(n::text, 8, '0'), now()
                 from generate_series({MANY_FROM}, {}) n,
                     lateral (select (1000 + n::bigint * 7919 % 999000) / 100.0 as amount) a",
                MANY_FROM + MANY - 1
            ),
        ];
        for statement in statements {
            rig.ledger.execute(AssertSqlSafe(statement)).await?;
        }
        rig.tidy().await
    }

    fn receipt(&self, kind: Kind, n: u64, items: u64) -> anyhow::Result<ReceiptRecorded> {
        self.for_item(kind, n, spread(n.wrapping_mul(31) + 7, items))
    }

    /// The `n`-th receipt, for that item.
    fn for_item(&self, kind: Kind, n: u64, item: u64) -> anyhow::Result<ReceiptRecorded> {
        let account = if item >= MANY_FROM {
            MANY_FROM / OF_ACCOUNT
        } else {
            item / OF_ACCOUNT
        };
        let number = format!("{item:08}");
        let mut amount = pence(item);
        let words = match kind {
            Kind::Reference => format!("PAYMENT INV-{number}"),
            Kind::Bare => number,
            Kind::Spoilt => {
                let (head, tail) = number.split_at(6);
                let swapped: String = tail.chars().rev().collect();
                format!("INV-{head}{swapped}")
            }
            Kind::AccountNumber => format!("A/C AC{account:08}"),
            Kind::LumpSum => {
                let first = account * OF_ACCOUNT;
                let other = first + (item + 1 - first) % OF_ACCOUNT;
                amount += pence(other);
                "SUPPLIER PAYMENT".to_owned()
            }
            Kind::PayerAmount | Kind::Unknown => "WITH THANKS".to_owned(),
        };
        let payer_name = match kind {
            Kind::Unknown => format!("STRANGER {n}"),
            Kind::Reference | Kind::Bare | Kind::AccountNumber => "FASTPAY SERVICES".to_owned(),
            _ => format!("DEBTOR {account:08} LTD"),
        };
        Ok(ReceiptRecorded {
            receipt_id: ReceiptId::generate(),
            source: "bench".to_owned(),
            bank_account: "GB:200000-55779911".to_owned(),
            bank_reference: Some(format!("B{n}")),
            booked_on: self.today,
            value_on: self.today,
            amount: Money::try_new(Decimal::new(amount as i64, 2), Currency::GBP)?,
            scheme: None,
            payer_name: Some(payer_name),
            payer_account: None,
            reference: Some(words),
            end_to_end_id: None,
            mandate_reference: None,
            remittance: RemittanceText::default(),
            statement: None,
            recorded_at: DateTime::<Utc>::UNIX_EPOCH,
            actor: "feed:bench".to_owned(),
        })
    }

    /// Loads and decides one batch, and leaves the ledger as it was.
    async fn look(&self, receipts: &[ReceiptRecorded]) -> anyhow::Result<Looked> {
        let now = self.bus.now();
        let batch: Vec<Incoming<Message>> = receipts
            .iter()
            .map(|fact| Incoming {
                meta: Meta::of_command(fact.receipt_id.as_uuid(), now, None),
                message: Message::Receipt(Box::new(arrival::receipt(fact, now))),
            })
            .collect();
        let began = Instant::now();
        let mut tx = self.bus.begin().await?;
        let state = self.ledger.load(&mut tx, &batch).await?;
        let loaded = Instant::now();
        let decided = self.ledger.decide(state, &batch, now)?;
        let ended = Instant::now();
        drop(tx);
        Ok(Looked {
            load: micros(loaded - began),
            decide: micros(ended - loaded),
            lines: decided.changes.lines(),
        })
    }

    /// What a receipt of a kind costs.
    async fn per_receipt(&self, rig: &mut Rig, kind: Kind, items: u64) -> anyhow::Result<Cost> {
        let receipts: Vec<ReceiptRecorded> = (0..GROWTH_RECEIPTS)
            .map(|n| self.receipt(kind, n, items))
            .collect::<anyhow::Result<_>>()?;
        // What is measured is not how cold the caches are after loading.
        for batch in receipts.chunks(GROWTH_BATCH).take(5) {
            self.look(batch).await?;
        }
        let mut batches = Vec::new();
        touched::reset(&mut rig.ledger).await?;
        for batch in receipts.chunks(GROWTH_BATCH) {
            let looked = self.look(batch).await?;
            batches.push((looked.load + looked.decide) / batch.len() as f64);
        }
        Ok(Cost {
            micros: percentile(&mut batches, 0.5),
            touched: touched::read(&mut rig.ledger, GROWTH_RECEIPTS as f64).await?,
        })
    }

    /// The 99th percentile of receipts of one payer, one by one.
    async fn of_one_payer(&self, kind: Kind, first: u64, items: u64) -> anyhow::Result<f64> {
        let mut times = Vec::new();
        for n in 0..MANY_RECEIPTS + 20 {
            let receipt = self.for_item(kind, n, first + spread(n, items))?;
            let looked = self.look(&[receipt]).await?;
            if n >= 20 {
                times.push(looked.load + looked.decide);
            }
        }
        Ok(percentile(&mut times, 0.99))
    }

    /// Microseconds of the least that a statement can take: the median.
    async fn round_trip(&self) -> anyhow::Result<f64> {
        let mut times = Vec::new();
        let mut tx = self.bus.begin().await?;
        for _ in 0..1_000 {
            let began = Instant::now();
            sqlx::query("select 1").execute(tx.conn()).await?;
            times.push(micros(began.elapsed()));
        }
        Ok(percentile(&mut times, 0.5))
    }

    /// Seconds of the plainest statement that finds the documents which the
    /// receipts name with their amounts, and how many it found.
    async fn plain_sql(
        &self,
        rig: &mut Rig,
        receipts: &[ReceiptRecorded],
        items: u64,
    ) -> anyhow::Result<(f64, i64)> {
        let mut ids: Vec<Uuid> = Vec::with_capacity(receipts.len());
        let mut keys: Vec<String> = Vec::with_capacity(receipts.len());
        let mut amounts: Vec<Decimal> = Vec::with_capacity(receipts.len());
        for (n, receipt) in (0_u64..).zip(receipts) {
            let item = spread(n.wrapping_mul(31) + 7, items);
            ids.push(receipt.receipt_id.as_uuid());
            keys.push(format!("1NV{item:08}"));
            amounts.push(receipt.amount.amount());
        }
        rig.ledger
            .execute("create temporary table said (receipt uuid, ref_key text, amount numeric)")
            .await?;
        sqlx::query("insert into said select * from unnest($1::uuid[], $2::text[], $3::numeric[])")
            .bind(&ids)
            .bind(&keys)
            .bind(&amounts)
            .execute(&mut rig.ledger)
            .await?;
        rig.ledger.execute("analyze said").await?;
        let began = Instant::now();
        let found: Vec<(Uuid, Uuid)> = sqlx::query_as(
            "select s.receipt, i.document_id from said s
                 join allocation.open_item i on i.ref_key = s.ref_key and i.open = s.amount",
        )
        .fetch_all(&mut rig.ledger)
        .await?;
        Ok((began.elapsed().as_secs_f64(), found.len() as i64))
    }
}

fn micros(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn percentile(of: &mut [f64], share: f64) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    let at = ((of.len() as f64 - 1.0) * share).round() as usize;
    of.get(at).copied().unwrap_or_default()
}

/// The most memory that this process has had, in MiB.
fn peak_rss_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or_default();
    let kib: f64 = kib;
    Ok(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_whole() {
        assert_eq!(MIX.iter().map(|(_, of)| of).sum::<u64>(), 100);
        let kinds: Vec<Kind> = (0..2_000).map(mixed).collect();
        for (kind, of) in MIX {
            let count = kinds.iter().filter(|other| **other == kind).count() as u64;
            assert!(count > of * 12 && count < of * 28, "{kind:?} {count}");
        }
    }
}
