//! Child servers: how they are spawned, watched, stopped, and found again after a crash of ours.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::LocalError;

/// Between two looks at a process that is starting or stopping.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// Sent to our guard's shell: it sleeps on a pipe that only we hold. When we die, however we die,
/// the pipe closes and the guard stops the server, after checking that the pid still is that server.
const GUARD: &str = r#"read -r _
if tr '\0' '\n' < "/proc/$1/cmdline" 2>/dev/null | grep -qxF -- "$2"; then kill -s "$3" "$1"; fi"#;

/// The unprivileged user that the servers run as when we are root (Postgres refuses to run as root).
#[derive(Debug, Clone, Copy)]
pub(super) struct RunAs {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl RunAs {
    /// `postgres` where it exists, else `nobody`.
    pub(super) fn unprivileged() -> Result<Self, LocalError> {
        let passwd = fs::read_to_string("/etc/passwd")
            .map_err(|source| LocalError::io("read /etc/passwd", source))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|wanted| {
                passwd.lines().find_map(|line| {
                    let mut fields = line.split(':');
                    (fields.next() == Some(wanted)).then_some(())?;
                    let uid = fields.nth(1)?.parse().ok()?;
                    let gid = fields.next()?.parse().ok()?;
                    Some(Self { uid, gid })
                })
            })
            .ok_or(LocalError::NoUnprivilegedUser)
    }
}

/// A command for one of the servers: a clean environment (no `PGPORT`, `PGDATA` … from outside), no
/// standard input, its own process group so that Ctrl-C in a terminal reaches us and not the server.
pub(super) fn command(program: &Path, directory: &Path, run_as: Option<RunAs>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
        .env("LC_ALL", "C")
        .current_dir(directory)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(user) = run_as {
        // The standard library also clears the supplementary groups of root.
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// A running server of ours. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Child,
    guard: Option<Child>,
    stop_signal: Signal,
    stopped: bool,
}

impl Server {
    /// Spawns `command` with its output appended to `log`. `mark` is an argument of the command that only this
    /// server has (a path in our data directory): by it the guard knows the process again.
    pub(super) fn spawn(
        name: &'static str,
        mut command: Command,
        log: &Path,
        mark: &Path,
        stop_signal: Signal,
        run_as: Option<RunAs>,
    ) -> Result<Self, LocalError> {
        let output = open_log(log)?;
        let errors = output
            .try_clone()
            .map_err(|source| LocalError::io(format!("open {}", log.display()), source))?;
        let child = command
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|source| LocalError::io(format!("start {name}"), source))?;
        let guard = spawn_guard(child.id(), mark, stop_signal, run_as);
        Ok(Self {
            name,
            child,
            guard,
            stop_signal,
            stopped: false,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn guard_pid(&self) -> Option<u32> {
        self.guard.as_ref().map(Child::id)
    }

    /// `Some` once the server has ended by itself.
    pub(super) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks the server to stop, waits for at most `patience`, then kills it.
    pub(super) fn stop(&mut self, patience: Duration) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        self.dismiss_guard();
        if self.exited().is_some() {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.child), self.stop_signal);
        let deadline = Instant::now() + patience;
        while self.exited().is_none() {
            if Instant::now() >= deadline {
                tracing::warn!(server = self.name, "did not stop in time: killing it");
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// SIGKILL, as a crash of the server would look (for chaos tests).
    pub(super) fn kill(mut self) {
        self.stopped = true;
        self.dismiss_guard();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Before the server: a guard that sees its pipe close would stop the server itself.
    fn dismiss_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Reached without an orderly stop (an error on the way, a panic): the last resort.
        self.stop(Duration::from_secs(5));
    }
}

/// The guard is a help, not a need (the next start finds orphans too): where there is no shell, go on without.
fn spawn_guard(pid: u32, mark: &Path, signal: Signal, run_as: Option<RunAs>) -> Option<Child> {
    let signal = if signal == Signal::INT { "INT" } else { "TERM" };
    command(Path::new("/bin/sh"), Path::new("/"), run_as)
        .args(["-c", GUARD, "counterfoil-guard"])
        .arg(pid.to_string())
        .arg(mark)
        .arg(signal)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .inspect_err(|error| tracing::debug!(%error, "no parent-death guard"))
        .ok()
}

/// Opens a server's log for appending; one that has grown large is put aside first.
fn open_log(path: &Path) -> Result<File, LocalError> {
    const LARGE: u64 = 16 * 1024 * 1024;
    if fs::metadata(path).is_ok_and(|file| file.len() > LARGE) {
        let _ = fs::rename(path, path.with_extension("log.old"));
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|source| LocalError::io(format!("open {}", path.display()), source))
}

/// Where a log ends now: what a start that fails adds after it is the reason to show.
pub(super) fn log_end(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

/// The last lines of a log after `from`.
pub(super) fn log_tail(path: &Path, from: u64) -> String {
    const LINES: usize = 12;
    let text = fs::read(path).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(0).min(text.len());
    let text = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(LINES)..)
        .unwrap_or_default()
        .join("\n")
}

/// Processes started with `flag` followed by `value`: our servers are known by a path in our data directory,
/// so a pid that was given to another program since can never be mistaken for one.
pub(super) fn started_with(flag: &str, value: &Path) -> Vec<Pid> {
    find(|process| {
        let Ok(line) = fs::read(process.join("cmdline")) else {
            return false;
        };
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        arguments
            .windows(2)
            .any(|pair| pair == [flag.as_bytes(), value.as_os_str().as_encoded_bytes()])
    })
}

/// Postgres processes (the backends rename themselves) that work in `directory`.
pub(super) fn backends_in(directory: &Path) -> Vec<Pid> {
    find(|process| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres")
            && fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == directory)
    })
}

fn find(ours: impl Fn(&Path) -> bool) -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let pid = entry
                .file_name()
                .to_str()?
                .parse()
                .ok()
                .and_then(Pid::from_raw)?;
            ours(&entry.path()).then_some(pid)
        })
        .collect()
}

