//! Claim, Load, Decide, Record: one batch in one transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use contracts::api::dead_letters::PickDeadLetter;
use opentelemetry::trace::TraceContextExt as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::Consumer;
use crate::{Bus, Failure, Incoming, Raw, dead_letters};

/// Producers that a batch span links to: more would cost more than they tell.
const LINKS_MAX: usize = 32;

/// Links the span of this batch to those who published its messages.
pub(super) fn link_producers(raws: &[Raw]) {
    let span = tracing::Span::current();
    if !span.context().span().span_context().is_valid() {
        return;
    }
    for raw in raws.iter().take(LINKS_MAX) {
        if let Some(parent) = &raw.meta.traceparent {
            let carrier =
                std::collections::HashMap::from([("traceparent".to_owned(), parent.clone())]);
            let context = opentelemetry::global::get_text_map_propagator(|p| p.extract(&carrier));
            span.add_link(context.span().span_context().clone());
        }
    }
}

pub(super) async fn handle<C: Consumer>(
    bus: &Bus,
    consumer: &Arc<C>,
    raws: &[Raw],
    again: Option<&PickDeadLetter>,
) -> Result<(), Failure> {
    let metrics = bus.metrics();
    let now = bus.now();

    // What cannot be understood is buried in the same transaction as the rest
    // is handled; what is not for us is only settled.
    let mut understood = Vec::with_capacity(raws.len());
    let mut unreadable = Vec::new();
    for raw in raws {
        match consumer.decode(raw) {
            Ok(Some(message)) => understood.push((raw, message)),
            Ok(None) => {}
            Err(error) => unreadable.push((raw, error)),
        }
    }
    if understood.is_empty() && unreadable.is_empty() {
        return Ok(());
    }

    let started = Instant::now();
    let mut tx = bus.begin().await?;
    if let (Some(pick), [raw]) = (again, raws) {
        dead_letters::take_back(&mut tx, bus, pick, raw).await?;
    }
    let ids: Vec<Uuid> = understood
        .iter()
        .map(|(raw, _)| raw.meta.id)
        .chain(unreadable.iter().map(|(raw, _)| raw.meta.id))
        .collect();
    let mut new = tx.claim(&ids).await?;
    metrics.step("claim", C::STREAM, started);
    if new.is_empty() {
        metrics.settled(C::STREAM, "duplicate", ids.len());
        return tx.rollback().await;
    }
    // `remove`: the same id twice in one batch counts once.
    let mut batch = Vec::with_capacity(understood.len());
    let mut sources = Vec::with_capacity(understood.len());
    for (raw, message) in understood {
        if new.remove(&raw.meta.id) {
            batch.push(Incoming {
                meta: raw.meta.clone(),
                message,
            });
            sources.push(raw);
        }
    }
    unreadable.retain(|(raw, _)| new.remove(&raw.meta.id));
    metrics.settled(
        C::STREAM,
        "duplicate",
        ids.len() - batch.len() - unreadable.len(),
    );

    let mut notices = Vec::new();
    let mut rejected = unreadable;
    if !batch.is_empty() {
        let started = Instant::now();
        let state = consumer.load(&mut tx, &batch).await?;
        metrics.step("load", C::STREAM, started);

        let started = Instant::now();
        let decided = catch_unwind(AssertUnwindSafe(|| consumer.decide(state, &batch, now)))
            .map_err(|_| {
                Failure::bug(
                    "messaging.panic",
                    "the decision panicked; the log has the place",
                )
            })??;
        metrics.step("decide", C::STREAM, started);

        let started = Instant::now();
        consumer.record(&mut tx, decided.changes).await?;
        tx.publish(&decided.events).await?;
        for (index, failure) in decided.rejected {
            if let Some(raw) = sources.get(index) {
                rejected.push((raw, failure));
            }
        }
        notices = decided.notices;
        metrics.step("record", C::STREAM, started);
    }
    for (raw, failure) in &rejected {
        dead_letters::bury(&mut tx, bus, raw, failure, now).await?;
    }
    let started = Instant::now();
    tx.commit().await?;
    metrics.step("commit", C::STREAM, started);
    bus.notice(&notices).await;
    Ok(())
}

/// Buries one message that no try could handle.
pub(super) async fn bury(
    bus: &Bus,
    stream: &'static str,
    raw: &Raw,
    failure: &Failure,
) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    if tx.claim(&[raw.meta.id]).await?.is_empty() {
        return tx.rollback().await;
    }
    dead_letters::bury(&mut tx, bus, raw, failure, bus.now()).await?;
    tracing::error!(stream, message = %raw.meta.id, "a message became a dead letter: {}", failure.chain());
    tx.commit().await
}
