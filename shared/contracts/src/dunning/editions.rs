//! Templates and policies that a second person published, and which account has
//! which policy.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role, names::names};

/// A version of a template is published: what is proposed from its day on takes
/// it up; what is under way keeps the version that it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplatePublished {
    pub template: String,
    pub version: i32,
    pub title: String,
    /// What it is before the law.
    pub legal: String,
    pub valid_from: NaiveDate,
    /// SHA-256 (hex) of its words.
    pub content_sha256: String,
    /// Who wrote it, and asked for it.
    pub drafted_by: String,
    pub recorded_at: DateTime<Utc>,
    /// Who approved it.
    pub actor: String,
    pub reason: String,
}

impl Event for TemplatePublished {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "template_published";

    fn partition_key(&self) -> &str {
        &self.template
    }
}

/// A version of a policy is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyPublished {
    pub policy: String,
    pub version: i32,
    pub title: String,
    pub valid_from: NaiveDate,
    /// SHA-256 (hex) of the policy.
    pub content_sha256: String,
    /// What it does, in words.
    pub manual: Vec<String>,
    /// Who wrote it, and asked for it.
    pub drafted_by: String,
    pub recorded_at: DateTime<Utc>,
    /// Who approved it.
    pub actor: String,
    pub reason: String,
}

impl Event for PolicyPublished {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "policy_published";

    fn partition_key(&self) -> &str {
        &self.policy
    }
}

names! {
    /// Whom an assignment is for.
    AssignTo {
        Account = "account",
        /// Every account of this parent.
        Parent = "parent",
    }
}

/// An account, or every account of a parent, has a policy of its own from a day on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAssigned {
    pub assignment_id: Uuid,
    pub to: AssignTo,
    pub reference: String,
    /// What its segment and kind say again when absent.
    pub policy: Option<String>,
    pub valid_from: NaiveDate,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
    /// Who asked for it; who approved it is the actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
}

impl Event for PolicyAssigned {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "policy_assigned";

    fn partition_key(&self) -> &str {
        &self.reference
    }
}
