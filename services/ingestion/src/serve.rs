//! What ingestion answers.

pub(crate) mod bacs_files;
pub(crate) mod collections;
pub(crate) mod direct_debits;
pub(crate) mod refund_files;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contracts::api::{
    ControlTotals, Page,
    ingestion::{
        AppendImport, BankAccountView, DesignateBankAccount, GetImport, GetIngestionTotals,
        GetReceiptOrigin, ImportState, ImportView, ListBankAccounts, ListImportReceipts,
        ListImports, OpenImport, ReceiptOrigin, SubmitImport,
    },
};
use contracts::ingestion::BankAccountDesignated;
use kernel::{ImportId, ReceiptId};
use messaging::{Bus, Failure, Meta, Outgoing};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    Options,
    domain::{detect::Format, inbound},
    jobs::{changed, off_thread},
    store,
};

/// Pieces of one file: far more than a file of the largest size needs.
const PIECES_MAX: i32 = 4_096;
const NAME_MAX: usize = 255;
/// What a list shows of each import, since an answer on the broker has a limited
/// size; `GetImport` shows all.
const LISTED_PROBLEMS: usize = 3;
const LISTED_STATEMENTS: usize = 10;

pub(crate) async fn open_import(call: OpenImport, bus: Bus) -> Result<ImportView, Failure> {
    named("/file_name", &call.file_name)?;
    named("/actor", &call.actor)?;
    let format = call
        .format
        .as_deref()
        .map(str::parse::<Format>)
        .transpose()
        .map_err(|error| {
            Failure::permanent("ingestion.format_unknown", error.to_string())
                .at("/format", error.to_string())
        })?;
    let import_id = ImportId::generate();
    store::imports::open(
        bus.pool(),
        import_id,
        call.file_name.trim(),
        format.map(Format::name),
        call.dry_run,
        call.actor.trim(),
        bus.now(),
    )
    .await?;
    changed(&bus).await;
    store::imports::view(bus.pool(), import_id).await
}

fn named(pointer: &'static str, text: &str) -> Result<(), Failure> {
    if text.trim().is_empty() || text.len() > NAME_MAX || text.contains('\0') {
        let detail = format!("must be a text of 1 to {NAME_MAX} bytes");
        return Err(
            Failure::permanent("ingestion.bad_text", format!("{pointer} {detail}"))
                .at(pointer, detail),
        );
    }
    Ok(())
}

pub(crate) async fn append_import(
    call: AppendImport,
    bus: Bus,
    options: Options,
) -> Result<ImportView, Failure> {
    let at =
        |pointer, code, detail: String| Failure::permanent(code, &*detail).at(pointer, &*detail);
    if !(0..PIECES_MAX).contains(&call.piece) {
        return Err(at(
            "/piece",
            "ingestion.bad_piece",
            format!("a piece has a number from 0 to {}", PIECES_MAX - 1),
        ));
    }
    let bytes = STANDARD
        .decode(&call.base64)
        .map_err(|error| at("/base64", "ingestion.bad_base64", error.to_string()))?;
    if bytes.is_empty() || bytes.len() > AppendImport::MAX_BYTES {
        return Err(at(
            "/base64",
            "ingestion.bad_piece",
            format!("a piece has 1 to {} bytes", AppendImport::MAX_BYTES),
        ));
    }
    let mut tx = bus.begin().await?;
    let upload = store::imports::lock(&mut tx, call.import_id)
        .await?
        .ok_or_else(|| store::imports::missing(call.import_id))?;
    match store::imports::piece(&mut tx, call.import_id, call.piece).await? {
        Some(kept) if kept == bytes => {}
        Some(_) => {
            return Err(Failure::conflict(
                "ingestion.piece_differs",
                format!("piece {} was uploaded before and is different", call.piece),
            ));
        }
        None if upload.state != ImportState::Uploading => {
            return Err(Failure::conflict(
                "ingestion.import_submitted",
                "the upload was submitted and takes no more pieces",
            ));
        }
        None => {
            let total = usize::try_from(upload.bytes).unwrap_or(usize::MAX);
            if total.saturating_add(bytes.len()) > options.max_file_bytes {
                return Err(Failure::permanent(
                    "ingestion.file_too_large",
                    format!("a file has at most {} bytes", options.max_file_bytes),
                ));
            }
            store::imports::add_piece(&mut tx, call.import_id, call.piece, &bytes).await?;
        }
    }
    tx.commit().await?;
    store::imports::view(bus.pool(), call.import_id).await
}

