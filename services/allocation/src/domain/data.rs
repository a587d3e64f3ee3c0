//! Small tables that are part of the program: `data/*.csv`, each with the day
//! from which a row is valid.

/// The rows of a table without its head, its comments and what is empty.
pub(super) fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    rows_between(text, ',')
}

/// The same of a table with sentences in it, whose fields another character
/// separates.
pub(super) fn rows_between(
    text: &'static str,
    separator: char,
) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
        .map(move |line| line.split(separator).map(str::trim).collect())
}
