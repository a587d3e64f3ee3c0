//! The parsing domain against files: our own fixtures, real samples, and
//! damaged input.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod bacs;
mod continuity;
mod csv_files;
mod doubts;
mod fixtures;
mod properties;
mod refusals;
mod samples;
mod std18;
mod twins;

use std::path::{Path, PathBuf};

use ingestion::domain::{
    line::Statement,
    parse::{Parsed, parse},
};

/// A file of `fixtures/`.
fn fixture_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn fixture(name: &str) -> Vec<u8> {
    let path = fixture_path(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read_fixture(name: &str) -> Parsed {
    parse(&fixture(name), None).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The only statement of a fixture.
fn statement(name: &str) -> Statement {
    let mut parsed = read_fixture(name);
    assert_eq!(parsed.statements.len(), 1, "{name}");
    parsed.statements.remove(0)
}

/// The first statement of a fixture with texts replaced, once each.
fn changed_statement(name: &str, changes: &[(&str, &str)]) -> Statement {
    let mut text = String::from_utf8(fixture(name)).expect("UTF-8");
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let mut parsed = parse(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}"));
    parsed.statements.remove(0)
}

fn codes(problems: &[ingestion::domain::problem::Problem]) -> Vec<&'static str> {
    problems.iter().map(|problem| problem.code).collect()
}
