//! What other services say: a file for each.

mod approvals;
mod assignments;
pub(crate) mod credit;
mod disputes;
mod feeds;
pub(crate) mod judge;
mod ledger;
pub(crate) mod reach;
pub(crate) mod referrals;

pub(crate) use approvals::Approvals;
pub(crate) use assignments::content as assignment_content;
pub(crate) use disputes::Disputes;
pub(crate) use feeds::Feeds;
pub(crate) use ledger::Ledger;
