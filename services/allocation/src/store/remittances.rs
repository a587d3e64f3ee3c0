//! Remittance advice that waits for its receipt, and what waits for advice.

use chrono::NaiveDate;
use contracts::ingestion::AdvisedLine;
use kernel::{ReceiptId, RemittanceId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, receipts::Row as ReceiptRow};
use crate::domain::{Advice, Receipt, remittance};

/// Advices of about one amount that are looked at, at most.
const OF_TOTAL_MAX: i64 = 20;
/// Receipts of about one amount that are looked at again, at most.
const OF_AMOUNT_MAX: i64 = 20;

/// Which of these are on the ledger already.
pub(crate) async fn known(
    conn: &mut PgConnection,
    ids: &[RemittanceId],
) -> Result<Vec<RemittanceId>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select remittance_id from allocation.remittance where remittance_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(RemittanceId::from).collect())
}

/// Advices that no receipt has used and that come to about what is left on one
/// of `receipts`, and those that one of `waiting` has used; locked in key order.
pub(crate) async fn lock_for<'r>(
    conn: &mut PgConnection,
    receipts: impl Iterator<Item = &'r Receipt>,
    waiting: &[ReceiptId],
) -> Result<Vec<Advice>, Failure> {
    let waiting: Vec<Uuid> = waiting.iter().map(|id| id.as_uuid()).collect();
    let mut amounts: Vec<Decimal> = receipts.map(|r| r.unallocated.amount()).collect();
    amounts.sort_unstable();
    amounts.dedup();
    if amounts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "select remittance_id, number, payer_name, payer_account, payment_key, paid_on, currency, total, lines,
             used_by
         from allocation.remittance
         where remittance_id = any(array(
             select w.remittance_id from unnest($1::numeric[]) as said(amount)
                 cross join lateral (select remittance_id from allocation.remittance
                     where used_by is null and total between said.amount - $2 and said.amount + $2
                     order by total limit $3) w
             union
             select u.remittance_id from allocation.remittance u where u.used_by = any($4)))
         order by remittance_id for update",
        &amounts,
        remittance::near_max(),
        OF_TOTAL_MAX,
        &waiting
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let lines: Vec<AdvisedLine> = serde_json::from_value(row.lines).map_err(|e| {
                Failure::bug("allocation.stored_advice", "a stored advice cannot be read")
                    .caused_by(e)
            })?;
            Ok(Advice {
                id: row.remittance_id.into(),
                number: row.number,
                payer_name: row.payer_name,
                payer_account: row.payer_account,
                payment_key: row.payment_key,
                paid_on: row.paid_on,
                total: money(row.total, &row.currency)?,
                lines,
                used_by: row.used_by.map(ReceiptId::from),
            })
        })
        .collect()
}

/// Receipts with money left that one of `advices` may be about, or whose advice
/// lists one of the documents of `keys`; locked in key order.
pub(crate) async fn lock_receipts(
    conn: &mut PgConnection,
    advices: &[Advice],
    keys: &[String],
) -> Result<Vec<Receipt>, Failure> {
    if advices.is_empty() && keys.is_empty() {
        return Ok(Vec::new());
    }
    let totals: Vec<Decimal> = advices.iter().map(|a| a.total.amount()).collect();
    let (first, last): (Vec<NaiveDate>, Vec<NaiveDate>) = advices
        .iter()
        .map(|advice| remittance::days_around(advice.paid_on))
        .unzip();
    let rows = sqlx::query_as!(
        ReceiptRow,
        r#"select r.receipt_id, r.version, r.bank_account, r.client_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.paid_out, r.payer_name, r.payer_account, r.narrative, r.tokens, r.account_id,
                (select a.account_ref from allocation.account a where a.account_id = r.account_id) as account_ref,
                r.decision, r.scheme, r.end_to_end_id, r.mandate_reference, r.held, r.twin, r.recorded_at
         from allocation.receipt r
         where r.unallocated > 0 and r.receipt_id = any(array(
             select w.receipt_id from unnest($1::numeric[], $2::date[], $3::date[]) as said(total, first, last)
                 cross join lateral (select receipt_id from allocation.receipt
                     where unallocated > 0 and unallocated between said.total - $4 and said.total + $4
                       and booked_on between said.first and said.last
                     order by unallocated limit $5) w
             union
             select u.used_by from allocation.remittance u where u.used_by is not null and u.document_keys && $6))
         order by r.receipt_id for update of r"#,
        &totals,
        &first,
        &last,
        remittance::near_max(),
        OF_AMOUNT_MAX,
        keys
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Receipt::try_from).collect()
}

pub(crate) async fn insert(conn: &mut PgConnection, advices: &[Advice]) -> Result<(), Failure> {
    if advices.is_empty() {
        return Ok(());
    }
    fn column<'a, T>(advices: &'a [Advice], of: impl Fn(&'a Advice) -> T) -> Vec<T> {
        advices.iter().map(of).collect()
    }
    let lines = advices
        .iter()
        .map(|advice| serde_json::to_value(&advice.lines))
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "insert into allocation.remittance (remittance_id, number, payer_name, payer_account, payment_key, paid_on,
             currency, total, lines, document_keys, recorded_at)
         select t.id, t.number, t.payer, t.account, t.payment, t.paid, t.currency, t.total, t.lines,
             string_to_array(t.keys, ' '), now()
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::date[],
             $7::text[], $8::numeric[], $9::jsonb[], $10::text[])
             as t(id, number, payer, account, payment, paid, currency, total, lines, keys)",
        &column(advices, |a| a.id.as_uuid()),
        &column(advices, |a| a.number.as_str()) as &[&str],
        &column(advices, |a| a.payer_name.as_deref()) as &[Option<&str>],
        &column(advices, |a| a.payer_account.as_deref()) as &[Option<&str>],
        &column(advices, |a| a.payment_key.as_deref()) as &[Option<&str>],
        &column(advices, |a| a.paid_on),
        &column(advices, |a| a.total.currency().code()) as &[&str],
        &column(advices, |a| a.total.amount()),
        &lines,
        // Folded keys have no spaces.
        &column(advices, |a| a.keys().collect::<Vec<_>>().join(" "))
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes which receipt each has served; the caller holds their locks.
pub(crate) async fn set_used(
    conn: &mut PgConnection,
    used: &[(RemittanceId, ReceiptId)],
) -> Result<(), Failure> {
    if used.is_empty() {
        return Ok(());
    }
    let (advices, receipts): (Vec<Uuid>, Vec<Uuid>) = used
        .iter()
        .map(|(advice, receipt)| (advice.as_uuid(), receipt.as_uuid()))
        .unzip();
    sqlx::query!(
        "update allocation.remittance r set used_by = t.receipt
         from unnest($1::uuid[], $2::uuid[]) as t(id, receipt)
         where r.remittance_id = t.id and r.used_by is null",
        &advices,
        &receipts
    )
    .execute(conn)
    .await?;
    Ok(())
}
