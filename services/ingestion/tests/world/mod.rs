//! The service on real servers of its own: Postgres, the broker, and everybody
//! who talks to it.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, jetstream};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use contracts::{
    Role,
    api::{
        Call, Refusal,
        dead_letters::{DeadLetterView, ListDeadLetters},
        ingestion::{
            AppendImport, GetImport, GetIngestionTotals, ImportState, ImportView, OpenImport,
            SubmitImport,
        },
    },
};
use ingestion::Options;
use kernel::SystemClock;
use messaging::Bus;
use runtime::{
    Config, Health, LocalStack, Service, StackOptions,
    service::{connect, migrate, nats, nats_users, supervise},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

pub struct World {
    /// Asks as the gateway does.
    pub gateway: Bus,
    /// Sees everything.
    pub admin: PgPool,
    feed: jetstream::Context,
    billing: jetstream::Context,
    config: Config,
    services: Vec<Service>,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    stack: LocalStack,
    _directory: TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        // The servers do not run as root: their user must pass through.
        let directory = tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        let mut config = Config::defaults().unwrap();
        let stack = LocalStack::start(
            &directory.path().join("data"),
            StackOptions {
                nats_users: nats_users(&config).unwrap(),
                shared_buffers_mb: 32,
                durable: false,
                ..StackOptions::default()
            },
        )
        .await
        .unwrap();
        for role in Role::ALL {
            stack.postgres_password(role.name()).unwrap();
        }
        stack.configure(&mut config);
        let services = vec![Service::new(
            ingestion::ROLE,
            &ingestion::MIGRATOR,
            move |bus| ingestion::run(bus, options.clone()),
        )];
        migrate(&config, &services).await.unwrap();
        let admin =
            PgPool::connect_lazy_with(stack.admin_options().database(&config.database.name));
        let clock = Arc::new(SystemClock);
        let gateway = connect(&config, Role::Gateway, clock, CancellationToken::new())
            .await
            .unwrap();
        let mut world = Self {
            gateway,
            admin,
            feed: jetstream::new(nats(&config, "bank_feed").await.unwrap()),
            billing: jetstream::new(nats(&config, "billing").await.unwrap()),
            config,
            services,
            running: None,
            stack,
            _directory: directory,
        };
        world.run();
        world
            .eventually("the service answers", async |world| {
                world.gateway.ask(&GetIngestionTotals {}).await.is_ok()
            })
            .await;
        world
    }

    /// Starts the service.
    pub fn run(&mut self) {
        let stop = CancellationToken::new();
        let (config, services, stopped) =
            (self.config.clone(), self.services.clone(), stop.clone());
        let running = tokio::spawn(async move {
            let health = Health::default();
            supervise(&config, &services, Arc::new(SystemClock), &health, stopped).await;
        });
        self.running = Some((stop, running));
    }

    /// Stops the service; the servers stay.
    pub async fn halt(&mut self) {
        if let Some((stop, running)) = self.running.take() {
            stop.cancel();
            running.await.unwrap();
        }
    }

    pub async fn end(mut self) {
        self.halt().await;
        self.admin.close().await;
        self.stack.destroy().await.unwrap();
    }

    pub async fn ask<C: Call>(&self, call: &C) -> C::Reply {
        self.gateway.ask(call).await.unwrap()
    }

    pub async fn refused<C: Call<Reply: std::fmt::Debug>>(&self, call: &C) -> Refusal {
        self.gateway.ask(call).await.unwrap_err()
    }

    /// Publishes as a bank feed, and waits until the broker has it.
    pub async fn receipt(&self, id: &str, payload: impl AsRef<[u8]>) {
        send(&self.feed, "counterfoil.in.bank.receipts.test", id, payload).await;
    }

    pub async fn account(&self, id: &str, payload: &Value) {
        let subject = "counterfoil.in.billing.accounts.test";
        send(&self.billing, subject, id, payload.to_string()).await;
    }

    pub async fn document(&self, id: &str, payload: &Value) {
        let subject = "counterfoil.in.billing.documents.test";
        send(&self.billing, subject, id, payload.to_string()).await;
    }

    /// Uploads a file in pieces and submits it.
    pub async fn upload(&self, name: &str, file: &[u8], dry_run: bool) -> ImportView {
        let opened = self
            .ask(&OpenImport {
                file_name: name.into(),
                format: None,
                dry_run,
                actor: "pat".into(),
            })
            .await;
        let import_id = opened.import_id;
        for (piece, bytes) in (0..).zip(file.chunks(1000)) {
            self.ask(&AppendImport {
                import_id,
                piece,
                base64: STANDARD.encode(bytes),
            })
            .await;
        }
        self.ask(&SubmitImport {
            import_id,
            sha256: hex::encode(Sha256::digest(file)),
        })
        .await
    }

    /// The import when it is done.
    pub async fn import(&self, name: &str, file: &[u8]) -> ImportView {
        let queued = self.upload(name, file, false).await;
        self.done(&queued).await
    }

    pub async fn done(&self, import: &ImportView) -> ImportView {
        let import_id = import.import_id;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let view = self.ask(&GetImport { import_id }).await;
            if !matches!(
                view.state,
                ImportState::Uploading | ImportState::Queued | ImportState::Reading
            ) {
                return view;
            }
            assert!(
                Instant::now() < deadline,
                "the import is not done: {view:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn dead_letters(&self) -> Vec<DeadLetterView> {
        let subject = "counterfoil.svc.ingestion.dead-letters.list";
        let payload = serde_json::to_vec(&ListDeadLetters::default()).unwrap();
        let reply = self
            .gateway
            .nats()
            .request(subject, payload.into())
            .await
            .unwrap();
        serde_json::from_slice::<contracts::api::Page<DeadLetterView>>(&reply.payload)
            .unwrap()
            .items
    }

    /// The facts told so far, by type, the oldest first.
    pub async fn facts(&self, name: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select payload from ingestion.outbox where event_type = $1 order by tx, seq",
        )
        .bind(format!("counterfoil.ingestion.{name}.v1"))
        .fetch_all(&self.admin)
        .await
        .unwrap();
        rows.iter()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect()
    }

    /// A count from the books.
    pub async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what)
            .fetch_one(&self.admin)
            .await
            .unwrap()
    }

    pub async fn eventually(&self, what: &str, mut check: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !check(self).await {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn send(
    jetstream: &jetstream::Context,
    subject: &'static str,
    id: &str,
    payload: impl AsRef<[u8]>,
) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    jetstream
        .publish_with_headers(subject, headers, payload.as_ref().to_vec().into())
        .await
        .unwrap()
        .await
        .unwrap();
}
