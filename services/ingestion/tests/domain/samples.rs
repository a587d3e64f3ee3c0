//! Real files of many banks, which are not part of the project: the tests say so
//! and pass when they are not there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ingestion::domain::{
    detect::Format,
    line::{LineStatus, Statement},
    parse::parse,
    proof::{Previous, continuity},
};

/// `$COUNTERFOIL_SAMPLES`, else `samples` in the folder beside the repository.
#[expect(
    clippy::disallowed_methods,
    reason = "a test has no injected configuration"
)]
pub(crate) fn samples() -> Option<PathBuf> {
    let folder = std::env::var("COUNTERFOIL_SAMPLES").map_or_else(
        |_| {
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../..")
                .join("../shared/samples")
        },
        PathBuf::from,
    );
    let there = folder.join("index.csv").is_file();
    if !there {
        println!("skipped: no samples at {}", folder.display());
    }
    there.then_some(folder)
}

struct Sample {
    path: PathBuf,
    name: String,
    version: String,
    entries: String,
    negative: bool,
    checks: String,
}

/// The statement files of one format in `index.csv`.
fn listed(folder: &Path, format: &str) -> Vec<Sample> {
    let mut index = csv::Reader::from_path(folder.join("index.csv")).expect("index.csv");
    index
        .deserialize::<BTreeMap<String, String>>()
        .map(|row| row.expect("a row of index.csv"))
        .filter(|row| row["format"] == format)
        .filter(|row| {
            row["version"].starts_with("camt.")
                || (row["version"].is_empty() && row["negative"] == "yes")
        })
        .map(|row| Sample {
            path: folder.join(&row["path"]),
            name: row["path"].clone(),
            version: row["version"].clone(),
            entries: row["entries"].clone(),
            negative: row["negative"] == "yes",
            checks: row["checks"].clone(),
        })
        .collect()
}

/// Whether the index's own reading says that every balance pair ties, that none
/// does, or nothing.
fn expected_ties(checks: &str) -> Option<(usize, usize)> {
    let part = checks
        .split("; ")
        .find(|part| part.starts_with("balances "))?;
    let numbers = part.strip_prefix("balances ")?.strip_suffix(" tie")?;
    let (tie, of) = numbers.split_once('/')?;
    Some((tie.parse().ok()?, of.parse().ok()?))
}

fn every_sample_is_read_as_indexed(index_format: &str, format: Format) {
    let Some(folder) = samples() else { return };
    let listed = listed(&folder, index_format);
    assert!(!listed.is_empty(), "index.csv lists no {index_format}");
    let (mut read, mut refused, mut entries, mut details) = (0, 0, 0, 0);
    for sample in &listed {
        let bytes = std::fs::read(&sample.path).expect("a sample of the index");
        let outcome = parse(&bytes, None);
        if sample.negative {
            let error = outcome.expect_err(&sample.name);
            assert!(!error.reasons.is_empty(), "{}", sample.name);
            refused += 1;
            continue;
        }
        let parsed = outcome.unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        assert_eq!(parsed.format, format, "{}", sample.name);
        assert_eq!(
            parsed.version.as_ref(),
            Some(&sample.version),
            "{}",
            sample.name
        );
        let lines = || parsed.statements.iter().flat_map(|s| &s.lines);
        let found = format!(
            "{} Ntry / {} TxDtls",
            lines().count(),
            lines().map(|line| line.details.len()).sum::<usize>()
        );
        assert_eq!(found, sample.entries, "{}", sample.name);
        if let Some((tie, of)) = expected_ties(&sample.checks) {
            let proven = |wanted| {
                parsed
                    .statements
                    .iter()
                    .filter(|statement| statement.ties == Some(wanted))
                    .count()
            };
            assert_eq!(
                (proven(true), proven(true) + proven(false)),
                (tie, of),
                "{}",
                sample.name
            );
        }
        read += 1;
        entries += lines().count();
        details += lines().map(|line| line.details.len()).sum::<usize>();
    }
    println!(
        "{index_format}: {read} read with {entries} entries and {details} details, {refused} refused"
    );
}

#[test]
fn every_camt053_sample_is_read_as_indexed() {
    every_sample_is_read_as_indexed("camt053", Format::Camt053);
}

