//! The outbox: every service keeps the facts that it has published for a while,
//! and publishes them again when a stream has lost some, on
//! `counterfoil.svc.<service>.outbox.republish`. Not a [`super::Call`], because
//! the service is chosen by who asks.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The noun of the endpoint `republish`.
pub const NOUN: &str = "outbox";

/// Publishes facts again that the broker has had before, in the order of
/// commits and under their own ids, so that readers who have one ignore it.
/// Done in parts: as long as the answer has a `next`, ask again with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Republish {
    /// Facts recorded at or after this moment…
    pub from: DateTime<Utc>,
    /// …and before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
    /// The `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What was published again by one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Republished {
    /// Facts that the broker has acknowledged.
    pub facts: u64,
    /// Those of them that the stream still had, and dropped as duplicates.
    pub duplicates: u64,
    /// Where to go on; none when all is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
