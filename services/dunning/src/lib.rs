//! Dunning: who is chased, how, and why not. See `README.md` for where what is.

mod channel;
mod consume;
pub mod domain;
mod jobs;
mod serve;
mod store;

pub use channel::{MailOptions, Options};
use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Dunning;

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
    let dispatch = jobs::dispatch::Dispatch::new(options)?;
    serve::begin(&bus).await?;
    Host::new(bus)
        .consume(consume::Ledger)
        .consume(consume::Feeds)
        .consume(consume::Disputes)
        .serve(serve::get_standing)
        .job("dispatch", jobs::dispatch::EVERY, move |bus| {
            jobs::dispatch::round(bus, dispatch.clone())
        })
        .run()
        .await
}
