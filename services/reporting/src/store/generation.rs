//! Which generation of the projections is live, and building the other one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kernel::{Classified as _, ErrorClass};
use messaging::Failure;
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use uuid::Uuid;

/// Taken shared by whoever writes the live projection, until commit; taken
/// alone while a rebuild drains its tail. Advisory locks are per database and
/// only reporting takes these two.
pub(crate) const LIVE_LOCK: i64 = 0x5245_504f_0001;
/// Held for as long as a rebuild runs: it is gone when its process is.
const REBUILD_LOCK: i64 = 0x5245_504f_0002;

/// The live generation. Only rebuilds change it, and there is one at a time.
pub(crate) async fn live(conn: &mut PgConnection) -> Result<i16, Failure> {
    Ok(sqlx::query_scalar!("select generation from reporting.live")
        .fetch_one(conn)
        .await?)
}

/// Waits until nobody writes the live projection, and keeps everybody from it.
pub(crate) async fn block_live(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!(r#"select pg_advisory_lock($1)::text as "void""#, LIVE_LOCK)
        .fetch_one(conn)
        .await?;
    Ok(())
}

pub(crate) async fn unblock_live(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("select pg_advisory_unlock($1)", LIVE_LOCK)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Makes `generation` the live one.
pub(crate) async fn flip(conn: &mut PgConnection, generation: i16) -> Result<(), Failure> {
    sqlx::query!("update reporting.live set generation = $1", generation)
        .execute(conn)
        .await?;
    Ok(())
}

/// The partitions of each generation, emptied.
const EMPTY: [[&str; 8]; 2] = [
    [
        "truncate reporting.account_0",
        "truncate reporting.document_0",
        "truncate reporting.receipt_0",
        "truncate reporting.movement_0",
        "truncate reporting.allocation_0",
        "truncate reporting.adjustment_0",
        "truncate reporting.outflow_0",
        "truncate reporting.happening_0",
    ],
    [
        "truncate reporting.account_1",
        "truncate reporting.document_1",
        "truncate reporting.receipt_1",
        "truncate reporting.movement_1",
        "truncate reporting.allocation_1",
        "truncate reporting.adjustment_1",
        "truncate reporting.outflow_1",
        "truncate reporting.happening_1",
    ],
];
/// New reports wait behind whoever waits to empty a table, so it waits shortly
/// and often.
const EMPTY_TRIES: u32 = 40;
const EMPTY_PAUSE: Duration = Duration::from_millis(250);

/// Empties a generation that is not live. A report locks both generations of
/// what it reads, so each table is a commit of its own: who holds one while
/// waiting for the next would deadlock with a report.
pub(crate) async fn empty(conn: &mut PgConnection, generation: i16) -> Result<(), Failure> {
    sqlx::query!("select set_config('lock_timeout', '250ms', false)")
        .fetch_one(&mut *conn)
        .await?;
    let statements = usize::try_from(generation)
        .ok()
        .and_then(|generation| EMPTY.get(generation))
        .ok_or_else(|| Failure::bug("reporting.generation", "there is no such generation"))?;
    for statement in statements {
        let mut tries = 1;
        loop {
            match sqlx::query(*statement).execute(&mut *conn).await {
                Ok(_) => break,
                Err(error) => {
                    let failure = Failure::from(error);
                    if failure.class() != ErrorClass::Conflict || tries == EMPTY_TRIES {
                        return Err(failure);
                    }
                }
            }
            tries += 1;
            tokio::time::sleep(EMPTY_PAUSE).await;
        }
    }
    sqlx::query!("select set_config('lock_timeout', '0', false)")
        .fetch_one(&mut *conn)
        .await?;
    Ok(())
}

/// Whether commits of this connection wait for the disk. A rebuild that is cut
/// off is thrown away, so only its last commit has to.
pub(crate) async fn durable(conn: &mut PgConnection, durable: bool) -> Result<(), Failure> {
    sqlx::query!(
        "select set_config('synchronous_commit', $1, false)",
        if durable { "on" } else { "off" }
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// A rebuild as it is kept.
#[derive(Debug)]
pub(crate) struct Rebuild {
    pub(crate) state: String,
    pub(crate) events: i64,
    pub(crate) events_total: i64,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) differences: Vec<String>,
}

/// Takes the right to rebuild, for as long as the connection lives; false when
/// another process has it.
pub(crate) async fn lock_rebuild(conn: &mut PgConnection) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select pg_try_advisory_lock($1) as "locked!""#,
        REBUILD_LOCK
    )
    .fetch_one(conn)
    .await?)
}

