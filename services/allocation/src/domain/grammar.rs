//! What a document number looks like, learned from the documents that are on
//! the ledger, and what other numbers in a payer's words look like: dates, sort
//! codes, telephone numbers, amounts.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::evidence::{reference_key, shape, tail_key};

/// A date without separators is one only if it lies this near, in days: eight
/// digits can be anything.
const NEAR_DAYS: i64 = 60;

/// The forms of a series of document numbers: the letters that it begins with,
/// and which places behind them have letters and which digits.
#[derive(Debug, Default)]
pub struct Grammar(BTreeSet<(String, String)>);

impl Grammar {
    /// Learns from a number as it is printed.
    pub fn learn(&mut self, number: &str) {
        let plain: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
        let letters = plain.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (prefix, rest) = plain.split_at(letters);
        self.0
            .insert((reference_key(prefix), shape(&reference_key(rest))));
        // People leave the letters off, where enough is left to mean something.
        if tail_key(number).is_some() {
            self.0.insert((String::new(), shape(&reference_key(rest))));
        }
    }

    /// Whether `key` could be a number of the series.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(prefix, form)| {
            key.strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.len() == form.len() && shape(rest) == *form)
        })
    }
}

/// The folded keys of what in `text` is a number of another kind, for a payment
/// of that day.
pub fn other_numbers(text: &str, on: NaiveDate) -> BTreeSet<String> {
    text.split(char::is_whitespace)
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| is_other(word, on))
        .map(reference_key)
        .collect()
}

fn is_other(word: &str, on: NaiveDate) -> bool {
    is_date(word, on) || is_sort_code(word) || is_telephone(word) || is_amount(word)
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `18/11/2026`, `18.11.26`, `2026-11-18`; `18112026` and `20261118` if near.
fn is_date(word: &str, on: NaiveDate) -> bool {
    let parts: Vec<&str> = word.split(['/', '.', '-']).collect();
    let day = |year: &str, month: &str, day: &str| -> Option<NaiveDate> {
        let year: i32 = year.parse().ok()?;
        let year = if year < 100 { 2000 + year } else { year };
        NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
    };
    let near = |found: Option<NaiveDate>| {
        found.is_some_and(|found| (found - on).num_days().abs() <= NEAR_DAYS)
    };
    match *parts.as_slice() {
        [a, b, c] if digits(a) && digits(b) && digits(c) => {
            let first = if a.len() == 4 {
                day(a, b, c)
            } else if a.len() <= 2 && b.len() <= 2 && matches!(c.len(), 2 | 4) {
                day(c, b, a)
            } else {
                None
            };
            // A year on either side: statements look back.
            first.is_some_and(|found| (found - on).num_days().abs() <= 400)
        }
        [one] if one.len() == 8 && digits(one) => {
            let at = |range: std::ops::Range<usize>| one.get(range).unwrap_or_default();
            near(day(at(0..4), at(4..6), at(6..8))) || near(day(at(4..8), at(2..4), at(0..2)))
        }
        _ => false,
    }
}

/// `20-00-00`.
fn is_sort_code(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    parts.len() == 3 && parts.iter().all(|part| part.len() == 2 && digits(part))
}

/// `02079460123`: eleven digits behind a zero, or ten.
fn is_telephone(word: &str) -> bool {
    word.starts_with('0') && matches!(word.len(), 10 | 11) && digits(word)
}

/// `1,250.00`, `103.24`.
fn is_amount(word: &str) -> bool {
    let plain = word.trim_start_matches("GBP").replace(',', "");
    match plain.split_once('.') {
        Some((pounds, pence)) => digits(pounds) && pence.len() == 2 && digits(pence),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        "2026-11-20".parse().unwrap()
    }

    #[test]
    fn a_series_is_known_by_its_letters_and_digits() {
        let mut grammar = Grammar::default();
        grammar.learn("INV-10324");
        grammar.learn("ABC001/0007-12");
        assert!(grammar.has(&reference_key("INV 20999")));
        assert!(grammar.has(&reference_key("20999")), "without its letters");
        assert!(grammar.has(&reference_key("ABC001000713")));
        assert!(!grammar.has(&reference_key("REF20999")), "another series");
        assert!(!grammar.has(&reference_key("INV-209991")));
    }

    #[test]
    fn other_numbers_are_told_by_their_form() {
        let found = other_numbers(
            "PAID 18/11/2026 1,250.00 FROM 20-00-00 TEL 02079460123 REF 20261118, INV-10324 4100123",
            day(),
        );
        let keys: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["02079460123", "125000", "18112026", "200000", "20261118"]
        );
        assert!(other_numbers("20200118 31/02/2026 4100123", day()).is_empty());
    }
}
