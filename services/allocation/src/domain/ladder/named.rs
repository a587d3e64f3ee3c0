//! Items that the payer's words name.

use std::collections::BTreeSet;

use contracts::allocation::{Evidence, Rule};
use kernel::{AccountId, DocumentId};

use super::{NAMED_MAX, Payer, owed};
use crate::domain::{
    evidence::{ends_another, is_near, is_tail, longer, say, without_zeros, words},
    grammar::other_numbers,
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

/// Last digits that can stand for a document, at least.
const SHORTENED_MIN: usize = 2;
/// Words of a document number at most.
const WORDS_MAX: usize = 4;

/// Everything in `text` that could be a document number, without the zeros that
/// numbers begin with.
pub(super) fn zeroless(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = words(text).collect();
    let mut said = BTreeSet::new();
    for start in 0..words.len() {
        for count in 2..=WORDS_MAX {
            if let Some(together) = words.get(start..start + count) {
                said.insert(without_zeros(&together.join("/")));
            }
        }
    }
    said
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
        let account = payer.and_then(|payer| payer.account);
        let others = other_numbers(&receipt.narrative, receipt.booked_on);
        let tails = Self::with(How::Tail, receipt, |key| {
            // An amount or a date is no number without its letters, and neither
            // is the end of another number.
            if !is_tail(key) || others.contains(key) || ends_another(&receipt.narrative, key) {
                return Vec::new();
            }
            let items: Vec<&Item> = books.with_tail(key).collect();
            // Two series may have the same number: the payer's own is meant.
            let own = items
                .iter()
                .copied()
                .filter(|item| Some(item.account_id) == account);
            let own: Vec<&Item> = own.collect();
            if own.is_empty() { items } else { own }
        });
        if !tails.is_nothing() {
            return tails.of_payer(account);
        }
        let Some(account) = account else {
            return tails;
        };
        let owed = owed(account, receipt.unallocated, books);
        let said = zeroless(&receipt.narrative);
        let zeros = Self::of(
            How::Near,
            owed.iter()
                .copied()
                .filter(|item| said.contains(&without_zeros(&item.document_ref)))
                .collect(),
        );
        if !zeros.is_nothing() {
            return zeros;
        }
        let near: Vec<&Item> = owed
            .iter()
            .copied()
            .filter(|item| receipt.tokens.iter().any(|key| is_near(key, &item.ref_key)))
            .collect();
        // A number cut short fits several: the amount decides, if only one of
        // all that the payer owes has it.
        let mut same = owed.iter().filter(|item| item.open == receipt.unallocated);
        match (same.next(), same.next()) {
            (Some(one), None) if near.iter().any(|item| item.id == one.id) => {
                Self::of(How::Near, vec![one])
            }
            _ => Self::of(How::Near, near),
        }
    }

    /// The same, and the documents that are named by their last digits after
    /// another of the account: `INV-10034, 218, 311`.
    pub(super) fn shortened(&self, receipt: &Receipt, books: &'b Books) -> Option<Self> {
        let account = self.open.first()?.account_id;
        if self.how != How::Exactly || self.contradicts_itself() {
            return None;
        }
        let owed = owed(account, receipt.unallocated, books);
        let mut open = self.open.clone();
        let said: Vec<&str> = words(&receipt.narrative).collect();
        for word in &said {
            let word = *word;
            // The bank's field holds the beginning of what the remittance says
            // whole.
            if said
                .iter()
                .any(|other| other.len() > word.len() && other.starts_with(word))
            {
                continue;
            }
            let digits = word.len() >= SHORTENED_MIN && word.bytes().all(|b| b.is_ascii_digit());
            let mut ending = owed
                .iter()
                .copied()
                .filter(|item| digits && item.ref_key.ends_with(word));
            if let (Some(item), None) = (ending.next(), ending.next())
                && !open.iter().any(|known| known.id == item.id)
            {
                open.push(item);
            }
        }
        (open.len() > self.open.len()).then(|| Self::of(How::Near, open))
    }

    /// A number alone could be of several series: if one of its documents is the
    /// payer's own, that one is meant.
    fn of_payer(mut self, account: Option<AccountId>) -> Self {
        let own = |item: &&Item| Some(item.account_id) == account;
        if self.open.iter().any(own) {
            self.open.retain(own);
        }
        self
    }

    fn of(how: How, mut open: Vec<&'b Item>) -> Self {
        open.sort_by_key(|item| (item.due_on, item.id));
        Self {
            how,
            open,
            own: BTreeSet::new(),
            paid: Vec::new(),
            foreign: Vec::new(),
            ambiguous: Vec::new(),
        }
    }

    fn with(how: How, receipt: &'b Receipt, find: impl Fn(&str) -> Vec<&'b Item>) -> Self {
        let mut named = Self::of(how, Vec::new());
        let mut seen = BTreeSet::new();
        let found: Vec<(&String, Vec<&Item>)> = receipt
            .tokens
            .iter()
            .map(|key| (key, find(key)))
            .filter(|(_, items)| !items.is_empty())
            .collect();
        for (key, items) in &found {
            // A part of a longer number that is one of ours means that one.
            let mut longer = longer(key, &receipt.tokens);
            if longer.any(|other| found.iter().any(|(key, _)| *key == other)) {
                continue;
            }
            let items = items.clone();
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
