//! Cursors: where the next page begins, opaque to whoever carries them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use contracts::api::Page;
use messaging::Failure;
use serde::{Serialize, de::DeserializeOwned};

/// Writes a place as a cursor.
pub(crate) fn write<P: Serialize>(place: &P) -> Result<String, Failure> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(place)?))
}

/// Reads a cursor that [`write`] wrote for the same kind of list.
pub(crate) fn read<P: DeserializeOwned>(cursor: Option<&str>) -> Result<Option<P>, Failure> {
    let Some(text) = cursor else { return Ok(None) };
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .map(Some)
        .ok_or_else(|| {
            Failure::permanent("reporting.invalid", "the cursor is not one of this list's")
                .at("/cursor", "not a cursor that this list gave")
        })
}

/// A page from `items` that were read one beyond its length, with the cursor of
/// its last item if there are more.
pub(crate) fn page<T, P: Serialize>(
    mut items: Vec<T>,
    rows: i64,
    place: impl Fn(&T) -> P,
) -> Result<Page<T>, Failure> {
    let rows = usize::try_from(rows).unwrap_or(usize::MAX);
    let more = items.len() > rows;
    items.truncate(rows);
    let next_cursor = match items.last() {
        Some(last) if more => Some(write(&place(last))?),
        _ => None,
    };
    Ok(Page { items, next_cursor })
}

#[cfg(test)]
mod tests {
    use kernel::Classified;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_reads_back(reference in ".*", number in any::<i64>()) {
            let place = (reference, number);
            let cursor = write(&place).unwrap();
            prop_assert!(cursor.is_ascii());
            prop_assert_eq!(read(Some(cursor.as_str())).unwrap(), Some(place));
        }

        /// Whatever a caller sends, it is refused by name and never a panic.
        #[test]
        fn anything_else_is_refused(text in ".*") {
            if let Err(error) = read::<(String, i64)>(Some(text.as_str())) {
                prop_assert_eq!(error.code(), "reporting.invalid");
                prop_assert_eq!(error.fields()[0].pointer.as_str(), "/cursor");
            }
        }
    }

    #[test]
    fn only_a_full_page_has_a_next() {
        let whole = page(vec![1, 2], 2, |n| *n).unwrap();
        assert_eq!((whole.items, whole.next_cursor), (vec![1, 2], None));
        let first = page(vec![1, 2, 3], 2, |n| *n).unwrap();
        assert_eq!(first.items, [1, 2]);
        assert_eq!(read(first.next_cursor.as_deref()).unwrap(), Some(2));
    }
}
