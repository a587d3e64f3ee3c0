//! The example of a dashboard against the embedded servers, as an outsider runs
//! it: its own program, its own user, nothing of ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{os::unix::fs::PermissionsExt, process::Stdio};

use chrono::{TimeDelta, Utc};
use contracts::{
    Prefix, Role,
    catalogue::Outsider,
    worklist::{SlaBreach, SlaLevel, WorkItemId},
};
use runtime::{Config, LocalStack, StackOptions, service, service::nats_users};
use testkit::DEADLINE;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};

fn breach(n: u32) -> SlaBreach {
    let now = chrono::DateTime::<Utc>::UNIX_EPOCH + TimeDelta::hours(n.into());
    SlaBreach {
        work_item: WorkItemId::generate(),
        kind: "dispute".into(),
        subject_ref: format!("Q-{n:06}"),
        account_ref: Some("ACME01".into()),
        owner: Some("user:jo".into()),
        due_at: now,
        breached_at: now,
        policy: "dispute_resolved.1".into(),
        amount: Some("200.00".into()),
        currency: Some("GBP".into()),
    }
}

async fn next(lines: &mut Lines<BufReader<tokio::process::ChildStdout>>) -> String {
    tokio::time::timeout(DEADLINE, lines.next_line())
        .await
        .expect("nothing was said")
        .unwrap()
        .expect("it ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_replays_what_was_told_before_it_came_and_goes_on_live() {
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
    service::apply_streams(&config).await.unwrap();
    let worklist = service::nats(&config, Role::Worklist.name()).await.unwrap();
    let js = async_nats::jetstream::new(worklist);
    let subject = Prefix::default().sla(SlaLevel::Breached, "dispute");
    let say = async |n: u32| {
        let payload = serde_json::to_vec(&breach(n)).unwrap();
        let stored = js.publish(subject.clone(), payload.into()).await.unwrap();
        stored.await.unwrap();
    };
    for n in 1..=5 {
        say(n).await;
    }

    // Beside this test's own program: target/debug/examples.
    let example = std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/dashboard");
    assert!(
        example.exists(),
        "{} is built by --all-targets",
        example.display()
    );
    let user = Outsider::Dashboard.name();
    let password = config.nats.users.get(user).unwrap().expose().to_owned();
    let mut dashboard = tokio::process::Command::new(example)
        .env("NATS_URL", &config.nats.url)
        .env("NATS_USER", user)
        .env("NATS_PASSWORD", password)
        .env_remove("PREFIX")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(dashboard.stdout.take().unwrap()).lines();
    for n in 1..=5 {
        let line = next(&mut lines).await;
        assert!(
            line.starts_with(&format!(
                "counterfoil.sla.breached.dispute Q-{n:06} ACME01 owner user:jo"
            )),
            "{line}"
        );
    }
    for n in 6..=7 {
        say(n).await;
        let line = next(&mut lines).await;
        assert!(line.contains(&format!("Q-{n:06}")), "{line}");
    }
    assert!(dashboard.try_wait().unwrap().is_none(), "it goes on");
    dashboard.kill().await.unwrap();
    stack.destroy().await.unwrap();
}
