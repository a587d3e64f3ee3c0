//! What an operator watches: the six steps, lag, batch sizes, outbox age, dead
//! letters.

use std::time::Instant;

use contracts::Role;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram},
    propagation::Injector,
};

pub(crate) struct Metrics {
    service: KeyValue,
    step: Histogram<f64>,
    batch: Histogram<u64>,
    messages: Counter<u64>,
    lag: Gauge<u64>,
    outbox_age: Gauge<f64>,
    outbox_rows: Gauge<u64>,
    dead_letters: Counter<u64>,
    relayed: Counter<u64>,
}

impl Metrics {
    pub(crate) fn of(role: Role) -> Self {
        let meter = global::meter("counterfoil");
        Self {
            service: KeyValue::new("service", role.name()),
            step: meter
                .f64_histogram("counterfoil_step_duration")
                .with_unit("s")
                .with_description("time of one step of the way of a message, per batch")
                .with_boundaries(vec![
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
                ])
                .build(),
            batch: meter
                .u64_histogram("counterfoil_batch_messages")
                .with_description("messages in one batch")
                .with_boundaries(vec![
                    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0,
                ])
                .build(),
            messages: meter
                .u64_counter("counterfoil_inbox_messages")
                .with_description("messages settled, by outcome")
                .build(),
            lag: meter
                .u64_gauge("counterfoil_consumer_lag_messages")
                .with_description(
                    "messages of the stream that this consumer has not been given yet",
                )
                .build(),
            outbox_age: meter
                .f64_gauge("counterfoil_outbox_oldest_age")
                .with_unit("s")
                .with_description("age of the oldest fact that the broker does not have yet")
                .build(),
            outbox_rows: meter
                .u64_gauge("counterfoil_outbox_unpublished_messages")
                .with_description("facts that the broker does not have yet")
                .build(),
            dead_letters: meter
                .u64_counter("counterfoil_dead_letters")
                .with_description("messages that became dead letters, by failure code")
                .build(),
            relayed: meter
                .u64_counter("counterfoil_relayed_messages")
                .with_description("facts published")
                .build(),
        }
    }

    fn with<const N: usize>(&self, more: [KeyValue; N]) -> Vec<KeyValue> {
        std::iter::once(self.service.clone()).chain(more).collect()
    }

    pub(crate) fn step(&self, step: &'static str, stream: &'static str, since: Instant) {
        self.step.record(
            since.elapsed().as_secs_f64(),
            &self.with([KeyValue::new("step", step), KeyValue::new("stream", stream)]),
        );
    }

    pub(crate) fn batch(&self, stream: &'static str, messages: usize) {
        self.batch.record(
            messages as u64,
            &self.with([KeyValue::new("stream", stream)]),
        );
    }

    pub(crate) fn settled(&self, stream: &'static str, outcome: &'static str, messages: usize) {
        if messages > 0 {
            self.messages.add(
                messages as u64,
                &self.with([
                    KeyValue::new("stream", stream),
                    KeyValue::new("outcome", outcome),
                ]),
            );
        }
    }

    pub(crate) fn lag(&self, stream: &'static str, pending: u64) {
        self.lag
            .record(pending, &self.with([KeyValue::new("stream", stream)]));
    }

    pub(crate) fn outbox(&self, rows: u64, oldest_seconds: f64) {
        self.outbox_rows.record(rows, &self.with([]));
        self.outbox_age.record(oldest_seconds, &self.with([]));
    }

    pub(crate) fn relayed(&self, messages: usize) {
        self.relayed.add(messages as u64, &self.with([]));
    }

    pub(crate) fn buried(&self, code: &'static str) {
        self.dead_letters
            .add(1, &self.with([KeyValue::new("code", code)]));
    }
}

#[derive(Default)]
struct Parent(Option<String>);

impl Injector for Parent {
    fn set(&mut self, key: &str, value: String) {
        if key == "traceparent" {
            self.0 = Some(value);
        }
    }
}

/// The W3C trace context of the span that we are in, if traces are on.
pub(crate) fn current_traceparent() -> Option<String> {
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    let mut parent = Parent::default();
    let context = tracing::Span::current().context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut parent));
    parent.0
}
