//! `approval_decided`: worklist says what a second person decided. What is
//! approved is carried out here, if it is as it was asked for still, in the
//! transaction that claims the message; and said, so that everybody sees it.
//!
//! Locks are taken in this order: matters, rules, receipts, items, the subject.
//!
//! Any order, any number of times: a decision counts only for the request that
//! its subject waits for now.

mod client;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix,
    allocation::{OutflowLine, ReceiptReduced, Rule},
    catalogue,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalKind, ApprovalState, CarriedOut, RefundId,
        RefundState, RunState, SmallBalanceRunId, WriteOffId, WriteOffState, frozen,
    },
};
use kernel::{DocumentId, ReceiptId, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::{
        Books, Changes, Receipt,
        ledger::Because,
        refunds::Refund,
        write_offs::{Run, SmallOf, WriteOff},
    },
    serve::controls::{debts_adjusted, quote, receipt_moved, refund_told},
    store,
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

/// What the decisions of a batch are about, locked: receipts, then items, then
/// the subjects.
#[derive(Default)]
pub(crate) struct State {
    books: Books,
    receipts: BTreeMap<ReceiptId, Receipt>,
    refunds: BTreeMap<RefundId, Refund>,
    write_offs: BTreeMap<WriteOffId, WriteOff>,
    runs: BTreeMap<SmallBalanceRunId, Run>,
    client: client::Client,
    rules: rules::Asked,
}

#[derive(Default)]
pub(crate) struct Written {
    changes: Changes,
    client: Vec<client::Left>,
    rules: Vec<rules::Left>,
    write_offs: Vec<WriteOff>,
    runs: Vec<Run>,
    at: Option<(DateTime<Utc>, Meta)>,
}

fn subjects<I: From<Uuid>>(batch: &[Incoming<ApprovalDecided>], kind: ApprovalKind) -> Vec<I> {
    let of_kind = batch
        .iter()
        .filter(|decision| decision.message.kind == kind);
    let ids: BTreeSet<Uuid> = of_kind
        .map(|decision| decision.message.subject_id)
        .collect();
    ids.into_iter().map(I::from).collect()
}

impl Consumer for Approvals {
    const STREAM: &'static str = catalogue::WORKLIST;
    type Message = ApprovalDecided;
    type State = State;
    type Changes = Written;

    fn decode(&self, raw: &Raw) -> Result<Option<ApprovalDecided>, Failure> {
        if !raw.is::<ApprovalDecided>() {
            return Ok(None);
        }
        let decided: ApprovalDecided = raw.json()?;
        let ours = match decided.kind {
            ApprovalKind::Refund
            | ApprovalKind::WriteOff
            | ApprovalKind::SmallBalances
            | ApprovalKind::ResidualBalance
            | ApprovalKind::ClientPayment
            | ApprovalKind::MatchingRules => true,
            ApprovalKind::LimitChange
            | ApprovalKind::Credit
            | ApprovalKind::DunningRun
            | ApprovalKind::DunningTemplate
            | ApprovalKind::DunningPolicy
            | ApprovalKind::LegalReferral
            | ApprovalKind::CollectionRun
            | ApprovalKind::PolicyAssignment => false,
        };
        // The first of two approvals changes nothing yet.
        Ok((ours && decided.state != ApprovalState::Pending).then_some(decided))
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<ApprovalDecided>],
    ) -> Result<State, Failure> {
        let conn = tx.conn();
        let refunds: Vec<RefundId> = subjects(batch, ApprovalKind::Refund);
        let write_offs: Vec<WriteOffId> = subjects(batch, ApprovalKind::WriteOff);
        let runs: Vec<SmallBalanceRunId> = subjects(batch, ApprovalKind::SmallBalances);

        // Matters before receipts, as commands about matters do.
        let residuals = subjects(batch, ApprovalKind::ResidualBalance);
        let last = batch.iter().map(|decision| decision.message.recorded_at);
        let on = last.max().map(london_date);
        let payments = subjects(batch, ApprovalKind::ClientPayment);
        let client = client::load(conn, &residuals, &payments, on).await?;
        let mut receipts: Vec<ReceiptId> = Vec::new();
        let mut documents: Vec<DocumentId> = Vec::new();
        for id in &refunds {
            let seen = store::refunds::get(conn, *id).await?;
            receipts.extend(seen.map(|refund| refund.receipt));
        }
        for id in &write_offs {
            documents.extend(store::write_offs::documents(conn, *id).await?);
        }
        for id in &runs {
            let seen = store::write_offs::run(conn, *id).await?;
            for line in seen.into_iter().flat_map(|run| run.lines) {
                match line.of {
                    SmallOf::Receipt(id) => receipts.push(id),
                    SmallOf::Document(id) => documents.push(id),
                }
            }
        }

        let rules = rules::load(conn, &subjects(batch, ApprovalKind::MatchingRules)).await?;
        let mut state = State {
            client,
            rules,
            ..State::default()
        };
        for receipt in store::receipts::lock_all(conn, &receipts).await? {
            state.receipts.insert(receipt.id, receipt);
        }
        for item in store::items::lock(conn, &documents).await? {
            state.books.add(item);
        }
        for id in refunds {
            if let Some(refund) = store::refunds::get(conn, id).await? {
                state.refunds.insert(id, refund);
            }
        }
        for id in write_offs {
            if let Some(found) = store::write_offs::lock(conn, id).await? {
                state.write_offs.insert(id, found);
            }
        }
        for id in runs {
            if let Some(run) = store::write_offs::lock_run(conn, id).await? {
                state.runs.insert(id, run);
            }
        }
        // What money that may be free again could pay.
        for refund in state.refunds.values() {
            if let Some(receipt) = state.receipts.get(&refund.receipt)
                && refund.state == RefundState::Submitted
            {
                let mut freed = receipt.clone();
                quote(&mut freed);
                freed.unallocated = freed
                    .unallocated
                    .checked_add(refund.amount)
                    .map_err(Failure::of)?;
                store::look_up(conn, &[&freed], &mut state.books).await?;
            }
        }
        Ok(state)
    }

    fn decide(
        &self,
        mut state: State,
        batch: &[Incoming<ApprovalDecided>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Written>, Failure> {
        let mut decided = Decided::<Written>::default();
        let mut moved = BTreeSet::new();
        for incoming in batch {
            let decision = &incoming.message;
            let mut desk = Desk {
                decision,
                because: Because {
                    rule: Rule::Manual,
                    reason: &decision.reason,
                    actor: &decision.actor,
                    now,
                    not_before: london_date(now),
                },
                prefix: &self.prefix,
                cause: &incoming.meta,
                written: &mut decided.changes,
                events: &mut decided.events,
                moved: &mut moved,
            };
            let became = match decision.kind {
                ApprovalKind::Refund => desk.refund(&mut state)?,
                ApprovalKind::WriteOff => desk.write_off(&mut state)?,
                ApprovalKind::SmallBalances => desk.run(&mut state)?,
                ApprovalKind::ResidualBalance => desk.residual(&mut state.client)?,
                ApprovalKind::ClientPayment => desk.client_payment(&mut state.client)?,
                ApprovalKind::MatchingRules => desk.rules(&mut state.rules),
                ApprovalKind::LimitChange
                | ApprovalKind::Credit
                | ApprovalKind::DunningRun
                | ApprovalKind::DunningTemplate
                | ApprovalKind::DunningPolicy
                | ApprovalKind::LegalReferral
                | ApprovalKind::CollectionRun
                | ApprovalKind::PolicyAssignment => None,
            };
            if let Some((outcome, reason)) = became {
                desk.became(outcome, reason)?;
            }
        }
        let written = &mut decided.changes;
        written.at = batch.first().map(|incoming| (now, incoming.meta.clone()));
        let receipts = state.receipts.into_values();
        written
            .changes
            .moved_receipts
            .extend(receipts.filter(|receipt| moved.contains(&receipt.id)));
        let refunds = state.refunds.into_values();
        written.changes.refunds.extend(refunds);
        written.write_offs.extend(state.write_offs.into_values());
        written.runs.extend(state.runs.into_values());
        decided.notices = [
            "controls",
            "receipts",
            "aged-debt",
            "matters",
            "residuals",
            "rules",
        ]
        .map(str::to_owned)
        .into();
        Ok(decided)
    }

    async fn record(&self, tx: &mut Tx, written: Written) -> Result<(), Failure> {
        let Some((now, cause)) = written.at else {
            return Ok(());
        };
        let conn = tx.conn();
        for found in &written.write_offs {
            store::write_offs::put(conn, found).await?;
        }
        for run in &written.runs {
            store::write_offs::put_run(conn, run).await?;
        }
        for left in &written.client {
            client::record(tx, left, &self.prefix, now).await?;
        }
        for left in &written.rules {
            rules::record(tx, left, &self.prefix, now).await?;
        }
        super::chaseable::record(tx, written.changes, &self.prefix, now, &cause).await
    }
}

/// What became of what was approved, and why not.
type Became = Option<(CarriedOut, Option<&'static str>)>;

/// Whether a decision counts for a subject.
enum Counts {
    /// The subject waits for it, as it was asked for.
    CarryOut,
    /// The subject waits for it, and shall not be carried out.
    End(ApprovalState),
    /// It is of another request, or was heard before.
    No(Became),
}

/// One decision under way.
struct Desk<'d> {
    decision: &'d ApprovalDecided,
    because: Because<'d>,
    prefix: &'d Prefix,
    cause: &'d Meta,
    written: &'d mut Written,
    events: &'d mut Vec<Outgoing>,
    moved: &'d mut BTreeSet<ReceiptId>,
}

impl Desk<'_> {
    /// `waits`: the subject waits for just this decision; `done`: it was carried
    /// out for it before.
    fn counts(&self, waits: bool, done: bool, now: impl FnOnce() -> Value) -> Counts {
        let approved = self.decision.state == ApprovalState::Approved;
        match (waits, approved) {
            (true, true) if frozen(&now()).1 == self.decision.content_sha256 => Counts::CarryOut,
            (true, true) => Counts::End(ApprovalState::Voided),
            (true, false) => Counts::End(self.decision.state),
            (false, true) if !done => Counts::No(Some((CarriedOut::Voided, Some(OVER)))),
            (false, _) => Counts::No(None),
        }
    }

    /// What ends a request is told only where it was approved.
    fn ended(&self) -> Became {
        let approved = self.decision.state == ApprovalState::Approved;
        approved.then_some((CarriedOut::Voided, Some(CHANGED)))
    }

    fn tell<E: Event>(&mut self, event: &E, about: Uuid, version: i64) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            event,
            about,
            version,
            self.prefix,
            self.because.now,
            self.cause,
        )?);
        Ok(())
    }

    fn became(&mut self, outcome: CarriedOut, reason: Option<&str>) -> Result<(), Failure> {
        let event = ApprovalCarriedOut {
            approval_id: self.decision.approval_id,
            kind: self.decision.kind,
            subject_id: self.decision.subject_id,
            account_ref: self.decision.account_ref.clone(),
            outcome,
            reason: reason.map(str::to_owned),
            recorded_at: self.because.now,
        };
        self.tell(&event, event.approval_id.as_uuid(), 2)
    }

    fn refund(&mut self, state: &mut State) -> Result<Became, Failure> {
        let Some(refund) = state.refunds.get_mut(&self.decision.subject_id.into()) else {
            return Ok(self.unknown());
        };
        let asked = refund.approval == Some(self.decision.approval_id);
        let waits = asked && refund.state == RefundState::Submitted;
        let done = asked && refund.approved_sha256.is_some();
        let (step, line, became) = match self.counts(waits, done, || refund.content()) {
            Counts::No(became) => return Ok(became),
            Counts::CarryOut => {
                let sha256 = &self.decision.content_sha256;
                let step = refund
                    .approved(sha256, self.because.reason, &self.because)
                    .map_err(Failure::of)?;
                (step, None, Some((CarriedOut::Done, None)))
            }
            Counts::End(how) => {
                let Some(receipt) = state.receipts.get_mut(&refund.receipt) else {
                    return Err(gone("the receipt of a refund"));
                };
                let to = match how {
                    ApprovalState::Rejected => RefundState::Rejected,
                    ApprovalState::Expired => RefundState::Expired,
                    _ => RefundState::Voided,
                };
                let changes = &mut self.written.changes;
                let (step, line) = refund
                    .stop(to, self.because.reason, receipt, changes, &self.because)
                    .map_err(Failure::of)?;
                (step, line, self.ended())
            }
        };
        self.tell(
            &refund_told(refund, &step),
            refund.id.as_uuid(),
            refund.version,
        )?;
        self.written.changes.refund_steps.push(step);
        let receipt = refund.receipt;
        if let Some(line) = line {
            self.receipt(state, receipt, vec![line])?;
        }
        Ok(became)
    }

    fn write_off(&mut self, state: &mut State) -> Result<Became, Failure> {
        let Some(found) = state.write_offs.get_mut(&self.decision.subject_id.into()) else {
            return Ok(self.unknown());
        };
        let books = &mut state.books;
        let asked = found.approval == Some(self.decision.approval_id);
        let waits = asked && found.state == WriteOffState::Requested;
        let done = asked && found.posted_on.is_some();
        let now = || {
            found.content(|line| {
                books
                    .items
                    .get(&line.document)
                    .map_or(line.open_then, |item| item.open)
            })
        };
        match self.counts(waits, done, now) {
            Counts::No(became) => Ok(became),
            Counts::CarryOut => {
                let posted = found
                    .post(books, &mut self.written.changes, &self.because)
                    .map_err(Failure::of)?;
                for (about, event) in debts_adjusted(&posted, books, &self.because) {
                    self.tell(&event, about, 1)?;
                }
                Ok(Some((CarriedOut::Done, None)))
            }
            Counts::End(how) => {
                let to = match how {
                    ApprovalState::Rejected => WriteOffState::Rejected,
                    ApprovalState::Expired => WriteOffState::Expired,
                    _ => WriteOffState::Voided,
                };
                found.end(to, self.because.now);
                Ok(self.ended())
            }
        }
    }

    fn run(&mut self, state: &mut State) -> Result<Became, Failure> {
        let Some(run) = state.runs.get_mut(&self.decision.subject_id.into()) else {
            return Ok(self.unknown());
        };
        let asked = run.approval == Some(self.decision.approval_id);
        let waits = asked && run.state == RunState::Requested;
        let done = asked && matches!(run.state, RunState::Posted | RunState::Undone);
        match self.counts(waits, done, || run.content()) {
            Counts::No(became) => Ok(became),
            Counts::CarryOut => {
                let changes = &mut self.written.changes;
                let (adjusted, outflows) = run
                    .post(
                        &mut state.books,
                        &mut state.receipts,
                        changes,
                        &self.because,
                    )
                    .map_err(Failure::of)?;
                for (about, event) in debts_adjusted(&adjusted, &state.books, &self.because) {
                    self.tell(&event, about, 1)?;
                }
                let mut by_receipt: BTreeMap<ReceiptId, Vec<OutflowLine>> = BTreeMap::new();
                for (id, line) in outflows {
                    by_receipt.entry(id).or_default().push(line);
                }
                for (id, lines) in by_receipt {
                    self.receipt(state, id, lines)?;
                }
                Ok(Some((CarriedOut::Done, None)))
            }
            Counts::End(how) => {
                let to = match how {
                    ApprovalState::Expired => RunState::Expired,
                    _ => RunState::Rejected,
                };
                run.moves(RunState::Requested, to, self.because.now)
                    .map_err(Failure::of)?;
                Ok(self.ended())
            }
        }
    }

    /// Money left a receipt, or came back to it.
    fn receipt(
        &mut self,
        state: &mut State,
        id: ReceiptId,
        lines: Vec<OutflowLine>,
    ) -> Result<(), Failure> {
        let Some(receipt) = state.receipts.get_mut(&id) else {
            return Err(gone("a receipt"));
        };
        let event = receipt_moved(receipt, Vec::new(), lines, &state.books, &self.because)?;
        let version = receipt.version;
        self.moved.insert(id);
        self.tell(&ReceiptReduced(event), id.as_uuid(), version)
    }

    /// The subject is not there at all.
    fn unknown(&self) -> Became {
        let approved = self.decision.state == ApprovalState::Approved;
        approved.then_some((CarriedOut::Voided, Some(OVER)))
    }
}

fn gone(what: &str) -> Failure {
    Failure::bug(
        "allocation.no_subject",
        format!("{what} that a request is about is not there"),
    )
}
