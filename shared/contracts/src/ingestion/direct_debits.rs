//! Direct Debit: the mandates of our debtors, and what is collected by them.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Event, Role,
    controls::{ApprovalCarriedOut, ApprovalRequested, ApprovalWithdrawn},
    names::names,
};

kernel::typed_id! {
    /// A Direct Debit instruction of a payer.
    pub struct MandateId;
    /// One collection by a mandate.
    pub struct CollectionId;
    /// Collections that are asked for together.
    pub struct CollectionRunId;
    /// A file for Bacs.
    pub struct BacsFileId;
}

names! {
    /// Where a mandate stands.
    MandateState {
        /// Told of; its instruction (0N) is to be lodged.
        Captured = "captured",
        /// Its instruction is in a file to Bacs.
        Lodged = "lodged",
        Active = "active",
        /// Nothing may be collected until somebody has looked.
        Suspended = "suspended",
        /// Its cancellation (0C) is to be sent.
        CancelPending = "cancel_pending",
        Cancelled = "cancelled",
        /// The last collection was made: it is over.
        Final = "final",
        /// Not used for so long that the bank may have dropped it.
        Dormant = "dormant",
        /// The bank did not take the instruction, or does not know it.
        Invalid = "invalid",
    }
}

names! {
    /// Where a collection stands.
    CollectionState {
        /// A second person has not decided yet.
        Proposed = "proposed",
        Approved = "approved",
        /// In a file that nobody has fetched.
        InFile = "in_file",
        /// Its file was fetched for Bacs.
        Sent = "sent",
        /// Sent, and its mandate changed since: the bank may not pay it.
        AtRisk = "at_risk",
        /// Its entry day and the days in which it could come back are over.
        Collected = "collected",
        /// The payer's bank did not pay it.
        Returned = "returned",
        /// It was never sent.
        Cancelled = "cancelled",
    }
}

/// A mandate is in another state, or has other details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MandateChanged {
    pub mandate_id: MandateId,
    /// Rises by one with every change.
    pub version: i64,
    /// The core reference of the instruction.
    pub mandate_reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub state: MandateState,
    /// Why, in one sentence.
    pub reason: String,
    /// What somebody has to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    /// Masked to the last four characters.
    pub payer_account: String,
    /// From when on it may be collected by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usable_from: Option<NaiveDate>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    /// The message or command that changed it.
    pub because_of: Uuid,
}

impl Event for MandateChanged {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "mandate_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

/// A document in a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectedDocument {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub amount: Money,
    /// What of it is still to come by this collection: nothing before it is
    /// approved, and nothing once it is over.
    pub to_come: Money,
}

/// A collection is in another state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionChanged {
    pub collection_id: CollectionId,
    /// Rises by one with every change.
    pub version: i64,
    pub run_id: CollectionRunId,
    pub mandate_id: MandateId,
    pub mandate_reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Of Bacs: 01, 17, 18 or 19.
    pub code: String,
    /// The day on which the payer's account is debited.
    pub entry_on: NaiveDate,
    pub amount: Money,
    pub documents: Vec<CollectedDocument>,
    pub state: CollectionState,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    /// The message or command that changed it.
    pub because_of: Uuid,
}

impl Event for CollectionChanged {
    const CONTEXT: Role = Role::Ingestion;
    const NAME: &'static str = "collection_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}

macro_rules! as_ingestion {
    ($(#[$meta:meta])* $name:ident($of:ident) = $event:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl Event for $name {
            const CONTEXT: Role = Role::Ingestion;
            const NAME: &'static str = $event;

            fn partition_key(&self) -> &str {
                self.0.partition_key()
            }
        }
    };
}

as_ingestion! {
    /// A collection run waits for a second person.
    RequestedByIngestion(ApprovalRequested) = "approval_requested"
}
as_ingestion! {
    /// It was taken back.
    WithdrawnByIngestion(ApprovalWithdrawn) = "approval_withdrawn"
}
as_ingestion! {
    /// What was approved may go into a file, or cannot any more.
    CarriedOutByIngestion(ApprovalCarriedOut) = "approval_carried_out"
}
