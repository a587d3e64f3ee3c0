//! The private nats-server of the local stack.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;

use super::process::{self, RunAs, Server};
use super::{LocalError, StackOptions, free_port, random_word};
use crate::config::Secret;

const START_PATIENCE: Duration = Duration::from_mins(1);
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// A user of the broker and what it may do, as data (the same data makes production's permissions).
#[derive(Debug, Clone, Default)]
pub struct NatsUser {
    /// The user's name: letters, digits, `_` and `-`.
    pub name: String,
    /// Empty: the one kept for this user in the data directory's `secrets.toml` (made at the first start).
    pub password: Secret,
    /// Subjects (with wildcards) that it may publish to; none: may publish to nothing.
    pub publish_allow: Vec<String>,
    /// Subjects (with wildcards) that it may subscribe to; none: may subscribe to nothing.
    pub subscribe_allow: Vec<String>,
}

/// Finds the `nats-server` program: `program` where given, else on the PATH and where packages put it.
///
/// # Errors
/// [`LocalError::MissingProgram`] that names the package to install.
pub fn find_nats_server(program: Option<&Path>) -> Result<PathBuf, LocalError> {
    let mut directories = process::path_directories();
    directories
        .extend(["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    let found = match program {
        Some(program) => program.is_file().then(|| program.to_path_buf()),
        None => process::find_program("nats-server", &directories),
    };
    found.ok_or_else(|| LocalError::MissingProgram {
        program: "nats-server".into(),
        package: "nats-server".into(),
        looked: program.map_or_else(
            || {
                directories
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            },
            |program| program.display().to_string(),
        ),
    })
}

#[derive(Debug)]
pub(super) struct Nats {
    program: PathBuf,
    directory: PathBuf,
    log: PathBuf,
    run_as: Option<RunAs>,
    users: Vec<NatsUser>,
    monitoring: bool,
    pub(super) port: u16,
    pub(super) monitoring_port: Option<u16>,
    pub(super) server: Option<Server>,
}

impl Nats {
    pub(super) fn new(
        options: &StackOptions,
        directory: PathBuf,
        log: PathBuf,
        run_as: Option<RunAs>,
        users: Vec<NatsUser>,
    ) -> Result<Self, LocalError> {
        Ok(Self {
            program: find_nats_server(options.nats_server.as_deref())?,
            directory,
            log,
            run_as,
            users,
            monitoring: options.nats_monitoring,
            port: 0,
            monitoring_port: None,
            server: None,
        })
    }

    pub(super) fn users(&self) -> &[NatsUser] {
        &self.users
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("nats.conf")
    }

    /// Starts the server and waits until it speaks, JetStream and all. Ports as for Postgres.
    pub(super) async fn start(
        &mut self,
        preferred: Option<u16>,
        preferred_monitoring: Option<u16>,
        keep_port: bool,
    ) -> Result<(), LocalError> {
        let configuration = self.configuration();
        let mark = configuration.clone();
        super::blocking(move || {
            process::stop_found(
                || process::started_with("-c", &mark),
                Signal::TERM,
                STOP_PATIENCE,
            )
        })
        .await?;
        let mut preferred = (preferred, preferred_monitoring);
        for attempt in 1.. {
            if !keep_port {
                self.port = free_port(preferred.0.take())?;
                self.monitoring_port = if self.monitoring {
                    Some(free_port(preferred.1.take())?)
                } else {
                    None
                };
            }
            // A new name each time: an answer under another name is another server's, on a port that we lost.
            let name = format!("counterfoil-{}", random_word(8));
            let from = process::log_end(&self.log);
            super::write_private(&configuration, &self.text(&name)?, self.run_as)?;
            let mut command = process::command(&self.program, &self.directory, self.run_as);
            command.arg("-c").arg(&configuration);
            let server = Server::spawn(
                "nats-server",
                command,
                &self.log,
                &configuration,
                Signal::TERM,
                self.run_as,
            )?;
            match self.wait_ready(server, &name, from).await {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                Err(LocalError::Failed { said, .. })
                    if said.contains("address already in use") && attempt < 10 =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn wait_ready(
        &self,
        mut server: Server,
        name: &str,
        log_from: u64,
    ) -> Result<Server, LocalError> {
        let begun = Instant::now();
        loop {
            if server.exited().is_some() || begun.elapsed() > START_PATIENCE {
                return Err(LocalError::Failed {
                    server: "nats-server",
                    said: process::log_tail(&self.log, log_from),
                    log: self.log.clone(),
                });
            }
            match tokio::time::timeout(Duration::from_secs(2), greeting(self.port)).await {
                Ok(Ok(greeting))
                    if greeting["server_name"] == name && greeting["jetstream"] == true =>
                {
                    return Ok(server);
                }
                _ => tokio::time::sleep(process::POLL).await,
            }
        }
    }

    pub(super) async fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let _ = tokio::task::spawn_blocking(move || server.stop(STOP_PATIENCE)).await;
    }

    /// Only keys that nats-server 2.9 knows: it refuses to start over one that it does not.
    fn text(&self, name: &str) -> Result<String, LocalError> {
        let mut text = format!(
            "# Written by counterfoil at every start.\n\
             server_name: \"{name}\"\n\
             listen: \"127.0.0.1:{port}\"\n\
             max_payload: 4MB\n\
             jetstream {{\n  store_dir: {store}\n  max_memory_store: 256MB\n  max_file_store: 64GB\n}}\n",
            port = self.port,
            store = quotable(&self.directory.join("jetstream").display().to_string()).ok_or_else(
                || LocalError::data_dir(&self.directory, "has a quote or a backslash in its path")
            )?,
        );
        if let Some(port) = self.monitoring_port {
            let _ = writeln!(text, "http: \"127.0.0.1:{port}\"");
        }
        text.push_str("authorization {\n  users = [\n");
        for user in &self.users {
            let _ = writeln!(
                text,
                "    {{ user: {}, password: {}, permissions: {{ publish: {}, subscribe: {} }} }}",
                quoted(user, &user.name)?,
                quoted(user, user.password.expose())?,
                subjects(user, &user.publish_allow)?,
                subjects(user, &user.subscribe_allow)?,
            );
        }
        text.push_str("  ]\n}\n");
        Ok(text)
    }
}

/// An empty allow list means "everything" to nats-server and must mean "nothing" here.
fn subjects(user: &NatsUser, allow: &[String]) -> Result<String, LocalError> {
    if allow.is_empty() {
        return Ok("{ deny: [\">\"] }".into());
    }
    let list = allow
        .iter()
        .map(|subject| quoted(user, subject))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{{ allow: [{}] }}", list.join(", ")))
}

fn quoted(user: &NatsUser, value: &str) -> Result<String, LocalError> {
    // The value may be the password: the error names the user only.
    quotable(value).ok_or_else(|| LocalError::NatsUser {
        user: user.name.escape_debug().to_string(),
    })
}

fn quotable(value: &str) -> Option<String> {
    let plain = !value.is_empty()
        && !value
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | '\\'));
    plain.then(|| format!("\"{value}\""))
}

/// The `INFO {…}` line by which a nats-server greets every connection.
async fn greeting(port: u16) -> std::io::Result<serde_json::Value> {
    let mut line = String::new();
    BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?)
        .read_line(&mut line)
        .await?;
    let json = line.strip_prefix("INFO ").unwrap_or_default();
    serde_json::from_str(json).map_err(std::io::Error::other)
}
