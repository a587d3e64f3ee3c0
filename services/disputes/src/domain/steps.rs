//! What people do with a case, and what each step needs: opening in `open`,
//! settling in `settle`, splitting and merging in `regroup`.

mod open;
mod regroup;
mod settle;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::{
        controls::Person,
        disputes::{CaseStep, CreditLine},
    },
    disputes::{CaseState, Resolution},
};
use kernel::{AccountId, DocumentId, Money};

pub use open::{New, open};
pub use regroup::{merge, split};
pub use settle::{approved, ask_second, not_approved};

use self::{
    open::{fits, reason_of},
    settle::{confirm, reopen, resolve},
};
use super::{Case, Proposal, Refused, policy::Policy};

/// Letters of a name, a department or a line of a document.
const NAME_MAX: usize = 200;
const LINES_MAX: usize = 20;

/// A document that a case may be about.
#[derive(Debug, Clone)]
pub struct Item {
    pub document: DocumentId,
    pub document_ref: String,
    pub account: AccountId,
    pub account_ref: String,
    pub due_on: NaiveDate,
    pub is_credit: bool,
    /// What is owed of it and held by no other case.
    pub free: Money,
}

/// Documents by their id.
pub type Items = BTreeMap<DocumentId, Item>;

/// Who acts, when, and by which rules.
#[derive(Debug, Clone, Copy)]
pub struct Doing<'d> {
    pub policy: &'d Policy,
    pub person: &'d Person,
    pub reason: &'d str,
    pub now: DateTime<Utc>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// For the history and the fact.
    pub step: &'static str,
    pub detail: String,
    /// Billing is asked for these.
    pub credits: Vec<CreditLine>,
    /// What billing was asked for before is not wanted any more.
    pub cancelled: bool,
}

impl Done {
    fn said(step: &'static str, detail: impl Into<String>) -> Self {
        Self {
            step,
            detail: detail.into(),
            credits: Vec::new(),
            cancelled: false,
        }
    }
}

/// A name that was given, trimmed.
fn name(text: Option<&String>) -> Result<Option<String>, Refused> {
    let text = text.map(|text| text.trim()).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > NAME_MAX) {
        return Err(Refused::Text("a name has at most 200 characters"));
    }
    Ok(text.map(str::to_owned))
}

/// The right that a step needs.
pub fn right(step: &CaseStep, case: &Case) -> &'static str {
    match step {
        CaseStep::Confirm { .. } => "confirm",
        CaseStep::Clear => "clear",
        CaseStep::Assign { .. } => "assign",
        CaseStep::Classify { .. } => "classify",
        CaseStep::AwaitInternal { .. } => "await_internal",
        CaseStep::AwaitCustomer => "await_customer",
        CaseStep::Answer => "answer",
        CaseStep::Propose { .. } => "propose",
        CaseStep::Resolve { credits } if credits.is_empty() => "resolve_without_credit",
        CaseStep::Agree
            if case
                .proposal
                .as_ref()
                .is_some_and(|proposal| proposal.credits.is_empty()) =>
        {
            "resolve_without_credit"
        }
        CaseStep::Resolve { .. } | CaseStep::Agree => "resolve_with_credit",
        CaseStep::Withdraw => "withdraw",
        CaseStep::Reopen => "reopen",
        CaseStep::Close => "close",
        CaseStep::Protest { .. } => "protest",
        CaseStep::Split { .. } => "split",
        CaseStep::Merge { .. } => "merge",
        CaseStep::Link { .. } => "link",
        CaseStep::Comment => "comment",
        CaseStep::Attach { .. } => "attach",
    }
}

