//! What people write and a second person publishes: templates and policies. Each
//! edition is one version of one of them; its words never change.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::CommandId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Page, call, controls::Person},
    controls::ApprovalId,
    dunning::AssignTo,
    names::names,
};

names! {
    EditionKind {
        Template = "template",
        Policy = "policy",
        /// An official form that goes with letters.
        Enclosure = "enclosure",
    }
}

names! {
    EditionState {
        /// Written; nobody was asked.
        Draft = "draft",
        /// A second person is asked.
        Requested = "requested",
        Published = "published",
        Rejected = "rejected",
        /// A newer draft was made before it was published.
        Superseded = "superseded",
    }
}

names! {
    EditionStep {
        /// Asks a second person to publish it.
        Request = "request",
        /// Takes that back.
        Withdraw = "withdraw",
    }
}

/// One version, and who did what about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EditionView {
    pub kind: EditionKind,
    pub name: String,
    pub version: i32,
    pub state: EditionState,
    pub title: String,
    /// The London day from which new work takes it up; not before it is approved.
    pub valid_from: NaiveDate,
    /// Whether new work takes it up today.
    pub in_force: bool,
    /// SHA-256 (hex) of its words.
    pub sha256: String,
    pub drafted_by: String,
    pub drafted_at: DateTime<Utc>,
    /// Why it was written.
    pub reason: String,
    pub approval_id: Option<ApprovalId>,
    /// Who published or rejected it.
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decision: Option<String>,
}

names! {
    DiffKind {
        Same = "same",
        Added = "added",
        Removed = "removed",
    }
}

/// Some words that are the same, new, or gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffPart {
    pub kind: DiffKind,
    pub text: String,
}

/// A step of a version: only who wrote it asks for it, or takes that back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepEdition {
    pub command_id: CommandId,
    pub kind: EditionKind,
    pub name: String,
    pub version: i32,
    pub step: EditionStep,
    pub reason: String,
    pub person: Person,
}

call!(StepEdition => Dunning."edition"."step" -> EditionView);

/// Every template, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListTemplates {}

call!(ListTemplates => Dunning."template"."list" -> Page<TemplateRow>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRow {
    pub template: String,
    pub title: String,
    /// What it is before the law: `courtesy`, `reminder`, `demand`,
    /// `before_action`, `protocol`.
    pub legal: String,
    /// The version that new work takes up today.
    pub version: Option<i32>,
    /// The newest one, whatever became of it.
    pub newest: EditionView,
    /// Stages of policies in force that send it.
    pub used_by: Vec<String>,
}

/// One version of a template: the newest when none is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetTemplate {
    pub template: String,
    #[serde(default)]
    pub version: Option<i32>,
}

