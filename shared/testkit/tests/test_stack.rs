//! `test-stack run`: the command gets the servers, and nothing is left of them afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

/// Starting two servers on a busy machine, and stopping them.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the servers' files go: every user must be able to pass through.
fn directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

fn test_stack(directory: &TempDir, script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-stack"));
    command
        .args(["run", "sh", "-c", script])
        .env("TMPDIR", directory.path())
        .kill_on_drop(true);
    command
}

fn left_behind(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory)
        .unwrap()
        .flatten()
        .map(|file| file.path().display().to_string());
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|process| {
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&*directory.to_string_lossy()).then_some(line)
        });
    files.chain(processes).collect()
}

#[tokio::test]
async fn the_command_gets_the_servers_and_its_exit_code_is_ours() {
    let directory = directory();
    let script = r#"test -f "$COUNTERFOIL_TEST_STACK/stack.json" || exit 1
        case "$COUNTERFOIL_TEST_PG" in postgres://*) ;; *) exit 2 ;; esac
        case "$COUNTERFOIL_TEST_NATS" in nats://*) ;; *) exit 3 ;; esac
        exit 42"#;
    let ended = tokio::time::timeout(PATIENCE, test_stack(&directory, script).status()).await;
    assert_eq!(ended.expect("in time").unwrap().code(), Some(42));
    assert_eq!(left_behind(directory.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_signal_ends_the_command_and_the_servers() {
    let directory = directory();
    let mut stack = test_stack(&directory, "echo at work; exec sleep 1000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(stack.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, says.next_line())
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(line.as_deref(), Some("at work"));
    assert!(
        !left_behind(directory.path()).is_empty(),
        "the servers are there"
    );

    let pid = Pid::from_raw(stack.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, stack.wait())
        .await
        .expect("in time")
        .unwrap();
    assert_eq!(ended.code(), Some(128 + Signal::TERM.as_raw()));
    assert_eq!(says.next_line().await.unwrap(), None, "the command is gone");
    assert_eq!(left_behind(directory.path()), Vec::<String>::new());
}
