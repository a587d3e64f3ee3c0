//! What makes a bank line or a statement the same one again.
//!
//! A line's key is made of what the bank never changes about it: account, days,
//! amount, direction, and the bank's own reference or, without one, the text. Two
//! genuine payments may agree in all of these on one day (E29), so the key ends
//! in an occurrence counter. It counts within one statement: the same file sent
//! again yields the same keys, and one line more in it yields one key more,
//! wherever the line stands.

use std::{collections::HashMap, fmt::Write as _};

use chrono::NaiveDate;
use contracts::inbound::Direction;
use kernel::{BankAccount, Money};
use sha2::{Digest, Sha256};

use super::line::{BankLine, Statement, is_stated};

/// What identifies a line but for its occurrence.
#[derive(Debug, Clone, Copy)]
pub struct Traits<'a> {
    pub account: &'a BankAccount,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    /// Never negative.
    pub amount: Money,
    pub direction: Direction,
    /// The bank's own reference. `NONREF` and its like count as none.
    pub bank_reference: Option<&'a str>,
    /// All that the bank wrote; only looked at without a reference.
    pub text: &'a str,
}

/// The key of the `occurrence`th (from 1) line with these traits: 64 hex digits.
/// A line from a feed, whose bank reference is unique, is always the first.
pub fn line_key(traits: Traits<'_>, occurrence: u32) -> String {
    let Traits {
        account,
        booked_on,
        value_on,
        amount,
        direction,
        ..
    } = traits;
    // Fields are separated by a character that no field can hold.
    let mut hasher = Sha256::new();
    hasher.update(format!(
        "{}\u{1f}{booked_on}\u{1f}{value_on}\u{1f}{}\u{1f}{}\u{1f}{}\u{1f}",
        account.key(),
        amount.amount(),
        amount.currency(),
        match direction {
            Direction::Credit => 'C',
            Direction::Debit => 'D',
        },
    ));
    let (kind, text) = traits
        .bank_reference
        .filter(|reference| is_stated(reference))
        .map_or(("text", traits.text), |reference| ("reference", reference));
    hasher.update(kind);
    hasher.update("\u{1f}");
    hasher.update(normalised(text));
    hasher.update(format!("\u{1f}{occurrence}"));
    hex::encode(hasher.finalize())
}

/// The key of the `part`th (from 1) payment inside a line.
pub fn part_key(line_key: &str, part: usize) -> String {
    format!("{line_key}/{part}")
}

/// Gives every line of one statement its key, twins counted apart.
pub fn assign(account: &BankAccount, lines: &mut [BankLine]) {
    let mut seen: HashMap<String, u32> = HashMap::with_capacity(lines.len());
    for line in lines {
        let text = text_of(line);
        let traits = Traits {
            account,
            booked_on: line.booked_on,
            value_on: line.value_on,
            amount: line.amount,
            direction: line.direction,
            bank_reference: line.bank_reference.as_deref(),
            text: &text,
        };
        let first = line_key(traits, 1);
        let occurrence = seen.entry(first.clone()).or_insert(0);
        *occurrence += 1;
        line.dedup_key = if *occurrence == 1 {
            first
        } else {
            line_key(traits, *occurrence)
        };
    }
}

/// The key of a statement: 64 hex digits. Its account, name, sequence, page and
/// days together, since banks start their names and numbers anew each year
/// (E29).
pub fn statement_key(statement: &Statement) -> String {
    let day = |date: Option<NaiveDate>| date.map_or_else(String::new, |date| date.to_string());
    let mut key = format!("{}\u{1f}{}", statement.account.key(), statement.id);
    for number in [statement.sequence, statement.legal_sequence] {
        key.push('\u{1f}');
        if let Some(number) = number {
            // Writing to a string cannot fail.
            let _ = write!(key, "{number}");
        }
    }
    if let Some(page) = statement.page {
        let _ = write!(key, "\u{1f}{}", page.number);
    }
    for date in [
        statement.from,
        statement.to,
        statement.opens_on,
        statement.closes_on,
    ] {
        key.push('\u{1f}');
        key.push_str(&day(date));
    }
    hex::encode(Sha256::digest(key))
}

/// All free text of a line, for lines that the bank gave no reference.
fn text_of(line: &BankLine) -> String {
    let mut text = String::new();
    let mut add = |part: Option<&String>| {
        if let Some(part) = part {
            text.push_str(part);
            text.push(' ');
        }
    };
    if line.bank_reference.as_deref().is_some_and(is_stated) {
        return String::new();
    }
    add(line.narrative.as_ref());
    for detail in &line.details {
        add(detail.end_to_end_id.as_ref());
        add(detail.transaction_id.as_ref());
        add(detail.debtor.name.as_ref());
        add(detail.creditor.name.as_ref());
        for line in &detail.unstructured {
            add(Some(line));
        }
        for block in &detail.structured {
            add(block.creditor_reference.as_ref());
        }
        add(detail.additional.as_ref());
    }
    text
}

/// Capital letters and digits only: banks break and space the same text
/// differently from one file to the next.
fn normalised(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .collect()
}
