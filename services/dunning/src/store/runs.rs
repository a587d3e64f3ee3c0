//! Runs and what stands in them.

mod lines;
mod ranges;
mod views;

pub(crate) use lines::{edit, line, put_lines, queue_range};
pub(crate) use ranges::{
    Proposed, Range, all_queued, claim, digests, freeze_range, plan, progress, proposed, range_of,
    unqueued,
};
pub(crate) use views::{Filter, accounts, amounts, excluded, list, overdue, states};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::RunScope,
    controls::ApprovalId,
    dunning::{RunChanged, RunId, RunKind, RunState, RunTally},
};
use kernel::Money;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::known;

/// A run as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) version: i64,
    pub(crate) kind: RunKind,
    pub(crate) state: RunState,
    pub(crate) as_of: NaiveDate,
    pub(crate) title: String,
    pub(crate) scope: RunScope,
    pub(crate) contacts: i64,
    pub(crate) amounts: Vec<Money>,
    pub(crate) tally: Vec<RunTally>,
    pub(crate) content_sha256: Option<String>,
    pub(crate) approval: Option<ApprovalId>,
    pub(crate) requester: String,
    pub(crate) approver: Option<String>,
    pub(crate) reason: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
    /// Its provider takes nothing, while it is being sent.
    pub(crate) waits: bool,
}

impl Run {
    /// What is told of it after a step.
    pub(crate) fn changed(
        &self,
        from: Option<RunState>,
        actor: &str,
        reason: &str,
        cause: Uuid,
        now: DateTime<Utc>,
    ) -> RunChanged {
        RunChanged {
            run_id: self.id,
            version: self.version,
            kind: self.kind,
            state: self.state,
            from,
            as_of: self.as_of,
            title: self.title.clone(),
            contacts: self.contacts,
            amounts: self.amounts.clone(),
            tally: self.tally.clone(),
            content_sha256: self.content_sha256.clone(),
            cause: Some(cause),
            recorded_at: now,
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            waits: None,
        }
    }
}

struct Row {
    run_id: Uuid,
    version: i64,
    kind: String,
    state: String,
    as_of: NaiveDate,
    title: String,
    scope: serde_json::Value,
    contacts: i64,
    amounts: serde_json::Value,
    tally: serde_json::Value,
    content_sha256: Option<String>,
    approval_id: Option<Uuid>,
    requester: String,
    approver: Option<String>,
    reason: String,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
    waits: bool,
}

fn run(row: Row) -> Result<Run, Failure> {
    Ok(Run {
        id: row.run_id.into(),
        version: row.version,
        kind: known(RunKind::named(&row.kind), &row.kind)?,
        state: known(RunState::named(&row.state), &row.state)?,
        as_of: row.as_of,
        title: row.title,
        scope: serde_json::from_value(row.scope)?,
        contacts: row.contacts,
        amounts: serde_json::from_value(row.amounts)?,
        tally: serde_json::from_value(row.tally)?,
        content_sha256: row.content_sha256,
        approval: row.approval_id.map(ApprovalId::from),
        requester: row.requester,
        approver: row.approver,
        reason: row.reason,
        created_at: row.created_at,
        changed_at: row.changed_at,
        waits: row.waits,
    })
}

/// Writes a run as it is now.
pub(crate) async fn put(conn: &mut PgConnection, run: &Run) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.run (run_id, version, state, as_of, title, scope, contacts, amounts, tally, content_sha256,
           approval_id, requester, approver, reason, created_at, changed_at, kind)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         on conflict (run_id) do update set version = excluded.version, state = excluded.state,
           contacts = excluded.contacts, amounts = excluded.amounts, tally = excluded.tally,
           content_sha256 = excluded.content_sha256, approval_id = excluded.approval_id, approver = excluded.approver,
           reason = excluded.reason, changed_at = excluded.changed_at, waits = false",
        run.id.as_uuid(),
        run.version,
        run.state.name(),
        run.as_of,
        run.title,
        serde_json::to_value(&run.scope)?,
        run.contacts,
        serde_json::to_value(&run.amounts)?,
        serde_json::to_value(&run.tally)?,
        run.content_sha256,
        run.approval.map(ApprovalId::as_uuid),
        run.requester,
        run.approver,
        run.reason,
        run.created_at,
        run.changed_at,
        run.kind.name()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks a run.
pub(crate) async fn lock(conn: &mut PgConnection, id: RunId) -> Result<Option<Run>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select run_id, version, kind, state, as_of, title, scope, contacts, amounts, tally, content_sha256, approval_id,
           requester, approver, reason, created_at, changed_at, waits
         from dunning.run where run_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(run).transpose()
}

/// A run as it is.
pub(crate) async fn get(conn: &mut PgConnection, id: RunId) -> Result<Option<Run>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select run_id, version, kind, state, as_of, title, scope, contacts, amounts, tally, content_sha256, approval_id,
           requester, approver, reason, created_at, changed_at, waits
         from dunning.run where run_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(run).transpose()
}

/// Runs in a state, the oldest first.
pub(crate) async fn in_state(
    conn: &mut PgConnection,
    state: RunState,
) -> Result<Vec<Run>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select run_id, version, kind, state, as_of, title, scope, contacts, amounts, tally, content_sha256, approval_id,
           requester, approver, reason, created_at, changed_at, waits
         from dunning.run where state = $1 order by created_at limit 20",
        state.name()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(run).collect()
}

/// The last day that a run of a kind is for which was not given up, and one that
/// is being worked out. New runs wait for each other here.
pub(crate) async fn latest(
    conn: &mut PgConnection,
    kind: RunKind,
) -> Result<(Option<NaiveDate>, Option<Uuid>), Failure> {
    sqlx::query!("lock table dunning.run in share row exclusive mode")
        .execute(&mut *conn)
        .await?;
    let row = sqlx::query!(
        r#"select max(as_of) filter (where state not in ('rejected', 'cancelled')) as latest,
             (array_agg(run_id) filter (where state = 'proposing'))[1] as busy
           from dunning.run where kind = $1"#,
        kind.name()
    )
    .fetch_one(conn)
    .await?;
    Ok((row.latest, row.busy))
}
