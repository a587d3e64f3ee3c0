//! Residual balances: where each stands, its tracing log, and the register of
//! what went to charity.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::matters::{CharityPayment, ResidualEvent, ResidualView, RouteProposal, TracingStep},
    controls::ApprovalId,
    matters::{ResidualRoute, ResidualState, ResidualStep},
};
use kernel::{AccountId, Currency, MatterId, Money, ResidualId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::legal::{
    Settings,
    residual::{self, Proposal, Residual},
};

/// Steps of one residual balance that are shown.
const HISTORY_MAX: i64 = 500;

/// A matter on which money is held, or a residual balance that is open: what the
/// radar looks at.
pub(crate) struct Blip {
    pub matter: MatterId,
    pub balance: Money,
    pub last_moved_on: NaiveDate,
    /// Since when, and how far escalated, if it is known as residual.
    pub open: Option<(NaiveDate, i16)>,
}

/// A page of what the radar looks at, in the order of matter and currency.
pub(crate) async fn blips(
    conn: &mut PgConnection,
    after: Option<(MatterId, String)>,
    limit: i64,
) -> Result<Vec<Blip>, Failure> {
    let (matter, currency) = after.map_or((None, None), |(id, currency)| {
        (Some(id.as_uuid()), Some(currency))
    });
    let rows = sqlx::query!(
        r#"select b.matter_id, b.currency, b.amount, b.last_moved_on, r.since as "since?", r.level as "level?"
           from allocation.client_balance b left join allocation.residual r on r.matter_id = b.matter_id
               and r.currency = b.currency and r.closed_at is null
           where (b.amount > 0 or r.residual_id is not null)
             and ($1::uuid is null or (b.matter_id, b.currency) > ($1, $2::text))
           order by b.matter_id, b.currency limit $3"#,
        matter,
        currency,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Blip {
                matter: row.matter_id.into(),
                balance: money(row.amount, &row.currency)?,
                last_moved_on: row.last_moved_on,
                open: row.since.zip(row.level),
            })
        })
        .collect()
}

/// The same for one matter and currency.
pub(crate) async fn blip(
    conn: &mut PgConnection,
    matter: MatterId,
    currency: Currency,
) -> Result<Option<Blip>, Failure> {
    let row = sqlx::query!(
        "select amount, last_moved_on from allocation.client_balance where matter_id = $1 and currency = $2",
        matter.as_uuid(),
        currency.code()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Blip {
            matter,
            balance: money(row.amount, currency.code())?,
            last_moved_on: row.last_moved_on,
            open: None,
        })
    })
    .transpose()
}

struct Row {
    residual_id: Uuid,
    version: i64,
    matter_id: Uuid,
    currency: String,
    balance: Decimal,
    state: String,
    since: NaiveDate,
    level: i16,
    tracing_steps: i64,
    sra_applied_on: Option<NaiveDate>,
    sra_reference: Option<String>,
    route: Option<String>,
    payee: Option<String>,
    charity_number: Option<String>,
    route_reason: Option<String>,
    requested_by: Option<String>,
    requested_at: Option<DateTime<Utc>>,
    bank_account: Option<String>,
    approval_id: Option<Uuid>,
}

impl TryFrom<Row> for Residual {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        let proposal = match (row.route, row.payee, row.requested_by, row.requested_at) {
            (Some(route), Some(payee), Some(requested_by), Some(requested_at)) => Some(Proposal {
                route: named::<ResidualRoute>(route)?,
                payee,
                charity_number: row.charity_number,
                reason: row.route_reason.unwrap_or_default(),
                requested_by,
                requested_at,
                bank_account: row.bank_account.unwrap_or_default(),
                approval: row.approval_id.map(ApprovalId::from),
            }),
            _ => None,
        };
        Ok(Self {
            id: row.residual_id.into(),
            version: row.version,
            matter: row.matter_id.into(),
            balance: money(row.balance, &row.currency)?,
            state: named::<ResidualState>(row.state)?,
            since: row.since,
            level: row.level,
            tracing_steps: row.tracing_steps,
            sra_applied_on: row.sra_applied_on,
            sra_reference: row.sra_reference,
            proposal,
        })
    }
}

/// The matter of a residual balance: its lock comes before the balance's own.
pub(crate) async fn matter_of(
    conn: &mut PgConnection,
    id: ResidualId,
) -> Result<MatterId, Failure> {
    sqlx::query_scalar!(
        "select matter_id from allocation.residual where residual_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?
    .map(MatterId::from)
    .ok_or_else(|| no_residual(id))
}

pub(crate) fn no_residual(id: ResidualId) -> Failure {
    Failure::not_found(
        "matters.no_residual",
        format!("there is no residual balance {id}"),
    )
}

/// A residual balance: by its id, or the open one of a matter and currency.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: Option<ResidualId>,
    open_of: Option<(MatterId, &str)>,
) -> Result<Option<Residual>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"select r.residual_id, r.version, r.matter_id, r.currency,
               coalesce((select b.amount from allocation.client_balance b where b.matter_id = r.matter_id
                   and b.currency = r.currency), 0) as "balance!",
               r.state, r.since, r.level,
               (select count(*) from allocation.residual_tracing t where t.residual_id = r.residual_id)
                   as "tracing_steps!",
               r.sra_applied_on, r.sra_reference, r.route, r.payee, r.charity_number, r.route_reason, r.requested_by,
               r.requested_at, r.bank_account, r.approval_id
           from allocation.residual r
           where r.residual_id = $1
              or ($1::uuid is null and r.matter_id = $2 and r.currency = $3 and r.closed_at is null)
           for update of r"#,
        id.map(ResidualId::as_uuid),
        open_of.map(|(matter, _)| matter.as_uuid()),
        open_of.map(|(_, currency)| currency)
    )
    .fetch_optional(conn)
    .await?;
    row.map(Residual::try_from).transpose()
}

