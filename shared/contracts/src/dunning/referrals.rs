//! Hand-over to solicitors and agencies, and the limitation of debts.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ReferralId;
use crate::{Event, Role, names::names};

names! {
    ReferralState {
        /// The letter of claim is sent; its clock runs.
        WaitingForReply = "waiting_for_reply",
        /// They answered: what they asked for has its own clock.
        ReplyReceived = "reply_received",
        /// No agreement was reached or one was broken: last notice is given.
        NoticeGiven = "notice_given",
        /// Every clock has run out.
        ReadyToRefer = "ready_to_refer",
        /// A second person is asked.
        Requested = "requested",
        Referred = "referred",
        /// Principal and interest are paid, costs are not (E76).
        CostsOnly = "costs_only",
        Recalled = "recalled",
        WriteOffProposed = "write_off_proposed",
        Closed = "closed",
    }
}

names! {
    /// Which rules come before a claim.
    PreActionLaw {
        /// Pre-Action Protocol for Debt Claims: individuals and sole traders.
        Protocol = "protocol",
        /// Practice Direction on Pre-Action Conduct: everybody else.
        PracticeDirection = "practice_direction",
    }
}

names! {
    /// What a reply to the letter of claim says.
    ReplyKind {
        Admits = "admits",
        Disputes = "disputes",
        AsksTime = "asks_time",
        /// They are seeking debt advice.
        TakesAdvice = "takes_advice",
        AsksDocuments = "asks_documents",
        /// The form is filled in partly: they are to be contacted.
        Partial = "partial",
    }
}

names! {
    ReferredTo {
        Solicitor = "solicitor",
        Agency = "agency",
    }
}

names! {
    RecallReason {
        Paid = "paid",
        /// To us and not to the agency (E75).
        PaidDirect = "paid_direct",
        Dispute = "dispute",
        BreathingSpace = "breathing_space",
        Insolvency = "insolvency",
        /// We wish so.
        Creditor = "creditor",
    }
}

/// A document of a referral, and what of it is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferredDocument {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub open: Money,
}

/// What is left to be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralLeft {
    pub principal: Money,
    /// Interest and compensation that are posted.
    pub interest: Money,
    /// Costs, whether posted or a memo yet.
    pub costs: Money,
}

/// A referral is new, or something came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralChanged {
    pub referral_id: ReferralId,
    pub version: i64,
    pub state: ReferralState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ReferralState>,
    pub law: PreActionLaw,
    pub account_id: AccountId,
    pub account_ref: String,
    pub documents: Vec<ReferredDocument>,
    pub left: ReferralLeft,
    /// A stop covers it: nothing may be done, and who has it must stop too (E73).
    pub stopped: bool,
    /// The last day of the clock that runs, as it looks now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_until: Option<NaiveDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referred_to: Option<ReferredTo>,
    /// The name of the firm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled_because: Option<RecallReason>,
    /// SHA-256 (hex) of the pack that was handed over, or is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack_sha256: Option<String>,
    /// What a person does next; nothing while it waits by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ReferralChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "referral_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

names! {
    LimitationState {
        /// Its last day comes near.
        Warned = "warned",
        /// Its last day is past: no claim can be made.
        Barred = "barred",
        /// It was settled, or a payment or an acknowledgment began it anew.
        Lifted = "lifted",
    }
}

/// The last day on which a claim can be made for a document comes near, is past,
/// or has moved away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitationChanged {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub version: i64,
    pub state: LimitationState,
    pub account_id: AccountId,
    pub account_ref: String,
    pub open: Money,
    /// The last day on which a claim can be made.
    pub last_on: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for LimitationChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "limitation_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
