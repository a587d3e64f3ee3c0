//! `counterfoil doctor`: is everything there that must be there?

use std::{path::Path, process::ExitCode};

use contracts::{Prefix, Role};
use runtime::local::{PostgresInstall, find_nats_server};
use serde::Serialize;

use super::print_json;
use crate::{Context, client::Client};

#[derive(Serialize)]
struct Finding {
    what: String,
    good: bool,
    detail: String,
}

pub(crate) async fn run(mut context: Context) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let mut find = |what: &str, outcome: Result<String, String>| {
        let good = outcome.is_ok();
        let detail = outcome.unwrap_or_else(|trouble| trouble);
        findings.push(Finding {
            what: what.to_owned(),
            good,
            detail,
        });
    };
    let local = &context.config.local;
    find(
        "postgres program",
        PostgresInstall::find(local.postgres_bin.as_deref(), None)
            .map(|found| found.bin.display().to_string())
            .map_err(|e| e.to_string()),
    );
    find(
        "nats-server program",
        find_nats_server(local.nats_server.as_deref().map(Path::new))
            .map(|found| found.display().to_string())
            .map_err(|e| e.to_string()),
    );
    for warning in context.config.warnings() {
        find("configuration", Err(warning));
    }
    match Client::connect(&mut context).await {
        Err(error) => find("broker", Err(format!("{error:#}"))),
        Ok(client) => {
            let info = client.nats.server_info();
            find("broker", Ok(format!("nats-server {}", info.version)));
            for role in Role::ALL {
                let answer: Result<
                    contracts::api::Page<contracts::api::dead_letters::DeadLetterView>,
                    _,
                > = client
                    .ask_service(
                        role,
                        contracts::api::dead_letters::NOUN,
                        "list",
                        &serde_json::json!({}),
                    )
                    .await;
                find(
                    role.name(),
                    match answer {
                        Ok(page) if page.items.is_empty() => Ok("answers, no dead letters".into()),
                        Ok(page) => Err(format!(
                            "answers, {} or more dead letters wait",
                            page.items.len()
                        )),
                        Err(refused) => Err(refused.to_string()),
                    },
                );
            }
        }
    }
    let prefix = Prefix::try_new(&context.config.nats.prefix);
    find(
        "subject prefix",
        prefix.map(|_| "good".to_owned()).map_err(|e| e.to_string()),
    );

    let good = findings.iter().all(|finding| finding.good);
    if context.json {
        print_json(&findings)?;
    } else {
        for finding in &findings {
            println!(
                "{} {}: {}",
                if finding.good { "✔" } else { "✖" },
                finding.what,
                finding.detail
            );
        }
    }
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
