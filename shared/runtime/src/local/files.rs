//! The data directory: who may use it, where the servers' data is, and the small files beside it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use super::process::RunAs;
use super::{LocalError, StackInfo, random_word};
use crate::config::Secret;

const LOCK: &str = "lock";
const STACK: &str = "stack.json";
const SECRETS: &str = "secrets.toml";
/// The link to the servers' data where that cannot be inside the data directory.
const ELSEWHERE: &str = "servers";
/// Where it is then: state that lasts, in a place that every user can pass through.
const ELSEWHERE_ROOT: &str = "/var/lib/counterfoil-local";

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    /// The parent of `pg` and `nats`.
    servers: PathBuf,
    pub(super) run_as: Option<RunAs>,
    _lock: File,
}

impl Layout {
    pub(super) fn prepare(data_dir: &Path) -> Result<Self, LocalError> {
        let root = rustix::process::geteuid().is_root();
        claim(data_dir, root)?;
        let data_dir = fs::canonicalize(data_dir)
            .map_err(|source| LocalError::io(format!("open {}", data_dir.display()), source))?;
        let lock = lock(&data_dir)?;
        let servers = match fs::canonicalize(data_dir.join(ELSEWHERE)) {
            Ok(elsewhere) => elsewhere,
            Err(_) if data_dir.join(ELSEWHERE).is_symlink() => {
                return Err(LocalError::data_dir(
                    &data_dir,
                    "its link `servers` leads nowhere: the servers' data is gone from there",
                ));
            }
            Err(_) => data_dir.clone(),
        };
        let run_as = if root {
            Some(servers_user(&servers)?)
        } else {
            None
        };
        let mut layout = Self {
            data_dir,
            servers,
            run_as,
            _lock: lock,
        };
        if let Some(user) = run_as
            && layout.servers == layout.data_dir
            && let Some(barrier) = barrier(&layout.data_dir, user)
        {
            if layout.postgres().exists() {
                return Err(LocalError::data_dir(
                    &layout.data_dir,
                    format!(
                        "{} no longer lets the user that Postgres runs as pass through",
                        barrier.display()
                    ),
                ));
            }
            layout.servers = layout.put_elsewhere(user, &barrier)?;
        }
        make_directory(&layout.nats(), layout.run_as)?;
        make_directory(&layout.data_dir.join("log"), None)?;
        Ok(layout)
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.servers.join("pg")
    }

    pub(super) fn nats(&self) -> PathBuf {
        self.servers.join("nats")
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.data_dir.join("log").join(name)
    }

    pub(super) fn remove(self) -> Result<(), LocalError> {
        for directory in [&self.servers, &self.data_dir] {
            match fs::remove_dir_all(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LocalError::io(
                        format!("remove {}", directory.display()),
                        error,
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn put_elsewhere(&self, user: RunAs, barrier: &Path) -> Result<PathBuf, LocalError> {
        let servers = Path::new(ELSEWHERE_ROOT).join(random_word(12).to_lowercase());
        let reason = |doing: &str, error: &io::Error| {
            LocalError::data_dir(
                &self.data_dir,
                format!(
                    "we are root, Postgres runs as another user, and {} does not let that user pass through; \
                     {doing} {} instead failed ({error}). Give a --data-dir that everybody can reach",
                    barrier.display(),
                    servers.display()
                ),
            )
        };
        fs::create_dir_all(ELSEWHERE_ROOT).map_err(|error| reason("creating", &error))?;
        fs::set_permissions(ELSEWHERE_ROOT, Permissions::from_mode(0o711))
            .map_err(|error| reason("opening", &error))?;
        fs::create_dir(&servers).map_err(|error| reason("creating", &error))?;
        fs::set_permissions(&servers, Permissions::from_mode(0o700))
            .map_err(|error| reason("closing", &error))?;
        chown(&servers, Some(user.uid), Some(user.gid))
            .map_err(|error| reason("giving away", &error))?;
        symlink(&servers, self.data_dir.join(ELSEWHERE))
            .map_err(|error| reason("linking to", &error))?;
        tracing::warn!(
            data = %servers.display(),
            barrier = %barrier.display(),
            "the servers' user cannot reach the data directory: their data is kept elsewhere"
        );
        Ok(servers)
    }
}

fn make_directory(path: &Path, owner: Option<RunAs>) -> Result<(), LocalError> {
    let io = |source| LocalError::io(format!("create {}", path.display()), source);
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(io(error)),
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
    if let Some(user) = owner {
        chown(path, Some(user.uid), Some(user.gid)).map_err(io)?;
    }
    Ok(())
}

/// What the program says when nobody watches: see `up --detach`.
const LOG: &str = "counterfoil.log";

/// Makes the directory, or checks that an existing one is empty or a stack's: its permissions are changed below,
/// which must not happen to somebody's home directory.
fn claim(data_dir: &Path, root: bool) -> Result<(), LocalError> {
    let io = |source| LocalError::io(format!("create {}", data_dir.display()), source);
    fs::create_dir_all(data_dir).map_err(io)?;
    let ours = data_dir.join(LOCK).exists();
    // What a detached program says is there before it has claimed anything.
    let strange = |entry: io::Result<fs::DirEntry>| !entry.is_ok_and(|e| e.file_name() == LOG);
    if !ours && fs::read_dir(data_dir).map_err(io)?.any(strange) {
        return Err(LocalError::data_dir(
            data_dir,
            "is neither empty nor a data directory of Counterfoil's: give an empty or a new one",
        ));
    }
    let mode = if root { 0o711 } else { 0o700 };
    fs::set_permissions(data_dir, Permissions::from_mode(mode)).map_err(io)
}

fn lock(data_dir: &Path) -> Result<File, LocalError> {
    let path = data_dir.join(LOCK);
    let io = |source| LocalError::io(format!("lock {}", path.display()), source);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(io)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let owner = read_stack(data_dir)
                .ok()
                .flatten()
                .map_or("unknown".into(), |s| s.owner_pid.to_string());
            Err(LocalError::AlreadyRunning {
                data_dir: data_dir.to_path_buf(),
                owner,
            })
        }
        Err(error) => Err(io(error.into())),
    }
}

/// Whether a live process holds the directory.
pub(super) fn is_locked(data_dir: &Path) -> Result<bool, LocalError> {
    let path = data_dir.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(LocalError::io(format!("open {}", path.display()), error)),
    };
    // Shared, and let go of at once: a stack that starts in this very moment is not disturbed for long.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(LocalError::io(
            format!("lock {}", path.display()),
            error.into(),
        )),
    }
}

