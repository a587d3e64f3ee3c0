//! How much speaks for a match: what ranks the suggestions, and what is kept to
//! explain an allocation later. Nothing is ever posted because of a score.

use std::{collections::BTreeSet, sync::LazyLock};

use chrono::{Datelike as _, NaiveDate};
use contracts::allocation::MatchScore;
use kernel::{AccountId, DocumentId, Money};

use super::{
    Named, Payer,
    named::{How, zeroless},
    owed,
};
use crate::domain::{
    arrival::PARTS,
    data,
    evidence::{closeness, name_words, reference_key, without_zeros, words},
    ledger::{Books, Item, Line, Receipt},
    payer::By,
};

/// A row of `data/score-weights.csv`, in thousandths.
#[derive(Debug, Clone, Copy)]
struct Weights {
    valid_from: NaiveDate,
    reference: u32,
    payer: u32,
    amount: u32,
    date: u32,
    pattern: u32,
}

static WEIGHTS: LazyLock<Vec<Weights>> = LazyLock::new(|| {
    data::rows(include_str!("../../../data/score-weights.csv"))
        .filter_map(|row| match row.as_slice() {
            [from, reference, payer, amount, date, pattern] => Some(Weights {
                valid_from: from.parse().ok()?,
                reference: reference.parse().ok()?,
                payer: payer.parse().ok()?,
                amount: amount.parse().ok()?,
                date: date.parse().ok()?,
                pattern: pattern.parse().ok()?,
            }),
            _ => None,
        })
        .collect()
});

/// What is known about a receipt when its candidates are weighed.
pub(super) struct Scale<'b> {
    receipt: &'b Receipt,
    books: &'b Books,
    payer: Option<Payer>,
    how: How,
    /// Open documents that the words name.
    named: BTreeSet<DocumentId>,
    /// Documents that a remittance advice lists.
    listed: BTreeSet<DocumentId>,
    /// The words name a document that this cash cannot pay.
    elsewhere: bool,
    /// Months that the words name.
    months: BTreeSet<u32>,
    /// The words speak of the account as a whole.
    whole: bool,
    /// What the payer owes, the oldest first.
    open: Vec<&'b Item>,
    /// What of the words could be a number without its zeros.
    zeroless: BTreeSet<String>,
    /// How near the words come to any of his documents of the amount.
    closest: u8,
    /// Words that the end of a full reference field has cut short, as keys.
    cut: Vec<&'b str>,
    /// Several numbers are named, and come to the cash: whoever pays.
    adds_up: bool,
}

/// Characters of a reference in a Bacs Direct Credit (Standard 18, field 10) and
/// in a Faster Payment: what is longer, banks cut off there.
const FIELD: usize = 18;
/// How near a number comes that such a field has cut short; nearer than any slip
/// of the finger.
const CUT: u8 = 95;
/// How near the same comes to a number that it is only a slip of.
const CUT_SLIP: u8 = 60;

/// How near a number without its zeros comes.
const ZEROLESS: u8 = 88;
/// Nearer than this, and the words may mean that one.
const CLOSE_MIN: u8 = 40;

/// Words for the whole of an account.
const WHOLE: [&str; 4] = ["BALANCE", "STATEMENT", "SETTLEMENT", "FULL"];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

