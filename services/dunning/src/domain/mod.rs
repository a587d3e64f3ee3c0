//! The rules of chasing. Pure.

pub mod data;
pub mod interest;
