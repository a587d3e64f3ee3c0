//! Holds.

use chrono::NaiveDate;
use contracts::dunning::{HoldId, HoldKind, HoldState};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::hold::Hold;

pub(crate) async fn put(
    conn: &mut PgConnection,
    hold: &Hold,
    review_due: Option<NaiveDate>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.hold (hold_id, state, account_id, kind, starts_on, ends_on, review_due, body)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (hold_id) do update set state = excluded.state, ends_on = excluded.ends_on,
           review_due = excluded.review_due, body = excluded.body",
        hold.id.as_uuid(),
        hold.state.name(),
        hold.account.as_uuid(),
        hold.kind.name(),
        hold.starts_on,
        hold.ends_on,
        review_due,
        serde_json::to_value(hold)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A hold, locked.
pub(crate) async fn lock(conn: &mut PgConnection, id: HoldId) -> Result<Option<Hold>, Failure> {
    let body = sqlx::query_scalar!(
        "select body from dunning.hold where hold_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(body.map(serde_json::from_value).transpose()?)
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    account: Option<AccountId>,
    state: Option<HoldState>,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Hold>, Failure> {
    let bodies = sqlx::query_scalar!(
        "select body from dunning.hold
         where ($1::uuid is null or account_id = $1) and ($2::text is null or state = $2)
           and ($3::uuid is null or hold_id < $3)
         order by hold_id desc limit $4",
        account.map(AccountId::as_uuid),
        state.map(HoldState::name),
        after,
        rows
    )
    .fetch_all(conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

/// Active holds whose last day is over, or whose review is due: locked.
pub(crate) async fn due(
    conn: &mut PgConnection,
    today: NaiveDate,
    rows: i64,
) -> Result<Vec<(Hold, Option<NaiveDate>)>, Failure> {
    let found = sqlx::query!(
        "select body, review_due from dunning.hold
         where state = 'active' and (ends_on < $1 or review_due <= $1)
         order by hold_id limit $2 for update skip locked",
        today,
        rows
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| Ok((serde_json::from_value(row.body)?, row.review_due)))
        .collect()
}

/// Holds that begin at their cut-off and do not have a debt from before it yet
/// (E74): with such debts.
pub(crate) async fn found_later(
    conn: &mut PgConnection,
    rows: i64,
) -> Result<Vec<(Hold, Vec<DocumentId>)>, Failure> {
    let found = sqlx::query!(
        r#"select h.body, i.documents as "documents!"
           from dunning.hold h
           join dunning.stop s on s.subject_id = h.hold_id
           cross join lateral (
             select array_agg(i.document_id order by i.document_id) as documents from dunning.item i
             where i.account_id = h.account_id and i.open > 0
               and i.issued_on <= (h.body->>'cut_off_on')::date and not i.document_id = any(s.documents)) i
           where h.state = 'active' and h.body->>'cut_off_on' is not null and i.documents is not null
           order by h.hold_id limit $1 for update of h skip locked"#,
        rows
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| {
            let documents = row.documents.into_iter().map(Into::into).collect();
            Ok((serde_json::from_value(row.body)?, documents))
        })
        .collect()
}

/// The account's debts that were issued up to a day.
pub(crate) async fn issued_until(
    conn: &mut PgConnection,
    account: AccountId,
    day: NaiveDate,
) -> Result<Vec<DocumentId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select document_id from dunning.item where account_id = $1 and open > 0 and issued_on <= $2
         order by document_id limit 5000",
        account.as_uuid(),
        day
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Whether the account, or the debtor on it, had a hold of a kind that began on a
/// day or later.
pub(crate) async fn had_since(
    conn: &mut PgConnection,
    account: AccountId,
    debtor: Option<&str>,
    kind: HoldKind,
    day: NaiveDate,
) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from dunning.hold where account_id = $1 and kind = $2 and starts_on > $3
             and state <> 'cancelled' and (body->>'debtor' is null or $4::text is null or body->>'debtor' = $4)) as "had!""#,
        account.as_uuid(),
        kind.name(),
        day,
        debtor
    )
    .fetch_one(conn)
    .await?)
}

/// Whether a hold of a kind stops all of the account on a day, or all that there
/// was up to a cut-off: everybody's, or that of the debtor.
pub(crate) async fn is_held(
    conn: &mut PgConnection,
    account: AccountId,
    debtor: Option<&str>,
    kind: HoldKind,
    day: NaiveDate,
) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from dunning.hold where account_id = $1 and kind = $2 and state = 'active'
             and starts_on <= $3 and (ends_on is null or ends_on >= $3)
             and (body->>'debtor' is null or body->>'debtor' = $4)
             and (body->'documents' = '[]' or body->>'cut_off_on' is not null)) as "held!""#,
        account.as_uuid(),
        kind.name(),
        day,
        debtor
    )
    .fetch_one(conn)
    .await?)
}

/// Kinds of the holds that are one debtor's own and are active on a day.
pub(crate) async fn of_debtors(
    conn: &mut PgConnection,
    account: AccountId,
    day: NaiveDate,
) -> Result<Vec<(String, HoldKind)>, Failure> {
    let rows = sqlx::query!(
        r#"select distinct body->>'debtor' as "debtor!", kind from dunning.hold
           where account_id = $1 and state = 'active' and body->>'debtor' is not null
             and starts_on <= $2 and (ends_on is null or ends_on >= $2) order by 1, 2"#,
        account.as_uuid(),
        day
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                row.debtor,
                super::known(HoldKind::named(&row.kind), &row.kind)?,
            ))
        })
        .collect()
}
