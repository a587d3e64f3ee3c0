//! Configuration: one [`Config`] for every command and service.
//!
//! Layers, later ones win: the built-in `defaults.toml` < `counterfoil.toml` (or the file given) < the environment
//! (`COUNTERFOIL__SECTION__KEY`) < `--set section.key=value`. A key that nobody knows is an error that names it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use contracts::Role;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const DEFAULTS: &str = include_str!("defaults.toml");
const DEFAULT_FILE: &str = "counterfoil.toml";
const ENVIRONMENT_PREFIX: &str = "COUNTERFOIL__";

/// A password. It is shown as `***` wherever it is printed or serialised; only [`Secret::expose`] tells it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An absent password is no secret, and good to know of.
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// The whole configuration. What each key means is said in `defaults.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Config {
    pub database: Database,
    pub nats: Nats,
    pub http: Http,
    pub admin: Admin,
    pub log: Log,
    pub telemetry: Telemetry,
    pub messaging: Messaging,
    pub mail: Mail,
    pub bacs: Bacs,
    pub local: Local,
    pub demo: Demo,
}

/// `[database]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Database {
    pub host: String,
    pub port: u16,
    pub name: String,
    pub ssl_mode: SslMode,
    pub admin_user: String,
    pub admin_password: Secret,
    #[serde(with = "empty_is_none")]
    pub admin_password_file: Option<PathBuf>,
    pub pool_max: u32,
    pub pool_acquire_seconds: u64,
    pub statement_timeout_seconds: u64,
    pub idle_in_transaction_seconds: u64,
    /// By role name.
    pub passwords: BTreeMap<String, Secret>,
}

/// TLS to Postgres, by libpq's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `[nats]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Nats {
    pub url: String,
    pub prefix: String,
    /// Password by user name: the roles and [`contracts::catalogue::Outsider`].
    pub users: BTreeMap<String, Secret>,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Http {
    pub listen: SocketAddr,
    pub public_url: String,
    pub secure_cookies: bool,
    pub trusted_origins: Vec<String>,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Admin {
    pub listen: SocketAddr,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Telemetry {
    #[serde(with = "empty_is_none")]
    pub otlp_endpoint: Option<String>,
    pub sample_ratio: f64,
}

/// `[messaging]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Messaging {
    pub batch_max: u32,
    pub ack_wait_seconds: u64,
    pub max_deliver: u32,
    pub relay_window: u32,
    pub retention_days: u32,
}

/// `[local]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Local {
    pub data_dir: PathBuf,
    pub shared_buffers_mb: u32,
    #[serde(with = "empty_is_none")]
    pub postgres_bin: Option<PathBuf>,
    #[serde(with = "empty_is_none")]
    pub nats_server: Option<PathBuf>,
    pub nats_monitoring: bool,
}

/// `[mail]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub tls: bool,
    pub starttls: bool,
    pub user: String,
    pub password: Secret,
    #[serde(with = "empty_is_none")]
    pub password_file: Option<PathBuf>,
    pub idempotent: bool,
    pub timeout_seconds: u64,
    pub from: String,
    pub sender: String,
    pub address: String,
    pub phone: String,
    pub how_to_pay: String,
    #[serde(with = "empty_is_none")]
    pub principals_file: Option<PathBuf>,
}

/// `[bacs]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Bacs {
    pub user_number: String,
    pub user_name: String,
    pub account: String,
    /// 0: the scheme's.
    pub notice_days: u32,
}

/// `[demo]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Demo {
    pub enabled: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A configuration file, or a file with a password, cannot be read.
    #[error("cannot read {} (for {key})", path.display())]
    File {
        /// What the file is for: `--config`, or a key.
        key: String,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A key that does not exist.
    #[error("there is no key `{key}` (in {layer}); {known}")]
    UnknownKey {
        /// The key, with its section.
        key: String,
        /// Where it was written.
        layer: String,
        /// The keys that exist there.
        known: String,
    },
    /// A value that does not fit its key, or a file that is not TOML.
    #[error("`{key}` (in {layer}): {reason}")]
    Invalid {
        /// The key, with its section.
        key: String,
        /// Where the value was written.
        layer: String,
        /// What is wrong.
        reason: String,
    },
    /// A `--set` that is not `section.key=value`.
    #[error("`--set {argument}` is not of the form section.key=value")]
    Set {
        /// What was given, without its value.
        argument: String,
    },
}

