//! The rungs, one by one, and what must hold for any ledger and any receipt.

mod shown;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};
use contracts::{allocation::Decision, inbound::DocumentKind};
use kernel::{Currency, DocumentId, ReceiptId};
use proptest::prelude::*;

use super::*;
use crate::domain::{
    Advice, Advised, Edge, evidence,
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
        tail_key: evidence::tail_key(number),
        net: None,
        vat: None,
    }
}

fn receipt(amount: &str, text: &str) -> Receipt {
    Receipt {
        id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        designation: contracts::ingestion::Designation::Business,
        bank_reference: None,
        booked_on: day(20),
        value_on: day(20),
        amount: gbp(amount),
        unallocated: gbp(amount),
        paid_out: gbp("0"),
        payer_name: Some("Acme Ltd".into()),
        payer_account: None,
        narrative: text.into(),
        tokens: evidence::keys([text]),
        advice: vec![],
        detail: crate::domain::ledger::Detail::default(),
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, vec![]),
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

/// By name and by bank account.
fn knows_acme(mut books: Books) -> Books {
    books.payers.insert(ACMES_BANK.to_owned(), vec![account(1)]);
    knows_acme_by_name(books)
}

fn knows_acme_by_name(mut books: Books) -> Books {
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
        books.named(&reference_key("INV104")).next().unwrap().id
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

/// E22: the end of a number of another series is not the number of an invoice
/// without its letters, whatever the amount.
#[test]
fn e22_the_end_of_another_series_number_names_nothing() {
    let books = books([
        item("INV-22537", 1, "205.00"),
        item("SI/2026/22536", 2, "80.00"),
    ]);
    let unknown = |text: &str| Receipt {
        payer_name: None,
        ..receipt("205.00", text)
    };
    let verdict = decide(&unknown("SI/2026/22537"), &books).unwrap();
    assert!(verdict.lines.is_empty(), "{:?}", verdict.decision);
    let verdict = decide(&unknown("PAYING 22537"), &books).unwrap();
    assert_eq!(verdict.decision.rule, Rule::NearNumber);
    assert_eq!(verdict.lines.len(), 1);
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

/// By its bank account a payer is certain; a name and a round amount are not
/// enough to post.
#[test]
fn a_known_payer_with_one_item_of_the_amount() {
    let items = || [item("INV-1", 1, "50.00"), item("INV-2", 1, "60.00")];
    let verdict = decide(&receipt("50.00", "THANK YOU"), &knows_acme(books(items()))).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.payer, Some(account(1)));
    assert_eq!(verdict.suggestions.len(), 1);
    assert_eq!(verdict.suggestions[0].confidence, "medium");

    let verdict = decide(
        &from_acmes_bank("50.00", "THANK YOU"),
        &knows_acme(books(items())),
    )
    .unwrap();
    assert_eq!(verdict.decision.rule, Rule::PayerAmount);
    assert_eq!(lines(&verdict), ["50.00"]);
    // A name is enough for an amount that nothing else explains.
    let odd = [item("INV-1", 1, "1250.37"), item("INV-2", 1, "60.00")];
    let verdict = decide(&receipt("1250.37", "THANK YOU"), &knows_acme(books(odd))).unwrap();
    assert_eq!(verdict.decision.rule, Rule::PayerAmount);
}

/// The only items that add up; E13: two sets that do are shown.
#[test]
fn e13_a_sum_is_posted_only_when_it_is_unique() {
    let odd = |last: &str| {
        books([
            item("INV-1", 1, "1250.37"),
            item("INV-2", 1, "613.05"),
            item("CN-3", 1, "-100.01"),
            item("INV-4", 1, last),
        ])
    };
    let verdict = decide(&from_acmes_bank("1150.36", ""), &knows_acme(odd("77.70"))).unwrap();
    assert_eq!(verdict.decision.rule, Rule::SubsetSum);
    assert_eq!(lines(&verdict), ["-100.01", "1250.37"]);
    let verdict = decide(&from_acmes_bank("1863.42", ""), &knows_acme(odd("1863.42"))).unwrap();
    assert!(
        verdict.lines.is_empty(),
        "one item has the amount, two others add up to it"
    );
    assert_eq!(verdict.suggestions.len(), 2);
    // Round amounts: many sets fit by chance.
    let round = books((1..9).map(|n| item(&format!("INV-{n}"), 1, &format!("{n}50.00"))));
    let verdict = decide(&from_acmes_bank("1100.00", ""), &knows_acme(round)).unwrap();
    assert!(verdict.lines.is_empty());
}

#[test]
fn all_that_is_owed_or_due_is_a_balance() {
    let mut later = item("INV-3", 1, "300.00");
    later.due_on = day(28);
    let items = [
        item("INV-1", 1, "100.00"),
        item("INV-2", 1, "200.00"),
        later,
    ];
    let verdict = decide(
        &from_acmes_bank("600.00", ""),
        &knows_acme(books(items.clone())),
    )
    .unwrap();
    assert_eq!(
        (verdict.decision.rule, verdict.lines.len()),
        (Rule::Balance, 3)
    );
    // Due are 300.00; one item alone has that amount as well.
    let verdict = decide(&from_acmes_bank("300.00", ""), &knows_acme(books(items))).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions.len(), 2);
}

/// The payer's own lines, a part payment and a credit note among them; E12: one
/// line that is not ours, and a person looks.
#[test]
fn e12_the_payers_list_is_followed_when_it_adds_up() {
    let items = || {
        [
            item("INV-1", 1, "900.00"),
            item("INV-2", 1, "150.00"),
            item("CN-8", 1, "-25.00"),
        ]
    };
    let advice = |lines: &[(&str, &str)]| -> Vec<Advised> {
        lines
            .iter()
            .map(|(number, amount)| Advised {
                key: reference_key(number),
                amount: gbp(amount),
            })
            .collect()
    };
    let mut paid = receipt("525.00", "");
    paid.advice = advice(&[("INV-1", "400.00"), ("INV-2", "150.00"), ("CN-8", "25.00")]);
    let verdict = decide(&paid, &books(items())).unwrap();
    assert_eq!(verdict.decision.rule, Rule::Remittance);
    assert_eq!(lines(&verdict), ["-25.00", "150.00", "400.00"]);
    paid.advice = advice(&[("INV-1", "400.00"), ("INV-99", "125.00")]);
    assert!(decide(&paid, &books(items())).unwrap().lines.is_empty());
    paid.advice = advice(&[("INV-1", "400.00"), ("INV-2", "150.00")]);
    assert!(
        decide(&paid, &books(items())).unwrap().lines.is_empty(),
        "adds up to more"
    );
}

fn advice(number: &str, total: &str, lines: &[(&str, &str)]) -> Advice {
    Advice {
        id: kernel::RemittanceId::generate(),
        number: number.into(),
        payer_name: Some("ACME LTD".into()),
        payer_account: None,
        payment_key: Some(reference_key("BP0042117")),
        paid_on: day(18),
        total: gbp(total),
        lines: lines
            .iter()
            .map(|(number, amount)| contracts::ingestion::AdvisedLine {
                document_number: (*number).into(),
                amount: gbp(amount),
                kind: contracts::inbound::AdviceKind::Invoice,
                discount: None,
                deduction: None,
            })
            .collect(),
        used_by: None,
    }
}

fn advised_ledger(advices: impl IntoIterator<Item = Advice>) -> Books {
    let mut ledger = books([
        item("INV-1", 1, "900.00"),
        item("INV-2", 1, "150.00"),
        item("INV-3", 1, "150.00"),
        item("CN-8", 1, "-25.00"),
    ]);
    for advice in advices {
        ledger.add_advice(advice);
    }
    ledger
}

/// An advice that came apart from the cash is followed to the letter, and found
/// by its payment reference or its payer.
#[test]
fn an_advice_apart_says_what_is_paid() {
    let told = [("INV-1", "900.00"), ("INV-3", "150.00"), ("CN-8", "-25.00")];
    let ledger = advised_ledger([advice("ADV-1", "1025.00", &told)]);
    for text in ["BP0042117", "THANK YOU"] {
        let verdict = decide(&receipt("1025.00", text), &ledger).unwrap();
        assert_eq!(verdict.decision.rule, Rule::Remittance, "{text}");
        assert_eq!(lines(&verdict), ["-25.00", "150.00", "900.00"]);
        assert!(verdict.decision.remittance_id.is_some());
        assert_eq!(verdict.decision.gap, Some(1000));
    }
    // Another payer, and no reference: somebody else's advice.
    let mut other = receipt("1025.00", "THANK YOU");
    other.payer_name = Some("Somebody Else".into());
    let verdict = decide(&other, &ledger).unwrap();
    assert_eq!(verdict.decision.remittance_id, None);
    // Too late: eleven working days after.
    let mut late = receipt("1025.00", "BP0042117");
    late.booked_on = NaiveDate::from_ymd_opt(2026, 12, 3).unwrap();
    let verdict = decide(&late, &ledger).unwrap();
    assert_eq!(verdict.decision.remittance_id, None);
}

/// The payer owes the same amounts twice: payer and total do not say which of
/// two payments an advice is about, its reference does.
#[test]
fn an_advice_whose_amounts_are_owed_twice_is_only_suggested() {
    let rent = |number: &str| item(number, 1, "200.00");
    let mut ledger = books(["INV-1", "INV-2", "INV-3", "INV-4"].map(rent));
    let told = [("INV-1", "200.00"), ("INV-2", "200.00")];
    ledger.add_advice(advice("ADV-1", "400.00", &told));
    let verdict = decide(&receipt("400.00", "MONTHLY ACCOUNT"), &ledger).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions[0].rule, Rule::Remittance);
    assert_eq!(verdict.suggestions[0].lines.len(), 2);
    assert_eq!(
        verdict.decision.remittance_id, None,
        "it is still free for the payment that it is about"
    );
    let verdict = decide(&receipt("400.00", "BP0042117"), &ledger).unwrap();
    assert_eq!(lines(&verdict), ["200.00", "200.00"]);
}

