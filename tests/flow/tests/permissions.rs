//! Each service can touch what is its own and nothing else: every pair is
//! tried, on the embedded stack as on any other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{os::unix::fs::PermissionsExt, time::Duration};

use contracts::{
    Prefix, Role,
    catalogue::{Outsider, STREAMS},
};
use runtime::{Config, LocalStack, StackOptions, service::nats_users};
use sqlx::{AssertSqlSafe, Row as _};
use testkit::Suite;

/// Postgres: a role reads and writes its own tables, and is denied every other
/// schema's.
#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_roles_is_kept_apart_in_the_database() {
    let suite = Suite::start().await;
    let mut pairs = 0;
    for role in Role::ALL {
        let pool = suite.pool(role);
        for owner in Role::ALL {
            let read = sqlx::query(AssertSqlSafe(format!(
                "select count(*) from {owner}.outbox"
            )))
            .fetch_one(&pool)
            .await;
            let write = sqlx::query(AssertSqlSafe(format!("delete from {owner}.inbox")))
                .execute(&pool)
                .await;
            if role == owner {
                assert_eq!(read.unwrap().get::<i64, _>(0), 0);
                write.unwrap();
                continue;
            }
            for denied in [read.err(), write.err()] {
                let error = denied.unwrap_or_else(|| panic!("{role} could touch {owner}"));
                let code = error
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code)
                    .map(std::borrow::Cow::into_owned);
                assert_eq!(code.as_deref(), Some("42501"), "{role} on {owner}: {error}");
            }
            pairs += 1;
        }
        let ddl = sqlx::query(AssertSqlSafe(format!("create table {role}.mine (x int)")))
            .execute(&pool)
            .await;
        assert!(ddl.is_err(), "{role} could change its own tables");
    }
    assert_eq!(pairs, 42);
}

