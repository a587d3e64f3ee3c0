//! `approval_decided`: worklist says what a second person decided about a run, a
//! template, a policy, who has which, or a hand-over. What is approved is done if it is as it was
//! asked for still.
//!
//! Any order, any number of times: a decision counts only for the request that
//! its subject waits for now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::dunning::{EditionKind, EditionState},
    catalogue,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalKind, ApprovalState, CarriedOut, frozen,
    },
    dunning::{CarriedOutByDunning, PolicyPublished, RunId, RunState, TemplatePublished},
};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};
use uuid::Uuid;

use super::{assignments, referrals};
use crate::{
    domain::{
        edition::{Became, Edition},
        manual,
        policy::Policy,
    },
    serve::runs::content,
    store::{self, runs::Run},
};

/// What a batch decides about; locked.
#[derive(Default)]
pub(crate) struct State {
    runs: BTreeMap<RunId, Run>,
    editions: BTreeMap<Uuid, Edition>,
}

#[derive(Default)]
pub(crate) struct Changes {
    runs: Vec<Run>,
    editions: Vec<Edition>,
    referrals: Vec<(ApprovalDecided, Meta)>,
    assignments: Vec<(ApprovalDecided, Meta)>,
    now: DateTime<Utc>,
}

/// Carries out what was approved.
pub(crate) struct Approvals {
    prefix: Prefix,
}

