//! Labelled corpora for cash matching: a ledger, the bank lines that pay it, and what each of them is really for.
//!
//! The same [`Options`] give the same bytes on every machine. Everything is generated in the order of the bank lines
//! over a simulated ledger: documents are on it from the day of their issue, and each receipt is settled as its truth
//! says before the next comes. So a label such as "the only subset that sums to this" is checked by exact search on
//! the day on which it has to hold.
//!
//! ```
//! use testkit::corpus::{Corpus, Options};
//!
//! let corpus = Corpus::generate(&Options { receipts: 50, seed: 1 });
//! assert_eq!(corpus.receipts.len(), corpus.truth.len());
//! ```

#![allow(
    clippy::inconsistent_digit_grouping,
    reason = "amounts in pence are written 1_234_56: pounds, and behind the last line the pence"
)]

mod accounts;
mod class;
mod documents;
mod ledger;
mod names;
mod payers;
mod payments;
mod rng;
#[cfg(test)]
mod tests;
mod wording;

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use chrono::{Datelike as _, Days, NaiveDate, Weekday};
use contracts::inbound::{
    AccountKind, BankAccountRef, BankReceipt, Direction, DocumentKind, Remittance,
};
use kernel::Currency;
use rust_decimal::Decimal;
use serde::Serialize;

pub use class::NoiseClass;

use self::{
    accounts::{Accounts, Debtor},
    documents::Document,
    payments::{Payment, Payments},
    rng::Rng,
};

/// The first receipt comes so many days after the first document, and the last so many after the last document.
const LEAD: u64 = 20;
const TAIL: u64 = 25;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub receipts: usize,
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            receipts: 10_000,
            seed: 1,
        }
    }
}

/// A row of `accounts.csv`: an account and one bank account that is known to be its, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRow {
    pub account_ref: String,
    pub name: String,
    pub kind: AccountKind,
    pub parent_ref: Option<String>,
    pub sort_code: Option<String>,
    pub account_number: Option<String>,
}

/// A row of `documents.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DocumentRow {
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_ref: String,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    /// Positive for every kind.
    pub gross: Decimal,
    pub currency: Currency,
    pub payment_reference: Option<String>,
}

/// A line of `receipts.jsonl`: `BankReceipt.v1` with an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub id: String,
    #[serde(flatten)]
    pub line: BankReceipt,
}

/// A line of `remittances.jsonl`: `Remittance.v1` with the day on which it comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    pub received_on: NaiveDate,
    #[serde(flatten)]
    pub remittance: Remittance,
}

/// A document, and how much of the receipt goes to it; below zero for a credit note that is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    pub document: String,
    pub amount: Decimal,
}

/// A line of `truth.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// The receipt's id.
    pub receipt: String,
    /// What a machine may post; nothing if it must not.
    pub allocations: Vec<Share>,
    /// What of the receipt `allocations` leave.
    pub unallocated: Decimal,
    pub note: NoiseClass,
    /// What a person settles with it after looking into it, where a machine must not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intended: Vec<Share>,
}

/// A ledger, bank lines in the order in which they come, and the truth of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    /// One row for each known bank account of an account, or one for an account without.
    pub accounts: Vec<AccountRow>,
    /// In the order of their issue.
    pub documents: Vec<DocumentRow>,
    pub receipts: Vec<Receipt>,
    /// In the order in which they come; some after their receipt.
    pub remittances: Vec<Advice>,
    /// One for each receipt, in the same order.
    pub truth: Vec<Truth>,
}

