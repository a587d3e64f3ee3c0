//! Matters, their ledgers, and what else is kept about them.

mod ledger;
mod moves;
mod views;

pub(crate) use ledger::{booked_against, entries, entry, record, transfer_line};
pub(crate) use moves::{complete_move, move_of, moves, noted};
pub(crate) use views::{bills, counts, not_closed, open_bills, receipts_naming, view, views};

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::ingestion::Designation;
use kernel::{MatterId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::{
    legal::{Matter, News, Settings, client::Held},
    reference_key,
};

struct Row {
    matter_id: Uuid,
    matter_ref: String,
    version: i64,
    source_version: i64,
    account_id: Uuid,
    account_ref: String,
    title: String,
    fee_earner: Option<String>,
    opened_on: NaiveDate,
    concluded_on: Option<NaiveDate>,
    closed_on: Option<NaiveDate>,
    status: String,
    status_on: NaiveDate,
    hold_reason: Option<String>,
    hold_until: Option<NaiveDate>,
    hold_ended_on: Option<NaiveDate>,
}

impl TryFrom<Row> for Matter {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.matter_id.into(),
            reference: row.matter_ref,
            version: row.version,
            source_version: row.source_version,
            account_id: row.account_id.into(),
            account_ref: row.account_ref,
            title: row.title,
            fee_earner: row.fee_earner,
            opened_on: row.opened_on,
            concluded_on: row.concluded_on,
            closed_on: row.closed_on,
            status: named(row.status)?,
            status_on: row.status_on,
            hold: row.hold_reason.zip(row.hold_until),
            hold_ended_on: row.hold_ended_on,
        })
    }
}

/// Matters, locked in the order of their ids.
pub(crate) async fn lock_all(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Matter>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select matter_id, matter_ref, version, source_version, account_id, account_ref, title, fee_earner,
             opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until, hold_ended_on
         from allocation.matter where matter_id = any($1) order by matter_id for no key update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Matter::try_from).collect()
}

/// Matters as they are, without a lock: for looking, not for deciding.
pub(crate) async fn look_at(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Matter>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select matter_id, matter_ref, version, source_version, account_id, account_ref, title, fee_earner,
             opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until, hold_ended_on
         from allocation.matter where matter_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Matter::try_from).collect()
}

/// A matter with what is held on it. Whoever changes client money holds this
/// lock: two commands never see the same balance.
pub(crate) async fn lock(conn: &mut PgConnection, id: MatterId) -> Result<Held, Failure> {
    let held = lock_held(conn, &[id]).await?.pop();
    held.ok_or_else(|| no_matter(id))
}

