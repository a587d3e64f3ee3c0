//! What a file is, told from its content alone, and its text.

use std::{borrow::Cow, fmt, str::FromStr};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use quick_xml::{Reader, events::Event};
use serde::Serialize;

use super::{
    bacs, csv_accounts, csv_documents, csv_mandates, csv_matters, csv_table, problem::Problem,
};

/// Files beyond this many bytes are refused unread: a day of the largest
/// business accounts (some hundred thousand transactions) stays below it, and
/// everything is held in memory while it is read.
pub const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

/// How far into a file [`detect`] looks. Wrappers with business application
/// headers stay far below it.
const SNIFF_EVENTS: usize = 2_000;

/// What a file can be told to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// ISO 20022 end-of-day statement.
    Camt053,
    /// ISO 20022 intraday report.
    Camt052,
    /// ISO 20022 debit and credit notification.
    Camt054,
    /// ISO 20022 payment initiation or status; recognised, not read.
    Pain,
    /// SWIFT statement; recognised, not read.
    Mt940,
    /// `BillingAccount.v1` as CSV.
    CsvAccounts,
    /// `BillingDocument.v1` as CSV.
    CsvDocuments,
    /// `BillingMatter.v1` as CSV.
    CsvMatters,
    /// Collections of ours that come back unpaid.
    BacsArudd,
    /// Credits of ours that come back.
    BacsArucs,
    /// Indemnity claims.
    BacsDdica,
    /// Instructions that a bank changed or cancelled.
    BacsAddacs,
    /// What became of instructions that we lodged.
    BacsAuddis,
    /// Credits that went to a corrected account.
    BacsAwacs,
    /// What Bacs took of a file that we sent.
    BacsInput,
    /// What was withdrawn of it.
    BacsWithdrawal,
    /// `BillingMandate.v1` as CSV.
    CsvMandates,
    /// Bacs Standard 18: what we or a bank write; never imported.
    Std18,
    Unknown,
}

impl Format {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Camt053 => "camt053",
            Self::Camt052 => "camt052",
            Self::Camt054 => "camt054",
            Self::Pain => "pain",
            Self::Mt940 => "mt940",
            Self::CsvAccounts => "csv_accounts",
            Self::CsvDocuments => "csv_documents",
            Self::CsvMatters => "csv_matters",
            Self::BacsArudd => "bacs_arudd",
            Self::BacsArucs => "bacs_arucs",
            Self::BacsDdica => "bacs_ddica",
            Self::BacsAddacs => "bacs_addacs",
            Self::BacsAuddis => "bacs_auddis",
            Self::BacsAwacs => "bacs_awacs",
            Self::BacsInput => "bacs_input",
            Self::BacsWithdrawal => "bacs_withdrawal",
            Self::CsvMandates => "csv_mandates",
            Self::Std18 => "std18",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A format name that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no format is called {0:?}")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Reads the name as people write it: `camt.053`, `camt053`, `csv-accounts`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let folded: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        [
            Self::Camt053,
            Self::Camt052,
            Self::Camt054,
            Self::Pain,
            Self::Mt940,
            Self::CsvAccounts,
            Self::CsvDocuments,
            Self::CsvMatters,
            Self::BacsArudd,
            Self::BacsArucs,
            Self::BacsDdica,
            Self::BacsAddacs,
            Self::BacsAuddis,
            Self::BacsAwacs,
            Self::BacsInput,
            Self::BacsWithdrawal,
            Self::CsvMandates,
            Self::Std18,
        ]
        .into_iter()
        .find(|format| format.name().replace('_', "") == folded)
        .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What a file was found to be, and by what sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    pub format: Format,
    /// Such as `camt.053.001.08`; only ISO 20022 files carry one.
    pub version: Option<String>,
    /// The sign, for people.
    pub reason: String,
}

impl Detection {
    fn new(format: Format, version: Option<String>, reason: impl Into<String>) -> Self {
        Self {
            format,
            version,
            reason: reason.into(),
        }
    }

    fn unknown(reason: impl Into<String>) -> Self {
        Self::new(Format::Unknown, None, reason)
    }
}

/// A file's text in UTF-8, and which encoding it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    pub text: Cow<'a, str>,
    /// The WHATWG name, such as `UTF-8` or `windows-1252`.
    pub encoding: &'static str,
    /// Neither a byte order mark nor a declaration said so, and it is not UTF-8.
    pub guessed: bool,
}

