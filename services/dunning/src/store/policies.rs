//! Policies, as they were written.

use chrono::{DateTime, Utc};
use contracts::api::dunning::EditionKind;
use messaging::Failure;
use sqlx::PgConnection;

use super::{editions, templates::shipped};
use crate::domain::{
    enclosures::InForce,
    policy::{Assignment, Policies, Policy},
};

/// Everything that may be in force, or that something runs under, and which
/// account or parent has which.
pub(crate) async fn all(conn: &mut PgConnection) -> Result<Policies, Failure> {
    let rows = sqlx::query_scalar!(
        "select body from dunning.policy where state in ('published', 'retired')"
    )
    .fetch_all(&mut *conn)
    .await?;
    let read = |body| serde_json::from_value::<Policy>(body);
    let policies: Result<Vec<Policy>, _> = rows.into_iter().map(read).collect();
    let said = super::assignments::all(conn).await?;
    let assigned = said.into_iter().map(|one| Assignment {
        to: one.to,
        reference: one.reference,
        policy: one.policy,
        valid_from: one.valid_from,
    });
    let forms = InForce::new(super::enclosures::published(conn).await?);
    let policies = Policies::new(policies?).with(assigned.collect());
    Ok(policies.enclosing(forms))
}

/// Writes the built-in examples that are not there yet. A version that is there
/// is never written over.
pub(crate) async fn seed(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Failure> {
    for policy in Policy::shipped().map_err(Failure::of)? {
        let body = serde_json::to_value(&policy)?;
        let (name, title) = (&policy.policy, &policy.title);
        let shipped = shipped(EditionKind::Policy, name, policy.version, title, body);
        editions::seed(&mut *conn, &shipped, now).await?;
    }
    Ok(())
}
