//! The rules of dunning: pure.

pub mod chase;
#[cfg(test)]
mod chase_tests;
pub mod claim;
pub mod data;
pub mod interest;
pub mod manual;
pub mod movements;
pub mod policy;
pub mod run;
pub mod stops;
