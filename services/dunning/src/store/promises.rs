//! Promises.

use chrono::NaiveDate;
use contracts::{
    api::dunning::PromiseTab,
    dunning::{PromiseId, PromiseState},
};
use kernel::AccountId;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::promise::Promise;

fn read(bodies: Vec<serde_json::Value>) -> Result<Vec<Promise>, Failure> {
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

pub(crate) async fn put(conn: &mut PgConnection, promise: &Promise) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.promise (promise_id, state, account_id, next_on, due_on, body)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (promise_id) do update set state = excluded.state, next_on = excluded.next_on,
           due_on = excluded.due_on, body = excluded.body",
        promise.id.as_uuid(),
        promise.state.name(),
        promise.account.as_uuid(),
        promise.next_on(),
        promise.due_on(),
        serde_json::to_value(promise)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn get(
    conn: &mut PgConnection,
    id: PromiseId,
) -> Result<Option<Promise>, Failure> {
    let body = sqlx::query_scalar!(
        "select body from dunning.promise where promise_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(body.map(serde_json::from_value).transpose()?)
}

/// Promises of accounts, the oldest first: locked.
pub(crate) async fn lock_of(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Promise>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let bodies = sqlx::query_scalar!(
        "select body from dunning.promise where account_id = any($1) order by promise_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    read(bodies)
}

/// Accounts with a promise or plan that the clock alone may have changed.
pub(crate) async fn due(
    conn: &mut PgConnection,
    today: NaiveDate,
    rows: i64,
) -> Result<Vec<AccountId>, Failure> {
    let ids = sqlx::query_scalar!(
        r#"select account_id as "account_id!" from (
             select account_id from dunning.promise where next_on < $1
             union select account_id from dunning.plan where next_on < $1) d
           order by account_id limit $2"#,
        today,
        rows
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// What became of one person's promises.
pub(crate) struct Tally {
    pub(crate) taken_by: String,
    pub(crate) currency: String,
    pub(crate) kept: i64,
    pub(crate) partly_kept: i64,
    pub(crate) broken: i64,
    pub(crate) promised: Decimal,
    pub(crate) received: Decimal,
}

/// How promises came out whose next or last payment fell due in these days.
pub(crate) async fn tallies(
    conn: &mut PgConnection,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<Tally>, Failure> {
    Ok(sqlx::query_as!(
        Tally,
        r#"select p.body->>'taken_by' as "taken_by!", p.body->>'currency' as "currency!",
             count(*) filter (where p.state = 'kept') as "kept!",
             count(*) filter (where p.state = 'partly_kept') as "partly_kept!",
             count(*) filter (where p.state = 'broken') as "broken!",
             sum(i.promised) as "promised!", sum((p.body->>'received')::numeric) as "received!"
           from dunning.promise p cross join lateral (
             select sum((item->>'amount')::numeric) as promised from jsonb_array_elements(p.body->'items') item) i
           where p.state in ('kept', 'partly_kept', 'broken') and p.due_on between $1 and $2
           group by 1, 2 order by 1, 2"#,
        from,
        to
    )
    .fetch_all(conn)
    .await?)
}

/// Where a page of promises begins: after this day and id.
pub(crate) type Place = (NaiveDate, Uuid);

pub(crate) async fn list(
    conn: &mut PgConnection,
    tab: PromiseTab,
    account: Option<AccountId>,
    today: NaiveDate,
    after: Option<Place>,
    rows: i64,
) -> Result<Vec<Promise>, Failure> {
    let states: Vec<String> = match tab {
        PromiseTab::DueToday | PromiseTab::Upcoming => &[PromiseState::Open][..],
        PromiseTab::Broken => &[PromiseState::Broken, PromiseState::PartlyKept][..],
        PromiseTab::Kept => &[PromiseState::Kept][..],
        PromiseTab::All => PromiseState::ALL,
    }
    .iter()
    .map(|state| state.name().to_owned())
    .collect();
    let (from, to) = match tab {
        PromiseTab::DueToday => (None, Some(today)),
        PromiseTab::Upcoming => (today.succ_opt(), None),
        _ => (None, None),
    };
    let bodies = sqlx::query_scalar!(
        "select body from dunning.promise
         where state = any($1) and ($2::uuid is null or account_id = $2)
           and ($3::date is null or due_on >= $3) and ($4::date is null or due_on <= $4)
           and ($5::date is null or (due_on, promise_id) > ($5, $6))
         order by due_on, promise_id limit $7",
        &states,
        account.map(AccountId::as_uuid),
        from,
        to,
        after.map(|place| place.0),
        after.map(|place| place.1),
        rows
    )
    .fetch_all(conn)
    .await?;
    read(bodies)
}
