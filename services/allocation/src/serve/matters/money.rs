//! Client money that leaves: to the firm against a bill, to whoever it belongs
//! to, and between our bank accounts; and its way back.

use contracts::{
    allocation::{AdjustmentLine, DebtAdjusted},
    api::{
        Refusal,
        matters::{
            CompleteBankMove, MatterDetail, PayClientMoney, TransferToBusiness, UndoMatterEntry,
        },
    },
    ingestion::Designation,
    matters::{BankMove, BankMoveKind, EntryKind, Side},
};
use kernel::{DocumentId, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;

use super::{
    super::{reason, record},
    Work, answer, money_moved, payments,
    receipts::undo_received,
    take_up,
};
use crate::{
    domain::{
        Books, Changes, ledger,
        legal::{Refused, client},
    },
    store,
};

pub(crate) async fn transfer(ask: TransferToBusiness, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let because = work.because;
    let bills = store::matters::open_bills(work.tx.conn(), &work.held.matter.reference).await?;
    let mut books = books(work.tx.conn(), &[ask.document_id]).await?;
    let mut changes = Changes::default();
    let line = client::transfer(
        &mut work.held,
        &bills,
        ask.document_id,
        ask.amount,
        &mut books,
        &mut changes,
        &mut work.legal,
        command,
        &work.settings,
        &because,
    )
    .map_err(Failure::of)?;
    tell_debt(&bus, &mut work, &books, line)?;
    record(&mut work.tx, changes, &bus, work.because.now, &work.cause).await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, ask.matter_id).await
}

async fn books(conn: &mut PgConnection, documents: &[DocumentId]) -> Result<Books, Failure> {
    let mut books = Books::default();
    for item in store::items::lock(conn, documents).await? {
        books.add(item);
    }
    Ok(books)
}

fn tell_debt(
    bus: &Bus,
    work: &mut Work<'_>,
    books: &Books,
    line: AdjustmentLine,
) -> Result<(), Failure> {
    let because = work.because;
    let account_ref = books
        .items
        .get(&line.document_id)
        .map(|item| item.account_ref.clone())
        .unwrap_or_default();
    let about = line.adjustment_id.as_uuid();
    let fact = DebtAdjusted {
        account_id: line.account_id,
        account_ref,
        lines: vec![line],
        recorded_at: because.now,
        actor: because.actor.to_owned(),
        reason: because.reason.to_owned(),
    };
    work.tell(bus, &fact, about, 1)
}

/// The client account that money shall leave: the one that is named, or the only
/// one there is.
pub(crate) async fn client_account(
    conn: &mut PgConnection,
    named: Option<&str>,
) -> Result<String, Failure> {
    let accounts = store::matters::client_accounts(conn).await?;
    let chosen = match named {
        Some(named) if accounts.contains(named) => Ok(named.to_owned()),
        Some(named) => Err(Refused::NoClientAccount(named.to_owned())),
        None => {
            let mut all = accounts.into_iter();
            match (all.next(), all.next()) {
                (Some(only), None) => Ok(only),
                _ => Err(Refused::WhichClientAccount),
            }
        }
    };
    chosen.map_err(|refused| Failure::of(refused).at("/bank_account", "a client account of ours"))
}

pub(crate) async fn pay(ask: PayClientMoney, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let bank_account = client_account(work.tx.conn(), ask.bank_account.as_deref()).await?;
    if !matches!(
        ask.kind,
        EntryKind::PaidOut | EntryKind::Returned | EntryKind::DisbursementPaid
    ) {
        return Err(Failure::of(Refused::NotPayable).into());
    }
    payments::request(&bus, &mut work, &ask, bank_account).await?;
    work.finish(&bus).await?;
    answer(&bus, ask.matter_id).await
}

