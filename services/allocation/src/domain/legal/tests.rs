//! The rules of client money, and that no sequence of them breaks the two that
//! matter: nobody holds less than nothing, and no penny is lost.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{Decision, OutflowKind, Rule},
    inbound::{DocumentKind, MatterStatus},
    ingestion::{Designation, MatterRecorded},
    matters::{
        BankMoveKind, Component, DisbursementKind, DisbursementStep, EntryKind, RecoveryState,
        ResidualRoute, ResidualState, Side, SupplierState,
    },
};
use kernel::{
    AccountId, Classified, Currency, DisbursementId, DocumentId, MatterId, Money, ReceiptId,
    ResidualId,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    LegalChanges, Matter, Settings, bounce,
    client::{self, Held, Payment},
    disbursement::{self, Disbursement},
    files, residual,
    residual::{Proposal, Residual},
    split::{self, Part},
};
use crate::domain::ledger::{self, Because, Books, Changes, Detail, Item, Receipt, chart};

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn pennies(amount: i64) -> Money {
    Money::try_new(rust_decimal::Decimal::new(amount, 2), Currency::GBP).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    "2026-03-10T09:00:00Z".parse().unwrap()
}

fn settings() -> Settings {
    Settings {
        charity_limit: gbp("500"),
        tracing_needed: 2,
        inactive_days: 180,
        escalation_days: [7, 14, 28],
        to_client_days: 1,
        to_business_days: 1,
    }
}

fn because() -> Because<'static> {
    Because {
        rule: Rule::Manual,
        reason: "test",
        actor: "user:jo",
        now: now(),
        not_before: day("2026-03-10"),
    }
}

fn matter() -> Matter {
    Matter {
        id: MatterId::generate(),
        reference: "OIC-26-01000".into(),
        version: 1,
        source_version: 1,
        account_id: AccountId::generate(),
        account_ref: "C-1".into(),
        title: "RTA 1 Feb 2026".into(),
        fee_earner: None,
        opened_on: day("2026-02-01"),
        concluded_on: None,
        closed_on: None,
        status: MatterStatus::Opened,
        status_on: day("2026-02-01"),
        hold: None,
        hold_ended_on: None,
    }
}

fn held(amount: &str) -> Held {
    Held::new(matter(), [gbp(amount)])
}

fn receipt(amount: Money) -> Receipt {
    Receipt {
        id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        designation: Designation::Business,
        bank_reference: None,
        booked_on: day("2026-03-09"),
        value_on: day("2026-03-09"),
        amount,
        unallocated: amount,
        paid_out: Money::zero(amount.currency()),
        payer_name: None,
        payer_account: None,
        narrative: String::new(),
        tokens: Vec::new(),
        advice: Vec::new(),
        detail: Detail::default(),
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: Vec::new(),
        recorded_at: now(),
    }
}

fn bill(number: &str, amount: Money) -> Item {
    Item {
        id: DocumentId::generate(),
        document_ref: number.into(),
        kind: DocumentKind::Invoice,
        account_id: AccountId::generate(),
        account_ref: "C-1".into(),
        issued_on: day("2026-03-01"),
        due_on: day("2026-03-31"),
        amount,
        open: amount,
        ref_key: number.into(),
        payment_key: None,
        tail_key: None,
        net: None,
        vat: None,
    }
}

fn books(items: &[&Item]) -> Books {
    let mut books = Books::default();
    for item in items {
        books.add((*item).clone());
    }
    books
}

fn part(component: Component, amount: &str) -> Part {
    Part {
        component,
        amount: gbp(amount),
        document: None,
        disbursement: None,
        paid_by_firm: false,
    }
}

/// E91: damages, costs, VAT and disbursements in one OIC receipt. Before a bill
/// is delivered all of it but what the firm has laid out is the client's.
#[test]
fn e91_without_a_bill_costs_are_client_money() {
    let parts = [
        part(Component::Damages, "1450.00"),
        part(Component::Costs, "500.00"),
        part(Component::Vat, "100.00"),
        part(Component::Disbursement, "216.00"),
        Part {
            paid_by_firm: true,
            ..part(Component::Disbursement, "180.00")
        },
    ];
    let plan = split::plan("M", &parts, &[], &Books::default(), gbp("2446.00")).unwrap();
    assert!(plan.bills.is_empty());
    assert_eq!(
        plan.left,
        gbp("180.00"),
        "the firm's own, with no bill open"
    );
    let client = Money::sum(plan.client.iter().map(|c| c.amount), Currency::GBP).unwrap();
    assert_eq!(client, gbp("2266.00"));
}

