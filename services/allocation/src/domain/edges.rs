//! Who pays for whom: bank accounts that have paid debtors' documents before.
//!
//! Learned from people's allocations and from automatic ones that a reference
//! proved. An edge is only ever a suggestion's evidence, unless the name agrees.
//! A bank account that pays for many debtors (E15, E16) is a hub, and says
//! nothing about whose money it is; an edge that was not seen for long is
//! forgotten (E17).

use std::sync::LazyLock;

use chrono::NaiveDate;
use kernel::AccountId;

use super::{data, evidence::words};

/// A bank account has paid for a debtor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub account: AccountId,
    /// How often, counted once a week at most.
    pub evidence: i32,
    pub last_seen: NaiveDate,
}

/// What is to be remembered of one payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    pub bank: String,
    pub account: AccountId,
    /// Who says so.
    pub by: String,
    pub seen_on: NaiveDate,
}

/// A row of `data/payer-edges.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    valid_from: NaiveDate,
    expires_days: i64,
    hub_from: usize,
    /// Days in which evidence counts once.
    pub again_days: i32,
}

static TERMS: LazyLock<Vec<Terms>> = LazyLock::new(|| {
    let rows = data::rows(include_str!("../../data/payer-edges.csv"));
    rows.filter_map(|row| match row.as_slice() {
        [from, expires, hub, again] => Some(Terms {
            valid_from: from.parse().ok()?,
            expires_days: expires.parse().ok()?,
            hub_from: hub.parse().ok()?,
            again_days: again.parse().ok()?,
        }),
        _ => None,
    })
    .collect()
});

/// What holds on a day.
pub fn terms(on: NaiveDate) -> Option<Terms> {
    let rows = TERMS.iter().filter(|row| row.valid_from <= on);
    rows.max_by_key(|row| row.valid_from).copied()
}

/// Edges of one bank account that are looked at, at most: more than any that is
/// no hub has.
pub fn looked_at() -> i64 {
    let most = TERMS.iter().map(|row| row.hub_from).max();
    most.unwrap_or_default() as i64 + 1
}

/// Of the edges of one bank account those that are not forgotten.
pub fn live(edges: &[Edge], on: NaiveDate) -> Vec<Edge> {
    let Some(terms) = terms(on) else {
        return Vec::new();
    };
    let lives = |edge: &&Edge| (on - edge.last_seen).num_days() <= terms.expires_days;
    edges.iter().filter(lives).copied().collect()
}

/// Whether the bank account pays for too many to say who paid.
pub fn is_hub(live: &[Edge], on: NaiveDate) -> bool {
    terms(on).is_some_and(|terms| live.len() >= terms.hub_from)
}

/// What kind of payer for others has such a name.
pub fn kind_of(name: &str, on: NaiveDate) -> Option<&'static str> {
    static KINDS: LazyLock<Vec<(NaiveDate, &str, &str)>> = LazyLock::new(|| {
        let rows = data::rows(include_str!("../../data/hub-kinds.csv"));
        rows.filter_map(|row| match row.as_slice() {
            [from, kind, word] => Some((from.parse().ok()?, *kind, *word)),
            _ => None,
        })
        .collect()
    });
    let name = name.to_uppercase();
    words(&name).find_map(|said| {
        let mut rows = KINDS.iter();
        let row = rows.find(|(from, _, word)| *from <= on && *word == said);
        row.map(|(_, kind, _)| *kind)
    })
}

/// The kind whose names stand in the payer's place.
pub const PAYMENT_PROVIDER: &str = "payment_provider";

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(n: u128, last_seen: &str) -> Edge {
        Edge {
            account: AccountId::from(uuid::Uuid::from_u128(n)),
            evidence: 1,
            last_seen: last_seen.parse().unwrap(),
        }
    }

    /// E15, E17: many debtors make a hub, and what was not seen for long is
    /// forgotten.
    #[test]
    fn e15_e17_hubs_and_expiry() {
        let on: NaiveDate = "2026-11-20".parse().unwrap();
        let edges = [
            edge(1, "2026-11-01"),
            edge(2, "2026-10-01"),
            edge(3, "2026-09-01"),
        ];
        assert!(is_hub(&live(&edges, on), on));
        let old = [
            edge(1, "2026-11-01"),
            edge(2, "2024-10-01"),
            edge(3, "2024-09-01"),
        ];
        assert_eq!(live(&old, on), [edge(1, "2026-11-01")]);
        assert!(!is_hub(&live(&old, on), on));
    }

    #[test]
    fn e18_kinds_are_told_by_a_word() {
        let on: NaiveDate = "2026-11-20".parse().unwrap();
        assert_eq!(
            kind_of("Stripe Payments UK Ltd", on),
            Some(PAYMENT_PROVIDER)
        );
        assert_eq!(kind_of("ROWE TUCKER LLP CLIENT", on), Some("solicitor"));
        assert_eq!(kind_of("LAWSON & SONS", on), None);
    }
}
