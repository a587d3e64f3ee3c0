//! Worklist: who must act, by when, and who may say yes. See `README.md` for where what is.

mod consume;
pub mod domain;
mod serve;
mod store;

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
    serve::approvals::settle_limits(&bus).await?;
    Host::new(bus)
        .consume(consume::Facts::<consume::Ingestion>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Allocation>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Disputes>::new(prefix))
        .serve(serve::approvals::list)
        .serve(serve::approvals::get)
        .serve(serve::approvals::decide)
        .serve(serve::approvals::list_limits)
        .serve(serve::approvals::change_limit)
        .job(
            "expire_approvals",
            serve::approvals::EXPIRE_EVERY,
            serve::approvals::expire,
        )
        .run()
        .await
}
