//! What dunning answers, and the commands of people: a file for each topic, and
//! here what they share.

mod act;
mod assignments;
pub(crate) mod claims;
mod contact_views;
mod contacts;
pub(crate) mod editions;
mod enclosures;
mod holds;
mod plans;
mod policies;
mod promises;
mod referral_pack;
mod referrals;
mod referrals_act;
mod run_preview;
pub(crate) mod runs;
pub(crate) mod standing;
mod statements;
mod templates;

pub(crate) use assignments::{assign_policy, list_assignments};
pub(crate) use claims::{Ledgers, get_late_payment, late_sums, post_charge, take_back_charge};
pub(crate) use contact_views::{get_reach, list_contacts, list_outcomes};
pub(crate) use contacts::{erase_contact_notes, record_contact, step_contact};
pub(crate) use editions::step_edition;
pub(crate) use enclosures::{draft_enclosure, fetch_enclosure, list_enclosures};
pub(crate) use holds::{get_hold, list_holds, place_hold, step_hold};
pub(crate) use plans::{get_plan, list_plans, open_plan, propose_plan, step_plan};
pub(crate) use policies::{draft_policy, get_policy, list_policies};
pub(crate) use promises::{
    get_promise, list_promises, promise_figures, take_promise, withdraw_promise,
};
pub(crate) use referrals::{get_legal, get_pack, get_referral, list_referrals};
pub(crate) use referrals_act::{acknowledge_debt, open_referral, step_referral};
pub(crate) use run_preview::preview_run_account;
pub(crate) use runs::{edit_run, get_run, list_run_accounts, list_runs, propose_run, step_run};
pub(crate) use standing::{get_standing, moment};
pub(crate) use statements::{compose, get_statement, on_paper};
pub(crate) use templates::{draft_template, get_template, list_templates, preview_template};

use messaging::{Bus, Failure};
use uuid::Uuid;

use crate::store;

/// What a person says, in letters.
const TEXT_MAX: usize = 2000;

/// What must be there before anything is asked: the built-in policies.
pub(crate) async fn begin(bus: &Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    store::policies::seed(tx.conn(), bus.now()).await?;
    store::templates::seed(tx.conn(), bus.now()).await?;
    tx.commit().await
}

/// Why, in words.
///
/// # Errors
/// When there is none, or more than is kept.
pub(crate) fn text(text: &str, pointer: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        return Err(
            Failure::permanent("dunning.reason_needed", "a step of a person has a reason")
                .at(pointer, format!("between 1 and {TEXT_MAX} characters")),
        );
    }
    Ok(text.to_owned())
}

pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Uuid>, Failure> {
    let read = |text: &str| {
        text.parse().map_err(|e: uuid::Error| {
            Failure::permanent("dunning.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", e.to_string())
        })
    };
    text.map(read).transpose()
}
