//! Answers that nobody can tell apart: what a person has on the screen speaks
//! for another set of open documents just as much as for the right one. They
//! differ in their numbers and days, and the payer says neither.
//!
//! Looked for without the ladder, so that what that cannot see is no excuse.

use std::collections::BTreeSet;

use allocation::domain::{
    Books, Item, Receipt, evidence,
    payer::{self, Payer},
    subset,
};
use kernel::{AccountId, DocumentId};
use rust_decimal::Decimal;

/// Sets of documents that are counted, at most.
const SETS_MAX: usize = 60;

/// The documents of other answers for which as much speaks as for `right`; of
/// those with several documents some at least.
pub(super) fn of(
    receipt: &Receipt,
    books: &Books,
    right: &[(&Item, Decimal)],
) -> Vec<BTreeSet<DocumentId>> {
    let Some((first, _)) = right.first() else {
        return Vec::new();
    };
    let whole = right
        .iter()
        .all(|(item, amount)| item.open.amount() == *amount);
    let listed = !receipt.advice.is_empty();
    if !whole || listed || right.iter().any(|(item, _)| is_said(receipt, item)) {
        return Vec::new();
    }
    let who = whose(receipt, books);
    let may_be = |item: &Item| {
        let of = |who: &Vec<AccountId>| who.contains(&item.account_id);
        who.as_ref().is_none_or(of) && !is_said(receipt, item)
    };
    // A payer who is known to be somebody else says something about this one.
    if !may_be(first) {
        return Vec::new();
    }
    let inside: BTreeSet<DocumentId> = right.iter().map(|(item, _)| item.id).collect();
    if right.len() == 1 {
        return books
            .of_amount(first.open)
            .filter(|other| other.id != first.id && other.open == first.open && may_be(other))
            .map(|other| BTreeSet::from([other.id]))
            .collect();
    }
    // Several documents are one account's.
    let owed: Vec<&Item> = books
        .of_account(first.account_id)
        .filter(|item| !item.open.is_zero() && item.open.currency() == receipt.amount.currency())
        .filter(|item| may_be(item))
        .collect();
    let pence = |mut amount: Decimal| {
        amount.rescale(2);
        amount.mantissa()
    };
    let amounts: Vec<i128> = owed.iter().map(|item| pence(item.open.amount())).collect();
    let cash = pence(receipt.unallocated.amount());
    subset::some(cash, &amounts, SETS_MAX)
        .into_iter()
        .map(|set| {
            let items = set.into_iter().filter_map(|at| owed.get(at));
            items.map(|item| item.id).collect::<BTreeSet<_>>()
        })
        // Only of as many: where fewer would do, a person prefers those.
        .filter(|set| set.len() == inside.len() && *set != inside)
        .collect()
}

/// Whether something in the words looks like its number.
fn is_said(receipt: &Receipt, item: &Item) -> bool {
    receipt.tokens.iter().any(|key| {
        item.payment_key.as_ref() == Some(key)
            || item.tail_key.as_ref() == Some(key)
            || evidence::closeness(key, &item.ref_key) > 0
    })
}

/// Whose it may be, as far as the payer tells; `None`: anybody's.
fn whose(receipt: &Receipt, books: &Books) -> Option<Vec<AccountId>> {
    if let Some(Payer {
        account: Some(account),
        ..
    }) = payer::identify(receipt, books)
    {
        return Some(vec![account]);
    }
    let bank = receipt.payer_account.as_ref()?;
    books.payers.get(bank).cloned()
}