impl<'b> Scale<'b> {
    pub(super) fn new(
        receipt: &'b Receipt,
        books: &'b Books,
        payer: Option<Payer>,
        named: &Named<'_>,
        listed: BTreeSet<DocumentId>,
    ) -> Self {
        let said: Vec<String> = words(&receipt.narrative)
            .map(str::to_ascii_uppercase)
            .collect();
        let months = said.iter().filter_map(|word| {
            // `JAN`, `JANUARY`, `SEPT`; `MARCHANT` is nobody's month.
            let full = [
                "JANUARY",
                "FEBRUARY",
                "MARCH",
                "APRIL",
                "MAY",
                "JUNE",
                "JULY",
                "AUGUST",
                "SEPTEMBER",
                "OCTOBER",
                "NOVEMBER",
                "DECEMBER",
            ];
            let short = MONTHS.iter().position(|month| month == word);
            let at = short.or_else(|| full.iter().position(|month| month == word))?;
            u32::try_from(at + 1).ok()
        });
        let fields: Vec<String> = receipt
            .narrative
            .split(PARTS)
            .filter(|part| part.chars().count() == FIELD)
            .map(reference_key)
            .collect();
        let cut = receipt.tokens.iter().map(String::as_str);
        let cut = cut.filter(|key| fields.iter().any(|field| field.ends_with(*key)));
        let several = named.how == How::Exactly && named.open.len() > 1;
        let cash = receipt.unallocated;
        let sum = || Money::sum(named.open.iter().map(|item| item.open), cash.currency());
        let mut scale = Self {
            cut: cut.collect(),
            adds_up: several && sum().is_ok_and(|sum| sum == cash),
            zeroless: zeroless(&receipt.narrative),
            closest: 0,
            how: named.how,
            named: named.open.iter().map(|item| item.id).collect(),
            elsewhere: !named.paid.is_empty() || !named.foreign.is_empty(),
            months: months.collect(),
            whole: said.iter().any(|word| WHOLE.contains(&word.as_str())),
            open: payer
                .and_then(|payer| payer.account)
                .map(|account| owed(account, receipt.unallocated, books))
                .unwrap_or_default(),
            receipt,
            books,
            payer,
            listed,
        };
        let of_amount = scale.open.iter().filter(|i| i.open == receipt.unallocated);
        let closest = of_amount.map(|item| scale.closeness(item)).max();
        scale.closest = closest.filter(|close| *close >= CLOSE_MIN).unwrap_or(0);
        scale
    }

    /// What an account owes, the oldest first; worked out once for the payer.
    fn owed(&self, account: AccountId) -> impl Iterator<Item = &'b Item> {
        let own = self.payer.and_then(|payer| payer.account) == Some(account);
        let others = if own {
            Vec::new()
        } else {
            owed(account, self.receipt.unallocated, self.books)
        };
        let own: &[&'b Item] = if own { &self.open } else { &[] };
        own.iter().copied().chain(others)
    }

    pub(super) fn weigh(&self, account: AccountId, lines: &[Line]) -> MatchScore {
        let items: Vec<(&Item, Money)> = lines
            .iter()
            .filter_map(|line| Some((self.books.items.get(&line.document)?, line.amount)))
            .collect();
        // Nobody mistypes two numbers and comes to the amount to the penny: this
        // payer pays for somebody else.
        let for_another = self.adds_up
            && items.len() == self.named.len()
            && items.iter().all(|(item, _)| self.named.contains(&item.id));
        let who = self.who(account);
        let mut score = MatchScore {
            reference: self.reference(&items),
            payer: if for_another { who.max(80) } else { who },
            amount: self.amount(&items),
            date: self.date(account, &items),
            pattern: self.pattern(account, &items),
            total: 0,
        };
        score.total = total(score, self.receipt.booked_on);
        score
    }

    fn reference(&self, items: &[(&Item, Money)]) -> u8 {
        let of = |set: &BTreeSet<DocumentId>| {
            items
                .iter()
                .filter(|(item, _)| set.contains(&item.id))
                .count()
        };
        if !self.listed.is_empty() {
            // Other documents than those listed are somebody else's idea.
            let all = of(&self.listed) == items.len() && items.len() == self.listed.len();
            let best = if all { 100 } else { 40 };
            return share(of(&self.listed), items.len().max(self.listed.len()), best);
        }
        // How much the words look like the numbers of these.
        let close = items
            .iter()
            .map(|(item, _)| self.closeness(item))
            .min()
            .unwrap_or_default();
        // Another document of the amount is nearer to the words than this one.
        let behind = close < self.closest;
        if self.named.is_empty() {
            let silent = if self.elsewhere { 10 } else { 50 };
            // What is written counts for more than what is due first.
            return if behind {
                10
            } else {
                silent.max(close.saturating_sub(if self.elsewhere { 40 } else { 10 }))
            };
        }
        let best = match self.how {
            How::Exactly => 100,
            How::Tail => 85,
            How::Near if behind => 45,
            How::Near => close.max(75),
        };
        match of(&self.named) {
            0 if behind => 20,
            0 => 30_u8.max(share_u8(close, 65)),
            one if one == items.len() && self.how == How::Near => best,
            of => share(of, items.len().max(self.named.len()), best),
        }
    }