/// E91: with a delivered bill, costs and VAT pay it and no more than it needs;
/// damages never do.
#[test]
fn e91_with_a_bill_costs_pay_it_and_the_rest_stays_the_clients() {
    let invoice = bill("LB1", gbp("550.00"));
    let parts = [
        part(Component::Damages, "1450.00"),
        part(Component::Costs, "500.00"),
        part(Component::Vat, "100.00"),
    ];
    let books = books(&[&invoice]);
    let plan = split::plan("M", &parts, &[invoice.id], &books, gbp("2050")).unwrap();
    let paid = Money::sum(plan.bills.iter().map(|l| l.amount), Currency::GBP).unwrap();
    assert_eq!(paid, gbp("550.00"));
    let client: Vec<_> = plan
        .client
        .iter()
        .map(|c| (c.component, c.amount))
        .collect();
    assert_eq!(
        client,
        [
            (Component::Damages, gbp("1450.00")),
            (Component::Vat, gbp("50.00"))
        ]
    );
}

#[test]
fn a_named_bill_must_be_of_the_matter_and_open_for_all_of_the_part() {
    let invoice = bill("LB1", gbp("100.00"));
    let other = bill("LB2", gbp("900.00"));
    let books = books(&[&invoice, &other]);
    let named = |id| Part {
        document: Some(id),
        ..part(Component::Costs, "150.00")
    };
    let refused = |parts: &[Part]| {
        split::plan("M", parts, &[invoice.id], &books, gbp("1000"))
            .unwrap_err()
            .code()
    };
    assert_eq!(refused(&[named(invoice.id)]), "matters.more_than_billed");
    assert_eq!(refused(&[named(other.id)]), "matters.no_delivered_bill");
    assert_eq!(
        refused(&[part(Component::Damages, "1000.01")]),
        "matters.more_than_left"
    );
    assert_eq!(refused(&[]), "matters.part_count");
}

fn transfer(
    held: &mut Held,
    invoice: &Item,
    books: &mut Books,
    amount: &str,
) -> Result<(Changes, LegalChanges), &'static str> {
    let (mut changes, mut legal) = (Changes::default(), LegalChanges::default());
    client::transfer(
        held,
        &[invoice.id],
        invoice.id,
        gbp(amount),
        books,
        &mut changes,
        &mut legal,
        Uuid::now_v7(),
        &settings(),
        &because(),
    )
    .map_err(|refused| refused.code())?;
    Ok((changes, legal))
}

/// SRA 4.3: only against a delivered bill, and no more than it needs and the
/// client has.
#[test]
fn an_office_transfer_goes_as_far_as_the_bill_and_the_balance() {
    let invoice = bill("LB1", gbp("600.00"));
    let mut books = books(&[&invoice]);
    let mut client = held("500.00");
    assert_eq!(
        transfer(&mut client, &invoice, &mut books, "500.01").unwrap_err(),
        "matters.more_than_held"
    );
    let mut rich = held("5000.00");
    assert_eq!(
        transfer(&mut rich, &invoice, &mut books, "600.01").unwrap_err(),
        "matters.more_than_billed"
    );
    let stranger = bill("LB9", gbp("1"));
    let (mut changes, mut legal) = (Changes::default(), LegalChanges::default());
    let refused = client::transfer(
        &mut rich,
        &[invoice.id],
        stranger.id,
        gbp("1"),
        &mut books,
        &mut changes,
        &mut legal,
        Uuid::now_v7(),
        &settings(),
        &because(),
    );
    assert_eq!(refused.unwrap_err().code(), "matters.no_delivered_bill");

    let (changes, legal) = transfer(&mut client, &invoice, &mut books, "500").unwrap();
    assert_eq!(client.balance(Currency::GBP), gbp("0"));
    assert_eq!(books.items[&invoice.id].open, gbp("100.00"));
    // Client money has gone and the debt with it; the bank still has to follow.
    let entry = &changes.entries[0];
    assert_eq!(
        (entry.debit.as_str(), entry.credit.as_str()),
        (chart::CLIENT_MONEY, "debtors")
    );
    let due = &legal.moves[0].bank_move;
    assert_eq!(
        (due.kind, due.to),
        (BankMoveKind::OfficeTransfer, Side::Business)
    );
}

