//! The rungs, one by one, and what must hold for any ledger and any receipt.

use chrono::{DateTime, NaiveDate};
use contracts::{allocation::Decision, inbound::DocumentKind};
use kernel::{Currency, ReceiptId};
use proptest::prelude::*;

use super::*;
use crate::domain::{
    evidence,
    ledger::{Because, Changes, post},
    name_key, reference_key,
};

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day(d: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, d).unwrap()
}

fn account(n: u128) -> AccountId {
    AccountId::from(uuid::Uuid::from_u128(n))
}

fn item(number: &str, of: u128, open: &str) -> Item {
    let amount = gbp(open);
    Item {
        id: DocumentId::generate(),
        document_ref: number.into(),
        kind: if amount.is_negative() {
            DocumentKind::CreditNote
        } else {
            DocumentKind::Invoice
        },
        account_id: account(of),
        account_ref: format!("A{of}"),
        issued_on: day(1),
        due_on: day(15),
        amount,
        open: amount,
        ref_key: reference_key(number),
        payment_key: None,
    }
}

fn receipt(amount: &str, text: &str) -> Receipt {
    Receipt {
        id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        bank_reference: None,
        booked_on: day(20),
        value_on: day(20),
        amount: gbp(amount),
        unallocated: gbp(amount),
        payer_name: Some("Acme Ltd".into()),
        payer_account: None,
        narrative: text.into(),
        tokens: evidence::keys([text]),
        account: None,
        account_ref: None,
        decision: Decision {
            rule: Rule::None,
            evidence: vec![],
            runner_up: None,
            would_have_matched: None,
        },
        suggestions: vec![],
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn books(items: impl IntoIterator<Item = Item>) -> Books {
    let mut books = Books::default();
    for item in items {
        books.add(item);
    }
    books
}

fn knows_acme(mut books: Books) -> Books {
    books
        .payers
        .insert(name_key("ACME LIMITED"), vec![account(1)]);
    books
}

#[test]
fn a_number_with_its_amount_is_posted() {
    let books = books([item("INV-104", 1, "100.00"), item("INV-105", 1, "100.00")]);
    let verdict = decide(&receipt("100.00", "INV 104"), &books).unwrap();
    assert_eq!(verdict.decision.rule, Rule::DocumentNumber);
    assert_eq!(verdict.lines.len(), 1);
    assert_eq!(
        verdict.lines[0].document,
        books.named("INV104").next().unwrap().id
    );
    assert!(verdict.decision.runner_up.unwrap().contains("INV-105"));
}

#[test]
fn several_numbers_that_add_up_are_posted_credit_notes_too() {
    let books = books([
        item("INV-104", 1, "9000.00"),
        item("INV-107", 1, "1500.00"),
        item("CN-88", 1, "-250.00"),
    ]);
    let verdict = decide(&receipt("10250.00", "INV-104 INV-107 LESS CN-88"), &books).unwrap();
    let sum: rust_decimal::Decimal = verdict.lines.iter().map(|l| l.amount.amount()).sum();
    assert_eq!(
        (verdict.lines.len(), sum.to_string().as_str()),
        (3, "10250.00")
    );
}

/// E1: two open items have the amount and nothing names either.
#[test]
fn e1_two_items_of_the_amount_are_only_shown() {
    let books = knows_acme(books([
        item("INV-1", 1, "50.00"),
        item("INV-2", 1, "50.00"),
    ]));
    let verdict = decide(&receipt("50.00", "THANK YOU"), &books).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions.len(), 2);
    assert!(verdict.suggestions.iter().all(|s| s.confidence == "low"));
}

#[test]
fn a_known_payer_with_one_item_of_the_amount_is_a_suggestion_only() {
    let books = knows_acme(books([
        item("INV-1", 1, "50.00"),
        item("INV-2", 1, "60.00"),
    ]));
    let verdict = decide(&receipt("50.00", "THANK YOU"), &books).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.payer, Some(account(1)));
    assert_eq!(verdict.suggestions.len(), 1);
    assert_eq!(verdict.suggestions[0].confidence, "high");
}

/// E2: the reference says one thing, the amount another.
#[test]
fn e2_amount_never_outvotes_a_reference() {
    let books = knows_acme(books([
        item("INV-1", 1, "80.00"),
        item("INV-2", 1, "50.00"),
    ]));
    let verdict = decide(&receipt("50.00", "INV-1"), &books).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions.len(), 2, "both are shown");
    assert_eq!(
        verdict.suggestions[0].lines[0].document,
        books.named("INV1").next().unwrap().id
    );
}

/// E3: a transposed number that exists names the wrong document; its amount
/// does not agree, so nothing is posted.
#[test]
fn e3_transposed_digits_are_not_posted() {
    let books = books([item("INV-10324", 1, "75.00"), item("INV-10234", 2, "99.00")]);
    let verdict = decide(&receipt("75.00", "INV-10234"), &books).unwrap();
    assert!(verdict.lines.is_empty());
}

/// E5: an item that is paid already is not paid again, nor is another.
#[test]
fn e5_a_paid_documents_number_holds_the_receipt() {
    let mut paid = item("INV-1", 1, "50.00");
    paid.open = gbp("0.00");
    let books = knows_acme(books([paid, item("INV-2", 1, "50.00")]));
    let verdict = decide(&receipt("50.00", "INV-1"), &books).unwrap();
    assert!(verdict.lines.is_empty());
    assert!(
        verdict
            .decision
            .evidence
            .iter()
            .any(|e| e.kind == "already_paid" && !e.supports)
    );
    assert!(verdict.suggestions.iter().all(|s| s.confidence != "high"));
}

