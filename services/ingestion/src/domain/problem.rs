//! What is wrong with a file: a doubt that is shown, or a reason to refuse it.

use std::fmt;

use contracts::api::ingestion::ImportProblem;
use kernel::{Classified, ErrorClass};
use serde::Serialize;

use super::detect::Format;

/// One finding in a file, with the place where it was made.
///
/// In a [`Statement`](super::line::Statement) or a
/// [`Parsed`](super::parse::Parsed) it is a doubt: nothing was dropped because
/// of it. In a [`ParseError`] it is a reason for the refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable name for programs, such as `balance_does_not_tie`.
    pub code: &'static str,
    /// The line of the file, from 1, where there is one to point at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The element of an XML file (`/Document/…/Ntry[3]/Amt`) or the column of a
    /// CSV file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For people: what was found, and what was expected instead.
    pub detail: String,
}

impl Problem {
    /// A finding about the whole file or statement.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            line: None,
            path: None,
            detail: detail.into(),
        }
    }

    /// The same finding with the line (from 1) where it was made.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// The same finding with the element or column where it was made.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }
}

impl Problem {
    /// As it stands with an import.
    pub fn shown(&self) -> ImportProblem {
        ImportProblem {
            line: self.line.and_then(|line| i64::try_from(line).ok()),
            place: self.path.clone(),
            code: self.code.to_owned(),
            detail: self.detail.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.path) {
            (Some(line), Some(path)) => write!(f, "line {line}, {path}: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, Some(path)) => write!(f, "{path}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.detail)
    }
}

/// A file that was refused as a whole. Nothing of it may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ParseError {
    /// What the file was taken for when it was refused.
    pub format: Format,
    pub version: Option<String>,
    /// Why, the first reason first; never empty. XML files are refused at the
    /// first reason, CSV files with up to
    /// [`MAX_ROW_ERRORS`](super::csv_table::MAX_ROW_ERRORS).
    pub reasons: Vec<Problem>,
}

impl ParseError {
    pub(super) fn new(format: Format, version: Option<String>, reason: Problem) -> Self {
        Self {
            format,
            version,
            reasons: vec![reason],
        }
    }

    /// The name of the first reason, such as `truncated`.
    pub fn first_code(&self) -> &'static str {
        self.reasons.first().map_or("refused", |reason| reason.code)
    }
}

impl Classified for ParseError {
    fn code(&self) -> &'static str {
        "ingestion.file_refused"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} file refused", self.format)?;
        if let Some(first) = self.reasons.first() {
            write!(f, ": {first}")?;
        }
        if self.reasons.len() > 1 {
            write!(f, " (and {} more)", self.reasons.len() - 1)?;
        }
        Ok(())
    }
}
