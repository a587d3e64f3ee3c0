//! How debtors pay: mostly well, sometimes in parts, too much, twice, or without a word.

use std::collections::VecDeque;

use chrono::{NaiveDate, TimeDelta};
use contracts::inbound::{
    AccountKind, BankAccountRef, BankReceipt, Direction, Payer, RemittanceLine, RemittanceText,
};

use super::{debtors::Debtor, documents::Item, own_account, pounds, rng::Rng};

/// A line of our bank account.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) booked_on: NaiveDate,
    /// In pence, positive.
    pub(super) amount: i64,
    pub(super) direction: Direction,
    pub(super) scheme: Scheme,
    /// The bank gives one to every line, but for the odd one.
    pub(super) bank_reference: Option<String>,
    pub(super) payer: Payer,
    pub(super) says: Says,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Bacs,
    Fps,
    Chaps,
    Cheque,
    Charge,
    Transfer,
}

impl Scheme {
    /// As `counterfoil` names it on the wire.
    const fn name(self) -> &'static str {
        match self {
            Self::Bacs => "bacs_credit",
            Self::Fps => "fps",
            Self::Chaps => "chaps",
            Self::Cheque => "cheque",
            Self::Charge => "charge",
            Self::Transfer => "internal",
        }
    }
}

/// What a payer says the money is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Says {
    Nothing,
    Text(String),
    /// An RF reference in the field made for it.
    CreditorReference(String),
    /// Number, pence, and whether it is a credit note that was taken off.
    Documents(Vec<(String, i64, bool)>),
}

impl Line {
    /// As a feed tells it.
    pub(super) fn receipt(&self, feed: &str) -> BankReceipt {
        let (reference, unstructured, structured) = match &self.says {
            Says::Nothing => (None, Vec::new(), Vec::new()),
            Says::Text(text) => (Some(text.clone()), vec![text.clone()], Vec::new()),
            Says::CreditorReference(reference) => (Some(reference.clone()), Vec::new(), Vec::new()),
            Says::Documents(documents) => {
                let line = |(number, amount, credit): &(String, i64, bool)| RemittanceLine {
                    document_number: number.clone(),
                    amount: Some(pounds(*amount)),
                    kind: Some(if *credit { "credit_note" } else { "invoice" }.into()),
                };
                (None, Vec::new(), documents.iter().map(line).collect())
            }
        };
        BankReceipt {
            feed: feed.into(),
            bank_account: own_account(),
            bank_reference: self.bank_reference.clone().unwrap_or_default(),
            booked_on: self.booked_on,
            value_on: self.booked_on,
            amount: pounds(self.amount),
            currency: "GBP".into(),
            direction: self.direction,
            scheme: Some(self.scheme.name().into()),
            payer: self.payer.clone(),
            reference,
            end_to_end_id: None,
            mandate_reference: None,
            return_reason: None,
            remittance: (self.says != Says::Nothing).then_some(RemittanceText {
                unstructured,
                structured,
            }),
        }
    }
}

/// Money from `debtor` that says `says`.
pub(super) fn paid(
    debtor: &Debtor,
    booked_on: NaiveDate,
    amount: i64,
    says: Says,
    rng: &mut Rng,
) -> Line {
    let personal = matches!(
        debtor.account.kind,
        AccountKind::Individual | AccountKind::SoleTrader
    );
    let scheme = match (&says, amount) {
        // Bacs has 18 characters for the payer's text and no field for anything else.
        (Says::CreditorReference(_) | Says::Documents(_), _) => Scheme::Fps,
        (_, 25_000_00..) if !personal => Scheme::Chaps,
        (Says::Text(text), _) if text.len() > 18 => Scheme::Fps,
        _ if rng.percent(if personal { 15 } else { 55 }) => Scheme::Bacs,
        _ => Scheme::Fps,
    };
    let name = debtor.account.name.to_uppercase();
    let payer = if scheme == Scheme::Bacs {
        Payer {
            name: Some(name.chars().take(18).collect::<String>().trim_end().into()),
            account: BankAccountRef::default(),
        }
    } else {
        Payer {
            name: Some(name),
            account: debtor.bank.clone(),
        }
    };
    Line {
        booked_on,
        amount,
        direction: Direction::Credit,
        scheme,
        bank_reference: None,
        payer,
        says,
    }
}