/// Gives up the right to rebuild, and whatever else a rebuild holds.
pub(crate) async fn unlock_all(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!(r#"select pg_advisory_unlock_all()::text as "void""#)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Writes down that a rebuild begins. Whoever calls this has the right to, so
/// one that still seems to run has died.
pub(crate) async fn begin(
    conn: &mut PgConnection,
    rebuild_id: Uuid,
    verify: bool,
    actor: &str,
    events_total: i64,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update reporting.rebuild set state = 'failed', finished_at = $1, \
         differences = array['the process that rebuilt it ended'] where state = 'running'",
        now
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into reporting.rebuild (rebuild_id, verify, actor, state, events, events_total, started_at) \
         values ($1, $2, $3, 'running', 0, $4, $5)",
        rebuild_id,
        verify,
        actor,
        events_total,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn progress(
    conn: &mut PgConnection,
    rebuild_id: Uuid,
    events: i64,
    events_total: i64,
) -> Result<(), Failure> {
    sqlx::query!(
        "update reporting.rebuild set events = $2, events_total = $3 where rebuild_id = $1",
        rebuild_id,
        events,
        events_total
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn finish(
    conn: &mut PgConnection,
    rebuild_id: Uuid,
    state: &str,
    differences: &[String],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update reporting.rebuild set state = $2, differences = $3, finished_at = $4 where rebuild_id = $1",
        rebuild_id,
        state,
        differences,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The latest rebuild: running while anybody is at it, failed if nobody is and
/// its end was never written down.
pub(crate) async fn latest(conn: &mut PgConnection) -> Result<Option<Rebuild>, Failure> {
    let Some((mut rebuild, mut alive)) = look(conn).await? else {
        return Ok(None);
    };
    if rebuild.state == "running" && !alive {
        // Looked at twice, because the statement sees rows as at its beginning
        // and locks as at its end: it may have ended properly in between.
        match look(conn).await? {
            Some(again) => (rebuild, alive) = again,
            None => return Ok(None),
        }
    }
    if alive {
        "running".clone_into(&mut rebuild.state);
    } else if rebuild.state == "running" {
        "failed".clone_into(&mut rebuild.state);
        rebuild.differences = vec!["the process that rebuilt it ended".to_owned()];
    }
    Ok(Some(rebuild))
}

async fn look(conn: &mut PgConnection) -> Result<Option<(Rebuild, bool)>, Failure> {
    let row = sqlx::query!(
        r#"select state, events, events_total, started_at, finished_at, differences,
                  exists (
                      select 1 from pg_locks k
                      where k.locktype = 'advisory' and k.granted and k.objsubid = 1
                          and k.database = (select oid from pg_database where datname = current_database())
                          and (k.classid::bigint << 32) | k.objid::bigint = $1
                  ) as "alive!"
           from reporting.rebuild
           order by started_at desc, rebuild_id desc
           limit 1"#,
        REBUILD_LOCK
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let rebuild = Rebuild {
            state: row.state,
            events: row.events,
            events_total: row.events_total,
            started_at: row.started_at,
            finished_at: row.finished_at,
            differences: row.differences,
        };
        (rebuild, row.alive)
    }))
}

/// A transaction that sees everything as at its first statement.
pub(crate) async fn snapshot(
    conn: &mut PgConnection,
) -> Result<Transaction<'_, Postgres>, Failure> {
    Ok(conn
        .begin_with("begin isolation level repeatable read")
        .await?)
}

/// Of `events`, those whose effect the live projection does not have yet.
pub(crate) async fn unclaimed(
    conn: &mut PgConnection,
    events: &[Uuid],
) -> Result<Vec<Uuid>, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select e.id as "id!" from unnest($1::uuid[]) as e (id)
           where not exists (select 1 from reporting.inbox i where i.message_id = e.id)"#,
        events
    )
    .fetch_all(conn)
    .await?)
}

