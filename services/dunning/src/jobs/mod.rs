//! What happens by itself.

pub(crate) mod dispatch;
