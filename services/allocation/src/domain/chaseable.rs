//! The chaseable amount: what of each debt may be chased now. Open, less what is
//! disputed, promised, on a plan or in a Direct Debit run, less cash that is
//! likely the debtor's and credit that was not used. Every term says what told
//! of it; nothing is ever below nothing or above what is open.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::allocation::{ChaseTerm, ChaseableItem, ChaseableTotal, TermKind};
use kernel::{Currency, DocumentId, EventId, Money, MoneyError, ReceiptId};
use uuid::Uuid;

use super::ledger::Line;

/// A document that is owed.
#[derive(Debug, Clone)]
pub struct Debt {
    pub document: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    /// Positive.
    pub open: Money,
}

/// What another service says of a part of a debt.
#[derive(Debug, Clone)]
pub struct Claim {
    pub document: DocumentId,
    pub kind: TermKind,
    /// Positive.
    pub amount: Money,
    pub subject: Uuid,
    pub event: EventId,
}

/// Unallocated cash.
#[derive(Debug, Clone)]
pub struct Cash {
    pub receipt: ReceiptId,
    /// Positive.
    pub left: Money,
    /// It is known to be this account's: what its suggestion does not name
    /// counts against the oldest debts.
    pub of_account: bool,
    /// What the best suggestion says that it pays.
    pub named: Vec<Line>,
    pub events: Vec<EventId>,
}

/// A credit note that is not used up.
#[derive(Debug, Clone)]
pub struct Credit {
    pub document: DocumentId,
    /// Positive.
    pub left: Money,
    pub events: Vec<EventId>,
}

/// Everything that is known of one account.
#[derive(Debug, Clone, Default)]
pub struct Position {
    pub debts: Vec<Debt>,
    pub claims: Vec<Claim>,
    pub cash: Vec<Cash>,
    pub credits: Vec<Credit>,
}

/// Works out every debt of an account, the oldest first.
///
/// # Errors
/// When amounts overflow.
pub fn chaseable(mut position: Position) -> Result<Vec<ChaseableItem>, MoneyError> {
    position
        .debts
        .sort_by_key(|debt| (debt.due_on, debt.document));
    let mut items: Vec<ChaseableItem> = position
        .debts
        .into_iter()
        .map(|debt| ChaseableItem {
            document_id: debt.document,
            document_ref: debt.document_ref,
            due_on: debt.due_on,
            open: debt.open,
            chaseable: debt.open,
            terms: Vec::new(),
        })
        .collect();
    // What others say first, so that cash and credit go where something is left.
    position
        .claims
        .sort_by_key(|claim| (claim.kind, claim.subject));
    for claim in &position.claims {
        for item in items.iter_mut().filter(|i| i.document_id == claim.document) {
            let mut left = claim.amount;
            take(item, &mut left, claim.kind, claim.subject, &[claim.event])?;
        }
    }
    for cash in &position.cash {
        let subject = cash.receipt.as_uuid();
        let mut left = cash.left;
        for line in &cash.named {
            let mut named = smaller(line.amount, left)?;
            let before = named;
            for item in items.iter_mut().filter(|i| i.document_id == line.document) {
                take(
                    item,
                    &mut named,
                    TermKind::LikelyTheirs,
                    subject,
                    &cash.events,
                )?;
            }
            left = left.checked_sub(before.checked_sub(named)?)?;
        }
        if cash.of_account {
            for item in &mut items {
                take(
                    item,
                    &mut left,
                    TermKind::LikelyTheirs,
                    subject,
                    &cash.events,
                )?;
            }
        }
    }
    for credit in &position.credits {
        let mut left = credit.left;
        for item in &mut items {
            let subject = credit.document.as_uuid();
            take(
                item,
                &mut left,
                TermKind::UnappliedCredit,
                subject,
                &credit.events,
            )?;
        }
    }
    Ok(items)
}

/// The sums of each currency.
///
/// # Errors
/// When amounts overflow.
pub fn totals(items: &[ChaseableItem]) -> Result<Vec<ChaseableTotal>, MoneyError> {
    let mut totals: BTreeMap<Currency, ChaseableTotal> = BTreeMap::new();
    for item in items {
        let zero = Money::zero(item.open.currency());
        let total = totals
            .entry(item.open.currency())
            .or_insert(ChaseableTotal {
                open: zero,
                chaseable: zero,
            });
        total.open = total.open.checked_add(item.open)?;
        total.chaseable = total.chaseable.checked_add(item.chaseable)?;
    }
    Ok(totals.into_values().collect())
}

fn smaller(a: Money, b: Money) -> Result<Money, MoneyError> {
    Ok(if a.checked_cmp(b)?.is_gt() { b } else { a })
}

