//! The rules of cases: pure, no clock and no IO.

pub mod amounts;
pub mod case;
mod data;
pub mod link;
pub mod movements;
pub mod paper;
pub mod policy;
pub mod question;
mod refused;
pub mod steps;
pub mod suspicion;
#[cfg(test)]
mod tests;
pub mod words;

pub use case::{Case, Origin, Part, Proposal};
pub use refused::Refused;
