//! Disputes: query, dispute and complaint cases. See `README.md` for where what
//! is.

pub mod consume;
pub mod domain;
mod jobs;
mod serve;
mod store;

use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Disputes;

/// The schema's migrations, run by `counterfoil migrate` as its owner.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    let round = jobs::Round::default();
    let look = jobs::Look::default();
    Host::new(bus.clone())
        .consume(consume::Ledger::new(bus.prefix().clone()))
        .consume(consume::Approvals::new(bus.prefix().clone()))
        .serve(serve::open_case)
        .serve(serve::step_case)
        .serve(serve::list_cases)
        .serve(serve::get_case)
        .serve(serve::count_cases)
        .serve(serve::get_taxonomy)
        .serve(serve::get_feedback)
        .serve(serve::nudge_stakeholder)
        .serve(serve::read_nudge)
        .serve(serve::comment_by_link)
        .serve(serve::erase_person)
        .job("suspected_queries", jobs::EVERY, move |bus| {
            jobs::suspect(bus, round.clone())
        })
        .job("explained_queries", jobs::EVERY, move |bus| {
            jobs::clear_explained(bus, look.clone())
        })
        .job("close_resolved", jobs::EVERY, jobs::close_resolved)
        .job("erasures", jobs::EVERY, jobs::erase)
        .run()
        .await
}
