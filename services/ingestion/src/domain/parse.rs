//! The one way in: bytes to what they mean.

use contracts::inbound::{BillingAccount, BillingDocument, BillingMandate, BillingMatter};
use serde::Serialize;
use serde_json::Value;

use super::{
    bacs, camt, csv_accounts, csv_documents, csv_mandates, csv_matters,
    detect::{self, Detection, Format},
    line::Statement,
    problem::{ParseError, Problem},
    std18::{self, Std18Item},
};

/// How much of a file that cannot be decoded is looked at to name its format.
const SNIFFED_BYTES: usize = 4 * 1024;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parsed {
    pub format: Format,
    /// Such as `camt.053.001.08`; only ISO 20022 files carry one.
    pub version: Option<String>,
    /// What a report of Bacs says of itself; its records are `items`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<bacs::Report>,
    pub statements: Vec<Statement>,
    /// The records of a file that is no statement, in its order.
    pub items: Vec<Item>,
    /// Doubts about the file as a whole; each statement has its own.
    pub problems: Vec<Problem>,
}

/// A record of a file that is no statement, on the wire as the message that a
/// billing system would have published; of a report of Bacs as [`bacs`] reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Item {
    Account(Box<BillingAccount>),
    Document(Box<BillingDocument>),
    Matter(Box<BillingMatter>),
    BacsReturn(Box<bacs::Returned>),
    BacsClaim(Box<bacs::Claim>),
    BacsAdvice(Box<bacs::Advice>),
    BacsSubmission(Box<bacs::Submission>),
    Mandate(Box<BillingMandate>),
    /// Of a file for Bacs, or of one of a bank in its likeness.
    Std18(Box<Std18Item>),
}

/// A file that was read, perhaps with problems, or one that was refused.
pub type ParseOutcome = Result<Parsed, ParseError>;

/// Reads a file. Without a `format` it is told from the content; with one, a
/// content that is plainly something else is refused.
///
/// # Errors
/// [`ParseError`]: nothing of the file can be used.
pub fn parse(bytes: &[u8], format: Option<Format>) -> ParseOutcome {
    if bytes.is_empty() {
        return Err(ParseError::new(
            format.unwrap_or(Format::Unknown),
            None,
            Problem::new("empty", "the file is empty"),
        ));
    }
    // What a binary file is, is worth more to its sender than that it is no
    // text.
    let decoded = match detect::decode(bytes) {
        Ok(decoded) => decoded,
        Err(problem) => {
            let reason = match detect::known_binary(bytes) {
                Some(what) => Problem::new("unknown_format", format!("the file is {what}")),
                None => problem,
            };
            // Its beginning mostly tells all the same what it was meant to be.
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(SNIFFED_BYTES)]);
            let found = detect::detect_text(&start);
            return Err(ParseError::new(
                format.unwrap_or(found.format),
                found.version,
                reason,
            ));
        }
    };
    let Detection {
        format: found,
        version,
        reason,
    } = detect::detect_text(&decoded.text);
    if let Some(format) = format
        && found != Format::Unknown
        && found != format
    {
        return Err(ParseError::new(
            format,
            version,
            Problem::new(
                "other_format",
                format!("the file is not {format} but {found}: {reason}"),
            ),
        ));
    }
    let told = version.clone();
    let mut parsed = match format.unwrap_or(found) {
        format @ (Format::Camt053 | Format::Camt052 | Format::Camt054) => {
            camt::read(&decoded.text, format)
        }
        Format::CsvAccounts => csv_accounts::read(&decoded.text),
        Format::CsvDocuments => csv_documents::read(&decoded.text),
        Format::CsvMatters => csv_matters::read(&decoded.text),
        format @ (Format::BacsArudd
        | Format::BacsArucs
        | Format::BacsDdica
        | Format::BacsAddacs
        | Format::BacsAuddis
        | Format::BacsAwacs
        | Format::BacsInput
        | Format::BacsWithdrawal) => bacs::read(&decoded.text, format),
        Format::CsvMandates => csv_mandates::read(&decoded.text),
        Format::Std18 => standard_18(&decoded.text),
        format @ (Format::Pain | Format::Mt940) => Err(ParseError::new(
            format,
            version,
            Problem::new(
                "unsupported_format",
                format!("{format} files are recognised but not read: {reason}"),
            ),
        )),
        Format::Unknown => Err(ParseError::new(
            Format::Unknown,
            version,
            Problem::new("unknown_format", reason),
        )),
    }
    .map_err(|error| ParseError {
        // The reader may have stopped before it came to the namespace.
        version: error.version.or(told),
        ..error
    })?;
    if decoded.guessed {
        parsed.problems.push(Problem::new(
            "encoding_assumed",
            format!(
                "the file is not UTF-8 and does not say what it is; {} was assumed",
                decoded.encoding
            ),
        ));
    }
    Ok(parsed)
}

/// The records of a file for Bacs, contras among them.
fn standard_18(text: &str) -> ParseOutcome {
    let file =
        std18::read(text).map_err(|problem| ParseError::new(Format::Std18, None, problem))?;
    Ok(Parsed {
        report: None,
        format: Format::Std18,
        version: None,
        statements: Vec::new(),
        items: file
            .records
            .iter()
            .map(|record| Item::Std18(Box::new(Std18Item::of(&file, record))))
            .collect(),
        problems: std18::check(&file),
    })
}

/// The outcome as `counterfoil parse --json` prints it. A refusal has the same
/// shape, with its reasons in `problems`.
pub fn to_json(outcome: &ParseOutcome) -> Value {
    #[derive(Serialize)]
    struct Refused<'a> {
        format: Format,
        version: Option<&'a str>,
        statements: [(); 0],
        items: [(); 0],
        problems: &'a [Problem],
    }

    let json = match outcome {
        Ok(parsed) => serde_json::to_value(parsed),
        Err(error) => serde_json::to_value(Refused {
            format: error.format,
            version: error.version.as_deref(),
            statements: [],
            items: [],
            problems: &error.reasons,
        }),
    };
    // Every key above is a string and no value can fail to be written.
    json.unwrap_or_default()
}
