//! Cases: what disputes answers.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, CommandId, Currency, DocumentId, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Page, PageRequest, call, controls::Person};
use crate::{
    controls::ApprovalId,
    disputes::{CaseId, CaseItem, CaseKind, CaseState, CreditRequestId, Resolution},
    names::names,
};

/// A document, or a part of one, that a case is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseLine {
    pub document_id: DocumentId,
    /// All that is open and not disputed yet when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Which lines of the document, in the words of the bill; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// Opens a case that a debtor raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenCase {
    pub command_id: CommandId,
    pub kind: CaseKind,
    /// Needed for a complaint about no document; else the documents tell.
    #[serde(default)]
    pub account_id: Option<AccountId>,
    /// All of one account and one currency.
    #[serde(default)]
    pub lines: Vec<CaseLine>,
    /// Code of the taxonomy.
    pub reason_code: String,
    /// What the debtor said.
    pub reason: String,
    /// When they said it; now when absent.
    #[serde(default)]
    pub raised_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub processor: Option<String>,
    /// A complaint and the dispute beside it.
    #[serde(default)]
    pub linked: Option<CaseId>,
    pub person: Person,
}

call!(OpenCase => Disputes."case"."open" -> CaseDetail);

/// What of a case is credited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditLine {
    pub document_id: DocumentId,
    pub amount: Money,
}

/// One step of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum CaseStep {
    /// The debtor says so indeed: a suspicion becomes a case.
    Confirm {
        reason_code: String,
        /// What of it is disputed; everything when empty. What is not named
        /// leaves the case.
        #[serde(default)]
        lines: Vec<CaseLine>,
    },
    /// The first contact found no query.
    Clear,
    /// Who leads, works on it, and answers for the cause. Absent: as before.
    Assign {
        #[serde(default)]
        coordinator: Option<String>,
        #[serde(default)]
        processor: Option<String>,
        #[serde(default)]
        responsible: Option<String>,
    },
    /// Why it happened. Absent: as before.
    Classify {
        #[serde(default)]
        reason_code: Option<String>,
        #[serde(default)]
        root_cause: Option<String>,
        #[serde(default)]
        preventable: Option<bool>,
        #[serde(default)]
        department: Option<String>,
    },
    /// A department of ours must answer: the case's own when absent.
    AwaitInternal {
        #[serde(default)]
        from: Option<String>,
    },
    /// The customer must answer.
    AwaitCustomer,
    /// The answer came: work goes on.
    Answer,
    /// How it might be settled: what is credited, nothing to reject it.
    Propose {
        #[serde(default)]
        credits: Vec<CreditLine>,
    },
    /// How it is settled: what is credited; nothing rejects it. What is not
    /// credited is chased again at once.
    Resolve {
        #[serde(default)]
        credits: Vec<CreditLine>,
    },
    /// As was proposed.
    Agree,
    /// The debtor took it back.
    Withdraw,
    /// It was settled wrongly, or the debtor comes back to it.
    Reopen,
    /// Nothing is left to do.
    Close,
    /// Paid, and still disputed: payment does not settle the case.
    Protest { under_protest: bool },
    /// Parts of it become a case of their own.
    Split { lines: Vec<CaseLine> },
    /// Another case of the account is the same matter: it ends in this one.
    Merge { other: CaseId },
    /// A complaint and a dispute belong together; each goes its own way.
    Link { other: CaseId },
    /// The reason is the comment.
    Comment,
    /// A paper that proves something.
    Attach {
        label: String,
        /// Where it is kept.
        #[serde(default)]
        reference: Option<String>,
        /// Of the file, hex.
        #[serde(default)]
        sha256: Option<String>,
    },
}

/// Takes one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepCase {
    pub command_id: CommandId,
    pub case_id: CaseId,
    /// The version that the person saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: CaseStep,
    /// Why, or what was said.
    pub reason: String,
    pub person: Person,
}

call!(StepCase => Disputes."case"."step" -> CaseDetail);

/// Keeps a file as evidence, of at most [`KeepEvidence::MAX_BYTES`] before base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeepEvidence {
    pub command_id: CommandId,
    pub case_id: CaseId,
    /// The version that the person saw; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    pub label: String,
    pub file_name: String,
    pub base64: String,
    /// Of the file, hex; refused when it differs.
    pub sha256: String,
    /// What it shows.
    pub reason: String,
    pub person: Person,
}

call!(KeepEvidence => Disputes."evidence"."keep" -> CaseDetail);

impl KeepEvidence {
    pub const MAX_BYTES: usize = 2_000_000;
}

/// A file that is kept as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchEvidence {
    pub case_id: CaseId,
    pub evidence_id: Uuid,
    pub person: Person,
}

call!(FetchEvidence => Disputes."evidence"."fetch" -> EvidenceFile);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceFile {
    pub name: String,
    pub media_type: String,
    /// Compared with the bytes before they were given out.
    pub sha256: String,
    pub base64: String,
}

