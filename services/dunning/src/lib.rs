//! Dunning: who is chased, how, and why not. So far the service starts, owns its schema, relays its
//! outbox, keeps dead letters and answers the ping of the NATS micro protocol.

pub mod domain;

use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Dunning;

/// The schema's migrations, run by `counterfoil migrate` as its owner.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    Host::new(bus).run().await
}
