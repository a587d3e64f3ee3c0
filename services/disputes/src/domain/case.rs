//! A case: whose it is, where it stands, and the amounts of its documents.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::disputes::CreditLine,
    controls::ApprovalId,
    disputes::{
        CaseChanged, CaseId, CaseItem, CaseKind, CaseState, CreditRequestId, CreditRequested,
        Resolution,
    },
};
use kernel::{AccountId, Currency, DocumentId, Money, MoneyError};
use serde_json::{Value, json};
use uuid::Uuid;

/// Documents of one case.
pub const PARTS_MAX: usize = 200;

/// Where a case came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Person,
    /// A payment whose remainder the matching rules say is disputed.
    ShortPayment,
    /// A returned payment whose code questions the debt.
    Return,
    /// Nothing explained an overdue item.
    Suspicion,
    /// Taken out of another case.
    Split,
}

impl Origin {
    pub const ALL: [Self; 5] = [
        Self::Person,
        Self::ShortPayment,
        Self::Return,
        Self::Suspicion,
        Self::Split,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::ShortPayment => "short_payment",
            Self::Return => "return",
            Self::Suspicion => "suspicion",
            Self::Split => "split",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// A document, or a part of one, in a case. `original` is always the sum of
/// what became of it and of what is still in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub document: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    /// Which lines of the document, in words.
    pub lines: Vec<String>,
    pub original: Money,
    /// What is still in question.
    pub disputed: Money,
    pub paid: Money,
    pub credited: Money,
    /// Settled without cash or credit note.
    pub cleared: Money,
    pub written_off: Money,
    /// Found to be owed: chased again.
    pub released: Money,
    /// Of `disputed`, what billing is asked to credit.
    pub credit_due: Money,
}

impl Part {
    pub fn new(
        document: DocumentId,
        document_ref: String,
        due_on: NaiveDate,
        lines: Vec<String>,
        amount: Money,
    ) -> Self {
        let zero = Money::zero(amount.currency());
        Self {
            document,
            document_ref,
            due_on,
            lines,
            original: amount,
            disputed: amount,
            paid: zero,
            credited: zero,
            cleared: zero,
            written_off: zero,
            released: zero,
            credit_due: zero,
        }
    }

    /// Whether every penny of it is in one place.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn adds_up(&self) -> Result<bool, MoneyError> {
        let places = [
            self.disputed,
            self.paid,
            self.credited,
            self.cleared,
            self.written_off,
            self.released,
        ];
        Ok(
            Money::sum(places, self.original.currency())? == self.original
                && places.iter().all(|amount| !amount.is_negative())
                && !self.credit_due.is_negative()
                && self.credit_due.checked_cmp(self.disputed)?.is_le(),
        )
    }
}

/// How it might be settled.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Proposal {
    pub credits: Vec<CreditLine>,
    pub resolution: Resolution,
    pub words: String,
    pub by: String,
    pub at: DateTime<Utc>,
    /// The request that a second person decides, while one is asked.
    #[serde(default)]
    pub approval: Option<ApprovalId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub id: CaseId,
    pub version: i64,
    pub case_ref: String,
    pub kind: CaseKind,
    pub state: CaseState,
    pub since: DateTime<Utc>,
    pub raised_at: DateTime<Utc>,
    pub account: AccountId,
    pub account_ref: String,
    pub currency: Currency,
    pub reason_code: Option<String>,
    pub root_cause: Option<String>,
    pub preventable: Option<bool>,
    pub department: Option<String>,
    pub coordinator: Option<String>,
    pub processor: Option<String>,
    pub responsible: Option<String>,
    /// Who must answer.
    pub awaiting: Option<String>,
    pub resolution: Option<Resolution>,
    pub under_protest: bool,
    pub related: Option<CaseId>,
    pub origin: Origin,
    /// What opened it.
    pub cause: Uuid,
    pub proposal: Option<Proposal>,
    pub closed_at: Option<DateTime<Utc>>,
    pub parts: Vec<Part>,
}

impl Case {
    /// Whether what is in question is not chased.
    pub fn holds(&self) -> bool {
        self.kind != CaseKind::Complaint
            && !matches!(self.state, CaseState::Suspected | CaseState::Closed)
    }

