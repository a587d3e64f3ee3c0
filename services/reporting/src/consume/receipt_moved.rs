//! `receipt_allocated`, `allocation_undone` and `receipt_reduced`: a later move
//! of a receipt.

use std::collections::BTreeSet;

use contracts::allocation::ReceiptMoved;
use uuid::Uuid;

use crate::{
    domain::receipt::{ReceiptError, check_moved},
    store::facts::{Facts, Said, Step},
};

pub(super) fn add(
    facts: &mut Facts,
    accounts: &mut BTreeSet<Uuid>,
    event_id: Uuid,
    event: &ReceiptMoved,
    undone: bool,
) -> Result<(), ReceiptError> {
    check_moved(event.unallocated, &event.lines)?;
    accounts.extend(event.account_id.map(kernel::AccountId::as_uuid));
    let rows = &mut facts.movements;
    rows.receipt_id.push(event.receipt_id.as_uuid());
    rows.version.push(event.version);
    rows.undone.push(undone);
    rows.unallocated.push(event.unallocated.amount());
    rows.state.push(event.state.name().to_owned());
    rows.account_id
        .push(event.account_id.map(kernel::AccountId::as_uuid));
    rows.account_ref.push(event.account_ref.clone());
    rows.rule.push(event.decision.rule.name().to_owned());
    rows.reason.push(event.reason.clone());
    rows.recorded_at.push(event.recorded_at);
    rows.actor.push(event.actor.clone());
    rows.event_id.push(event_id);
    let step = Step {
        receipt_id: event.receipt_id,
        version: event.version,
        recorded_at: event.recorded_at,
    };
    for line in &event.lines {
        accounts.insert(line.account_id.as_uuid());
        facts.lines.push(step, line);
    }
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: Some(step),
    };
    for line in &event.adjustments {
        accounts.insert(line.account_id.as_uuid());
        facts.adjustments.push(said, line);
    }
    for line in &event.outflows {
        facts.outflows.push(step, line);
    }
    Ok(())
}
