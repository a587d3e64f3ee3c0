//! Queries, disputes and the credits that billing is asked for.

use contracts::disputes::{CaseChanged, CaseState, CreditRequested};
use messaging::{Failure, Raw};

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

const SUSPECTED: &str = "suspected_query";
const DISPUTE: &str = "dispute";
const CREDIT: &str = "credit_request";

pub(super) fn case(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let case: CaseChanged = raw.json()?;
    let signal = |kind, change| Signal {
        kind,
        subject_id: case.case_id.as_uuid(),
        subject_version: case.version,
        change,
        actor: case.actor.clone(),
        reason: case.reason.clone(),
        at: case.recorded_at,
    };
    let wanted = match case.state {
        CaseState::Suspected => Some(SUSPECTED),
        CaseState::Resolved | CaseState::Closed => None,
        _ => Some(DISPUTE),
    };
    // Its clock stands still only while the customer must answer, from when that
    // began; what the policy does not allow is asked for in vain.
    let pause = (case.state == CaseState::AwaitingCustomer).then(|| case.state.name().to_owned());
    let what = case.reason_code.as_deref().unwrap_or(case.kind.name());
    let opening = Opening {
        subject_ref: case.case_ref.clone(),
        detail: format!(
            "{}: {}, {} document{}",
            what.replace('_', " "),
            case.state.name().replace('_', " "),
            case.items.len(),
            if case.items.len() == 1 { "" } else { "s" }
        ),
        account_id: Some(case.account_id.as_uuid()),
        account_ref: Some(case.account_ref.clone()),
        amount: Some(case.disputed),
        wanted: case.processor.clone().or_else(|| case.coordinator.clone()),
        back_on: None,
        pause,
        starts_at: case.raised_at,
        since: case.since,
        business_at: case.raised_at,
        related_id: None,
    };
    let mut signals = Vec::new();
    for kind in [SUSPECTED, DISPUTE] {
        let change = if wanted == Some(kind) {
            Change::Open(Box::new(opening.clone()))
        } else if kind == DISPUTE && wanted.is_none() {
            Change::Close
        } else {
            Change::CloseIfThere
        };
        signals.push(signal(kind, change));
    }
    if case.state == CaseState::Closed {
        signals.push(signal(CREDIT, Change::CloseRelated));
    }
    Ok(signals)
}

pub(super) fn credit(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let asked: CreditRequested = raw.json()?;
    let opening = Opening {
        subject_ref: asked.case_ref.clone(),
        detail: format!("a credit note for {}", asked.document_ref),
        account_id: Some(asked.account_id.as_uuid()),
        account_ref: Some(asked.account_ref.clone()),
        amount: Some(asked.amount),
        wanted: None,
        back_on: None,
        pause: None,
        starts_at: asked.recorded_at,
        since: asked.recorded_at,
        business_at: asked.recorded_at,
        related_id: Some(asked.case_id.as_uuid()),
    };
    Ok(vec![Signal {
        kind: CREDIT,
        subject_id: asked.credit_request_id.as_uuid(),
        subject_version: 1,
        change: Change::Open(Box::new(opening)),
        actor: asked.actor,
        reason: asked.reason,
        at: asked.recorded_at,
    }])
}