/// E94: the client's receipt bounces after an office transfer: the firm makes
/// the shortage good, due the same day, and the client is never below nothing.
#[test]
fn e94_a_bounced_receipt_after_a_transfer_is_a_shortage_of_the_same_day() {
    let mut client = held("0");
    let mut money = receipt(gbp("1000"));
    let (mut changes, mut legal) = (Changes::default(), LegalChanges::default());
    let plan = split::plan(
        "M",
        &[part(Component::Damages, "1000")],
        &[],
        &Books::default(),
        gbp("1000"),
    )
    .unwrap();
    let moves = split::apply(
        &plan,
        &mut client,
        &mut money,
        &mut Books::default(),
        &mut changes,
        &mut legal,
        Uuid::now_v7(),
        &because(),
    )
    .unwrap();
    let received = legal.entries[0].entry.clone();
    assert_eq!(
        received.entry_id.as_uuid(),
        moves.outflows[0].outflow_id.as_uuid()
    );

    let invoice = bill("LB1", gbp("700"));
    transfer(&mut client, &invoice, &mut books(&[&invoice]), "700").unwrap();
    assert_eq!(client.balance(Currency::GBP), gbp("300"));

    let contra =
        ledger::undo_outflow(&mut money, &mut changes, &moves.outflows[0], &because()).unwrap();
    let mut bounced = LegalChanges::default();
    money.designation = Designation::Client;
    let short = bounce::bounce(
        &mut client,
        &mut bounced,
        &money,
        &[(received, contra.outflow_id.as_uuid())],
        gbp("1000"),
        Uuid::now_v7(),
        &settings(),
        &because(),
    )
    .unwrap();
    assert_eq!(short, Some(gbp("700")));
    assert_eq!(client.balance(Currency::GBP), gbp("0"));
    assert_eq!(money.unallocated, gbp("1000"), "the bank can take it back");
    let due = &bounced.moves[0].bank_move;
    assert_eq!((due.kind, due.to), (BankMoveKind::Shortage, Side::Client));
    assert_eq!(due.due_by, day("2026-03-10"), "the same day");
    let kinds: Vec<_> = bounced.entries.iter().map(|row| row.entry.kind).collect();
    assert_eq!(
        kinds,
        [EntryKind::Correction, EntryKind::Received],
        "made good before it goes"
    );
}

#[test]
fn what_stands_on_the_wrong_account_must_be_moved_and_only_once() {
    let client = held("0");
    let noted = |designation, to_client, before| {
        let mut legal = LegalChanges::default();
        let mut money = receipt(gbp("100"));
        money.designation = designation;
        client::settle_bank(
            &client,
            &mut legal,
            &money,
            gbp(to_client),
            gbp(before),
            day("2026-03-06"),
            &settings(),
        )
        .unwrap();
        let row = legal.moves.pop();
        row.map(|row| (row.bank_move.to, row.bank_move.amount, row.bank_move.due_by))
    };
    // A Friday: the next working day is Monday.
    let monday = day("2026-03-09");
    assert_eq!(
        noted(Designation::Business, "60", "0"),
        Some((Side::Client, gbp("60"), monday))
    );
    assert_eq!(noted(Designation::Business, "60", "-60"), None);
    // Taken back after the move was noted: the other way.
    assert_eq!(
        noted(Designation::Business, "0", "-60"),
        Some((Side::Business, gbp("60"), monday))
    );
    // It stands on a client account, as it should.
    assert_eq!(noted(Designation::Client, "60", "0"), None);
    // The firm's part there goes to a business account; what the bank has taken
    // back of it is missing for other clients today (E94).
    let share = |missing: &str, returned| {
        let due = client::office_share(
            gbp(missing),
            "GB:200000-1",
            ReceiptId::generate(),
            returned,
            day("2026-03-06"),
            &settings(),
        )
        .unwrap();
        (due.kind, due.to, due.amount, due.due_by)
    };
    let mixed = BankMoveKind::MixedReceipt;
    assert_eq!(
        share("40", false),
        (mixed, Side::Business, gbp("40"), monday)
    );
    assert_eq!(
        share("-40", false),
        (mixed, Side::Client, gbp("40"), monday)
    );
    assert_eq!(
        share("-40", true),
        (
            BankMoveKind::Shortage,
            Side::Client,
            gbp("40"),
            day("2026-03-06")
        )
    );
}

