//! What people write down of contacts with debtors, and which ways still reach
//! them.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Channel, ContactId, ContactItem, ContactState, Direction, HoldId, PromiseId, RunId};
use crate::{Event, Role, names::names};

names! {
    /// What came of a contact. What each means for the debtor is dunning's data.
    ContactOutcome {
        /// Reached: they say when they will pay.
        Promised = "promised",
        /// Reached: they do not accept it.
        Disputes = "disputes",
        /// Reached, and nothing came of it.
        NoResult = "no_result",
        Refuses = "refuses",
        LeftMessage = "left_message",
        NoAnswer = "no_answer",
        CallBack = "call_back",
        PaidAlready = "paid_already",
        /// They asked for something: a copy, a statement.
        AskedFor = "asked_for",
        Hardship = "hardship",
        InsolvencyTold = "insolvency_told",
        VulnerabilityTold = "vulnerability_told",
        /// Somebody told that the debtor has died (E37).
        DeceasedTold = "deceased_told",
        /// They say that a breathing space of the Debt Respite Scheme runs.
        BreathingSpaceTold = "breathing_space_told",
        /// They say that they take debt advice.
        DebtAdviceTold = "debt_advice_told",
        Complains = "complains",
        /// They object to the use of their data, or say that somebody else used
        /// their name.
        ObjectsToData = "objects_to_data",
        /// The number is somebody else's.
        WrongNumber = "wrong_number",
        /// A letter came back, or a visit found somebody else (E66).
        GoneAway = "gone_away",
        /// An e-mail came back for good (E65).
        Bounced = "bounced",
        /// They do not want to be reached in this way (E67).
        OptedOut = "opted_out",
        OptedIn = "opted_in",
        /// What had been given up as an address is right.
        AddressConfirmed = "address_confirmed",
    }
}

/// An earlier contact whose next step this was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FollowedContact {
    pub contact_id: ContactId,
    /// Of the earlier contact, as it is now.
    pub version: i64,
}

/// A person wrote down a contact: a call made, a message received, what came
/// back. Its versions are those of `contact_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactRecorded {
    pub contact_id: ContactId,
    pub version: i64,
    pub direction: Direction,
    pub channel: Channel,
    pub state: ContactState,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors; nobody said which of them, or there is one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    /// Of the run that it was to be done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ContactItem>,
    /// Absent while nobody has said what a message means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ContactOutcome>,
    /// What a message seems to mean: changes nothing until a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ContactOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_on: Option<NaiveDate>,
    /// Why nothing follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_because: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<FollowedContact>,
    /// The hold that what was told placed by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// The promise that was made in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise_id: Option<PromiseId>,
    /// When it happened, by the business clock.
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ContactRecorded {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "contact_recorded";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// What was said in the contacts of an account is erased: the contacts stay. What
/// it was is told to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactNotesErased {
    /// The command that erased them.
    pub erasure_id: Uuid,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors; of all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    /// How many there were.
    pub notes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ContactNotesErased {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "contact_notes_erased";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

names! {
    /// Whether a way reaches a debtor.
    ReachState {
        /// No address of the kind is known.
        NoAddress = "no_address",
        Usable = "usable",
        OptedOut = "opted_out",
        /// What is known is wrong: until another address, or somebody confirms it.
        Unusable = "unusable",
    }
}

/// One way to a debtor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactWay {
    pub channel: Channel,
    pub state: ReachState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<NaiveDate>,
    /// What came of the contact that shut it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<ContactOutcome>,
}

/// A way to a debtor was shut or opened again: all of them as they are now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReachChanged {
    pub account_id: AccountId,
    pub account_ref: String,
    pub version: i64,
    pub ways: Vec<ContactWay>,
    /// Nothing is owed any more, and no address is known: nobody need look for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owes_nothing: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ReachChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "reach_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
