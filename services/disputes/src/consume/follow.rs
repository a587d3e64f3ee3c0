//! Cases follow what moves on their documents.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::{
    allocation::DocumentPosted,
    disputes::{CaseId, CaseKind, CaseState, Resolution},
};
use kernel::{DocumentId, Money, MoneyError};
use messaging::Meta;

use super::SYSTEM;
use crate::{
    domain::{
        Case, Part,
        amounts::{self, Settled, Standing},
        movements::Moves,
        policy::Policy,
        steps::Item,
    },
    store::{cases::Noted, items::Known},
};

/// Everything that a batch may change of cases.
pub(super) struct Desk<'m> {
    pub(super) items: HashMap<DocumentId, Known>,
    /// The oldest first.
    cases: Vec<Case>,
    /// As they were.
    before: HashMap<CaseId, Case>,
    /// What happened to a case, and what made it happen.
    said: HashMap<CaseId, Vec<&'static str>>,
    words: HashMap<CaseId, Vec<String>>,
    causes: HashMap<CaseId, &'m Meta>,
}

/// Whether a case competes with others for what is owed of a document, and
/// follows what becomes of it.
fn shares(case: &Case) -> bool {
    case.holds()
        || (case.kind != CaseKind::Complaint
            && case.state == CaseState::Closed
            && case.resolution == Some(Resolution::Settled))
}

