//! Small tables that are part of the program: `data/*.csv`, each row with the
//! day from which it is valid, in the last column.

use chrono::NaiveDate;

/// The rows of a table without its head, its comments and what is empty.
pub(super) fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .skip(1)
        .map(|line| line.split(',').map(str::trim).collect())
}

/// The rows in force on a day: for each key, made of the first `keys` columns,
/// the one with the latest day that is not after it. In the order of the table.
pub(super) fn in_force(text: &'static str, keys: usize, day: NaiveDate) -> Vec<Vec<&'static str>> {
    let mut found: Vec<(NaiveDate, Vec<&'static str>)> = Vec::new();
    for row in rows(text) {
        let Some(from) = row.last().and_then(|day| day.parse::<NaiveDate>().ok()) else {
            continue;
        };
        if from > day {
            continue;
        }
        match found
            .iter_mut()
            .find(|(_, other)| other.get(..keys) == row.get(..keys))
        {
            Some(known) if known.0 <= from => *known = (from, row),
            Some(_) => {}
            None => found.push((from, row)),
        }
    }
    found.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_row_that_is_valid_counts() {
        const TABLE: &str =
            "# words\nkey,value,valid_from\na,1,2026-01-01\na,2,2026-06-01\nb,3,2026-06-01\n";
        let on = |day: &str| {
            let rows = in_force(TABLE, 1, day.parse().unwrap());
            rows.iter().map(|row| row[1]).collect::<Vec<_>>()
        };
        assert_eq!(on("2025-12-31"), [""; 0]);
        assert_eq!(on("2026-05-31"), ["1"]);
        assert_eq!(on("2026-06-01"), ["2", "3"]);
    }
}
