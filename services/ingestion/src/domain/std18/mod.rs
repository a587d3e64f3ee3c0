//! Bacs Standard 18: what a service user sends to Bacs, and what banks write in
//! its likeness. Labels of 80 characters, records of 100 (one processing day) or
//! 106 (several); amounts in pence; days as `bYYDDD`.
//!
//! [`write`](fn@write) makes a whole file of its payments, [`read`](fn@read) takes one apart,
//! [`check`](fn@check) says what is wrong with one, whoever made it.

mod check;
mod read;
mod write;

pub use check::{check, check_days};
pub use read::read;
pub use write::{Entry, clean, render, write};

use std::{fmt, sync::LazyLock};

use chrono::NaiveDate;
use kernel::{BankAccount, Currency, Money};
use rust_decimal::Decimal;
use serde::Serialize;

/// A UK account, as digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Six digits.
    pub sort_code: String,
    /// Eight digits.
    pub number: String,
}

impl Account {
    /// Of a key such as `GB:200000-55779911`, or of a GB IBAN.
    pub fn of_key(key: &str) -> Option<Self> {
        if let Some((sort_code, number)) = key.strip_prefix("GB:").and_then(|k| k.split_once('-')) {
            return Some(Self {
                sort_code: sort_code.to_owned(),
                number: number.to_owned(),
            });
        }
        let (sort_code, number) = kernel::Iban::parse(key).ok()?.uk_parts()?;
        Some(Self {
            sort_code: sort_code.digits(),
            number: number.digits(),
        })
    }

    /// As [`BankAccount::key`].
    pub fn key(&self) -> String {
        let named = (
            kernel::SortCode::parse(&self.sort_code),
            kernel::AccountNumber::parse(&self.number),
        );
        match named {
            (Ok(sort_code), Ok(account_number)) => BankAccount::Uk {
                sort_code,
                account_number,
            }
            .key(),
            _ => format!("X:{}-{}", self.sort_code, self.number),
        }
    }
}

/// What a transaction code does to the account that its record names first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Debit,
    Credit,
    /// Lodges or cancels a Direct Debit instruction; of no amount.
    Instruction,
    /// Nobody here knows.
    Other,
}

struct CodeRow {
    code: &'static str,
    kind: Kind,
    made: bool,
}

static CODES: LazyLock<Vec<CodeRow>> = LazyLock::new(|| {
    super::data::rows(include_str!("codes.csv"))
        .filter_map(|row| {
            Some(CodeRow {
                code: row.first()?,
                kind: match *row.get(1)? {
                    "debit" => Kind::Debit,
                    "credit" => Kind::Credit,
                    "instruction" => Kind::Instruction,
                    _ => Kind::Other,
                },
                made: *row.get(2)? == "y",
            })
        })
        .collect()
});

/// What a transaction code does.
pub fn kind_of(code: &str) -> Kind {
    CODES
        .iter()
        .find(|row| row.code == code)
        .map_or(Kind::Other, |row| row.kind)
}

/// Whether it is one that a service user may send.
pub fn is_made(code: &str) -> bool {
    CODES.iter().any(|row| row.code == code && row.made)
}

/// A data record, or the contra that balances some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whom it debits or credits; of a contra our own account.
    pub destination: Account,
    /// `0`, but for some building societies.
    pub account_type: char,
    /// Two characters, as the file has them.
    pub code: String,
    /// Ours.
    pub originator: Account,
    /// Four characters without a meaning for us.
    pub free: String,
    /// In pence; of what banks write it may not be a number.
    pub pence: Option<u64>,
    /// The service user's name; of a contra a narrative.
    pub name: String,
    pub reference: String,
    pub destination_name: String,
    /// Field 12, in files of several processing days.
    pub processing_on: Option<NaiveDate>,
}

impl Record {
    pub fn is_contra(&self) -> bool {
        self.destination == self.originator && self.reference.starts_with("CONTRA")
    }

    pub fn kind(&self) -> Kind {
        kind_of(&self.code)
    }
}

/// `UTL1`: sums in pence, counts of records, contras among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub debit: u64,
    pub credit: u64,
    pub debits: u64,
    pub credits: u64,
    pub instructions: u64,
}

