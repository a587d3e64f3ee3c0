//! Worklist: who must act, by when, and who may say yes. See `README.md` for where what is.

mod consume;
pub mod domain;
mod events;
mod jobs;
mod serve;
mod store;

use std::time::Duration;

use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Worklist;

/// How often it is looked whether a new day has begun.
const NEW_DAY: Duration = Duration::from_secs(5);

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
        .consume(consume::Facts::<consume::Disputes>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Dunning>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Reporting>::new(prefix.clone()))
        .consume(consume::Facts::<consume::Own>::new(prefix))
        .task("sla_clocks", jobs::clocks::run)
        .job("new_day", NEW_DAY, jobs::daily::run)
        .serve(serve::work::list)
        .serve(serve::work::get)
        .serve(serve::work::count)
        .serve(serve::work::act)
        .serve(serve::work::list_kinds)
        .serve(serve::work::list_policies)
        .serve(serve::work::put_policy)
        .serve(serve::people::list)
        .serve(serve::people::put)
        .serve(serve::people::plan_absence)
        .serve(serve::people::end_cover)
        .serve(serve::people::list_portfolio)
        .serve(serve::people::put_portfolio_rule)
        .serve(serve::day::get_plan)
        .serve(serve::day::apply_plan)
        .serve(serve::day::list_deadlines)
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
