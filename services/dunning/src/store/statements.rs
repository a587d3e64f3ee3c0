//! What stands open on accounts, for statements, and which were sent.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use contracts::{
    api::dunning::StatementItem,
    dunning::{RunId, RunKind},
};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{accounts::Among, money};
use crate::domain::statement::{Credit, Holder};

/// Lines of one statement.
const LINES_MAX: i64 = 2000;

/// Who an account is, for a letterhead.
#[derive(Debug, Clone)]
pub(crate) struct Addressee {
    pub(crate) account_ref: String,
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) parent_ref: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) segment: Option<String>,
}

pub(crate) async fn addressee(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<Addressee>, Failure> {
    let found = addressees(conn, &[account.as_uuid()]).await?;
    Ok(found.into_values().next())
}

/// Who accounts are.
pub(crate) async fn addressees(
    conn: &mut PgConnection,
    accounts: &[Uuid],
) -> Result<BTreeMap<Uuid, Addressee>, Failure> {
    let rows = sqlx::query!(
        "select account_id, account_ref, name, address, parent_ref, kind, segment from dunning.account
         where account_id = any($1)",
        accounts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                row.account_id,
                Addressee {
                    account_ref: row.account_ref,
                    name: row.name,
                    address: row.address,
                    parent_ref: row.parent_ref,
                    kind: row.kind,
                    segment: row.segment,
                },
            )
        })
        .collect())
}

/// Everything open of an account, debts and credit notes, the oldest due first.
pub(crate) async fn open(
    conn: &mut PgConnection,
    account: AccountId,
    today: NaiveDate,
) -> Result<Vec<StatementItem>, Failure> {
    let mut found = open_of(conn, &[account.as_uuid()], today).await?;
    Ok(found.remove(&account.as_uuid()).unwrap_or_default())
}

/// The same of accounts.
pub(crate) async fn open_of(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    today: NaiveDate,
) -> Result<BTreeMap<Uuid, Vec<StatementItem>>, Failure> {
    let rows = sqlx::query!(
        r#"select a.id as "account_id!", i.document_id, i.document_ref as "document_ref!", i.matter_ref,
             i.issued_on as "issued_on!", i.due_on as "due_on!", i.currency, i.open as "open!"
           from unnest($1::uuid[]) a (id)
           cross join lateral (
             select document_id, document_ref, matter_ref, issued_on, due_on, currency, open
             from dunning.item where account_id = a.id and open <> 0 and document_ref is not null
             order by due_on, document_id limit $2) i
           order by a.id, i.due_on, i.document_id"#,
        accounts,
        LINES_MAX
    )
    .fetch_all(conn)
    .await?;
    let mut all: BTreeMap<Uuid, Vec<StatementItem>> = BTreeMap::new();
    for row in rows {
        all.entry(row.account_id).or_default().push(StatementItem {
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            matter_ref: row.matter_ref,
            issued_on: row.issued_on,
            due_on: row.due_on,
            open: money(row.open, &row.currency)?,
            chaseable: None,
            days_late: (today - row.due_on).num_days(),
            reason: None,
        });
    }
    Ok(all)
}

/// What was open at the end of a day, by the days from which movements count.
pub(crate) async fn open_at(
    conn: &mut PgConnection,
    account: AccountId,
    day: NaiveDate,
) -> Result<Vec<StatementItem>, Failure> {
    let rows = sqlx::query!(
        r#"select i.document_id, i.document_ref as "document_ref!", i.matter_ref, i.issued_on as "issued_on!",
             i.due_on as "due_on!", i.currency, i.gross - coalesce(m.moved, 0) as "open!"
           from dunning.item i
           left join lateral (select sum(m.amount) as moved from dunning.movement m
             where m.document_id = i.document_id and m.effective_on <= $2) m on true
           where i.account_id = $1 and i.issued_on <= $2 and i.document_ref is not null
             and i.gross <> coalesce(m.moved, 0)
           order by i.due_on, i.document_id limit $3"#,
        account.as_uuid(),
        day,
        LINES_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StatementItem {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                matter_ref: row.matter_ref,
                issued_on: row.issued_on,
                due_on: row.due_on,
                open: money(row.open, &row.currency)?,
                chaseable: None,
                days_late: (day - row.due_on).num_days(),
                reason: None,
            })
        })
        .collect()
}

