//! Four eyes: a request whose content is frozen, and who may decide it. Knows
//! nothing of what is asked for: the service that asked carries it out.

pub mod policy;
#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::controls::{Person, Verdict},
    controls::{
        ApprovalDecided, ApprovalId, ApprovalKind, ApprovalRequested, ApprovalState, CarriedOut,
        name_of, same_person,
    },
};
use kernel::{AccountId, Classified, Currency, ErrorClass, Money, london_date};
use uuid::Uuid;

/// People needed at most.
const PEOPLE_MAX: u8 = 2;

/// A request for a second person.
#[derive(Debug, Clone)]
pub struct Approval {
    pub id: ApprovalId,
    pub version: i64,
    pub kind: ApprovalKind,
    pub subject: Uuid,
    pub state: ApprovalState,
    pub title: String,
    pub amount: Money,
    pub account: Option<AccountId>,
    pub account_ref: Option<String>,
    /// Canonical JSON; `null` for requests of before worklist decided.
    pub content: String,
    pub content_sha256: String,
    pub needed: u8,
    pub requester: String,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decisions: Vec<Decision>,
    pub carried_out_at: Option<DateTime<Utc>>,
    pub ended_because: Option<String>,
}

/// What one person said.
#[derive(Debug, Clone)]
pub struct Decision {
    pub actor: String,
    pub roles: Vec<String>,
    pub verdict: Verdict,
    pub reason: String,
    /// The limit at that moment.
    pub limit: Option<Money>,
    pub at: DateTime<Utc>,
}

/// What a role may approve alone, from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub kind: ApprovalKind,
    pub role: String,
    pub amount: Money,
    pub valid_from: NaiveDate,
}

/// The limits in force: one per kind, role and currency.
#[derive(Debug, Clone, Default)]
pub struct Limits(pub Vec<Limit>);

impl Limits {
    /// The highest among these roles; none is no right.
    pub fn of(&self, kind: ApprovalKind, roles: &[String], currency: Currency) -> Option<Money> {
        self.0
            .iter()
            .filter(|limit| {
                limit.kind == kind
                    && limit.amount.currency() == currency
                    && roles.contains(&limit.role)
            })
            .map(|limit| limit.amount)
            .max_by_key(|amount| amount.amount())
    }

    /// Those of a kind and currency, the lowest first.
    pub fn policy(&self, kind: ApprovalKind, currency: Currency) -> Vec<Limit> {
        let mut found: Vec<Limit> = self
            .0
            .iter()
            .filter(|limit| limit.kind == kind && limit.amount.currency() == currency)
            .cloned()
            .collect();
        found.sort_by(|a, b| (a.amount.amount(), &a.role).cmp(&(b.amount.amount(), &b.role)));
        found
    }
}

/// Somebody who acts for another at present: by cover or delegation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActsFor {
    pub deputy: String,
    pub absent: String,
}

/// What counts at the moment of a decision.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    pub limits: Limits,
    pub acts_for: Vec<ActsFor>,
    /// Who has left: what they approved counts no longer (E102).
    pub left: Vec<String>,
}

impl Terms {
    /// Whether `one` acts for `other`, at whatever remove: a deputy of a deputy
    /// acts for the first too.
    pub fn acts_for(&self, one: &str, other: &str) -> bool {
        let other = name_of(other);
        let mut reached = vec![name_of(one)];
        let mut at = 0;
        while let Some(deputy) = reached.get(at).cloned() {
            for pair in &self.acts_for {
                let absent = name_of(&pair.absent);
                if name_of(&pair.deputy) == deputy && !reached.contains(&absent) {
                    reached.push(absent);
                }
            }
            at += 1;
        }
        reached.iter().skip(1).any(|name| *name == other)
    }
}

