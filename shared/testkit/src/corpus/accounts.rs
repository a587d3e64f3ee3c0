//! Who owes, and from which bank accounts. Names are invented, and no bank has sort codes that begin with 00.

use std::collections::{BTreeMap, BTreeSet};

use contracts::inbound::{AccountKind, BankAccountRef};
use kernel::Currency;

use super::{
    names::{BRANCHES, CRAFTS, FIRST_NAMES, FORMS, HUBS, PLACES, PUBLIC_BODIES, SURNAMES, TRADES},
    rng::Rng,
};

/// How a creditor numbers his documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Style {
    /// `INV-10324`
    Invoice,
    /// `SI/2026/00123`
    Sales,
    /// `4100123`
    Plain,
    /// `ABC001/0007-12`
    Matter,
    /// `PMC260045128/003`
    Policy,
}

/// What a debtor is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pricing {
    /// The same round sum every month, in pence.
    Fee(i64),
    /// From a short list of fixed prices.
    List,
    /// Whatever it came to.
    Uneven,
}

#[derive(Debug)]
pub(super) struct Debtor {
    pub(super) account_ref: String,
    pub(super) name: String,
    pub(super) kind: AccountKind,
    pub(super) parent: Option<usize>,
    pub(super) style: Style,
    pub(super) pricing: Pricing,
    pub(super) currency: Currency,
    /// The accounts that he pays from.
    pub(super) banks: Vec<BankAccountRef>,
    /// Whether those are on file.
    pub(super) known: bool,
    /// Index of the account that he shares with others.
    pub(super) hub: Option<usize>,
    /// How much business he does.
    pub(super) weight: usize,
    /// What his documents' numbers begin with, where they are per debtor.
    pub(super) code: String,
    /// Nobody else's name could be meant by his.
    pub(super) unique_name: bool,
}

impl Debtor {
    /// His bank account alone says who he is.
    pub(super) const fn known_by_bank(&self) -> bool {
        self.known && self.hub.is_none()
    }

    pub(super) const fn is_person(&self) -> bool {
        matches!(self.kind, AccountKind::Individual)
    }
}

/// A bank account that many debtors pay through.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) name: &'static str,
    pub(super) bank: BankAccountRef,
    pub(super) members: Vec<usize>,
}

/// Bank accounts that never repeat.
pub(super) struct Banks {
    given: u32,
    last: Option<BankAccountRef>,
}

impl Banks {
    pub(super) const fn new() -> Self {
        Self {
            given: 0,
            last: None,
        }
    }

    pub(super) fn next(&mut self, rng: &mut Rng) -> BankAccountRef {
        self.given += 1;
        // Sort codes go round with the count, so that one account number under two of them stays two accounts.
        let sort_code = format!(
            "00-{:02}-{:02}",
            10 + self.given % 89,
            self.given / 89 % 100
        );
        // E16: a number is an account's only together with its sort code.
        let borrowed = self
            .last
            .as_ref()
            .filter(|_| rng.percent(3))
            .and_then(|last| last.account_number.clone());
        let account_number = borrowed.unwrap_or_else(|| {
            format!(
                "{:08}",
                20_000_000 + u64::from(self.given) * 7919 % 70_000_001
            )
        });
        let bank = BankAccountRef {
            sort_code: Some(sort_code),
            account_number: Some(account_number),
            iban: None,
        };
        self.last = Some(bank.clone());
        bank
    }
}

pub(super) struct Accounts {
    pub(super) debtors: Vec<Debtor>,
    pub(super) hubs: Vec<Hub>,
    pub(super) banks: Banks,
}

pub(super) fn accounts(count: usize, rng: &mut Rng) -> Accounts {
    let mut banks = Banks::new();
    let mut names = BTreeSet::new();
    let mut codes = BTreeMap::new();
    let mut debtors: Vec<Debtor> = Vec::with_capacity(count);
    for index in 0..count {
        let debtor = debtor(index, &debtors, &mut names, &mut codes, &mut banks, rng);
        debtors.push(debtor);
    }
    let hubs = share(&mut debtors, &mut banks, rng);
    mark_unique_names(&mut debtors);
    Accounts {
        debtors,
        hubs,
        banks,
    }
}

fn debtor(
    index: usize,
    before: &[Debtor],
    names: &mut BTreeSet<String>,
    codes: &mut BTreeMap<String, usize>,
    banks: &mut Banks,
    rng: &mut Rng,
) -> Debtor {
    let kind = match rng.below(100) {
        0..60 => AccountKind::Company,
        60..68 => AccountKind::SoleTrader,
        68..74 => AccountKind::PublicBody,
        _ => AccountKind::Individual,
    };
    let previous = before
        .last()
        .filter(|other| other.kind == kind && kind == AccountKind::Company);
    let mut name = match previous {
        Some(other) if rng.percent(10) => similar(&other.name, rng),
        _ => name_of(kind, rng),
    };
    let mut tries = 0;
    while !names.insert(name.clone()) {
        tries += 1;
        name = name_of(kind, rng);
        // There are only so many places and trades.
        if tries > 20 {
            name = format!("{name} {index}");
        }
    }
    // A group is one parent and what follows it: at most three levels of one are enough.
    let parent = previous
        .filter(|other| other.currency == Currency::GBP && rng.percent(22))
        .map(|other| other.parent.unwrap_or(before.len() - 1));
    let style = parent.map_or_else(
        || {
            rng.pick(&[
                Style::Invoice,
                Style::Invoice,
                Style::Sales,
                Style::Sales,
                Style::Plain,
                Style::Matter,
                Style::Policy,
            ])
        },
        |parent| before[parent].style,
    );
    let pricing = match rng.below(100) {
        0..18 => Pricing::Fee(rng.mostly_low(3, 90) * 10_00),
        18..34 => Pricing::List,
        _ => Pricing::Uneven,
    };
    let foreign = kind == AccountKind::Company && parent.is_none() && rng.percent(5);
    Debtor {
        account_ref: format!("AC{}", 100_003 + index * 17),
        code: code_of(&name, index, style, codes, rng),
        name,
        kind,
        parent,
        style,
        pricing,
        currency: if foreign {
            Currency::EUR
        } else {
            Currency::GBP
        },
        banks: (0..if rng.percent(12) { 2 } else { 1 })
            .map(|_| banks.next(rng))
            .collect(),
        known: rng.percent(84),
        hub: None,
        weight: match rng.below(100) {
            0..48 => 1,
            48..84 => 3,
            84..97 => 8,
            _ => 25,
        },
        unique_name: false,
    }
}