/// What is written with a residual balance.
pub(crate) struct Noted<'n> {
    pub step: ResidualStep,
    pub detail: &'n str,
    pub actor: &'n str,
    pub now: DateTime<Utc>,
    /// Who decided about the proposal.
    pub decided_by: Option<&'n str>,
}

/// Writes a residual balance as it is now, and what brought it there.
pub(crate) async fn put(
    conn: &mut PgConnection,
    residual: &Residual,
    noted: &Noted<'_>,
) -> Result<(), Failure> {
    let closed_at = (residual.state == ResidualState::Closed).then_some(noted.now);
    let proposal = residual.proposal.as_ref();
    sqlx::query!(
        "insert into allocation.residual (residual_id, version, matter_id, currency, state, since, level,
             sra_applied_on, sra_reference, route, payee, charity_number, route_reason, requested_by, requested_at,
             decided_by, decided_at, opened_at, closed_at, bank_account, approval_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
         on conflict (residual_id) do update set version = excluded.version, state = excluded.state,
             since = excluded.since, level = excluded.level, sra_applied_on = excluded.sra_applied_on,
             sra_reference = excluded.sra_reference, route = excluded.route, payee = excluded.payee,
             charity_number = excluded.charity_number, route_reason = excluded.route_reason,
             requested_by = excluded.requested_by, requested_at = excluded.requested_at,
             decided_by = excluded.decided_by, decided_at = excluded.decided_at, closed_at = excluded.closed_at,
             bank_account = excluded.bank_account, approval_id = excluded.approval_id",
        residual.id.as_uuid(),
        residual.version,
        residual.matter.as_uuid(),
        residual.balance.currency().code(),
        residual.state.name(),
        residual.since,
        residual.level,
        residual.sra_applied_on,
        residual.sra_reference,
        proposal.map(|p| p.route.name()),
        proposal.map(|p| p.payee.as_str()),
        proposal.and_then(|p| p.charity_number.as_deref()),
        proposal.map(|p| p.reason.as_str()),
        proposal.map(|p| p.requested_by.as_str()),
        proposal.map(|p| p.requested_at),
        noted.decided_by,
        noted.decided_by.map(|_| noted.now),
        noted.now,
        closed_at,
        proposal.map(|p| p.bank_account.as_str()),
        proposal.and_then(|p| p.approval).map(ApprovalId::as_uuid)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into allocation.residual_event (residual_id, step, detail, actor, recorded_at)
         values ($1, $2, $3, $4, $5)",
        residual.id.as_uuid(),
        noted.step.name(),
        noted.detail,
        noted.actor,
        noted.now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn trace(
    conn: &mut PgConnection,
    id: ResidualId,
    step: &TracingStep,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.residual_tracing (residual_id, happened_on, channel, outcome, actor, recorded_at)
         values ($1, $2, $3, $4, $5, $6)",
        id.as_uuid(),
        step.on,
        step.channel,
        step.outcome,
        step.actor,
        step.recorded_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn tracing(
    conn: &mut PgConnection,
    id: ResidualId,
) -> Result<Vec<TracingStep>, Failure> {
    let rows = sqlx::query!(
        "select happened_on, channel, outcome, actor, recorded_at from allocation.residual_tracing
         where residual_id = $1 order by seq limit $2",
        id.as_uuid(),
        HISTORY_MAX
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| TracingStep {
            on: row.happened_on,
            channel: row.channel,
            outcome: row.outcome,
            actor: row.actor,
            recorded_at: row.recorded_at,
        })
        .collect())
}

pub(crate) async fn history(
    conn: &mut PgConnection,
    id: ResidualId,
) -> Result<Vec<ResidualEvent>, Failure> {
    let rows = sqlx::query!(
        "select step, detail, actor, recorded_at from allocation.residual_event
         where residual_id = $1 order by seq limit $2",
        id.as_uuid(),
        HISTORY_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(ResidualEvent {
                step: named(row.step)?,
                detail: row.detail,
                actor: row.actor,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}

/// The proposal with its decision, and what the SRA was asked.
pub(crate) struct Papers {
    pub proposal: Option<RouteProposal>,
    pub sra_applied_on: Option<NaiveDate>,
    pub sra_reference: Option<String>,
}

pub(crate) async fn papers(conn: &mut PgConnection, id: ResidualId) -> Result<Papers, Failure> {
    let row = sqlx::query!(
        "select route, payee, charity_number, route_reason, requested_by, requested_at, decided_by, decided_at,
             sra_applied_on, sra_reference, approval_id
         from allocation.residual where residual_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?
    .ok_or_else(|| no_residual(id))?;
    let proposal = match (row.route, row.payee, row.requested_by, row.requested_at) {
        (Some(route), Some(payee), Some(requested_by), Some(requested_at)) => Some(RouteProposal {
            route: named(route)?,
            payee,
            charity_number: row.charity_number,
            reason: row.route_reason.unwrap_or_default(),
            requested_by,
            requested_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            approval_id: row.approval_id.map(ApprovalId::from),
        }),
        _ => None,
    };
    Ok(Papers {
        proposal,
        sra_applied_on: row.sra_applied_on,
        sra_reference: row.sra_reference,
    })
}

/// Residual balances, the longest held first: one, or a page.
#[allow(
    clippy::too_many_arguments,
    reason = "one for each part of the question"
)]
pub(crate) async fn views(
    conn: &mut PgConnection,
    one: Option<ResidualId>,
    closed: bool,
    search: Option<&str>,
    after: Option<Uuid>,
    today: NaiveDate,
    settings: &Settings,
    limit: i64,
) -> Result<Vec<ResidualView>, Failure> {
    let pattern = search.map(super::pattern);
    let rows = sqlx::query!(
        r#"select r.residual_id, r.version, r.matter_id, m.matter_ref, m.title, m.fee_earner, m.account_id,
               m.account_ref, a.name as "account_name?", r.state, r.currency,
               coalesce(b.amount, 0) as "balance!", r.since, r.level, r.route, r.opened_at, r.closed_at,
               (select count(*) from allocation.residual_tracing t where t.residual_id = r.residual_id)
                   as "tracing_steps!"
           from allocation.residual r join allocation.matter m using (matter_id)
               left join allocation.account a on a.account_id = m.account_id
               left join allocation.client_balance b on b.matter_id = r.matter_id and b.currency = r.currency
           where ($1::uuid is null or r.residual_id = $1)
             and ($1::uuid is not null or (r.closed_at is not null) = $2)
             and ($3::text is null or m.matter_ref ilike $3 or m.title ilike $3 or m.account_ref ilike $3)
             and ($4::uuid is null or (r.since, r.residual_id) >
                 (select c.since, c.residual_id from allocation.residual c where c.residual_id = $4))
           order by r.since, r.residual_id limit $5"#,
        one.map(ResidualId::as_uuid),
        closed,
        pattern,
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (_, next) = residual::escalation(row.since, today, settings);
            Ok(ResidualView {
                residual_id: row.residual_id.into(),
                version: row.version,
                matter_id: row.matter_id.into(),
                matter_ref: row.matter_ref,
                matter_title: row.title,
                fee_earner: row.fee_earner,
                account_id: AccountId::from(row.account_id),
                account_ref: row.account_ref,
                account_name: row.account_name,
                state: named(row.state)?,
                balance: money(row.balance, &row.currency)?,
                since: row.since,
                days: (today - row.since).num_days(),
                level: row.level,
                next_escalation_on: next.filter(|_| row.closed_at.is_none()),
                tracing_steps: row.tracing_steps,
                route: row.route.map(named).transpose()?,
                opened_at: row.opened_at,
                closed_at: row.closed_at,
            })
        })
        .collect()
}

pub(crate) async fn register(
    conn: &mut PgConnection,
    entry: &CharityPayment,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.charity_register (residual_id, matter_ref, owner, currency, amount, charity,
             charity_number, paid_on, route, sra_reference, requested_by, approved_by, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        entry.residual_id.as_uuid(),
        entry.matter_ref,
        entry.owner,
        entry.amount.currency().code(),
        entry.amount.amount(),
        entry.charity,
        entry.charity_number,
        entry.paid_on,
        entry.route.name(),
        entry.sra_reference,
        entry.requested_by,
        entry.approved_by,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The register, the latest first.
pub(crate) async fn registered(
    conn: &mut PgConnection,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<CharityPayment>, Failure> {
    let rows = sqlx::query!(
        "select residual_id, matter_ref, owner, currency, amount, charity, charity_number, paid_on, route,
             sra_reference, requested_by, approved_by
         from allocation.charity_register
         where $1::uuid is null or (paid_on, residual_id) <
             (select c.paid_on, c.residual_id from allocation.charity_register c where c.residual_id = $1)
         order by paid_on desc, residual_id desc limit $2",
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CharityPayment {
                residual_id: row.residual_id.into(),
                matter_ref: row.matter_ref,
                owner: row.owner,
                amount: money(row.amount, &row.currency)?,
                charity: row.charity,
                charity_number: row.charity_number,
                paid_on: row.paid_on,
                route: named(row.route)?,
                sra_reference: row.sra_reference,
                requested_by: row.requested_by,
                approved_by: row.approved_by,
            })
        })
        .collect()
}
