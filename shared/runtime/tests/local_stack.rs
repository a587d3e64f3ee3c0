//! The local stack with real servers: each test has a data directory and a stack of its own.

// Clippy's leave for tests does not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use futures::StreamExt as _;
use runtime::local::PostgresInstall;
use runtime::{
    Config, LocalError, LocalStack, NatsUser, RoleSpec, Secret, StackInfo, StackOptions,
    provision_database,
};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use tempfile::TempDir;

/// Tells [`child_runs_a_stack`] where.
const CHILD_DATA_DIR: &str = "COUNTERFOIL_TEST_DATA_DIR";

fn options() -> StackOptions {
    let user = |name: &str, publish: &[&str], subscribe: &[&str]| NatsUser {
        name: name.into(),
        publish_allow: publish.iter().map(|&subject| subject.into()).collect(),
        subscribe_allow: subscribe.iter().map(|&subject| subject.into()).collect(),
        ..NatsUser::default()
    };
    StackOptions {
        nats_users: vec![
            user("cli", &[">"], &[">"]),
            user(
                "bank_feed",
                &["counterfoil.in.bank.receipts.>"],
                &["_INBOX.bank_feed.>"],
            ),
            user("deaf", &["counterfoil.>"], &[]),
            user("answering", &["_INBOX.cli.>"], &["ask.>"]),
        ],
        shared_buffers_mb: 16,
        durable: false,
        ..StackOptions::default()
    }
}

/// A directory below one that every user may pass through (the servers do not run as root).
fn directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

fn data_dir(directory: &TempDir) -> PathBuf {
    directory.path().join("data")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !check().await {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Every living process that has `directory` in its command line or works in it.
fn processes_of(directory: &Path) -> Vec<String> {
    let directory = std::fs::canonicalize(directory).unwrap();
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = std::fs::read(process.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let works_in = std::fs::read_link(process.path().join("cwd"))
            .is_ok_and(|cwd| cwd.starts_with(&directory));
        if works_in || line.contains(&*directory.to_string_lossy()) {
            found.push(format!("{} {line}", process.file_name().display()));
        }
    }
    found
}

async fn admin(stack: &LocalStack) -> PgConnection {
    PgConnection::connect_with(&stack.admin_options())
        .await
        .unwrap()
}

async fn nats(stack: &LocalStack, user: &str) -> async_nats::Client {
    let password = stack.nats_password(user).unwrap();
    async_nats::ConnectOptions::with_user_and_password(user.into(), password.expose().into())
        .custom_inbox_prefix(format!("_INBOX.{user}"))
        .connect(stack.nats_url())
        .await
        .unwrap()
}

/// A connection, and what the server refuses it.
async fn nats_with_refusals(
    stack: &LocalStack,
    user: &str,
) -> (async_nats::Client, tokio::sync::mpsc::Receiver<String>) {
    let password = stack.nats_password(user).unwrap();
    let (tell, refusals) = tokio::sync::mpsc::channel(16);
    let client =
        async_nats::ConnectOptions::with_user_and_password(user.into(), password.expose().into())
            .custom_inbox_prefix(format!("_INBOX.{user}"))
            .event_callback(move |event| {
                let tell = tell.clone();
                async move {
                    if let async_nats::Event::ServerError(error) = event {
                        tell.send(error.to_string().to_lowercase()).await.unwrap();
                    }
                }
            })
            .connect(stack.nats_url())
            .await
            .unwrap();
    (client, refusals)
}

async fn refused(refusals: &mut tokio::sync::mpsc::Receiver<String>) -> String {
    let refusal = tokio::time::timeout(Duration::from_secs(10), refusals.recv()).await;
    refusal.expect("a refusal within 10 s").unwrap()
}

async fn keep_a_message(stack: &LocalStack, text: &'static str) {
    let context = jetstream::new(nats(stack, "cli").await);
    let config = jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        ..jetstream::stream::Config::default()
    };
    context.get_or_create_stream(config).await.unwrap();
    context
        .publish("kept.one", text.into())
        .await
        .unwrap()
        .await
        .unwrap();
}

async fn last_message(stack: &LocalStack) -> String {
    let context = jetstream::new(nats(stack, "cli").await);
    let message = context
        .get_stream("KEPT")
        .await
        .unwrap()
        .get_last_raw_message_by_subject("kept.one")
        .await
        .unwrap();
    String::from_utf8(message.payload.to_vec()).unwrap()
}

#[tokio::test]
async fn data_and_ports_outlive_a_restart_and_nothing_keeps_running() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    admin(&stack)
        .await
        .execute("create table kept (pence bigint); insert into kept values (12345)")
        .await
        .unwrap();
    keep_a_message(&stack, "first").await;
    let (postgres_port, nats_port) = (stack.postgres_port(), stack.nats_port());
    let running = StackInfo::running(&data_dir)
        .unwrap()
        .expect("it says that it runs");
    assert_eq!(running.postgres.pid, stack.pids().postgres);
    assert_eq!(running.nats.pid, stack.pids().nats);
    assert_eq!(running.owner_pid, std::process::id());
    stack.stop().await.unwrap();

    assert_eq!(processes_of(&data_dir), Vec::<String>::new());
    assert!(StackInfo::running(&data_dir).unwrap().is_none());
    for port in [postgres_port, nats_port] {
        assert!(
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err(),
            "somebody listens on {port}"
        );
    }

    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    assert_eq!(
        (stack.postgres_port(), stack.nats_port()),
        (postgres_port, nats_port)
    );
    let pence: i64 = sqlx::query_scalar("select pence from kept")
        .fetch_one(&mut admin(&stack).await)
        .await
        .unwrap();
    assert_eq!(pence, 12345);
    assert_eq!(last_message(&stack).await, "first");
    drop(stack);
    assert_eq!(
        processes_of(&data_dir),
        Vec::<String>::new(),
        "dropping it stops it too"
    );
}

