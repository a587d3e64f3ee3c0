//! `matter_recorded` and `bank_account_designated`: the ledger knows the file,
//! or whose money a bank account holds.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    ingestion::{BankAccountDesignated, Designation, MatterRecorded},
    matters::MatterUpdated,
};
use kernel::london_date;
use messaging::{Decided, Failure, Meta, Outgoing};

use super::State;
use crate::domain::{
    Changes,
    legal::{Matter, files},
};

pub(super) fn decide(
    fact: &MatterRecorded,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let before = state.matters.get(&fact.matter_id);
    let Some((matter, steps)) = files::told(before, fact, london_date(now)) else {
        return Ok(());
    };
    let event = updated(&matter, &fact.actor, now);
    decided.events.push(Outgoing::new(
        &event,
        matter.id.as_uuid(),
        matter.version,
        prefix,
        now,
        cause,
    )?);
    let news = &mut decided.changes.legal;
    news.recorded_at = now;
    let steps = steps.into_iter().map(|step| (matter.id, step));
    news.statuses.extend(steps);
    // A batch may change one matter more than once, and the last counts.
    news.matters.retain(|known| known.id != matter.id);
    news.matters.push(matter.clone());
    state.matters.insert(matter.id, matter);
    Ok(())
}

pub(super) fn designated(
    fact: &BankAccountDesignated,
    state: &mut State,
    decided: &mut Decided<Changes>,
) {
    match fact.designation {
        Designation::Client => state
            .books
            .client_accounts
            .insert(fact.bank_account.clone()),
        Designation::Business => state.books.client_accounts.remove(&fact.bank_account),
    };
    decided.changes.legal.designated.push(fact.clone());
}

/// The ledger's view of a matter.
pub(crate) fn updated(matter: &Matter, actor: &str, now: DateTime<Utc>) -> MatterUpdated {
    MatterUpdated {
        matter_id: matter.id,
        matter_ref: matter.reference.clone(),
        version: matter.version,
        account_id: matter.account_id,
        account_ref: matter.account_ref.clone(),
        title: matter.title.clone(),
        fee_earner: matter.fee_earner.clone(),
        opened_on: matter.opened_on,
        concluded_on: matter.concluded_on,
        closed_on: matter.closed_on,
        status: matter.status,
        status_on: matter.status_on,
        recorded_at: now,
        actor: actor.to_owned(),
    }
}
