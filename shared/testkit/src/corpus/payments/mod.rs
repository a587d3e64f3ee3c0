//! One payment of each class, checked against the ledger of its day.

mod advices;
mod exceptions;
mod references;
mod wordless;

use std::collections::{BTreeMap, VecDeque};

use chrono::NaiveDate;
use contracts::inbound::{Payer, RemittanceAdviceLine};
use kernel::Currency;

use super::{
    accounts::Accounts,
    class::NoiseClass,
    documents::Document,
    ledger::Ledger,
    payers::{self, Paying},
    rng::Rng,
    wording::{self, Says},
};

/// So many attempts to find an item that fits, before the class waits for a better day.
const ATTEMPTS: usize = 60;
/// Duplicates are of one of the last so many payments.
const MEMORY: usize = 400;

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) paying: Paying,
    pub(super) says: Says,
    pub(super) currency: Currency,
    /// In pence.
    pub(super) amount: i64,
    /// What it settles, credit notes below zero: at once if matchable, otherwise when a person has seen to it.
    pub(super) settles: Vec<(usize, i64)>,
    /// The remittance advice that comes apart from it.
    pub(super) advice: Option<Advice>,
}

/// A remittance advice, before it has a number.
#[derive(Debug, Clone)]
pub(super) struct Advice {
    pub(super) payer: Payer,
    pub(super) payment_reference: Option<String>,
    /// In pence.
    pub(super) total: i64,
    pub(super) lines: Vec<RemittanceAdviceLine>,
    /// Of the payment, before the bank line is booked.
    pub(super) dated_before: u64,
    /// When it comes, counted from the booking.
    pub(super) comes: i64,
}

pub(super) struct Payments<'a> {
    documents: &'a [Document],
    accounts: &'a mut Accounts,
    pub(super) ledger: Ledger<'a>,
    rng: Rng,
    numbers: BTreeMap<&'a str, usize>,
    /// Documents by their number without its letters.
    bare: BTreeMap<&'a str, Vec<usize>>,
    memory: VecDeque<(NaiveDate, Payment)>,
}

