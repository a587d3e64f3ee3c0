//! Items that the payer's words name.

use std::collections::BTreeSet;

use contracts::allocation::{Evidence, Rule};
use kernel::DocumentId;

use super::{NAMED_MAX, Payer, owed};
use crate::domain::{
    evidence::{is_near, is_tail, say},
    ledger::{Books, Item, Receipt},
};

/// How sure it is that the words mean the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Its number, or our payment reference.
    Exactly,
    /// Its number without the letters.
    Tail,
    /// Its number as the payer or the bank spoilt it; among the known payer's
    /// items only.
    Near,
}

pub(super) struct Named<'b> {
    pub(super) how: How,
    /// The oldest first.
    pub(super) open: Vec<&'b Item>,
    /// Named by our own payment reference rather than a document number.
    pub(super) own: BTreeSet<DocumentId>,
    /// Named, but nothing is left of them.
    pub(super) paid: Vec<&'b Item>,
    /// Named, but in another currency.
    pub(super) foreign: Vec<&'b Item>,
    /// Keys that name more than one item.
    pub(super) ambiguous: Vec<&'b str>,
}

impl<'b> Named<'b> {
    pub(super) fn by(receipt: &'b Receipt, books: &'b Books, payer: Option<Payer>) -> Self {
        let exactly = Self::with(How::Exactly, receipt, |key| books.named(key).collect());
        if !exactly.is_nothing() {
            return exactly;
        }
        let tails = Self::with(How::Tail, receipt, |key| {
            if is_tail(key) {
                books.with_tail(key).collect()
            } else {
                Vec::new()
            }
        });
        if !tails.is_nothing() {
            return tails;
        }
        let near = match payer.and_then(|payer| payer.account) {
            Some(account) => owed(account, receipt.unallocated, books),
            None => Vec::new(),
        };
        Self::with(How::Near, receipt, |key| {
            near.iter()
                .copied()
                .filter(|item| is_near(key, &item.ref_key))
                .collect()
        })
    }

    fn with(how: How, receipt: &'b Receipt, find: impl Fn(&str) -> Vec<&'b Item>) -> Self {
        let mut named = Self {
            how,
            open: Vec::new(),
            own: BTreeSet::new(),
            paid: Vec::new(),
            foreign: Vec::new(),
            ambiguous: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for key in &receipt.tokens {
            let items = find(key);
            if items.iter().filter(|item| !item.open.is_zero()).count() > 1 {
                named.ambiguous.push(key);
            }
            for item in items {
                if item.payment_key.as_ref() == Some(key) {
                    named.own.insert(item.id);
                }
                if !seen.insert(item.id) {
                    continue;
                }
                if item.open.currency() != receipt.unallocated.currency() {
                    named.foreign.push(item);
                } else if item.open.is_zero() {
                    named.paid.push(item);
                } else {
                    named.open.push(item);
                }
            }
        }
        // The rows should read the same every time.
        named.open.sort_by_key(|item| (item.due_on, item.id));
        named
    }

    fn is_nothing(&self) -> bool {
        self.open.is_empty() && self.paid.is_empty() && self.foreign.is_empty()
    }

    /// Whether something of it forbids to post without a person.
    pub(super) fn contradicts_itself(&self) -> bool {
        !self.ambiguous.is_empty()
            || !self.paid.is_empty()
            || !self.foreign.is_empty()
            || self.open.len() > NAMED_MAX
    }

    pub(super) fn rule(&self) -> Rule {
        if self.how != How::Exactly {
            Rule::NearNumber
        } else if !self.open.is_empty() && self.open.iter().all(|item| self.own.contains(&item.id))
        {
            Rule::OwnReference
        } else {
            Rule::DocumentNumber
        }
    }

    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let said = |item: &&Item| {
            let number = &item.document_ref;
            match self.how {
                How::Exactly if self.own.contains(&item.id) => {
                    format!("the text has our payment reference of {number}")
                }
                How::Exactly => format!("the text has the number of {number}"),
                How::Tail => format!("the text has the number of {number} without its letters"),
                How::Near => format!("the text has nearly the number of {number}"),
            }
        };
        let mut evidence: Vec<Evidence> = self
            .open
            .iter()
            .take(NAMED_MAX)
            .map(|item| say("reference", true, said(item)))
            .collect();
        evidence.extend(self.paid.iter().take(NAMED_MAX).map(|item| {
            say(
                "already_paid",
                false,
                format!(
                    "{} is paid already: this may be a duplicate payment",
                    item.document_ref
                ),
            )
        }));
        evidence.extend(self.foreign.iter().take(NAMED_MAX).map(|item| {
            say(
                "currency",
                false,
                format!(
                    "{} is in {}",
                    item.document_ref,
                    item.open.currency().code()
                ),
            )
        }));
        evidence.extend(self.ambiguous.iter().take(NAMED_MAX).map(|key| {
            say(
                "reference",
                false,
                format!("`{key}` names more than one open document"),
            )
        }));
        evidence
    }
}
