//! Adjustments and outflows: only ever added to.

use contracts::allocation::{AdjustmentLine, OutflowLine};
use kernel::{AdjustmentId, OutflowId, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::ledger::{Adjusted, PaidOut};

pub(crate) async fn insert_adjustments(
    conn: &mut PgConnection,
    rows: &[Adjusted],
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    fn column<'r, T>(rows: &'r [Adjusted], of: impl Fn(&'r Adjusted) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.adjustment (adjustment_id, kind, document_id, account_id, currency, amount,
             contra_of, receipt_id, cause, reason, actor, effective_on, recorded_at)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::numeric[], $7::uuid[],
             $8::uuid[], $9::uuid[], $10::text[], $11::text[], $12::date[], $13::timestamptz[])",
        &column(rows, |r| r.line.adjustment_id.as_uuid()),
        &column(rows, |r| r.line.kind.name()) as &[&str],
        &column(rows, |r| r.line.document_id.as_uuid()),
        &column(rows, |r| r.line.account_id.as_uuid()),
        &column(rows, |r| r.line.amount.currency().code()) as &[&str],
        &column(rows, |r| r.line.amount.amount()),
        &column(rows, |r| r.line.contra_of.map(AdjustmentId::as_uuid)) as &[Option<Uuid>],
        &column(rows, |r| r.receipt.map(ReceiptId::as_uuid)) as &[Option<Uuid>],
        &column(rows, |r| r.line.cause) as &[Option<Uuid>],
        &column(rows, |r| r.reason.as_str()) as &[&str],
        &column(rows, |r| r.actor.as_str()) as &[&str],
        &column(rows, |r| r.line.effective_on),
        &column(rows, |r| r.recorded_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert_outflows(
    conn: &mut PgConnection,
    rows: &[PaidOut],
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    fn column<'r, T>(rows: &'r [PaidOut], of: impl Fn(&'r PaidOut) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.outflow (outflow_id, kind, receipt_id, currency, amount, contra_of, cause, reason,
             actor, effective_on, recorded_at)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::numeric[], $6::uuid[], $7::uuid[],
             $8::text[], $9::text[], $10::date[], $11::timestamptz[])",
        &column(rows, |r| r.line.outflow_id.as_uuid()),
        &column(rows, |r| r.line.kind.name()) as &[&str],
        &column(rows, |r| r.receipt.as_uuid()),
        &column(rows, |r| r.line.amount.currency().code()) as &[&str],
        &column(rows, |r| r.line.amount.amount()),
        &column(rows, |r| r.line.contra_of.map(OutflowId::as_uuid)) as &[Option<Uuid>],
        &column(rows, |r| r.line.cause) as &[Option<Uuid>],
        &column(rows, |r| r.reason.as_str()) as &[&str],
        &column(rows, |r| r.actor.as_str()) as &[&str],
        &column(rows, |r| r.line.effective_on),
        &column(rows, |r| r.recorded_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adjustments that came with a receipt and still stand: neither contras nor
/// undone. Oldest first.
pub(crate) async fn adjustments_of_receipt(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Vec<AdjustmentLine>, Failure> {
    let rows = sqlx::query!(
        "select d.adjustment_id, d.kind, d.document_id, i.document_ref, d.account_id, d.currency, d.amount,
             d.effective_on, d.cause
         from allocation.adjustment d join allocation.open_item i using (document_id)
         where d.receipt_id = $1 and d.contra_of is null
           and not exists (select 1 from allocation.adjustment c where c.contra_of = d.adjustment_id)
         order by d.adjustment_id",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AdjustmentLine {
                adjustment_id: row.adjustment_id.into(),
                kind: named(row.kind)?,
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                account_id: row.account_id.into(),
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                contra_of: None,
                cause: row.cause,
            })
        })
        .collect()
}

/// Outflows of a receipt that still stand: neither contras nor undone. Oldest
/// first.
pub(crate) async fn outflows_of_receipt(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Vec<OutflowLine>, Failure> {
    let rows = sqlx::query!(
        "select o.outflow_id, o.kind, o.currency, o.amount, o.effective_on, o.cause
         from allocation.outflow o
         where o.receipt_id = $1 and o.contra_of is null
           and not exists (select 1 from allocation.outflow c where c.contra_of = o.outflow_id)
         order by o.outflow_id",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OutflowLine {
                outflow_id: row.outflow_id.into(),
                kind: named(row.kind)?,
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                contra_of: None,
                cause: row.cause,
            })
        })
        .collect()
}

/// Adjustments that carry out one request, oldest first.
pub(crate) async fn adjustments_of_cause(
    conn: &mut PgConnection,
    cause: Uuid,
) -> Result<Vec<AdjustmentLine>, Failure> {
    let rows = sqlx::query!(
        "select d.adjustment_id, d.kind, d.document_id, i.document_ref, d.account_id, d.currency, d.amount,
             d.effective_on, d.contra_of, d.cause
         from allocation.adjustment d join allocation.open_item i using (document_id)
         where d.cause = $1 order by d.adjustment_id",
        cause
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AdjustmentLine {
                adjustment_id: row.adjustment_id.into(),
                kind: named(row.kind)?,
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                account_id: row.account_id.into(),
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                contra_of: row.contra_of.map(AdjustmentId::from),
                cause: row.cause,
            })
        })
        .collect()
}
