//! Aged debt as at any day and as known at any moment, and the items behind it.

use chrono::NaiveDate;
use contracts::api::reporting::{AgedItem, AgedRow, AgedTotals, AgeingBasis};
use kernel::{AccountId, Currency, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{enum_of, money};
use crate::{
    domain::ageing::{self, BANDS_MAX},
    serve::AsAt,
};

/// Which accounts a report is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filter<'a> {
    /// Part of the reference or the name.
    pub(crate) search: Option<&'a str>,
    pub(crate) segment: Option<&'a str>,
}

/// Where the next page of accounts begins: behind this row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AgedPlace {
    pub(crate) overdue: Decimal,
    pub(crate) account_ref: String,
    pub(crate) currency: String,
}

impl AgedPlace {
    pub(crate) fn of(row: &AgedRow) -> Self {
        Self {
            overdue: row.overdue.amount(),
            account_ref: row.account_ref.clone(),
            currency: row.currency.code().to_owned(),
        }
    }
}

/// The totals of all accounts that match, and one page of them, most overdue
/// first: one statement, so that they are of the same moment.
pub(crate) async fn report(
    conn: &mut PgConnection,
    at: AsAt,
    basis: AgeingBasis,
    filter: Filter<'_>,
    after: Option<&AgedPlace>,
    rows: i64,
) -> Result<(Vec<AgedTotals>, Vec<AgedRow>), Failure> {
    let found = sqlx::query!(
        r#"with item as (
               select d.account_id, d.account_ref, d.currency, d.open_amount as open, d.due_on,
                      $1 - case when $3 then d.due_on else d.issued_on end as days
               from reporting.documents_at($1, $2) d
           ),
           fact as (
               select account_id, max(account_ref) as account_ref, currency,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 0), 0) as b0,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 1), 0) as b1,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 2), 0) as b2,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 3), 0) as b3,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 4), 0) as b4,
                      coalesce(sum(open) filter (where width_bucket(days, $4::integer[]) = 5), 0) as b5,
                      sum(open) as total,
                      coalesce(sum(open) filter (where due_on < $1), 0) as overdue,
                      max(days) filter (where open > 0) as oldest_days,
                      0 as unallocated
               from item
               where open <> 0
               group by account_id, currency
               union all
               select r.account_id, max(r.account_ref), r.currency, 0, 0, 0, 0, 0, 0, 0, 0, null, sum(r.unallocated)
               from reporting.receipts_maybe_unallocated($1)
               join reporting.receipts_at($1, $2) r using (receipt_id)
               where r.account_id is not null and r.unallocated <> 0
               group by r.account_id, r.currency
           ),
           standing as (
               select f.account_id, max(f.account_ref) as account_ref, f.currency, sum(f.b0) as b0, sum(f.b1) as b1,
                      sum(f.b2) as b2, sum(f.b3) as b3, sum(f.b4) as b4, sum(f.b5) as b5, sum(f.total) as total,
                      sum(f.overdue) as overdue, max(f.oldest_days) as oldest_days,
                      sum(f.unallocated) as unallocated
               from fact f
               group by f.account_id, f.currency
           ),
           -- An account's own facts may be late: until then its documents name it.
           row as (
               select s.account_id, coalesce(a.account_ref, s.account_ref) as account_ref,
                      coalesce(a.name, s.account_ref) as name, a.segment, s.currency, s.b0, s.b1, s.b2, s.b3, s.b4,
                      s.b5, s.total, s.overdue, s.oldest_days, s.unallocated
               from standing s
               left join reporting.accounts_at($2) a on a.account_id = s.account_id
               where ($5::text is null or strpos(lower(coalesce(a.account_ref, s.account_ref)), lower($5)) > 0
                       or strpos(lower(a.name), lower($5)) > 0)
                   and ($6::text is null or a.segment = $6)
           ),
           page as (
               select * from row
               where $7::numeric is null or overdue < $7 or (overdue = $7 and (account_ref collate "C", currency collate "C") > ($8, $9))
               order by overdue desc, account_ref collate "C", currency collate "C"
               limit $10
           )
           select null::uuid as account_id, null::text as account_ref, null::text as name, null::text as segment,
                  currency as "currency!", sum(b0) as "b0!", sum(b1) as "b1!", sum(b2) as "b2!", sum(b3) as "b3!",
                  sum(b4) as "b4!", sum(b5) as "b5!", sum(total) as "total!", sum(overdue) as "overdue!",
                  null::integer as oldest_days, sum(unallocated) as "unallocated!", count(*) as "accounts!"
           from row
           group by currency
           union all
           select account_id, account_ref, name, segment, currency, b0, b1, b2, b3, b4, b5, total, overdue,
                  oldest_days, unallocated, 0
           from page"#,
        at.as_of,
        at.known_at,
        basis == AgeingBasis::Due,
        &ageing::thresholds(basis),
        filter.search,
        filter.segment,
        after.map(|place| place.overdue),
        after.map(|place| place.account_ref.as_str()),
        after.map(|place| place.currency.as_str()),
        rows,
    )
    .fetch_all(conn)
    .await?;

    let bands = ageing::bands(basis).len();
    let mut totals = Vec::new();
    let mut page = Vec::new();
    for row in found {
        let money = |amount: Decimal| money(amount, &row.currency);
        let currency = money(row.total)?.currency();
        let columns: [Decimal; BANDS_MAX] = [row.b0, row.b1, row.b2, row.b3, row.b4, row.b5];
        let buckets = columns
            .into_iter()
            .take(bands)
            .map(money)
            .collect::<Result<Vec<Money>, _>>()?;
        match (row.account_id, row.account_ref) {
            (Some(account_id), Some(account_ref)) => page.push(AgedRow {
                account_id: account_id.into(),
                name: row.name.unwrap_or_else(|| account_ref.clone()),
                account_ref,
                segment: row.segment,
                currency,
                buckets,
                total: money(row.total)?,
                overdue: money(row.overdue)?,
                unallocated: money(row.unallocated)?,
                oldest_days: row.oldest_days.map(i64::from),
            }),
            _ => totals.push(AgedTotals {
                currency,
                buckets,
                total: money(row.total)?,
                unallocated: money(row.unallocated)?,
                accounts: row.accounts,
            }),
        }
    }
    // A union keeps no order of its own; this is the page's, byte by byte.
    totals.sort_by_key(|total| total.currency);
    page.sort_by(|a, b| {
        b.overdue
            .amount()
            .cmp(&a.overdue.amount())
            .then_with(|| a.account_ref.cmp(&b.account_ref))
            .then_with(|| a.currency.cmp(&b.currency))
    });
    Ok((totals, page))
}