/// One that a receipt has used is nobody else's, and two that fit equally are
/// nobody's.
#[test]
fn an_advice_serves_one_receipt() {
    let told = [("INV-1", "900.00"), ("INV-3", "150.00")];
    let first = advice("ADV-1", "1050.00", &told);
    let id = first.id;
    let mut ledger = advised_ledger([first.clone()]);
    let paid = receipt("1050.00", "BP0042117");
    assert!(!decide(&paid, &ledger).unwrap().lines.is_empty());
    ledger.use_advice(id, paid.unallocated, paid.id);
    let again = decide(&receipt("1050.00", "BP0042117"), &ledger).unwrap();
    assert_eq!((again.decision.remittance_id, again.lines.len()), (None, 0));
    assert!(!decide(&paid, &ledger).unwrap().lines.is_empty(), "its own");

    let mut second = advice("ADV-2", "1050.00", &told);
    second.payment_key = None;
    let mut third = second.clone();
    third.id = kernel::RemittanceId::generate();
    let verdict = decide(&receipt("1050.00", ""), &advised_ledger([second, third])).unwrap();
    assert!(verdict.lines.is_empty());
    let doubts = verdict.decision.evidence.iter().filter(|e| !e.supports);
    assert!(doubts.into_iter().any(|e| e.kind == "remittance"));
}

