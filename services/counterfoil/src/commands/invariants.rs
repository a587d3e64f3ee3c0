//! `counterfoil invariants`: no money was lost.

use std::process::ExitCode;

use clap::Subcommand;
use contracts::api::reporting::CheckInvariants;

use super::print_json;
use crate::{Context, client::Client};

#[derive(Subcommand)]
pub(crate) enum Invariants {
    /// Compares the books of all services.
    Check,
}

impl Invariants {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<ExitCode> {
        let Self::Check = self;
        let client = Client::connect(&mut context).await?;
        let report = client.ask(&CheckInvariants {}).await?;
        if context.json {
            print_json(&report)?;
        } else {
            for check in &report.checks {
                let mark = if check.holds { "✔" } else { "✖" };
                println!(
                    "{mark} {} {}: {}",
                    check.invariant, check.what, check.detail
                );
            }
            if !report.settled {
                println!("something was still on its way: check again when it is quiet");
            }
        }
        Ok(if report.holds {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