impl Config {
    /// Reads all layers. Without a `file`, `counterfoil.toml` in the current directory is read if there is one.
    /// `sets` are the values of `--set`, `section.key=value` each.
    ///
    /// # Errors
    /// When a file cannot be read, a key does not exist, or a value does not fit.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, ConfigError> {
        // The only place where the environment is read.
        let environment: Vec<(String, String)> = Env::prefixed(ENVIRONMENT_PREFIX)
            .iter()
            .map(|(key, value)| (key.to_string(), value))
            .collect();
        let usual = Path::new(DEFAULT_FILE);
        Self::from_layers(
            file.or_else(|| usual.exists().then_some(usual)),
            environment,
            sets,
        )
    }

    /// The built-in values alone.
    ///
    /// # Errors
    /// Never, as the tests show; the type says so because parsing may fail.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::from_layers(None, Vec::new(), &[])
    }

    fn from_layers(
        file: Option<&Path>,
        environment: Vec<(String, String)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let builtin = Figment::from(Toml::string(DEFAULTS));
        let mut layers = builtin.clone();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
                key: "--config".into(),
                path: path.to_path_buf(),
                source,
            })?;
            let mut layer = Layer::new(path.display().to_string());
            // Parsed here and not by the layer: a message about broken TOML has a line, but no key.
            layer.values = toml::from_str(&text).map_err(|error| ConfigError::Invalid {
                key: error.span().map_or_else(
                    || "?".into(),
                    |span| format!("line {}", line_of(&text, span.start)),
                ),
                layer: layer.name.clone(),
                reason: error.message().to_owned(),
            })?;
            layers = layers.merge(layer);
        }
        let mut variables = Layer::new("the environment");
        for (name, raw) in environment {
            let path: Vec<&str> = name.split("__").collect();
            variables.insert(&builtin, &path, raw);
        }
        let mut arguments = Layer::new("--set");
        for set in sets {
            let (key, raw) = set.split_once('=').unwrap_or((set, ""));
            let path: Vec<&str> = key.trim().split('.').collect();
            if !set.contains('=') || path.len() < 2 || path.iter().any(|word| word.is_empty()) {
                // Not its value: what follows a mistyped key may be a password.
                return Err(ConfigError::Set {
                    argument: key.to_owned(),
                });
            }
            arguments.insert(&builtin, &path, raw.to_owned());
        }
        let layers = layers.merge(variables).merge(arguments);
        let mut config: Self = layers
            .extract()
            .map_err(|error| in_our_words(&layers, error))?;
        config.read_secret_files()?;
        config.check(&layers)?;
        Ok(config)
    }

    /// Replaces every `<key>_file` by what the file holds, without the line end that editors add.
    fn read_secret_files(&mut self) -> Result<(), ConfigError> {
        let database = &mut self.database;
        if let Some(file) = database.admin_password_file.clone() {
            let key = "database.admin_password";
            database.admin_password = secret_from(key, &file, Some(&database.admin_password))?;
        }
        if let Some(file) = self.mail.password_file.clone() {
            self.mail.password = secret_from("mail.password", &file, Some(&self.mail.password))?;
        }
        for (section, map) in [
            ("database.passwords", &mut database.passwords),
            ("nats.users", &mut self.nats.users),
        ] {
            let files: Vec<String> = map
                .keys()
                .filter(|name| name.ends_with("_file"))
                .cloned()
                .collect();
            for name in files {
                let Some(file) = map.remove(&name) else {
                    continue;
                };
                let name = name.trim_end_matches("_file");
                let secret = secret_from(
                    &format!("{section}.{name}"),
                    Path::new(file.expose()),
                    map.get(name),
                )?;
                map.insert(name.to_owned(), secret);
            }
        }
        Ok(())
    }

    /// What the types alone do not keep.
    fn check(&self, layers: &Figment) -> Result<(), ConfigError> {
        let services = Role::ALL.map(Role::name);
        for name in self.database.passwords.keys() {
            known_name(layers, "database.passwords", name, &services)?;
        }
        let users: Vec<&str> = services
            .into_iter()
            .chain(contracts::catalogue::Outsider::ALL.map(contracts::catalogue::Outsider::name))
            .collect();
        for name in self.nats.users.keys() {
            known_name(layers, "nats.users", name, &users)?;
        }
        let messaging = &self.messaging;
        let positive = [
            ("database.pool_max", u64::from(self.database.pool_max)),
            (
                "database.pool_acquire_seconds",
                self.database.pool_acquire_seconds,
            ),
            ("messaging.batch_max", u64::from(messaging.batch_max)),
            ("messaging.ack_wait_seconds", messaging.ack_wait_seconds),
            ("messaging.max_deliver", u64::from(messaging.max_deliver)),
            ("messaging.relay_window", u64::from(messaging.relay_window)),
            (
                "messaging.retention_days",
                u64::from(messaging.retention_days),
            ),
        ];
        let invalid = |key: &str, reason: &str| {
            Err(ConfigError::Invalid {
                key: key.into(),
                layer: layer_of(layers, key),
                reason: reason.into(),
            })
        };
        for (key, value) in positive {
            if value == 0 {
                return invalid(key, "must be at least 1");
            }
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample_ratio) {
            return invalid("telemetry.sample_ratio", "must be between 0 and 1");
        }
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !self.nats.prefix.chars().all(token) {
            return invalid(
                "nats.prefix",
                "may have letters, digits, `-` and `_` only (it becomes part of stream names)",
            );
        }
        let url = &self.http.public_url;
        let begins = ["http://", "https://"].iter().any(|scheme| {
            url.strip_prefix(scheme)
                .is_some_and(|host| !host.is_empty())
        });
        if !url.is_empty() && (!begins || url.contains(char::is_whitespace)) {
            return invalid(
                "http.public_url",
                "must begin with https:// or http:// and have no spaces",
            );
        }
        if !is_identifier(&self.database.name) {
            return invalid(
                "database.name",
                "must be lower-case letters, digits and `_`, beginning with a letter",
            );
        }
        Ok(())
    }

    /// The effective configuration as TOML, with `***` for passwords. Deterministic: it is committed and compared.
    ///
    /// # Errors
    /// When a value cannot be written as TOML (a path that is not UTF-8).
    pub fn dump(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Combinations that are allowed, and that an operator will be sorry for: one sentence each, for the log at start.
    pub fn warnings(&self) -> Vec<String> {
        let Self {
            database,
            nats: _,
            http,
            admin,
            log,
            telemetry,
            messaging,
            local: _,
            bacs: _,
            demo,
            mail,
        } = self;
        let mut found = Vec::new();
        let mut warn = |risky: bool, text: &str| {
            if risky {
                found.push(text.to_owned());
            }
        };
        let longest = contracts::catalogue::STREAMS
            .iter()
            .map(|stream| stream.max_age_days)
            .max()
            .unwrap_or(0);
        warn(
            u64::from(messaging.retention_days) < longest,
            "messaging.retention_days is below the age that streams keep: a replayed stream would be taken a second time",
        );
        warn(
            messaging.ack_wait_seconds < 2,
            "messaging.ack_wait_seconds is below 2: a batch that takes longer is delivered again while it is worked on",
        );
        warn(
            database.statement_timeout_seconds == 0,
            "database.statement_timeout_seconds is 0: one bad query can hold its locks for ever",
        );
        warn(
            database.idle_in_transaction_seconds == 0,
            "database.idle_in_transaction_seconds is 0: a stuck transaction stops every outbox relay of the server",
        );
        warn(
            messaging.batch_max > 5000,
            "messaging.batch_max is above 5000: batches this large were measured to be slower, not faster",
        );
        warn(
            messaging.relay_window > 1024,
            "messaging.relay_window is above 1024: windows this large were measured to be slower, not faster",
        );
        warn(
            messaging.max_deliver < 5,
            "messaging.max_deliver is below 5: NATS gives up on a message before its retries are used up",
        );
        warn(
            !admin.listen.ip().is_loopback(),
            "admin.listen is not a loopback address: the admin server has no sign-in, keep its port inside the network",
        );
        warn(
            demo.enabled && !http.listen.ip().is_loopback(),
            "demo.enabled with a public http.listen: the demo sign-ins are known to everybody",
        );
        warn(
            !mail.host.is_empty() && http.public_url.is_empty() && !http.listen.ip().is_loopback(),
            "http.public_url is not set: links in e-mails lead to where we listen, which others may not reach",
        );
        let local_database = ["127.0.0.1", "::1", "localhost"].contains(&database.host.as_str());
        warn(
            !local_database
                && matches!(
                    database.ssl_mode,
                    SslMode::Disable | SslMode::Allow | SslMode::Prefer
                ),
            "database.ssl_mode allows an unencrypted connection to another machine",
        );
        warn(
            database.passwords.values().any(Secret::is_empty)
                || self.nats.users.values().any(Secret::is_empty),
            "a password in database.passwords or nats.users is empty",
        );
        let level = log.level.to_ascii_lowercase();
        warn(
            level
                .split(',')
                .any(|part| matches!(part.trim(), "debug" | "trace")),
            "log.level is debug or trace for everything: logs grow fast and slow the pipeline down",
        );
        warn(
            telemetry.otlp_endpoint.is_some() && telemetry.sample_ratio == 0.0,
            "telemetry.otlp_endpoint is set but telemetry.sample_ratio is 0: no trace will arrive there",
        );
        found
    }
}