/// E19: another currency is never matched.
#[test]
fn e19_another_currency_is_left_to_a_person() {
    let mut foreign = item("INV-1", 1, "50.00");
    foreign.amount = Money::parse("50.00", Currency::EUR).unwrap();
    foreign.open = foreign.amount;
    let verdict = decide(&receipt("50.00", "INV-1"), &books([foreign])).unwrap();
    assert!(verdict.lines.is_empty());
    assert!(
        verdict
            .decision
            .evidence
            .iter()
            .any(|e| e.kind == "currency")
    );
}

#[test]
fn an_own_reference_takes_a_part_payment_a_document_number_does_not() {
    let mut own = item("INV-1", 1, "80.00");
    own.payment_key = Some("RF18539007547034".into());
    let books = books([own, item("INV-2", 1, "80.00")]);
    let verdict = decide(&receipt("30.00", "RF18 5390 0754 7034"), &books).unwrap();
    assert_eq!(verdict.decision.rule, Rule::OwnReference);
    assert_eq!(verdict.lines[0].amount, gbp("30.00"));
    let verdict = decide(&receipt("30.00", "INV-2"), &books).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions[0].lines[0].amount, gbp("30.00"));
    let over = decide(&receipt("90.00", "RF18539007547034"), &books).unwrap();
    assert!(
        over.lines.is_empty(),
        "more than is open is never spread by itself"
    );
}

#[test]
fn documents_of_two_accounts_are_left_to_a_person() {
    let books = books([item("INV-1", 1, "10.00"), item("INV-2", 2, "20.00")]);
    assert!(
        decide(&receipt("30.00", "INV-1 INV-2"), &books)
            .unwrap()
            .lines
            .is_empty()
    );
}

#[test]
fn a_name_that_two_accounts_have_identifies_nobody() {
    let mut books = books([item("INV-1", 1, "50.00"), item("INV-2", 2, "50.00")]);
    books
        .payers
        .insert(name_key("Acme Ltd"), vec![account(1), account(2)]);
    let verdict = decide(&receipt("50.00", "THANKS"), &books).unwrap();
    assert_eq!(verdict.payer, None);
    assert!(verdict.suggestions.is_empty());
}

prop_compose! {
    fn some_item()(n in 1u32..40, of in 1u128..4, pence in 1i64..400, credit in 0u8..6, left in 0u8..4) -> Item {
        let text = format!("{}{}.{:02}", if credit == 0 { "-" } else { "" }, pence / 100, pence % 100);
        let mut item = item(&format!("INV-{n:03}"), of, &text);
        if left == 0 {
            item.open = gbp("0.00");
        }
        item
    }
}

proptest! {
    /// Whatever the ledger and the words: what is posted adds up to the
    /// receipt, is open, is of one account, and stays within each item.
    #[test]
    fn what_is_posted_is_sound(
        items in prop::collection::vec(some_item(), 0..12),
        numbers in prop::collection::vec(1u32..40, 0..4),
        pence in 1i64..1200,
    ) {
        let mut books = books(items);
        let text: Vec<String> = numbers.iter().map(|n| format!("INV-{n:03}")).collect();
        let mut receipt = receipt(&format!("{}.{:02}", pence / 100, pence % 100), &text.join(" "));
        let verdict = decide(&receipt, &books).unwrap();
        if verdict.lines.is_empty() {
            return Ok(());
        }
        let accounts: BTreeSet<_> = verdict.lines.iter().map(|l| books.items[&l.document].account_id).collect();
        prop_assert_eq!(accounts.len(), 1);
        let sum = Money::sum(verdict.lines.iter().map(|l| l.amount), Currency::GBP).unwrap();
        prop_assert_eq!(sum, receipt.amount);
        for line in &verdict.lines {
            let item = &books.items[&line.document];
            prop_assert!(!item.open.is_zero());
            prop_assert!(line.amount.abs().amount() <= item.open.abs().amount());
            prop_assert!(receipt.tokens.contains(&item.ref_key));
        }
        // Posting it balances: cash gone, journal equal to allocations.
        let mut changes = Changes::default();
        let because = Because { rule: verdict.decision.rule, reason: "", actor: "t", now: DateTime::UNIX_EPOCH, not_before: day(1) };
        let posted = post(&mut receipt, &verdict.lines, &mut books, &mut changes, &because).unwrap();
        prop_assert!(receipt.unallocated.is_zero());
        prop_assert_eq!(posted.len(), changes.entries.len());
        for (line, entry) in posted.iter().zip(&changes.entries) {
            prop_assert_eq!(line.amount.abs(), entry.amount);
            prop_assert_ne!(&entry.debit, &entry.credit);
        }
    }

    /// The same question has the same answer.
    #[test]
    fn deciding_is_deterministic(items in prop::collection::vec(some_item(), 0..10), n in 1u32..40, pence in 1i64..500) {
        let receipt = receipt(&format!("{}.{:02}", pence / 100, pence % 100), &format!("INV-{n:03}"));
        let forward = books(items.clone());
        let backward = books(items.into_iter().rev());
        let (a, b) = (decide(&receipt, &forward).unwrap(), decide(&receipt, &backward).unwrap());
        prop_assert_eq!(a.lines, b.lines);
        prop_assert_eq!(a.payer, b.payer);
        prop_assert_eq!(a.suggestions.len(), b.suggestions.len());
    }
}
