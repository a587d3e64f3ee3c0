//! `receipt_posted`: the receipt, and the lines that were allocated at once.
//! The hot path: one receipt row and its line rows.

use std::collections::BTreeSet;

use contracts::allocation::ReceiptPosted;
use uuid::Uuid;

use crate::{
    domain::receipt::{ReceiptError, check_posted},
    store::facts::{Facts, Said, Step},
};

pub(super) fn add(
    facts: &mut Facts,
    accounts: &mut BTreeSet<Uuid>,
    event_id: Uuid,
    event: &ReceiptPosted,
) -> Result<(), ReceiptError> {
    check_posted(event.amount, event.unallocated, &event.lines)?;
    accounts.extend(event.account_id.map(kernel::AccountId::as_uuid));
    let rows = &mut facts.receipts;
    rows.receipt_id.push(event.receipt_id.as_uuid());
    rows.version.push(event.version);
    rows.bank_reference.push(event.bank_reference.clone());
    rows.booked_on.push(event.booked_on);
    rows.amount.push(event.amount.amount());
    rows.unallocated.push(event.unallocated.amount());
    rows.currency
        .push(event.amount.currency().code().to_owned());
    rows.payer_name.push(event.payer_name.clone());
    rows.narrative.push(event.narrative.clone());
    rows.state.push(event.state.name().to_owned());
    rows.account_id
        .push(event.account_id.map(kernel::AccountId::as_uuid));
    rows.account_ref.push(event.account_ref.clone());
    rows.rule.push(event.decision.rule.name().to_owned());
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
        reason: "",
        step: Some(step),
    };
    for line in &event.adjustments {
        accounts.insert(line.account_id.as_uuid());
        facts.adjustments.push(said, line);
    }
    Ok(())
}
