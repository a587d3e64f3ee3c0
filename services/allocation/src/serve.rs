//! What allocation answers, and the commands of people.

use contracts::{
    allocation::{AllocationLine, AllocationUndone, ReceiptAllocated, Rule},
    api::{
        ControlTotals, Page, Refusal,
        allocation::{
            AllocateReceipt, CountReceipts, FindOpenItems, GetAllocationTotals, GetReceipt,
            ListReceipts, OpenItemView, QueueCounts, ReceiptDetail, ReceiptTrace, ReceiptView,
            TraceReceipt, UndoAllocation,
        },
    },
};
use kernel::{DocumentId, ReceiptId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    consume::moved,
    domain::{
        Books, Changes, Receipt, evidence, ladder,
        ledger::Because,
        manual::{self, Refused},
    },
    store,
};

/// Why, in words: a person's move of money always has a reason.
const REASON_MAX: usize = 500;

fn cursor(text: Option<&str>) -> Result<Option<Uuid>, Failure> {
    text.map(Uuid::parse_str).transpose().map_err(|e| {
        Failure::permanent("allocation.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", e.to_string())
    })
}

/// Cuts a list that was read one row too long into a page.
fn page<T>(mut items: Vec<T>, rows: i64, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let more = items.len() as i64 > rows;
    items.truncate(rows as usize);
    let next_cursor = if more {
        items.last().map(|item| id(item).to_string())
    } else {
        None
    };
    Page { items, next_cursor }
}

fn no_receipt(id: ReceiptId) -> Failure {
    Failure::not_found("allocation.no_receipt", format!("there is no receipt {id}"))
}

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
    let items = store::receipts::list(tx.conn(), ask.queue, search, before, rows).await?;
    Ok(page(items, rows, |receipt| receipt.receipt_id.as_uuid()))
}

pub(crate) async fn count_receipts(_: CountReceipts, bus: Bus) -> Result<QueueCounts, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(QueueCounts {
        queues: store::receipts::counts(tx.conn()).await?,
    })
}

pub(crate) async fn get_receipt(ask: GetReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.receipt_id).await?)
}

async fn detail(conn: &mut PgConnection, id: ReceiptId) -> Result<ReceiptDetail, Failure> {
    let (receipt, decision) = store::receipts::view(conn, id)
        .await?
        .ok_or_else(|| no_receipt(id))?;
    Ok(ReceiptDetail {
        receipt,
        decision,
        suggestions: store::receipts::suggestions(conn, id).await?,
        allocations: store::postings::of_receipt(conn, id).await?,
    })
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
    Ok(ReceiptTrace {
        journal: store::postings::entries(tx.conn(), &entries).await?,
        events: store::postings::events(tx.conn(), ask.receipt_id, &times).await?,
        past_decisions: store::receipts::past_decisions(tx.conn(), ask.receipt_id).await?,
        detail,
    })
}

pub(crate) async fn totals(_: GetAllocationTotals, bus: Bus) -> Result<ControlTotals, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(store::control::totals(tx.conn(), &bus).await?)
}

/// What a command of a person is about.
struct Command<'c> {
    id: Uuid,
    receipt: ReceiptId,
    actor: &'c str,
    reason: &'c str,
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
        |receipt, _, books, changes, because| {
            manual::still(receipt, ask.expected_version)?;
            manual::allocate(receipt, &ask.lines, books, changes, because)
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
        |receipt, lines, books, changes, because| {
            let (line, undone) = lines
                .iter()
                .find(|(line, _)| line.allocation_id == ask.allocation_id)
                .ok_or(Refused::AlreadyUndone)?;
            manual::undo(receipt, line, *undone, books, changes, because)
        },
        AllocationUndone,
    )
    .await
}

/// The six steps of a command: claimed by its id, loaded under locks, decided
/// purely, recorded with its fact, answered. The same id again answers with
/// how things stand.
async fn act<E: contracts::Event>(
    bus: &Bus,
    command: &Command<'_>,
    documents: &[DocumentId],
    decide: impl FnOnce(
        &mut Receipt,
        &[(AllocationLine, bool)],
        &mut Books,
        &mut Changes,
        &Because<'_>,
    ) -> Result<Vec<AllocationLine>, Refused>,
    fact: impl FnOnce(contracts::allocation::ReceiptMoved) -> E,
) -> Result<ReceiptDetail, Refusal> {
    let reason = command.reason.trim();
    if reason.is_empty() || reason.len() > REASON_MAX {
        return Err(Failure::permanent(
            "allocation.reason_needed",
            "a move of money by hand has a reason",
        )
        .at("/reason", format!("between 1 and {REASON_MAX} characters"))
        .into());
    }
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[command.id]).await?.is_empty() {
        return Ok(detail(tx.conn(), command.receipt).await?);
    }
    let mut receipt = store::receipts::lock(tx.conn(), command.receipt)
        .await?
        .ok_or_else(|| no_receipt(command.receipt))?;
    let lines: Vec<(AllocationLine, bool)> = store::postings::of_receipt(tx.conn(), receipt.id)
        .await?
        .into_iter()
        .map(|view| (view.line, view.undone))
        .collect();
    let mut wanted = documents.to_vec();
    wanted.extend(lines.iter().map(|(line, _)| line.document_id));
    let mut books = Books::default();
    for item in store::items::lock(tx.conn(), &wanted).await? {
        books.add(item);
    }
    if receipt.tokens.is_empty() {
        // Not kept once all of it was allocated.
        receipt.tokens = evidence::keys([receipt.narrative.as_str()]);
    }
    store::look_up(tx.conn(), &[&receipt], &mut books).await?;
    let mut changes = Changes::default();
    let because = Because {
        rule: Rule::Manual,
        reason,
        actor: command.actor,
        now,
        not_before: london_date(now),
    };
    let posted =
        decide(&mut receipt, &lines, &mut books, &mut changes, &because).map_err(Failure::of)?;
    let contras = posted.iter().chain(lines.iter().map(|(line, _)| line));
    let undone: Vec<DocumentId> = contras
        .filter(|line| line.contra_of.is_some())
        .map(|line| line.document_id)
        .collect();
    receipt.suggestions = ladder::suggest(&receipt, &books, &undone).map_err(Failure::of)?;
    changes.moved_receipts.push(receipt.clone());
    let event = fact(moved(&receipt, posted, now, command.actor, reason));
    let cause = Meta::of_command(command.id, now, None);
    let outgoing = Outgoing::new(
        &event,
        receipt.id.as_uuid(),
        receipt.version,
        bus.prefix(),
        now,
        &cause,
    )?;
    store::record(tx.conn(), &changes).await?;
    tx.publish(&[outgoing]).await?;
    let answer = detail(tx.conn(), receipt.id).await?;
    finish(tx, bus).await?;
    Ok(answer)
}

async fn finish(tx: Tx, bus: &Bus) -> Result<(), Failure> {
    tx.commit().await?;
    bus.notice(&["receipts".to_owned(), "aged-debt".to_owned()])
        .await;
    Ok(())
}
