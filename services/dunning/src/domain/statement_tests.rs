//! Statements: they add up whatever takes off, and each account without one has
//! one reason.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use contracts::{
    dunning::{Channel, ChaseReason, HoldKind, RunKind, StatementExclusion as Why},
    inbound::AccountKind,
};
use kernel::{AccountId, Currency, DocumentId, Money};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    chase::{Item, Position, Terms},
    letter,
    policy::{Policies, Policy},
    sheet,
    statement::{Asked, Credit, Holder, Period, Rules, Worked, work_out},
    stops::{Part, Stop, StopKind},
    template::{Facts, Template},
};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn item(reference: &str, due_on: &str, open: &str) -> Item {
    Item {
        document: DocumentId::generate(),
        document_ref: reference.to_owned(),
        due_on: day(due_on),
        open: gbp(open),
        terms: Terms::default(),
        resumed_on: None,
        settled_days: 0,
        reached: None,
        in_run: false,
    }
}

fn holder(items: Vec<Item>) -> Holder {
    let issued = items
        .iter()
        .map(|item| (item.document, item.due_on - Days::new(26)))
        .collect();
    Holder {
        position: Position {
            account: AccountId::generate(),
            account_ref: "C100".to_owned(),
            parent_ref: None,
            kind: Some(AccountKind::Company),
            segment: None,
            principal: None,
            has_email: true,
            has_address: true,
            has_phone: false,
            opted_out: Vec::new(),
            items,
            stops: Vec::new(),
            contacts: Vec::new(),
            debtors: Vec::new(),
        },
        credits: Vec::new(),
        issued,
        had_one: false,
        in_run: false,
        was_shut: false,
        in_a_row: 0,
    }
}

fn stop(kind: StopKind, parts: Vec<Part>) -> Stop {
    Stop {
        debtor: None,
        subject: Uuid::nil(),
        kind,
        parts,
        starts_on: day("2026-03-01"),
        ends_on: None,
        ended_on: None,
    }
}

/// As at 10 March 2026.
fn worked(holder: &Holder, kind: RunKind) -> Worked {
    let asked = Asked {
        kind,
        as_at: day("2026-03-10"),
        today: day("2026-03-10"),
        feed_age_hours: Some(2),
    };
    let policies = Policies::new(Policy::shipped().unwrap());
    work_out(holder, &policies, Rules::on(asked.as_at).unwrap(), asked).unwrap()
}

fn why(holder: &Holder) -> Option<Why> {
    worked(holder, RunKind::RedStatement).excluded
}

fn late() -> Holder {
    holder(vec![item("INV-1", "2026-01-31", "100.00")])
}

#[test]
fn each_account_without_a_red_one_has_the_first_reason_that_holds() {
    assert_eq!(why(&late()), None);
    assert_eq!(why(&holder(Vec::new())), Some(Why::NothingOwed));
    let change = |change: fn(&mut Holder)| {
        let mut holder = late();
        change(&mut holder);
        why(&holder)
    };
    let held = |kind| stop(StopKind::Hold(kind), Vec::new());
    let all = |kind: StopKind| {
        let mut holder = late();
        holder.position.stops.push(stop(kind, Vec::new()));
        why(&holder)
    };
    assert_eq!(all(StopKind::Hold(HoldKind::Insolvency)), Some(Why::OnHold));
    assert_eq!(all(StopKind::Hold(HoldKind::Legal)), Some(Why::WithLegal));
    assert_eq!(
        all(StopKind::Hold(HoldKind::Vulnerable)),
        Some(Why::OnlyByPerson)
    );
    assert_eq!(all(StopKind::Query), Some(Why::OnlyInQuery));
    assert_eq!(all(StopKind::Promise), Some(Why::NothingAskedFor));
    assert_eq!(
        change(|one| one.position.items[0].due_on = day("2026-03-10")),
        Some(Why::NothingOverdue)
    );
    assert_eq!(
        change(|one| one.position.items[0].due_on = day("2026-02-20")),
        Some(Why::NotRedYet)
    );
    assert_eq!(
        change(|one| {
            one.position.items[0].due_on = day("2026-02-20");
            one.in_a_row = 2;
        }),
        None
    );
    assert_eq!(
        change(|one| one.position.items[0].open = gbp("0.99")),
        Some(Why::BelowMinimum)
    );
    assert_eq!(change(|one| one.had_one = true), Some(Why::HadOne));
    assert_eq!(change(|one| one.in_run = true), Some(Why::InRun));
    let no_way = |one: &mut Holder| {
        one.position.has_email = false;
        one.position.has_address = false;
    };
    let mut nowhere = late();
    no_way(&mut nowhere);
    assert_eq!(why(&nowhere), Some(Why::NoAddress));
    nowhere.was_shut = true;
    assert_eq!(why(&nowhere), Some(Why::WayShut));
    // A hold goes before everything that comes after it.
    nowhere.position.stops.push(held(HoldKind::BreathingSpace));
    assert_eq!(why(&nowhere), Some(Why::OnHold));
    let mut spent = late();
    spent.position.contacts = vec![day("2026-03-09"); 5];
    assert_eq!(why(&spent), Some(Why::ContactedRecently));
    // A plain one does not count in the budget.
    assert_eq!(worked(&spent, RunKind::Statement).excluded, None);
}