fn concluded(on: &str) -> Matter {
    Matter {
        status: MatterStatus::Concluded,
        concluded_on: Some(day(on)),
        status_on: day(on),
        ..matter()
    }
}

#[test]
fn the_clock_runs_from_the_last_proper_reason() {
    let since = |matter: &Matter, moved: &str| {
        residual::held_without_reason_since(matter, day(moved), day("2026-09-30"), &settings())
            .map(|on| on.to_string())
    };
    assert_eq!(
        since(&concluded("2026-05-01"), "2026-04-01").as_deref(),
        Some("2026-05-01")
    );
    assert_eq!(
        since(&concluded("2026-05-01"), "2026-06-01").as_deref(),
        Some("2026-06-01"),
        "interest that came later"
    );
    let live = matter();
    assert_eq!(since(&live, "2026-09-01"), None, "work goes on");
    assert_eq!(
        since(&live, "2026-02-20").as_deref(),
        Some("2026-02-20"),
        "nobody has touched it for half a year"
    );
    let kept = Matter {
        hold: Some(("counsel's fee is disputed".into(), day("2026-12-31"))),
        ..concluded("2026-05-01")
    };
    assert_eq!(since(&kept, "2026-04-01"), None);
    let over = Matter {
        hold: Some(("counsel's fee is disputed".into(), day("2026-08-31"))),
        ..concluded("2026-05-01")
    };
    assert_eq!(since(&over, "2026-04-01").as_deref(), Some("2026-08-31"));
}

#[test]
fn escalation_goes_by_days() {
    let level = |today: &str| {
        let (level, next) = residual::escalation(day("2026-05-01"), day(today), &settings());
        (level, next.map(|on| on.to_string()))
    };
    assert_eq!(level("2026-05-07"), (0, Some("2026-05-08".into())));
    assert_eq!(level("2026-05-08"), (1, Some("2026-05-15".into())));
    assert_eq!(level("2026-05-15"), (2, Some("2026-05-29".into())));
    assert_eq!(level("2026-06-30"), (3, None));
}

fn residual_of(balance: &str, traced: i64) -> Residual {
    Residual {
        id: ResidualId::generate(),
        version: 1,
        matter: MatterId::generate(),
        balance: gbp(balance),
        state: ResidualState::Open,
        since: day("2026-01-01"),
        level: 0,
        tracing_steps: traced,
        sra_applied_on: None,
        sra_reference: None,
        proposal: None,
    }
}

fn to_charity(route: ResidualRoute) -> Proposal {
    Proposal {
        route,
        payee: "Access to Justice Foundation".into(),
        charity_number: Some("1126147".into()),
        reason: "owner not found".into(),
        requested_by: "user:jo".into(),
        requested_at: now(),
        bank_account: "GB:200000-55779912".into(),
        approval: None,
    }
}

/// E93: twelve pence are a residual balance like any other; the limit and the
/// tracing decide, not the amount.
#[test]
fn e93_no_amount_is_too_small_and_none_goes_without_tracing() {
    let code = |mut residual: Residual, route| {
        residual::propose(&mut residual, to_charity(route), &settings())
            .err()
            .map(|refused| refused.code())
    };
    assert_eq!(
        code(residual_of("0.12", 1), ResidualRoute::Charity),
        Some("matters.not_traced")
    );
    assert_eq!(code(residual_of("0.12", 2), ResidualRoute::Charity), None);
    assert_eq!(code(residual_of("500.00", 2), ResidualRoute::Charity), None);
    assert_eq!(
        code(residual_of("500.01", 9), ResidualRoute::Charity),
        Some("matters.above_charity_limit")
    );
    assert_eq!(
        code(residual_of("500.01", 9), ResidualRoute::SraAuthorised),
        Some("matters.no_sra_application")
    );
    let applied = Residual {
        sra_applied_on: Some(day("2026-02-01")),
        ..residual_of("500.01", 9)
    };
    assert_eq!(code(applied, ResidualRoute::SraAuthorised), None);
    let euros = Residual {
        balance: Money::parse("1", Currency::EUR).unwrap(),
        ..residual_of("1", 9)
    };
    assert_eq!(
        code(euros, ResidualRoute::Charity),
        Some("matters.above_charity_limit"),
        "the limit is in pounds"
    );
}

