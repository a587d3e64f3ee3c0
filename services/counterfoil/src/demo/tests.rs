use std::collections::{BTreeMap, BTreeSet};

use contracts::inbound::{Direction, DocumentKind};
use kernel::{CreditorReference, Currency, Money};

use super::{debtors::World, payments::Says, *};

fn today() -> NaiveDate {
    "2026-11-23".parse().unwrap()
}

fn demo() -> Demo {
    Demo::generate(7, today())
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn pence(text: &str) -> i64 {
    text.replace('.', "").parse().unwrap()
}

/// The text of every `<element …>…</element>`; the files are ours, so this is enough of a parser.
fn texts<'x>(xml: &'x str, element: &str) -> Vec<&'x str> {
    let (plain, money) = (format!("<{element}>"), format!("<{element} Ccy=\"GBP\">"));
    let close = format!("</{element}>");
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((_, text, after)) = [&plain, &money]
        .iter()
        .filter_map(|open| {
            let (before, from) = rest.split_once(open.as_str())?;
            let (text, after) = from.split_once(&close)?;
            Some((before.len(), text, after))
        })
        .min_by_key(|(before, ..)| *before)
    {
        found.push(text);
        rest = after;
    }
    found
}

#[test]
fn the_same_seed_and_day_give_the_same_bytes() {
    let read = |name: &str, seed: u64| {
        let directory =
            std::env::temp_dir().join(format!("counterfoil-demo-{}-{name}", std::process::id()));
        let paths = Demo::generate(seed, today())
            .write_files(&directory)
            .unwrap();
        let files: Vec<(String, Vec<u8>)> = paths
            .iter()
            .map(|path| {
                (
                    path.file_name().unwrap().to_str().unwrap().to_owned(),
                    fs::read(path).unwrap(),
                )
            })
            .collect();
        fs::remove_dir_all(directory).unwrap();
        files
    };
    let files = read("a", 7);
    assert!(files == read("b", 7));
    assert!(files != read("c", 8));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["accounts.csv", "documents.csv", "matters.csv"]);
    assert_eq!(names.len(), 3 + STATEMENTS);
    assert!(names[3..].is_sorted());
    assert_eq!(
        names.last(),
        Some(&"statement-2026-11-20.xml"),
        "the working day before today"
    );
}

#[test]
fn every_statement_ties_and_continues() {
    let demo = demo();
    let mut before: Option<Money> = None;
    for statement in &demo.statements {
        let xml = statement.xml();
        let balances = texts(&xml, "Bal");
        let balance = |code: &str| {
            let found: Vec<&&str> = balances
                .iter()
                .filter(|bal| texts(bal, "Cd") == [code])
                .collect();
            assert_eq!(found.len(), 1);
            assert_eq!(texts(found[0], "CdtDbtInd"), ["CRDT"]);
            gbp(texts(found[0], "Amt")[0])
        };
        let (opening, closing) = (balance("OPBD"), balance("CLBD"));
        let entries = texts(&xml, "Ntry");
        assert!(entries.len() > 10, "{}: {}", statement.date, entries.len());
        let sum = entries.iter().fold(opening, |sum, entry| {
            let amount = gbp(texts(entry, "Amt")[0]);
            assert!(amount.is_positive());
            match texts(entry, "CdtDbtInd")[0] {
                "CRDT" => sum.checked_add(amount).unwrap(),
                _ => sum.checked_sub(amount).unwrap(),
            }
        });
        assert_eq!(sum, closing, "{} ties", statement.date);
        assert!(
            before.is_none_or(|before| before == opening),
            "{} continues",
            statement.date
        );
        before = Some(closing);
    }
}

#[test]
fn ingestion_reads_every_file_without_a_doubt() {
    let demo = demo();
    let read = |text: String| ingestion::domain::parse::parse(text.as_bytes(), None).unwrap();
    let accounts = read(demo.accounts_csv());
    let documents = read(demo.documents_csv());
    assert_eq!((accounts.items.len(), accounts.problems), (300, vec![]));
    assert_eq!((documents.items.len(), documents.problems), (5000, vec![]));
    for day in &demo.statements {
        let file = read(day.xml());
        assert_eq!((file.statements.len(), file.problems), (1, vec![]));
        let statement = &file.statements[0];
        assert_eq!(statement.problems, vec![], "{}", day.date);
        assert_eq!(statement.ties, Some(true));
        assert_eq!(statement.lines.len(), day.lines.len());
    }
}

