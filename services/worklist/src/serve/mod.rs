//! What worklist answers: a file for each topic.

pub(crate) mod approvals;
