//! `approval_decided`: worklist says what a second person decided about a
//! credit. What is approved is asked of billing, if it is as it was asked for
//! still, in the transaction that claims the message; and said.
//!
//! Any order, any number of times: a decision counts only for the request that
//! its case waits for now.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::controls::Person,
    catalogue,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalKind, ApprovalState, CarriedOut,
        CarriedOutByDisputes, frozen,
    },
    disputes::{CaseId, CreditRequested},
};
use kernel::london_date;
use messaging::{Consumer, Decided, Failure, Incoming, Outgoing, Raw, Tx};

use crate::{
    domain::{
        Case,
        case::Told,
        policy::Policy,
        steps::{self, Doing},
    },
    store::{self, cases::Noted},
};

const CHANGED: &str = "what was asked for has changed since";
const OVER: &str = "what was asked for is over, or was asked for anew";

/// Carries out what was approved.
pub(crate) struct Approvals {
    prefix: Prefix,
}

impl Approvals {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

#[derive(Default)]
pub(crate) struct Changes {
    steps: Vec<Noted>,
    requests: Vec<CreditRequested>,
    now: Option<DateTime<Utc>>,
}

impl Consumer for Approvals {
    const STREAM: &'static str = catalogue::WORKLIST;
    type Message = ApprovalDecided;
    type State = BTreeMap<CaseId, Case>;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<ApprovalDecided>, Failure> {
        if !raw.is::<ApprovalDecided>() {
            return Ok(None);
        }
        let decided: ApprovalDecided = raw.json()?;
        let ours = decided.kind == ApprovalKind::Credit;
        // The first of two approvals changes nothing yet.
        Ok((ours && decided.state != ApprovalState::Pending).then_some(decided))
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<ApprovalDecided>],
    ) -> Result<Self::State, Failure> {
        let ids: Vec<CaseId> = batch
            .iter()
            .map(|one| CaseId::from(one.message.subject_id))
            .collect();
        // Documents before cases, as everybody locks them.
        let mut documents = store::cases::documents(tx.conn(), &ids).await?;
        documents.sort_unstable();
        store::items::lock(tx.conn(), &documents).await?;
        let cases = store::cases::lock(tx.conn(), &ids).await?;
        Ok(cases.into_iter().map(|case| (case.id, case)).collect())
    }

    fn decide(
        &self,
        mut cases: Self::State,
        batch: &[Incoming<ApprovalDecided>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let policy = Policy::on(london_date(now));
        let mut decided = Decided::<Changes>::default();
        decided.changes.now = Some(now);
        for Incoming { meta, message } in batch {
            let tell = |outcome, reason: Option<&str>| -> Result<Outgoing, Failure> {
                let said = CarriedOutByDisputes(ApprovalCarriedOut {
                    approval_id: message.approval_id,
                    kind: message.kind,
                    subject_id: message.subject_id,
                    account_ref: message.account_ref.clone(),
                    outcome,
                    reason: reason.map(str::to_owned),
                    recorded_at: now,
                });
                let id = message.approval_id.as_uuid();
                Outgoing::new(&said, id, message.version + 1, &self.prefix, now, meta)
            };
            let is_approved = message.state == ApprovalState::Approved;
            let waiting = cases
                .get_mut(&CaseId::from(message.subject_id))
                .filter(|case| case.asked() == Some(message.approval_id));
            let Some(case) = waiting else {
                if is_approved {
                    decided.events.push(tell(CarriedOut::Voided, Some(OVER))?);
                }
                continue;
            };
            let from = case.state;
            let credits = case
                .proposal
                .as_ref()
                .map(|proposal| proposal.credits.clone())
                .unwrap_or_default();
            let same = frozen(&case.credit_content(&credits)).1 == message.content_sha256;
            let person = Person {
                actor: message.actor.clone(),
                roles: Vec::new(),
            };
            let words = format!("{}: {}", message.state.name(), message.reason);
            let doing = Doing {
                policy: &policy,
                person: &person,
                reason: if is_approved && !same {
                    CHANGED
                } else {
                    &words
                },
                now,
            };
            let mut after = case.clone();
            let settled = (is_approved && same)
                .then(|| steps::approved(&mut after, doing).ok())
                .flatten();
            let done = if let Some(done) = settled {
                decided.events.push(tell(CarriedOut::Done, None)?);
                done
            } else {
                if is_approved {
                    decided
                        .events
                        .push(tell(CarriedOut::Voided, Some(CHANGED))?);
                }
                after = case.clone();
                steps::not_approved(&mut after, doing)
            };
            after.version += 1;
            let told = Told {
                cause: meta.id,
                at: now,
                actor: &message.actor,
                reason: &done.detail,
            };
            let event = after
                .changed(Some(from), done.step, told)
                .map_err(Failure::of)?;
            let (id, version) = (after.id.as_uuid(), after.version);
            decided
                .events
                .push(Outgoing::new(&event, id, version, &self.prefix, now, meta)?);
            for request in after.requests(&done.credits, &message.actor, &message.reason, now) {
                let id = request.credit_request_id.as_uuid();
                let event = Outgoing::new(&request, id, 1, &self.prefix, now, meta)?;
                decided.events.push(event);
                decided.changes.requests.push(request);
            }
            *case = after.clone();
            decided.changes.steps.push(Noted {
                from: Some(from),
                step: done.step.to_owned(),
                detail: done.detail,
                actor: message.actor.clone(),
                cause: meta.id,
                case: after,
            });
        }
        if !decided.changes.steps.is_empty() {
            decided.notices.push("disputes".to_owned());
        }
        Ok(decided)
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        let Some(now) = changes.now else {
            return Ok(());
        };
        // One after another: a batch may have two steps of one case.
        for step in &changes.steps {
            store::cases::put(tx.conn(), std::slice::from_ref(step), now).await?;
        }
        store::cases::ask_credits(tx.conn(), &changes.requests, now).await
    }
}