impl Database {
    /// How long a task waits for a connection.
    pub fn pool_acquire(&self) -> Duration {
        Duration::from_secs(self.pool_acquire_seconds)
    }

    /// `0` means never.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.statement_timeout_seconds)
    }

    /// `0` means never.
    pub fn idle_in_transaction(&self) -> Duration {
        Duration::from_secs(self.idle_in_transaction_seconds)
    }
}

impl Messaging {
    /// After this a message is delivered again.
    pub fn ack_wait(&self) -> Duration {
        Duration::from_secs(self.ack_wait_seconds)
    }
}

/// A name that can stand in SQL without quotes: lower-case letters, digits and `_`, beginning with a letter.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() < 56
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// One layer of values with the name that errors call it by.
struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: Dict::new(),
        }
    }

    /// Puts a text at a path. Its type is that of the built-in value there, and text where there is none: a password
    /// of digits stays what was written.
    fn insert(&mut self, builtin: &Figment, path: &[&str], raw: String) {
        let value = match builtin.find_value(&path.join(".")) {
            Ok(Value::Bool(..)) => raw
                .parse::<bool>()
                .map(Value::from)
                .unwrap_or(Value::from(raw)),
            Ok(Value::Num(_, number)) if number.to_f64().is_some() => raw
                .parse::<f64>()
                .map(Value::from)
                .unwrap_or(Value::from(raw)),
            Ok(Value::Num(..)) => raw
                .parse::<i64>()
                .map(Value::from)
                .unwrap_or(Value::from(raw)),
            _ => Value::from(raw),
        };
        let Some((last, sections)) = path.split_last() else {
            return;
        };
        let mut dict = &mut self.values;
        for section in sections {
            let entry = dict
                .entry((*section).to_owned())
                .or_insert_with(|| Value::from(Dict::new()));
            if !matches!(entry, Value::Dict(..)) {
                *entry = Value::from(Dict::new());
            }
            let Value::Dict(_, inner) = entry else { return };
            dict = inner;
        }
        dict.insert((*last).to_owned(), value);
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.get(..offset)
        .unwrap_or_default()
        .lines()
        .count()
        .max(1)
}