/// E11: a penny out, and a person looks, with the list at the top.
#[test]
fn e11_an_advice_that_is_a_penny_out_is_shown() {
    let told = [("INV-1", "900.00"), ("INV-3", "150.00")];
    for total in ["1050.01", "1049.99"] {
        let ledger = knows_acme(advised_ledger([advice("ADV-1", total, &told)]));
        let verdict = decide(&receipt("1050.00", "BP0042117"), &ledger).unwrap();
        assert!(verdict.lines.is_empty());
        assert_eq!(verdict.suggestions[0].rule, Rule::Remittance);
        assert_eq!(verdict.suggestions[0].lines.len(), 2);
        assert_eq!(verdict.decision.remittance_id, None, "it waits on");
    }
    // The cash, not the advice, is a penny short: never more than was paid.
    let ledger = knows_acme(advised_ledger([advice("ADV-1", "1050.00", &told)]));
    let verdict = decide(&receipt("1049.99", "BP0042117"), &ledger).unwrap();
    assert!(verdict.lines.is_empty());
    let sum: rust_decimal::Decimal = verdict.suggestions[0]
        .lines
        .iter()
        .map(|line| line.amount.amount())
        .sum();
    assert_eq!(sum.to_string(), "1049.99");
}

/// E12: the advice lists what is not ours. Nothing is posted, not even where
/// payer and amount would have been enough.
#[test]
fn e12_an_advice_with_a_document_that_is_not_ours_is_shown() {
    let told = [("INV-2", "150.00"), ("ZZ-777", "750.00")];
    let ledger = knows_acme(advised_ledger([advice("ADV-1", "900.00", &told)]));
    let verdict = decide(&from_acmes_bank("900.00", ""), &ledger).unwrap();
    assert!(verdict.lines.is_empty());
    assert!(verdict.decision.remittance_id.is_some(), "it is this one's");
    let first = &verdict.suggestions[0];
    assert_eq!(first.rule, Rule::Remittance);
    assert!(first.would.as_ref().unwrap().contains("open document"));
    assert!(
        verdict
            .suggestions
            .iter()
            .any(|s| s.rule == Rule::PayerAmount && s.lines[0].amount == gbp("900.00"))
    );
}

