//! Takes a file apart. What is not where it belongs refuses the file; what adds
//! up wrongly is for [`check`](fn@super::check) to say.

use chrono::NaiveDate;

use super::{Account, File, Record, Totals, Writer};
use crate::domain::problem::Problem;

/// The shortest record: up to the amount. Banks cut the spaces at the end.
const SHORTEST: usize = 46;

struct Line {
    number: u64,
    chars: Vec<char>,
}

impl Line {
    /// Positions as Bacs counts them: from 1, both included. Beyond its end a line
    /// has spaces.
    fn raw(&self, from: usize, to: usize) -> String {
        (from..=to)
            .map(|at| self.chars.get(at - 1).copied().unwrap_or(' '))
            .collect()
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.raw(from, to).trim_end().to_owned()
    }

    fn starts(&self, label: &str) -> bool {
        self.raw(1, 4) == label
    }

    fn wrong(&self, from: usize, to: usize, what: &str) -> Problem {
        Problem::new(
            "std18_field",
            format!(
                "positions {from} to {to} are {:?}, which is no {what}",
                self.raw(from, to)
            ),
        )
        .at_line(self.number)
    }

    fn count(&self, from: usize, to: usize) -> Result<u64, Problem> {
        let text = self.raw(from, to);
        match text.trim() {
            "" => Ok(0),
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| self.wrong(from, to, "number"))
            }
            _ => Err(self.wrong(from, to, "number")),
        }
    }

    /// `bYYDDD`; nothing when it is blank.
    fn day(&self, from: usize, to: usize) -> Result<Option<NaiveDate>, Problem> {
        let text = self.raw(from, to);
        let digits = text.trim();
        if digits.is_empty() || digits.bytes().all(|b| b == b'0') {
            return Ok(None);
        }
        let parts = digits.split_at_checked(2);
        let day = parts.and_then(|(year, day)| {
            let all = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
            let year: i32 = year.parse().ok().filter(|_| all)?;
            NaiveDate::from_yo_opt(2000 + year, day.parse().ok()?)
        });
        day.map(Some).ok_or_else(|| self.wrong(from, to, "day"))
    }

    fn digits(&self, from: usize, to: usize, what: &str) -> Result<String, Problem> {
        let text = self.raw(from, to);
        if text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(text)
        } else {
            Err(self.wrong(from, to, what))
        }
    }
}

/// Reads a file.
///
/// # Errors
/// When a label is missing, or a field is not what it must be.
pub fn read(text: &str) -> Result<File, Problem> {
    let lines: Vec<Line> = text
        .lines()
        .enumerate()
        .map(|(at, line)| Line {
            number: at as u64 + 1,
            chars: line.trim_end().chars().collect(),
        })
        .filter(|line| !line.chars.is_empty())
        .collect();
    let mut rest = lines.iter().peekable();
    let mut label = |name: &'static str| -> Result<&Line, Problem> {
        let missing = || Problem::new("std18_label", format!("the label {name} is missing"));
        let line = rest.next().ok_or_else(missing)?;
        if line.starts(name) {
            Ok(line)
        } else {
            Err(missing().at_line(line.number))
        }
    };
    let volume = label("VOL1")?;
    let head = label("HDR1")?;
    let is_label = |line: &&Line, name: &str| line.starts(name);
    let described = rest.next_if(|line| is_label(line, "HDR2"));
    let writer = if described.is_some() {
        Writer::ServiceUser
    } else {
        Writer::Bank
    };
    let missing = |name: &str, line: Option<&&Line>| {
        let problem = Problem::new("std18_label", format!("the label {name} is missing"));
        match line {
            Some(line) => problem.at_line(line.number),
            None => problem,
        }
    };
    let Some(header) = rest.next_if(|line| is_label(line, "UHL1")) else {
        return Err(missing("UHL1", rest.peek()));
    };
    let record_length = match described {
        Some(line) => usize::try_from(line.count(11, 15)?).unwrap_or(usize::MAX),
        None => 0,
    };
    let mut records = Vec::new();
    let ends = |line: &&Line| is_label(line, "EOF1") || is_label(line, "UTL1");
    while let Some(line) = rest.next_if(|line| !ends(line)) {
        records.push(record(line, writer, record_length)?);
    }
    if writer == Writer::ServiceUser {
        for name in ["EOF1", "EOF2"] {
            if rest.next_if(|line| is_label(line, name)).is_none() {
                return Err(missing(name, rest.peek()));
            }
        }
    }
    let Some(trailer) = rest.next_if(|line| is_label(line, "UTL1")) else {
        return Err(missing("UTL1", rest.peek()));
    };
    if let Some(line) = rest.next() {
        let detail = "something stands after the label UTL1";
        return Err(Problem::new("std18_label", detail).at_line(line.number));
    }
    let counted = match writer {
        Writer::ServiceUser => trailer.count(53, 59)?,
        Writer::Bank => trailer.count(45, 51)?,
    };
    let ours = writer == Writer::ServiceUser;
    Ok(File {
        writer,
        serial: volume.text(5, 10),
        user_number: volume.text(42, 47),
        named_user_number: if ours {
            head.text(6, 11)
        } else {
            String::new()
        },
        created_on: if ours { head.day(42, 47)? } else { None },
        expires_on: if ours { head.day(48, 53)? } else { None },
        processing_on: header.day(5, 10)?,
        work_code: header.text(29, 37),
        record_length,
        records,
        totals: Totals {
            debit: trailer.count(5, 17)?,
            credit: trailer.count(18, 30)?,
            debits: trailer.count(31, 37)?,
            credits: trailer.count(38, 44)?,
            instructions: counted,
        },
    })
}

fn record(line: &Line, writer: Writer, length: usize) -> Result<Record, Problem> {
    let ours = writer == Writer::ServiceUser;
    let found = line.chars.len();
    if found < SHORTEST || (ours && found > length) {
        return Err(Problem::new(
            "std18_record_length",
            format!("the record has {found} characters"),
        )
        .at_line(line.number));
    }
    let amount = line.raw(36, 46);
    let pence = match amount.trim() {
        "" => Some(0),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        // Balances and the like, in files of banks.
        _ if !ours => None,
        _ => return Err(line.wrong(36, 46, "amount in pence")),
    };
    let originator = if ours {
        Account {
            sort_code: line.digits(18, 23, "sort code")?,
            number: line.digits(24, 31, "account number")?,
        }
    } else {
        Account {
            sort_code: line.text(18, 23),
            number: line.text(24, 31),
        }
    };
    Ok(Record {
        destination: Account {
            sort_code: line.digits(1, 6, "sort code")?,
            number: line.digits(7, 14, "account number")?,
        },
        account_type: line.chars.get(14).copied().unwrap_or(' '),
        code: line.raw(16, 17),
        originator,
        free: line.text(32, 35),
        pence,
        name: line.text(47, 64),
        reference: line.text(65, 82),
        destination_name: line.text(83, 100),
        processing_on: if ours && length > 100 {
            line.day(101, 106)?
        } else {
            None
        },
    })
}
