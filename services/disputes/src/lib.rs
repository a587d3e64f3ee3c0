//! Disputes: query, dispute and complaint cases. See `README.md` for where what
//! is.

pub mod consume;
pub mod domain;
mod jobs;
mod post;
mod serve;
mod store;

use contracts::Role;
use messaging::{Bus, Failure, Host};
pub use post::Options;

pub const ROLE: Role = Role::Disputes;

/// The schema's migrations, run by `counterfoil migrate` as its owner.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown, without a provider of e-mail.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    run_with(bus, Options::default()).await
}

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself, or the options
/// contradict themselves.
pub async fn run_with(bus: Bus, options: Options) -> Result<(), Failure> {
    let post = post::Post::new(options)?;
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
        .serve(serve::keep_evidence)
        .serve(serve::fetch_evidence)
        .serve(move |ask, bus| serve::nudge_stakeholder(ask, bus, post.clone()))
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
        .job("lost_emails", jobs::EVERY, serve::lost_emails)
        .job("erasures", jobs::EVERY, jobs::erase)
        .run()
        .await
}