/// E2: the amount is to the penny another document's; both are shown, weighed,
/// with the gap.
#[test]
fn e2_suggestions_are_weighed() {
    let ledger = knows_acme(books([
        item("INV-104", 1, "1250.37"),
        item("INV-220", 1, "613.05"),
    ]));
    let verdict = decide(&from_acmes_bank("613.05", "INV-104"), &ledger).unwrap();
    assert!(verdict.lines.is_empty());
    let totals: Vec<u16> = verdict
        .suggestions
        .iter()
        .map(|s| s.score.unwrap().total)
        .collect();
    assert!(totals.is_sorted_by(|a, b| a >= b), "{totals:?}");
    assert_eq!(totals.len(), 2);
    assert_eq!(verdict.suggestions[0].lines[0].amount, gbp("613.05"));
    assert_eq!(verdict.suggestions[0].score.unwrap().amount, 100);
    assert_eq!(verdict.suggestions[1].score.unwrap().reference, 100);
    assert_eq!(verdict.decision.gap, Some(totals[0] - totals[1]));
    assert!(verdict.suggestions.iter().all(|s| s.would.is_some()));
}

/// E4: what the bank cut short or the payer left off still counts, with the
/// amount, and never against the payer.
#[test]
fn e4_a_spoilt_reference_with_its_amount_is_posted() {
    let items = || {
        books([
            item("INV-10324", 1, "75.31"),
            item("INV-10325", 1, "75.31"),
            item("INV-10999", 2, "75.31"),
        ])
    };
    let verdict = decide(&receipt("75.31", "PAYMENT 10324"), &items()).unwrap();
    assert_eq!(
        verdict.decision.rule,
        Rule::NearNumber,
        "nobody else is known to have paid"
    );
    let verdict = decide(&from_acmes_bank("75.31", "10999"), &knows_acme(items())).unwrap();
    assert!(verdict.lines.is_empty(), "the number is of another account");
    let verdict = decide(&from_acmes_bank("75.31", "INV-1O3Z4"), &knows_acme(items())).unwrap();
    assert_eq!(verdict.decision.rule, Rule::NearNumber);
}

