//! Matching rules: what is in force, and their life.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use contracts::{
    allocation::Rule,
    api::rules::{DemotionView, RuleSetStep, RuleSetView},
    controls::ApprovalId,
    rules::{RuleScope, RuleSet, RuleSetState, When},
};
use kernel::{AccountId, AllocationId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{accounts, money, named};
use crate::domain::{
    Books,
    rules::{Live, Rulebook, Used},
};

/// Automatic lines that are counted for a budget, at most.
const LINES_MAX: i64 = 1_000_000;
/// Rows of one list at most that have no pages.
const LIST_MAX: i64 = 200;

fn scope(kind: &str, key: &str) -> Result<RuleScope, Failure> {
    RuleScope::of(kind, key)
        .ok_or_else(|| Failure::bug("rules.stored_scope", "a stored scope is not known"))
}

fn document(value: serde_json::Value) -> Result<RuleSet, Failure> {
    serde_json::from_value(value)
        .map_err(|e| Failure::bug("rules.stored_rules", "stored rules cannot be read").caused_by(e))
}

/// The rulebook of live versions and shadows with their rules, and of demoted rungs with
/// their scopes, as they were stored.
pub(super) fn rulebook(
    live: Vec<(String, serde_json::Value)>,
    shadows: Vec<(String, serde_json::Value)>,
    demoted: Vec<(String, serde_json::Value)>,
) -> Result<Rulebook, Failure> {
    let unknown = || Failure::bug("rules.stored_rules", "stored rules cannot be read");
    let read = |stored: Vec<(String, serde_json::Value)>| {
        let sets = stored.into_iter().map(|(version, rules)| {
            Ok(Live {
                version: version.parse().map_err(|_| unknown())?,
                rules: document(rules)?,
            })
        });
        sets.collect::<Result<Vec<_>, Failure>>()
    };
    let mut book = Rulebook::new(read(live)?);
    book.shadows = read(shadows)?;
    // The latest first: so many at most decide.
    book.shadows
        .sort_by_key(|shadow| std::cmp::Reverse(shadow.version));
    for (rule, of) in demoted {
        let (kind, key): (String, String) =
            serde_json::from_value(of).map_err(|e| unknown().caused_by(e))?;
        book.demoted
            .push((scope(&kind, &key)?, named::<Rule>(rule)?));
    }
    Ok(book)
}

/// The rules in force, for whoever looks up nothing else.
pub(crate) async fn in_force(conn: &mut PgConnection) -> Result<Rulebook, Failure> {
    let mut books = Books::default();
    accounts::recognise(conn, &[], &accounts::Signs::default(), &mut books).await?;
    Ok(books.rules)
}

/// What the rules need to know about the accounts in `books`, and what those in
/// `named` have had written off since the receipts, `earliest` the first of
/// them, could count it. Those are kept from others who would write off more at
/// the same moment: the cap is for all of it.
pub(crate) async fn fill(
    conn: &mut PgConnection,
    named: &BTreeSet<AccountId>,
    earliest: NaiveDate,
    books: &mut Books,
) -> Result<(), Failure> {
    if books.rules.needs_accounts() {
        let ids: BTreeSet<Uuid> = books
            .items
            .values()
            .map(|item| item.account_id)
            .chain(books.payers.values().flatten().copied())
            .chain(books.learned.values().flatten().map(|edge| edge.account))
            .map(AccountId::as_uuid)
            .collect();
        who(conn, &ids.into_iter().collect::<Vec<_>>(), &mut books.rules).await?;
    }
    let live = books.rules.longest_cap();
    let Some(days) = live.max(books.rules.longest_shadow_cap()) else {
        return Ok(());
    };
    if named.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = named.iter().map(|id| id.as_uuid()).collect();
    let since = earliest
        .checked_sub_days(Days::new(days.into()))
        .unwrap_or(earliest);
    if live.is_none() {
        return used(conn, &ids, since, &mut books.rules).await;
    }
    sqlx::query!(
        r#"select count(pg_advisory_xact_lock(hashtextextended(id::text, 4))) as "locked!"
           from (select id from unnest($1::uuid[]) as t(id) order by id) accounts"#,
        &ids
    )
    .fetch_one(&mut *conn)
    .await?;
    used(conn, &ids, since, &mut books.rules).await
}

/// Reference and segment of accounts.
pub(crate) async fn who(
    conn: &mut PgConnection,
    ids: &[Uuid],
    book: &mut Rulebook,
) -> Result<(), Failure> {
    let rows = sqlx::query!(
        "select account_id, account_ref, segment from allocation.account where account_id = any($1)",
        ids
    )
    .fetch_all(conn)
    .await?;
    book.who.extend(
        rows.into_iter()
            .map(|row| (row.account_id.into(), (row.account_ref, row.segment))),
    );
    Ok(())
}

/// Small balances of accounts from a day on, less what was taken back, by day.
pub(crate) async fn used(
    conn: &mut PgConnection,
    ids: &[Uuid],
    since: NaiveDate,
    book: &mut Rulebook,
) -> Result<(), Failure> {
    // What is taken back counts on the day of what it takes back.
    let rows = sqlx::query!(
        r#"select d.account_id, d.currency, coalesce(o.effective_on, d.effective_on) as "on!",
               coalesce(o.amount, d.amount) < 0 as "over!", sum(d.amount) as "amount!"
           from allocation.adjustment d left join allocation.adjustment o on o.adjustment_id = d.contra_of
           where d.account_id = any($1) and d.kind = 'small_balance' and d.effective_on >= $2
           group by 1, 2, 3, 4"#,
        ids,
        since
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let amount = money(row.amount, &row.currency)?;
        let (way, amount) = if row.over {
            (When::Over, amount.neg())
        } else {
            (When::Under, amount)
        };
        book.used
            .entry(row.account_id.into())
            .or_default()
            .push(Used {
                on: row.on,
                way,
                amount,
            });
    }
    Ok(())
}

struct Row {
    version: i64,
    scope_kind: String,
    scope_key: String,
    name: String,
    valid_from: NaiveDate,
    state: String,
    author: String,
    approver: Option<String>,
    approval: Option<Uuid>,
    recorded_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for RuleSetView {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            version: row.version,
            name: row.name,
            scope: scope(&row.scope_kind, &row.scope_key)?,
            valid_from: row.valid_from,
            state: named(row.state)?,
            author: row.author,
            approver: row.approver,
            approval_id: row.approval.map(Into::into),
            recorded_at: row.recorded_at,
            changed_at: row.changed_at,
        })
    }
}

