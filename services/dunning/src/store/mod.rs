//! The only SQL of dunning. What a batch touches is locked in one order: items,
//! then the rest.

pub(crate) mod accounts;
pub(crate) mod assignments;
pub(crate) mod claims;
pub(crate) mod contacts;
pub(crate) mod credit;
pub(crate) mod debtors;
pub(crate) mod dispatch;
pub(crate) mod editions;
pub(crate) mod enclosures;
pub(crate) mod holds;
pub(crate) mod items;
pub(crate) mod limitations;
mod owing;
pub(crate) mod plans;
pub(crate) mod policies;
pub(crate) mod positions;
pub(crate) mod promises;
pub(crate) mod provider;
pub(crate) mod recorded;
pub(crate) mod referral_history;
pub(crate) mod referrals;
pub(crate) mod runs;
pub(crate) mod statements;
pub(crate) mod stops;
pub(crate) mod templates;
pub(crate) mod ways;

use kernel::{Currency, Money};
use messaging::Failure;
use rust_decimal::Decimal;

/// An amount as it was written.
pub(crate) fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let currency = Currency::parse(currency).map_err(Failure::of)?;
    Money::try_new(amount, currency).map_err(Failure::of)
}

/// A name of a vocabulary as it was written.
pub(crate) fn known<T>(found: Option<T>, name: &str) -> Result<T, Failure> {
    found.ok_or_else(|| {
        Failure::bug(
            "dunning.unknown_name",
            format!("`{name}` was written by a newer version"),
        )
    })
}
