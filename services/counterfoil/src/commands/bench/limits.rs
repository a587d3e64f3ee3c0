//! The machine's own limits, measured beside ours: a number alone says nothing
//! on a machine that nobody else has.

use std::{
    ffi::OsStr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use async_nats::jetstream::{self, stream};
use load::Window;
use runtime::{Config, local::PostgresInstall};
use tokio::process::Command;
use uuid::Uuid;

/// Rows: 100,000 times this.
const SCALE: u32 = 20;
const CLIENTS: u32 = 8;
const THREADS: u32 = 2;
const SECONDS: Duration = Duration::from_secs(10);
pub(super) const PGBENCH_DATABASE: &str = "bench_tpcb";

/// `pgbench` with its TPC-B-like script: the yardstick of a database server.
pub(super) struct PgBench {
    program: PathBuf,
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl PgBench {
    /// `None` where it is not installed.
    pub(super) fn find(config: &Config) -> anyhow::Result<Option<Self>> {
        let install = PostgresInstall::find(config.local.postgres_bin.as_deref(), None)?;
        let beside = install.bin.join("pgbench");
        let on_path = || {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .map(|directory| directory.join("pgbench"))
                .find(|program| program.is_file())
        };
        let Some(program) = Some(beside).filter(|p| p.is_file()).or_else(on_path) else {
            return Ok(None);
        };
        let database = &config.database;
        Ok(Some(Self {
            program,
            host: database.host.clone(),
            port: database.port,
            user: database.admin_user.clone(),
            password: database.admin_password.expose().to_owned(),
        }))
    }

    /// Fills its tables, in a database that exists.
    pub(super) async fn init(&self) -> anyhow::Result<()> {
        let scale = SCALE.to_string();
        self.run(["-i", "-q", "-s", &scale]).await.map(drop)
    }

    /// Transactions per second.
    pub(super) async fn tps(&self) -> anyhow::Result<f64> {
        let (clients, threads, seconds) = (
            CLIENTS.to_string(),
            THREADS.to_string(),
            SECONDS.as_secs().to_string(),
        );
        let said = self
            .run([
                "-M", "prepared", "-c", &clients, "-j", &threads, "-T", &seconds,
            ])
            .await?;
        tps_of(&said).with_context(|| format!("pgbench did not tell its tps: {said}"))
    }

    async fn run<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .args(arguments.into_iter().map(OsStr::new))
            .args(["-h", &self.host, "-p", &self.port.to_string()])
            .args(["-U", &self.user, PGBENCH_DATABASE])
            .env("PGPASSWORD", &self.password)
            .env("LC_ALL", "C")
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn tps_of(said: &str) -> Option<f64> {
    said.lines()
        .find_map(|line| line.strip_prefix("tps = "))?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

const SCRATCH: &str = "BENCH_SCRATCH";
const SCRATCH_SUBJECT: &str = "bench.scratch";
const PUBLISHED: u32 = 100_000;
/// As large as a receipt.
const PAYLOAD_BYTES: usize = 430;

/// Messages per second that the broker takes into a stream, pipelined, each with
/// an id of its own.
pub(super) async fn publish_per_second(js: &jetstream::Context) -> anyhow::Result<f64> {
    js.create_stream(stream::Config {
        name: SCRATCH.to_owned(),
        subjects: vec![SCRATCH_SUBJECT.to_owned()],
        ..stream::Config::default()
    })
    .await?;
    let payload = "x".repeat(PAYLOAD_BYTES);
    let mut window = Window::new(js.clone(), load::WINDOW);
    let began = Instant::now();
    for _ in 0..PUBLISHED {
        window
            .publish(SCRATCH_SUBJECT, Uuid::now_v7(), payload.clone())
            .await
            .map_err(anyhow::Error::from_boxed)?;
    }
    window.drain().await.map_err(anyhow::Error::from_boxed)?;
    let per_second = f64::from(PUBLISHED) / began.elapsed().as_secs_f64();
    js.delete_stream(SCRATCH).await?;
    Ok(per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tps_are_read_from_what_pgbench_prints() {
        let said = "scaling factor: 20\nlatency average = 2.4 ms\n\
            initial connection time = 12.0 ms\ntps = 3311.204511 (without initial connection time)\n";
        assert_eq!(tps_of(said), Some(3_311.204_511));
        assert_eq!(tps_of("nothing"), None);
    }
}
