//! Promises: kept or not is worked out from what came, and never counted up, so
//! that the order in which facts come changes nothing.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{CoveredItem, Instalment, PromiseId, PromiseState};
use kernel::{AccountId, Currency, Money, MoneyError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    agreed::{self, Books, Came, Covered, Payment},
    stops::{Part, Stop, StopKind},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    pub id: PromiseId,
    pub version: i64,
    pub state: PromiseState,
    pub account: AccountId,
    pub account_ref: String,
    pub currency: Currency,
    pub items: Vec<Covered>,
    /// By their days; at least one.
    pub payments: Vec<Payment>,
    pub received: Decimal,
    /// What may be missing of it.
    pub tolerance: Decimal,
    /// Whether cash to other documents of the account counts (E81).
    pub anywhere: bool,
    /// Not when too many were broken before it.
    pub stops: bool,
    pub level: u32,
    pub method: Option<String>,
    pub promised_by: Option<String>,
    /// It has been kept at some time.
    pub was_kept: bool,
    pub late_reversal: bool,
    pub replaced_by: Option<PromiseId>,
    pub taken_at: DateTime<Utc>,
    pub taken_on: NaiveDate,
    pub taken_by: String,
    pub reason: String,
    /// The first day that it stopped nothing any more.
    pub ended_on: Option<NaiveDate>,
}

impl Promise {
    pub fn amount(&self) -> Decimal {
        self.items.iter().map(|item| item.amount).sum()
    }

    /// The last day on which it counts as kept.
    pub fn judged_on(&self) -> NaiveDate {
        self.payments
            .iter()
            .map(|payment| payment.last_on)
            .max()
            .unwrap_or(self.taken_on)
    }

    pub fn is_open(&self) -> bool {
        self.state == PromiseState::Open
    }

    /// The next payment that is not there yet.
    fn next(&self) -> Option<&Payment> {
        self.payments
            .iter()
            .find(|payment| payment.received < payment.amount)
    }

    /// After which day the clock alone changes it.
    pub fn next_on(&self) -> Option<NaiveDate> {
        self.is_open()
            .then(|| self.next().map_or(self.judged_on(), |next| next.last_on))
    }

    /// The day that the next payment is due.
    pub fn due_on(&self) -> NaiveDate {
        self.next()
            .or(self.payments.last())
            .map_or(self.taken_on, |payment| payment.due_on)
    }

    /// It is over by somebody's word: the debtor's, or that of another promise.
    pub fn end(&mut self, state: PromiseState, today: NaiveDate) {
        self.state = state;
        self.ended_on = self.ended_on.or(Some(today));
        agreed::nothing_left(&mut self.items);
    }

    /// What has become of it, from everything that is known.
    pub fn judge(&mut self, books: &Books, today: NaiveDate) {
        if matches!(self.state, PromiseState::Withdrawn | PromiseState::Replaced) {
            return;
        }
        let came = Came::since(books, self.taken_at, &self.items, self.anywhere);
        let amount = self.amount();
        let payable: Decimal = self
            .items
            .iter()
            .map(|item| came.payable(books, item))
            .sum();
        let in_all = came.total();
        self.received = in_all.min(amount);
        agreed::fill(&mut self.payments, in_all);
        let in_time = came.until(self.judged_on());
        let enough = |received: Decimal, wanted: Decimal| received + self.tolerance >= wanted;
        // The first payment that was not there when its time was over.
        let mut wanted = Decimal::ZERO;
        let missed = self.payments.iter().find_map(|payment| {
            wanted += payment.amount;
            let late = payment.last_on < today
                && !enough(came.until(payment.last_on), wanted.min(payable));
            late.then_some(payment.last_on)
        });
        let state = match missed {
            None if enough(in_time, amount) => PromiseState::Kept,
            // A credit note is no payment, but there is nothing to pay (E87).
            None if enough(in_time, payable) => PromiseState::Lapsed,
            None => PromiseState::Open,
            Some(_) if self.was_kept => PromiseState::Broken,
            Some(last_on) if came.until(last_on) > Decimal::ZERO => PromiseState::PartlyKept,
            Some(_) => PromiseState::Broken,
        };
        self.was_kept |= state == PromiseState::Kept;
        self.late_reversal = self.was_kept && state == PromiseState::Broken;
        // The day on which it ended first stays: what was stopped until then was
        // stopped, whatever came later (E86).
        self.ended_on = match (state, missed) {
            (PromiseState::Open, _) => None,
            (_, Some(last_on)) => {
                let over = last_on.succ_opt().unwrap_or(last_on).min(today);
                self.ended_on.or(Some(over))
            }
            _ => self.ended_on.or(Some(today)),
        };
        self.state = state;
        if state == PromiseState::Open && self.stops {
            let to_come = (amount.min(payable) - in_all).max(Decimal::ZERO);
            agreed::spread(&mut self.items, books, &came, to_come);
        } else {
            agreed::nothing_left(&mut self.items);
        }
    }

    /// What it stops.
    ///
    /// # Errors
    /// When an amount is none of its currency.
    pub fn stop(&self) -> Result<Option<Stop>, MoneyError> {
        if !self.stops {
            return Ok(None);
        }
        Ok(Some(Stop {
            debtor: None,
            subject: self.id.as_uuid(),
            kind: StopKind::Promise,
            parts: parts(&self.items, self.currency, self.ended_on.is_some())?,
            starts_on: self.taken_on,
            ends_on: Some(self.judged_on()),
            ended_on: self.ended_on,
        }))
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

/// What it is about: while it runs what is still to come; when it is over what was
/// agreed, so that the days that it stopped are known for good (E89).
pub(super) fn parts(
    items: &[Covered],
    currency: Currency,
    over: bool,
) -> Result<Vec<Part>, MoneyError> {
    items
        .iter()
        .map(|item| {
            let amount = if over { item.amount } else { item.left };
            Ok(Part {
                document: item.document,
                amount: Some(Money::try_new(amount, currency)?),
            })
        })
        .collect()
}
