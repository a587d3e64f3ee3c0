//! The rules: pure, no clock, no IO.

pub mod approvals;
pub(crate) mod clock;
pub(crate) mod cover;
pub(crate) mod data;
pub(crate) mod deadlines;
pub(crate) mod desk;
pub(crate) mod hours;
pub(crate) mod item;
pub(crate) mod kinds;
pub(crate) mod owner;
pub(crate) mod plan;
pub(crate) mod score;