    fn closeness(&self, item: &Item) -> u8 {
        let tokens = self.receipt.tokens.iter();
        let close = tokens
            .map(|key| match closeness(key, &item.ref_key) {
                100 => 100,
                // Cut short, for it ends where the field does.
                close if self.cut.contains(&key.as_str()) => {
                    if close > 0 && item.ref_key.starts_with(key.as_str()) {
                        CUT
                    } else {
                        close.min(CUT_SLIP)
                    }
                }
                close => close,
            })
            .max()
            .unwrap_or_default();
        // Numbers without their zeros look like nothing else.
        if close < ZEROLESS && self.zeroless.contains(&without_zeros(&item.document_ref)) {
            ZEROLESS
        } else {
            close
        }
    }

    fn who(&self, account: AccountId) -> u8 {
        let own = match self.payer {
            None => None,
            Some(payer) => match payer.account {
                // One of several that share the bank account or the name.
                None => Some(if self.is_candidate(account) { 50 } else { 15 }),
                Some(known) if known != account => Some(10),
                Some(_) => Some(match payer.by {
                    By::BankAccount | By::AccountNumber => 100,
                    By::Name => 85,
                    By::Learned => 60,
                    By::Hub(_) => 20,
                }),
            },
        };
        own.unwrap_or_else(|| 20 + share_u8(self.alike(account), 40))
    }

    fn is_candidate(&self, account: AccountId) -> bool {
        let bank = self.receipt.payer_account.as_deref();
        let of = |accounts: Option<&Vec<AccountId>>| {
            accounts.is_some_and(|accounts| accounts.contains(&account))
        };
        let learned = bank.and_then(|bank| self.books.learned.get(bank));
        bank.is_some_and(|bank| of(self.books.payers.get(bank)))
            || learned.is_some_and(|edges| edges.iter().any(|edge| edge.account == account))
    }

    /// How many of a hundred words of the names are the same: `J SMITH` and
    /// `Smith, John`.
    fn alike(&self, account: AccountId) -> u8 {
        let (Some(paid), Some(account)) = (
            self.receipt.payer_name.as_deref(),
            self.books.names.get(&account),
        ) else {
            return 0;
        };
        let (paid, known) = (name_words(paid), name_words(account));
        let same = paid.iter().filter(|word| known.contains(*word)).count();
        share(same, paid.len().max(1), 100)
    }

    fn amount(&self, items: &[(&Item, Money)]) -> u8 {
        let sum = items
            .iter()
            .map(|(_, amount)| amount.amount())
            .sum::<rust_decimal::Decimal>();
        let whole = items.iter().all(|(item, amount)| item.open == *amount);
        let cash = self.receipt.unallocated.amount();
        let as_listed =
            !self.listed.is_empty() && items.iter().all(|(item, _)| self.listed.contains(&item.id));
        if as_listed {
            // The rest of the list is not ours, or a penny is missing.
            return if sum == cash { 100 } else { 80 };
        }
        match (sum == cash, whole, items.len()) {
            (true, true, 1) => 100,
            (true, true, many) if many == self.open.len() => 95,
            (true, true, _) => 85,
            (true, false, 1) => 10,
            // More was paid than these are.
            (false, true, _) => 15,
            _ => 5,
        }
    }

