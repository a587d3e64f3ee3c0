//! The rules of the ledger. Pure: no IO, no clock, the same answer every time.

pub mod after;
pub mod approvals;
pub mod arrival;
pub mod chaseable;
pub mod data;
pub mod edges;
pub mod evidence;
pub mod grammar;
pub mod ladder;
pub mod ledger;
pub mod legal;
pub mod manual;
pub mod payer;
pub mod policy;
pub mod refunds;
pub mod remittance;
pub mod returns;
pub mod rules;
pub mod subset;
pub mod write_offs;

pub use edges::{Edge, Learned};
pub use evidence::{name_key, reference_key};
pub use ledger::{Account, Advised, Books, Changes, Item, Line, Proposal, Receipt};
pub use remittance::Advice;
