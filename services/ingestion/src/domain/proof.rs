//! What a statement proves: that it adds up, and that it follows the one before.

use chrono::NaiveDate;
use kernel::Money;

use super::{
    line::{BankLine, LineStatus, Statement},
    problem::Problem,
};

/// Whether opening plus booked lines equals closing, and if not why.
/// `None` when a balance is missing.
pub(super) fn ties(
    opening: Option<Money>,
    closing: Option<Money>,
    lines: &[BankLine],
) -> Option<Result<(), Problem>> {
    let (opening, closing) = (opening?, closing?);
    if opening.currency() != closing.currency() {
        return Some(Err(Problem::new(
            "balance_currencies_differ",
            format!("the statement opens with {opening} and closes with {closing}"),
        )));
    }
    let booked = lines
        .iter()
        .filter(|line| line.status == LineStatus::Booked)
        .try_fold(Money::zero(opening.currency()), |sum, line| {
            sum.checked_add(line.signed())
        });
    let summed = match booked.and_then(|booked| Ok((booked, opening.checked_add(booked)?))) {
        Ok(summed) => summed,
        Err(error) => {
            return Some(Err(Problem::new(
                "balance_does_not_tie",
                format!("the booked lines cannot be summed: {error}"),
            )));
        }
    };
    let (booked, expected) = summed;
    if expected == closing {
        return Some(Ok(()));
    }
    let difference = closing
        .checked_sub(expected)
        .map_or_else(|error| error.to_string(), |by| by.to_string());
    Some(Err(Problem::new(
        "balance_does_not_tie",
        format!(
            "opening {opening} plus booked lines {booked} is {expected}, but closing is {closing}: {difference} apart"
        ),
    )))
}

/// What is remembered of a statement to prove the next one of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Previous {
    pub closing: Option<Money>,
    pub closes_on: Option<NaiveDate>,
    pub sequence: Option<u64>,
}

impl Previous {
    pub fn of(statement: &Statement) -> Self {
        Self {
            closing: statement.closing,
            closes_on: statement.closes_on.or(statement.to),
            sequence: statement.sequence,
        }
    }
}

/// How a statement follows the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuity {
    /// Opening equals the previous closing. `None` when that cannot be told: the
    /// first statement, or a balance missing.
    pub continues: Option<bool>,
    /// Why not, and what else looks odd; nothing is dropped because of it.
    pub problems: Vec<Problem>,
}

/// Compares a statement with the one before it on the same account. Pure: the
/// caller knows which one that is.
///
/// Days without a statement are no finding while the balances agree, since banks
/// send none for days on which nothing moved.
pub fn continuity(previous: Option<&Previous>, statement: &Statement) -> Continuity {
    let mut problems = Vec::new();
    let Some(previous) = previous else {
        return Continuity {
            continues: None,
            problems,
        };
    };
    let continues = match (previous.closing, statement.opening) {
        (Some(closing), Some(opening)) => Some(closing == opening),
        _ => None,
    };
    if let (Some(false), Some(closing), Some(opening)) =
        (continues, previous.closing, statement.opening)
    {
        problems.push(Problem::new(
            "opening_differs",
            match opening.checked_sub(closing) {
                Ok(gap) => format!(
                    "the statement opens with {opening}, but the one before closed with {closing}: {gap} is missing between them"
                ),
                Err(error) => format!(
                    "the statement opens with {opening}, but the one before closed with {closing}: {error}"
                ),
            },
        ));
        if let (Some(before), Some(now)) = (previous.closes_on, first_day(statement))
            && (now - before).num_days() > 1
        {
            problems.push(Problem::new(
                "days_missing",
                format!("no statement covers the days between {before} and {now}"),
            ));
        }
    }
    if let (Some(before), Some(now)) = (previous.sequence, statement.sequence)
        // Numbers start anew with the year, at 1 or 0.
        && now > 1
        && now != before + 1
    {
        problems.push(Problem::new(
            if now <= before {
                "sequence_repeats"
            } else {
                "sequence_gap"
            },
            format!("the statement has number {now}, the one before had {before}"),
        ));
    }
    if let (Some(before), Some(now)) = (previous.closes_on, statement.closes_on.or(statement.to))
        && now < before
    {
        problems.push(Problem::new(
            "earlier_than_previous",
            format!("the statement closes on {now}, the one before closed on {before}"),
        ));
    }
    Continuity {
        continues,
        problems,
    }
}

/// The first day that a statement covers. An opening balance is often dated with
/// the evening before, so the stated period is preferred.
fn first_day(statement: &Statement) -> Option<NaiveDate> {
    statement
        .from
        .or_else(|| statement.lines.iter().map(|line| line.booked_on).min())
        .or(statement.closes_on)
}
