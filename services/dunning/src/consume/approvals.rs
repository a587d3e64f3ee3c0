//! `approval_decided`: worklist says what a second person decided about a run or
//! a referral. What is approved is done if it is as it was asked for still.
//!
//! Any order, any number of times: a decision counts only for the request that
//! its subject waits for now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix, catalogue,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalKind, ApprovalState, CarriedOut, frozen,
    },
    dunning::{CarriedOutByDunning, RunId, RunState},
};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};

use super::referrals;
use crate::{
    serve::runs::content,
    store::{self, runs::Run},
};

/// Runs as they are now, and what was said of referrals.
#[derive(Default)]
pub(crate) struct Changes {
    runs: Vec<Run>,
    referrals: Vec<(ApprovalDecided, Meta)>,
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
    type State = BTreeMap<RunId, Run>;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<ApprovalDecided>, Failure> {
        if !raw.is::<ApprovalDecided>() {
            return Ok(None);
        }
        let decided: ApprovalDecided = raw.json()?;
        // The first of two approvals changes nothing yet.
        let ours = matches!(
            decided.kind,
            ApprovalKind::DunningRun | ApprovalKind::LegalReferral
        );
        Ok((ours && decided.state != ApprovalState::Pending).then_some(decided))
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<ApprovalDecided>],
    ) -> Result<Self::State, Failure> {
        let mut ids: Vec<RunId> = batch
            .iter()
            .filter(|incoming| incoming.message.kind == ApprovalKind::DunningRun)
            .map(|incoming| incoming.message.subject_id.into())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let mut runs = BTreeMap::new();
        for id in ids {
            if let Some(run) = store::runs::lock(tx.conn(), id).await? {
                runs.insert(id, run);
            }
        }
        Ok(runs)
    }

    fn decide(
        &self,
        mut runs: Self::State,
        batch: &[Incoming<ApprovalDecided>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let mut changed = BTreeMap::new();
        let mut events = Vec::new();
        let mut referrals = Vec::new();
        for Incoming { meta, message } in batch {
            if message.kind == ApprovalKind::LegalReferral {
                referrals.push((message.clone(), meta.clone()));
                continue;
            }
            let id: RunId = message.subject_id.into();
            let Some(run) = runs.get_mut(&id) else {
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
                    reason: (!unchanged).then(|| "the run has changed since".to_owned()),
                    recorded_at: now,
                });
                let about = message.approval_id.as_uuid();
                events.push(Outgoing::new(&done, about, 2, &self.prefix, now, meta)?);
            }
            changed.insert(id, run.clone());
        }
        Ok(Decided {
            notices: (!changed.is_empty() || !referrals.is_empty())
                .then(|| "dunning".to_owned())
                .into_iter()
                .collect(),
            changes: Changes {
                runs: changed.into_values().collect(),
                referrals,
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
        for (message, cause) in &changes.referrals {
            referrals::decided(tx, &self.prefix, message, cause, changes.now).await?;
        }
        Ok(())
    }
}
