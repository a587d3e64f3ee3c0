//! Overdue items that nothing explains, and suspicions that something explains
//! now.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::disputes::CaseId;
use kernel::{AccountId, Currency, DocumentId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::money;

/// An item that nothing explains.
#[derive(Debug, Clone)]
pub(crate) struct Suspect {
    pub(crate) account: AccountId,
    pub(crate) account_ref: String,
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) due_on: NaiveDate,
    /// What of it nothing explains.
    pub(crate) unexplained: Money,
}

/// Which items are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Bounds<'b> {
    pub(crate) due_by: NaiveDate,
    /// A suspicion that was cleared before this moment explains nothing any more.
    pub(crate) again_after: DateTime<Utc>,
    /// From how much on a query is suspected, per currency.
    pub(crate) least: &'b [(&'static str, Decimal)],
}

/// A place in the order in which items are looked at.
pub(crate) type Place = (NaiveDate, DocumentId);

/// Where the page of overdue items behind `after` ends; nothing on the last one.
/// A page counts what is looked at, not what is found, so that a round costs the
/// same on a ledger where everything is explained.
pub(crate) async fn page_end(
    conn: &mut PgConnection,
    due_by: NaiveDate,
    after: Option<Place>,
    rows: i64,
) -> Result<Option<Place>, Failure> {
    let (after_day, after_id) =
        after.map_or((None, None), |(day, id)| (Some(day), Some(id.as_uuid())));
    let found = sqlx::query!(
        r#"select due_on as "due_on!", document_id from disputes.item
           where open > 0 and due_on <= $1 and ($2::date is null or (due_on, document_id) > ($2, $3))
           order by due_on, document_id offset $4 limit 1"#,
        due_by,
        after_day,
        after_id,
        rows - 1
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|row| (row.due_on, row.document_id.into())))
}

/// Which items.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Among<'d> {
    /// Behind the first place and up to the second.
    Page(Option<Place>, Option<Place>),
    These(&'d [DocumentId]),
}

/// Overdue items that nothing explains, the longest overdue first.
///
/// A case about an item explains it, and so does one that was closed lately.
pub(crate) async fn unexplained(
    conn: &mut PgConnection,
    bounds: &Bounds<'_>,
    among: Among<'_>,
) -> Result<Vec<Suspect>, Failure> {
    let (currencies, amounts) = columns(bounds.least);
    let (after, until, only) = match among {
        Among::Page(after, until) => (after, until, None),
        Among::These(documents) => (
            None,
            None,
            Some(documents.iter().map(|id| id.as_uuid()).collect::<Vec<_>>()),
        ),
    };
    let place = |place: Option<Place>| {
        place.map_or((None, None), |(day, id)| (Some(day), Some(id.as_uuid())))
    };
    let ((after_day, after_id), (until_day, until_id)) = (place(after), place(until));
    let found = sqlx::query!(
        r#"select i.document_id, i.document_ref as "document_ref!", i.due_on as "due_on!",
             i.account_id as "account_id!", i.account_ref as "account_ref!", i.currency,
             i.open - coalesce(e.amount, 0) - i.noted as "unexplained!"
           from disputes.item i
           left join disputes.explained e using (document_id)
           left join unnest($3::text[], $4::numeric[]) l(currency, amount) on l.currency = i.currency
           where i.open > 0 and i.due_on <= $1
             and ($5::date is null or (i.due_on, i.document_id) > ($5, $6))
             and ($7::date is null or (i.due_on, i.document_id) <= ($7, $8))
             and ($9::uuid[] is null or i.document_id = any($9))
             and i.open - coalesce(e.amount, 0) - i.noted > 0
             and i.open - coalesce(e.amount, 0) - i.noted >= coalesce(l.amount, 0)
             and not exists (
               select from disputes.part p join disputes.dispute d using (case_id)
               where p.document_id = i.document_id and d.kind <> 'complaint' and case d.state
                 when 'closed' then d.closed_at > $2
                 when 'suspected' then p.disputed > 0
                 else true end)
           order by i.due_on, i.document_id"#,
        bounds.due_by,
        bounds.again_after,
        &currencies,
        &amounts,
        after_day,
        after_id,
        until_day,
        until_id,
        only.as_deref()
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| {
            Ok(Suspect {
                account: row.account_id.into(),
                account_ref: row.account_ref,
                document: row.document_id.into(),
                document_ref: row.document_ref,
                due_on: row.due_on,
                unexplained: money(row.unexplained, &row.currency)?,
            })
        })
        .collect()
}

