//! Stops: one row for whatever stops chasing.

use std::collections::HashMap;

use kernel::AccountId;
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money};
use crate::domain::{
    joint, pre_action,
    stops::{Part, Stop, StopKind},
};

/// A stop as it is written, with whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) account: AccountId,
    /// Of the hold, promise, plan or case: an older one is nothing new.
    pub(crate) version: i64,
    pub(crate) stop: Stop,
}

/// Writes stops, the newest word of each: one statement.
pub(crate) async fn put(conn: &mut PgConnection, stops: &[Written]) -> Result<(), Failure> {
    for written in stops {
        let stop = &written.stop;
        let (kind, hold) = stop.kind.name();
        let documents: Vec<Uuid> = stop.parts.iter().map(|p| p.document.as_uuid()).collect();
        let amounts: Vec<Option<Decimal>> = stop
            .parts
            .iter()
            .map(|part| part.amount.map(kernel::Money::amount))
            .collect();
        let currency = stop
            .parts
            .iter()
            .find_map(|part| part.amount)
            .map(|amount| amount.currency().code());
        sqlx::query!(
            "insert into dunning.stop as s (subject_id, version, kind, hold_kind, account_id, documents, amounts,
               currency, starts_on, ends_on, ended_on, debtor_ref)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict (subject_id) do update set version = excluded.version, kind = excluded.kind,
               hold_kind = excluded.hold_kind, documents = excluded.documents, amounts = excluded.amounts,
               currency = excluded.currency, starts_on = excluded.starts_on, ends_on = excluded.ends_on,
               ended_on = excluded.ended_on
             where s.version < excluded.version",
            stop.subject,
            written.version,
            kind,
            hold,
            written.account.as_uuid(),
            &documents,
            &amounts as &[Option<Decimal>],
            currency,
            stop.starts_on,
            stop.ends_on,
            stop.ended_on,
            stop.debtor.as_deref()
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(super) struct Row {
    pub(super) account_id: Uuid,
    pub(super) subject_id: Uuid,
    pub(super) kind: String,
    pub(super) hold_kind: Option<String>,
    pub(super) documents: Vec<Uuid>,
    pub(super) amounts: Vec<Option<Decimal>>,
    pub(super) currency: Option<String>,
    pub(super) starts_on: chrono::NaiveDate,
    pub(super) ends_on: Option<chrono::NaiveDate>,
    pub(super) ended_on: Option<chrono::NaiveDate>,
    pub(super) debtor_ref: Option<String>,
}

pub(super) fn stop(row: Row) -> Result<Stop, Failure> {
    let kind = StopKind::named(&row.kind, row.hold_kind.as_deref());
    let currency = row.currency.as_deref();
    let part = |(document, amount): (Uuid, Option<Decimal>)| {
        let amount = match (amount, currency) {
            (Some(amount), Some(currency)) => Some(money(amount, currency)?),
            _ => None,
        };
        Ok(Part {
            document: document.into(),
            amount,
        })
    };
    Ok(Stop {
        debtor: row.debtor_ref,
        subject: row.subject_id,
        kind: known(kind, &row.kind)?,
        parts: row
            .documents
            .into_iter()
            .zip(row.amounts)
            .map(part)
            .collect::<Result<_, Failure>>()?,
        starts_on: row.starts_on,
        ends_on: row.ends_on,
        ended_on: row.ended_on,
    })
}

/// Versions of stops that are written, to be changed: locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    subjects: &[Uuid],
) -> Result<Vec<Written>, Failure> {
    let rows = sqlx::query!(
        r#"select account_id, subject_id, version, kind, hold_kind, documents,
             amounts as "amounts: Vec<Option<Decimal>>", currency, starts_on, ends_on, ended_on, debtor_ref
           from dunning.stop where subject_id = any($1) order by subject_id for update"#,
        subjects
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Written {
                account: row.account_id.into(),
                version: row.version,
                stop: stop(Row {
                    account_id: row.account_id,
                    subject_id: row.subject_id,
                    kind: row.kind,
                    hold_kind: row.hold_kind,
                    documents: row.documents,
                    amounts: row.amounts,
                    currency: row.currency,
                    starts_on: row.starts_on,
                    ends_on: row.ends_on,
                    ended_on: row.ended_on,
                    debtor_ref: row.debtor_ref,
                })?,
            })
        })
        .collect()
}

/// The stops of an account, active and past.
pub(crate) async fn of_account(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Vec<Stop>, Failure> {
    let mut found = of_accounts(conn, &[account.as_uuid()]).await?;
    Ok(found.remove(&account.as_uuid()).unwrap_or_default())
}

/// The same of accounts.
pub(crate) async fn of_accounts(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Stop>>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"select account_id, subject_id, kind, hold_kind, documents, amounts as "amounts: Vec<Option<Decimal>>", currency,
             starts_on, ends_on, ended_on, debtor_ref
           from dunning.stop where account_id = any($1) order by subject_id"#,
        accounts
    )
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<Uuid, Vec<Stop>> = HashMap::new();
    for row in rows {
        let account = row.account_id;
        all.entry(account).or_default().push(stop(row)?);
    }
    Ok(all)
}

/// The stops that no step towards a court is taken under: those that bind everybody
/// who owes an account, and those that are of some of them alone.
pub(crate) async fn freezing(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<(Vec<Stop>, Vec<Stop>), Failure> {
    let mut stops = of_account(conn, account).await?;
    for stop in &mut stops {
        stop.debtor = stop.debtor.take().filter(|_| !stop.spreads());
    }
    let own: Vec<Stop> = stops
        .iter()
        .filter(|stop| stop.debtor.is_some() && pre_action::freezes(stop))
        .cloned()
        .collect();
    if own.is_empty() {
        return Ok((stops, own));
    }
    let debtors = super::debtors::refs(conn, account).await?;
    let everybodys = joint::of_everybody(stops, &debtors, pre_action::freezes);
    Ok((everybodys, own))
}
