//! Writes a file: every contra and every total follows from the payments.

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::{Days, NaiveDate};

use super::{Account, File, Julian, Kind, Record, ServiceUser, Totals, Writer, check, kind_of};
use crate::domain::problem::Problem;

/// Days after its last processing day for which a file is kept.
const KEPT_DAYS: u64 = 60;

/// One payment, collection or instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub account: Account,
    pub code: &'static str,
    /// Nothing for instructions.
    pub pence: u64,
    pub reference: String,
    /// Whose account it is.
    pub name: String,
    pub processing_on: NaiveDate,
}

/// A file of a service user. The same entries give the same bytes.
///
/// # Errors
/// What [`check`] finds: nothing that Bacs would refuse or amend goes out.
pub fn write(
    user: &ServiceUser,
    serial: &str,
    created_on: NaiveDate,
    entries: &[Entry],
) -> Result<String, Vec<Problem>> {
    let file = compose(user, serial, created_on, entries);
    let problems = check(&file);
    if problems.is_empty() {
        Ok(render(&file))
    } else {
        Err(problems)
    }
}

/// The records with their contras, and all that stands around them.
fn compose(user: &ServiceUser, serial: &str, created_on: NaiveDate, entries: &[Entry]) -> File {
    let first = entries.iter().map(|e| e.processing_on).min();
    let last = entries.iter().map(|e| e.processing_on).max();
    let several = first != last;
    let day = |on: NaiveDate| several.then_some(on);
    let mut records: Vec<Record> = entries
        .iter()
        .map(|entry| Record {
            destination: entry.account.clone(),
            account_type: '0',
            code: entry.code.to_owned(),
            originator: user.account.clone(),
            free: String::new(),
            pence: Some(entry.pence),
            name: user.name.clone(),
            reference: trimmed(&entry.reference),
            destination_name: trimmed(&entry.name),
            processing_on: day(entry.processing_on),
        })
        .collect();
    // One for each processing day and direction.
    let mut sums: BTreeMap<(NaiveDate, Kind), u64> = BTreeMap::new();
    for entry in entries {
        let kind = kind_of(entry.code);
        if matches!(kind, Kind::Debit | Kind::Credit) {
            let sum = sums.entry((entry.processing_on, kind)).or_default();
            *sum = sum.saturating_add(entry.pence);
        }
    }
    for ((on, kind), sum) in sums {
        records.push(Record {
            destination: user.account.clone(),
            account_type: '0',
            code: if kind == Kind::Debit { "99" } else { "17" }.to_owned(),
            originator: user.account.clone(),
            free: String::new(),
            pence: Some(sum),
            name: user.name.clone(),
            reference: "CONTRA".to_owned(),
            destination_name: user.name.clone(),
            processing_on: day(on),
        });
    }
    let mut file = File {
        writer: Writer::ServiceUser,
        serial: serial.to_owned(),
        user_number: user.number.clone(),
        named_user_number: user.number.clone(),
        created_on: Some(created_on),
        expires_on: last.and_then(|last| last.checked_add_days(Days::new(KEPT_DAYS))),
        processing_on: first,
        work_code: if several { "4 MULTI" } else { "1 DAILY" }.to_owned(),
        record_length: if several { 106 } else { 100 },
        records,
        totals: Totals::default(),
    };
    file.totals = file.summed();
    file
}

fn trimmed(text: &str) -> String {
    clean(text, 18).trim_end().to_owned()
}

/// The text in the character set of Bacs, cut and padded to `width`: what is not
/// in the set becomes a space, as it would at Bacs.
pub fn clean(text: &str, width: usize) -> String {
    let mut out: String = text
        .trim()
        .chars()
        .take(width)
        .map(|c| match c.to_ascii_uppercase() {
            c @ ('A'..='Z' | '0'..='9' | '.' | '&' | '/' | '-') => c,
            _ => ' ',
        })
        .collect();
    while out.len() < width {
        out.push(' ');
    }
    out
}

/// The bytes of a file, in lines that end with CR LF.
pub fn render(file: &File) -> String {
    let mut out = String::with_capacity((file.records.len() + 8) * 108);
    let serial = &file.serial;
    let user = &file.user_number;
    let date =
        |on: Option<NaiveDate>| on.map_or_else(|| " ".repeat(6), |on| Julian(on).to_string());
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "VOL1{serial:<6} {:20}{:6}    {user:<6}    {:28}1\r\n",
        "", "", ""
    );
    let heads = |out: &mut String, one: &str, two: &str| {
        let _ = write!(
            out,
            "{one}A{named:<6}S  1{named:<6}{serial:<6}00010001{:6}{}{} 000000{:20}\r\n",
            "",
            date(file.created_on),
            date(file.expires_on),
            "",
            named = file.named_user_number,
        );
        let _ = write!(
            out,
            "{two}F02000{:05}{:35}00{:28}\r\n",
            file.record_length, "", ""
        );
    };
    heads(&mut out, "HDR1", "HDR2");
    let _ = write!(
        out,
        "UHL1{}999999    00000000{:<9}001{:7}{:7}{:26}\r\n",
        date(file.processing_on),
        file.work_code,
        "",
        "",
        ""
    );
    for record in &file.records {
        let amount = record.pence.unwrap_or(0);
        let _ = write!(
            out,
            "{:0>6}{:0>8}{}{:<2}{:0>6}{:0>8}{:<4}{amount:011}{:<18}{:<18}{:<18}",
            record.destination.sort_code,
            record.destination.number,
            record.account_type,
            record.code,
            record.originator.sort_code,
            record.originator.number,
            record.free,
            record.name,
            record.reference,
            record.destination_name,
        );
        if file.record_length > 100 {
            out.push_str(&date(record.processing_on));
        }
        out.push_str("\r\n");
    }
    heads(&mut out, "EOF1", "EOF2");
    let totals = &file.totals;
    let _ = write!(
        out,
        "UTL1{:013}{:013}{:07}{:07}{:8}{:07}{:21}\r\n",
        totals.debit, totals.credit, totals.debits, totals.credits, "", totals.instructions, ""
    );
    out
}
