//! What allocation answers, and the commands of people: a file for each topic,
//! and here what they share.

mod after;
mod chaseable;
pub(crate) mod controls;
pub(crate) mod disbursements;
pub(crate) mod matters;
mod receipts;
pub(crate) mod residuals;
mod returns;
pub(crate) mod rules;
pub(crate) mod workbench;

pub(crate) use after::{keep_on_account, move_allocation, offset, settle_duplicate, transfer};
pub(crate) use chaseable::get_chaseable;
pub(crate) use receipts::{
    allocate, count_receipts, find_items, get_receipt, list_receipts, trace_receipt, undo,
};
pub(crate) use returns::{
    get_debit, list_debits, mark_debit_ours, match_debit, return_receipt, reverse_debit,
};

use chrono::{DateTime, Utc};
use contracts::{
    allocation::{AdjustmentLine, AllocationLine, OutflowLine, ReceiptMoved, Rule},
    api::{
        ControlTotals, Page, Refusal,
        allocation::{GetAllocationTotals, Held, ReceiptDetail},
    },
};
use kernel::{AllocationId, Classified, DocumentId, ReceiptId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    consume::moved,
    domain::{
        Books, Changes, Receipt, evidence, ladder,
        ledger::{self, Because, Moves},
    },
    store,
};

/// Why, in words: a person's move of money always has a reason.
const REASON_MAX: usize = 500;

pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Uuid>, Failure> {
    text.map(Uuid::parse_str).transpose().map_err(|e| {
        Failure::permanent("allocation.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", e.to_string())
    })
}

/// Cuts a list that was read one row too long into a page.
pub(crate) fn page<T>(mut items: Vec<T>, rows: i64, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let more = items.len() as i64 > rows;
    items.truncate(rows as usize);
    let next_cursor = if more {
        items.last().map(|item| id(item).to_string())
    } else {
        None
    };
    Page { items, next_cursor }
}

pub(crate) fn no_receipt(id: ReceiptId) -> Failure {
    Failure::not_found("allocation.no_receipt", format!("there is no receipt {id}"))
}

/// Why, in words.
///
/// # Errors
/// When there is none, or more than is kept.
pub(crate) fn reason(text: &str) -> Result<&str, Failure> {
    let reason = text.trim();
    if reason.is_empty() || reason.len() > REASON_MAX {
        return Err(Failure::permanent(
            "allocation.reason_needed",
            "a command of a person has a reason",
        )
        .at("/reason", format!("between 1 and {REASON_MAX} characters")));
    }
    Ok(reason)
}

pub(crate) async fn detail(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<ReceiptDetail, Failure> {
    let (receipt, decision, held) = store::receipts::view(conn, id)
        .await?
        .ok_or_else(|| no_receipt(id))?;
    Ok(ReceiptDetail {
        receipt,
        decision,
        suggestions: store::receipts::suggestions(conn, id).await?,
        allocations: store::postings::of_receipt(conn, id).await?,
        adjustments: store::movements::adjustments_of_receipt(conn, id).await?,
        outflows: store::movements::outflows_of_receipt(conn, id).await?,
        held: held.map(|held| match held {
            ledger::Held::OnAccount => Held::OnAccount,
            ledger::Held::PossibleDuplicate(twin) => Held::PossibleDuplicate { twin },
            ledger::Held::Duplicate(twin) => Held::Duplicate { twin },
        }),
    })
}

pub(crate) async fn totals(_: GetAllocationTotals, bus: Bus) -> Result<ControlTotals, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(store::control::totals(tx.conn(), &bus).await?)
}

/// What a command of a person is about.
pub(crate) struct Command<'c> {
    pub(crate) id: Uuid,
    pub(crate) receipt: ReceiptId,
    pub(crate) actor: &'c str,
    pub(crate) reason: &'c str,
}

/// What a command sees of a receipt, under locks, and what it changes.
pub(crate) struct Desk {
    pub(crate) receipt: Receipt,
    /// Every line ever, and whether a contra has undone it.
    pub(crate) lines: Vec<(AllocationLine, bool)>,
    /// Those of the lines that stand and that no person has decided.
    pub(crate) automatic: Vec<AllocationId>,
    /// Adjustments that came with the receipt and stand.
    pub(crate) adjustments: Vec<AdjustmentLine>,
    /// Outflows that stand.
    pub(crate) outflows: Vec<OutflowLine>,
    /// A refund of it holds money and is not sent yet.
    pub(crate) refunding: bool,
    pub(crate) books: Books,
    pub(crate) changes: Changes,
    /// Automatic lines that the command says were wrong.
    pub(crate) blamed: Vec<AllocationId>,
}

