//! `case_changed`: a query stops its amount, from the day that it was raised; a
//! suspicion stops nothing. Who was right owes no charge for not having paid (E68).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix, Role, catalogue,
    disputes::{CaseChanged, CaseItem, CaseKind, CaseState, Resolution},
    dunning::ChargeState,
};
use kernel::{MoneyError, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Raw, Tx};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    judge,
    ledger::{is, kind},
};
use crate::{
    domain::stops::{Part, Stop, StopKind},
    serve::claims::put,
    store::{self, stops::Written},
};

/// Reads the cases.
pub(crate) struct Disputes {
    pub(crate) prefix: Prefix,
}

/// What a case stops now, given what it stopped before.
fn stop(case: &CaseChanged, before: Option<&Written>) -> Option<Written> {
    if case.kind == CaseKind::Complaint {
        return None;
    }
    let kind = match case.state {
        CaseState::Suspected => StopKind::Suspected,
        _ => StopKind::Query,
    };
    let holding: Vec<Part> = case
        .items
        .iter()
        .filter(|item| item.disputed.is_positive() || kind == StopKind::Suspected)
        .map(|item| Part {
            document: item.document_id,
            amount: Some(item.disputed),
        })
        .collect();
    let over = holding.is_empty() || matches!(case.state, CaseState::Resolved | CaseState::Closed);
    // What it was about is kept when it is over: its days are subtracted.
    let parts = match before {
        Some(before) if holding.is_empty() => before.stop.parts.clone(),
        _ => holding,
    };
    if parts.is_empty() {
        return None;
    }
    let was = before.map(|written| &written.stop);
    let kind = match (over, was) {
        (true, Some(was)) => was.kind,
        _ => kind,
    };
    // A suspicion that is confirmed stops from the day of the confirmation.
    let starts_on = match was {
        Some(was) if was.kind == kind && was.ended_on.is_none() => was.starts_on,
        Some(_) => london_date(case.since),
        None => london_date(case.raised_at),
    };
    Some(Written {
        account: case.account_id,
        version: case.version,
        stop: Stop {
            debtor: None,
            subject: case.case_id.as_uuid(),
            kind,
            parts,
            starts_on,
            ends_on: None,
            ended_on: over.then(|| london_date(case.since)),
        },
    })
}

/// What of an item they were right not to pay: what of it was settled otherwise
/// meanwhile was owed.
fn right(item: &CaseItem) -> Result<Decimal, MoneyError> {
    let left = item.original.checked_sub(item.paid)?;
    let left = left.checked_sub(item.cleared)?;
    Ok(left.checked_sub(item.written_off)?.amount())
}

/// What cases change.
#[derive(Default)]
pub(crate) struct Changes {
    stops: BTreeMap<Uuid, Written>,
    /// Those in which the debtor was right.
    upheld: Vec<(CaseChanged, Meta)>,
    at: Option<(DateTime<Utc>, Meta)>,
}

impl Consumer for Disputes {
    const STREAM: &'static str = catalogue::DISPUTES;
    type Message = CaseChanged;
    type State = BTreeMap<Uuid, Written>;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<CaseChanged>, Failure> {
        if !is::<CaseChanged>(kind(raw)?, Role::Disputes)? {
            return Ok(None);
        }
        Ok(Some(raw.json()?))
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<CaseChanged>],
    ) -> Result<BTreeMap<Uuid, Written>, Failure> {
        let ids: Vec<Uuid> = batch
            .iter()
            .map(|incoming| incoming.message.case_id.as_uuid())
            .collect();
        let known = store::stops::lock(tx.conn(), &ids).await?;
        Ok(known
            .into_iter()
            .map(|written| (written.stop.subject, written))
            .collect())
    }

    fn decide(
        &self,
        mut known: BTreeMap<Uuid, Written>,
        batch: &[Incoming<CaseChanged>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Self::Changes>, Failure> {
        let mut changes = Changes::default();
        for Incoming {
            message: case,
            meta,
        } in batch
        {
            let id = case.case_id.as_uuid();
            let before = known.get(&id);
            if before.is_some_and(|before| before.version >= case.version) {
                continue;
            }
            if let Some(written) = stop(case, before) {
                known.insert(id, written.clone());
                changes.stops.insert(id, written);
            }
            let over = matches!(case.state, CaseState::Resolved | CaseState::Closed);
            if over && case.resolution == Some(Resolution::Upheld) {
                changes.upheld.push((case.clone(), meta.clone()));
            }
        }
        changes.at = batch.last().map(|last| (now, last.meta.clone()));
        Ok(Decided {
            changes,
            ..Decided::default()
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        let stops: Vec<Written> = changes.stops.into_values().collect();
        store::stops::put(tx.conn(), &stops).await?;
        let mut accounts: Vec<_> = stops.iter().map(|written| written.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let Some((now, cause)) = changes.at else {
            return Ok(());
        };
        for (case, cause) in &changes.upheld {
            self.take_back(tx, case, now, cause).await?;
        }
        // What is in dispute is not expected of a plan (E90).
        judge::accounts(tx, &self.prefix, &accounts, now, &cause).await
    }
}

impl Disputes {
    /// Takes back what was charged for a document that was rightly not paid.
    async fn take_back(
        &self,
        tx: &mut Tx,
        case: &CaseChanged,
        now: DateTime<Utc>,
        cause: &Meta,
    ) -> Result<(), Failure> {
        let (mut documents, mut amounts) = (Vec::new(), Vec::new());
        for item in &case.items {
            documents.push(item.document_id.as_uuid());
            amounts.push(right(item).map_err(Failure::of)?);
        }
        for mut charge in store::claims::upheld(tx.conn(), &documents, &amounts).await? {
            let view = &mut charge.view;
            view.state = ChargeState::Reversed;
            view.version += 1;
            view.actor.clone_from(&case.actor);
            view.reason = format!("query {} was upheld", case.case_ref);
            view.changed_at = now;
            put(tx, &self.prefix, &charge, cause).await?;
        }
        Ok(())
    }
}
