//! What happens by itself: a file for each.

mod propose;

pub(crate) use propose::{EVERY, propose, queue};