/// What stands in it and is not asked for says so, and is not in the total.
#[test]
fn what_is_in_query_stands_in_it_and_not_in_what_is_due() {
    let mut one = holder(vec![
        item("INV-1", "2026-01-31", "100.00"),
        item("INV-2", "2026-02-10", "60.00"),
    ]);
    let document = one.position.items[1].document;
    let part = Part {
        document,
        amount: Some(gbp("45.00")),
    };
    one.position.stops.push(stop(StopKind::Query, vec![part]));
    let worked = worked(&one, RunKind::RedStatement);
    assert_eq!(worked.amounts().unwrap(), [gbp("115.00")]);
    let sheet = sheet::sheet(&worked, false).unwrap();
    assert_eq!(sheet.rows[1].note, "£45.00 in query");
    assert_eq!(sheet.rows[1].cells[5], "£15.00");
    let sums: Vec<(&str, &str)> = sheet
        .sums
        .iter()
        .map(|sum| (sum.title.as_str(), sum.amount.as_str()))
        .collect();
    let expected = [
        ("Overdue in all", "£160.00"),
        ("Less in query", "(£45.00)"),
        ("Total due now", "£115.00"),
    ];
    assert_eq!(sums, expected);
}

/// E80: a principal pays net of commission, and the statement says so.
#[test]
fn e80_a_principal_is_asked_for_the_net() {
    let mut one = late();
    one.position.items[0].open = gbp("1000.00");
    one.position.items[0].terms.unapplied_credit = Decimal::new(15000, 2);
    one.position.segment = Some("principal".to_owned());
    one.credits.push(Credit {
        document: DocumentId::generate(),
        document_ref: "COM-1".to_owned(),
        issued_on: day("2026-02-01"),
        open: gbp("-150.00"),
    });
    let rules = Rules::on(day("2026-03-10")).unwrap();
    assert!(rules.is_net(one.position.segment.as_deref()));
    for (kind, lines) in [(RunKind::RedStatement, 1), (RunKind::Statement, 2)] {
        let worked = worked(&one, kind);
        assert_eq!(worked.lines.len(), lines);
        assert_eq!(worked.amounts().unwrap(), [gbp("850.00")]);
        let sheet = sheet::sheet(&worked, true).unwrap();
        let less = sheet
            .sums
            .iter()
            .find(|sum| sum.title == "Less commission and credit notes");
        assert_eq!(less.unwrap().amount, "(£150.00)");
        assert_eq!(sheet.sums.last().unwrap().amount, "£850.00");
    }
}

/// Red is never colour alone: a word and a mark say it too.
#[test]
fn what_is_overdue_says_so_in_words() {
    let worked = worked(&late(), RunKind::RedStatement);
    let mut facts = Facts::sample();
    facts.sheet = Some(sheet::sheet(&worked, false).unwrap());
    let all = Template::shipped().unwrap();
    let template = all.iter().find(|t| t.template == "red_statement").unwrap();
    let filled = template.fill(&facts).unwrap();
    for said in [letter::text(&filled, &facts), letter::html(&filled, &facts)] {
        assert!(said.contains("▲ overdue 38 days"), "{said}");
    }
    let pdf = letter::pdf(&filled, &facts, "C100/1");
    assert!(String::from_utf8_lossy(&pdf).contains("overdue 38 days"));
    assert_eq!(pdf, letter::pdf(&filled, &facts, "C100/1"));
}