impl<'a> Payments<'a> {
    pub(super) fn new(documents: &'a [Document], accounts: &'a mut Accounts, rng: Rng) -> Self {
        let mut bare: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, document) in documents.iter().enumerate() {
            let short = wording::prefix_dropped(document).unwrap_or(&document.number);
            bare.entry(short).or_default().push(index);
        }
        Self {
            numbers: documents
                .iter()
                .enumerate()
                .map(|(index, document)| (document.number.as_str(), index))
                .collect(),
            ledger: Ledger::new(documents, accounts.debtors.len()),
            documents,
            accounts,
            rng,
            bare,
            memory: VecDeque::new(),
        }
    }

    /// Settles what the payment is for, and remembers it.
    pub(super) fn book(&mut self, class: NoiseClass, payment: &Payment, day: NaiveDate) {
        for (item, pence) in &payment.settles {
            self.ledger.settle(*item, pence.abs(), day);
        }
        if matches!(
            class,
            NoiseClass::ExactReference
                | NoiseClass::RfReference
                | NoiseClass::ReferenceSpaced
                | NoiseClass::SeveralReferences
        ) {
            self.memory.push_back((day, payment.clone()));
            if self.memory.len() > MEMORY {
                self.memory.pop_front();
            }
        }
    }

    /// A payment of the class, if the ledger of the day has what it takes.
    pub(super) fn make(&mut self, class: NoiseClass, day: NaiveDate) -> Option<Payment> {
        match class {
            NoiseClass::DuplicatePayment => self.duplicate(day),
            NoiseClass::AlreadyPaidReference => self.already_paid(day),
            NoiseClass::Prepayment => self.prepayment(),
            NoiseClass::NotOurs => Some(self.not_ours()),
            NoiseClass::UnknownPayerNoReference => Some(self.unknown_payer()),
            NoiseClass::HubPayer | NoiseClass::HubWithReference => self.through_hub(class),
            _ => (0..ATTEMPTS).find_map(|_| {
                let item = self.candidate()?;
                self.of_item(class, item)
            }),
        }
    }

    /// Something that is owed, older items more often.
    fn candidate(&mut self) -> Option<usize> {
        let owed = self.ledger.owed();
        if owed.is_empty() {
            return None;
        }
        let item = (0..2).map(|_| owed[self.rng.below(owed.len())]).min()?;
        let document = &self.documents[item];
        let shared = self.accounts.debtors[document.debtor].hub.is_some();
        if self.ledger.is_abandoned(item) || shared {
            return self.candidate_again();
        }
        Some(item)
    }

    /// Any item that a payer would pay, by one pass from a random place: the list is mostly such.
    fn candidate_again(&mut self) -> Option<usize> {
        let owed = self.ledger.owed();
        let start = self.rng.below(owed.len());
        owed.iter()
            .cycle()
            .skip(start)
            .take(owed.len())
            .copied()
            .find(|item| {
                let debtor = self.documents[*item].debtor;
                !self.ledger.is_abandoned(*item) && self.accounts.debtors[debtor].hub.is_none()
            })
    }

    fn of_item(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        match class {
            NoiseClass::ExactReference | NoiseClass::ProviderWithReference => {
                let says = self.quoted(item);
                let paying = if class == NoiseClass::ExactReference {
                    self.any_payer(item)
                } else {
                    payers::provider(&mut self.rng)
                };
                Some(self.whole(item, paying, says))
            }
            NoiseClass::RfReference | NoiseClass::PartPaymentByRf => self.by_rf(class, item),
            NoiseClass::ReferenceSpaced => {
                let text = wording::spaced(&self.documents[item], &mut self.rng);
                let says = if text.len() <= wording::FIELD {
                    Says::field(&text, &mut self.rng)
                } else {
                    Says::lines(vec![text], &mut self.rng)
                };
                let paying = self.recognisable(item)?;
                Some(self.whole(item, paying, says))
            }
            NoiseClass::ReferencePrefixDropped
            | NoiseClass::ReferenceOForZero
            | NoiseClass::ReferenceIForOne
            | NoiseClass::ReferenceZerosDropped
            | NoiseClass::ReferenceTruncated18
            | NoiseClass::ReferenceLineWrapped
            | NoiseClass::ReferenceTransposedUnknown => self.spoilt(class, item),
            NoiseClass::SeveralReferences
            | NoiseClass::SeveralReferencesShortened
            | NoiseClass::ReferencesWithCreditNote
            | NoiseClass::RemittanceLines
            | NoiseClass::ParentPaysWithReference => self.several(class, item),
            NoiseClass::RemittanceApart
            | NoiseClass::AdviceOffByAPenny
            | NoiseClass::AdviceNotOurs => self.advised(class, item),
            NoiseClass::PayerSingleAmount
            | NoiseClass::PayerNameAmount
            | NoiseClass::AccountReferenceAmount => self.by_amount(class, item),
            NoiseClass::PayerLumpSum | NoiseClass::AmbiguousSubset => self.subset(class, item),
            NoiseClass::WholeBalance => self.whole_balance(item),
            NoiseClass::TwoItemsSameAmount => self.same_amount(item),
            NoiseClass::ReferenceConflictsAmount | NoiseClass::TransposedExisting => {
                self.conflict(class, item)
            }
            NoiseClass::ShortPayment | NoiseClass::OverPayment => self.off(class, item),
            NoiseClass::ProviderName => {
                let paying = payers::provider(&mut self.rng);
                let says = Says::nothing(&mut self.rng);
                Some(self.whole(item, paying, says))
            }
            NoiseClass::WrongCurrency => {
                let paying = self.any_payer(item);
                let says = self.quoted(item);
                let mut payment = self.whole(item, paying, says);
                payment.currency = if payment.currency == Currency::GBP {
                    Currency::EUR
                } else {
                    Currency::GBP
                };
                payment.settles.clear();
                self.ledger.abandon(item);
                Some(payment)
            }
            NoiseClass::AlreadyPaidReference
            | NoiseClass::DuplicatePayment
            | NoiseClass::UnknownPayerNoReference
            | NoiseClass::HubPayer
            | NoiseClass::HubWithReference
            | NoiseClass::Prepayment
            | NoiseClass::NotOurs => None,
        }
    }

    /// The item's open amount, for the item.
    fn whole(&self, item: usize, paying: Paying, says: Says) -> Payment {
        let amount = self.ledger.open(item);
        Payment {
            paying,
            says,
            currency: self.currency(item),
            amount,
            settles: vec![(item, amount)],
            advice: None,
        }
    }

    fn currency(&self, item: usize) -> Currency {
        self.accounts.debtors[self.documents[item].debtor].currency
    }

    fn quoted(&mut self, item: usize) -> Says {
        let text = wording::around(&self.documents[item].number, &mut self.rng);
        Says::field(&text, &mut self.rng)
    }

    fn any_payer(&mut self, item: usize) -> Paying {
        let Accounts { debtors, banks, .. } = &mut *self.accounts;
        payers::anyhow_at_all(&debtors[self.documents[item].debtor], banks, &mut self.rng)
    }

    fn recognisable(&mut self, item: usize) -> Option<Paying> {
        let debtor = &self.accounts.debtors[self.documents[item].debtor];
        payers::recognisable(debtor, &mut self.rng)
    }

    fn known(&mut self, debtor: usize) -> Option<Paying> {
        let debtor = &self.accounts.debtors[debtor];
        debtor
            .known_by_bank()
            .then(|| payers::from_known(debtor, &mut self.rng))
    }

    /// Some of the debtor's debts, the given one among them.
    fn some_debts(&mut self, item: usize, most: usize) -> Vec<usize> {
        let mut others = self.ledger.debts(self.documents[item].debtor);
        others.retain(|other| *other != item);
        self.rng.shuffle(&mut others);
        others.truncate(self.rng.between(1, most as i64 - 1) as usize);
        others.push(item);
        others.sort_unstable();
        others
    }

    fn all_of(&self, items: &[usize]) -> Vec<(usize, i64)> {
        items
            .iter()
            .map(|item| (*item, self.ledger.signed(*item)))
            .collect()
    }
}