/// E6: the same amount again within the period; E22: a document that is not on
/// the ledger.
#[test]
fn e6_e22_a_second_payment_and_an_unknown_number_are_held() {
    let mut paid = item("INV-10001", 1, "50.31");
    paid.open = gbp("0.00");
    let ledger = || knows_acme(books([paid.clone(), item("INV-10002", 1, "50.31")]));
    assert!(
        decide(&from_acmes_bank("50.31", ""), &ledger())
            .unwrap()
            .lines
            .is_empty()
    );
    let mut earlier = paid.clone();
    earlier.issued_on = day(1) - chrono::Days::new(31);
    let monthly = knows_acme(books([earlier, item("INV-10002", 1, "50.31")]));
    assert_eq!(
        lines(&decide(&from_acmes_bank("50.31", ""), &monthly).unwrap()),
        ["50.31"]
    );
    let other = knows_acme(books([item("INV-10002", 1, "50.31")]));
    let held = decide(&from_acmes_bank("50.31", "INV-20777"), &other).unwrap();
    assert!(held.lines.is_empty());
    assert_eq!(held.suggestions.len(), 1);
}

/// E22: a number that no document has may be of one that is yet to be issued,
/// though it looks like a slip of one that is open with the same monthly fee.
#[test]
fn e22_a_slip_with_a_common_amount_is_held() {
    let mut before = item("4100001", 1, "180.00");
    before.open = gbp("0.00");
    before.issued_on = day(1) - chrono::Days::new(31);
    let slipped = from_acmes_bank("180.00", "4100342");
    let monthly = knows_acme(books([before, item("4100324", 1, "180.00")]));
    let held = decide(&slipped, &monthly).unwrap();
    assert!(held.lines.is_empty());
    assert_eq!(held.suggestions[0].lines[0].amount, gbp("180.00"));
    let once = knows_acme(books([item("4100324", 1, "180.00")]));
    let posted = decide(&slipped, &once).unwrap();
    assert_eq!(posted.decision.rule, Rule::NearNumber);
}

/// E3: both numbers exist, and the payer owes the amount on the other one.
#[test]
fn e3_a_number_of_another_account_does_not_outvote_the_payers_own() {
    let ledger = knows_acme(books([
        item("INV-10324", 1, "75.31"),
        item("INV-10342", 2, "75.31"),
    ]));
    let verdict = decide(&from_acmes_bank("75.31", "INV-10342"), &ledger).unwrap();
    assert!(verdict.lines.is_empty());
    assert_eq!(verdict.suggestions.len(), 2);
}

/// E15: a solicitor's account that a person once allocated to a client only
/// suggests that client again; with the client's own name it is certain.
#[test]
fn e15_a_bank_account_seen_once_only_suggests() {
    let mut ledger = books([item("INV-1", 1, "50.31")]);
    let edge = |n: u128| Edge {
        account: account(n),
        evidence: 3,
        last_seen: day(1),
    };
    ledger.learned.insert(ACMES_BANK.into(), vec![edge(1)]);
    let held = decide(&from_acmes_bank("50.31", ""), &ledger).unwrap();
    assert!(held.lines.is_empty());
    assert_eq!((held.payer, held.suggestions.len()), (Some(account(1)), 1));
    assert_eq!(held.suggestions[0].confidence, "low");
    let mut known = knows_acme_by_name(ledger);
    let posted = decide(&from_acmes_bank("50.31", ""), &known).unwrap();
    assert_eq!(posted.decision.rule, Rule::PayerAmount);
    // A hub says nothing about who pays.
    known
        .learned
        .insert(ACMES_BANK.into(), vec![edge(1), edge(2), edge(3)]);
    known.payers.remove(ACMES_BANK);
    let mut paid = from_acmes_bank("50.31", "");
    paid.payer_name = Some("ROWE TUCKER SOLICITORS".into());
    let held = decide(&paid, &known).unwrap();
    assert_eq!((held.payer, held.lines.len()), (None, 0));
    assert!(
        held.decision
            .evidence
            .iter()
            .any(|e| e.detail.contains("many debtors (solicitor)"))
    );
}