/// The six steps of a command: claimed by its id, loaded under locks, decided
/// purely, recorded with its fact, answered. The same id again answers with
/// how things stand.
pub(crate) async fn act<E, R>(
    bus: &Bus,
    command: &Command<'_>,
    documents: &[DocumentId],
    decide: impl FnOnce(&mut Desk, &Because<'_>) -> Result<Moves, R>,
    fact: impl FnOnce(ReceiptMoved) -> E,
) -> Result<ReceiptDetail, Refusal>
where
    E: contracts::Event,
    R: Classified + std::error::Error + Send + Sync + 'static,
{
    let reason = reason(command.reason)?;
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[command.id]).await?.is_empty() {
        return Ok(detail(tx.conn(), command.receipt).await?);
    }
    // Matters before receipts, as commands about matters do.
    let today = london_date(now);
    let clients = store::clients::lock(tx.conn(), &[command.receipt], today).await?;
    let mut desk = lay_out(tx.conn(), command.receipt, documents).await?;
    desk.books.clients = clients;
    let because = Because {
        rule: Rule::Manual,
        reason,
        actor: command.actor,
        now,
        not_before: today,
    };
    let moves = decide(&mut desk, &because).map_err(Failure::of)?;
    let event = fact(look_again(&mut desk, moves, &because)?);
    let cause = Meta::of_command(command.id, now, None);
    let mut events = vec![Outgoing::new(
        &event,
        desk.receipt.id.as_uuid(),
        desk.receipt.version,
        bus.prefix(),
        now,
        &cause,
    )?];
    if !desk.blamed.is_empty() {
        events.extend(rules::blame(&mut tx, bus, &desk, &because, &cause).await?);
    }
    record(&mut tx, desk.changes, bus, now, &cause).await?;
    tx.publish(&events).await?;
    let answer = detail(tx.conn(), desk.receipt.id).await?;
    finish(tx, bus).await?;
    Ok(answer)
}

/// Locks a receipt, everything that it ever paid and `documents`, and looks up
/// what the ladder asks for.
pub(crate) async fn lay_out(
    conn: &mut PgConnection,
    receipt: ReceiptId,
    documents: &[DocumentId],
) -> Result<Desk, Failure> {
    let mut receipt = store::receipts::lock(conn, receipt)
        .await?
        .ok_or_else(|| no_receipt(receipt))?;
    let all = store::postings::of_receipt(conn, receipt.id).await?;
    let automatic = all
        .iter()
        .filter(|view| !view.undone && view.line.contra_of.is_none() && view.rule != Rule::Manual)
        .map(|view| view.line.allocation_id)
        .collect();
    let lines: Vec<(AllocationLine, bool)> = all
        .into_iter()
        .map(|view| (view.line, view.undone))
        .collect();
    let adjustments = store::movements::adjustments_of_receipt(conn, receipt.id).await?;
    let outflows = store::movements::outflows_of_receipt(conn, receipt.id).await?;
    let refunding = store::refunds::unsent(conn, &[receipt.id]).await?;
    let mut wanted = documents.to_vec();
    wanted.extend(lines.iter().map(|(line, _)| line.document_id));
    wanted.extend(adjustments.iter().map(|line| line.document_id));
    let mut books = Books::default();
    for item in store::items::lock(conn, &wanted).await? {
        books.add(item);
    }
    if receipt.tokens.is_empty() {
        // Not kept once all of it was allocated.
        receipt.tokens = evidence::keys([receipt.narrative.as_str()]);
    }
    store::look_up(conn, &[&receipt], &mut books).await?;
    Ok(Desk {
        receipt,
        lines,
        automatic,
        adjustments,
        outflows,
        books,
        changes: Changes::default(),
        refunding: !refunding.is_empty(),
        blamed: Vec::new(),
    })
}

/// Suggests about the money that is left after a decision, notes how the
/// receipt now stands, and says what moved.
pub(crate) fn look_again(
    desk: &mut Desk,
    moves: Moves,
    because: &Because<'_>,
) -> Result<ReceiptMoved, Failure> {
    let undone: Vec<DocumentId> = moves
        .lines
        .iter()
        .chain(desk.lines.iter().map(|(line, _)| line))
        .filter(|line| line.contra_of.is_some())
        .map(|line| line.document_id)
        .collect();
    // What is paid twice is offered for nothing else.
    desk.receipt.suggestions = match desk.receipt.detail.held {
        Some(ledger::Held::PossibleDuplicate(_) | ledger::Held::Duplicate(_)) => Vec::new(),
        _ => ladder::suggest(&desk.receipt, &desk.books, &undone).map_err(Failure::of)?,
    };
    desk.changes.moved_receipts.push(desk.receipt.clone());
    Ok(moved(
        &desk.receipt,
        moves,
        because.now,
        because.actor,
        because.reason,
    ))
}

/// Writes what was decided, and tells whose debts may be chased otherwise now.
pub(crate) async fn record(
    tx: &mut Tx,
    changes: Changes,
    bus: &Bus,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    crate::consume::chaseable::record(tx, changes, bus.prefix(), now, cause).await
}

pub(crate) async fn finish(tx: Tx, bus: &Bus) -> Result<(), Failure> {
    tx.commit().await?;
    bus.notice(&["receipts".to_owned(), "aged-debt".to_owned()])
        .await;
    Ok(())
}
