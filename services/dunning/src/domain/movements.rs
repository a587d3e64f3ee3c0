//! What allocation's facts say of single documents.

use chrono::NaiveDate;
use contracts::allocation::{AdjustmentKind, AdjustmentLine, AllocationLine};
use kernel::{DocumentId, Money, ReceiptId};
use uuid::Uuid;

/// How a document was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Cash,
    /// A credit note or another debt of ours to them.
    Credit,
    /// A discount or a bank charge.
    Cleared,
    WrittenOff,
}

impl By {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::Credit => "credit",
            Self::Cleared => "cleared",
            Self::WrittenOff => "written_off",
        }
    }
}

/// One line that moved a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub document: DocumentId,
    pub line: Uuid,
    /// Positive lowers the debt.
    pub amount: Money,
    pub by: By,
    pub effective_on: NaiveDate,
    pub receipt: Option<ReceiptId>,
}

/// What the lines of a receipt moved.
pub fn lines(receipt: ReceiptId, lines: &[AllocationLine]) -> impl Iterator<Item = Move> {
    lines.iter().map(move |line| Move {
        document: line.document_id,
        line: line.allocation_id.as_uuid(),
        amount: line.amount,
        by: By::Cash,
        effective_on: line.effective_on,
        receipt: Some(receipt),
    })
}

/// What was settled without cash.
pub fn adjustments(lines: &[AdjustmentLine]) -> impl Iterator<Item = Move> {
    lines.iter().map(|line| Move {
        document: line.document_id,
        line: line.adjustment_id.as_uuid(),
        amount: line.amount,
        by: match line.kind {
            AdjustmentKind::Offset => By::Credit,
            AdjustmentKind::WriteOff | AdjustmentKind::SmallBalance => By::WrittenOff,
            AdjustmentKind::ClientTransfer => By::Cash,
            AdjustmentKind::Discount | AdjustmentKind::BankCharge => By::Cleared,
        },
        effective_on: line.effective_on,
        receipt: None,
    })
}
