//! The conservation check: three services kept the same money apart, and here
//! it is held side by side. Numbers are those of "Money never gets lost" in
//! ARCHITECTURE.md.

use std::{collections::BTreeMap, fmt::Display};

use contracts::api::{ClientTotals, ControlTotals, CurrencyTotals, reporting::InvariantCheck};
use kernel::{Currency, Money};

/// What reporting's own facts add up to in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnTotals {
    pub(crate) receipts: i64,
    pub(crate) received: Money,
    /// Sum of all allocation lines.
    pub(crate) allocated: Money,
    /// Sum of all outflows.
    pub(crate) outflows: Money,
    /// As the latest step of each receipt states it: not computed from lines.
    pub(crate) unallocated: Money,
    pub(crate) documents: i64,
    pub(crate) billed: Money,
    /// Sum of all adjustments.
    pub(crate) adjusted: Money,
    /// What the aged debt adds up to over all documents.
    pub(crate) aged: Money,
}

impl OwnTotals {
    pub(crate) fn zero(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            receipts: 0,
            received: zero,
            allocated: zero,
            outflows: zero,
            unallocated: zero,
            documents: 0,
            billed: zero,
            adjusted: zero,
            aged: zero,
        }
    }
}

/// One reading of all three services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) own: BTreeMap<Currency, OwnTotals>,
    pub(crate) own_violations: Vec<String>,
    pub(crate) ingestion: ControlTotals,
    pub(crate) allocation: ControlTotals,
    /// Facts of allocation that reporting has not taken in yet.
    pub(crate) lag: u64,
}

impl Reading {
    /// Whether nothing is known to be on its way.
    pub(crate) fn at_rest(&self) -> bool {
        self.lag == 0 && self.ingestion.unpublished == 0 && self.allocation.unpublished == 0
    }
}

