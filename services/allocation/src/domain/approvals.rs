//! Four eyes: a request whose content is frozen, and who may decide it. Knows
//! nothing of what is asked for, so that another service can take it over.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    api::controls::{Difference, Person, Verdict},
    controls::{ApprovalId, ApprovalKind, ApprovalState},
};
use kernel::{AccountId, Classified, Currency, ErrorClass, Money};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A request that nobody decides in this time is over.
pub const PENDING_FOR: TimeDelta = TimeDelta::days(14);

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
    /// Canonical JSON.
    pub content: String,
    pub content_sha256: String,
    pub needed: u8,
    pub requester: String,
    pub reason: String,
    pub requested_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decisions: Vec<Decision>,
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
    #[error("you have decided it already: another person must decide too")]
    Twice,
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
            Self::Over(_) => "allocation.approval_over",
            Self::Expired => "allocation.approval_expired",
            Self::OwnRequest => "allocation.own_request",
            Self::Twice => "allocation.decided_already",
            Self::NoRight(_) => "allocation.no_right_to_approve",
            Self::AboveLimit { .. } => "allocation.above_limit",
            Self::NoReason => "allocation.reason_needed",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoReason => ErrorClass::Permanent,
            _ => ErrorClass::Conflict,
        }
    }
}

/// What a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Another person must approve too.
    More,
    /// To be carried out now.
    Approved,
    Rejected,
    /// What was asked for is not what is there now.
    Voided,
}

