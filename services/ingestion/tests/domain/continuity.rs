//! Whether a statement follows the one before.

use ingestion::domain::proof::{Previous, continuity};

use super::{codes, statement};

#[test]
fn a_statement_that_opens_where_the_last_closed_continues_it() {
    let (first, second) = (statement("chain-day-1.xml"), statement("chain-day-2.xml"));
    let found = continuity(Some(&Previous::of(&first)), &second);
    assert_eq!(found.continues, Some(true));
    assert_eq!(found.problems, []);
    assert_eq!(continuity(None, &first).continues, None);
}

#[test]
fn a_missing_day_is_told_by_balance_date_and_number() {
    let (second, fourth) = (statement("chain-day-2.xml"), statement("chain-day-4.xml"));
    let found = continuity(Some(&Previous::of(&second)), &fourth);
    assert_eq!(found.continues, Some(false));
    assert_eq!(
        codes(&found.problems),
        ["opening_differs", "days_missing", "sequence_gap"]
    );
    assert!(found.problems[0].detail.contains("GBP 250.00 is missing"));
}

#[test]
fn the_same_statement_again_and_an_older_one_are_told() {
    let (first, second) = (statement("chain-day-1.xml"), statement("chain-day-2.xml"));
    let again = continuity(Some(&Previous::of(&second)), &second);
    assert_eq!(again.continues, Some(false));
    assert_eq!(
        codes(&again.problems),
        ["opening_differs", "sequence_repeats"]
    );
    let older = continuity(Some(&Previous::of(&second)), &first);
    assert_eq!(
        codes(&older.problems),
        [
            "opening_differs",
            "sequence_repeats",
            "earlier_than_previous"
        ]
    );
}

#[test]
fn a_quiet_weekend_and_a_new_year_are_no_gap() {
    let (first, mut second) = (statement("chain-day-1.xml"), statement("chain-day-2.xml"));
    second.from = first
        .closes_on
        .and_then(|day| day.checked_add_days(chrono::Days::new(4)));
    second.closes_on = second.from;
    second.sequence = Some(1);
    let found = continuity(Some(&Previous::of(&first)), &second);
    assert_eq!(found.continues, Some(true));
    assert_eq!(found.problems, []);
}

#[test]
fn without_a_balance_nothing_is_claimed() {
    let (mut first, second) = (statement("chain-day-1.xml"), statement("chain-day-2.xml"));
    first.closing = None;
    assert_eq!(
        continuity(Some(&Previous::of(&first)), &second).continues,
        None
    );
}
