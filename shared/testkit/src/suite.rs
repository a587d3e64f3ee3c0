//! One test's own suite: a database, a prefix, streams, and the services that the test runs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{HeaderMap, jetstream, jetstream::publish::PublishAck};
use bytes::Bytes;
use contracts::{
    Event, Prefix, Role,
    catalogue::{Outsider, STREAMS},
    inbound::{BankReceipt, BillingAccount, BillingDocument, BillingMatter, Remittance},
    subject::{IN_ACCOUNTS, IN_DOCUMENTS, IN_MATTERS, IN_RECEIPTS, IN_REMITTANCES},
};
use kernel::{Clock, SystemClock};
use messaging::{Bus, Failure};
use runtime::{Config, service};
use serde::Serialize;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::{Cluster, must};

/// A stop that takes longer than this is a hang.
const STOP: Duration = Duration::from_secs(25);

/// A whole installation for one test. Dropping it removes its database and its streams, and its servers if no others
/// use them.
pub struct Suite {
    config: Config,
    prefix: Prefix,
    clock: Arc<dyn Clock>,
    admin: PgPool,
    jetstream: jetstream::Context,
    /// Taken when the suite is dropped.
    cluster: Option<Cluster>,
}

impl Suite {
    /// A suite on the machine's clock.
    pub async fn start() -> Self {
        Self::start_with(SystemClock, |_| {}).await
    }

    /// A suite on `clock` (keep a clone of a [`kernel::ManualClock`] to move it), with a configuration that the test
    /// has had its way with: `messaging.batch_max` and the like.
    pub async fn start_with(clock: impl Clock, adjust: impl FnOnce(&mut Config)) -> Self {
        must(
            "start a suite",
            // Boxed: it is held by the future of every test.
            Box::pin(Self::try_start(Arc::new(clock), adjust)).await,
        )
    }

