//! From the outbox to the stream: every fact, once, in the order of commits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

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
    let subject = suite
        .prefix()
        .subject(format_args!("ingestion.relay_test.v1"));
    for tx in ["9", "10", "99", "100"] {
        sqlx::query(
            "insert into ingestion.outbox (tx, event_id, aggregate_id, aggregate_version, subject, event_type,
                 partition_key, correlation_id, causation_id, traceparent, payload, recorded_at)
             select $1::text::xid8, gen_random_uuid(), gen_random_uuid(), 1, $2, 'relay_test', 'k',
                 gen_random_uuid(), gen_random_uuid(), '', $1 || '.' || n, now()
             from generate_series(1, 3) n",
        )
        .bind(tx)
        .bind(&subject)
        .execute(suite.admin_pool())
        .await
        .unwrap();
    }
    let service = suite
        .run(Role::Ingestion, |bus| Host::new(bus).run())
        .await;

    let mut stream = suite
        .jetstream()
        .get_stream(suite.prefix().stream(catalogue::INGESTION))
        .await
        .unwrap();
    eventually("all facts are in the stream", DEADLINE, async || {
        stream.info().await.unwrap().state.messages == 12
    })
    .await;
    let mut relayed = Vec::new();
    for sequence in 1..=12 {
        let message = stream.get_raw_message(sequence).await.unwrap();
        relayed.push(String::from_utf8(message.payload.to_vec()).unwrap());
    }
    assert_eq!(
        relayed,
        [
            "9.1", "9.2", "9.3", "10.1", "10.2", "10.3", "99.1", "99.2", "99.3", "100.1", "100.2",
            "100.3"
        ]
    );
    service.stop().await;
}
