//! The way of a message: Receive, Claim, Load, Decide, Record, Settle, and then
//! Relay.
//!
//! The unit is a batch; a single message is a batch of one. A service gives a
//! [`Consumer`] its domain (`decode`, `load`, `decide`, `record`); everything
//! else, from pulling to dead letters, is here and the same for all.
//!
//! What holds, whatever fails and whenever: a message's effects and its id in
//! the inbox commit together, so that it counts once; its facts are in the
//! outbox of the same commit, so that they are published at least once, and the
//! readers' inboxes make that once.

mod bus;
mod dead_letters;
mod failure;
mod host;
mod message;
mod metrics;
mod pipeline;
mod relay;
mod tables;
pub mod topology;

pub use bus::{Bus, Settings, Tx, ask};
pub use failure::Failure;
pub use host::Host;
pub use message::{Incoming, Meta, Outgoing, Raw};
pub use pipeline::{Consumer, Decided, receive_from};
pub use tables::migration_sql;
