//! Payments whose advice comes apart from the cash.

use contracts::inbound::{AdviceKind, RemittanceAdviceLine};

use super::{
    super::{class::NoiseClass, payers, pounds, wording::Says},
    Advice, Payment, Payments,
};

impl Payments<'_> {
    /// Some of what he owes in one sum; the bank line says at most the number of the payment run, the advice the rest.
    pub(super) fn advised(&mut self, class: NoiseClass, item: usize) -> Option<Payment> {
        let debtor = self.documents[item].debtor;
        let mut items = self.some_debts(item, 14);
        let notes = self.ledger.credits(debtor);
        if !notes.is_empty() && self.rng.percent(25) {
            items.push(self.rng.pick(&notes));
        }
        let ours: i64 = items.iter().map(|item| self.ledger.signed(*item)).sum();
        if ours <= 0 {
            return None;
        }
        let mut lines: Vec<RemittanceAdviceLine> = items
            .iter()
            .map(|item| {
                let document = &self.documents[*item];
                RemittanceAdviceLine {
                    document_number: document.number.clone(),
                    amount: pounds(self.ledger.open(*item)).to_string(),
                    kind: Some(if document.kind.is_credit() {
                        AdviceKind::CreditNote
                    } else {
                        AdviceKind::Invoice
                    }),
                    discount: None,
                    deduction: None,
                }
            })
            .collect();
        let mut amount = ours;
        if class == NoiseClass::AdviceNotOurs {
            // Of another supplier, in the same payment run.
            let foreign = self.rng.mostly_low(20_00, 900_00);
            amount += foreign;
            lines.push(RemittanceAdviceLine {
                document_number: format!("ZZ{:06}", self.rng.between(1, 999_999)),
                amount: pounds(foreign).to_string(),
                kind: None,
                discount: None,
                deduction: None,
            });
        }
        if self.ledger.singles(debtor, amount) > 0 {
            return None;
        }
        let total = if class != NoiseClass::AdviceOffByAPenny {
            amount
        } else if self.rng.percent(50) {
            amount + 1
        } else {
            amount - 1
        };
        let run = self
            .rng
            .percent(50)
            .then(|| format!("BP{:07}", self.rng.between(1, 9_999_999)));
        let (paying, says) = match &run {
            Some(run) => (self.any_payer(item), Says::field(run, &mut self.rng)),
            None => (self.recognisable(item)?, Says::nothing(&mut self.rng)),
        };
        let debtor = &self.accounts.debtors[debtor];
        let mut payer = payers::by_name(debtor, &mut self.rng).payer;
        if debtor.known_by_bank() && self.rng.percent(50) {
            payer.account = debtor.banks[0].clone();
        }
        // What a machine must not post because of its advice has the advice in time.
        let latest = if class.is_negative() { 0 } else { 4 };
        let (dated_before, comes) = (self.rng.below(3) as u64, self.rng.between(-3, latest));
        Some(Payment {
            paying,
            says,
            currency: self.currency(item),
            amount,
            settles: self.all_of(&items),
            advice: Some(Advice {
                payer,
                payment_reference: run,
                total,
                lines,
                dated_before,
                comes,
            }),
        })
    }
}