impl Corpus {
    /// The corpus of these options. The mix is [`NoiseClass`]'s; below a few hundred receipts some classes find no
    /// place.
    pub fn generate(options: &Options) -> Self {
        let mut rng = Rng::new(options.seed);
        let count = (options.receipts / 20).max(60);
        let mut accounts = accounts::accounts(count, &mut rng.fork());
        let documents = documents::documents(
            &accounts.debtors,
            // A receipt settles nearly two on average, and a ledger is never empty.
            options.receipts * 13 / 5 + 200,
            first_day(),
            &mut rng.fork(),
        );
        let days = booking_days(options.receipts, &mut rng.fork());
        let mut deck = Deck::new(options.receipts, &mut rng.fork());
        let account_rows: Vec<AccountRow> = account_rows(&accounts);
        let document_rows: Vec<DocumentRow> = documents
            .iter()
            .map(|document| document_row(document, &accounts.debtors))
            .collect();
        let mut lines = rng.fork();
        let mut payments = Payments::new(&documents, &mut accounts, rng.fork());
        let mut receipts = Vec::with_capacity(options.receipts);
        let mut truth = Vec::with_capacity(options.receipts);
        let mut remittances = Vec::new();
        for (index, day) in days.into_iter().enumerate() {
            payments.ledger.advance(day);
            let (class, payment) = deck.play(day, &mut payments);
            payments.book(class, &payment, day);
            let id = format!("R{:06}", index + 1);
            truth.push(told(&id, class, &payment, &documents));
            if let Some(advice) = &payment.advice {
                remittances.push(remittance(&id, day, &payment, advice));
            }
            receipts.push(receipt(id, index, day, payment, &mut lines));
        }
        remittances.sort_by_key(|advice| advice.received_on);
        Self {
            accounts: account_rows,
            documents: document_rows,
            receipts,
            remittances,
            truth,
        }
    }

    /// Writes `accounts.csv`, `documents.csv`, `receipts.jsonl`, `remittances.jsonl` and `truth.jsonl` into the directory, which is made
    /// if need be.
    ///
    /// # Errors
    /// The directory or a file cannot be written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let write = |name: &str, fill: &dyn Fn(BufWriter<File>) -> Result<()>| {
            let path = dir.join(name);
            File::create(&path)
                .map_err(anyhow::Error::from)
                .and_then(|file| fill(BufWriter::new(file)))
                .with_context(|| format!("cannot write {}", path.display()))
        };
        write("accounts.csv", &|file| table(file, &self.accounts))?;
        write("documents.csv", &|file| table(file, &self.documents))?;
        write("receipts.jsonl", &|file| lines(file, &self.receipts))?;
        write("remittances.jsonl", &|file| lines(file, &self.remittances))?;
        write("truth.jsonl", &|file| lines(file, &self.truth))
    }
}

fn table(file: BufWriter<File>, rows: &[impl Serialize]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(file);
    for row in rows {
        writer.serialize(row)?;
    }
    writer.flush()?;
    Ok(())
}

fn lines(mut file: BufWriter<File>, rows: &[impl Serialize]) -> Result<()> {
    for row in rows {
        serde_json::to_writer(&mut file, row)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    Ok(())
}

/// The classes in the order in which they are to come. One that finds no fitting item waits for a later day.
struct Deck {
    coming: VecDeque<NoiseClass>,
    waiting: VecDeque<NoiseClass>,
}

impl Deck {
    fn new(receipts: usize, rng: &mut Rng) -> Self {
        let mut coming: Vec<NoiseClass> = NoiseClass::ALL
            .into_iter()
            .flat_map(|class| std::iter::repeat_n(class, receipts * class.per_mille() / 1000))
            .collect();
        coming.resize(receipts, NoiseClass::ExactReference);
        rng.shuffle(&mut coming);
        Self {
            coming: coming.into(),
            waiting: VecDeque::new(),
        }
    }

    fn play(&mut self, day: NaiveDate, payments: &mut Payments<'_>) -> (NoiseClass, Payment) {
        for _ in 0..self.waiting.len().min(3) {
            let Some(class) = self.waiting.pop_front() else {
                break;
            };
            if let Some(payment) = payments.make(class, day) {
                return (class, payment);
            }
            self.waiting.push_back(class);
        }
        while let Some(class) = self.coming.pop_front() {
            if let Some(payment) = payments.make(class, day) {
                return (class, payment);
            }
            self.waiting.push_back(class);
        }
        // What is left fits nothing any more; an ordinary payment takes its place as long as anything is owed.
        for class in [NoiseClass::ExactReference, NoiseClass::NotOurs] {
            if let Some(payment) = payments.make(class, day) {
                return (class, payment);
            }
        }
        (NoiseClass::NotOurs, payments.not_ours())
    }
}

fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 5).unwrap_or_default()
}