/// Where the next page of items begins: behind this document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ItemPlace {
    /// The date that it ages from.
    pub(crate) from: NaiveDate,
    pub(crate) document_id: Uuid,
}

impl ItemPlace {
    pub(crate) fn of(item: &AgedItem, basis: AgeingBasis) -> Self {
        Self {
            from: match basis {
                AgeingBasis::Due => item.due_on,
                AgeingBasis::Document => item.issued_on,
            },
            document_id: item.document_id.as_uuid(),
        }
    }
}

/// Which open items.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell {
    pub(crate) account_id: Option<AccountId>,
    pub(crate) currency: Option<Currency>,
    /// Index into the bands.
    pub(crate) band: Option<u8>,
}

/// The open documents behind a cell, oldest first.
pub(crate) async fn items(
    conn: &mut PgConnection,
    at: AsAt,
    basis: AgeingBasis,
    cell: Cell,
    after: Option<&ItemPlace>,
    rows: i64,
) -> Result<Vec<AgedItem>, Failure> {
    let found = sqlx::query!(
        r#"with item as (
               select d.*, case when $3 then d.due_on else d.issued_on end as ages_from
               from reporting.documents_at($1, $2) d
               where ($4::uuid is null or d.account_id = $4) and ($5::text is null or d.currency = $5)
           )
           select i.document_id as "document_id!", i.document_ref as "document_ref!", i.kind as "kind!",
                  i.account_id as "account_id!", coalesce(known.account_ref, i.account_ref) as "account_ref!",
                  coalesce(known.name, i.account_ref) as "account_name!", i.issued_on as "issued_on!",
                  i.due_on as "due_on!", i.amount as "amount!", i.open_amount as "open!", i.currency as "currency!"
           from item i
           left join lateral (
               select a.account_ref, a.name
               from reporting.account a
               where a.generation = (select l.generation from reporting.live l) and a.account_id = i.account_id
                   and a.recorded_at <= $2
               order by a.version desc
               limit 1
           ) known on true
           where i.open_amount <> 0
               and ($6::integer is null or width_bucket($1 - i.ages_from, $7::integer[]) = $6)
               and ($8::date is null or (i.ages_from, i.document_id) > ($8, $9))
           order by i.ages_from, i.document_id
           limit $10"#,
        at.as_of,
        at.known_at,
        basis == AgeingBasis::Due,
        cell.account_id.map(AccountId::as_uuid),
        cell.currency.map(Currency::code),
        cell.band.map(i32::from),
        &ageing::thresholds(basis),
        after.map(|place| place.from),
        after.map(|place| place.document_id),
        rows,
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(AgedItem {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                kind: enum_of(row.kind)?,
                account_id: row.account_id.into(),
                account_ref: row.account_ref,
                account_name: row.account_name,
                issued_on: row.issued_on,
                due_on: row.due_on,
                days: ageing::age_days(basis, at.as_of, row.issued_on, row.due_on),
                amount: money(row.amount, &row.currency)?,
                open: money(row.open, &row.currency)?,
            })
        })
        .collect()
}
