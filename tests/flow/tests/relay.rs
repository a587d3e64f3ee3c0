//! From the outbox to the stream: every fact, once, in the order of commits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use async_nats::jetstream::stream::Stream;
use contracts::{Role, catalogue};
use messaging::Host;
use testkit::{DEADLINE, Suite, eventually};

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
