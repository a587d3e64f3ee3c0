//! Taking back all that was allocated by itself of the receipts that a file
//! brought: looked at first, then undone receipt by receipt with contras. What a
//! person has decided stays.

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use contracts::api::{
    PageRequest,
    ingestion::ListImportReceipts,
    workbench::{AutomaticReceipt, ListAutomatic, UndoTogether},
};
use kernel::{CommandId, ImportId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Path, UndoRequest, json,
    once::once,
    receipts::stated,
    workbench::{BatchOutcome, Outcome, Refused, part_of, totals},
};
use crate::{App, auth::Caller, problem::Problem};

/// Receipts that one request takes back, at most.
pub(crate) const UNDONE_MAX: usize = 500;
/// Receipts of one file that are looked through, at most.
const LOOKED_MAX: usize = 100_000;
/// Receipts of one question to ingestion.
const PAGE: u16 = 200;

/// What of an import was allocated by itself and stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ImportUndo {
    pub import_id: ImportId,
    /// Receipts that would be taken back by one request.
    pub receipts: u32,
    pub lines: u32,
    /// What they come to, per currency.
    pub totals: Vec<Money>,
    /// There are more than one request takes.
    pub more: bool,
}

impl ImportUndo {
    pub(crate) fn of(import_id: ImportId, found: &[AutomaticReceipt], more: bool) -> Self {
        Self {
            import_id,
            receipts: u32::try_from(found.len()).unwrap_or(u32::MAX),
            lines: found.iter().map(|receipt| receipt.lines).sum(),
            totals: totals(found.iter().map(|receipt| receipt.amount)),
            more,
        }
    }
}

/// The receipts of an import that paid something by themselves, as many as one
/// request takes, and whether there are more.
pub(crate) async fn automatic(
    app: &App,
    import_id: ImportId,
) -> Result<(Vec<AutomaticReceipt>, bool), Problem> {
    let mut found = Vec::new();
    let mut cursor = None;
    let mut looked = 0;
    loop {
        let page = PageRequest {
            cursor,
            limit: Some(PAGE),
        };
        let ids = app.bus.ask(&ListImportReceipts { import_id, page }).await?;
        looked += ids.items.len();
        for some in ids.items.chunks(ListAutomatic::MAX) {
            let ask = ListAutomatic {
                receipt_ids: some.to_vec(),
            };
            found.extend(app.bus.ask(&ask).await?.receipts);
        }
        let enough = found.len() > UNDONE_MAX || looked >= LOOKED_MAX;
        cursor = ids.next_cursor.filter(|_| !enough);
        if cursor.is_none() {
            break;
        }
    }
    let more = found.len() > UNDONE_MAX;
    found.truncate(UNDONE_MAX);
    Ok((found, more))
}

/// Takes them back, each under a key of its own: sent again, it goes on where it
/// stopped and does nothing twice.
pub(crate) async fn undo_all(
    app: &App,
    caller: &Caller,
    command_id: CommandId,
    receipts: &[AutomaticReceipt],
    reason: &str,
) -> BatchOutcome {
    let mut outcomes = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        let command = UndoTogether {
            command_id: part_of(command_id, receipt.receipt_id.as_uuid()),
            receipt_id: receipt.receipt_id,
            allocation_ids: Vec::new(),
            run: None,
            automatic: true,
            cause: None,
            actor: caller.actor(),
            reason: reason.to_owned(),
        };
        let refused = app.bus.ask(&command).await.err().map(|refusal| Refused {
            code: refusal.code,
            detail: refusal.detail,
        });
        outcomes.push(Outcome {
            receipt_id: receipt.receipt_id,
            allocation_id: None,
            amount: refused.is_none().then_some(receipt.amount),
            refused,
        });
    }
    BatchOutcome {
        batch_id: command_id.as_uuid(),
        outcomes,
    }
}

/// What of an import was allocated by itself and stands: what undoing it would
/// take back.
#[utoipa::path(
    get, path = "/api/v1/imports/{id}/undo", tag = "imports", operation_id = "previewImportUndo",
    params(("id" = String, Path, format = Uuid, description = "The import")),
    responses((status = 200, description = "How many receipts and how much money", body = ref("#/components/schemas/ImportUndo")))
)]
pub(crate) async fn preview(
    State(app): State<App>,
    Path(import_id): Path<ImportId>,
) -> Result<Response, Problem> {
    let (found, more) = automatic(&app, import_id).await?;
    Ok(Json(ImportUndo::of(import_id, &found, more)).into_response())
}

/// Takes back with contras all that was allocated by itself of the receipts of an
/// import; what a person has decided stays. 500 receipts at most, then again.
#[utoipa::path(
    post, path = "/api/v1/imports/{id}/undo", tag = "imports", operation_id = "undoImport",
    params(
        ("id" = String, Path, format = Uuid, description = "The import"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UndoRequest"),
    responses((status = 200, description = "What became of each receipt", body = ref("#/components/schemas/BatchOutcome")))
)]
pub(crate) async fn undo(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(import_id): Path<ImportId>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "undo-import",
        &headers,
        said,
        async |command_id| {
            let request: UndoRequest = json(&headers, &body)?;
            let reason = stated(&request.reason)?;
            let (found, _) = automatic(&app, import_id).await?;
            Ok(undo_all(&app, &caller, command_id, &found, &reason).await)
        },
    )
    .await
}