impl Approvals {
    pub(crate) const fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

impl Consumer for Approvals {
    const STREAM: &'static str = catalogue::WORKLIST;
    type Message = ApprovalDecided;
    type State = State;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<ApprovalDecided>, Failure> {
        if !raw.is::<ApprovalDecided>() {
            return Ok(None);
        }
        let decided: ApprovalDecided = raw.json()?;
        // The first of two approvals changes nothing yet.
        let ours = matches!(
            decided.kind,
            ApprovalKind::DunningRun
                | ApprovalKind::DunningTemplate
                | ApprovalKind::DunningPolicy
                | ApprovalKind::LegalReferral
                | ApprovalKind::PolicyAssignment
        );
        Ok((ours && decided.state != ApprovalState::Pending).then_some(decided))
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<ApprovalDecided>],
    ) -> Result<Self::State, Failure> {
        let (runs, editions): (Vec<_>, Vec<_>) = batch
            .iter()
            .map(|incoming| &incoming.message)
            .partition(|decided| decided.kind == ApprovalKind::DunningRun);
        let ids = |of: Vec<&ApprovalDecided>| {
            let mut ids: Vec<Uuid> = of.iter().map(|decided| decided.subject_id).collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let mut state = State::default();
        for id in ids(runs) {
            if let Some(run) = store::runs::lock(tx.conn(), id.into()).await? {
                state.runs.insert(id.into(), run);
            }
        }
        for one in store::editions::lock(tx.conn(), &ids(editions)).await? {
            state.editions.insert(one.id, one);
        }
        Ok(state)
    }

    fn decide(
        &self,
        mut state: State,
        batch: &[Incoming<ApprovalDecided>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let mut changed = BTreeMap::new();
        let mut editions = BTreeMap::new();
        let mut events = Vec::new();
        let (mut referrals, mut assignments) = (Vec::new(), Vec::new());
        for Incoming { meta, message } in batch {
            if message.kind == ApprovalKind::LegalReferral {
                referrals.push((message.clone(), meta.clone()));
                continue;
            }
            if message.kind == ApprovalKind::PolicyAssignment {
                assignments.push((message.clone(), meta.clone()));
                continue;
            }
            if message.kind != ApprovalKind::DunningRun {
                if let Some(one) = state.editions.get_mut(&message.subject_id) {
                    events.extend(edition(one, message, &self.prefix, meta, now)?);
                    editions.insert(one.id, one.clone());
                }
                continue;
            }
            let id: RunId = message.subject_id.into();
            let Some(run) = state.runs.get_mut(&id) else {
                continue;
            };
            if run.approval != Some(message.approval_id) || run.state != RunState::Requested {
                continue;
            }
            let (_, sha256) = frozen(&content(run));
            let approved = message.state == ApprovalState::Approved;
            let unchanged = sha256 == message.content_sha256;
            let from = run.state;
            run.state = match (approved, unchanged) {
                (true, true) => RunState::Approved,
                (true, false) => RunState::Proposed,
                (false, _) => match message.state {
                    ApprovalState::Rejected => RunState::Rejected,
                    // Expired or voided: it can be asked for again.
                    _ => RunState::Proposed,
                },
            };
            run.version += 1;
            run.changed_at = now;
            run.approval = None;
            if run.state == RunState::Approved {
                run.approver = Some(message.actor.clone());
            }
            let told = run.changed(Some(from), &message.actor, &message.reason, meta.id, now);
            events.push(Outgoing::new(
                &told,
                id.as_uuid(),
                run.version,
                &self.prefix,
                now,
                meta,
            )?);
            if approved {
                events.push(carried_out(message, unchanged, &self.prefix, meta, now)?);
            }
            changed.insert(id, run.clone());
        }
        Ok(Decided {
            notices: (!changed.is_empty()
                || !editions.is_empty()
                || !referrals.is_empty()
                || !assignments.is_empty())
            .then(|| "dunning".to_owned())
            .into_iter()
            .collect(),
            changes: Changes {
                runs: changed.into_values().collect(),
                editions: editions.into_values().collect(),
                referrals,
                assignments,
                now,
            },
            events,
            rejected: Vec::new(),
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        for run in &changes.runs {
            store::runs::put(tx.conn(), run).await?;
        }
        for one in &changes.editions {
            store::editions::update(tx.conn(), one).await?;
            if one.state == EditionState::Published {
                store::editions::publish(tx.conn(), one, changes.now).await?;
            }
        }
        for (message, cause) in &changes.referrals {
            referrals::decided(tx, &self.prefix, message, cause, changes.now).await?;
        }
        for (message, cause) in &changes.assignments {
            assignments::decided(tx, &self.prefix, message, cause, changes.now).await?;
        }
        Ok(())
    }
}

/// That what was approved is done, or is void.
fn carried_out(
    message: &ApprovalDecided,
    unchanged: bool,
    prefix: &Prefix,
    meta: &Meta,
    now: DateTime<Utc>,
) -> Result<Outgoing, Failure> {
    let done = CarriedOutByDunning(ApprovalCarriedOut {
        approval_id: message.approval_id,
        kind: message.kind,
        subject_id: message.subject_id,
        account_ref: None,
        outcome: if unchanged {
            CarriedOut::Done
        } else {
            CarriedOut::Voided
        },
        reason: (!unchanged).then(|| "it has changed since".to_owned()),
        recorded_at: now,
    });
    Outgoing::new(&done, message.approval_id.as_uuid(), 2, prefix, now, meta)
}

/// What a decision makes of a template or a policy, and what is told of it.
fn edition(
    one: &mut Edition,
    message: &ApprovalDecided,
    prefix: &Prefix,
    meta: &Meta,
    now: DateTime<Utc>,
) -> Result<Vec<Outgoing>, Failure> {
    if one.approval != Some(message.approval_id) || one.state != EditionState::Requested {
        return Ok(Vec::new());
    }
    let (_, sha256) = frozen(&one.content());
    let is_same = sha256 == message.content_sha256;
    let (actor, reason) = (message.actor.as_str(), message.reason.as_str());
    let became = one.decided(message.state, is_same, actor, reason, now);
    let mut events = Vec::new();
    match became {
        Became::Published => events.push(published(one, message, prefix, meta, now)?),
        Became::Voided => {}
        Became::Not => return Ok(events),
    }
    let is_done = became == Became::Published;
    events.push(carried_out(message, is_done, prefix, meta, now)?);
    Ok(events)
}

fn published(
    one: &Edition,
    message: &ApprovalDecided,
    prefix: &Prefix,
    meta: &Meta,
    now: DateTime<Utc>,
) -> Result<Outgoing, Failure> {
    match one.kind {
        EditionKind::Template | EditionKind::Enclosure => {
            let legal = one.body.get("legal").and_then(|legal| legal.as_str());
            let event = TemplatePublished {
                template: one.name.clone(),
                version: one.version,
                title: one.title.clone(),
                legal: legal.unwrap_or_default().to_owned(),
                valid_from: one.valid_from,
                content_sha256: one.sha256.clone(),
                drafted_by: one.drafted_by.clone(),
                recorded_at: now,
                actor: message.actor.clone(),
                reason: message.reason.clone(),
            };
            Outgoing::new(&event, one.id, 1, prefix, now, meta)
        }
        EditionKind::Policy => {
            let mut policy: Policy = serde_json::from_value(one.body.clone())?;
            policy.valid_from = one.valid_from;
            let event = PolicyPublished {
                policy: one.name.clone(),
                version: one.version,
                title: one.title.clone(),
                valid_from: one.valid_from,
                content_sha256: one.sha256.clone(),
                manual: manual::paragraphs(&policy),
                drafted_by: one.drafted_by.clone(),
                recorded_at: now,
                actor: message.actor.clone(),
                reason: message.reason.clone(),
            };
            Outgoing::new(&event, one.id, 1, prefix, now, meta)
        }
    }
}
