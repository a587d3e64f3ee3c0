//! The terms of the invariants that only this ledger can see.

use contracts::api::{ClientTotals, ControlTotals, CurrencyTotals};
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
        .fetch_all(&mut *conn)
        .await?,
    );
    let client_money = client_money(conn).await?;
    Ok(ControlTotals {
        currencies,
        client_money,
        violations,
        unpublished: bus.unpublished().await?,
    })
}

/// The client bank accounts of the journal, and what they are made of by the
/// rows: what is held, what is unallocated or promised back of receipts that came
/// there, what is noted to be moved, and the firm's part that is not noted.
async fn client_money(conn: &mut PgConnection) -> Result<Vec<ClientTotals>, Failure> {
    let rows = sqlx::query!(
        r#"with receipts as (select receipt_id, currency, unallocated from allocation.receipt where client_account),
           journal as (
               select currency,
                   sum(case when debit like 'client\_bank:%' then amount else 0 end)
                       - sum(case when credit like 'client\_bank:%' then amount else 0 end) as bank,
                   sum(case when credit = $1 then amount when debit = $1 then -amount else 0 end) as owed
               from allocation.journal
               where debit like 'client\_bank:%' or credit like 'client\_bank:%' or debit = $1 or credit = $1
               group by currency),
           terms as (
               select currency, 'held' as term, amount from allocation.client_balance
               union all select currency, 'cash', unallocated from receipts
               union all
               select f.currency, 'refunds', f.amount from allocation.refund f join receipts using (receipt_id)
               where f.reservation is not null and f.state <> 'paid'
               union all
               select currency, 'due', case to_side when 'business' then amount else -amount end
               from allocation.bank_move where done_on is null
               union all
               select l.currency, 'office', l.amount from allocation.allocation l join receipts using (receipt_id)
               union all
               select o.currency, 'office', o.amount from allocation.outflow o join receipts using (receipt_id)
               where o.kind = 'written_back'
               union all
               select d.currency, 'office', -d.shortfall from allocation.debit d join receipts using (receipt_id)
               where d.state = 'returned' and d.shortfall is not null
               union all
               select b.currency, 'office', case b.to_side when 'business' then -b.amount else b.amount end
               from allocation.bank_move b join receipts using (receipt_id)),
           sums as (
               select currency, sum(amount) filter (where term = 'held') as held,
                   sum(amount) filter (where term = 'cash') as cash,
                   sum(amount) filter (where term = 'refunds') as refunds,
                   sum(amount) filter (where term = 'due') as due,
                   sum(amount) filter (where term = 'office') as office
               from terms group by currency)
           select currency as "currency!", coalesce(j.bank, 0) as "bank!", coalesce(j.owed, 0) as "owed!",
               coalesce(s.held, 0) as "held!", coalesce(s.cash, 0) as "cash!", coalesce(s.refunds, 0) as "refunds!",
               coalesce(s.due, 0) as "due!", coalesce(s.office, 0) as "office!"
           from journal j full join sums s using (currency) order by 1"#,
        chart::CLIENT_MONEY
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let of = |amount| money(amount, &row.currency);
            Ok(ClientTotals {
                currency: Currency::parse(&row.currency).map_err(Failure::of)?,
                bank: of(row.bank)?,
                held: of(row.held)?,
                client_money_control: of(row.owed)?,
                unallocated: of(row.cash)?,
                refunds: of(row.refunds)?,
                due_to_business: of(row.due)?,
                not_noted: of(row.office)?,
            })
        })
        .collect()
}
