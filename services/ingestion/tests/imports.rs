//! Files and messages on real servers: what is recorded, what is refused, and
//! that nothing counts twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use contracts::api::PageRequest;
use contracts::api::{
    RefusalClass,
    ingestion::{
        AppendImport, GetImport, GetIngestionTotals, GetReceiptOrigin, ImportState,
        ListImportReceipts, ListImports, OpenImport, SubmitImport,
    },
};
use ingestion::Options;
use kernel::ImportId;
use serde_json::{Value, json};
use world::World;

const TWINS: &[u8] = include_bytes!("../fixtures/twins.xml");
const ONE_MORE: &[u8] = include_bytes!("../fixtures/twins-one-more.xml");
const DAY_1: &[u8] = include_bytes!("../fixtures/chain-day-1.xml");
const DAY_2: &[u8] = include_bytes!("../fixtures/chain-day-2.xml");
const DAY_4: &[u8] = include_bytes!("../fixtures/chain-day-4.xml");
const ACCOUNTS: &[u8] = include_bytes!("../fixtures/accounts.csv");
const DOCUMENTS: &[u8] = include_bytes!("../fixtures/documents.csv");

const LINES: &str = "select count(*) from ingestion.bank_line";
const DOCUMENT_ROWS: &str = "select count(*) from ingestion.document";

fn receipt(reference: &str, amount: &str) -> Value {
    json!({
        "feed": "test",
        "bank_account": {"sort_code": "20-00-00", "account_number": "55779911"},
        "bank_reference": reference,
        "booked_on": "2026-03-02",
        "value_on": "2026-03-02",
        "amount": amount,
        "currency": "GBP",
        "direction": "credit",
        "payer": {"name": "Acme Ltd", "sort_code": "60-16-13", "account_number": "31926819"},
        "reference": "INV-1"
    })
}

fn account(account_ref: &str, name: &str) -> Value {
    json!({"account_ref": account_ref, "name": name, "kind": "company", "currency": "GBP"})
}

fn document(document_ref: &str, account_ref: &str, gross: &str) -> Value {
    json!({"document_ref": document_ref, "kind": "invoice", "account_ref": account_ref,
        "issued_on": "2026-03-01", "due_on": "2026-03-31", "gross": gross, "currency": "GBP"})
}

fn texts<'v>(values: &'v [Value], field: &str) -> Vec<&'v str> {
    values
        .iter()
        .map(|value| value[field].as_str().unwrap())
        .collect()
}

/// In the middle of a batch of good ones: the good are recorded, each bad one is
/// a dead letter that names its field.
#[tokio::test]
async fn malformed_messages_become_dead_letters_that_name_the_field() {
    let mut world = World::start().await;
    world.halt().await;
    let wrong = |field: &str, value: Value| {
        let mut wire = receipt("BAD", "1.00");
        wire[field] = value;
        wire.to_string()
    };
    let bad = [
        (
            "m1",
            r#"{"feed": "test", "#.to_owned(),
            "messaging.malformed",
            "",
        ),
        (
            "m2",
            wrong("booked_on", json!("2026-02-30")),
            "messaging.malformed",
            "booked_on",
        ),
        (
            "m3",
            wrong("amount", json!(12.5)),
            "messaging.malformed",
            "amount",
        ),
        (
            "m4",
            wrong("amount", json!("1.234")),
            "ingestion.amount_too_many_decimals",
            "/amount",
        ),
        (
            "m5",
            wrong("amount", json!("-1")),
            "ingestion.amount_not_positive",
            "/amount",
        ),
        (
            "m6",
            wrong("currency", json!("GPB")),
            "ingestion.currency_unknown",
            "/currency",
        ),
        (
            "m7",
            wrong("bank_account", json!({})),
            "ingestion.account_missing",
            "/bank_account",
        ),
        (
            "m8",
            wrong(
                "bank_account",
                json!({"sort_code": "20", "account_number": "55779911"}),
            ),
            "ingestion.sort_code",
            "/bank_account/sort_code",
        ),
    ];
    for n in 0..200 {
        world
            .receipt(
                &format!("good-{n}"),
                &receipt(&format!("R{n}"), "10.00").to_string(),
            )
            .await;
        if let Some((id, payload, ..)) = bad.get(n / 20).filter(|_| n % 20 == 10) {
            world.receipt(id, payload).await;
        }
    }
    world.run().await;
    world
        .eventually("all are settled", async |world| {
            world.count(LINES).await == 200 && world.dead_letters().await.len() == bad.len()
        })
        .await;
    let letters = world.dead_letters().await;
    for (_, _, code, place) in &bad {
        assert!(
            letters
                .iter()
                .any(|l| l.code == *code && l.detail.contains(place)),
            "{code} at {place}: {letters:#?}"
        );
    }
    let money: Vec<_> = letters
        .iter()
        .filter_map(|l| l.money_impact.as_deref())
        .collect();
    assert!(money.contains(&"1.234 GBP"), "{money:?}");
    assert_eq!(world.facts("receipt_recorded").await.len(), 200);
    let totals = world.ask(&GetIngestionTotals {}).await;
    assert_eq!(totals.currencies[0].receipts, 200);
    assert_eq!(totals.currencies[0].received.to_string(), "GBP 2000.00");
    world.end().await;
}

