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

pub use consume::direct_debits::Heard;
use contracts::{
    Role,
    api::{
        controls::{FetchRefundFile, ListRefundFiles},
        direct_debits as debits, ingestion as api,
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
    /// Who we are for Bacs.
    pub bacs: Bacs,
}

/// Who we are for Bacs, as configured; empty while nobody has said.
#[derive(Debug, Clone, Default)]
pub struct Bacs {
    /// The service user number.
    pub user_number: String,
    /// Our name as payers see it.
    pub user_name: String,
    /// The originating account, such as `200000-55779911`.
    pub account: String,
    /// Working days of advance notice as agreed with the sponsoring bank; the
    /// scheme's when absent.
    pub notice_days: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_file_bytes: 64 * 1024 * 1024,
            bacs: Bacs::default(),
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
    let number = options.bacs.user_number.clone();
    let user_number = (!number.is_empty()).then_some(number);
    // Each endpoint has the settings that it needs.
    let with = || options.clone();
    let (user, files, propose, again, make) = (with(), with(), with(), with(), with());
    Host::new(bus.clone())
        .consume(consume::Inbound::new(bus.clone(), user_number.clone()))
        .consume(consume::refund_files::RefundFiles::new(
            bus.prefix().clone(),
        ))
        .consume(consume::approvals::Approvals::new(bus.prefix().clone()))
        .serve(move |call: debits::GetBacsUser, _| {
            let options = user.clone();
            async move { Ok(serve::direct_debits::user(call, &options)?) }
        })
        .serve(|call: debits::ListMandates, bus| async {
            Ok(serve::direct_debits::list(call, bus).await?)
        })
        .serve(|call: debits::GetMandate, bus| async {
            Ok(serve::direct_debits::get(call, bus).await?)
        })
        .serve(serve::direct_debits::notices)
        .serve(move |call: debits::MakeInstructionFile, bus| {
            serve::direct_debits::make_file(call, bus, files.clone())
        })
        .serve(move |call: debits::ProposeCollections, bus| {
            serve::collections::propose(call, bus, propose.clone())
        })
        .serve(move |call: debits::PresentAgain, bus| {
            serve::collections::present_again(call, bus, again.clone())
        })
        .serve(|call: debits::ListCollectionRuns, bus| async {
            Ok(serve::collections::list(call, bus).await?)
        })
        .serve(move |call: debits::MakeCollectionFile, bus| {
            serve::collections::make_file(call, bus, make.clone())
        })
        .serve(serve::collections::discard)
        .serve(|call: debits::ListBacsFiles, bus| async {
            Ok(serve::bacs_files::list(call, bus).await?)
        })
        .serve(serve::bacs_files::fetch)
        .job(
            "direct_debits",
            jobs::direct_debits::EVERY,
            jobs::direct_debits::age,
        )
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
            jobs::read_imports(bus, woken.clone(), user_number.clone())
        })
        .run()
        .await
}
