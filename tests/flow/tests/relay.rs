//! From the outbox to the stream: every fact, once, in the order of commits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use async_nats::jetstream::stream::Stream;
use chrono::DateTime;
use contracts::{
    Role,
    api::outbox::{Republish, Republished},
    catalogue,
};
use messaging::{Bus, Host};
use testkit::{DEADLINE, Suite, assert_conserved, document, eventually, receipt};

/// Transactions are ordered as numbers: the thousandth comes after the 999th,
/// also where a window ends inside one of them.
#[tokio::test(flavor = "multi_thread")]
async fn facts_are_relayed_in_the_order_of_transactions() {
    let suite = Suite::start_with(kernel::SystemClock, |config| {
        config.messaging.relay_window = 2;
    })
    .await;
    let mut admin = suite.admin_pool().acquire().await.unwrap();
    for (tx, words) in [
        ("9", ["9.1", "9.2", "9.3"]),
        ("10", ["10.1", "10.2", "10.3"]),
        ("99", ["99.1", "99.2", "99.3"]),
        ("100", ["100.1", "100.2", "100.3"]),
    ] {
        for word in words {
            insert(&suite, &mut admin, Some(tx), word).await;
        }
    }
    let service = suite.run(Role::Ingestion, |bus| Host::new(bus).run()).await;

    let mut stream = suite
        .jetstream()
        .get_stream(suite.prefix().stream(catalogue::INGESTION))
        .await
        .unwrap();
    eventually("all facts are in the stream", DEADLINE, async || {
        stream.info().await.unwrap().state.messages == 12
    })
    .await;
    assert_eq!(
        words(&stream, 12).await,
        [
            "9.1", "9.2", "9.3", "10.1", "10.2", "10.3", "99.1", "99.2", "99.3", "100.1", "100.2",
            "100.3"
        ]
    );
    service.stop().await;
}

/// A transaction that commits late is waited for by what is younger, and not by
/// what is older.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_is_not_passed_over() {
    let suite = Suite::start().await;
    let service = suite.run(Role::Ingestion, |bus| Host::new(bus).run()).await;
    let mut stream = suite
        .jetstream()
        .get_stream(suite.prefix().stream(catalogue::INGESTION))
        .await
        .unwrap();

    // Of the service's own role: of others nothing is waited for.
    let own = suite.pool(Role::Ingestion);
    let other = suite.pool(Role::Allocation);
    let mut foreign = other.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()")
        .execute(&mut *foreign)
        .await
        .unwrap();
    let mut oldest = own.begin().await.unwrap();
    tell(&suite, &mut oldest, "oldest").await;
    let mut late = own.begin().await.unwrap();
    tell(&suite, &mut late, "late").await;
    let mut youngest = own.begin().await.unwrap();
    tell(&suite, &mut youngest, "youngest").await;
    youngest.commit().await.unwrap();
    oldest.commit().await.unwrap();
    eventually("the oldest is in the stream", DEADLINE, async || {
        stream.info().await.unwrap().state.messages > 0
    })
    .await;
    // The youngest was there to be read, and the late one still to come.
    assert_eq!(stream.info().await.unwrap().state.messages, 1);
    late.commit().await.unwrap();
    eventually("all are in the stream", DEADLINE, async || {
        stream.info().await.unwrap().state.messages == 3
    })
    .await;
    assert_eq!(words(&stream, 3).await, ["oldest", "late", "youngest"]);
    foreign.rollback().await.unwrap();
    own.close().await;
    other.close().await;
    service.stop().await;
}

