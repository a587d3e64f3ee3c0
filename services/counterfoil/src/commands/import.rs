//! `counterfoil import`: files through the same door as the web page's.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use contracts::api::ingestion::{
    AppendImport, GetImport, ImportState, ImportView, OpenImport, SubmitImport,
};
use sha2::{Digest as _, Sha256};

use super::print_json;
use crate::{
    Context,
    client::{Client, actor},
};

/// Some of the files were refused.
const PARTLY: u8 = 3;

#[derive(Args)]
pub(crate) struct Import {
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Instead of telling it from the content.
    #[arg(long)]
    format: Option<String>,
    /// Only report; record nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Import {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<ExitCode> {
        let client = Client::connect(&mut context).await?;
        let mut refused = 0;
        let mut views = Vec::new();
        for file in &self.files {
            let view = send(&client, file, self.format.clone(), self.dry_run, &actor())
                .await
                .with_context(|| file.display().to_string())?;
            if view.state == ImportState::Refused {
                refused += 1;
            }
            if !context.json {
                tell(&view);
            }
            views.push(view);
        }
        if context.json {
            print_json(&views)?;
        }
        Ok(match refused {
            0 => ExitCode::SUCCESS,
            n if n == self.files.len() => ExitCode::from(2),
            _ => ExitCode::from(PARTLY),
        })
    }
}

/// Uploads one file in pieces and waits until it is recorded or refused.
pub(crate) async fn send(
    client: &Client,
    file: &Path,
    format: Option<String>,
    dry_run: bool,
    actor: &str,
) -> anyhow::Result<ImportView> {
    let bytes = std::fs::read(file)?;
    let file_name = file
        .file_name()
        .map_or_else(|| "file".into(), |name| name.to_string_lossy().into_owned());
    let opened = client
        .ask(&OpenImport {
            file_name,
            format,
            dry_run,
            actor: actor.to_owned(),
        })
        .await?;
    let import_id = opened.import_id;
    for (piece, bytes) in (0..).zip(bytes.chunks(AppendImport::MAX_BYTES)) {
        client
            .ask(&AppendImport {
                import_id,
                piece,
                base64: BASE64_STANDARD.encode(bytes),
            })
            .await?;
    }
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let mut view = client.ask(&SubmitImport { import_id, sha256 }).await?;
    let mut wait = Duration::from_millis(5);
    while matches!(
        view.state,
        ImportState::Uploading | ImportState::Queued | ImportState::Reading
    ) {
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(250));
        view = client.ask(&GetImport { import_id }).await?;
    }
    Ok(view)
}

fn tell(view: &ImportView) {
    let state = match view.state {
        ImportState::Recorded if view.dry_run => "would be recorded",
        ImportState::Recorded => "recorded",
        ImportState::Refused => "refused",
        ImportState::AlreadyKnown => "already known, nothing changed",
        _ => "under way",
    };
    println!(
        "{}: {state}; {} entries, {} new, {} known before",
        view.file_name, view.entries, view.recorded, view.duplicates
    );
    for statement in &view.statements {
        let mark = |held: Option<bool>, yes: &'static str, no: &'static str| match held {
            Some(true) => yes,
            Some(false) => no,
            None => "no proof",
        };
        println!(
            "  statement {} of {}: {}, {}",
            statement.bank_statement_id,
            statement.bank_account,
            mark(statement.ties, "ties", "DOES NOT TIE"),
            mark(
                statement.continues,
                "continues the one before",
                "DOES NOT CONTINUE"
            ),
        );
        for problem in &statement.problems {
            println!("    {problem}");
        }
    }
    for problem in &view.problems {
        let line = problem
            .line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        let place = problem
            .place
            .as_ref()
            .map(|place| format!("{place}: "))
            .unwrap_or_default();
        println!("  {line}{place}{} [{}]", problem.detail, problem.code);
    }
}
