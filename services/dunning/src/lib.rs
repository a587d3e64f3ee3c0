//! Dunning: who is chased, how, and why not. See `README.md` for where what is.

mod channel;
mod consume;
pub mod domain;
mod jobs;
mod serve;
mod store;

pub use channel::{MailOptions, Options, Principal};
use std::sync::Arc;

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
    let sender = options.sender.clone();
    let of_letters = sender.clone();
    let made_with = Arc::new(options.clone());
    let previewed_with = made_with.clone();
    let dispatch = jobs::dispatch::Dispatch::new(options)?;
    serve::begin(&bus).await?;
    let prefix = bus.prefix().clone();
    Host::new(bus)
        .consume(consume::Ledger {
            prefix: prefix.clone(),
        })
        .consume(consume::Feeds)
        .consume(consume::Disputes {
            prefix: prefix.clone(),
        })
        .consume(consume::Approvals::new(prefix))
        .serve(serve::get_standing)
        .serve(serve::get_late_payment)
        .serve(serve::post_charge)
        .serve(serve::take_back_charge)
        .serve(serve::get_statement)
        .serve(serve::list_policies)
        .serve(serve::get_policy)
        .serve(serve::draft_policy)
        .serve(serve::list_assignments)
        .serve(serve::assign_policy)
        .serve(serve::list_templates)
        .serve(serve::get_template)
        .serve(serve::draft_template)
        .serve(move |ask, bus| serve::preview_template(ask, bus, sender.clone()))
        .serve(serve::step_edition)
        .serve(serve::list_enclosures)
        .serve(serve::draft_enclosure)
        .serve(serve::fetch_enclosure)
        .serve(serve::propose_run)
        .serve(serve::get_run)
        .serve(serve::list_runs)
        .serve(serve::list_run_accounts)
        .serve(serve::edit_run)
        .serve(serve::step_run)
        .serve(move |ask, bus| serve::preview_run_account(ask, bus, previewed_with.clone()))
        .job("propose_runs", jobs::EVERY, move |bus| {
            jobs::propose(bus, made_with.clone())
        })
        .job("queue_runs", jobs::EVERY, jobs::queue)
        .serve(serve::place_hold)
        .serve(serve::step_hold)
        .serve(serve::list_holds)
        .serve(serve::get_hold)
        .serve(serve::take_promise)
        .serve(serve::withdraw_promise)
        .serve(serve::list_promises)
        .serve(serve::get_promise)
        .serve(serve::promise_figures)
        .serve(serve::propose_plan)
        .serve(serve::open_plan)
        .serve(serve::step_plan)
        .serve(serve::list_plans)
        .serve(serve::get_legal)
        .serve(serve::open_referral)
        .serve(move |ask, bus| serve::step_referral(ask, bus, of_letters.clone()))
        .serve(serve::get_referral)
        .serve(serve::list_referrals)
        .serve(serve::get_pack)
        .serve(serve::acknowledge_debt)
        .job("referrals_due", jobs::legal::EVERY, jobs::legal::referrals)
        .job("limitations", jobs::legal::EVERY, jobs::legal::limitations)
        .serve(serve::get_plan)
        .serve(serve::record_contact)
        .serve(serve::step_contact)
        .serve(serve::list_contacts)
        .serve(serve::list_outcomes)
        .serve(serve::get_reach)
        .serve(serve::erase_contact_notes)
        .job("promises_due", jobs::due::EVERY, jobs::due::judge)
        .job("holds_due", jobs::due::EVERY, jobs::due::holds)
        .job("charges_due", jobs::charges::EVERY, jobs::charges::post_due)
        .job("dispatch", jobs::dispatch::EVERY, move |bus| {
            jobs::dispatch::round(bus, dispatch.clone())
        })
        .run()
        .await
}