/// E102: an approval is of what was shown, and the rules are held against it once
/// more; who may approve is worklist's to say.
#[test]
fn e102_what_was_approved_is_what_leaves() {
    let mut residual = residual_of("0.12", 2);
    residual::propose(
        &mut residual,
        to_charity(ResidualRoute::Charity),
        &settings(),
    )
    .unwrap();
    let frozen =
        |residual: &Residual| contracts::controls::frozen(&residual::content(residual, "M1")).1;
    let shown = frozen(&residual);
    let moved = Residual {
        since: residual.since + chrono::Days::new(1),
        ..residual.clone()
    };
    let mut grown = Residual {
        balance: gbp("600"),
        ..residual.clone()
    };
    assert_ne!(frozen(&moved), shown);
    assert_ne!(frozen(&grown), shown);
    let refused = residual::approved(&mut grown, &settings()).err();
    assert_eq!(
        refused.map(|refused| refused.code()),
        Some("matters.above_charity_limit")
    );
    assert_eq!(grown.state, ResidualState::Proposed);
    let mut back = residual.clone();
    residual::back(&mut back).unwrap();
    assert_eq!((back.state, back.proposal), (ResidualState::Open, None));
    assert!(residual::approved(&mut residual, &settings()).is_ok());
    assert_eq!(residual.state, ResidualState::Closed);
    assert!(
        residual::approved(&mut residual, &settings()).is_err(),
        "once"
    );
}

fn report() -> Disbursement {
    Disbursement {
        id: DisbursementId::generate(),
        version: 1,
        matter: MatterId::generate(),
        kind: DisbursementKind::MedicalReport,
        supplier: "MedCo Reports".into(),
        amount: gbp("216.00"),
        vat: gbp("36.00"),
        incurred_on: day("2026-02-01"),
        paid_on: None,
        funded_by: None,
        recoverable_from: Some("Aviva".into()),
        supplier_state: SupplierState::Incurred,
        recovery_state: RecoveryState::NotClaimed,
        agreed: None,
        recovered: gbp("0"),
        refunded: gbp("0"),
        write_off_requested_by: None,
    }
}

fn goes(
    item: &mut Disbursement,
    step: DisbursementStep,
    amount: Option<&str>,
    actor: &str,
) -> Result<(), &'static str> {
    disbursement::step(item, step, day("2026-03-01"), amount.map(gbp), actor)
        .map_err(|refused| refused.code())
}

/// E92: the supplier refunds what the opponent has paid already: it came twice,
/// and is to be paid on.
#[test]
fn e92_a_refund_after_recovery_is_not_the_firms() {
    use DisbursementStep as S;
    let mut item = report();
    goes(&mut item, S::SupplierInvoiced, None, "user:jo").unwrap();
    goes(&mut item, S::Paid, None, "user:jo").unwrap();
    assert_eq!(item.funded_by, Some(Side::Business));
    goes(&mut item, S::Claimed, None, "user:jo").unwrap();
    goes(&mut item, S::Agreed, Some("216"), "user:jo").unwrap();
    goes(&mut item, S::Recovered, Some("216"), "user:jo").unwrap();
    assert_eq!(item.recovery_state, RecoveryState::Recovered);
    assert!(!item.is_outstanding());
    assert_eq!(item.to_pay_on().unwrap(), gbp("0"));
    goes(&mut item, S::SupplierRefunded, Some("80"), "user:jo").unwrap();
    assert_eq!(item.to_pay_on().unwrap(), gbp("80"));
    assert_eq!(
        goes(&mut item, S::SupplierRefunded, Some("136.01"), "user:jo"),
        Err("matters.step_amount"),
        "never more than it cost"
    );
}

