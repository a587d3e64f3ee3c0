//! What is owed: documents of 120 days in the styles of several creditors.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use contracts::inbound::DocumentKind;
use kernel::CreditorReference;

use super::{
    accounts::{Debtor, Pricing, Style},
    rng::Rng,
};

/// Documents are issued over so many days.
pub(super) const DAYS: u64 = 120;
const TERMS: u64 = 30;
const PRICES: [i64; 8] = [
    115_00, 180_00, 205_00, 216_00, 360_00, 455_00, 540_00, 720_00,
];

#[derive(Debug)]
pub(super) struct Document {
    pub(super) number: String,
    /// Index into the debtors.
    pub(super) debtor: usize,
    pub(super) style: Style,
    pub(super) kind: DocumentKind,
    pub(super) issued_on: NaiveDate,
    pub(super) due_on: NaiveDate,
    /// In pence: whole numbers, so that splitting and adding is exact. Positive for credit notes too.
    pub(super) gross: i64,
    pub(super) payment_reference: Option<String>,
}

impl Document {
    /// Its RF reference, where the debtor was given one to quote.
    pub(super) fn rf(&self) -> Option<&str> {
        self.payment_reference
            .as_deref()
            .filter(|reference| reference.starts_with("RF"))
    }
}

/// At least `count` documents and the monthly fees, in the order in which they are issued.
pub(super) fn documents(
    debtors: &[Debtor],
    count: usize,
    first_day: NaiveDate,
    rng: &mut Rng,
) -> Vec<Document> {
    let mut drafts: Vec<(NaiveDate, usize)> = Vec::new();
    let mut lots: Vec<usize> = Vec::new();
    for (index, debtor) in debtors.iter().enumerate() {
        if let Pricing::Fee(_) = debtor.pricing {
            // One contract or several at the same fee, each billed on its own day of the month.
            for _ in 0..debtor.weight.min(3) {
                let day = rng.below(30) as u64;
                drafts.extend((0..4).map(|month| (first_day + Days::new(day + 30 * month), index)));
            }
        } else {
            lots.extend(std::iter::repeat_n(index, debtor.weight));
        }
    }
    while drafts.len() < count && !lots.is_empty() {
        let day = rng.below(DAYS as usize) as u64;
        drafts.push((first_day + Days::new(day), rng.pick(&lots)));
    }
    // Numbers rise with the date, as billing systems give them.
    drafts.sort_unstable();
    let mut series = Series::default();
    drafts
        .into_iter()
        .map(|(issued_on, index)| document(issued_on, index, &debtors[index], &mut series, rng))
        .collect()
}

fn document(
    issued_on: NaiveDate,
    index: usize,
    debtor: &Debtor,
    series: &mut Series,
    rng: &mut Rng,
) -> Document {
    let credit = rng.percent(5);
    let kind = if credit {
        DocumentKind::CreditNote
    } else if debtor.style == Style::Matter && rng.percent(30) {
        DocumentKind::Disbursement
    } else {
        DocumentKind::Invoice
    };
    let gross = match debtor.pricing {
        _ if credit => uneven(rng.mostly_low(8, 220), rng),
        Pricing::Fee(pence) => pence,
        Pricing::List => rng.pick(&PRICES),
        Pricing::Uneven => uneven(rng.mostly_low(25, 6000), rng),
    };
    let number = series.number(debtor, index, credit, rng);
    let structured = match debtor.style {
        Style::Plain | Style::Policy => true,
        Style::Sales => index.is_multiple_of(2),
        Style::Invoice | Style::Matter => false,
    };
    let letters: String = number.chars().filter(char::is_ascii_alphanumeric).collect();
    let payment_reference = (structured && !credit)
        .then(|| CreditorReference::generate(&letters).ok())
        .flatten()
        .map(|reference| reference.to_string());
    Document {
        payment_reference,
        debtor: index,
        style: debtor.style,
        kind,
        issued_on,
        due_on: if credit {
            issued_on
        } else {
            issued_on + Days::new(TERMS)
        },
        gross,
        number,
    }
}

/// The next number of each series.
#[derive(Default)]
struct Series {
    given: BTreeMap<(Style, bool, usize), usize>,
}

impl Series {
    fn number(&mut self, debtor: &Debtor, index: usize, credit: bool, rng: &mut Rng) -> String {
        let own = match debtor.style {
            Style::Matter | Style::Policy => index,
            Style::Invoice | Style::Sales | Style::Plain => 0,
        };
        let next = self.given.entry((debtor.style, credit, own)).or_default();
        *next += 1;
        let next = *next;
        let code = &debtor.code;
        match (debtor.style, credit) {
            (Style::Invoice, false) => format!("INV-{}", 10_000 + next),
            (Style::Invoice, true) => format!("CRN-{}", 90_000 + next),
            (Style::Sales, false) => format!("SI/2026/{next:05}"),
            (Style::Sales, true) => format!("SC/2026/{next:05}"),
            (Style::Plain, false) => (4_100_000 + next).to_string(),
            (Style::Plain, true) => (7_700_000 + next).to_string(),
            // The bill's number runs over all matters of a client, so that no two bills have the same.
            (Style::Matter, false) => {
                format!("{code}/{:04}-{next:02}", 1 + rng.below(6))
            }
            (Style::Matter, true) => format!("{code}/{:04}-C{next:02}", 1 + rng.below(6)),
            (Style::Policy, false) => format!("{code}/{next:03}"),
            (Style::Policy, true) => format!("{code}/C{next:02}"),
        }
    }
}

/// Whole pounds in a quarter of the cases, else with pence.
fn uneven(pounds: i64, rng: &mut Rng) -> i64 {
    pounds * 100
        + if rng.percent(25) {
            0
        } else {
            rng.between(1, 99)
        }
}
