//! A service at work: its consumers, endpoints, timers and relay, started
//! together and drained together.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::service::ServiceExt as _;
use contracts::api::{Call, Refusal, RefusalClass, dead_letters, outbox};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use kernel::Classified;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Semaphore, task::JoinSet};
use tracing::Instrument;

use crate::{
    Bus, Consumer, Failure, Raw,
    dead_letters::{self as letters, Replays},
    pipeline, relay,
};

/// Carries a typed refusal beside the micro protocol's own error headers.
pub(crate) const REFUSAL: &str = "Counterfoil-Refusal";
/// Requests of one service answered at the same time; more wait.
const REQUESTS_MAX: usize = 64;
/// Before a task that failed is begun again.
const TROUBLE: Duration = Duration::from_millis(500);

type Task = BoxFuture<'static, Result<(), Failure>>;
type Handler =
    Arc<dyn Fn(bytes::Bytes) -> BoxFuture<'static, Result<Vec<u8>, Refusal>> + Send + Sync>;

/// Gathers what a service does, then runs it.
pub struct Host {
    bus: Bus,
    tasks: Vec<(&'static str, Task)>,
    endpoints: Vec<(String, Handler)>,
    replays: HashMap<&'static str, Replays>,
}

impl Host {
    pub fn new(bus: Bus) -> Self {
        Self {
            bus,
            tasks: Vec::new(),
            endpoints: Vec::new(),
            replays: HashMap::new(),
        }
    }

    /// Consumes a stream.
    #[must_use]
    pub fn consume<C: Consumer>(mut self, consumer: C) -> Self {
        let consumer = Arc::new(consumer);
        let (bus, again) = (self.bus.clone(), consumer.clone());
        self.replays.insert(
            C::STREAM,
            Arc::new(move |raw: Raw, pick| {
                let (bus, consumer) = (bus.clone(), again.clone());
                async move { pipeline::handle_again(&bus, &consumer, &raw, &pick).await }.boxed()
            }),
        );
        self.tasks.push((
            C::STREAM,
            pipeline::receive_from(self.bus.clone(), consumer).boxed(),
        ));
        self
    }

    /// Answers a question or command.
    #[must_use]
    pub fn serve<C, F, Fut>(self, handler: F) -> Self
    where
        C: Call,
        F: Fn(C, Bus) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C::Reply, Refusal>> + Send + 'static,
    {
        self.endpoint(&format!("{}.{}", C::NOUN, C::VERB), handler)
    }

    fn endpoint<Q, R, F, Fut>(mut self, name: &str, handler: F) -> Self
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize,
        F: Fn(Q, Bus) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, Refusal>> + Send + 'static,
    {
        let bus = self.bus.clone();
        let handler = Arc::new(handler);
        self.endpoints.push((
            name.to_owned(),
            Arc::new(move |payload: bytes::Bytes| {
                let (bus, handler) = (bus.clone(), handler.clone());
                async move {
                    let question: Q =
                        serde_json::from_slice(&payload).map_err(|error| Refusal {
                            code: "messaging.malformed".into(),
                            class: RefusalClass::Invalid,
                            detail: format!("the request is not what this endpoint takes: {error}"),
                            fields: Vec::new(),
                        })?;
                    let reply = handler(question, bus).await?;
                    serde_json::to_vec(&reply).map_err(|e| Failure::from(e).into())
                }
                .boxed()
            }),
        ));
        self
    }

