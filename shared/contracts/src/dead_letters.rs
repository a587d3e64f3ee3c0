//! A message with money in it that a service could not handle, and what a
//! person did about it. Each service says so on its own subject; the message
//! itself stays with the service ([`crate::api::dead_letters`]).

use chrono::{DateTime, Utc};
use kernel::Money;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role, names::names, subject};

names! {
    DeadLetterState {
        /// Nobody has decided yet.
        Waiting = "waiting",
        /// It was handled after all.
        Replayed = "replayed",
        /// A person said that it counts for nothing.
        Discarded = "discarded",
    }
}

/// A dead letter with money in it is there, or is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterChanged {
    pub dead_letter_id: Uuid,
    /// 1 when it is there, 2 when it is settled.
    pub version: i64,
    /// Who could not handle it.
    pub service: String,
    pub state: DeadLetterState,
    /// The message that it is about.
    pub message_id: Uuid,
    /// Without the prefix, such as `in.bank.receipts.barclays`.
    pub subject: String,
    /// Its CloudEvents type, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// Stable failure code.
    pub code: String,
    /// `permanent`, `transient`, `conflict` or `bug`.
    pub class: String,
    /// As far as it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    pub failed_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl DeadLetterChanged {
    /// The event on every service's subject.
    pub const EVENT: &'static str = "dead_letter_changed";
}

/// Where what comes in is money whatever the payload says, because the payload
/// may be what cannot be read.
pub const MONEY_SUBJECTS: [&str; 3] = [
    subject::IN_RECEIPTS,
    subject::IN_DOCUMENTS,
    subject::IN_REMITTANCES,
];

macro_rules! said_by {
    ($($role:ident => $name:ident),+ $(,)?) => {$(
        #[doc = concat!("A dead letter of ", stringify!($role), ".")]
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub DeadLetterChanged);

        impl Event for $name {
            const CONTEXT: Role = Role::$role;
            const NAME: &'static str = DeadLetterChanged::EVENT;

            fn partition_key(&self) -> &str {
                // Whose it is, is what could not be read.
                ""
            }
        }
    )+};
}

said_by! {
    Ingestion => LetterOfIngestion,
    Allocation => LetterOfAllocation,
    Disputes => LetterOfDisputes,
    Dunning => LetterOfDunning,
    Worklist => LetterOfWorklist,
    Reporting => LetterOfReporting,
}
