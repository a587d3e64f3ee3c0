//! What an error means to the caller: shall it be tried again, and under which stable code is it known?

use std::fmt;

/// What to do about an error. The messaging layer settles by it, the gateway answers by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// It may go well next time (a lost connection, a timeout): retry with delay.
    Transient,
    /// Somebody else was quicker (a version or key conflict): load again, then decide again.
    Conflict,
    /// The input is wrong and stays wrong: a dead letter, or a refusal to the caller.
    Permanent,
    /// Our own mistake: a dead letter and an alarm.
    Bug,
}

impl ErrorClass {
    /// The lower-case word for logs, metrics and dead letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Conflict => "conflict",
            Self::Permanent => "permanent",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a stable code and a class. Every error type of the product implements it.
pub trait Classified {
    /// A stable code such as `money.currency_mismatch`: dashboards and API clients rely on it, so it
    /// never changes once released.
    fn code(&self) -> &'static str;

    /// What to do about it.
    fn class(&self) -> ErrorClass;
}

/// At most the first 32 characters of a foreign text, so that an error never carries a whole file.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_classes_are_stable() {
        let words = [
            ErrorClass::Transient,
            ErrorClass::Conflict,
            ErrorClass::Permanent,
            ErrorClass::Bug,
        ]
        .map(|class| class.to_string());
        assert_eq!(words, ["transient", "conflict", "permanent", "bug"]);
    }
}
