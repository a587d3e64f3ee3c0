//! What the codes of reports mean, and what they do to a mandate: data with days
//! from which it counts. What a payment that comes back means for its debt is the
//! ledger's to know.

use std::sync::LazyLock;

use chrono::NaiveDate;

use crate::domain::data;

const TABLE: &str = include_str!("codes.csv");

/// What becomes of a mandate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Cancel,
    Suspend,
    Invalid,
    Amend,
    Transfer,
    Reinstate,
    Keep,
}

/// What a code means and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    pub effect: Effect,
    /// The collection may be presented again.
    pub again: bool,
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
        .filter(|row| row.report == report && row.valid_from <= on)
        .filter(|row| row.code.eq_ignore_ascii_case(code.trim()))
        .max_by_key(|row| row.valid_from)
        .map(|row| row.reason)
}

// A row that is none is left out and caught by the test below: production code
// must not panic over its own data.
static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    data::rows(TABLE)
        .filter_map(|fields| row(&fields))
        .collect()
});

fn row(fields: &[&'static str]) -> Option<Row> {
    let [report, code, from, effect, again, meaning, action] = *fields else {
        return None;
    };
    Some(Row {
        report,
        code,
        valid_from: from.parse().ok()?,
        reason: Reason {
            effect: match effect {
                "cancel" => Effect::Cancel,
                "suspend" => Effect::Suspend,
                "invalid" => Effect::Invalid,
                "amend" => Effect::Amend,
                "transfer" => Effect::Transfer,
                "reinstate" => Effect::Reinstate,
                "keep" => Effect::Keep,
                _ => return None,
            },
            again: again == "y",
            meaning,
            action,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_means_one_thing() {
        assert_eq!(ROWS.len(), data::rows(TABLE).count());
        assert!(ROWS.len() > 35);
        let on = "2026-11-24".parse().unwrap();
        assert_eq!(reason("addacs", "2", on).unwrap().meaning, "Payer deceased");
        assert_eq!(reason("addacs", "2 ", on), reason("addacs", "2", on));
        assert_ne!(reason("addacs", "3", on), reason("auddis", "3", on));
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
