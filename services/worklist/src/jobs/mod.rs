//! What happens by itself: clocks that have something to say, and what a new
//! day brings.

pub(crate) mod clocks;
pub(crate) mod daily;
