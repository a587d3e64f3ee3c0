//! What is wrong with a file: the rules by which Bacs refuses or amends one.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use kernel::{Division, WorkingCalendar};

use super::{Account, File, Kind, Record, Writer, clean, is_made};
use crate::domain::{mandate::rules, problem::Problem};

/// Everything that is wrong with a file, whatever the day. A bank's own file has
/// its own records: of that only the totals are held to.
pub fn check(file: &File) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut wrong = |code: &'static str, detail: String| found.push(Problem::new(code, detail));
    let summed = file.summed();
    if summed != file.totals {
        wrong(
            "std18_totals",
            format!(
                "UTL1 says {} and {} pence in {} debits and {} credits, the records make {} and {} in {} and {}",
                file.totals.debit,
                file.totals.credit,
                file.totals.debits,
                file.totals.credits,
                summed.debit,
                summed.credit,
                summed.debits,
                summed.credits
            ),
        );
    }
    if file.writer == Writer::Bank {
        return found;
    }
    if summed.debit != summed.credit {
        wrong(
            "std18_balance",
            format!(
                "debits of {} pence and credits of {} pence do not balance",
                summed.debit, summed.credit
            ),
        );
    }
    if file.user_number.len() != 6 || file.user_number != file.named_user_number {
        wrong(
            "std18_user_number",
            format!(
                "VOL1 names the service user {:?}, HDR1 {:?}",
                file.user_number, file.named_user_number
            ),
        );
    }
    if file.serial.len() != 6 || clean(&file.serial, 6) != file.serial {
        wrong(
            "std18_serial",
            format!("the serial number is {:?}", file.serial),
        );
    }
    if !matches!(file.record_length, 100 | 106) {
        wrong(
            "std18_record_length",
            format!(
                "HDR2 says that records have {} characters",
                file.record_length
            ),
        );
    }
    let calendar = WorkingCalendar::new(Division::EnglandWales);
    let mut days: Vec<NaiveDate> = Vec::new();
    for (at, record) in file.records.iter().enumerate() {
        match file.day_of(record) {
            Some(day) => days.push(day),
            None => wrong(
                "std18_processing_day",
                format!("record {} has no processing day", at + 1),
            ),
        }
        for (code, detail) in of_record(record) {
            wrong(code, format!("record {}: {detail}", at + 1));
        }
    }
    days.sort_unstable();
    days.dedup();
    for day in &days {
        if !calendar.is_working_day(*day).unwrap_or(false) {
            wrong("std18_processing_day", format!("{day} is no working day"));
        }
    }
    if !days.is_empty() && days.last() >= file.expires_on.as_ref() {
        wrong(
            "std18_expiry",
            "the file expires before its last processing day is over".to_owned(),
        );
    }
    found.extend(contras(file));
    found
}

/// What is wrong with the days of a file that is sent on `today`: each processing
/// day is after today, and not too far ahead.
pub fn check_days(file: &File, today: NaiveDate) -> Vec<Problem> {
    let furthest = today.checked_add_days(Days::new(u64::from(rules(today).ahead_days)));
    let mut days: Vec<NaiveDate> = file.records.iter().filter_map(|r| file.day_of(r)).collect();
    days.sort_unstable();
    days.dedup();
    days.into_iter()
        .filter(|day| *day <= today || Some(*day) > furthest)
        .map(|day| {
            Problem::new(
                "std18_processing_day",
                format!(
                    "{day} is not processed any more, or not yet, when the file is sent on {today}"
                ),
            )
        })
        .collect()
}

fn of_record(record: &Record) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let kind = record.kind();
    if !is_made(&record.code) {
        found.push((
            "std18_code",
            format!("the code {:?} is not sent", record.code),
        ));
    }
    if record.account_type != '0' {
        found.push((
            "std18_account_type",
            "the type of account is not 0".to_owned(),
        ));
    }
    let amount = record.pence.unwrap_or(0);
    if kind == Kind::Instruction && amount != 0 {
        found.push(("std18_amount", "an instruction has an amount".to_owned()));
    }
    if matches!(kind, Kind::Debit | Kind::Credit) && amount == 0 {
        found.push(("std18_amount", "the amount is nothing".to_owned()));
    }
    for (field, text) in [
        ("name", &record.name),
        ("reference", &record.reference),
        ("account name", &record.destination_name),
    ] {
        if clean(text, text.chars().count()) != **text {
            found.push((
                "std18_character",
                format!("the {field} has characters that Bacs does not take"),
            ));
        }
    }
    if record.reference.is_empty() || record.name.is_empty() || record.destination_name.is_empty() {
        found.push(("std18_blank", "a name or the reference is blank".to_owned()));
    }
    found
}

/// One contra for each processing day, originating account and direction.
fn contras(file: &File) -> Vec<Problem> {
    type Key<'f> = (Option<NaiveDate>, &'f Account, Kind);
    let mut owed: BTreeMap<Key<'_>, u64> = BTreeMap::new();
    let mut given: BTreeMap<Key<'_>, Vec<u64>> = BTreeMap::new();
    for record in &file.records {
        let pence = record.pence.unwrap_or(0);
        let day = file.day_of(record);
        match (record.is_contra(), record.kind()) {
            (false, kind @ (Kind::Debit | Kind::Credit)) => {
                let sum = owed.entry((day, &record.originator, kind)).or_default();
                *sum = sum.saturating_add(pence);
            }
            // A contra credit balances debits.
            (true, Kind::Credit) => given
                .entry((day, &record.originator, Kind::Debit))
                .or_default()
                .push(pence),
            (true, Kind::Debit) => given
                .entry((day, &record.originator, Kind::Credit))
                .or_default()
                .push(pence),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, sum) in &owed {
        if given.remove(key).as_deref() != Some(&[*sum][..]) {
            found.push(Problem::new(
                "std18_contra",
                format!("{sum} pence have no contra record of their own"),
            ));
        }
    }
    if !given.is_empty() {
        found.push(Problem::new(
            "std18_contra",
            "a contra record balances nothing",
        ));
    }
    found
}