/// The user that the servers run as when we are root: the one that owns the data already, else an unprivileged one.
fn servers_user(servers: &Path) -> Result<RunAs, LocalError> {
    match fs::metadata(servers.join("pg")) {
        Ok(owner) if owner.uid() != 0 => Ok(RunAs {
            uid: owner.uid(),
            gid: owner.gid(),
        }),
        _ => RunAs::unprivileged(),
    }
}

/// The nearest parent of `path` that `user` cannot pass through.
fn barrier(path: &Path, user: RunAs) -> Option<PathBuf> {
    path.ancestors()
        .find(|directory| {
            let Ok(directory) = fs::metadata(directory) else {
                return true;
            };
            let mode = directory.mode();
            let pass = if directory.uid() == user.uid {
                mode & 0o100
            } else if directory.gid() == user.gid {
                mode & 0o010
            } else {
                mode & 0o001
            };
            pass == 0
        })
        .map(Path::to_path_buf)
}

/// Writes a file whole or not at all, readable by its owner only.
pub(super) fn write_private(
    path: &Path,
    text: &str,
    owner: Option<RunAs>,
) -> Result<(), LocalError> {
    let io = |source| LocalError::io(format!("write {}", path.display()), source);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", random_word(6)));
    let unfinished = PathBuf::from(name);
    let write = || {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        if let Some(user) = owner {
            chown(&unfinished, Some(user.uid), Some(user.gid))?;
        }
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&unfinished);
        io(error)
    })
}

pub(super) fn read_stack(data_dir: &Path) -> Result<Option<StackInfo>, LocalError> {
    let path = data_dir.join(STACK);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LocalError::io(format!("read {}", path.display()), error)),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| LocalError::Damaged {
            path,
            source: error.into(),
        })
}

pub(super) fn write_stack(data_dir: &Path, info: &StackInfo) -> Result<(), LocalError> {
    let path = data_dir.join(STACK);
    let text = serde_json::to_string_pretty(info).map_err(|error| LocalError::Damaged {
        path: path.clone(),
        source: error.into(),
    })?;
    write_private(&path, &text, None)
}

type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// `secrets.toml`: random passwords, each made when it is first asked for and kept for good.
#[derive(Debug)]
pub(super) struct Secrets {
    path: PathBuf,
    sections: Mutex<HiddenSections>,
}

/// Passwords that a `{:?}` must not show.
struct HiddenSections(Sections);

impl std::fmt::Debug for HiddenSections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Secrets {
    pub(super) fn open(data_dir: &Path) -> Result<Self, LocalError> {
        let path = data_dir.join(SECRETS);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(LocalError::io(format!("read {}", path.display()), error)),
        };
        // The parser's message would quote the line, password and all.
        let sections = toml::from_str(&text).map_err(|_| LocalError::Damaged {
            path: path.clone(),
            source: "it is not TOML of text values".into(),
        })?;
        Ok(Self {
            path,
            sections: Mutex::new(HiddenSections(sections)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HiddenSections> {
        self.sections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, section: &str, name: &str) -> Option<Secret> {
        self.lock()
            .0
            .get(section)?
            .get(name)
            .cloned()
            .map(Secret::from)
    }

    pub(super) fn section(&self, section: &str) -> BTreeMap<String, Secret> {
        let sections = self.lock();
        let entries = sections.0.get(section).into_iter().flatten();
        entries
            .map(|(name, password)| (name.clone(), Secret::from(password.clone())))
            .collect()
    }

    pub(super) fn get_or_make(&self, section: &str, name: &str) -> Result<Secret, LocalError> {
        let mut sections = self.lock();
        if let Some(password) = sections
            .0
            .get(section)
            .and_then(|section| section.get(name))
        {
            return Ok(Secret::from(password.clone()));
        }
        let password = random_word(32);
        sections
            .0
            .entry(section.to_owned())
            .or_default()
            .insert(name.to_owned(), password.clone());
        let text = toml::to_string(&sections.0).map_err(|error| LocalError::Damaged {
            path: self.path.clone(),
            source: error.into(),
        })?;
        write_private(
            &self.path,
            &format!(
                "# Passwords of the local stack, made once. Without this file its data cannot be opened.\n{text}"
            ),
            None,
        )?;
        Ok(Secret::from(password))
    }
}
