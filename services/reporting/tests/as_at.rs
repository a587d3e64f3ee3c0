//! Reports of a random ledger, as at many days and moments, held against a
//! plain model of what they mean.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a helper of a test fails the test"
)]

mod stage;

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use contracts::{
    allocation::{
        AllocationLine, AllocationUndone, DocumentPosted, ReceiptAllocated, ReceiptPosted,
    },
    api::{
        PageRequest,
        reporting::{
            AccountKey, AgeingBasis, GetAccount, GetAgedDebt, GetAgedItems, GetLedger,
            GetUnallocated,
        },
    },
};
use kernel::{AccountId, Currency, DocumentId, EventId, Money};
use rust_decimal::Decimal;
use stage::{Debtor, Stage, contra, day, debtor, line, moved, noon, pence, posted};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

enum Said {
    Document(DocumentPosted),
    Receipt(ReceiptPosted),
    Allocated(ReceiptAllocated),
    Undone(AllocationUndone),
}

/// What a reader would write down of all events, without cleverness.
#[derive(Default)]
struct Model {
    documents: Vec<DocumentPosted>,
    receipts: Vec<ReceiptPosted>,
    /// Of which receipt, the line, and when it was recorded.
    lines: Vec<(usize, AllocationLine, DateTime<Utc>)>,
    /// Of which receipt, whose it is from then on, and when that was recorded.
    owners: Vec<(usize, Option<AccountId>, DateTime<Utc>)>,
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Row {
    buckets: BTreeMap<usize, Decimal>,
    overdue: Decimal,
    unallocated: Decimal,
    oldest: Option<i64>,
}

fn band(basis: AgeingBasis, days: i64) -> usize {
    let first: &[i64] = match basis {
        AgeingBasis::Due => &[1, 31, 61, 91, 121],
        AgeingBasis::Document => &[31, 61, 91],
    };
    first.iter().filter(|f| **f <= days).count()
}

impl Model {
    fn open(
        &self,
        document: &DocumentPosted,
        as_of: NaiveDate,
        known_at: DateTime<Utc>,
    ) -> Decimal {
        let paid: Decimal = self
            .lines
            .iter()
            .filter(|(_, l, known)| {
                l.document_id == document.document_id
                    && l.effective_on <= as_of
                    && *known <= known_at
            })
            .map(|(_, l, _)| l.amount.amount())
            .sum();
        document.amount.amount() - paid
    }

    fn documents(
        &self,
        as_of: NaiveDate,
        known_at: DateTime<Utc>,
    ) -> impl Iterator<Item = &DocumentPosted> {
        self.documents
            .iter()
            .filter(move |d| d.issued_on <= as_of && d.recorded_at <= known_at)
    }

    /// Owner and unallocated amount of every receipt that is there.
    fn cash(
        &self,
        as_of: NaiveDate,
        known_at: DateTime<Utc>,
    ) -> impl Iterator<Item = (&ReceiptPosted, Option<AccountId>, Decimal)> {
        self.receipts
            .iter()
            .enumerate()
            .filter_map(move |(n, receipt)| {
                if receipt.booked_on > as_of || receipt.recorded_at > known_at {
                    return None;
                }
                let paid: Decimal = self
                    .lines
                    .iter()
                    .filter(|(of, l, known)| {
                        *of == n && l.effective_on <= as_of && *known <= known_at
                    })
                    .map(|(_, l, _)| l.amount.amount())
                    .sum();
                let owner = self
                    .owners
                    .iter()
                    .rev()
                    .find(|(of, _, known)| *of == n && *known <= known_at)
                    .and_then(|(_, owner, _)| *owner);
                Some((receipt, owner, receipt.amount.amount() - paid))
            })
    }

