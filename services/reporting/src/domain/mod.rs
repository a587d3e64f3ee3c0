//! The rules of reporting: pure, without IO, SQL or clock.

pub(crate) mod ageing;
pub(crate) mod chasing;
pub(crate) mod invariants;
pub(crate) mod movements;
pub(crate) mod receipt;
pub(crate) mod timeline;
