//! Requests for a second person: listed, shown, decided, expired; and limits.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    Event,
    api::{
        Page, Refusal,
        controls::{
            ApprovalDetail, ApprovalView, ChangeLimit, DecideApproval, DecisionView, GetApproval,
            LimitView, ListApprovals, ListLimits, Person, Verdict,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalState, LimitChangeRequested, LimitChanged},
};
use kernel::{Money, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::approvals::{self as rules, Approval, Limit, Outcome, Terms, policy},
    store,
};

/// Who acts where nobody does.
const CLOCK: &str = "service:worklist";
/// Pages that show approvals.
const TOPIC: &str = "controls";
const TEXT_MAX: usize = 500;
/// A change of a limit that nobody decides in this time is over, as with what
/// other services ask for.
const LIMIT_CHANGE_PENDING: TimeDelta = TimeDelta::days(14);
/// How often the clock looks for requests whose time is over.
pub(crate) const EXPIRE_EVERY: Duration = Duration::from_secs(5);

fn no_approval(id: ApprovalId) -> Failure {
    Failure::not_found("worklist.no_approval", format!("there is no approval {id}"))
}

fn view(approval: &Approval, person: &Person, terms: &Terms, now: DateTime<Utc>) -> ApprovalView {
    let approved = approval
        .decisions
        .iter()
        .filter(|decision| decision.verdict == Verdict::Approve);
    ApprovalView {
        approval_id: approval.id,
        version: approval.version,
        kind: approval.kind,
        subject_id: approval.subject,
        state: approval.state,
        title: approval.title.clone(),
        amount: approval.amount,
        account_id: approval.account,
        account_ref: approval.account_ref.clone(),
        requester: approval.requester.clone(),
        reason: approval.reason.clone(),
        requested_at: approval.requested_at,
        expires_at: approval.expires_at,
        needed: approval.needed,
        approved_by: approved.map(|decision| decision.actor.clone()).collect(),
        why_not: approval
            .may_approve(person, terms, now)
            .err()
            .map(|refused| refused.to_string()),
        carried_out_at: approval.carried_out_at,
        ended_because: approval.ended_because.clone(),
    }
}

fn limit_view(limit: Limit) -> LimitView {
    LimitView {
        kind: limit.kind,
        role: limit.role,
        limit: limit.amount,
        valid_from: limit.valid_from,
    }
}

pub(crate) async fn list(ask: ListApprovals, bus: Bus) -> Result<Page<ApprovalView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = ask
        .page
        .cursor
        .as_deref()
        .map(Uuid::parse_str)
        .transpose()
        .map_err(|e| {
            Failure::permanent("worklist.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", e.to_string())
        })?;
    let rows = ask.page.rows();
    let terms = store::approvals::terms(tx.conn(), bus.now()).await?;
    let mut found =
        store::approvals::list(tx.conn(), ask.queue, &ask.person.actor, before, rows).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    Ok(Page {
        next_cursor: found.last().filter(|_| more).map(|a| a.id.to_string()),
        items: found
            .iter()
            .map(|approval| view(approval, &ask.person, &terms, bus.now()))
            .collect(),
    })
}

pub(crate) async fn get(ask: GetApproval, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    shown(ask.approval_id, &ask.person, &bus).await
}

async fn shown(id: ApprovalId, person: &Person, bus: &Bus) -> Result<ApprovalDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), id, person, bus.now()).await?)
}

async fn detail(
    conn: &mut PgConnection,
    id: ApprovalId,
    person: &Person,
    now: DateTime<Utc>,
) -> Result<ApprovalDetail, Failure> {
    let approval = store::approvals::get(conn, id)
        .await?
        .ok_or_else(|| no_approval(id))?;
    let terms = store::approvals::terms(conn, now).await?;
    let decision = |decision: &rules::Decision| DecisionView {
        actor: decision.actor.clone(),
        verdict: decision.verdict,
        reason: decision.reason.clone(),
        limit: decision.limit,
        decided_at: decision.at,
    };
    let policy = terms
        .limits
        .policy(approval.kind, approval.amount.currency());
    Ok(ApprovalDetail {
        approval: view(&approval, person, &terms, now),
        content: serde_json::from_str(&approval.content)?,
        content_sha256: approval.content_sha256.clone(),
        // Only the service that asked knows: the gateway asks it.
        differences: Vec::new(),
        decisions: approval.decisions.iter().map(decision).collect(),
        policy: policy.into_iter().map(limit_view).collect(),
        preview: None,
    })
}

