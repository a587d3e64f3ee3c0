//! A dashboard's view without any of our crates: replays the last day of SLA
//! warnings and breaches and goes on with what comes, one line each.
//!
//! ```text
//! NATS_URL=nats://127.0.0.1:4222 NATS_USER=dashboard NATS_PASSWORD=… \
//!     cargo run -p worklist --example dashboard
//! ```
//! With a subject prefix set `PREFIX`. The user may read `counterfoil.sla.>` and
//! the stream `SLA`, and nothing else.

#![expect(
    clippy::disallowed_methods,
    reason = "an example outside: it has no other clock and no configuration"
)]

use std::{env, error::Error, time::Duration};

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
};
use futures::StreamExt as _;

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let given = |name: &str, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.into());
    let user = given("NATS_USER", "dashboard");
    let client = async_nats::ConnectOptions::new()
        .user_and_password(user.clone(), given("NATS_PASSWORD", ""))
        // Answers come only to the user's own inbox.
        .custom_inbox_prefix(format!("_INBOX_{user}"))
        .connect(given("NATS_URL", "nats://127.0.0.1:4222"))
        .await?;
    let prefix = given("PREFIX", "");
    let stream = match prefix.as_str() {
        "" => "SLA".to_owned(),
        prefix => format!("{}_SLA", prefix.to_uppercase()),
    };
    let yesterday = now() - Duration::from_hours(24);
    let consumer: jetstream::consumer::Consumer<pull::Config> = jetstream::new(client)
        .get_stream(stream)
        .await?
        .create_consumer(pull::Config {
            deliver_policy: DeliverPolicy::ByStartTime {
                start_time: yesterday,
            },
            // Reading takes nothing away.
            ack_policy: AckPolicy::None,
            inactive_threshold: Duration::from_mins(1),
            ..pull::Config::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let breach: serde_json::Value = serde_json::from_slice(&message.payload)?;
        let text = |name: &str| breach[name].as_str().unwrap_or("-").to_owned();
        println!(
            "{} {} {} owner {} due {} recorded {} {} {}",
            message.subject,
            text("subject_ref"),
            text("account_ref"),
            text("owner"),
            text("due_at"),
            text("breached_at"),
            text("amount"),
            text("currency"),
        );
    }
    Ok(())
}

/// By the machine's clock.
fn now() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}
