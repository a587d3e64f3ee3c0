//! Remittance advice that came apart from the cash: which receipt it is about.
//!
//! An advice belongs to a receipt when the total is the amount to the penny,
//! the day is near enough, and payer or payment reference agree. Of two that
//! fit equally neither is taken. An advice serves one receipt at most.

use std::sync::LazyLock;

use chrono::NaiveDate;
use contracts::{
    allocation::Evidence,
    ingestion::{AdvisedLine, RemittanceRecorded},
};
use kernel::{Division, Money, ReceiptId, RemittanceId, WorkingCalendar};
use rust_decimal::Decimal;

use super::{
    Advised, Books, Receipt,
    evidence::{reference_key, say},
    ledger::NAME_BEGINNING_MIN,
    name_key,
    payer::Payer,
};

/// Characters of a folded payment reference that mean something in running
/// words, at least.
const REFERENCE_MIN: usize = 6;

/// An advice that no receipt has used.
#[derive(Debug, Clone)]
pub struct Advice {
    pub id: RemittanceId,
    /// Its number at its source.
    pub number: String,
    pub payer_name: Option<String>,
    /// As `kernel::BankAccount::key`.
    pub payer_account: Option<String>,
    /// The payment reference, folded.
    pub payment_key: Option<String>,
    pub paid_on: NaiveDate,
    pub total: Money,
    pub lines: Vec<AdvisedLine>,
    /// The receipt that it is about, once that is certain: only that one sees it
    /// again.
    pub used_by: Option<ReceiptId>,
}

impl Advice {
    pub fn of(fact: &RemittanceRecorded) -> Self {
        Self {
            id: fact.remittance_id,
            number: fact.remittance_ref.clone(),
            payer_name: fact.payer_name.clone(),
            payer_account: fact.payer_account.clone(),
            payment_key: fact
                .payment_reference
                .as_deref()
                .map(reference_key)
                .filter(|key| !key.is_empty()),
            paid_on: fact.paid_on,
            total: fact.total,
            lines: fact.lines.clone(),
            used_by: None,
        }
    }

    /// The documents that it names, folded.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        self.lines
            .iter()
            .map(|line| reference_key(&line.document_number))
    }

    /// Its lines as the ladder reads them.
    pub fn advised(&self) -> Vec<Advised> {
        self.lines
            .iter()
            .map(|line| Advised {
                key: reference_key(&line.document_number),
                amount: line.amount,
            })
            .collect()
    }

    /// Whether it is surely `receipt` that it is about, and not another payment
    /// of the same payer and total.
    pub fn is_surely_of(&self, receipt: &Receipt) -> bool {
        self.used_by == Some(receipt.id) || agrees_by_reference(self, receipt)
    }

    /// Whether the ledger may hold `receipt`'s money for this advice.
    pub fn is_in_time(&self, booked_on: NaiveDate) -> bool {
        window(self.paid_on).is_some_and(|window| window.holds(self.paid_on, booked_on))
    }
}

/// A row of `data/advice-window.csv`.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    valid_from: NaiveDate,
    days_before: u32,
    days_after: u32,
    /// Amounts that differ by no more are shown.
    pub near: Decimal,
}

static WINDOWS: LazyLock<Vec<Window>> = LazyLock::new(|| {
    let rows = super::data::rows(include_str!("../../data/advice-window.csv"));
    rows.filter_map(|row| match row.as_slice() {
        [from, before, after, near] => Some(Window {
            valid_from: from.parse().ok()?,
            days_before: before.parse().ok()?,
            days_after: after.parse().ok()?,
            near: near.parse().ok()?,
        }),
        _ => None,
    })
    .collect()
});

/// The window of an advice of this day.
pub fn window(paid_on: NaiveDate) -> Option<Window> {
    let rows = WINDOWS.iter().filter(|row| row.valid_from <= paid_on);
    rows.max_by_key(|row| row.valid_from).copied()
}

/// By how much amounts may differ at most, whatever the day.
pub fn near_max() -> Decimal {
    WINDOWS.iter().map(|row| row.near).max().unwrap_or_default()
}

/// The days on which a receipt can lie for an advice of this day, holidays or
/// not: for look-ups, which the window then narrows.
pub fn days_around(paid_on: NaiveDate) -> (NaiveDate, NaiveDate) {
    let window = window(paid_on);
    // A working day is two calendar days at most, and the longest run of
    // holidays is a week.
    let span = |days: u32| chrono::Days::new(u64::from(days) * 2 + 7);
    let before = span(window.map_or(0, |window| window.days_before));
    let after = span(window.map_or(0, |window| window.days_after));
    (
        paid_on.checked_sub_days(before).unwrap_or(paid_on),
        paid_on.checked_add_days(after).unwrap_or(paid_on),
    )
}

impl Window {
    fn holds(self, paid_on: NaiveDate, booked_on: NaiveDate) -> bool {
        let calendar = WorkingCalendar::new(Division::EnglandWales);
        // Years whose holidays nobody knows yet: not sure, so not in time.
        let first = calendar.sub_working_days(paid_on, self.days_before);
        let last = calendar.add_working_days(paid_on, self.days_after);
        first.is_ok_and(|first| first <= booked_on) && last.is_ok_and(|last| booked_on <= last)
    }
}

