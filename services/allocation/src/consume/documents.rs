//! `document_recorded`: a document is on the ledger.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    allocation::{AccountUpdated, DocumentPosted},
    ingestion::DocumentRecorded,
};
use messaging::{Decided, Failure, Meta, Outgoing};

use super::{State, accounts};
use crate::domain::{Account, Changes, arrival, ledger};

pub(super) fn decide(
    fact: &DocumentRecorded,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if !state.known_documents.insert(fact.document_id) {
        return Ok(());
    }
    if !state.books.accounts.contains_key(&fact.account_id) {
        mention(fact, cause, state, decided, prefix, now)?;
    }
    let item = arrival::item(fact);
    let amount = item.amount;
    decided.changes.entries.push(ledger::billed(&item, now));
    decided.changes.new_items.push(item.clone());
    if let Some(matter) = &fact.matter_ref {
        let of = (fact.document_id, matter.clone());
        decided.changes.legal.documents.push(of);
    }
    state.books.add(item);
    let event = DocumentPosted {
        document_id: fact.document_id,
        document_ref: fact.document_ref.clone(),
        kind: fact.kind,
        account_id: fact.account_id,
        account_ref: fact.account_ref.clone(),
        matter_ref: fact.matter_ref.clone(),
        issued_on: fact.issued_on,
        due_on: fact.due_on,
        amount,
        payment_reference: fact.payment_reference.clone(),
        recorded_at: now,
        actor: fact.actor.clone(),
    };
    decided.events.push(Outgoing::new(
        &event,
        fact.document_id.as_uuid(),
        1,
        prefix,
        now,
        cause,
    )?);
    Ok(())
}

/// A document may come before its account (early facts are tolerated): the
/// account is then on the ledger under its reference, until billing sends it.
fn mention(
    fact: &DocumentRecorded,
    cause: &Meta,
    state: &mut State,
    decided: &mut Decided<Changes>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let account = Account {
        id: fact.account_id,
        reference: fact.account_ref.clone(),
        version: 0,
        name: fact.account_ref.clone(),
        segment: None,
    };
    let event = AccountUpdated {
        account_id: account.id,
        account_ref: account.reference.clone(),
        version: 0,
        name: account.name.clone(),
        kind: None,
        parent_ref: None,
        terms_days: None,
        currency: None,
        email: None,
        phone: None,
        address: None,
        segment: None,
        department: None,
        principal: None,
        debtors: None,
        recorded_at: now,
        actor: fact.actor.clone(),
    };
    decided.events.push(Outgoing::new(
        &event,
        account.id.as_uuid(),
        0,
        prefix,
        now,
        cause,
    )?);
    state.books.accounts.insert(account.id, account.clone());
    accounts::put(decided, account);
    Ok(())
}
