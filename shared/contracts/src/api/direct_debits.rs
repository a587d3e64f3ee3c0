//! Direct Debit: mandates, advance notices, collection runs and files for Bacs,
//! all kept by ingestion.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::controls::{Fetched, Person, RefundFileContent};
use crate::{
    api::{Page, PageRequest, call},
    controls::{ApprovalId, BacsUser},
    ingestion::{
        BacsFileId, CollectedDocument, CollectionId, CollectionRunId, CollectionState, MandateId,
        MandateState,
    },
    names::names,
};

/// Who we are for Bacs, as configured; refused, naming the setting, while it is
/// not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetBacsUser {}
call!(GetBacsUser => Ingestion."bacs"."user" -> BacsUser);

/// Mandates by account and reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListMandates {
    #[serde(default)]
    pub state: Option<MandateState>,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListMandates => Ingestion."mandates"."list" -> Page<MandateView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MandateView {
    pub mandate_id: MandateId,
    pub version: i64,
    pub mandate_reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub payer_name: String,
    /// Masked to the last four characters.
    pub payer_account: String,
    pub signed_on: NaiveDate,
    pub paperless: bool,
    pub state: MandateState,
    pub reason: String,
    pub to_do: Option<String>,
    pub usable_from: Option<NaiveDate>,
    pub last_used_on: Option<NaiveDate>,
    pub changed_at: DateTime<Utc>,
}

/// A mandate with all that it has been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetMandate {
    pub mandate_id: MandateId,
}
call!(GetMandate => Ingestion."mandates"."get" -> MandateDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MandateDetail {
    pub mandate: MandateView,
    /// Oldest first.
    pub history: Vec<MandateStep>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MandateStep {
    pub version: i64,
    pub state: MandateState,
    pub reason: String,
    pub actor: String,
    pub at: DateTime<Utc>,
}

/// That payers were told what will be collected and when. Without it nothing is
/// collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordNotices {
    pub command_id: CommandId,
    pub notices: Vec<AdvanceNotice>,
    pub person: Person,
}
call!(RecordNotices => Ingestion."notices"."record" -> NoticesRecorded);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvanceNotice {
    pub mandate_reference: String,
    /// How: `invoice`, `letter`, `email`, `sms`.
    pub channel: String,
    pub sent_on: NaiveDate,
    /// The day that it names.
    pub entry_on: NaiveDate,
    pub amount: Money,
    /// What to find it by: an invoice's number, a message's.
    pub reference: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticesRecorded {
    pub recorded: u32,
}

/// Asks for collections on an entry day; a second person decides. The asker
/// names the documents and what is to be collected of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposeCollections {
    pub command_id: CommandId,
    pub entry_on: NaiveDate,
    pub documents: Vec<ToCollect>,
    pub reason: String,
    pub person: Person,
}
call!(ProposeCollections => Ingestion."collections"."propose" -> Proposed);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToCollect {
    pub document_id: DocumentId,
    pub amount: Money,
    /// It is the last one by its mandate (code 19).
    #[serde(default)]
    pub last: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proposed {
    /// Absent when nothing can be collected.
    pub run: Option<CollectionRunView>,
    pub blocked: Vec<Blocked>,
}

/// Why something is not collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    pub account_ref: Option<String>,
    pub document_refs: Vec<String>,
    /// Stable, such as `collections.no_notice`.
    pub code: String,
    pub detail: String,
}

/// Presents an unpaid collection again (code 18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PresentAgain {
    pub command_id: CommandId,
    pub collection_id: CollectionId,
    pub entry_on: NaiveDate,
    pub reason: String,
    pub person: Person,
}
call!(PresentAgain => Ingestion."collections"."present-again" -> CollectionRunView);

names! {
    CollectionRunState {
        Requested = "requested",
        Approved = "approved",
        Rejected = "rejected",
        InFile = "in_file",
        /// It was discarded, or nothing of it is left.
        Over = "over",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionRunView {
    pub run_id: CollectionRunId,
    pub entry_on: NaiveDate,
    pub processing_on: NaiveDate,
    pub state: CollectionRunState,
    pub approval_id: Option<ApprovalId>,
    /// Of what is not cancelled.
    pub total: Money,
    pub collections: Vec<CollectionView>,
    pub file_id: Option<BacsFileId>,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionView {
    pub collection_id: CollectionId,
    pub version: i64,
    pub mandate_id: MandateId,
    pub mandate_reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub code: String,
    pub amount: Money,
    pub documents: Vec<CollectedDocument>,
    pub state: CollectionState,
    pub reason: String,
    /// Until when it may be presented again.
    pub again_until: Option<NaiveDate>,
}

/// Runs, the latest entry day first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListCollectionRuns {
    /// Only this one.
    #[serde(default)]
    pub run_id: Option<CollectionRunId>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListCollectionRuns => Ingestion."collections"."list" -> Page<CollectionRunView>);

/// Puts the approved collections of a run into a file. Whoever asks says what is
/// open of each document now: a collection of what is paid by now is cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MakeCollectionFile {
    pub command_id: CommandId,
    pub run_id: CollectionRunId,
    pub open: Vec<OpenNow>,
    pub person: Person,
}
call!(MakeCollectionFile => Ingestion."collections"."make-file" -> CollectionRunView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenNow {
    pub document_id: DocumentId,
    pub open: Money,
}

/// Gives up what of a run was not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiscardCollectionRun {
    pub command_id: CommandId,
    pub run_id: CollectionRunId,
    pub reason: String,
    pub person: Person,
}
call!(DiscardCollectionRun => Ingestion."collections"."discard" -> CollectionRunView);

/// Puts every instruction that is due (0N, 0C) into a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MakeInstructionFile {
    pub command_id: CommandId,
    /// The next working day when absent.
    #[serde(default)]
    pub processing_on: Option<NaiveDate>,
    pub person: Person,
}
call!(MakeInstructionFile => Ingestion."mandates"."make-file" -> BacsFileView);

names! {
    BacsFileKind {
        Collections = "collections",
        Instructions = "instructions",
    }
}

/// Files for Bacs, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListBacsFiles {
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListBacsFiles => Ingestion."bacs-files"."list" -> Page<BacsFileView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacsFileView {
    pub file_id: BacsFileId,
    pub kind: BacsFileKind,
    /// Of its volume label.
    pub serial: String,
    pub processing_on: NaiveDate,
    pub records: i64,
    pub total: Money,
    /// Of the bytes of the file, in hex.
    pub sha256: String,
    pub made_by: String,
    pub made_at: DateTime<Utc>,
    /// Why it must not be sent.
    pub void: Option<String>,
    /// Who fetched it, and when, oldest first.
    pub fetched: Vec<Fetched>,
}

/// Gives the bytes of a file, and notes who has them: from then on what is in it
/// counts as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchBacsFile {
    pub command_id: CommandId,
    pub file_id: BacsFileId,
    pub person: Person,
}
call!(FetchBacsFile => Ingestion."bacs-files"."fetch" -> BacsFileContent);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacsFileContent {
    pub file_id: BacsFileId,
    /// With its ending.
    pub name: String,
    /// ASCII.
    pub text: String,
    pub sha256: String,
}

impl From<BacsFileContent> for RefundFileContent {
    fn from(file: BacsFileContent) -> Self {
        Self {
            file_id: file.file_id.as_uuid().into(),
            name: file.name,
            text: file.text,
            sha256: file.sha256,
        }
    }
}