/// The same line under new message ids, in one batch and later; a debit is kept
/// but told to nobody.
#[tokio::test]
async fn a_line_again_under_another_id_changes_nothing() {
    let mut world = World::start().await;
    world.halt().await;
    for id in ["a", "b", "c"] {
        world.receipt(id, &receipt("R1", "10.00").to_string()).await;
    }
    let mut debit = receipt("D1", "4.00");
    debit["direction"] = json!("debit");
    world.receipt("d", &debit.to_string()).await;
    world.run().await;
    world
        .eventually("both lines are there", async |world| {
            world.count(LINES).await == 2
        })
        .await;
    world
        .receipt("e", &receipt("R1", "10.00").to_string())
        .await;
    world
        .receipt("f", &receipt("R2", "11.00").to_string())
        .await;
    world
        .eventually("the last is there", async |world| {
            world.count(LINES).await == 3
        })
        .await;
    let facts = world.facts("receipt_recorded").await;
    assert_eq!(texts(&facts, "bank_reference"), ["R1", "R2"]);
    assert!(world.dead_letters().await.is_empty());

    let receipt_id = facts[0]["receipt_id"].as_str().unwrap().parse().unwrap();
    let origin = world.ask(&GetReceiptOrigin { receipt_id }).await;
    assert_eq!(origin.payer_account.as_deref(), Some("****6819"));
    assert_eq!(origin.narrative, "INV-1");
    assert!(origin.message_id.is_some());
    assert_eq!(origin.trace_id.map(|trace| trace.len()), Some(32));
    world.end().await;
}

