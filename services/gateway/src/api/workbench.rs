//! Receipts put aside, and suggestions accepted or undone by the batch.

use std::collections::HashSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::api::{
    allocation::{AllocationView, ReceiptQueue},
    workbench::{
        AcceptSuggestion, BatchLine, GetBatch, ListAcceptable, ParkReceipt, UndoTogether,
        UnparkReceipt,
    },
};
use kernel::{AllocationId, CommandId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    Path, Query, asked::Asked, json, list, once::once, page_request, receipts::stated, search,
};
use crate::{App, auth::Caller, openapi, problem::Problem};

/// Lines that are undone by one request, at most.
pub(crate) const UNDONE_MAX: usize = 500;

/// Puts a receipt aside "to check".
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ParkRequest {
    /// What is to be checked.
    pub reason: String,
    /// Who is to check it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The London day on which it comes back by itself; after today.
    #[serde(default)]
    pub until: Option<NaiveDate>,
    /// Refused with 409 when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
}

/// Takes a parked receipt up again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UnparkRequest {
    pub reason: String,
    /// Refused with 409 when the receipt has moved on since.
    #[serde(default)]
    pub expected_version: Option<i64>,
}

/// Puts a receipt aside: it is in no queue for review until its day, or until
/// it is taken up again. Its money stays unallocated in every figure.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/park", tag = "receipts", operation_id = "parkReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/ParkRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn park(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked("park", |command_id, request: ParkRequest, caller| {
            Ok(ParkReceipt {
                command_id,
                receipt_id,
                expected_version: request.expected_version,
                reason: stated(&request.reason)?,
                owner: request.owner,
                until: request.until,
                actor: caller.actor(),
            })
        })
        .await
}

/// Takes a parked receipt up again.
#[utoipa::path(
    post, path = "/api/v1/receipts/{id}/unpark", tag = "receipts", operation_id = "unparkReceipt",
    params(
        ("id" = String, Path, format = Uuid, description = "The receipt"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UnparkRequest"),
    responses((status = 200, description = "The receipt as it is now", body = ref("#/components/schemas/ReceiptDetail")))
)]
pub(crate) async fn unpark(
    Path(receipt_id): Path<ReceiptId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .checked("unpark", |command_id, request: UnparkRequest, caller| {
            Ok(UnparkReceipt {
                command_id,
                receipt_id,
                expected_version: request.expected_version,
                reason: stated(&request.reason)?,
                actor: caller.actor(),
            })
        })
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AcceptableQuery {
    /// `to_review` when absent.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::receipt_queue)]
    queue: ReceiptQueue,
    /// Part of the payer's name or narrative, an amount, or a bank reference.
    search: Option<String>,
    /// Of the best suggestion, and of no other: `high` when absent.
    confidence: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

/// Receipts with one clear suggestion, to be looked through and accepted
/// together.
#[utoipa::path(
    get, path = "/api/v1/receipts/acceptable", tag = "receipts", operation_id = "listAcceptable", params(AcceptableQuery),
    responses((status = 200, description = "A page of receipts with their best suggestion", body = ref("#/components/schemas/Page_for_Acceptable")))
)]
pub(crate) async fn list_acceptable(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<AcceptableQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListAcceptable {
            queue: query.queue,
            search: search(query.search),
            confidence: query.confidence.unwrap_or_else(|| "high".to_owned()),
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// A suggestion that a person has seen and accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pick {
    pub receipt_id: ReceiptId,
    /// The receipt's version when the suggestion was seen.
    pub expected_version: i64,
    /// Of the suggestion; 1 is the best.
    pub rank: i16,
}

/// Accepts suggestions of many receipts.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct AcceptRequest {
    /// Between 1 and 100.
    pub picks: Vec<Pick>,
    /// Why: kept with every allocation for ever.
    pub reason: String,
}

