//! Claim, Load, Decide, Record: one batch in one transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use contracts::api::dead_letters::PickDeadLetter;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use super::Consumer;
use crate::{Bus, Failure, Incoming, Raw, dead_letters};

/// Producers that a batch span links to: more would cost more than they tell.
const LINKS_MAX: usize = 32;

/// Puts the span of a batch into the trace of those who published its messages;
/// when they are of several traces it stands alone, with links to them.
pub(super) fn follow_producers(span: &tracing::Span, raws: &[Raw]) {
    let mut producers = Vec::new();
    for parent in raws.iter().filter_map(|raw| raw.meta.traceparent.as_ref()) {
        let carrier = std::collections::HashMap::from([("traceparent".to_owned(), parent.clone())]);
        let context = opentelemetry::global::get_text_map_propagator(|p| p.extract(&carrier));
        if context.span().span_context().is_valid() {
            producers.push(context);
        }
        if producers.len() == LINKS_MAX {
            break;
        }
    }
    let trace = |context: &opentelemetry::Context| context.span().span_context().trace_id();
    let Some(first) = producers.first() else {
        return;
    };
    if producers.iter().all(|other| trace(other) == trace(first)) {
        // Refused only when nobody traces, or by a span that has begun.
        let _ = span.set_parent(first.clone());
    } else {
        for context in &producers {
            span.add_link(context.span().span_context().clone());
        }
    }
}

/// One step of the way: its span, and its time in the histogram.
async fn step<T>(
    bus: &Bus,
    name: &'static str,
    stream: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let done = work
        .instrument(tracing::info_span!("step", otel.name = name))
        .await?;
    bus.metrics().step(name, stream, started);
    Ok(done)
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

    let ids: Vec<Uuid> = understood
        .iter()
        .map(|(raw, _)| raw.meta.id)
        .chain(unreadable.iter().map(|(raw, _)| raw.meta.id))
        .collect();
    let (mut tx, mut new) = step(bus, "claim", C::STREAM, async {
        let mut tx = bus.begin().await?;
        if let (Some(pick), [raw]) = (again, raws) {
            dead_letters::take_back(&mut tx, bus, pick, raw).await?;
        }
        let new = tx.claim(&ids).await?;
        Ok((tx, new))
    })
    .await?;
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
        let state = step(bus, "load", C::STREAM, consumer.load(&mut tx, &batch)).await?;
        let decided = step(bus, "decide", C::STREAM, async {
            catch_unwind(AssertUnwindSafe(|| consumer.decide(state, &batch, now))).map_err(
                |_| {
                    Failure::bug(
                        "messaging.panic",
                        "the decision panicked; the log has the place",
                    )
                },
            )?
        })
        .await?;
        step(bus, "record", C::STREAM, async {
            consumer.record(&mut tx, decided.changes).await?;
            tx.publish(&decided.events).await
        })
        .await?;
        for (index, failure) in decided.rejected {
            if let Some(raw) = sources.get(index) {
                rejected.push((raw, failure));
            }
        }
        notices = decided.notices;
    }
    for (raw, failure) in &rejected {
        dead_letters::bury(&mut tx, bus, raw, failure, now).await?;
    }
    step(bus, "commit", C::STREAM, tx.commit()).await?;
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
