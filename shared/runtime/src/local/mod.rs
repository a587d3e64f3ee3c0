//! The embedded local stack: a private Postgres and a private nats-server in one data directory, for
//! `counterfoil up` and for tests.
//!
//! ```text
//! <data dir>/            0700 (0711 when we are root: the servers' user must pass through)
//!   lock                 held (flock) as long as the stack is up; the kernel lets go of it when we die
//!   secrets.toml   0600  passwords, made once
//!   stack.json     0600  pids, ports and start times, for other commands and for people
//!   log/                 postgres.log, nats.log
//!   pg/  nats/           the servers' data, owned by the user that they run as
//!   servers -> …         only where that user cannot reach this directory: pg/ and nats/ are there instead
//! ```

mod files;
mod mail;
mod nats;
mod postgres;
mod process;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

pub use self::mail::MailSink;
pub use self::nats::{NatsUser, find_nats_server};
pub use self::postgres::PostgresInstall;

use self::files::{Layout, Secrets, write_private};
use self::nats::Nats;
use self::postgres::Postgres;
use crate::config::{Config, Secret};

/// How to set up the local stack.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// The users of the broker. At least one, or nobody can connect.
    pub nats_users: Vec<NatsUser>,
    /// Open the broker's monitoring page on a port of its own (127.0.0.1).
    pub nats_monitoring: bool,
    /// The nats-server program; none: look for it.
    pub nats_server: Option<PathBuf>,
    /// The directory of `initdb` and `postgres`; none: look for it.
    pub postgres_bin: Option<PathBuf>,
    /// Postgres `shared_buffers`, in MiB.
    pub shared_buffers_mb: u32,
    /// Postgres `max_connections`.
    pub max_connections: u32,
    /// fsync. A throw-away stack of a test turns it off: its data then survives a crash of the server, but not one of
    /// the machine.
    pub durable: bool,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            nats_users: Vec::new(),
            nats_monitoring: false,
            nats_server: None,
            postgres_bin: None,
            shared_buffers_mb: 256,
            max_connections: 200,
            durable: true,
        }
    }
}

/// What went wrong with the local stack.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// A server program is not installed.
    #[error(
        "{program} was not found: install it with `apt-get install {package}` (looked in {looked})"
    )]
    MissingProgram {
        /// What is missing.
        program: String,
        /// The Debian/Ubuntu package that has it.
        package: String,
        /// The places that were looked at.
        looked: String,
    },
    /// We are root, and there is no user that the servers could run as.
    #[error(
        "Postgres does not run as root, and this machine has neither a user `postgres` nor `nobody`"
    )]
    NoUnprivilegedUser,
    /// The data directory cannot be used.
    #[error("data directory {}: {reason}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Another live process runs a stack in this data directory.
    #[error("the stack in {} is already running (process {owner}): stop it first, or give another --data-dir", data_dir.display())]
    AlreadyRunning {
        /// The directory.
        data_dir: PathBuf,
        /// The process that holds it, `unknown` while it starts for the first time.
        owner: String,
    },
    /// A server did not start, with what it said.
    #[error("{server} did not start: {said} (its log: {})", log.display())]
    Failed {
        /// The server.
        server: &'static str,
        /// The end of its log.
        said: String,
        /// The whole log.
        log: PathBuf,
    },
    /// Servers of a previous run could not be stopped.
    #[error("processes {pids}, left over from a previous run, do not stop: end them by hand")]
    Orphan {
        /// Their ids.
        pids: String,
    },
    /// No port of 127.0.0.1 could be had.
    #[error("no free port on 127.0.0.1 between {} and {}", PORTS.start, PORTS.end)]
    NoPort,
    /// The name, the password or a subject of a broker user cannot stand in the server's configuration.
    #[error(
        "NATS user `{user}`: its name, password and subjects must be plain text without quotes or backslashes"
    )]
    NatsUser {
        /// The user.
        user: String,
    },
    /// A file of the stack cannot be understood.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The operating system refused something.
    #[error("cannot {doing}")]
    Io {
        /// What we were about to do.
        doing: String,
        /// Its answer.
        #[source]
        source: io::Error,
    },
}

