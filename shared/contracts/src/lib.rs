//! Every message that crosses a boundary, and where it travels.
//!
//! What is here is a promise: to the bank feeds and billing systems that
//! publish to us, to the services among themselves, and to the dashboards that
//! listen. A message type only ever gains optional fields; a change of meaning
//! is a new type. `schemas/` is generated from this crate and a test fails when
//! the two differ, or when an old sample can no longer be read.

pub mod allocation;
pub mod api;
pub mod catalogue;
pub mod controls;
pub mod dead_letters;
pub mod disputes;
pub mod dunning;
pub mod inbound;
pub mod ingestion;
pub mod matters;
mod names;
pub mod role;
pub mod rules;
pub mod schema;
pub mod subject;
pub mod worklist;

pub use role::Role;
pub use subject::{Prefix, Shard, shard_of};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A fact, published by the service that owns its context.
pub trait Event: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The publishing context: the second token of the CloudEvents type and of
    /// the subject.
    const CONTEXT: Role;
    /// The event in the past tense, lower case with underscores.
    const NAME: &'static str;
    /// The major version of the payload: part of the type, never of the subject.
    const VERSION: u8 = 1;

    /// The key that decides the shard: the debtor account where it is known.
    fn partition_key(&self) -> &str;

    /// The CloudEvents `type`, such as
    /// `counterfoil.ingestion.receipt_recorded.v1`.
    fn event_type() -> String {
        format!(
            "counterfoil.{}.{}.v{}",
            Self::CONTEXT,
            Self::NAME,
            Self::VERSION
        )
    }
}