    /// Does something every so often. A failure is logged and tried again next
    /// time.
    #[must_use]
    pub fn job<F, Fut>(mut self, name: &'static str, every: Duration, job: F) -> Self
    where
        F: Fn(Bus) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let bus = self.bus.clone();
        let task = async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = bus.shutdown().cancelled() => return Ok(()),
                    _ = ticks.tick() => {}
                }
                if let Err(error) = job(bus.clone()).await {
                    tracing::warn!(
                        job = name,
                        code = error.code(),
                        "a job failed: {}",
                        error.chain()
                    );
                }
            }
        };
        self.tasks.push((name, task.boxed()));
        self
    }

    /// Something that goes on until shutdown and keeps its own time. If it fails it
    /// is begun again.
    #[must_use]
    pub fn task<F, Fut>(mut self, name: &'static str, task: F) -> Self
    where
        F: Fn(Bus) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let bus = self.bus.clone();
        let running = async move {
            while !bus.shutdown().is_cancelled() {
                if let Err(error) = task(bus.clone()).await {
                    tracing::warn!(
                        task = name,
                        code = error.code(),
                        "a task begins again: {}",
                        error.chain()
                    );
                    tokio::select! {
                        () = bus.shutdown().cancelled() => {}
                        () = tokio::time::sleep(TROUBLE) => {}
                    }
                }
            }
            Ok(())
        };
        self.tasks.push((name, running.boxed()));
        self
    }

    /// Runs until shutdown, then drains: consumers finish their batch, the
    /// relay empties the outbox.
    ///
    /// # Errors
    /// When something that must not stop has stopped by itself.
    pub async fn run(mut self) -> Result<(), Failure> {
        self = self
            .dead_letter_endpoints()
            .outbox_endpoint()
            .housekeeping();
        let bus = self.bus.clone();
        let mut running = JoinSet::new();
        running.spawn(relay::run(bus.clone()));
        running.spawn(answer(bus.clone(), self.endpoints));
        for (name, task) in self.tasks {
            let span = tracing::info_span!("task", role = %bus.role(), name);
            running.spawn(task.instrument(span));
        }
        let mut outcome = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended = ended.unwrap_or_else(|panic| {
                Err(
                    Failure::bug("messaging.task_panicked", "a task of the service panicked")
                        .caused_by(panic),
                )
            });
            if let Err(error) = ended {
                tracing::error!(role = %bus.role(), code = error.code(), "a task ended: {}", error.chain());
                outcome = Err(error);
                break;
            }
            if !bus.shutdown().is_cancelled() {
                outcome = Err(Failure::bug(
                    "messaging.task_ended",
                    "a task of the service ended by itself",
                ));
                break;
            }
        }
        running.shutdown().await;
        // Acknowledgements are only queued: without this the last ones would be
        // delivered again.
        if let Err(error) = bus.nats().flush().await {
            tracing::debug!(%error, "the last acknowledgements were lost");
        }
        outcome
    }

    fn dead_letter_endpoints(self) -> Self {
        let replays = Arc::new(self.replays.clone());
        let name = |verb: &str| format!("{}.{verb}", dead_letters::NOUN);
        self.endpoint(&name("list"), |q, bus| async {
            Ok(letters::list(q, bus).await?)
        })
        .endpoint(&name("get"), |q, bus| async {
            Ok(letters::get(q, bus).await?)
        })
        .endpoint(&name("discard"), |q, bus| async {
            Ok(letters::discard(q, bus).await?)
        })
        .endpoint(&name("replay"), move |q, bus| {
            let replays = replays.clone();
            async move {
                let handle: Replays = Arc::new(move |raw: Raw, pick| {
                    let replays = replays.clone();
                    async move {
                        let found = replays
                            .iter()
                            .find(|(stream, _)| raw.stream.ends_with(**stream));
                        match found {
                            Some((_, replay)) => replay(raw, pick).await,
                            None => Err(Failure::permanent(
                                "messaging.not_replayable",
                                format!("this service no longer reads {}", raw.stream),
                            )),
                        }
                    }
                    .boxed()
                });
                Ok(letters::replay(q, bus, &handle).await?)
            }
        })
    }

    fn outbox_endpoint(self) -> Self {
        self.endpoint(&format!("{}.republish", outbox::NOUN), |q, bus| async {
            Ok(relay::republish(q, bus).await?)
        })
    }

    fn housekeeping(self) -> Self {
        self.job("observe_outbox", Duration::from_secs(5), |bus| async move {
            relay::observe(&bus).await
        })
        .job("purge", Duration::from_mins(10), |bus| async move {
            let before = bus.now() - bus.settings().retention;
            for sql in [&bus.sql().purge_inbox, &bus.sql().purge_outbox] {
                sqlx::query(sqlx::AssertSqlSafe(sql.as_str()))
                    .bind(before)
                    .execute(bus.pool())
                    .await?;
            }
            Ok(())
        })
    }
}

