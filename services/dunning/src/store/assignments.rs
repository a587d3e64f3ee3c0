//! Which account or parent has which policy: what was asked for, and what counts.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::{AssignmentState, PolicyAssignment},
    controls::ApprovalId,
    dunning::AssignTo,
};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::known;

/// Assignments that are looked at.
const ASSIGNMENTS_MAX: i64 = 20_000;

struct Row {
    to_kind: String,
    reference: String,
    policy: Option<String>,
    valid_from: NaiveDate,
    recorded_at: DateTime<Utc>,
    actor: String,
    reason: String,
    state: String,
    approval_id: Option<Uuid>,
    decided_by: Option<String>,
}

fn assignment(row: Row) -> Result<PolicyAssignment, Failure> {
    Ok(PolicyAssignment {
        to: known(AssignTo::named(&row.to_kind), &row.to_kind)?,
        reference: row.reference,
        policy: row.policy,
        valid_from: row.valid_from,
        recorded_at: row.recorded_at,
        actor: row.actor,
        reason: row.reason,
        state: known(AssignmentState::named(&row.state), &row.state)?,
        approval_id: row.approval_id.map(ApprovalId::from),
        decided_by: row.decided_by,
    })
}

/// Those that count, in the order in which they came to.
pub(crate) async fn all(conn: &mut PgConnection) -> Result<Vec<PolicyAssignment>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"select a.to_kind, a.reference, a.policy, a.valid_from, a.recorded_at, a.actor, a.reason,
             'assigned' as "state!", r.approval_id as "approval_id?", r.decided_by as "decided_by?"
           from dunning.policy_assignment a left join dunning.assignment_request r using (assignment_id)
           order by a.recorded_at, a.assignment_id limit $1"#,
        ASSIGNMENTS_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(assignment).collect()
}

/// Those that wait for a second person, or were refused, the newest last.
pub(crate) async fn requests(conn: &mut PgConnection) -> Result<Vec<PolicyAssignment>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"select to_kind, reference, policy, valid_from, requested_at as recorded_at, actor, reason, state,
             approval_id as "approval_id?", decided_by
           from (select * from dunning.assignment_request where state <> 'assigned'
             order by requested_at desc, assignment_id limit $1) r
           order by requested_at, assignment_id"#,
        ASSIGNMENTS_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(assignment).collect()
}

/// One that was asked for: locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: Uuid,
) -> Result<Option<PolicyAssignment>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"select to_kind, reference, policy, valid_from, requested_at as recorded_at, actor, reason, state,
             approval_id as "approval_id?", decided_by
           from dunning.assignment_request where assignment_id = $1 for update"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    row.map(assignment).transpose()
}

/// The request of the same account or parent that waits: locked.
pub(crate) async fn waiting(
    conn: &mut PgConnection,
    to: AssignTo,
    reference: &str,
) -> Result<Option<(Uuid, ApprovalId)>, Failure> {
    let row = sqlx::query!(
        "select assignment_id, approval_id from dunning.assignment_request
         where to_kind = $1 and reference = $2 and state = 'requested' for update",
        to.name(),
        reference
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.assignment_id, row.approval_id.into())))
}

pub(crate) async fn request(
    conn: &mut PgConnection,
    id: Uuid,
    approval: ApprovalId,
    one: &PolicyAssignment,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.assignment_request (assignment_id, to_kind, reference, policy, valid_from, state,
           approval_id, requested_at, actor, reason)
         values ($1, $2, $3, $4, $5, 'requested', $6, $7, $8, $9)",
        id,
        one.to.name(),
        one.reference,
        one.policy,
        one.valid_from,
        approval.as_uuid(),
        one.recorded_at,
        one.actor,
        one.reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a second person said of it; who took it back, where nobody did.
pub(crate) async fn decided(
    conn: &mut PgConnection,
    id: Uuid,
    state: AssignmentState,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.assignment_request set state = $2, decided_by = $3, decided_at = $4 where assignment_id = $1",
        id,
        state.name(),
        by,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It counts from its day on.
pub(crate) async fn assign(
    conn: &mut PgConnection,
    id: Uuid,
    one: &PolicyAssignment,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.policy_assignment (assignment_id, to_kind, reference, policy, valid_from, recorded_at, actor,
           reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        one.to.name(),
        one.reference,
        one.policy,
        one.valid_from,
        one.recorded_at,
        one.actor,
        one.reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The kinds of the accounts that an assignment is for: of one account, or of
/// some of a parent's.
pub(crate) async fn kinds(
    conn: &mut PgConnection,
    to: AssignTo,
    reference: &str,
) -> Result<Vec<Option<String>>, Failure> {
    Ok(sqlx::query_scalar!(
        "select distinct kind from dunning.account
         where ($1 and account_ref = $3) or ($2 and parent_ref = $3) limit 10",
        to == AssignTo::Account,
        to == AssignTo::Parent,
        reference
    )
    .fetch_all(conn)
    .await?)
}
