//! What shadow rules would have done.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::rules::{ShadowDay, ShadowExample, ShadowReport},
    rules::ShadowOutcome,
};
use kernel::london_date;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::named;
use crate::domain::{policy, rules::shadow::Compared};

/// Adds what a batch has compared: counts, and the first examples of a day.
pub(super) async fn note(conn: &mut PgConnection, compared: &[Compared]) -> Result<(), Failure> {
    let Some(first) = compared.first() else {
        return Ok(());
    };
    let mut counts: BTreeMap<(i64, NaiveDate, &str), i32> = BTreeMap::new();
    for one in compared {
        *counts
            .entry((one.version, one.on, one.outcome.name()))
            .or_default() += 1;
    }
    let versions: Vec<i64> = counts.keys().map(|(version, ..)| *version).collect();
    let days: Vec<NaiveDate> = counts.keys().map(|(_, day, _)| *day).collect();
    let outcomes: Vec<&str> = counts.keys().map(|(.., outcome)| *outcome).collect();
    let receipts: Vec<i32> = counts.values().copied().collect();
    sqlx::query!(
        "insert into allocation.shadow_tally (version, decided_on, outcome, receipts, recorded_at)
         select t.*, now() from unnest($1::bigint[], $2::date[], $3::text[], $4::integer[]) as t",
        &versions,
        &days,
        &outcomes as &[&str],
        &receipts
    )
    .execute(&mut *conn)
    .await?;
    let most = policy::shadow_limits(first.on).examples;
    let mut versions: Vec<i64> = Vec::new();
    let mut days: Vec<NaiveDate> = Vec::new();
    let mut outcomes: Vec<&str> = Vec::new();
    let mut receipts: Vec<Uuid> = Vec::new();
    let (mut live, mut shadow) = (Vec::new(), Vec::new());
    let mut taken: BTreeMap<(i64, NaiveDate, &str), i64> = BTreeMap::new();
    for one in compared {
        let Some((from, to)) = &one.decisions else {
            continue;
        };
        let of_kind = taken
            .entry((one.version, one.on, one.outcome.name()))
            .or_default();
        *of_kind += 1;
        if *of_kind > most {
            continue;
        }
        versions.push(one.version);
        days.push(one.on);
        outcomes.push(one.outcome.name());
        receipts.push(one.receipt.as_uuid());
        live.push(serde_json::to_value(from)?);
        shadow.push(serde_json::to_value(to)?);
    }
    if versions.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into allocation.shadow_example (version, decided_on, outcome, receipt_id, live, shadow, recorded_at)
         select t.*, now()
         from unnest($1::bigint[], $2::date[], $3::text[], $4::uuid[], $5::jsonb[], $6::jsonb[])
             as t(version, decided_on, outcome, receipt_id, live, shadow)
         where (select count(*) from allocation.shadow_example e
             where e.version = t.version and e.decided_on = t.decided_on and e.outcome = t.outcome) < $7",
        &versions,
        &days,
        &outcomes as &[&str],
        &receipts,
        &live,
        &shadow,
        most
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a version decided as a shadow; `None`: nothing ever.
pub(crate) async fn report(
    conn: &mut PgConnection,
    version: i64,
    now: DateTime<Utc>,
) -> Result<Option<ShadowReport>, Failure> {
    let limits = policy::shadow_limits(london_date(now));
    let days = sqlx::query_as!(
        ShadowDay,
        r#"select decided_on as day,
               coalesce(sum(receipts) filter (where outcome = 'same'), 0) as "same!",
               coalesce(sum(receipts) filter (where outcome = 'live_only'), 0) as "live_only!",
               coalesce(sum(receipts) filter (where outcome = 'shadow_only'), 0) as "shadow_only!",
               coalesce(sum(receipts) filter (where outcome = 'different_lines'), 0) as "different_lines!"
           from allocation.shadow_tally where version = $1
           group by decided_on order by decided_on desc limit $2"#,
        version,
        limits.days
    )
    .fetch_all(&mut *conn)
    .await?;
    if days.is_empty() {
        return Ok(None);
    }
    let rows = sqlx::query!(
        "select decided_on, outcome, receipt_id, live, shadow from allocation.shadow_example
         where version = $1 order by decided_on desc, outcome, recorded_at limit $2",
        version,
        limits.examples * ShadowOutcome::ALL.len() as i64
    )
    .fetch_all(conn)
    .await?;
    let examples = rows.into_iter().map(|row| {
        Ok(ShadowExample {
            day: row.decided_on,
            outcome: named(row.outcome)?,
            receipt_id: row.receipt_id.into(),
            live: serde_json::from_value(row.live)?,
            shadow: serde_json::from_value(row.shadow)?,
        })
    });
    Ok(Some(ShadowReport {
        days,
        examples: examples.collect::<Result<_, Failure>>()?,
    }))
}
