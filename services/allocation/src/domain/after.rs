//! What a person may do with money after it was matched: move it to another document, say whose it is, keep it on account, and
//! let credit notes meet invoices.

use contracts::{
    allocation::{AdjustmentKind, AdjustmentLine, AllocationLine, Decision, OutflowKind, Rule},
    api::returns::OffsetLine,
};
use kernel::{AccountId, AllocationId, Classified, DocumentId, ErrorClass, Money, MoneyError};

use super::{
    evidence::say,
    ledger::{self, Adjust, Because, Books, Changes, Held, Line, Moves, Receipt},
    legal,
    returns::{self, Standing, TakeBack},
};

/// Lines of one offset at most.
const LINES_MAX: usize = 200;

/// Why a person's command is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this allocation has been undone already")]
    AlreadyUndone,
    #[error("a line that uses up a credit note cannot be moved alone")]
    CreditNote,
    #[error("the allocation is on this document already")]
    SameDocument,
    #[error("document {0} is not on the ledger")]
    NoDocument(DocumentId),
    #[error("account {0} is not on the ledger")]
    NoAccount(AccountId),
    #[error("document {document_ref} is another account's")]
    OtherAccount { document_ref: String },
    #[error("document {0} stands in more than one line")]
    TwiceNamed(DocumentId),
    #[error("{asked} cannot go to {document_ref}: {open} is open")]
    MoreThanOpen {
        document_ref: String,
        asked: String,
        open: String,
    },
    #[error("{asked} is not between nothing and {most}")]
    OutOfRange { asked: String, most: String },
    #[error("nothing is left of the receipt")]
    NothingLeft,
    #[error("nobody knows yet whose money it is: transfer it to an account first")]
    Unidentified,
    #[error("the receipt is no possible duplicate")]
    NoDuplicate,
    #[error("an offset needs between 2 and {LINES_MAX} lines")]
    LineCount,
    #[error("the lines come to {0}; an offset moves no cash and comes to nothing")]
    NotNil(String),
    #[error(transparent)]
    Client(#[from] legal::Refused),
    #[error("the amounts are in different currencies, or cannot be added up")]
    Sum(#[from] MoneyError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyUndone => "allocation.already_undone",
            Self::CreditNote => "allocation.credit_note_line",
            Self::SameDocument => "allocation.same_document",
            Self::NoDocument(_) => "allocation.no_document",
            Self::NoAccount(_) => "allocation.no_account",
            Self::OtherAccount { .. } => "allocation.other_account",
            Self::TwiceNamed(_) => "allocation.document_twice",
            Self::MoreThanOpen { .. } => "allocation.more_than_open",
            Self::OutOfRange { .. } => "allocation.amount_out_of_range",
            Self::NothingLeft => "allocation.nothing_left",
            Self::Unidentified => "allocation.unidentified",
            Self::NoDuplicate => "allocation.no_duplicate",
            Self::LineCount => "allocation.line_count",
            Self::NotNil(_) => "allocation.offset_not_nil",
            Self::Client(refused) => refused.code(),
            Self::Sum(_) => "allocation.sum",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            // Somebody else was quicker: looking again helps.
            Self::AlreadyUndone
            | Self::MoreThanOpen { .. }
            | Self::NothingLeft
            | Self::NoDuplicate => ErrorClass::Conflict,
            Self::Client(refused) => refused.class(),
            _ => ErrorClass::Permanent,
        }
    }
}

/// Lets `amount` of an allocation pay `to` instead.
///
/// # Errors
/// When the allocation does not stand or the document does not take so much.
#[expect(
    clippy::too_many_arguments,
    reason = "one command's words and its books"
)]
pub fn move_allocation(
    receipt: &mut Receipt,
    standing: &Standing,
    allocation: AllocationId,
    to: DocumentId,
    amount: Option<Money>,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    let line = standing
        .lines
        .iter()
        .find(|line| line.allocation_id == allocation)
        .ok_or(Refused::AlreadyUndone)?;
    if !line.amount.is_positive() {
        return Err(Refused::CreditNote);
    }
    if line.document_id == to {
        return Err(Refused::SameDocument);
    }
    let amount = amount.unwrap_or(line.amount);
    if !amount.is_positive() || amount.checked_cmp(line.amount)?.is_gt() {
        return Err(Refused::OutOfRange {
            asked: amount.display_uk(),
            most: line.amount.display_uk(),
        });
    }
    takes(to, amount, books)?;
    let mut moves = Moves::of(ledger::undo(receipt, line, books, changes, because)?);
    let because = after(because, &moves.lines);
    let rest = line.amount.checked_sub(amount)?;
    let mut lines = vec![Line {
        document: to,
        amount,
    }];
    if rest.is_positive() {
        lines.push(Line {
            document: line.document_id,
            amount: rest,
        });
    }
    moves
        .lines
        .extend(ledger::post(receipt, &lines, books, changes, &because)?);
    decided(receipt, &because);
    Ok(moves)
}

/// The same reasons, not counting before `lines` do.
fn after<'a>(because: &Because<'a>, lines: &[AllocationLine]) -> Because<'a> {
    Because {
        not_before: lines
            .iter()
            .map(|line| line.effective_on)
            .fold(because.not_before, chrono::NaiveDate::max),
        ..*because
    }
}