/// Turns bytes into text: by byte order mark, else by XML declaration, else
/// UTF-8, else (for files without a declaration, as spreadsheets save them)
/// Windows-1252.
///
/// # Errors
/// `too_large`, `unknown_encoding`, `bad_encoding` (the bytes are not what the
/// file says they are) and `control_character` (binary content).
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, Problem> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Problem::new(
            "too_large",
            format!(
                "the file has {} bytes, more than the {MAX_FILE_BYTES} that are read",
                bytes.len()
            ),
        ));
    }
    let (encoding, skip, guessed) = encoding_of(bytes)?;
    let body = &bytes[skip..];
    let text = if encoding == UTF_8 {
        Cow::Borrowed(std::str::from_utf8(body).map_err(|e| not_utf8(&body[..e.valid_up_to()]))?)
    } else {
        encoding
            .decode_without_bom_handling_and_without_replacement(body)
            .ok_or_else(|| {
                Problem::new(
                    "bad_encoding",
                    format!(
                        "the file says that it is {}, but its bytes are not",
                        encoding.name()
                    ),
                )
            })?
    };
    refuse_control_characters(&text)?;
    Ok(Decoded {
        text,
        encoding: encoding.name(),
        guessed,
    })
}

/// The encoding, how many bytes of byte order mark to skip, and whether it was
/// a guess.
fn encoding_of(bytes: &[u8]) -> Result<(&'static Encoding, usize, bool), Problem> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok((encoding, length, false));
    }
    // UTF-16 without a byte order mark gives itself away by `<` and its zero.
    match bytes {
        [b'<', 0, ..] => return Ok((UTF_16LE, 0, false)),
        [0, b'<', ..] => return Ok((UTF_16BE, 0, false)),
        _ => {}
    }
    if let Some(label) = declared_label(bytes) {
        let shown = String::from_utf8_lossy(label).into_owned();
        return match Encoding::for_label(label) {
            Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => Err(Problem::new(
                "bad_encoding",
                format!("the file says that it is {shown}, but its bytes are not"),
            )
            .at_line(1)),
            Some(encoding) if encoding.name() != "replacement" => Ok((encoding, 0, false)),
            _ => Err(Problem::new(
                "unknown_encoding",
                format!("the file says that it is in the encoding {shown:?}, which is not known"),
            )
            .at_line(1)),
        };
    }
    // XML without a declaration is UTF-8 by definition; only other files may
    // come from a spreadsheet that never says what it wrote.
    if bytes.trim_ascii_start().starts_with(b"<") || std::str::from_utf8(bytes).is_ok() {
        Ok((UTF_8, 0, false))
    } else {
        Ok((WINDOWS_1252, 0, true))
    }
}

/// The value of `encoding=` in an XML declaration, if the file starts with one.
fn declared_label(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.trim_ascii_start();
    if !start.starts_with(b"<?xml") {
        return None;
    }
    let declaration = &start[..start.iter().take(400).position(|&b| b == b'>')?];
    let key = b"encoding";
    let at = declaration
        .windows(key.len())
        .position(|window| window == key)?;
    let rest = declaration[at + key.len()..].trim_ascii_start();
    let rest = rest.strip_prefix(b"=")?.trim_ascii_start();
    let quote = *rest.first()?;
    if quote != b'"' && quote != b'\'' {
        return None;
    }
    let rest = &rest[1..];
    rest.iter()
        .position(|&b| b == quote)
        .map(|end| &rest[..end])
}

fn not_utf8(valid: &[u8]) -> Problem {
    let line = valid.split(|&b| b == b'\n').count() as u64;
    Problem::new(
        "bad_encoding",
        format!(
            "byte {} is not valid UTF-8, which the file says or implies that it is",
            valid.len() + 1
        ),
    )
    .at_line(line)
}

