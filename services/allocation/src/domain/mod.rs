//! The rules of the ledger. Pure: no IO, no clock, the same answer every time.

pub mod arrival;
mod data;
pub mod edges;
pub mod evidence;
pub mod grammar;
pub mod ladder;
pub mod ledger;
pub mod manual;
pub mod payer;
pub mod remittance;
pub mod subset;

pub use edges::{Edge, Learned};
pub use evidence::{name_key, reference_key};
pub use ledger::{Account, Advised, Books, Changes, Item, Line, Proposal, Receipt};
pub use remittance::Advice;
