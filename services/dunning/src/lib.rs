//! Dunning: who is chased, how, and why not. See `README.md` for where what is.

mod consume;
pub mod domain;
mod jobs;
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
    let prefix = bus.prefix().clone();
    Host::new(bus)
        .consume(consume::Ledger {
            prefix: prefix.clone(),
        })
        .consume(consume::Feeds)
        .consume(consume::Disputes { prefix })
        .serve(serve::get_standing)
        .serve(serve::place_hold)
        .serve(serve::step_hold)
        .serve(serve::list_holds)
        .serve(serve::take_promise)
        .serve(serve::withdraw_promise)
        .serve(serve::list_promises)
        .serve(serve::get_promise)
        .serve(serve::propose_plan)
        .serve(serve::open_plan)
        .serve(serve::step_plan)
        .serve(serve::list_plans)
        .job("promises_due", jobs::EVERY, jobs::judge)
        .job("holds_due", jobs::EVERY, jobs::holds)
        .run()
        .await
}
