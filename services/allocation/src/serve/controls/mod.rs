//! What needs a second person: asked for, decided, carried out. Whatever is
//! approved is carried out in the transaction of the decision that completes it.
//!
//! Locks are always taken in this order: receipts, items, the subject (refund,
//! write-off, run), the approval.

mod approvals;
mod refunds;
mod small_balances;
mod write_offs;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix,
    allocation::{
        AdjustmentLine, AllocationLine, DebtAdjusted, OutflowLine, ReceiptAllocated,
        ReceiptReduced, Rule,
    },
    controls::{
        ApprovalDecided, ApprovalKind, ApprovalRequested, ApprovalState, RefundState, WriteOffState,
    },
};
use kernel::{AccountId, CommandId, DocumentId, ReceiptId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use serde_json::Value;
use uuid::Uuid;

pub(crate) use approvals::{
    change_limit, decide, expire, get_approval, list_approvals, list_limits, settle_limits,
};
pub(crate) use refunds::{draft, get_refund, list_refunds, redraft, step, void_refunds};
pub(crate) use small_balances::{get_run, list_runs, propose, step_run};
pub(crate) use write_offs::{
    claim, get_write_off, list_write_offs, reasons, recoveries, request, reverse, vat_relief,
};

use crate::{
    consume::moved,
    domain::{
        Books, Changes, Receipt,
        approvals::{self as rules, Approval, Limit},
        evidence, ladder,
        ledger::{Because, Moves},
        refunds::Refund,
        write_offs::{Run, WriteOff},
    },
    store,
};

/// A command under way: what it changes and what it has to tell, in one
/// transaction.
pub(crate) struct Act {
    tx: Tx,
    changes: Changes,
    events: Vec<Outgoing>,
    cause: Meta,
    prefix: Prefix,
    now: DateTime<Utc>,
}

impl Act {
    /// Claims the command; the second says whether it is new.
    async fn begin(bus: &Bus, id: CommandId) -> Result<(Self, bool), Failure> {
        let now = bus.now();
        let mut tx = bus.begin().await?;
        let new = !tx.claim(&[id.as_uuid()]).await?.is_empty();
        let act = Self {
            tx,
            changes: Changes::default(),
            events: Vec::new(),
            cause: Meta::of_command(id.as_uuid(), now, None),
            prefix: bus.prefix().clone(),
            now,
        };
        Ok((act, new))
    }

    fn because<'a>(&self, actor: &'a str, reason: &'a str) -> Because<'a> {
        Because {
            rule: Rule::Manual,
            reason,
            actor,
            now: self.now,
            not_before: london_date(self.now),
        }
    }

    fn tell<E: Event>(&mut self, event: &E, about: Uuid, version: i64) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            event,
            about,
            version,
            &self.prefix,
            self.now,
            &self.cause,
        )?);
        Ok(())
    }

    /// Notes that a receipt's money moved, and looks anew what it may pay.
    async fn receipt_moved(
        &mut self,
        receipt: &mut Receipt,
        lines: Vec<AllocationLine>,
        outflows: Vec<OutflowLine>,
        because: &Because<'_>,
    ) -> Result<(), Failure> {
        receipt.version += 1;
        if receipt.tokens.is_empty() {
            // Not kept once all of it was used.
            receipt.tokens = evidence::keys([receipt.narrative.as_str()]);
        }
        let mut books = Books::default();
        receipt.suggestions = if receipt.unallocated.is_zero() {
            Vec::new()
        } else {
            store::look_up(self.tx.conn(), &[&*receipt], &mut books).await?;
            ladder::suggest(receipt, &books, &[]).map_err(Failure::of)?
        };
        self.changes.moved_receipts.push(receipt.clone());
        let allocated = outflows.is_empty();
        let moves = Moves {
            lines,
            outflows,
            ..Moves::default()
        };
        let event = moved(receipt, moves, self.now, because.actor, because.reason);
        let (id, version) = (receipt.id.as_uuid(), receipt.version);
        if allocated {
            self.tell(&ReceiptAllocated(event), id, version)
        } else {
            self.tell(&ReceiptReduced(event), id, version)
        }
    }

    /// Tells of adjustments, one fact for each account.
    fn debt_adjusted(
        &mut self,
        lines: &[AdjustmentLine],
        books: &Books,
        because: &Because<'_>,
    ) -> Result<(), Failure> {
        let mut by_account: BTreeMap<AccountId, Vec<AdjustmentLine>> = BTreeMap::new();
        for line in lines {
            by_account
                .entry(line.account_id)
                .or_default()
                .push(line.clone());
        }
        for (account_id, lines) in by_account {
            let account_ref = lines
                .first()
                .and_then(|line| books.items.get(&line.document_id))
                .map(|item| item.account_ref.clone())
                .unwrap_or_default();
            // An adjustment is its own aggregate: made once, never changed.
            let about = lines
                .first()
                .map_or_else(Uuid::nil, |line| line.adjustment_id.as_uuid());
            let event = DebtAdjusted {
                account_id,
                account_ref,
                lines,
                recorded_at: self.now,
                actor: because.actor.to_owned(),
                reason: because.reason.to_owned(),
            };
            self.tell(&event, about, 1)?;
        }
        Ok(())
    }

    /// Asks a second person.
    async fn request(&mut self, ask: rules::Ask, requester: &str) -> Result<Approval, Failure> {
        let approval = rules::request(ask, requester, self.now);
        store::approvals::insert(self.tx.conn(), &approval).await?;
        let event = ApprovalRequested {
            approval_id: approval.id,
            kind: approval.kind,
            subject_id: approval.subject,
            title: approval.title.clone(),
            amount: approval.amount,
            account_id: approval.account,
            account_ref: approval.account_ref.clone(),
            content_sha256: approval.content_sha256.clone(),
            needed: approval.needed,
            requester: approval.requester.clone(),
            reason: approval.reason.clone(),
            expires_at: approval.expires_at,
            recorded_at: self.now,
        };
        self.tell(&event, approval.id.as_uuid(), 1)?;
        Ok(approval)
    }

    /// Writes where a request stands, and tells.
    async fn decided(
        &mut self,
        approval: &Approval,
        actor: &str,
        reason: &str,
    ) -> Result<(), Failure> {
        store::approvals::update(self.tx.conn(), approval, self.now).await?;
        let event = ApprovalDecided {
            approval_id: approval.id,
            version: approval.version,
            kind: approval.kind,
            subject_id: approval.subject,
            state: approval.state,
            amount: approval.amount,
            account_id: approval.account,
            account_ref: approval.account_ref.clone(),
            content_sha256: approval.content_sha256.clone(),
            requester: approval.requester.clone(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            recorded_at: self.now,
        };
        self.tell(&event, approval.id.as_uuid(), approval.version)
    }

    async fn finish(mut self, bus: &Bus) -> Result<(), Failure> {
        super::record(&mut self.tx, self.changes, bus, self.now, &self.cause).await?;
        self.tx.publish(&self.events).await?;
        self.tx.commit().await?;
        bus.notice(&["controls", "receipts", "aged-debt"].map(str::to_owned))
            .await;
        Ok(())
    }
}

