//! Dunning runs.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Page, PageRequest, call, controls::Person},
    controls::ApprovalId,
    dunning::{
        Channel, ChaseReason, ContactId, ProviderDown, RunId, RunKind, RunState, RunTally,
        StatementExclusion,
    },
    names::names,
};

/// Whom a run looks at: everybody when all of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunScope {
    /// Names of policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// Whose debts they are: names of principals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<String>,
    /// References of accounts, at most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
}

/// Works out whom to contact. Nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposeRun {
    pub command_id: CommandId,
    /// Reminders when absent.
    #[serde(default, skip_serializing_if = "RunKind::is_reminders")]
    pub kind: RunKind,
    /// The London day that the rules look from: today when absent, never after
    /// it, and never before that of a later run (E57).
    #[serde(default)]
    pub as_of: Option<NaiveDate>,
    /// What a list calls it.
    pub title: String,
    #[serde(default)]
    pub scope: RunScope,
    pub reason: String,
    pub person: Person,
}

call!(ProposeRun => Dunning."run"."propose" -> RunView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRun {
    pub run_id: RunId,
}

call!(GetRun => Dunning."run"."get" -> RunView);

/// Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRuns {
    /// All when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<RunKind>,
    #[serde(default)]
    pub page: PageRequest,
}

call!(ListRuns => Dunning."run"."list" -> Page<RunView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DunningRunView")]
pub struct RunView {
    pub run_id: RunId,
    pub version: i64,
    #[serde(default, skip_serializing_if = "RunKind::is_reminders")]
    pub kind: RunKind,
    pub state: RunState,
    pub as_of: NaiveDate,
    pub title: String,
    pub scope: RunScope,
    /// How much of the accounts is worked out, in percent, while it is proposing.
    pub progress: u8,
    /// Accounts that would be or were contacted.
    pub contacts: i64,
    pub amounts: Vec<Money>,
    /// Every overdue item once.
    pub tally: Vec<RunTally>,
    /// Overdue items without a reason: nothing, or something is wrong.
    pub unclassified: i64,
    /// Accounts by where their contact stands.
    pub states: Vec<RunCount>,
    /// Of a statement run: accounts without one, by why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<ExcludedCount>,
    pub content_sha256: Option<String>,
    pub approval_id: Option<ApprovalId>,
    pub requester: String,
    pub approver: Option<String>,
    pub reason: String,
    /// Hours since the bank feed that is longest silent was heard of.
    pub feed_age_hours: Option<u32>,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// It is being sent, and its provider takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<ProviderDown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCount {
    pub state: RunAccountState,
    pub channel: Option<Channel>,
    pub accounts: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExcludedCount {
    pub reason: StatementExclusion,
    pub accounts: i64,
}

names! {
    /// Where the contact of an account in a run stands.
    RunAccountState {
        /// Nothing of it is chased.
        Excluded = "excluded",
        Proposed = "proposed",
        /// Taken out by a person.
        Removed = "removed",
        /// Approved, and its turn has not come.
        Queued = "queued",
        Claimed = "claimed",
        Sent = "sent",
        /// At the last moment it was not owed any more.
        Recalled = "recalled",
        Failed = "failed",
    }
}

/// The accounts of a run, in the order of their references' ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListRunAccounts {
    pub run_id: RunId,
    #[serde(default)]
    pub state: Option<RunAccountState>,
    /// Those with an item that has this reason.
    #[serde(default)]
    pub reason: Option<ChaseReason>,
    /// Those without a statement for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<StatementExclusion>,
    #[serde(default)]
    pub page: PageRequest,
}

call!(ListRunAccounts => Dunning."run"."accounts" -> Page<RunAccount>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunAccount {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub state: RunAccountState,
    pub policy: Option<String>,
    pub stage: Option<String>,
    pub template: Option<String>,
    pub channel: Option<Channel>,
    pub amounts: Vec<Money>,
    pub items: Vec<RunItem>,
    /// What a person changed, or why it was recalled.
    pub note: Option<String>,
    /// A sentence that a person added.
    pub sentence: Option<String>,
    pub contact_id: Option<ContactId>,
    /// Since the run before it: what is new in this one, in words.
    pub changes: Vec<String>,
    /// Why it gets no statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<StatementExclusion>,
    /// In whose name it is written, if not the firm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_name_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub reason: ChaseReason,
    pub chaseable: Money,
    pub stage: Option<String>,
    pub next_stage: Option<String>,
    /// Of a statement: what is open of it; negative for a credit note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<Money>,
}

/// A change to a proposal. It freezes anew what is to be approved, and takes a
/// request back that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditRun {
    pub command_id: CommandId,
    pub run_id: RunId,
    pub account_id: AccountId,
    pub edit: RunEdit,
    pub reason: String,
    pub person: Person,
}

call!(EditRun => Dunning."run"."edit" -> RunAccount);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "edit")]
pub enum RunEdit {
    /// This account is not contacted by this run.
    Remove,
    /// It is again.
    Restore,
    /// Another way to reach them.
    Channel { channel: Channel },
    /// One more sentence in the letter; none when empty.
    Sentence { text: String },
}

/// A step of the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRun {
    pub command_id: CommandId,
    pub run_id: RunId,
    /// The version that the person looked at, if they did.
    #[serde(default)]
    pub version: Option<i64>,
    pub step: RunStep,
    pub reason: String,
    pub person: Person,
}

call!(StepRun => Dunning."run"."step" -> RunView);

names! {
    #[schemars(rename = "DunningRunStep")]
    RunStep {
        /// Ask a second person.
        Request = "request",
        /// Take the request back.
        Withdraw = "withdraw",
        Pause = "pause",
        Resume = "resume",
        /// Nothing more is sent of it.
        Cancel = "cancel",
    }
}

/// The statement of an account of a run: as it would be now, or as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewRunAccount {
    pub run_id: RunId,
    pub account_id: AccountId,
}

call!(PreviewRunAccount => Dunning."run"."preview" -> RunPreview);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPreview {
    pub run_id: RunId,
    pub account_id: AccountId,
    /// These bytes were sent or printed, and nothing else.
    pub sent: bool,
    /// `application/pdf`, or `message/rfc822` of an e-mail that was sent.
    pub media_type: String,
    pub content_base64: String,
    /// SHA-256 (hex) of the content.
    pub sha256: String,
}