/// Every check of one reading.
pub(crate) fn checks(reading: &Reading) -> Vec<InvariantCheck> {
    let mut checks = Vec::new();
    let in_ingestion = by_currency(&reading.ingestion);
    let in_allocation = by_currency(&reading.allocation);
    let currencies: std::collections::BTreeSet<Currency> = reading
        .own
        .keys()
        .chain(in_ingestion.keys())
        .chain(in_allocation.keys())
        .copied()
        .collect();
    for currency in currencies {
        let own = reading
            .own
            .get(&currency)
            .copied()
            .unwrap_or(OwnTotals::zero(currency));
        let ingestion = in_ingestion
            .get(&currency)
            .map_or_else(|| nothing(currency), |t| (*t).clone());
        let allocation = in_allocation
            .get(&currency)
            .map_or_else(|| nothing(currency), |t| (*t).clone());
        let mut check = |invariant, what: &str, terms: &[(&str, &dyn Display)]| {
            let said: Vec<String> = terms.iter().map(|(_, term)| term.to_string()).collect();
            checks.push(InvariantCheck {
                invariant,
                what: format!("{currency}: {what}"),
                holds: said.windows(2).all(|pair| pair.first() == pair.last()),
                detail: terms
                    .iter()
                    .zip(&said)
                    .map(|((who, _), term)| format!("{who} {term}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        };

        check(
            1,
            "what was received is the same in every service",
            &[
                ("ingestion", &ingestion.received),
                ("allocation", &allocation.received),
                ("reporting", &own.received),
            ],
        );
        check(
            1,
            "what is allocated is the same in every service",
            &[
                ("allocation", &allocation.allocated),
                ("reporting", &own.allocated),
            ],
        );
        check(
            1,
            "what is unallocated is the same in every service",
            &[
                ("allocation", &allocation.unallocated),
                ("reporting", &own.unallocated),
            ],
        );
        check(
            1,
            "what left receipts is the same in every service",
            &[
                ("allocation", &allocation.outflows),
                ("reporting", &own.outflows),
            ],
        );
        let placed = own
            .allocated
            .checked_add(own.unallocated)
            .and_then(|placed| placed.checked_add(own.outflows))
            .ok();
        check(
            1,
            "every penny received is allocated, unallocated or has left",
            &[
                ("received", &own.received),
                ("allocated, unallocated and left", &in_words(placed)),
            ],
        );

        check(
            2,
            "what was billed is the same in every service",
            &[
                ("ingestion", &ingestion.billed),
                ("allocation", &allocation.billed),
                ("reporting", &own.billed),
            ],
        );
        check(
            2,
            "the aged debt equals the open items and the debtors control account",
            &[
                ("aged debt", &own.aged),
                ("open items", &allocation.open),
                ("control account", &allocation.debtors_control),
            ],
        );
        check(
            2,
            "what was settled without cash is the same in every service",
            &[
                ("allocation", &allocation.adjusted),
                ("reporting", &own.adjusted),
            ],
        );
        let left = own
            .billed
            .checked_sub(own.allocated)
            .and_then(|left| left.checked_sub(own.adjusted))
            .ok();
        check(
            2,
            "what was billed less what was allocated or adjusted is what is open",
            &[
                ("aged debt", &own.aged),
                ("billed less allocated and adjusted", &in_words(left)),
            ],
        );
        check(
            2,
            "unallocated cash equals its control account",
            &[
                ("unallocated", &own.unallocated),
                ("control account", &allocation.unallocated_control),
            ],
        );

        check(
            4,
            "every receipt counts once in every service",
            &[
                ("ingestion", &ingestion.receipts),
                ("allocation", &allocation.receipts),
                ("reporting", &own.receipts),
            ],
        );
        check(
            4,
            "every document counts once in every service",
            &[
                ("ingestion", &ingestion.documents),
                ("allocation", &allocation.documents),
                ("reporting", &own.documents),
            ],
        );
    }
    checks.extend(
        reading
            .allocation
            .client_money
            .iter()
            .flat_map(client_money),
    );
    // Each service's own checks, under the invariant that they mostly guard.
    for (invariant, what, violations) in [
        (
            2,
            "allocation finds nothing wrong in its own books",
            &reading.allocation.violations,
        ),
        (
            3,
            "every contra undoes one line, once and whole",
            &reading.own_violations,
        ),
        (
            4,
            "ingestion finds nothing wrong in its own books",
            &reading.ingestion.violations,
        ),
    ] {
        checks.push(InvariantCheck {
            invariant,
            what: what.to_owned(),
            holds: violations.is_empty(),
            detail: if violations.is_empty() {
                "nothing found".to_owned()
            } else {
                violations.join("; ")
            },
        });
    }
    checks.sort_by_key(|check| check.invariant);
    checks
}

/// Client money is where the books say, and nobody else's (SRA 4.1, 8.3).
fn client_money(of: &ClientTotals) -> [InvariantCheck; 2] {
    let parts = [of.unallocated, of.refunds, of.due_to_business, of.not_noted];
    let expected = parts.into_iter().try_fold(of.held, Money::checked_add).ok();
    let check = |what: &str, holds, detail| InvariantCheck {
        invariant: 6,
        what: format!("{}: {what}", of.currency),
        holds,
        detail,
    };
    [
        check(
            "client ledgers equal the client money control account, and hold something or nothing",
            of.held == of.client_money_control && !of.held.is_negative(),
            format!(
                "client ledgers {}, control account {}",
                of.held, of.client_money_control
            ),
        ),
        check(
            "client bank accounts equal the client money",
            expected == Some(of.bank),
            format!(
                "bank accounts {}, held for clients {}, unallocated {}, refunds promised {}, due to business accounts \
                 {}, of bills without a matter {}",
                of.bank, of.held, of.unallocated, of.refunds, of.due_to_business, of.not_noted
            ),
        ),
    ]
}

fn in_words(sum: Option<Money>) -> String {
    sum.map_or_else(
        || "more than can be expressed".to_owned(),
        |sum| sum.to_string(),
    )
}

fn by_currency(totals: &ControlTotals) -> BTreeMap<Currency, &CurrencyTotals> {
    totals.currencies.iter().map(|t| (t.currency, t)).collect()
}

/// The totals of a currency that a service has never seen.
fn nothing(currency: Currency) -> CurrencyTotals {
    let zero = Money::zero(currency);
    CurrencyTotals {
        currency,
        receipts: 0,
        received: zero,
        allocated: zero,
        outflows: zero,
        unallocated: zero,
        documents: 0,
        billed: zero,
        adjusted: zero,
        open: zero,
        debtors_control: zero,
        unallocated_control: zero,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn pence(n: i64) -> Money {
        Money::try_new(Decimal::new(n, 2), Currency::GBP).unwrap()
    }

    /// A reading of three services that agree.
    fn agreed(received: i64, unallocated: i64, billed: i64) -> Reading {
        let (outflows, adjusted) = (pence(300), pence(40));
        let allocated = received - unallocated - 300;
        let own = OwnTotals {
            receipts: 7,
            received: pence(received),
            allocated: pence(allocated),
            outflows,
            unallocated: pence(unallocated),
            documents: 9,
            billed: pence(billed),
            adjusted,
            aged: pence(billed - allocated - 40),
        };
        let allocation = CurrencyTotals {
            currency: Currency::GBP,
            receipts: 7,
            received: own.received,
            allocated: own.allocated,
            outflows,
            unallocated: own.unallocated,
            documents: 9,
            billed: own.billed,
            adjusted,
            open: own.aged,
            debtors_control: own.aged,
            unallocated_control: own.unallocated,
        };
        let ingestion = CurrencyTotals {
            receipts: 7,
            received: own.received,
            documents: 9,
            billed: own.billed,
            ..nothing(Currency::GBP)
        };
        let totals = |of: CurrencyTotals| ControlTotals {
            currencies: vec![of],
            client_money: Vec::new(),
            violations: Vec::new(),
            unpublished: 0,
        };
        Reading {
            own: BTreeMap::from([(Currency::GBP, own)]),
            own_violations: Vec::new(),
            ingestion: totals(ingestion),
            allocation: totals(allocation),
            lag: 0,
        }
    }

    fn broken(reading: &Reading) -> Vec<u8> {
        checks(reading)
            .iter()
            .filter(|c| !c.holds)
            .map(|c| c.invariant)
            .collect()
    }

    proptest! {
        #[test]
        fn services_that_agree_hold_and_a_penny_anywhere_is_found(
            received in 0_i64..10_000_000,
            unallocated in 0_i64..10_000_000,
            billed in -10_000_000_i64..10_000_000,
            off in prop::sample::select(vec![-1_i64, 1]),
            place in 0_usize..18,
        ) {
            let mut reading = agreed(received, unallocated, billed);
            prop_assert!(broken(&reading).is_empty());

            let shift = |money: &mut Money| *money = money.checked_add(pence(off)).unwrap();
            let own = reading.own.get_mut(&Currency::GBP).unwrap();
            let allocation = &mut reading.allocation.currencies[0];
            let ingestion = &mut reading.ingestion.currencies[0];
            match place {
                0 => shift(&mut own.received),
                1 => shift(&mut own.allocated),
                2 => shift(&mut own.unallocated),
                3 => shift(&mut own.billed),
                4 => shift(&mut own.aged),
                5 => shift(&mut allocation.received),
                6 => shift(&mut allocation.allocated),
                7 => shift(&mut allocation.unallocated),
                8 => shift(&mut allocation.open),
                9 => shift(&mut allocation.debtors_control),
                10 => shift(&mut allocation.unallocated_control),
                11 => shift(&mut ingestion.received),
                12 => shift(&mut ingestion.billed),
                13 => shift(&mut own.outflows),
                14 => shift(&mut own.adjusted),
                15 => shift(&mut allocation.outflows),
                16 => shift(&mut allocation.adjusted),
                _ => ingestion.receipts += off,
            }
            prop_assert!(!broken(&reading).is_empty());
        }
    }

    #[test]
    fn a_currency_that_only_one_service_knows_is_found() {
        let mut reading = agreed(100, 0, 100);
        reading.own.clear();
        assert!(broken(&reading).contains(&4));
    }

    #[test]
    fn a_service_that_finds_something_wrong_itself_is_believed() {
        let mut reading = agreed(100, 0, 100);
        reading
            .allocation
            .violations
            .push("entry 1 does not balance".into());
        assert_eq!(broken(&reading), [2]);
        let mut reading = agreed(100, 0, 100);
        reading.own_violations.push("line 1 is undone twice".into());
        assert_eq!(broken(&reading), [3]);
    }

    #[test]
    fn anything_on_its_way_is_not_rest() {
        let reading = agreed(100, 0, 100);
        assert!(reading.at_rest());
        assert!(
            !Reading {
                lag: 1,
                ..reading.clone()
            }
            .at_rest()
        );
        let mut moving = reading;
        moving.ingestion.unpublished = 1;
        assert!(!moving.at_rest());
    }
}
