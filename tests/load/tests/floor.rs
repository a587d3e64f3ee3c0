//! The floor against real servers: what it measures must be real work.

use std::time::Duration;

use load::Options;
use runtime::{LocalStack, NatsUser, StackOptions};

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_comes_through_once_and_again_in_a_second_run() {
    let directory = tempfile::tempdir().unwrap();
    let user = NatsUser {
        name: "platform".to_owned(),
        publish_allow: vec![">".to_owned()],
        subscribe_allow: vec![">".to_owned()],
        ..NatsUser::default()
    };
    let stack = LocalStack::start(
        &directory.path().join("data"),
        StackOptions {
            nats_users: vec![user],
            durable: false,
            ..StackOptions::default()
        },
    )
    .await
    .unwrap();
    let mut options = Options {
        database: stack.admin_dsn("postgres").unwrap().expose().to_owned(),
        nats_url: stack.nats_url(),
        nats_user: "platform".to_owned(),
        nats_password: stack.nats_password("platform").unwrap().expose().to_owned(),
        receipts: 2_500,
        open_items: 3_000,
        latency: Duration::from_millis(300),
    };
    // `run` itself checks that nothing is lost, doubled or out of balance.
    let floor = load::run(&options).await.unwrap();
    assert_eq!(floor.receipts, 2_500);
    assert!(floor.receipts_per_second > 0.0);
    assert!(floor.p50_ms > 0.0 && floor.p50_ms <= floor.p99_ms);

    // The tables and streams of the run before are in nobody's way.
    options.latency = Duration::ZERO;
    let again = load::run(&options).await.unwrap();
    assert_eq!((again.p50_ms, again.p99_ms), (0.0, 0.0));
    stack.destroy().await.unwrap();
}
