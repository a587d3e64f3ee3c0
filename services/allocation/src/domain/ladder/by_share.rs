//! Less than a document, but no odd amount of it: a settlement discount was taken,
//! or a stage was paid (E7). Only ever shown.

use contracts::allocation::Rule;
use kernel::Money;

use super::{by_payer::units, owed};
use crate::domain::{
    evidence::say,
    ledger::{Books, Item, Line, Proposal, Receipt},
    name_key,
};

/// The largest settlement discount that is thought of, in tenths of a percent.
const DISCOUNT_MAX: i128 = 50;
/// A share of a document is chance if more than one of so many amounts would be
/// one.
const SHARES_PER_CHANCE: i128 = 100;
/// Accounts that share a name or a bank account and are looked through, at most.
const TIED_MAX: usize = 10;

/// What those accounts owe of which one may have paid: by the bank account or the
/// name, which several have.
pub(super) fn owed_by_any<'b>(receipt: &Receipt, books: &'b Books) -> Vec<&'b Item> {
    let bank = receipt.payer_account.as_ref();
    let accounts = match bank.and_then(|key| books.payers.get(key)) {
        Some(accounts) => accounts.clone(),
        None => receipt
            .payer_name
            .as_deref()
            .map(|name| books.payers_named(&name_key(name)))
            .unwrap_or_default(),
    };
    if accounts.len() > TIED_MAX {
        return Vec::new();
    }
    accounts
        .into_iter()
        .flat_map(|account| owed(account, receipt.unallocated, books))
        .collect()
}

/// The share is shown.
pub(super) fn show(cash: Money, item: &Item, tenths: i128) -> Proposal {
    Proposal {
        rule: Rule::PayerAmount,
        confidence: "low",
        account: item.account_id,
        lines: vec![Line {
            document: item.id,
            amount: cash,
        }],
        evidence: vec![say(
            "amount",
            true,
            format!(
                "it is exactly {}.{} % of {}, and of no other document: less a discount, or a stage of it",
                tenths / 10,
                tenths % 10,
                item.document_ref
            ),
        )],
        score: None,
        would: Some(format!(
            "automatic if the amount were {}",
            item.open.display_uk()
        )),
    }
}

/// The one document of which the cash is just a whole share, and how many tenths
/// of a percent: less a settlement discount, or else a stage of it. An amount
/// that is as round as that says nothing.
pub(super) fn find<'b>(cash: Money, open: &[&'b Item]) -> Option<(&'b Item, i128)> {
    let paid = units(cash);
    // The roundness of the amount: 665.00 is one of every pound.
    let mut step = 1;
    while step * 10 <= paid && paid % (step * 10) == 0 {
        step *= 10;
    }
    let fits = |item: &&Item, steps: i128, within: &dyn Fn(i128) -> bool| {
        let whole = units(item.open);
        let tenths = (paid * 1000).checked_div(whole).unwrap_or_default();
        let exact = whole > paid && tenths * whole == paid * 1000 && within(tenths);
        // How many amounts would have fitted, of those that are as round.
        (exact && steps * step * SHARES_PER_CHANCE <= whole).then_some(tenths)
    };
    let discount = |tenths: i128| tenths >= 1000 - DISCOUNT_MAX && tenths % 5 == 0;
    let stage = |tenths: i128| tenths % 10 == 0;
    let only = |steps: i128, within: &dyn Fn(i128) -> bool| {
        let mut found = open
            .iter()
            .filter_map(|item| Some((*item, fits(item, steps, within)?)));
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    };
    only(DISCOUNT_MAX / 5, &discount).or_else(|| only(100, &stage))
}