fn takes(document: DocumentId, amount: Money, books: &Books) -> Result<(), Refused> {
    let item = books
        .items
        .get(&document)
        .ok_or(Refused::NoDocument(document))?;
    let more = amount.abs().checked_cmp(item.open.abs())?.is_gt();
    if more || amount.is_zero() || amount.is_negative() != item.open.is_negative() {
        return Err(Refused::MoreThanOpen {
            document_ref: item.document_ref.clone(),
            asked: amount.display_uk(),
            open: item.open.display_uk(),
        });
    }
    Ok(())
}

/// Says whose a receipt's unallocated money is.
///
/// # Errors
/// When nothing is left of it.
pub fn transfer(
    receipt: &mut Receipt,
    account: Option<(AccountId, String)>,
    on_account: bool,
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    if !receipt.unallocated.is_positive() {
        return Err(Refused::NothingLeft);
    }
    let (id, reference) = account
        .or_else(|| receipt.account.zip(receipt.account_ref.clone()))
        .ok_or(Refused::Unidentified)?;
    receipt.account = Some(id);
    receipt.account_ref = Some(reference);
    receipt.detail.held = on_account.then_some(Held::OnAccount);
    decided(receipt, because);
    Ok(Moves::default())
}

/// Says whether a possible duplicate is one. Either way a person has decided:
/// nothing is posted by itself afterwards.
///
/// # Errors
/// When it is none, or nothing is left of it.
pub fn settle_duplicate(
    receipt: &mut Receipt,
    duplicate: bool,
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    let Some(Held::PossibleDuplicate(twin) | Held::Duplicate(twin)) = receipt.detail.held else {
        return Err(Refused::NoDuplicate);
    };
    receipt.detail.held = duplicate.then_some(Held::Duplicate(twin));
    decided(receipt, because);
    Ok(Moves::default())
}

/// Takes a payment back because a person says that it did not stay (E42).
///
/// # Errors
/// When more is asked for than is left of the receipt.
pub fn take_back(
    receipt: &mut Receipt,
    standing: &Standing,
    amount: Option<Money>,
    what: impl FnOnce(Money) -> TakeBack,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<(Moves, contracts::allocation::Returned), Refused> {
    let client = standing
        .outflows
        .iter()
        .filter(|line| line.kind == OutflowKind::ClientLedger)
        .map(|line| line.amount);
    // What went to a client ledger can be taken back too (E94).
    let kept = receipt
        .amount
        .checked_sub(receipt.paid_out)?
        .checked_add(Money::sum(client, receipt.amount.currency())?)?;
    if !kept.is_positive() {
        return Err(Refused::NothingLeft);
    }
    let amount = amount.unwrap_or(kept);
    if !amount.is_positive() || amount.checked_cmp(kept)?.is_gt() {
        return Err(Refused::OutOfRange {
            asked: amount.display_uk(),
            most: kept.display_uk(),
        });
    }
    let what = what(amount);
    Ok(returns::take_back(
        receipt, standing, &what, books, changes, because,
    )?)
}

/// Lets credit notes of an account meet its invoices (E14).
///
/// # Errors
/// When a line is another account's, is more than is open, or the lines do not
/// come to nothing.
pub fn offset(
    account: AccountId,
    lines: &[OffsetLine],
    cause: uuid::Uuid,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AdjustmentLine>, Refused> {
    if lines.len() < 2 || lines.len() > LINES_MAX {
        return Err(Refused::LineCount);
    }
    let mut sum: Option<Money> = None;
    for (at, line) in lines.iter().enumerate() {
        let document = line.document_id;
        let item = books
            .items
            .get(&document)
            .ok_or(Refused::NoDocument(document))?;
        if item.account_id != account {
            return Err(Refused::OtherAccount {
                document_ref: item.document_ref.clone(),
            });
        }
        if lines
            .iter()
            .take(at)
            .any(|other| other.document_id == document)
        {
            return Err(Refused::TwiceNamed(document));
        }
        takes(document, line.amount, books)?;
        sum = Some(match sum {
            Some(sum) => sum.checked_add(line.amount)?,
            None => line.amount,
        });
    }
    if let Some(sum) = sum.filter(|sum| !sum.is_zero()) {
        return Err(Refused::NotNil(sum.display_uk()));
    }
    // All of it counts from one day: in between the account would owe another
    // sum than it does.
    let from = lines
        .iter()
        .filter_map(|line| books.items.get(&line.document_id))
        .map(|item| item.issued_on)
        .fold(because.not_before, chrono::NaiveDate::max);
    let because = Because {
        not_before: from,
        ..*because
    };
    let mut made = Vec::with_capacity(lines.len());
    for line in lines {
        let what = Adjust {
            document: line.document_id,
            amount: line.amount,
            kind: AdjustmentKind::Offset,
            receipt: None,
            cause: Some(cause),
            contra_of: None,
        };
        made.extend(ledger::adjust(books, changes, &what, &because)?);
    }
    Ok(made)
}

fn decided(receipt: &mut Receipt, because: &Because<'_>) {
    receipt.version += 1;
    receipt.suggestions.clear();
    receipt.decision = Decision::because(
        Rule::Manual,
        vec![say(
            "person",
            true,
            format!("{}: {}", because.actor, because.reason),
        )],
    );
}
