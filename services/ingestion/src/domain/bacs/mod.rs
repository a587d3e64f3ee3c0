//! Reports of Bacs: what a payments officer downloads every working day.
//!
//! | report | says | read by |
//! |---|---|---|
//! | ARUDD, ARUCS | which of our collections and credits come back | [`returns`] |
//! | DDICA | which collections payers have claimed back under the guarantee | [`claims`] |
//! | ADDACS, AUDDIS, AWACS | what became of instructions and accounts | [`messages`] |
//! | Input, Withdrawal | what Bacs accepted of our files, or what was withdrawn | [`submissions`] |
//!
//! Which one a file is, its content says, never its name (UK reference, 1.3).
//! Attributes that nobody here knows are passed over. A file whose totals do not
//! tie, or with a record of money that makes no sense, is refused whole and the
//! refusal names the record: a return that is left out is a debt that nobody
//! chases, and one too many is a debt that nobody owes. The report can be had
//! again at any time, so that a refusal costs a download.

mod claims;
pub mod codes;
mod messages;
mod returns;
mod submissions;
mod values;

use std::collections::HashMap;

use chrono::NaiveDate;
use kernel::{Currency, Money};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use claims::Claim;
pub use messages::Advice;
pub use returns::Returned;
pub use submissions::{Counted, InputError, Submission};

use super::{
    detect::Format,
    parse::{Item, Parsed},
    problem::{ParseError, Problem},
    xml::Cursor,
};

/// What a report says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Such as `arudd`.
    pub kind: &'static str,
    pub service_user_number: String,
    pub service_user_name: Option<String>,
    /// The number of the advice, where the report has one.
    pub number: Option<String>,
    /// The processing day; a report of messages may leave it to its records.
    pub reported_on: Option<NaiveDate>,
    /// By our own account, where the report names it.
    pub accounts: Vec<AccountTotal>,
}

/// The items of one of our accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountTotal {
    /// `kernel::BankAccount::key`
    pub account: String,
    pub items: usize,
    pub total: Money,
}

/// The report that a format is of: `arudd` of `bacs_arudd`.
pub fn kind_of(format: Format) -> Option<&'static str> {
    format.name().strip_prefix("bacs_")
}

/// Which report a file is whose root element is `root`, with the sign by which it
/// is told. `Err`: it is one of Bacs, but not which.
pub(super) fn detect(text: &str, root: &str) -> Result<(Format, String), String> {
    if root == "VocaDocument" {
        return Ok((Format::BacsDdica, "its root is <VocaDocument>".to_owned()));
    }
    let mut xml = Cursor::new(text);
    let unreadable = |problem: Problem| format!("its beginning cannot be read: {problem}");
    xml.root().map_err(unreadable)?;
    while xml.child().map_err(unreadable)? {
        if xml.name() != "Data" {
            xml.skip().map_err(unreadable)?;
            continue;
        }
        while xml.child().map_err(unreadable)? {
            let format = match xml.name() {
                "ARUDD" => Format::BacsArudd,
                "ARUCS" => Format::BacsArucs,
                "InputReport" => Format::BacsInput,
                "WithdrawalReport" => Format::BacsWithdrawal,
                "MessagingAdvices" => return messages::which(&mut xml).map_err(unreadable)?,
                _ => {
                    xml.skip().map_err(unreadable)?;
                    continue;
                }
            };
            return Ok((format, format!("its <Data> holds <{}>", xml.name())));
        }
    }
    Err("it is a document of Bacs, but holds no report that is known".to_owned())
}

/// What is read, on its way.
pub(super) struct Reader<'a> {
    xml: Cursor<'a>,
    problems: Vec<Problem>,
    report: Report,
    items: Vec<Item>,
}

pub(super) fn read(text: &str, format: Format) -> Result<Parsed, ParseError> {
    let mut reader = Reader {
        xml: Cursor::new(text),
        problems: Vec::new(),
        report: Report {
            kind: kind_of(format).unwrap_or_default(),
            service_user_number: String::new(),
            service_user_name: None,
            number: None,
            reported_on: None,
            accounts: Vec::new(),
        },
        items: Vec::new(),
    };
    reader
        .whole(format)
        .map_err(|reason| ParseError::new(format, None, reason))?;
    let Reader {
        mut problems,
        report,
        mut items,
        ..
    } = reader;
    if items.is_empty() {
        // E40: it was read, and it is a day that is not missing.
        problems.push(Problem::new("empty_report", "the report has no items"));
    }
    count_twins(&mut items);
    Ok(Parsed {
        format,
        version: None,
        report: Some(report),
        statements: Vec::new(),
        items,
        problems,
    })
}

