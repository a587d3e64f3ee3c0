//! The statements of one account in a row: whether each follows the one before.
//!
//! Files come in any order, and one may come late: the whole row is judged again
//! then, which is cheap even after years of daily statements.

use chrono::NaiveDate;
use kernel::{BankAccount, Money, StatementId};

use super::{
    file::told,
    line::Statement,
    proof::{self, Previous},
};

/// What of a recorded statement counts for its place in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub statement_id: StatementId,
    pub sequence: Option<i64>,
    /// From 1; the pages of a statement share its sequence.
    pub page: i32,
    pub first_day: Option<NaiveDate>,
    pub closes_on: Option<NaiveDate>,
    pub opening: Option<Money>,
    pub closing: Option<Money>,
    /// As judged so far.
    pub continues: Option<bool>,
    pub gaps: Vec<String>,
}

/// Judges a row of statements, the oldest first, and gives back those that are
/// judged differently now.
pub fn judge(links: Vec<Link>) -> Vec<Link> {
    let mut previous: Option<Previous> = None;
    let mut changed = Vec::new();
    for mut link in links {
        let statement = shell(&link);
        let judged = proof::continuity(previous.as_ref(), &statement);
        previous = Some(Previous {
            sequence: sequence(&link),
            ..Previous::of(&statement)
        });
        let gaps: Vec<String> = judged.problems.iter().map(told).collect();
        if (judged.continues, &gaps) != (link.continues, &link.gaps) {
            link.continues = judged.continues;
            link.gaps = gaps;
            changed.push(link);
        }
    }
    changed
}

fn sequence(link: &Link) -> Option<u64> {
    link.sequence.and_then(|n| u64::try_from(n).ok())
}

/// The statement without what continuity does not look at.
fn shell(link: &Link) -> Statement {
    Statement {
        account: BankAccount::Other(String::new()),
        account_printed: String::new(),
        owner: None,
        servicer: None,
        message_id: None,
        id: String::new(),
        // A later page repeats the number of the first, which is no fault.
        sequence: sequence(link).filter(|_| link.page <= 1),
        legal_sequence: None,
        page: None,
        copy_or_duplicate: None,
        created_on: None,
        from: link.first_day,
        to: None,
        currency: None,
        balances: Vec::new(),
        opening: link.opening,
        closing: link.closing,
        opens_on: None,
        closes_on: link.closes_on,
        ties: None,
        lines: Vec::new(),
        problems: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use kernel::Currency;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn link(day: u32, opening: i64, closing: i64) -> Link {
        let money = |pounds: i64| Money::parse(&pounds.to_string(), Currency::GBP).unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 3, day).unwrap();
        Link {
            statement_id: StatementId::from(Uuid::from_u128(u128::from(day))),
            sequence: Some(i64::from(day)),
            page: 1,
            first_day: Some(date),
            closes_on: Some(date),
            opening: Some(money(opening)),
            closing: Some(money(closing)),
            continues: None,
            gaps: Vec::new(),
        }
    }

    fn apply(links: &mut [Link]) -> usize {
        let changed = judge(links.to_vec());
        for new in &changed {
            let old = links
                .iter_mut()
                .find(|l| l.statement_id == new.statement_id);
            *old.unwrap() = new.clone();
        }
        changed.len()
    }

    #[test]
    fn a_gap_is_flagged_and_closes_when_the_missing_statement_comes() {
        let mut links = vec![link(1, 0, 10), link(2, 10, 20), link(4, 50, 60)];
        apply(&mut links);
        let judged: Vec<_> = links.iter().map(|l| l.continues).collect();
        assert_eq!(judged, [None, Some(true), Some(false)]);
        assert!(
            links[2]
                .gaps
                .iter()
                .any(|gap| gap.starts_with("opening_differs: "))
        );
        assert!(
            links[2]
                .gaps
                .iter()
                .any(|gap| gap.starts_with("sequence_gap: "))
        );

        links.insert(2, link(3, 20, 50));
        assert_eq!(apply(&mut links), 2, "the late one and the one behind it");
        let judged: Vec<_> = links.iter().map(|l| l.continues).collect();
        assert_eq!(judged, [None, Some(true), Some(true), Some(true)]);
        assert!(links.iter().all(|l| l.gaps.is_empty()), "{links:?}");
        assert_eq!(apply(&mut links), 0, "judged again, nothing changes");
    }

    #[test]
    fn the_pages_of_a_statement_share_its_number() {
        let mut second = link(2, 15, 20);
        second.page = 2;
        let mut first = link(2, 10, 15);
        first.statement_id = StatementId::from(Uuid::from_u128(99));
        let mut links = vec![link(1, 0, 10), first, second, link(3, 20, 30)];
        apply(&mut links);
        assert!(links.iter().all(|l| l.gaps.is_empty()), "{links:?}");
        assert!(links[1..].iter().all(|l| l.continues == Some(true)));
    }

    proptest! {
        /// The order in which files come does not matter for what is shown in
        /// the end.
        #[test]
        fn any_order_of_arrival_ends_the_same(
            arrivals in Just((1..=12_u32).collect::<Vec<_>>()).prop_shuffle(),
            missing in prop::collection::btree_set(1..=12_u32, 0..4),
        ) {
            let of_day = |day: u32| link(day, i64::from(day) * 10, i64::from(day) * 10 + 10);
            let mut late: Vec<Link> = Vec::new();
            for day in arrivals.into_iter().filter(|day| !missing.contains(day)) {
                late.push(of_day(day));
                late.sort_by_key(|l| l.closes_on);
                apply(&mut late);
            }
            let mut at_once: Vec<Link> =
                (1..=12).filter(|day| !missing.contains(day)).map(of_day).collect();
            apply(&mut at_once);
            prop_assert_eq!(late, at_once);
        }
    }
}