/// Matters with what is held on them, locked in the order of their ids.
pub(crate) async fn lock_held(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Held>, Failure> {
    let matters = lock_all(conn, ids).await?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select matter_id, currency, amount from allocation.client_balance where matter_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut balances: HashMap<Uuid, Vec<Money>> = HashMap::new();
    for row in rows {
        let of = balances.entry(row.matter_id).or_default();
        of.push(money(row.amount, &row.currency)?);
    }
    Ok(matters
        .into_iter()
        .map(|matter| {
            let of = balances.remove(&matter.id.as_uuid()).unwrap_or_default();
            Held::new(matter, of)
        })
        .collect())
}

pub(crate) fn no_matter(id: MatterId) -> Failure {
    Failure::not_found("matters.no_matter", format!("there is no matter {id}"))
}

/// Writes matters that are new or changed.
pub(crate) async fn put(
    conn: &mut PgConnection,
    matters: &[Matter],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if matters.is_empty() {
        return Ok(());
    }
    fn column<'m, T>(matters: &'m [Matter], of: impl Fn(&'m Matter) -> T) -> Vec<T> {
        matters.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.matter (matter_id, matter_ref, version, source_version, account_id, account_ref,
             title, fee_earner, opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until,
             hold_ended_on, ref_key, recorded_at)
         select t.*, $18 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[],
             $7::text[], $8::text[], $9::date[], $10::date[], $11::date[], $12::text[], $13::date[], $14::text[],
             $15::date[], $16::date[], $17::text[]) as t
         on conflict (matter_id) do update set version = excluded.version, source_version = excluded.source_version,
             account_id = excluded.account_id, account_ref = excluded.account_ref, title = excluded.title,
             fee_earner = excluded.fee_earner, opened_on = excluded.opened_on, concluded_on = excluded.concluded_on,
             closed_on = excluded.closed_on, status = excluded.status, status_on = excluded.status_on,
             hold_reason = excluded.hold_reason, hold_until = excluded.hold_until,
             hold_ended_on = excluded.hold_ended_on, recorded_at = excluded.recorded_at
         where matter.version < excluded.version or matter.source_version < excluded.source_version",
        &column(matters, |m| m.id.as_uuid()),
        &column(matters, |m| m.reference.as_str()) as &[&str],
        &column(matters, |m| m.version),
        &column(matters, |m| m.source_version),
        &column(matters, |m| m.account_id.as_uuid()),
        &column(matters, |m| m.account_ref.as_str()) as &[&str],
        &column(matters, |m| m.title.as_str()) as &[&str],
        &column(matters, |m| m.fee_earner.as_deref()) as &[Option<&str>],
        &column(matters, |m| m.opened_on),
        &column(matters, |m| m.concluded_on) as &[Option<NaiveDate>],
        &column(matters, |m| m.closed_on) as &[Option<NaiveDate>],
        &column(matters, |m| m.status.name()) as &[&str],
        &column(matters, |m| m.status_on),
        &column(matters, |m| m.hold.as_ref().map(|(reason, _)| reason.as_str())) as &[Option<&str>],
        &column(matters, |m| m.hold.as_ref().map(|(_, until)| *until)) as &[Option<NaiveDate>],
        &column(matters, |m| m.hold_ended_on) as &[Option<NaiveDate>],
        &column(matters, |m| reference_key(&m.reference)),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what ingestion told about matters and bank accounts.
pub(crate) async fn record_news(conn: &mut PgConnection, news: &News) -> Result<(), Failure> {
    put(conn, &news.matters, news.recorded_at).await?;
    if !news.statuses.is_empty() {
        sqlx::query!(
            "insert into allocation.matter_status (matter_id, status, effective_on, recorded_at)
             select t.*, $4 from unnest($1::uuid[], $2::text[], $3::date[]) as t",
            &news
                .statuses
                .iter()
                .map(|(id, _)| id.as_uuid())
                .collect::<Vec<_>>(),
            &news
                .statuses
                .iter()
                .map(|(_, s)| s.status.name())
                .collect::<Vec<_>>() as &[&str],
            &news.statuses.iter().map(|(_, s)| s.on).collect::<Vec<_>>(),
            news.recorded_at
        )
        .execute(&mut *conn)
        .await?;
    }
    if !news.documents.is_empty() {
        sqlx::query!(
            "insert into allocation.matter_document (document_id, matter_ref)
             select * from unnest($1::uuid[], $2::text[]) on conflict do nothing",
            &news
                .documents
                .iter()
                .map(|(id, _)| id.as_uuid())
                .collect::<Vec<_>>(),
            &news
                .documents
                .iter()
                .map(|(_, r)| r.as_str())
                .collect::<Vec<_>>() as &[&str]
        )
        .execute(&mut *conn)
        .await?;
    }
    for told in &news.designated {
        sqlx::query!(
            "insert into allocation.bank_account (bank_account, designation, version) values ($1, $2, $3)
             on conflict (bank_account) do update set designation = excluded.designation, version = excluded.version
             where bank_account.version < excluded.version",
            told.bank_account,
            told.designation.name(),
            told.version
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The bank accounts that hold client money: a handful.
pub(crate) async fn client_accounts(conn: &mut PgConnection) -> Result<HashSet<String>, Failure> {
    let found = sqlx::query_scalar!(
        "select bank_account from allocation.bank_account where designation = 'client' order by 1"
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().collect())
}

pub(crate) fn designation(client: &HashSet<String>, bank_account: &str) -> Designation {
    if client.contains(bank_account) {
        Designation::Client
    } else {
        Designation::Business
    }
}

/// Limits and times as they hold on a day.
pub(crate) async fn settings(conn: &mut PgConnection, on: NaiveDate) -> Result<Settings, Failure> {
    let rows = sqlx::query!(
        "select distinct on (name) name, value from allocation.legal_setting where valid_from <= $1
         order by name, valid_from desc",
        on
    )
    .fetch_all(conn)
    .await?;
    let values: HashMap<String, Decimal> =
        rows.into_iter().map(|row| (row.name, row.value)).collect();
    Settings::read(|name| values.get(name).copied()).map_err(Failure::of)
}

/// The age bands as they hold on a day, rising.
pub(crate) async fn bands(
    conn: &mut PgConnection,
    on: NaiveDate,
) -> Result<Vec<(Option<i32>, String)>, Failure> {
    let rows = sqlx::query!(
        "select up_to, name from allocation.age_band
         where valid_from = (select max(valid_from) from allocation.age_band where valid_from <= $1)
         order by up_to nulls last",
        on
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.up_to, row.name)).collect())
}