impl Reader<'_> {
    fn whole(&mut self, format: Format) -> Result<(), Problem> {
        self.xml.root()?;
        match format {
            Format::BacsArudd | Format::BacsArucs => self.returns()?,
            Format::BacsDdica => self.claims()?,
            Format::BacsInput | Format::BacsWithdrawal => self.submissions()?,
            _ => self.messages()?,
        }
        self.xml.finish()?;
        let wants_day = matches!(
            format,
            Format::BacsArudd | Format::BacsArucs | Format::BacsDdica
        );
        if wants_day && self.report.reported_on.is_none() {
            return Err(Problem::new(
                "missing_report_day",
                "the report does not say on which day it was made",
            ));
        }
        if self.report.service_user_number.is_empty() && !self.items.is_empty() {
            return Err(Problem::new(
                "missing_service_user",
                "the report names no service user number",
            ));
        }
        Ok(())
    }
}

/// A record as it is stored and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The same record in every report that has it.
    pub key: Uuid,
    /// Where it stands in the file, from 1.
    pub line: u64,
    pub item: Item,
}

/// Numbers records that say the same within one file: genuine twins.
fn count_twins(items: &mut [Item]) {
    let mut seen: HashMap<String, u32> = HashMap::new();
    for item in items {
        let next = seen.entry(identity(item)).or_insert(0);
        *next += 1;
        let ordinal = match item {
            Item::BacsReturn(item) => &mut item.ordinal,
            Item::BacsClaim(item) => &mut item.ordinal,
            Item::BacsAdvice(item) => &mut item.ordinal,
            Item::BacsSubmission(item) => &mut item.ordinal,
            Item::Account(_)
            | Item::Document(_)
            | Item::Matter(_)
            | Item::Mandate(_)
            | Item::Std18(_) => continue,
        };
        *ordinal = *next;
    }
}

/// What is never said otherwise of a record, without its ordinal.
fn identity(item: &Item) -> String {
    fn text(parts: &[Option<&str>]) -> String {
        let parts: Vec<&str> = parts.iter().map(|part| part.unwrap_or_default()).collect();
        parts.join("\u{1f}")
    }
    let day = |day: Option<NaiveDate>| day.map(|day| day.to_string());
    match item {
        Item::BacsReturn(item) => text(&[
            Some(&item.our_account),
            Some(&item.reference),
            Some(&item.code),
            item.transaction_code.as_deref(),
            Some(&item.amount.amount().to_string()),
            day(item.original_on).as_deref(),
            item.payer_account.as_deref(),
        ]),
        Item::BacsClaim(item) => text(&[
            Some(&item.claim),
            Some(if item.withdrawn { "withdrawn" } else { "new" }),
            Some(&item.reference),
            Some(&item.code),
            Some(&item.amount.amount().to_string()),
            day(item.debited_on).as_deref(),
            item.payer_account.as_deref(),
        ]),
        Item::BacsAdvice(item) => text(&[
            Some(&item.record_type),
            item.reference.as_deref(),
            item.code.as_deref(),
            item.payer_account.as_deref(),
            item.new_payer_account.as_deref(),
            day(item.effective_on).as_deref(),
            item.volume.as_deref(),
            item.file_number.as_deref(),
        ]),
        Item::BacsSubmission(item) => text(&[
            item.volume.as_deref(),
            item.file_number.as_deref(),
            day(item.processed_on).as_deref(),
        ]),
        Item::Account(_)
        | Item::Document(_)
        | Item::Matter(_)
        | Item::Mandate(_)
        | Item::Std18(_) => String::new(),
    }
}

/// The key of a record: its report's kind and day, the service user, what it
/// says, and which of several twins it is (UK reference, 1.5 no. 4). The number
/// of the report is not in it: a longer report of the same day has another.
pub fn record_key(report: &Report, item: &Item) -> Option<Uuid> {
    let (ordinal, user) = match item {
        Item::BacsReturn(item) => (item.ordinal, None),
        Item::BacsClaim(item) => (item.ordinal, None),
        Item::BacsAdvice(item) => (item.ordinal, item.service_user_number.as_deref()),
        Item::BacsSubmission(item) => (item.ordinal, item.service_user_number.as_deref()),
        Item::Account(_)
        | Item::Document(_)
        | Item::Matter(_)
        | Item::Mandate(_)
        | Item::Std18(_) => return None,
    };
    let day = report.reported_on.map(|day| day.to_string());
    let whole = [
        report.kind,
        user.unwrap_or(&report.service_user_number),
        day.as_deref().unwrap_or_default(),
        &identity(item),
        &ordinal.to_string(),
    ]
    .join("\u{1e}");
    let hash = Sha256::digest(whole);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Some(Uuid::from_bytes(bytes))
}

/// Where a record stands in its file; 0 for what is none of Bacs.
pub fn line_of(item: &Item) -> u64 {
    match item {
        Item::BacsReturn(item) => item.line,
        Item::BacsClaim(item) => item.line,
        Item::BacsAdvice(item) => item.line,
        Item::BacsSubmission(item) => item.line,
        Item::Account(_)
        | Item::Document(_)
        | Item::Matter(_)
        | Item::Mandate(_)
        | Item::Std18(_) => 0,
    }
}

/// What a list of amounts comes to; Bacs knows sterling only.
fn sum(amounts: impl IntoIterator<Item = Money>) -> Option<Money> {
    Money::sum(amounts, Currency::GBP).ok()
}
