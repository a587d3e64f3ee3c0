//! The only SQL of disputes. What a batch touches is locked in one order:
//! items, then cases.

pub(crate) mod cases;
pub(crate) mod evidence;
pub(crate) mod items;
pub(crate) mod nudges;
pub(crate) mod reports;
pub(crate) mod suspects;
pub(crate) mod views;
pub(crate) mod words;

use kernel::{Currency, Money};
use messaging::Failure;
use rust_decimal::Decimal;

/// An amount as it was written.
pub(crate) fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let currency = Currency::parse(currency).map_err(Failure::of)?;
    Money::try_new(amount, currency).map_err(Failure::of)
}

/// What `ilike` finds `text` by, anywhere; its own wildcards are left out.
pub(crate) fn pattern(text: &str) -> String {
    format!("%{}%", text.replace(['%', '_', '\\'], ""))
}

/// A name of a vocabulary as it was written.
pub(crate) fn known<T>(found: Option<T>, name: &str) -> Result<T, Failure> {
    found.ok_or_else(|| {
        Failure::bug(
            "disputes.unknown_name",
            format!("`{name}` was written by a newer version"),
        )
    })
}