/// What a matter or a policy number begins with; nothing for the other styles.
fn code_of(
    name: &str,
    index: usize,
    style: Style,
    codes: &mut BTreeMap<String, usize>,
    rng: &mut Rng,
) -> String {
    match style {
        Style::Matter => {
            let letters: String = name
                .chars()
                .filter(char::is_ascii_alphabetic)
                .take(3)
                .collect::<String>()
                .to_uppercase();
            let given = codes.entry(letters.clone()).or_default();
            *given += 1;
            format!("{letters}{given:03}")
        }
        Style::Policy => {
            let class = rng.pick(&["MC", "PL", "EL", "PI"]);
            format!("P{class}26{:07}", 45_128 + index * 131)
        }
        Style::Invoice | Style::Sales | Style::Plain => String::new(),
    }
}

fn name_of(kind: AccountKind, rng: &mut Rng) -> String {
    match kind {
        AccountKind::Company => {
            let place = rng.pick(&PLACES);
            let (trade, form) = (rng.pick(&TRADES), rng.pick(&FORMS));
            if rng.percent(40) {
                format!("{place} & {} {trade} {form}", rng.pick(&SURNAMES))
            } else {
                format!("{place} {trade} {form}")
            }
        }
        AccountKind::PublicBody => {
            let body = rng.pick(&PUBLIC_BODIES);
            let (place, other) = (rng.pick(&PLACES), rng.pick(&PLACES));
            if rng.percent(50) {
                format!("{place} {body}")
            } else {
                format!("{place} and {other} {body}")
            }
        }
        AccountKind::SoleTrader => {
            let surname = rng.pick(&SURNAMES);
            format!(
                "{} {surname} t/a {surname} {} {}",
                rng.pick(&FIRST_NAMES),
                rng.pick(&PLACES),
                rng.pick(&CRAFTS)
            )
        }
        AccountKind::Individual => {
            let (first, surname) = (rng.pick(&FIRST_NAMES), rng.pick(&SURNAMES));
            if rng.percent(60) {
                let initial = char::from(b'A' + rng.below(26) as u8);
                format!("{first} {initial} {surname}")
            } else {
                format!("{first} {surname}")
            }
        }
    }
}

/// A name that is easily taken for `name`.
fn similar(name: &str, rng: &mut Rng) -> String {
    let branch = rng.pick(&BRANCHES);
    match name.rsplit_once(' ') {
        Some((stem, form)) => format!("{stem} {branch} {form}"),
        None => format!("{name} {branch}"),
    }
}

/// Some people pay through an account that others share.
fn share(debtors: &mut [Debtor], banks: &mut Banks, rng: &mut Rng) -> Vec<Hub> {
    let mut people: Vec<usize> = (0..debtors.len())
        .filter(|index| debtors[*index].is_person())
        .collect();
    rng.shuffle(&mut people);
    people.truncate((people.len() / 3).max(6));
    let mut hubs: Vec<Hub> = Vec::new();
    // An account of one debtor only would be that debtor's own.
    for members in people.chunks(6).filter(|members| members.len() > 1) {
        let bank = banks.next(rng);
        for member in members {
            let debtor = &mut debtors[*member];
            debtor.banks = vec![bank.clone()];
            debtor.known = true;
            debtor.hub = Some(hubs.len());
        }
        hubs.push(Hub {
            name: HUBS[hubs.len() % HUBS.len()],
            bank,
            members: members.to_vec(),
        });
    }
    hubs
}

/// The part of a name that a bank, a clerk and a truncation leave alone: two words, or for people the first letter and
/// the surname.
fn name_key(debtor: &Debtor) -> String {
    let name = debtor.name.to_uppercase();
    let words: Vec<&str> = name.split([' ', '&']).filter(|w| !w.is_empty()).collect();
    match (debtor.kind, words.first(), words.last()) {
        (AccountKind::Individual, Some(first), Some(last)) => {
            format!("{} {last}", first.chars().take(1).collect::<String>())
        }
        _ => words.iter().take(2).copied().collect::<Vec<_>>().join(" "),
    }
}

fn mark_unique_names(debtors: &mut [Debtor]) {
    let mut bearers: BTreeMap<String, usize> = BTreeMap::new();
    for debtor in debtors.iter() {
        *bearers.entry(name_key(debtor)).or_default() += 1;
    }
    for debtor in debtors {
        debtor.unique_name = bearers.get(&name_key(debtor)) == Some(&1);
    }
}
