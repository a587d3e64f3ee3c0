//! The life of a rule set, and who may move it on.

use contracts::rules::{RuleScope, RuleSet, RuleSetState};
use kernel::{Classified, ErrorClass};
use serde_json::{Value, json};

/// Why a step is refused.
#[derive(Debug, thiserror::Error)]
pub enum NoStep {
    #[error(
        "{0} wrote this rule set and asks for it to be live: whoever else agrees approves the request"
    )]
    AuthorAsks(String),
    #[error("a second person has been asked already, and has not decided")]
    Asked,
    #[error("the rule set is {}: there is no next step", .0.name())]
    NoNext(RuleSetState),
    #[error("the rule set has been retired already")]
    Retired,
    #[error(
        "the whole ledger always has live rules: make others live, and these retire by themselves"
    )]
    LastOfLedger,
    #[error("{0}'s undo used up the budget: a second person lets the rung post again")]
    OwnUndo(String),
}

impl Classified for NoStep {
    fn code(&self) -> &'static str {
        match self {
            Self::AuthorAsks(_) => "rules.author_asks",
            Self::Asked => "rules.asked_already",
            Self::NoNext(_) => "rules.no_next_step",
            Self::Retired => "rules.retired",
            Self::LastOfLedger => "rules.last_of_ledger",
            Self::OwnUndo(_) => "rules.second_person_restores",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoNext(_) | Self::Asked | Self::Retired => ErrorClass::Conflict,
            Self::AuthorAsks(_) | Self::LastOfLedger | Self::OwnUndo(_) => ErrorClass::Permanent,
        }
    }
}

/// How a rule set goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It decides beside the live rules, for nobody to see but who looks.
    Shadow,
    /// A second person is asked whether it shall be live.
    Ask,
}

/// The next step of a rule set of `author` for `actor`; `asked`: a second person
/// is asked about it now.
///
/// # Errors
/// When there is no further step, or it is not this person's.
pub fn promote(
    state: RuleSetState,
    asked: bool,
    author: &str,
    actor: &str,
) -> Result<Next, NoStep> {
    match state {
        RuleSetState::Draft => Ok(Next::Shadow),
        RuleSetState::Shadow if author != actor => Err(NoStep::AuthorAsks(author.to_owned())),
        RuleSetState::Shadow if asked => Err(NoStep::Asked),
        RuleSetState::Shadow => Ok(Next::Ask),
        RuleSetState::Live | RuleSetState::Retired => Err(NoStep::NoNext(state)),
    }
}

/// What a second person sees and approves.
pub fn content(version: i64, rules: &RuleSet) -> Value {
    json!({ "version": version, "rule_set": rules })
}

/// Whether a rule set may go; `others` are live for the whole ledger beside it.
///
/// # Errors
/// When it is gone, or the ledger would be without rules.
pub fn retire(state: RuleSetState, scope: &RuleScope, others: i64) -> Result<(), NoStep> {
    match state {
        RuleSetState::Retired => Err(NoStep::Retired),
        RuleSetState::Live if *scope == RuleScope::Ledger && others == 0 => {
            Err(NoStep::LastOfLedger)
        }
        _ => Ok(()),
    }
}

/// Whether `actor` may let a rung post again that the undo of `by` demoted.
///
/// # Errors
/// When it is the same person.
pub fn restore(by: &str, actor: &str) -> Result<(), NoStep> {
    if by == actor {
        return Err(NoStep::OwnUndo(by.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_author_goes_as_far_as_asking_once() {
        let step = |state, asked, actor| promote(state, asked, "user:anna", actor).ok();
        let draft = step(RuleSetState::Draft, false, "user:anna");
        assert_eq!(draft, Some(Next::Shadow));
        let shadow = step(RuleSetState::Shadow, false, "user:anna");
        assert_eq!(shadow, Some(Next::Ask));
        assert_eq!(step(RuleSetState::Shadow, true, "user:anna"), None);
        assert_eq!(step(RuleSetState::Shadow, false, "user:ben"), None);
        assert_eq!(step(RuleSetState::Live, false, "user:anna"), None);
        assert_eq!(step(RuleSetState::Retired, false, "user:anna"), None);
    }

    #[test]
    fn the_ledger_is_never_without_rules() {
        let account = RuleScope::Account("ACME01".into());
        assert!(retire(RuleSetState::Live, &RuleScope::Ledger, 0).is_err());
        assert!(retire(RuleSetState::Live, &RuleScope::Ledger, 1).is_ok());
        assert!(retire(RuleSetState::Live, &account, 0).is_ok());
        assert!(retire(RuleSetState::Draft, &RuleScope::Ledger, 0).is_ok());
        assert!(retire(RuleSetState::Retired, &account, 3).is_err());
    }
}
