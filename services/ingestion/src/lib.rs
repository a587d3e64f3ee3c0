//! Ingestion: everything that comes in from outside, once.
//!
//! Owns bank accounts, lines and statements, debtor accounts and billing
//! documents as they were told, and the files that brought them. It decides what
//! is new; whom a receipt belongs to is allocation's to say. See `README.md`.

mod consume;
pub mod domain;
mod jobs;
mod serve;
mod store;

use std::{sync::Arc, time::Duration};

use contracts::{
    Role,
    api::{
        controls::{FetchRefundFile, ListRefundFiles},
        ingestion as api,
    },
};
use messaging::{Bus, Failure, Host};
use sqlx::migrate::Migrator;
use tokio::sync::Notify;

/// Which service this is.
pub const ROLE: Role = Role::Ingestion;

/// The tables of the schema `ingestion`, after those of messaging.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// What may be set about this service.
#[derive(Debug, Clone)]
pub struct Options {
    /// Files beyond this many bytes are refused while they are uploaded.
    pub max_file_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Runs the service until shutdown.
///
/// # Errors
/// When something that must not stop has stopped by itself.
pub async fn run(bus: Bus, options: Options) -> Result<(), Failure> {
    // Wakes the reader of files when one is submitted.
    let wake = Arc::new(Notify::new());
    let woken = wake.clone();
    Host::new(bus.clone())
        .consume(consume::Inbound::new(bus.clone()))
        .consume(consume::refund_files::RefundFiles::new(
            bus.prefix().clone(),
        ))
        .consume(consume::charges::Charges::new(bus.prefix().clone()))
        .serve(|call: ListRefundFiles, bus| async {
            Ok(serve::refund_files::list(call, bus).await?)
        })
        .serve(|call: FetchRefundFile, bus| async {
            Ok(serve::refund_files::fetch(call, bus).await?)
        })
        .serve(|call: api::OpenImport, bus| async { Ok(serve::open_import(call, bus).await?) })
        .serve(move |call: api::AppendImport, bus| {
            let options = options.clone();
            async { Ok(serve::append_import(call, bus, options).await?) }
        })
        .serve(move |call: api::SubmitImport, bus| {
            let wake = wake.clone();
            async move { Ok(serve::submit_import(call, bus, &wake).await?) }
        })
        .serve(|call: api::GetImport, bus| async { Ok(serve::get_import(call, bus).await?) })
        .serve(|call: api::ListImports, bus| async { Ok(serve::list_imports(call, bus).await?) })
        .serve(|call: api::ListImportReceipts, bus| async {
            Ok(serve::import_receipts(call, bus).await?)
        })
        .serve(|call: api::GetReceiptOrigin, bus| async {
            Ok(serve::receipt_origin(call, bus).await?)
        })
        .serve(|call: api::DesignateBankAccount, bus| async {
            Ok(serve::designate(call, bus).await?)
        })
        .serve(|call: api::ListBankAccounts, bus| async {
            Ok(serve::list_bank_accounts(call, bus).await?)
        })
        .serve(|call: api::GetIngestionTotals, bus| async { Ok(serve::totals(call, bus).await?) })
        // The job itself waits for the next file.
        .job("read_imports", Duration::from_millis(1), move |bus| {
            jobs::read_imports(bus, woken.clone())
        })
        .run()
        .await
}
