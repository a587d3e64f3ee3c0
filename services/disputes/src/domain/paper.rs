//! Files that are kept as evidence: what kind one is, by what is in it.

use chrono::NaiveDate;

use super::data::in_force;

const TYPES: &str = include_str!("../../data/evidence-types.csv");

/// Letters of a file's name.
pub const NAME_MAX: usize = 255;

/// The kind of a file, if such files are kept.
pub fn media_type(bytes: &[u8], day: NaiveDate) -> Option<&'static str> {
    in_force(TYPES, 1, day)
        .into_iter()
        .find_map(|row| match row.as_slice() {
            [media_type, "text", _] => is_text(bytes).then_some(*media_type),
            [media_type, begins, _] => {
                let begins = hex::decode(begins).ok()?;
                (!begins.is_empty() && bytes.starts_with(&begins)).then_some(*media_type)
            }
            _ => None,
        })
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        text.chars()
            .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}'))
    })
}

/// The last part of a path, without what has no business in a name.
pub fn name(given: &str) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    let name = name.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<&'static str> {
        media_type(bytes, "2026-03-01".parse().unwrap())
    }

    #[test]
    fn the_kind_of_a_file_is_in_it_and_not_in_its_name() {
        assert_eq!(of(b"%PDF-1.7\n..."), Some("application/pdf"));
        assert_eq!(of(b"\x89PNG\r\n\x1a\n..."), Some("image/png"));
        assert_eq!(of(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(
            of("From: Ann\r\n\r\nOnly £80 of it came.".as_bytes()),
            Some("text/plain; charset=utf-8")
        );
        for refused in [&b"MZ\x90\x00"[..], b"PK\x03\x04", b"\x00", b"\xff\xfe<"] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_name_is_no_path() {
        assert_eq!(name("C:\\papers\\pod.pdf").as_deref(), Some("pod.pdf"));
        assert_eq!(name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(name("a\r\nb\u{0}.txt").as_deref(), Some("ab.txt"));
        assert_eq!(name("/"), None);
        assert_eq!(
            name(&"x".repeat(999)).map(|name| name.len()),
            Some(NAME_MAX)
        );
    }
}