#[test]
fn accounts_and_documents_per_world() {
    let demo = demo();
    let segments =
        demo.accounts
            .iter()
            .fold(BTreeMap::<&str, usize>::new(), |mut counts, account| {
                *counts
                    .entry(account.segment.as_deref().unwrap())
                    .or_default() += 1;
                counts
            });
    for world in World::ALL {
        assert_eq!(segments[world.segment()], world.accounts());
        let theirs = demo
            .items
            .iter()
            .filter(|item| demo.debtors[item.debtor].world == world)
            .count();
        assert_eq!(theirs, documents::count(world));
    }
    assert_eq!((demo.accounts.len(), demo.documents.len()), (300, 5000));
    let unique = |refs: Vec<&str>| refs.len() == refs.iter().collect::<BTreeSet<_>>().len();
    assert!(unique(
        demo.accounts
            .iter()
            .map(|account| account.account_ref.as_str())
            .collect()
    ));
    assert!(unique(
        demo.accounts
            .iter()
            .map(|account| account.name.as_str())
            .collect()
    ));
    assert!(unique(
        demo.documents
            .iter()
            .map(|document| document.document_ref.as_str())
            .collect()
    ));
    for kind in [
        AccountKind::Company,
        AccountKind::SoleTrader,
        AccountKind::Individual,
        AccountKind::PublicBody,
    ] {
        assert!(
            demo.accounts
                .iter()
                .filter(|account| account.kind == kind)
                .count()
                >= 5,
            "{kind:?}"
        );
    }
    assert!(
        demo.accounts
            .iter()
            .filter(|account| account.parent_ref.is_some())
            .count()
            >= 5
    );
    for account in &demo.accounts {
        let parent = account.parent_ref.as_ref();
        assert!(parent.is_none_or(|parent| {
            demo.accounts
                .iter()
                .any(|other| other.account_ref == *parent)
        }));
        assert_eq!(
            account.principal.is_some(),
            account.segment.as_deref() == Some("insurance")
        );
    }
    for kind in [DocumentKind::CreditNote, DocumentKind::Disbursement] {
        assert!(
            demo.documents
                .iter()
                .filter(|document| document.kind == kind)
                .count()
                >= 200,
            "{kind:?}"
        );
    }
}

#[test]
fn documents_are_sound_and_their_references_have_valid_check_digits() {
    let demo = demo();
    let mut structured = 0;
    for document in &demo.documents {
        assert!(document.issued_on <= document.due_on && document.issued_on <= today());
        let gross = gbp(&document.gross);
        assert!(gross.is_positive());
        if let (Some(net), Some(vat)) = (&document.net, &document.vat) {
            assert_eq!(gbp(net).checked_add(gbp(vat)).unwrap(), gross);
        }
        assert_eq!(
            document.matter_ref.is_some(),
            document.account_ref.starts_with("LEG")
        );
        match document.payment_reference.as_deref() {
            Some(reference) if reference.starts_with("RF") => {
                let number: String = document
                    .document_ref
                    .chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect();
                assert_eq!(
                    CreditorReference::parse(reference).unwrap().number(),
                    number
                );
                structured += 1;
            }
            Some(reference) => assert_eq!(reference, document.document_ref),
            None => assert_eq!(document.kind, DocumentKind::CreditNote),
        }
    }
    assert!(structured > 2000, "{structured}");
}

#[test]
fn payers_quote_as_payers_do() {
    let demo = demo();
    let receipts: Vec<_> = demo
        .statements
        .iter()
        .flat_map(|s| &s.lines)
        .filter(|line| line.direction == Direction::Credit)
        .collect();
    let folded = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_uppercase()
    };
    let numbers: BTreeSet<String> = demo
        .documents
        .iter()
        .map(|document| folded(&document.document_ref))
        .collect();
    let mut counts = BTreeMap::<&str, usize>::new();
    for line in &receipts {
        let what = match &line.says {
            Says::Documents(_) => "several",
            Says::CreditorReference(_) => "rf",
            Says::Text(text) if text.starts_with("RF") => {
                assert!(CreditorReference::parse(text).is_ok(), "{text}");
                "rf"
            }
            Says::Text(text)
                if numbers
                    .iter()
                    .any(|number| folded(text).contains(number.as_str())) =>
            {
                "quoted"
            }
            Says::Nothing | Says::Text(_) => "payer only",
        };
        *counts.entry(what).or_default() += 1;
    }
    let percent = |what: &str| counts[what] * 100 / receipts.len();
    assert!(receipts.len() > 2500, "{}", receipts.len());
    assert!((68..=82).contains(&percent("quoted")), "{counts:?}");
    assert!((7..=13).contains(&percent("rf")), "{counts:?}");
    assert!((8..=14).contains(&percent("payer only")), "{counts:?}");
    assert!(counts["several"] > 20, "{counts:?}");
    let debits = demo
        .statements
        .iter()
        .flat_map(|s| &s.lines)
        .filter(|l| l.direction == Direction::Debit)
        .count();
    assert!((10..20).contains(&debits), "{debits}");
}

