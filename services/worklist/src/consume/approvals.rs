//! `approval_requested`, `approval_withdrawn`, `approval_carried_out`: requests
//! for a second person, and what became of what they were for. In any order: a
//! withdrawal may come before its request.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix,
    controls::{
        ApprovalCarriedOut, ApprovalId, ApprovalRequested, ApprovalWithdrawn, CarriedOutByDisputes,
        RequestedByDisputes, WithdrawnByDisputes,
    },
    dunning::{CarriedOutByDunning, RequestedByDunning, WithdrawnByDunning},
    ingestion::{CarriedOutByIngestion, RequestedByIngestion, WithdrawnByIngestion},
};
use messaging::{Failure, Outgoing, Raw, Tx};

use super::{Part, Said};
use crate::{
    domain::approvals::{self as rules, Approval, Heard},
    store,
};

/// What a service that needs a second person says.
pub(crate) enum Fact {
    Requested(ApprovalRequested),
    Withdrawn(ApprovalWithdrawn),
    CarriedOut(ApprovalCarriedOut),
}

impl Fact {
    fn id(&self) -> ApprovalId {
        match self {
            Self::Requested(fact) => fact.approval_id,
            Self::Withdrawn(fact) => fact.approval_id,
            Self::CarriedOut(fact) => fact.approval_id,
        }
    }

    /// What it says of a request that was made before.
    fn said(&self) -> Option<rules::Said> {
        match self {
            Self::Requested(_) => None,
            Self::Withdrawn(fact) => Some(rules::Said::Withdrawn {
                actor: fact.actor.clone(),
                reason: fact.reason.clone(),
            }),
            Self::CarriedOut(fact) => Some(rules::Said::CarriedOut {
                outcome: fact.outcome,
                reason: fact.reason.clone(),
                at: fact.recorded_at,
            }),
        }
    }
}

/// The requests that a batch is about.
#[derive(Default)]
pub(crate) struct State {
    known: BTreeMap<ApprovalId, Approval>,
    /// Said of requests that are not here yet.
    early: BTreeMap<ApprovalId, rules::Said>,
}

#[derive(Default)]
pub(crate) struct Changes {
    new: Vec<Approval>,
    changed: BTreeMap<ApprovalId, Approval>,
    early: Vec<ApprovalWithdrawn>,
    now: DateTime<Utc>,
}

pub(super) fn decode(kind: &str, raw: &Raw) -> Result<Option<Fact>, Failure> {
    // Whoever asks says it in the same words, on its own subjects.
    let is = |types: [String; 4]| types.iter().any(|one| kind == one.as_str());
    Ok(
        if is([
            ApprovalRequested::event_type(),
            RequestedByDisputes::event_type(),
            RequestedByDunning::event_type(),
            RequestedByIngestion::event_type(),
        ]) {
            Some(Fact::Requested(raw.json()?))
        } else if is([
            ApprovalWithdrawn::event_type(),
            WithdrawnByDisputes::event_type(),
            WithdrawnByDunning::event_type(),
            WithdrawnByIngestion::event_type(),
        ]) {
            Some(Fact::Withdrawn(raw.json()?))
        } else if is([
            ApprovalCarriedOut::event_type(),
            CarriedOutByDisputes::event_type(),
            CarriedOutByDunning::event_type(),
            CarriedOutByIngestion::event_type(),
        ]) {
            Some(Fact::CarriedOut(raw.json()?))
        } else {
            None
        },
    )
}

pub(super) async fn load(tx: &mut Tx, part: &Part<'_, Fact>) -> Result<State, Failure> {
    if part.is_empty() {
        return Ok(State::default());
    }
    let ids: Vec<ApprovalId> = part.iter().map(|(.., fact)| fact.id()).collect();
    let (known, early) = store::approvals::hold(tx.conn(), &ids).await?;
    Ok(State { known, early })
}

pub(super) fn decide(
    mut state: State,
    part: &Part<'_, Fact>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<Said<Changes>, Failure> {
    let mut said = Said::<Changes>::default();
    said.changes.now = now;
    let mut new: Vec<ApprovalId> = Vec::new();
    for (_, meta, fact) in part {
        let id = fact.id();
        let heard = match fact {
            Fact::Requested(request) => {
                if state.known.contains_key(&id) {
                    continue;
                }
                state.known.insert(id, rules::requested(request));
                new.push(id);
                state.early.remove(&id)
            }
            _ => fact.said(),
        };
        let Some(heard) = heard else {
            continue;
        };
        let Some(approval) = state.known.get_mut(&id) else {
            if let Fact::Withdrawn(fact) = fact {
                state.early.insert(id, heard);
                said.changes.early.push(fact.clone());
            }
            continue;
        };
        match approval.hear(&heard) {
            Heard::Nothing => continue,
            Heard::Done => {}
            Heard::Over => {
                let reason = approval.ended_because.clone().unwrap_or_default();
                said.events.push(Outgoing::new(
                    &approval.told(heard.actor(), &reason, now),
                    id.as_uuid(),
                    approval.version,
                    prefix,
                    now,
                    meta,
                )?);
            }
        }
        said.changes.changed.insert(id, approval.clone());
    }
    for id in new {
        if let Some(approval) = state.known.get(&id) {
            said.changes.new.push(approval.clone());
            said.changes.changed.remove(&id);
        }
    }
    if !said.changes.new.is_empty() || !said.changes.changed.is_empty() {
        said.notices.push("controls".to_owned());
    }
    Ok(said)
}

pub(super) async fn record(tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
    let conn = tx.conn();
    store::approvals::insert(conn, &changes.new).await?;
    for approval in changes.changed.values() {
        store::approvals::update(conn, approval, changes.now).await?;
    }
    for fact in &changes.early {
        store::approvals::withdraw_early(
            conn,
            fact.approval_id,
            &fact.actor,
            &fact.reason,
            changes.now,
        )
        .await?;
    }
    Ok(())
}
