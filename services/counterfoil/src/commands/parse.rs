//! `counterfoil parse`: what a file says, without any server.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use ingestion::domain::parse;

use crate::Context;

/// The file cannot be used.
const REFUSED: u8 = 2;

#[derive(Args)]
pub(crate) struct Parse {
    file: PathBuf,
    /// Instead of telling it from the content.
    #[arg(long)]
    format: Option<String>,
}

impl Parse {
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<ExitCode> {
        let bytes = std::fs::read(&self.file).with_context(|| self.file.display().to_string())?;
        let format = match &self.format {
            Some(name) => Some(name.parse().map_err(|e| anyhow::anyhow!("{e}"))?),
            None => None,
        };
        let outcome = parse::parse(&bytes, format);
        let json = parse::to_json(&outcome);
        if context.json {
            super::print_json(&json)?;
        } else if let Ok(parsed) = &outcome {
            let entries: usize = parsed.statements.iter().map(|s| s.lines.len()).sum();
            println!(
                "{}: {} statements with {entries} entries, {} records, {} remarks",
                parsed.version.as_deref().unwrap_or(parsed.format.name()),
                parsed.statements.len(),
                parsed.items.len(),
                parsed.problems.len()
                    + parsed
                        .statements
                        .iter()
                        .map(|s| s.problems.len())
                        .sum::<usize>(),
            );
        }
        Ok(match outcome {
            Ok(_) => ExitCode::SUCCESS,
            Err(refused) => {
                eprintln!("counterfoil: {}: {refused}", self.file.display());
                ExitCode::from(REFUSED)
            }
        })
    }
}
