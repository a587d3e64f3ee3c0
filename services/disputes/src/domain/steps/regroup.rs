//! Two cases out of one, and one out of two.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::CaseLine,
    disputes::{CaseId, CaseKind, CaseState},
};
use uuid::Uuid;

use super::LINES_MAX;
use crate::domain::{Case, Origin, Part, Refused, case::PARTS_MAX};

/// Takes parts, or amounts of parts, out of a case into a new one, which stands
/// where the old one stands.
///
/// # Errors
/// When nothing would go, or nothing would stay.
pub fn split(
    case: &mut Case,
    lines: &[CaseLine],
    id: CaseId,
    case_ref: String,
    cause: Uuid,
    now: DateTime<Utc>,
) -> Result<Case, Refused> {
    case.must_be_open("split")?;
    let mut taken: Vec<Part> = Vec::new();
    for line in lines {
        let part = case
            .parts
            .iter_mut()
            .find(|part| part.document == line.document_id)
            .ok_or_else(|| Refused::NotInCase(line.document_id.to_string()))?;
        let amount = line.amount.unwrap_or(part.disputed);
        if !amount.is_positive() {
            return Err(Refused::NotPositive);
        }
        if amount.checked_cmp(part.disputed)?.is_gt() {
            return Err(Refused::MoreThanDisputed {
                document: part.document_ref.clone(),
                left: part.disputed.display_uk(),
            });
        }
        part.original = part.original.checked_sub(amount)?;
        part.disputed = part.disputed.checked_sub(amount)?;
        taken.push(Part::new(
            part.document,
            part.document_ref.clone(),
            part.due_on,
            line.lines.clone(),
            amount,
        ));
    }
    case.parts.retain(|part| !part.original.is_zero());
    if taken.is_empty() || case.parts.is_empty() {
        return Err(Refused::NothingSplit);
    }
    let mut new = case.clone();
    new.id = id;
    new.case_ref = case_ref;
    new.version = 1;
    new.origin = Origin::Split;
    new.cause = cause;
    new.related = Some(case.id);
    new.parts = taken;
    new.under_protest = false;
    new.proposal = None;
    if new.state == CaseState::Proposed {
        new.go(CaseState::Assigned, now);
    }
    // What was proposed was about other amounts.
    if case.state == CaseState::Proposed {
        case.go(CaseState::Assigned, now);
    }
    Ok(new)
}

/// `other` is the same matter: all that it is about goes into `case`.
///
/// # Errors
/// When they are not of one account, currency and kind, or not both open.
pub fn merge(case: &mut Case, other: &mut Case, now: DateTime<Utc>) -> Result<(), Refused> {
    if case.id == other.id {
        return Err(Refused::Itself);
    }
    case.must_be_open("merged")?;
    other.must_be_open("merged")?;
    let both_hold = case.holds() == other.holds();
    let same_kind = (case.kind == CaseKind::Complaint) == (other.kind == CaseKind::Complaint);
    if case.account != other.account || case.currency != other.currency || !both_hold || !same_kind
    {
        return Err(Refused::Mixed);
    }
    for part in std::mem::take(&mut other.parts) {
        match case.parts.iter_mut().find(|p| p.document == part.document) {
            Some(mine) => {
                for (mine, more) in [
                    (&mut mine.original, part.original),
                    (&mut mine.disputed, part.disputed),
                    (&mut mine.paid, part.paid),
                    (&mut mine.credited, part.credited),
                    (&mut mine.cleared, part.cleared),
                    (&mut mine.written_off, part.written_off),
                    (&mut mine.released, part.released),
                    (&mut mine.credit_due, part.credit_due),
                ] {
                    *mine = mine.checked_add(more)?;
                }
                mine.lines.extend(part.lines);
                mine.lines.truncate(LINES_MAX);
            }
            None => case.parts.push(part),
        }
    }
    if case.parts.len() > PARTS_MAX {
        return Err(Refused::TooMany(PARTS_MAX));
    }
    case.raised_at = case.raised_at.min(other.raised_at);
    if case.state == CaseState::Proposed {
        case.go(CaseState::Assigned, now);
    }
    other.related = Some(case.id);
    other.go(CaseState::Closed, now);
    Ok(())
}