/// Takes a step that concerns this case alone. `items` are its documents, with
/// what is owed of each and held by no other case.
///
/// # Errors
/// When the case is in no state for it, or the step asks for what cannot be.
pub fn step(
    case: &mut Case,
    step: &CaseStep,
    doing: Doing<'_>,
    items: &Items,
) -> Result<Done, Refused> {
    let now = doing.now;
    match step {
        CaseStep::Confirm { reason_code, lines } => confirm(case, reason_code, lines, doing, items),
        CaseStep::Clear => {
            case.allow("cleared", &[CaseState::Suspected])?;
            case.release()?;
            case.resolution = Some(Resolution::Cleared);
            case.go(CaseState::Closed, now);
            Ok(Done::said("cleared", doing.reason))
        }
        CaseStep::Assign {
            coordinator,
            processor,
            responsible,
        } => {
            case.must_be_open("assigned")?;
            let mut said = Vec::new();
            for (place, given, what) in [
                (&mut case.coordinator, coordinator, "coordinator"),
                (&mut case.processor, processor, "processor"),
                (&mut case.responsible, responsible, "responsible"),
            ] {
                if let Some(who) = name(given.as_ref())? {
                    said.push(format!("{what} {who}"));
                    *place = Some(who);
                }
            }
            if said.is_empty() {
                return Err(Refused::Text(
                    "say who leads, works on it or answers for it",
                ));
            }
            if case.state == CaseState::Confirmed && case.processor.is_some() {
                case.go(CaseState::Assigned, now);
            }
            Ok(Done::said("assigned", with(&said.join(", "), doing.reason)))
        }
        CaseStep::Classify {
            reason_code,
            root_cause,
            preventable,
            department,
        } => {
            let mut said = Vec::new();
            if let Some(code) = name(reason_code.as_ref())? {
                let reason = reason_of(doing.policy, &code)?;
                fits(case.kind, reason)?;
                said.push(format!("reason {}", reason.words));
                case.reason_code = Some(code);
                case.department = Some(reason.department.to_owned());
            }
            if let Some(code) = name(root_cause.as_ref())? {
                let cause = doing
                    .policy
                    .root_cause(&code)
                    .ok_or_else(|| Refused::NoSuchCause(code.clone()))?;
                said.push(format!("root cause {}", cause.words));
                case.preventable = Some(cause.preventable);
                case.root_cause = Some(code);
            }
            if let Some(preventable) = preventable {
                let words = if *preventable {
                    "preventable"
                } else {
                    "not preventable"
                };
                said.push(words.to_owned());
                case.preventable = Some(*preventable);
            }
            if let Some(department) = name(department.as_ref())? {
                said.push(format!("department {department}"));
                case.department = Some(department);
            }
            if said.is_empty() {
                return Err(Refused::Text("say the reason, the cause or the department"));
            }
            Ok(Done::said(
                "classified",
                with(&said.join(", "), doing.reason),
            ))
        }
        CaseStep::AwaitInternal { from } => {
            case.allow("put to a department", WORKING)?;
            let from = name(from.as_ref())?
                .or_else(|| case.department.clone())
                .unwrap_or_else(|| "a department".to_owned());
            case.go(CaseState::AwaitingInternal, now);
            let detail = with(&format!("waits for {from}"), doing.reason);
            case.awaiting = Some(from);
            Ok(Done::said("awaiting_internal", detail))
        }
        CaseStep::AwaitCustomer => {
            case.allow("put to the customer", WORKING)?;
            case.go(CaseState::AwaitingCustomer, now);
            case.awaiting = Some("the customer".to_owned());
            Ok(Done::said("awaiting_customer", doing.reason))
        }
        CaseStep::Answer => {
            case.allow(
                "answered",
                &[CaseState::AwaitingInternal, CaseState::AwaitingCustomer],
            )?;
            let from = case.awaiting.take().unwrap_or_default();
            case.go(CaseState::Assigned, now);
            Ok(Done::said(
                "answered",
                with(&format!("answer of {from}"), doing.reason),
            ))
        }
        CaseStep::Propose { credits } => {
            case.allow("given a proposal", WORKING)?;
            let resolution = case.would_be(credits)?;
            case.go(CaseState::Proposed, now);
            case.proposal = Some(Proposal {
                credits: credits.clone(),
                resolution,
                words: doing.reason.to_owned(),
                by: doing.person.actor.clone(),
                at: now,
                approval: None,
            });
            Ok(Done::said(
                "proposed",
                with(&case.credit_words(resolution, credits)?, doing.reason),
            ))
        }
        CaseStep::Resolve { credits } => resolve(case, credits, doing),
        CaseStep::Agree => {
            case.allow("agreed to", &[CaseState::Proposed])?;
            if case.asked().is_some() {
                return Err(Refused::Asked);
            }
            let proposal = case.proposal.take().ok_or(Refused::NothingProposed)?;
            resolve(case, &proposal.credits, doing)
        }
        CaseStep::Withdraw => {
            case.must_be_open("withdrawn")?;
            case.release()?;
            case.resolution = Some(Resolution::Withdrawn);
            case.go(CaseState::Closed, now);
            Ok(Done::said("withdrawn", doing.reason))
        }
        CaseStep::Reopen => reopen(case, doing, items),
        CaseStep::Close => {
            case.allow("closed", &[CaseState::Resolved])?;
            if case.credit_due()?.is_positive() {
                return Err(Refused::CreditDue);
            }
            case.go(CaseState::Closed, now);
            Ok(Done::said("closed", doing.reason))
        }
        CaseStep::Protest { under_protest } => {
            case.must_be_open("marked")?;
            case.under_protest = *under_protest;
            let step = if *under_protest {
                "under_protest"
            } else {
                "not_under_protest"
            };
            Ok(Done::said(step, doing.reason))
        }
        CaseStep::Comment => Ok(Done::said("commented", doing.reason)),
        CaseStep::Attach { label, .. } => Ok(Done::said(
            "attached",
            with(&format!("“{}”", label.trim()), doing.reason),
        )),
        CaseStep::Link { .. } => Ok(Done::said("linked", doing.reason)),
        CaseStep::Split { .. } | CaseStep::Merge { .. } => {
            Err(Refused::Text("two cases are needed for this"))
        }
    }
}

/// States in which somebody works on a case.
const WORKING: &[CaseState] = &[
    CaseState::Assigned,
    CaseState::AwaitingInternal,
    CaseState::AwaitingCustomer,
    CaseState::Proposed,
];

fn with(said: &str, reason: &str) -> String {
    if reason.is_empty() {
        said.to_owned()
    } else {
        format!("{said}: {reason}")
    }
}

impl Case {
    fn allow(&self, step: &'static str, states: &[CaseState]) -> Result<(), Refused> {
        if states.contains(&self.state) {
            return Ok(());
        }
        if self.state == CaseState::Confirmed && states == WORKING {
            return Err(Refused::Unassigned);
        }
        Err(Refused::State {
            step,
            state: self.state,
        })
    }

    fn must_be_open(&self, step: &'static str) -> Result<(), Refused> {
        if self.is_open() {
            return Ok(());
        }
        Err(Refused::State {
            step,
            state: self.state,
        })
    }
}
