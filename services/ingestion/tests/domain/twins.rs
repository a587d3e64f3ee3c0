//! E29: identical genuine lines, the same file again, and one line more.

use std::collections::BTreeSet;

use ingestion::domain::{dedup::statement_key, line::Statement};

use super::statement;

fn keys(statement: &Statement) -> BTreeSet<&str> {
    statement
        .lines
        .iter()
        .map(|line| line.dedup_key.as_str())
        .collect()
}

#[test]
fn e29_identical_twins_coexist() {
    let twins = statement("twins.xml");
    assert_eq!(twins.ties, Some(true));
    assert_eq!(twins.lines.len(), 3);
    assert_eq!(keys(&twins).len(), 3);
}

#[test]
fn e29_the_same_file_again_adds_nothing() {
    assert_eq!(keys(&statement("twins.xml")), keys(&statement("twins.xml")));
}

/// The file came again with a third twin, its lines in another order and its
/// text broken differently.
#[test]
fn e29_one_line_more_adds_exactly_one() {
    let (before, after) = (statement("twins.xml"), statement("twins-one-more.xml"));
    let (before, after) = (keys(&before), keys(&after));
    assert!(before.is_subset(&after));
    assert_eq!(after.difference(&before).count(), 1);
}

#[test]
fn e29_a_statement_id_used_again_next_year_is_another_statement() {
    let this_year = statement("twins.xml");
    assert_eq!(
        statement_key(&this_year),
        statement_key(&statement("twins.xml"))
    );
    let mut next_year = this_year.clone();
    next_year.closes_on = this_year
        .closes_on
        .and_then(|day| day.checked_add_months(chrono::Months::new(12)));
    assert_ne!(statement_key(&this_year), statement_key(&next_year));
}
