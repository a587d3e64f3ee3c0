use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{
        AdjustmentKind, AllocationLine, Decision, Evidence, OutflowKind, ReceiptState, Rule,
    },
    api::allocation::{QueueCount, SuggestedLine},
    inbound::DocumentKind,
};
use kernel::{AccountId, AdjustmentId, AllocationId, OutflowId};

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
        parked: None,
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
        score: None,
        behind: None,
        would_have_matched: None,
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
        adjustments: vec![AdjustmentLine {
            adjustment_id: AdjustmentId::generate(),
            kind: AdjustmentKind::Discount,
            document_id: document,
            document_ref: "INV-7".into(),
            account_id: AccountId::generate(),
            amount: gbp("12.50"),
            effective_on: day(),
            contra_of: None,
            cause: None,
        }],
        outflows: vec![OutflowLine {
            outflow_id: OutflowId::generate(),
            kind: OutflowKind::Returned,
            amount: gbp("30.00"),
            effective_on: day(),
            contra_of: None,
            cause: None,
        }],
        history,
        exponent: 2,
        aside: receipt.parked.is_some(),
        parked: receipt.parked.clone(),
        tomorrow: day(),
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
            heard: String::new(),
            toast: None,
        },
        tabs: tabs(&counts, &place),
        queue: "to_review",
        rows: detail
            .iter()
            .map(|detail| Row {
                href: place.with(detail.receipt.receipt_id),
                current: true,
                parked: detail.aside,
                receipt: detail.receipt.clone(),
            })
            .collect(),
        older: None,
        newest: None,
        next: None,
        missing: None,
        accept: may_allocate.then(|| place.at("/cash/accept")),
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

