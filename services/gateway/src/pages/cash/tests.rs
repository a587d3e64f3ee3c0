use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AllocationLine, Decision, Evidence, ReceiptState, Rule},
    api::allocation::{QueueCount, SuggestedLine},
    inbound::DocumentKind,
};
use kernel::{AccountId, AllocationId};

use super::*;
use crate::auth::{Caller, UserRole};

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

fn moment() -> DateTime<Utc> {
    "2026-11-22T09:41:07Z".parse().unwrap()
}

fn receipt(amount: &str, unallocated: &str) -> ReceiptView {
    ReceiptView {
        receipt_id: ReceiptId::generate(),
        version: 3,
        bank_account: "GB:200000-55779911".into(),
        bank_reference: Some("B-1".into()),
        booked_on: day(),
        value_on: day(),
        amount: gbp(amount),
        unallocated: gbp(unallocated),
        payer_name: Some("<b>ACME</b> & Söhne".into()),
        payer_account: Some("••4412".into()),
        narrative: "INV 104 107 LESS CN88".into(),
        state: ReceiptState::Unallocated,
        account_id: None,
        account_ref: None,
        account_name: None,
        suggestions: 1,
        recorded_at: moment(),
    }
}

fn suggestion(document: DocumentId) -> Suggestion {
    Suggestion {
        rank: 1,
        rule: Rule::DocumentNumber,
        confidence: "high".into(),
        account_id: AccountId::generate(),
        account_ref: "ACME01".into(),
        account_name: "Acme Ltd".into(),
        lines: vec![SuggestedLine {
            document_id: document,
            document_ref: "INV-104".into(),
            open: gbp("12000"),
            amount: gbp("10250"),
            due_on: day(),
        }],
        evidence: vec![
            Evidence {
                kind: "reference".into(),
                supports: true,
                detail: "the document number is in the text".into(),
            },
            Evidence {
                kind: "amount".into(),
                supports: false,
                detail: "the amount is not the open amount".into(),
            },
        ],
    }
}

fn past(document: DocumentId, amount: &str) -> AllocationView {
    AllocationView {
        line: AllocationLine {
            allocation_id: AllocationId::generate(),
            document_id: document,
            document_ref: "INV-104".into(),
            account_id: AccountId::generate(),
            amount: gbp(amount),
            contra_of: None,
            effective_on: day(),
        },
        rule: Rule::Manual,
        actor: "user:jo".into(),
        reason: "by hand".into(),
        recorded_at: moment(),
        undone: false,
    }
}

fn detail(receipt: ReceiptView, manual: Option<Manual>, history: Vec<Past>) -> Detail {
    let document = DocumentId::generate();
    Detail {
        rule: "No rule".into(),
        evidence: Vec::new(),
        runner_up: Some("BETA22, 250 pence away".into()),
        would_have_matched: Some("automatic if the amount were £10,000.00".into()),
        cards: vec![Card {
            suggestion: suggestion(document),
            total: "£10,250.00".into(),
            adjust: "/cash?a=1".into(),
        }],
        manual,
        history,
        exponent: 2,
        receipt,
    }
}

fn page(detail: Option<Detail>, may_allocate: bool) -> String {
    let place = Place {
        search: "acme & co".into(),
        ..Place::default()
    };
    let counts = QueueCounts {
        queues: vec![QueueCount {
            queue: ReceiptQueue::ToReview,
            receipts: 41,
            totals: vec![gbp("212000")],
        }],
    };
    let role = if may_allocate {
        UserRole::Controller
    } else {
        UserRole::Auditor
    };
    CashPage {
        shell: Shell {
            title: "Cash".into(),
            section: Section::Cash,
            caller: Some(Caller {
                user_id: uuid::Uuid::nil(),
                name: "jo".into(),
                roles: vec![role],
            }),
            as_at: "22 Nov 2026 09:41:07".into(),
            toast: None,
        },
        tabs: tabs(&counts, &place),
        queue: "to_review",
        rows: detail
            .iter()
            .map(|detail| Row {
                href: place.with(detail.receipt.receipt_id),
                current: true,
                receipt: detail.receipt.clone(),
            })
            .collect(),
        older: None,
        newest: None,
        next: None,
        missing: None,
        place,
        detail,
        may_allocate,
    }
    .render()
    .unwrap()
}

