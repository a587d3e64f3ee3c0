//! Receive and Settle: between the broker and a batch.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message, consumer::pull};
use futures::{FutureExt, StreamExt};
use kernel::{Classified, ErrorClass};
use tokio::{task::coop::unconstrained, time::Instant};
use tracing::Instrument;

use super::{Consumer, batch};
use crate::{Bus, Failure, Raw, topology};

/// How often a batch that lost a race is tried again at once.
const CONFLICT_RETRIES: u32 = 3;
/// After this many broken pulls in a row the subscription is made anew.
const PULL_ERRORS_MAX: u32 = 5;
/// A quiet consumer hears from the broker this often, so that it notices when
/// the broker is gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Pulls, batch by batch, until shutdown.
///
/// # Errors
/// When the stream or the consumer on the broker is not as the catalogue says:
/// starting then would lose or repeat messages.
pub async fn receive_from<C: Consumer>(bus: Bus, consumer: Arc<C>) -> Result<(), Failure> {
    while !bus.shutdown().is_cancelled() {
        let durable = topology::bind(&bus, C::STREAM).await?;
        let ended = receive(&bus, &consumer, &durable).await;
        if let Err(error) = ended {
            tracing::warn!(
                stream = C::STREAM,
                "the subscription broke and is made anew: {}",
                error.chain()
            );
            pause(&bus, Duration::from_millis(250)).await;
        }
    }
    Ok(())
}

async fn receive<C: Consumer>(
    bus: &Bus,
    consumer: &Arc<C>,
    durable: &async_nats::jetstream::consumer::Consumer<pull::Config>,
) -> Result<(), Failure> {
    let batch_max = bus.settings().batch_max;
    let mut messages = durable
        .stream()
        .max_messages_per_batch(batch_max)
        .heartbeat(HEARTBEAT)
        .expires(HEARTBEAT * 4)
        .messages()
        .await
        .map_err(|e| {
            Failure::transient("messaging.pull", "cannot pull from the broker").caused_by(e)
        })?;
    let mut errors = 0;
    loop {
        let first = tokio::select! {
            () = bus.shutdown().cancelled() => return Ok(()),
            first = messages.next() => first,
        };
        // Over for good, as after the consumer was deleted: asking again would
        // only spin.
        if first.is_none() {
            return Err(Failure::transient(
                "messaging.pull",
                "the consumer was closed",
            ));
        }
        let mut batch = Vec::new();
        let mut next = first;
        // What is there is taken; nothing is waited for, so that a quiet day is
        // quick and a busy one is batched by the time the last batch took.
        while let Some(item) = next {
            match item {
                Ok(message) => {
                    errors = 0;
                    batch.push(message);
                }
                // A broken pull is not the end of the stream; many in a row are.
                Err(error) => {
                    errors += 1;
                    tracing::debug!(%error, stream = C::STREAM, "a pull failed");
                    if errors > PULL_ERRORS_MAX {
                        return Err(Failure::transient("messaging.pull", error.to_string()));
                    }
                    break;
                }
            }
            if batch.len() >= batch_max {
                break;
            }
            // Unconstrained: Tokio would make the stream look empty after some
            // hundred polls, and so cut every batch short.
            next = match unconstrained(messages.next()).now_or_never() {
                Some(ready) => ready,
                None => break,
            };
        }
        if !batch.is_empty() {
            settle_batch(bus, consumer, batch).await;
        }
    }
}

/// Handles one batch and settles each of its messages, come what may.
async fn settle_batch<C: Consumer>(bus: &Bus, consumer: &Arc<C>, messages: Vec<Message>) {
    let metrics = bus.metrics();
    let received = std::time::Instant::now();
    let mut raws = Vec::with_capacity(messages.len());
    let mut pending = 0;
    for message in &messages {
        match Raw::of(bus.prefix(), message) {
            Ok(raw) => {
                pending = message.info().map_or(0, |info| info.pending);
                raws.push(raw);
            }
            // Without a place in a stream it cannot even be settled.
            Err(error) => tracing::error!("a message without a stream was left out: {error}"),
        }
    }
    let span = tracing::info_span!("receive", stream = C::STREAM, messages = raws.len());
    batch::follow_producers(&span, &raws);
    metrics.batch(C::STREAM, raws.len());
    metrics.lag(C::STREAM, pending);
    metrics.step("receive", C::STREAM, received);
    handle_batch(bus, consumer, &messages, &raws)
        .instrument(span)
        .await;
}