    fn report(
        &self,
        as_of: NaiveDate,
        known_at: DateTime<Utc>,
        basis: AgeingBasis,
    ) -> BTreeMap<(AccountId, Currency), Row> {
        let mut rows: BTreeMap<(AccountId, Currency), Row> = BTreeMap::new();
        for document in self.documents(as_of, known_at) {
            let open = self.open(document, as_of, known_at);
            if open.is_zero() {
                continue;
            }
            let from = match basis {
                AgeingBasis::Due => document.due_on,
                AgeingBasis::Document => document.issued_on,
            };
            let days = (as_of - from).num_days();
            let row = rows
                .entry((document.account_id, document.amount.currency()))
                .or_default();
            *row.buckets.entry(band(basis, days)).or_default() += open;
            if document.due_on < as_of {
                row.overdue += open;
            }
            if open > Decimal::ZERO {
                row.oldest = row.oldest.max(Some(days));
            }
        }
        for (receipt, owner, unallocated) in self.cash(as_of, known_at) {
            if let Some(owner) = owner.filter(|_| !unallocated.is_zero()) {
                rows.entry((owner, receipt.amount.currency()))
                    .or_default()
                    .unallocated += unallocated;
            }
        }
        rows
    }
}

/// Half a year of documents, receipts, later allocations and undone ones.
fn ledger(dice: &mut Dice, debtors: &[Debtor]) -> (Model, Vec<Said>) {
    let mut model = Model::default();
    let mut said = Vec::new();
    let start = day(2026, 1, 1);
    for n in 0..90 {
        let currency = if dice.chance(25) {
            Currency::EUR
        } else {
            Currency::GBP
        };
        let amount = pence(1_000 + dice.below(50_000) as i64, currency);
        let amount = if dice.chance(15) {
            amount.neg()
        } else {
            amount
        };
        let issued_on = start + Days::new(dice.below(170));
        let debtor = debtors[dice.below(debtors.len() as u64) as usize];
        let mut document = debtor.document(&format!("D-{n}"), issued_on, amount);
        // Some were billed late, some before their date.
        match dice.below(5) {
            0 => document.recorded_at = noon(issued_on + Days::new(dice.below(40))),
            1 => document.recorded_at = noon(issued_on - Days::new(dice.below(20))),
            _ => {}
        }
        model.documents.push(document.clone());
        said.push(Said::Document(document));
    }
    for n in 0..70 {
        let currency = if dice.chance(25) {
            Currency::EUR
        } else {
            Currency::GBP
        };
        let booked_on = start + Days::new(dice.below(180));
        let owner = dice
            .chance(70)
            .then(|| debtors[dice.below(debtors.len() as u64) as usize]);
        let known = noon(booked_on);
        // What of the ledger such a line may pay, and from which day.
        let pick = |dice: &mut Dice, from: NaiveDate, known: DateTime<Utc>, model: &Model| {
            let fit: Vec<&DocumentPosted> = model
                .documents
                .iter()
                .filter(|d| d.amount.currency() == currency && d.recorded_at <= known)
                .collect();
            (!fit.is_empty()).then(|| {
                let document = fit[dice.below(fit.len() as u64) as usize];
                let amount = pence(100 + dice.below(20_000) as i64, currency);
                let amount = if document.amount.is_negative() {
                    amount.neg()
                } else {
                    amount
                };
                line(document, amount, from.max(document.issued_on))
            })
        };
        let mut lines = Vec::new();
        for _ in 0..dice.below(3) {
            lines.extend(pick(dice, booked_on, known, &model));
        }
        let paid = Money::sum(lines.iter().map(|l| l.amount), currency).unwrap();
        let extra = if dice.chance(50) {
            0
        } else {
            dice.below(30_000) as i64
        };
        let amount = paid.checked_add(pence(extra, currency)).unwrap();
        let receipt = posted(owner, booked_on, amount, lines.clone());
        model.owners.push((n, owner.map(|d| d.id), known));
        model.lines.extend(lines.into_iter().map(|l| (n, l, known)));
        model.receipts.push(receipt.clone());
        let mut left = receipt.unallocated;
        said.push(Said::Receipt(receipt.clone()));

        let mut recorded_at = known;
        for version in 2..2 + dice.below(4) as i64 {
            recorded_at += chrono::TimeDelta::days(1 + dice.below(30) as i64);
            let today = recorded_at.date_naive();
            let owner = dice
                .chance(80)
                .then(|| debtors[dice.below(debtors.len() as u64) as usize]);
            let undo = dice.chance(40);
            let lines: Vec<AllocationLine> = if undo {
                let undone: Vec<_> = model
                    .lines
                    .iter()
                    .filter_map(|(_, l, _)| l.contra_of)
                    .collect();
                let alive = model.lines.iter().find(|(of, l, _)| {
                    *of == n && l.contra_of.is_none() && !undone.contains(&l.allocation_id)
                });
                alive
                    .map(|(_, l, _)| contra(l, today.max(l.effective_on)))
                    .into_iter()
                    .collect()
            } else {
                // A person may say that it counts from when the money came.
                let from = if dice.chance(50) { booked_on } else { today };
                pick(dice, from, recorded_at, &model).into_iter().collect()
            };
            let event = moved(&receipt, version, left, owner, lines.clone(), recorded_at);
            left = event.unallocated;
            model.owners.push((n, owner.map(|d| d.id), recorded_at));
            model
                .lines
                .extend(lines.into_iter().map(|l| (n, l, recorded_at)));
            said.push(if undo {
                Said::Undone(AllocationUndone(event))
            } else {
                Said::Allocated(ReceiptAllocated(event))
            });
        }
    }
    (model, said)
}

async fn say(stage: &mut Stage, id: EventId, event: &Said) {
    match event {
        Said::Document(event) => stage.say_as(id, event).await,
        Said::Receipt(event) => stage.say_as(id, event).await,
        Said::Allocated(event) => stage.say_as(id, event).await,
        Said::Undone(event) => stage.say_as(id, event).await,
    }
}

/// All rows of all projections, as text.
async fn rows(stage: &Stage) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["account", "document", "receipt", "movement", "allocation"] {
        let statement = format!("select t::text from reporting.{table} t order by 1");
        let found: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
            .fetch_all(stage.suite.admin_pool())
            .await
            .unwrap();
        rows.extend(found.into_iter().map(|row| format!("{table} {row}")));
    }
    rows
}