/// The document's number as people write it: within 18 characters, so that Bacs carries it whole.
fn quoted(item: &Item, rng: &mut Rng) -> Says {
    let number = item.number();
    let digits = number.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (letters, digits) = (number[..digits].trim_end_matches('-'), &number[digits..]);
    Says::Text(match rng.below(16) {
        0..6 => number.to_owned(),
        6 | 7 => format!("{letters} {digits}"),
        8 => format!("{letters}{digits}"),
        9 => format!("INVOICE {number}"),
        10 => format!("PAYMENT {number}"),
        11 => format!("YOUR REF {number}"),
        12 => format!("REF:{number}"),
        13 => format!("{number} {}", item.document.account_ref),
        14 => number.to_lowercase(),
        _ => format!("{letters}-{digits}"),
    })
}

/// A payment of one document in full, in the way that most people pay.
pub(super) fn in_full(item: &Item, rng: &mut Rng) -> Says {
    match item.creditor_reference() {
        Some(reference) if rng.percent(22) => {
            if rng.percent(50) {
                Says::CreditorReference(reference.to_owned())
            } else {
                let groups: Vec<&str> = (0..reference.len())
                    .step_by(4)
                    .map(|at| &reference[at..reference.len().min(at + 4)])
                    .collect();
                Says::Text(groups.join(" "))
            }
        }
        _ => quoted(item, rng),
    }
}

fn wordless(rng: &mut Rng) -> Says {
    match rng.below(4) {
        0 => Says::Nothing,
        1 => Says::Text("PAYMENT".into()),
        2 => Says::Text("WITH THANKS".into()),
        _ => Says::Text("MONTHLY ACCOUNT".into()),
    }
}

/// Who pays what on which of `days`; lowers what is open, and gives the lines of all days in order.
pub(super) fn settle(
    items: &mut [Item],
    debtors: &[Debtor],
    days: &[NaiveDate],
    rng: &mut Rng,
) -> Vec<Line> {
    let mut waiting: Vec<Vec<(NaiveDate, usize)>> = vec![Vec::new(); debtors.len()];
    let mut credits: Vec<Vec<usize>> = vec![Vec::new(); debtors.len()];
    for (index, item) in items.iter().enumerate() {
        if item.document.kind.is_credit() {
            credits[item.debtor].push(index);
        } else if let Some(day) = pays_on(item, debtors[item.debtor].slow, days, rng) {
            waiting[item.debtor].push((day, index));
        }
    }
    let mut lines = Vec::new();
    for (who, mut due) in waiting.into_iter().enumerate() {
        due.sort_unstable();
        let mut debtor = Paying {
            debtor: &debtors[who],
            items,
            credits: &mut credits[who],
            days,
            rng,
        };
        let mut due = VecDeque::from(due);
        while let Some((day, first)) = due.pop_front() {
            debtor.pay(day, first, &mut due, &mut lines);
        }
    }
    for _ in 0..40 {
        lines.push(unknown(rng.pick(days), rng));
    }
    // The bank's order within a day is nobody's.
    rng.shuffle(&mut lines);
    lines.sort_by_key(|line| line.booked_on);
    for (place, line) in lines.iter_mut().enumerate() {
        line.bank_reference = Some(format!("BR{}{place:05}", line.booked_on.format("%y%m%d")));
    }
    lines.extend(twins(debtors, days));
    lines.sort_by_key(|line| line.booked_on);
    lines
}

/// The working day on which a document is paid; none: not by the last of `days`.
fn pays_on(item: &Item, slow: bool, days: &[NaiveDate], rng: &mut Rng) -> Option<NaiveDate> {
    let (first, last) = (*days.first()?, *days.last()?);
    let delay = if slow {
        rng.between(10, 70)
    } else {
        rng.mostly_low(-5, 40)
    };
    let wanted = item.document.due_on + TimeDelta::days(delay);
    if wanted > last || rng.percent(if slow { 40 } else { 5 }) {
        return None;
    }
    if wanted < first {
        // Long overdue: by now chased into paying, or still not.
        return rng.percent(94).then(|| rng.pick(days));
    }
    days.iter().copied().find(|day| *day >= wanted)
}

/// One debtor at his desk.
struct Paying<'p> {
    debtor: &'p Debtor,
    items: &'p mut [Item],
    credits: &'p mut Vec<usize>,
    days: &'p [NaiveDate],
    rng: &'p mut Rng,
}

