//! The rules of the ledger. Pure: no IO, no clock, the same answer every time.

pub mod after;
pub mod arrival;
pub mod chaseable;
pub mod evidence;
pub mod ladder;
pub mod ledger;
pub mod manual;
pub mod payer;
pub mod returns;
pub mod subset;

pub use evidence::{name_key, reference_key};
pub use ledger::{Account, Advised, Books, Changes, Item, Line, Proposal, Receipt};