#[test]
fn steps_follow_one_another_and_a_write_off_needs_two_people() {
    use DisbursementStep as S;
    let mut item = report();
    assert_eq!(
        goes(&mut item, S::NotPaid, None, "user:jo"),
        Err("matters.disbursement_step")
    );
    assert_eq!(
        goes(&mut item, S::Agreed, Some("1"), "user:jo"),
        Err("matters.disbursement_step")
    );
    goes(&mut item, S::Claimed, None, "user:jo").unwrap();
    goes(&mut item, S::Recovered, Some("100"), "user:jo").unwrap();
    goes(&mut item, S::Shortfall, None, "user:jo").unwrap();
    assert_eq!(
        goes(&mut item, S::WrittenOff, None, "user:al"),
        Err("matters.missing")
    );
    goes(&mut item, S::WriteOffRequested, None, "user:jo").unwrap();
    assert_eq!(
        goes(&mut item, S::WrittenOff, None, "user:jo"),
        Err("matters.same_person")
    );
    goes(&mut item, S::WrittenOff, None, "user:al").unwrap();
    assert_eq!(item.recovery_state, RecoveryState::WrittenOff);
}

#[test]
fn ages_fall_into_their_bands() {
    let bands = [
        (Some(30), "0–30".to_owned()),
        (Some(60), "31–60".to_owned()),
        (None, "over 60".to_owned()),
    ];
    let band = |days| disbursement::band(days, &bands);
    assert_eq!(
        [band(0), band(30), band(31), band(60), band(61)],
        ["0–30", "0–30", "31–60", "31–60", "over 60"]
    );
}

fn told(
    version: i64,
    status: MatterStatus,
    concluded: Option<&str>,
    closed: Option<&str>,
) -> MatterRecorded {
    MatterRecorded {
        matter_id: MatterId::from(Uuid::from_u128(7)),
        matter_ref: "M-1".into(),
        version,
        account_id: AccountId::from(Uuid::from_u128(1)),
        account_ref: "C-1".into(),
        title: "t".into(),
        fee_earner: None,
        opened_on: day("2026-01-01"),
        concluded_on: concluded.map(day),
        closed_on: closed.map(day),
        status,
        recorded_at: now(),
        actor: "feed:cases".into(),
    }
}

#[test]
fn a_file_that_comes_late_has_passed_every_stage() {
    let fact = told(
        1,
        MatterStatus::Closed,
        Some("2026-02-01"),
        Some("2026-03-01"),
    );
    let (matter, steps) = files::told(None, &fact, day("2026-03-10")).unwrap();
    let said: Vec<_> = steps
        .iter()
        .map(|s| (s.status.name(), s.on.to_string()))
        .collect();
    assert_eq!(
        said,
        [
            ("opened", "2026-01-01".to_owned()),
            ("concluded", "2026-02-01".to_owned()),
            ("closed", "2026-03-01".to_owned())
        ]
    );
    // The same again, or an older one, says nothing.
    assert!(files::told(Some(&matter), &fact, day("2026-03-10")).is_none());
    let reopened = told(
        2,
        MatterStatus::Reopened,
        Some("2026-02-01"),
        Some("2026-03-01"),
    );
    let (matter, steps) = files::told(Some(&matter), &reopened, day("2026-03-10")).unwrap();
    assert_eq!((steps.len(), steps[0].on), (1, day("2026-03-10")));
    assert_eq!(matter.version, 2);
}

#[test]
fn every_difference_has_its_file_number() {
    use contracts::api::matters::TheirMatter;
    let theirs = |list: &[(&str, MatterStatus)]| -> Vec<TheirMatter> {
        list.iter()
            .map(|(matter_ref, status)| TheirMatter {
                matter_ref: (*matter_ref).to_owned(),
                status: *status,
            })
            .collect()
    };
    let ours = [
        ("A".to_owned(), MatterStatus::Opened),
        ("B".to_owned(), MatterStatus::Concluded),
        ("C".to_owned(), MatterStatus::Reopened),
        ("D".to_owned(), MatterStatus::Closed),
    ];
    let found = files::differences(
        ours,
        &theirs(&[
            ("A", MatterStatus::Opened),
            ("B", MatterStatus::Opened),
            ("C", MatterStatus::Opened),
            ("E", MatterStatus::Concluded),
        ]),
    );
    let said: Vec<_> = found
        .iter()
        .map(|d| (d.matter_ref.as_str(), d.ours.is_some(), d.theirs.is_some()))
        .collect();
    assert_eq!(said, [("B", true, true), ("E", false, true)]);
}

/// Balances of the journal's accounts, credits positive.
fn journal(changes: &Changes, legal: &LegalChanges) -> HashMap<String, rust_decimal::Decimal> {
    let mut balances: HashMap<String, rust_decimal::Decimal> = HashMap::new();
    for entry in changes.entries.iter().chain(&legal.journal) {
        *balances.entry(entry.debit.clone()).or_default() -= entry.amount.amount();
        *balances.entry(entry.credit.clone()).or_default() += entry.amount.amount();
    }
    balances
}

