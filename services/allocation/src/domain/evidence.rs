//! What a payer's words may refer to.
//!
//! Nothing here decides. It only turns free text into keys that can be looked
//! up by an index, so that no receipt ever causes a scan of the open items.

use kernel::CreditorReference;

/// Keys taken from one receipt at most: a longer text is an essay, not a
/// reference.
const KEYS_MAX: usize = 64;
/// Neighbouring words that are tried as one: `INV 10 324`, `RF18 5390 0754 7034`.
const JOIN_MAX: usize = 7;
/// The longest reference that we look for; an ISO 11649 reference has 25.
const KEY_LEN: std::ops::RangeInclusive<usize> = 3..=35;

/// A reference folded for comparing: letters and digits in upper case.
pub fn reference_key(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
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

/// Everything in `texts` that could be a reference: each word with a digit in
/// it, and neighbouring words joined. Sorted, each once.
pub fn keys<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut keys = Vec::new();
    for text in texts {
        let words: Vec<&str> = text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
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
                    keys.push(joined.to_ascii_uppercase());
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
        keys([text]).iter().any(|k| k == key)
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
