//! Policies: when who is chased, and how; and the desk's manual, written from
//! them.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{Page, call};

/// Every version of every policy, the newest of each first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListDunningPolicies {}

call!(ListDunningPolicies => Dunning."policy"."list" -> Page<DunningPolicyView>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DunningPolicyView {
    pub policy: String,
    pub version: i32,
    pub title: String,
    pub valid_from: NaiveDate,
    /// Whether new work takes it up today.
    pub in_force: bool,
    /// The manual's paragraphs, written from the policy itself: what it says is
    /// what is done.
    pub manual: Vec<String>,
    /// The policy as it is written for people.
    pub text: String,
}