/// Where a key's value comes from.
fn layer_of(layers: &Figment, key: &str) -> String {
    layers
        .find_metadata(key)
        .map_or_else(|| "the defaults".into(), |layer| layer.name.to_string())
}

/// Says what is wrong without the value: it may be a password.
fn in_our_words(layers: &Figment, error: figment::Error) -> ConfigError {
    let path = error.path.join(".");
    match error.kind {
        Kind::UnknownField(name, known) => {
            // Depending on where serde notices, the path has the field's name in it already, or not.
            let key = match error.path.last() {
                None => name,
                Some(last) if *last == name => path,
                Some(_) => format!("{path}.{name}"),
            };
            ConfigError::UnknownKey {
                layer: layer_of(layers, &key),
                key,
                known: exist(known),
            }
        }
        kind => {
            let reason = match kind {
                Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
                    format!("expected {expected}")
                }
                Kind::UnknownVariant(_, known) => format!("expected one of {}", known.join(", ")),
                kind => kind.to_string(),
            };
            ConfigError::Invalid {
                layer: layer_of(layers, &path),
                key: path,
                reason,
            }
        }
    }
}

fn exist(known: &[&str]) -> String {
    format!("there are {}", known.join(", "))
}

fn known_name(
    layers: &Figment,
    section: &str,
    name: &str,
    known: &[&str],
) -> Result<(), ConfigError> {
    if known.contains(&name) {
        return Ok(());
    }
    let key = format!("{section}.{name}");
    Err(ConfigError::UnknownKey {
        layer: layer_of(layers, &key),
        key,
        known: exist(known),
    })
}

