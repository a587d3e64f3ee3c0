//! What is open on a given day, so that the truth of a receipt can be checked when the receipt comes.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::documents::Document;

/// Subsets are counted exactly among at most so many open items.
const SUBSET_ITEMS: usize = 14;

pub(super) struct Ledger<'a> {
    documents: &'a [Document],
    /// In pence, positive for credit notes too.
    open: Vec<i64>,
    /// Open items of each debtor, oldest first.
    items: Vec<Vec<usize>>,
    /// Everything open that is owed to us, in no order.
    owed: Vec<usize>,
    /// The place of each item among them, so that none is ever searched for.
    places: Vec<Option<usize>>,
    /// How many open items have an amount.
    amounts: BTreeMap<i64, usize>,
    issued: usize,
    /// The payer believes that it is paid, so that nobody will pay it.
    abandoned: Vec<bool>,
    /// What was paid in full, and when.
    paid: Vec<(usize, NaiveDate)>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(documents: &'a [Document], debtors: usize) -> Self {
        Self {
            open: vec![0; documents.len()],
            items: vec![Vec::new(); debtors],
            owed: Vec::new(),
            places: vec![None; documents.len()],
            amounts: BTreeMap::new(),
            issued: 0,
            abandoned: vec![false; documents.len()],
            paid: Vec::new(),
            documents,
        }
    }

    /// Puts on the ledger what is issued up to `day`.
    pub(super) fn advance(&mut self, day: NaiveDate) {
        while let Some(document) = self.documents.get(self.issued)
            && document.issued_on <= day
        {
            self.open[self.issued] = document.gross;
            self.items[document.debtor].push(self.issued);
            if !document.kind.is_credit() {
                self.places[self.issued] = Some(self.owed.len());
                self.owed.push(self.issued);
                *self.amounts.entry(document.gross).or_default() += 1;
            }
            self.issued += 1;
        }
    }

    /// How many documents are on the ledger; those behind are still to come.
    pub(super) const fn issued(&self) -> usize {
        self.issued
    }

    pub(super) fn owed(&self) -> &[usize] {
        &self.owed
    }

    pub(super) fn is_owed(&self, item: usize) -> bool {
        self.places[item].is_some()
    }

    pub(super) fn paid(&self) -> &[(usize, NaiveDate)] {
        &self.paid
    }

    pub(super) fn open(&self, item: usize) -> i64 {
        self.open[item]
    }

    pub(super) fn abandon(&mut self, item: usize) {
        self.abandoned[item] = true;
    }

    pub(super) fn is_abandoned(&self, item: usize) -> bool {
        self.abandoned[item]
    }

    /// Credit notes count against the debt.
    pub(super) fn signed(&self, item: usize) -> i64 {
        if self.documents[item].kind.is_credit() {
            -self.open[item]
        } else {
            self.open[item]
        }
    }

    pub(super) fn items(&self, debtor: usize) -> &[usize] {
        &self.items[debtor]
    }

    /// The debtor's open debts, without those that he thinks he paid.
    pub(super) fn debts(&self, debtor: usize) -> Vec<usize> {
        self.items[debtor]
            .iter()
            .copied()
            .filter(|item| !self.documents[*item].kind.is_credit() && !self.abandoned[*item])
            .collect()
    }

    pub(super) fn credits(&self, debtor: usize) -> Vec<usize> {
        self.items[debtor]
            .iter()
            .copied()
            .filter(|item| self.documents[*item].kind.is_credit())
            .collect()
    }

    pub(super) fn balance(&self, debtor: usize) -> i64 {
        self.items[debtor]
            .iter()
            .map(|item| self.signed(*item))
            .sum()
    }

    /// How many debts on the whole ledger have this amount open.
    pub(super) fn with_amount(&self, pence: i64) -> usize {
        self.amounts.get(&pence).copied().unwrap_or(0)
    }

    /// How many debts of the debtor have this amount open.
    pub(super) fn singles(&self, debtor: usize, pence: i64) -> usize {
        self.items[debtor]
            .iter()
            .filter(|item| self.signed(**item) == pence)
            .count()
    }

    /// How many sets of the debtor's open items, credit notes included, sum to the amount; nothing if there are too
    /// many items to try every set.
    pub(super) fn solutions(&self, debtor: usize, pence: i64) -> Option<usize> {
        let items = &self.items[debtor];
        if items.len() > SUBSET_ITEMS {
            return None;
        }
        let mut sums = Vec::with_capacity(1 << items.len());
        sums.push(0);
        for item in items {
            let amount = self.signed(*item);
            for at in 0..sums.len() {
                sums.push(sums[at] + amount);
            }
        }
        Some(sums[1..].iter().filter(|sum| **sum == pence).count())
    }

    /// Takes `pence` off the item.
    pub(super) fn settle(&mut self, item: usize, pence: i64, day: NaiveDate) {
        let document = &self.documents[item];
        let before = self.open[item];
        let after = before - pence;
        self.open[item] = after;
        if !document.kind.is_credit() {
            if let Some(count) = self.amounts.get_mut(&before) {
                *count -= 1;
            }
            if after > 0 {
                *self.amounts.entry(after).or_default() += 1;
            }
        }
        if after == 0 {
            self.items[document.debtor].retain(|other| *other != item);
            if !document.kind.is_credit() {
                if let Some(place) = self.places[item].take() {
                    self.owed.swap_remove(place);
                    if let Some(moved) = self.owed.get(place) {
                        self.places[*moved] = Some(place);
                    }
                }
                self.paid.push((item, day));
            }
        }
    }
}
