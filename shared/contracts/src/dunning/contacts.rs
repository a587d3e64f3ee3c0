//! Runs, and everything that was said to debtors and by them.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ContactId, RunId};
use crate::{Event, Role, names::names};

names! {
    /// Why an overdue item is chased or not: each has exactly one, the first that
    /// holds in this order.
    ChaseReason {
        /// Nothing of it is owed, or more is owed to the debtor (E50).
        NothingOwed = "nothing_owed",
        /// A hold stops it: which kind, its own field says.
        OnHold = "on_hold",
        /// With a solicitor, a court or an agency.
        WithLegal = "with_legal",
        OnPlan = "on_plan",
        Promised = "promised",
        InQuery = "in_query",
        /// A Direct Debit will collect it on a known day (E77).
        DirectDebitWillCollect = "direct_debit_will_collect",
        /// Cash that is not allocated yet seems to pay it (E49).
        CashLikelyTheirs = "cash_likely_theirs",
        /// A credit note that is not used yet covers it.
        CreditUnused = "credit_unused",
        /// A bank feed is older than the policy bears.
        FeedStale = "feed_stale",
        /// The clock of the next stage has not run out.
        Waiting = "waiting",
        /// Every stage is done: a person decides what follows.
        LastStageDone = "last_stage_done",
        /// An open run has it already.
        InRun = "in_run",
        BelowMinimum = "below_minimum",
        /// Within the contact budget of the debtor, or cooling off after a stop.
        ContactedRecently = "contacted_recently",
        /// No way to reach them is known, or all have failed, or are not wanted
        /// (E66, E67): a person looks for another.
        NoAddress = "no_address",
        /// The letter needs forms enclosed of which none is in force.
        EnclosuresMissing = "enclosures_missing",
        /// No policy says what to do.
        NoPolicy = "no_policy",
        ChaseNow = "chase_now",
        /// Nothing explains it and it was never asked about: the first contact
        /// confirms or clears it. Chased, by a person.
        SuspectedQuery = "suspected_query",
        /// On a statement only: it is open, and its day has not come.
        NotDue = "not_due",
    }
}

names! {
    /// How somebody is reached.
    Channel {
        Email = "email",
        Letter = "letter",
        Phone = "phone",
        Visit = "visit",
    }
}

names! {
    Direction {
        Out = "out",
        In = "in",
    }
}

names! {
    /// What a run makes for each account.
    #[schemars(rename = "DunningRunKind")]
    #[derive(Default)]
    RunKind {
        /// The contact of the next stage.
        #[default]
        Reminders = "reminders",
        /// What is open, due or not: moves no stage.
        Statement = "statement",
        /// What is overdue and asked for, in red: moves no stage.
        RedStatement = "red_statement",
    }
}

impl RunKind {
    pub fn is_reminders(&self) -> bool {
        *self == Self::Reminders
    }
}

names! {
    /// Why an account gets no statement by a run: exactly one, the first that
    /// holds in this order.
    StatementExclusion {
        /// Nothing is open, or more is owed to them.
        NothingOwed = "nothing_owed",
        /// Everything open is under a hold: insolvency, breathing space, a death.
        OnHold = "on_hold",
        /// Everything open is with a solicitor, a court or an agency.
        WithLegal = "with_legal",
        /// Somebody said that only a person may contact them.
        OnlyByPerson = "only_by_person",
        /// Everything that could stand in it is in query.
        OnlyInQuery = "only_in_query",
        /// Everything is promised, on plan, in query, or being collected.
        NothingAskedFor = "nothing_asked_for",
        NothingOverdue = "nothing_overdue",
        /// Something is overdue, and neither for so long nor for so many
        /// statements that a red one follows.
        NotRedYet = "not_red_yet",
        BelowMinimum = "below_minimum",
        /// There was one for the same period.
        HadOne = "had_one",
        /// Another run of the kind is not over, and has one for them.
        InRun = "in_run",
        /// A bank feed is older than the policy bears.
        FeedStale = "feed_stale",
        /// Every address came back, or they do not want to be written to.
        WayShut = "way_shut",
        NoAddress = "no_address",
        /// Within the contact budget of the debtor.
        ContactedRecently = "contacted_recently",
    }
}

names! {
    #[schemars(rename = "DunningRunState")]
    RunState {
        /// Being worked out, by ranges of accounts.
        Proposing = "proposing",
        /// Worked out and frozen; people may still edit, which freezes it anew.
        Proposed = "proposed",
        /// A second person is asked.
        Requested = "requested",
        Approved = "approved",
        Sending = "sending",
        Paused = "paused",
        /// Everything is sent, recalled or failed.
        Sent = "sent",
        Rejected = "rejected",
        Cancelled = "cancelled",
    }
}

/// How many items and accounts of a run have a reason, and what they come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunTally {
    pub reason: ChaseReason,
    pub items: i64,
    pub accounts: i64,
    pub amount: Money,
}

/// A run came a step further.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunChanged {
    pub run_id: RunId,
    pub version: i64,
    #[serde(default, skip_serializing_if = "RunKind::is_reminders")]
    pub kind: RunKind,
    pub state: RunState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RunState>,
    pub as_of: NaiveDate,
    /// In one line, for a list.
    pub title: String,
    /// Accounts that would be or were contacted.
    pub contacts: i64,
    /// One sum for each currency.
    pub amounts: Vec<Money>,
    pub tally: Vec<RunTally>,
    /// SHA-256 (hex) of the frozen proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
    /// It is being sent, and its provider takes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<ProviderDown>,
}

/// A provider that takes nothing: what was to be handed over waits, and goes on by
/// itself when it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderDown {
    pub since: DateTime<Utc>,
    /// What it answered last.
    pub answer: String,
    /// When it is asked again; nothing where none is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<DateTime<Utc>>,
}

impl Event for RunChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "run_changed";

    fn partition_key(&self) -> &'static str {
        "run"
    }
}

names! {
    ContactState {
        /// Nobody else will send it; not handed over yet.
        Claimed = "claimed",
        Sent = "sent",
        /// Printed and not posted yet (E66).
        Printed = "printed",
        Posted = "posted",
        Delivered = "delivered",
        /// The provider did not say whether it took it: neither sent again nor
        /// counted as a stage until a person knows (E65).
        Unknown = "unknown",
        /// Not sent: what it claimed was not owed any more at the last moment.
        Recalled = "recalled",
        Failed = "failed",
        /// Came back for good.
        Bounced = "bounced",
        /// "Gone away", "no longer here" (E66).
        GoneAway = "gone_away",
        /// A call or visit that is to be done.
        Todo = "todo",
        /// It was said: a call made, a message received.
        Done = "done",
    }
}

/// A document that a contact was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    /// The stage that the contact is for this document, such as `reminder`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What was claimed: never above what could be chased at that moment.
    pub amount: Money,
}

/// A debtor was contacted, or contacted us; or something came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactChanged {
    pub contact_id: ContactId,
    pub version: i64,
    pub direction: Direction,
    pub channel: Channel,
    pub state: ContactState,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors; the account as a whole when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The highest stage among its documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ContactItem>,
    /// One sum for each currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<Money>,
    /// SHA-256 (hex) of what was sent, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_sha256: Option<String>,
    /// What came of it, such as `promise` or `no_answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What is next, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_on: Option<NaiveDate>,
    /// When it happened, by the business clock.
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ContactChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "contact_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