/// Takes as much of `left` off `item` as both allow.
fn take(
    item: &mut ChaseableItem,
    left: &mut Money,
    kind: TermKind,
    subject: Uuid,
    events: &[EventId],
) -> Result<(), MoneyError> {
    if left.currency() != item.chaseable.currency() || !left.is_positive() {
        return Ok(());
    }
    let amount = smaller(*left, item.chaseable)?;
    if !amount.is_positive() {
        return Ok(());
    }
    *left = left.checked_sub(amount)?;
    item.chaseable = item.chaseable.checked_sub(amount)?;
    // One receipt may reach an item by its suggestion and again by its age.
    let known = item
        .terms
        .iter_mut()
        .find(|term| term.kind == kind && term.subject == subject);
    match known {
        Some(term) => term.amount = term.amount.checked_add(amount)?,
        None => item.terms.push(ChaseTerm {
            kind,
            amount,
            subject,
            events: events.to_vec(),
        }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn pence(n: i64) -> Money {
        Money::try_new(Decimal::new(n, 2), Currency::GBP).unwrap()
    }

    fn id(n: u128) -> DocumentId {
        DocumentId::from(Uuid::from_u128(n))
    }

    fn debt(n: u128, open: i64, day: u32) -> Debt {
        Debt {
            document: id(n),
            document_ref: format!("INV-{n}"),
            due_on: NaiveDate::from_ymd_opt(2026, 1, day).unwrap(),
            open: pence(open),
        }
    }

    fn cash(left: i64, of_account: bool, named: &[(u128, i64)]) -> Cash {
        Cash {
            receipt: ReceiptId::from(Uuid::from_u128(900)),
            left: pence(left),
            of_account,
            named: named
                .iter()
                .map(|(n, amount)| Line {
                    document: id(*n),
                    amount: pence(*amount),
                })
                .collect(),
            events: vec![EventId::from(Uuid::from_u128(901))],
        }
    }

    fn figures(position: Position) -> Vec<Money> {
        let items = chaseable(position).unwrap();
        items.iter().map(|item| item.chaseable).collect()
    }

    #[test]
    fn cash_of_the_account_counts_against_the_oldest_debts_and_a_suggestion_where_it_points() {
        let debts = || vec![debt(2, 100, 20), debt(1, 80, 10)];
        let with = |cash| Position {
            debts: debts(),
            cash: vec![cash],
            ..Position::default()
        };
        // The oldest is INV-1.
        assert_eq!(figures(with(cash(90, true, &[]))), [pence(0), pence(90)]);
        assert_eq!(
            figures(with(cash(90, false, &[(2, 60)]))),
            [pence(80), pence(40)]
        );
        assert_eq!(
            figures(with(cash(90, true, &[(2, 60)]))),
            [pence(50), pence(40)]
        );
    }

    #[test]
    fn what_is_disputed_is_not_covered_by_cash_as_well() {
        let items = chaseable(Position {
            debts: vec![debt(1, 100, 1)],
            claims: vec![Claim {
                document: id(1),
                kind: TermKind::Disputed,
                amount: pence(40),
                subject: Uuid::from_u128(7),
                event: EventId::from(Uuid::from_u128(8)),
            }],
            cash: vec![cash(100, true, &[])],
            ..Position::default()
        })
        .unwrap();
        let terms: Vec<_> = items[0].terms.iter().map(|t| (t.kind, t.amount)).collect();
        assert_eq!(
            terms,
            [
                (TermKind::Disputed, pence(40)),
                (TermKind::LikelyTheirs, pence(60))
            ]
        );
        assert_eq!(
            items[0].terms[0].events,
            [EventId::from(Uuid::from_u128(8))]
        );
        assert_eq!(items[0].chaseable, pence(0));
    }

    proptest! {
        /// Never below nothing, never above what is open, every penny that is
        /// not chased has a term, and no cash counts twice.
        #[test]
        fn every_figure_is_open_less_its_terms(
            opens in prop::collection::vec(1_i64..10_000, 0..6),
            claims in prop::collection::vec((0_u128..6, 1_i64..20_000, 0_usize..4), 0..6),
            receipts in prop::collection::vec(
                (1_i64..20_000, any::<bool>(), prop::collection::vec((0_u128..6, 1_i64..9_000), 0..3)), 0..4),
            credits in prop::collection::vec(1_i64..9_000, 0..3),
        ) {
            const KINDS: [TermKind; 4] =
                [TermKind::Disputed, TermKind::Promised, TermKind::OnPlan, TermKind::InDirectDebit];
            let position = Position {
                debts: (0..).zip(&opens).map(|(n, open)| debt(n, *open, 1 + n as u32)).collect(),
                claims: (0..).zip(&claims).map(|(n, (document, amount, kind))| Claim {
                    document: id(*document),
                    kind: KINDS[*kind],
                    amount: pence(*amount),
                    subject: Uuid::from_u128(500 + n),
                    event: EventId::from(Uuid::from_u128(600 + n)),
                }).collect(),
                cash: (0..).zip(&receipts).map(|(n, (left, of_account, named))| Cash {
                    receipt: ReceiptId::from(Uuid::from_u128(700 + n)),
                    ..cash(*left, *of_account, named)
                }).collect(),
                credits: (0..).zip(&credits).map(|(n, left)| Credit {
                    document: id(800 + n),
                    left: pence(*left),
                    events: Vec::new(),
                }).collect(),
            };
            let items = chaseable(position.clone()).unwrap();
            prop_assert_eq!(items.len(), opens.len());
            for item in &items {
                prop_assert!(!item.chaseable.is_negative());
                let terms = Money::sum(item.terms.iter().map(|t| t.amount), Currency::GBP).unwrap();
                prop_assert_eq!(item.chaseable.checked_add(terms).unwrap(), item.open);
            }
            let used = |subject: Uuid| {
                let of = items.iter().flat_map(|i| &i.terms).filter(|t| t.subject == subject);
                Money::sum(of.map(|t| t.amount), Currency::GBP).unwrap()
            };
            for cash in &position.cash {
                prop_assert!(!used(cash.receipt.as_uuid()).checked_cmp(cash.left).unwrap().is_gt());
            }
            for credit in &position.credits {
                prop_assert!(!used(credit.document.as_uuid()).checked_cmp(credit.left).unwrap().is_gt());
            }
        }
    }
}
