//! What the codes of messages about instructions mean: data with days from which
//! it counts. Those of payments that come back are the ledger's to know.

use std::sync::LazyLock;

use chrono::NaiveDate;

/// A reason, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    pub meaning: &'static str,
    pub action: &'static str,
}

struct Row {
    report: &'static str,
    code: &'static str,
    valid_from: NaiveDate,
    reason: Reason,
}

/// What `code` of a report means on a day.
pub fn reason(report: &str, code: &str, on: NaiveDate) -> Option<Reason> {
    ROWS.iter()
        .filter(|row| {
            row.report == report && row.code.eq_ignore_ascii_case(code) && row.valid_from <= on
        })
        .max_by_key(|row| row.valid_from)
        .map(|row| row.reason)
}

// A row that is none is left out and caught by the test below: production code
// must not panic over its own data.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| lines().filter_map(row).collect());

fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("codes.csv")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
}

fn row(line: &'static str) -> Option<Row> {
    let mut fields = line.split(';').map(str::trim);
    let row = Row {
        report: fields.next()?,
        code: fields.next()?,
        valid_from: fields.next()?.parse().ok()?,
        reason: Reason {
            meaning: fields.next()?,
            action: fields.next()?,
        },
    };
    fields.next().is_none().then_some(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_means_one_thing() {
        assert_eq!(ROWS.len(), lines().count());
        let on = "2026-11-24".parse().unwrap();
        assert_eq!(reason("addacs", "2", on).unwrap().meaning, "Payer deceased");
        assert_ne!(reason("addacs", "C", on), reason("auddis", "C", on));
        assert_eq!(reason("awacs", "Q", on), None);
        for (n, row) in ROWS.iter().enumerate() {
            let same = |other: &&Row| {
                (other.report, other.code, other.valid_from)
                    == (row.report, row.code, row.valid_from)
            };
            assert_eq!(ROWS.iter().position(|other| same(&other)), Some(n));
        }
    }
}