/// E29: twins are real, everything else has a reference of its own.
#[test]
fn one_pair_of_lines_agrees_in_everything() {
    let demo = demo();
    let lines: Vec<_> = demo.statements.iter().flat_map(|s| &s.lines).collect();
    let nameless: Vec<_> = lines
        .iter()
        .filter(|line| line.bank_reference.is_none())
        .collect();
    assert_eq!(nameless.len(), 2);
    assert_eq!(nameless[0].receipt("x"), nameless[1].receipt("x"));
    let references: BTreeSet<_> = lines
        .iter()
        .filter_map(|line| line.bank_reference.as_ref())
        .collect();
    assert_eq!(references.len(), lines.len() - 2);
}

#[test]
fn most_old_documents_are_paid_and_every_age_has_some_open() {
    let demo = demo();
    let mut open = [0; 6];
    let mut old = (0, 0);
    for item in demo
        .items
        .iter()
        .filter(|item| !item.document.kind.is_credit())
    {
        assert!((0..=pence(&item.document.gross)).contains(&item.open));
        let days = (today() - item.document.due_on).num_days();
        if days > 30 {
            old.0 += 1;
            old.1 += usize::from(item.open == 0);
        }
        if item.open > 0 {
            open[match days {
                ..=0 => 0,
                1..=30 => 1,
                31..=60 => 2,
                61..=90 => 3,
                91..=120 => 4,
                _ => 5,
            }] += 1;
        }
    }
    assert!(open.iter().all(|count| *count >= 15), "{open:?}");
    assert!(old.1 * 100 / old.0 >= 75, "{old:?}");
}

/// What the statements bring is what the documents lost, but for money that belongs to no document.
#[test]
fn every_penny_paid_is_accounted_for() {
    let demo = demo();
    let settled: i64 = demo
        .items
        .iter()
        .map(|item| {
            (pence(&item.document.gross) - item.open)
                * if item.document.kind.is_credit() {
                    -1
                } else {
                    1
                }
        })
        .sum();
    let received: i64 = demo
        .statements
        .iter()
        .flat_map(|s| &s.lines)
        .filter(|line| line.direction == Direction::Credit)
        .map(|line| line.amount)
        .sum();
    let extra = received - settled;
    // Strangers, the rounded up, the paid twice, the twins.
    assert!(extra > 0 && extra * 20 < received, "{extra} of {received}");
}

#[test]
fn the_live_feed_is_endless_and_pays_what_is_open() {
    let demo = demo();
    let feed: Vec<BankReceipt> = demo.live_feed().take(3000).collect();
    assert_eq!(feed, demo.live_feed().take(3000).collect::<Vec<_>>());
    let references: BTreeSet<&str> = feed
        .iter()
        .map(|receipt| receipt.bank_reference.as_str())
        .collect();
    assert_eq!(references.len(), feed.len());
    let open: BTreeMap<&str, Money> = demo
        .items
        .iter()
        .map(|item| (item.number(), gbp(&pounds(item.open))))
        .collect();
    let mut exact = 0;
    for receipt in &feed {
        assert!(gbp(&receipt.amount).is_positive());
        assert_eq!(
            (receipt.booked_on, receipt.direction),
            (today(), Direction::Credit)
        );
        if let Some(owed) = receipt
            .reference
            .as_deref()
            .and_then(|number| open.get(number))
        {
            assert_eq!(gbp(&receipt.amount), *owed, "{receipt:?}");
            exact += 1;
        }
    }
    assert!(exact > 200, "{exact}");
    let statements: Vec<_> = demo.statements.iter().flat_map(|s| &s.lines).collect();
    assert!(
        statements
            .iter()
            .all(|line| !references.contains(line.bank_reference.as_deref().unwrap_or("-")))
    );
}

#[test]
fn cells_with_commas_are_quoted() {
    let demo = demo();
    let text = demo.accounts_csv();
    assert!(
        text.lines()
            .skip(1)
            .all(|line| line.contains(",\"") && line.matches('"').count() == 2),
        "addresses"
    );
    assert_eq!(cell("a \"b\", c".into()), "\"a \"\"b\"\", c\"");
    assert_eq!(text.lines().count(), 301);
}

/// A demo that is started again tomorrow must not pay documents that its ledger does not know.
#[test]
fn another_day_has_the_same_documents_at_other_dates() {
    let what = |demo: Demo| -> Vec<(String, String, String)> {
        let mut all: Vec<_> = demo
            .documents
            .into_iter()
            .map(|document| (document.document_ref, document.account_ref, document.gross))
            .collect();
        all.sort();
        all
    };
    let later = Demo::generate(7, today() + Days::new(9));
    assert_eq!(later.accounts, demo().accounts);
    assert!(what(later) == what(demo()));
}

/// Bank holidays of that year are not known yet: no reason to fail.
#[test]
fn a_far_future_day_works_too() {
    assert_eq!(
        Demo::generate(1, "2040-06-01".parse().unwrap())
            .statements
            .len(),
        STATEMENTS
    );
}