/// What was paid since is taken off; what came since was not approved.
#[test]
fn nothing_is_sent_beyond_what_was_approved() {
    let one = holder(vec![
        item("INV-1", "2026-01-31", "100.00"),
        item("INV-2", "2026-01-31", "60.00"),
    ]);
    let mut red = worked(&one, RunKind::RedStatement);
    let document = one.position.items[0].document;
    let approved = BTreeMap::from([(document, (gbp("80.00"), gbp("80.00")))]);
    red.limit(&approved).unwrap();
    assert_eq!(red.amounts().unwrap(), [gbp("80.00")]);
    assert_eq!(red.lines.len(), 1);
}

#[test]
fn a_period_begins_on_its_first_day() {
    let wednesday = day("2026-03-11");
    assert_eq!(Period::Month.of(wednesday), day("2026-03-01"));
    assert_eq!(Period::Week.of(wednesday), day("2026-03-09"));
}

proptest! {
    /// What is open is due now, not due yet, or held for a reason: to the penny,
    /// whatever takes off. Red and plain agree on what is due.
    #[test]
    fn a_statement_adds_up(
        items in prop::collection::vec((-40i64..90, 1i64..20_000, 0i64..9_000, 0i64..9_000, 0i64..9_000, 0u8..4), 1..8),
        credit in 0i64..9_000,
    ) {
        let today = day("2026-03-10");
        let mut one = holder(Vec::new());
        for (n, (late, open, debit, theirs, unused, stopped)) in items.into_iter().enumerate() {
            let due_on = today - chrono::TimeDelta::days(late);
            let mut item = item(&format!("INV-{n}"), "2026-01-31", "1.00");
            item.due_on = due_on;
            item.open = Money::try_new(Decimal::new(open, 2), Currency::GBP).unwrap();
            item.terms = Terms {
                in_direct_debit: Decimal::new(debit, 2),
                likely_theirs: Decimal::new(theirs, 2),
                unapplied_credit: Decimal::new(unused, 2),
            };
            let part = Part { document: item.document, amount: (stopped == 2).then(|| gbp("12.34")) };
            match stopped {
                1 => one.position.stops.push(stop(StopKind::Promise, vec![part])),
                2 => one.position.stops.push(stop(StopKind::Query, vec![part])),
                3 => one.position.stops.push(stop(StopKind::Hold(HoldKind::Deceased), vec![part])),
                _ => {}
            }
            one.issued.insert(item.document, day("2025-12-01"));
            one.position.items.push(item);
        }
        if credit > 0 {
            one.credits.push(Credit {
                document: DocumentId::generate(),
                document_ref: "CN-1".to_owned(),
                issued_on: day("2026-02-01"),
                open: Money::try_new(Decimal::new(-credit, 2), Currency::GBP).unwrap(),
            });
        }
        let red = worked(&one, RunKind::RedStatement);
        let plain = worked(&one, RunKind::Statement);
        for worked in [&red, &plain] {
            for sums in worked.totals.values() {
                let held: Decimal = sums.held.values().map(|held| held.amount()).sum();
                let parts = sums.due_now.amount() + sums.not_due.amount() + held;
                prop_assert_eq!(parts, sums.debts.amount());
                let lines: Decimal = worked.lines.iter().map(|line| line.open.amount()).sum();
                prop_assert_eq!(lines, sums.balance().unwrap().amount());
            }
            for line in &worked.lines {
                prop_assert!(!line.due_now.is_negative());
                prop_assert!(line.due_now.amount() <= line.open.amount().max(Decimal::ZERO));
                prop_assert!(line.days_late > 0 || line.due_now.is_zero());
                prop_assert!(line.reason != ChaseReason::NotDue || line.due_now.is_zero());
            }
        }
        let due = |worked: &Worked| -> Decimal { worked.totals.values().map(|sums| sums.due_now.amount()).sum() };
        prop_assert_eq!(due(&red), due(&plain));
        prop_assert_eq!(red.excluded.is_none(), red.channel == Some(Channel::Email));
    }
}
