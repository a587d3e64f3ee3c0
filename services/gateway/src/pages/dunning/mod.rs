//! Dunning: the runs.

pub(crate) mod runs;
