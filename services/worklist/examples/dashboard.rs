//! A dashboard's view without any of our crates: replays the last day of SLA
//! warnings and breaches and goes on with what comes, one line each.
//!
//! ```text
//! NATS_URL=nats://127.0.0.1:4222 NATS_USER=dashboard NATS_PASSWORD=… \
//!     cargo run -p worklist --example dashboard
//! ```
//! With a subject prefix set `PREFIX`. The user may listen to `counterfoil.sla.>`
//! and read messages of the stream `SLA` by their number, and nothing else: it
//! needs no consumer, so it may make none. What it hears only wakes it; every
//! line is read from the stream, each once, in its order.

#![expect(
    clippy::disallowed_methods,
    reason = "an example outside: it has no other clock and no configuration"
)]

use std::{env, error::Error, io::Write as _, time::Duration};

use async_nats::jetstream::{self, stream::RawMessageErrorKind};
use futures::{FutureExt as _, StreamExt as _};

type Failed = Box<dyn Error + Send + Sync>;
type Stream = jetstream::stream::Stream;

/// What is heard may be stored a little later: so often it looks by itself.
const LOOK: Duration = Duration::from_millis(500);

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
    let (subject, stream) = match prefix.as_str() {
        "" => ("counterfoil.sla.>".to_owned(), "SLA".to_owned()),
        prefix => (
            format!("{prefix}.counterfoil.sla.>"),
            format!("{}_SLA", prefix.to_uppercase()),
        ),
    };
    let mut news = client.subscribe(subject).await?;
    let mut stream = jetstream::new(client).get_stream(stream).await?;
    let yesterday = chrono::Utc::now() - chrono::TimeDelta::hours(24);
    let mut next = first_since(&mut stream, yesterday).await?;
    // Looked for in vain though there is a newer one.
    let mut missed = 0;
    loop {
        match stream.get_raw_message(next).await {
            Ok(message) => {
                tell(&message.subject, &message.payload)?;
                next += 1;
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                // Nothing newer, or it came between the two looks, or the stream
                // has let go of it meanwhile.
                let state = &stream.info().await?.state;
                if next <= state.last_sequence {
                    let gone = next < state.first_sequence || missed == next;
                    missed = next;
                    if gone {
                        next = state.first_sequence.max(next + 1);
                    }
                    continue;
                }
                let heard = tokio::time::timeout(LOOK, news.next()).await;
                if matches!(heard, Ok(None)) {
                    return Ok(());
                }
                // One look is enough for all that was heard meanwhile.
                while news.next().now_or_never().flatten().is_some() {}
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The number of the first message since then, found by halving; one more than
/// the last when there is none.
async fn first_since(
    stream: &mut Stream,
    since: chrono::DateTime<chrono::Utc>,
) -> Result<u64, Failed> {
    let state = &stream.info().await?.state;
    let (mut from, mut to) = (state.first_sequence.max(1), state.last_sequence + 1);
    while from < to {
        let middle = from + (to - from) / 2;
        let old = match stream.get_raw_message(middle).await {
            Ok(message) => message.time.timestamp() < since.timestamp(),
            // Gone: whatever goes, goes from the front.
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => true,
            Err(error) => return Err(error.into()),
        };
        if old {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

fn tell(subject: &str, payload: &[u8]) -> Result<(), Failed> {
    let breach: serde_json::Value = serde_json::from_slice(payload)?;
    let text = |name: &str| breach[name].as_str().unwrap_or("-").to_owned();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{subject} {} {} owner {} due {} recorded {} {} {}",
        text("subject_ref"),
        text("account_ref"),
        text("owner"),
        text("due_at"),
        text("breached_at"),
        text("amount"),
        text("currency"),
    )?;
    out.flush()?;
    Ok(())
}
