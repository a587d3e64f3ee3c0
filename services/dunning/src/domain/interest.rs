//! Interest and compensation for late payment: the Late Payment of Commercial
//! Debts (Interest) Act 1998, and interest by contract.
//!
//! Simple interest on what is owed with its VAT, from the day after the due day
//! to the day of payment, in segments between part payments; never interest on
//! interest (E69). The statutory rate is fixed by the half-year in which the
//! debt becomes late. Sources differ about debts that are late across a
//! half-year's end (E71), so that is a choice of the policy, and the working
//! says which was taken. Compensation is once for each invoice, by the size of
//! the debt on the day it became late, whatever was paid since (E72). A consumer
//! owes neither (E70).

use std::sync::LazyLock;

use chrono::{Datelike as _, Days, NaiveDate};
use kernel::{Classified, Currency, ErrorClass, Money, MoneyError, Rounding};
use rust_decimal::Decimal;

use super::data;

/// What kind of debtor the law sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Debtor {
    /// A company, a partnership, a sole trader who bought for the business.
    Business,
    PublicBody,
    /// Outside the Act.
    Consumer,
}

/// Which reference rate holds when a debt is late across a half-year's end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Across {
    /// The rate of the half-year in which interest began to run, to the end:
    /// SI 2002/1675 art. 4.
    #[default]
    Fixed,
    /// Each half-year's own, as some solicitors read it.
    Split,
}

/// Where the rate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    Statutory(Across),
    /// A contract's own remedy, in percent a year: it takes the Act's place,
    /// compensation included, if it is substantial (section 8).
    Contract(Decimal),
}

/// A debt that is or was late.
#[derive(Debug, Clone)]
pub struct Debt {
    /// With VAT, as it was when it became late. Positive.
    pub principal: Money,
    pub due_on: NaiveDate,
    pub debtor: Debtor,
    pub terms: Terms,
    /// What lowered it, and from which day: payments, credits. In any order.
    pub lowered: Vec<(NaiveDate, Money)>,
    /// Days from which and before which nothing accrues: a moratorium, an
    /// insolvency (E69). May overlap.
    pub frozen: Vec<(NaiveDate, NaiveDate)>,
}

/// A stretch of days with one balance and one rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first and the last day that count.
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub days: i64,
    pub balance: Money,
    /// Percent a year.
    pub rate: Decimal,
    /// Not rounded: only the sum is.
    pub interest: Decimal,
}

/// How a claim was worked out, for whoever has to defend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    pub segments: Vec<Segment>,
    /// Rounded once, half up.
    pub interest: Money,
    pub compensation: Option<Money>,
}

#[derive(Debug, thiserror::Error)]
pub enum InterestError {
    #[error("there is no reference rate for the half-year of {0} yet")]
    NoRate(NaiveDate),
    #[error("the fixed sums of the Act are in pounds, the debt is in {0}")]
    NotPounds(Currency),
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl Classified for InterestError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoRate(_) => "dunning.no_reference_rate",
            Self::NotPounds(_) => "dunning.compensation_in_pounds_only",
            Self::Money(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoRate(_) | Self::NotPounds(_) => ErrorClass::Permanent,
            Self::Money(error) => error.class(),
        }
    }
}

struct Statutory {
    valid_from: NaiveDate,
    points: Decimal,
    days_of_year: Decimal,
}

struct FixedSum {
    valid_from: NaiveDate,
    debt_from: Decimal,
    sum: Decimal,
}

static REFERENCE: LazyLock<Vec<(NaiveDate, Decimal)>> = LazyLock::new(|| {
    data::rows(include_str!("../../data/reference-rates.csv"))
        .filter_map(|row| match row.as_slice() {
            [from, percent] => Some((from.parse().ok()?, percent.parse().ok()?)),
            _ => None,
        })
        .collect()
});

static STATUTORY: LazyLock<Vec<Statutory>> = LazyLock::new(|| {
    data::rows(include_str!("../../data/statutory-interest.csv"))
        .filter_map(|row| match row.as_slice() {
            [from, points, days] => Some(Statutory {
                valid_from: from.parse().ok()?,
                points: points.parse().ok()?,
                days_of_year: days.parse().ok()?,
            }),
            _ => None,
        })
        .collect()
});

static FIXED_SUMS: LazyLock<Vec<FixedSum>> = LazyLock::new(|| {
    data::rows(include_str!("../../data/compensation.csv"))
        .filter_map(|row| match row.as_slice() {
            [from, debt_from, sum] => Some(FixedSum {
                valid_from: from.parse().ok()?,
                debt_from: debt_from.parse().ok()?,
                sum: sum.parse().ok()?,
            }),
            _ => None,
        })
        .collect()
});

