//! `counterfoil outbox`: what the services have published, once more.

use chrono::{DateTime, Utc};
use clap::Subcommand;
use contracts::{
    Role,
    api::outbox::{NOUN, Republish, Republished},
};
use serde::Serialize;

use super::print_json;
use crate::{Context, client::Client};

#[derive(Subcommand)]
pub(crate) enum Outbox {
    /// Publishes facts again after a stream has lost some; who has one already
    /// ignores it.
    Republish {
        /// The service whose facts they are; all of them if none is named.
        #[arg(long)]
        service: Option<Role>,
        /// Facts recorded at or after this moment, such as
        /// `2026-03-02T09:00:00Z`.
        #[arg(long, value_name = "TIME")]
        from: DateTime<Utc>,
        /// Facts recorded before this moment.
        #[arg(long, value_name = "TIME")]
        to: Option<DateTime<Utc>>,
    },
}

/// What one service has published again.
#[derive(Serialize)]
struct Line {
    service: Role,
    facts: u64,
    /// Those that the stream still had.
    duplicates: u64,
}

impl Outbox {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let client = Client::connect(&mut context).await?;
        let Self::Republish { service, from, to } = self;
        let mut lines = Vec::new();
        for role in service.map_or_else(|| Role::ALL.to_vec(), |role| vec![role]) {
            let mut line = Line {
                service: role,
                facts: 0,
                duplicates: 0,
            };
            let mut ask = Republish {
                from,
                to,
                after: None,
            };
            loop {
                let part: Republished = client.ask_service(role, NOUN, "republish", &ask).await?;
                line.facts += part.facts;
                line.duplicates += part.duplicates;
                if part.next.is_none() {
                    break;
                }
                ask.after = part.next;
            }
            lines.push(line);
        }
        if context.json {
            return print_json(&lines);
        }
        for line in lines {
            println!(
                "{}: {} facts published again, {} of which the stream still had",
                line.service, line.facts, line.duplicates
            );
        }
        Ok(())
    }
}
