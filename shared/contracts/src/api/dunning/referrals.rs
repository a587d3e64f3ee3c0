//! Hand-over to solicitors and agencies.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    api::{Page, PageRequest, call, controls::Person},
    controls::ApprovalId,
    dunning::{
        ChargeId, ContactId, ContactState, LimitationState, PreActionLaw, RecallReason, ReferralId,
        ReferralLeft, ReferralState, ReferredDocument, ReferredTo, ReplyKind,
    },
};

/// Where an account stands on the way to a court.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetLegal {
    pub account_id: AccountId,
}

call!(GetLegal => Dunning."legal"."get" -> LegalView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegalView {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub law: PreActionLaw,
    /// Overdue documents, the oldest first.
    pub documents: Vec<LegalDocument>,
    /// The newest first.
    pub referrals: Vec<ReferralView>,
}

/// An overdue document, and whether a referral may begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegalDocument {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub open: Money,
    /// The letter of claim or before action that was sent last about it.
    pub letter: Option<ClaimLetter>,
    /// The last day on which a claim can be made, and from what it is counted.
    pub limitation_on: NaiveDate,
    pub limitation_basis: String,
    /// Nothing while it is far away.
    pub limitation: Option<LimitationState>,
    /// Why no referral may begin with it now.
    pub why_not: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClaimLetter {
    pub contact_id: ContactId,
    pub stage: String,
    pub state: ContactState,
    pub on: NaiveDate,
    /// Of what was sent, byte for byte.
    pub content_sha256: Option<String>,
    /// To whom it went, of those who owe it together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
}

/// Begins the legal stage after a letter of claim or before action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenReferral {
    pub command_id: CommandId,
    pub account_id: AccountId,
    /// Every document that may be in it when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    /// The day that the letter was posted, where the ledger knows only that it
    /// was printed (E66).
    #[serde(default)]
    pub posted_on: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}

call!(OpenReferral => Dunning."referral"."open" -> ReferralView);

/// What is done with a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ReferralStep {
    /// They replied. `until`: more time than the rules give was agreed.
    Reply {
        kind: ReplyKind,
        received_on: NaiveDate,
        #[serde(default)]
        until: Option<NaiveDate>,
    },
    /// The documents that they asked for were sent.
    DocumentsSent { on: NaiveDate },
    /// Notice of the claim was given, because no agreement was reached or one was
    /// broken.
    Notice { on: NaiveDate },
    /// These documents are in it no more.
    LeaveOut { documents: Vec<DocumentId> },
    /// Asks a second person to hand it over.
    Request {
        to: ReferredTo,
        /// The name of the firm.
        handler: String,
        /// What was agreed with it, such as its commission.
        #[serde(default)]
        terms: Option<String>,
    },
    /// Takes the request back.
    Withdraw,
    /// Takes it back from the firm.
    Recall { why: RecallReason },
    /// The firm was told what was to be told.
    Told,
    /// A cost of it: a memo, or posted as a charge at once.
    AddCosts {
        amount: Money,
        what: String,
        #[serde(default)]
        post: bool,
    },
    /// Posts a cost that was a memo.
    PostCosts { cost_id: Uuid },
    /// What is left is not worth more: somebody who may gives it up.
    ProposeWriteOff,
    /// Nothing more is done by this way.
    Close,
}

/// Takes a step with a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReferral {
    pub command_id: CommandId,
    pub referral_id: ReferralId,
    /// The version that was seen; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: ReferralStep,
    pub reason: String,
    pub person: Person,
}

call!(StepReferral => Dunning."referral"."step" -> ReferralView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetReferral {
    pub referral_id: ReferralId,
}

call!(GetReferral => Dunning."referral"."get" -> ReferralView);

/// Referrals, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListReferrals {
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub state: Option<ReferralState>,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListReferrals => Dunning."referral"."list" -> Page<ReferralView>);