#[test]
fn the_card_shows_what_was_settled_without_cash_what_left_and_the_way_to_a_refund() {
    let receipt = receipt("10250", "10250");
    let refund = format!("/controls/refunds/new?receipt={}", receipt.receipt_id);
    let shown = |may| page(Some(detail(receipt.clone(), None, Vec::new())), may);
    let html = shown(true);
    for part in [
        "Discount allowed</th><td>INV-7</td><td class=\"num\">£12.50",
        "Taken back by the bank</th><td>–</td><td class=\"num\">£30.00",
        refund.as_str(),
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(
        !shown(false).contains(&refund),
        "only whoever may ask for one"
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
        together: None,
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
            left: gbp("12000"),
        }],
        more: false,
        reason: "as agreed".into(),
        problems: vec!["the receipt is at version 4".into()],
        pasted: None,
        list: String::new(),
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
        decision: Decision::because(Rule::Manual, Vec::new()),
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

fn parked(until: Option<NaiveDate>) -> Parked {
    Parked {
        reason: "<i>who</i> is this?".into(),
        owner: Some("Jo".into()),
        until,
        by: "user:al".into(),
        at: moment(),
    }
}

/// E62: the day is London's; on its day a receipt is back.
#[test]
fn a_receipt_is_aside_until_its_day() {
    let today = day();
    assert!(!aside(None, today));
    assert!(aside(Some(&parked(None)), today));
    assert!(aside(Some(&parked(today.succ_opt())), today));
    assert!(!aside(Some(&parked(Some(today))), today));
    assert!(!aside(Some(&parked(today.pred_opt())), today));
}

#[test]
fn a_parked_receipt_says_why_for_whom_and_how_to_take_it_up() {
    let receipt = ReceiptView {
        parked: Some(parked(day().succ_opt())),
        ..receipt("10250", "10250")
    };
    let id = receipt.receipt_id;
    let html = page(Some(detail(receipt.clone(), None, Vec::new())), true);
    assert!(
        html.contains("&#60;i&#62;who&#60;/i&#62; is this?"),
        "{html}"
    );
    assert!(
        html.contains("For Jo. Put aside by al, 22 Nov 2026 09:41; comes back on 23 Nov 2026."),
        "{html}"
    );
    assert!(html.contains(&format!("action=\"/cash/receipts/{id}/unpark\"")));
    assert!(
        html.contains("To check until 23 Nov 2026"),
        "and in the list"
    );
    assert!(!html.contains(&format!("action=\"/cash/receipts/{id}/park\"")));
    let html = page(Some(detail(receipt, None, Vec::new())), false);
    assert!(
        !html.contains("/unpark\"") && html.contains("For Jo."),
        "who may only read is told"
    );
}

#[test]
fn a_receipt_with_money_left_can_be_put_aside_and_ticked() {
    let some = receipt("10250", "10250");
    let id = some.receipt_id;
    let html = page(Some(detail(some.clone(), None, Vec::new())), true);
    assert!(html.contains(&format!("action=\"/cash/receipts/{id}/park\"")));
    assert!(
        html.contains("name=\"owner\" value=\"jo\""),
        "by oneself unless said otherwise"
    );
    assert!(
        html.contains(&format!(
            "name=\"pick\" value=\"{id}\" data-pick=\"10250.00\""
        )),
        "{html}"
    );
    assert!(
        html.contains("href=\"/cash/accept?queue=to_review&#38;search=acme%20%26%20co\""),
        "{html}"
    );
    let html = page(Some(detail(receipt("10250", "0"), None, Vec::new())), true);
    assert!(
        !html.contains("name=\"pick\"") && !html.contains("/park\""),
        "nothing is left of it"
    );
    let html = page(Some(detail(some, None, Vec::new())), false);
    assert!(
        !html.contains("name=\"pick\"")
            && !html.contains("/park\"")
            && !html.contains("/cash/accept")
    );
}

#[test]
fn what_one_command_did_is_undone_together_and_one_line_is_not() {
    let document = DocumentId::generate();
    let place = Place::default();
    let receipt = ReceiptId::generate();
    let earlier = AllocationView {
        recorded_at: "2026-11-21T09:00:00Z".parse().unwrap(),
        ..past(document, "5")
    };
    let undone = AllocationView {
        undone: true,
        ..past(document, "7")
    };
    let lines = || {
        vec![
            earlier.clone(),
            past(document, "100"),
            undone.clone(),
            past(document, "-20"),
        ]
    };
    let together: Vec<_> = history(lines(), &place, receipt, true)
        .into_iter()
        .map(|past| past.together)
        .collect();
    let href =
        format!("/cash/undo?queue=to_review&receipt={receipt}&at=2026-11-22T09%3A41%3A07.000000Z");
    assert_eq!(together, [None, Some((2, href)), None, None]);
    assert!(
        history(lines(), &place, receipt, false)
            .iter()
            .all(|past| past.together.is_none() && !past.may_undo)
    );
}

#[test]
fn a_pasted_list_says_what_is_left_out_and_what_differs() {
    let list = paste::read("INV-104 100\nINV-<9> 5\nTotal 105.00", Currency::GBP);
    let named = [contracts::api::workbench::NamedItem {
        number: "INV-104".into(),
        item: OpenItemView {
            document_id: DocumentId::generate(),
            document_ref: "INV-104".into(),
            kind: DocumentKind::Invoice,
            account_id: AccountId::generate(),
            account_ref: "ACME01".into(),
            account_name: "Acme".into(),
            issued_on: day(),
            due_on: day(),
            amount: gbp("120"),
            open: gbp("120"),
        },
    }];
    let manual = Manual {
        items: String::new(),
        offers: Vec::new(),
        more: false,
        reason: String::new(),
        problems: Vec::new(),
        pasted: Some(paste::compare(list, &named, None, gbp("10250"))),
        list: String::new(),
        allocated: gbp("100"),
        remainder: gbp("10150"),
        begun: true,
    };
    let html = page(
        Some(detail(receipt("10250", "10250"), Some(manual), Vec::new())),
        true,
    );
    assert!(
        html.contains("1 document found, together <strong class=\"num\">£100.00</strong>"),
        "{html}"
    );
    assert!(html.contains("The receipt has £10,150.00 more than that."));
    assert!(
        html.contains("Line 2: no document is called “INV-&#60;9&#62;”"),
        "{html}"
    );
    assert!(html.contains("INV-104: the list says £100.00 of £120.00 open, which leaves £20.00"));
    assert!(
        html.contains("No document number in line 3 “Total 105.00”."),
        "{html}"
    );
}
