//! `approval_decided`: a second person said whether a run of collections may go
//! into a file. Any order, any number of times: a decision counts only for the
//! request that the run waits for now.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::direct_debits::CollectionRunState,
    catalogue,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalKind, ApprovalState, CarriedOut, frozen,
    },
    ingestion::{CarriedOutByIngestion, CollectionRunId, CollectionState, MandateId},
};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Raw, Tx};

use super::direct_debits::Teller;
use crate::store::{self, collections::Which};

pub(crate) struct Approvals {
    prefix: Prefix,
}

impl Approvals {
    pub(crate) const fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

#[derive(Default)]
pub(crate) struct Written {
    decisions: Vec<(ApprovalDecided, Meta)>,
    now: DateTime<Utc>,
}

impl Consumer for Approvals {
    const STREAM: &'static str = catalogue::WORKLIST;
    type Message = ApprovalDecided;
    type State = ();
    type Changes = Written;

    fn decode(&self, raw: &Raw) -> Result<Option<ApprovalDecided>, Failure> {
        if !raw.is::<ApprovalDecided>() {
            return Ok(None);
        }
        let decided: ApprovalDecided = raw.json()?;
        let ours = decided.kind == ApprovalKind::CollectionRun;
        // The first of two approvals changes nothing yet.
        Ok((ours && decided.state != ApprovalState::Pending).then_some(decided))
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<ApprovalDecided>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<ApprovalDecided>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Written>, Failure> {
        Ok(Decided {
            changes: Written {
                decisions: batch
                    .iter()
                    .map(|incoming| (incoming.message.clone(), incoming.meta.clone()))
                    .collect(),
                now,
            },
            events: Vec::new(),
            rejected: Vec::new(),
            notices: vec!["direct-debits".to_owned()],
        })
    }

    async fn record(&self, tx: &mut Tx, written: Written) -> Result<(), Failure> {
        for (decision, cause) in &written.decisions {
            let teller = Teller {
                prefix: &self.prefix,
                actor: &decision.actor,
                cause,
                now: written.now,
            };
            carry_out(tx, teller, decision).await?;
        }
        Ok(())
    }
}

async fn carry_out(
    tx: &mut Tx,
    teller: Teller<'_>,
    decision: &ApprovalDecided,
) -> Result<(), Failure> {
    let ids = [CollectionRunId::from(decision.subject_id)];
    let seen = store::collections::find(tx.conn(), Which::Runs(&ids), false).await?;
    let mandates: Vec<MandateId> = seen.iter().map(|one| one.mandate_id).collect();
    store::mandates::lock(tx, store::mandates::Which::Ids(&mandates)).await?;
    let collections = store::collections::lock(tx, Which::Runs(&ids)).await?;
    let Some(mut run) = store::collections::lock_runs(tx, &ids).await?.pop() else {
        return Ok(());
    };
    let waits = run.state == CollectionRunState::Requested;
    if run.approval != Some(decision.approval_id) || !waits {
        return Ok(());
    }
    let content: serde_json::Value = serde_json::from_str(&run.content)?;
    let same = frozen(&content).1 == decision.content_sha256;
    let waiting = collections
        .iter()
        .filter(|one| one.state == CollectionState::Proposed);
    // What was dropped since lessens what was asked for, and is no other thing.
    let something = waiting.clone().next().is_some();
    let approved = decision.state == ApprovalState::Approved;
    let done = approved && same && something;
    let (state, reason) = if done {
        (CollectionState::Approved, "approved".to_owned())
    } else {
        let why = match decision.state {
            ApprovalState::Approved => "nothing of what was asked for is left".to_owned(),
            state => format!("{}: {}", state.name(), decision.reason),
        };
        (CollectionState::Cancelled, why)
    };
    for one in waiting {
        teller.collection(tx, &one.became(state, &reason)).await?;
    }
    run.state = if done {
        CollectionRunState::Approved
    } else if approved {
        CollectionRunState::Over
    } else {
        CollectionRunState::Rejected
    };
    store::collections::put_run(tx, &run).await?;
    if !approved {
        return Ok(());
    }
    let outcome = CarriedOutByIngestion(ApprovalCarriedOut {
        approval_id: decision.approval_id,
        kind: decision.kind,
        subject_id: decision.subject_id,
        account_ref: None,
        outcome: if done {
            CarriedOut::Done
        } else {
            CarriedOut::Voided
        },
        reason: (!done).then_some(reason),
        recorded_at: teller.now,
    });
    let about = decision.approval_id.as_uuid();
    teller.tell(tx, &outcome, about, 2).await
}
