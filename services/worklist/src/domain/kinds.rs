//! The registry of kinds, and the policies that the program comes with.

use std::sync::LazyLock;

use chrono::NaiveDate;
use contracts::{api::worklist::KindView, worklist::SlaPolicy};
use messaging::Failure;
use serde::Deserialize;

use super::{clock::Policy, data::in_force};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    pub code: String,
    pub valid_from: NaiveDate,
    pub title: String,
    pub action: String,
    pub skill: String,
    pub minutes: i32,
    pub points: i32,
    pub policy: Option<String>,
    /// Days after its cause from which it is due.
    #[serde(default)]
    pub after_days: u64,
    pub outcomes: Vec<String>,
    /// It ends by what is recorded elsewhere, never here.
    #[serde(default)]
    pub recorded: bool,
}

#[derive(Deserialize)]
struct Kinds {
    kind: Vec<Kind>,
}

#[derive(Deserialize)]
struct Shipped {
    policy: Vec<SlaPolicy>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    toml::from_str::<Kinds>(include_str!("../../data/kinds.toml"))
        .map(|kinds| kinds.kind)
        .unwrap_or_default()
});

static SHIPPED: LazyLock<Vec<SlaPolicy>> = LazyLock::new(|| {
    toml::from_str::<Shipped>(include_str!("../../data/policies.toml"))
        .map(|shipped| shipped.policy)
        .unwrap_or_default()
});

/// The row of a kind that counts on `today`.
///
/// # Errors
/// When there is none: a mapping names a kind that the registry does not have.
pub(crate) fn kind(code: &str, today: NaiveDate) -> Result<&'static Kind, Failure> {
    let named = || KINDS.iter().filter(|kind| kind.code == code);
    in_force(named(), today, |kind| kind.valid_from)
        .or_else(|| named().next())
        .ok_or_else(|| {
            Failure::bug(
                "worklist.no_kind",
                format!("the registry has no kind `{code}`"),
            )
        })
}

/// Every kind as it counts on `today`.
pub(crate) fn all(today: NaiveDate) -> Vec<&'static Kind> {
    let mut kinds: Vec<&Kind> = Vec::new();
    for one in KINDS.iter() {
        if !kinds.iter().any(|seen| seen.code == one.code)
            && let Ok(kind) = kind(&one.code, today)
        {
            kinds.push(kind);
        }
    }
    kinds
}

impl Kind {
    pub(crate) fn view(&self) -> KindView {
        KindView {
            kind: self.code.clone(),
            title: self.title.clone(),
            action: self.action.clone(),
            skill: self.skill.clone(),
            minutes: self.minutes,
            points: self.points,
            policy: self.policy.clone(),
            outcomes: self.outcomes.clone(),
        }
    }
}

pub(crate) fn shipped() -> &'static [SlaPolicy] {
    &SHIPPED
}

/// What the program comes with, read.
///
/// # Errors
/// When a shipped policy makes no sense, which a test excludes.
pub(crate) fn shipped_policies() -> Result<Vec<Policy>, Failure> {
    SHIPPED.iter().map(Policy::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_clock_that_makes_sense_and_a_token_for_its_subject() {
        let policies = shipped_policies().unwrap();
        assert!(KINDS.len() >= 17);
        for kind in KINDS.iter() {
            assert!(
                kind.code
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{}",
                kind.code
            );
            if let Some(policy) = &kind.policy {
                assert!(policies.iter().any(|p| p.code == *policy), "{policy}");
            }
            assert!((0..=30).contains(&kind.points) && kind.minutes > 0);
            assert!(!kind.outcomes.is_empty() && !kind.action.is_empty());
        }
    }

    #[test]
    fn only_disputes_may_wait_and_only_for_the_customer() {
        for policy in shipped_policies().unwrap() {
            let may: &[&str] = match policy.code.as_str() {
                "dispute_resolved" => &["awaiting_customer"],
                _ => &[],
            };
            assert_eq!(policy.pauses, may, "{}", policy.code);
        }
    }
}
