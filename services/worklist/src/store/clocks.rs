//! The timer's side: which clocks are due, and what they go by.

use chrono::{DateTime, Utc};
use contracts::worklist::SlaPolicy;
use messaging::Failure;
use sqlx::PgConnection;

use super::{read, written};
use crate::domain::{
    clock::{Policies, Policy},
    item::Touched,
    kinds,
};

/// Every version of every policy.
pub(crate) async fn policies(conn: &mut PgConnection) -> Result<Policies, Failure> {
    let mut policies = kinds::shipped_policies()?;
    for policy in changed_policies(conn).await? {
        policies.push(Policy::read(&policy)?);
    }
    Ok(Policies::new(policies))
}

/// Those that people have made.
pub(crate) async fn changed_policies(conn: &mut PgConnection) -> Result<Vec<SlaPolicy>, Failure> {
    let rows = sqlx::query_scalar!("select body from worklist.sla_policy order by policy, version")
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(read).collect()
}

pub(crate) async fn put_policy(
    conn: &mut PgConnection,
    policy: &SlaPolicy,
    by: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into worklist.sla_policy (policy, version, body, changed_by, reason, changed_at) \
         values ($1, $2, $3, $4, $5, $6)",
        policy.policy,
        policy.version,
        written(policy)?,
        by,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When a clock has something to say next.
pub(crate) async fn next_due(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, Failure> {
    Ok(sqlx::query_scalar!(
        "select next_due_at from worklist.sla_clock where next_due_at is not null order by next_due_at limit 1"
    )
    .fetch_optional(conn)
    .await?
    .flatten())
}

/// The clocks that are due, the longest due first, with their items, locked;
/// what somebody else has in hand is left for the next look.
pub(crate) async fn take_due(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Touched>, Failure> {
    let rows = sqlx::query!(
        r#"select to_jsonb(c) as "clock!",
               (to_jsonb(i) || jsonb_build_object('amount', i.amount::text)) as "item!"
           from worklist.sla_clock c join worklist.work_item i using (work_item_id)
           where c.next_due_at <= $1 order by c.next_due_at, c.work_item_id limit $2
           for update of c, i skip locked"#,
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Touched::of(read(row.item)?, Some(read(row.clock)?))))
        .collect()
}
