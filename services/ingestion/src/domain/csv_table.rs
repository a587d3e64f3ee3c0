//! CSV with a header row, read whole: delimiter found out, columns in any order,
//! and every wrong cell told at once, so that a file is put right in one go.

use std::collections::HashMap;

use chrono::NaiveDate;
use csv::{ReaderBuilder, StringRecord, Trim};
use kernel::{Currency, Money};

use super::{
    detect::Format,
    problem::{ParseError, Problem},
};

/// A refusal lists this many wrong cells; more would help nobody.
pub const MAX_ROW_ERRORS: usize = 100;

/// The longest text that a cell may hold.
pub const MAX_CELL_BYTES: usize = 4 * 1024;

const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// The columns of a record type: their names, and whether a file must have them.
pub(super) type Columns = [(&'static str, bool)];

/// The column names in the first line of a text, under the delimiter that gives
/// the most.
pub(super) fn header_names(text: &str) -> Vec<String> {
    header(text).1
}

fn header(text: &str) -> (u8, Vec<String>) {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let candidates = DELIMITERS.map(|delimiter| {
        let mut record = StringRecord::new();
        let read = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .from_reader(first.as_bytes())
            .read_record(&mut record);
        let names = match read {
            Ok(true) => record.iter().map(column_name).collect(),
            _ => Vec::new(),
        };
        (delimiter, names)
    });
    // Of equals the first: a comma.
    candidates
        .into_iter()
        .fold((b',', Vec::new()), |best, candidate: (u8, Vec<String>)| {
            if candidate.1.len() > best.1.len() {
                candidate
            } else {
                best
            }
        })
}

fn column_name(cell: &str) -> String {
    cell.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Reads every row with `read_row`, which takes its cells from a [`Row`].
///
/// Rows with the same `key` cell: an exact repetition is skipped with a problem,
/// one that says something else is an error, since nothing tells which is right.
pub(super) fn read<T: PartialEq>(
    text: &str,
    format: Format,
    columns: &'static Columns,
    key: impl Fn(&T) -> &str,
    mut read_row: impl FnMut(&mut Row<'_>) -> Option<T>,
) -> Result<(Vec<T>, Vec<Problem>), ParseError> {
    let refuse = |reasons| ParseError {
        format,
        version: None,
        reasons,
    };
    let (delimiter, names) = header(text);
    let (positions, problems) = check_header(&names, columns).map_err(refuse)?;
    let mut findings = Findings {
        errors: Vec::new(),
        problems,
    };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(Trim::All)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut header_passed = false;
    let mut records = Vec::new();
    let mut seen: HashMap<String, (usize, u64)> = HashMap::new();
    let mut record = StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                findings
                    .errors
                    .push(Problem::new("malformed_csv", error.to_string()));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if !header_passed {
            header_passed = true;
            continue;
        }
        if record.len() != names.len() {
            findings.errors.push(
                Problem::new(
                    "wrong_cell_count",
                    format!(
                        "the row has {} cells, the header {}",
                        record.len(),
                        names.len()
                    ),
                )
                .at_line(line),
            );
        } else if let Some(read) = read_row(&mut Row {
            record: &record,
            positions: &positions,
            line,
            findings: &mut findings,
        }) {
            match seen.get(key(&read)) {
                None => {
                    seen.insert(key(&read).to_owned(), (records.len(), line));
                    records.push(read);
                }
                Some(&(index, first)) if records[index] == read => findings.problems.push(
                    Problem::new("duplicate_row", format!("the row repeats line {first}"))
                        .at_line(line),
                ),
                Some(&(_, first)) => findings.errors.push(
                    Problem::new(
                        "contradicting_row",
                        format!("line {first} says something else about {:?}", key(&read)),
                    )
                    .at_line(line),
                ),
            }
        }
        if findings.errors.len() >= MAX_ROW_ERRORS {
            findings.errors.truncate(MAX_ROW_ERRORS);
            break;
        }
    }
    if findings.errors.is_empty() {
        Ok((records, findings.problems))
    } else {
        Err(refuse(findings.errors))
    }
}

type Positions = HashMap<&'static str, usize>;

/// Where each known column stands. Unknown ones are only doubtful: they may be
/// somebody's own, or a known one misspelt.
fn check_header(
    names: &[String],
    columns: &'static Columns,
) -> Result<(Positions, Vec<Problem>), Vec<Problem>> {
    let (mut positions, mut errors, mut problems) = (Positions::new(), Vec::new(), Vec::new());
    for (index, name) in names.iter().enumerate() {
        match columns.iter().find(|(known, _)| known == name) {
            Some((known, _)) => {
                if positions.insert(known, index).is_some() {
                    errors.push(
                        Problem::new("duplicate_column", "the header names the column twice")
                            .at_line(1)
                            .at_path(*known),
                    );
                }
            }
            None => problems.push(
                Problem::new("unknown_column", "the column is not known and was not read")
                    .at_line(1)
                    .at_path(name.clone()),
            ),
        }
    }
    for (known, required) in columns {
        if *required && !positions.contains_key(known) {
            errors.push(
                Problem::new("missing_column", "the header lacks this column")
                    .at_line(1)
                    .at_path(*known),
            );
        }
    }
    if errors.is_empty() {
        Ok((positions, problems))
    } else {
        Err(errors)
    }
}

struct Findings {
    errors: Vec<Problem>,
    problems: Vec<Problem>,
}

/// One row. Each method reads a cell, and notes what is wrong with it.
pub(super) struct Row<'r> {
    record: &'r StringRecord,
    positions: &'r Positions,
    line: u64,
    findings: &'r mut Findings,
}

impl Row<'_> {
    /// Notes an error: the file will be refused.
    pub(super) fn error(&mut self, code: &'static str, column: &str, detail: impl Into<String>) {
        let problem = Problem::new(code, detail)
            .at_line(self.line)
            .at_path(column);
        self.findings.errors.push(problem);
    }

    /// Notes a doubt.
    pub(super) fn doubt(&mut self, code: &'static str, column: &str, detail: impl Into<String>) {
        let problem = Problem::new(code, detail)
            .at_line(self.line)
            .at_path(column);
        self.findings.problems.push(problem);
    }

    /// The text of a cell that may be empty.
    pub(super) fn optional(&mut self, column: &str) -> Option<String> {
        let cell = self
            .positions
            .get(column)
            .and_then(|&index| self.record.get(index))
            .filter(|cell| !cell.is_empty())?;
        if cell.len() > MAX_CELL_BYTES {
            self.error(
                "text_too_long",
                column,
                format!("the text is longer than {MAX_CELL_BYTES} bytes"),
            );
            return None;
        }
        Some(cell.to_owned())
    }

    /// The text of a cell that must not be empty.
    pub(super) fn required(&mut self, column: &str) -> Option<String> {
        let before = self.findings.errors.len();
        let cell = self.optional(column);
        if cell.is_none() && self.findings.errors.len() == before {
            self.error("missing_value", column, "the cell is empty");
        }
        cell
    }

    /// One of several words, written in any case, with spaces or hyphens.
    pub(super) fn word<W: Copy>(&mut self, column: &str, words: &[(&str, W)]) -> Option<W> {
        let cell = self.required(column)?;
        let folded = column_name(&cell);
        let found = words.iter().find(|(word, _)| *word == folded);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.error(
                "unknown_value",
                column,
                format!("{} is none of {}", excerpt(&cell), known.join(", ")),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// A day: `2026-03-01`, or as the UK writes it `01/03/2026`. Never the
    /// American order.
    pub(super) fn date(&mut self, column: &str) -> Option<NaiveDate> {
        let cell = self.required(column)?;
        let date = date(&cell);
        if date.is_none() {
            self.error(
                "bad_date",
                column,
                format!("{} is neither yyyy-mm-dd nor dd/mm/yyyy", excerpt(&cell)),
            );
        }
        date
    }

    pub(super) fn currency(&mut self, column: &str) -> Option<Currency> {
        let cell = self.required(column)?;
        match Currency::parse(&cell) {
            Ok(currency) => Some(currency),
            Err(error) => {
                self.error("unknown_currency", column, error.to_string());
                None
            }
        }
    }

    /// An amount that is not negative, or `None` for an empty cell.
    pub(super) fn amount(&mut self, column: &str, currency: Currency) -> Option<Money> {
        let cell = self.optional(column)?;
        match amount(&cell, currency) {
            Ok(amount) if amount.is_negative() => {
                self.error(
                    "negative_amount",
                    column,
                    format!(
                        "{} is negative; the kind says which way it counts",
                        excerpt(&cell)
                    ),
                );
                None
            }
            Ok(amount) => Some(amount),
            Err((code, detail)) => {
                self.error(code, column, detail);
                None
            }
        }
    }

    /// A whole number, or `None` for an empty cell.
    pub(super) fn number<N: std::str::FromStr>(&mut self, column: &str) -> Option<N> {
        let cell = self.optional(column)?;
        let number = cell.parse().ok();
        if number.is_none() {
            self.error(
                "bad_number",
                column,
                format!("{} is no whole number that fits here", excerpt(&cell)),
            );
        }
        number
    }
}

fn excerpt(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

fn date(text: &str) -> Option<NaiveDate> {
    let shape = |separator: u8, at: [usize; 2]| {
        text.len() == 10
            && text.bytes().enumerate().all(|(index, b)| {
                if at.contains(&index) {
                    b == separator
                } else {
                    b.is_ascii_digit()
                }
            })
    };
    if shape(b'-', [4, 7]) {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()
    } else if shape(b'/', [2, 5]) {
        NaiveDate::parse_from_str(text, "%d/%m/%Y").ok()
    } else {
        None
    }
}

/// A decimal, with commas between thousands only where a decimal point follows
/// them: `1,234` alone could mean either.
fn amount(text: &str, currency: Currency) -> Result<Money, (&'static str, String)> {
    let plain = match text.split_once('.') {
        Some((whole, fraction)) if whole.contains(',') && grouped(whole) => {
            format!("{}.{fraction}", whole.replace(',', ""))
        }
        _ => text.to_owned(),
    };
    Money::parse(&plain, currency).map_err(|error| {
        let code = match error {
            kernel::MoneyError::TooManyDecimals { .. } => "too_many_decimals",
            _ => "bad_amount",
        };
        (code, error.to_string())
    })
}

fn grouped(whole: &str) -> bool {
    let mut groups = whole.strip_prefix('-').unwrap_or(whole).split(',');
    groups
        .next()
        .is_some_and(|first| (1..=3).contains(&first.len()))
        && groups.all(|group| group.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_iso_or_british() {
        let day = NaiveDate::from_ymd_opt(2026, 3, 1);
        assert_eq!(date("2026-03-01"), day);
        assert_eq!(date("01/03/2026"), day);
        for wrong in [
            "1/3/2026",
            "01/03/26",
            "2026/03/01",
            "30/02/2026",
            "03-01-2026",
            "",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn thousands_are_grouped_only_before_a_decimal_point() {
        let read = |text| amount(text, Currency::GBP).map(|m| m.amount().to_string());
        assert_eq!(read("1234.5").as_deref(), Ok("1234.50"));
        assert_eq!(read("1,234,567.50").as_deref(), Ok("1234567.50"));
        for wrong in ["1,234", "12,34.50", "1,2345.00", "£5.00", "1e3", "1.234,50"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read("1.005").unwrap_err().0, "too_many_decimals");
    }

    #[test]
    fn the_delimiter_is_the_one_that_gives_most_columns() {
        assert_eq!(header("a;b,c;d\n").0, b';');
        assert_eq!(header("a\tb\n").0, b'\t');
        assert_eq!(header("\n\na,b\n").1, ["a", "b"]);
        assert_eq!(header("Account Ref,Due-On").1, ["account_ref", "due_on"]);
    }
}