/// Accounts with all that decides what their statements say; `but` is the run
/// that asks.
pub(crate) async fn holders(
    conn: &mut PgConnection,
    among: Among<'_>,
    kind: RunKind,
    period: NaiveDate,
    but: RunId,
) -> Result<Vec<Holder>, Failure> {
    let positions = super::positions::load_all(conn, among, true).await?;
    let mut holders: BTreeMap<Uuid, Holder> = positions
        .into_iter()
        .map(|position| {
            let holder = Holder {
                position,
                credits: Vec::new(),
                issued: BTreeMap::new(),
                had_one: false,
                in_run: false,
                was_shut: false,
                in_a_row: 0,
            };
            (holder.position.account.as_uuid(), holder)
        })
        .collect();
    let rows = sqlx::query!(
        r#"select account_id as "account_id!", document_id, document_ref as "document_ref!", issued_on as "issued_on!",
             currency, open as "open!"
           from dunning.item
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3))
             and open <> 0 and document_ref is not null and issued_on is not null
           order by account_id, issued_on, document_id"#,
        among.from,
        among.to,
        among.only
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let Some(holder) = holders.get_mut(&row.account_id) else {
            continue;
        };
        let document: DocumentId = row.document_id.into();
        holder.issued.insert(document, row.issued_on);
        let open = money(row.open, &row.currency)?;
        if open.is_negative() {
            holder.credits.push(Credit {
                document,
                document_ref: row.document_ref,
                issued_on: row.issued_on,
                open,
            });
        }
    }
    for (account, ..) in super::ways::shut_of(conn, among).await? {
        if let Some(holder) = holders.get_mut(&account) {
            holder.was_shut = true;
        }
    }
    let rows = sqlx::query!(
        r#"select account_id, kind, period, bool_or(overdue) as "overdue!" from dunning.statement_sent
           where account_id between $1 and $2 and ($3::uuid[] = '{}' or account_id = any($3))
             and not void and period > $4::date - 400
           group by account_id, kind, period order by account_id, period desc"#,
        among.from,
        among.to,
        among.only,
        period
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut over = BTreeSet::new();
    for row in rows {
        let Some(holder) = holders.get_mut(&row.account_id) else {
            continue;
        };
        holder.had_one |= row.kind == kind.name() && row.period == period;
        if row.kind != RunKind::Statement.name() || row.period > period {
            continue;
        }
        // Counted back from the last one, to the first that had nothing overdue.
        if !row.overdue {
            over.insert(row.account_id);
        } else if !over.contains(&row.account_id) {
            holder.in_a_row += 1;
        }
    }
    let rows = sqlx::query_scalar!(
        "select a.account_id from dunning.run_account a join dunning.run r using (run_id)
         where a.account_id between $1 and $2 and ($3::uuid[] = '{}' or a.account_id = any($3))
           and a.state in ('proposed', 'queued', 'claimed')
           and r.kind = $4 and r.run_id <> $5 and r.state not in ('sent', 'rejected', 'cancelled')",
        among.from,
        among.to,
        among.only,
        kind.name(),
        but.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    for account in rows {
        if let Some(holder) = holders.get_mut(&account) {
            holder.in_run = true;
        }
    }
    Ok(holders.into_values().collect())
}

/// A statement that is being sent.
pub(crate) struct Sent {
    pub(crate) contact: Uuid,
    pub(crate) account: Uuid,
    pub(crate) debtor: Option<String>,
    pub(crate) kind: RunKind,
    pub(crate) period: NaiveDate,
    pub(crate) as_at: NaiveDate,
    pub(crate) overdue: bool,
}

/// Claims the one statement of a kind, account and period, for each.
pub(crate) async fn claim(conn: &mut PgConnection, all: &[Sent]) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    fn of<T>(all: &[Sent], get: impl Fn(&Sent) -> T) -> Vec<T> {
        all.iter().map(get).collect()
    }
    sqlx::query!(
        "insert into dunning.statement_sent (contact_id, account_id, kind, period, as_at, overdue, debtor_ref)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::date[], $6::boolean[], $7::text[])",
        &of(all, |sent| sent.contact),
        &of(all, |sent| sent.account),
        &of(all, |sent| sent.kind.name().to_owned()),
        &of(all, |sent| sent.period),
        &of(all, |sent| sent.as_at),
        &of(all, |sent| sent.overdue),
        &of(all, |sent| sent.debtor.clone().unwrap_or_default())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The provider refused them, or they came back: there may be others.
pub(crate) async fn void(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.statement_sent set void = true where contact_id = any($1)",
        contacts
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What was sent to an account by a run, as it is kept: its type, hash and bytes.
pub(crate) async fn kept(
    conn: &mut PgConnection,
    run: RunId,
    account: AccountId,
) -> Result<Option<(String, String, Vec<u8>)>, Failure> {
    let row = sqlx::query!(
        "select a.media_type, a.sha256, a.bytes from dunning.run_account ra join dunning.contact c using (contact_id)
           join dunning.archive a on a.sha256 = c.content_sha256
         where ra.run_id = $1 and ra.account_id = $2",
        run.as_uuid(),
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.media_type, row.sha256, row.bytes)))
}
