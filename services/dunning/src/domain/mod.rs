//! The rules of dunning: pure.

pub mod chase;
#[cfg(test)]
mod chase_tests;
pub mod data;
pub mod interest;
pub mod letter;
pub mod movements;
pub mod policy;
pub mod stops;
pub mod template;
