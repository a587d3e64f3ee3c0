//! Dead letters: every service keeps its own and answers for them on
//! `counterfoil.svc.<service>.dead-letters.<verb>`. Not a [`super::Call`],
//! because the service is chosen by who asks.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FieldProblem, PageRequest};

/// The noun of the four endpoints `list`, `get`, `replay`, `discard`.
pub const NOUN: &str = "dead-letters";

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDeadLetters {
    /// Only those of this failure code.
    #[serde(default)]
    pub code: Option<String>,
    /// Replayed and discarded ones too.
    #[serde(default)]
    pub all: bool,
    #[serde(flatten)]
    pub page: PageRequest,
}

/// One dead letter to show, replay or discard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PickDeadLetter {
    pub dead_letter_id: Uuid,
    /// Who asks; recorded with a replay or discard.
    #[serde(default)]
    pub actor: String,
    #[serde(default)]
    pub reason: String,
}

/// A message that could not be handled, kept whole until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterView {
    pub dead_letter_id: Uuid,
    pub service: String,
    pub subject: String,
    pub message_id: Uuid,
    pub message_type: Option<String>,
    /// Stable failure code.
    pub code: String,
    /// `permanent`, `transient`, `conflict` or `bug`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    pub detail: String,
    /// What is wrong with which field of the payload, as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// The line of the payload at which reading it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<i32>,
    pub attempts: i32,
    /// `waiting`, `replayed` or `discarded`.
    pub state: String,
    pub failed_at: DateTime<Utc>,
    pub settled_at: Option<DateTime<Utc>>,
    /// Amount and currency where the message carries money.
    pub money_impact: Option<String>,
    /// Only by `get`: the payload as text, bank details masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}
