//! What needs a second person: asked for here, decided in worklist, carried out
//! by `consume::approvals`.
//!
//! Locks are always taken in this order: receipts, items, the subject (refund,
//! write-off, run).

mod preview;
mod refunds;
mod small_balances;
mod write_offs;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix,
    allocation::{
        AdjustmentLine, AllocationLine, DebtAdjusted, OutflowLine, ReceiptAllocated, ReceiptMoved,
        ReceiptReduced, Rule,
    },
    controls::ApprovalId,
};
use kernel::{AccountId, CommandId, DocumentId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

pub(crate) use preview::preview;
pub(crate) use refunds::{
    draft, get_refund, list_refunds, redraft, step, told as refund_told, void_refunds,
};
pub(crate) use small_balances::{get_run, list_runs, propose, step_run};
pub(crate) use write_offs::{
    claim, get_write_off, list_write_offs, reasons, recoveries, request, reverse, vat_relief,
};

use crate::{
    consume::moved,
    domain::{
        Books, Changes, Receipt,
        approvals::{Ask, requested},
        evidence, ladder,
        ledger::{Because, Moves},
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
        quote(receipt);
        let mut books = Books::default();
        if !receipt.unallocated.is_zero() {
            store::look_up(self.tx.conn(), &[&*receipt], &mut books).await?;
        }
        let allocated = outflows.is_empty();
        let event = receipt_moved(receipt, lines, outflows, &books, because)?;
        self.changes.moved_receipts.push(receipt.clone());
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
        for (about, event) in debts_adjusted(lines, books, because) {
            self.tell(&event, about, 1)?;
        }
        Ok(())
    }

    /// Asks a second person: worklist keeps the request.
    fn request(&mut self, ask: Ask<'_>) -> Result<ApprovalId, Failure> {
        let event = requested(ask, self.now);
        self.tell(&event, event.approval_id.as_uuid(), 1)?;
        Ok(event.approval_id)
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

/// The keys of a receipt's words, which are not kept once all of it was used.
pub(crate) fn quote(receipt: &mut Receipt) {
    if receipt.tokens.is_empty() {
        receipt.tokens = evidence::keys([receipt.narrative.as_str()]);
    }
}

/// Notes that a receipt's money moved; `books` has what it may pay now.
pub(crate) fn receipt_moved(
    receipt: &mut Receipt,
    lines: Vec<AllocationLine>,
    outflows: Vec<OutflowLine>,
    books: &Books,
    because: &Because<'_>,
) -> Result<ReceiptMoved, Failure> {
    receipt.version += 1;
    quote(receipt);
    receipt.suggestions = if receipt.unallocated.is_zero() {
        Vec::new()
    } else {
        ladder::suggest(receipt, books, &[]).map_err(Failure::of)?
    };
    let moves = Moves {
        lines,
        outflows,
        ..Moves::default()
    };
    Ok(moved(
        receipt,
        moves,
        because.now,
        because.actor,
        because.reason,
    ))
}

/// The facts about adjustments, one for each account, with what each is about:
/// an adjustment is its own aggregate, made once and never changed.
pub(crate) fn debts_adjusted(
    lines: &[AdjustmentLine],
    books: &Books,
    because: &Because<'_>,
) -> Vec<(Uuid, DebtAdjusted)> {
    let mut by_account: BTreeMap<AccountId, Vec<AdjustmentLine>> = BTreeMap::new();
    for line in lines {
        by_account
            .entry(line.account_id)
            .or_default()
            .push(line.clone());
    }
    let told = |(account_id, lines): (AccountId, Vec<AdjustmentLine>)| {
        let first = lines.first();
        let account_ref = first
            .and_then(|line| books.items.get(&line.document_id))
            .map(|item| item.account_ref.clone())
            .unwrap_or_default();
        let about = first.map_or_else(Uuid::nil, |line| line.adjustment_id.as_uuid());
        let event = DebtAdjusted {
            account_id,
            account_ref,
            lines,
            recorded_at: because.now,
            actor: because.actor.to_owned(),
            reason: because.reason.to_owned(),
        };
        (about, event)
    };
    by_account.into_iter().map(told).collect()
}

/// Locks items and puts them on books of their own.
async fn locked_items(act: &mut Act, ids: &[DocumentId]) -> Result<Books, Failure> {
    let mut books = Books::default();
    for item in store::items::lock(act.tx.conn(), ids).await? {
        books.add(item);
    }
    Ok(books)
}