pub(crate) async fn submit_import(
    call: SubmitImport,
    bus: Bus,
    wake: &Notify,
) -> Result<ImportView, Failure> {
    let mut tx = bus.begin().await?;
    let upload = store::imports::lock(&mut tx, call.import_id)
        .await?
        .ok_or_else(|| store::imports::missing(call.import_id))?;
    if upload.state == ImportState::Uploading {
        let file = store::imports::whole_file(tx.conn(), call.import_id)
            .await?
            .ok_or_else(|| {
                Failure::conflict(
                    "ingestion.piece_missing",
                    "a piece before the last one has not been uploaded",
                )
            })?;
        let found = off_thread(move || hex::encode(Sha256::digest(&file))).await?;
        if found != call.sha256 {
            let detail = format!("the uploaded bytes have the SHA-256 {found}");
            return Err(
                Failure::permanent("ingestion.sha256_differs", detail.as_str())
                    .at("/sha256", detail),
            );
        }
        store::imports::submit(&mut tx, call.import_id, &found, bus.now()).await?;
        tx.commit().await?;
        wake.notify_one();
        changed(&bus).await;
    } else if upload.sha256.as_deref() != Some(call.sha256.as_str()) {
        return Err(Failure::conflict(
            "ingestion.import_submitted",
            "the upload was submitted before, with another SHA-256",
        ));
    }
    store::imports::view(bus.pool(), call.import_id).await
}

pub(crate) async fn get_import(call: GetImport, bus: Bus) -> Result<ImportView, Failure> {
    store::imports::view(bus.pool(), call.import_id).await
}

pub(crate) async fn list_imports(call: ListImports, bus: Bus) -> Result<Page<ImportView>, Failure> {
    let after = call
        .page
        .cursor
        .as_deref()
        .map(str::parse::<ImportId>)
        .transpose()
        .map_err(|error| {
            Failure::permanent("ingestion.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", error.to_string())
        })?;
    let limit = call.page.rows();
    let mut items = store::imports::views(bus.pool(), None, after, limit + 1).await?;
    let more = items.len() as i64 > limit;
    items.truncate(limit as usize);
    for item in &mut items {
        item.problems.truncate(LISTED_PROBLEMS);
        item.statements.truncate(LISTED_STATEMENTS);
        for statement in &mut item.statements {
            statement.problems.truncate(LISTED_PROBLEMS);
        }
    }
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| last.import_id.to_string());
    Ok(Page { items, next_cursor })
}

/// The receipts that a file brought.
pub(crate) async fn import_receipts(
    call: ListImportReceipts,
    bus: Bus,
) -> Result<Page<ReceiptId>, Failure> {
    let after = call
        .page
        .cursor
        .as_deref()
        .map(str::parse::<Uuid>)
        .transpose()
        .map_err(|error| {
            Failure::permanent("ingestion.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", error.to_string())
        })?;
    let limit = call.page.rows();
    let mut items =
        store::queries::import_receipts(bus.pool(), call.import_id, after, limit + 1).await?;
    let more = items.len() as i64 > limit;
    items.truncate(limit as usize);
    let next_cursor = items.last().filter(|_| more).map(ToString::to_string);
    Ok(Page { items, next_cursor })
}

pub(crate) async fn receipt_origin(
    call: GetReceiptOrigin,
    bus: Bus,
) -> Result<ReceiptOrigin, Failure> {
    store::queries::receipt_origin(bus.pool(), call.receipt_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "ingestion.no_receipt",
                format!("there is no receipt {}", call.receipt_id),
            )
        })
}

pub(crate) async fn totals(_: GetIngestionTotals, bus: Bus) -> Result<ControlTotals, Failure> {
    Ok(ControlTotals {
        currencies: store::queries::totals(bus.pool()).await?,
        client_money: Vec::new(),
        // What ingestion promises it can only break by what it did not record.
        violations: Vec::new(),
        unpublished: bus.unpublished().await?,
    })
}

/// Sets whose money one of our accounts holds. The receipts that came before
/// stay where they were booked.
pub(crate) async fn designate(
    call: DesignateBankAccount,
    bus: Bus,
) -> Result<BankAccountView, Failure> {
    named("/actor", &call.actor)?;
    named("/reason", &call.reason)?;
    let key = inbound::own_account(&call.bank_account)
        .map_err(crate::consume::failure)?
        .key();
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let new = !tx.claim(&[call.command_id.as_uuid()]).await?.is_empty();
    if new
        && let Some(version) =
            store::bank_accounts::designate(&mut tx, &key, call.designation, now).await?
    {
        let fact = BankAccountDesignated {
            bank_account: key.clone(),
            designation: call.designation,
            version,
            recorded_at: now,
            actor: call.actor.trim().to_owned(),
            reason: call.reason.trim().to_owned(),
        };
        // The account has no id of its own: one made of its key.
        let about = Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes());
        let cause = Meta::of_command(call.command_id.as_uuid(), now, None);
        let event = Outgoing::new(&fact, about, version, bus.prefix(), now, &cause)?;
        tx.publish(&[event]).await?;
    }
    tx.commit().await?;
    let accounts = store::bank_accounts::list(bus.pool()).await?;
    accounts
        .into_iter()
        .find(|account| account.bank_account == key)
        .ok_or_else(|| Failure::bug("ingestion.bank_account_gone", "the account is gone"))
}

pub(crate) async fn list_bank_accounts(
    _: ListBankAccounts,
    bus: Bus,
) -> Result<Page<BankAccountView>, Failure> {
    Ok(Page {
        items: store::bank_accounts::list(bus.pool()).await?,
        next_cursor: None,
    })
}
