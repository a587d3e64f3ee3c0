//! Reading what comes in from outside: pure functions from bytes to canonical
//! lines and documents, with every doubt and every reason to refuse.
//!
//! | module | says |
//! |---|---|
//! | [`parse`] | [`parse::parse`], the one way in; [`parse::to_json`] as the command line prints it |
//! | [`detect`] | what a file is, and its text |
//! | [`line`](mod@line) | [`line::Statement`], [`line::BankLine`], [`line::receipts_of`] |
//! | [`scheme`] | which payment scheme a line came by: rules in `bank_tx_codes.csv` |
//! | [`dedup`] | what makes a line or statement the same one again |
//! | [`proof`] | whether a statement follows the one before |
//! | [`bacs`] | reports of Bacs: what comes back, and what became of instructions |
//! | [`bacs_news`] | what of a report is new |
//! | [`csv_accounts`], [`csv_documents`], [`csv_matters`] | billing accounts, documents and matters |
//! | [`problem`] | doubts and refusals |
//! | [`inbound`] | messages of feeds and billing systems, checked field by field |
//! | [`record`] | what of it is new |
//! | [`file`](mod@file) | what a whole file adds |
//! | [`chain`] | the statements of one account in a row |
//! | [`pain001`] | refunds as a payment file |
//! | [`std18`] | files for Bacs, written and read |
//! | [`mandate`], [`collection`] | Direct Debit: who may be collected from, and what is |
//!
//! A new format is a module beside `camt` that ends in [`parse::Parsed`], a
//! [`detect::Format`] and the sign to tell it by.

pub mod bacs;
pub mod bacs_news;
mod camt;
pub mod chain;
pub mod collection;
pub mod csv_accounts;
pub mod csv_documents;
pub mod csv_mandates;
pub mod csv_matters;
pub mod csv_table;
mod data;
pub mod dedup;
pub mod detect;
pub mod file;
pub mod inbound;
pub mod line;
pub mod mandate;
pub mod pain001;
pub mod parse;
pub mod problem;
pub mod proof;
pub mod record;
pub mod scheme;
pub mod std18;
mod xml;
