//! `account_recorded`: the ledger knows the debtor, or knows it better.

use chrono::{DateTime, Utc};
use contracts::{Prefix, allocation::AccountUpdated, ingestion::AccountRecorded};
use messaging::{Decided, Failure, Meta, Outgoing};

use super::State;
use crate::domain::{Account, Changes};

pub(super) fn decide(
    fact: &AccountRecorded,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    // An older version that comes late changes nothing.
    if state
        .books
        .accounts
        .get(&fact.account_id)
        .is_some_and(|known| known.version >= fact.version)
    {
        return Ok(());
    }
    let account = Account {
        id: fact.account_id,
        reference: fact.account_ref.clone(),
        version: fact.version,
        name: fact.name.clone(),
        segment: fact.segment.clone(),
    };
    state.books.accounts.insert(account.id, account.clone());
    put(decided, account);
    let event = AccountUpdated {
        account_id: fact.account_id,
        account_ref: fact.account_ref.clone(),
        version: fact.version,
        name: fact.name.clone(),
        kind: Some(fact.kind),
        parent_ref: fact.parent_ref.clone(),
        terms_days: fact.terms_days,
        currency: Some(fact.currency),
        email: fact.email.clone(),
        phone: fact.phone.clone(),
        address: fact.address.clone(),
        segment: fact.segment.clone(),
        department: fact.department.clone(),
        principal: fact.principal.clone(),
        debtors: fact.debtors.clone(),
        recorded_at: now,
        actor: fact.actor.clone(),
    };
    decided.events.push(Outgoing::new(
        &event,
        fact.account_id.as_uuid(),
        fact.version,
        prefix,
        now,
        cause,
    )?);
    Ok(())
}

/// The account row to write; a batch may change one account more than once, and
/// the last one counts.
pub(super) fn put(decided: &mut Decided<Changes>, account: Account) {
    match decided
        .changes
        .accounts
        .iter_mut()
        .find(|a| a.id == account.id)
    {
        Some(row) => *row = account,
        None => decided.changes.accounts.push(account),
    }
}
