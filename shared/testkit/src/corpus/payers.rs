//! Who paid, as the bank spells it.

use contracts::inbound::{AccountKind, BankAccountRef, Payer};

use super::{
    accounts::{Banks, Debtor},
    rng::Rng,
    wording::{FIELD, cut},
};

/// What a bank names in place of the payer.
const PROVIDERS: [&str; 8] = [
    "STRIPE PAYMENTS UK LTD",
    "GOCARDLESS LTD",
    "PAYPAL UK LTD",
    "WORLDPAY (UK) LTD",
    "SUMUP PAYMENTS",
    "MODULR FS LTD",
    "WISE PAYMENTS LTD",
    "SAGEPAY EUROPE",
];

/// How the payer comes to be on the line.
#[derive(Debug, Clone)]
pub(super) struct Paying {
    pub(super) payer: Payer,
    pub(super) scheme: &'static str,
}

/// From an account that is on file as his alone.
pub(super) fn from_known(debtor: &Debtor, rng: &mut Rng) -> Paying {
    Paying {
        payer: Payer {
            name: Some(cut(&spelling(debtor, rng), 35)),
            account: debtor.banks[rng.below(debtor.banks.len())].clone(),
        },
        scheme: "fps",
    }
}

/// By his whole name; what account it came from is nowhere on file, if the line tells it at all.
pub(super) fn by_name(debtor: &Debtor, rng: &mut Rng) -> Paying {
    let tells = !debtor.known && rng.percent(50);
    Paying {
        payer: Payer {
            name: Some(cut(&whole_name(debtor), 35)),
            account: if tells {
                debtor.banks[0].clone()
            } else {
                BankAccountRef::default()
            },
        },
        scheme: if tells { "fps" } else { "bacs_credit" },
    }
}

/// In a way that says surely who he is, if there is one.
pub(super) fn recognisable(debtor: &Debtor, rng: &mut Rng) -> Option<Paying> {
    if debtor.known_by_bank() {
        Some(from_known(debtor, rng))
    } else if debtor.unique_name && debtor.hub.is_none() {
        Some(by_name(debtor, rng))
    } else {
        None
    }
}

/// In any way; the reference has to do.
pub(super) fn anyhow_at_all(debtor: &Debtor, banks: &mut Banks, rng: &mut Rng) -> Paying {
    match rng.below(100) {
        0..55 => from_known(debtor, rng),
        // E17: he changed his bank.
        55..65 => Paying {
            payer: Payer {
                name: Some(cut(&spelling(debtor, rng), 35)),
                account: banks.next(rng),
            },
            scheme: "fps",
        },
        // Bacs has 18 characters for the name, and no account.
        65..90 => Paying {
            payer: Payer {
                name: Some(cut(&spelling(debtor, rng), FIELD)),
                account: BankAccountRef::default(),
            },
            scheme: "bacs_credit",
        },
        90..95 => Paying {
            payer: Payer::default(),
            scheme: "fps",
        },
        _ => provider(rng),
    }
}

pub(super) fn provider(rng: &mut Rng) -> Paying {
    Paying {
        payer: Payer {
            name: Some(rng.pick(&PROVIDERS).into()),
            account: BankAccountRef::default(),
        },
        scheme: "fps",
    }
}

pub(super) fn named(name: &str, account: BankAccountRef) -> Paying {
    Paying {
        payer: Payer {
            name: Some(cut(name, 35)),
            account,
        },
        scheme: "fps",
    }
}

fn whole_name(debtor: &Debtor) -> String {
    debtor.name.to_uppercase().replace(" LIMITED", " LTD")
}

/// As one bank or the other spells his name.
fn spelling(debtor: &Debtor, rng: &mut Rng) -> String {
    let name = whole_name(debtor);
    let words: Vec<&str> = name.split(' ').collect();
    match (debtor.kind, words.as_slice()) {
        (AccountKind::Individual, [first, .., last]) => {
            let initial: String = first.chars().take(1).collect();
            match rng.below(5) {
                0 => format!("{initial} {last}"),
                1 => format!("{last} {initial}"),
                2 => format!("{} {initial} {last}", rng.pick(&["MR", "MS", "MRS", "DR"])),
                _ => name,
            }
        }
        (AccountKind::SoleTrader, _) => match name.split_once(" T/A ") {
            Some((_, trade)) if rng.percent(60) => trade.to_owned(),
            _ => name,
        },
        _ => match rng.below(4) {
            0 => name.replace('&', "AND"),
            1 => name
                .trim_end_matches(" LTD")
                .trim_end_matches(" PLC")
                .to_owned(),
            2 => name.replace(" LTD", " LIMITED"),
            _ => name,
        },
    }
}
