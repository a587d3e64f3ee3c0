//! Writes every letter that the program comes with into a directory, to be looked
//! at: `cargo run -p dunning --example letters -- DIR`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool for those who work on the letters"
)]

use std::{collections::BTreeMap, path::PathBuf};

use chrono::{Days, NaiveDate};
use contracts::{dunning::RunKind, inbound::AccountKind};
use dunning::domain::{
    chase::{Item, Position, Terms},
    letter,
    policy::Policies,
    sheet,
    statement::{Asked, Credit, Holder, Rules, work_out},
    stops::{Part, Stop, StopKind},
    template::{Facts, Template},
};
use kernel::{AccountId, Currency, DocumentId, Money};
use rust_decimal::Decimal;

fn gbp(pence: i64) -> Money {
    Money::try_new(Decimal::new(pence, 2), Currency::GBP).expect("an amount")
}

/// An account with debts of every age, some in query or promised, and a credit.
fn holder(today: NaiveDate, count: u64) -> Holder {
    let items: Vec<Item> = (0..count)
        .map(|n| Item {
            document: DocumentId::generate(),
            document_ref: format!("INV-{}", 1001 + n),
            due_on: today - Days::new(110) + Days::new(n * 140 / count),
            open: gbp(12_345 + 1_111 * i64::try_from(n).unwrap_or_default()),
            terms: Terms {
                unapplied_credit: if n == 0 {
                    Decimal::new(5_000, 2)
                } else {
                    Decimal::ZERO
                },
                ..Terms::default()
            },
            resumed_on: None,
            settled_days: 0,
            reached: None,
            in_run: false,
        })
        .collect();
    let stop = |kind, n: usize, amount| Stop {
        debtor: None,
        subject: uuid::Uuid::nil(),
        kind,
        parts: items
            .get(n)
            .map(|item| Part {
                document: item.document,
                amount,
            })
            .into_iter()
            .collect(),
        starts_on: today,
        ends_on: None,
        ended_on: None,
    };
    let stops = vec![
        stop(StopKind::Query, 1, Some(gbp(4_000))),
        stop(StopKind::Promise, 2, None),
    ];
    let issued: BTreeMap<DocumentId, NaiveDate> = items
        .iter()
        .map(|item| (item.document, item.due_on - Days::new(30)))
        .collect();
    Holder {
        position: Position {
            account: AccountId::generate(),
            account_ref: "ACME01".to_owned(),
            parent_ref: None,
            kind: Some(AccountKind::Company),
            segment: None,
            principal: None,
            has_email: false,
            has_address: true,
            has_phone: false,
            opted_out: Vec::new(),
            items,
            stops,
            contacts: Vec::new(),
            debtors: Vec::new(),
        },
        credits: vec![Credit {
            document: DocumentId::generate(),
            document_ref: "CN-77".to_owned(),
            issued_on: today - Days::new(40),
            open: gbp(-5_000),
        }],
        issued,
        had_one: false,
        in_run: false,
        was_shut: false,
        in_a_row: 0,
    }
}

fn main() {
    let dir = PathBuf::from(std::env::args().nth(1).expect("a directory"));
    std::fs::create_dir_all(&dir).expect("the directory");
    let write = |name: &str, bytes: Vec<u8>| {
        let path = dir.join(format!("{name}.pdf"));
        std::fs::write(&path, bytes).expect("a file");
        println!("{}", path.display());
    };
    let all = Template::shipped().expect("the templates");
    for template in &all {
        let facts = Facts::sample();
        let filled = template.fill(&facts).expect("a letter");
        let name = &template.template;
        write(name, letter::pdf(&filled, &facts, "ACME01/0190a1b2"));
    }
    let today = Facts::sample().on;
    for (name, kind, count, net) in [
        ("statement", RunKind::Statement, 7, false),
        ("statement_long", RunKind::Statement, 60, false),
        ("red_statement", RunKind::RedStatement, 7, false),
        ("red_statement_net", RunKind::RedStatement, 4, true),
        ("red_statement_long", RunKind::RedStatement, 60, false),
    ] {
        let asked = Asked {
            kind,
            as_at: today,
            today,
            feed_age_hours: None,
        };
        let rules = Rules::on(today).expect("the rules");
        let holder = holder(today, count);
        let worked = work_out(&holder, &Policies::default(), rules, asked).expect("a statement");
        let mut facts = Facts::sample();
        let amounts = worked.amounts().expect("sums");
        facts.total = amounts.iter().map(|sum| sum.display_uk()).collect();
        facts.sheet = Some(sheet::sheet(&worked, net).expect("a sheet"));
        let wanted = if kind == RunKind::Statement {
            "statement"
        } else {
            "red_statement"
        };
        let template = all.iter().find(|one| one.template == wanted);
        let filled = template
            .expect("the template")
            .fill(&facts)
            .expect("a letter");
        write(name, letter::pdf(&filled, &facts, "ACME01/0190a1b2"));
    }
}
