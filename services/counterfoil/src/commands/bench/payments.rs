//! The made-up ledger of the bench: the same for every run, spread evenly, and
//! of a known mixture, so that what must come out is known beforehand.
//!
//! Everything comes in blocks of twenty documents on two accounts, paid by
//! twenty receipts: twelve name their document in free text, three quote our
//! own reference, two pay two documents each, two know only payer and amount,
//! and one says nothing of use.

use std::ops::Range;

use chrono::{Days, NaiveDate};
use contracts::inbound::{
    AccountKind, BankAccountRef, BankReceipt, BillingAccount, BillingDocument, Direction,
    DocumentKind, Payer, RemittanceText,
};
use kernel::CreditorReference;

/// Documents of a block, and receipts that pay it.
pub(super) const BLOCK: u64 = 20;
/// Accounts of a block.
pub(super) const ACCOUNTS: u64 = 2;
/// Receipts of a block that are allocated without a person, at least.
pub(super) const ALLOCATED: u64 = 17;
/// Receipts of a block that wait with a suggestion, at least: two know only
/// payer and amount, and the first of them may have taken the document.
pub(super) const SUGGESTED: u64 = 1;

const DOCUMENTS_PER_ACCOUNT: u64 = BLOCK / ACCOUNTS;
/// A document in so many has a payment reference.
const REFERENCED: u64 = 4;

/// What a receipt of a block says it is for: documents by their place.
enum Says {
    Number(u64),
    OurReference(u64),
    Two(u64, u64),
    PayerOnly(u64),
    Nothing,
}

const SAYINGS: [Says; BLOCK as usize] = [
    Says::OurReference(0),
    Says::OurReference(4),
    Says::OurReference(8),
    Says::Two(1, 2),
    Says::Two(11, 13),
    Says::Number(3),
    Says::Number(5),
    Says::Number(6),
    Says::Number(7),
    Says::Number(9),
    Says::Number(10),
    Says::Number(12),
    Says::Number(14),
    Says::Number(15),
    Says::Number(16),
    Says::Number(17),
    Says::Number(18),
    Says::PayerOnly(19),
    Says::PayerOnly(19),
    Says::Nothing,
];

