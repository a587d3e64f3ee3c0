//! Bands of age, and how old a document is.
//!
//! Two bases, both usual on British sales ledgers: from the due date for
//! chasing, from the document's date for lenders and provisions. A credit note
//! ages by its own date like every document, so that the bands add up to the
//! control account; cash that pays nothing yet stands in a column of its own.

use chrono::NaiveDate;
use contracts::api::reporting::{AgeingBasis, Bucket};

/// A band of days. `last` is absent for the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Band {
    pub(crate) title: &'static str,
    pub(crate) first: Option<i32>,
    pub(crate) last: Option<i32>,
}

const fn band(title: &'static str, first: Option<i32>, last: Option<i32>) -> Band {
    Band { title, first, last }
}

/// The most bands of any basis: the report's statement has a column for each.
pub(crate) const BANDS_MAX: usize = 6;

/// Days past due. Thirty-day steps as Sage 50's aged debtors by days and the
/// usual factoring debtor file have them; 120 days is where most funders stop
/// lending against a debt.
const BY_DUE_DATE: [Band; 6] = [
    band("Not due", None, Some(0)),
    band("1–30", Some(1), Some(30)),
    band("31–60", Some(31), Some(60)),
    band("61–90", Some(61), Some(90)),
    band("91–120", Some(91), Some(120)),
    band("120+", Some(121), None),
];

/// Days since the document's date, as lenders and older ledgers count.
const BY_DOCUMENT_DATE: [Band; 4] = [
    band("0–30", None, Some(30)),
    band("31–60", Some(31), Some(60)),
    band("61–90", Some(61), Some(90)),
    band("90+", Some(91), None),
];

/// The bands of a basis, youngest first.
pub(crate) const fn bands(basis: AgeingBasis) -> &'static [Band] {
    match basis {
        AgeingBasis::Due => &BY_DUE_DATE,
        AgeingBasis::Document => &BY_DOCUMENT_DATE,
    }
}

/// The bands as the report shows them.
pub(crate) fn buckets(basis: AgeingBasis) -> Vec<Bucket> {
    bands(basis)
        .iter()
        .map(|band| Bucket {
            title: band.title.to_owned(),
            from_days: band.first,
            to_days: band.last,
        })
        .collect()
}

/// The first day of every band but the youngest: what Postgres'
/// `width_bucket` takes.
pub(crate) fn thresholds(basis: AgeingBasis) -> Vec<i32> {
    bands(basis).iter().filter_map(|band| band.first).collect()
}

/// Days by which a document is past due (negative: not due yet), or old.
pub(crate) fn age_days(
    basis: AgeingBasis,
    as_of: NaiveDate,
    issued_on: NaiveDate,
    due_on: NaiveDate,
) -> i64 {
    let from = match basis {
        AgeingBasis::Due => due_on,
        AgeingBasis::Document => issued_on,
    };
    (as_of - from).num_days()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASES: [AgeingBasis; 2] = [AgeingBasis::Due, AgeingBasis::Document];

    fn holds(band: Band, days: i64) -> bool {
        band.first.is_none_or(|first| days >= i64::from(first))
            && band.last.is_none_or(|last| days <= i64::from(last))
    }

    #[test]
    fn the_report_has_a_column_for_every_band() {
        for basis in BASES {
            assert!(bands(basis).len() <= BANDS_MAX);
            assert_eq!(thresholds(basis).len() + 1, bands(basis).len());
        }
    }

    #[test]
    fn due_today_is_not_due_and_tomorrow_is_overdue() {
        let due = NaiveDate::from_ymd_opt(2026, 3, 31).unwrap();
        let age = |day: NaiveDate| age_days(AgeingBasis::Due, day, due, due);
        assert!(holds(BY_DUE_DATE[0], age(due)));
        assert!(holds(BY_DUE_DATE[1], age(due.succ_opt().unwrap())));
        assert!(holds(BY_DUE_DATE[5], age(due + chrono::Days::new(121))));
        assert!(holds(BY_DUE_DATE[4], age(due + chrono::Days::new(120))));
    }

    proptest! {
        /// No gap and no overlap, or money would be lost or counted twice.
        #[test]
        fn every_age_is_in_exactly_one_band(days in -100_000_i64..100_000) {
            for basis in BASES {
                let hits = bands(basis).iter().filter(|band| holds(**band, days)).count();
                prop_assert_eq!(hits, 1);
            }
        }

        /// The statement counts thresholds at or below the age; so must the
        /// bands.
        #[test]
        fn the_thresholds_say_the_same_as_the_bands(days in -1_000_i64..1_000) {
            for basis in BASES {
                let by_threshold = thresholds(basis).iter().filter(|t| i64::from(**t) <= days).count();
                let by_band = bands(basis).iter().position(|band| holds(*band, days));
                prop_assert_eq!(Some(by_threshold), by_band);
            }
        }
    }
}
