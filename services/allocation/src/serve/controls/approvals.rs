//! Requests for a second person: listed, shown, decided, expired.

use contracts::{
    api::{
        Page, Refusal,
        controls::{
            ApprovalDetail, ApprovalView, ChangeLimit, DecideApproval, DecisionView, GetApproval,
            LimitView, ListApprovals, ListLimits, Person, Verdict,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalState},
};
use kernel::{CommandId, Money, london_date};
use messaging::{Bus, Failure};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Act, Subject};
use crate::{
    domain::{
        approvals::{self as rules, Approval, Limit, Limits, Outcome},
        policy,
    },
    serve::{cursor, page},
    store,
};

/// Who acts where nobody does.
const CLOCK: &str = "service:allocation";

fn no_approval(id: ApprovalId) -> Failure {
    Failure::not_found(
        "allocation.no_approval",
        format!("there is no approval {id}"),
    )
}

fn view(approval: &Approval, person: &Person, limits: &Limits, bus: &Bus) -> ApprovalView {
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
            .may_approve(person, limits, bus.now())
            .err()
            .map(|refused| refused.to_string()),
    }
}

pub(crate) async fn list_approvals(
    ask: ListApprovals,
    bus: Bus,
) -> Result<Page<ApprovalView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let limits = store::approvals::limits(tx.conn(), london_date(bus.now())).await?;
    let found =
        store::approvals::list(tx.conn(), ask.queue, &ask.person.actor, before, rows).await?;
    let views = found
        .iter()
        .map(|approval| view(approval, &ask.person, &limits, &bus))
        .collect();
    Ok(page(views, rows, |view: &ApprovalView| {
        view.approval_id.as_uuid()
    }))
}

pub(crate) async fn get_approval(ask: GetApproval, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    let (mut act, _) = Act::begin(&bus, CommandId::generate()).await?;
    // Rolled back when it is dropped: looking changes nothing.
    Ok(detail(&mut act, ask.approval_id, &ask.person, &bus).await?)
}

async fn detail(
    act: &mut Act,
    id: ApprovalId,
    person: &Person,
    bus: &Bus,
) -> Result<ApprovalDetail, Failure> {
    let approval = store::approvals::get(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_approval(id))?;
    let limits = store::approvals::limits(act.tx.conn(), london_date(bus.now())).await?;
    let content: Value = serde_json::from_str(&approval.content)?;
    let differences = if approval.state == ApprovalState::Pending {
        let now = Subject::lock(act, &approval).await?.content();
        let (now, _) = rules::frozen(&now);
        rules::differences(&content, &serde_json::from_str(&now)?)
    } else {
        Vec::new()
    };
    let decision = |decision: &rules::Decision| DecisionView {
        actor: decision.actor.clone(),
        verdict: decision.verdict,
        reason: decision.reason.clone(),
        limit: decision.limit,
        decided_at: decision.at,
    };
    Ok(ApprovalDetail {
        approval: view(&approval, person, &limits, bus),
        content,
        content_sha256: approval.content_sha256.clone(),
        differences,
        decisions: approval.decisions.iter().map(decision).collect(),
    })
}

pub(crate) async fn decide(ask: DecideApproval, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        return Ok(detail(&mut act, ask.approval_id, &ask.person, &bus).await?);
    }
    let seen = store::approvals::get(act.tx.conn(), ask.approval_id)
        .await?
        .ok_or_else(|| no_approval(ask.approval_id))?;
    let subject = Subject::lock(&mut act, &seen).await?;
    let mut approval = store::approvals::lock(act.tx.conn(), ask.approval_id)
        .await?
        .ok_or_else(|| no_approval(ask.approval_id))?;
    let limits = store::approvals::limits(act.tx.conn(), london_date(act.now)).await?;
    let (_, sha256_now) = rules::frozen(&subject.content());
    let outcome = approval
        .decide(
            &ask.person,
            ask.verdict,
            &ask.reason,
            &sha256_now,
            &limits,
            act.now,
        )
        .map_err(Failure::of)?;
    let actor = &ask.person.actor;
    let reason = match (outcome, ask.reason.trim()) {
        (Outcome::Voided, _) => "what was asked for has changed since",
        (_, "") => "approved",
        (_, said) => said,
    };
    act.decided(&approval, actor, reason).await?;
    let because = act.because(actor, reason);
    match outcome {
        Outcome::More => {}
        Outcome::Approved => subject.carry_out(&mut act, &because).await?,
        Outcome::Rejected | Outcome::Voided => {
            subject.end(&mut act, approval.state, &because).await?;
        }
    }
    act.finish(&bus).await?;
    let (mut act, _) = Act::begin(&bus, CommandId::generate()).await?;
    Ok(detail(&mut act, ask.approval_id, &ask.person, &bus).await?)
}

