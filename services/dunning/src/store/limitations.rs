//! Until when claims can be made: what begins limitation anew, and who was told.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::LimitationState;
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::known;
use crate::domain::limitation::Restart;

/// A debt as far as limitation needs it.
pub(crate) struct Debt {
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) account: AccountId,
    pub(crate) account_ref: String,
    pub(crate) due_on: NaiveDate,
    pub(crate) currency: String,
    pub(crate) open: Decimal,
}

/// Debts that were due up to a day, the oldest first, after one that was seen.
pub(crate) async fn old(
    conn: &mut PgConnection,
    due_until: NaiveDate,
    after: (NaiveDate, Uuid),
    rows: i64,
) -> Result<Vec<Debt>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", account_id as "account_id!",
             account_ref as "account_ref!", due_on as "due_on!", currency, open as "open!"
           from dunning.item
           where open > 0 and due_on <= $1 and (due_on, document_id) > ($2, $3) and document_ref is not null
             and account_id is not null and account_ref is not null
           order by due_on, document_id limit $4"#,
        due_until,
        after.0,
        after.1,
        rows
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Debt {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            account: row.account_id.into(),
            account_ref: row.account_ref,
            due_on: row.due_on,
            currency: row.currency,
            open: row.open,
        })
        .collect())
}

/// Debts of accounts of which somebody was told, whatever is open of them.
pub(crate) async fn told_of(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Debt>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select i.document_id, i.document_ref as "document_ref!", i.account_id as "account_id!",
             i.account_ref as "account_ref!", i.due_on as "due_on!", i.currency, i.open as "open!"
           from dunning.limitation l join dunning.item i using (document_id)
           where l.account_id = any($1) and l.state <> 'lifted' and i.document_ref is not null"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Debt {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            account: row.account_id.into(),
            account_ref: row.account_ref,
            due_on: row.due_on,
            currency: row.currency,
            open: row.open,
        })
        .collect())
}

/// What begins limitation anew, by document: payments that were not taken back,
/// and acknowledgments.
pub(crate) async fn restarts(
    conn: &mut PgConnection,
    documents: &[Uuid],
) -> Result<HashMap<DocumentId, Vec<(NaiveDate, Restart)>>, Failure> {
    let mut all: HashMap<DocumentId, Vec<(NaiveDate, Restart)>> = HashMap::new();
    let paid = sqlx::query!(
        r#"select document_id, min(effective_on) as "first!" from dunning.movement
           where document_id = any($1) and kind = 'cash'
           group by document_id, coalesce(receipt_id, line_id) having sum(amount) > 0"#,
        documents
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in paid {
        let of = all.entry(row.document_id.into()).or_default();
        of.push((row.first, Restart::Payment));
    }
    let signed = sqlx::query!(
        "select document_id, signed_on from dunning.acknowledgment where document_id = any($1)",
        documents
    )
    .fetch_all(conn)
    .await?;
    for row in signed {
        let of = all.entry(row.document_id.into()).or_default();
        of.push((row.signed_on, Restart::Acknowledgment));
    }
    Ok(all)
}

/// What somebody was told last of documents: locked.
pub(crate) async fn told(
    conn: &mut PgConnection,
    documents: &[Uuid],
) -> Result<HashMap<DocumentId, (i64, LimitationState, NaiveDate)>, Failure> {
    let rows = sqlx::query!(
        "select document_id, version, state, last_on from dunning.limitation where document_id = any($1)
         order by document_id for update",
        documents
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = known(LimitationState::named(&row.state), &row.state)?;
            Ok((row.document_id.into(), (row.version, state, row.last_on)))
        })
        .collect()
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    debt: &Debt,
    version: i64,
    state: LimitationState,
    last_on: NaiveDate,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.limitation (document_id, version, state, account_id, last_on) values ($1, $2, $3, $4, $5)
         on conflict (document_id) do update set version = excluded.version, state = excluded.state,
           last_on = excluded.last_on",
        debt.document.as_uuid(),
        version,
        state.name(),
        debt.account.as_uuid(),
        last_on
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How far the look at old debts has come today, locked; nothing when all are
/// seen, or another is at it.
pub(crate) async fn watch(
    conn: &mut PgConnection,
    today: NaiveDate,
) -> Result<Option<(NaiveDate, Uuid)>, Failure> {
    let row = sqlx::query!(
        "select day, due_on, document_id from dunning.limitation_watch for update skip locked"
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| {
        if row.day < today {
            return Some((NaiveDate::default(), Uuid::nil()));
        }
        Some((row.due_on?, row.document_id?))
    }))
}

/// Up to where today's look has come; to its end without.
pub(crate) async fn watched(
    conn: &mut PgConnection,
    today: NaiveDate,
    to: Option<(NaiveDate, Uuid)>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.limitation_watch set day = $1, due_on = $2, document_id = $3",
        today,
        to.map(|(due_on, _)| due_on),
        to.map(|(_, document)| document)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An acknowledgment of debts of an account.
pub(crate) struct Signed<'a> {
    pub(crate) command: Uuid,
    pub(crate) account: AccountId,
    pub(crate) documents: &'a [DocumentId],
    pub(crate) on: NaiveDate,
    pub(crate) by: &'a str,
    pub(crate) reference: Option<&'a str>,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) now: DateTime<Utc>,
}

/// Of how many documents of the account it is.
pub(crate) async fn acknowledge(
    conn: &mut PgConnection,
    signed: &Signed<'_>,
) -> Result<u64, Failure> {
    let ids: Vec<Uuid> = signed.documents.iter().map(|id| id.as_uuid()).collect();
    let done = sqlx::query!(
        "insert into dunning.acknowledgment (command_id, document_id, account_id, signed_on, signed_by, reference,
           actor, reason, recorded_at)
         select $1, document_id, account_id, $4, $5, $6, $7, $8, $9 from dunning.item
         where account_id = $2 and document_id = any($3)",
        signed.command,
        signed.account.as_uuid(),
        &ids,
        signed.on,
        signed.by,
        signed.reference,
        signed.actor,
        signed.reason,
        signed.now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