/// `content` as canonical JSON (keys sorted, no spaces) and its SHA-256.
pub fn frozen(content: &Value) -> (String, String) {
    let mut text = String::new();
    write_canonical(content, &mut text);
    let sha256 = hex::encode(Sha256::digest(&text));
    (text, sha256)
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                // Writing to a string cannot fail.
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_canonical(&members[key.as_str()], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

/// Where `now` differs from `then`, leaf by leaf.
pub fn differences(then: &Value, now: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(then), Some(now), &mut found);
    found
}

fn compare(at: &str, then: Option<&Value>, now: Option<&Value>, found: &mut Vec<Difference>) {
    if then == now {
        return;
    }
    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
    if let (Some(a), Some(b)) = (members(then), members(now)) {
        let more = b.keys().filter(|key| !a.contains_key(*key));
        for key in a.keys().chain(more) {
            compare(&format!("{at}/{key}"), a.get(key), b.get(key), found);
        }
    } else if let (Some(a), Some(b)) = (items(then), items(now)) {
        for index in 0..a.len().max(b.len()) {
            compare(&format!("{at}/{index}"), a.get(index), b.get(index), found);
        }
    } else {
        let text = |value: Option<&Value>| {
            value.map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
        };
        found.push(Difference {
            pointer: at.to_owned(),
            then: text(then),
            now: text(now),
        });
    }
}

/// What is asked for, by whom and why.
pub struct Ask {
    pub kind: ApprovalKind,
    pub subject: Uuid,
    pub title: String,
    pub amount: Money,
    pub account: Option<AccountId>,
    pub account_ref: Option<String>,
    pub content: Value,
    pub needed: u8,
    pub reason: String,
}

/// Freezes what is asked for.
pub fn request(ask: Ask, requester: &str, now: DateTime<Utc>) -> Approval {
    let (content, content_sha256) = frozen(&ask.content);
    Approval {
        id: ApprovalId::generate(),
        version: 1,
        kind: ask.kind,
        subject: ask.subject,
        state: ApprovalState::Pending,
        title: ask.title,
        amount: ask.amount.abs(),
        account: ask.account,
        account_ref: ask.account_ref,
        content,
        content_sha256,
        needed: ask.needed.clamp(1, 2),
        requester: requester.to_owned(),
        reason: ask.reason,
        requested_at: now,
        expires_at: now + PENDING_FOR,
        decisions: Vec::new(),
    }
}

/// One person, however they write their name.
pub fn same_person(one: &str, other: &str) -> bool {
    one.trim().eq_ignore_ascii_case(other.trim())
}

impl Approval {
    /// Whether this person may decide at all; the limit that they have.
    ///
    /// # Errors
    /// Why not.
    pub fn may_decide(
        &self,
        person: &Person,
        limits: &Limits,
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
        if self
            .decisions
            .iter()
            .any(|decision| same_person(&decision.actor, &person.actor))
        {
            return Err(Refused::Twice);
        }
        let currency = self.amount.currency();
        limits
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
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<Money, Refused> {
        let limit = self.may_decide(person, limits, now)?;
        if limit.amount() < self.amount.amount() {
            return Err(Refused::AboveLimit {
                amount: self.amount.display_uk(),
                limit: limit.display_uk(),
            });
        }
        Ok(limit)
    }

    /// Decides. `sha256_now` is the hash of the content as it is at this moment.
    ///
    /// # Errors
    /// When this person may not.
    pub fn decide(
        &mut self,
        person: &Person,
        verdict: Verdict,
        reason: &str,
        sha256_now: &str,
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<Outcome, Refused> {
        // Whoever may approve smaller ones may reject a larger one.
        let limit = match verdict {
            Verdict::Reject => self.may_decide(person, limits, now)?,
            Verdict::Approve => self.may_approve(person, limits, now)?,
        };
        if verdict == Verdict::Reject && reason.trim().is_empty() {
            return Err(Refused::NoReason);
        }
        self.version += 1;
        if verdict == Verdict::Approve && sha256_now != self.content_sha256 {
            self.state = ApprovalState::Voided;
            return Ok(Outcome::Voided);
        }
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
        // A limit that was lowered meanwhile takes the first approval back (E102).
        let counting = self
            .decisions
            .iter()
            .filter(|decision| {
                limits
                    .of(self.kind, &decision.roles, self.amount.currency())
                    .is_some_and(|limit| limit.amount() >= self.amount.amount())
            })
            .count();
        if counting >= usize::from(self.needed) {
            self.state = ApprovalState::Approved;
            Ok(Outcome::Approved)
        } else {
            Ok(Outcome::More)
        }
    }

    /// Ends a pending request in another way.
    pub fn end(&mut self, state: ApprovalState) {
        if self.state == ApprovalState::Pending {
            self.state = state;
            self.version += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn person(name: &str, roles: &[&str]) -> Person {
        Person {
            actor: format!("user:{name}"),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        }
    }

    fn limits(manager: &str) -> Limits {
        let limit = |role: &str, amount: &str| Limit {
            kind: ApprovalKind::Refund,
            role: role.into(),
            amount: gbp(amount),
            valid_from: "2026-01-01".parse().unwrap(),
        };
        Limits(vec![
            limit("manager", manager),
            limit("team_leader", "50.00"),
        ])
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn asked(amount: &str, needed: u8) -> Approval {
        request(
            Ask {
                kind: ApprovalKind::Refund,
                subject: Uuid::from_u128(1),
                title: "a refund".into(),
                amount: gbp(amount),
                account: None,
                account_ref: None,
                content: json!({"b": 1, "a": {"d": "x", "c": [1, null]}}),
                needed,
                reason: "paid twice".into(),
            },
            "user:jo",
            at("2026-11-26T09:00:00Z"),
        )
    }

    const SOON: &str = "2026-11-26T10:00:00Z";

    #[test]
    fn the_frozen_content_does_not_depend_on_the_order_of_keys() {
        let approval = asked("10.00", 1);
        assert_eq!(approval.content, r#"{"a":{"c":[1,null],"d":"x"},"b":1}"#);
        assert_eq!(
            frozen(&json!({"a": {"c": [1, null], "d": "x"}, "b": 1})).1,
            approval.content_sha256
        );
    }

    #[test]
    fn differences_name_the_place() {
        let found = differences(
            &json!({"a": "1", "lines": [{"x": "2"}, {"x": "3"}]}),
            &json!({"a": "1", "lines": [{"x": "4"}], "new": true}),
        );
        let told: Vec<(&str, Option<&str>, Option<&str>)> = found
            .iter()
            .map(|d| (d.pointer.as_str(), d.then.as_deref(), d.now.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("/lines/0/x", Some("2"), Some("4")),
                ("/lines/1", Some(r#"{"x":"3"}"#), None),
                ("/new", None, Some("true"))
            ]
        );
    }

    #[test]
    fn a_limit_lowered_while_pending_counts_e102() {
        let mut approval = asked("100.00", 1);
        let sha = approval.content_sha256.clone();
        let refused = approval
            .decide(
                &person("al", &["manager"]),
                Verdict::Approve,
                "",
                &sha,
                &limits("99.99"),
                at(SOON),
            )
            .unwrap_err();
        assert_eq!(refused.code(), "allocation.above_limit");
        assert_eq!(approval.state, ApprovalState::Pending);
        let done = approval
            .decide(
                &person("al", &["manager"]),
                Verdict::Approve,
                "",
                &sha,
                &limits("100.00"),
                at(SOON),
            )
            .unwrap();
        assert_eq!(done, Outcome::Approved);
    }

    #[test]
    fn of_two_approvals_the_first_is_held_against_its_limit_again_e102() {
        let mut approval = asked("100.00", 2);
        let sha = approval.content_sha256.clone();
        let mut by = |name: &str, limit: &str| {
            approval
                .decide(
                    &person(name, &["manager"]),
                    Verdict::Approve,
                    "",
                    &sha,
                    &limits(limit),
                    at(SOON),
                )
                .map_err(|refused| refused.code())
        };
        assert_eq!(by("al", "100.00"), Ok(Outcome::More));
        assert_eq!(by("AL", "100.00"), Err("allocation.decided_already"));
        assert_eq!(by("bo", "100.00"), Ok(Outcome::Approved));
        assert_eq!(by("cy", "100.00"), Err("allocation.approval_over"));

        let mut approval = asked("100.00", 2);
        let two = Limits(
            [
                limits("100.00").0,
                vec![Limit {
                    role: "cfo".into(),
                    ..limits("500.00").0.remove(0)
                }],
            ]
            .concat(),
        );
        let cfo = person("cy", &["cfo"]);
        let al = person("al", &["manager"]);
        approval
            .decide(&al, Verdict::Approve, "", &sha, &two, at(SOON))
            .unwrap();
        let lowered = Limits(
            two.0
                .iter()
                .cloned()
                .map(|l| {
                    if l.role == "manager" {
                        Limit {
                            amount: gbp("1.00"),
                            ..l
                        }
                    } else {
                        l
                    }
                })
                .collect(),
        );
        let then = approval
            .decide(&cfo, Verdict::Approve, "", &sha, &lowered, at(SOON))
            .unwrap();
        assert_eq!(then, Outcome::More, "the manager's word counts no longer");
    }

    #[test]
    fn changed_content_voids_e102() {
        let mut approval = asked("10.00", 1);
        let outcome = approval
            .decide(
                &person("al", &["manager"]),
                Verdict::Approve,
                "",
                "other",
                &limits("99.00"),
                at(SOON),
            )
            .unwrap();
        assert_eq!(
            (outcome, approval.state),
            (Outcome::Voided, ApprovalState::Voided)
        );
    }

    #[test]
    fn nobody_decides_after_the_time_or_rejects_without_a_word() {
        let mut approval = asked("10.00", 1);
        let sha = approval.content_sha256.clone();
        let al = person("al", &["manager"]);
        let late = at("2026-12-10T09:00:00Z");
        let refused = approval.decide(&al, Verdict::Approve, "", &sha, &limits("99.00"), late);
        assert_eq!(refused.unwrap_err().code(), "allocation.approval_expired");
        let refused = approval.decide(&al, Verdict::Reject, " ", &sha, &limits("99.00"), at(SOON));
        assert_eq!(refused.unwrap_err().code(), "allocation.reason_needed");
    }

    proptest! {
        /// Whatever roles, limits and order: it is approved only by as many
        /// different people as are needed, none of them the requester, each
        /// within a limit.
        #[test]
        fn the_requester_never_approves(
            needed in 1_u8..=2,
            tries in proptest::collection::vec((0_usize..4, 0_usize..3, any::<bool>()), 1..12),
            limit in 1_i64..200,
        ) {
            let mut approval = asked("100.00", needed);
            let sha = approval.content_sha256.clone();
            let limits = limits(&format!("{limit}.00"));
            let names = ["jo", "al", "bo", "JO "];
            let roles: [&[&str]; 3] = [&["manager"], &["team_leader", "manager"], &["team_leader"]];
            for (name, role, approve) in tries {
                let verdict = if approve { Verdict::Approve } else { Verdict::Reject };
                let _ = approval.decide(&person(names[name], roles[role]), verdict, "because", &sha, &limits, at(SOON));
            }
            for decision in &approval.decisions {
                prop_assert!(!same_person(&decision.actor, "user:jo"));
            }
            if approval.state == ApprovalState::Approved {
                let mut approvers: Vec<String> = approval.decisions.iter()
                    .filter(|d| d.verdict == Verdict::Approve && d.limit.is_some_and(|l| l.amount() >= approval.amount.amount()))
                    .map(|d| d.actor.to_lowercase())
                    .collect();
                approvers.sort();
                approvers.dedup();
                prop_assert!(approvers.len() >= usize::from(needed));
            }
        }
    }
}
