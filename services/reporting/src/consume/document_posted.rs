//! `document_posted`: a document with its signed amount.

use std::collections::BTreeSet;

use contracts::allocation::DocumentPosted;
use uuid::Uuid;

use crate::store::facts::Facts;

pub(super) fn add(
    facts: &mut Facts,
    accounts: &mut BTreeSet<Uuid>,
    event_id: Uuid,
    event: &DocumentPosted,
) {
    accounts.insert(event.account_id.as_uuid());
    let rows = &mut facts.documents;
    rows.document_id.push(event.document_id.as_uuid());
    rows.document_ref.push(event.document_ref.clone());
    rows.kind.push(event.kind.name().to_owned());
    rows.account_id.push(event.account_id.as_uuid());
    rows.account_ref.push(event.account_ref.clone());
    rows.matter_ref.push(event.matter_ref.clone());
    rows.issued_on.push(event.issued_on);
    rows.due_on.push(event.due_on);
    rows.amount.push(event.amount.amount());
    rows.currency
        .push(event.amount.currency().code().to_owned());
    rows.recorded_at.push(event.recorded_at);
    rows.actor.push(event.actor.clone());
    rows.event_id.push(event_id);
}
