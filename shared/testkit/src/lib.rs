//! Tests on real servers: a Postgres and a nats-server of our own, shared by all tests of a run, with a database and a
//! subject prefix for each test.
//!
//! ```no_run
//! use contracts::Role;
//! use testkit::{DEADLINE, Suite, account, document, eventually, receipt};
//!
//! # async fn service(_: messaging::Bus) -> Result<(), messaging::Failure> { Ok(()) }
//! # async fn paid(_: &Suite) -> bool { true }
//! # async fn test() {
//! let suite = Suite::start().await;
//! let ingestion = suite.run(Role::Ingestion, service).await;
//! suite.publish_account("a-1", &account("ACME01")).await;
//! suite.publish_document("d-1", &document("INV-1", "ACME01", "100.00")).await;
//! suite.publish_receipt("r-1", &receipt("INV-1", "100.00")).await;
//! eventually("the invoice is paid", DEADLINE, || paid(&suite)).await;
//! ingestion.stop().await;
//! # }
//! ```
//!
//! `cargo run -p testkit --bin test-stack -- run cargo nextest run` (which is what `make test` does) starts the servers
//! once for all tests and stops them afterwards. A test that is run without it starts servers of its own, which takes
//! some seconds, and stops them at its end.

mod build;
mod cluster;
pub mod corpus;
pub mod rules;
mod suite;
mod wait;

pub use build::{account, document, receipt, remittance};
pub use cluster::Cluster;
pub use suite::{Running, Suite};
pub use wait::{DEADLINE, assert_conserved, eventually, eventually_some};

/// The result, or the end of the test with the reason.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test whose ground gives way fails; whoever calls us is a test"
)]
pub(crate) fn must<T, E: Into<anyhow::Error>>(doing: &str, done: Result<T, E>) -> T {
    done.unwrap_or_else(|error| panic!("cannot {doing}: {:#}", error.into()))
}
