//! Dunning: who is chased, how, and why not. See `README.md` for where what is.

mod consume;
pub mod domain;
mod serve;
mod store;

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
    serve::begin(&bus).await?;
    Host::new(bus)
        .consume(consume::Ledger)
        .consume(consume::Feeds)
        .consume(consume::Disputes)
        .serve(serve::get_standing)
        .run()
        .await
}