/// What of the waiting advices is about a receipt.
#[derive(Debug)]
pub enum Found<'b> {
    None,
    /// This one, and why.
    One(&'b Advice, Vec<Evidence>),
    /// More than one fits, and nothing tells which.
    Several(Vec<&'b Advice>),
    /// Payer or reference agree, but the total is a little out (E11).
    Near(&'b Advice, Vec<Evidence>),
}

/// Looks for the advice of `receipt` among those that wait.
pub fn find<'b>(receipt: &Receipt, books: &'b Books, payer: Option<Payer>) -> Found<'b> {
    let cash = receipt.unallocated;
    let mut by_reference: Vec<&Advice> = Vec::new();
    let mut by_payer: Vec<&Advice> = Vec::new();
    let mut near: Vec<&Advice> = Vec::new();
    for advice in books.advices_near(cash) {
        if advice.used_by == Some(receipt.id) && advice.total == cash {
            return Found::One(advice, evidence(advice, receipt, false));
        }
        if advice.used_by.is_some() {
            continue;
        }
        if advice.total.currency() != cash.currency() || !advice.is_in_time(receipt.booked_on) {
            continue;
        }
        let reference = agrees_by_reference(advice, receipt);
        if !reference && !agrees_by_payer(advice, receipt, books, payer) {
            continue;
        }
        if advice.total != cash {
            near.push(advice);
        } else if reference {
            by_reference.push(advice);
        } else {
            by_payer.push(advice);
        }
    }
    match (
        by_reference.as_slice(),
        by_payer.as_slice(),
        near.as_slice(),
    ) {
        ([one], _, _) => Found::One(one, evidence(one, receipt, true)),
        ([], [one], _) => Found::One(one, evidence(one, receipt, false)),
        ([], [], [one]) => Found::Near(
            one,
            vec![
                say(
                    "remittance",
                    true,
                    format!("remittance advice {} is about this payment", one.number),
                ),
                say(
                    "amount",
                    false,
                    format!(
                        "the advice comes to {}, {} was paid",
                        one.total.display_uk(),
                        cash.display_uk()
                    ),
                ),
            ],
        ),
        ([], [], _) => Found::None,
        ([], several, _) | (several, _, _) => Found::Several(several.to_vec()),
    }
}

fn evidence(advice: &Advice, receipt: &Receipt, reference: bool) -> Vec<Evidence> {
    let by = if reference {
        "its payment reference is in the text"
    } else {
        "its payer is this one"
    };
    vec![
        say(
            "remittance",
            true,
            format!(
                "remittance advice {} comes to exactly {}, and {by}",
                advice.number,
                receipt.unallocated.display_uk()
            ),
        ),
        say(
            "date",
            true,
            format!(
                "the advice says {}, the money came on {}",
                advice.paid_on, receipt.booked_on
            ),
        ),
    ]
}

/// The advice's payment reference, or its own number, in the payer's words.
fn agrees_by_reference(advice: &Advice, receipt: &Receipt) -> bool {
    let number = reference_key(&advice.number);
    let mut said: Option<String> = None;
    let keys = advice.payment_key.iter().chain([&number]);
    keys.filter(|key| key.len() >= REFERENCE_MIN).any(|key| {
        receipt.tokens.contains(key)
            || said
                .get_or_insert_with(|| reference_key(&receipt.narrative))
                .contains(key.as_str())
    })
}

/// The same bank account or name; or the documents that it names are those of
/// the identified payer.
fn agrees_by_payer(
    advice: &Advice,
    receipt: &Receipt,
    books: &Books,
    payer: Option<Payer>,
) -> bool {
    let bank = advice.payer_account.is_some() && advice.payer_account == receipt.payer_account;
    let name = match (&advice.payer_name, &receipt.payer_name) {
        (Some(advised), Some(paid)) => {
            let (advised, paid) = (name_key(advised), name_key(paid));
            let shorter = advised.len().min(paid.len());
            advised == paid
                || shorter >= NAME_BEGINNING_MIN
                    && (advised.starts_with(&paid) || paid.starts_with(&advised))
        }
        _ => false,
    };
    let debtor = || {
        let Some(account) = payer.and_then(|payer| payer.account) else {
            return false;
        };
        let mut documents = advice
            .lines
            .iter()
            .flat_map(|line| books.named(&reference_key(&line.document_number)))
            .peekable();
        documents.peek().is_some() && documents.all(|item| item.account_id == account)
    };
    bank || name || debtor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_window_counts_working_days() {
        assert!(!WINDOWS.is_empty());
        let paid_on = day("2026-12-18");
        let window = window(paid_on).unwrap();
        // Two Christmas holidays, New Year and the week-ends do not count.
        assert!(window.holds(paid_on, day("2026-12-11")));
        assert!(!window.holds(paid_on, day("2026-12-10")));
        assert!(window.holds(paid_on, day("2027-01-06")));
        assert!(!window.holds(paid_on, day("2027-01-07")));
        let (first, last) = days_around(paid_on);
        assert!(first <= day("2026-12-11") && last >= day("2027-01-06"));
    }
}
