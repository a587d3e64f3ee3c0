//! What time alone does: an instruction that no bank sent back is active, one that
//! was not used for years may be gone, a collection that did not come back is
//! collected.

use std::time::Duration;

use kernel::london_date;
use messaging::{Bus, Failure, Meta};
use uuid::Uuid;

use crate::{
    consume::direct_debits::Teller,
    domain::{mandate::ForCollections, record::MandateStep},
    store::{collections, mandates},
};

/// Days pass rarely; but a service may have slept.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

const SYSTEM: &str = "system:direct_debits";

pub(crate) async fn age(bus: Bus) -> Result<(), Failure> {
    let now = bus.now();
    let today = london_date(now);
    let mut tx = bus.begin().await?;
    let due = mandates::aging(tx.conn(), today).await?;
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    let teller = Teller {
        prefix: bus.prefix(),
        actor: SYSTEM,
        cause: &cause,
        now,
    };
    let mut changed = false;
    for mandate in mandates::lock(&mut tx, mandates::Which::Ids(&due)).await? {
        if let Some(mut next) = mandate.aged(today) {
            next.version += 1;
            let step = MandateStep {
                mandate: next,
                collections: ForCollections::Keep,
                new: false,
            };
            teller.step(&mut tx, &step).await?;
            changed = true;
        }
    }
    for one in collections::lock(&mut tx, collections::Which::SentBefore(today)).await? {
        if let Some(next) = one.aged(today) {
            teller.collection(&mut tx, &next).await?;
            changed = true;
        }
    }
    tx.commit().await?;
    if changed {
        bus.notice(&["direct-debits".to_owned()]).await;
    }
    Ok(())
}
