//! The services under measurement: a process each, as in production, so that
//! each has its own memory and none shares a runtime with the one that measures.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use contracts::Role;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
};

/// The services that a receipt goes through.
pub(super) const ROLES: [Role; 3] = [Role::Ingestion, Role::Allocation, Role::Reporting];
/// A service is ready, or has stopped, within this.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// `/proc` counts processor time in these, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Running services. Dropping them kills them.
pub(super) struct Roles(Vec<Running>);

struct Running {
    role: Role,
    child: Child,
    admin: SocketAddr,
    log: PathBuf,
}

impl Roles {
    /// Starts services on the stack of `data_dir` and waits until they are ready.
    pub(super) async fn start(
        data_dir: &Path,
        config: &Path,
        wanted: &[Role],
    ) -> anyhow::Result<Self> {
        let mut roles = Self(Vec::new());
        for role in wanted.iter().copied() {
            let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let log = data_dir.join("log").join(format!("{role}.log"));
            let file = std::fs::File::options()
                .create(true)
                .append(true)
                .open(&log)?;
            let child = Command::new(std::env::current_exe()?)
                .args(["run", "--roles", role.name(), "--config"])
                .arg(config)
                .arg("--data-dir")
                .arg(data_dir)
                .args(["--set", &format!("admin.listen={admin}")])
                .args(["--set", "log.level=warn"])
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                // Ctrl-C is for the bench, which then stops them.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            roles.0.push(Running {
                role,
                child,
                admin,
                log,
            });
        }
        let began = Instant::now();
        for at in 0..roles.0.len() {
            while !roles.ready(at).await {
                roles.check()?;
                if began.elapsed() > PATIENCE {
                    bail!("the services did not become ready: {}", roles.logs());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(roles)
    }

    async fn ready(&self, at: usize) -> bool {
        match self.0.get(at) {
            Some(running) => get(running.admin, "/readyz").await.is_ok_and(|(ok, _)| ok),
            None => true,
        }
    }

    /// Fails if one of them has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        for running in &mut self.0 {
            if let Some(status) = running.child.try_wait()? {
                let said = std::fs::read_to_string(&running.log).unwrap_or_default();
                bail!("{} ended ({status}): {said}", running.role);
            }
        }
        Ok(())
    }

    /// What they had to say; at this level only trouble.
    pub(super) fn logs(&self) -> String {
        self.0
            .iter()
            .filter_map(|running| std::fs::read_to_string(&running.log).ok())
            .collect()
    }

    /// Stops them in order: their connections to Postgres then tell the last of
    /// their statistics.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        for running in &self.0 {
            if let Some(pid) = running.child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
                kill_process(pid, Signal::TERM)?;
            }
        }
        for running in &mut self.0 {
            let status = tokio::time::timeout(PATIENCE, running.child.wait())
                .await
                .with_context(|| format!("{} does not stop", running.role))??;
            if !status.success() {
                bail!("{} did not stop in order: {status}", running.role);
            }
        }
        Ok(())
    }

    /// Ends them as `kill -9` does, in the middle of whatever they do.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        for running in &mut self.0 {
            running.child.kill().await?;
        }
        Ok(())
    }

    /// The most memory that each has had, in MiB.
    pub(super) fn peak_rss_mib(&self) -> anyhow::Result<BTreeMap<Role, f64>> {
        let mut peaks = BTreeMap::new();
        for running in &self.0 {
            let pid = running.child.id().context("it has ended")?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let kib: f64 = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|value| value.trim().strip_suffix(" kB"))
                .context("no VmHWM in /proc")?
                .trim()
                .parse()?;
            peaks.insert(running.role, kib / 1024.0);
        }
        Ok(peaks)
    }

    /// The processor time of each so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<BTreeMap<Role, f64>> {
        self.0
            .iter()
            .map(|running| {
                let pid = running.child.id().context("it has ended")?;
                Ok((running.role, cpu_seconds(pid, false)?))
            })
            .collect()
    }

    /// Sums and counts of the histograms of each, by metric and labels.
    pub(super) async fn metrics(&self) -> anyhow::Result<BTreeMap<Role, String>> {
        let mut pages = BTreeMap::new();
        for running in &self.0 {
            let (_, page) = get(running.admin, "/metrics").await?;
            pages.insert(running.role, page);
        }
        Ok(pages)
    }
}

/// The processor time of a process so far; also of its children that have
/// ended, if they count.
pub(super) fn cpu_seconds(pid: u32, children: bool) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before may hold anything; from the third field on they are plain.
    let (_, fields) = stat.rsplit_once(')').context("not a stat file")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(if children { 4 } else { 2 })
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// The value of the first line of a metrics page that begins with `name` and
/// holds all of `labels`.
pub(super) fn metric(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    page.lines()
        .find(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('{'))
                && labels.iter().all(|label| line.contains(label))
        })?
        .rsplit(' ')
        .next()?
        .parse()
        .ok()
}

/// One request to an admin server: whether it was well, and what it said.
async fn get(address: SocketAddr, path: &str) -> anyhow::Result<(bool, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the admin server did not answer")?;
    Ok((
        head.split(' ').nth(1).is_some_and(|status| status == "200"),
        body.to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_labels() {
        let page = "# TYPE x histogram\n\
            x_seconds_sum{service=\"a\",step=\"load\"} 1.5\n\
            x_seconds_sum{service=\"a\",step=\"claim\"} 0.25\n";
        let load = metric(page, "x_seconds_sum", &["step=\"load\""]);
        assert_eq!(load, Some(1.5));
        assert_eq!(
            metric(page, "x_seconds_sum", &["step=\"claim\""]),
            Some(0.25)
        );
        assert_eq!(metric(page, "x_seconds", &["step=\"claim\""]), None);
    }

    #[test]
    fn the_processor_time_of_this_process_is_known() {
        assert!(cpu_seconds(std::process::id(), false).unwrap() >= 0.0);
    }
}
