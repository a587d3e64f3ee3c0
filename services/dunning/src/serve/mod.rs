//! What dunning answers, and the commands of people: a file for each topic, and
//! here what they share.

mod standing;

pub(crate) use standing::{get_standing, moment};

use messaging::{Bus, Failure};

use crate::store;

/// What must be there before anything is asked: the built-in policies.
pub(crate) async fn begin(bus: &Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    store::policies::seed(tx.conn(), bus.now()).await?;
    store::templates::seed(tx.conn(), bus.now()).await?;
    tx.commit().await
}