/// A command or the clock at work on one request.
struct Desk {
    tx: Tx,
    events: Vec<Outgoing>,
    cause: Meta,
    now: DateTime<Utc>,
}

impl Desk {
    /// Claims `id`; none when that was done before.
    async fn open(bus: &Bus, id: Uuid) -> Result<Option<Self>, Failure> {
        let now = bus.now();
        let mut tx = bus.begin().await?;
        let new = !tx.claim(&[id]).await?.is_empty();
        Ok(new.then(|| Self {
            tx,
            events: Vec::new(),
            cause: Meta::of_command(id, now, None),
            now,
        }))
    }

    async fn lock(&mut self, id: ApprovalId) -> Result<Approval, Failure> {
        store::approvals::lock(self.tx.conn(), id)
            .await?
            .ok_or_else(|| no_approval(id))
    }

    fn tell<E: Event>(&mut self, bus: &Bus, event: &E, about: &Approval) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            event,
            about.id.as_uuid(),
            about.version,
            bus.prefix(),
            self.now,
            &self.cause,
        )?);
        Ok(())
    }

    async fn finish(mut self, bus: &Bus) -> Result<(), Failure> {
        self.tx.publish(&self.events).await?;
        self.tx.commit().await?;
        bus.notice(&[TOPIC.to_owned()]).await;
        Ok(())
    }
}

pub(crate) async fn decide(ask: DecideApproval, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    let said = ask.reason.trim();
    if said.chars().count() > TEXT_MAX {
        return Err(
            Failure::permanent("worklist.reason_too_long", "the reason is too long")
                .at("/reason", format!("at most {TEXT_MAX} characters"))
                .into(),
        );
    }
    let Some(mut desk) = Desk::open(&bus, ask.command_id.as_uuid()).await? else {
        return shown(ask.approval_id, &ask.person, &bus).await;
    };
    let mut approval = desk.lock(ask.approval_id).await?;
    let terms = store::approvals::terms(desk.tx.conn(), desk.now).await?;
    let actor = &ask.person.actor;
    let outcome = approval
        .decide(&ask.person, ask.verdict, said, &terms, desk.now)
        .map_err(Failure::of)?;
    let reason = if said.is_empty() { "approved" } else { said };
    if outcome == Outcome::Approved && approval.kind == ApprovalKind::LimitChange {
        change(&mut desk, &bus, &mut approval, actor).await?;
    }
    store::approvals::update(desk.tx.conn(), &approval, desk.now).await?;
    desk.tell(&bus, &approval.told(actor, reason, desk.now), &approval)?;
    desk.finish(&bus).await?;
    shown(ask.approval_id, &ask.person, &bus).await
}

/// Ends requests whose time is over.
pub(crate) async fn expire(bus: Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let over = store::approvals::expired(tx.conn(), bus.now()).await?;
    drop(tx);
    for id in over {
        let command = Uuid::new_v5(&id.as_uuid(), b"expired");
        let Some(mut desk) = Desk::open(&bus, command).await? else {
            continue;
        };
        let mut approval = desk.lock(id).await?;
        if !approval.expire() {
            continue;
        }
        store::approvals::update(desk.tx.conn(), &approval, desk.now).await?;
        let reason = approval.ended_because.clone().unwrap_or_default();
        desk.tell(&bus, &approval.told(CLOCK, &reason, desk.now), &approval)?;
        desk.finish(&bus).await?;
    }
    Ok(())
}

// ---- limits: worklist's own request, carried out by the decision itself

/// Adds the limits that the program ships with; set ones for later days win.
pub(crate) async fn settle_limits(bus: &Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    // Always the same time, so that each is added once, and before any other.
    let shipped = policy::shipped_limits();
    store::approvals::add_limits(tx.conn(), &shipped, "shipped", DateTime::UNIX_EPOCH).await?;
    tx.commit().await
}

pub(crate) async fn list_limits(_: ListLimits, bus: Bus) -> Result<Page<LimitView>, Refusal> {
    let mut tx = bus.begin().await?;
    let terms = store::approvals::terms(tx.conn(), bus.now()).await?;
    Ok(Page {
        items: terms.limits.0.into_iter().map(limit_view).collect(),
        next_cursor: None,
    })
}

