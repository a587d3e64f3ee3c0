//! Confirming what is in question, settling it, and taking it up again.

use contracts::{
    api::disputes::{CaseLine, CreditLine},
    controls::ApprovalId,
    disputes::{CaseKind, CaseState, Resolution},
};
use kernel::Money;

use super::{
    Doing, Done, Items,
    open::{fits, parts, reason_of},
    with,
};
use crate::domain::{Case, Proposal, Refused, amounts::least};

/// The credits are more than one person may give: they stay a proposal until a
/// second person has decided.
///
/// # Errors
/// When they cannot be what settles the case.
pub fn ask_second(
    case: &mut Case,
    credits: &[CreditLine],
    approval: ApprovalId,
    doing: Doing<'_>,
) -> Result<Done, Refused> {
    let resolution = case.would_be(credits)?;
    let said = case.credit_words(resolution, credits)?;
    if case.state != CaseState::Proposed {
        case.go(CaseState::Proposed, doing.now);
    }
    case.proposal = Some(Proposal {
        credits: credits.to_vec(),
        resolution,
        words: doing.reason.to_owned(),
        by: doing.person.actor.clone(),
        at: doing.now,
        approval: Some(approval),
    });
    let said = format!("{said}, a second person is asked");
    Ok(Done::said("approval_asked", with(&said, doing.reason)))
}

/// A second person has approved what is proposed: it settles the case.
///
/// # Errors
/// When it cannot any more.
pub fn approved(case: &mut Case, doing: Doing<'_>) -> Result<Done, Refused> {
    let proposal = case.proposal.take().ok_or(Refused::NothingProposed)?;
    resolve(case, &proposal.credits, doing)
}

/// It was not approved, or cannot be: somebody works on the case again.
pub fn not_approved(case: &mut Case, doing: Doing<'_>) -> Done {
    case.proposal = None;
    case.go(CaseState::Assigned, doing.now);
    Done::said("credit_not_approved", doing.reason)
}

pub(super) fn confirm(
    case: &mut Case,
    reason_code: &str,
    lines: &[CaseLine],
    doing: Doing<'_>,
    items: &Items,
) -> Result<Done, Refused> {
    case.allow("confirmed", &[CaseState::Suspected])?;
    let reason = reason_of(doing.policy, reason_code)?;
    fits(case.kind, reason)?;
    let all: Vec<CaseLine>;
    let lines = if lines.is_empty() {
        // As far as it is still owed, and no dispute holds it meanwhile.
        all = case
            .parts
            .iter()
            .filter_map(|part| {
                let free = items.get(&part.document)?.free;
                let amount = least(part.disputed, free).ok()?;
                amount.is_positive().then(|| CaseLine {
                    document_id: part.document,
                    amount: Some(amount),
                    lines: part.lines.clone(),
                })
            })
            .collect();
        &all
    } else {
        lines
    };
    for line in lines {
        if !case.parts.iter().any(|p| p.document == line.document_id) {
            return Err(Refused::NotInCase(line.document_id.to_string()));
        }
    }
    let parts = parts(lines, items)?;
    if parts.is_empty() {
        return Err(Refused::NoDocument);
    }
    case.parts = parts;
    case.kind = reason.kind;
    case.reason_code = Some(reason.code.to_owned());
    case.department = Some(reason.department.to_owned());
    let to = if case.processor.is_some() {
        CaseState::Assigned
    } else {
        CaseState::Confirmed
    };
    case.go(to, doing.now);
    Ok(Done::said(
        "confirmed",
        with(
            &format!("{}, {}", reason.words, case.in_question()?.display_uk()),
            doing.reason,
        ),
    ))
}

