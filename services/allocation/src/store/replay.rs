//! The past, for running rules over it. Reads only, takes no locks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use contracts::allocation::Rule;
use kernel::{DocumentId, Money, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{accounts, items, receipts, rules};
use crate::domain::{
    Books, Receipt, evidence, name_key,
    rules::{
        Rulebook,
        replay::{Movement, Past, PastReceipt},
    },
};

/// Documents of one account that are looked at, at most.
const OF_ACCOUNT_MAX: i64 = 1_000;

/// Everything that the decisions about the latest `most` receipts, booked between
/// two days, saw. The rulebooks get what they need to know of the accounts.
pub(crate) async fn past(
    conn: &mut PgConnection,
    between: (Option<NaiveDate>, Option<NaiveDate>),
    most: i64,
    books_of_rules: [&mut Rulebook; 2],
) -> Result<Past, Failure> {
    let mut came = receipts::between(conn, between, most).await?;
    for receipt in &mut came {
        // As it came: nothing of it paid anything.
        receipt.unallocated = receipt.amount;
        receipt.paid_out = Money::zero(receipt.amount.currency());
        receipt.account = None;
        receipt.account_ref = None;
        if receipt.tokens.is_empty() {
            receipt.tokens = evidence::keys([receipt.narrative.as_str()]);
        }
    }
    let mut past = Past {
        books: known(conn, &came).await?,
        ..Past::default()
    };
    let banks: Vec<String> = came
        .iter()
        .filter_map(|r| r.payer_account.clone())
        .collect();
    past.learned = accounts::learned(conn, &banks).await?;

    let keys: BTreeSet<&String> = came.iter().flat_map(|r| &r.tokens).collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    let payers: BTreeSet<Uuid> = past
        .books
        .payers
        .values()
        .flatten()
        .copied()
        .chain(past.learned.iter().map(|(_, _, account)| *account))
        .map(kernel::AccountId::as_uuid)
        .collect();
    let payers: Vec<Uuid> = payers.into_iter().collect();
    past.items = items::ever(conn, &keys, &payers, OF_ACCOUNT_MAX).await?;
    let accounts: BTreeSet<Uuid> = past
        .items
        .iter()
        .map(|(_, item)| item.account_id.as_uuid())
        .collect();
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let documents: Vec<Uuid> = past.items.iter().map(|(_, i)| i.id.as_uuid()).collect();
    past.movements = movements(conn, &documents).await?;
    past.receipts = with_what_stands(conn, came).await?;

    let first = past
        .receipts
        .iter()
        .map(|past| past.receipt.booked_on)
        .min();
    for book in books_of_rules {
        rules::who(conn, &accounts, book).await?;
        if let (Some(first), Some(days)) = (first, book.longest_cap()) {
            let since = first
                .checked_sub_days(chrono::Days::new(days.into()))
                .unwrap_or(first);
            rules::used(conn, &accounts, since, book).await?;
            // What was written off in the time that is run again is decided again.
            for used in book.used.values_mut() {
                used.retain(|used| used.on < first);
            }
        }
    }
    Ok(past)
}

/// Accounts by name and number, as they are called now.
async fn known(conn: &mut PgConnection, came: &[Receipt]) -> Result<Books, Failure> {
    let names: BTreeSet<String> = came
        .iter()
        .filter_map(|r| r.payer_name.as_deref().map(name_key))
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    let quoted: BTreeSet<&String> = came.iter().flat_map(|r| &r.tokens).collect();
    let quoted: Vec<String> = quoted.into_iter().cloned().collect();
    let mut books = Books::default();
    let signs = accounts::Signs {
        banks: Vec::new(),
        names,
        quoted,
    };
    accounts::recognise(conn, &[], &signs, &mut books).await?;
    Ok(books)
}

/// Every change of what is open on `documents`.
async fn movements(conn: &mut PgConnection, documents: &[Uuid]) -> Result<Vec<Movement>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id as "document_id!", receipt_id, currency as "currency!", amount as "amount!",
               recorded_at as "recorded_at!"
           from allocation.allocation where document_id = any($1)
           union all
           select document_id, receipt_id, currency, amount, recorded_at
           from allocation.adjustment where document_id = any($1)"#,
        documents
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Movement {
                at: row.recorded_at,
                document: row.document_id.into(),
                amount: super::money(row.amount, &row.currency)?,
                receipt: row.receipt_id.map(ReceiptId::from),
            })
        })
        .collect()
}

/// Receipts with what stands on them today, and what a person took back.
async fn with_what_stands(
    conn: &mut PgConnection,
    came: Vec<Receipt>,
) -> Result<Vec<PastReceipt>, Failure> {
    let ids: Vec<Uuid> = came.iter().map(|r| r.id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select l.receipt_id, l.document_id, l.currency, l.amount, l.rule,
               exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id) as "undone!"
           from allocation.allocation l where l.receipt_id = any($1) and l.contra_of is null"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut stands: HashMap<Uuid, BTreeMap<DocumentId, Money>> = HashMap::new();
    let mut taken_back: HashMap<Uuid, Vec<DocumentId>> = HashMap::new();
    for row in rows {
        let document = DocumentId::from(row.document_id);
        if row.undone {
            if row.rule != Rule::Manual.name() {
                taken_back.entry(row.receipt_id).or_default().push(document);
            }
            continue;
        }
        let amount = super::money(row.amount, &row.currency)?;
        let of_receipt = stands.entry(row.receipt_id).or_default();
        let sum = match of_receipt.get(&document) {
            Some(before) => before.checked_add(amount).map_err(Failure::of)?,
            None => amount,
        };
        of_receipt.insert(document, sum);
    }
    Ok(came
        .into_iter()
        .map(|receipt| {
            let id = receipt.id.as_uuid();
            PastReceipt {
                stands: stands.remove(&id).unwrap_or_default(),
                taken_back: taken_back.remove(&id).unwrap_or_default(),
                receipt,
            }
        })
        .collect())
}
