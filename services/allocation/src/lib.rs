//! Allocation: the open-item ledger. See `README.md` for where what is.

pub mod consume;
pub mod domain;
mod jobs;
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
        .consume(consume::approvals::Approvals::new(bus.prefix().clone()))
        .consume(consume::chaseable::Terms::new(
            consume::disputes::Disputes,
            bus.prefix().clone(),
        ))
        .consume(consume::chaseable::Terms::new(
            consume::dunning::Dunning,
            bus.prefix().clone(),
        ))
        .serve(serve::list_receipts)
        .serve(serve::count_receipts)
        .serve(serve::get_receipt)
        .serve(serve::find_items)
        .serve(serve::allocate)
        .serve(serve::undo)
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
        .serve(serve::workbench::park)
        .serve(serve::workbench::unpark)
        .serve(serve::workbench::acceptable)
        .serve(serve::workbench::accept)
        .serve(serve::workbench::undo_together)
        .serve(serve::workbench::automatic)
        .serve(serve::workbench::name_items)
        .serve(serve::workbench::batch)
        .serve(serve::rules::list)
        .serve(serve::rules::get)
        .serve(serve::rules::validate)
        .serve(serve::rules::draft)
        .serve(serve::rules::promote)
        .serve(serve::rules::retire)
        .serve(serve::rules::replay)
        .serve(serve::rules::demoted)
        .serve(serve::rules::restore)
        .serve(serve::matters::list_matters)
        .serve(serve::matters::get_matter)
        .serve(serve::matters::split)
        .serve(serve::matters::transfer)
        .serve(serve::matters::pay)
        .serve(serve::matters::take_back)
        .serve(serve::matters::undo_entry)
        .serve(serve::matters::hold)
        .serve(serve::matters::list_moves)
        .serve(serve::matters::list_payments)
        .serve(serve::matters::complete_move)
        .serve(serve::matters::closure_gate)
        .serve(serve::matters::count)
        .serve(serve::matters::check)
        .serve(serve::residuals::list_residuals)
        .serve(serve::residuals::get_residual)
        .serve(serve::residuals::trace)
        .serve(serve::residuals::record_sra)
        .serve(serve::residuals::propose)
        .serve(serve::residuals::take_back)
        .serve(serve::residuals::register)
        .serve(serve::disbursements::list_disbursements)
        .serve(serve::disbursements::record_disbursement)
        .serve(serve::disbursements::move_disbursement)
        .job("residual_radar", jobs::EVERY, jobs::radar)
        .serve(serve::controls::preview)
        .serve(serve::controls::draft)
        .serve(serve::controls::redraft)
        .serve(serve::controls::step)
        .serve(serve::controls::void_refunds)
        .serve(serve::controls::order)
        .serve(serve::controls::payable)
        .serve(serve::controls::step_file)
        .serve(serve::controls::list_refunds)
        .serve(serve::controls::get_refund)
        .serve(serve::controls::request)
        .serve(serve::controls::reasons)
        .serve(serve::controls::list_write_offs)
        .serve(serve::controls::get_write_off)
        .serve(serve::controls::reverse)
        .serve(serve::controls::recoveries)
        .serve(serve::controls::vat_relief)
        .serve(serve::controls::claim)
        .serve(serve::controls::propose)
        .serve(serve::controls::step_run)
        .serve(serve::controls::list_runs)
        .serve(serve::controls::get_run)
        .run()
        .await
}