/// Stops processes that are not our children and waits until `list` no longer shows any. Blocks.
pub(super) fn stop_found(
    list: impl Fn() -> Vec<Pid>,
    signal: Signal,
    patience: Duration,
) -> Result<(), LocalError> {
    for (signal, patience) in [(signal, patience), (Signal::KILL, Duration::from_secs(10))] {
        let found = list();
        if found.is_empty() {
            return Ok(());
        }
        for pid in &found {
            match kill_process(*pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => {
                    return Err(LocalError::io(
                        format!(
                            "stop process {}, left over from a previous run",
                            pid.as_raw_nonzero()
                        ),
                        io::Error::from(error),
                    ));
                }
            }
        }
        if wait_gone(&list, patience) {
            return Ok(());
        }
    }
    let left = list()
        .iter()
        .map(|pid| pid.as_raw_nonzero().to_string())
        .collect::<Vec<_>>()
        .join(", ");
    Err(LocalError::Orphan { pids: left })
}

/// Whether `list` became empty within `patience`. Blocks.
pub(super) fn wait_gone(list: impl Fn() -> Vec<Pid>, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while !list().is_empty() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// The first of `directories` that holds an executable file `name`, with symbolic links resolved.
pub(super) fn find_program(name: &str, directories: &[PathBuf]) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    directories.iter().find_map(|directory| {
        let path = fs::canonicalize(directory.join(name)).ok()?;
        let file = fs::metadata(&path).ok()?;
        (file.is_file() && file.permissions().mode() & 0o111 != 0).then_some(path)
    })
}

/// The directories of `PATH`. Where programs are is the machine's business, not configuration of ours, so this is
/// read here and not through the configuration.
pub(super) fn path_directories() -> Vec<PathBuf> {
    std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}