impl LocalError {
    fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }

    fn data_dir(path: &Path, reason: impl Into<String>) -> Self {
        Self::DataDir {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}

/// One server as `stack.json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Its process; none while it is stopped.
    pub pid: Option<u32>,
    /// The shell that stops the server should we die without doing so.
    pub guard_pid: Option<u32>,
    /// Its port on 127.0.0.1: kept over restarts as long as nobody else takes it.
    pub port: u16,
    /// When it was started, in seconds since 1970.
    pub started_at: u64,
}

/// `stack.json`: where the servers of a data directory are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackInfo {
    /// The process that runs the stack.
    pub owner_pid: u32,
    /// The database server.
    pub postgres: ServerInfo,
    /// The broker.
    pub nats: ServerInfo,
    /// The port of the broker's monitoring page.
    pub nats_monitoring_port: Option<u16>,
}

impl StackInfo {
    /// The stack that is running in `data_dir` now, started by this or another process; none if there is none.
    ///
    /// # Errors
    /// When the directory's files cannot be read.
    pub fn running(data_dir: &Path) -> Result<Option<Self>, LocalError> {
        if files::is_locked(data_dir)? {
            files::read_stack(data_dir)
        } else {
            Ok(None)
        }
    }

    /// Points `config` at this stack: addresses, the admin's and the roles' passwords, the broker's users.
    ///
    /// # Errors
    /// When the directory's secrets cannot be read.
    pub fn configure(&self, data_dir: &Path, config: &mut Config) -> Result<(), LocalError> {
        self.configure_with(&Secrets::open(data_dir)?, config);
        Ok(())
    }

    fn configure_with(&self, secrets: &Secrets, config: &mut Config) {
        config.database.host = "127.0.0.1".into();
        config.database.port = self.postgres.port;
        config.database.admin_user = postgres::ADMIN.into();
        config.database.admin_password = secrets.get("admin", postgres::ADMIN).unwrap_or_default();
        config.database.passwords = secrets.section("postgres");
        config.nats.url = format!("nats://127.0.0.1:{}", self.nats.port);
        config.nats.users = secrets.section("nats");
    }
}

/// The processes of a running stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackPids {
    /// The postmaster.
    pub postgres: Option<u32>,
    /// The nats-server.
    pub nats: Option<u32>,
}

/// A running local stack. [`LocalStack::stop`] ends it in order; dropping it ends it all the same.
#[derive(Debug)]
pub struct LocalStack {
    // Dropped in this order: the broker first, the lock last.
    nats: Nats,
    postgres: Postgres,
    secrets: Secrets,
    info: StackInfo,
    layout: Layout,
}

