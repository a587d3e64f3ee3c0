//! Worklist: who must act, by when, and who may say yes. See `README.md` for where what is.

mod consume;

use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Worklist;

/// The schema's migrations, run by `counterfoil migrate` as its owner.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    let prefix = bus.prefix().clone();
    Host::new(bus)
        .consume(consume::Facts::<consume::Ingestion>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Allocation>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Disputes>::new(prefix))
        .run()
        .await
}
