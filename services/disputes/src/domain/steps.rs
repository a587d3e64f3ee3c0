//! What people do with a case, and what each step needs.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::{
        controls::Person,
        disputes::{CaseLine, CaseStep, CreditLine},
    },
    controls::ApprovalId,
    disputes::{CaseId, CaseKind, CaseState, Resolution},
};
use kernel::{AccountId, DocumentId, Money};
use uuid::Uuid;

use super::{
    Case, Origin, Part, Proposal, Refused,
    amounts::least,
    case::PARTS_MAX,
    policy::{Policy, Reason},
};

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
fn parts(lines: &[CaseLine], items: &Items) -> Result<Vec<Part>, Refused> {
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

fn reason_of<'p>(policy: &'p Policy, code: &str) -> Result<&'p Reason, Refused> {
    policy
        .reason(code)
        .ok_or_else(|| Refused::NoSuchReason(code.to_owned()))
}

/// A complaint's reasons are its own; queries and disputes share theirs.
fn fits(kind: CaseKind, reason: &Reason) -> Result<(), Refused> {
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

fn confirm(
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

fn resolve(case: &mut Case, credits: &[CreditLine], doing: Doing<'_>) -> Result<Done, Refused> {
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

fn reopen(case: &mut Case, doing: Doing<'_>, items: &Items) -> Result<Done, Refused> {
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

    /// Nothing of it is in question any more: it is owed.
    fn release(&mut self) -> Result<(), Refused> {
        for part in &mut self.parts {
            part.released = part.released.checked_add(part.disputed)?;
            part.disputed = Money::zero(part.original.currency());
            part.credit_due = Money::zero(part.original.currency());
        }
        Ok(())
    }

    /// What settling it with these credits would be.
    fn would_be(&self, credits: &[CreditLine]) -> Result<Resolution, Refused> {
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

    fn credit_words(
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