#[tokio::test]
async fn servers_are_private_and_set_up_as_promised() {
    use std::os::unix::fs::MetadataExt;
    let directory = directory();
    let stack = LocalStack::start(
        &data_dir(&directory),
        StackOptions {
            durable: true,
            nats_monitoring: true,
            ..options()
        },
    )
    .await
    .unwrap();
    let mut admin = admin(&stack).await;
    for (name, expected) in [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "200"),
        ("max_wal_size", "4GB"),
        ("shared_buffers", "16MB"),
        ("random_page_cost", "1.1"),
        ("autovacuum", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
    ] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(value, expected, "{name}");
    }
    let best: String = sqlx::query_scalar(
        "select case when 'lz4' = any(enumvals) then 'lz4' else 'pglz' end
         from pg_settings where name = 'wal_compression' and setting in ('lz4', 'pglz')",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    let compression: String = sqlx::query_scalar("select current_setting('wal_compression')")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(compression, best);
    let wrong = stack.admin_options().password("not it");
    let refused = PgConnection::connect_with(&wrong).await.unwrap_err();
    assert_eq!(
        refused.into_database_error().unwrap().code().as_deref(),
        Some("28P01")
    );

    let anonymous = async_nats::connect(stack.nats_url()).await;
    assert!(
        anonymous.is_err(),
        "the broker lets nobody in without a password"
    );
    let monitoring = stack.nats_monitoring_port().expect("asked for");
    assert!(std::net::TcpStream::connect(("127.0.0.1", monitoring)).is_ok());

    let mode = |name: &str| {
        std::fs::metadata(stack.data_dir().join(name))
            .unwrap()
            .mode()
            & 0o777
    };
    assert_eq!(mode(""), if is_root() { 0o711 } else { 0o700 });
    assert_eq!(
        (mode("pg"), mode("nats"), mode("log")),
        (0o700, 0o700, 0o700)
    );
    assert_eq!(
        (
            mode("secrets.toml"),
            mode("stack.json"),
            mode("nats/nats.conf")
        ),
        (0o600, 0o600, 0o600)
    );
    for pid in [stack.pids().postgres.unwrap(), stack.pids().nats.unwrap()] {
        assert_ne!(
            std::fs::metadata(format!("/proc/{pid}")).unwrap().uid(),
            0,
            "no server runs as root"
        );
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_start_on_a_live_directory_is_refused() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    let refused = LocalStack::start(&data_dir, options()).await.unwrap_err();
    let expected = std::process::id().to_string();
    assert!(
        matches!(&refused, LocalError::AlreadyRunning { owner, .. } if *owner == expected),
        "{refused}"
    );
    assert!(refused.to_string().contains("already running"), "{refused}");
    admin(&stack)
        .await
        .execute("select 1")
        .await
        .expect("the live one is not disturbed");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_directory_is_left_alone() {
    let directory = directory();
    std::fs::write(directory.path().join("thesis.txt"), "do not touch").unwrap();
    let refused = LocalStack::start(directory.path(), options())
        .await
        .unwrap_err();
    assert!(matches!(refused, LocalError::DataDir { .. }), "{refused}");
    assert_eq!(
        std::fs::metadata(directory.path())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o711
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_package() {
    let directory = directory();
    let without_postgres = StackOptions {
        postgres_bin: Some(directory.path().into()),
        ..options()
    };
    let missing = LocalStack::start(&data_dir(&directory), without_postgres)
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.contains("apt-get install postgresql`"), "{missing}");
    let without_nats = StackOptions {
        nats_server: Some(directory.path().join("none")),
        ..options()
    };
    let missing = LocalStack::start(&data_dir(&directory), without_nats)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("apt-get install nats-server`"),
        "{missing}"
    );
    let other_version = PostgresInstall::find(None, Some(8))
        .unwrap_err()
        .to_string();
    assert!(
        other_version.contains("apt-get install postgresql-8`"),
        "{other_version}"
    );
}

/// Not a test of its own: the process that the tests below kill. It holds a stack until then.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
async fn child_runs_a_stack() {
    let Some(data_dir) = std::env::var_os(CHILD_DATA_DIR) else {
        return;
    };
    let stack = LocalStack::start(Path::new(&data_dir), options())
        .await
        .unwrap();
    admin(&stack)
        .await
        .execute("create table if not exists kept (pence bigint)")
        .await
        .unwrap();
    admin(&stack)
        .await
        .execute("insert into kept values (12345)")
        .await
        .unwrap();
    std::fs::write(Path::new(&data_dir).join("log/child-is-up"), "").unwrap();
    std::future::pending::<()>().await;
}

fn this_test_binary(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

async fn start_child(data_dir: &Path) -> (Child, StackInfo) {
    let child = this_test_binary("child_runs_a_stack")
        .env(CHILD_DATA_DIR, data_dir)
        .spawn()
        .unwrap();
    eventually("the child's stack is up", async || {
        data_dir.join("log/child-is-up").exists()
    })
    .await;
    let info = StackInfo::running(data_dir)
        .unwrap()
        .expect("the child holds the lock");
    assert_eq!(info.owner_pid, child.id());
    (child, info)
}

fn kill_9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn the_servers_of_a_killed_run_are_stopped_by_their_guards() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    let (mut child, _) = start_child(&data_dir).await;
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the servers have stopped", async || {
        processes_of(&data_dir).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_run_killed_with_its_guards_is_cleared_away_by_the_next_start() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    let (mut child, before) = start_child(&data_dir).await;
    for guard in [before.postgres.guard_pid, before.nats.guard_pid] {
        kill_9(guard.expect("a guard"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        StackInfo::running(&data_dir).unwrap().is_none(),
        "the lock died with its holder"
    );
    let orphan = format!("/proc/{}", before.postgres.pid.unwrap());
    assert!(Path::new(&orphan).exists(), "nobody stopped the orphan yet");

    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    assert_ne!(stack.pids().postgres, before.postgres.pid);
    assert_ne!(stack.pids().nats, before.nats.pid);
    let pence: i64 = sqlx::query_scalar("select pence from kept")
        .fetch_one(&mut admin(&stack).await)
        .await
        .unwrap();
    assert_eq!(pence, 12345);
    stack.stop().await.unwrap();
    assert_eq!(processes_of(&data_dir), Vec::<String>::new());
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_stranger_does_not_harm_it() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    LocalStack::start(&data_dir, options())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    // The pid was given to another program since.
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(
        data_dir.join("pg/postmaster.pid"),
        format!("{}\n{}\n", stranger.id(), data_dir.join("pg").display()),
    )
    .unwrap();
    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    stack.stop().await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn crashed_servers_come_back_on_their_ports_with_their_data() {
    let directory = directory();
    let mut stack = LocalStack::start(&data_dir(&directory), options())
        .await
        .unwrap();
    let ports = (stack.postgres_port(), stack.nats_port());
    admin(&stack)
        .await
        .execute("create table kept (pence bigint); insert into kept values (1)")
        .await
        .unwrap();
    keep_a_message(&stack, "before the crash").await;
    assert_eq!(stack.failed_server(), None);

    let before = stack.pids();
    // From outside, as the kernel would when memory runs out.
    kill_9(before.nats.unwrap());
    eventually("the crash is noticed", async || {
        stack.failed_server() == Some("nats-server")
    })
    .await;
    stack.restart_nats().await.unwrap();
    stack.kill_postgres();
    assert_eq!(stack.pids().postgres, None);
    stack.restart_postgres().await.unwrap();
    assert_eq!(stack.failed_server(), None);
    assert_ne!(stack.pids().postgres, before.postgres);
    assert_eq!((stack.postgres_port(), stack.nats_port()), ports);
    assert_eq!(last_message(&stack).await, "before the crash");
    let pence: i64 = sqlx::query_scalar("select pence from kept")
        .fetch_one(&mut admin(&stack).await)
        .await
        .unwrap();
    assert_eq!(pence, 1);

    stack.kill_nats();
    stack.restart_nats().await.unwrap();
    assert_eq!(
        StackInfo::running(stack.data_dir()).unwrap().as_ref(),
        Some(stack.info())
    );
    stack.stop().await.unwrap();
}

fn role(stack: &LocalStack, name: &str) -> RoleSpec {
    RoleSpec {
        name: name.into(),
        password: stack.postgres_password(name).unwrap(),
        statement_timeout: Duration::from_secs(7),
        idle_in_transaction: Duration::from_millis(2500),
    }
}

async fn connect_as(
    stack: &LocalStack,
    role: &str,
    database: &str,
) -> Result<PgConnection, sqlx::Error> {
    let password = stack.postgres_password(role).unwrap();
    let options = stack
        .admin_options()
        .username(role)
        .password(password.expose())
        .database(database);
    PgConnection::connect_with(&options).await
}

fn code(error: sqlx::Error) -> Option<String> {
    error.into_database_error()?.code().map(String::from)
}

#[tokio::test]
async fn every_role_sees_its_own_schema_and_no_other() {
    const DENIED: &str = "42501";
    let directory = directory();
    let stack = LocalStack::start(&data_dir(&directory), options())
        .await
        .unwrap();
    let names = ["allocation", "dunning", "reporting"];
    let roles: Vec<RoleSpec> = names.iter().map(|name| role(&stack, name)).collect();
    // Twice, and at the same time: two replicas of `migrate`.
    let options = stack.admin_options();
    let (first, second) = tokio::join!(
        provision_database(&options, "counterfoil", &roles),
        provision_database(&options, "counterfoil", &roles)
    );
    first.unwrap();
    second.unwrap();

    // The tables come later, made by the owners, as the migrations do.
    let mut admin = PgConnection::connect_with(&options.clone().database("counterfoil"))
        .await
        .unwrap();
    for name in names {
        let make = format!(
            "set role {name}_owner; create table {name}.item (id bigserial primary key, note text); \
             create function {name}.one() returns int language sql return 1; reset role"
        );
        admin.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    }
    provision_database(&options, "counterfoil", &roles)
        .await
        .expect("again, with tables in place");

    for own in names {
        let mut connection = connect_as(&stack, own, "counterfoil").await.unwrap();
        connection
            .execute("insert into item (note) values ('mine')")
            .await
            .expect("search_path and rights on its own");
        connection
            .execute("update item set note = 'still mine'; delete from item")
            .await
            .unwrap();
        let settings = sqlx::query(
            "select current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(
            (settings.get::<&str, _>(0), settings.get::<&str, _>(1)),
            ("7s", "2500ms")
        );
        for other in names.into_iter().filter(|other| *other != own) {
            for attempt in [
                format!("select * from {other}.item"),
                format!("insert into {other}.item (note) values ('theirs')"),
                format!("select {other}.one()"),
                format!("set role {other}_owner"),
            ] {
                let refused = connection
                    .execute(sqlx::AssertSqlSafe(attempt.clone()))
                    .await
                    .unwrap_err();
                assert_eq!(code(refused).as_deref(), Some(DENIED), "{own}: {attempt}");
            }
        }
        for attempt in [
            "create table more (id int)",
            "create table public.more (id int)",
            "create schema more",
            "create temporary table more (id int)",
            "drop table item",
            "truncate item",
        ] {
            let refused = connection.execute(attempt).await.unwrap_err();
            assert_eq!(code(refused).as_deref(), Some(DENIED), "{own}: {attempt}");
        }
    }
    let owner = stack
        .admin_options()
        .username("dunning_owner")
        .password("")
        .database("counterfoil");
    assert!(
        PgConnection::connect_with(&owner).await.is_err(),
        "owners cannot log in"
    );
    let statements: Vec<String> = sqlx::query_scalar("select query from pg_stat_statements")
        .fetch_all(&mut admin)
        .await
        .unwrap();
    assert!(!statements.is_empty());
    for name in names {
        let password = stack.postgres_password(name).unwrap();
        assert!(
            !statements
                .iter()
                .any(|text| text.contains(password.expose())),
            "a password is in the statistics"
        );
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn names_that_are_not_plain_are_refused_before_anything_is_done() {
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(1);
    for name in ["", "Allocation", "a b", "a;drop", "a\"b", "1a"] {
        let refused = provision_database(&nowhere, name, &[]).await.unwrap_err();
        assert!(
            matches!(refused, runtime::ProvisionError::Name(_)),
            "{name}: {refused}"
        );
    }
}

#[tokio::test]
async fn broker_users_may_do_what_they_are_allowed_and_no_more() {
    let directory = directory();
    let stack = LocalStack::start(&data_dir(&directory), options())
        .await
        .unwrap();
    let cli = nats(&stack, "cli").await;
    let mut everything = cli.subscribe("counterfoil.>").await.unwrap();
    // `flush` only empties our own buffer. A message of the same connection that comes back has passed the
    // subscription in the server.
    let mut next_subject = async || {
        let next = tokio::time::timeout(Duration::from_secs(10), everything.next());
        next.await.unwrap().unwrap().subject.to_string()
    };
    cli.publish("counterfoil.begin", "".into()).await.unwrap();
    assert_eq!(next_subject().await, "counterfoil.begin");

    let (feed, mut refusals) = nats_with_refusals(&stack, "bank_feed").await;
    for subject in [
        "counterfoil.evt.allocation.receipt_posted.00",
        "counterfoil.in.bank.receipts.acme",
    ] {
        feed.publish(subject, "a payload".into()).await.unwrap();
    }
    assert_eq!(
        next_subject().await,
        "counterfoil.in.bank.receipts.acme",
        "the forged event was not let through"
    );
    let refusal = refused(&mut refusals).await;
    assert!(refusal.contains("counterfoil.evt.allocation"), "{refusal}");

    // An empty list means nothing, not everything.
    let (deaf, mut refusals) = nats_with_refusals(&stack, "deaf").await;
    let _overheard = deaf.subscribe("counterfoil.>").await.unwrap();
    let refusal = refused(&mut refusals).await;
    assert!(refusal.contains("subscription"), "{refusal}");

    // May publish to nothing, and yet answer.
    let (answering, mut refusals) = nats_with_refusals(&stack, "answering").await;
    let mut questions = answering.subscribe("ask.>").await.unwrap();
    answering
        .publish("counterfoil.forged", "".into())
        .await
        .unwrap();
    // Refused after the subscription on the same connection: that is in place now.
    let refusal = refused(&mut refusals).await;
    assert!(refusal.contains("counterfoil.forged"), "{refusal}");
    tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            if let Some(reply) = question.reply {
                answering.publish(reply, "an answer".into()).await.unwrap();
            }
        }
    });
    let answer = tokio::time::timeout(
        Duration::from_secs(10),
        cli.request("ask.balance", "?".into()),
    )
    .await;
    assert_eq!(&answer.unwrap().unwrap().payload[..], b"an answer");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_broker_user_that_would_break_the_configuration_is_refused() {
    let directory = directory();
    let mut broken = options();
    broken.nats_users[0].password = Secret::from("a\" } ] } # gone");
    let refused = LocalStack::start(&data_dir(&directory), broken)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, LocalError::NatsUser { user } if user == "cli"),
        "{refused}"
    );
    assert!(
        !format!("{refused:?}").contains("gone"),
        "the password is not told"
    );
    assert_eq!(processes_of(&data_dir(&directory)), Vec::<String>::new());
}

#[tokio::test]
async fn another_command_finds_its_way_to_a_running_stack() {
    let directory = directory();
    let data_dir = data_dir(&directory);
    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    provision_database(
        &stack.admin_options(),
        "counterfoil",
        &[role(&stack, "allocation")],
    )
    .await
    .unwrap();

    let mut here = Config::defaults().unwrap();
    stack.configure(&mut here);
    let mut there = Config::defaults().unwrap();
    StackInfo::running(&data_dir)
        .unwrap()
        .unwrap()
        .configure(&data_dir, &mut there)
        .unwrap();
    assert_eq!(here, there);
    assert_eq!(there.database.port, stack.postgres_port());
    assert_eq!(
        there.database.passwords["allocation"],
        stack.postgres_password("allocation").unwrap()
    );
    assert_eq!(
        there.nats.users["bank_feed"],
        stack.nats_password("bank_feed").unwrap()
    );
    let dsn = stack.admin_dsn("counterfoil").unwrap();
    assert!(
        !format!("{dsn:?}{stack:?}").contains(there.database.admin_password.expose()),
        "no password in a {{:?}}"
    );
    let options: sqlx::postgres::PgConnectOptions = dsn.expose().parse().unwrap();
    PgConnection::connect_with(&options).await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn destroying_a_stack_removes_every_file_wherever_it_is() {
    // As root below a directory that only root can enter, the servers' data must go elsewhere.
    let directory = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .unwrap();
    let data_dir = data_dir(&directory);
    let stack = LocalStack::start(&data_dir, options()).await.unwrap();
    admin(&stack)
        .await
        .execute("create table kept (pence bigint)")
        .await
        .unwrap();
    let elsewhere = std::fs::read_link(stack.data_dir().join("servers")).ok();
    assert_eq!(elsewhere.is_some(), is_root());
    stack.stop().await.unwrap();
    let stack = LocalStack::start(&data_dir, options())
        .await
        .expect("found again");
    admin(&stack)
        .await
        .execute("select from kept")
        .await
        .unwrap();
    assert_eq!(
        std::fs::read_link(stack.data_dir().join("servers")).ok(),
        elsewhere
    );
    stack.destroy().await.unwrap();
    assert!(!data_dir.exists());
    assert!(elsewhere.is_none_or(|elsewhere| !elsewhere.exists()));
}

#[tokio::test]
async fn it_runs_for_an_ordinary_user_too() {
    if !is_root() {
        // Every other test here has shown it already.
        return;
    }
    const NOBODY: u32 = 65_534;
    let directory = directory();
    let data_dir = data_dir(&directory);
    std::fs::create_dir(&data_dir).unwrap();
    std::os::unix::fs::chown(&data_dir, Some(NOBODY), Some(NOBODY)).unwrap();
    // A copy that everybody can reach: the build directory may be private.
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut child = Command::new(&program)
        .args(["--exact", "child_runs_a_stack", "--ignored"])
        .env(CHILD_DATA_DIR, &data_dir)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir(&data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the ordinary user's stack is up", async || {
        data_dir.join("log/child-is-up").exists()
    })
    .await;
    assert_eq!(
        std::fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("its guards stop the servers", async || {
        processes_of(&data_dir).is_empty()
    })
    .await;
}

/// Not a test of its own: what [`the_environment_is_a_layer`] starts.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn child_reads_its_environment() {
    let config = Config::load(None, &["database.port=3".to_owned()]).unwrap();
    assert_eq!(
        config.database.host, "from.the.environment",
        "environment over ./counterfoil.toml"
    );
    assert_eq!(config.database.port, 3, "--set over environment");
    assert_eq!(config.nats.prefix, "from-the-file");
    assert_eq!(config.nats.users["bank_feed"].expose(), "0123");
}

#[test]
fn the_environment_is_a_layer() {
    let directory = tempfile::tempdir().unwrap();
    let file = "[database]\nhost = \"from.the.file\"\n[nats]\nprefix = \"from-the-file\"\n";
    std::fs::write(directory.path().join("counterfoil.toml"), file).unwrap();
    let output = this_test_binary("child_reads_its_environment")
        .env("COUNTERFOIL__DATABASE__HOST", "from.the.environment")
        .env("COUNTERFOIL__DATABASE__PORT", "2")
        .env("COUNTERFOIL__NATS__USERS__BANK_FEED", "0123")
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
