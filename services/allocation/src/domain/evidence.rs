//! What a payer's words may refer to.
//!
//! Nothing here decides. It only turns free text into keys that can be looked
//! up by an index, so that no receipt ever causes a scan of the open items.

use contracts::allocation::Evidence;
use kernel::CreditorReference;

/// Keys taken from one receipt at most: a longer text is an essay, not a
/// reference.
const KEYS_MAX: usize = 64;
/// Neighbouring words that are tried as one: `INV 10 324`, `RF18 5390 0754 7034`.
const JOIN_MAX: usize = 7;
/// The longest reference that we look for; an ISO 11649 reference has 25.
const KEY_LEN: std::ops::RangeInclusive<usize> = 3..=35;

/// Digits of a document number that mean it without its letters, at least.
const TAIL_MIN: usize = 5;
/// Last digits that look like a document number, at least.
const CLOSE_DIGITS_MIN: usize = 3;
/// Characters of a spoilt reference that still mean something, at least.
const NEAR_MIN: usize = 6;

/// One thing that speaks for or against a match.
pub fn say(kind: &str, supports: bool, detail: impl Into<String>) -> Evidence {
    Evidence {
        kind: kind.to_owned(),
        supports,
        detail: detail.into(),
    }
}

/// A reference folded for comparing: letters and digits in upper case, and one
/// sign for each pair that people mistake for one another (E4).
pub fn reference_key(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' => '1',
            c => c,
        })
        .collect()
}

/// What is left of a document number when its leading letters are dropped, as
/// payers do: `INV-10324` is quoted as `10324`. `None` when that is no number of
/// its own, or too short to mean anything.
pub fn tail_key(document_ref: &str) -> Option<String> {
    let plain: String = document_ref
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let tail = plain.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    (tail.len() < plain.len() && is_tail(tail)).then(|| tail.to_owned())
}

/// Whether `tail` stands in `text` only at the end of longer numbers that have
/// letters and digits of their own before it: `22537` in `SI/2026/22537` is that
/// series' number, not `INV-22537` without its letters (E22).
pub fn ends_another(text: &str, tail: &str) -> bool {
    let mut another = false;
    for chunk in text.split_whitespace() {
        let whole: Vec<char> = chunk.chars().filter(char::is_ascii_alphanumeric).collect();
        let Some(before) = whole.len().checked_sub(tail.len()) else {
            continue;
        };
        let (before, end) = whole.split_at(before);
        if reference_key(&end.iter().collect::<String>()) != tail {
            continue;
        }
        let digits = before.iter().any(char::is_ascii_digit);
        let letters = before.iter().any(char::is_ascii_alphabetic);
        if !(digits && letters) {
            return false;
        }
        another = true;
    }
    another
}

/// The keys of one text that are longer than `key` and end with it: if one of them
/// is a number of ours, `key` is a part of that and means nothing of its own.
pub fn longer<'k>(key: &'k str, text: &'k [String]) -> impl Iterator<Item = &'k String> {
    text.iter()
        .filter(move |other| other.len() > key.len() && other.ends_with(key))
}

/// Whether a key could be the tail of a document number.
pub fn is_tail(key: &str) -> bool {
    key.len() >= TAIL_MIN && key.bytes().all(|b| b.is_ascii_digit())
}

/// The form of a reference: which places have letters and which digits. Two
/// references of one series have the same.
pub fn shape(key: &str) -> String {
    key.chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { 'A' })
        .collect()
}

/// Whether `key` is `reference` as a payer or a bank might spoil it: cut short,
/// its beginning dropped, or a slip of the finger (E3, E4). Never proof by
/// itself. One digit in place of another is no slip: that is the next document
/// of the series.
pub fn is_near(key: &str, reference: &str) -> bool {
    let long = key.len() >= NEAR_MIN;
    let cut = long && key.len() * 2 >= reference.len() && reference.starts_with(key);
    let tail = key.len() >= TAIL_MIN - 1
        && key.bytes().all(|b| b.is_ascii_digit())
        && reference.ends_with(key);
    key == reference || cut || tail || (long && is_slip(key, reference))
}

