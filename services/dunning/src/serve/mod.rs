//! What dunning answers, and the commands of people: a file for each topic, and
//! here what they share.

mod act;
mod holds;
mod plans;
mod promises;
mod standing;

pub(crate) use holds::{list_holds, place_hold, step_hold};
pub(crate) use plans::{list_plans, open_plan, propose_plan, step_plan};
pub(crate) use promises::{get_promise, list_promises, take_promise, withdraw_promise};
pub(crate) use standing::get_standing;

use messaging::{Bus, Failure};

use crate::store;

/// What must be there before anything is asked: the built-in policies.
pub(crate) async fn begin(bus: &Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    store::policies::seed(tx.conn(), bus.now()).await?;
    tx.commit().await
}
