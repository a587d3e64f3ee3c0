//! Logs, traces and metrics of the process.
//!
//! Logs go to standard error (standard output is for a command's answer). Traces always exist, so that a message carries
//! its `traceparent` whether or not somebody collects them; they are sent only where an OTLP endpoint is configured.
//! Metrics are OpenTelemetry instruments behind the admin server's `/metrics`.

use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, InstrumentKind, SdkMeterProvider, Stream,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Config, LogFormat};

const SERVICE: &str = "counterfoil";

/// Bounds of histograms in seconds: the built-in ones are for milliseconds and would put everything into one bucket.
const SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `log.level` is no filter.
    #[error("log.level is not a filter such as \"info,sqlx=warn\"")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// The trace exporter.
    #[error("cannot export traces to {endpoint}")]
    Exporter {
        /// `telemetry.otlp_endpoint`.
        endpoint: String,
        /// Why not.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The trace exporter works on the async runtime.
    #[error("telemetry with an OTLP endpoint must be started inside the async runtime")]
    NoRuntime,
    /// The metrics exporter.
    #[error("cannot set up metrics: {0}")]
    Metrics(String),
    /// Metrics could not be written as text.
    #[error("cannot write metrics")]
    Text(#[source] prometheus::Error),
}

/// Keeps telemetry going; sends what is still waiting when it is shut down or dropped.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Sends the traces that are still waiting, for at most five seconds. Blocks: call it at the very end, or from
    /// `spawn_blocking`.
    pub fn shutdown(mut self) {
        self.flush();
    }

    fn flush(&mut self) {
        if let Some(traces) = self.traces.take() {
            // Nobody is left to tell: the log may be the very thing that is gone.
            let _ = traces.shutdown_with_timeout(Duration::from_secs(5));
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sets up logs, traces and metrics for the process. A second call (tests) leaves the first one's in place.
///
/// # Errors
/// When the level filter cannot be parsed, or the exporter of traces cannot be made.
pub fn init(config: &Config) -> Result<TelemetryGuard, TelemetryError> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    metrics()?;
    let filter = || EnvFilter::try_new(&config.log.level).map_err(TelemetryError::Filter);
    let traces = tracer_provider(config)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer(SERVICE))
        .with_filter(filter()?);
    let lines = match config.log.format {
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let first = tracing_subscriber::registry()
        .with(spans)
        .with(lines.with_filter(filter()?))
        .try_init()
        .is_ok();
    if first {
        opentelemetry::global::set_tracer_provider(traces.clone());
    }
    Ok(TelemetryGuard {
        traces: first.then_some(traces),
    })
}

fn tracer_provider(config: &Config) -> Result<SdkTracerProvider, TelemetryError> {
    let ratio = config.telemetry.sample_ratio;
    let builder = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            ratio,
        ))));
    let Some(endpoint) = &config.telemetry.otlp_endpoint else {
        return Ok(builder.build());
    };
    tokio::runtime::Handle::try_current().map_err(|_| TelemetryError::NoRuntime)?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(Duration::from_secs(5))
        .build()
        .map_err(|source| TelemetryError::Exporter {
            endpoint: endpoint.clone(),
            source,
        })?;
    Ok(builder.with_batch_exporter(exporter).build())
}

fn resource() -> Resource {
    Resource::builder()
        .with_service_name(SERVICE)
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build()
}

/// The registry behind `/metrics`; the first call makes it and puts its meter provider in place.
fn metrics() -> Result<&'static Registry, TelemetryError> {
    static REGISTRY: OnceLock<Result<Registry, String>> = OnceLock::new();
    REGISTRY
        .get_or_init(|| {
            let registry = Registry::new();
            let exporter = opentelemetry_prometheus::exporter()
                .with_registry(registry.clone())
                .scope_info_enabled(false)
                .build()
                .map_err(|error| error.to_string())?;
            let provider = SdkMeterProvider::builder()
                .with_resource(resource())
                .with_reader(exporter)
                .with_view(|instrument: &Instrument| {
                    let seconds =
                        instrument.unit() == "s" || instrument.name().ends_with("_seconds");
                    (instrument.kind() == InstrumentKind::Histogram && seconds)
                        .then(|| {
                            let boundaries = SECONDS.to_vec();
                            let aggregation = Aggregation::ExplicitBucketHistogram {
                                boundaries,
                                record_min_max: false,
                            };
                            Stream::builder().with_aggregation(aggregation).build().ok()
                        })
                        .flatten()
                })
                .build();
            opentelemetry::global::set_meter_provider(provider);
            Ok(registry)
        })
        .as_ref()
        .map_err(|error| TelemetryError::Metrics(error.clone()))
}

/// All metrics in Prometheus's text format.
///
/// # Errors
/// When they cannot be collected or written.
pub fn metrics_text() -> Result<String, TelemetryError> {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&metrics()?.gather(), &mut text)
        .map_err(TelemetryError::Text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    use super::*;

    /// The globals belong to the process: one test, so that nothing else decides who comes first.
    #[test]
    fn initialised_twice_traces_propagate_and_metrics_are_readable() {
        let config = Config::defaults().unwrap();
        let first = init(&config).unwrap();
        let second = init(&config).unwrap();
        drop(second);

        let mut headers = HashMap::new();
        let span = tracing::info_span!("publish");
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&span.context(), &mut headers);
        });
        let parent = headers
            .get("traceparent")
            .expect("a traceparent, without any collector");
        assert_eq!(parent.split('-').count(), 4, "{parent}");
        assert_ne!(
            parent.split('-').nth(1),
            Some("00000000000000000000000000000000"),
            "{parent}"
        );

        let meter = opentelemetry::global::meter("test");
        meter
            .u64_counter("counterfoil_test_messages")
            .build()
            .add(3, &[]);
        meter
            .f64_histogram("counterfoil_test_duration")
            .with_unit("s")
            .build()
            .record(0.003, &[]);
        let text = metrics_text().unwrap();
        assert!(text.contains("counterfoil_test_messages_total 3"), "{text}");
        assert!(
            text.contains(r#"counterfoil_test_duration_seconds_bucket{le="0.005"} 1"#),
            "{text}"
        );
        first.shutdown();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_are_sent_to_the_configured_endpoint() {
        use opentelemetry::trace::{Span as _, Tracer as _};
        use tokio::io::AsyncReadExt as _;
        let collector = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = Config::defaults().unwrap();
        config.telemetry.otlp_endpoint =
            Some(format!("http://{}", collector.local_addr().unwrap()));
        let traces = tracer_provider(&config).unwrap();
        traces.tracer("test").start("one").end();
        let mut guard = TelemetryGuard {
            traces: Some(traces),
        };
        let flushed = tokio::task::spawn_blocking(move || guard.flush());
        let (mut connection, _) = collector.accept().await.unwrap();
        let mut preface = [0; 14];
        connection.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0", "OTLP over gRPC");
        drop((connection, collector));
        flushed.await.unwrap();
    }

    #[test]
    fn a_level_that_is_no_filter_is_refused() {
        let mut config = Config::defaults().unwrap();
        config.log.level = "info,=,nonsense[".into();
        assert!(matches!(init(&config), Err(TelemetryError::Filter(_))));
    }
}
