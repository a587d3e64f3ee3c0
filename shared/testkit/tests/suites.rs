//! The ground that all other tests stand on, tested itself.

// Clippy's leave for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use chrono::{DateTime, Utc};
use contracts::{
    Role,
    catalogue::{INBOUND, STREAMS},
};
use messaging::{Bus, Consumer, Decided, Failure, Host, Incoming, Raw, Tx};
use testkit::{DEADLINE, Suite, account, document, eventually, receipt};

/// Takes every message and does nothing with it: what it has taken is in its inbox.
struct Taking {
    /// Stays for ever in the middle of the transaction of its first batch, and says so.
    stuck: Option<Arc<AtomicBool>>,
}

impl Consumer for Taking {
    const STREAM: &'static str = INBOUND;
    type Message = ();
    type State = ();
    type Changes = ();

    fn decode(&self, _: &Raw) -> Result<Option<()>, Failure> {
        Ok(Some(()))
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<()>]) -> Result<(), Failure> {
        if let Some(stuck) = &self.stuck {
            stuck.store(true, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    fn decide(&self, (): (), _: &[Incoming<()>], _: DateTime<Utc>) -> Result<Decided<()>, Failure> {
        Ok(Decided::default())
    }

    async fn record(&self, _: &mut Tx, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}

async fn take(bus: Bus) -> Result<(), Failure> {
    Host::new(bus).consume(Taking { stuck: None }).run().await
}

async fn taken(suite: &Suite) -> i64 {
    sqlx::query_scalar("select count(*) from ingestion.inbox")
        .fetch_one(suite.admin_pool())
        .await
        .unwrap()
}

async fn messages(suite: &Suite) -> u64 {
    let stream = suite
        .jetstream()
        .get_stream(suite.prefix().stream(INBOUND))
        .await
        .unwrap();
    stream.cached_info().state.messages
}

#[tokio::test]
async fn two_suites_at_once_do_not_see_each_other() {
    let (one, other) = tokio::join!(Suite::start(), Suite::start());
    let in_one = one.run(Role::Ingestion, take).await;
    let in_other = other.run(Role::Ingestion, take).await;
    one.publish_account("a", &account("ACME01")).await;
    one.publish_document("d", &document("INV-1", "ACME01", "100.00"))
        .await;
    other
        .publish_receipt("r", &receipt("INV-1", "100.00"))
        .await;
    eventually("both took what is theirs", DEADLINE, async || {
        (taken(&one).await, taken(&other).await) == (2, 1)
    })
    .await;
    assert_eq!((messages(&one).await, messages(&other).await), (2, 1));
    in_one.stop().await;
    in_other.stop().await;
    assert_eq!((taken(&one).await, taken(&other).await), (2, 1));
}

#[tokio::test]
async fn what_a_crashed_service_had_in_its_hands_is_delivered_again() {
    let suite = Suite::start().await;
    let stuck = Arc::new(AtomicBool::new(false));
    let consumer = Taking {
        stuck: Some(stuck.clone()),
    };
    let first = suite
        .run(Role::Ingestion, |bus| async move {
            Host::new(bus).consume(consumer).run().await
        })
        .await;
    suite
        .publish_receipt("r", &receipt("INV-1", "100.00"))
        .await;
    eventually("the first is in the middle of it", DEADLINE, async || {
        stuck.load(Ordering::SeqCst)
    })
    .await;
    assert!(!first.has_ended());
    first.crash().await;
    assert_eq!(taken(&suite).await, 0, "rolled back");

    let second = suite.run(Role::Ingestion, take).await;
    eventually("the second took it", DEADLINE, async || {
        taken(&suite).await == 1
    })
    .await;
    second.stop().await;
}

/// A feed that repeats itself: the stream keeps one.
#[tokio::test]
async fn the_same_message_id_is_stored_once() {
    let suite = Suite::start().await;
    let line = receipt("INV-1", "100.00");
    assert!(!suite.publish_receipt("r-1", &line).await.duplicate);
    assert!(suite.publish_receipt("r-1", &line).await.duplicate);
    assert!(!suite.publish_receipt("r-2", &line).await.duplicate);
    assert_ne!(
        line.bank_reference,
        receipt("INV-1", "100.00").bank_reference
    );
}

#[tokio::test]
async fn every_role_has_its_schema_and_sees_no_other() {
    let suite = Suite::start().await;
    for role in Role::ALL {
        let pool = suite.pool(role);
        let own = sqlx::AssertSqlSafe(format!("select count(*) from {role}.inbox"));
        let claimed: i64 = sqlx::query_scalar(own).fetch_one(&pool).await.unwrap();
        assert_eq!(claimed, 0);
        for other in Role::ALL.into_iter().filter(|other| *other != role) {
            let theirs = sqlx::AssertSqlSafe(format!("select 1 from {other}.inbox"));
            let refused = sqlx::query(theirs).execute(&pool).await.unwrap_err();
            let code = refused
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .unwrap();
            assert_eq!(code, "42501", "{role} in {other}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_suite_leaves_nothing_behind() {
    // Where the servers are private they are gone with the first suite, and there is nothing to look at.
    let after = Suite::start().await;
    let shared = std::env::var_os("COUNTERFOIL_TEST_STACK").is_some();
    let before = Suite::start().await;
    let (name, prefix) = (
        before.config().database.name.clone(),
        before.prefix().clone(),
    );
    let running = before.run(Role::Ingestion, take).await;
    assert_ne!(name, after.config().database.name);
    drop(before);
    drop(running);
    if shared {
        let left: i64 = sqlx::query_scalar("select count(*) from pg_database where datname = $1")
            .bind(&name)
            .fetch_one(after.admin_pool())
            .await
            .unwrap();
        assert_eq!(left, 0);
        for stream in &STREAMS {
            assert!(
                after
                    .jetstream()
                    .get_stream(prefix.stream(stream.name))
                    .await
                    .is_err()
            );
            assert!(
                after
                    .jetstream()
                    .get_stream(after.prefix().stream(stream.name))
                    .await
                    .is_ok()
            );
        }
    }
}