/// Rows of one table that only one generation has.
struct Difference {
    only_rebuilt: i64,
    only_live: i64,
    example: Option<String>,
}

impl Difference {
    fn in_words(self, table: &str) -> Option<String> {
        (self.only_rebuilt + self.only_live > 0).then(|| {
            format!(
                "{table}: {} rows only in the live projection, {} only in the rebuilt one, such as {}",
                self.only_live,
                self.only_rebuilt,
                self.example.unwrap_or_default()
            )
        })
    }
}

/// Compares every column of every row of two generations, both ways, leaving
/// out what came from `pending` events, which only the rebuilt one has seen.
pub(crate) async fn differences(
    conn: &mut PgConnection,
    rebuilt: i16,
    live: i16,
    pending: &[Uuid],
) -> Result<Vec<String>, Failure> {
    let account = sqlx::query_as!(
        Difference,
        r#"with r as (
               select account_id, version, account_ref, name, kind, parent_ref, terms_days, currency, email, phone,
                      segment, department, principal, recorded_at, actor, event_id
               from reporting.account where generation = $1 and event_id <> all($3)
           ),
           l as (
               select account_id, version, account_ref, name, kind, parent_ref, terms_days, currency, email, phone,
                      segment, department, principal, recorded_at, actor, event_id
               from reporting.account where generation = $2
           ),
           d as (
               select true as rebuilt, r.account_ref from (select * from r except select * from l) r
               union all
               select false, l.account_ref from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(account_ref) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let document = sqlx::query_as!(
        Difference,
        r#"with r as (
               select document_id, document_ref, kind, account_id, account_ref, matter_ref, issued_on, due_on, amount,
                      currency, recorded_at, actor, event_id
               from reporting.document where generation = $1 and event_id <> all($3)
           ),
           l as (
               select document_id, document_ref, kind, account_id, account_ref, matter_ref, issued_on, due_on, amount,
                      currency, recorded_at, actor, event_id
               from reporting.document where generation = $2
           ),
           d as (
               select true as rebuilt, r.document_ref from (select * from r except select * from l) r
               union all
               select false, l.document_ref from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(document_ref) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let receipt = sqlx::query_as!(
        Difference,
        r#"with r as (
               select receipt_id, version, bank_reference, booked_on, amount, unallocated, currency, payer_name,
                      narrative, state, account_id, account_ref, rule, recorded_at, actor, event_id
               from reporting.receipt where generation = $1 and event_id <> all($3)
           ),
           l as (
               select receipt_id, version, bank_reference, booked_on, amount, unallocated, currency, payer_name,
                      narrative, state, account_id, account_ref, rule, recorded_at, actor, event_id
               from reporting.receipt where generation = $2
           ),
           d as (
               select true as rebuilt, r.receipt_id from (select * from r except select * from l) r
               union all
               select false, l.receipt_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(receipt_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let movement = sqlx::query_as!(
        Difference,
        r#"with r as (
               select receipt_id, version, undone, unallocated, state, account_id, account_ref, rule, reason,
                      recorded_at, actor, event_id
               from reporting.movement where generation = $1 and event_id <> all($3)
           ),
           l as (
               select receipt_id, version, undone, unallocated, state, account_id, account_ref, rule, reason,
                      recorded_at, actor, event_id
               from reporting.movement where generation = $2
           ),
           d as (
               select true as rebuilt, r.receipt_id from (select * from r except select * from l) r
               union all
               select false, l.receipt_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(receipt_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    // A line is of the event of its step.
    let allocation = sqlx::query_as!(
        Difference,
        r#"with r as (
               select receipt_id, allocation_id, version, document_id, account_id, amount, currency, effective_on,
                      recorded_at, contra_of
               from reporting.allocation where generation = $1
           ),
           l as (
               select receipt_id, allocation_id, version, document_id, account_id, amount, currency, effective_on,
                      recorded_at, contra_of
               from reporting.allocation where generation = $2
           ),
           d as (
               select true as rebuilt, r.allocation_id from (select * from r except select * from l) r
               where not exists (
                   select 1 from reporting.step s
                   where s.generation = $1 and s.receipt_id = r.receipt_id and s.version = r.version
                       and s.event_id = any($3)
               )
               union all
               select false, l.allocation_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(allocation_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let adjustment = sqlx::query_as!(
        Difference,
        r#"with r as (
               select adjustment_id, kind, document_id, account_id, amount, currency, effective_on, recorded_at,
                      contra_of, receipt_id, version, cause, actor, reason, event_id
               from reporting.adjustment where generation = $1 and event_id <> all($3)
           ),
           l as (
               select adjustment_id, kind, document_id, account_id, amount, currency, effective_on, recorded_at,
                      contra_of, receipt_id, version, cause, actor, reason, event_id
               from reporting.adjustment where generation = $2
           ),
           d as (
               select true as rebuilt, r.adjustment_id from (select * from r except select * from l) r
               union all
               select false, l.adjustment_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(adjustment_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let outflow = sqlx::query_as!(
        Difference,
        r#"with r as (
               select receipt_id, outflow_id, version, kind, amount, currency, effective_on, recorded_at, contra_of,
                      cause
               from reporting.outflow where generation = $1
           ),
           l as (
               select receipt_id, outflow_id, version, kind, amount, currency, effective_on, recorded_at, contra_of,
                      cause
               from reporting.outflow where generation = $2
           ),
           d as (
               select true as rebuilt, r.outflow_id from (select * from r except select * from l) r
               where not exists (
                   select 1 from reporting.step s
                   where s.generation = $1 and s.receipt_id = r.receipt_id and s.version = r.version
                       and s.event_id = any($3)
               )
               union all
               select false, l.outflow_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(outflow_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(&mut *conn)
    .await?;
    let happening = sqlx::query_as!(
        Difference,
        r#"with r as (
               select event_id, entry_id, kind, account_ref, receipt_id, document_id, subject, detail, amount,
                      currency, effective_on, due_on, recorded_at, actor, reason
               from reporting.happening where generation = $1 and event_id <> all($3)
           ),
           l as (
               select event_id, entry_id, kind, account_ref, receipt_id, document_id, subject, detail, amount,
                      currency, effective_on, due_on, recorded_at, actor, reason
               from reporting.happening where generation = $2
           ),
           d as (
               select true as rebuilt, r.entry_id from (select * from r except select * from l) r
               union all
               select false, l.entry_id from (select * from l except select * from r) l
           )
           select count(*) filter (where rebuilt) as "only_rebuilt!",
                  count(*) filter (where not rebuilt) as "only_live!", min(entry_id::text) as example
           from d"#,
        rebuilt,
        live,
        pending
    )
    .fetch_one(conn)
    .await?;
    Ok([
        account.in_words("account"),
        document.in_words("document"),
        receipt.in_words("receipt"),
        movement.in_words("movement"),
        allocation.in_words("allocation"),
        adjustment.in_words("adjustment"),
        outflow.in_words("outflow"),
        happening.in_words("happening"),
    ]
    .into_iter()
    .flatten()
    .collect())
}
