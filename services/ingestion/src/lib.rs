//! Ingestion: everything that comes in from outside, once.
//!
//! Owns bank accounts, lines and statements, debtor accounts and billing
//! documents as they were told, and the files that brought them. It decides what
//! is new; whom a receipt belongs to is allocation's to say. See `README.md`.

mod consume;
pub mod domain;
mod store;

use contracts::Role;
use messaging::{Bus, Failure, Host};
use sqlx::migrate::Migrator;

/// Which service this is.
pub const ROLE: Role = Role::Ingestion;

/// The tables of the schema `ingestion`, after those of messaging.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// What may be set about this service.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files beyond this many bytes are refused while they are uploaded.
    pub max_file_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus, options: Options) -> Result<(), Failure> {
    let _ = options;
    Host::new(bus.clone())
        .consume(consume::Inbound::new(bus))
        .run()
        .await
}
