//! The tables behind the controls: thresholds, reasons and periods, each with the
//! day from which it counts.

use chrono::{Months, NaiveDate, TimeDelta};
use contracts::api::controls::WriteOffReason;
use kernel::{Currency, Money};

use rust_decimal::Decimal;

use super::data::rows;

fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

/// How long a request waits for a second person: the newest row that counts by
/// `day`.
pub fn pending_for(day: NaiveDate) -> TimeDelta {
    let days = rows(include_str!("../../data/approval-expiry.csv"))
        .filter_map(|row| {
            let [days, from] = row[..] else {
                return None;
            };
            Some((date(from)?, days.parse::<i64>().ok()?))
        })
        .filter(|(from, _)| *from <= day)
        .max_by_key(|(from, _)| *from)
        .map_or(0, |(_, days)| days);
    TimeDelta::days(days)
}

/// How much is decided and kept of shadow rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShadowLimits {
    /// Versions beside the live ones.
    pub versions: usize,
    /// Of a day and outcome.
    pub examples: i64,
    /// That are shown.
    pub days: i64,
}

/// The newest row that counts by `day`.
pub fn shadow_limits(day: NaiveDate) -> ShadowLimits {
    rows(include_str!("../../data/shadow-limits.csv"))
        .filter_map(|row| {
            let [versions, examples, days, from] = row[..] else {
                return None;
            };
            let limits = ShadowLimits {
                versions: versions.parse().ok()?,
                examples: examples.parse().ok()?,
                days: days.parse().ok()?,
            };
            Some((date(from)?, limits))
        })
        .filter(|(from, _)| *from <= day)
        .max_by_key(|(from, _)| *from)
        .map_or_else(ShadowLimits::default, |(_, limits)| limits)
}

/// What counts as a small balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Small {
    pub at_most: Money,
    /// Due, or for receipts booked, at least so many days ago.
    pub days: u32,
}

/// What is small in `currency` on `day`: the newest row that counts by then.
pub fn small(currency: Currency, day: NaiveDate) -> Option<Small> {
    rows(include_str!("../../data/small-balances.csv"))
        .filter_map(|row| {
            let [code, at_most, days, from] = row[..] else {
                return None;
            };
            (code == currency.code()).then_some(())?;
            let small = Small {
                at_most: Money::parse(at_most, currency).ok()?,
                days: days.parse().ok()?,
            };
            Some((date(from)?, small))
        })
        .filter(|(from, _)| *from <= day)
        .max_by_key(|(from, _)| *from)
        .map(|(_, small)| small)
}

/// Why a debt may be given up on `day`.
pub fn write_off_reasons(day: NaiveDate) -> Vec<WriteOffReason> {
    rows(include_str!("../../data/write-off-reasons.csv"))
        .filter_map(|row| {
            let [code, words, relief, from] = row[..] else {
                return None;
            };
            (date(from)? <= day).then(|| WriteOffReason {
                code: code.to_owned(),
                words: words.to_owned(),
                vat_relief: relief == "yes",
            })
        })
        .collect()
}

/// From when and until when VAT bad-debt relief may be claimed for a supply.
pub fn vat_relief_window(supplied: NaiveDate, due: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let from = supplied.max(due);
    let (_, wait, latest) = rows(include_str!("../../data/vat-relief.csv"))
        .filter_map(|row| {
            let [wait, latest, valid] = row[..] else {
                return None;
            };
            Some((date(valid)?, wait.parse().ok()?, latest.parse().ok()?))
        })
        .filter(|(valid, ..)| *valid <= from)
        .max_by_key(|(valid, ..)| *valid)?;
    Some((
        from.checked_add_months(Months::new(wait))?,
        from.checked_add_months(Months::new(latest))?,
    ))
}

/// The standard rate of VAT of a day of supply, in percent.
pub fn vat_rate(supplied: NaiveDate) -> Option<Decimal> {
    rows(include_str!("../../data/vat-rates.csv"))
        .filter_map(|row| {
            let [rate, valid] = row[..] else {
                return None;
            };
            Some((date(valid)?, rate.parse().ok()?))
        })
        .filter(|(valid, _)| *valid <= supplied)
        .max_by_key(|(valid, _)| *valid)
        .map(|(_, rate)| rate)
}

/// What an ARUCS reason code says; unknown codes are refused.
pub fn arucs(code: &str) -> Option<&'static str> {
    rows(include_str!("../../data/arucs.csv")).find_map(|row| match row[..] {
        [known, words] if known == code => Some(words),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn every_shipped_row_is_read() {
        assert_eq!(pending_for(day("2026-11-26")), TimeDelta::days(14));
        let gbp = small(Currency::GBP, day("2026-11-26")).unwrap();
        assert_eq!(gbp.at_most.amount().to_string(), "1.00");
        assert_eq!(small(Currency::GBP, day("2025-12-31")), None);
        let reasons = write_off_reasons(day("2026-11-26"));
        assert!(
            reasons
                .iter()
                .any(|r| r.code == "insolvency" && r.vat_relief)
        );
        assert!(
            reasons
                .iter()
                .any(|r| r.code == "dispute_settled" && !r.vat_relief)
        );
        assert_eq!(shadow_limits(day("2026-11-26")).versions, 3);
        assert_eq!(arucs("B"), Some("Account closed"));
        assert_eq!(arucs("Z"), None);
    }

    /// VAT Regulations 1995 reg 165A: six months, four years and six months,
    /// after the later of supply and due date.
    #[test]
    fn relief_runs_from_the_later_of_supply_and_due_date() {
        assert_eq!(
            vat_relief_window(day("2026-01-31"), day("2026-03-02")),
            Some((day("2026-09-02"), day("2030-09-02")))
        );
        assert_eq!(
            vat_relief_window(day("2026-08-31"), day("2026-08-01")),
            Some((day("2027-02-28"), day("2031-02-28"))),
            "the end of a shorter month"
        );
    }
}
