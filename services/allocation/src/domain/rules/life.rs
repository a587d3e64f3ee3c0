//! The life of a rule set, and who may move it on.

use contracts::rules::{RuleScope, RuleSetState};
use kernel::{Classified, ErrorClass};

/// Why a step is refused.
#[derive(Debug, thiserror::Error)]
pub enum NoStep {
    #[error("{0} wrote this rule set: a second person makes it live")]
    OwnRules(String),
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
            Self::OwnRules(_) => "rules.second_person",
            Self::NoNext(_) => "rules.no_next_step",
            Self::Retired => "rules.retired",
            Self::LastOfLedger => "rules.last_of_ledger",
            Self::OwnUndo(_) => "rules.second_person_restores",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::NoNext(_) | Self::Retired => ErrorClass::Conflict,
            Self::OwnRules(_) | Self::LastOfLedger | Self::OwnUndo(_) => ErrorClass::Permanent,
        }
    }
}

/// Where `actor` may take a rule set of `author`.
///
/// # Errors
/// When there is no further step, or the author would approve.
pub fn promote(state: RuleSetState, author: &str, actor: &str) -> Result<RuleSetState, NoStep> {
    match state {
        RuleSetState::Draft => Ok(RuleSetState::Shadow),
        RuleSetState::Shadow if author == actor => Err(NoStep::OwnRules(author.to_owned())),
        RuleSetState::Shadow => Ok(RuleSetState::Live),
        RuleSetState::Live | RuleSetState::Retired => Err(NoStep::NoNext(state)),
    }
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
    fn the_author_goes_as_far_as_the_shadow() {
        let step = |state, actor| promote(state, "user:anna", actor).ok();
        assert_eq!(
            step(RuleSetState::Draft, "user:anna"),
            Some(RuleSetState::Shadow)
        );
        assert_eq!(step(RuleSetState::Shadow, "user:anna"), None);
        assert_eq!(
            step(RuleSetState::Shadow, "user:ben"),
            Some(RuleSetState::Live)
        );
        assert_eq!(step(RuleSetState::Live, "user:ben"), None);
        assert_eq!(step(RuleSetState::Retired, "user:ben"), None);
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