#[test]
fn every_camt052_sample_is_read_as_indexed() {
    every_sample_is_read_as_indexed("camt052", Format::Camt052);
}

#[test]
fn every_camt054_sample_is_read_as_indexed() {
    every_sample_is_read_as_indexed("camt054", Format::Camt054);
}

/// 79 working days of two accounts: each opens where it closed the day before,
/// with its lines in between.
#[test]
fn seventy_nine_days_follow_one_another_without_a_gap() {
    let Some(folder) = samples() else { return };
    let mut days: Vec<Sample> = listed(&folder, "camt053")
        .into_iter()
        .filter(|sample| sample.name.contains("/CAMT_053/"))
        .collect();
    days.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(days.len(), 79);

    let mut chains: BTreeMap<String, Vec<Statement>> = BTreeMap::new();
    for day in &days {
        let bytes = std::fs::read(&day.path).expect("a sample of the index");
        let parsed = parse(&bytes, None).unwrap_or_else(|error| panic!("{}: {error}", day.name));
        for statement in parsed.statements {
            assert_eq!(statement.ties, Some(true), "{}", day.name);
            let day_of_file = day
                .path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a day");
            assert_eq!(
                statement.closes_on.map(|date| date.to_string()).as_deref(),
                Some(day_of_file)
            );
            assert!(
                statement
                    .lines
                    .iter()
                    .all(|line| line.status == LineStatus::Booked
                        && Some(line.booked_on) == statement.closes_on
                        && !line.booked_on_stated)
            );
            chains
                .entry(statement.account.key())
                .or_default()
                .push(statement);
        }
    }

    assert_eq!(chains.len(), 2);
    for (account, chain) in &chains {
        assert_eq!(chain.len(), 79, "{account}");
        let mut previous = None;
        for statement in chain {
            let found = continuity(previous.as_ref(), statement);
            assert_eq!(
                found.continues,
                previous.map(|_| true),
                "{account} on {:?}",
                statement.closes_on
            );
            assert_eq!(found.problems, []);
            previous = Some(Previous::of(statement));
        }
        // Leaving out any one day on which money moved breaks the chain there.
        for gone in 1..chain.len() - 1 {
            let moved = chain[gone].opening != chain[gone].closing;
            let found = continuity(Some(&Previous::of(&chain[gone - 1])), &chain[gone + 1]);
            assert_eq!(
                found.continues,
                Some(!moved),
                "{account} without day {gone}"
            );
        }
    }
}

/// No line of any sample is taken for another one.
#[test]
fn dedup_keys_of_all_samples_are_unique_and_stable() {
    let Some(folder) = samples() else { return };
    for sample in listed(&folder, "camt053").iter().filter(|s| !s.negative) {
        let bytes = std::fs::read(&sample.path).expect("a sample of the index");
        let keys = || -> Vec<String> {
            parse(&bytes, None)
                .unwrap_or_else(|error| panic!("{}: {error}", sample.name))
                .statements
                .iter()
                .flat_map(|statement| statement.lines.iter().map(|line| line.dedup_key.clone()))
                .collect()
        };
        let first = keys();
        assert_eq!(first, keys(), "{}", sample.name);
        let mut unique = first.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), first.len(), "{}", sample.name);
    }
}

/// What other formats are is told, and that they are not read.
#[test]
fn other_formats_of_the_samples_are_recognised_or_unknown_but_never_misread() {
    let Some(folder) = samples() else { return };
    let mut index = csv::Reader::from_path(folder.join("index.csv")).expect("index.csv");
    let mut seen = 0;
    for row in index.deserialize::<BTreeMap<String, String>>() {
        let row = row.expect("a row of index.csv");
        // Reports of Bacs and Standard 18 are read too: see `bacs.rs`, `std18.rs`.
        let read = ["bacs_reports", "bacs_std18"];
        if row["format"].starts_with("camt") || read.contains(&row["format"].as_str()) {
            continue;
        }
        let Ok(bytes) = std::fs::read(folder.join(&row["path"])) else {
            continue;
        };
        assert!(parse(&bytes, None).is_err(), "{}", row["path"]);
        seen += 1;
    }
    assert!(seen > 100);
}
