//! One error type for the whole way: what matters is its class, which alone
//! decides between retry, isolation and dead letter.

use contracts::api::{FieldProblem, Refusal, RefusalClass};
use kernel::{Classified, ErrorClass};

/// Something on the way of a message failed.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    code: &'static str,
    class: ErrorClass,
    detail: String,
    fields: Vec<FieldProblem>,
    line: Option<usize>,
    not_found: bool,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    fn new(code: &'static str, class: ErrorClass, detail: impl Into<String>) -> Self {
        Self {
            code,
            class,
            detail: detail.into(),
            fields: Vec::new(),
            line: None,
            not_found: false,
            source: None,
        }
    }

    /// Trying again cannot help: the message itself is wrong.
    pub fn permanent(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(code, ErrorClass::Permanent, detail)
    }

    /// What was asked for does not exist.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            not_found: true,
            ..Self::permanent(code, detail)
        }
    }

    /// Trying again later may help.
    pub fn transient(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(code, ErrorClass::Transient, detail)
    }

    /// Somebody else was quicker, or the state does not allow it.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(code, ErrorClass::Conflict, detail)
    }

    /// We are wrong.
    pub fn bug(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(code, ErrorClass::Bug, detail)
    }

    /// A classified error of a domain, with itself as the source.
    pub fn of(error: impl Classified + std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            source: None,
            ..Self::new(error.code(), error.class(), error.to_string())
        }
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Names a field (a JSON pointer) and what is wrong with it.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.fields.push(FieldProblem {
            pointer: pointer.into(),
            detail: detail.into(),
        });
        self
    }

    /// What was wrong with a part, said of the whole: its fields are below
    /// `pointer`.
    #[must_use]
    pub fn below(mut self, pointer: &str) -> Self {
        for field in &mut self.fields {
            field.pointer.insert_str(0, pointer);
        }
        self
    }

    /// The line of the payload at which it stopped making sense, from 1.
    #[must_use]
    pub fn on_line(mut self, line: usize) -> Self {
        self.line = Some(line);
        self
    }

    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The word of its class, as dead letters are kept under.
    pub fn class_name(&self) -> &'static str {
        match self.class {
            ErrorClass::Transient => "transient",
            ErrorClass::Conflict => "conflict",
            ErrorClass::Permanent => "permanent",
            ErrorClass::Bug => "bug",
        }
    }

    pub fn fields(&self) -> &[FieldProblem] {
        &self.fields
    }

    /// The message and those of its sources, for logs and dead letters.
    pub fn chain(&self) -> String {
        let mut text = self.detail.clone();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

impl Classified for Failure {
    fn code(&self) -> &'static str {
        self.code
    }

    fn class(&self) -> ErrorClass {
        self.class
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let class = match failure.class {
            ErrorClass::Permanent if failure.not_found => RefusalClass::NotFound,
            ErrorClass::Permanent => RefusalClass::Invalid,
            ErrorClass::Conflict => RefusalClass::Conflict,
            ErrorClass::Transient => RefusalClass::Unavailable,
            ErrorClass::Bug => RefusalClass::Internal,
        };
        if matches!(class, RefusalClass::Internal | RefusalClass::Unavailable) {
            tracing::error!(code = failure.code, "{}", failure.chain());
        }
        Self {
            code: failure.code.to_owned(),
            class,
            detail: failure.detail,
            fields: failure.fields,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let class = match &error {
            sqlx::Error::Database(db) => match db.code().as_deref() {
                // Serialization failure, deadlock, lock not available.
                Some("40001" | "40P01" | "55P03") => ErrorClass::Conflict,
                // Shutdown, crash, connection, resources, read-only, cancelled.
                Some(code)
                    if code.starts_with("57")
                        || code.starts_with("08")
                        || code.starts_with("53")
                        || code == "25006" =>
                {
                    ErrorClass::Transient
                }
                _ => ErrorClass::Bug,
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed => ErrorClass::Transient,
            _ => ErrorClass::Bug,
        };
        let constraint = match &error {
            sqlx::Error::Database(db) => db.constraint().map(str::to_owned),
            _ => None,
        };
        let detail = constraint.map_or_else(
            || "the database did not do as asked".to_owned(),
            |name| format!("the database constraint `{name}` refused it"),
        );
        Self::new("messaging.database", class, detail).caused_by(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::bug(
            "messaging.encode",
            "a message of ours cannot be written as JSON",
        )
        .caused_by(error)
    }
}
