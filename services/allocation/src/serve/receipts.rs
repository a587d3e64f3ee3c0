//! Receipts: the queues of the workbench, allocating and undoing by hand.

use contracts::{
    allocation::{AllocationUndone, ReceiptAllocated},
    api::{
        Page, Refusal,
        allocation::{
            AllocateReceipt, CountReceipts, FindOpenItems, GetReceipt, ListReceipts, OpenItemView,
            QueueCounts, ReceiptDetail, ReceiptTrace, ReceiptView, TraceReceipt, UndoAllocation,
            UndoCause,
        },
    },
};
use kernel::{AdjustmentId, AllocationId, DocumentId};
use messaging::{Bus, Failure};

use super::{Command, Desk, act, cursor, detail, page};
use crate::{
    domain::{
        ledger::{Because, Moves},
        manual::{self, Refused},
    },
    store,
};

pub(crate) async fn list_receipts(
    ask: ListReceipts,
    bus: Bus,
) -> Result<Page<ReceiptView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let rows = ask.page.rows();
    let items =
        store::receipts::list(tx.conn(), ask.queue, search, before, bus.now(), rows).await?;
    Ok(page(items, rows, |receipt| receipt.receipt_id.as_uuid()))
}

pub(crate) async fn count_receipts(_: CountReceipts, bus: Bus) -> Result<QueueCounts, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(QueueCounts {
        queues: store::receipts::counts(tx.conn(), bus.now()).await?,
    })
}

pub(crate) async fn get_receipt(ask: GetReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.receipt_id).await?)
}

pub(crate) async fn find_items(
    ask: FindOpenItems,
    bus: Bus,
) -> Result<Page<OpenItemView>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let currency = ask.currency.map(kernel::Currency::code);
    let items = store::items::find(
        tx.conn(),
        search,
        ask.account_id,
        currency,
        after,
        &ask.page,
    )
    .await?;
    Ok(page(items, ask.page.rows(), |item| {
        item.document_id.as_uuid()
    }))
}

pub(crate) async fn trace_receipt(ask: TraceReceipt, bus: Bus) -> Result<ReceiptTrace, Refusal> {
    let mut tx = bus.begin().await?;
    let detail = detail(tx.conn(), ask.receipt_id).await?;
    let mut entries = vec![ask.receipt_id.as_uuid()];
    let mut times = vec![detail.receipt.recorded_at];
    for allocation in &detail.allocations {
        entries.push(allocation.line.allocation_id.as_uuid());
        times.push(allocation.recorded_at);
    }
    for (id, recorded_at) in store::returns::marks(tx.conn(), ask.receipt_id).await? {
        entries.push(id);
        times.push(recorded_at);
    }
    Ok(ReceiptTrace {
        debits: store::returns::of_receipt(tx.conn(), ask.receipt_id).await?,
        journal: store::postings::entries(tx.conn(), &entries).await?,
        events: store::postings::events(tx.conn(), ask.receipt_id, &times).await?,
        past_decisions: store::receipts::past_decisions(tx.conn(), ask.receipt_id).await?,
        detail,
    })
}

pub(crate) async fn allocate(ask: AllocateReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    let documents: Vec<DocumentId> = ask.lines.iter().map(|line| line.document_id).collect();
    act(
        &bus,
        &command,
        &documents,
        |desk, because| {
            manual::still(&desk.receipt, ask.expected_version)?;
            let lines = manual::allocate(
                &mut desk.receipt,
                &ask.lines,
                &mut desk.books,
                &mut desk.changes,
                because,
            )?;
            Ok::<_, Refused>(Moves::of(lines))
        },
        ReceiptAllocated,
    )
    .await
}

pub(crate) async fn undo(ask: UndoAllocation, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let mut tx = bus.begin().await?;
    let receipt = store::postings::receipt_of(tx.conn(), ask.allocation_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "allocation.no_allocation",
                format!("there is no allocation {}", ask.allocation_id),
            )
        })?;
    drop(tx);
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            if ask.cause == Some(UndoCause::WrongMatch) {
                desk.blamed.push(ask.allocation_id);
            }
            take_back(desk, &[ask.allocation_id], &[], because)
        },
        AllocationUndone,
    )
    .await
}

/// Takes lines of a receipt back, and with them what was allowed because of
/// them, also what is named of that.
pub(super) fn take_back(
    desk: &mut Desk,
    ids: &[AllocationId],
    adjustments: &[AdjustmentId],
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    let mut chosen = Vec::with_capacity(ids.len());
    for id in ids {
        let found = desk
            .lines
            .iter()
            .find(|(line, _)| line.allocation_id == *id);
        let (line, undone) = found.ok_or(Refused::AlreadyUndone)?;
        chosen.push((line, *undone));
    }
    manual::undo_together(
        &mut desk.receipt,
        &chosen,
        adjustments,
        &desk.adjustments,
        &mut desk.books,
        &mut desk.changes,
        because,
    )
}