/// What became of one part of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Outcome {
    pub receipt_id: ReceiptId,
    /// What was undone; absent where a receipt was allocated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_id: Option<AllocationId>,
    /// The money that moved; absent where none did.
    pub amount: Option<Money>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Refused {
    /// Stable, such as `allocation.receipt_moved_on`.
    pub code: String,
    pub detail: String,
}

/// What became of a batch. Each part stands for itself: one that is refused
/// holds up no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct BatchOutcome {
    pub batch_id: Uuid,
    pub outcomes: Vec<Outcome>,
}

impl BatchOutcome {
    pub(crate) fn done(&self) -> usize {
        let done = |outcome: &&Outcome| outcome.refused.is_none();
        self.outcomes.iter().filter(done).count()
    }

    pub(crate) fn failed(&self) -> usize {
        self.outcomes.len() - self.done()
    }

    /// What moved, per currency.
    pub(crate) fn totals(&self) -> Vec<Money> {
        totals(self.outcomes.iter().filter_map(|outcome| outcome.amount))
    }
}

/// One sum per currency, in the order in which they come.
pub(crate) fn totals(amounts: impl Iterator<Item = Money>) -> Vec<Money> {
    let mut totals: Vec<Money> = Vec::new();
    for amount in amounts {
        let same = |total: &&mut Money| total.currency() == amount.currency();
        match totals.iter_mut().find(same) {
            Some(total) => *total = total.checked_add(amount).unwrap_or(*total),
            None => totals.push(amount),
        }
    }
    totals
}

/// The key of one part of a batch: the same when the batch is sent again.
pub(crate) fn part_of(batch: CommandId, part: Uuid) -> CommandId {
    Uuid::new_v5(&batch.as_uuid(), part.as_bytes()).into()
}

/// Accepts one after the other: two may be after the same document, and then
/// the second is told so.
pub(crate) async fn accept_all(
    app: &App,
    caller: &Caller,
    command_id: CommandId,
    picks: &[Pick],
    reason: &str,
) -> BatchOutcome {
    let batch_id = command_id.as_uuid();
    let mut outcomes = Vec::with_capacity(picks.len());
    for pick in picks {
        let command = AcceptSuggestion {
            command_id: part_of(command_id, pick.receipt_id.as_uuid()),
            receipt_id: pick.receipt_id,
            expected_version: pick.expected_version,
            rank: pick.rank,
            batch_id: Some(batch_id),
            actor: caller.actor(),
            reason: reason.to_owned(),
        };
        let (amount, refused) = match app.bus.ask(&command).await {
            Ok(detail) => (last_move(&detail.allocations), None),
            Err(refusal) => (
                None,
                Some(Refused {
                    code: refusal.code,
                    detail: refusal.detail,
                }),
            ),
        };
        outcomes.push(Outcome {
            receipt_id: pick.receipt_id,
            allocation_id: None,
            amount,
            refused,
        });
    }
    BatchOutcome { batch_id, outcomes }
}

/// What the last command of a receipt allocated.
fn last_move(allocations: &[AllocationView]) -> Option<Money> {
    let last = allocations.last()?;
    let same = |view: &&AllocationView| view.recorded_at == last.recorded_at;
    let amounts = allocations.iter().filter(same).map(|view| view.line.amount);
    Money::sum(amounts, last.line.amount.currency()).ok()
}

/// A line to be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToUndo {
    pub receipt_id: ReceiptId,
    pub allocation_id: AllocationId,
    pub amount: Money,
}

impl ToUndo {
    /// The lines of `lines` that stand, receipt by receipt.
    pub(crate) fn standing<'l>(
        lines: impl Iterator<Item = (ReceiptId, &'l AllocationView)>,
    ) -> Vec<Self> {
        let mut standing: Vec<Self> = lines
            .filter(|(_, view)| !view.undone && view.line.contra_of.is_none())
            .map(|(receipt_id, view)| Self {
                receipt_id,
                allocation_id: view.line.allocation_id,
                amount: view.line.amount,
            })
            .collect();
        standing.sort_by_key(|line| line.receipt_id);
        standing
    }

