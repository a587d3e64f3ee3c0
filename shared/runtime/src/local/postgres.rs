//! The private Postgres of the local stack.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};

use super::process::{self, RunAs, Server};
use super::{LocalError, StackOptions, free_port};
use crate::config::Secret;

/// The superuser of the private server: only `migrate` and provisioning use it.
pub(super) const ADMIN: &str = "postgres";

/// Longest wait for a start. A start after a crash replays the log first, which takes minutes at the worst.
const START_PATIENCE: Duration = Duration::from_mins(5);
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A Postgres installation: a directory with both `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresInstall {
    /// The directory of the programs.
    pub bin: PathBuf,
    /// The major version, such as 15.
    pub major: u32,
}

impl PostgresInstall {
    /// Finds the installation to use: the one in `bin` where given, else of all that are on this machine the one of
    /// version `major` (data made by one major version can be read by no other), else the newest.
    ///
    /// # Errors
    /// [`LocalError::MissingProgram`] that names the package to install.
    pub fn find(bin: Option<&Path>, major: Option<u32>) -> Result<Self, LocalError> {
        let directories = bin.map_or_else(candidates, |bin| vec![bin.to_path_buf()]);
        let mut found: Vec<Self> = Vec::new();
        for directory in &directories {
            let Some(initdb) = process::find_program("initdb", std::slice::from_ref(directory))
            else {
                continue;
            };
            // `initdb` looks for `postgres` beside itself; a lone `postgres` elsewhere on the PATH is of no use.
            let Some(bin) = initdb.parent().map(Path::to_path_buf) else {
                continue;
            };
            if process::find_program("postgres", std::slice::from_ref(&bin)).is_none()
                || found.iter().any(|install| install.bin == bin)
            {
                continue;
            }
            if let Some(major) = major_version(&bin) {
                found.push(Self { bin, major });
            }
        }
        // A stable sort: of two with the same version the complete packaged one, which is first in the list.
        found.sort_by_key(|install| std::cmp::Reverse(install.major));
        let looked = directories
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        match major {
            Some(wanted) => found
                .into_iter()
                .find(|install| install.major == wanted)
                .ok_or_else(|| LocalError::MissingProgram {
                    program: format!("PostgreSQL {wanted} (this data directory was made by it)"),
                    package: format!("postgresql-{wanted}"),
                    looked,
                }),
            None => found
                .into_iter()
                .next()
                .ok_or_else(|| LocalError::MissingProgram {
                    program: "PostgreSQL (initdb and postgres in one directory)".into(),
                    package: "postgresql".into(),
                    looked,
                }),
        }
    }

    /// Whether the statistics library that `bench` reads is installed.
    fn has_pg_stat_statements(&self) -> bool {
        [
            "../lib",
            "../lib/postgresql",
            "../lib64/pgsql",
            "../lib/pgsql",
        ]
        .iter()
        .any(|relative| {
            self.bin
                .join(relative)
                .join("pg_stat_statements.so")
                .exists()
        })
    }
}

/// Packaged installations first: they are complete, while a directory of the PATH may hold mere copies.
fn candidates() -> Vec<PathBuf> {
    let mut packaged: Vec<PathBuf> = Vec::new();
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/postgresql", ""),
    ] {
        let Ok(entries) = fs::read_dir(parent) else {
            continue;
        };
        packaged.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path().join("bin"))
                .filter(|bin| bin.join("initdb").exists()),
        );
    }
    packaged.sort();
    packaged.extend(process::path_directories());
    packaged.extend(["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    packaged
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn major_version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[derive(Debug)]
pub(super) struct Postgres {
    install: PostgresInstall,
    directory: PathBuf,
    log: PathBuf,
    run_as: Option<RunAs>,
    password: Secret,
    settings: Settings,
    pub(super) port: u16,
    pub(super) server: Option<Server>,
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    shared_buffers_mb: u32,
    max_connections: u32,
    durable: bool,
}

impl Postgres {
    pub(super) fn new(
        options: &StackOptions,
        directory: PathBuf,
        log: PathBuf,
        run_as: Option<RunAs>,
        password: Secret,
    ) -> Result<Self, LocalError> {
        let made_by = fs::read_to_string(directory.join("PG_VERSION"))
            .ok()
            .and_then(|version| version.trim().parse().ok());
        Ok(Self {
            install: PostgresInstall::find(options.postgres_bin.as_deref(), made_by)?,
            directory,
            log,
            run_as,
            password,
            settings: Settings {
                shared_buffers_mb: options.shared_buffers_mb,
                max_connections: options.max_connections,
                durable: options.durable,
            },
            port: 0,
            server: None,
        })
    }

    /// Creates the cluster, once. Made in a directory beside and renamed at the end, so that an interrupted first
    /// start leaves nothing that looks like a cluster.
    pub(super) async fn init(&self) -> Result<(), LocalError> {
        if self.directory.join("PG_VERSION").exists() {
            return Ok(());
        }
        let unfinished = self.directory.with_extension("new");
        let password_file = self.directory.with_extension("password");
        let clean = || {
            for path in [&unfinished, &password_file] {
                let _ = if path.is_dir() {
                    fs::remove_dir_all(path)
                } else {
                    fs::remove_file(path)
                };
            }
        };
        clean();
        let made = self.run_initdb(&unfinished, &password_file).await;
        if made.is_err() {
            clean();
        }
        let _ = fs::remove_file(&password_file);
        made?;
        fs::rename(&unfinished, &self.directory).map_err(|source| {
            LocalError::io(format!("create {}", self.directory.display()), source)
        })
    }

    async fn run_initdb(&self, directory: &Path, password_file: &Path) -> Result<(), LocalError> {
        let io = |source| LocalError::io(format!("create {}", directory.display()), source);
        fs::create_dir(directory).map_err(io)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(io)?;
        let mut file = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(password_file)
            .map_err(io)?;
        file.write_all(self.password.expose().as_bytes())
            .map_err(io)?;
        if let Some(user) = self.run_as {
            chown(directory, Some(user.uid), Some(user.gid)).map_err(io)?;
            chown(password_file, Some(user.uid), Some(user.gid)).map_err(io)?;
        }
        let mut command =
            process::command(&self.install.bin.join("initdb"), directory, self.run_as);
        command
            .arg("-D")
            .arg(directory)
            .args([
                "-U",
                ADMIN,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--data-checksums",
            ])
            .arg(format!("--pwfile={}", password_file.display()));
        if !self.settings.durable {
            command.arg("--no-sync");
        }
        let output = tokio::process::Command::from(command)
            .output()
            .await
            .map_err(|source| LocalError::io("start initdb", source))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(LocalError::Failed {
            server: "initdb",
            said,
            log: self.log.clone(),
        })
    }

    /// Starts the server and waits until it takes connections. The port is `preferred` where it is free; when
    /// `keep_port`, no other (clients of a restarted server look for it there).
    pub(super) async fn start(
        &mut self,
        preferred: Option<u16>,
        keep_port: bool,
    ) -> Result<(), LocalError> {
        self.clear_remains().await?;
        let mut preferred = preferred;
        for attempt in 1.. {
            let port = if keep_port {
                self.port
            } else {
                free_port(preferred.take())?
            };
            let from = process::log_end(&self.log);
            self.write_settings(port)?;
            self.port = port;
            let mut command = process::command(
                &self.install.bin.join("postgres"),
                &self.directory,
                self.run_as,
            );
            command.arg("-D").arg(&self.directory);
            let server = Server::spawn(
                "postgres",
                command,
                &self.log,
                &self.directory,
                Signal::INT,
                self.run_as,
            )?;
            match self.wait_ready(server, from).await {
                Ok(server) => {
                    self.server = Some(server);
                    return Ok(());
                }
                // Somebody else took the port between our look and the server's.
                Err(LocalError::Failed { said, .. })
                    if said.contains("Address already in use") && attempt < 10 =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn wait_ready(&self, mut server: Server, log_from: u64) -> Result<Server, LocalError> {
        let begun = Instant::now();
        loop {
            let failed = |said: String| LocalError::Failed {
                server: "postgres",
                said,
                log: self.log.clone(),
            };
            if server.exited().is_some() {
                return Err(failed(process::log_tail(&self.log, log_from)));
            }
            let attempt = tokio::time::timeout(
                Duration::from_secs(5),
                PgConnection::connect_with(&self.admin()),
            )
            .await;
            match attempt {
                Ok(Ok(connection)) => {
                    let _ = connection.close().await;
                    return Ok(server);
                }
                Ok(Err(sqlx::Error::Database(error)))
                    if error.code().as_deref() == Some("28P01") =>
                {
                    return Err(failed(
                        "the admin password in secrets.toml is not the one this database was created with: \
                         restore secrets.toml, or move the data directory away to begin afresh"
                            .into(),
                    ));
                }
                _ if begun.elapsed() > START_PATIENCE => {
                    return Err(failed(format!(
                        "not ready after {} seconds\n{}",
                        START_PATIENCE.as_secs(),
                        process::log_tail(&self.log, log_from)
                    )));
                }
                _ => tokio::time::sleep(process::POLL).await,
            }
        }
    }

    /// Stops what a killed run left behind, and its pid file: Postgres would refuse to start over either.
    async fn clear_remains(&self) -> Result<(), LocalError> {
        let directory = self.directory.clone();
        super::blocking(move || {
            process::stop_found(
                || process::started_with("-D", &directory),
                Signal::INT,
                STOP_PATIENCE,
            )?;
            // Backends of a postmaster that was killed end by themselves in a moment.
            if !process::wait_gone(|| process::backends_in(&directory), Duration::from_secs(10)) {
                process::stop_found(
                    || process::backends_in(&directory),
                    Signal::QUIT,
                    Duration::from_secs(5),
                )?;
            }
            let _ = fs::remove_file(directory.join("postmaster.pid"));
            Ok(())
        })
        .await
    }

    pub(super) async fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let _ = tokio::task::spawn_blocking(move || server.stop(STOP_PATIENCE)).await;
    }

    /// The superuser's way in, over TCP with its password.
    pub(super) fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(ADMIN)
            .password(self.password.expose())
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
            .disable_statement_logging()
    }

    /// Whether this Postgres was built with lz4. The compression that every one
    /// has (pglz) costs about 50 us for each page that is touched first after a
    /// checkpoint, lz4 a fifth of it.
    fn knows_lz4(&self) -> bool {
        let mut command = process::command(
            &self.install.bin.join("postgres"),
            &self.directory,
            self.run_as,
        );
        command.arg("-D").arg(&self.directory).args([
            "-C",
            "wal_compression",
            "-c",
            "wal_compression=lz4",
        ]);
        command.output().is_ok_and(|said| said.status.success())
    }

    fn write_settings(&self, port: u16) -> Result<(), LocalError> {
        let Settings {
            shared_buffers_mb,
            max_connections,
            durable,
        } = self.settings;
        let durable = if durable { "on" } else { "off" };
        let compression = if self.knows_lz4() { "lz4" } else { "on" };
        let mut text = format!(
            "# Written by counterfoil at every start. Lasting changes: `alter system set …`.\n\
             listen_addresses = '127.0.0.1'\n\
             port = {port}\n\
             # TCP only: no socket file to leave behind, no limit on the length of the data directory's path.\n\
             unix_socket_directories = ''\n\
             password_encryption = 'scram-sha-256'\n\
             max_connections = {max_connections}\n\
             shared_buffers = {shared_buffers_mb}MB\n\
             work_mem = 16MB\n\
             maintenance_work_mem = 128MB\n\
             fsync = {durable}\n\
             synchronous_commit = on\n\
             full_page_writes = {durable}\n\
             wal_compression = {compression}\n\
             min_wal_size = 256MB\n\
             max_wal_size = 4GB\n\
             checkpoint_timeout = 15min\n\
             random_page_cost = 1.1\n\
             # Short statements: compiling them costs more than it gains.\n\
             jit = off\n\
             autovacuum = on\n\
             timezone = 'UTC'\n\
             log_timezone = 'UTC'\n\
             lc_messages = 'C'\n\
             log_line_prefix = '%m [%p] %q%u@%d '\n"
        );
        if self.install.has_pg_stat_statements() {
            let _ = writeln!(text, "shared_preload_libraries = 'pg_stat_statements'");
        }
        for (name, text) in [
            ("postgresql.conf", text.as_str()),
            (
                "pg_hba.conf",
                "# Written by counterfoil at every start.\nhost all all 127.0.0.1/32 scram-sha-256\n",
            ),
        ] {
            super::write_private(&self.directory.join(name), text, self.run_as)?;
        }
        Ok(())
    }
}
