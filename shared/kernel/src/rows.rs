//! Reads the tables under `data/` while compiling, so that a bad row stops the build and nothing is
//! parsed at run time.

/// The data rows of a csv text: `#` comments and empty lines are skipped, and so is the header line.
pub(crate) struct Rows {
    rest: &'static [u8],
}

impl Rows {
    pub(crate) const fn new(text: &'static str) -> Self {
        let mut rows = Self {
            rest: text.as_bytes(),
        };
        assert!(rows.next().is_some(), "a header line is expected");
        rows
    }

    pub(crate) const fn next(&mut self) -> Option<&'static [u8]> {
        while !self.rest.is_empty() {
            let mut end = 0;
            while end < self.rest.len() && self.rest[end] != b'\n' {
                end += 1;
            }
            let (line, rest) = self.rest.split_at(end);
            self.rest = match rest {
                [_, after @ ..] => after,
                [] => rest,
            };
            if !line.is_empty() && line[0] != b'#' {
                return Some(line);
            }
        }
        None
    }

    pub(crate) const fn count(mut self) -> usize {
        let mut count = 0;
        while self.next().is_some() {
            count += 1;
        }
        count
    }
}

/// The value of a text of ASCII digits.
pub(crate) const fn number(digits: &[u8]) -> u32 {
    let mut value = 0;
    let mut i = 0;
    while i < digits.len() {
        assert!(digits[i].is_ascii_digit(), "a digit is expected");
        value = value * 10 + (digits[i] - b'0') as u32;
        i += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_empty_lines_and_the_header_are_skipped() {
        let mut rows = Rows::new("# source\n\ncode,exponent\nGBP,2\n# between\nJPY,0");
        assert_eq!(rows.next(), Some("GBP,2".as_bytes()));
        assert_eq!(rows.next(), Some("JPY,0".as_bytes()));
        assert_eq!(rows.next(), None);
        assert_eq!(rows.next(), None);
        assert_eq!(Rows::new("header\na\nb\n").count(), 2);
    }

    #[test]
    fn a_number_is_read() {
        assert_eq!(number(b"2027"), 2027);
    }
}
