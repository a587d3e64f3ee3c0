//! The rules of dunning: pure.

pub mod agreed;
pub mod chase;
#[cfg(test)]
mod chase_tests;
pub mod claim;
pub mod contact;
#[cfg(test)]
mod contact_tests;
pub mod data;
pub mod diff;
pub mod edition;
pub mod enclosures;
pub mod hold;
pub mod interest;
pub mod joint;
#[cfg(test)]
mod joint_tests;
pub mod letter;
pub mod limitation;
pub mod manual;
pub mod movements;
pub mod owing;
#[cfg(test)]
mod owing_tests;
pub mod pack;
pub mod plan;
pub mod policies;
pub mod policy;
#[cfg(test)]
mod policy_tests;
pub mod policy_text;
pub mod pre_action;
pub mod promise;
#[cfg(test)]
mod promise_tests;
pub mod reach;
pub mod referral;
pub mod referral_steps;
#[cfg(test)]
mod referral_tests;
pub mod run;
pub mod sheet;
pub mod statement;
#[cfg(test)]
mod statement_tests;
pub mod stops;
pub mod template;
pub mod wording;