/// Asks somebody without an account for a comment: makes a link that serves
/// this one case, for some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NudgeStakeholder {
    pub command_id: CommandId,
    pub case_id: CaseId,
    /// Name or address of who is asked.
    pub stakeholder: String,
    /// Where the question is sent with the link; absent: the link is only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What they are asked.
    pub question: String,
    pub person: Person,
}

names! {
    /// What became of the e-mail of a nudge. It goes out at most once.
    NudgeMail {
        /// It is being handed over.
        Sending = "sending",
        Sent = "sent",
        /// It did not go out.
        Refused = "refused",
        /// Nobody knows whether it went out.
        Unknown = "unknown",
    }
}

/// The link of a nudge. Only now: what is kept is a hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nudged {
    pub case: CaseDetail,
    /// Goes behind `/n/`; absent when the command was repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    pub expires_at: DateTime<Utc>,
    /// Where an e-mail was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<NudgeMail>,
}

call!(NudgeStakeholder => Disputes."case"."nudge" -> Nudged);

/// What somebody with a link may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadNudge {
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NudgeView {
    pub case_ref: String,
    pub account_name: String,
    pub documents: Vec<String>,
    /// The reason in words.
    pub reason: String,
    pub disputed: Money,
    pub stakeholder: String,
    pub question: String,
    pub asked_by: String,
    pub asked_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// What came by this link before.
    pub comments: Vec<NudgeComment>,
    /// The case is settled: nothing more is asked.
    pub over: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NudgeComment {
    pub at: DateTime<Utc>,
    pub text: String,
}

call!(ReadNudge => Disputes."nudge"."read" -> NudgeView);

/// A comment of somebody with a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommentByLink {
    pub command_id: CommandId,
    pub token: String,
    pub text: String,
}

call!(CommentByLink => Disputes."nudge"."comment" -> NudgeView);

names! {
    /// Which cases.
    CaseQueue {
        /// All that are not closed.
        Open = "open",
        Suspected = "suspected",
        /// Confirmed and nobody's.
        New = "new",
        /// Somebody works on it.
        Working = "working",
        AwaitingInternal = "awaiting_internal",
        AwaitingCustomer = "awaiting_customer",
        Proposed = "proposed",
        /// Settled, and a credit or the payment is due.
        Resolved = "resolved",
        Closed = "closed",
        All = "all",
    }
}

/// Cases, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListCases {
    /// `open` when absent.
    #[serde(default)]
    pub queue: Option<CaseQueue>,
    #[serde(default)]
    pub kind: Option<CaseKind>,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub document_id: Option<DocumentId>,
    #[serde(default)]
    pub reason_code: Option<String>,
    #[serde(default)]
    pub department: Option<String>,
    /// Whose cases: coordinator, processor or responsible.
    #[serde(default)]
    pub who: Option<String>,
    /// In the case's reference, the account and the documents.
    #[serde(default)]
    pub search: Option<String>,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListCases => Disputes."case"."list" -> Page<CaseView>);

/// A case in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseView {
    pub case_id: CaseId,
    pub version: i64,
    pub case_ref: String,
    pub kind: CaseKind,
    pub state: CaseState,
    pub since: DateTime<Utc>,
    pub raised_at: DateTime<Utc>,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: String,
    /// References of its documents, at most five.
    pub documents: Vec<String>,
    pub items: i64,
    /// What is held back now.
    pub disputed: Money,
    /// What it is about, held back or not.
    pub in_question: Money,
    pub reason_code: Option<String>,
    pub reason: Option<String>,
    pub department: Option<String>,
    pub coordinator: Option<String>,
    pub processor: Option<String>,
    pub responsible: Option<String>,
    /// Who must answer.
    pub awaiting: Option<String>,
    pub resolution: Option<Resolution>,
    pub under_protest: bool,
    pub nudged: Option<String>,
    pub nudged_at: Option<DateTime<Utc>>,
    /// Full days since it was raised, or until it was closed.
    pub age_days: i64,
}

/// One case, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetCase {
    pub case: CaseKey,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseKey {
    Id(CaseId),
    /// Such as `Q-000123`.
    Ref(String),
}

