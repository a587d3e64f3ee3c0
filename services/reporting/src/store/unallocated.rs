//! Cash that pays nothing yet.

use chrono::NaiveDate;
use contracts::api::reporting::UnallocatedRow;
use kernel::Money;
use messaging::Failure;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::money;
use crate::{domain::receipt::state_of, serve::AsAt};

/// Where the next page begins: behind this receipt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct UnallocatedPlace {
    pub(crate) booked_on: NaiveDate,
    pub(crate) receipt_id: Uuid,
}

impl UnallocatedPlace {
    pub(crate) fn of(row: &UnallocatedRow) -> Self {
        Self {
            booked_on: row.booked_on,
            receipt_id: row.receipt_id.as_uuid(),
        }
    }
}

/// The total of each currency, and one page of receipts, oldest first.
pub(crate) async fn report(
    conn: &mut PgConnection,
    at: AsAt,
    after: Option<&UnallocatedPlace>,
    rows: i64,
) -> Result<(Vec<Money>, Vec<UnallocatedRow>), Failure> {
    let found = sqlx::query!(
        r#"with cash as (
               select r.*
               from reporting.receipts_maybe_unallocated($1)
               join reporting.receipts_at($1, $2) r using (receipt_id)
               where r.unallocated <> 0
           ),
           page as (
               select *
               from cash
               where $3::date is null or (booked_on, receipt_id) > ($3, $4)
               order by booked_on, receipt_id
               limit $5
           )
           select null::uuid as receipt_id, null::date as booked_on, 0::numeric as "amount!", 0::numeric as "paid_out!",
                  sum(unallocated) as "unallocated!", currency as "currency!", null::text as payer_name,
                  '' as "narrative!", null::uuid as account_id, null::text as account_ref,
                  false as "on_account!"
           from cash
           group by currency
           union all
           select receipt_id, booked_on, amount, paid_out, unallocated, currency, payer_name, narrative, account_id,
                  account_ref, on_account
           from page"#,
        at.as_of,
        at.known_at,
        after.map(|place| place.booked_on),
        after.map(|place| place.receipt_id),
        rows,
    )
    .fetch_all(conn)
    .await?;
    let mut totals = Vec::new();
    let mut page = Vec::new();
    for row in found {
        let unallocated = money(row.unallocated, &row.currency)?;
        match (row.receipt_id, row.booked_on) {
            (Some(receipt_id), Some(booked_on)) => page.push(UnallocatedRow {
                receipt_id: receipt_id.into(),
                booked_on,
                age_days: (at.as_of - booked_on).num_days(),
                amount: money(row.amount, &row.currency)?,
                unallocated,
                payer_name: row.payer_name,
                narrative: row.narrative,
                state: state_of(
                    row.amount - row.paid_out,
                    row.unallocated,
                    row.account_id.is_some(),
                    row.on_account,
                ),
                account_id: row.account_id.map(Into::into),
                account_ref: row.account_ref,
            }),
            _ => totals.push(unallocated),
        }
    }
    // A union keeps no order of its own.
    totals.sort_by_key(|total| total.currency());
    page.sort_by_key(|row| (row.booked_on, row.receipt_id));
    Ok((totals, page))
}
