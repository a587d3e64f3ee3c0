//! Small tables that are part of the program: `data/*`, each row with the day
//! from which it counts.

use chrono::NaiveDate;

/// The rows of a table without its head, its comments and what is empty.
pub(super) fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
        .map(|line| line.split(',').map(str::trim).collect())
}

/// Of rows with a key and a day each, the one of a key that counts on `today`.
pub(super) fn in_force<'r, R>(
    rows: impl Iterator<Item = &'r R>,
    today: NaiveDate,
    valid_from: impl Fn(&R) -> NaiveDate,
) -> Option<&'r R> {
    rows.filter(|row| valid_from(row) <= today)
        .max_by_key(|row| valid_from(row))
}
