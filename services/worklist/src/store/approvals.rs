//! Requests for a second person, and the limits of roles.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::controls::{ApprovalQueue, Verdict},
    controls::{ApprovalId, ApprovalKind, name_of},
};
use kernel::{AccountId, Currency, Money, london_date};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::approvals::{Approval, Decision, Limit, Limits, Said, Terms};

fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    let currency = Currency::parse(currency).map_err(Failure::of)?;
    Money::try_new(amount, currency).map_err(Failure::of)
}

/// Text that a closed set of names was stored as.
fn named<T: serde::de::DeserializeOwned>(name: String) -> Result<T, Failure> {
    serde_json::from_value(serde_json::Value::String(name)).map_err(|e| {
        Failure::bug(
            "worklist.stored_name",
            "a stored name is not known any more",
        )
        .caused_by(e)
    })
}

struct Row {
    approval_id: Uuid,
    version: i64,
    kind: String,
    subject_id: Uuid,
    state: String,
    title: String,
    currency: String,
    amount: Decimal,
    account_id: Option<Uuid>,
    account_ref: Option<String>,
    content: String,
    content_sha256: String,
    needed: i16,
    requester: String,
    reason: String,
    requested_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    carried_out_at: Option<DateTime<Utc>>,
    ended_because: Option<String>,
}

impl TryFrom<Row> for Approval {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.approval_id.into(),
            version: row.version,
            kind: named(row.kind)?,
            subject: row.subject_id,
            state: named(row.state)?,
            title: row.title,
            amount: money(row.amount, &row.currency)?,
            account: row.account_id.map(AccountId::from),
            account_ref: row.account_ref,
            content: row.content,
            content_sha256: row.content_sha256,
            needed: u8::try_from(row.needed).unwrap_or(2),
            requester: row.requester,
            reason: row.reason,
            requested_at: row.requested_at,
            expires_at: row.expires_at,
            decisions: Vec::new(),
            carried_out_at: row.carried_out_at,
            ended_because: row.ended_because,
        })
    }
}

/// Notes what each person said.
async fn with_decisions(
    conn: &mut PgConnection,
    mut approvals: Vec<Approval>,
) -> Result<Vec<Approval>, Failure> {
    let ids: Vec<Uuid> = approvals.iter().map(|a| a.id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select d.approval_id, d.actor, d.roles, d.verdict, d.reason, d.limit_amount, a.currency, d.decided_at
         from worklist.approval_decision d join worklist.approval a using (approval_id)
         where d.approval_id = any($1) order by d.decided_at",
        &ids
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let decision = Decision {
            actor: row.actor,
            roles: row.roles,
            verdict: named::<Verdict>(row.verdict)?,
            reason: row.reason,
            limit: row
                .limit_amount
                .map(|amount| money(amount, &row.currency))
                .transpose()?,
            at: row.decided_at,
        };
        if let Some(approval) = approvals
            .iter_mut()
            .find(|a| a.id.as_uuid() == row.approval_id)
        {
            approval.decisions.push(decision);
        }
    }
    Ok(approvals)
}

