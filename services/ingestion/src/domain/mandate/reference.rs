//! The core reference of a Direct Debit instruction (field 10 of Standard 18).

use std::ops::RangeInclusive;

/// How many characters a reference has.
const LENGTHS: RangeInclusive<usize> = 6..=18;

/// Which references a report may mean by what it says: reports may have more
/// behind the reference. The shortest first.
pub fn beginnings(said: &str) -> impl Iterator<Item = &str> {
    LENGTHS.filter_map(move |end| said.get(..end))
}

/// Checks a reference by the rules of Bacs: 6 to 18 characters of which at least
/// six are letters or digits, the first among them, not all the same, and none
/// that begin with `DDIC`.
///
/// # Errors
/// The rule that it breaks.
pub fn check(reference: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let count = reference.chars().count();
    if !LENGTHS.contains(&count) {
        return Err("it has 6 to 18 characters");
    }
    if !reference
        .chars()
        .all(|c| plain(c) || matches!(c, '-' | '/' | '.' | '&'))
    {
        return Err("it has only A-Z, 0-9, -, /, . and &");
    }
    if !reference.starts_with(plain) {
        return Err("its first character is a letter or a digit");
    }
    if reference.chars().filter(|c| plain(*c)).count() < 6 {
        return Err("at least six of its characters are letters or digits");
    }
    let first = reference.chars().next();
    if reference.chars().all(|c| Some(c) == first) {
        return Err("its characters are not all the same");
    }
    if reference.starts_with("DDIC") {
        return Err("it does not begin with DDIC");
    }
    Ok(())
}

/// Whether two references of one account cannot be told apart: one is, or begins
/// with, the other.
pub fn collide(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_bacs() {
        for good in ["ABC123", "A-1.2/3&456", "000001", "ABCDEFGHIJKLMNOPQR"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "ABC12",
            "ABCDEFGHIJKLMNOPQRS",
            "abc123",
            "-ABC123",
            "A-B-C/1/",
            "AAAAAA",
            "DDIC123456",
            "ABC 123",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let all: Vec<&str> = beginnings("ABC12345").collect();
        assert_eq!(all, ["ABC123", "ABC1234", "ABC12345"]);
        assert_eq!(beginnings("ABC12").count(), 0);
        let all: Vec<&str> = beginnings("ABC12\u{e9}6").collect();
        assert_eq!(all, ["ABC12\u{e9}", "ABC12\u{e9}6"], "none within a letter");
        assert!(collide("ABC123", "ABC1234"));
        assert!(!collide("ABC123", "ABC124"));
    }
}
