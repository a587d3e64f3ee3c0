//! The terms of the invariants that only this ledger can see.

use contracts::api::{ControlTotals, CurrencyTotals};
use kernel::Currency;
use messaging::{Bus, Failure};
use sqlx::PgConnection;

use super::money;
use crate::domain::ledger::chart;

/// Broken rows named in one answer at most.
const VIOLATIONS_MAX: i64 = 20;

pub(crate) async fn totals(conn: &mut PgConnection, bus: &Bus) -> Result<ControlTotals, Failure> {
    let rows = sqlx::query!(
        r#"with receipts as (
               select currency, count(*) as n, sum(amount) as received, sum(unallocated) as unallocated
               from allocation.receipt group by currency),
           lines as (select currency, sum(amount) as allocated from allocation.allocation group by currency),
           adjustments as (select currency, sum(amount) as adjusted from allocation.adjustment group by currency),
           outflows as (select currency, sum(amount) as outflows from allocation.outflow group by currency),
           items as (
               select currency, count(*) as n, sum(amount) as billed, sum(open) as open
               from allocation.open_item group by currency),
           journal as (
               select currency,
                   sum(case when debit = $1 then amount when credit = $1 then -amount else 0 end) as debtors,
                   sum(case when credit = $2 then amount when debit = $2 then -amount else 0 end) as unallocated
               from allocation.journal group by currency),
           currencies as (
               select currency from receipts union select currency from items union select currency from journal)
           select c.currency as "currency!", coalesce(r.n, 0) as "receipts!", coalesce(r.received, 0) as "received!",
               coalesce(l.allocated, 0) as "allocated!", coalesce(d.adjusted, 0) as "adjusted!",
               coalesce(o.outflows, 0) as "outflows!", coalesce(r.unallocated, 0) as "unallocated!",
               coalesce(i.n, 0) as "documents!", coalesce(i.billed, 0) as "billed!", coalesce(i.open, 0) as "open!",
               coalesce(j.debtors, 0) as "debtors!", coalesce(j.unallocated, 0) as "control!"
           from currencies c left join receipts r using (currency) left join lines l using (currency)
               left join adjustments d using (currency) left join outflows o using (currency)
               left join items i using (currency) left join journal j using (currency)
           order by c.currency"#,
        chart::DEBTORS,
        chart::UNALLOCATED
    )
    .fetch_all(&mut *conn)
    .await?;
    let currencies = rows
        .into_iter()
        .map(|row| {
            let of = |amount| money(amount, &row.currency);
            Ok(CurrencyTotals {
                currency: Currency::parse(&row.currency).map_err(Failure::of)?,
                receipts: row.receipts,
                received: of(row.received)?,
                allocated: of(row.allocated)?,
                outflows: of(row.outflows)?,
                unallocated: of(row.unallocated)?,
                documents: row.documents,
                billed: of(row.billed)?,
                adjusted: of(row.adjusted)?,
                open: of(row.open)?,
                debtors_control: of(row.debtors)?,
                unallocated_control: of(row.control)?,
            })
        })
        .collect::<Result<Vec<_>, Failure>>()?;

    let mut violations = sqlx::query_scalar!(
        r#"select format('receipt %s: %s received, %s allocated, %s paid out, %s unallocated', r.receipt_id,
               r.amount, coalesce(l.allocated, 0), coalesce(o.outflows, 0), r.unallocated) as "text!"
           from allocation.receipt r
           left join (select receipt_id, sum(amount) as allocated from allocation.allocation group by receipt_id) l
               using (receipt_id)
           left join (select receipt_id, sum(amount) as outflows from allocation.outflow group by receipt_id) o
               using (receipt_id)
           where r.amount <> r.unallocated + coalesce(l.allocated, 0) + coalesce(o.outflows, 0) limit $1"#,
        VIOLATIONS_MAX
    )
    .fetch_all(&mut *conn)
    .await?;
    violations.extend(
        sqlx::query_scalar!(
            r#"select format('document %s: amount %s, %s allocated, %s adjusted, %s open', i.document_ref, i.amount,
                   coalesce(l.allocated, 0), coalesce(d.adjusted, 0), i.open) as "text!"
               from allocation.open_item i
               left join (select document_id, sum(amount) as allocated from allocation.allocation
                   group by document_id) l using (document_id)
               left join (select document_id, sum(amount) as adjusted from allocation.adjustment
                   group by document_id) d using (document_id)
               where i.amount <> i.open + coalesce(l.allocated, 0) + coalesce(d.adjusted, 0) limit $1"#,
            VIOLATIONS_MAX
        )
        .fetch_all(&mut *conn)
        .await?,
    );
    violations.extend(
        sqlx::query_scalar!(
            r#"select format('%s %s has no journal entry of its amount', l.what, l.id) as "text!"
               from (select 'allocation' as what, allocation_id as id, amount from allocation.allocation
                   union all select 'adjustment', adjustment_id, amount from allocation.adjustment
                   union all select 'outflow', outflow_id, amount from allocation.outflow) l
               left join allocation.journal j on j.entry_id = l.id
               where j.amount is distinct from abs(l.amount) limit $1"#,
            VIOLATIONS_MAX
        )
        .fetch_all(conn)
        .await?,
    );
    Ok(ControlTotals {
        currencies,
        violations,
        unpublished: bus.unpublished().await?,
    })
}
