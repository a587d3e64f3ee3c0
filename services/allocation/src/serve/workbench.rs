//! The workbench: receipts put aside, suggestions accepted, documents looked up
//! by their numbers, batches found again.

use contracts::{
    allocation::{AllocationUndone, ReceiptAllocated, ReceiptParked, ReceiptUnparked},
    api::{
        Page, Refusal,
        allocation::{AllocateLine, ReceiptDetail, UndoCause},
        workbench::{
            AcceptSuggestion, Acceptable, AutomaticReceipts, BatchView, GetBatch, ListAcceptable,
            ListAutomatic, NameItems, NamedItems, ParkReceipt, Parked, UndoTogether, UnparkReceipt,
        },
    },
};
use kernel::{AllocationId, DocumentId, ReceiptId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Command, act, cursor, detail, finish, lay_out, no_receipt, page, reason, receipts::take_back,
    record,
};
use crate::{
    domain::{
        Changes, Receipt, ladder,
        ledger::Moves,
        manual::{self, Refused},
    },
    store,
};

/// Letters of an owner's name.
const OWNER_MAX: usize = 100;

/// Claims a command that moves no money and locks its receipt; `None` when it
/// was carried out before.
async fn begin(
    bus: &Bus,
    command_id: Uuid,
    receipt: ReceiptId,
    expected: Option<i64>,
) -> Result<Option<(Tx, Receipt)>, Failure> {
    let mut tx = bus.begin().await?;
    if tx.claim(&[command_id]).await?.is_empty() {
        return Ok(None);
    }
    let mut receipt = store::receipts::lock(tx.conn(), receipt)
        .await?
        .ok_or_else(|| no_receipt(receipt))?;
    manual::still(&receipt, expected).map_err(Failure::of)?;
    receipt.version += 1;
    Ok(Some((tx, receipt)))
}

async fn as_it_stands(bus: &Bus, receipt: ReceiptId) -> Result<ReceiptDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), receipt).await?)
}

async fn answer(mut tx: Tx, bus: &Bus, receipt: ReceiptId) -> Result<ReceiptDetail, Refusal> {
    let answer = detail(tx.conn(), receipt).await?;
    finish(tx, bus).await?;
    Ok(answer)
}

pub(crate) async fn park(ask: ParkReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let now = bus.now();
    let owner = ask
        .owner
        .as_deref()
        .map(str::trim)
        .filter(|owner| !owner.is_empty());
    if owner.is_some_and(|owner| owner.chars().count() > OWNER_MAX) {
        return Err(
            Failure::permanent("allocation.bad_owner", "the owner is no name")
                .at("/owner", format!("at most {OWNER_MAX} letters"))
                .into(),
        );
    }
    if ask.until.is_some_and(|until| until <= london_date(now)) {
        return Err(Failure::permanent(
            "allocation.park_until",
            "a receipt comes back after today",
        )
        .at("/until", "a day after today")
        .into());
    }
    let command = ask.command_id.as_uuid();
    let Some((mut tx, receipt)) =
        begin(&bus, command, ask.receipt_id, ask.expected_version).await?
    else {
        return as_it_stands(&bus, ask.receipt_id).await;
    };
    if receipt.unallocated.is_zero() {
        return Err(Failure::of(Refused::NothingLeft).into());
    }
    let parked = Parked {
        reason: reason.to_owned(),
        owner: owner.map(str::to_owned),
        until: ask.until,
        by: ask.actor.clone(),
        at: now,
    };
    let fact = ReceiptParked {
        receipt_id: receipt.id,
        version: receipt.version,
        account_ref: receipt.account_ref.clone(),
        unallocated: receipt.unallocated,
        reason: parked.reason.clone(),
        owner: parked.owner.clone(),
        until: parked.until,
        recorded_at: now,
        actor: ask.actor,
    };
    store::workbench::park(tx.conn(), &receipt, &parked).await?;
    let cause = Meta::of_command(command, now, None);
    let (id, version) = (receipt.id.as_uuid(), receipt.version);
    let outgoing = Outgoing::new(&fact, id, version, bus.prefix(), now, &cause)?;
    tx.publish(&[outgoing]).await?;
    answer(tx, &bus, receipt.id).await
}

