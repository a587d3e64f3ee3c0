//! What is owed: invoices, disbursements and credit notes of about a year and a half.

use chrono::{Days, NaiveDate};
use contracts::inbound::{BillingDocument, DocumentKind};
use kernel::CreditorReference;

use super::{
    debtors::{Debtor, World},
    pounds,
    rng::Rng,
};

/// A document, and what is left of it. Amounts are pence: whole numbers, so that splitting and adding is exact.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) document: BillingDocument,
    /// Index into the debtors.
    pub(super) debtor: usize,
    /// In pence; positive for credit notes too.
    pub(super) open: i64,
}

impl Item {
    pub(super) fn number(&self) -> &str {
        &self.document.document_ref
    }

    /// Its RF reference, where the debtor was given one to quote.
    pub(super) fn creditor_reference(&self) -> Option<&str> {
        self.document
            .payment_reference
            .as_deref()
            .filter(|reference| reference.starts_with("RF"))
    }
}

/// How many documents each world has; 5,000 in all.
pub(super) const fn count(world: World) -> usize {
    match world {
        World::Legal => 1100,
        World::Insurance | World::Council => 800,
        World::Broker => 900,
        World::Trade => 1400,
    }
}

/// How a world numbers a kind of document, and its first number. No two series share digits, so that a payer who
/// quotes the digits alone is still understood.
const fn series(world: World, kind: DocumentKind) -> (&'static str, usize) {
    match (world, kind) {
        (World::Legal, DocumentKind::Invoice) => ("LB", 204_001),
        (World::Legal, DocumentKind::CreditNote) => ("LC", 231_001),
        (_, DocumentKind::Disbursement) => ("DB", 418_001),
        (World::Insurance, DocumentKind::Invoice) => ("PR", 730_001),
        (World::Insurance, DocumentKind::CreditNote) => ("PC", 761_001),
        (World::Broker, DocumentKind::Invoice) => ("BK", 152_001),
        (World::Broker, DocumentKind::CreditNote) => ("BC", 171_001),
        (World::Trade, DocumentKind::Invoice) => ("INV-", 60_001),
        (World::Trade, DocumentKind::CreditNote) => ("CRN-", 88_001),
        (World::Council, DocumentKind::Invoice) => ("SD", 9_100_001),
        (World::Council, DocumentKind::CreditNote) => ("SC", 9_700_001),
    }
}

/// All documents, oldest first.
pub(super) fn items(debtors: &[Debtor], today: NaiveDate, rng: &mut Rng) -> Vec<Item> {
    let mut items = Vec::new();
    for world in World::ALL {
        let theirs: Vec<usize> = (0..debtors.len())
            .filter(|index| debtors[*index].world == world)
            .collect();
        items.extend(items_of(world, &theirs, debtors, today, rng));
    }
    items.sort_by(|a, b| {
        (a.document.issued_on, a.number()).cmp(&(b.document.issued_on, b.number()))
    });
    items
}

fn items_of(
    world: World,
    theirs: &[usize],
    debtors: &[Debtor],
    today: NaiveDate,
    rng: &mut Rng,
) -> Vec<Item> {
    let mut drafts: Vec<(NaiveDate, DocumentKind)> = (0..count(world))
        .map(|_| {
            let age = match rng.below(100) {
                0..80 => rng.between(0, 120),
                80..94 => rng.between(121, 240),
                _ => rng.between(241, 540),
            };
            let kind = match (world, rng.below(100)) {
                (_, 0..6) => DocumentKind::CreditNote,
                (World::Legal, 6..46) => DocumentKind::Disbursement,
                _ => DocumentKind::Invoice,
            };
            (today - Days::new(age.unsigned_abs()), kind)
        })
        .collect();
    // Numbers rise with the date, as billing systems give them.
    drafts.sort_by_key(|(issued_on, _)| *issued_on);
    let mut given = [0_usize; 3];
    drafts
        .into_iter()
        .map(|(issued_on, kind)| {
            let (prefix, first) = series(world, kind);
            let given = &mut given[match kind {
                DocumentKind::Invoice => 0,
                DocumentKind::CreditNote => 1,
                DocumentKind::Disbursement => 2,
            }];
            let number = format!("{prefix}{}", first + *given);
            *given += 1;
            let debtor = rng.pick(theirs);
            item(number, kind, issued_on, debtor, &debtors[debtor], rng)
        })
        .collect()
}

