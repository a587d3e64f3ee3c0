//! Small tables that are part of the program: `*.csv` beside the code that reads
//! them, each with the day from which a row is valid.

/// The rows of a table without its head, its comments and what is empty.
pub(super) fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
        .map(|line| line.split(';').map(str::trim).collect())
}
