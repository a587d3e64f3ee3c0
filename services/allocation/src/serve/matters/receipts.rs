//! What a receipt brings to a client ledger, and takes back from it.

use contracts::{
    allocation::{OutflowKind, OutflowLine, ReceiptAllocated, ReceiptReduced},
    api::{
        Refusal,
        matters::{MatterDetail, SplitReceipt},
    },
    matters::{DisbursementStep, MatterEntry, Side},
};
use kernel::{DisbursementId, Money, OutflowId};
use messaging::{Bus, Failure};

use super::{
    super::{Desk, disbursements, lay_out, look_again, reason, record},
    Work, answer, money_moved, take_up,
};
use crate::{
    domain::{
        Changes, evidence,
        ledger::{self, Moves},
        legal::{Refused, client, disbursement, split},
        manual,
    },
    store,
};

pub(crate) async fn split(ask: SplitReceipt, bus: Bus) -> Result<MatterDetail, Refusal> {
    let reason = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, reason).await? else {
        return answer(&bus, ask.matter_id).await;
    };
    let because = work.because;
    let mut bills = store::matters::open_bills(work.tx.conn(), &work.held.matter.reference).await?;
    let wanted: Vec<DisbursementId> = ask
        .parts
        .iter()
        .filter_map(|part| part.disbursement_id)
        .collect();
    let mut spent = store::disbursements::lock(work.tx.conn(), &wanted).await?;
    let mut parts = Vec::with_capacity(ask.parts.len());
    for part in &ask.parts {
        let item = match part.disbursement_id {
            Some(id) => Some(disbursements::of_matter(&spent, id, &work.held)?),
            None => None,
        };
        parts.push(split::Part {
            component: part.component,
            amount: part.amount,
            document: part.document_id,
            disbursement: part.disbursement_id,
            paid_by_firm: item.is_some_and(|item| item.funded_by == Some(Side::Business)),
        });
    }
    let mut desk = lay_out(work.tx.conn(), ask.receipt_id, &bills).await?;
    let before = store::movements::outflows_of_receipt(work.tx.conn(), ask.receipt_id).await?;
    if let Some(expected) = ask.expected_version
        && expected != desk.receipt.version
    {
        return Err(Failure::of(Refused::ReceiptMovedOn {
            expected,
            now: desk.receipt.version,
        })
        .into());
    }
    bills.retain(|id| desk.books.items.contains_key(id));
    let plan = split::plan(
        &work.held.matter.reference,
        &parts,
        &bills,
        &desk.books,
        desk.receipt.unallocated,
    )
    .map_err(Failure::of)?;
    let moves = split::apply(
        &plan,
        &mut work.held,
        &mut desk.receipt,
        &mut desk.books,
        &mut desk.changes,
        &mut work.legal,
        command,
        &because,
    )
    .map_err(Failure::of)?;
    desk.receipt.version += 1;
    desk.receipt.decision = manual::by_hand(&because);
    for (part, wanted) in ask.parts.iter().zip(&parts) {
        if let Some(id) = wanted.disbursement
            && let Some(item) = spent.iter_mut().find(|item| item.id == id)
        {
            disbursements::advance(
                &bus,
                &mut work,
                item,
                DisbursementStep::Recovered,
                desk.receipt.booked_on,
                Some(part.amount),
            )
            .await?;
        }
    }
    stand_right(&mut work, &desk, &before, &moves).await?;
    let reduced = !moves.outflows.is_empty();
    tell_receipt(&bus, &mut work, &mut desk, moves, reduced)?;
    record(
        &mut work.tx,
        desk.changes,
        &bus,
        work.because.now,
        &work.cause,
    )
    .await?;
    work.finish(&bus).await?;
    money_moved(&bus).await;
    answer(&bus, ask.matter_id).await
}

/// Notes what must be moved so that the client's part of the receipt stands on a
/// client account after `moves`.
async fn stand_right(
    work: &mut Work<'_>,
    desk: &Desk,
    before: &[OutflowLine],
    moves: &Moves,
) -> Result<(), Failure> {
    let receipt = &desk.receipt;
    // Those that stand, and what was just added or taken back.
    let client = before
        .iter()
        .chain(&moves.outflows)
        .filter(|line| line.kind == OutflowKind::ClientLedger)
        .map(|line| line.amount);
    let to_client = Money::sum(client, receipt.amount.currency()).map_err(Failure::of)?;
    let noted = store::matters::noted(work.tx.conn(), receipt.id, receipt.amount).await?;
    client::settle_bank(
        &work.held,
        &mut work.legal,
        receipt,
        to_client,
        noted,
        work.because.not_before,
        &work.settings,
    )
    .map_err(Failure::of)
}

fn tell_receipt(
    bus: &Bus,
    work: &mut Work<'_>,
    desk: &mut Desk,
    moves: Moves,
    reduced: bool,
) -> Result<(), Failure> {
    let because = work.because;
    let fact = look_again(desk, moves, &because)?;
    let (about, version) = (desk.receipt.id.as_uuid(), desk.receipt.version);
    if reduced {
        work.tell(bus, &ReceiptReduced(fact), about, version)
    } else {
        work.tell(bus, &ReceiptAllocated(fact), about, version)
    }
}

/// Client money goes back to the receipt that brought it.
pub(super) async fn undo_received(
    bus: &Bus,
    work: &mut Work<'_>,
    entry: &MatterEntry,
) -> Result<Changes, Failure> {
    let because = work.because;
    let gone = || Failure::of(Refused::AlreadyUndone);
    let receipt = entry.receipt_id.ok_or_else(gone)?;
    let mut desk = lay_out(work.tx.conn(), receipt, &[]).await?;
    let before = store::movements::outflows_of_receipt(work.tx.conn(), receipt).await?;
    let id = OutflowId::from(entry.entry_id.as_uuid());
    let line = before
        .iter()
        .find(|line| line.outflow_id == id)
        .cloned()
        .ok_or_else(gone)?;
    let contra = ledger::undo_outflow(&mut desk.receipt, &mut desk.changes, &line, &because)
        .map_err(Failure::of)?;
    let new = client::contra(entry, contra.outflow_id.as_uuid(), &because);
    client::enter(&mut work.held, &mut work.legal, new, work.cause.id).map_err(Failure::of)?;
    desk.receipt.version += 1;
    desk.receipt.decision = manual::by_hand(&because);
    if desk.receipt.tokens.is_empty() {
        desk.receipt.tokens = evidence::keys([desk.receipt.narrative.as_str()]);
    }
    if let Some(id) = entry.disbursement_id {
        let mut spent = store::disbursements::lock(work.tx.conn(), &[id]).await?;
        if let Some(item) = spent.first_mut() {
            disbursement::take_back(item, entry.amount).map_err(Failure::of)?;
            let (step, on) = (DisbursementStep::Recovered, because.not_before);
            disbursements::note(bus, work, item, step, on, Some(entry.amount.neg())).await?;
        }
    }
    let moves = Moves {
        outflows: vec![contra],
        ..Moves::default()
    };
    stand_right(work, &desk, &before, &moves).await?;
    tell_receipt(bus, work, &mut desk, moves, true)?;
    Ok(desk.changes)
}
