//! Whether a debtor is supplied on credit: not while something is open that has
//! come to a stage which stops it. What a payment lifts, its return puts back
//! (E78).

use contracts::dunning::CreditStopChanged;
use kernel::london_date;
use messaging::{Failure, Outgoing, Tx};
use uuid::Uuid;

use super::judge::Told;
use crate::{
    domain::policy::{Policies, Policy},
    store::{self, credit},
};

/// Looks at accounts whose items or contacts have changed, and tells of those
/// that are stopped or supplied again.
pub(crate) async fn look(tx: &mut Tx, accounts: &[Uuid], told: Told<'_>) -> Result<(), Failure> {
    let found = credit::of(tx.conn(), accounts).await?;
    if found.is_empty() {
        return Ok(());
    }
    let policies = store::policies::all(tx.conn()).await?;
    tell(tx, found, &policies, told).await
}

/// As [`look`], for who has read the policies already.
pub(crate) async fn look_by(
    tx: &mut Tx,
    accounts: &[Uuid],
    policies: &Policies,
    told: Told<'_>,
) -> Result<(), Failure> {
    let found = credit::of(tx.conn(), accounts).await?;
    tell(tx, found, policies, told).await
}

async fn tell(
    tx: &mut Tx,
    found: Vec<credit::Debtor>,
    policies: &Policies,
    told: Told<'_>,
) -> Result<(), Failure> {
    let today = london_date(told.now);
    let (mut events, mut changed) = (Vec::new(), Vec::new());
    for account in &found {
        let stopped = account.stages.iter().any(|(policy, version, rank)| {
            let from = policies
                .get(policy, *version)
                .and_then(Policy::stops_credit_at);
            from.is_some_and(|from| *rank >= from)
        });
        if stopped == account.told.is_some_and(|before| before.stopped) {
            continue;
        }
        let now = credit::Told {
            version: account.told.map_or(0, |before| before.version) + 1,
            stopped,
            since: today,
        };
        changed.push((account, now));
        let event = CreditStopChanged {
            account_id: account.account_id.into(),
            account_ref: account.account_ref.clone(),
            version: now.version,
            stopped,
            since: today,
            cause: Some(told.cause.id),
            recorded_at: told.now,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
        };
        events.push(Outgoing::new(
            &event,
            account.account_id,
            now.version,
            told.prefix,
            told.now,
            told.cause,
        )?);
    }
    credit::put(tx.conn(), &changed).await?;
    tx.publish(&events).await
}