impl Paying<'_> {
    fn pay(
        &mut self,
        day: NaiveDate,
        first: usize,
        due: &mut VecDeque<(NaiveDate, usize)>,
        lines: &mut Vec<Line>,
    ) {
        let open = self.items[first].open;
        let (amount, says) = match self.rng.below(1000) {
            // Nothing but the name: the sum alone must tell.
            0..105 => (open, wordless(self.rng)),
            105..145 => {
                let part = open * self.rng.between(25, 75) / 100;
                let text = format!("{} PART", self.items[first].number());
                lines.push(paid(self.debtor, day, part, Says::Text(text), self.rng));
                self.items[first].open -= part;
                return;
            }
            // Too much: rounded up, or the same again a few days later.
            145..158 => {
                let rounded = (open / 1000 + 1) * 1000;
                (rounded, quoted(&self.items[first], self.rng))
            }
            158..163 => {
                let says = quoted(&self.items[first], self.rng);
                if let Some(again) = self
                    .days
                    .iter()
                    .copied()
                    .filter(|later| *later > day)
                    .nth(3)
                {
                    lines.push(paid(self.debtor, again, open, says.clone(), self.rng));
                }
                (open, says)
            }
            163..205 if !due.is_empty() => self.several(day, first, due),
            _ => (open, in_full(&self.items[first], self.rng)),
        };
        self.items[first].open = 0;
        lines.push(paid(self.debtor, day, amount, says, self.rng));
    }

    /// One payment for several documents, less a credit note where there is one. Settles all but the first.
    fn several(
        &mut self,
        day: NaiveDate,
        first: usize,
        due: &mut VecDeque<(NaiveDate, usize)>,
    ) -> (i64, Says) {
        let mut chosen = vec![first];
        for _ in 0..self.rng.between(1, 3) {
            match due.front() {
                Some((_, next)) if self.items[*next].document.issued_on <= day => {
                    chosen.push(*next);
                    due.pop_front();
                }
                _ => break,
            }
        }
        let mut sum: i64 = chosen.iter().map(|index| self.items[*index].open).sum();
        let credit = self.credits.iter().position(|index| {
            let credit = &self.items[*index];
            credit.document.issued_on <= day && credit.open < sum
        });
        if let Some(position) = credit {
            let credit = self.credits.remove(position);
            sum -= self.items[credit].open;
            chosen.push(credit);
        }
        let documents: Vec<(String, i64, bool)> = chosen
            .iter()
            .map(|index| {
                let item = &self.items[*index];
                (
                    item.number().to_owned(),
                    item.open,
                    item.document.kind.is_credit(),
                )
            })
            .collect();
        for index in chosen {
            self.items[index].open = 0;
        }
        let says = if self.rng.percent(50) {
            Says::Documents(documents)
        } else {
            let numbers: Vec<&str> = documents
                .iter()
                .map(|(number, ..)| number.as_str())
                .collect();
            Says::Text(numbers.join(" "))
        };
        (sum, says)
    }
}

/// Money from somebody whom no ledger knows, or a cheque that names nobody.
pub(super) fn unknown(booked_on: NaiveDate, rng: &mut Rng) -> Line {
    let amount = rng.mostly_low(20_00, 2_500_00);
    let (scheme, name, says) = if rng.percent(30) {
        (
            Scheme::Cheque,
            None,
            Says::Text(format!("CHQ {:06}", rng.between(100, 999_999))),
        )
    } else {
        let name = rng.pick(&[
            "FOUNTAIN COURT MGT",
            "BARNARD ESTATE",
            "M E HOLDINGS",
            "J SMITH",
            "CASH DESK",
        ]);
        let text = rng.pick(&["REFUND", "DEPOSIT", "THANK YOU", "PMT 17"]);
        (Scheme::Fps, Some(name.to_owned()), Says::Text(text.into()))
    };
    Line {
        booked_on,
        amount,
        direction: Direction::Credit,
        scheme,
        bank_reference: None,
        payer: Payer {
            name,
            account: BankAccountRef::default(),
        },
        says,
    }
}

/// Two payments that agree in everything, and both are real: the bank gives neither a reference.
fn twins(debtors: &[Debtor], days: &[NaiveDate]) -> Vec<Line> {
    let (Some(debtor), Some(day)) = (debtors.last(), days.iter().rev().nth(4)) else {
        return Vec::new();
    };
    let twin = Line {
        booked_on: *day,
        amount: 62_50,
        direction: Direction::Credit,
        scheme: Scheme::Fps,
        bank_reference: None,
        payer: Payer {
            name: Some(debtor.account.name.to_uppercase()),
            account: debtor.bank.clone(),
        },
        says: Says::Text("WEEKLY CHARGE".into()),
    };
    vec![twin.clone(), twin]
}