impl LocalStack {
    /// Starts both servers in `data_dir` (made when missing). What a killed run left behind is stopped and cleared
    /// away first.
    ///
    /// # Errors
    /// When a program is missing, another stack is live in the directory, or a server does not start.
    pub async fn start(data_dir: &Path, options: StackOptions) -> Result<Self, LocalError> {
        let layout = Layout::prepare(data_dir)?;
        let secrets = Secrets::open(&layout.data_dir)?;
        let admin_password = secrets.get_or_make("admin", postgres::ADMIN)?;
        let mut users = options.nats_users.clone();
        for user in &mut users {
            if user.password.is_empty() {
                user.password = secrets.get_or_make("nats", &user.name)?;
            }
        }
        let mut postgres = Postgres::new(
            &options,
            layout.postgres(),
            layout.log("postgres.log"),
            layout.run_as,
            admin_password,
        )?;
        let mut nats = Nats::new(
            &options,
            layout.nats(),
            layout.log("nats.log"),
            layout.run_as,
            users,
        )?;
        // The ports of last time, so that a bookmark or a tool's connection lives on.
        let last = files::read_stack(&layout.data_dir).unwrap_or_default();
        let last_postgres = last.as_ref().map(|last| last.postgres.port);
        let last_nats = last.as_ref().map(|last| last.nats.port);
        let last_monitoring = last.as_ref().and_then(|last| last.nats_monitoring_port);
        let start_postgres = async {
            postgres.init().await?;
            postgres.start(last_postgres, false).await
        };
        let (postgres_started, nats_started) = tokio::join!(
            start_postgres,
            nats.start(last_nats, last_monitoring, false)
        );
        postgres_started?;
        nats_started?;
        let nobody = ServerInfo {
            pid: None,
            guard_pid: None,
            port: 0,
            started_at: 0,
        };
        let info = StackInfo {
            owner_pid: std::process::id(),
            postgres: nobody.clone(),
            nats: nobody,
            nats_monitoring_port: None,
        };
        let mut stack = Self {
            nats,
            postgres,
            secrets,
            info,
            layout,
        };
        stack.note()?;
        Ok(stack)
    }

    /// Stops both servers in order (the broker first: it has nothing to write to afterwards) and leaves no process
    /// behind. The data stays.
    ///
    /// # Errors
    /// When `stack.json` cannot be written; the servers are stopped even so.
    pub async fn stop(mut self) -> Result<(), LocalError> {
        self.nats.stop().await;
        self.postgres.stop().await;
        self.note()
    }

