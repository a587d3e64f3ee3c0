//! What is asked of a second person. Worklist keeps the request and decides it;
//! here is only what is frozen and sent.

use chrono::{DateTime, Utc};
use contracts::controls::{ApprovalId, ApprovalKind, ApprovalRequested, frozen};
use kernel::{AccountId, Money, london_date};
use serde_json::Value;
use uuid::Uuid;

use super::policy;

/// What is asked for, by whom and why.
pub struct Ask<'a> {
    pub kind: ApprovalKind,
    pub subject: Uuid,
    /// In one line, for a list.
    pub title: String,
    /// What the approver's limit is held against.
    pub amount: Money,
    pub account: Option<AccountId>,
    pub account_ref: Option<&'a str>,
    pub content: Value,
    /// Different people at least; worklist may want more.
    pub needed: u8,
    pub requester: &'a str,
    pub reason: &'a str,
}

/// Freezes what is asked for.
pub fn requested(ask: Ask<'_>, now: DateTime<Utc>) -> ApprovalRequested {
    let (_, content_sha256) = frozen(&ask.content);
    ApprovalRequested {
        approval_id: ApprovalId::generate(),
        kind: ask.kind,
        subject_id: ask.subject,
        title: ask.title,
        amount: ask.amount.abs(),
        account_id: ask.account,
        account_ref: ask.account_ref.map(str::to_owned),
        content_sha256,
        needed: ask.needed,
        requester: ask.requester.to_owned(),
        reason: ask.reason.to_owned(),
        expires_at: now + policy::pending_for(london_date(now)),
        recorded_at: now,
        content: Some(ask.content),
    }
}