    async fn try_start(clock: Arc<dyn Clock>, adjust: impl FnOnce(&mut Config)) -> Result<Self> {
        // What the services log is shown with a test that fails.
        let filter = EnvFilter::try_from_env("COUNTERFOIL_TEST_LOG");
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("warn")))
            .with_test_writer()
            .try_init();

        let cluster = Cluster::find().await?;
        let name = format!("t{}", &Uuid::now_v7().simple().to_string()[20..]);
        let mut config = cluster.config().clone();
        config.database.name.clone_from(&name);
        config.database.pool_max = 4;
        config.nats.prefix.clone_from(&name);
        // What a crashed service had in its hands comes back soon.
        config.messaging.ack_wait_seconds = 2;
        adjust(&mut config);

        cluster
            .create_database(&name)
            .await
            .context("no database for the test")?;
        let admin = PgPoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(cluster.admin(&name));
        let nats = service::nats(&config, Outsider::Platform.name()).await?;
        let suite = Self {
            prefix: Prefix::try_new(&name)?,
            jetstream: jetstream::new(nats),
            config,
            clock,
            admin,
            cluster: Some(cluster),
        };
        service::apply_streams(&suite.config).await?;
        Ok(suite)
    }

    /// Addresses, passwords, prefix and settings: what `runtime` needs to connect to this suite.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The superuser's connections to the suite's database: may look into every schema.
    pub fn admin_pool(&self) -> &PgPool {
        &self.admin
    }

    /// The streams, as a user who may do everything.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Connections of `role`'s database user, who sees its own schema only.
    pub fn pool(&self, role: Role) -> PgPool {
        must("make a pool", service::pool(&self.config, role))
    }

    /// New connections of `role`, for a test that plays the service itself.
    pub async fn bus(&self, role: Role) -> Bus {
        self.connect(role, CancellationToken::new()).await
    }

    async fn connect(&self, role: Role, stop: CancellationToken) -> Bus {
        let bus = service::connect(&self.config, role, self.clock.clone(), stop).await;
        must("connect a service", bus)
    }

    /// Runs `service` as `role` in the background, on connections of its own:
    /// `suite.run(Role::Allocation, allocation::run)`. Run twice, it is two replicas.
    pub async fn run<F, Fut>(&self, role: Role, service: F) -> Running
    where
        F: FnOnce(Bus) -> Fut,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let bus = self.connect(role, CancellationToken::new()).await;
        // Boxed: a service is a large future, and a test holds several.
        let working = Box::pin(service(bus.clone()));
        let task = tokio::spawn(async move {
            let ended = working.await;
            if let Err(failure) = &ended {
                // The test only notices that something never happens; this is why.
                tracing::error!(%role, "the service fell over: {}", failure.chain());
            }
            ended
        });
        Running { bus, task }
    }

    /// Publishes `payload` on `subject` (below the prefix, such as `in.bank.receipts.test`) with the message id `id`,
    /// and waits until the stream has it.
    pub async fn publish(&self, subject: &str, id: &str, payload: impl Into<Bytes>) -> PublishAck {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let subject = self.prefix.subject(subject);
        let sent = self
            .jetstream
            .publish_with_headers(subject, headers, payload.into())
            .await;
        must(
            "have a message stored",
            must("publish a message", sent).await,
        )
    }

    /// An event, as its service would publish it.
    pub async fn publish_event<E: Event>(&self, event: &E) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", Uuid::now_v7().to_string().as_str());
        headers.insert("ce-type", E::event_type().as_str());
        let payload = must("write an event", serde_json::to_vec(event));
        let subject = self.prefix.event(event);
        let sent = self
            .jetstream
            .publish_with_headers(subject, headers, payload.into())
            .await;
        must("publish an event", must("publish an event", sent).await);
    }

    pub async fn publish_receipt(&self, id: &str, receipt: &BankReceipt) -> PublishAck {
        self.publish_json(IN_RECEIPTS, id, receipt).await
    }

    pub async fn publish_account(&self, id: &str, account: &BillingAccount) -> PublishAck {
        self.publish_json(IN_ACCOUNTS, id, account).await
    }

    pub async fn publish_document(&self, id: &str, document: &BillingDocument) -> PublishAck {
        self.publish_json(IN_DOCUMENTS, id, document).await
    }

    pub async fn publish_remittance(&self, id: &str, advice: &Remittance) -> PublishAck {
        self.publish_json(IN_REMITTANCES, id, advice).await
    }

    pub async fn publish_matter(&self, id: &str, matter: &BillingMatter) -> PublishAck {
        self.publish_json(IN_MATTERS, id, matter).await
    }

    async fn publish_json(&self, domain: &str, id: &str, message: &impl Serialize) -> PublishAck {
        let payload = must("write a message", serde_json::to_vec(message));
        self.publish(&format!("{domain}.test"), id, payload).await
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        let Some(cluster) = self.cluster.take() else {
            return;
        };
        let (config, prefix) = (self.config.clone(), self.prefix.clone());
        // On a thread with a runtime of its own: the test's cannot be waited for in here.
        let cleaning = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(clean(cluster, &config, &prefix))
        });
        match cleaning.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("a test's remains could not be removed: {error:#}"),
            Err(_) => eprintln!("a test's remains could not be removed"),
        }
    }
}

async fn clean(cluster: Cluster, config: &Config, prefix: &Prefix) -> Result<()> {
    if cluster.is_shared() {
        cluster.drop_database(&config.database.name).await?;
        let nats = service::nats(config, Outsider::Platform.name()).await?;
        let jetstream = jetstream::new(nats);
        for stream in &STREAMS {
            // One that was never made is not missed.
            let _ = jetstream.delete_stream(prefix.stream(stream.name)).await;
        }
    }
    cluster.destroy().await
}

/// A service at work. Dropping it is a crash.
pub struct Running {
    bus: Bus,
    task: JoinHandle<Result<(), Failure>>,
}

impl Running {
    /// Asks the service to stop, as SIGTERM does, and waits until it has.
    ///
    /// # Panics
    /// When it failed, or hangs.
    pub async fn stop(mut self) {
        self.bus.shutdown().cancel();
        let ended = must(
            "stop a service",
            tokio::time::timeout(STOP, &mut self.task).await,
        );
        must("stop a service", must("stop a service", ended));
    }

    /// Ends the service in the middle of whatever it does, as SIGKILL does: nothing is acknowledged, open
    /// transactions roll back.
    pub async fn crash(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        // When this returns, nothing that it began is still going on in the database.
        self.bus.pool().close().await;
    }

    /// Whether it ended by itself.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