/// Answers requests by the NATS micro-service protocol, until shutdown.
async fn answer(bus: Bus, endpoints: Vec<(String, Handler)>) -> Result<(), Failure> {
    let refused = |what: &str, error: async_nats::Error| {
        Failure::transient(
            "messaging.micro",
            format!("{what} cannot be offered: {error}"),
        )
    };
    let service = bus
        .nats()
        .service_builder()
        .description(format!("Counterfoil {}", bus.role()))
        .start(
            format!("counterfoil-{}", bus.role()),
            env!("CARGO_PKG_VERSION"),
        )
        .await
        .map_err(|e| refused("the micro service", e))?;
    let group = service.group(bus.prefix().subject(format_args!("svc.{}", bus.role())));
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut listeners = JoinSet::new();
    for (name, handler) in endpoints {
        let mut endpoint = group
            .endpoint_builder()
            .name(name.replace('.', "-"))
            .add(&name)
            .await
            .map_err(|e| refused(&name, e))?;
        let slots = slots.clone();
        let shutdown = bus.shutdown().clone();
        listeners.spawn(async move {
            let mut busy = JoinSet::new();
            loop {
                let request = tokio::select! {
                    () = shutdown.cancelled() => break,
                    request = endpoint.next() => request,
                };
                let (Some(request), Ok(slot)) = (request, slots.clone().acquire_owned().await)
                else {
                    break;
                };
                let handler = handler.clone();
                let span = tracing::info_span!("answer", endpoint = %name);
                busy.spawn(
                    async move {
                        let answer =
                            std::panic::AssertUnwindSafe(handler(request.message.payload.clone()))
                                .catch_unwind()
                                .await
                                .unwrap_or_else(|_| {
                                    Err(Refusal::from(Failure::bug(
                                        "messaging.panic",
                                        "the service panicked",
                                    )))
                                });
                        if let Err(error) = respond(&request, answer).await {
                            tracing::debug!(%error, "an answer was lost");
                        }
                        drop(slot);
                    }
                    .instrument(span),
                );
                while busy.try_join_next().is_some() {}
            }
            busy.join_all().await;
        });
    }
    bus.nats().flush().await.map_err(|e| {
        Failure::transient("messaging.micro", "the endpoints cannot be offered").caused_by(e)
    })?;
    bus.is_answering();
    listeners.join_all().await;
    if let Err(error) = service.stop().await {
        tracing::debug!(%error, "the micro service was gone before it was stopped");
    }
    Ok(())
}

async fn respond(
    request: &async_nats::service::Request,
    answer: Result<Vec<u8>, Refusal>,
) -> Result<(), async_nats::PublishError> {
    match answer {
        Ok(reply) => request.respond(Ok(reply.into())).await,
        Err(refusal) => {
            let mut headers = async_nats::HeaderMap::new();
            headers.insert(
                REFUSAL,
                one_line(&serde_json::to_string(&refusal).unwrap_or_default()).as_str(),
            );
            let error = async_nats::service::error::Error {
                status: one_line(&refusal.detail),
                code: match refusal.class {
                    RefusalClass::Invalid => 422,
                    RefusalClass::NotFound => 404,
                    RefusalClass::Conflict => 409,
                    RefusalClass::Unavailable => 503,
                    RefusalClass::Internal => 500,
                },
            };
            request.respond_with_headers(Err(error), headers).await
        }
    }
}

/// Header values hold no line breaks.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
