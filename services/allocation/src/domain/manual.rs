//! What a person may do with a receipt, and what is refused.

use contracts::{
    allocation::{AdjustmentLine, AllocationLine, Decision, Evidence, Rule},
    api::allocation::AllocateLine,
};
use kernel::{AccountId, AdjustmentId, Classified, DocumentId, ErrorClass, Money, MoneyError};

use super::{
    edges::Learned,
    ledger::{self, Because, Books, Changes, Line, Moves, Receipt},
};

/// Lines of one command at most.
const LINES_MAX: usize = 200;

/// Why a person's command is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("an allocation needs between 1 and {LINES_MAX} lines")]
    LineCount,
    #[error("document {0} is not on the ledger")]
    NoDocument(DocumentId),
    #[error("document {0} stands in more than one line")]
    TwiceNamed(DocumentId),
    #[error("the line for {document_ref} is in another currency")]
    Currency {
        document_ref: String,
        #[source]
        source: MoneyError,
    },
    #[error("{asked} cannot be allocated to {document_ref}: {open} is open")]
    MoreThanOpen {
        document_ref: String,
        asked: String,
        open: String,
    },
    #[error("{asked} is more than the {left} left on the receipt")]
    MoreThanLeft { asked: String, left: String },
    #[error("credit notes alone do not use cash: the lines come to {0}")]
    NoCash(String),
    #[error("the receipt has moved on to version {now}; the page showed {expected}")]
    MovedOn { expected: i64, now: i64 },
    #[error("this allocation has been undone already")]
    AlreadyUndone,
    #[error("a contra cannot be undone; allocate anew")]
    IsContra,
    #[error("{document_ref} and other lines of this receipt need each other: undo them together")]
    UndoTogether { document_ref: String },
    #[error("nothing of it stands any more")]
    NothingStands,
    #[error("nothing of this receipt is left to check")]
    NothingLeft,
    #[error("this receipt is not put aside")]
    NotParked,
    #[error("suggestion {0} can be accepted no longer")]
    NoSuggestion(i16),
    #[error("the amounts cannot be added up")]
    Sum(#[source] MoneyError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::LineCount => "allocation.line_count",
            Self::NoDocument(_) => "allocation.no_document",
            Self::TwiceNamed(_) => "allocation.document_twice",
            Self::Currency { .. } => "allocation.currency_differs",
            Self::MoreThanOpen { .. } => "allocation.more_than_open",
            Self::MoreThanLeft { .. } => "allocation.more_than_left",
            Self::NoCash(_) => "allocation.no_cash",
            Self::MovedOn { .. } => "allocation.receipt_moved_on",
            Self::AlreadyUndone => "allocation.already_undone",
            Self::IsContra => "allocation.is_contra",
            Self::UndoTogether { .. } => "allocation.undo_together",
            Self::NothingStands => "allocation.nothing_stands",
            Self::NothingLeft => "allocation.nothing_left",
            Self::NotParked => "allocation.not_parked",
            Self::NoSuggestion(_) => "allocation.no_suggestion",
            Self::Sum(_) => "allocation.sum",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            // Somebody else was quicker: looking again helps.
            Self::MoreThanOpen { .. }
            | Self::MoreThanLeft { .. }
            | Self::MovedOn { .. }
            | Self::AlreadyUndone
            | Self::UndoTogether { .. }
            | Self::NothingStands
            | Self::NothingLeft
            | Self::NotParked
            | Self::NoSuggestion(_) => ErrorClass::Conflict,
            _ => ErrorClass::Permanent,
        }
    }
}

/// Refuses when the receipt is not as the person saw it.
pub fn still(receipt: &Receipt, expected: Option<i64>) -> Result<(), Refused> {
    match expected {
        Some(expected) if expected != receipt.version => Err(Refused::MovedOn {
            expected,
            now: receipt.version,
        }),
        _ => Ok(()),
    }
}