#[derive(Debug, Clone)]
enum Act {
    Split(i64, i64),
    Transfer(i64),
    Pay(i64),
    UndoPayment(usize),
    UndoReceived(usize),
    Bounce(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..200_000_i64, 0..100_000_i64).prop_map(|(client, costs)| Act::Split(client, costs)),
        (1..200_000_i64).prop_map(Act::Transfer),
        (1..200_000_i64).prop_map(Act::Pay),
        (0..8_usize).prop_map(Act::UndoPayment),
        (0..8_usize).prop_map(Act::UndoReceived),
        (0..8_usize).prop_map(Act::Bounce),
    ]
}

proptest! {
    /// Whatever is done in whatever order, refused or not: what is held for the
    /// client is never less than nothing, is the sum of its lines and what the
    /// journal says we owe to clients, and every receipt still adds up.
    #[test]
    fn no_sequence_makes_a_client_short_or_loses_a_penny(acts in prop::collection::vec(act(), 1..40)) {
        let mut client = held("0");
        let invoice = bill("LB1", gbp("1500"));
        let mut books = books(&[&invoice]);
        let (mut changes, mut legal) = (Changes::default(), LegalChanges::default());
        let mut receipts: Vec<Receipt> = Vec::new();
        let mut outflows = Vec::new();
        let mut undone: Vec<Uuid> = Vec::new();
        for act in acts {
            let before = (client.balance(Currency::GBP), legal.entries.len());
            let done = match act {
                Act::Split(damages, costs) => {
                    let parts: Vec<Part> = [(Component::Damages, damages), (Component::Costs, costs)]
                        .into_iter()
                        .filter(|(_, amount)| *amount > 0)
                        .map(|(component, amount)| Part {
                            component,
                            amount: pennies(amount),
                            document: None,
                            disbursement: None,
                            paid_by_firm: false,
                        })
                        .collect();
                    let mut money = receipt(pennies(damages + costs));
                    let plan = split::plan("M", &parts, &[invoice.id], &books, money.unallocated).unwrap();
                    let moves = split::apply(
                        &plan, &mut client, &mut money, &mut books, &mut changes, &mut legal, Uuid::now_v7(), &because(),
                    ).unwrap();
                    prop_assert!(money.unallocated.is_zero(), "all of it found its side");
                    outflows.extend(moves.outflows);
                    receipts.push(money);
                    true
                }
                Act::Transfer(amount) => client::transfer(
                    &mut client, &[invoice.id], invoice.id, pennies(amount), &mut books, &mut changes, &mut legal,
                    Uuid::now_v7(), &settings(), &because(),
                ).is_ok(),
                Act::Pay(amount) => client::pay(
                    &mut client, &mut legal,
                    &Payment {
                        kind: EntryKind::Returned,
                        amount: pennies(amount),
                        payee: "the client",
                        disbursement: None,
                        bank_account: "GB:200000-1",
                    },
                    Uuid::now_v7(), &because(),
                ).is_ok(),
                Act::UndoPayment(at) => {
                    let payments: Vec<_> = legal.entries.iter()
                        .filter(|row| row.entry.kind == EntryKind::Returned && row.entry.contra_of.is_none())
                        .map(|row| row.entry.clone())
                        .collect();
                    match payments.get(at) {
                        Some(entry) => {
                            let id = entry.entry_id.as_uuid();
                            let ok = client::undo_payment(
                                &mut client, &mut legal, entry, undone.contains(&id),
                                chart::bank("GB:200000-1", Designation::Client), Uuid::now_v7(), &because(),
                            ).is_ok();
                            if ok {
                                undone.push(id);
                            }
                            ok
                        }
                        None => false,
                    }
                }
                Act::UndoReceived(at) | Act::Bounce(at) => {
                    let received: Vec<_> = legal.entries.iter()
                        .filter(|row| row.entry.kind == EntryKind::Received && row.entry.contra_of.is_none()
                            && row.entry.receipt_id.is_some())
                        .map(|row| row.entry.clone())
                        .collect();
                    match received.get(at) {
                        Some(entry) if !undone.contains(&entry.entry_id.as_uuid()) => {
                            let id = entry.entry_id.as_uuid();
                            let line = outflows.iter()
                                .find(|line: &&contracts::allocation::OutflowLine| line.outflow_id.as_uuid() == id)
                                .unwrap();
                            let money = receipts.iter_mut().find(|r| Some(r.id) == entry.receipt_id).unwrap();
                            // A command that is refused writes nothing at all.
                            let mut kept = (money.clone(), Changes::default(), LegalChanges::default(), client.clone());
                            let contra = ledger::undo_outflow(&mut kept.0, &mut kept.1, line, &because()).unwrap();
                            let outflow = contra.outflow_id.as_uuid();
                            let ok = if matches!(act, Act::Bounce(_)) {
                                bounce::bounce(
                                    &mut kept.3, &mut kept.2, &kept.0, &[(entry.clone(), outflow)], entry.amount,
                                    Uuid::now_v7(), &settings(), &because(),
                                ).is_ok()
                            } else {
                                let new = client::contra(entry, outflow, &because());
                                client::enter(&mut kept.3, &mut kept.2, new, Uuid::now_v7()).is_ok()
                            };
                            if ok {
                                undone.push(id);
                                *money = kept.0;
                                changes.entries.extend(kept.1.entries);
                                legal.entries.extend(kept.2.entries);
                                legal.journal.extend(kept.2.journal);
                                client = kept.3;
                            }
                            ok
                        }
                        _ => false,
                    }
                }
            };
            if !done {
                prop_assert_eq!((client.balance(Currency::GBP), legal.entries.len()), before);
            }
            let balance = client.balance(Currency::GBP);
            prop_assert!(!balance.is_negative());
            let lines = legal.entries.iter().filter(|row| row.entry.side == Side::Client).map(|row| row.entry.amount);
            prop_assert_eq!(Money::sum(lines, Currency::GBP).unwrap(), balance);
            let owed = journal(&changes, &legal).get(chart::CLIENT_MONEY).copied().unwrap_or_default();
            prop_assert_eq!(owed, balance.amount(), "the journal owes what the ledger holds");
        }
        for money in &receipts {
            let lines = changes.postings.iter().filter(|p| p.receipt == money.id).map(|p| p.line.amount);
            let allocated = Money::sum(lines, Currency::GBP).unwrap();
            let sum = allocated.checked_add(money.unallocated).unwrap().checked_add(money.paid_out).unwrap();
            prop_assert_eq!(sum, money.amount);
        }
        prop_assert!(!books.items[&invoice.id].open.is_negative());
        prop_assert!(outflows.iter().all(|line| line.kind == OutflowKind::ClientLedger));
    }

    /// Every split finds a side for every penny, and damages never pay a bill.
    #[test]
    fn a_split_is_exact(
        parts in prop::collection::vec((0..4_u8, 1..100_000_i64, any::<bool>()), 1..8),
        open in 1..200_000_i64,
    ) {
        let invoice = bill("LB1", pennies(open));
        let books = books(&[&invoice]);
        let parts: Vec<Part> = parts.into_iter().map(|(kind, amount, paid_by_firm)| Part {
            component: [Component::Damages, Component::Costs, Component::Vat, Component::Disbursement][usize::from(kind)],
            amount: pennies(amount),
            document: None,
            disbursement: None,
            paid_by_firm,
        }).collect();
        let total = Money::sum(parts.iter().map(|p| p.amount), Currency::GBP).unwrap();
        let plan = split::plan("M", &parts, &[invoice.id], &books, total).unwrap();
        let sum = |amounts: Vec<Money>| Money::sum(amounts, Currency::GBP).unwrap();
        let client = sum(plan.client.iter().map(|c| c.amount).collect());
        let paid = sum(plan.bills.iter().map(|l| l.amount).collect());
        prop_assert_eq!(client.checked_add(paid).unwrap().checked_add(plan.left).unwrap(), total);
        prop_assert!(paid.checked_cmp(pennies(open)).unwrap().is_le());
        let of = |parts: &[Part], damages| sum(parts.iter()
            .filter(|p| (p.component == Component::Damages) == damages).map(|p| p.amount).collect());
        let held = sum(plan.client.iter().filter(|c| c.component == Component::Damages).map(|c| c.amount).collect());
        prop_assert_eq!(held, of(&parts, true));
    }
}
