//! Reporting: aged debt, unallocated cash, account ledgers and timelines, as at
//! any day and as known at any moment, from the events of allocation; and what dunning
//! did, beside them. It is asked, and is never asked to decide anything. See `README.md`.

mod consume;
mod cursor;
mod domain;
mod jobs;
mod rebuild;
mod serve;
mod store;

use contracts::{
    Role,
    api::{
        Call, Refusal,
        reporting::{
            CheckInvariants, GetAccount, GetAccountStatement, GetAgedDebt, GetAgedItems, GetLedger,
            GetRebuild, GetTimeline, GetUnallocated, ListAccounts, RebuildProjections,
            TraceProjection,
        },
    },
};
use messaging::{Bus, Failure, Host};

/// The role that this service plays.
pub const ROLE: Role = Role::Reporting;

/// The schema `reporting`, in order.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    host(bus).run().await
}

fn host(bus: Bus) -> Host {
    Host::new(bus)
        .consume(consume::Projector)
        .consume(consume::Chasing)
        .serve(answer::<ListAccounts, _, _>(serve::list_accounts))
        .serve(answer::<GetAccount, _, _>(serve::get_account))
        .serve(answer::<GetLedger, _, _>(serve::get_ledger))
        .serve(answer::<GetAccountStatement, _, _>(
            serve::get_account_statement,
        ))
        .serve(answer::<GetTimeline, _, _>(serve::get_timeline))
        .serve(answer::<GetAgedDebt, _, _>(serve::get_aged_debt))
        .serve(answer::<GetAgedItems, _, _>(serve::get_aged_items))
        .serve(answer::<GetUnallocated, _, _>(serve::get_unallocated))
        .serve(answer::<TraceProjection, _, _>(serve::trace_projection))
        .serve(answer::<CheckInvariants, _, _>(jobs::check_invariants))
        .serve(answer::<RebuildProjections, _, _>(rebuild::start))
        .serve(answer::<GetRebuild, _, _>(rebuild::status))
        .job("watch_invariants", jobs::EVERY, jobs::watch_invariants)
}

/// A handler whose failures become refusals.
fn answer<C, F, Fut>(
    handler: F,
) -> impl Fn(C, Bus) -> futures::future::BoxFuture<'static, Result<C::Reply, Refusal>>
where
    C: Call,
    F: Fn(C, Bus) -> Fut,
    Fut: Future<Output = Result<C::Reply, Failure>> + Send + 'static,
{
    move |call, bus| {
        let done = handler(call, bus);
        Box::pin(async move { done.await.map_err(Refusal::from) })
    }
}