    /// Stops both servers and removes the data directory with everything in it, also the part that is elsewhere.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub async fn destroy(mut self) -> Result<(), LocalError> {
        self.nats.stop().await;
        self.postgres.stop().await;
        self.layout.remove()
    }

    /// Stops the broker (if it runs) and starts it again on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart_nats(&mut self) -> Result<(), LocalError> {
        self.nats.stop().await;
        self.nats.start(None, None, true).await?;
        self.note()
    }

    /// Stops the database server (if it runs) and starts it again on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart_postgres(&mut self) -> Result<(), LocalError> {
        self.postgres.stop().await;
        self.postgres.start(None, true).await?;
        self.note()
    }

    /// SIGKILL to the broker, as a crash (for chaos tests); [`Self::restart_nats`] brings it back.
    pub fn kill_nats(&mut self) {
        if let Some(server) = self.nats.server.take() {
            server.kill();
        }
    }

    /// SIGKILL to the postmaster, as a crash (for chaos tests); [`Self::restart_postgres`] brings it back.
    pub fn kill_postgres(&mut self) {
        if let Some(server) = self.postgres.server.take() {
            server.kill();
        }
    }

    /// The name of a server that has ended by itself since it was started.
    pub fn failed_server(&mut self) -> Option<&'static str> {
        let ended = |server: &mut Option<process::Server>| {
            server.as_mut().is_some_and(|s| s.exited().is_some())
        };
        if ended(&mut self.postgres.server) {
            Some("postgres")
        } else if ended(&mut self.nats.server) {
            Some("nats-server")
        } else {
            None
        }
    }

    /// The servers' processes.
    pub fn pids(&self) -> StackPids {
        let pid = |server: &Option<process::Server>| server.as_ref().map(process::Server::pid);
        StackPids {
            postgres: pid(&self.postgres.server),
            nats: pid(&self.nats.server),
        }
    }

    /// What `stack.json` says.
    pub fn info(&self) -> &StackInfo {
        &self.info
    }

    /// The directory, with symbolic links resolved.
    pub fn data_dir(&self) -> &Path {
        &self.layout.data_dir
    }

    /// Postgres, on 127.0.0.1.
    pub fn postgres_port(&self) -> u16 {
        self.postgres.port
    }

    /// The broker, on 127.0.0.1.
    pub fn nats_port(&self) -> u16 {
        self.nats.port
    }

    /// `nats://127.0.0.1:…`, without a user.
    pub fn nats_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.nats.port)
    }

    /// The broker's monitoring page, where it was asked for.
    pub fn nats_monitoring_port(&self) -> Option<u16> {
        self.nats.monitoring_port
    }

    /// How the superuser connects (database `postgres`).
    pub fn admin_options(&self) -> PgConnectOptions {
        self.postgres.admin()
    }

    /// The same as one URL for other programs (`psql`, `pgbench`), with the password in it.
    ///
    /// # Errors
    /// When the secrets cannot be read.
    pub fn admin_dsn(&self, database: &str) -> Result<Secret, LocalError> {
        let password = self.secrets.get_or_make("admin", postgres::ADMIN)?;
        Ok(Secret::from(format!(
            "postgres://{}:{}@127.0.0.1:{}/{database}",
            postgres::ADMIN,
            password.expose(),
            self.postgres.port
        )))
    }

    /// The password of a database role, made at the first call and kept in `secrets.toml`.
    ///
    /// # Errors
    /// When the secrets cannot be written.
    pub fn postgres_password(&self, role: &str) -> Result<Secret, LocalError> {
        self.secrets.get_or_make("postgres", role)
    }

    /// The password of a broker user, made at the first call and kept in `secrets.toml`. A user that is not among
    /// [`StackOptions::nats_users`] is unknown to the broker all the same.
    ///
    /// # Errors
    /// When the secrets cannot be written.
    pub fn nats_password(&self, user: &str) -> Result<Secret, LocalError> {
        match self.nats_user(user) {
            Some(known) => Ok(known.password.clone()),
            None => self.secrets.get_or_make("nats", user),
        }
    }

    fn nats_user(&self, name: &str) -> Option<&NatsUser> {
        self.nats.users().iter().find(|user| user.name == name)
    }

    /// Points `config` at this stack: addresses, the admin's and the roles' passwords, the broker's users.
    pub fn configure(&self, config: &mut Config) {
        self.info.configure_with(&self.secrets, config);
        for user in self.nats.users() {
            config
                .nats
                .users
                .insert(user.name.clone(), user.password.clone());
        }
    }

    /// Brings `stack.json` up to date.
    fn note(&mut self) -> Result<(), LocalError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .as_ref()
            .map_or(0, Duration::as_secs);
        let server = |server: &Option<process::Server>, port: u16, before: &ServerInfo| {
            let pid = server.as_ref().map(process::Server::pid);
            ServerInfo {
                pid,
                guard_pid: server.as_ref().and_then(process::Server::guard_pid),
                port,
                started_at: if pid == before.pid {
                    before.started_at
                } else {
                    now
                },
            }
        };
        self.info.postgres = server(
            &self.postgres.server,
            self.postgres.port,
            &self.info.postgres,
        );
        self.info.nats = server(&self.nats.server, self.nats.port, &self.info.nats);
        self.info.nats_monitoring_port = self.nats.monitoring_port;
        files::write_stack(&self.layout.data_dir, &self.info)
    }
}

/// Below the range from which the kernel takes ports for outgoing connections: a server that restarts must find its
/// port free, and no passing connection may sit on it.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// `preferred` if nobody listens there, else any free port of 127.0.0.1. Somebody may take it before the server
/// does: whoever starts a server tries again then.
fn free_port(preferred: Option<u16>) -> Result<u16, LocalError> {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    preferred
        .filter(|port| *port != 0)
        .into_iter()
        .chain(std::iter::repeat_with(|| rand::rng().random_range(PORTS)).take(1000))
        .find(free)
        .ok_or(LocalError::NoPort)
}

/// Random letters and digits.
fn random_word(length: usize) -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}

/// Runs work that waits (for processes, for files) off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LocalError> + Send + 'static,
) -> Result<T, LocalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(LocalError::io("run a task", io::Error::other(error))),
    }
}
