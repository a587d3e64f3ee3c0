//! Contacts that people write down, and which ways reach a debtor.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Page, PageRequest, call, controls::Person, dunning::PromiseTerms},
    dunning::{
        Channel, ContactId, ContactItem, ContactOutcome, ContactState, ContactWay, Direction,
        HoldId, HoldKind, PromiseId, RunId,
    },
};

/// Writes down a contact with a debtor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordContact {
    pub command_id: CommandId,
    pub account_id: AccountId,
    /// A call or visit that was to be done and is done now; a letter or e-mail
    /// that came back; or an earlier contact whose next step this was.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// Which of the joint debtors it was with. Needed where the outcome is about
    /// a way to them; what is told counts for everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    pub direction: Direction,
    /// A visit is also somebody met in person.
    pub channel: Channel,
    /// Needed of calls and visits. A letter or e-mail that came in is read later
    /// when absent: what it seems to mean is a proposal only.
    #[serde(default)]
    pub outcome: Option<ContactOutcome>,
    /// With its day, needed after a call or visit of ours; or why nothing follows.
    /// Neither is, where the outcome says what is next or a promise is taken.
    #[serde(default)]
    pub next_step: Option<String>,
    #[serde(default)]
    pub next_on: Option<NaiveDate>,
    #[serde(default)]
    pub none_because: Option<String>,
    /// What they promised in it: only with the outcome `promised`. Taken with the
    /// contact or refused with it.
    #[serde(default)]
    pub promise: Option<PromiseTerms>,
    /// Those that it was about, at most 500; those promised when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    /// When it happened; now when absent, never after it.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
    /// What was said, at most 2000 characters. It stays in the service and can be
    /// erased.
    #[serde(default)]
    pub note: Option<String>,
    pub person: Person,
}

call!(RecordContact => Dunning."contact"."record" -> ContactView);

/// What a person says of a contact that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ContactStep {
    /// Nobody knew whether it had been sent: it had (E65).
    Sent,
    /// It was not sent, or not posted: its stage does not count.
    NotSent,
    /// What was printed is posted (E66).
    Posted,
    /// It came back: bounced, or gone away. The address is unusable from now on.
    CameBack,
    /// What a message that came in means.
    ReadAs { outcome: ContactOutcome },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepContact {
    pub command_id: CommandId,
    pub contact_id: ContactId,
    /// The version that was seen; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: ContactStep,
    pub reason: String,
    pub person: Person,
}

call!(StepContact => Dunning."contact"."step" -> ContactView);

/// Contacts of an account on every way and in both directions, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListContacts {
    pub account_id: AccountId,
    /// Only this one.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    /// Who looks: some words are not for everybody (E99).
    pub person: Person,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListContacts => Dunning."contact"."list" -> Page<ContactView>);

/// A contact as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactView {
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
    pub run_id: Option<RunId>,
    pub stage: Option<String>,
    pub items: Vec<ContactItem>,
    pub amounts: Vec<Money>,
    pub outcome: Option<ContactOutcome>,
    pub proposal: Option<ContactOutcome>,
    pub next_step: Option<String>,
    pub next_on: Option<NaiveDate>,
    pub none_because: Option<String>,
    /// The contact whose next step it was.
    pub follows: Option<ContactId>,
    /// The hold that what was told placed by itself: until a person confirms or
    /// cancels it.
    pub hold_id: Option<HoldId>,
    /// The promise that was made in it.
    pub promise_id: Option<PromiseId>,
    /// Absent for those who may not read it, and when it was erased.
    pub note: Option<String>,
    /// Whether it counts in the debtor's contact budget, and on which London day.
    pub counted_on: Option<NaiveDate>,
    /// What went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enclosures: Vec<ContactEnclosure>,
    pub at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

/// What went with a letter or e-mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactEnclosure {
    pub name: String,
    pub title: String,
    /// Of an official form; what was made for the letter has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// SHA-256 (hex), byte for byte.
    pub sha256: String,
}

/// What can come of a contact: all outcomes, or those of a channel and direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListOutcomes {
    #[serde(default)]
    pub channel: Option<Channel>,
    #[serde(default)]
    pub direction: Option<Direction>,
}

call!(ListOutcomes => Dunning."contact"."outcomes" -> Outcomes);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    pub outcomes: Vec<OutcomeView>,
}

/// What can come of a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeView {
    pub outcome: ContactOutcome,
    /// As a list calls it.
    pub title: String,
    /// Channels on which a contact of ours can come to it.
    pub ours: Vec<Channel>,
    /// Channels on which one of theirs can.
    pub theirs: Vec<Channel>,
    /// The hold that it places by itself.
    pub hold: Option<HoldKind>,
    /// What is next, when nothing else is said.
    pub next_step: Option<String>,
}

/// Which ways reach a debtor, and how often they were contacted lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetReach {
    pub account_id: AccountId,
}

call!(GetReach => Dunning."reach"."get" -> Reach);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    pub account_id: AccountId,
    pub ways: Vec<ContactWay>,
    /// Other accounts of the same debtor: one contact budget for all (E61).
    pub same_debtor: Vec<String>,
    /// Contacts that count in the budget's days up to now, over all of them.
    pub contacts: u32,
    /// What the policy allows in so many days.
    pub budget: Option<u32>,
    pub days: Option<u32>,
    /// Those who owe it together, each with their own ways and budget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debtors: Vec<DebtorReach>,
}

/// One of several who owe an account together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebtorReach {
    pub debtor_ref: String,
    pub name: String,
    pub ways: Vec<ContactWay>,
    /// Over all accounts that name them.
    pub contacts: u32,
    /// Holds that are theirs alone and are active today.
    pub holds: Vec<HoldKind>,
    /// Other accounts that name them.
    pub other_accounts: Vec<String>,
    pub erased: bool,
}

/// Erases what was said in the contacts of an account: the contacts stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EraseContactNotes {
    pub command_id: CommandId,
    pub account_id: AccountId,
    /// Only what was said with this one of the joint debtors. Once nothing is owed
    /// on the account, their name and addresses here are erased too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    pub reason: String,
    pub person: Person,
}

call!(EraseContactNotes => Dunning."contact"."erase_notes" -> ErasedNotes);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasedNotes {
    pub notes: u64,
    /// Whether the name and addresses of the debtor are erased too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub details: bool,
}
