//! `test-stack run COMMAND…`: starts the servers for tests, runs the command with their addresses in its environment,
//! and stops them, whatever becomes of the command or of us. Ends with the command's exit code.

use std::{ffi::OsString, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use testkit::Cluster;
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// The command has this long to end after a signal.
const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(verb), Some(program)) = (arguments.next(), arguments.next()) else {
        bail!("usage: test-stack run COMMAND [ARGUMENT…]");
    };
    if verb != "run" {
        bail!("usage: test-stack run COMMAND [ARGUMENT…]");
    }
    // From here on a signal no longer ends us, but is waited for.
    let signals = signals()?;
    tokio::pin!(signals);
    let cluster = tokio::select! {
        cluster = Cluster::start() => cluster?,
        number = &mut signals => return Ok(exit_code(128 + number)),
    };
    let code = run(&cluster, program, arguments.collect(), signals).await;
    cluster.destroy().await?;
    Ok(exit_code(code?))
}

/// The number of the first signal to end that comes.
fn signals() -> Result<impl Future<Output = i32>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Signal::INT.as_raw(),
            _ = terminate.recv() => Signal::TERM.as_raw(),
            _ = hang_up.recv() => Signal::HUP.as_raw(),
        }
    })
}

async fn run(
    cluster: &Cluster,
    program: OsString,
    arguments: Vec<OsString>,
    signals: impl Future<Output = i32>,
) -> Result<i32> {
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .envs(cluster.environment()?)
        .kill_on_drop(true);
    // `cargo run` tells us about our own package; to a cargo below us that would look like news, and it would build
    // again what depends on it.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if ours {
            command.env_remove(name);
        }
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    tokio::select! {
        status = child.wait() => Ok(status?.code().unwrap_or(1)),
        number = signals => {
            end(&mut child, number).await?;
            Ok(128 + number)
        }
    }
}

/// Ends the command after a signal to us.
async fn end(child: &mut Child, number: i32) -> Result<()> {
    // Ctrl-C reaches the command by itself: a second one would mean "at once".
    if number != Signal::INT.as_raw()
        && let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
    {
        kill_process(pid, Signal::TERM)?;
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
