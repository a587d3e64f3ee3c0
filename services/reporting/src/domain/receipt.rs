//! What must be true of a receipt before reporting takes it in.

use contracts::allocation::{AllocationLine, ReceiptState};
use kernel::{Classified, ErrorClass, Money, MoneyError};
use rust_decimal::Decimal;

/// A receipt's figures contradict one another.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ReceiptError {
    /// Invariant 1: every penny is in exactly one place.
    #[error(
        "of {received}, {allocated} is allocated and {unallocated} is not, which does not add up"
    )]
    DoesNotAddUp {
        received: Money,
        allocated: Money,
        unallocated: Money,
    },
    #[error("the amounts cannot be added")]
    Amounts(#[source] MoneyError),
}

impl Classified for ReceiptError {
    fn code(&self) -> &'static str {
        match self {
            Self::DoesNotAddUp { .. } => "reporting.receipt_does_not_add_up",
            Self::Amounts(_) => "reporting.receipt_amounts",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// Checks a receipt as it is posted: received = allocated + unallocated.
pub(crate) fn check_posted(
    received: Money,
    unallocated: Money,
    lines: &[AllocationLine],
) -> Result<(), ReceiptError> {
    let allocated = allocated(received, lines)?;
    let sum = allocated
        .checked_add(unallocated)
        .map_err(ReceiptError::Amounts)?;
    if sum == received {
        Ok(())
    } else {
        Err(ReceiptError::DoesNotAddUp {
            received,
            allocated,
            unallocated,
        })
    }
}

/// Checks a later move, which does not say what was received: one currency.
pub(crate) fn check_moved(
    unallocated: Money,
    lines: &[AllocationLine],
) -> Result<(), ReceiptError> {
    allocated(unallocated, lines).map(drop)
}

fn allocated(like: Money, lines: &[AllocationLine]) -> Result<Money, ReceiptError> {
    Money::sum(lines.iter().map(|line| line.amount), like.currency()).map_err(ReceiptError::Amounts)
}

/// Where a receipt stood on a day that no event names: told from its figures.
/// `kept` is what was received less what had left it other than onto a document.
/// That a person keeps it on account, its last step says.
pub(crate) fn state_of(
    kept: Decimal,
    unallocated: Decimal,
    payer_known: bool,
    on_account: bool,
) -> ReceiptState {
    if kept.is_zero() {
        ReceiptState::PaidOut
    } else if on_account && !unallocated.is_zero() {
        ReceiptState::OnAccount
    } else if unallocated == kept {
        if payer_known {
            ReceiptState::Unallocated
        } else {
            ReceiptState::Unidentified
        }
    } else if unallocated.is_zero() {
        ReceiptState::Allocated
    } else {
        ReceiptState::PartAllocated
    }
}

#[cfg(test)]
mod tests {
    use kernel::{AccountId, AllocationId, Currency, DocumentId};
    use proptest::prelude::*;

    use super::*;

    fn pence(n: i64, currency: Currency) -> Money {
        Money::try_new(Decimal::new(n, 2), currency).unwrap()
    }

    fn line(amount: Money) -> AllocationLine {
        AllocationLine {
            allocation_id: AllocationId::generate(),
            document_id: DocumentId::generate(),
            document_ref: "INV-1".into(),
            account_id: AccountId::generate(),
            amount,
            effective_on: chrono::NaiveDate::MIN,
            contra_of: None,
        }
    }

    proptest! {
        /// Credit notes are used up by negative lines, so amounts of both signs.
        #[test]
        fn a_receipt_that_adds_up_is_taken_and_a_penny_off_is_not(
            parts in prop::collection::vec(-1_000_000_i64..1_000_000, 0..6),
            left in 0_i64..1_000_000,
            off in 1_i64..100,
        ) {
            let lines: Vec<_> = parts.iter().map(|n| line(pence(*n, Currency::GBP))).collect();
            let received = parts.iter().sum::<i64>() + left;
            let left = pence(left, Currency::GBP);
            prop_assert_eq!(check_posted(pence(received, Currency::GBP), left, &lines), Ok(()));
            prop_assert!(check_posted(pence(received + off, Currency::GBP), left, &lines).is_err());
        }
    }

    /// E19: pounds never pay euros.
    #[test]
    fn two_currencies_are_refused() {
        let lines = [line(pence(100, Currency::EUR))];
        let pounds = pence(0, Currency::GBP);
        assert!(matches!(
            check_moved(pounds, &lines),
            Err(ReceiptError::Amounts(_))
        ));
        assert!(matches!(
            check_posted(pence(100, Currency::GBP), pounds, &lines),
            Err(ReceiptError::Amounts(_))
        ));
    }

    #[test]
    fn the_state_follows_from_the_figures() {
        let d = |n: i64| Decimal::new(n, 2);
        assert_eq!(
            state_of(d(100), d(100), false, false),
            ReceiptState::Unidentified
        );
        assert_eq!(
            state_of(d(100), d(100), true, false),
            ReceiptState::Unallocated
        );
        assert_eq!(
            state_of(d(100), d(40), true, false),
            ReceiptState::PartAllocated
        );
        assert_eq!(state_of(d(100), d(0), true, false), ReceiptState::Allocated);
        assert_eq!(state_of(d(0), d(0), true, false), ReceiptState::PaidOut);
        assert_eq!(state_of(d(100), d(40), true, true), ReceiptState::OnAccount);
        assert_eq!(state_of(d(100), d(0), true, true), ReceiptState::Allocated);
    }
}