/// E48: after a person took a match back it is shown again, never posted, and
/// says so.
#[test]
fn e48_what_a_person_took_back_is_only_suggested() {
    let ledger = books([item("INV-104", 1, "100.00")]);
    let paid = receipt("100.00", "INV 104");
    let undone = ledger.items.keys().copied().collect::<Vec<_>>();
    let again = suggest(&paid, &ledger, &undone).unwrap();
    assert_eq!((again.len(), again[0].confidence), (1, "low"));
    assert!(
        again[0]
            .evidence
            .iter()
            .any(|e| e.kind == "person" && !e.supports)
    );
    assert_eq!(suggest(&paid, &ledger, &[]).unwrap()[0].confidence, "high");
    let mut spent = paid;
    spent.unallocated = gbp("0.00");
    assert!(suggest(&spent, &ledger, &[]).unwrap().is_empty());
}

/// E15, E16: a bank account of several debtors identifies nobody, but the name
/// or our account number may say which of them it is.
#[test]
fn e15_e16_a_hub_does_not_vote() {
    let hub = || {
        let mut books = books([item("INV-1", 1, "50.31"), item("INV-2", 2, "50.31")]);
        books
            .payers
            .insert(ACMES_BANK.into(), vec![account(1), account(2)]);
        books
            .payers
            .insert(payer::quoted_key(&reference_key("A2")), vec![account(2)]);
        books
    };
    assert_eq!(
        decide(&from_acmes_bank("50.31", ""), &hub()).unwrap().payer,
        None
    );
    let mut quoted = from_acmes_bank("50.31", "");
    quoted.tokens = vec![reference_key("A2")];
    assert_eq!(decide(&quoted, &hub()).unwrap().payer, Some(account(2)));
    assert_eq!(
        decide(&from_acmes_bank("50.31", ""), &knows_acme_by_name(hub()))
            .unwrap()
            .payer,
        Some(account(1))
    );
}

const ACMES_BANK: &str = "GB:200000-00000001";

fn from_acmes_bank(amount: &str, text: &str) -> Receipt {
    Receipt {
        payer_account: Some(ACMES_BANK.into()),
        ..receipt(amount, text)
    }
}

fn lines(verdict: &Verdict) -> Vec<String> {
    let mut amounts: Vec<_> = verdict
        .lines
        .iter()
        .map(|line| line.amount.amount())
        .collect();
    amounts.sort();
    amounts.iter().map(ToString::to_string).collect()
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
    // To the penny is shown first, and never silently: it says what the text
    // names instead.
    let first = &verdict.suggestions[0];
    assert_eq!(
        first.lines[0].document,
        books.named(&reference_key("INV2")).next().unwrap().id
    );
    assert!(
        first
            .evidence
            .iter()
            .any(|e| e.kind == "reference" && !e.supports)
    );
    assert_eq!(
        verdict.suggestions[1].lines[0].document,
        books.named(&reference_key("INV1")).next().unwrap().id
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

/// E97: joint tenants owe one debt, which is one account. The one whose bank account
/// nobody knows pays it by its number, and it is paid for both; what the other pays
/// for it as well is held, and pays nothing else that they owe.
#[test]
fn e97_whichever_joint_tenant_pays_the_one_debt_is_paid_for_both() {
    let rent = item("RENT-1", 1, "50.00");
    let later = item("RENT-2", 1, "50.00");
    let owed = knows_acme(books([rent.clone(), later.clone()]));
    let mut other_tenant = receipt("50.00", "RENT-1");
    other_tenant.payer_name = Some("A Jones".into());
    other_tenant.payer_account = Some("GB:404040-12345678".into());
    let verdict = decide(&other_tenant, &owed).unwrap();
    assert_eq!(verdict.lines.len(), 1);
    assert_eq!(verdict.lines[0].document, rent.id);

    let paid = Item {
        open: gbp("0.00"),
        ..rent
    };
    let owed = knows_acme(books([paid, later]));
    let verdict = decide(&from_acmes_bank("50.00", "RENT-1"), &owed).unwrap();
    assert!(verdict.lines.is_empty());
    let evidence = &verdict.decision.evidence;
    assert!(evidence.iter().any(|e| e.kind == "already_paid"));
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
    assert!(verdict.suggestions.iter().all(|s| s.confidence == "low"));
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
