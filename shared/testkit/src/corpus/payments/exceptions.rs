//! Payments that a person has to look at.

use chrono::NaiveDate;
use contracts::inbound::BankAccountRef;
use kernel::Currency;

use super::{
    super::{
        class::NoiseClass,
        payers,
        wording::{self, Says},
    },
    ATTEMPTS, Payment, Payments,
};

/// Invented names that are no debtor's.
const STRANGERS: [&str; 6] = [
    "FOUNTAIN COURT MGT",
    "BARNARD ESTATE",
    "M E HOLDINGS",
    "ZOLTAN TRADING",
    "CASH DESK",
    "X1 VENTURES",
];

impl Payments<'_> {
    /// Payer and amount say `item`, the reference says another.
    pub(super) fn conflict(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let open = self.ledger.open(item);
        let others: Vec<usize> = if class == NoiseClass::TransposedExisting {
            wording::transposed(&self.documents[item].number)
                .iter()
                .filter_map(|number| self.numbers.get(number.as_str()).copied())
                .filter(|other| self.ledger.is_owed(*other))
                .collect()
        } else {
            self.ledger.debts(debtor)
        };
        let others: Vec<usize> = others
            .into_iter()
            .filter(|other| self.ledger.open(*other) != open)
            .collect();
        if others.is_empty() {
            return None;
        }
        let named = self.rng.pick(&others);
        let paying = self.known(debtor)?;
        let says = self.quoted(named);
        Some(self.whole(item, paying, says))
    }

    /// Clearly less or more than the item that is named; what it is instead fits nothing else.
    pub(super) fn off(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let open = self.ledger.open(item);
        // Beyond any tolerance: at least a twelfth, and at least 15 pounds.
        let difference = (open * self.rng.between(8, 60) / 100).max(15_00);
        let (amount, settled) = if class == NoiseClass::ShortPayment {
            (open - difference, open - difference)
        } else {
            (open + difference, open)
        };
        if amount < 10_00
            || self.ledger.singles(debtor, amount) > 0
            || self.ledger.singles(debtor, difference) > 0
            || self
                .ledger
                .solutions(debtor, amount)
                .is_some_and(|sets| sets > 0)
        {
            return None;
        }
        let paying = self.any_payer(item);
        let says = self.quoted(item);
        let mut payment = self.whole(item, paying, says);
        payment.amount = amount;
        payment.settles = vec![(item, settled)];
        Some(payment)
    }

    pub(super) fn duplicate(&mut self, day: NaiveDate) -> Option<Payment> {
        let recent: Vec<usize> = (0..self.memory.len())
            .filter(|at| (0..=3).contains(&(day - self.memory[*at].0).num_days()))
            .collect();
        if recent.is_empty() {
            return None;
        }
        let mut payment = self.memory[self.rng.pick(&recent)].1.clone();
        payment.settles.clear();
        Some(payment)
    }

    pub(super) fn already_paid(&mut self, day: NaiveDate) -> Option<Payment> {
        let paid = self.ledger.paid();
        let earlier = paid.partition_point(|(_, on)| (day - *on).num_days() > 7);
        if earlier == 0 {
            return None;
        }
        let (item, _) = paid[self.rng.below(earlier)];
        let document = &self.documents[item];
        let same_kind = self.accounts.debtors[document.debtor].hub.is_none();
        if !same_kind {
            return None;
        }
        let paying = self.any_payer(item);
        let says = self.quoted(item);
        Some(Payment {
            paying,
            says,
            currency: self.currency(item),
            amount: self.documents[item].gross,
            settles: Vec::new(),
            advice: None,
        })
    }

    pub(super) fn prepayment(&mut self) -> Option<Payment> {
        let start = self.ledger.issued();
        let ahead = (self.documents.len() - start).min(300);
        let item = (0..ATTEMPTS).find_map(|_| {
            let item = start + self.rng.below(ahead.max(1));
            let document = self.documents.get(item)?;
            let debtor = &self.accounts.debtors[document.debtor];
            (!document.kind.is_credit() && !self.ledger.is_abandoned(item) && debtor.hub.is_none())
                .then_some(item)
        })?;
        self.ledger.abandon(item);
        let paying = self.any_payer(item);
        let says = self.quoted(item);
        Some(Payment {
            paying,
            says,
            currency: self.currency(item),
            amount: self.documents[item].gross,
            settles: Vec::new(),
            advice: None,
        })
    }

    pub(super) fn through_hub(&mut self, class: NoiseClass) -> Option<Payment> {
        let hubs = self.accounts.hubs.len();
        for _ in 0..ATTEMPTS {
            let hub = &self.accounts.hubs[self.rng.below(hubs.max(1))];
            let member = self.rng.pick(&hub.members);
            let debts = self.ledger.debts(member);
            if debts.is_empty() {
                continue;
            }
            let item = self.rng.pick(&debts);
            let paying = payers::named(hub.name, hub.bank.clone());
            let says = if class == NoiseClass::HubWithReference {
                self.quoted(item)
            } else {
                Says::nothing(&mut self.rng)
            };
            return Some(self.whole(item, paying, says));
        }
        None
    }

    pub(super) fn unknown_payer(&mut self) -> Payment {
        let name = self.rng.pick(&STRANGERS);
        let account = if self.rng.percent(50) {
            self.accounts.banks.next(&mut self.rng)
        } else {
            BankAccountRef::default()
        };
        let paying = payers::named(name, account);
        let says = Says::nothing(&mut self.rng);
        // Half of the sums are nobody's; a sum that one item of the ledger has is a person's lead, and no more.
        if self.rng.percent(50)
            && let Some(item) = self.candidate()
            && self.ledger.with_amount(self.ledger.open(item)) == 1
        {
            return self.whole(item, paying, says);
        }
        Payment {
            paying,
            says,
            currency: Currency::GBP,
            amount: self.stray_amount(),
            settles: Vec::new(),
            advice: None,
        }
    }

    pub(in crate::corpus) fn not_ours(&mut self) -> Payment {
        let (name, text) = self.rng.pick(&[
            ("HMRC VTR", "VAT REPAYMENT"),
            ("BARCLAYCARD SETTLE", "MERCHANT CR"),
            ("DWP", "ACCESS TO WORK"),
            ("ROYAL CREST UTIL", "REFUND DEPOSIT"),
            ("G WINTERBOTTOM", "RENT FLAT B"),
            ("OUR BANK PLC", "GROSS INTEREST"),
            ("LOMBARD PENSIONS", "MEMBER TRANSFER"),
        ]);
        let account = self.accounts.banks.next(&mut self.rng);
        Payment {
            paying: payers::named(name, account),
            says: Says::field(text, &mut self.rng),
            currency: Currency::GBP,
            amount: self.stray_amount(),
            settles: Vec::new(),
            advice: None,
        }
    }

    /// An amount that nothing on the ledger has.
    fn stray_amount(&mut self) -> i64 {
        loop {
            let pence = self.rng.mostly_low(20_00, 5_000_00);
            if self.ledger.with_amount(pence) == 0 {
                return pence;
            }
        }
    }
}
