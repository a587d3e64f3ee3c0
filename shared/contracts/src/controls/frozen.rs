//! What is frozen when a second person is asked, and who is a second person: the
//! same on both sides.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::api::controls::Difference;

/// `content` as canonical JSON (keys sorted, no spaces) and its SHA-256 in hex.
pub fn frozen(content: &Value) -> (String, String) {
    let mut text = String::new();
    write_canonical(content, &mut text);
    let sha256 = hex::encode(Sha256::digest(&text));
    (text, sha256)
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut keys: Vec<&String> = members.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                // Writing to a string cannot fail.
                let _ = write!(out, "{}:", Value::String(key.clone()));
                write_canonical(&members[key.as_str()], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

/// Where `now` differs from `then`, leaf by leaf.
pub fn differences(then: &Value, now: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(then), Some(now), &mut found);
    found
}

fn compare(at: &str, then: Option<&Value>, now: Option<&Value>, found: &mut Vec<Difference>) {
    if then == now {
        return;
    }
    let members = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned();
    if let (Some(a), Some(b)) = (members(then), members(now)) {
        let more = b.keys().filter(|key| !a.contains_key(*key));
        for key in a.keys().chain(more) {
            compare(&format!("{at}/{key}"), a.get(key), b.get(key), found);
        }
    } else if let (Some(a), Some(b)) = (items(then), items(now)) {
        for index in 0..a.len().max(b.len()) {
            compare(&format!("{at}/{index}"), a.get(index), b.get(index), found);
        }
    } else {
        let text = |value: Option<&Value>| {
            value.map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            })
        };
        found.push(Difference {
            pointer: at.to_owned(),
            then: text(then),
            now: text(now),
        });
    }
}

/// The name of who acts, whatever way they come in: `user:Jo` and `cli:jo` are
/// one person.
pub fn name_of(actor: &str) -> String {
    let name = actor.rsplit_once(':').map_or(actor, |(_, name)| name);
    name.trim().to_lowercase()
}

/// Whether two actors are one person.
pub fn same_person(one: &str, other: &str) -> bool {
    name_of(one) == name_of(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_frozen_content_does_not_depend_on_the_order_of_keys() {
        let (text, sha256) = frozen(&json!({"b": 1, "a": {"d": "x", "c": [1, null]}}));
        assert_eq!(text, r#"{"a":{"c":[1,null],"d":"x"},"b":1}"#);
        let again = frozen(&json!({"a": {"c": [1, null], "d": "x"}, "b": 1}));
        assert_eq!(again.1, sha256);
    }

    #[test]
    fn differences_name_the_place() {
        let found = differences(
            &json!({"a": "1", "lines": [{"x": "2"}, {"x": "3"}]}),
            &json!({"a": "1", "lines": [{"x": "4"}], "new": true}),
        );
        let told: Vec<(&str, Option<&str>, Option<&str>)> = found
            .iter()
            .map(|d| (d.pointer.as_str(), d.then.as_deref(), d.now.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("/lines/0/x", Some("2"), Some("4")),
                ("/lines/1", Some(r#"{"x":"3"}"#), None),
                ("/new", None, Some("true"))
            ]
        );
    }

    #[test]
    fn people_are_told_apart_by_name_and_not_by_how_they_come_in_e102() {
        assert!(same_person("user:Jo", "cli:jo"));
        assert!(same_person("user:jo ", "jo"));
        assert!(!same_person("user:jo", "user:joe"));
    }
}
