//! The leaves: amounts, days, directions, account numbers.

use chrono::{Datelike, NaiveDate};
use contracts::inbound::Direction;
use kernel::{AccountNumber, BankAccount, Currency, Iban, Money, MoneyError, SortCode};

use super::{Identified, Read, Reader};
use crate::domain::line::Party;

/// A day outside of these years is a slip, and would sort wrongly for ever.
const PLAUSIBLE_YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

impl Reader<'_> {
    /// An amount with its currency; refused when it is no amount of money.
    pub(super) fn amount(&mut self) -> Read<Money> {
        let code = self.xml.attribute("Ccy")?;
        let text = self.xml.text()?;
        let Some(code) = code else {
            return Err(self
                .xml
                .problem("missing_currency", "the amount has no currency"));
        };
        let currency = self.currency(&code)?;
        decimal(&text, currency).map_err(|(code, detail)| self.xml.problem(code, detail))
    }

    /// An amount that the payer wrote about his documents. A wrong one is
    /// doubtful, but not the bank's, so it does not refuse the statement. Since
    /// version 3 some stand one level down.
    pub(super) fn remitted_amount(&mut self) -> Read<Option<Money>> {
        let code = self.xml.attribute("Ccy")?;
        if code.is_none() {
            let mut amount = None;
            // Without a currency of its own it is the newer form, or nothing.
            while self.xml.child()? {
                if self.xml.name() == "Amt" {
                    amount = self.payers_amount()?;
                } else {
                    self.xml.skip()?;
                }
            }
            return Ok(amount);
        }
        self.payers_amount()
    }

    fn payers_amount(&mut self) -> Read<Option<Money>> {
        let code = self.xml.attribute("Ccy")?.unwrap_or_default();
        let text = self.xml.text()?;
        let read = Currency::parse(&code)
            .map_err(|error| error.to_string())
            .and_then(|currency| decimal(&text, currency).map_err(|(_, detail)| detail));
        match read {
            Ok(amount) => Ok(Some(amount)),
            Err(detail) => {
                let problem = self.xml.problem("remittance_unreadable", detail);
                self.problems.push(problem);
                Ok(None)
            }
        }
    }

    /// A date that the payer wrote: like [`payers_amount`](Self::payers_amount).
    /// Since version 8 it may stand one level down, in `Dt`.
    pub(super) fn remitted_date(&mut self) -> Read<Option<NaiveDate>> {
        let text = self.date_text()?;
        let date = text.as_deref().and_then(iso_date);
        if let Some(text) = text
            && date.is_none()
        {
            let detail = format!("{} is no date", excerpt(&text));
            let problem = self.xml.problem("remittance_unreadable", detail);
            self.problems.push(problem);
        }
        Ok(date)
    }

    pub(super) fn currency(&mut self, code: &str) -> Read<Currency> {
        Currency::parse(code)
            .map_err(|error| self.xml.problem("unknown_currency", error.to_string()))
    }

    pub(super) fn direction(&mut self) -> Read<Direction> {
        match self.xml.text()?.as_str() {
            "CRDT" => Ok(Direction::Credit),
            "DBIT" => Ok(Direction::Debit),
            other => {
                let detail = format!("{} is neither CRDT nor DBIT", excerpt(other));
                Err(self.xml.problem("bad_direction", detail))
            }
        }
    }

    pub(super) fn boolean(&mut self) -> Read<bool> {
        match self.xml.text()?.as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" | "" => Ok(false),
            other => {
                let detail = format!("{} is neither true nor false", excerpt(other));
                Err(self.xml.problem("bad_boolean", detail))
            }
        }
    }

    /// A count or sequence number. One that is none is left out with a doubt: no
    /// money hangs on it.
    pub(super) fn number<N: std::str::FromStr>(&mut self) -> Read<Option<N>> {
        let Some(text) = self.xml.optional_text()? else {
            return Ok(None);
        };
        let number = text.parse().ok();
        if number.is_none() {
            let detail = format!("{} is no number that can be counted with", excerpt(&text));
            let problem = self.xml.problem("bad_number", detail);
            self.problems.push(problem);
        }
        Ok(number)
    }

    /// A day: the element's own text, or its `Dt` or `DtTm`. With a time it is
    /// the day as the bank wrote it, in the bank's time zone: the day on the
    /// customer's paper statement.
    pub(super) fn date(&mut self) -> Read<Option<NaiveDate>> {
        let Some(text) = self.date_text()? else {
            return Ok(None);
        };
        let date = iso_date(&text);
        if date.is_none() {
            let detail = format!("{} is no date of our time", excerpt(&text));
            return Err(self.xml.problem("bad_date", detail));
        }
        Ok(date)
    }

    fn date_text(&mut self) -> Read<Option<String>> {
        self.xml.text_or_child(&["Dt", "DtTm"])
    }
}