/// Why somebody may not decide.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("this request is {} already", .0.name())]
    Over(ApprovalState),
    #[error("this request has expired")]
    Expired,
    #[error("you asked for it yourself: another person must decide")]
    OwnRequest,
    #[error("you act for {0}, who asked for it: another person must decide")]
    ActsForRequester(String),
    #[error("you have decided it already: another person must decide too")]
    Twice,
    #[error("you act for {0}, who has decided it already: another person must decide too")]
    ActsForApprover(String),
    #[error("none of your roles may decide requests of this kind in {0}")]
    NoRight(Currency),
    #[error("{amount} is above your limit of {limit}")]
    AboveLimit { amount: String, limit: String },
    #[error("say why it is rejected")]
    NoReason,
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Over(_) => "worklist.approval_over",
            Self::Expired => "worklist.approval_expired",
            Self::OwnRequest => "worklist.own_request",
            Self::ActsForRequester(_) => "worklist.acts_for_requester",
            Self::Twice => "worklist.decided_already",
            Self::ActsForApprover(_) => "worklist.acts_for_approver",
            Self::NoRight(_) => "worklist.no_right_to_approve",
            Self::AboveLimit { .. } => "worklist.above_limit",
            Self::NoReason => "worklist.reason_needed",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoReason => ErrorClass::Permanent,
            _ => ErrorClass::Conflict,
        }
    }
}

/// What a service said of a request after it asked; it may come before the
/// request itself.
#[derive(Debug, Clone)]
pub enum Said {
    Withdrawn {
        actor: String,
        reason: String,
    },
    CarriedOut {
        outcome: CarriedOut,
        reason: Option<String>,
        at: DateTime<Utc>,
    },
}

/// What it came to that a service said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    /// It is carried out.
    Done,
    /// It is void.
    Over,
}

/// What a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another person must approve too.
    More,
    Approved,
    Rejected,
}

/// A request as its service made it. The hash is that of the content that came
/// with it.
pub fn requested(fact: &ApprovalRequested) -> Approval {
    let (content, content_sha256) = fact.content.as_ref().map_or_else(
        || ("null".to_owned(), fact.content_sha256.clone()),
        contracts::controls::frozen,
    );
    let policy = policy::people(fact.kind, fact.amount, london_date(fact.recorded_at));
    Approval {
        id: fact.approval_id,
        version: 1,
        kind: fact.kind,
        subject: fact.subject_id,
        state: ApprovalState::Pending,
        title: fact.title.clone(),
        amount: fact.amount.abs(),
        account: fact.account_id,
        account_ref: fact.account_ref.clone(),
        content,
        content_sha256,
        needed: fact.needed.max(policy).clamp(1, PEOPLE_MAX),
        requester: fact.requester.clone(),
        reason: fact.reason.clone(),
        requested_at: fact.recorded_at,
        expires_at: fact.expires_at,
        decisions: Vec::new(),
        carried_out_at: None,
        ended_because: None,
    }
}