fn secret_from(key: &str, file: &Path, direct: Option<&Secret>) -> Result<Secret, ConfigError> {
    if direct.is_some_and(|secret| !secret.is_empty()) {
        return Err(ConfigError::Invalid {
            key: key.into(),
            layer: "several layers".into(),
            reason: format!("is given both directly and by `{key}_file`: which one counts?"),
        });
    }
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::File {
        key: format!("{key}_file"),
        path: file.to_path_buf(),
        source,
    })?;
    Ok(Secret::from(text.trim_end_matches(['\r', '\n'])))
}

/// TOML has no null: an empty text stands for "none".
mod empty_is_none {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // The signature is serde's.
    #[allow(clippy::ref_option)]
    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T: From<String>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: Option<&str>,
        environment: &[(&str, &str)],
        sets: &[&str],
    ) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.toml");
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
        }
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Config::from_layers(file.map(|_| path.as_path()), environment, &sets)
    }

    #[test]
    fn later_layers_win_one_by_one() {
        let file =
            "[database]\nhost = \"file\"\nport = 1\npool_max = 2\n[http]\nlisten = \"127.0.0.1:1\"";
        let environment = [("database__port", "3"), ("database__pool_max", "4")];
        let config = load(Some(file), &environment, &["database.pool_max=5"]).unwrap();
        assert_eq!(config.database.name, "counterfoil", "built in");
        assert_eq!(config.database.host, "file");
        assert_eq!(config.database.port, 3, "environment over file");
        assert_eq!(config.database.pool_max, 5, "--set over environment");
        assert_eq!(config.http.listen.port(), 1);
    }

    #[test]
    fn every_built_in_key_has_a_comment_and_a_field() {
        let lines: Vec<&str> = DEFAULTS.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(
                    lines[index - 1].starts_with("# "),
                    "no comment above `{line}`"
                );
            }
        }
        let config = Config::defaults().unwrap();
        let dumped: toml::Table = toml::from_str(&config.dump().unwrap()).unwrap();
        let written: toml::Table = toml::from_str(DEFAULTS).unwrap();
        assert_eq!(dumped, written, "dumping the defaults gives the defaults");
        assert_eq!(
            config.warnings(),
            Vec::<String>::new(),
            "the defaults are no risk"
        );
    }

    #[test]
    fn unknown_keys_are_refused_by_name_and_layer() {
        let message = |result: Result<Config, ConfigError>| result.unwrap_err().to_string();
        let wrong = message(load(Some("[database]\nhots = \"x\""), &[], &[]));
        assert!(
            wrong.contains("`database.hots`")
                && wrong.contains("my.toml")
                && wrong.contains("host"),
            "{wrong}"
        );
        let wrong = message(load(None, &[("datbase__host", "x")], &[]));
        assert!(
            wrong.contains("`datbase`") && wrong.contains("the environment"),
            "{wrong}"
        );
        let wrong = message(load(None, &[], &["nats.ulr=x"]));
        assert!(
            wrong.contains("`nats.ulr`") && wrong.contains("--set"),
            "{wrong}"
        );
        let wrong = message(load(None, &[], &["database.passwords.alocation=hunter2"]));
        assert!(
            wrong.contains("`database.passwords.alocation`") && wrong.contains("allocation"),
            "{wrong}"
        );
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_key() {
        for (set, key) in [
            ("database.port=many", "`database.port`"),
            ("database.port=70000", "`database.port`"),
            ("http.listen=8080", "`http.listen`"),
            ("http.public_url=ar.example.org", "`http.public_url`"),
            ("log.format=xml", "`log.format`"),
            ("messaging.batch_max=0", "`messaging.batch_max`"),
            ("telemetry.sample_ratio=2", "`telemetry.sample_ratio`"),
            ("nats.prefix=a.b", "`nats.prefix`"),
            ("database.name=a\"b", "`database.name`"),
            ("demo.enabled=perhaps", "`demo.enabled`"),
            ("database=x", "`--set database`"),
            ("database.port", "`--set database.port`"),
        ] {
            let wrong = load(None, &[], &[set]).unwrap_err().to_string();
            assert!(wrong.contains(key), "{set}: {wrong}");
        }
        let wrong = load(Some("[database]\nport = \n"), &[], &[])
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("line 2") && wrong.contains("my.toml"),
            "{wrong}"
        );
        let missing =
            Config::from_layers(Some(Path::new("/nowhere.toml")), Vec::new(), &[]).unwrap_err();
        assert!(matches!(missing, ConfigError::File { .. }));
    }

    #[test]
    fn passwords_are_read_as_written_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let secret_file = directory.path().join("dunning");
        std::fs::write(&secret_file, "from a file\n").unwrap();
        let sets = [
            "database.admin_password=007".to_owned(),
            format!("database.passwords.dunning_file={}", secret_file.display()),
            "nats.users.bank_feed=true".to_owned(),
            "database.passwords.allocation=a=b".to_owned(),
        ];
        let config = Config::from_layers(None, Vec::new(), &sets).unwrap();
        assert_eq!(config.database.admin_password.expose(), "007");
        assert_eq!(config.database.passwords["dunning"].expose(), "from a file");
        assert_eq!(config.database.passwords["allocation"].expose(), "a=b");
        assert_eq!(config.nats.users["bank_feed"].expose(), "true");
        let shown = format!("{}{config:?}", config.dump().unwrap());
        for secret in ["007", "from a file", "a=b"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(config.dump().unwrap().contains("admin_password = \"***\""));
        assert!(config.dump().unwrap().contains("dunning = \"***\""));
    }

    #[test]
    fn a_password_given_twice_or_in_a_missing_file_is_refused() {
        let wrong = load(
            None,
            &[],
            &[
                "database.admin_password=x",
                "database.admin_password_file=/x",
            ],
        )
        .unwrap_err();
        assert!(
            wrong.to_string().contains("`database.admin_password`"),
            "{wrong}"
        );
        let wrong = load(None, &[], &["nats.users.cli_file=/nowhere/cli"]).unwrap_err();
        assert!(wrong.to_string().contains("nats.users.cli_file"), "{wrong}");
    }

    #[test]
    fn risky_combinations_are_told() {
        let told = |sets: &[&str]| load(None, &[], sets).unwrap().warnings().join("\n");
        assert!(told(&["messaging.retention_days=7"]).contains("taken a second time"));
        assert!(told(&["demo.enabled=true", "http.listen=0.0.0.0:80"]).contains("demo"));
        assert!(told(&["mail.host=mx", "http.listen=0.0.0.0:80"]).contains("http.public_url"));
        assert!(told(&["admin.listen=0.0.0.0:9090"]).contains("admin.listen"));
        assert!(told(&["database.host=db.example.org"]).contains("unencrypted"));
        assert!(
            told(&["log.level=info,sqlx=debug"]).is_empty(),
            "one module may be loud"
        );
    }
}
