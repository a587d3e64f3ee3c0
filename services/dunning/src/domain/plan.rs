//! Payment plans: a schedule, and what came of it.

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use contracts::{
    api::dunning::Every,
    dunning::{CoveredItem, Instalment, PlanId, PlanState},
};
use kernel::{AccountId, Currency, MoneyError};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use super::{
    agreed::{self, Books, Came, Covered, Payment},
    promise::parts,
    stops::{Stop, StopKind},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub id: PlanId,
    pub version: i64,
    pub state: PlanState,
    pub account: AccountId,
    pub account_ref: String,
    pub currency: Currency,
    pub items: Vec<Covered>,
    pub payments: Vec<Payment>,
    pub received: Decimal,
    pub every: Every,
    pub grace_working_days: u32,
    /// So many missed, and it is in default.
    pub allowed: u32,
    pub missed: u32,
    pub interest_frozen: bool,
    pub method: Option<String>,
    pub taken_at: DateTime<Utc>,
    pub taken_on: NaiveDate,
    pub taken_by: String,
    pub reason: String,
    pub ended_on: Option<NaiveDate>,
}

/// The day of an instalment, from 0; nothing beyond the calendar.
pub fn day(first: NaiveDate, every: Every, n: u32) -> Option<NaiveDate> {
    let days = |each: u64| first.checked_add_days(Days::new(each * u64::from(n)));
    match every {
        Every::Week => days(7),
        Every::Fortnight => days(14),
        Every::FourWeeks => days(28),
        // Counted from the first, so that the 31st comes back after February.
        Every::Month => first.checked_add_months(Months::new(n)),
    }
}

/// Equal parts in the currency's smallest unit, the remainder in the last (E88).
pub fn split(total: Decimal, count: u32, exponent: u32) -> Vec<Decimal> {
    if count == 0 {
        return Vec::new();
    }
    let each =
        (total / Decimal::from(count)).round_dp_with_strategy(exponent, RoundingStrategy::ToZero);
    let mut parts = vec![each; count as usize];
    if let Some(last) = parts.last_mut() {
        *last = total - each * Decimal::from(count - 1);
    }
    parts
}

impl Plan {
    pub fn amount(&self) -> Decimal {
        self.items.iter().map(|item| item.amount).sum()
    }

    /// After which day the clock alone changes it.
    pub fn next_on(&self, today: NaiveDate) -> Option<NaiveDate> {
        if self.state != PlanState::Active {
            return None;
        }
        self.payments
            .iter()
            .filter(|payment| payment.received < payment.amount && payment.last_on >= today)
            .map(|payment| payment.last_on)
            .min()
    }

    /// What has become of it. What was missed of the last instalment is a default,
    /// whatever the policy bears: nothing more is to come. A plan in default stays so until everything is
    /// paid: what was agreed is not owed by its days any more, but now (E89).
    pub fn judge(&mut self, books: &Books, today: NaiveDate) {
        if self.state == PlanState::Cancelled {
            return;
        }
        let came = Came::since(books, self.taken_at, &self.items, false);
        let payable: Decimal = self
            .items
            .iter()
            .map(|item| came.payable(books, item))
            .sum();
        let disputed: Decimal = self
            .items
            .iter()
            .filter_map(|item| books.disputed.get(&item.document))
            .sum();
        let in_all = came.total();
        self.received = in_all.min(self.amount());
        agreed::fill(&mut self.payments, in_all);
        // What is in dispute is taken out at the end (E90).
        let expected = (payable - disputed).max(Decimal::ZERO);
        let mut wanted = Decimal::ZERO;
        self.missed = 0;
        for payment in &self.payments {
            wanted += payment.amount;
            if payment.last_on < today && in_all < wanted.min(expected) {
                self.missed += 1;
            }
        }
        let state = if in_all >= payable {
            PlanState::Completed
        } else if self.state == PlanState::Defaulted
            || self.missed >= self.allowed.max(1)
            || (self.missed > 0 && self.is_over(today))
        {
            PlanState::Defaulted
        } else {
            PlanState::Active
        };
        self.ended_on = match state {
            PlanState::Active => None,
            _ => self.ended_on.or(Some(today)),
        };
        self.state = state;
        if state == PlanState::Active {
            agreed::spread(
                &mut self.items,
                books,
                &came,
                (payable - in_all).max(Decimal::ZERO),
            );
        } else {
            agreed::nothing_left(&mut self.items);
        }
    }

    /// No instalment is to come any more, not even late.
    fn is_over(&self, today: NaiveDate) -> bool {
        self.payments.iter().all(|payment| payment.last_on < today)
    }

    pub fn cancel(&mut self, today: NaiveDate) {
        self.state = PlanState::Cancelled;
        self.ended_on = self.ended_on.or(Some(today));
        agreed::nothing_left(&mut self.items);
    }

    /// What was missed, taken out of the past.
    fn take_missed(&mut self, today: NaiveDate) -> Decimal {
        let mut missed = Decimal::ZERO;
        for payment in self.payments.iter_mut().filter(|p| p.due_on < today) {
            missed += payment.amount - payment.received;
            payment.amount = payment.received;
        }
        missed
    }

    /// Spreads what was missed over what is to come. Whether there was anything
    /// to spread, and to spread it over.
    pub fn respread(&mut self, today: NaiveDate) -> bool {
        let to_come = self.payments.iter().filter(|p| p.due_on >= today).count();
        let Some(count) = u32::try_from(to_come).ok().filter(|count| *count > 0) else {
            return false;
        };
        let missed = self.take_missed(today);
        let parts = split(missed, count, self.currency.exponent());
        let later = self.payments.iter_mut().filter(|p| p.due_on >= today);
        for (payment, part) in later.zip(parts) {
            payment.amount += part;
        }
        missed > Decimal::ZERO
    }

    /// What was missed is paid one instalment after the last, by `last_on`.
    pub fn extend(&mut self, today: NaiveDate, due_on: NaiveDate, last_on: NaiveDate) -> bool {
        let missed = self.take_missed(today);
        if missed <= Decimal::ZERO {
            return false;
        }
        self.payments.push(Payment {
            due_on,
            last_on,
            amount: missed,
            received: Decimal::ZERO,
        });
        true
    }

    /// # Errors
    /// When an amount is none of its currency.
    pub fn stop(&self) -> Result<Stop, MoneyError> {
        Ok(Stop {
            debtor: None,
            subject: self.id.as_uuid(),
            kind: StopKind::Plan,
            parts: parts(&self.items, self.currency, self.ended_on.is_some())?,
            starts_on: self.taken_on,
            ends_on: None,
            ended_on: self.ended_on,
        })
    }

    /// # Errors
    /// When an amount is none of its currency.
    pub fn covered(&self) -> Result<Vec<CoveredItem>, MoneyError> {
        agreed::covered(&self.items, self.currency)
    }

    /// # Errors
    /// When an amount is none of its currency.
    pub fn instalments(&self) -> Result<Vec<Instalment>, MoneyError> {
        agreed::instalments(&self.payments, self.currency)
    }
}
