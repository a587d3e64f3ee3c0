//! The only SQL of allocation. Everything set-based: one statement per kind of
//! row, whatever the size of the batch.

pub(crate) mod accounts;
pub(crate) mod advised;
pub(crate) mod chaseable;
pub(crate) mod client_payments;
pub(crate) mod clients;
pub(crate) mod control;
pub(crate) mod disbursements;
pub(crate) mod items;
pub(crate) mod matters;
pub(crate) mod movements;
pub(crate) mod postings;
pub(crate) mod receipts;
pub(crate) mod refunds;
pub(crate) mod remittances;
pub(crate) mod replay;
pub(crate) mod residuals;
pub(crate) mod returns;
pub(crate) mod rules;
pub(crate) mod shadows;
pub(crate) mod workbench;
pub(crate) mod write_offs;

use std::collections::{BTreeSet, HashSet};

use kernel::{AccountId, Currency, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;

use crate::domain::{Books, Changes, Receipt, edges, ladder, name_key, payer};

/// Writes what was decided: first what is only there when accounts or documents
/// came, or receipts that were there before have moved, then in one statement
/// what every receipt brings. Returns the accounts to which moved receipts were
/// suggested until now.
pub(crate) async fn record(
    conn: &mut PgConnection,
    changes: &Changes,
) -> Result<Vec<AccountId>, Failure> {
    accounts::put(conn, &changes.accounts).await?;
    items::insert(conn, &changes.new_items).await?;
    let left = receipts::update(conn, &changes.moved_receipts).await?;
    remittances::insert(conn, &changes.new_advices).await?;
    remittances::set_used(conn, &changes.used_advices).await?;
    postings::post(conn, changes).await?;
    movements::insert_adjustments(conn, &changes.adjustments).await?;
    movements::insert_outflows(conn, &changes.outflows).await?;
    workbench::note_batch(conn, changes).await?;
    returns::put(conn, &changes.debits).await?;
    accounts::learn(conn, &changes.learned).await?;
    matters::record_news(conn, &changes.legal).await?;
    for refund in &changes.refunds {
        refunds::put(conn, refund).await?;
    }
    refunds::note(conn, &changes.refund_steps).await?;
    shadows::note(conn, &changes.compared).await?;
    Ok(left)
}

/// Adds to `books` what `receipts` name, who may have paid them and what those
/// owe: all that the ladder asks for.
pub(crate) async fn look_up(
    conn: &mut PgConnection,
    receipts: &[&Receipt],
    books: &mut Books,
) -> Result<(), Failure> {
    let texts: Vec<&[String]> = receipts.iter().map(|r| r.tokens.as_slice()).collect();
    items::load_named(conn, &texts, books).await?;
    look_up_payers(conn, &[], receipts, books).await?;
    Ok(())
}

/// The half of [`look_up`] that is about payers. Only receipts whose words name
/// nothing open are looked up so: a few, and never by scanning the items. Tells
/// which of the `arriving` receipts are on the ledger already.
pub(crate) async fn look_up_payers(
    conn: &mut PgConnection,
    arriving: &[ReceiptId],
    receipts: &[&Receipt],
    books: &mut Books,
) -> Result<HashSet<ReceiptId>, Failure> {
    let Some(earliest) = receipts.iter().map(|receipt| receipt.booked_on).min() else {
        return Ok(HashSet::new());
    };
    let mut undecided: Vec<&Receipt> = receipts
        .iter()
        .copied()
        .filter(|r| !ladder::settled_by_reference(r.unallocated, &r.tokens, books))
        .collect();
    let known = accounts::recognise(conn, arriving, &signs(&undecided), books).await?;
    // Where a lower rung may go first, the surest sign alone decides nothing.
    if books.rules.reorders() && undecided.len() < receipts.len() {
        undecided = receipts.to_vec();
        books.payers.clear();
        books.learned.clear();
        accounts::recognise(conn, &[], &signs(&undecided), books).await?;
    }
    // Where a difference may be settled, all that the account owes may explain it;
    // also when its document came in this very batch.
    let settles = books.rules.settles_differences();
    let named: BTreeSet<AccountId> = if settles || books.rules.shadow_settles() {
        undecided
            .iter()
            .flat_map(|r| r.tokens.iter())
            .flat_map(|token| books.named(token))
            .map(|item| item.account_id)
            .chain(books.accounts.keys().copied())
            .collect()
    } else {
        BTreeSet::new()
    };
    // A hub's debtors are not looked through: it says nothing about who pays.
    let edges = books
        .learned
        .values()
        .filter(|edges| (edges.len() as i64) < edges::looked_at())
        .flatten()
        .map(|edge| edge.account);
    let known_payers = books.payers.values().flatten().copied();
    let payers: Vec<AccountId> = known_payers
        .chain(edges)
        // A shadow sees what the live rules see, and changes nothing of that.
        .chain(named.iter().copied().filter(|_| settles))
        .collect();
    let amount = |receipt: &&Receipt| receipt.unallocated.amount();
    let amounts: Vec<Decimal> = undecided.iter().map(amount).collect();
    let unknown: Vec<Decimal> = undecided
        .iter()
        .filter(|r| payer::identify(r, books).is_none_or(|payer| payer.account.is_none()))
        .map(amount)
        .collect();
    items::load_owed(conn, &payers, &amounts, &unknown, books).await?;
    rules::fill(conn, &named, earliest, books).await?;
    Ok(known)
}

/// What tells who paid.
fn signs(receipts: &[&Receipt]) -> accounts::Signs {
    accounts::Signs {
        banks: receipts
            .iter()
            .filter_map(|r| r.payer_account.clone())
            .collect(),
        names: receipts
            .iter()
            .filter_map(|r| r.payer_name.as_deref().map(name_key))
            .collect(),
        quoted: receipts
            .iter()
            .flat_map(|r| r.tokens.iter().cloned())
            .collect(),
    }
}

/// What `ilike` finds `text` by, anywhere; its own wildcards are left out.
pub(crate) fn pattern(text: &str) -> String {
    format!("%{}%", text.replace(['%', '_', '\\'], ""))
}

/// An amount and currency as they were stored.
pub(crate) fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let currency = Currency::parse(currency).map_err(Failure::of)?;
    Money::try_new(amount, currency).map_err(Failure::of)
}

/// Text that a closed set of names was stored as.
pub(crate) fn named<T: serde::de::DeserializeOwned>(name: String) -> Result<T, Failure> {
    serde_json::from_value(serde_json::Value::String(name)).map_err(|e| {
        Failure::bug(
            "allocation.stored_name",
            "a stored name is not known any more",
        )
        .caused_by(e)
    })
}
