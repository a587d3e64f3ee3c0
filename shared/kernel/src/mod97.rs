//! ISO 7064 MOD 97-10, the check digits of IBAN (ISO 13616) and creditor reference (ISO 11649).

/// The remainder mod 97 of capital letters and digits, a letter standing for 10 (`A`) to 35 (`Z`).
/// Other bytes must have been refused before.
pub(crate) fn remainder(text: impl IntoIterator<Item = u8>) -> u32 {
    text.into_iter().fold(0, |remainder, byte| {
        if byte.is_ascii_digit() {
            (remainder * 10 + u32::from(byte - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(byte.wrapping_sub(b'A')) + 10) % 97
        }
    })
}

/// The two check digits (02 to 98) of `body` under the two letters `prefix`.
pub(crate) fn check_digits(prefix: &str, body: &str) -> u32 {
    98 - remainder(body.bytes().chain(prefix.bytes()).chain(*b"00"))
}

/// Whether `text` (two letters, two digits, body; capital letters and digits only, five at least)
/// has the right check digits. `00`, `01` and `99` leave the right remainder at times, but no
/// issuer computes them.
pub(crate) fn is_valid(text: &str) -> bool {
    let (head, body) = text.split_at(4);
    let (prefix, digits) = head.split_at(2);
    digits
        .parse()
        .is_ok_and(|digits: u32| digits == check_digits(prefix, body))
}

/// As people write it to as machines keep it: without spaces, in capital letters. `None` if
/// anything but ASCII letters and digits is left.
pub(crate) fn compact(text: &str) -> Option<String> {
    text.chars()
        .filter(|char| !char.is_whitespace())
        .map(|char| {
            char.is_ascii_alphanumeric()
                .then(|| char.to_ascii_uppercase())
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every text that differs from `text` in one digit, or by a swap of two different digits that
    /// stand side by side.
    pub(crate) fn typing_errors(text: &str) -> Vec<String> {
        let bytes = text.as_bytes();
        let mut errors = Vec::new();
        for at in 0..bytes.len() {
            if !bytes[at].is_ascii_digit() {
                continue;
            }
            for digit in (b'0'..=b'9').filter(|digit| *digit != bytes[at]) {
                let mut wrong = bytes.to_vec();
                wrong[at] = digit;
                errors.push(String::from_utf8(wrong).unwrap());
            }
            if at + 1 < bytes.len() && bytes[at + 1].is_ascii_digit() && bytes[at] != bytes[at + 1]
            {
                let mut wrong = bytes.to_vec();
                wrong.swap(at, at + 1);
                errors.push(String::from_utf8(wrong).unwrap());
            }
        }
        errors
    }

    #[test]
    fn the_errors_are_all_there() {
        let errors = typing_errors("A112");
        // Nine other digits at each of three places, and one swap.
        assert_eq!(errors.len(), 28);
        assert!(errors.contains(&"A121".to_owned()) && errors.contains(&"A012".to_owned()));
        assert!(!errors.contains(&"A112".to_owned()));
    }

    #[test]
    fn check_digits_00_01_and_99_are_never_right() {
        // 97 and 00, 98 and 01, 02 and 99 leave the same remainder.
        for digits in 2..=98 {
            let body = (0..1000)
                .map(|number| number.to_string())
                .find(|body| check_digits("RF", body) == digits)
                .unwrap();
            assert!(is_valid(&format!("RF{digits:02}{body}")));
            if digits == 97 {
                assert!(!is_valid(&format!("RF00{body}")));
            }
            if digits == 98 {
                assert!(!is_valid(&format!("RF01{body}")));
            }
            if digits == 2 {
                assert!(!is_valid(&format!("RF99{body}")));
            }
        }
    }

    proptest! {
        #[test]
        fn a_right_text_leaves_one(prefix in "[A-Z]{2}", body in "[0-9A-Z]{1,30}") {
            let digits = format!("{:02}", check_digits(&prefix, &body));
            let moved = body.bytes().chain(prefix.bytes()).chain(digits.bytes());
            prop_assert_eq!(remainder(moved), 1);
            let text = [prefix, digits, body].concat();
            prop_assert!(is_valid(&text));
        }
    }
}