    /// Due first, paid first: how many debts of the same amounts were due before
    /// these. Without a known payer: how near the day is.
    fn date(&self, account: AccountId, items: &[(&Item, Money)]) -> u8 {
        let debts = || items.iter().filter(|(item, _)| item.open.is_positive());
        let Some(last) = debts().map(|(item, _)| (item.due_on, item.id)).max() else {
            return 0;
        };
        if self.payer.and_then(|payer| payer.account) != Some(account) {
            let days = (self.receipt.booked_on - last.0).num_days();
            return match days {
                // Not due for long yet.
                ..-45 => 20,
                -45..-7 => 50,
                -7..=21 => 100,
                22..=60 => 80,
                _ => 60,
            };
        }
        // Each should be the first of its amount.
        let skipped = self
            .owed(account)
            .filter(|item| !items.iter().any(|(of, _)| of.id == item.id))
            .filter(|item| {
                debts().any(|(of, _)| {
                    of.open == item.open && (item.due_on, item.id) < (of.due_on, of.id)
                })
            })
            .count();
        u8::try_from(100 / (1 + skipped)).unwrap_or(100)
    }

    /// Whether people pay such a group together.
    fn pattern(&self, account: AccountId, items: &[(&Item, Money)]) -> u8 {
        let mut issued: BTreeSet<(i32, u32)> = BTreeSet::new();
        let mut credits = 0;
        for (item, _) in items {
            issued.insert((item.issued_on.year(), item.issued_on.month()));
            credits += usize::from(item.open.is_negative());
        }
        if !self.months.is_empty() {
            let meant = issued
                .iter()
                .filter(|(_, month)| self.months.contains(month));
            return share(meant.count(), issued.len().max(1), 100);
        }
        let open: Vec<&Item> = self.owed(account).collect();
        if items.len() == open.len() && open.len() > 1 {
            return 100;
        }
        let base: u8 = if self.whole && open.len() > 1 {
            10
        } else if items.len() == 1 {
            70
        } else {
            let places: Vec<usize> = (0..)
                .zip(&open)
                .filter(|(_, item)| items.iter().any(|(of, _)| of.id == item.id))
                .map(|(at, _)| at)
                .collect();
            let (first, last) = (places.first().copied(), places.last().copied());
            let run = match (first, last) {
                (Some(first), Some(last)) => last - first + 1 == places.len(),
                _ => false,
            };
            let whole_month = issued.len() == 1
                && open
                    .iter()
                    .filter(|item| {
                        issued.contains(&(item.issued_on.year(), item.issued_on.month()))
                    })
                    .count()
                    == items.len();
            match (run, first == Some(0), whole_month) {
                (true, true, _) => 90,
                (_, _, true) => 80,
                (true, false, _) => 60,
                _ => 40_u8.saturating_sub(u8::try_from(items.len()).unwrap_or(u8::MAX)),
            }
        };
        // Nobody takes a credit note off without saying so, if it can be helped.
        base.saturating_sub(if credits > 0 { 15 } else { 0 })
    }
}

fn share(part: usize, of: usize, best: u8) -> u8 {
    let part = part.min(of);
    u8::try_from(part * usize::from(best) / of.max(1)).unwrap_or(best)
}

fn share_u8(percent: u8, of: u8) -> u8 {
    share(usize::from(percent), 100, of)
}

fn total(score: MatchScore, on: NaiveDate) -> u16 {
    let rows = WEIGHTS.iter().filter(|row| row.valid_from <= on);
    let Some(weights) = rows.max_by_key(|row| row.valid_from) else {
        return 0;
    };
    let total = u32::from(score.reference) * weights.reference
        + u32::from(score.payer) * weights.payer
        + u32::from(score.amount) * weights.amount
        + u32::from(score.date) * weights.date
        + u32::from(score.pattern) * weights.pattern;
    u16::try_from(total / 100).unwrap_or(1000).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_thousandths() {
        assert!(!WEIGHTS.is_empty());
        for row in WEIGHTS.iter() {
            let sum = row.reference + row.payer + row.amount + row.date + row.pattern;
            assert_eq!(sum, 1000, "{row:?}");
        }
    }
}