async fn agrees(
    stage: &Stage,
    model: &Model,
    as_of: NaiveDate,
    known_at: DateTime<Utc>,
    basis: AgeingBasis,
) {
    let report = stage
        .ask(&GetAgedDebt {
            as_of: Some(as_of),
            known_at: Some(known_at),
            basis,
            page: PageRequest {
                cursor: None,
                limit: Some(200),
            },
            ..GetAgedDebt::default()
        })
        .await;
    let case = format!("{as_of} {known_at} {basis:?}");
    let wanted = model.report(as_of, known_at, basis);
    let mut overdue = None;
    let mut found = BTreeMap::new();
    let mut sums: BTreeMap<Currency, (Vec<Decimal>, Decimal, i64)> = BTreeMap::new();
    for row in &report.rows.items {
        assert!(
            overdue.is_none_or(|before| before >= row.overdue.amount()),
            "{case}: order"
        );
        overdue = Some(row.overdue.amount());
        let buckets: Vec<Decimal> = row.buckets.iter().map(|m| m.amount()).collect();
        assert_eq!(
            buckets.iter().sum::<Decimal>(),
            row.total.amount(),
            "{case}: a row's total"
        );
        let (sum, unallocated, accounts) = sums
            .entry(row.currency)
            .or_insert_with(|| (vec![Decimal::ZERO; buckets.len()], Decimal::ZERO, 0));
        for (sum, bucket) in sum.iter_mut().zip(&buckets) {
            *sum += bucket;
        }
        *unallocated += row.unallocated.amount();
        *accounts += 1;
        found.insert(
            (row.account_id, row.currency),
            Row {
                buckets: buckets
                    .into_iter()
                    .enumerate()
                    .filter(|(_, b)| !b.is_zero())
                    .collect(),
                overdue: row.overdue.amount(),
                unallocated: row.unallocated.amount(),
                oldest: row.oldest_days,
            },
        );
    }
    let wanted: BTreeMap<_, _> = wanted
        .into_iter()
        .map(|(key, mut row)| {
            row.buckets.retain(|_, sum| !sum.is_zero());
            (key, row)
        })
        .collect();
    assert_eq!(found, wanted, "{case}");
    assert_eq!(report.totals.len(), sums.len(), "{case}: currencies");
    for total in &report.totals {
        let (buckets, unallocated, accounts) = &sums[&total.currency];
        let shown: Vec<Decimal> = total.buckets.iter().map(|m| m.amount()).collect();
        assert_eq!(&shown, buckets, "{case}: totals");
        assert_eq!(
            shown.iter().sum::<Decimal>(),
            total.total.amount(),
            "{case}: the total of totals"
        );
        assert_eq!(
            (total.unallocated.amount(), total.accounts),
            (*unallocated, *accounts),
            "{case}: totals"
        );

        // The items behind each cell add up to it.
        for (band, sum) in buckets.iter().enumerate() {
            let items = stage
                .ask(&GetAgedItems {
                    as_of: Some(as_of),
                    known_at: Some(known_at),
                    basis,
                    currency: Some(total.currency),
                    bucket: Some(u8::try_from(band).unwrap()),
                    page: PageRequest {
                        cursor: None,
                        limit: Some(200),
                    },
                    ..GetAgedItems::default()
                })
                .await;
            assert_eq!(
                items.items.iter().map(|i| i.open.amount()).sum::<Decimal>(),
                *sum,
                "{case}: a cell"
            );
        }
    }

    let cash = stage
        .ask(&GetUnallocated {
            as_of: Some(as_of),
            known_at: Some(known_at),
            page: PageRequest {
                cursor: None,
                limit: Some(200),
            },
        })
        .await;
    let mut wanted: Vec<_> = model
        .cash(as_of, known_at)
        .filter(|(_, _, unallocated)| !unallocated.is_zero())
        .map(|(receipt, owner, unallocated)| {
            (receipt.booked_on, receipt.receipt_id, owner, unallocated)
        })
        .collect();
    wanted.sort_unstable();
    let found: Vec<_> = cash
        .rows
        .items
        .iter()
        .map(|r| {
            (
                r.booked_on,
                r.receipt_id,
                r.account_id,
                r.unallocated.amount(),
            )
        })
        .collect();
    assert_eq!(found, wanted, "{case}: unallocated");

    // Every penny received is on a document or unallocated, on every day.
    for currency in [Currency::GBP, Currency::EUR] {
        let received: Decimal = model
            .cash(as_of, known_at)
            .filter(|(r, _, _)| r.amount.currency() == currency)
            .map(|(r, _, _)| r.amount.amount())
            .sum();
        let billed: Decimal = model
            .documents(as_of, known_at)
            .filter(|d| d.amount.currency() == currency)
            .map(|d| d.amount.amount())
            .sum();
        let of = |total: Option<Decimal>| total.unwrap_or_default();
        let open = of(report
            .totals
            .iter()
            .find(|t| t.currency == currency)
            .map(|t| t.total.amount()));
        let left = of(cash
            .totals
            .iter()
            .find(|t| t.currency() == currency)
            .map(|t| t.amount()));
        assert_eq!(
            received - left,
            billed - open,
            "{case}: {currency} conserved"
        );
    }
}

