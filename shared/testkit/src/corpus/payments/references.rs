//! Payments that name what they are for, in one spelling or the other.

use contracts::inbound::RemittanceLine;

use super::{
    super::{
        accounts::Style,
        class::NoiseClass,
        pounds,
        wording::{self, Says},
    },
    Payment, Payments,
};

impl Payments<'_> {
    pub(super) fn by_rf(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let reference = self.documents[item].rf()?;
        let text = if self.rng.percent(50) {
            wording::grouped(reference)
        } else {
            reference.to_owned()
        };
        let says = if text.len() <= wording::FIELD {
            Says::field(&text, &mut self.rng)
        } else {
            // Too long for the field: in the fields that take 35.
            Says {
                reference: None,
                end_to_end_id: Some(reference.to_owned()),
                ..Says::lines(vec![text], &mut self.rng)
            }
        };
        let paying = self.any_payer(item);
        let mut payment = self.whole(item, paying, says);
        if class == NoiseClass::PartPaymentByRf {
            let part = payment.amount * self.rng.between(20, 80) / 100;
            let debtor = self.documents[item].debtor;
            if part < 10_00 || self.ledger.singles(debtor, part) > 0 {
                return None;
            }
            payment.amount = part;
            payment.settles = vec![(item, part)];
        }
        Some(payment)
    }

    /// The number with an error in it, from a payer who can be recognised.
    pub(super) fn spoilt(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let documents = self.documents;
        let document = &documents[item];
        let number = document.number.as_str();
        let open = self.ledger.open(item);
        let ledger = &self.ledger;
        // Other items of the payer that the same text could mean.
        let alike = |reads: &dyn Fn(&str) -> bool| {
            ledger
                .items(document.debtor)
                .iter()
                .filter(|other| **other != item && ledger.signed(**other) == open)
                .any(|other| reads(&documents[*other].number))
        };
        let says = match class {
            NoiseClass::ReferencePrefixDropped => {
                let text = wording::prefix_dropped(document)?;
                let others = self.bare.get(text)?;
                if others
                    .iter()
                    .any(|other| *other != item && ledger.open(*other) == open)
                {
                    return None;
                }
                let text = wording::around(text, &mut self.rng);
                Says::field(&text, &mut self.rng)
            }
            NoiseClass::ReferenceOForZero | NoiseClass::ReferenceIForOne => {
                let text = if class == NoiseClass::ReferenceOForZero {
                    wording::o_for_zero(number, &mut self.rng)?
                } else {
                    wording::i_for_one(number)?
                };
                Says::field(&text, &mut self.rng)
            }
            NoiseClass::ReferenceZerosDropped => {
                let text = wording::zeros_dropped(number)?;
                if alike(&|other| wording::zeros_dropped(other).as_deref() == Some(&text)) {
                    return None;
                }
                Says::field(&text, &mut self.rng)
            }
            NoiseClass::ReferenceTruncated18 => {
                let (text, kept) = wording::truncated(number, &mut self.rng)?;
                if alike(&|other| other.starts_with(&kept)) {
                    return None;
                }
                Says::field(&text, &mut self.rng)
            }
            NoiseClass::ReferenceLineWrapped => {
                let lines = wording::wrapped(number, &mut self.rng);
                if alike(&|other| other.starts_with(&number[..number.len() - 4])) {
                    return None;
                }
                Says::lines(lines, &mut self.rng)
            }
            _ => {
                let free: Vec<String> = wording::transposed(number)
                    .into_iter()
                    .filter(|other| !self.numbers.contains_key(other.as_str()))
                    .collect();
                if free.is_empty() || ledger.singles(document.debtor, open) != 1 {
                    return None;
                }
                let text = &free[self.rng.below(free.len())];
                Says::field(text, &mut self.rng)
            }
        };
        let paying = self.recognisable(item)?;
        Some(self.whole(item, paying, says))
    }

    pub(super) fn several(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let most = match class {
            NoiseClass::RemittanceLines => 14,
            NoiseClass::SeveralReferencesShortened => 4,
            _ => 5,
        };
        let mut items = self.some_debts(item, most);
        let credits = match class {
            NoiseClass::ReferencesWithCreditNote => true,
            NoiseClass::RemittanceLines => self.rng.percent(20),
            _ => false,
        };
        if credits {
            let notes = self.ledger.credits(debtor);
            if notes.is_empty() && class == NoiseClass::ReferencesWithCreditNote {
                return None;
            }
            if !notes.is_empty() {
                items.push(self.rng.pick(&notes));
            }
        }
        let least = if class == NoiseClass::ParentPaysWithReference {
            1
        } else {
            2
        };
        let amount: i64 = items.iter().map(|item| self.ledger.signed(*item)).sum();
        if items.len() < least || amount <= 0 {
            return None;
        }
        let says = match class {
            NoiseClass::RemittanceLines => {
                let lines = items
                    .iter()
                    .map(|item| self.remittance_line(*item))
                    .collect();
                Says::structured(lines, &mut self.rng)
            }
            NoiseClass::SeveralReferencesShortened => self.shortened(&items)?,
            _ => {
                let numbers: Vec<String> = items
                    .iter()
                    .map(|item| self.documents[*item].number.clone())
                    .collect();
                let lines = match self.rng.below(4) {
                    0 => numbers,
                    1 => vec![numbers.join(", ")],
                    2 => vec![numbers.join(" & ")],
                    _ => vec![numbers.join(" ")],
                };
                Says::lines(lines, &mut self.rng)
            }
        };
        let paying = match class {
            NoiseClass::ParentPaysWithReference => {
                let parent = self.accounts.debtors[debtor].parent?;
                self.known(parent)?
            }
            NoiseClass::SeveralReferencesShortened => self.recognisable(item)?,
            _ => self.any_payer(item),
        };
        Some(Payment {
            paying,
            says,
            currency: self.currency(item),
            amount,
            settles: self.all_of(&items),
            advice: None,
        })
    }

    fn remittance_line(&self, item: usize) -> RemittanceLine {
        let document = &self.documents[item];
        RemittanceLine {
            document_number: document.number.clone(),
            amount: Some(pounds(self.ledger.open(item)).to_string()),
            kind: Some(document.kind.name().into()),
        }
    }

    /// The first number whole, of the others the last three digits, if those leave one reading among what he owes.
    fn shortened(&mut self, items: &[usize]) -> Option<Says> {
        let documents = self.documents;
        let [first, others @ ..] = items else {
            return None;
        };
        let first = &documents[*first];
        if !matches!(first.style, Style::Invoice | Style::Sales | Style::Plain) {
            return None;
        }
        let mut words = vec![first.number.clone()];
        for other in others {
            let number = &documents[*other].number;
            let ending = &number[number.len() - 3..];
            let readings = self
                .ledger
                .items(first.debtor)
                .iter()
                .filter(|item| documents[**item].number.ends_with(ending))
                .count();
            if readings != 1 {
                return None;
            }
            words.push(ending.to_owned());
        }
        let text = words.join(self.rng.pick(&[", ", "/", " + "]));
        Some(if text.len() <= wording::FIELD {
            Says::field(&text, &mut self.rng)
        } else {
            Says::lines(vec![text], &mut self.rng)
        })
    }
}