/// Who wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A service user, for Bacs: all labels.
    ServiceUser,
    /// A bank, for its customer: the labels that it needs, and records that end
    /// in other ways.
    Bank,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub writer: Writer,
    /// Six characters.
    pub serial: String,
    /// The service user's number, in the owner's label and in the name of the file.
    pub user_number: String,
    /// As `HDR1` has it.
    pub named_user_number: String,
    pub created_on: Option<NaiveDate>,
    pub expires_on: Option<NaiveDate>,
    /// Of the header; in files of several days the first.
    pub processing_on: Option<NaiveDate>,
    /// `1 DAILY`, `4 MULTI`.
    pub work_code: String,
    /// As `HDR2` says.
    pub record_length: usize,
    pub records: Vec<Record>,
    pub totals: Totals,
}

impl File {
    /// When a record is processed.
    pub fn day_of(&self, record: &Record) -> Option<NaiveDate> {
        record.processing_on.or(self.processing_on)
    }

    /// The totals that its records make.
    pub fn summed(&self) -> Totals {
        let mut totals = Totals::default();
        for record in &self.records {
            let pence = record.pence.unwrap_or(0);
            match record.kind() {
                Kind::Debit => {
                    totals.debit = totals.debit.saturating_add(pence);
                    totals.debits += 1;
                }
                Kind::Credit => {
                    totals.credit = totals.credit.saturating_add(pence);
                    totals.credits += 1;
                }
                Kind::Instruction => totals.instructions += 1,
                // A bank counts its balances where a service user counts instructions.
                Kind::Other => totals.instructions += u64::from(self.writer == Writer::Bank),
            }
        }
        totals
    }
}

/// Who sends files to Bacs: from the configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUser {
    /// Six digits.
    pub number: String,
    /// As payers see it on their statements.
    pub name: String,
    pub account: Account,
}

/// A setting that is missing or makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Bacs files need the setting `{setting}`: {wants}")]
pub struct Unset {
    pub setting: &'static str,
    pub wants: &'static str,
}

impl ServiceUser {
    /// Of the words of a configuration.
    ///
    /// # Errors
    /// The first setting that is missing or makes no sense.
    pub fn of(number: &str, name: &str, account: &str) -> Result<Self, Unset> {
        if number.len() != 6 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unset {
                setting: "bacs.user_number",
                wants: "the service user number, six digits",
            });
        }
        if clean(name, 18).trim().is_empty() {
            return Err(Unset {
                setting: "bacs.user_name",
                wants: "our name as payers see it, in at most 18 characters",
            });
        }
        let account = account
            .split_once(['-', ' '])
            .and_then(|(sort_code, number)| {
                Some(Account {
                    sort_code: kernel::SortCode::parse(sort_code).ok()?.digits(),
                    number: kernel::AccountNumber::parse(number).ok()?.digits(),
                })
            })
            .ok_or(Unset {
                setting: "bacs.account",
                wants: "our originating account as sort code and account number, such as 200000-55779911",
            })?;
        Ok(Self {
            number: number.to_owned(),
            name: clean(name, 18).trim().to_owned(),
            account,
        })
    }
}

/// A record as `counterfoil parse` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Std18Item {
    pub code: String,
    pub kind: Kind,
    pub contra: bool,
    pub destination_account: String,
    pub destination_name: String,
    pub originating_account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    pub name: String,
    pub reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_on: Option<NaiveDate>,
}

impl Std18Item {
    pub fn of(file: &File, record: &Record) -> Self {
        Self {
            code: record.code.clone(),
            kind: record.kind(),
            contra: record.is_contra(),
            destination_account: record.destination.key(),
            destination_name: record.destination_name.clone(),
            originating_account: record.originator.key(),
            amount: record.pence.and_then(pounds),
            name: record.name.clone(),
            reference: record.reference.clone(),
            processing_on: file.day_of(record),
        }
    }
}

/// Pence as money.
pub fn pounds(pence: u64) -> Option<Money> {
    let pence = i64::try_from(pence).ok()?;
    Money::try_new(Decimal::new(pence, 2), Currency::GBP).ok()
}

/// Money as pence: pounds only, and none but whole pence.
pub fn pence(amount: Money) -> Option<u64> {
    let whole = amount.amount().checked_mul(Decimal::ONE_HUNDRED)?;
    (amount.currency() == Currency::GBP && whole.is_integer())
        .then(|| u64::try_from(whole).ok())
        .flatten()
        // Field 8 has eleven digits.
        .filter(|pence| *pence < 100_000_000_000)
}

/// A day as `bYYDDD`.
struct Julian(NaiveDate);

impl fmt::Display for Julian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", self.0.format("%y%j"))
    }
}