    /// Those of `lines` that a person has seen and chosen, in the same order. One
    /// that is undone meanwhile is told so.
    pub(crate) fn chosen<'l>(
        lines: impl Iterator<Item = (ReceiptId, &'l AllocationView)>,
        ids: &HashSet<AllocationId>,
    ) -> Vec<Self> {
        let mut chosen: Vec<Self> = lines
            .filter(|(_, view)| ids.contains(&view.line.allocation_id))
            .map(|(receipt_id, view)| Self {
                receipt_id,
                allocation_id: view.line.allocation_id,
                amount: view.line.amount,
            })
            .collect();
        chosen.sort_by_key(|line| line.receipt_id);
        chosen
    }
}

/// Undoes the lines of one receipt after the other's, each receipt's as one
/// move under a key of its own.
pub(crate) async fn undo_all(
    app: &App,
    caller: &Caller,
    command_id: CommandId,
    lines: &[ToUndo],
    reason: &str,
) -> BatchOutcome {
    let mut outcomes = Vec::with_capacity(lines.len());
    for of_receipt in lines.chunk_by(|one, other| one.receipt_id == other.receipt_id) {
        let Some(first) = of_receipt.first() else {
            continue;
        };
        let command = UndoTogether {
            command_id: part_of(command_id, first.receipt_id.as_uuid()),
            receipt_id: first.receipt_id,
            allocation_ids: of_receipt.iter().map(|line| line.allocation_id).collect(),
            run: None,
            automatic: false,
            cause: None,
            actor: caller.actor(),
            reason: reason.to_owned(),
        };
        let refused = app.bus.ask(&command).await.err().map(|refusal| Refused {
            code: refusal.code,
            detail: refusal.detail,
        });
        outcomes.extend(of_receipt.iter().map(|line| Outcome {
            receipt_id: line.receipt_id,
            allocation_id: Some(line.allocation_id),
            amount: refused.is_none().then_some(line.amount),
            refused: refused.clone(),
        }));
    }
    BatchOutcome {
        batch_id: command_id.as_uuid(),
        outcomes,
    }
}

/// Accepts suggestions of many receipts, each by itself and once: what is
/// refused is listed with the reason, the rest is allocated.
#[utoipa::path(
    post, path = "/api/v1/receipts/accept", tag = "receipts", operation_id = "acceptSuggestions",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/AcceptRequest"),
    responses((status = 200, description = "What became of each", body = ref("#/components/schemas/BatchOutcome")))
)]
pub(crate) async fn accept(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "accept",
        &headers,
        said,
        async |command_id| {
            let request: AcceptRequest = json(&headers, &body)?;
            let reason = stated(&request.reason)?;
            if !(1..=usize::from(ListAcceptable::MAX)).contains(&request.picks.len()) {
                return Err(Problem::invalid(
                    "gateway.batch_size",
                    "/picks",
                    format!("between 1 and {} at once", ListAcceptable::MAX),
                ));
            }
            let mut picks = request.picks;
            let mut seen = HashSet::new();
            picks.retain(|pick| seen.insert(pick.receipt_id));
            Ok(accept_all(&app, &caller, command_id, &picks, &reason).await)
        },
    )
    .await
}

/// The lines that a batch made.
#[utoipa::path(
    get, path = "/api/v1/batches/{id}", tag = "receipts", operation_id = "getBatch",
    params(("id" = String, Path, format = Uuid, description = "The batch")),
    responses((status = 200, description = "Its lines", body = ref("#/components/schemas/BatchView")))
)]
pub(crate) async fn get_batch(
    State(app): State<App>,
    Path(batch_id): Path<Uuid>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetBatch { batch_id }).await?).into_response())
}