/// The limit in the content of a request for one.
fn limit_of(approval: &Approval) -> Result<Limit, Failure> {
    let gone = || Failure::bug("worklist.no_limit", "a request for a limit names none");
    let content: Value = serde_json::from_str(&approval.content)?;
    let member = |name: &str| content.get(name).cloned().ok_or_else(gone);
    Ok(Limit {
        kind: serde_json::from_value(member("kind")?)?,
        role: serde_json::from_value(member("role")?)?,
        amount: serde_json::from_value(member("limit")?)?,
        valid_from: serde_json::from_value(member("valid_from")?)?,
    })
}

async fn change(
    desk: &mut Desk,
    bus: &Bus,
    approval: &mut Approval,
    actor: &str,
) -> Result<(), Failure> {
    let limit = limit_of(approval)?;
    store::approvals::add_limits(
        desk.tx.conn(),
        std::slice::from_ref(&limit),
        actor,
        desk.now,
    )
    .await?;
    approval.carried_out_at = Some(desk.now);
    let event = LimitChanged {
        approval_id: approval.id,
        kind: limit.kind,
        role: limit.role,
        limit: limit.amount,
        valid_from: limit.valid_from,
        actor: actor.to_owned(),
        recorded_at: desk.now,
    };
    desk.tell(bus, &event, approval)
}

fn checked(ask: &ChangeLimit, today: NaiveDate) -> Result<(String, NaiveDate), Failure> {
    let valid_from = ask.valid_from.unwrap_or(today);
    let role = ask.role.trim();
    let reason = ask.reason.trim();
    if valid_from < today {
        return Err(Failure::permanent(
            "worklist.limit_in_the_past",
            "a limit counts from today on at the earliest",
        )
        .at("/valid_from", "today or later"));
    }
    let too_long = |text: &str| text.chars().count() > TEXT_MAX;
    if role.is_empty()
        || ask.limit.is_negative()
        || reason.is_empty()
        || too_long(role)
        || too_long(reason)
    {
        return Err(Failure::permanent(
            "worklist.bad_limit",
            "a limit has a role, an amount that is not negative, and a reason",
        ));
    }
    Ok((role.to_owned(), valid_from))
}

pub(crate) async fn change_limit(ask: ChangeLimit, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    // Named by the command, so that the same command finds it again.
    let id: ApprovalId = ask.command_id.as_uuid().into();
    let Some(mut desk) = Desk::open(&bus, ask.command_id.as_uuid()).await? else {
        return shown(id, &ask.person, &bus).await;
    };
    let (role, valid_from) = checked(&ask, london_date(desk.now))?;
    let terms = store::approvals::terms(desk.tx.conn(), desk.now).await?;
    let before = terms
        .limits
        .of(ask.kind, std::slice::from_ref(&role), ask.limit.currency());
    let content = json!({
        "kind": ask.kind,
        "role": role,
        "limit": ask.limit,
        "before": before.map(Money::display_uk),
        "valid_from": valid_from,
    });
    let (content, content_sha256) = contracts::controls::frozen(&content);
    let kind = ApprovalKind::LimitChange;
    let approval = Approval {
        id,
        version: 1,
        kind,
        subject: id.as_uuid(),
        state: ApprovalState::Pending,
        title: format!(
            "Limit of {} for {} to {}",
            role.replace('_', " "),
            ask.kind.name().replace('_', " "),
            ask.limit.display_uk()
        ),
        amount: ask.limit,
        account: None,
        account_ref: None,
        content,
        content_sha256,
        needed: policy::people(kind, ask.limit, london_date(desk.now)),
        requester: ask.person.actor.clone(),
        reason: ask.reason.trim().to_owned(),
        requested_at: desk.now,
        expires_at: desk.now + LIMIT_CHANGE_PENDING,
        decisions: Vec::new(),
        carried_out_at: None,
        ended_because: None,
    };
    store::approvals::insert(desk.tx.conn(), std::slice::from_ref(&approval)).await?;
    let event = LimitChangeRequested {
        approval_id: id,
        kind: ask.kind,
        role,
        limit: ask.limit,
        valid_from,
        requester: approval.requester.clone(),
        reason: approval.reason.clone(),
        recorded_at: desk.now,
    };
    desk.tell(&bus, &event, &approval)?;
    desk.finish(&bus).await?;
    shown(id, &ask.person, &bus).await
}