/// Ends requests whose time is over.
pub(crate) async fn expire(bus: Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let over = store::approvals::expired(tx.conn(), bus.now()).await?;
    drop(tx);
    for id in over {
        let command: CommandId = Uuid::new_v5(&id.as_uuid(), b"expired").into();
        let (mut act, new) = Act::begin(&bus, command).await?;
        if !new {
            continue;
        }
        let Some(seen) = store::approvals::get(act.tx.conn(), id).await? else {
            continue;
        };
        let subject = Subject::lock(&mut act, &seen).await?;
        let Some(mut approval) = store::approvals::lock(act.tx.conn(), id).await? else {
            continue;
        };
        if approval.state != ApprovalState::Pending {
            continue;
        }
        approval.end(ApprovalState::Expired);
        let reason = "nobody decided in time";
        act.decided(&approval, CLOCK, reason).await?;
        let because = act.because(CLOCK, reason);
        subject
            .end(&mut act, ApprovalState::Expired, &because)
            .await?;
        act.finish(&bus).await?;
    }
    Ok(())
}

// ---- limits

/// Adds the limits that the program ships with; set ones for later days win.
pub(crate) async fn settle_limits(bus: &Bus) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    store::approvals::add_limits(
        tx.conn(),
        &policy::shipped_limits(),
        "shipped",
        // Always the same, so that it is added once, and before any other.
        chrono::DateTime::UNIX_EPOCH,
    )
    .await?;
    tx.commit().await
}

pub(crate) async fn list_limits(_: ListLimits, bus: Bus) -> Result<Page<LimitView>, Refusal> {
    let mut tx = bus.begin().await?;
    let limits = store::approvals::limits(tx.conn(), london_date(bus.now())).await?;
    let view = |limit: Limit| LimitView {
        kind: limit.kind,
        role: limit.role,
        limit: limit.amount,
        valid_from: limit.valid_from,
    };
    Ok(Page {
        items: limits.0.into_iter().map(view).collect(),
        next_cursor: None,
    })
}

/// The limit in the content of a request for one.
pub(super) fn limit_of(content: &Value) -> Option<Limit> {
    let member = |name: &str| content.get(name).cloned();
    Some(Limit {
        kind: serde_json::from_value(member("kind")?).ok()?,
        role: serde_json::from_value(member("role")?).ok()?,
        amount: serde_json::from_value(member("limit")?).ok()?,
        valid_from: serde_json::from_value(member("valid_from")?).ok()?,
    })
}

pub(crate) async fn change_limit(ask: ChangeLimit, bus: Bus) -> Result<ApprovalDetail, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    // The subject has no row of its own: it is named by the command.
    let subject = ask.command_id.as_uuid();
    if !new {
        return Err(Failure::conflict(
            "allocation.limit_asked_for",
            "this change of a limit was asked for already",
        )
        .into());
    }
    let today = london_date(act.now);
    let valid_from = ask.valid_from.unwrap_or(today);
    let role = ask.role.trim().to_owned();
    if valid_from < today {
        return Err(Failure::permanent(
            "allocation.limit_in_the_past",
            "a limit counts from today on at the earliest",
        )
        .at("/valid_from", "today or later")
        .into());
    }
    if role.is_empty() || ask.limit.is_negative() || ask.reason.trim().is_empty() {
        return Err(Failure::permanent(
            "allocation.bad_limit",
            "a limit has a role, an amount that is not negative, and a reason",
        )
        .into());
    }
    let limits = store::approvals::limits(act.tx.conn(), today).await?;
    let before = limits.of(ask.kind, std::slice::from_ref(&role), ask.limit.currency());
    let approval = act
        .request(
            rules::Ask {
                kind: ApprovalKind::LimitChange,
                subject,
                title: format!(
                    "Limit of {} for {} to {}",
                    role.replace('_', " "),
                    ask.kind.name().replace('_', " "),
                    ask.limit.display_uk()
                ),
                amount: ask.limit,
                account: None,
                account_ref: None,
                content: json!({
                    "kind": ask.kind,
                    "role": role,
                    "limit": ask.limit,
                    "before": before.map(Money::display_uk),
                    "valid_from": valid_from,
                }),
                needed: 1,
                reason: ask.reason.trim().to_owned(),
            },
            &ask.person.actor,
        )
        .await?;
    act.finish(&bus).await?;
    let (mut act, _) = Act::begin(&bus, CommandId::generate()).await?;
    Ok(detail(&mut act, approval.id, &ask.person, &bus).await?)
}
