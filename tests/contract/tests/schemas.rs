//! The committed contracts are those of the code, and every old message can
//! still be read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use contracts::schema::{files, messages};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

#[test]
fn what_is_committed_is_what_the_code_says() {
    for (path, text) in files() {
        let committed = fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert!(
            committed == text,
            "schemas/{path} is out of date: run `make schemas`"
        );
    }
    for context in fs::read_dir(root().join("messages")).unwrap().flatten() {
        for schema in fs::read_dir(context.path()).unwrap().flatten() {
            let path = schema.path();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap();
            assert!(
                files().contains_key(path),
                "schemas/{path} is of no message any more"
            );
        }
    }
}

fn samples() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for context in fs::read_dir(root().join("samples")).unwrap().flatten() {
        let Ok(names) = fs::read_dir(context.path()) else {
            continue;
        };
        for name in names.flatten() {
            for sample in fs::read_dir(name.path()).unwrap().flatten() {
                found.insert(sample.path(), fs::read(sample.path()).unwrap());
            }
        }
    }
    found
}

/// Everything in `old` is in `new` too; `new` may have more.
fn kept(old: &Value, new: &Value, path: &str) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let there = new.get(key).unwrap_or(&Value::Null);
                kept(value, there, &format!("{path}/{key}"));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len(), "{path}");
            for (n, (old, new)) in old.iter().zip(new).enumerate() {
                kept(old, new, &format!("{path}/{n}"));
            }
        }
        (old, new) => assert_eq!(old, new, "{path}"),
    }
}

#[test]
fn every_old_sample_is_read_whole_and_fits_its_schema() {
    let samples = samples();
    for message in messages() {
        let folder = root()
            .join("samples")
            .join(message.context)
            .join(&message.name);
        let mine: Vec<_> = samples
            .iter()
            .filter(|(path, _)| path.starts_with(&folder))
            .collect();
        assert!(
            !mine.is_empty(),
            "{} has no golden sample",
            folder.display()
        );
        let validator = jsonschema::validator_for(&message.schema).unwrap();
        for (path, bytes) in mine {
            let sample: Value = serde_json::from_slice(bytes).unwrap();
            if let Err(error) = validator.validate(&sample) {
                panic!("{}: {error}", path.display());
            }
            let read = (message.read)(bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            kept(&sample, &read, &path.display().to_string());
        }
    }
}

/// A sample is a message that somebody may have sent: it is never changed.
#[test]
fn samples_are_immutable() {
    let sums = fs::read_to_string(root().join("samples/SHA256SUMS")).unwrap();
    let mut written: BTreeMap<PathBuf, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, path)| (root().join("samples").join(path), sum))
        .collect();
    for (path, bytes) in samples() {
        let sum = written
            .remove(&path)
            .unwrap_or_else(|| panic!("{} is not in SHA256SUMS", path.display()));
        assert_eq!(
            sum,
            hex::encode(Sha256::digest(&bytes)),
            "{} was changed",
            path.display()
        );
    }
    assert!(written.is_empty(), "gone: {written:?}");
}

/// A message of a publisher that knows more than we do is read all the same.
#[test]
fn unknown_fields_are_ignored() {
    for (path, bytes) in samples() {
        let mut sample: Value = serde_json::from_slice(&bytes).unwrap();
        sample["a_field_of_the_future"] = Value::from("x");
        let message = messages()
            .into_iter()
            .find(|m| path.starts_with(root().join("samples").join(m.context).join(&m.name)))
            .unwrap();
        (message.read)(&serde_json::to_vec(&sample).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}