/// A working day for each receipt, in order.
fn booking_days(receipts: usize, rng: &mut Rng) -> Vec<NaiveDate> {
    let days: Vec<NaiveDate> = (LEAD..documents::DAYS + TAIL)
        .map(|day| first_day() + Days::new(day))
        .filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
        .collect();
    let mut drawn: Vec<NaiveDate> = (0..receipts).map(|_| rng.pick(&days)).collect();
    drawn.sort_unstable();
    drawn
}

fn account_rows(accounts: &Accounts) -> Vec<AccountRow> {
    let mut rows = Vec::new();
    for debtor in &accounts.debtors {
        let row = AccountRow {
            account_ref: debtor.account_ref.clone(),
            name: debtor.name.clone(),
            kind: debtor.kind,
            parent_ref: debtor
                .parent
                .map(|parent| accounts.debtors[parent].account_ref.clone()),
            sort_code: None,
            account_number: None,
        };
        if debtor.known {
            rows.extend(debtor.banks.iter().map(|bank| AccountRow {
                sort_code: bank.sort_code.clone(),
                account_number: bank.account_number.clone(),
                ..row.clone()
            }));
        } else {
            rows.push(row);
        }
    }
    rows
}

fn document_row(document: &Document, debtors: &[Debtor]) -> DocumentRow {
    let debtor = &debtors[document.debtor];
    DocumentRow {
        document_ref: document.number.clone(),
        kind: document.kind,
        account_ref: debtor.account_ref.clone(),
        issued_on: document.issued_on,
        due_on: document.due_on,
        gross: pounds(document.gross),
        currency: debtor.currency,
        payment_reference: document.payment_reference.clone(),
    }
}

fn told(id: &str, class: NoiseClass, payment: &Payment, documents: &[Document]) -> Truth {
    let shares: Vec<Share> = payment
        .settles
        .iter()
        .map(|(item, pence)| Share {
            document: documents[*item].number.clone(),
            amount: pounds(*pence),
        })
        .collect();
    let (allocations, intended, left) = if class.is_negative() {
        (Vec::new(), shares, payment.amount)
    } else {
        let shared: i64 = payment.settles.iter().map(|(_, pence)| pence).sum();
        (shares, Vec::new(), payment.amount - shared)
    };
    Truth {
        receipt: id.to_owned(),
        allocations,
        unallocated: pounds(left),
        note: class,
        intended,
    }
}

fn receipt(id: String, index: usize, day: NaiveDate, payment: Payment, rng: &mut Rng) -> Receipt {
    let Payment {
        paying,
        says,
        currency,
        amount,
        ..
    } = payment;
    let ours = if currency == Currency::GBP {
        "55779911"
    } else {
        "55779937"
    };
    let scheme = if amount >= 25_000_00 {
        "chaps"
    } else {
        paying.scheme
    };
    Receipt {
        id,
        line: BankReceipt {
            feed: "corpus".into(),
            bank_account: BankAccountRef {
                sort_code: Some("00-00-01".into()),
                account_number: Some(ours.into()),
                iban: None,
            },
            bank_reference: format!("BR{:07}", index + 1),
            booked_on: day,
            // Now and then the bank values the money on the next day.
            value_on: if rng.percent(4) {
                day + Days::new(1)
            } else {
                day
            },
            amount: pounds(amount).to_string(),
            currency: currency.code().into(),
            direction: Direction::Credit,
            scheme: Some(scheme.into()),
            payer: paying.payer,
            reference: says.reference,
            end_to_end_id: says.end_to_end_id,
            mandate_reference: None,
            return_reason: None,
            remittance: says.remittance,
        },
    }
}

fn remittance(id: &str, day: NaiveDate, payment: &Payment, advice: &payments::Advice) -> Advice {
    Advice {
        received_on: day
            .checked_add_signed(chrono::TimeDelta::days(advice.comes))
            .unwrap_or(day),
        remittance: Remittance {
            remittance_id: format!("ADV-{}", id.trim_start_matches('R')),
            source: "corpus".into(),
            payer: advice.payer.clone(),
            payment_reference: advice.payment_reference.clone(),
            date: day - Days::new(advice.dated_before),
            total: pounds(advice.total).to_string(),
            currency: payment.currency.code().into(),
            lines: advice.lines.clone(),
        },
    }
}

/// Pence as an amount with two decimals, which is what both currencies of a corpus have.
fn pounds(pence: i64) -> Decimal {
    Decimal::new(pence, 2)
}