/// An account number as the kernel knows it: a right IBAN, UK sort code and
/// account number, or any other text as it stands (a masked IBAN too).
pub(super) fn understood(
    id: &Identified,
    bank: &Party,
    currency: Option<Currency>,
) -> Option<BankAccount> {
    let text = id.iban.as_ref().or(id.other.as_ref())?;
    if let Ok(iban) = Iban::parse(text) {
        return Some(BankAccount::Iban(iban));
    }
    if let Some(other) = &id.other
        && id.iban.is_none()
        && in_the_uk(bank, currency)
        && let Some(account) = uk_account(other, bank.bank_clearing_id.as_deref())
    {
        return Some(account);
    }
    Some(BankAccount::Other(text.clone()))
}

/// Fourteen digits are a UK account only at a UK bank: other countries have
/// numbers of that length too. A bank that is not named keeps pounds in the UK.
fn in_the_uk(bank: &Party, currency: Option<Currency>) -> bool {
    match bank.bank_bic.as_deref().and_then(|bic| bic.get(4..6)) {
        Some(country) => country == "GB",
        None => currency.is_none_or(|currency| currency == Currency::GBP),
    }
}

/// Sort code and account number in one, or the account number beside the bank's
/// sort code.
fn uk_account(number: &str, bank_sort_code: Option<&str>) -> Option<BankAccount> {
    let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (sort_code, account_number) = match digits.len() {
        14 => digits.split_at(6),
        6..=8 => (bank_sort_code?, digits.as_str()),
        _ => return None,
    };
    Some(BankAccount::Uk {
        sort_code: SortCode::parse(sort_code).ok()?,
        account_number: AccountNumber::parse(account_number).ok()?,
    })
}

/// An amount as XML writes decimals: `.5`, `5.` and `+5` too; never negative.
pub(super) fn decimal(text: &str, currency: Currency) -> Result<Money, (&'static str, String)> {
    if text.starts_with('-') {
        return Err((
            "negative_amount",
            format!(
                "{} is negative; the direction says which way",
                excerpt(text)
            ),
        ));
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let padded;
    let plain = if unsigned.starts_with('.') && unsigned.len() > 1 {
        padded = format!("0{unsigned}");
        padded.as_str()
    } else {
        match unsigned.strip_suffix('.') {
            Some(whole) if !whole.contains('.') => whole,
            _ => unsigned,
        }
    };
    Money::parse(plain, currency).map_err(|error| {
        let code = match error {
            MoneyError::TooManyDecimals { .. } => "too_many_decimals",
            _ => "bad_amount",
        };
        (code, error.to_string())
    })
}

/// The day of an XML date or date with time, whatever zone follows.
fn iso_date(text: &str) -> Option<NaiveDate> {
    let day = text.get(..10)?;
    let rest = text.get(10..)?;
    let well_formed = day.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    }) && (rest.is_empty() || rest.starts_with(['T', 'Z', '+', '-']));
    if !well_formed {
        return None;
    }
    NaiveDate::parse_from_str(day, "%Y-%m-%d")
        .ok()
        .filter(|date| PLAUSIBLE_YEARS.contains(&date.year()))
}

pub(super) fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}