/// Undoes what is left of a batch with contras, each receipt's lines as one move:
/// 500 lines at most, then again.
#[utoipa::path(
    post, path = "/api/v1/batches/{id}/undo", tag = "receipts", operation_id = "undoBatch",
    params(
        ("id" = String, Path, format = Uuid, description = "The batch"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/UndoRequest"),
    responses((status = 200, description = "What became of each line", body = ref("#/components/schemas/BatchOutcome")))
)]
pub(crate) async fn undo_batch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(batch_id): Path<Uuid>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = [uri.path().as_bytes(), &body];
    once(
        &app,
        &caller,
        "undo-batch",
        &headers,
        said,
        async |command_id| {
            let request: super::UndoRequest = json(&headers, &body)?;
            let reason = stated(&request.reason)?;
            let batch = app.bus.ask(&GetBatch { batch_id }).await?;
            let mut lines = ToUndo::standing(batch.lines.iter().map(of_line));
            lines.truncate(UNDONE_MAX);
            Ok(undo_all(&app, &caller, command_id, &lines, &reason).await)
        },
    )
    .await
}

/// A line of a batch with the receipt that it is of.
pub(crate) fn of_line(line: &BatchLine) -> (ReceiptId, &AllocationView) {
    (line.receipt_id, &line.allocation)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use contracts::allocation::{AllocationLine, Rule};
    use kernel::{AccountId, Currency, DocumentId};

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn view(
        amount: &str,
        at: &str,
        undone: bool,
        contra_of: Option<AllocationId>,
    ) -> AllocationView {
        let recorded_at: DateTime<Utc> = at.parse().unwrap();
        AllocationView {
            line: AllocationLine {
                allocation_id: AllocationId::generate(),
                document_id: DocumentId::generate(),
                document_ref: "INV-1".into(),
                account_id: AccountId::generate(),
                amount: gbp(amount),
                effective_on: recorded_at.date_naive(),
                contra_of,
            },
            rule: Rule::Manual,
            actor: "user:jo".into(),
            reason: "by hand".into(),
            recorded_at,
            undone,
        }
    }

    const THEN: &str = "2026-11-22T09:00:00Z";
    const NOW: &str = "2026-11-22T10:00:00Z";

    #[test]
    fn what_stands_is_undone_receipt_by_receipt() {
        let (one, other) = (ReceiptId::generate(), ReceiptId::generate());
        let credit = view("-250", THEN, false, None);
        let (first, second) = (
            view("9000", THEN, false, None),
            view("1500", THEN, false, None),
        );
        let gone = view("70", THEN, true, None);
        let contra = view("-70", NOW, false, Some(gone.line.allocation_id));
        let elsewhere = view("-1", THEN, false, None);
        let lines = [
            (one, &credit),
            (other, &elsewhere),
            (one, &first),
            (one, &gone),
            (one, &contra),
            (one, &second),
        ];
        let standing: Vec<_> = ToUndo::standing(lines.into_iter())
            .into_iter()
            .map(|line| (line.receipt_id, line.amount))
            .collect();
        assert_eq!(
            standing,
            [
                (one, gbp("-250")),
                (one, gbp("9000")),
                (one, gbp("1500")),
                (other, gbp("-1"))
            ]
        );
    }

    #[test]
    fn the_last_move_is_all_lines_of_the_last_command() {
        let lines = [
            view("70", THEN, false, None),
            view("9000", NOW, false, None),
            view("-250", NOW, false, None),
        ];
        assert_eq!(last_move(&lines), Some(gbp("8750")));
        assert_eq!(last_move(&[]), None);
    }

    #[test]
    fn every_part_of_a_batch_has_a_key_that_comes_back() {
        let (batch, part) = (CommandId::generate(), Uuid::from_u128(1));
        assert_eq!(part_of(batch, part), part_of(batch, part));
        assert_ne!(part_of(batch, part), part_of(batch, Uuid::from_u128(2)));
        assert_ne!(part_of(batch, part), part_of(CommandId::generate(), part));
    }

    #[test]
    fn totals_are_per_currency() {
        let euro = Money::parse("5", Currency::EUR).unwrap();
        assert_eq!(
            totals([gbp("1"), euro, gbp("2")].into_iter()),
            [gbp("3"), euro]
        );
    }
}