/// Spreads numbers over all of `u64` (the finaliser of `SplitMix64`): equal for
/// equal, and in no order.
const fn scatter(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Puts things in an order without a pattern.
pub(super) fn shuffle(numbers: &mut [u64]) {
    numbers.sort_unstable_by_key(|number| scatter(*number));
}

/// In pence. No two open items of an account have the same.
const fn amount(document: u64) -> u64 {
    10_000 + scatter(document) % 90_000 * 10 + document % DOCUMENTS_PER_ACCOUNT
}

fn pounds(pence: u64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

fn account_ref(account: u64) -> String {
    format!("B{account:07}")
}

fn account_name(account: u64) -> String {
    format!("Bench Debtor {account} Limited")
}

fn document_ref(document: u64) -> String {
    format!("INV-{document:07}")
}

fn payment_reference(document: u64) -> anyhow::Result<String> {
    Ok(CreditorReference::generate(&format!("{document:07}"))?.to_string())
}

/// The accounts of some blocks, as billing tells of them.
pub(super) fn accounts(blocks: Range<u64>) -> impl Iterator<Item = BillingAccount> {
    (blocks.start * ACCOUNTS..blocks.end * ACCOUNTS).map(|account| BillingAccount {
        account_ref: account_ref(account),
        name: account_name(account),
        kind: AccountKind::Company,
        parent_ref: None,
        terms_days: Some(30),
        currency: "GBP".to_owned(),
        email: Some(format!("accounts@debtor{account}.example")),
        phone: None,
        address: None,
        segment: None,
        department: None,
        principal: None,
        debtors: None,
    })
}

/// The documents of some blocks, issued and due before `today`.
pub(super) fn documents(
    blocks: Range<u64>,
    today: NaiveDate,
) -> impl Iterator<Item = anyhow::Result<BillingDocument>> {
    (blocks.start * BLOCK..blocks.end * BLOCK).map(move |document| {
        let referenced = document.is_multiple_of(REFERENCED);
        Ok(BillingDocument {
            document_ref: document_ref(document),
            kind: DocumentKind::Invoice,
            account_ref: account_ref(document / DOCUMENTS_PER_ACCOUNT),
            matter_ref: None,
            issued_on: today - Days::new(40 + document % 20),
            due_on: today - Days::new(10 + document % 20),
            gross: pounds(amount(document)),
            net: None,
            vat: None,
            currency: "GBP".to_owned(),
            payment_reference: referenced
                .then(|| payment_reference(document))
                .transpose()?,
            lines: Vec::new(),
        })
    })
}

/// The receipts that pay `blocks`, in an order without a pattern.
pub(super) fn receipts(
    blocks: &[u64],
    today: NaiveDate,
) -> impl Iterator<Item = anyhow::Result<BankReceipt>> {
    let mut numbers: Vec<u64> = blocks
        .iter()
        .flat_map(|block| block * BLOCK..(block + 1) * BLOCK)
        .collect();
    shuffle(&mut numbers);
    numbers
        .into_iter()
        .map(move |number| receipt(number, today))
}

fn receipt(number: u64, today: NaiveDate) -> anyhow::Result<BankReceipt> {
    let first = number / BLOCK * BLOCK;
    let mut pence = amount(number);
    let mut payer = None;
    let mut reference = None;
    let words;
    match SAYINGS
        .get((number % BLOCK) as usize)
        .unwrap_or(&Says::Nothing)
    {
        Says::Number(at) => {
            let document = first + at;
            pence = amount(document);
            payer = Some(document / DOCUMENTS_PER_ACCOUNT);
            words = match number % 3 {
                0 => format!("PAYMENT OF {} WITH THANKS", document_ref(document)),
                1 => format!("inv {document:07} bench debtor"),
                _ => format!("FPI REF {}/MARCH", document_ref(document)),
            };
        }
        Says::OurReference(at) => {
            let document = first + at;
            pence = amount(document);
            payer = Some(document / DOCUMENTS_PER_ACCOUNT);
            reference = Some(payment_reference(document)?);
            words = "YOUR INVOICE".to_owned();
        }
        Says::Two(at, and_at) => {
            let (one, other) = (first + at, first + and_at);
            pence = amount(one) + amount(other);
            payer = Some(one / DOCUMENTS_PER_ACCOUNT);
            words = format!("{}, {}", document_ref(one), document_ref(other));
        }
        Says::PayerOnly(at) => {
            let document = first + at;
            pence = amount(document);
            payer = Some(document / DOCUMENTS_PER_ACCOUNT);
            words = "MONTHLY SETTLEMENT".to_owned();
        }
        Says::Nothing => words = "COUNTER CREDIT".to_owned(),
    }
    Ok(BankReceipt {
        feed: "bench".to_owned(),
        bank_account: BankAccountRef {
            sort_code: Some("20-00-00".to_owned()),
            account_number: Some("55779911".to_owned()),
            iban: None,
        },
        bank_reference: format!("FP{number:010}"),
        booked_on: today,
        value_on: today,
        amount: pounds(pence),
        currency: "GBP".to_owned(),
        direction: Direction::Credit,
        scheme: Some("faster_payments".to_owned()),
        payer: payer.map_or_else(Payer::default, |account| Payer {
            name: Some(account_name(account).to_uppercase()),
            account: BankAccountRef {
                sort_code: Some("60-16-13".to_owned()),
                account_number: Some(format!("{account:08}")),
                iban: None,
            },
        }),
        reference,
        end_to_end_id: Some(format!("E2E{number:012}")),
        mandate_reference: None,
        return_reason: None,
        remittance: Some(RemittanceText {
            unstructured: vec![words],
            structured: Vec::new(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, 2).unwrap()
    }

    /// The counts that the bench expects are those that it publishes.
    #[test]
    fn a_block_has_the_mixture_that_is_said() {
        let count = |wanted: fn(&Says) -> bool| SAYINGS.iter().filter(|s| wanted(s)).count() as u64;
        assert_eq!(count(|s| matches!(s, Says::Number(_))), 12);
        assert_eq!(count(|s| matches!(s, Says::OurReference(_))), 3);
        assert_eq!(count(|s| matches!(s, Says::Two(..))), 2);
        assert_eq!(ALLOCATED, 12 + 3 + 2);
        // The first of them may find the document and take it.
        assert_eq!(count(|s| matches!(s, Says::PayerOnly(_))), SUGGESTED + 1);
        // Each document is meant once, but for the one that only the payer shows.
        let mut meant = Vec::new();
        for says in &SAYINGS {
            match says {
                Says::Number(a) => meant.push(*a),
                Says::OurReference(a) => {
                    assert!(a.is_multiple_of(REFERENCED));
                    meant.push(*a);
                }
                Says::Two(a, b) => {
                    assert_eq!(a / DOCUMENTS_PER_ACCOUNT, b / DOCUMENTS_PER_ACCOUNT);
                    meant.extend([*a, *b]);
                }
                Says::PayerOnly(_) | Says::Nothing => {}
            }
        }
        meant.sort_unstable();
        assert_eq!(meant, (0..BLOCK - 1).collect::<Vec<_>>());
    }

    #[test]
    fn receipts_are_all_different_and_pay_what_is_owed() {
        let owed: BTreeMap<String, String> = documents(3..6, today())
            .map(|d| d.unwrap())
            .map(|d| (d.document_ref, d.gross))
            .collect();
        let receipts: Vec<BankReceipt> =
            receipts(&[3, 4, 5], today()).map(|r| r.unwrap()).collect();
        assert_eq!(receipts.len(), 60);
        let references: BTreeSet<&str> =
            receipts.iter().map(|r| r.bank_reference.as_str()).collect();
        assert_eq!(references.len(), 60);
        let named = receipts.iter().filter_map(|r| {
            let words = r.remittance.as_ref()?.unstructured.first()?;
            let number = words.strip_prefix("PAYMENT OF ")?.split(' ').next()?;
            Some((number.to_owned(), r.amount.clone()))
        });
        let mut seen = 0;
        for (number, paid) in named {
            assert_eq!(owed.get(&number), Some(&paid));
            seen += 1;
        }
        assert!(seen > 5);
    }

    #[test]
    fn no_two_items_of_an_account_are_alike() {
        for account in 0..50 {
            let amounts: BTreeSet<u64> = (account * 10..account * 10 + 10).map(amount).collect();
            assert_eq!(amounts.len(), 10);
        }
    }
}
