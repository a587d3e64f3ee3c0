//! What promises and plans share: debts that are to be paid on days, and the cash
//! that came since they were agreed.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{CoveredItem, Instalment};
use kernel::{Currency, DocumentId, Money, MoneyError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What of a document is to be paid, and what of that is still to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    pub document: DocumentId,
    pub document_ref: String,
    pub amount: Decimal,
    pub left: Decimal,
}

/// One payment. It counts as in time until `last_on`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub due_on: NaiveDate,
    pub last_on: NaiveDate,
    pub amount: Decimal,
    pub received: Decimal,
}

/// A line of cash on a document; negative when it is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cash {
    pub document: DocumentId,
    pub amount: Decimal,
    pub effective_on: NaiveDate,
    pub receipt: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
}

/// What is known of an account's debts.
#[derive(Debug, Clone, Default)]
pub struct Books {
    pub open: BTreeMap<DocumentId, Decimal>,
    /// What is in dispute of each, and so not expected now (E90).
    pub disputed: BTreeMap<DocumentId, Decimal>,
    pub cash: Vec<Cash>,
}

impl Books {
    fn open(&self, document: DocumentId) -> Decimal {
        self.open
            .get(&document)
            .copied()
            .unwrap_or_default()
            .max(Decimal::ZERO)
    }
}

/// What came since a moment, held against what was agreed.
pub(super) struct Came {
    /// What each receipt has brought and left here, with its day.
    receipts: Vec<(NaiveDate, Decimal)>,
    by_document: BTreeMap<DocumentId, Decimal>,
}

impl Came {
    /// Of cash on the covered documents, or on any of the account. A receipt
    /// counts for what is left of it from its first day on: so a return takes
    /// back, whenever it comes, and moving cash about changes nothing.
    pub(super) fn since(
        books: &Books,
        since: DateTime<Utc>,
        items: &[Covered],
        anywhere: bool,
    ) -> Self {
        let mut receipts: HashMap<Option<Uuid>, (NaiveDate, Decimal)> = HashMap::new();
        let mut by_document: BTreeMap<DocumentId, Decimal> = BTreeMap::new();
        for cash in books.cash.iter().filter(|cash| cash.recorded_at > since) {
            let covered = items.iter().any(|item| item.document == cash.document);
            if !covered && !anywhere {
                continue;
            }
            *by_document.entry(cash.document).or_default() += cash.amount;
            let receipt = receipts
                .entry(cash.receipt)
                .or_insert((cash.effective_on, Decimal::ZERO));
            receipt.0 = receipt.0.min(cash.effective_on);
            receipt.1 += cash.amount;
        }
        let receipts = receipts
            .into_values()
            .filter(|(_, amount)| *amount > Decimal::ZERO)
            .collect();
        Self {
            receipts,
            by_document,
        }
    }

    pub(super) fn total(&self) -> Decimal {
        self.receipts.iter().map(|(_, amount)| amount).sum()
    }

    pub(super) fn until(&self, day: NaiveDate) -> Decimal {
        self.receipts
            .iter()
            .filter(|(on, _)| *on <= day)
            .map(|(_, amount)| amount)
            .sum()
    }

    /// What could be paid in cash at all of an item: what was credited or given
    /// up cannot (E87).
    pub(super) fn payable(&self, books: &Books, item: &Covered) -> Decimal {
        let paid = self
            .by_document
            .get(&item.document)
            .copied()
            .unwrap_or_default()
            .max(Decimal::ZERO);
        item.amount.min(books.open(item.document) + paid)
    }
}

/// Fills payments, the oldest first: what is too much for one goes to the next.
pub(super) fn fill(payments: &mut [Payment], mut received: Decimal) {
    for payment in payments {
        payment.received = received.min(payment.amount).max(Decimal::ZERO);
        received -= payment.received;
    }
}

/// Spreads what is still to come over the items, in their order: the first are
/// paid first. Never more than what is open and not in dispute.
pub(super) fn spread(items: &mut [Covered], books: &Books, came: &Came, mut to_come: Decimal) {
    // The last are paid last, so what is to come is of them.
    for item in items.iter_mut().rev() {
        let disputed = books
            .disputed
            .get(&item.document)
            .copied()
            .unwrap_or_default();
        let most = (books.open(item.document) - disputed)
            .min(came.payable(books, item))
            .max(Decimal::ZERO);
        item.left = to_come.min(most).max(Decimal::ZERO);
        to_come -= item.left;
    }
}

pub(super) fn nothing_left(items: &mut [Covered]) {
    for item in items {
        item.left = Decimal::ZERO;
    }
}

pub(super) fn covered(
    items: &[Covered],
    currency: Currency,
) -> Result<Vec<CoveredItem>, MoneyError> {
    items
        .iter()
        .map(|item| {
            Ok(CoveredItem {
                document_id: item.document,
                document_ref: item.document_ref.clone(),
                amount: Money::try_new(item.amount, currency)?,
                left: Money::try_new(item.left, currency)?,
            })
        })
        .collect()
}

pub(super) fn instalments(
    payments: &[Payment],
    currency: Currency,
) -> Result<Vec<Instalment>, MoneyError> {
    payments
        .iter()
        .map(|payment| {
            Ok(Instalment {
                due_on: payment.due_on,
                amount: Money::try_new(payment.amount, currency)?,
                received: Money::try_new(payment.received, currency)?,
            })
        })
        .collect()
}
