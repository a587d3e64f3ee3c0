//! Allocation: the open-item ledger. See `README.md` for where what is.

pub mod consume;
pub mod domain;
mod serve;
mod store;

use contracts::Role;
use messaging::{Bus, Failure, Host};

pub const ROLE: Role = Role::Allocation;

/// The schema's migrations, run by `counterfoil migrate` as its owner.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus) -> Result<(), Failure> {
    Host::new(bus.clone())
        .consume(consume::Ledger::new(bus.prefix().clone()))
        .serve(serve::list_receipts)
        .serve(serve::count_receipts)
        .serve(serve::get_receipt)
        .serve(serve::find_items)
        .serve(serve::allocate)
        .serve(serve::undo)
        .serve(serve::undo_run)
        .serve(serve::move_allocation)
        .serve(serve::transfer)
        .serve(serve::keep_on_account)
        .serve(serve::settle_duplicate)
        .serve(serve::offset)
        .serve(serve::return_receipt)
        .serve(serve::list_debits)
        .serve(serve::get_debit)
        .serve(serve::match_debit)
        .serve(serve::mark_debit_ours)
        .serve(serve::reverse_debit)
        .serve(serve::get_chaseable)
        .serve(serve::trace_receipt)
        .serve(serve::totals)
        .run()
        .await
}
