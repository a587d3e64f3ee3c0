//! What a collector of traces gets: one trace of a receipt, from its publisher
//! through every step of every service.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{Arc, Mutex};

use async_nats::HeaderMap;
use contracts::Role;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use testkit::{DEADLINE, Suite, eventually, receipt};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// An OTLP collector that keeps every span.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        self.0
            .lock()
            .unwrap()
            .extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_in_the_trace_of_the_publisher() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(
        Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    let mut config = runtime::Config::defaults().unwrap();
    config.telemetry.otlp_endpoint = Some(endpoint);
    // Before the suite, which has a log of its own for tests that trace nothing.
    let telemetry = runtime::telemetry::init(&config).unwrap();

    let suite = Suite::start().await;
    let services = [
        suite
            .run(Role::Ingestion, |bus| {
                ingestion::run(bus, ingestion::Options::default())
            })
            .await,
        suite.run(Role::Allocation, allocation::run).await,
        suite.run(Role::Reporting, reporting::run).await,
    ];
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "traced");
    headers.insert(
        "traceparent",
        format!("00-{trace}-00f067aa0ba902b7-01").as_str(),
    );
    let payload = serde_json::to_vec(&receipt("NOTHING", "10.00")).unwrap();
    suite
        .jetstream()
        .publish_with_headers(
            suite.prefix().subject("in.bank.receipts.test"),
            headers,
            payload.into(),
        )
        .await
        .unwrap()
        .await
        .unwrap();

    let steps = ["receive", "claim", "load", "decide", "record", "settle"];
    eventually("the collector has every step", DEADLINE, async || {
        let spans = collector.0.lock().unwrap();
        // Once in each of the three services.
        steps.iter().all(|step| {
            let of_step = spans
                .iter()
                .filter(|span| span.name == *step && hex(&span.trace_id) == trace);
            of_step.count() == 3
        })
    })
    .await;
    for service in services {
        service.stop().await;
    }
    tokio::task::spawn_blocking(|| telemetry.shutdown())
        .await
        .unwrap();
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