impl<'m> Desk<'m> {
    pub(super) fn new(items: HashMap<DocumentId, Known>, cases: Vec<Case>) -> Self {
        let before = cases.iter().map(|case| (case.id, case.clone())).collect();
        Self {
            items,
            cases,
            before,
            said: HashMap::new(),
            words: HashMap::new(),
            causes: HashMap::new(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.cases.is_empty()
    }

    /// A document of this batch may be disputed by it.
    pub(super) fn posted(&mut self, document: &DocumentPosted) {
        self.items
            .entry(document.document_id)
            .or_insert_with(|| Known {
                document: document.document_id,
                document_ref: document.document_ref.clone(),
                is_credit: document.kind.is_credit(),
                account: document.account_id,
                account_ref: document.account_ref.clone(),
                due_on: document.due_on,
                standing: Standing {
                    gross: document.amount,
                    settled: Settled::nothing(document.amount.currency()),
                    noted: Money::zero(document.amount.currency()),
                },
            });
    }

    /// Brings documents and the parts that are about them up to date.
    pub(super) fn moved(
        &mut self,
        moves: &Moves,
        causes: &HashMap<DocumentId, &'m Meta>,
    ) -> Result<(), MoneyError> {
        for (document, moved) in moves {
            let Some(item) = self.items.get_mut(document) else {
                continue;
            };
            item.standing = item.standing.after(moved)?;
            let owed = item.standing.owed()?;
            let mut together: Vec<&mut Part> = self
                .cases
                .iter_mut()
                .filter(|case| shares(case))
                .flat_map(|case| &mut case.parts)
                .filter(|part| part.document == *document)
                .collect();
            amounts::absorb(&mut together, owed, moved)?;
            // Suspicions and complaints hold nothing: each for itself.
            for case in &mut self.cases {
                if shares(case) || case.state == CaseState::Closed {
                    continue;
                }
                for part in case.parts.iter_mut().filter(|p| p.document == *document) {
                    amounts::absorb(&mut [part], owed, moved)?;
                }
            }
            if let Some(cause) = causes.get(document) {
                for case in &self.cases {
                    if case.parts.iter().any(|part| part.document == *document) {
                        self.causes.insert(case.id, *cause);
                    }
                }
            }
        }
        Ok(())
    }

    /// What is owed of a document and held by no case, with the document.
    pub(super) fn free(&self, document: DocumentId) -> Result<Option<Item>, MoneyError> {
        let Some(known) = self.items.get(&document) else {
            return Ok(None);
        };
        Ok(Some(item(known, &self.cases, None)?))
    }

    /// A credit note gives `given` of what was asked for. Tells how much of it
    /// was still in question.
    pub(super) fn credited(
        &mut self,
        case: CaseId,
        document: DocumentId,
        asked: Money,
        given: Money,
        words: String,
        cause: &'m Meta,
    ) -> Result<Option<Money>, MoneyError> {
        let part = self
            .cases
            .iter_mut()
            .filter(|one| one.id == case)
            .flat_map(|one| &mut one.parts)
            .find(|part| part.document == document);
        let Some(part) = part else {
            return Ok(None);
        };
        let credited = amounts::credit(part, asked, given)?;
        if let Some(item) = self.items.get_mut(&document) {
            item.standing.noted = item.standing.noted.checked_add(credited)?;
        }
        self.causes.insert(case, cause);
        self.said.entry(case).or_default().push("credited");
        self.words.entry(case).or_default().push(words);
        Ok(Some(credited))
    }

    /// Cases end themselves when nothing is left of them, and are back when
    /// what ended them was undone.
    pub(super) fn follow(&mut self, policy: &Policy, now: DateTime<Utc>) -> Result<(), MoneyError> {
        for case in &mut self.cases {
            if !self.causes.contains_key(&case.id) {
                continue;
            }
            let mut owed = Money::zero(case.currency);
            for part in &case.parts {
                if let Some(item) = self.items.get(&part.document) {
                    owed = owed.checked_add(item.standing.owed()?)?;
                }
            }
            let settles = case
                .reason_code
                .as_deref()
                .and_then(|code| policy.reason(code))
                .is_none_or(|reason| reason.payment_settles);
            if let Some(step) = amounts::follow(case, owed, settles, now)? {
                self.said.entry(case.id).or_default().push(step);
            }
        }
        Ok(())
    }

    /// A new case, opened by `cause`.
    pub(super) fn add(&mut self, case: Case, words: String, cause: &'m Meta) {
        self.causes.insert(case.id, cause);
        self.said.entry(case.id).or_default().push("opened");
        self.words.entry(case.id).or_default().push(words);
        self.cases.push(case);
    }

    /// Every case that is another now, as a step of it.
    pub(super) fn steps(self) -> Result<Vec<(Noted, &'m Meta)>, MoneyError> {
        let Self {
            cases,
            before,
            mut said,
            mut words,
            causes,
            ..
        } = self;
        let mut steps = Vec::new();
        for mut case in cases {
            let old = before.get(&case.id);
            if old == Some(&case) {
                continue;
            }
            let Some(cause) = causes.get(&case.id) else {
                continue;
            };
            let mut detail = words.remove(&case.id).unwrap_or_default();
            if let Some(old) = old {
                detail.extend(difference(old, &case)?);
                case.version += 1;
            }
            let said = said.remove(&case.id).unwrap_or_default();
            let step = said.last().copied().unwrap_or("amounts_moved");
            steps.push((
                Noted {
                    from: old.map(|old| old.state),
                    step: step.to_owned(),
                    detail: if detail.is_empty() {
                        step.replace('_', " ")
                    } else {
                        detail.join(", ")
                    },
                    actor: SYSTEM.to_owned(),
                    cause: cause.id,
                    case,
                },
                *cause,
            ));
        }
        Ok(steps)
    }
}

/// A document with what is owed of it and held by none of `cases` but `mine`.
pub(crate) fn item(
    known: &Known,
    cases: &[Case],
    mine: Option<CaseId>,
) -> Result<Item, MoneyError> {
    let mut free = known.standing.owed()?;
    let others = cases
        .iter()
        .filter(|case| case.holds() && Some(case.id) != mine);
    for part in others.flat_map(|case| &case.parts) {
        if part.document == known.document {
            free = free.checked_sub(part.disputed)?;
        }
    }
    if free.is_negative() {
        free = Money::zero(free.currency());
    }
    Ok(Item {
        document: known.document,
        document_ref: known.document_ref.clone(),
        account: known.account,
        account_ref: known.account_ref.clone(),
        due_on: known.due_on,
        is_credit: known.is_credit,
        free,
    })
}

/// One of the amounts of a part.
type Amount = fn(&Part) -> Money;

/// What moved, in words.
fn difference(old: &Case, new: &Case) -> Result<Vec<String>, MoneyError> {
    let sum = |case: &Case, of: Amount| Money::sum(case.parts.iter().map(of), case.currency);
    let mut words = Vec::new();
    let places: [(&str, Amount); 4] = [
        ("paid", |part| part.paid),
        ("credited", |part| part.credited),
        ("cleared", |part| part.cleared),
        ("written off", |part| part.written_off),
    ];
    for (name, of) in places {
        let moved = sum(new, of)?.checked_sub(sum(old, of)?)?;
        if moved.is_positive() {
            words.push(format!("{} {name}", moved.display_uk()));
        } else if moved.is_negative() {
            words.push(format!("{} {name} no more", moved.neg().display_uk()));
        }
    }
    Ok(words)
}