pub(crate) async fn unpark(ask: UnparkReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let now = bus.now();
    let command = ask.command_id.as_uuid();
    let Some((mut tx, mut receipt)) =
        begin(&bus, command, ask.receipt_id, ask.expected_version).await?
    else {
        return as_it_stands(&bus, ask.receipt_id).await;
    };
    if !store::workbench::is_parked(tx.conn(), receipt.id).await? {
        return Err(Failure::of(Refused::NotParked).into());
    }
    // Documents that came meanwhile have passed it by.
    refresh_suggestions(tx.conn(), &mut receipt).await?;
    let fact = ReceiptUnparked {
        receipt_id: receipt.id,
        version: receipt.version,
        account_ref: receipt.account_ref.clone(),
        unallocated: receipt.unallocated,
        recorded_at: now,
        actor: ask.actor,
        reason: reason.to_owned(),
    };
    let (id, version) = (receipt.id, receipt.version);
    let changes = Changes {
        moved_receipts: vec![receipt],
        ..Changes::default()
    };
    let cause = Meta::of_command(command, now, None);
    record(&mut tx, changes, &bus, now, &cause).await?;
    store::workbench::unpark(tx.conn(), id).await?;
    let outgoing = Outgoing::new(&fact, id.as_uuid(), version, bus.prefix(), now, &cause)?;
    tx.publish(&[outgoing]).await?;
    answer(tx, &bus, id).await
}

/// What could be done with a receipt as the ledger now is.
async fn refresh_suggestions(
    conn: &mut PgConnection,
    receipt: &mut Receipt,
) -> Result<(), Failure> {
    let desk = lay_out(conn, receipt.id, &[]).await?;
    let contras = desk.lines.iter().map(|(line, _)| line);
    let undone: Vec<DocumentId> = contras
        .filter(|line| line.contra_of.is_some())
        .map(|line| line.document_id)
        .collect();
    receipt.suggestions =
        ladder::suggest(&desk.receipt, &desk.books, &undone).map_err(Failure::of)?;
    Ok(())
}

pub(crate) async fn acceptable(ask: ListAcceptable, bus: Bus) -> Result<Page<Acceptable>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let rows = ask.page.rows().min(i64::from(ListAcceptable::MAX));
    let ids = store::workbench::acceptable(
        tx.conn(),
        ask.queue,
        search,
        &ask.confidence,
        before,
        london_date(bus.now()),
        rows,
    )
    .await?;
    let Page {
        items: ids,
        next_cursor,
    } = page(ids, rows, |id| id.as_uuid());
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        let view = store::receipts::view(tx.conn(), id).await?;
        // One that can be accepted no longer, because its document is paid
        // meanwhile, is left out: its best suggestion has another rank.
        let best = store::receipts::suggestions(tx.conn(), id)
            .await?
            .into_iter()
            .find(|suggestion| suggestion.rank == 1);
        if let (Some((receipt, _, _)), Some(suggestion)) = (view, best) {
            items.push(Acceptable {
                receipt,
                suggestion,
            });
        }
    }
    Ok(Page { items, next_cursor })
}

