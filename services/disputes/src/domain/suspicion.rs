//! A query that we suspect: nothing explains why an overdue item is not paid.
//! One suspicion for each account and currency, which the first contact
//! confirms or clears.

use chrono::{DateTime, Utc};
use contracts::disputes::{CaseState, Resolution};
use kernel::{DocumentId, MoneyError};

use super::{Case, Part, case::PARTS_MAX};

/// Adds an item to a suspicion. Tells whether there was room for it.
///
/// # Errors
/// When amounts overflow.
pub fn add(case: &mut Case, part: Part) -> Result<bool, MoneyError> {
    let full = case.parts.len() >= PARTS_MAX;
    match case.parts.iter_mut().find(|p| p.document == part.document) {
        // Explained once, and not any more.
        Some(known) => {
            let more = part.disputed.checked_sub(known.disputed)?;
            if !more.is_positive() {
                return Ok(false);
            }
            known.disputed = part.disputed;
            let back = super::amounts::least(known.released, more)?;
            known.released = known.released.checked_sub(back)?;
            known.original = known.original.checked_add(more.checked_sub(back)?)?;
            Ok(true)
        }
        None if !full => {
            case.parts.push(part);
            Ok(true)
        }
        None => Ok(false),
    }
}

/// Something explains these items now. Ends the suspicion when nothing of it is
/// left. Tells the step, if there was one.
///
/// # Errors
/// When amounts overflow.
pub fn explained(
    case: &mut Case,
    explained: &[DocumentId],
    now: DateTime<Utc>,
) -> Result<Option<&'static str>, MoneyError> {
    if case.state != CaseState::Suspected {
        return Ok(None);
    }
    let mut changed = false;
    for part in &mut case.parts {
        if explained.contains(&part.document) && part.disputed.is_positive() {
            part.released = part.released.checked_add(part.disputed)?;
            part.disputed = kernel::Money::zero(part.original.currency());
            changed = true;
        }
    }
    if !changed {
        return Ok(None);
    }
    if case.in_question()?.is_zero() {
        case.resolution = Some(Resolution::Cleared);
        case.go(CaseState::Closed, now);
        return Ok(Some("cleared"));
    }
    Ok(Some("amounts_moved"))
}
