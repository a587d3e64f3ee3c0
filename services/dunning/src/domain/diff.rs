//! Two texts word by word: what stays, what is new, what is gone.

use contracts::api::dunning::{DiffKind, DiffPart};
use similar::{ChangeTag, TextDiff};

/// The words of `new` beside those of `old`. All that is not added makes `old`
/// again, all that is not removed `new`.
pub fn words(old: &str, new: &str) -> Vec<DiffPart> {
    let diff = TextDiff::from_words(old, new);
    let mut parts: Vec<DiffPart> = Vec::new();
    for change in diff.iter_all_changes() {
        let kind = match change.tag() {
            ChangeTag::Equal => DiffKind::Same,
            ChangeTag::Insert => DiffKind::Added,
            ChangeTag::Delete => DiffKind::Removed,
        };
        match parts.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(change.value()),
            _ => parts.push(DiffPart {
                kind,
                text: change.value().to_owned(),
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn without(parts: &[DiffPart], kind: DiffKind) -> String {
        let stays = parts.iter().filter(|part| part.kind != kind);
        stays.map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn one_word_is_another() {
        let parts = words("Please pay within 7 days.", "Please pay within 14 days.");
        let changed: Vec<_> = parts
            .iter()
            .filter(|part| part.kind != DiffKind::Same)
            .map(|part| (part.kind, part.text.as_str()))
            .collect();
        assert_eq!(changed, [(DiffKind::Removed, "7"), (DiffKind::Added, "14")]);
    }

    proptest! {
        #[test]
        fn both_texts_can_be_made_again(old in "[a-c £\n]{0,80}", new in "[a-c £\n]{0,80}") {
            let parts = words(&old, &new);
            prop_assert_eq!(without(&parts, DiffKind::Added), old.clone());
            prop_assert_eq!(without(&parts, DiffKind::Removed), new.clone());
            let changed = parts.iter().any(|part| part.kind != DiffKind::Same);
            prop_assert_eq!(changed, old != new);
        }
    }
}
