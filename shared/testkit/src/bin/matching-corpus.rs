//! `matching-corpus DIR [--receipts N] [--seed S]`: writes a labelled corpus for cash matching into the directory, and
//! prints how many receipts there are of each class.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use testkit::corpus::{Corpus, NoiseClass, Options};

const USAGE: &str = "usage: matching-corpus DIR [--receipts N] [--seed S]";

fn main() -> Result<()> {
    let (dir, options) = arguments(std::env::args_os().skip(1))?;
    let corpus = Corpus::generate(&options);
    corpus.write(&dir)?;
    let mut classes: BTreeMap<NoiseClass, usize> = BTreeMap::new();
    for truth in &corpus.truth {
        *classes.entry(truth.note).or_default() += 1;
    }
    for (class, count) in &classes {
        println!(
            "{count:>7} {}",
            serde_json::to_string(class)?.trim_matches('"')
        );
    }
    println!("{:>7} receipts", corpus.receipts.len());
    Ok(())
}

fn arguments(mut given: impl Iterator<Item = OsString>) -> Result<(PathBuf, Options)> {
    let mut dir = None;
    let mut options = Options::default();
    while let Some(argument) = given.next() {
        match argument.to_str() {
            Some("--receipts") => options.receipts = number(given.next())?,
            Some("--seed") => options.seed = number(given.next())?,
            Some(other) if other.starts_with('-') => bail!("{USAGE}"),
            _ if dir.is_some() => bail!("{USAGE}"),
            _ => dir = Some(PathBuf::from(argument)),
        }
    }
    Ok((dir.context(USAGE)?, options))
}

fn number<T: std::str::FromStr>(given: Option<OsString>) -> Result<T> {
    given
        .as_ref()
        .and_then(|text| text.to_str())
        .and_then(|text| text.parse().ok())
        .context(USAGE)
}