call!(GetCase => Disputes."case"."get" -> CaseDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseDetail {
    pub case: CaseView,
    pub items: Vec<CaseItemView>,
    pub root_cause: Option<String>,
    pub preventable: Option<bool>,
    /// Where it came from: `person`, `short_payment`, `return`, `suspicion`,
    /// `split`.
    pub origin: String,
    /// The event or command that opened it.
    pub cause: Uuid,
    pub related: Option<CaseId>,
    pub proposal: Option<ProposalView>,
    pub credits: Vec<CreditRequestView>,
    pub evidence: Vec<EvidenceView>,
    pub nudges: Vec<SentNudge>,
    pub links: Vec<CaseLink>,
    /// The oldest first.
    pub history: Vec<StepView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseItemView {
    #[serde(flatten)]
    pub item: CaseItem,
    /// What is in question: held back once the case is confirmed.
    pub in_question: Money,
    /// Found to be owed: chased again.
    pub released: Money,
    /// Of what is in question, what billing is asked to credit.
    pub credit_due: Money,
    /// What of the whole document is open.
    pub open: Money,
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalView {
    pub resolution: Resolution,
    pub credits: Vec<CreditLine>,
    pub words: String,
    pub by: String,
    pub at: DateTime<Utc>,
    /// The second person's decision that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
}

names! {
    CreditState {
        Open = "open",
        /// A credit note answered it.
        Answered = "answered",
        /// The case was opened again.
        Cancelled = "cancelled",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditRequestView {
    pub credit_request_id: CreditRequestId,
    pub document_id: DocumentId,
    pub document_ref: String,
    pub amount: Money,
    pub state: CreditState,
    pub requested_at: DateTime<Utc>,
    pub answered_at: Option<DateTime<Utc>>,
    /// The credit note.
    pub answered_by: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceView {
    pub label: String,
    pub reference: Option<String>,
    pub sha256: Option<String>,
    pub by: String,
    pub at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_id: Option<Uuid>,
    /// The file, where it is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<KeptFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptFile {
    pub name: String,
    pub media_type: String,
    pub bytes: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SentNudge {
    pub stakeholder: String,
    pub question: String,
    pub by: String,
    pub at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub comments: i32,
    /// Where the question was sent by e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<NudgeMail>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseLink {
    pub case_id: CaseId,
    pub case_ref: String,
    pub kind: CaseKind,
    pub state: CaseState,
}

/// Something that happened to a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    pub version: i64,
    pub step: String,
    pub from: Option<CaseState>,
    pub to: CaseState,
    /// In words, with the amounts that moved.
    pub detail: String,
    pub actor: String,
    pub at: DateTime<Utc>,
}

/// How many cases wait, and about how much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountCases {
    #[serde(default)]
    pub who: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseCounts {
    pub queues: Vec<QueueCount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueCount {
    pub queue: CaseQueue,
    pub cases: i64,
    /// What they are about, one amount per currency.
    pub in_question: Vec<Money>,
}

call!(CountCases => Disputes."case"."count" -> CaseCounts);

/// The words that cases are sorted by, as they are in force today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetTaxonomy {}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Taxonomy {
    pub reasons: Vec<ReasonView>,
    pub root_causes: Vec<RootCauseView>,
    pub departments: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReasonView {
    pub code: String,
    pub words: String,
    pub kind: CaseKind,
    pub department: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RootCauseView {
    pub code: String,
    pub words: String,
    pub preventable: bool,
}

call!(GetTaxonomy => Disputes."taxonomy"."get" -> Taxonomy);

/// What each department caused, for the department.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetFeedback {
    /// Cases raised on this day or later.
    #[serde(default)]
    pub from: Option<NaiveDate>,
    /// And on this day or before.
    #[serde(default)]
    pub to: Option<NaiveDate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Feedback {
    pub rows: Vec<FeedbackRow>,
}

/// Cases of one department, cause and currency. Suspicions that were none and
/// cases that were taken back are no cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackRow {
    pub department: Option<String>,
    pub reason_code: Option<String>,
    pub reason: Option<String>,
    pub root_cause: Option<String>,
    pub currency: Currency,
    pub cases: i64,
    pub open: i64,
    pub preventable: i64,
    /// What was disputed.
    pub original: Money,
    /// What was given back by credit notes.
    pub credited: Money,
    /// Sum over the cases of the days from raised to closed, or to now.
    pub days: i64,
}

call!(GetFeedback => Disputes."feedback"."get" -> Feedback);

/// A line of a case's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryLine {
    pub case_id: CaseId,
    pub version: i64,
}

/// Erases what was said to and by a stakeholder, their name, and lines of
/// history: comments and papers that name a person. Amounts, dates, steps and
/// hashes stay. In a case that is not closed nothing is erased before it is:
/// what it claims must be proved. The links end at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErasePerson {
    pub command_id: CommandId,
    /// As the links named them; large and small letters are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stakeholder: Option<String>,
    /// At most 200.
    #[serde(default)]
    pub lines: Vec<HistoryLine>,
    /// Stays in the history: it names nobody.
    pub reason: String,
    pub person: Person,
}

/// Empty when the command was repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// References of the cases in which it is erased.
    pub erased_in: Vec<String>,
    /// Of those that are not closed: it is erased when they are.
    pub waits_for: Vec<String>,
}

call!(ErasePerson => Disputes."person"."erase" -> Erased);
