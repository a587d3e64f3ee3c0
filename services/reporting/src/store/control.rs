//! What the live projection adds up to, for the conservation check.

use std::collections::BTreeMap;

use kernel::Currency;
use messaging::Failure;
use sqlx::PgConnection;

use super::money;
use crate::domain::invariants::OwnTotals;

/// Everything that is known, whatever its date. The aged debt is summed by the
/// report's own definition, not from the other totals, so that the check
/// compares two things.
pub(crate) async fn totals(
    conn: &mut PgConnection,
) -> Result<BTreeMap<Currency, OwnTotals>, Failure> {
    let rows = sqlx::query!(
        r#"with live as (select generation from reporting.live),
           latest as (
               select distinct on (m.receipt_id) m.receipt_id, m.unallocated
               from reporting.movement m
               where m.generation = (select generation from live)
               order by m.receipt_id, m.version desc
           ),
           term as (
               select r.currency, count(*) as receipts, sum(r.amount) as received, 0 as allocated,
                      0 as outflows, sum(coalesce(m.unallocated, r.unallocated)) as unallocated, 0 as documents,
                      0 as billed, 0 as adjusted, 0 as aged
               from reporting.receipt r
               left join latest m using (receipt_id)
               where r.generation = (select generation from live)
               group by r.currency
               union all
               select a.currency, 0, 0, sum(a.amount), 0, 0, 0, 0, 0, 0
               from reporting.allocation a
               where a.generation = (select generation from live)
               group by a.currency
               union all
               select o.currency, 0, 0, 0, sum(o.amount), 0, 0, 0, 0, 0
               from reporting.outflow o
               where o.generation = (select generation from live)
               group by o.currency
               union all
               select j.currency, 0, 0, 0, 0, 0, 0, 0, sum(j.amount), 0
               from reporting.adjustment j
               where j.generation = (select generation from live)
               group by j.currency
               union all
               select d.currency, 0, 0, 0, 0, 0, count(*), sum(d.amount), 0, sum(d.open_amount)
               from reporting.documents_at('infinity', 'infinity') d
               group by d.currency
           )
           select currency as "currency!", sum(receipts)::bigint as "receipts!", sum(received) as "received!",
                  sum(allocated) as "allocated!", sum(outflows) as "outflows!", sum(unallocated) as "unallocated!",
                  sum(documents)::bigint as "documents!", sum(billed) as "billed!", sum(adjusted) as "adjusted!",
                  sum(aged) as "aged!"
           from term
           group by currency"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let money = |amount| money(amount, &row.currency);
            let received = money(row.received)?;
            Ok((
                received.currency(),
                OwnTotals {
                    receipts: row.receipts,
                    received,
                    allocated: money(row.allocated)?,
                    outflows: money(row.outflows)?,
                    unallocated: money(row.unallocated)?,
                    documents: row.documents,
                    billed: money(row.billed)?,
                    adjusted: money(row.adjusted)?,
                    aged: money(row.aged)?,
                },
            ))
        })
        .collect()
}

/// Contras that do not undo exactly one line, once and whole (invariant 3), in
/// words; at most ten of each kind.
pub(crate) async fn violations(conn: &mut PgConnection) -> Result<Vec<String>, Failure> {
    let mut violations: Vec<String> = sqlx::query_scalar!(
        r#"select c.allocation_id
           from reporting.allocation c
           left join reporting.allocation o
               on o.generation = c.generation and o.receipt_id = c.receipt_id and o.allocation_id = c.contra_of
           where c.generation = (select l.generation from reporting.live l) and c.contra_of is not null
               and (o.document_id, o.currency, o.amount) is distinct from (c.document_id, c.currency, -c.amount)
           limit 10"#
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .map(|id| format!("contra line {id} is not the opposite of a line of its receipt"))
    .collect();
    violations.extend(
        sqlx::query_scalar!(
            r#"select format('contra %s %s is not the opposite of another', what, id) as "text!"
               from (
                   select 'adjustment' as what, c.adjustment_id as id
                   from reporting.adjustment c
                   left join reporting.adjustment o
                       on o.generation = c.generation and o.adjustment_id = c.contra_of
                   where c.generation = (select l.generation from reporting.live l) and c.contra_of is not null
                       and (o.document_id, o.currency, o.amount)
                           is distinct from (c.document_id, c.currency, -c.amount)
                   union all
                   select 'outflow', c.outflow_id
                   from reporting.outflow c
                   left join reporting.outflow o on o.generation = c.generation
                       and o.receipt_id = c.receipt_id and o.outflow_id = c.contra_of
                   where c.generation = (select l.generation from reporting.live l) and c.contra_of is not null
                       and (o.currency, o.amount) is distinct from (c.currency, -c.amount)
               ) wrong
               limit 10"#
        )
        .fetch_all(&mut *conn)
        .await?,
    );
    violations.extend(
        sqlx::query_scalar!(
            r#"select c.contra_of as "contra_of!"
               from (
                   select generation, contra_of from reporting.allocation
                   union all select generation, contra_of from reporting.adjustment
                   union all select generation, contra_of from reporting.outflow
               ) c
               where c.generation = (select l.generation from reporting.live l) and c.contra_of is not null
               group by c.contra_of
               having count(*) > 1
               limit 10"#
        )
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(|id| format!("line {id} is undone more than once")),
    );
    Ok(violations)
}
