//! Clearing of small balances: one frozen list, posted or undone as a whole.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    allocation::{AdjustmentKind, AdjustmentLine, OutflowKind, OutflowLine},
    controls::{ApprovalId, RunState, SmallBalanceRunId},
};
use kernel::{DocumentId, Money, ReceiptId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Refused, TEXT_MAX, adjusted};
use crate::domain::ledger::{self, Because, Books, Changes, PayOut, Receipt};

/// One clearing of small balances.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: SmallBalanceRunId,
    pub version: i64,
    pub state: RunState,
    pub at_most: Money,
    /// Debts and credits both counted as positive: what a limit is held against.
    pub amount: Money,
    pub reason: String,
    pub requester: String,
    pub approval: Option<ApprovalId>,
    pub changed_at: DateTime<Utc>,
    pub lines: Vec<SmallLine>,
}

#[derive(Debug, Clone)]
pub struct SmallLine {
    pub of: SmallOf,
    pub reference: String,
    pub amount: Money,
    /// The adjustment or outflow that cleared it.
    pub movement: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmallOf {
    Document(DocumentId),
    Receipt(ReceiptId),
}

/// What a run moved: adjustments by account, outflows by receipt.
pub type Cleared = (Vec<AdjustmentLine>, Vec<(ReceiptId, OutflowLine)>);

impl Run {
    /// # Errors
    /// When there is nothing to clear, or no reason.
    pub fn proposed(
        at_most: Money,
        lines: Vec<SmallLine>,
        reason: &str,
        requester: &str,
        now: DateTime<Utc>,
    ) -> Result<Self, Refused> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > TEXT_MAX {
            return Err(Refused::NoReason);
        }
        if lines.is_empty() {
            return Err(Refused::NothingSmall);
        }
        Ok(Self {
            id: SmallBalanceRunId::generate(),
            version: 1,
            state: RunState::Proposed,
            amount: Money::sum(
                lines.iter().map(|line| line.amount.abs()),
                at_most.currency(),
            )?,
            at_most,
            reason: reason.to_owned(),
            requester: requester.to_owned(),
            approval: None,
            changed_at: now,
            lines,
        })
    }

    pub fn content(&self) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| json!({ "reference": line.reference, "amount": line.amount }))
            .collect();
        json!({
            "at_most": self.at_most,
            "amount": self.amount,
            "reason": self.reason,
            "lines": lines,
        })
    }

    /// # Errors
    /// When it is not in the state `from`.
    pub fn moves(
        &mut self,
        from: RunState,
        to: RunState,
        now: DateTime<Utc>,
    ) -> Result<(), Refused> {
        if self.state != from {
            return Err(Refused::RunState(self.state));
        }
        self.state = to;
        self.version += 1;
        self.changed_at = now;
        Ok(())
    }

    /// Clears what is still as it was proposed; what has moved stays.
    ///
    /// # Errors
    /// When it was not asked for, or an amount overflows.
    pub fn post(
        &mut self,
        books: &mut Books,
        receipts: &mut BTreeMap<ReceiptId, Receipt>,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<Cleared, Refused> {
        self.moves(RunState::Requested, RunState::Posted, because.now)?;
        let cause = self.id.as_uuid();
        let (mut adjustments, mut outflows) = (Vec::new(), Vec::new());
        for line in &mut self.lines {
            match line.of {
                SmallOf::Document(document) => {
                    let open = books.items.get(&document).map(|item| item.open);
                    if open != Some(line.amount) {
                        continue;
                    }
                    let made = adjusted(
                        AdjustmentKind::SmallBalance,
                        books,
                        changes,
                        document,
                        line.amount,
                        cause,
                        None,
                        because,
                    )?;
                    line.movement = Some(made.adjustment_id.as_uuid());
                    adjustments.push(made);
                }
                SmallOf::Receipt(id) => {
                    let Some(receipt) = receipts.get_mut(&id) else {
                        continue;
                    };
                    if receipt.unallocated != line.amount {
                        continue;
                    }
                    let made = written_back(receipt, changes, line.amount, cause, None, because)?;
                    line.movement = Some(made.outflow_id.as_uuid());
                    outflows.push((id, made));
                }
            }
        }
        Ok((adjustments, outflows))
    }

    /// Takes all that it cleared back by contras.
    ///
    /// # Errors
    /// When it was not carried out, or an amount overflows.
    pub fn undo(
        &mut self,
        books: &mut Books,
        receipts: &mut BTreeMap<ReceiptId, Receipt>,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<Cleared, Refused> {
        self.moves(RunState::Posted, RunState::Undone, because.now)?;
        let cause = self.id.as_uuid();
        let (mut adjustments, mut outflows) = (Vec::new(), Vec::new());
        for line in &mut self.lines {
            let Some(movement) = line.movement.take() else {
                continue;
            };
            match line.of {
                SmallOf::Document(document) => adjustments.push(adjusted(
                    AdjustmentKind::SmallBalance,
                    books,
                    changes,
                    document,
                    line.amount.neg(),
                    cause,
                    Some(movement.into()),
                    because,
                )?),
                SmallOf::Receipt(id) => {
                    if let Some(receipt) = receipts.get_mut(&id) {
                        let amount = line.amount.neg();
                        let of = Some(movement.into());
                        outflows.push((
                            id,
                            written_back(receipt, changes, amount, cause, of, because)?,
                        ));
                    }
                }
            }
        }
        Ok((adjustments, outflows))
    }
}

fn written_back(
    receipt: &mut Receipt,
    changes: &mut Changes,
    amount: Money,
    cause: Uuid,
    contra_of: Option<kernel::OutflowId>,
    because: &Because<'_>,
) -> Result<OutflowLine, Refused> {
    let what = PayOut {
        amount,
        kind: OutflowKind::WrittenBack,
        cause: Some(cause),
        contra_of,
        in_transit: false,
    };
    Ok(ledger::pay_out(receipt, changes, &what, because)?)
}