async fn handle_batch<C: Consumer>(
    bus: &Bus,
    consumer: &Arc<C>,
    messages: &[Message],
    raws: &[Raw],
) {
    match try_batch(bus, consumer, raws).await {
        Ok(()) => settle(bus, C::STREAM, "done", messages, AckKind::Ack).await,
        Err(error) if error.class() == ErrorClass::Transient => {
            retry_later(bus, C::STREAM, messages, raws, &error).await;
        }
        Err(error) => {
            // One of them is poison: find it by handling them one by one.
            tracing::warn!(
                stream = C::STREAM,
                code = error.code(),
                messages = raws.len(),
                "a batch failed and is handled one by one: {}",
                error.chain()
            );
            for (message, raw) in messages.iter().zip(raws) {
                let one = std::slice::from_ref(raw);
                let message = std::slice::from_ref(message);
                match try_batch(bus, consumer, one).await {
                    Ok(()) => settle(bus, C::STREAM, "done", message, AckKind::Ack).await,
                    Err(error)
                        if error.class() == ErrorClass::Transient
                            && raw.delivered < bus.settings().max_deliver =>
                    {
                        retry_later(bus, C::STREAM, message, one, &error).await;
                    }
                    Err(error) => match batch::bury(bus, C::STREAM, raw, &error).await {
                        Ok(()) => {
                            settle(bus, C::STREAM, "dead_letter", message, AckKind::Ack).await;
                        }
                        Err(buried) => retry_later(bus, C::STREAM, message, one, &buried).await,
                    },
                }
            }
        }
    }
}

/// Tries a batch; one that lost a race is tried again at once, a few times.
async fn try_batch<C: Consumer>(bus: &Bus, consumer: &Arc<C>, raws: &[Raw]) -> Result<(), Failure> {
    let mut retries = 0;
    loop {
        match batch::handle(bus, consumer, raws, None).await {
            Err(error) if error.class() == ErrorClass::Conflict && retries < CONFLICT_RETRIES => {
                retries += 1;
                tracing::debug!(
                    stream = C::STREAM,
                    retries,
                    "a batch lost a race: {}",
                    error.chain()
                );
            }
            done => return done,
        }
    }
}

async fn settle(
    bus: &Bus,
    stream: &'static str,
    outcome: &'static str,
    messages: &[Message],
    kind: AckKind,
) {
    let started = std::time::Instant::now();
    async {
        for message in messages {
            // An acknowledgement that is lost costs a redelivery, which the
            // inbox absorbs.
            if let Err(error) = message.ack_with(kind).await {
                tracing::debug!(%error, "an acknowledgement was lost");
            }
        }
    }
    .instrument(tracing::info_span!("step", otel.name = "settle"))
    .await;
    bus.metrics().settled(stream, outcome, messages.len());
    bus.metrics().step("settle", stream, started);
}

async fn retry_later(
    bus: &Bus,
    stream: &'static str,
    messages: &[Message],
    raws: &[Raw],
    error: &Failure,
) {
    let delivered = raws.iter().map(|raw| raw.delivered).max().unwrap_or(1);
    let delay = backoff(delivered);
    tracing::warn!(
        stream,
        code = error.code(),
        messages = messages.len(),
        delivered,
        delay_ms = delay.as_millis() as u64,
        "a batch is tried again later: {}",
        error.chain()
    );
    settle(bus, stream, "retry", messages, AckKind::Nak(Some(delay))).await;
    // The next batch would meet the same trouble.
    pause(bus, delay.min(Duration::from_secs(1))).await;
}

/// 250 ms, doubled with each delivery, at most 30 s.
fn backoff(delivered: i64) -> Duration {
    let doublings = u32::try_from(delivered.clamp(1, 8) - 1).unwrap_or(0);
    Duration::from_millis(250 << doublings).min(Duration::from_secs(30))
}

async fn pause(bus: &Bus, time: Duration) {
    tokio::select! {
        () = bus.shutdown().cancelled() => {}
        () = tokio::time::sleep_until(Instant::now() + time) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_half_a_minute() {
        let seconds: Vec<_> = (0..10).map(|n| backoff(n).as_secs_f32()).collect();
        assert_eq!(
            seconds,
            [0.25, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
        );
    }
}
