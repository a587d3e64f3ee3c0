//! What waits for a second person, and refunds on their way.

use contracts::controls::{
    ApprovalDecided, ApprovalRequested, ApprovalState, RefundChanged, RefundState,
};
use kernel::AccountId;
use messaging::{Failure, Raw};

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

pub(super) fn requested(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let asked: ApprovalRequested = raw.json()?;
    let opening = Opening {
        subject_ref: asked.kind.name().replace('_', " "),
        detail: asked.title.clone(),
        account_id: asked.account_id.map(AccountId::as_uuid),
        account_ref: asked.account_ref.clone(),
        amount: Some(asked.amount),
        wanted: None,
        back_on: None,
        pause: None,
        starts_at: asked.recorded_at,
        since: asked.recorded_at,
        business_at: asked.recorded_at,
        related_id: None,
    };
    Ok(vec![Signal {
        kind: "approval_waiting",
        subject_id: asked.approval_id.as_uuid(),
        subject_version: 1,
        change: Change::Open(Box::new(opening)),
        actor: asked.requester,
        reason: asked.reason,
        at: asked.recorded_at,
    }])
}

pub(super) fn decided(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let decided: ApprovalDecided = raw.json()?;
    // The first of two leaves it waiting.
    if decided.state == ApprovalState::Pending {
        return Ok(Vec::new());
    }
    Ok(vec![Signal {
        kind: "approval_waiting",
        subject_id: decided.approval_id.as_uuid(),
        // The request has none; its decisions count from 1.
        subject_version: decided.version + 1,
        change: Change::Close,
        actor: decided.actor,
        reason: format!("{}: {}", decided.state.name(), decided.reason),
        at: decided.recorded_at,
    }])
}

pub(super) fn refund(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let refund: RefundChanged = raw.json()?;
    let next = match refund.state {
        RefundState::Approved => Some("verify the payee's bank details"),
        RefundState::Verified => Some("put it into a payment file"),
        RefundState::InPaymentFile => Some("send the payment file"),
        RefundState::Returned => Some("the payee's bank sent it back"),
        // A draft is its author's, what is submitted its approver's, what is sent
        // the bank's.
        _ => None,
    };
    let change = match next {
        None if refund.version <= 1 => return Ok(Vec::new()),
        None => Change::Close,
        Some(next) => Change::Open(Box::new(Opening {
            subject_ref: refund
                .reference
                .clone()
                .or_else(|| refund.payee_account.clone())
                .unwrap_or_default(),
            detail: next.to_owned(),
            account_id: refund.account_id.map(AccountId::as_uuid),
            account_ref: refund.account_ref.clone(),
            amount: Some(refund.amount),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: refund.recorded_at,
            since: refund.recorded_at,
            business_at: refund.recorded_at,
            related_id: None,
        })),
    };
    Ok(vec![Signal {
        kind: "refund_step",
        subject_id: refund.refund_id.as_uuid(),
        subject_version: refund.version,
        change,
        actor: refund.actor,
        reason: refund.reason,
        at: refund.recorded_at,
    }])
}
