//! How payers write a document's number, and what the banks leave of it.

use contracts::inbound::{RemittanceLine, RemittanceText};

use super::{accounts::Style, documents::Document, rng::Rng};

/// What the reference field of a payment holds.
pub(super) const FIELD: usize = 18;

/// What the line says besides who paid how much.
#[derive(Debug, Clone, Default)]
pub(super) struct Says {
    pub(super) reference: Option<String>,
    pub(super) end_to_end_id: Option<String>,
    pub(super) remittance: Option<RemittanceText>,
}

impl Says {
    /// A text in the reference field, cut off where the field ends; the remittance repeats the field.
    pub(super) fn field(text: &str, rng: &mut Rng) -> Self {
        let cut = cut(text, FIELD);
        Self {
            end_to_end_id: match rng.below(10) {
                0..4 => Some(cut.clone()),
                4 => Some("NOTPROVIDED".into()),
                _ => None,
            },
            remittance: rng.percent(70).then(|| RemittanceText {
                unstructured: vec![cut.clone()],
                structured: Vec::new(),
            }),
            reference: Some(cut),
        }
    }

    /// A text longer than the field: whole in the remittance lines, cut off in the field.
    pub(super) fn lines(lines: Vec<String>, rng: &mut Rng) -> Self {
        let reference = rng.percent(70).then(|| cut(&lines.join(" "), FIELD));
        Self {
            reference,
            end_to_end_id: None,
            remittance: Some(RemittanceText {
                unstructured: lines,
                structured: Vec::new(),
            }),
        }
    }

    pub(super) fn structured(lines: Vec<RemittanceLine>, rng: &mut Rng) -> Self {
        Self {
            reference: rng.percent(40).then(|| "SEE REMITTANCE".into()),
            end_to_end_id: None,
            remittance: Some(RemittanceText {
                unstructured: Vec::new(),
                structured: lines,
            }),
        }
    }

    /// Nothing that leads anywhere.
    pub(super) fn nothing(rng: &mut Rng) -> Self {
        match rng.below(6) {
            0 => Self::default(),
            1 => Self::field("PAYMENT", rng),
            2 => Self::field("WITH THANKS", rng),
            3 => Self::field("MONTHLY ACCOUNT", rng),
            4 => Self::field("SUPPLIER PAYMENT RUN", rng),
            _ => Self::field("INVOICES", rng),
        }
    }
}

/// The first `length` characters, as the banks keep them.
pub(super) fn cut(text: &str, length: usize) -> String {
    let upper = text.to_uppercase();
    let kept: String = upper.chars().take(length).collect();
    kept.trim_end().to_owned()
}

/// A whole reference, with the words that people put around it as far as the field has room.
pub(super) fn around(reference: &str, rng: &mut Rng) -> String {
    let text = match rng.below(12) {
        0 => format!("INVOICE {reference}"),
        1 => format!("INV {reference}"),
        2 => format!("REF:{reference}"),
        3 => format!("PAYMENT {reference}"),
        4 => format!("{reference} THANKS"),
        5 => reference.to_lowercase(),
        _ => reference.to_owned(),
    };
    if text.len() <= FIELD {
        text
    } else {
        reference.to_owned()
    }
}

/// With other separators, or none.
pub(super) fn spaced(document: &Document, rng: &mut Rng) -> String {
    let number = &document.number;
    if document.style == Style::Plain {
        let (head, tail) = number.split_at(rng.pick(&[1, 3, 4]));
        return format!("{head} {tail}");
    }
    match rng.below(4) {
        0 | 1 => number.replace(['-', '/'], " "),
        2 => number.replace(['-', '/'], ""),
        _ => number.replace('/', " / ").replace('-', " - "),
    }
}

/// Without the letters that it begins with.
pub(super) fn prefix_dropped(document: &Document) -> Option<&str> {
    let number = document.number.as_str();
    match document.style {
        Style::Invoice => number.strip_prefix("INV-"),
        Style::Sales => number.strip_prefix("SI/"),
        Style::Policy => number.get(3..),
        Style::Plain | Style::Matter => None,
    }
}

/// With the letter O for one zero or for all.
pub(super) fn o_for_zero(number: &str, rng: &mut Rng) -> Option<String> {
    let times = if rng.percent(50) { 1 } else { usize::MAX };
    let changed = number.replacen('0', "O", times);
    (changed != number).then_some(changed)
}

pub(super) fn i_for_one(number: &str) -> Option<String> {
    let changed = number.replacen('1', "I", 1);
    (changed != number).then_some(changed)
}

/// Without the zeros that its parts begin with.
pub(super) fn zeros_dropped(number: &str) -> Option<String> {
    let mut changed = String::with_capacity(number.len());
    let mut in_digits = false;
    let characters: Vec<char> = number.chars().collect();
    for (at, character) in characters.iter().enumerate() {
        let more = characters.get(at + 1).is_some_and(char::is_ascii_digit);
        if *character == '0' && !in_digits && more {
            continue;
        }
        in_digits = character.is_ascii_digit();
        changed.push(*character);
    }
    (changed != number).then_some(changed)
}

/// Behind so many words that the field ends within the number: the text, and what is left of the number.
pub(super) fn truncated(number: &str, rng: &mut Rng) -> Option<(String, String)> {
    const LEADS: [&str; 12] = [
        "RE ",
        "REF ",
        "BILL ",
        "BILL: ",
        "REF NO ",
        "INVOICE ",
        "PAYMENT ",
        "YOUR REF ",
        "YOUR INV: ",
        "PAYMENT OF ",
        "INVOICE NO: ",
        "PAYMENT FOR: ",
    ];
    let fitting: Vec<&str> = LEADS
        .into_iter()
        .filter(|lead| (FIELD + 1..=FIELD + 3).contains(&(lead.len() + number.len())))
        .collect();
    if fitting.is_empty() {
        return None;
    }
    let text = format!("{}{number}", rng.pick(&fitting));
    let missing = text.len() - FIELD;
    let kept = number.get(..number.len() - missing)?.to_owned();
    Some((text, kept))
}

/// Broken by the end of a line somewhere in the number.
pub(super) fn wrapped(number: &str, rng: &mut Rng) -> Vec<String> {
    let at = number.len() - rng.between(2, 4) as usize;
    let (head, tail) = number.split_at(at);
    vec![
        format!(
            "{} {head}",
            rng.pick(&["PAYMENT OF YOUR INVOICE", "IN SETTLEMENT OF", "RE"])
        ),
        format!(
            "{tail} {}",
            rng.pick(&["WITH THANKS", "PAID IN FULL", "REGARDS"])
        ),
    ]
}

/// Every number that comes of swapping two digits that stand side by side.
pub(super) fn transposed(number: &str) -> Vec<String> {
    let bytes = number.as_bytes();
    (1..bytes.len())
        .filter(|at| {
            bytes[at - 1].is_ascii_digit()
                && bytes[*at].is_ascii_digit()
                && bytes[at - 1] != bytes[*at]
        })
        .map(|at| {
            let mut characters: Vec<char> = number.chars().collect();
            characters.swap(at - 1, at);
            characters.into_iter().collect()
        })
        .collect()
}

/// An RF reference as payers copy it from a letter: in groups of four.
pub(super) fn grouped(reference: &str) -> String {
    let characters: Vec<char> = reference.chars().collect();
    characters
        .chunks(4)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join(" ")
}