/// Rule sets, the newest first.
pub(crate) async fn list(
    conn: &mut PgConnection,
    state: Option<RuleSetState>,
    before: Option<i64>,
    rows: i64,
) -> Result<Vec<RuleSetView>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select version, scope_kind, scope_key, name, valid_from, state, author, approver, approval,
             recorded_at, changed_at
         from allocation.rule_set
         where ($1::text is null or state = $1) and ($2::bigint is null or version < $2)
         order by version desc limit $3",
        state.map(RuleSetState::name),
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(RuleSetView::try_from).collect()
}

pub(crate) async fn get(
    conn: &mut PgConnection,
    version: i64,
) -> Result<Option<RuleSetView>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select version, scope_kind, scope_key, name, valid_from, state, author, approver, approval,
             recorded_at, changed_at
         from allocation.rule_set where version = $1",
        version
    )
    .fetch_optional(conn)
    .await?;
    row.map(RuleSetView::try_from).transpose()
}

/// What a version says.
pub(crate) async fn rules(conn: &mut PgConnection, version: i64) -> Result<RuleSet, Failure> {
    let value = sqlx::query_scalar!(
        "select rules from allocation.rule_set where version = $1",
        version
    )
    .fetch_one(conn)
    .await?;
    document(value)
}

pub(crate) async fn steps(
    conn: &mut PgConnection,
    version: i64,
) -> Result<Vec<RuleSetStep>, Failure> {
    let rows = sqlx::query!(
        "select state, actor, reason, recorded_at from allocation.rule_step where version = $1 order by step",
        version
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(RuleSetStep {
                state: named(row.state)?,
                actor: row.actor,
                reason: row.reason,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

/// One step at a time, whoever takes it: of this scope, or of all.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!(
        r#"select count(pg_advisory_xact_lock(hashtextextended('allocation.rule_set', 4))) as "locked!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert(
    conn: &mut PgConnection,
    rules: &RuleSet,
    author: &str,
    now: DateTime<Utc>,
) -> Result<i64, Failure> {
    Ok(sqlx::query_scalar!(
        "insert into allocation.rule_set (scope_kind, scope_key, name, valid_from, state, rules, author, recorded_at,
             changed_at)
         values ($1, $2, $3, $4, 'draft', $5, $6, $7, $7) returning version",
        rules.scope.kind(),
        rules.scope.key(),
        rules.name,
        rules.valid_from,
        serde_json::to_value(rules)?,
        author,
        now
    )
    .fetch_one(conn)
    .await?)
}

/// Notes where a version stands from now on; returns the number of the step.
pub(crate) async fn step(
    conn: &mut PgConnection,
    version: i64,
    state: RuleSetState,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<i64, Failure> {
    sqlx::query!(
        "update allocation.rule_set set state = $2, changed_at = $4,
             approver = case when $2 = 'live' then $3 else approver end
         where version = $1",
        version,
        state.name(),
        actor,
        now
    )
    .execute(&mut *conn)
    .await?;
    let step = sqlx::query_scalar!(
        "insert into allocation.rule_step (version, step, state, actor, reason, recorded_at)
         select $1, 1 + count(*)::integer, $2, $3, $4, $5 from allocation.rule_step where version = $1
         returning step",
        version,
        state.name(),
        actor,
        reason,
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(step.into())
}

/// Notes what a second person is asked about a version; nothing: not any more.
pub(crate) async fn asked(
    conn: &mut PgConnection,
    version: i64,
    approval: Option<ApprovalId>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update allocation.rule_set set approval = $2 where version = $1",
        version,
        approval.map(ApprovalId::as_uuid)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Live versions of a scope other than `version`.
pub(crate) async fn others_live(
    conn: &mut PgConnection,
    scope: &RuleScope,
    version: i64,
) -> Result<Vec<RuleSetView>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select version, scope_kind, scope_key, name, valid_from, state, author, approver, approval,
             recorded_at, changed_at
         from allocation.rule_set
         where state = 'live' and scope_kind = $1 and scope_key = $2 and version <> $3 order by version",
        scope.kind(),
        scope.key(),
        version
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(RuleSetView::try_from).collect()
}

/// A demotion that stands, with its id.
pub(crate) type Demotion = (Uuid, DemotionView);

/// Demotions that stand, of one scope or of all, the oldest first.
pub(crate) async fn demotions(
    conn: &mut PgConnection,
    of: Option<&RuleScope>,
) -> Result<Vec<Demotion>, Failure> {
    let rows = sqlx::query!(
        "select d.demotion_id, d.scope_kind, d.scope_key, d.rule, d.wrong, d.lines, d.actor, d.reason, d.recorded_at
         from allocation.rule_demotion d
         where ($1::text is null or d.scope_kind = $1 and d.scope_key = $2)
           and not exists (select 1 from allocation.rule_restoration r where r.demotion_id = d.demotion_id)
         order by d.recorded_at, d.demotion_id limit $3",
        of.map(RuleScope::kind),
        of.map_or("", RuleScope::key),
        LIST_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                row.demotion_id,
                DemotionView {
                    scope: scope(&row.scope_kind, &row.scope_key)?,
                    rule: named(row.rule)?,
                    wrong: row.wrong,
                    lines: row.lines,
                    actor: row.actor,
                    reason: row.reason,
                    recorded_at: row.recorded_at,
                },
            ))
        })
        .collect()
}

/// Notes that an automatic line was wrong. Counts, since `since` or since the
/// rung was last restored, the wrong lines of its rung and the automatic ones.
pub(crate) async fn wrong(
    conn: &mut PgConnection,
    line: AllocationId,
    of: (&RuleScope, Rule),
    actor: &str,
    now: DateTime<Utc>,
    days: u16,
) -> Result<(i64, i64), Failure> {
    let (scope, rule) = of;
    sqlx::query!(
        "insert into allocation.wrong_match (allocation_id, scope_kind, scope_key, rule, actor, recorded_at)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
        line.as_uuid(),
        scope.kind(),
        scope.key(),
        rule.name(),
        actor,
        now
    )
    .execute(&mut *conn)
    .await?;
    let since = now - TimeDelta::days(days.into());
    let restored = sqlx::query_scalar!(
        "select max(r.recorded_at) from allocation.rule_restoration r join allocation.rule_demotion d using (demotion_id)
         where d.rule = $1 and d.scope_kind = $2 and d.scope_key = $3",
        rule.name(),
        scope.kind(),
        scope.key()
    )
    .fetch_one(&mut *conn)
    .await?;
    let since = restored.map_or(since, |restored| restored.max(since));
    let wrong = sqlx::query_scalar!(
        r#"select count(*) as "n!" from allocation.wrong_match
           where rule = $1 and scope_kind = $2 and scope_key = $3 and recorded_at > $4"#,
        rule.name(),
        scope.kind(),
        scope.key(),
        since
    )
    .fetch_one(&mut *conn)
    .await?;
    // Ids of lines begin with their time, so that the primary key finds the
    // latest ones.
    let first = first_id_at(since);
    let lines = sqlx::query_scalar!(
        r#"select count(*) as "n!" from (
               select 1 from allocation.allocation l
               where l.allocation_id >= $1 and l.rule = $2 and l.contra_of is null
                 and ($3 = 'ledger' or exists (select 1 from allocation.account a where a.account_id = l.account_id
                     and case $3 when 'account' then a.account_ref = $4 else a.segment = $4 end))
               limit $5) counted"#,
        first,
        rule.name(),
        scope.kind(),
        scope.key(),
        LINES_MAX
    )
    .fetch_one(conn)
    .await?;
    Ok((wrong, lines))
}

/// The smallest UUIDv7 of a moment.
fn first_id_at(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

pub(crate) async fn demote(
    conn: &mut PgConnection,
    id: Uuid,
    view: &DemotionView,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.rule_demotion (demotion_id, scope_kind, scope_key, rule, wrong, lines, actor, reason,
             recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id,
        view.scope.kind(),
        view.scope.key(),
        view.rule.name(),
        view.wrong,
        view.lines,
        view.actor,
        view.reason,
        view.recorded_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn restore(
    conn: &mut PgConnection,
    demotion: Uuid,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.rule_restoration (demotion_id, actor, reason, recorded_at) values ($1, $2, $3, $4)",
        demotion,
        actor,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
