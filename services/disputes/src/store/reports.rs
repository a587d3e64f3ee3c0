//! Counts for tiles, and what each department caused.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::{CaseQueue, FeedbackRow, QueueCount},
    disputes::CaseState,
};
use kernel::{Currency, Money};
use messaging::Failure;
use sqlx::PgConnection;

use super::{known, money, views::states};

/// Cases of each queue but the closed ones, with what they are about.
pub(crate) async fn counts(
    conn: &mut PgConnection,
    who: Option<&str>,
) -> Result<Vec<QueueCount>, Failure> {
    let rows = sqlx::query!(
        r#"select d.state, d.currency, count(*) as "cases!", coalesce(sum(p.disputed), 0) as "in_question!"
           from disputes.dispute d
           cross join lateral (
             select coalesce(sum(p.disputed), 0) as disputed from disputes.part p where p.case_id = d.case_id) p
           where d.state <> 'closed' and ($1::text is null or $1 in (d.coordinator, d.processor, d.responsible))
           group by d.state, d.currency order by d.currency"#,
        who
    )
    .fetch_all(conn)
    .await?;
    let mut counts = Vec::new();
    for queue in CaseQueue::ALL {
        if matches!(queue, CaseQueue::Closed | CaseQueue::All) {
            continue;
        }
        let of = states(*queue).unwrap_or_default();
        let mut cases = 0;
        let mut sums: BTreeMap<Currency, Money> = BTreeMap::new();
        for row in rows.iter().filter(|row| of.contains(&row.state)) {
            known(CaseState::named(&row.state), &row.state)?;
            cases += row.cases;
            let amount = money(row.in_question, &row.currency)?;
            let sum = sums
                .entry(amount.currency())
                .or_insert(Money::zero(amount.currency()));
            *sum = sum.checked_add(amount).map_err(Failure::of)?;
        }
        counts.push(QueueCount {
            queue: *queue,
            cases,
            in_question: sums
                .into_values()
                .filter(|amount| !amount.is_zero())
                .collect(),
        });
    }
    Ok(counts)
}

/// Cases raised between two moments, by department, reason and cause.
pub(crate) async fn feedback(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<FeedbackRow>, Failure> {
    let rows = sqlx::query!(
        r#"select d.department, d.reason_code, d.root_cause, d.currency, count(*) as "cases!",
             count(*) filter (where d.state <> 'closed') as "open!",
             count(*) filter (where d.preventable) as "preventable!",
             coalesce(sum(p.original), 0) as "original!", coalesce(sum(p.credited), 0) as "credited!",
             sum(floor(extract(epoch from coalesce(d.closed_at, $3) - d.raised_at) / 86400))::bigint as "days!"
           from disputes.dispute d
           cross join lateral (
             select coalesce(sum(p.original), 0) as original, coalesce(sum(p.credited), 0) as credited
             from disputes.part p where p.case_id = d.case_id) p
           where d.raised_at >= $1 and d.raised_at < $2 and d.state <> 'suspected'
             and coalesce(d.resolution, '') not in ('cleared', 'withdrawn')
             and not (d.state = 'closed' and d.resolution is null)
           group by d.department, d.reason_code, d.root_cause, d.currency
           order by sum(p.original) desc, d.department, d.reason_code, d.root_cause limit 1000"#,
        from,
        to,
        now
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(FeedbackRow {
                department: row.department,
                reason_code: row.reason_code,
                reason: None,
                root_cause: row.root_cause,
                currency: Currency::parse(&row.currency).map_err(Failure::of)?,
                cases: row.cases,
                open: row.open,
                preventable: row.preventable,
                original: money(row.original, &row.currency)?,
                credited: money(row.credited, &row.currency)?,
                days: row.days,
            })
        })
        .collect()
}
