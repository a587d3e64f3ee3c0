//! The demo ledger: about 300 debtors of five kinds, 5,000 documents, sixty days of bank statements, and a live feed.
//!
//! Invented, pure and reproducible: the same seed and day give the same bytes, and another day the same debtors and
//! documents at dates that are moved along. Everything goes the way that real data goes, through files that ingestion
//! reads and messages that the feed publishes.

#![allow(
    clippy::inconsistent_digit_grouping,
    reason = "amounts in pence are written 1_234_56: pounds, and behind the last line the pence"
)]

mod debtors;
mod documents;
mod live;
mod matters;
mod payments;
pub(crate) mod people;
pub(crate) mod requests;
mod rng;
mod statements;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use contracts::inbound::{
    AccountKind, BankAccountRef, BankReceipt, BillingAccount, BillingDocument,
};
use kernel::{Division, WorkingCalendar};

use self::{debtors::Debtor, documents::Item, live::LiveFeed, rng::Rng, statements::Statement};

/// Working days with a statement; the last is the one before today.
const STATEMENTS: usize = 60;

/// The whole demo, as it stands on one day.
#[derive(Debug)]
pub(crate) struct Demo {
    pub(crate) accounts: Vec<BillingAccount>,
    /// Oldest first.
    pub(crate) documents: Vec<BillingDocument>,
    seed: u64,
    today: NaiveDate,
    debtors: Vec<Debtor>,
    /// The documents again, with what the statements leave open of them.
    items: Vec<Item>,
    statements: Vec<Statement>,
}

impl Demo {
    /// The demo of `seed`, told on the morning of `today`.
    pub(crate) fn generate(seed: u64, today: NaiveDate) -> Self {
        let mut rng = Rng::new(seed);
        let debtors = debtors::debtors(&mut rng.fork());
        let mut items = documents::items(&debtors, today, &mut rng.fork());
        let days = working_days_before(today);
        let receipts = payments::settle(&mut items, &debtors, &days, &mut rng.fork());
        Self {
            accounts: debtors
                .iter()
                .map(|debtor| debtor.account.clone())
                .collect(),
            documents: items.iter().map(|item| item.document.clone()).collect(),
            statements: statements::statements(receipts, &days),
            seed,
            today,
            debtors,
            items,
        }
    }

    /// Writes `accounts.csv`, `documents.csv`, `matters.csv` and one `statement-YYYY-MM-DD.xml` a day into `directory` (made when
    /// missing); gives their paths in the order in which they must be imported.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(crate) fn write_files(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(directory)?;
        let mut written = Vec::with_capacity(self.statements.len() + 3);
        let mut write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text)?;
            written.push(path);
            io::Result::Ok(())
        };
        write("accounts.csv", self.accounts_csv())?;
        write("documents.csv", self.documents_csv())?;
        write("matters.csv", self.matters_csv())?;
        for statement in &self.statements {
            write(
                &format!("statement-{}.xml", statement.date),
                statement.xml(),
            )?;
        }
        Ok(written)
    }

    /// Receipts for a bank feed to publish while the demo runs, all booked on the demo's day: endless, and the same
    /// each time. They pay documents that the statements leave open.
    pub(crate) fn live_feed(&self) -> impl Iterator<Item = BankReceipt> + use<'_> {
        LiveFeed::new(self)
    }

    fn accounts_csv(&self) -> String {
        let header = "account_ref,name,kind,parent_ref,terms_days,currency,email,phone,address,segment,department,principal";
        csv(
            header,
            self.accounts.iter().map(|account| {
                let optional = |text: &Option<String>| text.clone().unwrap_or_default();
                vec![
                    account.account_ref.clone(),
                    account.name.clone(),
                    kind_name(account.kind).into(),
                    optional(&account.parent_ref),
                    account
                        .terms_days
                        .map(|days| days.to_string())
                        .unwrap_or_default(),
                    account.currency.clone(),
                    optional(&account.email),
                    optional(&account.phone),
                    optional(&account.address),
                    optional(&account.segment),
                    optional(&account.department),
                    optional(&account.principal),
                ]
            }),
        )
    }

    fn documents_csv(&self) -> String {
        let header = "document_ref,kind,account_ref,matter_ref,issued_on,due_on,gross,net,vat,currency,payment_reference";
        csv(
            header,
            self.documents.iter().map(|document| {
                let optional = |text: &Option<String>| text.clone().unwrap_or_default();
                vec![
                    document.document_ref.clone(),
                    document.kind.name().into(),
                    document.account_ref.clone(),
                    optional(&document.matter_ref),
                    document.issued_on.to_string(),
                    document.due_on.to_string(),
                    document.gross.clone(),
                    optional(&document.net),
                    optional(&document.vat),
                    document.currency.clone(),
                    optional(&document.payment_reference),
                ]
            }),
        )
    }
}

/// Our own account, which every payer pays into.
fn own_account() -> BankAccountRef {
    BankAccountRef {
        sort_code: Some("20-00-00".into()),
        account_number: Some("55779911".into()),
        iban: None,
    }
}

/// Pence as the decimal that files and messages carry.
fn pounds(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

const fn kind_name(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Company => "company",
        AccountKind::SoleTrader => "sole_trader",
        AccountKind::Individual => "individual",
        AccountKind::PublicBody => "public_body",
    }
}

/// The last [`STATEMENTS`] working days before `today`, oldest first.
fn working_days_before(today: NaiveDate) -> Vec<NaiveDate> {
    let calendar = WorkingCalendar::new(Division::EnglandWales);
    let mut days: Vec<NaiveDate> = (1..)
        .map(|back| today - Days::new(back))
        // Beyond the years whose bank holidays are known, a demo can do with weekdays.
        .filter(|day| {
            let weekday = !matches!(day.weekday(), Weekday::Sat | Weekday::Sun);
            calendar.is_working_day(*day).unwrap_or(weekday)
        })
        .take(STATEMENTS)
        .collect();
    days.reverse();
    days
}

fn csv(header: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("{header}\n");
    for row in rows {
        let cells: Vec<String> = row.into_iter().map(cell).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// RFC 4180: quoted only where it must be.
fn cell(text: String) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
