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
        .serve(serve::trace_receipt)
        .serve(serve::totals)
        .serve(serve::workbench::park)
        .serve(serve::workbench::unpark)
        .serve(serve::workbench::acceptable)
        .serve(serve::workbench::accept)
        .serve(serve::workbench::undo_together)
        .serve(serve::workbench::name_items)
        .serve(serve::workbench::batch)
        .run()
        .await
}