impl Approval {
    /// Whether this person may decide at all; the limit that they have.
    ///
    /// # Errors
    /// Why not.
    pub fn may_decide(
        &self,
        person: &Person,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Result<Money, Refused> {
        if self.state != ApprovalState::Pending {
            return Err(Refused::Over(self.state));
        }
        if self.expires_at <= now {
            return Err(Refused::Expired);
        }
        if same_person(&self.requester, &person.actor) {
            return Err(Refused::OwnRequest);
        }
        if terms.acts_for(&person.actor, &self.requester) {
            return Err(Refused::ActsForRequester(name_of(&self.requester)));
        }
        for decision in &self.decisions {
            if same_person(&decision.actor, &person.actor) {
                return Err(Refused::Twice);
            }
            if terms.acts_for(&person.actor, &decision.actor) {
                return Err(Refused::ActsForApprover(name_of(&decision.actor)));
            }
        }
        let currency = self.amount.currency();
        terms
            .limits
            .of(self.kind, &person.roles, currency)
            .ok_or(Refused::NoRight(currency))
    }

    /// Whether this person may approve.
    ///
    /// # Errors
    /// Why not.
    pub fn may_approve(
        &self,
        person: &Person,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Result<Money, Refused> {
        let limit = self.may_decide(person, terms, now)?;
        if limit.amount() < self.amount.amount() {
            return Err(Refused::AboveLimit {
                amount: self.amount.display_uk(),
                limit: limit.display_uk(),
            });
        }
        Ok(limit)
    }

    /// Decides.
    ///
    /// # Errors
    /// When this person may not.
    pub fn decide(
        &mut self,
        person: &Person,
        verdict: Verdict,
        reason: &str,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Result<Outcome, Refused> {
        // Whoever may approve smaller ones may reject a larger one.
        let limit = match verdict {
            Verdict::Reject => self.may_decide(person, terms, now)?,
            Verdict::Approve => self.may_approve(person, terms, now)?,
        };
        if verdict == Verdict::Reject && reason.trim().is_empty() {
            return Err(Refused::NoReason);
        }
        self.version += 1;
        self.decisions.push(Decision {
            actor: person.actor.clone(),
            roles: person.roles.clone(),
            verdict,
            reason: reason.trim().to_owned(),
            limit: Some(limit),
            at: now,
        });
        if verdict == Verdict::Reject {
            self.state = ApprovalState::Rejected;
            return Ok(Outcome::Rejected);
        }
        if self.counting(terms) >= usize::from(self.needed) {
            self.state = ApprovalState::Approved;
            Ok(Outcome::Approved)
        } else {
            Ok(Outcome::More)
        }
    }

    /// How many approvals count: a limit that was lowered meanwhile takes one
    /// back, and so does that its giver left (E102).
    fn counting(&self, terms: &Terms) -> usize {
        self.decisions
            .iter()
            .filter(|decision| {
                let gone = terms
                    .left
                    .iter()
                    .any(|who| same_person(who, &decision.actor));
                !gone
                    && terms
                        .limits
                        .of(self.kind, &decision.roles, self.amount.currency())
                        .is_some_and(|limit| limit.amount() >= self.amount.amount())
            })
            .count()
    }

    /// Nobody decided in time.
    pub fn expire(&mut self) -> bool {
        self.end(ApprovalState::Expired, "nobody decided in time")
    }

    fn end(&mut self, state: ApprovalState, why: &str) -> bool {
        if self.state != ApprovalState::Pending {
            return false;
        }
        self.over(state, why);
        true
    }

    fn over(&mut self, state: ApprovalState, why: &str) {
        self.state = state;
        self.ended_because = Some(why.to_owned());
        self.version += 1;
    }

    /// Takes in what the service that asked said of it; said again, it changes
    /// nothing.
    pub fn hear(&mut self, said: &Said) -> Heard {
        let approved = self.state == ApprovalState::Approved && self.carried_out_at.is_none();
        match said {
            Said::CarriedOut {
                outcome: CarriedOut::Done,
                at,
                ..
            } if approved => {
                self.carried_out_at = Some(*at);
                self.version += 1;
                Heard::Done
            }
            Said::CarriedOut {
                outcome: CarriedOut::Voided,
                reason,
                ..
            } if approved => {
                let why = reason
                    .as_deref()
                    .unwrap_or("what was asked for has changed");
                self.over(ApprovalState::Voided, why);
                Heard::Over
            }
            Said::Withdrawn { reason, .. } if approved || self.state == ApprovalState::Pending => {
                self.over(ApprovalState::Voided, reason);
                Heard::Over
            }
            _ => Heard::Nothing,
        }
    }

    /// The fact about where it stands.
    pub fn told(&self, actor: &str, reason: &str, now: DateTime<Utc>) -> ApprovalDecided {
        ApprovalDecided {
            approval_id: self.id,
            version: self.version,
            kind: self.kind,
            subject_id: self.subject,
            state: self.state,
            amount: self.amount,
            account_id: self.account,
            account_ref: self.account_ref.clone(),
            content_sha256: self.content_sha256.clone(),
            requester: self.requester.clone(),
            actor: actor.to_owned(),
            reason: reason.to_owned(),
            recorded_at: now,
        }
    }
}