/// The first day of the half-year of a day.
fn half_year(day: NaiveDate) -> NaiveDate {
    let month = if day.month() < 7 { 1 } else { 7 };
    NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
}

fn next_half_year(day: NaiveDate) -> NaiveDate {
    let (year, month) = if day.month() < 7 {
        (day.year(), 7)
    } else {
        (day.year() + 1, 1)
    };
    NaiveDate::from_ymd_opt(year, month, 1).unwrap_or(NaiveDate::MAX)
}

fn next(day: NaiveDate) -> NaiveDate {
    day.checked_add_days(Days::new(1)).unwrap_or(day)
}

fn statutory(day: NaiveDate) -> Result<&'static Statutory, InterestError> {
    let rows = STATUTORY.iter().filter(|row| row.valid_from <= day);
    rows.max_by_key(|row| row.valid_from)
        .ok_or(InterestError::NoRate(day))
}

/// The statutory rate of a debt whose interest begins to run on `day`, in
/// percent a year.
///
/// # Errors
/// When the half-year's reference rate is not known.
pub fn statutory_rate(day: NaiveDate) -> Result<Decimal, InterestError> {
    let begins = half_year(day);
    let (_, reference) = REFERENCE
        .iter()
        .find(|(from, _)| *from == begins)
        .ok_or(InterestError::NoRate(day))?;
    Ok(*reference + statutory(day)?.points)
}

/// The fixed sum for a debt of `principal` that became late on `late_from`.
///
/// # Errors
/// When the debt is not in pounds.
pub fn compensation(principal: Money, late_from: NaiveDate) -> Result<Money, InterestError> {
    if principal.currency() != Currency::GBP {
        return Err(InterestError::NotPounds(principal.currency()));
    }
    let known = FIXED_SUMS
        .iter()
        .filter(|row| row.valid_from <= late_from && row.debt_from <= principal.amount());
    let sum = known.max_by_key(|row| (row.valid_from, row.debt_from));
    Ok(Money::rounded(
        sum.map_or(Decimal::ZERO, |row| row.sum),
        Currency::GBP,
        Rounding::HalfUp,
    )?)
}