fn columns(least: &[(&'static str, Decimal)]) -> (Vec<String>, Vec<Decimal>) {
    least
        .iter()
        .map(|(code, amount)| ((*code).to_owned(), *amount))
        .unzip()
}

/// Suspicions already open, by account and currency.
pub(crate) async fn open_of(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<(CaseId, AccountId, Currency)>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select case_id, account_id, currency from disputes.dispute
         where account_id = any($1) and state = 'suspected'",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = Currency::parse(&row.currency).map_err(Failure::of)?;
            Ok((row.case_id.into(), row.account_id.into(), currency))
        })
        .collect()
}

/// How many suspicions were raised since then.
pub(crate) async fn raised_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<usize, Failure> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from disputes.dispute where raised_at >= $1 and origin = 'suspicion'"#,
        since
    )
    .fetch_one(conn)
    .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Where the look at `rows` open suspicions behind `after` ends; nothing when it
/// comes to the end of them.
pub(crate) async fn look_end(
    conn: &mut PgConnection,
    after: Option<CaseId>,
    rows: i64,
) -> Result<Option<CaseId>, Failure> {
    let found = sqlx::query_scalar!(
        "select case_id from disputes.dispute where state = 'suspected' and ($1::uuid is null or case_id > $1)
         order by case_id offset $2 limit 1",
        after.map(CaseId::as_uuid),
        rows - 1
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(CaseId::from))
}

/// Suspicions behind the first place and up to the second, of which something
/// has an explanation now.
pub(crate) async fn explained(
    conn: &mut PgConnection,
    least: &[(&'static str, Decimal)],
    after: Option<CaseId>,
    until: Option<CaseId>,
    rows: i64,
) -> Result<Vec<CaseId>, Failure> {
    let (currencies, amounts) = columns(least);
    let found = sqlx::query_scalar!(
        r#"select distinct d.case_id from disputes.dispute d
             join disputes.part p using (case_id)
             join disputes.item i using (document_id)
             left join disputes.explained e using (document_id)
             left join unnest($1::text[], $2::numeric[]) l(currency, amount) on l.currency = d.currency
           where d.state = 'suspected' and p.disputed > 0
             and ($4::uuid is null or d.case_id > $4) and ($5::uuid is null or d.case_id <= $5) and (
             i.open - coalesce(e.amount, 0) - i.noted <= 0
             or i.open - coalesce(e.amount, 0) - i.noted < coalesce(l.amount, 0)
             or exists (select from disputes.part q join disputes.dispute o on o.case_id = q.case_id
                        where q.document_id = p.document_id and o.state not in ('suspected', 'closed')
                          and o.kind <> 'complaint'))
           limit $3"#,
        &currencies,
        &amounts,
        rows,
        after.map(CaseId::as_uuid),
        until.map(CaseId::as_uuid)
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(CaseId::from).collect())
}

/// What explains each of these documents now, in words; nothing for those that
/// are still not explained.
pub(crate) async fn explanations(
    conn: &mut PgConnection,
    documents: &[DocumentId],
    least: &[(&'static str, Decimal)],
) -> Result<Vec<(DocumentId, Option<String>)>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let (currencies, amounts) = columns(least);
    let rows = sqlx::query!(
        r#"select i.document_id as "document_id!", case
             when i.open <= 0 then 'settled'
             when exists (select from disputes.part q join disputes.dispute o on o.case_id = q.case_id
                          where q.document_id = i.document_id and o.state not in ('suspected', 'closed')
                            and o.kind <> 'complaint') then 'another case'
             when i.open - coalesce(e.amount, 0) - i.noted <= 0
               or i.open - coalesce(e.amount, 0) - i.noted < coalesce(l.amount, 0) then coalesce(e.words, 'credit note')
             end as words
           from disputes.item i
           left join disputes.explained e using (document_id)
           left join unnest($2::text[], $3::numeric[]) l(currency, amount) on l.currency = i.currency
           where i.document_id = any($1)"#,
        &ids,
        &currencies,
        &amounts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.document_id.into(), row.words))
        .collect())
}