pub(crate) async fn accept(ask: AcceptSuggestion, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    // Read before the lock: the version says whether it is still the same one.
    let mut tx = bus.begin().await?;
    let suggestion = store::receipts::suggestions(tx.conn(), ask.receipt_id)
        .await?
        .into_iter()
        .find(|suggestion| suggestion.rank == ask.rank);
    drop(tx);
    let lines: Vec<AllocateLine> = suggestion
        .iter()
        .flat_map(|suggestion| &suggestion.lines)
        .map(|line| AllocateLine {
            document_id: line.document_id,
            amount: line.amount,
        })
        .collect();
    let documents: Vec<DocumentId> = lines.iter().map(|line| line.document_id).collect();
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    act(
        &bus,
        &command,
        &documents,
        |desk, because| {
            manual::still(&desk.receipt, Some(ask.expected_version))?;
            if lines.is_empty() {
                return Err(Refused::NoSuggestion(ask.rank));
            }
            desk.changes.batch = ask.batch_id;
            let posted = manual::allocate(
                &mut desk.receipt,
                &lines,
                &mut desk.books,
                &mut desk.changes,
                because,
            )?;
            Ok(Moves::of(posted))
        },
        ReceiptAllocated,
    )
    .await
}

pub(crate) async fn undo_together(ask: UndoTogether, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let ways = [
        !ask.allocation_ids.is_empty(),
        ask.run.is_some(),
        ask.automatic,
    ];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        let either = "name allocations, or one decision, or all that is automatic";
        return Err(Failure::permanent("allocation.what_to_undo", either)
            .at("/allocation_ids", either)
            .into());
    }
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    // What a decision made never changes; what of it stands is looked at under
    // the lock.
    let made = match ask.run {
        Some(run) => {
            let mut tx = bus.begin().await?;
            Some(store::returns::made_by(tx.conn(), ask.receipt_id, run).await?)
        }
        None => None,
    };
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            let (lines, adjustments) = match made {
                Some((mut lines, adjustments)) => {
                    let stands = |id: &AllocationId| {
                        let mut all = desk.lines.iter();
                        all.any(|(line, undone)| line.allocation_id == *id && !undone)
                    };
                    lines.retain(stands);
                    (lines, adjustments)
                }
                None if ask.automatic => (desk.automatic.clone(), Vec::new()),
                None => (ask.allocation_ids, Vec::new()),
            };
            if ask.cause == Some(UndoCause::WrongMatch) {
                desk.blamed.clone_from(&lines);
            }
            take_back(desk, &lines, &adjustments, because)
        },
        AllocationUndone,
    )
    .await
}

pub(crate) async fn automatic(ask: ListAutomatic, bus: Bus) -> Result<AutomaticReceipts, Refusal> {
    if ask.receipt_ids.len() > ListAutomatic::MAX {
        return Err(Failure::permanent(
            "allocation.too_many_receipts",
            "more receipts than are looked up at once",
        )
        .at("/receipt_ids", format!("at most {}", ListAutomatic::MAX))
        .into());
    }
    let mut tx = bus.begin().await?;
    Ok(AutomaticReceipts {
        receipts: store::workbench::automatic(tx.conn(), &ask.receipt_ids).await?,
    })
}

pub(crate) async fn name_items(ask: NameItems, bus: Bus) -> Result<NamedItems, Refusal> {
    if ask.numbers.len() > NameItems::MAX {
        return Err(Failure::permanent(
            "allocation.too_many_numbers",
            "more numbers than are looked up at once",
        )
        .at("/numbers", format!("at most {}", NameItems::MAX))
        .into());
    }
    let mut tx = bus.begin().await?;
    let currency = ask.currency.map(kernel::Currency::code);
    let items = store::workbench::named_items(tx.conn(), &ask.numbers, currency).await?;
    Ok(NamedItems { items })
}

pub(crate) async fn batch(ask: GetBatch, bus: Bus) -> Result<BatchView, Refusal> {
    let mut tx = bus.begin().await?;
    let lines = store::workbench::batch(tx.conn(), ask.batch_id).await?;
    if lines.is_empty() {
        return Err(Failure::not_found(
            "allocation.no_batch",
            format!("no batch {} has allocated anything", ask.batch_id),
        )
        .into());
    }
    Ok(BatchView {
        batch_id: ask.batch_id,
        lines,
    })
}