/// Invariant 3 and E106 over a whole ledger; invariant 4: any order, any number
/// of times, gives the same rows.
#[tokio::test]
async fn reports_mean_what_the_model_says_in_whatever_order_events_came() {
    let mut dice = Dice(42);
    let debtors: Vec<Debtor> = (1..=9).map(debtor).collect();
    let (model, said) = ledger(&mut dice, &debtors);
    let events: Vec<(EventId, Said)> = said
        .into_iter()
        .map(|event| (EventId::generate(), event))
        .collect();

    let mut stage = Stage::start().await;
    for debtor in &debtors {
        stage
            .say(&debtor.updated(1, "Some Customer Ltd", noon(day(2025, 12, 1))))
            .await;
    }
    for (id, event) in &events {
        say(&mut stage, *id, event).await;
    }
    stage.heard().await;
    for basis in [AgeingBasis::Due, AgeingBasis::Document] {
        for _ in 0..6 {
            let as_of = day(2026, 1, 1) + Days::new(dice.below(200));
            let known_at = noon(day(2026, 1, 1) + Days::new(dice.below(240)));
            agrees(&stage, &model, as_of, known_at, basis).await;
        }
        agrees(&stage, &model, day(2026, 7, 1), stage::now(), basis).await;
    }

    // An account's balance and ledger are those of the report of today.
    let today = model.report(day(2026, 7, 1), stage::now(), AgeingBasis::Due);
    for debtor in &debtors {
        let view = stage
            .ask(&GetAccount {
                account: AccountKey::Id(debtor.id),
            })
            .await;
        let ledger = stage
            .ask(&GetLedger {
                account_id: debtor.id,
                open_only: false,
                page: PageRequest {
                    cursor: None,
                    limit: Some(200),
                },
            })
            .await;
        for balance in &view.balances {
            let currency = balance.open.currency();
            let row = today
                .get(&(debtor.id, currency))
                .cloned()
                .unwrap_or_default();
            assert_eq!(balance.open.amount(), row.buckets.values().sum::<Decimal>());
            assert_eq!(balance.overdue.amount(), row.overdue);
            assert_eq!(balance.unallocated.amount(), row.unallocated);
            let lines = ledger
                .items
                .iter()
                .filter(|l| l.amount.currency() == currency);
            let (amounts, open) = lines
                .fold((Decimal::ZERO, Decimal::ZERO), |(amounts, open), l| {
                    (amounts + l.amount.amount(), open + l.open.amount())
                });
            assert_eq!(
                (amounts, open),
                (balance.balance.amount(), balance.balance.amount())
            );
        }
    }

    // Backwards, every other one twice.
    let mut again = Stage::start().await;
    for (n, (id, event)) in events.iter().rev().enumerate() {
        say(&mut again, *id, event).await;
        if n % 2 == 0 {
            say(&mut again, *id, event).await;
        }
    }
    for debtor in &debtors {
        again
            .say(&debtor.updated(1, "Some Customer Ltd", noon(day(2025, 12, 1))))
            .await;
    }
    again.heard().await;
    let facts = |rows: Vec<String>| {
        rows.into_iter()
            .filter(|row| !row.starts_with("account "))
            .collect::<Vec<_>>()
    };
    assert_eq!(facts(rows(&again).await), facts(rows(&stage).await));
    agrees(
        &again,
        &model,
        day(2026, 7, 1),
        stage::now(),
        AgeingBasis::Due,
    )
    .await;
    assert!(
        model
            .documents
            .iter()
            .map(|d| d.document_id)
            .collect::<std::collections::BTreeSet<DocumentId>>()
            .len()
            == 90
    );
}