/// A referral as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralView {
    pub referral_id: ReferralId,
    pub version: i64,
    pub state: ReferralState,
    pub account_id: AccountId,
    pub account_ref: String,
    pub law: PreActionLaw,
    pub documents: Vec<ReferredDocument>,
    pub left: ReferralLeft,
    pub letters: Vec<ClaimLetter>,
    pub clocks: Vec<ClockView>,
    /// What stops it now, in words.
    pub stopped_by: Vec<String>,
    /// Those who owe it together; nobody where the account owes alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debtors: Vec<DebtorBeforeClaim>,
    pub replies: Vec<ReplyView>,
    pub notice_on: Option<NaiveDate>,
    /// What a person does next.
    pub next_step: Option<String>,
    /// What the firm is still to be told.
    pub to_tell: Vec<String>,
    pub referred_to: Option<ReferredTo>,
    pub handler: Option<String>,
    pub terms: Option<String>,
    pub referred_on: Option<NaiveDate>,
    pub approval_id: Option<ApprovalId>,
    pub approver: Option<String>,
    pub recalled_because: Option<RecallReason>,
    pub costs: Vec<CostView>,
    pub packs: Vec<PackView>,
    /// The one that was handed over, or is asked for.
    pub pack_sha256: Option<String>,
    /// What is unusual about it: said, not refused.
    pub warnings: Vec<String>,
    /// The newest first.
    pub history: Vec<ReferralNote>,
}

/// One of those who owe it together, on the way to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebtorBeforeClaim {
    pub debtor_ref: String,
    /// The last of their letters of claim or before action about it.
    pub letter_on: Option<NaiveDate>,
    /// The last day to reply to it; nothing while that is not known.
    pub reply_until: Option<NaiveDate>,
    /// Why no step is taken against them, in words; empty when one may be.
    pub not_against: Vec<String>,
}

/// A clock of the rules before a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClockView {
    /// Such as `reply` or `notice`.
    pub code: String,
    pub title: String,
    pub from: NaiveDate,
    pub days: i64,
    /// Days on which it stood still so far.
    pub paused_days: i64,
    pub days_left: i64,
    /// Its last day; nothing while it stands still with no known end.
    pub last_on: Option<NaiveDate>,
    pub is_over: bool,
    /// Where the number of days stands.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyView {
    pub kind: ReplyKind,
    pub received_on: NaiveDate,
    /// Of documents that were asked for.
    pub documents_sent_on: Option<NaiveDate>,
    /// The last day for us to send them.
    pub documents_due_on: Option<NaiveDate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostView {
    pub cost_id: Uuid,
    pub what: String,
    pub amount: Money,
    pub on: NaiveDate,
    /// Nothing while it is a memo.
    pub charge_id: Option<ChargeId>,
    pub charge_ref: Option<String>,
}

/// What was handed over, or is to be: kept byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackView {
    pub sha256: String,
    pub bytes: i64,
    pub made_at: DateTime<Utc>,
    pub files: Vec<PackFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackFile {
    pub name: String,
    pub bytes: i64,
    pub sha256: String,
    pub what: String,
}

/// What happened to a referral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralNote {
    pub version: i64,
    pub state: ReferralState,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

/// A part of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetPack {
    pub referral_id: ReferralId,
    pub sha256: String,
    /// The first byte that is wanted.
    #[serde(default)]
    pub offset: i64,
}

call!(GetPack => Dunning."referral"."pack" -> PackPart);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackPart {
    pub name: String,
    /// Of the whole.
    pub size: i64,
    pub base64: String,
}

/// A written and signed acknowledgment of debts: limitation begins anew
/// (Limitation Act 1980 s.29).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AcknowledgeDebt {
    pub command_id: CommandId,
    pub account_id: AccountId,
    pub documents: Vec<DocumentId>,
    pub signed_on: NaiveDate,
    /// Who signed.
    pub signed_by: String,
    /// Where the paper is.
    #[serde(default)]
    pub reference: Option<String>,
    pub reason: String,
    pub person: Person,
}

call!(AcknowledgeDebt => Dunning."limitation"."acknowledge" -> LegalView);