/// A broker acknowledges before its disk has a message: it may lose what it had
/// (P25). The stream is rebuilt from the outbox, and nothing counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_lost_is_rebuilt_from_the_outbox() {
    let suite = Suite::start().await;
    let ingestion = suite
        .run(Role::Ingestion, |bus| {
            ingestion::run(bus, ingestion::Options::default())
        })
        .await;
    let allocation = suite.run(Role::Allocation, allocation::run).await;
    let reporting = suite.run(Role::Reporting, reporting::run).await;
    let gateway = suite.bus(Role::Gateway).await;
    let outbox = suite.bus(Role::Allocation).await;

    pay(&suite, "INV-10324", "120.00").await;
    eventually("reporting has the first receipt", DEADLINE, async || {
        count(&suite, "reporting.receipt").await == 1
    })
    .await;
    // It does not get what comes next: only the stream has it.
    reporting.stop().await;
    pay(&suite, "INV-10325", "80.00").await;
    eventually("the second one was relayed", DEADLINE, async || {
        count(&suite, "allocation.receipt").await == 2 && outbox.unpublished().await.unwrap() == 0
    })
    .await;

    let name = suite.prefix().stream(catalogue::ALLOCATION);
    suite.jetstream().delete_stream(&name).await.unwrap();
    runtime::service::apply_streams(suite.config())
        .await
        .unwrap();
    let reporting = suite.run(Role::Reporting, reporting::run).await;
    let facts = count(&suite, "allocation.outbox").await;
    let first = republish(&suite, &gateway, None).await;
    assert_eq!((first.facts, first.duplicates), (facts, 0));

    eventually("reporting has both", DEADLINE, async || {
        count(&suite, "reporting.receipt").await == 2
    })
    .await;
    assert_conserved(&suite).await;
    assert_eq!(count(&suite, "reporting.allocation").await, 2);

    // Nothing is missing: the stream drops what it has.
    let again = republish(&suite, &gateway, None).await;
    assert_eq!((again.facts, again.duplicates), (facts, facts));
    // In parts, and only of the time that was asked for.
    let rest = republish(&suite, &gateway, Some("0:0")).await;
    assert_eq!(rest, again);
    let ask = Republish {
        to: Some(DateTime::UNIX_EPOCH),
        ..everything()
    };
    assert_eq!(ask_allocation(&suite, &gateway, &ask).await.facts, 0);
    assert_eq!(count(&suite, "allocation.allocation").await, 2);

    reporting.stop().await;
    allocation.stop().await;
    ingestion.stop().await;
}

async fn pay(suite: &Suite, document_ref: &str, amount: &str) {
    let before = count(suite, "allocation.receipt").await;
    suite
        .publish_document(document_ref, &document(document_ref, "ACME01", amount))
        .await;
    let receipt = receipt(&format!("for {document_ref}"), amount);
    suite
        .publish_receipt(&receipt.bank_reference, &receipt)
        .await;
    eventually("the receipt is posted", DEADLINE, async || {
        count(suite, "allocation.receipt").await == before + 1
    })
    .await;
}

async fn count(suite: &Suite, table: &str) -> u64 {
    let sql = format!("select count(*) from {table}");
    let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .fetch_one(suite.admin_pool())
        .await
        .unwrap();
    rows.unsigned_abs()
}

fn everything() -> Republish {
    Republish {
        from: DateTime::UNIX_EPOCH,
        to: None,
        after: None,
    }
}

async fn republish(suite: &Suite, gateway: &Bus, after: Option<&str>) -> Republished {
    let ask = Republish {
        after: after.map(str::to_owned),
        ..everything()
    };
    ask_allocation(suite, gateway, &ask).await
}

async fn ask_allocation(suite: &Suite, gateway: &Bus, ask: &Republish) -> Republished {
    let subject = suite
        .prefix()
        .subject(format_args!("svc.{}.outbox.republish", Role::Allocation));
    messaging::ask(gateway.nats(), &subject, ask, DEADLINE)
        .await
        .unwrap()
}

async fn tell(suite: &Suite, conn: &mut sqlx::PgConnection, word: &str) {
    insert(suite, conn, None, word).await;
}

async fn insert(suite: &Suite, conn: &mut sqlx::PgConnection, tx: Option<&str>, word: &str) {
    sqlx::query(
        "insert into ingestion.outbox (tx, event_id, aggregate_id, aggregate_version, subject, event_type,
             partition_key, correlation_id, causation_id, traceparent, payload, recorded_at)
         values (coalesce($1::text::xid8, pg_current_xact_id()), gen_random_uuid(), gen_random_uuid(), 1, $2,
             'relay_test', 'k', gen_random_uuid(), gen_random_uuid(), '', $3, now())",
    )
    .bind(tx)
    .bind(suite.prefix().subject(format_args!("evt.ingestion.relay_test.v1.0")))
    .bind(word)
    .execute(conn)
    .await
    .unwrap();
}

async fn words(stream: &Stream, count: u64) -> Vec<String> {
    let mut words = Vec::new();
    for sequence in 1..=count {
        let message = stream.get_raw_message(sequence).await.unwrap();
        words.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    words
}