call!(GetTemplate => Dunning."template"."get" -> TemplateDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateDetail {
    pub template: String,
    pub title: String,
    pub legal: String,
    pub subject: String,
    pub body: String,
    pub edition: EditionView,
    /// The published version that it is compared with.
    pub against: Option<i32>,
    pub subject_diff: Vec<DiffPart>,
    pub body_diff: Vec<DiffPart>,
    /// What the law or good practice asks of such a text.
    pub needs: Vec<TemplateNeed>,
    /// What a text may name.
    pub names: Vec<TemplateName>,
    pub used_by: Vec<String>,
    /// All versions, the newest first.
    pub editions: Vec<EditionView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateNeed {
    pub what: String,
    /// Any one of these.
    pub words: Vec<String>,
    pub source: String,
    pub valid_from: NaiveDate,
    pub met: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateName {
    /// As it is written in the text, such as `account.name`.
    pub name: String,
    pub example: String,
}

/// Writes a new version. It is refused, with the field and the line, when it
/// could not be published. A request for an older draft is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftTemplate {
    pub command_id: CommandId,
    /// Lower-case letters, digits and underscores: a new name is a new template.
    pub template: String,
    pub title: String,
    pub legal: String,
    pub subject: String,
    pub body: String,
    /// Today when absent; never before it.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}

call!(DraftTemplate => Dunning."template"."draft" -> TemplateDetail);

/// A version filled in with what an account owes now. Nothing is sent or kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewTemplate {
    pub template: String,
    /// The newest when absent.
    #[serde(default)]
    pub version: Option<i32>,
    pub account_ref: String,
}

call!(PreviewTemplate => Dunning."template"."preview" -> TemplatePreview);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplatePreview {
    pub template: String,
    pub version: i32,
    pub account_ref: String,
    pub name: String,
    /// Nothing of it is chased today: it is shown with everything that is open.
    pub nothing_chased: bool,
    pub subject: String,
    /// The e-mail as text.
    pub text: String,
    /// The e-mail as HTML.
    pub html: String,
    /// The letter as PDF, in base64.
    pub letter_base64: String,
}

/// One version of a policy: the newest when none is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetDunningPolicy {
    pub policy: String,
    #[serde(default)]
    pub version: Option<i32>,
}

call!(GetDunningPolicy => Dunning."policy"."get" -> DunningPolicyDetail);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DunningPolicyDetail {
    pub policy: String,
    pub title: String,
    /// As it was written.
    pub text: String,
    pub manual: Vec<String>,
    pub edition: EditionView,
    pub against: Option<i32>,
    /// The manual before and after.
    pub manual_diff: Vec<DiffPart>,
    /// All versions, the newest first.
    pub editions: Vec<EditionView>,
}

/// Writes a new version of a policy. It is refused, with the field and the line,
/// when it could not be published. A request for an older draft is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftPolicy {
    pub command_id: CommandId,
    /// Lower-case letters, digits and underscores: a new name is a new policy.
    pub policy: String,
    /// TOML, or JSON when it begins with a brace. Its own `version` does not count.
    pub text: String,
    /// What the text says when absent; never before today.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}

call!(DraftPolicy => Dunning."policy"."draft" -> DunningPolicyDetail);

/// Which accounts have a policy of their own, the newest word of each first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPolicyAssignments {}

call!(ListPolicyAssignments => Dunning."policy_assignment"."list" -> Page<PolicyAssignment>);

names! {
    /// Where it stands which policy somebody has.
    #[derive(Default)]
    AssignmentState {
        /// A second person is asked.
        Requested = "requested",
        /// It counts from its day on.
        #[default]
        Assigned = "assigned",
        /// A second person said no, or nobody decided in time.
        Rejected = "rejected",
    }
}

impl AssignmentState {
    pub const fn is_assigned(&self) -> bool {
        matches!(self, Self::Assigned)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAssignment {
    pub to: AssignTo,
    /// Of the account, or of the parent whose accounts it is for.
    pub reference: String,
    /// None from that day on when absent.
    pub policy: Option<String>,
    pub valid_from: NaiveDate,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "AssignmentState::is_assigned")]
    pub state: AssignmentState,
    /// What a second person is asked by, or was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_id: Option<ApprovalId>,
    /// Who approved it, or said no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// Asks a second person that an account, or the accounts of a parent, have a policy
/// from a day on; at the earliest from the day of the approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssignPolicy {
    pub command_id: CommandId,
    pub to: AssignTo,
    pub reference: String,
    /// Back to what its segment and kind say when absent.
    #[serde(default)]
    pub policy: Option<String>,
    /// Today when absent; never before it.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}

call!(AssignPolicy => Dunning."policy_assignment"."put" -> PolicyAssignment);

/// The official forms that letters need, with their editions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListEnclosures {}

call!(ListEnclosures => Dunning."enclosure"."list" -> Page<EnclosureRow>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnclosureRow {
    pub enclosure: String,
    pub title: String,
    /// What asks for it.
    pub sources: Vec<String>,
    /// The one that goes with letters today; without one none is proposed that
    /// needs it.
    pub version: Option<i32>,
    /// All versions, the newest first.
    pub editions: Vec<EnclosureEdition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnclosureEdition {
    pub edition: EditionView,
    pub file_name: String,
    /// SHA-256 (hex) of the file.
    pub sha256: String,
    pub bytes: i64,
}

/// Uploads a form as a new version: a PDF by what is in it, of at most
/// [`DraftEnclosure::MAX_BYTES`]. A request for an older draft is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DraftEnclosure {
    pub command_id: CommandId,
    /// One of those that are listed.
    pub enclosure: String,
    pub file_name: String,
    /// SHA-256 (hex) of the file, as who sends it has it.
    pub sha256: String,
    pub base64: String,
    /// Today when absent; never before it.
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    pub reason: String,
    pub person: Person,
}

impl DraftEnclosure {
    /// Of one file.
    pub const MAX_BYTES: usize = 1_000_000;
}

call!(DraftEnclosure => Dunning."enclosure"."draft" -> EnclosureRow);

/// The file of a version: of the newest when none is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchEnclosure {
    pub enclosure: String,
    #[serde(default)]
    pub version: Option<i32>,
}

call!(FetchEnclosure => Dunning."enclosure"."fetch" -> EnclosureFile);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnclosureFile {
    pub file_name: String,
    pub media_type: String,
    pub sha256: String,
    pub base64: String,
}