/// What a request is about, locked, with all that carrying it out needs.
enum Subject {
    Refund(Box<Refund>, Box<Receipt>),
    WriteOff(Box<WriteOff>, Books),
    Run(Box<Run>, Books, BTreeMap<ReceiptId, Receipt>),
    Limit(Box<Limit>, Value),
}

fn gone(kind: ApprovalKind) -> Failure {
    Failure::bug(
        "allocation.no_subject",
        format!("the {} of a request is not there", kind.name()),
    )
}

/// Locks items and puts them on books of their own.
async fn locked_items(act: &mut Act, ids: &[DocumentId]) -> Result<Books, Failure> {
    let mut books = Books::default();
    for item in store::items::lock(act.tx.conn(), ids).await? {
        books.add(item);
    }
    Ok(books)
}

impl Subject {
    async fn lock(act: &mut Act, approval: &Approval) -> Result<Self, Failure> {
        let kind = approval.kind;
        Ok(match kind {
            ApprovalKind::Refund => {
                let (refund, receipt) = refunds::lock(act, approval.subject.into()).await?;
                Self::Refund(Box::new(refund), Box::new(receipt))
            }
            ApprovalKind::WriteOff => {
                let (found, books) = write_offs::lock(act, approval.subject.into()).await?;
                Self::WriteOff(Box::new(found), books)
            }
            ApprovalKind::SmallBalances => {
                let (run, books, receipts) =
                    small_balances::lock(act, approval.subject.into()).await?;
                Self::Run(Box::new(run), books, receipts)
            }
            ApprovalKind::LimitChange => {
                let content: Value = serde_json::from_str(&approval.content)?;
                let limit = approvals::limit_of(&content).ok_or_else(|| gone(kind))?;
                Self::Limit(Box::new(limit), content)
            }
        })
    }

    /// As it is now, in the form of the frozen content.
    fn content(&self) -> Value {
        match self {
            Self::Refund(refund, _) => refund.content(),
            Self::WriteOff(found, books) => found.content(|line| {
                books
                    .items
                    .get(&line.document)
                    .map_or(line.open_then, |item| item.open)
            }),
            Self::Run(run, ..) => run.content(),
            Self::Limit(_, content) => content.clone(),
        }
    }

    /// Does what was approved.
    async fn carry_out(self, act: &mut Act, because: &Because<'_>) -> Result<(), Failure> {
        match self {
            Self::Refund(mut refund, _) => {
                let step = refund
                    .approved(because.reason, because)
                    .map_err(Failure::of)?;
                refunds::changed(act, &refund, step).await
            }
            Self::WriteOff(mut found, mut books) => {
                let posted = found
                    .post(&mut books, &mut act.changes, because)
                    .map_err(Failure::of)?;
                store::write_offs::put(act.tx.conn(), &found).await?;
                act.debt_adjusted(&posted, &books, because)
            }
            Self::Run(mut run, mut books, mut receipts) => {
                let cleared = run
                    .post(&mut books, &mut receipts, &mut act.changes, because)
                    .map_err(Failure::of)?;
                small_balances::moved(act, &run, &books, &mut receipts, cleared, because).await
            }
            Self::Limit(limit, _) => {
                store::approvals::add_limits(act.tx.conn(), &[*limit], because.actor, act.now).await
            }
        }
    }

    /// Ends what will not be carried out.
    async fn end(
        self,
        act: &mut Act,
        state: ApprovalState,
        because: &Because<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Refund(mut refund, mut receipt) => {
                let to = match state {
                    ApprovalState::Rejected => RefundState::Rejected,
                    ApprovalState::Expired => RefundState::Expired,
                    _ => RefundState::Voided,
                };
                refunds::stop(act, &mut refund, &mut receipt, to, because).await
            }
            Self::WriteOff(mut found, _) => {
                let to = match state {
                    ApprovalState::Rejected => WriteOffState::Rejected,
                    ApprovalState::Expired => WriteOffState::Expired,
                    _ => WriteOffState::Voided,
                };
                found.end(to, act.now);
                store::write_offs::put(act.tx.conn(), &found).await
            }
            Self::Run(mut run, ..) => {
                small_balances::end(&mut run, state, act.now);
                store::write_offs::put_run(act.tx.conn(), &run).await
            }
            Self::Limit(..) => Ok(()),
        }
    }
}
