//! What moved the balance of an account. The balance is what is open of its
//! documents, less what is left of its receipts.
//!
//! A receipt that is set against a document of the same account moves nothing: it
//! lowered the balance when it came. Undoing that moves nothing either.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use uuid::Uuid;

/// A document of the account.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) id: Uuid,
    pub(crate) reference: String,
    pub(crate) kind: String,
    pub(crate) issued_on: NaiveDate,
    /// Below nothing for a credit note.
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
}

/// A receipt of which the account has what is left.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) id: Uuid,
    pub(crate) reference: String,
    pub(crate) booked_on: NaiveDate,
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
}

/// What settled a document, or left a receipt, or both.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) document: Option<Uuid>,
    pub(crate) receipt: Option<Uuid>,
    /// `allocation`, or the kind of an adjustment or an outflow.
    pub(crate) kind: String,
    /// It takes another line back: its amount is below nothing.
    pub(crate) undone: bool,
    pub(crate) on: NaiveDate,
    pub(crate) amount: Decimal,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) documents: Vec<Document>,
    pub(crate) receipts: Vec<Receipt>,
    /// Of these documents and receipts, and of others.
    pub(crate) lines: Vec<Line>,
}

/// What moved the balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) on: NaiveDate,
    pub(crate) kind: String,
    pub(crate) reference: String,
    pub(crate) amount: Decimal,
    pub(crate) currency: String,
    pub(crate) document: Option<Uuid>,
    pub(crate) receipt: Option<Uuid>,
}

impl Books {
    /// Every move, by its day.
    pub(crate) fn moves(&self) -> Vec<Move> {
        let documents: BTreeMap<Uuid, &Document> =
            self.documents.iter().map(|one| (one.id, one)).collect();
        let receipts: BTreeMap<Uuid, &Receipt> =
            self.receipts.iter().map(|one| (one.id, one)).collect();
        let mut moves = Vec::new();
        for one in &self.documents {
            moves.push(Move {
                on: one.issued_on,
                kind: one.kind.clone(),
                reference: one.reference.clone(),
                amount: one.amount,
                currency: one.currency.clone(),
                document: Some(one.id),
                receipt: None,
            });
        }
        for one in &self.receipts {
            moves.push(Move {
                on: one.booked_on,
                kind: "receipt".to_owned(),
                reference: one.reference.clone(),
                amount: -one.amount,
                currency: one.currency.clone(),
                document: None,
                receipt: Some(one.id),
            });
        }
        for line in &self.lines {
            let document = line.document.and_then(|id| documents.get(&id).copied());
            let receipt = line.receipt.and_then(|id| receipts.get(&id).copied());
            // It counts from the day on which what it moves is there.
            let settled = document.map(|one| (line.on.max(one.issued_on), one));
            let used = receipt.map(|one| (line.on.max(one.booked_on), one));
            if let (Some((one, _)), Some((other, _))) = (settled, used)
                && one == other
            {
                continue;
            }
            let kind = |elsewhere: &str| {
                let kind = if line.kind == "allocation" {
                    elsewhere
                } else {
                    &line.kind
                };
                if line.undone {
                    format!("{kind}_undone")
                } else {
                    kind.to_owned()
                }
            };
            if let Some((on, one)) = settled {
                moves.push(Move {
                    on,
                    kind: kind("paid_by_another"),
                    reference: one.reference.clone(),
                    amount: -line.amount,
                    currency: one.currency.clone(),
                    document: Some(one.id),
                    receipt: line.receipt,
                });
            }
            if let Some((on, one)) = used {
                moves.push(Move {
                    on,
                    kind: kind("paid_to_another"),
                    reference: one.reference.clone(),
                    amount: line.amount,
                    currency: one.currency.clone(),
                    document: line.document,
                    receipt: Some(one.id),
                });
            }
        }
        moves.sort_by(|a, b| (a.on, &a.reference, &a.kind).cmp(&(b.on, &b.reference, &b.kind)));
        moves
    }

    /// Every currency that there is something in.
    pub(crate) fn currencies(&self) -> BTreeSet<&str> {
        let documents = self.documents.iter().map(|one| one.currency.as_str());
        let receipts = self.receipts.iter().map(|one| one.currency.as_str());
        documents.chain(receipts).collect()
    }

    /// What is left of its receipts at the end of a day.
    pub(crate) fn unallocated(&self, currency: &str, day: NaiveDate) -> Decimal {
        self.receipts
            .iter()
            .filter(|one| one.currency == currency && one.booked_on <= day)
            .map(|one| one.amount - self.gone(day, |line| line.receipt == Some(one.id)))
            .sum()
    }

