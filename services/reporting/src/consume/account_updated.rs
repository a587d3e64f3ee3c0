//! `account_updated`: one version of an account.

use std::collections::BTreeSet;

use contracts::allocation::AccountUpdated;
use uuid::Uuid;

use crate::store::{enum_text, facts::Facts};

pub(super) fn add(
    facts: &mut Facts,
    accounts: &mut BTreeSet<Uuid>,
    event_id: Uuid,
    event: &AccountUpdated,
) {
    accounts.insert(event.account_id.as_uuid());
    let rows = &mut facts.accounts;
    rows.account_id.push(event.account_id.as_uuid());
    rows.version.push(event.version);
    rows.account_ref.push(event.account_ref.clone());
    rows.name.push(event.name.clone());
    rows.kind.push(event.kind.map(enum_text));
    rows.parent_ref.push(event.parent_ref.clone());
    rows.terms_days.push(event.terms_days.map(i32::from));
    rows.currency
        .push(event.currency.map(|currency| currency.code().to_owned()));
    rows.email.push(event.email.clone());
    rows.phone.push(event.phone.clone());
    rows.segment.push(event.segment.clone());
    rows.department.push(event.department.clone());
    rows.principal.push(event.principal.clone());
    rows.recorded_at.push(event.recorded_at);
    rows.actor.push(event.actor.clone());
    rows.event_id.push(event_id);
}
