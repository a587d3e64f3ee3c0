//! What every Counterfoil process runs on.
//!
//! | module | does |
//! |---|---|
//! | [`config`] | one [`Config`] from defaults, file, environment and `--set`; [`Secret`] |
//! | [`telemetry`] | logs, traces and metrics |
//! | [`admin`] | [`Health`], and the admin server that tells it |
//! | [`provision`] | the database with a role and a schema per service |
//! | [`service`] | connects, migrates, supervises and stops the services |
//! | [`local`] | a private Postgres and nats-server for one machine |

pub mod admin;
pub mod config;
pub mod local;
pub mod provision;
pub mod service;
pub mod telemetry;

pub use admin::{AdminServer, Component, Health, HealthState};
pub use config::{Config, ConfigError, Secret};
pub use local::{LocalError, LocalStack, MailSink, NatsUser, StackInfo, StackOptions};
pub use provision::{ProvisionError, RoleSpec, provision_database};
pub use service::{Service, ServiceError};
