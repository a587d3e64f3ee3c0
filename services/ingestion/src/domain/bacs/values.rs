//! The leaves of a report: days, amounts, accounts, codes.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use kernel::{AccountNumber, BankAccount, Currency, Money, SortCode};

use super::Reader;
use crate::domain::problem::Problem;

/// A day outside of these years is a slip, and would sort wrongly for ever.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;
/// What of a wrong value is repeated.
const SHOWN_CHARS: usize = 40;

/// The attributes of an element, or the texts of its children, by name.
pub(super) type Values = BTreeMap<String, String>;

pub(super) fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(SHOWN_CHARS).collect::<String>())
}

/// A day as `2026-11-24`, perhaps with a time after it, or `24/11/2026`: the
/// United Kingdom writes the day first.
pub(super) fn day(text: &str) -> Option<NaiveDate> {
    let iso = text.get(..10).unwrap_or(text);
    let found = NaiveDate::parse_from_str(iso, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(text, "%d/%m/%Y"))
        .ok()?;
    PLAUSIBLE_YEARS.contains(&found.year()).then_some(found)
}

/// A count.
pub(super) fn count<N: std::str::FromStr>(values: &Values, name: &str) -> Option<N> {
    values.get(name)?.parse().ok()
}

impl Reader<'_> {
    /// What must be there.
    pub(super) fn required(&mut self, values: &Values, name: &str) -> Result<String, Problem> {
        values.get(name).cloned().ok_or_else(|| {
            self.xml
                .problem("missing_value", format!("the record has no {name}"))
        })
    }

    /// A day that may be absent but not wrong.
    pub(super) fn day(
        &mut self,
        values: &Values,
        name: &str,
    ) -> Result<Option<NaiveDate>, Problem> {
        let Some(text) = values.get(name) else {
            return Ok(None);
        };
        day(text).map(Some).ok_or_else(|| {
            let detail = format!("{name} {} is no day", excerpt(text));
            self.xml.problem("bad_date", detail)
        })
    }

    /// A positive amount of sterling, perhaps with commas between thousands.
    pub(super) fn amount(&mut self, values: &Values, name: &str) -> Result<Money, Problem> {
        let text = self.required(values, name)?;
        if let Some(currency) = values.get("currency").filter(|code| *code != "GBP") {
            let detail = format!(
                "the amount is in {}, and Bacs pays sterling",
                excerpt(currency)
            );
            return Err(self.xml.problem("unknown_currency", detail));
        }
        match self.sterling(&text)? {
            amount if amount.is_positive() => Ok(amount),
            _ => {
                let detail = format!("{name} {} is not more than nothing", excerpt(&text));
                Err(self.xml.problem("amount_not_positive", detail))
            }
        }
    }

    /// An amount that may be nothing.
    pub(super) fn sterling(&mut self, text: &str) -> Result<Money, Problem> {
        Money::parse(&without_thousands(text), Currency::GBP)
            .ok()
            .filter(|amount| !amount.is_negative())
            .ok_or_else(|| {
                let detail = format!("{} is no amount of sterling", excerpt(text));
                self.xml.problem("bad_amount", detail)
            })
    }

    /// An account by sort code and number; `None` when either is missing or no
    /// such number.
    pub(super) fn account(sort_code: Option<&String>, number: Option<&String>) -> Option<String> {
        let account = BankAccount::Uk {
            sort_code: SortCode::parse(sort_code?).ok()?,
            account_number: AccountNumber::parse(number?).ok()?,
        };
        Some(account.key())
    }

    /// A payer's account; a wrong one is doubted, because the record is known by
    /// its reference too.
    pub(super) fn payers(
        &mut self,
        sort_code: Option<&String>,
        number: Option<&String>,
    ) -> Option<String> {
        let found = Self::account(sort_code, number);
        if found.is_none() && (sort_code.is_some() || number.is_some()) {
            let problem = self.xml.problem(
                "account_unreadable",
                "sort code and account number of the record are no account",
            );
            self.problems.push(problem);
        }
        found
    }

    /// The service user: the first that is named is the report's.
    pub(super) fn service_user(&mut self, number: Option<&String>, name: Option<&String>) {
        if let Some(number) = number
            && self.report.service_user_number.is_empty()
        {
            self.report.service_user_number.clone_from(number);
        }
        if self.report.service_user_name.is_none() {
            self.report.service_user_name = name.cloned();
        }
    }
}

/// `1,234.50` without its comma; anything else as it is, to be refused.
fn without_thousands(text: &str) -> String {
    let whole = text.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let well = (1..=3).contains(&first.len())
        && digits(first)
        && groups.all(|group| group.len() == 3 && digits(group));
    if well {
        text.replacen(',', "", whole.matches(',').count())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_british_or_iso() {
        let expected = NaiveDate::from_ymd_opt(2026, 11, 4);
        for text in ["2026-11-04", "2026-11-04T06:12:00", "04/11/2026"] {
            assert_eq!(day(text), expected, "{text}");
        }
        for text in ["2026-11-31", "20261104", "1026-11-04", "é2026-11-04", ""] {
            assert_eq!(day(text), None, "{text}");
        }
    }

    #[test]
    fn only_commas_between_thousands_go() {
        assert_eq!(without_thousands("1,234,567.50"), "1234567.50");
        assert_eq!(without_thousands("12.50"), "12.50");
        for odd in ["1,50", "1,2345.00", ",100", "12,34,567"] {
            assert_eq!(without_thousands(odd), odd);
        }
    }
}