    /// Not settled yet.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, CaseState::Resolved | CaseState::Closed)
    }

    /// The request that a second person decides, while the case waits for it.
    pub fn asked(&self) -> Option<ApprovalId> {
        let proposal = self.proposal.as_ref()?;
        proposal
            .approval
            .filter(|_| self.state == CaseState::Proposed)
    }

    /// What a second person is asked: the credits with what they are credits of.
    /// When any of it is another, it is not what was approved.
    pub fn credit_content(&self, credits: &[CreditLine]) -> Value {
        let lines: Vec<Value> = self
            .parts
            .iter()
            .filter_map(|part| {
                let credit = credits
                    .iter()
                    .find(|credit| credit.document_id == part.document)?;
                Some(json!({
                    "document": part.document_ref,
                    "document_id": part.document,
                    "in_question": part.disputed.display_uk(),
                    "credit": credit.amount.display_uk(),
                }))
            })
            .collect();
        json!({
            "case": self.case_ref,
            "account": self.account_ref,
            "reason": self.reason_code,
            "credits": lines,
        })
    }

    /// What is in question now.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn in_question(&self) -> Result<Money, MoneyError> {
        Money::sum(self.parts.iter().map(|part| part.disputed), self.currency)
    }

    /// What billing is asked to credit and has not.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn credit_due(&self) -> Result<Money, MoneyError> {
        Money::sum(self.parts.iter().map(|part| part.credit_due), self.currency)
    }

    /// What is held back now.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn held(&self) -> Result<Money, MoneyError> {
        if self.holds() {
            self.in_question()
        } else {
            Ok(Money::zero(self.currency))
        }
    }

    /// Goes into a state; the time in it counts from `now` if it is another.
    pub fn go(&mut self, to: CaseState, now: DateTime<Utc>) {
        if self.state != to {
            self.state = to;
            self.since = now;
        }
        self.closed_at = (to == CaseState::Closed).then_some(now);
        if !matches!(
            to,
            CaseState::AwaitingInternal | CaseState::AwaitingCustomer
        ) {
            self.awaiting = None;
        }
        if to != CaseState::Proposed {
            self.proposal = None;
        }
    }

    /// The item as others see it.
    pub fn item(&self, part: &Part) -> CaseItem {
        CaseItem {
            document_id: part.document,
            document_ref: part.document_ref.clone(),
            due_on: part.due_on,
            original: part.original,
            disputed: if self.holds() {
                part.disputed
            } else {
                Money::zero(self.currency)
            },
            paid: part.paid,
            credited: part.credited,
            cleared: part.cleared,
            written_off: part.written_off,
        }
    }

    /// What billing is asked for: a credit for each line.
    pub fn requests(
        &self,
        credits: &[CreditLine],
        actor: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Vec<CreditRequested> {
        let mut asked = Vec::with_capacity(credits.len());
        for credit in credits {
            let part = self
                .parts
                .iter()
                .find(|part| part.document == credit.document_id);
            asked.extend(part.map(|part| CreditRequested {
                credit_request_id: CreditRequestId::generate(),
                case_id: self.id,
                case_ref: self.case_ref.clone(),
                account_id: self.account,
                account_ref: self.account_ref.clone(),
                document_id: part.document,
                document_ref: part.document_ref.clone(),
                amount: credit.amount,
                reason_code: self.reason_code.clone(),
                recorded_at: now,
                actor: actor.to_owned(),
                reason: reason.to_owned(),
            }));
        }
        asked
    }

    /// The fact about the case as it is now.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn changed(
        &self,
        from: Option<CaseState>,
        step: &str,
        told: Told<'_>,
    ) -> Result<CaseChanged, MoneyError> {
        Ok(CaseChanged {
            case_id: self.id,
            version: self.version,
            case_ref: self.case_ref.clone(),
            kind: self.kind,
            state: self.state,
            from,
            step: step.to_owned(),
            account_id: self.account,
            account_ref: self.account_ref.clone(),
            items: self.parts.iter().map(|part| self.item(part)).collect(),
            disputed: self.held()?,
            reason_code: self.reason_code.clone(),
            coordinator: self.coordinator.clone(),
            processor: self.processor.clone(),
            responsible: self.responsible.clone(),
            department: self.department.clone(),
            resolution: self.resolution,
            raised_at: self.raised_at,
            since: self.since,
            related: self.related,
            cause: Some(told.cause),
            recorded_at: told.at,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
        })
    }
}

/// Who says what, when and because of what.
#[derive(Debug, Clone, Copy)]
pub struct Told<'t> {
    pub cause: Uuid,
    pub at: DateTime<Utc>,
    pub actor: &'t str,
    pub reason: &'t str,
}
