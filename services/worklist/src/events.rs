//! What worklist says of its items.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    worklist::{SlaBreach, SlaLevel, WorkEscalated, WorkItemChanged},
};
use messaging::{Failure, Meta, Outgoing};

use crate::domain::{clock::Says, item::Touched};

/// The facts of one touched item: how it is now, and what its clock said.
pub(crate) fn of(
    touched: &Touched,
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<Vec<Outgoing>, Failure> {
    let Some(last) = touched.steps.last() else {
        return Ok(Vec::new());
    };
    let item = &touched.item;
    let (id, version) = (item.work_item_id, item.version);
    let mut events = Vec::with_capacity(1 + touched.said.len());
    let policy = touched.clock.as_ref().map_or_else(String::new, |clock| {
        format!("{}.{}", clock.policy, clock.policy_version)
    });
    for said in &touched.said {
        let level = match &said.says {
            Says::Warning => SlaLevel::Warning,
            Says::Breached => SlaLevel::Breached,
            Says::Escalated(level, to) => {
                let escalated = WorkEscalated {
                    work_item_id: id.into(),
                    version,
                    kind: item.kind.clone(),
                    subject_ref: item.subject_ref.clone(),
                    account_ref: item.account_ref.clone(),
                    amount: item.money(),
                    owner: item.owner.clone(),
                    level: *level,
                    to: to.clone(),
                    policy: policy.clone(),
                    due_at: said.due_at,
                    recorded_at: now,
                };
                events.push(Outgoing::new(&escalated, id, version, prefix, now, cause)?);
                continue;
            }
        };
        let breach = SlaBreach {
            work_item: id.into(),
            kind: item.kind.clone(),
            subject_ref: item.subject_ref.clone(),
            account_ref: item.account_ref.clone(),
            owner: Some(item.owner.clone()),
            due_at: said.target_at,
            breached_at: now,
            policy: policy.clone(),
            amount: item.money().map(|money| money.amount().to_string()),
            currency: item.currency.clone(),
        };
        events.push(
            Outgoing::new(&breach, id, version, prefix, now, cause)?
                .on(prefix.sla(level, &item.kind)),
        );
    }
    let changed = WorkItemChanged {
        work_item_id: id.into(),
        version,
        kind: item.kind.clone(),
        subject_id: item.subject_id,
        subject_ref: item.subject_ref.clone(),
        step: last.step.clone(),
        state: item.state,
        detail: item.detail.clone(),
        account_id: item.account_id.map(Into::into),
        account_ref: item.account_ref.clone(),
        amount: item.money(),
        owner: item.owner.clone(),
        owner_source: item.owner_source,
        holder: item.holder.clone(),
        score: item.score,
        parts: item.parts.clone(),
        back_on: item.back_on,
        sla: item.sla,
        due_at: item.due_at,
        outcome: item.outcome.clone(),
        business_at: item.business_at,
        recorded_at: now,
        actor: last.actor.clone(),
        reason: last.reason.clone(),
    };
    events.push(Outgoing::new(&changed, id, version, prefix, now, cause)?);
    Ok(events)
}
