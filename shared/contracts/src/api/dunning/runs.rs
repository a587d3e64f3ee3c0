//! Dunning runs.