/// Writes new requests; one that is known already stays as it is.
pub(crate) async fn insert(conn: &mut PgConnection, new: &[Approval]) -> Result<(), Failure> {
    for a in new {
        sqlx::query!(
            "insert into worklist.approval (approval_id, version, kind, subject_id, state, title, currency, amount,
                 account_id, account_ref, content, content_sha256, needed, requester, requester_name, reason,
                 requested_at, expires_at, changed_at, ended_because)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $17, $19)
             on conflict do nothing",
            a.id.as_uuid(),
            a.version,
            a.kind.name(),
            a.subject,
            a.state.name(),
            a.title,
            a.amount.currency().code(),
            a.amount.amount(),
            a.account.map(AccountId::as_uuid),
            a.account_ref,
            a.content,
            a.content_sha256,
            i16::from(a.needed),
            a.requester,
            name_of(&a.requester),
            a.reason,
            a.requested_at,
            a.expires_at,
            a.ended_because
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Writes where it stands and the decisions that are new; the caller holds its
/// lock.
pub(crate) async fn update(
    conn: &mut PgConnection,
    a: &Approval,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update worklist.approval set version = $2, state = $3, changed_at = $4, carried_out_at = $5, ended_because = $6
         where approval_id = $1",
        a.id.as_uuid(),
        a.version,
        a.state.name(),
        now,
        a.carried_out_at,
        a.ended_because
    )
    .execute(&mut *conn)
    .await?;
    for d in &a.decisions {
        let verdict = match d.verdict {
            Verdict::Approve => "approve",
            Verdict::Reject => "reject",
        };
        sqlx::query!(
            "insert into worklist.approval_decision (approval_id, actor, name, roles, verdict, reason, limit_amount, decided_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
            a.id.as_uuid(),
            d.actor,
            name_of(&d.actor),
            &d.roles,
            verdict,
            d.reason,
            d.limit.map(Money::amount),
            d.at
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(crate) async fn get(
    conn: &mut PgConnection,
    id: ApprovalId,
) -> Result<Option<Approval>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select approval_id, version, kind, subject_id, state, title, currency, amount, account_id, account_ref,
             content, content_sha256, needed, requester, reason, requested_at, expires_at, carried_out_at, ended_because
         from worklist.approval where approval_id = $1",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let found = row.map(Approval::try_from).transpose()?;
    Ok(with_decisions(conn, found.into_iter().collect())
        .await?
        .pop())
}

/// As [`get`], locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: ApprovalId,
) -> Result<Option<Approval>, Failure> {
    sqlx::query!(
        "select 1 as one from worklist.approval where approval_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    get(conn, id).await
}

/// Holds the requests of these ids, those that are there and those that are to
/// come, and gives the first; what was said of one before it came is the second.
pub(crate) async fn hold(
    conn: &mut PgConnection,
    ids: &[ApprovalId],
) -> Result<(BTreeMap<ApprovalId, Approval>, BTreeMap<ApprovalId, Said>), Failure> {
    let mut ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    // A request and its withdrawal may be handled at the same time, and neither
    // sees the other's row yet.
    sqlx::query!(
        "select pg_advisory_xact_lock(hashtextextended(id::text, 3)) from unnest($1::uuid[]) as id",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let rows = sqlx::query_as!(
        Row,
        "select approval_id, version, kind, subject_id, state, title, currency, amount, account_id, account_ref,
             content, content_sha256, needed, requester, reason, requested_at, expires_at, carried_out_at, ended_because
         from worklist.approval where approval_id = any($1) order by approval_id for update",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let found = rows
        .into_iter()
        .map(Approval::try_from)
        .collect::<Result<_, _>>()?;
    let found = with_decisions(&mut *conn, found).await?;
    let early = sqlx::query!(
        "select approval_id, actor, reason from worklist.approval_withdrawn_early where approval_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let early = early.into_iter().map(|row| {
        let said = Said::Withdrawn {
            actor: row.actor,
            reason: row.reason,
        };
        (row.approval_id.into(), said)
    });
    Ok((
        found.into_iter().map(|a| (a.id, a)).collect(),
        early.collect(),
    ))
}

/// Notes that a request which is not here yet is taken back.
pub(crate) async fn withdraw_early(
    conn: &mut PgConnection,
    id: ApprovalId,
    actor: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into worklist.approval_withdrawn_early (approval_id, actor, reason, recorded_at)
         values ($1, $2, $3, $4) on conflict do nothing",
        id.as_uuid(),
        actor,
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What counts at this moment.
pub(crate) async fn terms(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Terms, Failure> {
    Ok(Terms {
        limits: limits(conn, london_date(now)).await?,
        ..Terms::default()
    })
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    queue: ApprovalQueue,
    actor: &str,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Approval>, Failure> {
    let (waiting, mine, history) = (
        queue == ApprovalQueue::Waiting,
        queue == ApprovalQueue::Mine,
        queue == ApprovalQueue::History,
    );
    let found = sqlx::query_as!(
        Row,
        "select a.approval_id, a.version, a.kind, a.subject_id, a.state, a.title, a.currency, a.amount, a.account_id,
             a.account_ref, a.content, a.content_sha256, a.needed, a.requester, a.reason, a.requested_at, a.expires_at,
             a.carried_out_at, a.ended_because
         from worklist.approval a
         where (not $1 or (a.state = 'pending' and a.requester_name <> $2 and not exists (
                 select 1 from worklist.approval_decision d
                 where d.approval_id = a.approval_id and d.name = $2)))
           and (not $3 or a.requester_name = $2)
           and (not $4 or a.state <> 'pending')
           and ($5::uuid is null or a.approval_id < $5)
         order by a.approval_id desc limit $6",
        waiting,
        name_of(actor),
        mine,
        history,
        before,
        rows + 1
    )
    .fetch_all(&mut *conn)
    .await?;
    let found = found
        .into_iter()
        .map(Approval::try_from)
        .collect::<Result<_, _>>()?;
    with_decisions(conn, found).await
}

/// Pending requests whose time is over.
pub(crate) async fn expired(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<ApprovalId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select approval_id from worklist.approval where state = 'pending' and expires_at <= $1
         order by expires_at limit 100",
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(ApprovalId::from).collect())
}

/// The limits that count on `day`.
async fn limits(conn: &mut PgConnection, day: NaiveDate) -> Result<Limits, Failure> {
    let rows = sqlx::query!(
        "select distinct on (kind, role, currency) kind, role, currency, amount, valid_from
         from worklist.approval_limit where valid_from <= $1
         order by kind, role, currency, valid_from desc, recorded_at desc",
        day
    )
    .fetch_all(conn)
    .await?;
    let limits = rows
        .into_iter()
        .map(|row| {
            Ok(Limit {
                kind: named::<ApprovalKind>(row.kind)?,
                role: row.role,
                amount: money(row.amount, &row.currency)?,
                valid_from: row.valid_from,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Limits(limits))
}

/// Adds limits; the same one again changes nothing.
pub(crate) async fn add_limits(
    conn: &mut PgConnection,
    limits: &[Limit],
    actor: &str,
    at: DateTime<Utc>,
) -> Result<(), Failure> {
    fn column<T>(limits: &[Limit], of: impl Fn(&Limit) -> T) -> Vec<T> {
        limits.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into worklist.approval_limit (kind, role, currency, amount, valid_from, actor, recorded_at)
         select t.kind, t.role, t.currency, t.amount, t.valid_from, $6, $7
         from unnest($1::text[], $2::text[], $3::text[], $4::numeric[], $5::date[])
             as t(kind, role, currency, amount, valid_from)
         on conflict do nothing",
        &column(limits, |l| l.kind.name().to_owned()),
        &column(limits, |l| l.role.clone()),
        &column(limits, |l| l.amount.currency().code().to_owned()),
        &column(limits, |l| l.amount.amount()),
        &column(limits, |l| l.valid_from),
        actor,
        at
    )
    .execute(conn)
    .await?;
    Ok(())
}
