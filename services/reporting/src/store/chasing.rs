//! What dunning did with accounts.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::Money;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

/// One event of dunning, as it stands on a timeline.
#[derive(Debug, Clone)]
pub(crate) struct Chased {
    pub(crate) event_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) kind: &'static str,
    pub(crate) summary: String,
    pub(crate) amount: Option<Money>,
    pub(crate) effective_on: NaiveDate,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

pub(crate) async fn insert(conn: &mut PgConnection, rows: &[Chased]) -> Result<(), Failure> {
    fn of<T>(rows: &[Chased], get: impl Fn(&Chased) -> T) -> Vec<T> {
        rows.iter().map(get).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    let currency = |row: &Chased| row.amount.map(|amount| amount.currency().code().to_owned());
    sqlx::query!(
        "insert into reporting.chasing (event_id, account_id, kind, summary, amount, currency, effective_on, recorded_at,
           actor, reason)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::numeric[], $6::text[], $7::date[],
           $8::timestamptz[], $9::text[], $10::text[])
         on conflict (event_id) do nothing",
        &of(rows, |row| row.event_id),
        &of(rows, |row| row.account_id),
        &of(rows, |row| row.kind.to_owned()),
        &of(rows, |row| row.summary.clone()),
        &of(rows, |row| row.amount.map(Money::amount)) as &[Option<Decimal>],
        &of(rows, currency) as &[Option<String>],
        &of(rows, |row| row.effective_on),
        &of(rows, |row| row.recorded_at),
        &of(rows, |row| row.actor.clone()),
        &of(rows, |row| row.reason.clone())
    )
    .execute(conn)
    .await?;
    Ok(())
}