/// Works out what a late debt has come to by the end of `until`.
///
/// # Errors
/// When a rate is not known, or amounts do not go together.
pub fn work_out(debt: &Debt, until: NaiveDate) -> Result<Working, InterestError> {
    let currency = debt.principal.currency();
    let late_from = next(debt.due_on);
    let nothing = Working {
        segments: Vec::new(),
        interest: Money::zero(currency),
        compensation: None,
    };
    if debt.debtor == Debtor::Consumer || until < late_from || !debt.principal.is_positive() {
        return Ok(nothing);
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut exact = Decimal::ZERO;
    let mut from = late_from;
    while from <= until {
        let end = segment_end(debt, from, until);
        let balance = balance_on(debt, from)?;
        let frozen = debt.frozen.iter().any(|(a, b)| *a <= from && from < *b);
        if balance.is_positive() && !frozen {
            let begins = match debt.terms {
                Terms::Statutory(Across::Split) => from,
                _ => late_from,
            };
            let rate = match debt.terms {
                Terms::Statutory(_) => statutory_rate(begins)?,
                Terms::Contract(rate) => rate,
            };
            let days = (end - from).num_days() + 1;
            let year = statutory(late_from)?.days_of_year * Decimal::ONE_HUNDRED;
            let interest = balance.amount() * rate * Decimal::from(days) / year;
            exact += interest;
            segments.push(Segment {
                from,
                to: end,
                days,
                balance,
                rate,
                interest,
            });
        }
        from = next(end);
    }
    let compensation = match debt.terms {
        Terms::Statutory(_) if !segments.is_empty() => {
            Some(compensation(debt.principal, late_from)?)
        }
        _ => None,
    };
    Ok(Working {
        segments,
        interest: Money::rounded(exact, currency, Rounding::HalfUp)?,
        compensation,
    })
}

/// The last day on which nothing is different from `from`. The day of a payment
/// still counts with what was owed before it.
fn segment_end(debt: &Debt, from: NaiveDate, until: NaiveDate) -> NaiveDate {
    let last_before = |day: NaiveDate| day.checked_sub_days(Days::new(1)).unwrap_or(day);
    let mut end = until;
    for (day, _) in &debt.lowered {
        if *day >= from {
            end = end.min(*day);
        }
    }
    for (a, b) in &debt.frozen {
        for edge in [*a, *b] {
            if edge > from {
                end = end.min(last_before(edge));
            }
        }
    }
    if matches!(debt.terms, Terms::Statutory(Across::Split)) {
        end = end.min(last_before(next_half_year(from)));
    }
    end
}

/// What is owed on a day, payments of that very day not counted.
fn balance_on(debt: &Debt, day: NaiveDate) -> Result<Money, MoneyError> {
    let before = debt.lowered.iter().filter(|(on, _)| *on < day);
    before
        .map(|(_, amount)| *amount)
        .try_fold(debt.principal, Money::checked_sub)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn debt(principal: &str, due_on: &str) -> Debt {
        Debt {
            principal: gbp(principal),
            due_on: day(due_on),
            debtor: Debtor::Business,
            terms: Terms::Statutory(Across::Fixed),
            lowered: Vec::new(),
            frozen: Vec::new(),
        }
    }

    #[test]
    fn every_row_of_the_tables_is_read_and_no_half_year_is_missing() {
        let lines = |text: &'static str| data::rows(text).count();
        assert_eq!(
            REFERENCE.len(),
            lines(include_str!("../../data/reference-rates.csv"))
        );
        assert_eq!(
            STATUTORY.len(),
            lines(include_str!("../../data/statutory-interest.csv"))
        );
        assert_eq!(
            FIXED_SUMS.len(),
            lines(include_str!("../../data/compensation.csv"))
        );
        for pair in REFERENCE.windows(2) {
            assert_eq!(next_half_year(pair[0].0), pair[1].0);
        }
    }

    #[test]
    fn ten_thousand_pounds_two_months_late() {
        let worked = work_out(&debt("10000.00", "2026-07-31"), day("2026-09-30")).unwrap();
        let [segment] = worked.segments.as_slice() else {
            panic!("one segment: {worked:?}");
        };
        assert_eq!((segment.days, segment.rate), (61, Decimal::new(1175, 2)));
        assert_eq!(worked.interest, gbp("196.37"));
        assert_eq!(worked.compensation, Some(gbp("100.00")));
    }

    #[test]
    fn the_rate_stays_that_of_the_half_year_in_which_it_began_unless_the_policy_splits_e71() {
        let mut late = debt("1000.00", "2022-11-30");
        let fixed = work_out(&late, day("2023-01-31")).unwrap();
        assert_eq!(fixed.segments.len(), 1);
        assert_eq!(fixed.segments[0].rate, Decimal::new(925, 2));
        late.terms = Terms::Statutory(Across::Split);
        let split = work_out(&late, day("2023-01-31")).unwrap();
        let rates: Vec<(i64, Decimal)> = split.segments.iter().map(|s| (s.days, s.rate)).collect();
        assert_eq!(
            rates,
            [(31, Decimal::new(925, 2)), (31, Decimal::new(115, 1))]
        );
        assert!(split.interest.amount() > fixed.interest.amount());
    }

    #[test]
    fn part_payments_make_segments_and_nothing_bears_interest_on_interest_e69() {
        let mut late = debt("1000.00", "2026-01-31");
        late.lowered = vec![
            (day("2026-02-10"), gbp("400.00")),
            (day("2026-02-20"), gbp("600.00")),
        ];
        let worked = work_out(&late, day("2026-12-31")).unwrap();
        let told: Vec<(i64, String)> = worked
            .segments
            .iter()
            .map(|s| (s.days, s.balance.display_uk()))
            .collect();
        assert_eq!(
            told,
            [(10, "£1,000.00".to_owned()), (10, "£600.00".to_owned())]
        );
        // 1,000 x 11.75 % x 10 / 365 + 600 x 11.75 % x 10 / 365
        assert_eq!(worked.interest, gbp("5.15"));
    }

    #[test]
    fn a_leap_day_is_a_day_like_any_other_e69() {
        let worked = work_out(&debt("36500.00", "2024-02-27"), day("2024-03-01")).unwrap();
        assert_eq!(worked.segments[0].days, 3);
        assert_eq!(worked.interest, gbp("39.75"));
    }

    #[test]
    fn nothing_accrues_in_a_moratorium_e69() {
        let mut late = debt("1000.00", "2026-01-31");
        late.frozen = vec![
            (day("2026-02-06"), day("2026-02-16")),
            (day("2026-02-10"), day("2026-02-21")),
        ];
        let worked = work_out(&late, day("2026-02-28")).unwrap();
        let days: i64 = worked.segments.iter().map(|s| s.days).sum();
        assert_eq!(days, 5 + 8);
        assert!(
            worked
                .segments
                .iter()
                .all(|s| s.to < day("2026-02-06") || s.from >= day("2026-02-21"))
        );
    }

    #[test]
    fn the_fixed_sum_is_that_of_the_debt_when_it_became_late_e72() {
        for (size, sum) in [
            ("999.99", "40.00"),
            ("1000.00", "70.00"),
            ("9999.99", "70.00"),
            ("10000.00", "100.00"),
        ] {
            let mut late = debt(size, "2026-01-31");
            late.lowered = vec![(day("2026-02-05"), gbp("999.00"))];
            let worked = work_out(&late, day("2026-03-31")).unwrap();
            assert_eq!(worked.compensation, Some(gbp(sum)), "{size}");
        }
        // Paid on the due day: never late.
        let mut paid = debt("500.00", "2026-01-31");
        paid.lowered = vec![(day("2026-01-31"), gbp("500.00"))];
        let worked = work_out(&paid, day("2026-03-31")).unwrap();
        assert_eq!((worked.segments.len(), worked.compensation), (0, None));
    }

    #[test]
    fn a_consumer_owes_neither_e70() {
        let mut late = debt("1000.00", "2026-01-31");
        late.debtor = Debtor::Consumer;
        let worked = work_out(&late, day("2026-12-31")).unwrap();
        assert_eq!((worked.interest, worked.compensation), (gbp("0.00"), None));
    }

    #[test]
    fn a_contracts_own_remedy_takes_the_acts_place() {
        let mut late = debt("1000.00", "2026-01-31");
        late.terms = Terms::Contract(Decimal::from(4));
        let worked = work_out(&late, day("2026-03-02")).unwrap();
        assert_eq!(worked.interest, gbp("3.29"));
        assert_eq!(worked.compensation, None);
    }

    #[test]
    fn a_half_year_without_a_rate_is_refused_by_name() {
        let error = work_out(&debt("1.00", "2031-01-31"), day("2031-03-02")).unwrap_err();
        assert_eq!(error.code(), "dunning.no_reference_rate");
    }

    prop_compose! {
        fn late_debts()(
            pence in 1_i64..2_000_000,
            due in 0_u64..2_000,
            late in 0_u64..700,
            lowered in prop::collection::vec((0_u64..700, 1_i64..500_000), 0..5),
            frozen in prop::collection::vec((0_u64..700, 0_u64..120), 0..3),
            split in any::<bool>(),
        ) -> (Debt, NaiveDate) {
            let due_on = day("2017-01-05") + Days::new(due);
            let mut left = pence;
            let mut parts = Vec::new();
            for (after, part) in lowered {
                let part = part.min(left);
                left -= part;
                parts.push((due_on + Days::new(after), Money::try_new(Decimal::new(part, 2), Currency::GBP).unwrap()));
            }
            let across = if split { Across::Split } else { Across::Fixed };
            let debt = Debt {
                principal: Money::try_new(Decimal::new(pence, 2), Currency::GBP).unwrap(),
                due_on,
                debtor: Debtor::PublicBody,
                terms: Terms::Statutory(across),
                lowered: parts,
                frozen: frozen
                    .into_iter()
                    .map(|(from, days)| {
                        let from = due_on + Days::new(from);
                        (from, from + Days::new(days))
                    })
                    .collect(),
            };
            (debt, due_on + Days::new(late))
        }
    }

    proptest! {
        /// Against counting day by day.
        #[test]
        fn segments_come_to_the_same_as_days((debt, until) in late_debts()) {
            let worked = work_out(&debt, until).unwrap();
            let mut exact = Decimal::ZERO;
            let mut on = next(debt.due_on);
            while on <= until {
                let frozen = debt.frozen.iter().any(|(a, b)| *a <= on && on < *b);
                let rate = match debt.terms {
                    Terms::Statutory(Across::Split) => statutory_rate(on).unwrap(),
                    _ => statutory_rate(next(debt.due_on)).unwrap(),
                };
                if !frozen {
                    exact += balance_on(&debt, on).unwrap().amount() * rate / Decimal::from(36_500);
                }
                on = next(on);
            }
            let told = worked.interest.amount();
            prop_assert!((told - exact).abs() <= Decimal::new(501, 5), "{told} {exact}");
            prop_assert!(!worked.interest.is_negative());
            for pair in worked.segments.windows(2) {
                prop_assert!(pair[0].to < pair[1].from);
            }
        }
    }
}
