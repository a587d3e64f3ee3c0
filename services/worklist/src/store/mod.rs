//! The only SQL of worklist.

pub(crate) mod approvals;
