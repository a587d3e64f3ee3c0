//! `counterfoil dead-letters`: look, replay, discard.

use clap::Subcommand;
use contracts::{
    Role,
    api::{
        Page,
        dead_letters::{DeadLetterView, ListDeadLetters, NOUN, PickDeadLetter},
    },
};
use uuid::Uuid;

use super::print_json;
use crate::{
    Context,
    client::{Client, Refused, actor},
};

#[derive(Subcommand)]
pub(crate) enum DeadLetters {
    /// Those that wait, of all services or of one.
    List {
        #[arg(long)]
        service: Option<Role>,
        /// Only with this failure code.
        #[arg(long)]
        code: Option<String>,
        /// Replayed and discarded ones too.
        #[arg(long)]
        all: bool,
    },
    /// One of them, with its payload (bank details masked).
    Show { id: Uuid },
    /// Handles it again.
    Replay {
        id: Uuid,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Gives it up, with a reason.
    Discard {
        id: Uuid,
        #[arg(long)]
        reason: String,
    },
}

impl DeadLetters {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let client = Client::connect(&mut context).await?;
        let letters = match self {
            Self::List { service, code, all } => list(&client, service, code, all).await?,
            Self::Show { id } => vec![pick(&client, "get", id, String::new()).await?],
            Self::Replay { id, reason } => vec![pick(&client, "replay", id, reason).await?],
            Self::Discard { id, reason } => vec![pick(&client, "discard", id, reason).await?],
        };
        if context.json {
            return print_json(&letters);
        }
        for letter in &letters {
            println!(
                "{}  {}  {}  {}  {}{}",
                letter.dead_letter_id,
                letter.failed_at.format("%Y-%m-%d %H:%M:%S"),
                letter.service,
                letter.state,
                letter.code,
                letter
                    .money_impact
                    .as_ref()
                    .map(|money| format!("  {money}"))
                    .unwrap_or_default(),
            );
            println!(
                "  {} after {} deliveries: {}",
                letter.subject, letter.attempts, letter.detail
            );
            for field in &letter.fields {
                println!("  at `{}`: {}", field.pointer, field.detail);
            }
            if let Some(payload) = &letter.payload {
                println!("{payload}");
            }
        }
        Ok(())
    }
}

async fn list(
    client: &Client,
    service: Option<Role>,
    code: Option<String>,
    all: bool,
) -> Result<Vec<DeadLetterView>, Refused> {
    let mut letters = Vec::new();
    for role in service.map_or_else(|| Role::ALL.to_vec(), |role| vec![role]) {
        let mut ask = ListDeadLetters {
            code: code.clone(),
            all,
            ..ListDeadLetters::default()
        };
        loop {
            let page: Page<DeadLetterView> = client.ask_service(role, NOUN, "list", &ask).await?;
            letters.extend(page.items);
            if page.next_cursor.is_none() {
                break;
            }
            ask.page.cursor = page.next_cursor;
        }
    }
    Ok(letters)
}

/// The id tells nothing about the service that keeps the letter: all are asked.
async fn pick(
    client: &Client,
    verb: &str,
    id: Uuid,
    reason: String,
) -> anyhow::Result<DeadLetterView> {
    let ask = PickDeadLetter {
        dead_letter_id: id,
        actor: actor(),
        reason,
    };
    for role in Role::ALL {
        let found: Result<DeadLetterView, Refused> =
            client.ask_service(role, NOUN, "get", &ask).await;
        if found.is_ok() {
            return Ok(client.ask_service(role, NOUN, verb, &ask).await?);
        }
    }
    anyhow::bail!("no service has a dead letter {id}")
}