fn item(
    number: String,
    kind: DocumentKind,
    issued_on: NaiveDate,
    index: usize,
    debtor: &Debtor,
    rng: &mut Rng,
) -> Item {
    let Charge { net, vat } = charge(debtor.world, kind, rng);
    let gross = net + vat.unwrap_or(0);
    let terms = if kind.is_credit() {
        0
    } else {
        debtor.account.terms_days.unwrap_or(30)
    };
    let structured = match debtor.world {
        World::Insurance | World::Council => true,
        World::Legal => rng.percent(60),
        World::Broker | World::Trade => false,
    };
    let payment_reference = structured
        .then(|| CreditorReference::generate(&number).ok())
        .flatten()
        .map_or_else(|| number.clone(), |reference| reference.to_string());
    Item {
        debtor: index,
        open: gross,
        document: BillingDocument {
            document_ref: number,
            kind,
            account_ref: debtor.account.account_ref.clone(),
            // Seven files for each account, so that a file has its costs and its disbursements.
            matter_ref: (debtor.world == World::Legal).then(|| {
                format!(
                    "OIC-{}-{:05}",
                    issued_on.format("%y"),
                    1000 + index * 7 + rng.below(7)
                )
            }),
            issued_on,
            due_on: issued_on + Days::new(u64::from(terms)),
            gross: pounds(gross),
            net: vat.map(|_| pounds(net)),
            vat: vat.map(pounds),
            currency: "GBP".into(),
            payment_reference: (!kind.is_credit()).then_some(payment_reference),
            lines: Vec::new(),
        },
    }
}

/// In pence. Without VAT where the law knows none (insurance) or the sum is told whole.
struct Charge {
    net: i64,
    vat: Option<i64>,
}

fn charge(world: World, kind: DocumentKind, rng: &mut Rng) -> Charge {
    let with_vat = |net: i64| Charge {
        net,
        vat: Some((net * 20 + 50) / 100),
    };
    let plain = |net: i64| Charge { net, vat: None };
    if kind.is_credit() {
        let net = uneven(rng.mostly_low(15, 400), rng);
        return if matches!(world, World::Legal | World::Trade) {
            with_vat(net)
        } else {
            plain(net)
        };
    }
    match (world, kind) {
        // Medical report, records, engineer, police report carry VAT; court fees do not.
        (World::Legal, DocumentKind::Disbursement) => match rng.below(6) {
            0 | 1 => with_vat(180_00),
            2 => plain(rng.pick(&[115_00, 205_00, 455_00])),
            3 => with_vat(80_00),
            _ => with_vat(uneven(rng.mostly_low(60, 900), rng)),
        },
        // The fixed costs of a stage, or what was agreed: equal sums on many files, as in life.
        (World::Legal, _) => match rng.below(10) {
            0..4 => with_vat(rng.pick(&[200_00, 300_00, 500_00, 600_00])),
            _ => with_vat(uneven(rng.mostly_low(350, 4200), rng)),
        },
        (World::Insurance, _) => plain(uneven(rng.mostly_low(850, 42_000), rng)),
        (World::Broker, _) => plain(uneven(rng.mostly_low(120, 9_500), rng)),
        (World::Trade, _) => with_vat(uneven(rng.mostly_low(35, 14_000), rng)),
        (World::Council, _) => plain(uneven(rng.mostly_low(45, 1_250), rng)),
    }
}

/// Whole pounds in a third of the cases, else with pence.
fn uneven(pounds: i64, rng: &mut Rng) -> i64 {
    pounds * 100
        + if rng.percent(33) {
            0
        } else {
            rng.between(1, 99)
        }
}
