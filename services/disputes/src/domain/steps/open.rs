//! Opening a case.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::CaseLine,
    disputes::{CaseId, CaseKind, CaseState},
};
use kernel::AccountId;
use uuid::Uuid;

use super::{Items, LINES_MAX, NAME_MAX, name};
use crate::domain::{
    Case, Origin, Part, Refused,
    case::PARTS_MAX,
    policy::{Policy, Reason},
};

/// What is new about a case.
#[derive(Debug)]
pub struct New<'n> {
    pub id: CaseId,
    pub case_ref: String,
    pub kind: CaseKind,
    pub account: AccountId,
    pub account_ref: String,
    /// Where there are no lines.
    pub currency: kernel::Currency,
    pub lines: &'n [CaseLine],
    pub reason_code: &'n str,
    pub raised_at: DateTime<Utc>,
    pub processor: Option<String>,
    pub origin: Origin,
    pub cause: Uuid,
}

/// The parts that lines say, each within what is free of its document.
pub(super) fn parts(lines: &[CaseLine], items: &Items) -> Result<Vec<Part>, Refused> {
    if lines.len() > PARTS_MAX {
        return Err(Refused::TooMany(PARTS_MAX));
    }
    let mut parts: Vec<Part> = Vec::with_capacity(lines.len());
    for line in lines {
        let item = items
            .get(&line.document_id)
            .ok_or_else(|| Refused::NotInCase(line.document_id.to_string()))?;
        if item.is_credit {
            return Err(Refused::NotOwed(item.document_ref.clone()));
        }
        let amount = line.amount.unwrap_or(item.free);
        if amount.checked_cmp(item.free)?.is_gt() {
            return Err(Refused::MoreThanOpen {
                document: item.document_ref.clone(),
                left: item.free.display_uk(),
            });
        }
        if !amount.is_positive() {
            return Err(Refused::NotPositive);
        }
        if line.lines.len() > LINES_MAX || line.lines.iter().any(|text| text.len() > NAME_MAX) {
            return Err(Refused::Text(
                "at most 20 lines of a document, of 200 characters each",
            ));
        }
        if parts.iter().any(|part| part.document == item.document) {
            return Err(Refused::Text("a document stands in a case once"));
        }
        parts.push(Part::new(
            item.document,
            item.document_ref.clone(),
            item.due_on,
            line.lines.clone(),
            amount,
        ));
    }
    Ok(parts)
}

pub(super) fn reason_of<'p>(policy: &'p Policy, code: &str) -> Result<&'p Reason, Refused> {
    policy
        .reason(code)
        .ok_or_else(|| Refused::NoSuchReason(code.to_owned()))
}

/// A complaint's reasons are its own; queries and disputes share theirs.
pub(super) fn fits(kind: CaseKind, reason: &Reason) -> Result<(), Refused> {
    if (kind == CaseKind::Complaint) == (reason.kind == CaseKind::Complaint) {
        return Ok(());
    }
    Err(Refused::OtherKind(reason.kind.name(), kind.name()))
}

/// Opens a case.
///
/// # Errors
/// When it is about nothing, or about more than is owed.
pub fn open(
    new: New<'_>,
    items: &Items,
    policy: &Policy,
    now: DateTime<Utc>,
) -> Result<Case, Refused> {
    let reason = reason_of(policy, new.reason_code)?;
    fits(new.kind, reason)?;
    let suspected = new.origin == Origin::Suspicion;
    if new.lines.is_empty() && new.kind != CaseKind::Complaint {
        return Err(Refused::NoDocument);
    }
    if items.values().any(|item| item.account != new.account) {
        return Err(Refused::Mixed);
    }
    let parts = parts(new.lines, items)?;
    let currency = parts
        .first()
        .map_or(new.currency, |part| part.original.currency());
    if parts
        .iter()
        .any(|part| part.original.currency() != currency)
    {
        return Err(Refused::Mixed);
    }
    let processor = name(new.processor.as_ref())?;
    let state = match (suspected, &processor) {
        (true, _) => CaseState::Suspected,
        (false, Some(_)) => CaseState::Assigned,
        (false, None) => CaseState::Confirmed,
    };
    Ok(Case {
        id: new.id,
        version: 1,
        case_ref: new.case_ref,
        kind: new.kind,
        state,
        since: now,
        raised_at: new.raised_at.min(now),
        account: new.account,
        account_ref: new.account_ref,
        currency,
        reason_code: Some(reason.code.to_owned()),
        root_cause: None,
        preventable: None,
        department: Some(reason.department.to_owned()),
        coordinator: None,
        processor,
        responsible: None,
        awaiting: None,
        resolution: None,
        under_protest: false,
        related: None,
        origin: new.origin,
        cause: new.cause,
        proposal: None,
        closed_at: None,
        parts,
    })
}
