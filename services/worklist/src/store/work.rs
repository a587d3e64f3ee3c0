//! Work items with their clocks and history, and the accounts they are about.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::api::worklist::WorkStep;
use messaging::Failure;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{read, written};
use crate::{
    consume::Known,
    domain::{
        clock::Clock,
        item::{Item, Line, Touched},
        owner::Account,
    },
};

/// Lines of history and runs of a clock that are shown.
const HISTORY_MAX: i64 = 200;

/// The items about `subjects`, those that name one of them as related and the
/// active ones of `accounts`, locked in the order of their ids.
pub(crate) async fn lock_about(
    conn: &mut PgConnection,
    subjects: &[Uuid],
    accounts: &[Uuid],
) -> Result<Vec<Touched>, Failure> {
    let ids = sqlx::query_scalar!(
        r#"select work_item_id as "id!" from worklist.work_item where subject_id = any($1)
           union select work_item_id from worklist.work_item where related_id = any($1)
           union select work_item_id from worklist.work_item
           where account_id = any($2) and state in ('open', 'in_progress', 'waiting')"#,
        subjects,
        accounts
    )
    .fetch_all(&mut *conn)
    .await?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    lock(conn, &ids).await
}

/// Items by their ids, with the latest runs of their clocks.
pub(crate) async fn lock(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Touched>, Failure> {
    let bodies = sqlx::query_scalar!(
        r#"select body as "body!" from worklist.work_item_row where work_item_id = any($1)
           order by work_item_id for update"#,
        ids
    )
    .fetch_all(&mut *conn)
    .await?;
    with_clocks(conn, bodies).await
}

/// What is owned by or with one of `people` and still to do, locked.
pub(crate) async fn lock_of(
    conn: &mut PgConnection,
    people: &[String],
    limit: i64,
) -> Result<Vec<Touched>, Failure> {
    let bodies = sqlx::query_scalar!(
        r#"select body as "body!" from worklist.work_item_row where (owner = any($1) or holder = any($1))
             and state in ('open', 'in_progress', 'waiting')
           order by work_item_id limit $2 for update"#,
        people,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    with_clocks(conn, bodies).await
}

/// A page of everything that is still to do, locked, in the order of the ids;
/// without clocks.
pub(crate) async fn lock_page(
    conn: &mut PgConnection,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Touched>, Failure> {
    let bodies = sqlx::query_scalar!(
        r#"select body as "body!" from worklist.work_item_row
           where state in ('open', 'in_progress', 'waiting') and ($1::uuid is null or work_item_id > $1)
           order by work_item_id limit $2 for update"#,
        after,
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(Touched::of(read(body)?, None)))
        .collect()
}

async fn with_clocks(conn: &mut PgConnection, bodies: Vec<Value>) -> Result<Vec<Touched>, Failure> {
    let items = bodies
        .into_iter()
        .map(read)
        .collect::<Result<Vec<Item>, _>>()?;
    let ids: Vec<Uuid> = items.iter().map(|item| item.work_item_id).collect();
    let clocks = sqlx::query_scalar!(
        r#"select to_jsonb(c) as "body!" from unnest($1::uuid[]) id
           cross join lateral (select * from worklist.sla_clock c where c.work_item_id = id
               order by cycle desc limit 1) c"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut clocks = clocks
        .into_iter()
        .map(|body| read::<Clock>(body).map(|clock| (clock.work_item_id, clock)))
        .collect::<Result<HashMap<_, _>, _>>()?;
    Ok(items
        .into_iter()
        .map(|item| {
            let clock = clocks.remove(&item.work_item_id);
            Touched::of(item, clock)
        })
        .collect())
}

/// Writes touched items, their clocks and what happened to them.
pub(crate) async fn put(conn: &mut PgConnection, touched: &[Touched]) -> Result<(), Failure> {
    if touched.is_empty() {
        return Ok(());
    }
    let items: Vec<&Item> = touched.iter().map(|one| &one.item).collect();
    sqlx::query!(
        r#"insert into worklist.work_item
           select r.* from jsonb_populate_recordset(null::worklist.work_item, $1) r
           on conflict (work_item_id) do update set
             version = excluded.version, subject_ref = excluded.subject_ref,
             subject_version = excluded.subject_version, related_id = excluded.related_id,
             detail = excluded.detail, account_id = excluded.account_id, account_ref = excluded.account_ref,
             amount = excluded.amount, currency = excluded.currency, state = excluded.state,
             owner = excluded.owner, owner_source = excluded.owner_source, holder = excluded.holder,
             cover_id = excluded.cover_id, minutes = excluded.minutes, score = excluded.score,
             parts = excluded.parts, by_hand = excluded.by_hand, by_hand_reason = excluded.by_hand_reason,
             back_on = excluded.back_on, back_reason = excluded.back_reason, business_at = excluded.business_at,
             sla = excluded.sla, due_at = excluded.due_at, escalated = excluded.escalated,
             outcome = excluded.outcome, outcome_note = excluded.outcome_note,
             no_next_reason = excluded.no_next_reason, ended_at = excluded.ended_at,
             ended_by = excluded.ended_by, changed_at = excluded.changed_at"#,
        written(&items)?
    )
    .execute(&mut *conn)
    .await?;
    let clocks: Vec<&Clock> = touched
        .iter()
        .filter_map(|one| one.clock.as_ref())
        .collect();
    if !clocks.is_empty() {
        sqlx::query!(
            r#"insert into worklist.sla_clock
               select r.* from jsonb_populate_recordset(null::worklist.sla_clock, $1) r
               on conflict (work_item_id, cycle) do update set
                 spent = excluded.spent, running_since = excluded.running_since,
                 pause_reason = excluded.pause_reason, fired = excluded.fired,
                 next_due_at = excluded.next_due_at, due_at = excluded.due_at,
                 stopped_at = excluded.stopped_at, state = excluded.state"#,
            written(&clocks)?
        )
        .execute(&mut *conn)
        .await?;
    }
    let steps: Vec<&Line> = touched.iter().flat_map(|one| &one.steps).collect();
    if !steps.is_empty() {
        sqlx::query!(
            r#"insert into worklist.work_step
               select r.* from jsonb_populate_recordset(null::worklist.work_step, $1) r"#,
            written(&steps)?
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Writes how pressing items are, and nothing else of them.
pub(crate) async fn put_scores(conn: &mut PgConnection, ranked: &[Touched]) -> Result<(), Failure> {
    if ranked.is_empty() {
        return Ok(());
    }
    let items: Vec<&Item> = ranked.iter().map(|one| &one.item).collect();
    sqlx::query!(
        "update worklist.work_item i set score = r.score, parts = r.parts \
         from jsonb_populate_recordset(null::worklist.work_item, $1) r where i.work_item_id = r.work_item_id",
        written(&items)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Accounts by id or reference, with their versions.
pub(crate) async fn accounts(
    conn: &mut PgConnection,
    ids: &[Uuid],
    refs: &[String],
) -> Result<HashMap<Uuid, (i64, Account)>, Failure> {
    let rows = sqlx::query!(
        "select account_id, account_ref, version, name, segment, department, last_contact_on, broken_promise_on \
         from worklist.account where account_id = any($1) or account_ref = any($2)",
        ids,
        refs
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let account = Account {
                reference: row.account_ref,
                name: row.name,
                segment: row.segment,
                department: row.department,
                broken_promise_on: row.broken_promise_on,
                last_contact_on: row.last_contact_on,
            };
            (row.account_id, (row.version, account))
        })
        .collect())
}

pub(crate) async fn put_accounts(
    conn: &mut PgConnection,
    accounts: &[Known],
) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into worklist.account (account_id, account_ref, version, name, segment, department) \
         select account_id, account_ref, version, name, segment, department \
         from jsonb_populate_recordset(null::worklist.account, $1) \
         on conflict (account_id) do update set account_ref = excluded.account_ref, version = excluded.version, \
           name = excluded.name, segment = excluded.segment, department = excluded.department \
         where account.version < excluded.version",
        written(&accounts)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a list shows.
pub(crate) struct Listed {
    pub snoozed: bool,
    pub unowned: bool,
    pub holder: Option<String>,
    pub kinds: Vec<String>,
    pub sla: Vec<String>,
    pub account_ref: Option<String>,
    pub text: Option<String>,
    /// All when empty; else also those that wait for their day.
    pub subjects: Vec<Uuid>,
    pub today: NaiveDate,
    /// Below this score, or at it and after this id.
    pub after: Option<(i32, Uuid)>,
    pub rows: i64,
}

/// Items that are still to do with the names of their accounts, the most
/// pressing first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    ask: &Listed,
) -> Result<Vec<(Item, Option<String>)>, Failure> {
    let (score, id) = ask.after.unzip();
    let pattern = ask
        .text
        .as_ref()
        .map(|text| format!("%{}%", text.replace(['%', '_', '\\'], "")));
    let rows = sqlx::query!(
        r#"select i.body as "body!", a.name as "name?"
           from worklist.work_item_row i left join worklist.account a on a.account_id = i.account_id
           where i.state in ('open', 'in_progress', 'waiting')
             and (($12::uuid[] = '{}' and (i.state = 'waiting' and i.back_on > $1) = $2)
                  or i.subject_id = any($12))
             and (not $3 or i.owner_source = 'default')
             and ($4::text is null or i.holder = $4)
             and ($5::text[] = '{}' or i.kind = any($5))
             and ($6::text[] = '{}' or i.sla = any($6))
             and ($7::text is null or i.account_ref = $7)
             and ($8::text is null or i.subject_ref ilike $8 or i.detail ilike $8 or a.name ilike $8
                  or i.account_ref ilike $8)
             and ($9::int is null or i.score < $9 or (i.score = $9 and i.work_item_id > $10))
           order by i.score desc, i.work_item_id limit $11"#,
        ask.today,
        ask.snoozed,
        ask.unowned,
        ask.holder.as_deref(),
        &ask.kinds,
        &ask.sla,
        ask.account_ref.as_deref(),
        pattern,
        score,
        id,
        ask.rows,
        &ask.subjects
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((read(row.body)?, row.name)))
        .collect()
}

/// Items that have ended, newest first.
pub(crate) async fn ended(
    conn: &mut PgConnection,
    holder: Option<&str>,
    rows: i64,
) -> Result<Vec<(Item, Option<String>)>, Failure> {
    let rows = sqlx::query!(
        r#"select i.body as "body!", a.name as "name?"
           from worklist.work_item_row i left join worklist.account a on a.account_id = i.account_id
           where i.ended_at is not null and ($1::text is null or i.holder = $1)
           order by i.ended_at desc limit $2"#,
        holder,
        rows
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((read(row.body)?, row.name)))
        .collect()
}

/// Items by id with the names of their accounts, in no order.
pub(crate) async fn by_id(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<(Item, Option<String>)>, Failure> {
    let rows = sqlx::query!(
        r#"select i.body as "body!", a.name as "name?"
           from worklist.work_item_row i left join worklist.account a on a.account_id = i.account_id
           where i.work_item_id = any($1) and i.version > 0"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((read(row.body)?, row.name)))
        .collect()
}

pub(crate) async fn clocks(conn: &mut PgConnection, id: Uuid) -> Result<Vec<Clock>, Failure> {
    let rows = sqlx::query_scalar!(
        r#"select to_jsonb(c) as "body!" from worklist.sla_clock c where work_item_id = $1
           order by cycle desc limit $2"#,
        id,
        HISTORY_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

pub(crate) async fn history(conn: &mut PgConnection, id: Uuid) -> Result<Vec<WorkStep>, Failure> {
    Ok(sqlx::query_as!(
        WorkStep,
        "select version, step, actor, reason, recorded_at from worklist.work_step where work_item_id = $1 \
         order by version desc limit $2",
        id,
        HISTORY_MAX
    )
    .fetch_all(conn)
    .await?)
}

/// A group of items that count together.
pub(crate) struct Group {
    pub holder: String,
    pub kind: String,
    pub sla: String,
    pub snoozed: bool,
    pub unowned: bool,
    pub currency: Option<String>,
    pub count: i64,
    pub minutes: i64,
    pub money: Decimal,
}

pub(crate) async fn count(
    conn: &mut PgConnection,
    holder: Option<&str>,
    today: NaiveDate,
) -> Result<Vec<Group>, Failure> {
    Ok(sqlx::query_as!(
        Group,
        r#"select holder, kind, sla, (state = 'waiting' and back_on > $2) as "snoozed!",
               (owner_source = 'default') as "unowned!", currency, count(*) as "count!",
               sum(minutes)::bigint as "minutes!", coalesce(sum(amount), 0) as "money!"
           from worklist.work_item where state in ('open', 'in_progress', 'waiting')
             and ($1::text is null or holder = $1)
           group by 1, 2, 3, 4, 5, 6"#,
        holder,
        today
    )
    .fetch_all(conn)
    .await?)
}

/// Who has ended how much since then, with the minutes it was expected to take.
pub(crate) async fn done_since(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<HashMap<String, (i64, i64)>, Failure> {
    let rows = sqlx::query!(
        r#"select s.actor, count(*) as "count!", coalesce(sum(i.minutes), 0)::bigint as "minutes!"
           from worklist.work_step s join worklist.work_item i using (work_item_id)
           where s.recorded_at >= $1 and s.step = 'completed' group by s.actor"#,
        since
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.actor, (row.count, row.minutes)))
        .collect())
}
