//! What a person is shown first, where nothing may be posted.

use super::*;

fn advised(lines: &[(&str, &str)]) -> Vec<Advised> {
    let lines = lines.iter().map(|(number, amount)| Advised {
        key: reference_key(number),
        amount: gbp(amount),
    });
    lines.collect()
}

/// The numbers of the best suggestion.
fn first(verdict: &Verdict, books: &Books) -> Vec<String> {
    assert!(verdict.lines.is_empty(), "posted: {:?}", verdict.decision);
    let mut numbers: Vec<String> = verdict.suggestions[0]
        .lines
        .iter()
        .map(|line| books.items[&line.document].document_ref.clone())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// A list with an order number in place of a document's: the line's amount says
/// which is meant, and a person sees the whole of it.
#[test]
fn a_line_without_our_number_is_shown_by_its_amount() {
    let items = || {
        knows_acme(books([
            item("INV-00056", 1, "191.00"),
            item("INV-00057", 1, "2850.00"),
            item("INV-00060", 1, "545.00"),
        ]))
    };
    let mut paid = from_acmes_bank("3041.00", "");
    paid.advice = advised(&[("PO-44803", "191.00"), ("INV-00057", "2850.00")]);
    let books = items();
    let verdict = decide(&paid, &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-00056", "INV-00057"]);
    let why = &verdict.suggestions[0].evidence;
    assert!(why.iter().any(|e| !e.supports && e.kind == "remittance"));
    // Two lines of one amount, or two documents of it, say nothing.
    paid = from_acmes_bank("3232.00", "");
    paid.advice = advised(&[
        ("PO-44803", "191.00"),
        ("PO-44804", "191.00"),
        ("INV-00057", "2850.00"),
    ]);
    let verdict = decide(&paid, &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-00057"]);
    paid = from_acmes_bank("3041.00", "");
    paid.advice = advised(&[("PO-44803", "191.00"), ("INV-00057", "2850.00")]);
    let mut twice = items();
    twice.add(item("INV-00061", 1, "191.00"));
    let verdict = decide(&paid, &twice).unwrap();
    assert_eq!(first(&verdict, &twice), ["INV-00057"]);
}

/// E4: a list may leave out zeros, as running words may; the amount has to be
/// the document's.
#[test]
fn e4_a_list_without_zeros_is_followed() {
    let books = knows_acme(books([
        item("INV-00018", 1, "49.90"),
        item("INV-00024", 1, "478.00"),
        item("INV-00180", 1, "49.90"),
    ]));
    let mut paid = from_acmes_bank("527.90", "");
    paid.advice = advised(&[("INV-18", "49.90"), ("INV-00024", "478.00")]);
    let verdict = decide(&paid, &books).unwrap();
    assert_eq!(verdict.decision.rule, Rule::Remittance);
    assert_eq!(lines(&verdict), ["49.90", "478.00"]);
    let mut part = from_acmes_bank("518.00", "");
    part.advice = advised(&[("INV-18", "40.00"), ("INV-00024", "478.00")]);
    assert!(decide(&part, &books).unwrap().lines.is_empty());
}

/// E7: 2.5 % less than one document, and what no other document explains.
#[test]
fn e7_a_document_less_a_discount_goes_before_the_oldest() {
    let books_with_share = || {
        books([
            item("INV-1", 1, "3960.00"),
            item("INV-2", 1, "46500.00"),
            item("INV-3", 1, "51911.00"),
        ])
    };
    let books = knows_acme(books_with_share());
    let verdict = decide(&from_acmes_bank("45337.50", ""), &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-2"]);
    assert_eq!(
        verdict.suggestions[0].lines[0].amount,
        gbp("45337.50"),
        "as much as was paid"
    );
    // Of two who may have paid, too.
    let mut tied = knows_acme(books_with_share());
    tied.payers
        .insert(ACMES_BANK.to_owned(), vec![account(1), account(2)]);
    tied.payers.remove(&name_key("ACME LIMITED"));
    let verdict = decide(&from_acmes_bank("45337.50", ""), &tied).unwrap();
    assert_eq!(first(&verdict, &tied), ["INV-2"]);
    assert_eq!(verdict.payer, None);
    // So round an amount is a share of anything.
    let verdict = decide(&from_acmes_bank("40000.00", ""), &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-1", "INV-2"]);
}

/// E4: the bank's field of 18 characters ends within the number, so its
/// beginning is right, and a slip of the finger is not what happened.
#[test]
fn e4_what_the_field_cuts_short_is_no_slip() {
    let mut items = [
        item("INV-16169", 1, "115.00"),
        item("INV-16692", 1, "115.00"),
        item("INV-10864", 1, "115.00"),
    ];
    for (item, due) in items.iter_mut().zip([8, 12, 2]) {
        item.due_on = day(due);
    }
    let books = knows_acme(books(items));
    let verdict = decide(&from_acmes_bank("115.00", "YOUR INV: INV-1669"), &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-16692"]);
    // In a field with room left it is as likely a slip, and the older goes first.
    let verdict = decide(&from_acmes_bank("115.00", "INV-1669"), &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-16169"]);
}

/// What is written, however little, says more than what is due first.
#[test]
fn e4_a_beginning_that_one_continues_goes_before_the_oldest() {
    let mut items = [
        item("INV-11470", 1, "540.00"),
        item("INV-17929", 1, "540.00"),
        item("INV-13421", 1, "540.00"),
    ];
    for (item, due) in items.iter_mut().zip([2, 14, 8]) {
        item.due_on = day(due);
    }
    let books = knows_acme(books(items));
    for text in ["INVOICE NO: INV-17", "BILL INV-17"] {
        let verdict = decide(&from_acmes_bank("540.00", text), &books).unwrap();
        assert_eq!(first(&verdict, &books), ["INV-17929"], "{text}");
    }
}

/// Two numbers of another account that come to the penny are no slip: somebody
/// pays for somebody else, whatever the payer owes of that amount.
#[test]
fn numbers_that_add_up_go_before_the_payers_own_amount() {
    let books = knows_acme(books([
        item("INV-13897", 2, "360.00"),
        item("INV-16161", 2, "360.00"),
        item("INV-16709", 1, "720.00"),
    ]));
    let verdict = decide(&from_acmes_bank("720.00", "INV-13897 INV-16161"), &books).unwrap();
    assert_eq!(first(&verdict, &books), ["INV-13897", "INV-16161"]);
}

/// More than are searched for proof, but there they are.
#[test]
fn seven_documents_that_add_up_are_shown() {
    let amounts = [
        "609.01", "1307.08", "2669.62", "493.53", "4374.10", "2526.80",
    ];
    let mut ledger = books([
        item("CN-1", 1, "-37.18"),
        item("INV-8", 1, "396.00"),
        item("INV-9", 1, "3831.11"),
    ]);
    for (n, amount) in amounts.iter().enumerate() {
        ledger.add(item(&format!("INV-{n}"), 1, amount));
    }
    let ledger = knows_acme(ledger);
    let verdict = decide(&from_acmes_bank("11942.96", ""), &ledger).unwrap();
    assert_eq!(first(&verdict, &ledger).len(), 7);
}

proptest! {
    /// A line that names nothing of ours never lets anything be posted, and what
    /// is shown never comes to more than the cash.
    #[test]
    fn a_line_that_is_not_ours_posts_nothing(
        pence in prop::collection::vec(1_000_i64..90_000, 2..8),
        astray in 0_usize..8,
        foreign in 1_000_i64..90_000,
    ) {
        let money = |pence: i64| format!("{}.{:02}", pence / 100, pence % 100);
        let number = |n: usize| format!("INV-{:05}", 10_101 + n * 1_357);
        let items = pence.iter().enumerate().map(|(n, p)| item(&number(n), 1, &money(*p)));
        let books = knows_acme(books(items));
        let mut told: Vec<(String, i64)> = pence.iter().enumerate().map(|(n, p)| (number(n), *p)).collect();
        match told.get_mut(astray) {
            Some(line) => line.0 = "ZZ-4711".to_owned(),
            None => told.push(("ZZ-4711".to_owned(), foreign)),
        }
        let sum: i64 = told.iter().map(|(_, p)| p).sum();
        let mut paid = from_acmes_bank(&money(sum), "SEE REMITTANCE");
        paid.advice = told
            .iter()
            .map(|(number, p)| Advised { key: reference_key(number), amount: gbp(&money(*p)) })
            .collect();
        let verdict = decide(&paid, &books).unwrap();
        prop_assert!(verdict.lines.is_empty());
        for shown in &verdict.suggestions {
            let sum = Money::sum(shown.lines.iter().map(|l| l.amount), Currency::GBP).unwrap();
            prop_assert!(sum.amount() <= paid.amount.amount());
            let documents: BTreeSet<_> = shown.lines.iter().map(|l| l.document).collect();
            prop_assert_eq!(documents.len(), shown.lines.len());
        }
    }

    /// A share of a document is only shown, whatever the share.
    #[test]
    fn a_share_is_never_posted(pence in prop::collection::vec(10_000_i64..9_000_000, 1..6), tenths in 1_i64..1000) {
        let money = |pence: i64| format!("{}.{:02}", pence / 100, pence % 100);
        let items = pence.iter().enumerate().map(|(n, p)| item(&format!("INV-{n}"), 1, &money(*p)));
        let books = knows_acme(books(items));
        let cash = pence[0] * tenths / 1000;
        prop_assume!(cash > 0);
        let verdict = decide(&from_acmes_bank(&money(cash), ""), &books).unwrap();
        let open = Money::sum(verdict.lines.iter().map(|l| books.items[&l.document].open), Currency::GBP).unwrap();
        prop_assert!(verdict.lines.is_empty() || open == gbp(&money(cash)));
    }
}
