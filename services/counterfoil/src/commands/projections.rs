//! `counterfoil projections`: build what reporting shows anew.

use std::{io::IsTerminal as _, process::ExitCode, time::Duration};

use clap::Subcommand;
use contracts::api::reporting::{GetRebuild, RebuildProjections};

use super::print_json;
use crate::{
    Context,
    client::{Client, actor},
};

#[derive(Subcommand)]
pub(crate) enum Projections {
    /// Reads the streams from their beginning into new projections beside the
    /// live ones, then puts them in their place.
    Rebuild {
        /// Only compare; the live ones stay.
        #[arg(long)]
        verify: bool,
    },
}

impl Projections {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<ExitCode> {
        let Self::Rebuild { verify } = self;
        let client = Client::connect(&mut context).await?;
        let show = std::io::stderr().is_terminal();
        let mut view = client
            .ask(&RebuildProjections {
                verify,
                actor: actor(),
            })
            .await?;
        while view.state == "running" {
            tokio::time::sleep(Duration::from_millis(200)).await;
            view = client.ask(&GetRebuild {}).await?;
            if show {
                eprint!("\r{} of {} events", view.events, view.events_total);
            }
        }
        if show {
            eprintln!();
        }
        if context.json {
            print_json(&view)?;
        } else {
            println!(
                "{}: {} events in {:.1} s",
                view.state, view.events, view.seconds
            );
            for difference in &view.differences {
                println!("  {difference}");
            }
        }
        let good = matches!(view.state.as_str(), "same" | "replaced");
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
