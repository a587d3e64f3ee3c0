//! Pure rules: no IO, no clock.

pub mod approvals;
