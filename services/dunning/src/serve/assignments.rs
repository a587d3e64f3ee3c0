//! Which account has which policy: asked for by one person, approved by another.

use std::collections::HashSet;

use chrono::TimeDelta;
use contracts::{
    api::{
        Page, Refusal,
        dunning::{AssignPolicy, AssignmentState, ListPolicyAssignments, PolicyAssignment},
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, ApprovalWithdrawn, frozen},
    dunning::{AssignTo, RequestedByDunning, WithdrawnByDunning},
};
use kernel::{Currency, Money, london_date};
use messaging::{Bus, Failure, Outgoing};

use super::{
    act::{Act, wrong},
    text,
};
use crate::{
    consume::assignment_content,
    store::{self, accounts::kind_named},
};

const REF_MAX: usize = 200;
const LIST_MAX: usize = 500;
/// How long a second person has.
const EXPIRES: TimeDelta = TimeDelta::days(7);

/// What waits for a second person first; then what counts, the newest word first; then
/// what was refused.
pub(crate) async fn list_assignments(
    _: ListPolicyAssignments,
    bus: Bus,
) -> Result<Page<PolicyAssignment>, Refusal> {
    let mut tx = bus.begin().await?;
    let mut said = store::assignments::all(tx.conn()).await?;
    said.reverse();
    // What was said for the same day last is what counts.
    let mut seen = HashSet::new();
    said.retain(|one| seen.insert((one.to, one.reference.clone(), one.valid_from)));
    let mut asked = store::assignments::requests(tx.conn()).await?;
    asked.reverse();
    let waits = |one: &PolicyAssignment| one.state == AssignmentState::Requested;
    let (mut items, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(waits);
    items.extend(said);
    items.extend(refused);
    items.truncate(LIST_MAX);
    Ok(Page {
        items,
        next_cursor: None,
    })
}

/// Whether it may be asked for.
async fn check(act: &mut Act, said: &PolicyAssignment) -> Result<(), Failure> {
    let conn = act.tx.conn();
    let kinds = store::assignments::kinds(conn, said.to, &said.reference).await?;
    if kinds.is_empty() {
        let detail = match said.to {
            AssignTo::Account => "no account has this reference",
            AssignTo::Parent => "no account has this parent",
        };
        return Err(wrong("/reference", detail));
    }
    let Some(name) = &said.policy else {
        return Ok(());
    };
    let policies = store::policies::all(conn).await?;
    let policy = policies
        .valid(said.valid_from)
        .find(|policy| policy.policy == *name)
        .ok_or_else(|| wrong("/policy", "no such policy is in force on that day"))?;
    // Of a parent's accounts those of another kind keep theirs.
    let fits = |kind: &Option<String>| policy.is_for(kind.as_deref().and_then(kind_named));
    if !kinds.iter().any(fits) {
        return Err(wrong("/policy", "it is not for debtors of this kind"));
    }
    Ok(())
}

fn title(said: &PolicyAssignment) -> String {
    let whom = match said.to {
        AssignTo::Account => said.reference.clone(),
        AssignTo::Parent => format!("Every account of {}", said.reference),
    };
    let from = said.valid_from.format("%-d %b %Y");
    match &said.policy {
        Some(policy) => format!("{whom}: policy `{policy}` from {from}"),
        None => format!("{whom}: no policy of its own from {from}"),
    }
}

/// Asks a second person; an older request for the same is void.
pub(crate) async fn assign_policy(
    ask: AssignPolicy,
    bus: Bus,
) -> Result<PolicyAssignment, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let reference = ask.reference.trim().to_owned();
    if reference.is_empty() || reference.chars().count() > REF_MAX {
        return Err(wrong("/reference", "the reference of an account").into());
    }
    let today = london_date(bus.now());
    let valid_from = ask.valid_from.unwrap_or(today);
    if valid_from < today {
        return Err(wrong("/valid_from", "not before today").into());
    }
    let id = ask.command_id.as_uuid();
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        let mut tx = bus.begin().await?;
        let known = store::assignments::lock(tx.conn(), id).await?;
        return Ok(known.ok_or_else(|| {
            Failure::not_found("dunning.no_assignment", "there is no such request")
        })?);
    };
    let approval_id = ApprovalId::generate();
    let said = PolicyAssignment {
        to: ask.to,
        reference,
        policy: ask.policy.filter(|policy| !policy.is_empty()),
        valid_from,
        recorded_at: act.now,
        actor: ask.person.actor.clone(),
        reason: reason.clone(),
        state: AssignmentState::Requested,
        approval_id: Some(approval_id),
        decided_by: None,
    };
    check(&mut act, &said).await?;
    let (now, prefix) = (act.now, act.prefix.clone());
    let kind = ApprovalKind::PolicyAssignment;
    let mut events = Vec::new();
    let conn = act.tx.conn();
    if let Some((older, approval)) =
        store::assignments::waiting(conn, said.to, &said.reference).await?
    {
        let rejected = AssignmentState::Rejected;
        store::assignments::decided(conn, older, rejected, &said.actor, now).await?;
        let event = WithdrawnByDunning(ApprovalWithdrawn {
            approval_id: approval,
            kind,
            subject_id: older,
            account_ref: None,
            actor: said.actor.clone(),
            reason: format!("asked for anew: {reason}"),
            recorded_at: now,
        });
        events.push(Outgoing::new(
            &event,
            approval.as_uuid(),
            2,
            &prefix,
            now,
            &act.cause,
        )?);
    }
    store::assignments::request(act.tx.conn(), id, approval_id, &said).await?;
    let content = assignment_content(&said);
    let (_, content_sha256) = frozen(&content);
    let event = RequestedByDunning(ApprovalRequested {
        approval_id,
        kind,
        subject_id: id,
        title: title(&said),
        amount: Money::zero(Currency::GBP),
        account_id: None,
        account_ref: None,
        content_sha256,
        needed: 1,
        requester: said.actor.clone(),
        reason,
        expires_at: now + EXPIRES,
        recorded_at: now,
        content: Some(content),
    });
    events.push(Outgoing::new(
        &event,
        approval_id.as_uuid(),
        1,
        &prefix,
        now,
        &act.cause,
    )?);
    act.tx.publish(&events).await?;
    act.finish(&bus).await?;
    Ok(said)
}