/// Neither XML 1.0 nor a database text column can hold control characters: what
/// has them is binary, or damaged.
fn refuse_control_characters(text: &str) -> Result<(), Problem> {
    let mut line = 1;
    for c in text.chars() {
        match c {
            '\n' => line += 1,
            '\t' | '\r' | '\u{85}' => {}
            c if c.is_control() => {
                return Err(Problem::new(
                    "control_character",
                    format!(
                        "the character U+{:04X} may not stand in a text file",
                        u32::from(c)
                    ),
                )
                .at_line(line));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What people send by mistake.
pub(super) fn known_binary(bytes: &[u8]) -> Option<&'static str> {
    [
        (&b"PK\x03\x04"[..], "a zip archive or an Office file"),
        (b"%PDF", "a PDF"),
        (b"\x1f\x8b", "a gzip archive"),
    ]
    .into_iter()
    .find_map(|(magic, what)| bytes.starts_with(magic).then_some(what))
}

/// Tells what a file is from its bytes.
pub fn detect(bytes: &[u8]) -> Detection {
    if bytes.is_empty() {
        return Detection::unknown("the file is empty");
    }
    if let Some(what) = known_binary(bytes) {
        return Detection::unknown(format!("the file is {what}"));
    }
    match decode(bytes) {
        Ok(decoded) => detect_text(&decoded.text),
        Err(problem) => Detection::unknown(problem.to_string()),
    }
}

/// Tells what a file is from its text.
pub(super) fn detect_text(text: &str) -> Detection {
    let start = text.trim_start();
    if start.starts_with('<') {
        return detect_xml(start);
    }
    if start.starts_with(":20:") || (start.starts_with("{1:") && start.contains("{4:")) {
        return Detection::new(Format::Mt940, None, "it starts as a SWIFT message does");
    }
    if start.starts_with("VOL1") && start.lines().any(|line| line.starts_with("UHL1")) {
        return Detection::new(Format::Std18, None, "it has the labels of Standard 18");
    }
    let columns = csv_table::header_names(text);
    if columns.iter().any(|c| c == csv_mandates::KEY_COLUMN) {
        return Detection::new(
            Format::CsvMandates,
            None,
            format!("its header has the column {}", csv_mandates::KEY_COLUMN),
        );
    }
    if columns.iter().any(|c| c == csv_documents::KEY_COLUMN) {
        return Detection::new(
            Format::CsvDocuments,
            None,
            format!("its header has the column {}", csv_documents::KEY_COLUMN),
        );
    }
    if columns.iter().any(|c| c == csv_matters::KEY_COLUMN) {
        return Detection::new(
            Format::CsvMatters,
            None,
            format!("its header has the column {}", csv_matters::KEY_COLUMN),
        );
    }
    if columns.iter().any(|c| c == csv_accounts::KEY_COLUMN) {
        return Detection::new(
            Format::CsvAccounts,
            None,
            format!("its header has the column {}", csv_accounts::KEY_COLUMN),
        );
    }
    Detection::unknown(format!(
        "it is neither XML nor a SWIFT message, and its first line names neither {} nor {}",
        csv_documents::KEY_COLUMN,
        csv_accounts::KEY_COLUMN
    ))
}

fn detect_xml(text: &str) -> Detection {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut root = None;
    let mut document = false;
    for _ in 0..SNIFF_EVENTS {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.local_name().as_ref().to_owned();
                if document {
                    return by_container(&name);
                }
                if root.is_none() && matches!(name.as_str(), "BACSDocument" | "VocaDocument") {
                    return match bacs::detect(text, &name) {
                        Ok((format, sign)) => Detection::new(format, None, sign),
                        Err(why) => Detection::unknown(why),
                    };
                }
                if name == "Document" {
                    document = true;
                    if let Some(found) = start
                        .attributes()
                        .with_checks(false)
                        .flatten()
                        .filter(|attribute| attribute.key.as_ref().starts_with("xmlns"))
                        .find_map(|attribute| by_namespace(&attribute.value))
                    {
                        return found;
                    }
                }
                root.get_or_insert(name);
            }
            Ok(Event::End(_)) if document => {
                return Detection::unknown("its <Document> is empty and names no message");
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                return Detection::unknown(format!("it is not well-formed XML: {error}"));
            }
        }
    }
    Detection::unknown(match root {
        Some(root) => format!("it is XML, but <{root}> is no known message"),
        None => "it has no XML element".to_owned(),
    })
}

fn by_namespace(namespace: &str) -> Option<Detection> {
    let version = message_name(namespace)?;
    let format = match version.get(..8) {
        Some("camt.053") => Format::Camt053,
        Some("camt.052") => Format::Camt052,
        Some("camt.054") => Format::Camt054,
        _ if version.starts_with("pain.") => Format::Pain,
        _ => {
            return Some(Detection::new(
                Format::Unknown,
                Some(version.to_owned()),
                format!("it is the ISO 20022 message {version}, which is not read"),
            ));
        }
    };
    Some(Detection::new(
        format,
        Some(version.to_owned()),
        format!("its namespace is that of {version}"),
    ))
}

/// `camt.053.001.08` out of `urn:iso:std:iso:20022:tech:xsd:camt.053.001.08`.
pub(super) fn message_name(namespace: &str) -> Option<&str> {
    namespace.split(':').find(|part| {
        part.len() >= 8
            && part
                .get(..4)
                .is_some_and(|area| area.bytes().all(|b| b.is_ascii_lowercase()))
            && part.as_bytes().get(4) == Some(&b'.')
    })
}

fn by_container(name: &str) -> Detection {
    let format = match name.trim_end_matches("V01") {
        "BkToCstmrStmt" => Format::Camt053,
        "BkToCstmrAcctRpt" => Format::Camt052,
        "BkToCstmrDbtCdtNtfctn" => Format::Camt054,
        "CstmrCdtTrfInitn" | "CstmrDrctDbtInitn" | "CstmrPmtStsRpt" => Format::Pain,
        _ => {
            return Detection::unknown(format!(
                "it is XML, but <{name}> in its <Document> is no known message"
            ));
        }
    };
    Detection::new(
        format,
        None,
        format!("its <Document> holds <{name}>, without a namespace"),
    )
}
