//! `debt_adjusted`: debts of an account that changed without cash.

use std::collections::BTreeSet;

use contracts::allocation::DebtAdjusted;
use uuid::Uuid;

use crate::store::facts::{Facts, Said};

pub(super) fn add(
    facts: &mut Facts,
    accounts: &mut BTreeSet<Uuid>,
    event_id: Uuid,
    event: &DebtAdjusted,
) {
    accounts.insert(event.account_id.as_uuid());
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    for line in &event.lines {
        facts.adjustments.push(said, line);
    }
}
