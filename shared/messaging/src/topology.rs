//! Streams and consumers on the broker: applied by the platform user, read back
//! and compared by everybody.
//!
//! An older nats-server drops fields that it does not know without a word, so a
//! configuration counts only once it has been read back.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use contracts::{
    Prefix,
    catalogue::{DURABLES, Durable, STREAMS, Stream},
};

use crate::{Bus, Failure, Settings};

fn stream_config(stream: &Stream, prefix: &Prefix) -> Config {
    Config {
        name: prefix.stream(stream.name),
        description: Some(stream.description.to_owned()),
        subjects: stream.subjects.iter().map(|s| prefix.subject(s)).collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: Duration::from_hours(24 * stream.max_age_days),
        // The broker's own storage limit bounds all streams together: at that
        // point publishing fails and outboxes wait, which loses nothing, while a
        // limit here would drop the oldest facts without a word.
        max_bytes: -1,
        duplicate_window: Duration::from_secs(stream.duplicate_window_seconds),
        ..Config::default()
    }
}

fn consumer_config(durable: &Durable, prefix: &Prefix, settings: &Settings) -> pull::Config {
    pull::Config {
        durable_name: Some(durable.name()),
        description: Some(format!(
            "{}: see services/{}/README.md",
            durable.service, durable.service
        )),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::All,
        filter_subject: durable.filter(prefix).unwrap_or_default(),
        ack_wait: settings.ack_wait,
        // The last deliveries are ours to turn into a dead letter; the broker's
        // own limit is only a backstop against a service that dies each time.
        max_deliver: settings.max_deliver * 4,
        // Two batches being handled by each of a few replicas.
        max_ack_pending: (settings.batch_max * 8) as i64,
        ..pull::Config::default()
    }
}

/// Creates or updates every stream and durable consumer, and reads them back.
///
/// # Errors
/// When the broker refuses, or keeps something else than was asked for.
pub async fn apply(
    js: &jetstream::Context,
    prefix: &Prefix,
    settings: &Settings,
) -> Result<(), Failure> {
    for stream in &STREAMS {
        js.create_or_update_stream(stream_config(stream, prefix))
            .await
            .map_err(|e| {
                Failure::transient(
                    "messaging.apply_stream",
                    format!("stream {} cannot be applied", stream.name),
                )
                .caused_by(e)
            })?;
        bound_stream(js, stream, prefix).await?;
    }
    for durable in &DURABLES {
        js.create_consumer_on_stream(
            consumer_config(durable, prefix, settings),
            prefix.stream(durable.stream),
        )
        .await
        .map_err(|e| {
            Failure::transient(
                "messaging.apply_consumer",
                format!("consumer {} cannot be applied", durable.name()),
            )
            .caused_by(e)
        })?;
        bound(js, durable, prefix, settings).await?;
    }
    Ok(())
}

async fn bound_stream(
    js: &jetstream::Context,
    wanted: &Stream,
    prefix: &Prefix,
) -> Result<jetstream::stream::Stream, Failure> {
    let name = prefix.stream(wanted.name);
    let stream = js.get_stream(&name).await.map_err(|e| {
        Failure::transient(
            "messaging.no_stream",
            format!("stream {name} cannot be read; has `counterfoil migrate` run?"),
        )
        .caused_by(e)
    })?;
    let want = stream_config(wanted, prefix);
    let have = &stream.cached_info().config;
    for (field, same) in [
        ("subjects", have.subjects == want.subjects),
        ("retention", have.retention == want.retention),
        ("storage", have.storage == want.storage),
        ("discard", have.discard == want.discard),
        ("max_bytes", have.max_bytes == want.max_bytes),
        ("max_age", have.max_age == want.max_age),
        (
            "duplicate_window",
            have.duplicate_window == want.duplicate_window,
        ),
    ] {
        if !same {
            return Err(mismatch(&name, field));
        }
    }
    Ok(stream)
}

async fn bound(
    js: &jetstream::Context,
    durable: &Durable,
    prefix: &Prefix,
    settings: &Settings,
) -> Result<Consumer<pull::Config>, Failure> {
    let stream = STREAMS
        .iter()
        .find(|s| s.name == durable.stream)
        .ok_or_else(|| {
            Failure::bug(
                "messaging.catalogue",
                format!("the catalogue has no stream {}", durable.stream),
            )
        })?;
    let stream = bound_stream(js, stream, prefix).await?;
    let name = durable.name();
    let consumer: Consumer<pull::Config> = stream.get_consumer(&name).await.map_err(|e| {
        Failure::transient(
            "messaging.no_consumer",
            format!("consumer {name} cannot be read: {e}"),
        )
    })?;
    let want = consumer_config(durable, prefix, settings);
    let have = &consumer.cached_info().config;
    for (field, same) in [
        ("ack_policy", have.ack_policy == want.ack_policy),
        ("ack_wait", have.ack_wait == want.ack_wait),
        ("max_deliver", have.max_deliver == want.max_deliver),
        (
            "max_ack_pending",
            have.max_ack_pending == want.max_ack_pending,
        ),
        ("filter_subject", have.filter_subject == want.filter_subject),
        ("backoff", have.backoff.is_empty()),
    ] {
        if !same {
            return Err(mismatch(&name, field));
        }
    }
    Ok(consumer)
}

fn mismatch(name: &str, field: &str) -> Failure {
    Failure::bug(
        "messaging.topology_differs",
        format!(
            "`{field}` of {name} on the broker is not what this version needs; run `counterfoil jetstream apply`"
        ),
    )
}

/// This service's durable consumer of `stream`. Waits while the broker or the
/// consumer is not there yet; refuses one that differs.
pub(crate) async fn bind(
    bus: &Bus,
    stream: &'static str,
) -> Result<Consumer<pull::Config>, Failure> {
    use kernel::{Classified as _, ErrorClass};
    let durable = DURABLES
        .iter()
        .find(|d| d.service == bus.role() && d.stream == stream)
        .ok_or_else(|| {
            Failure::bug(
                "messaging.catalogue",
                format!("{} has no consumer of {stream}", bus.role()),
            )
        })?;
    loop {
        match bound(bus.jetstream(), durable, bus.prefix(), bus.settings()).await {
            Err(error) if error.class() == ErrorClass::Transient => {
                tracing::warn!(stream, "waiting for the broker: {}", error.chain());
                tokio::select! {
                    () = bus.shutdown().cancelled() => return Err(error),
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                }
            }
            done => return done,
        }
    }
}