#[test]
fn what_a_payer_writes_is_text_and_never_markup() {
    let html = page(
        Some(detail(receipt("10250", "10250"), None, Vec::new())),
        true,
    );
    assert!(!html.contains("<b>ACME"), "markup of a payer got through");
    assert!(html.contains("&#60;b&#62;ACME&#60;/b&#62; &#38; Söhne"));
    assert!(
        html.contains("value=\"acme &#38; co\""),
        "the search is kept"
    );
}

/// The page promises to browsers that nothing is inline: see the policy in
/// `respond`.
#[test]
fn nothing_is_inline_and_nothing_is_elsewhere() {
    let html = page(
        Some(detail(receipt("10250", "10250"), None, Vec::new())),
        true,
    );
    for forbidden in [
        " style=",
        " onclick=",
        "<style",
        "javascript:",
        "hx-on",
        "http://",
        "https://",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for script in html.split("<script").skip(1) {
        assert!(script.contains("src=\"/assets/"), "{script}");
    }
}

#[test]
fn a_tab_is_a_filter_with_its_count_and_money() {
    let html = page(None, true);
    assert!(html.contains("<a href=\"/cash?queue=to_review&#38;search=acme%20%26%20co\" aria-current=\"page\">To review <b>41</b> <span class=\"num\">£212,000.00</span></a>"), "{html}");
    assert!(html.contains("No receipt matches “acme &#38; co”"));
}

#[test]
fn a_suggestion_says_what_speaks_for_and_against_it_in_words() {
    let html = page(
        Some(detail(receipt("10250", "10250"), None, Vec::new())),
        true,
    );
    assert!(html.contains("<span class=\"vh\">For: </span> the document number is in the text"));
    assert!(html.contains("<span class=\"vh\">Against: </span> the amount is not the open amount"));
    assert!(html.contains("High confidence"));
    assert!(html.contains("It would have been automatic if the amount were £10,000.00."));
    assert!(
        html.contains("name=\"version\" value=\"3\""),
        "a receipt that moved on is noticed"
    );
    assert!(html.contains("Accept £10,250.00"));
}

#[test]
fn who_may_only_read_sees_no_buttons() {
    let document = DocumentId::generate();
    let history = vec![Past {
        view: past(document, "100"),
        may_undo: false,
    }];
    let html = page(
        Some(detail(receipt("10250", "10250"), None, history)),
        false,
    );
    assert!(!html.contains("data-accept") && !html.contains("data-allocate"));
    assert!(!html.contains("action=\"/cash/undo\""));
    assert!(html.contains("High confidence"), "but everything else");
}

#[test]
fn what_was_typed_is_still_there_when_the_form_is_refused() {
    let item = OpenItemView {
        document_id: DocumentId::generate(),
        document_ref: "INV-104".into(),
        kind: DocumentKind::Invoice,
        account_id: AccountId::generate(),
        account_ref: "ACME01".into(),
        account_name: "Acme".into(),
        issued_on: day(),
        due_on: day(),
        amount: gbp("12000"),
        open: gbp("12000"),
    };
    let manual = Manual {
        items: "INV".into(),
        offers: vec![Offer {
            item,
            amount: "12x".into(),
            problem: Some("not a plain decimal number".into()),
        }],
        more: false,
        reason: "as agreed".into(),
        problems: vec!["the receipt is at version 4".into()],
        allocated: gbp("0"),
        remainder: gbp("10250"),
        begun: true,
    };
    let html = page(
        Some(detail(receipt("10250", "10250"), Some(manual), Vec::new())),
        true,
    );
    assert!(html.contains("value=\"12x\"") && html.contains("aria-invalid=\"true\""));
    assert!(html.contains("value=\"as agreed\""));
    assert!(html.contains("role=\"alert\"") && html.contains("the receipt is at version 4"));
    assert!(
        html.contains(" hx-morph-skip"),
        "a live update leaves the form alone"
    );
}

#[test]
fn the_address_holds_the_view_and_reads_back() {
    let id = DocumentId::generate();
    let receipt = ReceiptId::generate();
    let pairs: Pairs = vec![
        ("queue".into(), "suggested".into()),
        ("search".into(), " jo & co ".into()),
        ("cursor".into(), "c+1".into()),
        ("receipt".into(), receipt.to_string()),
        (format!("a.{id}"), "1,000".into()),
        (format!("r.{id}"), "INV-1".into()),
        ("a.nonsense".into(), "5".into()),
        (format!("a.{}", DocumentId::generate()), "  ".into()),
    ];
    let place = Place::read(&pairs);
    assert_eq!(place.entered, [(id, "1,000".to_owned())]);
    assert_eq!(place.references[&id], "INV-1");
    assert_eq!(
        place.with(receipt),
        format!("/cash?queue=suggested&search=jo%20%26%20co&cursor=c%2B1&receipt={receipt}")
    );
}

#[test]
fn lines_are_what_was_typed_to_the_penny() {
    let (one, two, three) = (
        DocumentId::generate(),
        DocumentId::generate(),
        DocumentId::generate(),
    );
    let place = Place {
        entered: vec![
            (one, "1,000.50".into()),
            (two, "(250)".into()),
            (three, "0".into()),
        ],
        ..Place::default()
    };
    let lines = lines(&place, Currency::GBP).unwrap();
    let of = |index: usize| (lines[index].document_id, lines[index].amount);
    assert_eq!(lines.len(), 2, "nothing is no line");
    assert_eq!((of(0), of(1)), ((one, gbp("1000.50")), (two, gbp("-250"))));
}

#[test]
fn a_line_that_cannot_be_read_or_no_line_at_all_is_refused() {
    let id = DocumentId::generate();
    let with = |text: &str| Place {
        entered: vec![(id, text.to_owned())],
        ..Place::default()
    };
    let problem = lines(&with("10.001"), Currency::GBP).unwrap_err();
    assert_eq!(
        (problem.status, problem.errors[0].pointer.clone()),
        (422, format!("/a.{id}"))
    );
    assert_eq!(
        lines(&Place::default(), Currency::GBP).unwrap_err().code,
        "gateway.nothing_allocated"
    );
    assert_eq!(
        lines(&with("0.00"), Currency::GBP).unwrap_err().code,
        "gateway.nothing_allocated"
    );
}

#[test]
fn the_toast_takes_back_what_was_just_done_and_nothing_older() {
    let document = DocumentId::generate();
    let (older, newer) = (past(document, "100"), past(document, "100"));
    let undone = AllocationView {
        undone: true,
        ..past(document, "100")
    };
    let expected = newer.line.allocation_id;
    let detail = ReceiptDetail {
        receipt: receipt("10250", "0"),
        decision: Decision {
            rule: Rule::Manual,
            evidence: Vec::new(),
            runner_up: None,
            would_have_matched: None,
        },
        suggestions: Vec::new(),
        allocations: vec![older, newer, undone],
        adjustments: Vec::new(),
        outflows: Vec::new(),
        held: None,
    };
    let line = AllocateLine {
        document_id: document,
        amount: gbp("100"),
    };
    let toast = allocated(&detail, &[line]);
    assert_eq!(toast.text, "Allocated £100.00 to 1 document.");
    assert_eq!(toast.undo.unwrap().allocations, [expected]);
}

#[test]
fn the_next_receipt_is_the_one_below_or_else_above() {
    let items: Vec<ReceiptView> = (0..3).map(|_| receipt("1", "1")).collect();
    let ids: Vec<ReceiptId> = items.iter().map(|receipt| receipt.receipt_id).collect();
    let list = Page {
        items,
        next_cursor: None,
    };
    assert_eq!(neighbour(&list, ids[0]), Some(ids[1]));
    assert_eq!(neighbour(&list, ids[2]), Some(ids[1]));
    assert_eq!(neighbour(&list, ReceiptId::generate()), None);
    let one = Page {
        items: list.items[..1].to_vec(),
        next_cursor: None,
    };
    assert_eq!(neighbour(&one, ids[0]), None);
}