/// How much of a hundred `key` looks like `reference`: for ranking only.
pub fn closeness(key: &str, reference: &str) -> u8 {
    let share = |of: usize, best: usize| {
        u8::try_from(of * best / reference.len().max(1)).unwrap_or(u8::MAX)
    };
    if key == reference {
        100
    } else if key.len() >= NEAR_MIN && is_slip(key, reference) {
        90
    } else if key.len() >= TAIL_MIN - 1 && reference.starts_with(key) {
        // Cut short: the longer, the surer.
        share(key.len(), 95)
    } else if key.len() >= CLOSE_DIGITS_MIN
        && key.bytes().all(|b| b.is_ascii_digit())
        && reference.ends_with(key)
    {
        50 + share(key.len(), 40)
    } else {
        0
    }
}

/// Two neighbours swapped, one character missing or too many, or a letter in
/// place of a digit.
pub fn is_slip(key: &str, reference: &str) -> bool {
    let (a, b) = (key.as_bytes(), reference.as_bytes());
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    match (a.get(same..).unwrap_or(&[]), b.get(same..).unwrap_or(&[])) {
        ([x, rest_a @ ..], [y, rest_b @ ..]) => {
            let swapped = matches!(
                (rest_a, rest_b),
                ([x2, more_a @ ..], [y2, more_b @ ..]) if x == y2 && y == x2 && more_a == more_b
            );
            let letter = x.is_ascii_digit() != y.is_ascii_digit() && rest_a == rest_b;
            swapped
                || letter
                || rest_a == [*y].iter().chain(rest_b).copied().collect::<Vec<u8>>()
                || rest_b == [*x].iter().chain(rest_a).copied().collect::<Vec<u8>>()
        }
        ([_], []) | ([], [_]) => true,
        _ => false,
    }
}

/// `text`'s words joined by `/`, without the zeros that numbers begin with:
/// `SI/2026/00876` as `SI/2026/876`.
pub fn without_zeros(text: &str) -> String {
    let words: Vec<String> = words(text)
        .map(|word| {
            // Also behind letters: `ABC001` as `ABC1`.
            let letters = word.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (head, tail) = word.split_at(letters);
            let tail = if tail.bytes().all(|b| b.is_ascii_digit()) {
                tail.trim_start_matches('0')
            } else {
                tail
            };
            format!("{}{}", reference_key(head), reference_key(tail))
        })
        .collect();
    words.join("/")
}

/// Letters and digits that stand together.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// A name folded for comparing: upper case, no punctuation, and the usual forms
/// of company endings made one.
pub fn name_key(name: &str) -> String {
    let upper: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                ' '
            }
        })
        .collect();
    let mut key = String::with_capacity(upper.len());
    for word in upper.split_whitespace() {
        key.push_str(match word {
            "LIMITED" => "LTD",
            "COMPANY" => "CO",
            "AND" => "",
            word => word,
        });
    }
    key
}

/// The words of a name that tell people apart: without company endings and
/// titles, in upper case.
pub fn name_words(name: &str) -> Vec<String> {
    let plain = name.to_uppercase();
    words(&plain)
        .filter(|word| {
            word.len() > 1
                && !matches!(
                    *word,
                    "LTD"
                        | "LIMITED"
                        | "PLC"
                        | "LLP"
                        | "CO"
                        | "COMPANY"
                        | "THE"
                        | "AND"
                        | "MR"
                        | "MRS"
                        | "MS"
                        | "DR"
                        | "TA"
                )
        })
        .map(str::to_owned)
        .collect()
}

