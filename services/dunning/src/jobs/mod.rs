//! What happens by itself: a file for each.

pub(crate) mod charges;
pub(crate) mod dispatch;
pub(crate) mod due;
mod enclosed;
pub(crate) mod legal;
mod propose;
mod provider;
mod reminders;
pub(crate) mod statements;
mod written;

pub(crate) use propose::{EVERY, propose, queue};
