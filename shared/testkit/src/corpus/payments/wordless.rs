//! Payments that name no document: who paid and how much have to say it.

use super::{
    super::{class::NoiseClass, payers, wording::Says},
    Payment, Payments,
};

impl Payments<'_> {
    /// Whether a parent or a subsidiary of the debtor owes an item of this amount, which he might mean as well.
    fn family_owes(&self, debtor: usize, pence: i64) -> bool {
        let debtors = &self.accounts.debtors;
        let root = debtors[debtor].parent.unwrap_or(debtor);
        // Subsidiaries follow their parent, so the search can end with the first that is nobody's.
        let members = (root + 1..debtors.len())
            .take_while(|member| debtors[*member].parent == Some(root))
            .chain([root]);
        members
            .filter(|member| *member != debtor)
            .any(|member| self.ledger.singles(member, pence) > 0)
    }

    /// No reference to a document: payer and amount decide.
    pub(super) fn by_amount(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let index = self.documents[item].debtor;
        let open = self.ledger.open(item);
        if self.ledger.solutions(index, open) != Some(1) || self.family_owes(index, open) {
            return None;
        }
        let (paying, says) = match class {
            NoiseClass::PayerSingleAmount => (self.known(index)?, Says::nothing(&mut self.rng)),
            NoiseClass::PayerNameAmount => {
                let debtor = &self.accounts.debtors[index];
                if !debtor.unique_name || self.ledger.with_amount(open) != 1 {
                    return None;
                }
                (
                    payers::by_name(debtor, &mut self.rng),
                    Says::nothing(&mut self.rng),
                )
            }
            _ => {
                let account = self.accounts.debtors[index].account_ref.clone();
                let text = match self.rng.below(3) {
                    0 => format!("ACCOUNT {account}"),
                    1 => format!("A/C {account}"),
                    _ => account,
                };
                (self.any_payer(item), Says::field(&text, &mut self.rng))
            }
        };
        Some(self.whole(item, paying, says))
    }

    /// Some of what he owes in one sum, without a word.
    pub(super) fn subset(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let mut items = self.some_debts(item, 6);
        let notes = self.ledger.credits(debtor);
        if class == NoiseClass::PayerLumpSum && !notes.is_empty() && self.rng.percent(30) {
            items.push(self.rng.pick(&notes));
        }
        let amount: i64 = items.iter().map(|item| self.ledger.signed(*item)).sum();
        if items.len() < 2 || amount <= 0 || self.ledger.singles(debtor, amount) > 0 {
            return None;
        }
        let solutions = self.ledger.solutions(debtor, amount)?;
        let right = match class {
            NoiseClass::PayerLumpSum => solutions == 1 && !self.family_owes(debtor, amount),
            _ => solutions > 1,
        };
        if !right {
            return None;
        }
        Some(Payment {
            paying: self.known(debtor)?,
            says: Says::nothing(&mut self.rng),
            currency: self.currency(item),
            amount,
            settles: self.all_of(&items),
            advice: None,
        })
    }

    pub(super) fn whole_balance(&mut self, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let items = self.ledger.items(debtor).to_vec();
        let amount = self.ledger.balance(debtor);
        let believes_paid = items.iter().any(|item| self.ledger.is_abandoned(*item));
        // Without credit notes every smaller set sums to less, so there is nothing to search.
        let alone = self.ledger.credits(debtor).is_empty()
            || self.ledger.solutions(debtor, amount) == Some(1);
        if items.len() < 3
            || items.len() > 40
            || amount <= 0
            || believes_paid
            || !alone
            || self.family_owes(debtor, amount)
        {
            return None;
        }
        let says = if self.rng.percent(40) {
            Says::field("BALANCE OF ACCOUNT", &mut self.rng)
        } else {
            Says::nothing(&mut self.rng)
        };
        Some(Payment {
            paying: self.known(debtor)?,
            says,
            currency: self.currency(item),
            amount,
            settles: self.all_of(&items),
            advice: None,
        })
    }

    pub(super) fn same_amount(&mut self, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let open = self.ledger.open(item);
        let oldest = self
            .ledger
            .debts(debtor)
            .into_iter()
            .find(|other| self.ledger.open(*other) == open)?;
        if self.ledger.singles(debtor, open) < 2 {
            return None;
        }
        let paying = self.known(debtor)?;
        let says = Says::nothing(&mut self.rng);
        Some(self.whole(oldest, paying, says))
    }
}