pub(crate) async fn undo_entry(ask: UndoMatterEntry, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let no_entry = || {
        Failure::not_found(
            "matters.no_entry",
            format!(
                "there is no line {} on a matter's client ledger",
                ask.entry_id
            ),
        )
    };
    let matter = {
        let mut tx = bus.begin().await?;
        let found = store::matters::entry(tx.conn(), ask.entry_id).await?;
        found.ok_or_else(no_entry)?.0
    };
    let Some(mut work) = take_up(&bus, command, matter, &ask.actor, reason).await? else {
        return answer(&bus, matter).await;
    };
    let because = work.because;
    // Again under the lock: somebody may have undone it meanwhile.
    let (_, view) = store::matters::entry(work.tx.conn(), ask.entry_id)
        .await?
        .ok_or_else(no_entry)?;
    client::undoable(&view.entry, view.undone).map_err(Failure::of)?;
    let mut changes = Changes::default();
    match (view.entry.side, view.entry.kind) {
        (Side::Client, EntryKind::Received) => {
            changes = undo_received(&bus, &mut work, &view.entry).await?;
        }
        (Side::Client, EntryKind::Transferred) => {
            let line = store::matters::transfer_line(work.tx.conn(), ask.entry_id)
                .await?
                .ok_or_else(no_entry)?;
            let mut books = books(work.tx.conn(), &[line.document_id]).await?;
            let contra = ledger::undo_adjustment(&mut books, &mut changes, &line, None, &because)
                .map_err(Failure::of)?
                .ok_or_else(no_entry)?;
            let new = client::contra(&view.entry, contra.adjustment_id.as_uuid(), &because);
            client::enter(&mut work.held, &mut work.legal, new, command).map_err(Failure::of)?;
            client::must_move(
                &work.held,
                &mut work.legal,
                BankMoveKind::OfficeTransfer,
                Side::Client,
                line.amount,
                None,
                None,
                because.not_before,
                &work.settings,
            )
            .map_err(Failure::of)?;
            tell_debt(&bus, &mut work, &books, contra)?;
        }
        (Side::Client, EntryKind::PaidOut | EntryKind::Returned) => {
            let bank = store::matters::booked_against(work.tx.conn(), ask.entry_id)
                .await?
                .ok_or_else(no_entry)?;
            client::undo_payment(
                &mut work.held,
                &mut work.legal,
                &view.entry,
                view.undone,
                bank,
                command,
                &because,
            )
            .map_err(Failure::of)?;
        }
        (_, kind) => return Err(Failure::of(Refused::NotUndone(kind.name())).into()),
    }
    record(&mut work.tx, changes, &bus, work.because.now, &work.cause).await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, matter).await
}

pub(crate) async fn complete_move(
    ask: CompleteBankMove,
    bus: Bus,
) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let today = london_date(bus.now());
    let no_move = || {
        Failure::not_found(
            "matters.no_bank_move",
            format!("there is no bank move {}", ask.move_id),
        )
    };
    let view = {
        let mut tx = bus.begin().await?;
        store::matters::move_of(tx.conn(), ask.move_id, today)
            .await?
            .ok_or_else(no_move)?
    };
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, view.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, view.matter_id).await;
    };
    if ask.done_on > today {
        return Err(Failure::of(Refused::Future(ask.done_on)).into());
    }
    let clients = store::matters::client_accounts(work.tx.conn()).await?;
    let (from_side, to_side) = match view.bank_move.to {
        Side::Client => (Designation::Business, Designation::Client),
        Side::Business => (Designation::Client, Designation::Business),
    };
    for (account, must) in [(&ask.from_account, from_side), (&ask.to_account, to_side)] {
        let is = store::matters::designation(&clients, account);
        if is != must {
            return Err(Failure::of(Refused::WrongSide {
                account: account.clone(),
                is: is.name(),
                must: must.name(),
            })
            .into());
        }
    }
    let done = store::matters::complete_move(work.tx.conn(), ask.move_id, ask.done_on).await?;
    if !done {
        return Err(
            Failure::conflict("matters.already_moved", "the money has been moved already").into(),
        );
    }
    let entry = client::moved(
        &view.bank_move,
        &ask.from_account,
        &ask.to_account,
        ask.done_on,
        &work.because,
    );
    work.legal.journal.push(entry);
    let done = BankMove {
        done_on: Some(ask.done_on),
        ..view.bank_move
    };
    work.tell_move(&bus, &done)?;
    work.finish(&bus).await?;
    answer(&bus, view.matter_id).await
}
