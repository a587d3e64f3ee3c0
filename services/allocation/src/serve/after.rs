//! What a person does with money after it was matched.

use contracts::allocation::Rule;
use contracts::{
    allocation::{DebtAdjusted, ReceiptAllocated},
    api::{
        Refusal,
        allocation::ReceiptDetail,
        returns::{
            KeepOnAccount, MoveAllocation, Offset, OffsetDocuments, SettleDuplicate,
            TransferReceipt,
        },
    },
};
use kernel::{DocumentId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing};

use super::{Command, act, finish, reason, record};
use crate::{
    domain::{Books, Changes, after, ledger::Because, manual},
    store,
};

/// Lets an allocation pay another document.
pub(crate) async fn move_allocation(
    ask: MoveAllocation,
    bus: Bus,
) -> Result<ReceiptDetail, Refusal> {
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
        &[ask.document_id],
        |desk, because| {
            let standing = desk.standing();
            after::move_allocation(
                &mut desk.receipt,
                &standing,
                ask.allocation_id,
                ask.document_id,
                ask.amount,
                &mut desk.books,
                &mut desk.changes,
                because,
            )
        },
        ReceiptAllocated,
    )
    .await
}

/// Says whose a receipt's unallocated money is, and whether it stays on account.
pub(crate) async fn transfer(ask: TransferReceipt, bus: Bus) -> Result<ReceiptDetail, Refusal> {
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    let mut tx = bus.begin().await?;
    let account = store::accounts::lock(tx.conn(), &[ask.account_id])
        .await?
        .pop()
        .map(|account| (account.id, account.reference));
    drop(tx);
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            manual::still(&desk.receipt, ask.expected_version).map_err(Failure::of)?;
            let account = account.ok_or(after::Refused::NoAccount(ask.account_id));
            let account = account.map_err(Failure::of)?;
            desk.changes.left.extend(desk.receipt.account);
            after::transfer(&mut desk.receipt, Some(account), ask.on_account, because)
                .map_err(Failure::of)
        },
        ReceiptAllocated,
    )
    .await
}

/// Keeps unallocated money on account, or no longer.
pub(crate) async fn keep_on_account(
    ask: KeepOnAccount,
    bus: Bus,
) -> Result<ReceiptDetail, Refusal> {
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            manual::still(&desk.receipt, ask.expected_version).map_err(Failure::of)?;
            after::transfer(&mut desk.receipt, None, ask.on_account, because).map_err(Failure::of)
        },
        ReceiptAllocated,
    )
    .await
}

/// Says whether a possible duplicate is one.
pub(crate) async fn settle_duplicate(
    ask: SettleDuplicate,
    bus: Bus,
) -> Result<ReceiptDetail, Refusal> {
    let command = Command {
        id: ask.command_id.as_uuid(),
        receipt: ask.receipt_id,
        actor: &ask.actor,
        reason: &ask.reason,
    };
    act(
        &bus,
        &command,
        &[],
        |desk, because| {
            manual::still(&desk.receipt, ask.expected_version).map_err(Failure::of)?;
            after::settle_duplicate(&mut desk.receipt, ask.duplicate, because).map_err(Failure::of)
        },
        ReceiptAllocated,
    )
    .await
}

/// Lets credit notes of an account meet its invoices.
pub(crate) async fn offset(ask: OffsetDocuments, bus: Bus) -> Result<Offset, Refusal> {
    let said = reason(&ask.reason)?;
    let now = bus.now();
    let cause = ask.command_id.as_uuid();
    let mut tx = bus.begin().await?;
    if tx.claim(&[cause]).await?.is_empty() {
        return Ok(Offset {
            account_id: ask.account_id,
            lines: store::movements::adjustments_of_cause(tx.conn(), cause).await?,
        });
    }
    let account = store::accounts::lock(tx.conn(), &[ask.account_id])
        .await?
        .pop()
        .ok_or_else(|| Failure::of(after::Refused::NoAccount(ask.account_id)))?;
    let documents: Vec<DocumentId> = ask.lines.iter().map(|line| line.document_id).collect();
    let mut books = Books::default();
    for item in store::items::lock(tx.conn(), &documents).await? {
        books.add(item);
    }
    let mut changes = Changes::default();
    let because = Because {
        rule: Rule::Manual,
        reason: said,
        actor: &ask.actor,
        now,
        not_before: london_date(now),
    };
    let lines = after::offset(
        ask.account_id,
        &ask.lines,
        cause,
        &mut books,
        &mut changes,
        &because,
    )
    .map_err(Failure::of)?;
    let event = DebtAdjusted {
        account_id: account.id,
        account_ref: account.reference,
        lines: lines.clone(),
        recorded_at: now,
        actor: ask.actor.clone(),
        reason: said.to_owned(),
    };
    let meta = Meta::of_command(cause, now, None);
    let outgoing = Outgoing::new(&event, account.id.as_uuid(), 0, bus.prefix(), now, &meta)?;
    record(&mut tx, changes, &bus, now, &meta).await?;
    tx.publish(&[outgoing]).await?;
    finish(tx, &bus).await?;
    Ok(Offset {
        account_id: ask.account_id,
        lines,
    })
}