pub(super) fn resolve(
    case: &mut Case,
    credits: &[CreditLine],
    doing: Doing<'_>,
) -> Result<Done, Refused> {
    if case.state == CaseState::Suspected {
        return Err(Refused::State {
            step: "settled before it is confirmed",
            state: case.state,
        });
    }
    case.must_be_open("settled")?;
    let resolution = case.would_be(credits)?;
    let said = case.credit_words(resolution, credits)?;
    for part in &mut case.parts {
        let credited: Vec<Money> = credits
            .iter()
            .filter(|credit| credit.document_id == part.document)
            .map(|credit| credit.amount)
            .collect();
        part.credit_due = Money::sum(credited, part.original.currency())?;
        let owed = part.disputed.checked_sub(part.credit_due)?;
        part.released = part.released.checked_add(owed)?;
        part.disputed = part.credit_due;
    }
    case.resolution = Some(resolution);
    case.go(CaseState::Resolved, doing.now);
    let step = match resolution {
        Resolution::Upheld => "upheld",
        Resolution::Part => "part_upheld",
        _ => "rejected",
    };
    Ok(Done {
        credits: credits.to_vec(),
        ..Done::said(step, with(&said, doing.reason))
    })
}

pub(super) fn reopen(case: &mut Case, doing: Doing<'_>, items: &Items) -> Result<Done, Refused> {
    case.allow("opened again", &[CaseState::Resolved, CaseState::Closed])?;
    if case.parts.is_empty() && case.kind != CaseKind::Complaint {
        // Merged into another case, which goes on.
        return Err(Refused::NoDocument);
    }
    let cancelled = case.credit_due()?.is_positive();
    for part in &mut case.parts {
        part.credit_due = Money::zero(part.original.currency());
        let free = items
            .get(&part.document)
            .map_or(Money::zero(case.currency), |item| item.free);
        // `free` counts what this case holds of the document as free.
        let room = free.checked_sub(least(free, part.disputed)?)?;
        let again = least(part.released, room)?;
        part.released = part.released.checked_sub(again)?;
        part.disputed = part.disputed.checked_add(again)?;
    }
    case.resolution = None;
    case.related = None;
    let to = if case.processor.is_some() {
        CaseState::Assigned
    } else {
        CaseState::Confirmed
    };
    case.go(to, doing.now);
    Ok(Done {
        cancelled,
        ..Done::said("reopened", doing.reason)
    })
}

impl Case {
    /// Nothing of it is in question any more: it is owed.
    pub(super) fn release(&mut self) -> Result<(), Refused> {
        for part in &mut self.parts {
            part.released = part.released.checked_add(part.disputed)?;
            part.disputed = Money::zero(part.original.currency());
            part.credit_due = Money::zero(part.original.currency());
        }
        Ok(())
    }

    /// What settling it with these credits would be.
    pub(super) fn would_be(&self, credits: &[CreditLine]) -> Result<Resolution, Refused> {
        if self.kind == CaseKind::Complaint && !credits.is_empty() {
            return Err(Refused::Complaint);
        }
        let mut all = Money::zero(self.currency);
        for (n, credit) in credits.iter().enumerate() {
            let part = self
                .parts
                .iter()
                .find(|part| part.document == credit.document_id)
                .ok_or_else(|| Refused::NotInCase(credit.document_id.to_string()))?;
            if !credit.amount.is_positive() {
                return Err(Refused::NotPositive);
            }
            let twice = credits
                .iter()
                .take(n)
                .any(|other| other.document_id == credit.document_id);
            if twice {
                return Err(Refused::Text("a document is credited once"));
            }
            if credit.amount.checked_cmp(part.disputed)?.is_gt() {
                return Err(Refused::MoreThanDisputed {
                    document: part.document_ref.clone(),
                    left: part.disputed.display_uk(),
                });
            }
            all = all.checked_add(credit.amount)?;
        }
        Ok(if all.is_zero() {
            Resolution::Rejected
        } else if all == self.in_question()? {
            Resolution::Upheld
        } else {
            Resolution::Part
        })
    }

    pub(super) fn credit_words(
        &self,
        resolution: Resolution,
        credits: &[CreditLine],
    ) -> Result<String, Refused> {
        let all = Money::sum(credits.iter().map(|credit| credit.amount), self.currency)?;
        let rest = self.in_question()?.checked_sub(all)?;
        Ok(match resolution {
            Resolution::Upheld => format!("credit {}", all.display_uk()),
            Resolution::Part => {
                format!("credit {}, {} is owed", all.display_uk(), rest.display_uk())
            }
            _ if self.kind == CaseKind::Complaint => "answered".to_owned(),
            _ => format!("{} is owed", rest.display_uk()),
        })
    }
}