    /// What it came to at the end of a day, from the books themselves.
    pub(crate) fn balance(&self, currency: &str, day: NaiveDate) -> Decimal {
        let open: Decimal = self
            .documents
            .iter()
            .filter(|one| one.currency == currency && one.issued_on <= day)
            .map(|one| one.amount - self.gone(day, |line| line.document == Some(one.id)))
            .sum();
        open - self.unallocated(currency, day)
    }

    fn gone(&self, day: NaiveDate, is: impl Fn(&Line) -> bool) -> Decimal {
        let lines = self.lines.iter().filter(|line| line.on <= day && is(line));
        lines.map(|line| line.amount).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(n: u8) -> NaiveDate {
        NaiveDate::from_yo_opt(2026, u32::from(n) + 1).unwrap()
    }

    fn id(kind: u8, n: usize) -> Uuid {
        Uuid::from_u128(u128::from(kind) << 64 | n as u128)
    }

    prop_compose! {
        /// Some documents and receipts of the account, and lines among them, from
        /// others, and to others.
        fn books()(
            documents in prop::collection::vec((0u8..60, -5_000i64..9_000), 0..6),
            receipts in prop::collection::vec((0u8..60, 1i64..9_000), 0..6),
            lines in prop::collection::vec((0usize..9, 0usize..9, 0u8..60, -3_000i64..3_000, 0u8..3), 0..20),
        ) -> Books {
            Books {
                documents: documents.into_iter().enumerate().map(|(n, (on, amount))| Document {
                    id: id(1, n),
                    reference: format!("INV-{n}"),
                    kind: "invoice".to_owned(),
                    issued_on: day(on),
                    amount: Decimal::new(amount, 2),
                    currency: "GBP".to_owned(),
                }).collect(),
                receipts: receipts.into_iter().enumerate().map(|(n, (on, amount))| Receipt {
                    id: id(2, n),
                    reference: format!("R-{n}"),
                    booked_on: day(on),
                    amount: Decimal::new(amount, 2),
                    currency: "GBP".to_owned(),
                }).collect(),
                lines: lines.into_iter().map(|(document, receipt, on, amount, what)| Line {
                    document: (what != 1).then(|| id(1, document)),
                    receipt: (what != 2).then(|| id(2, receipt)),
                    kind: ["allocation", "refund", "write_off"][usize::from(what)].to_owned(),
                    undone: amount < 0,
                    on: day(on),
                    amount: Decimal::new(amount, 2),
                }).collect(),
            }
        }
    }

    proptest! {
        /// Whatever moved, between any two days: what it began with and every move
        /// are what the books come to, to the penny.
        #[test]
        fn opening_and_moves_are_the_closing_balance(books in books(), from in 0u8..60, days in 0u8..30) {
            let (from, to) = (day(from), day(from) + chrono::Days::new(days.into()));
            let opening = books.balance("GBP", from.pred_opt().unwrap());
            let moved: Decimal = books
                .moves()
                .iter()
                .filter(|one| (from..=to).contains(&one.on))
                .map(|one| one.amount)
                .sum();
            prop_assert_eq!(opening + moved, books.balance("GBP", to));
        }
    }

    #[test]
    fn what_is_paid_on_the_account_itself_moves_it_once() {
        let books = Books {
            documents: vec![Document {
                id: id(1, 0),
                reference: "INV-1".to_owned(),
                kind: "invoice".to_owned(),
                issued_on: day(0),
                amount: Decimal::new(10_000, 2),
                currency: "GBP".to_owned(),
            }],
            receipts: vec![Receipt {
                id: id(2, 0),
                reference: "R-1".to_owned(),
                booked_on: day(9),
                amount: Decimal::new(12_000, 2),
                currency: "GBP".to_owned(),
            }],
            lines: vec![Line {
                document: Some(id(1, 0)),
                receipt: Some(id(2, 0)),
                kind: "allocation".to_owned(),
                undone: false,
                on: day(9),
                amount: Decimal::new(10_000, 2),
            }],
        };
        let kinds: Vec<String> = books.moves().into_iter().map(|one| one.kind).collect();
        assert_eq!(kinds, ["invoice", "receipt"]);
        assert_eq!(books.unallocated("GBP", day(9)), Decimal::new(2_000, 2));
        assert_eq!(books.balance("GBP", day(9)), Decimal::new(-2_000, 2));
    }
}
