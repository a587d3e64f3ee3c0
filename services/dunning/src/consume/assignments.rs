//! What a second person said of a request that somebody has a policy.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::dunning::{AssignmentState, PolicyAssignment},
    controls::{ApprovalCarriedOut, ApprovalDecided, ApprovalState, CarriedOut, frozen},
    dunning::{CarriedOutByDunning, PolicyAssigned},
};
use kernel::london_date;
use messaging::{Failure, Meta, Outgoing, Tx};
use serde_json::json;

use crate::store;

/// What is frozen and approved.
pub(crate) fn content(one: &PolicyAssignment) -> serde_json::Value {
    json!({
        "to": one.to,
        "reference": one.reference,
        "policy": one.policy,
        "valid_from": one.valid_from,
    })
}

/// What is approved counts from its day, at the earliest from today.
pub(super) async fn decided(
    tx: &mut Tx,
    prefix: &Prefix,
    message: &ApprovalDecided,
    cause: &Meta,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let id = message.subject_id;
    let Some(mut one) = store::assignments::lock(tx.conn(), id).await? else {
        return Ok(());
    };
    // A decision counts only for the request that waits for it.
    if one.approval_id != Some(message.approval_id) || one.state != AssignmentState::Requested {
        return Ok(());
    }
    let (_, sha256) = frozen(&content(&one));
    let approved = message.state == ApprovalState::Approved;
    let is_done = approved && sha256 == message.content_sha256;
    let state = if is_done {
        AssignmentState::Assigned
    } else {
        AssignmentState::Rejected
    };
    store::assignments::decided(tx.conn(), id, state, &message.actor, now).await?;
    let mut events = Vec::new();
    if is_done {
        one.valid_from = one.valid_from.max(london_date(now));
        one.recorded_at = now;
        store::assignments::assign(tx.conn(), id, &one).await?;
        let event = PolicyAssigned {
            assignment_id: id,
            to: one.to,
            reference: one.reference,
            policy: one.policy,
            valid_from: one.valid_from,
            recorded_at: now,
            actor: message.actor.clone(),
            reason: one.reason,
            requested_by: Some(one.actor),
        };
        events.push(Outgoing::new(&event, id, 1, prefix, now, cause)?);
    }
    if approved {
        let done = CarriedOutByDunning(ApprovalCarriedOut {
            approval_id: message.approval_id,
            kind: message.kind,
            subject_id: id,
            account_ref: None,
            outcome: if is_done {
                CarriedOut::Done
            } else {
                CarriedOut::Voided
            },
            reason: (!is_done).then(|| "it has changed since".to_owned()),
            recorded_at: now,
        });
        let about = message.approval_id.as_uuid();
        events.push(Outgoing::new(&done, about, 2, prefix, now, cause)?);
    }
    tx.publish(&events).await
}