/// Everything in `texts` that could be a reference: each word with a digit in
/// it, and neighbouring words joined. Sorted, each once.
pub fn keys<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut keys = Vec::new();
    for text in texts {
        let words: Vec<&str> = words(text).collect();
        for start in 0..words.len() {
            let mut joined = String::new();
            for (count, word) in words.iter().skip(start).take(JOIN_MAX).enumerate() {
                joined.push_str(word);
                if joined.len() > *KEY_LEN.end() {
                    break;
                }
                // Beyond three words only our own check-digit references are
                // written that way.
                let plain = count < 3
                    && joined.len() >= *KEY_LEN.start()
                    && joined.bytes().any(|b| b.is_ascii_digit());
                if (plain || is_creditor_reference(&joined)) && keys.len() < KEYS_MAX {
                    keys.push(reference_key(&joined));
                }
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Whether `key` is an ISO 11649 reference with right check digits.
pub fn is_creditor_reference(key: &str) -> bool {
    key.get(..2)
        .is_some_and(|start| start.eq_ignore_ascii_case("RF"))
        && CreditorReference::parse(key).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str, key: &str) -> bool {
        keys([text]).contains(&reference_key(key))
    }

    /// E4: spaces, hyphens, prefixes and case do not hide a reference.
    #[test]
    fn e4_references_are_found_however_they_are_spelt() {
        assert!(found("ACME LTD INV-10324 THANKS", "INV10324"));
        assert!(found("inv 10324", "INV10324"));
        assert!(found("INV 10 324", "INV10324"));
        assert!(found("PAYMENT INV/2026/0042", "INV20260042"));
        assert!(found("RF18 5390 0754 7034", "RF18539007547034"));
        assert!(
            !found("RF19 5390 0754 7034", "RF19539007547034"),
            "wrong check digits, four words"
        );
        assert!(!found("THANK YOU", "THANKYOU"));
    }

    /// E4: O for 0, I for 1, the prefix dropped, cut short by the bank.
    #[test]
    fn e4_spoilt_references_are_near() {
        assert!(found("INV-1O324", "INV-10324"));
        assert_eq!(tail_key("INV-10324").as_deref(), Some("10324"));
        assert_eq!(tail_key("SI/2026/00123").as_deref(), Some("202600123"));
        assert_eq!(tail_key("1234567"), None, "nothing was dropped");
        assert_eq!(tail_key("INV-12"), None, "two digits are anything");
        assert_eq!(tail_key("ABC001/7B"), None, "not a number");
        let near =
            |key: &str, reference: &str| is_near(&reference_key(key), &reference_key(reference));
        assert!(near("ABC001/00", "ABC001/0007-12"));
        assert!(near("INV-10342", "INV-10324"), "swapped");
        assert!(near("INV-1032", "INV-10324"), "cut");
        assert!(near("INV-103244", "INV-10324"), "one too many");
        assert!(near("0324", "INV-10324"));
        assert!(!near("INV-10999", "INV-10324"));
        assert!(!near("INV-10325", "INV-10324"), "the next of the series");
        assert!(near("INV-1032A", "INV-10324"));
        assert_eq!(without_zeros("SI/2026/00876"), without_zeros("SI 2026-876"));
        assert!(!near("INV", "INV-10324"));
        assert_eq!(shape("1NV10324"), "9AA99999");
    }

    #[test]
    fn a_part_of_a_longer_key_is_told() {
        let text = keys(["PAYMENT INV-10324"]);
        let parts: Vec<&String> = longer("10324", &text).collect();
        assert_eq!(parts, ["1NV10324", "PAYMENT1NV10324"]);
        assert_eq!(longer("PAYMENT1NV10324", &text).count(), 0);
        assert_eq!(longer("10325", &text).count(), 0);
    }

    #[test]
    fn names_compare_whatever_the_company_ending() {
        assert_eq!(
            name_key("Acme & Sons Limited"),
            name_key("ACME and SONS LTD.")
        );
        assert_ne!(name_key("Acme North Ltd"), name_key("Acme South Ltd"));
    }

    proptest! {
        #[test]
        fn keys_are_bounded_sorted_and_clean(text in ".{0,400}") {
            let keys = keys([text.as_str()]);
            prop_assert!(keys.len() <= KEYS_MAX);
            prop_assert!(keys.is_sorted());
            for key in keys {
                prop_assert!(KEY_LEN.contains(&key.len()));
                prop_assert_eq!(&reference_key(&key), &key);
            }
        }

        #[test]
        fn a_reference_among_words_is_found(
            before in "[A-Z ]{0,20}", number in "[A-Z]{2,4}-[0-9]{4,6}", after in "[A-Z ]{0,20}",
        ) {
            let text = format!("{before} {number} {after}");
            prop_assert!(found(&text, &reference_key(&number)));
        }
    }
}