#[tokio::test]
async fn accounts_and_documents_are_told_once_in_any_order() {
    let mut world = World::start().await;
    world.halt().await;
    // The document is here before its account, which then keeps the id.
    world
        .document("1", &document("INV-1", "A1", "100.00"))
        .await;
    world.account("2", &account("A2", "Beta")).await;
    world.run().await;
    world
        .eventually("the document is there", async |world| {
            world.count(DOCUMENT_ROWS).await == 1
        })
        .await;
    world.account("3", &account("A1", "Acme")).await;
    world.account("4", &account("A2", "Beta")).await;
    world.account("5", &account("A2", "Beta Ltd")).await;
    world.document("6", &document("INV-1", "A1", "100.0")).await;
    world
        .document("7", &document("INV-1", "A1", "101.00"))
        .await;
    world.document("8", &document("INV-2", "A2", "7.00")).await;
    world
        .eventually("all are settled", async |world| {
            world.count(DOCUMENT_ROWS).await == 2 && world.dead_letters().await.len() == 1
        })
        .await;
    assert_eq!(
        world.dead_letters().await[0].code,
        "ingestion.document_conflict"
    );
    let accounts = world.facts("account_recorded").await;
    let told: Vec<_> = accounts
        .iter()
        .map(|a| {
            (
                a["account_ref"].as_str().unwrap(),
                a["version"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("A2", 1), ("A1", 1), ("A2", 2)]);
    let documents = world.facts("document_recorded").await;
    assert_eq!(texts(&documents, "document_ref"), ["INV-1", "INV-2"]);
    assert_eq!(documents[0]["account_id"], accounts[1]["account_id"]);
    assert_eq!(documents[1]["account_id"], accounts[2]["account_id"]);
    let totals = world.ask(&GetIngestionTotals {}).await;
    assert_eq!(totals.currencies[0].billed.to_string(), "GBP 107.00");
    world.end().await;
}

/// E29: genuine twins coexist, the same file adds nothing, one line more adds
/// one.
#[tokio::test]
async fn e29_a_file_again_and_a_file_with_one_line_more() {
    let world = World::start().await;
    let first = world.import("day.xml", TWINS).await;
    assert_eq!(first.state, ImportState::Recorded, "{first:?}");
    assert_eq!((first.entries, first.recorded, first.duplicates), (3, 3, 0));
    assert_eq!(first.statements.len(), 1);
    assert_eq!(first.statements[0].ties, Some(true));
    assert_eq!(world.count(LINES).await, 3);
    let told = world.facts("receipt_recorded").await.len();

    // Its receipts are listed, page by page, and no other file's.
    let mut receipts = Vec::new();
    let mut cursor = None;
    loop {
        let page = PageRequest {
            cursor,
            limit: Some(1),
        };
        let import_id = first.import_id;
        let page = world.ask(&ListImportReceipts { import_id, page }).await;
        receipts.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(receipts.len(), told, "{receipts:?}");

    let again = world.import("day-again.xml", TWINS).await;
    assert_eq!(again.state, ImportState::AlreadyKnown);
    let none = ListImportReceipts {
        import_id: again.import_id,
        page: PageRequest::default(),
    };
    assert!(world.ask(&none).await.items.is_empty());
    assert_eq!((again.entries, again.recorded, again.duplicates), (3, 0, 3));

    // The same lines in other bytes.
    let mut spaced = TWINS.to_vec();
    spaced.push(b'\n');
    let again = world.import("day-spaced.xml", &spaced).await;
    assert_eq!(again.state, ImportState::Recorded);
    assert_eq!((again.recorded, again.duplicates), (0, 3));
    assert_eq!(again.statements[0].duplicate_lines, 3);
    assert_eq!(world.facts("receipt_recorded").await.len(), told);

    let more = world.import("day-more.xml", ONE_MORE).await;
    assert_eq!((more.entries, more.recorded, more.duplicates), (4, 1, 3));
    assert_eq!(world.count(LINES).await, 4);
    assert_eq!(world.facts("receipt_recorded").await.len(), told + 1);
    let current = "select count(*) from ingestion.statement where current";
    assert_eq!(
        world.count(current).await,
        1,
        "one statement, told three times"
    );

    let receipt = world.facts("receipt_recorded").await.pop().unwrap();
    assert_eq!(receipt["actor"], "user:pat");
    let receipt_id = receipt["receipt_id"].as_str().unwrap().parse().unwrap();
    let origin = world.ask(&GetReceiptOrigin { receipt_id }).await;
    assert_eq!(origin.file_name.as_deref(), Some("day-more.xml"));
    assert_eq!(origin.import, Some(more.import_id));
    assert!(origin.line.is_some() && origin.bank_statement_id.is_some());

    let page = |cursor: Option<String>| ListImports {
        page: PageRequest {
            cursor,
            limit: Some(3),
        },
    };
    let newest = world.ask(&page(None)).await;
    let oldest = world.ask(&page(newest.next_cursor.clone())).await;
    assert_eq!((newest.items.len(), oldest.items.len()), (3, 1));
    assert_eq!(newest.items[0], more);
    assert_eq!(oldest.items[0].import_id, first.import_id);
    assert_eq!(oldest.next_cursor, None);
    world.end().await;
}

/// A gap between statements is shown, and closes when the missing one comes
/// late.
#[tokio::test]
async fn a_missing_statement_is_flagged_until_it_comes() {
    let world = World::start().await;
    world.import("1.xml", DAY_1).await;
    let day_4 = world.import("4.xml", DAY_4).await;
    assert_eq!(day_4.statements[0].continues, Some(false), "{day_4:?}");
    assert!(day_4.statements[0].problems[0].starts_with("opening_differs: "));

    let day_2 = world.import("2.xml", DAY_2).await;
    assert_eq!(day_2.statements[0].continues, Some(true));
    let day_4 = world
        .ask(&GetImport {
            import_id: day_4.import_id,
        })
        .await;
    let told: Vec<Value> = world
        .facts("statement_recorded")
        .await
        .into_iter()
        .filter(|fact| fact["import_id"] == json!(day_4.import_id))
        .collect();
    // Judged again beside its new neighbour: it is told again.
    assert_eq!(told.len(), 2);
    assert_ne!(told[0]["problems"], told[1]["problems"]);
    assert_eq!(
        told.last().unwrap()["continues"],
        json!(day_4.statements[0].continues)
    );
    assert_eq!(
        told.last().unwrap()["problems"],
        json!(day_4.statements[0].problems)
    );
    world.end().await;
}

#[tokio::test]
async fn a_half_bad_file_is_refused_whole() {
    let world = World::start().await;
    let good = world.import("accounts.csv", ACCOUNTS).await;
    assert_eq!(good.state, ImportState::Recorded, "{good:?}");
    let half = b"document_ref,kind,account_ref,issued_on,due_on,gross,currency\n\
        INV-1,invoice,A1,2026-03-01,2026-03-31,100.00,GBP\n\
        INV-2,invoice,A1,2026-03-01,2026-03-31,100.005,GBP\n\
        INV-3,invoice,A1,2026-03-01,31/02/2026,5.00,GBP\n";
    let refused = world.import("half.csv", half).await;
    assert_eq!(refused.state, ImportState::Refused);
    assert_eq!(
        (refused.recorded, refused.format.as_deref()),
        (0, Some("csv_documents"))
    );
    let places: Vec<_> = refused
        .problems
        .iter()
        .map(|p| (p.line, p.place.as_deref(), p.code.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (Some(3), Some("gross"), "too_many_decimals"),
            (Some(4), Some("due_on"), "bad_date")
        ]
    );
    assert_eq!(world.count(DOCUMENT_ROWS).await, 0);
    assert!(world.facts("document_recorded").await.is_empty());

    // A dry run reports and records nothing; then the same bytes are recorded.
    let rehearsed = world.upload("documents.csv", DOCUMENTS, true).await;
    let rehearsed = world.done(&rehearsed).await;
    assert_eq!(rehearsed.state, ImportState::Recorded);
    assert!(rehearsed.dry_run && rehearsed.recorded > 0);
    assert_eq!(world.count(DOCUMENT_ROWS).await, 0);
    let recorded = world.import("documents.csv", DOCUMENTS).await;
    assert_eq!(recorded.recorded, rehearsed.recorded);
    assert_eq!(
        world.count(DOCUMENT_ROWS).await,
        i64::from(recorded.recorded)
    );

    // A contradiction of the books takes the good rows of its file with it.
    let first = world.facts("document_recorded").await.remove(0);
    let contradiction = format!(
        "document_ref,kind,account_ref,issued_on,due_on,gross,currency\n\
        NEW-1,invoice,A1,2026-03-01,2026-03-31,100.00,GBP\n\
        {},invoice,A1,2026-03-01,2026-03-31,0.01,GBP\n",
        first["document_ref"].as_str().unwrap()
    );
    let refused = world
        .import("contradiction.csv", contradiction.as_bytes())
        .await;
    assert_eq!(refused.state, ImportState::Refused);
    assert_eq!(refused.problems[0].code, "ingestion.document_conflict");
    assert_eq!(
        world.count(DOCUMENT_ROWS).await,
        i64::from(recorded.recorded)
    );
    world.end().await;
}

#[tokio::test]
async fn a_dry_run_of_a_statement_shows_its_proof_and_records_nothing() {
    let world = World::start().await;
    let rehearsed = world.upload("day.xml", TWINS, true).await;
    let rehearsed = world.done(&rehearsed).await;
    assert_eq!(
        (rehearsed.state, rehearsed.recorded),
        (ImportState::Recorded, 3)
    );
    assert_eq!(rehearsed.statements[0].ties, Some(true));
    assert_eq!(world.count(LINES).await, 0);
    assert!(world.facts("statement_recorded").await.is_empty());
    let recorded = world.import("day.xml", TWINS).await;
    assert_eq!(
        (recorded.state, recorded.recorded),
        (ImportState::Recorded, 3)
    );
    world.end().await;
}

#[tokio::test]
async fn uploads_are_bounded_checked_and_repeatable() {
    let world = World::with(Options {
        max_file_bytes: 10,
        ..Options::default()
    })
    .await;
    let open = OpenImport {
        file_name: "x.csv".into(),
        format: None,
        dry_run: false,
        actor: "user:pat".into(),
    };
    let import_id = world.ask(&open).await.import_id;
    let piece = |piece, text: &str| AppendImport {
        import_id,
        piece,
        base64: base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text),
    };
    assert_eq!(world.ask(&piece(0, "abcd")).await.bytes, 4);
    assert_eq!(
        world.ask(&piece(0, "abcd")).await.bytes,
        4,
        "the same piece again"
    );
    assert_eq!(
        world.refused(&piece(0, "abXX")).await.code,
        "ingestion.piece_differs"
    );
    assert_eq!(
        world.refused(&piece(1, "1234567")).await.code,
        "ingestion.file_too_large"
    );
    assert_eq!(world.ask(&piece(2, "efg")).await.bytes, 7);

    let submit = |sha256: &str| SubmitImport {
        import_id,
        sha256: sha256.into(),
    };
    assert_eq!(
        world.refused(&submit("00")).await.code,
        "ingestion.piece_missing"
    );
    world.ask(&piece(1, "-")).await;
    let differs = world.refused(&submit("00")).await;
    assert_eq!(
        (differs.code.as_str(), differs.class),
        ("ingestion.sha256_differs", RefusalClass::Invalid)
    );
    assert_eq!(differs.fields[0].pointer, "/sha256");
    let sha256 = hex::encode(<sha2::Sha256 as sha2::Digest>::digest("abcd-efg"));
    let queued = world.ask(&submit(&sha256)).await;
    assert_eq!(
        world.ask(&submit(&sha256)).await.import_id,
        import_id,
        "submitted again"
    );
    let done = world.done(&queued).await;
    assert_eq!(done.state, ImportState::Refused);
    assert_eq!(done.problems[0].code, "unknown_format");
    assert_eq!(
        world.refused(&piece(3, "z")).await.code,
        "ingestion.import_submitted"
    );

    let nobody = GetImport {
        import_id: ImportId::generate(),
    };
    assert_eq!(world.refused(&nobody).await.class, RefusalClass::NotFound);
    let unknown = OpenImport {
        format: Some("sage 50".into()),
        ..open
    };
    assert_eq!(world.refused(&unknown).await.fields[0].pointer, "/format");
    world.end().await;
}

/// A reader that died over a file leaves it to the next one.
#[tokio::test]
async fn a_file_whose_reader_died_is_read_again() {
    let mut world = World::start().await;
    let opened = world.upload("day.xml", TWINS, true).await;
    world.done(&opened).await;
    world.halt().await;
    sqlx::query(
        "update ingestion.import set state = 'reading', dry_run = false, finished_at = null,
             lease_until = now() - interval '1 second' where import_id = $1",
    )
    .bind(opened.import_id.as_uuid())
    .execute(world.admin())
    .await
    .unwrap();
    world.run().await;
    world
        .eventually("it is recorded", async |world| {
            world.count(LINES).await == 3
        })
        .await;
    let done = world.done(&opened).await;
    assert_eq!((done.state, done.recorded), (ImportState::Recorded, 3));
    world.end().await;
}