/// Allocates `lines` of `receipt` as a person asked.
pub fn allocate(
    receipt: &mut Receipt,
    lines: &[AllocateLine],
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AllocationLine>, Refused> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Refused::LineCount);
    }
    let mut checked: Vec<Line> = Vec::with_capacity(lines.len());
    let mut sum = Money::zero(receipt.unallocated.currency());
    for line in lines {
        let item = books
            .items
            .get(&line.document_id)
            .ok_or(Refused::NoDocument(line.document_id))?;
        if checked.iter().any(|c| c.document == item.id) {
            return Err(Refused::TwiceNamed(item.id));
        }
        let currency = |source| Refused::Currency {
            document_ref: item.document_ref.clone(),
            source,
        };
        let beyond = line
            .amount
            .abs()
            .checked_cmp(item.open.abs())
            .map_err(currency)?
            .is_gt();
        if beyond || line.amount.is_zero() || line.amount.is_negative() != item.open.is_negative() {
            return Err(Refused::MoreThanOpen {
                document_ref: item.document_ref.clone(),
                asked: line.amount.display_uk(),
                open: item.open.display_uk(),
            });
        }
        sum = sum.checked_add(line.amount).map_err(currency)?;
        checked.push(Line {
            document: item.id,
            amount: line.amount,
        });
    }
    if !sum.is_positive() {
        return Err(Refused::NoCash(sum.display_uk()));
    }
    if sum
        .checked_cmp(receipt.unallocated)
        .map_err(Refused::Sum)?
        .is_gt()
    {
        return Err(Refused::MoreThanLeft {
            asked: sum.display_uk(),
            left: receipt.unallocated.display_uk(),
        });
    }
    let posted = ledger::post(receipt, &checked, books, changes, because).map_err(Refused::Sum)?;
    receipt.version += 1;
    receipt.suggestions.clear();
    receipt.decision = by_hand(because);
    // What a person has shown once is known from then on: only ever a
    // suggestion's evidence, never a reason to post.
    if let (Some(bank), Some(account)) = (&receipt.payer_account, one_account(&posted)) {
        changes.learned.push(Learned {
            bank: bank.clone(),
            account,
            by: because.actor.to_owned(),
            seen_on: receipt.booked_on,
        });
    }
    Ok(posted)
}

fn one_account(lines: &[AllocationLine]) -> Option<AccountId> {
    let first = lines.first()?.account_id;
    lines
        .iter()
        .all(|line| line.account_id == first)
        .then_some(first)
}

/// Takes one allocation back.
pub fn undo(
    receipt: &mut Receipt,
    line: &AllocationLine,
    undone: bool,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AllocationLine>, Refused> {
    undo_all(receipt, &[(line, undone)], books, changes, because)
}

/// Takes allocations back, each with its contra, as one move: lines with a
/// credit note among them may not be taken apart one by one.
pub fn undo_all(
    receipt: &mut Receipt,
    lines: &[(&AllocationLine, bool)],
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AllocationLine>, Refused> {
    let Some((first, _)) = lines.first() else {
        return Err(Refused::LineCount);
    };
    if lines.len() > LINES_MAX {
        return Err(Refused::LineCount);
    }
    if lines.iter().any(|(line, _)| line.contra_of.is_some()) {
        return Err(Refused::IsContra);
    }
    if lines.iter().any(|(_, undone)| *undone) {
        return Err(Refused::AlreadyUndone);
    }
    let mut posted = Vec::with_capacity(lines.len());
    for (line, _) in lines {
        let contras = ledger::undo(receipt, line, books, changes, because);
        posted.extend(contras.map_err(Refused::Sum)?);
    }
    // What a credit note brought in cannot go back while it is used, nor can
    // more come back than the receipt ever had.
    let most = receipt.amount.checked_sub(receipt.paid_out);
    let beyond = receipt.unallocated.checked_cmp(most.map_err(Refused::Sum)?);
    if receipt.unallocated.is_negative() || beyond.map_err(Refused::Sum)?.is_gt() {
        return Err(Refused::UndoTogether {
            document_ref: first.document_ref.clone(),
        });
    }
    receipt.version += 1;
    receipt.decision = by_hand(because);
    Ok(posted)
}

/// Takes `lines` back as one move, and with them what was allowed without cash
/// because of them: the adjustments that are named, and those of the same
/// documents (E21). `standing` are the adjustments that came with the receipt.
///
/// # Errors
/// When there is nothing to take back, or a line of it does not stand.
pub fn undo_together(
    receipt: &mut Receipt,
    lines: &[(&AllocationLine, bool)],
    named: &[AdjustmentId],
    standing: &[AdjustmentLine],
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    let allowed: Vec<&AdjustmentLine> = standing
        .iter()
        .filter(|line| {
            named.contains(&line.adjustment_id)
                || lines
                    .iter()
                    .any(|(undone, _)| undone.document_id == line.document_id)
        })
        .collect();
    let mut moves = Moves::default();
    if lines.is_empty() {
        if allowed.is_empty() {
            return Err(Refused::NothingStands);
        }
        receipt.version += 1;
        receipt.decision = by_hand(because);
    } else {
        moves.lines = undo_all(receipt, lines, books, changes, because)?;
    }
    for line in allowed.into_iter().rev() {
        let contra = ledger::undo_adjustment(books, changes, line, Some(receipt.id), because);
        moves.adjustments.extend(contra.map_err(Refused::Sum)?);
    }
    Ok(moves)
}

/// A decision that a person has made.
pub fn by_hand(because: &Because<'_>) -> Decision {
    Decision::because(
        Rule::Manual,
        vec![Evidence {
            kind: "person".into(),
            supports: true,
            detail: format!("{}: {}", because.actor, because.reason),
        }],
    )
}