/// The journal cannot be edited, not even by the service that writes it.
#[tokio::test(flavor = "multi_thread")]
async fn what_moved_money_is_append_only() {
    let suite = Suite::start().await;
    let pool = suite.pool(Role::Allocation);
    for table in [
        "journal",
        "allocation",
        "adjustment",
        "outflow",
        "matter_entry",
        "charity_register",
    ] {
        for sql in [
            format!("update allocation.{table} set amount = 1"),
            format!("delete from allocation.{table}"),
        ] {
            let error = sqlx::query(AssertSqlSafe(sql))
                .execute(&pool)
                .await
                .unwrap_err();
            assert_eq!(
                error.as_database_error().unwrap().code().unwrap(),
                "42501",
                "{error}"
            );
            // The owner is stopped by the trigger.
        }
        let error = sqlx::query(AssertSqlSafe(format!("delete from allocation.{table}")))
            .execute(suite.admin_pool())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

/// NATS: a user may publish its own facts and hear its own requests; another's
/// are denied by the server.
#[tokio::test(flavor = "multi_thread")]
async fn every_user_of_the_broker_is_kept_to_its_own_subjects() {
    // A broker of its own, set up as `counterfoil up` does: the one that tests
    // share cannot know their prefixes.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = Config::defaults().unwrap();
    let options = StackOptions {
        nats_users: nats_users(&config).unwrap(),
        durable: false,
        ..StackOptions::default()
    };
    let stack = LocalStack::start(folder.path(), options).await.unwrap();
    stack.configure(&mut config);
    let prefix = &Prefix::default();
    let users: Vec<&str> = Role::ALL
        .map(Role::name)
        .into_iter()
        .chain(Outsider::ALL.map(Outsider::name))
        .collect();
    for user in users {
        if user == Outsider::Platform.name() {
            continue;
        }
        let denials = denied(&config, user).await;
        for owner in Role::ALL {
            let subject = prefix.subject(format_args!("evt.{owner}.probe.00"));
            let publish = format!("Publish to \"{subject}\"").to_lowercase();
            assert_eq!(
                denials.iter().any(|d| d.to_lowercase().contains(&publish)),
                user != owner.name(),
                "{user} publishing facts of {owner}: {denials:#?}"
            );
        }
        // Nobody but the platform user may change a stream.
        for stream in STREAMS {
            let subject =
                format!("$js.api.stream.purge.{}", prefix.stream(stream.name)).to_lowercase();
            assert!(
                denials.iter().any(|d| d.to_lowercase().contains(&subject)),
                "{user} could purge {}",
                stream.name
            );
        }
        let listens = format!("Subscription to \"{}\"", prefix.subject("evt.>")).to_lowercase();
        assert!(
            denials.iter().any(|d| d.to_lowercase().contains(&listens)),
            "{user} could listen to all facts"
        );
    }
    stack.destroy().await.unwrap();
}

/// A dashboard that comes late reads back the stream of SLA events, and no
/// other.
#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_replays_what_was_late_and_reads_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let mut config = Config::defaults().unwrap();
    let options = StackOptions {
        nats_users: nats_users(&config).unwrap(),
        durable: false,
        ..StackOptions::default()
    };
    let stack = LocalStack::start(folder.path(), options).await.unwrap();
    stack.configure(&mut config);
    runtime::service::apply_streams(&config).await.unwrap();
    let prefix = Prefix::default();
    let platform = runtime::service::nats(&config, Outsider::Platform.name())
        .await
        .unwrap();
    let js = async_nats::jetstream::new(platform);
    for n in 0..3 {
        let subject = prefix.sla(contracts::worklist::SlaLevel::Breached, "dispute");
        js.publish(subject, format!("{n}").into())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    let dashboard = runtime::service::nats(&config, Outsider::Dashboard.name())
        .await
        .unwrap();
    let js = async_nats::jetstream::with_prefix(dashboard, "$JS.API");
    let sla = js
        .get_stream(prefix.stream(contracts::catalogue::SLA))
        .await
        .unwrap();
    assert_eq!(sla.cached_info().state.messages, 3);
    for n in 0..3 {
        let message = sla.get_raw_message(n + 1).await.unwrap();
        assert_eq!(message.payload, n.to_string());
    }
    // A consumer would deliver wherever it is told to: it may make none, pulled
    // or pushed, nor take what a service's consumer has.
    let soon = Duration::from_millis(500);
    let pulled = sla.create_consumer(async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("mine".into()),
        ..Default::default()
    });
    assert!(!matches!(
        tokio::time::timeout(soon, pulled).await,
        Ok(Ok(_))
    ));
    let pushed = sla.create_consumer(async_nats::jetstream::consumer::push::Config {
        deliver_subject: prefix.subject("in.bank.receipts.mine"),
        ..Default::default()
    });
    assert!(!matches!(
        tokio::time::timeout(soon, pushed).await,
        Ok(Ok(_))
    ));
    let mut made = sla.consumer_names();
    let first = tokio::time::timeout(soon, futures::StreamExt::next(&mut made)).await;
    assert!(
        !matches!(first, Ok(Some(Ok(_)))),
        "it sees or made consumers"
    );
    let denials = denied(&config, Outsider::Dashboard.name()).await;
    assert!(!denials.is_empty());
    for stream in STREAMS
        .iter()
        .filter(|s| s.name != contracts::catalogue::SLA)
    {
        let info = tokio::time::timeout(soon, js.get_stream(prefix.stream(stream.name))).await;
        assert!(!matches!(info, Ok(Ok(_))), "{} can be seen", stream.name);
        let other = js
            .get_stream_no_info(prefix.stream(stream.name))
            .await
            .unwrap();
        let read = tokio::time::timeout(soon, other.get_raw_message(1)).await;
        let denied = match read {
            Err(_) => true,
            Ok(read) => !matches!(
                read.map_err(|error| error.kind()),
                Ok(_) | Err(async_nats::jetstream::stream::RawMessageErrorKind::NoMessageFound)
            ),
        };
        assert!(denied, "{} can be read", stream.name);
    }
    stack.destroy().await.unwrap();
}

/// What the server denied `user` of everything that is tried.
async fn denied(config: &Config, user: &str) -> Vec<String> {
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let password = config
        .nats
        .users
        .get(user)
        .unwrap_or_else(|| panic!("no user {user}"))
        .clone();
    let client = async_nats::ConnectOptions::new()
        .user_and_password(user.to_owned(), password.expose().to_owned())
        .custom_inbox_prefix(contracts::catalogue::inbox_prefix(user))
        .event_callback(move |event| {
            let told = told.clone();
            async move {
                let _ = told.send(event.to_string());
            }
        })
        .connect(&config.nats.url)
        .await
        .unwrap();
    let prefix = Prefix::default();
    let mut tries = 0;
    for owner in Role::ALL {
        client
            .publish(
                prefix.subject(format_args!("evt.{owner}.probe.00")),
                "{}".into(),
            )
            .await
            .unwrap();
        tries += usize::from(user != owner.name());
    }
    for stream in STREAMS {
        client
            .publish(
                format!("$JS.API.STREAM.PURGE.{}", prefix.stream(stream.name)),
                "{}".into(),
            )
            .await
            .unwrap();
        tries += 1;
    }
    let mut all = client.subscribe(prefix.subject("evt.>")).await.unwrap();
    tries += 1;
    client.flush().await.unwrap();
    let mut denials = Vec::new();
    while denials.len() < tries {
        match tokio::time::timeout(Duration::from_secs(10), hears.recv()).await {
            Ok(Some(event)) if event.to_lowercase().contains("permissions violation") => {
                denials.push(event);
            }
            Ok(Some(_)) => {}
            _ => break,
        }
    }
    let _ = all.unsubscribe().await;
    denials
}
