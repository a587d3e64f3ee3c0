//! The service at work in a suite of its own, and those who talk to it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contracts::{
    Role,
    api::{
        Call, Page, Refusal,
        dead_letters::{DeadLetterView, ListDeadLetters},
        ingestion::{
            AppendImport, GetImport, GetIngestionTotals, ImportState, ImportView, OpenImport,
            SubmitImport,
        },
    },
    subject::{IN_ACCOUNTS, IN_DOCUMENTS, IN_RECEIPTS},
};
use ingestion::Options;
use messaging::Bus;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use testkit::{DEADLINE, Running, Suite, eventually, eventually_some};

pub(crate) struct World {
    suite: Suite,
    options: Options,
    running: Option<Running>,
    /// Asks as the gateway does.
    gateway: Bus,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let suite = Suite::start().await;
        let mut world = Self {
            gateway: suite.bus(Role::Gateway).await,
            suite,
            options,
            running: None,
        };
        world.run().await;
        world
    }

    /// Starts the service, and waits until it answers.
    pub(crate) async fn run(&mut self) {
        let options = self.options.clone();
        let running = self
            .suite
            .run(ingestion::ROLE, |bus| ingestion::run(bus, options))
            .await;
        self.running = Some(running);
        self.eventually("the service answers", async |world| {
            world.gateway.ask(&GetIngestionTotals {}).await.is_ok()
        })
        .await;
    }

    /// Stops the service; messages that come now wait.
    pub(crate) async fn halt(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Sees everything.
    pub(crate) fn admin(&self) -> &PgPool {
        self.suite.admin_pool()
    }

    pub(crate) async fn ask<C: Call>(&self, call: &C) -> C::Reply {
        self.gateway.ask(call).await.unwrap()
    }

    pub(crate) async fn refused<C: Call<Reply: std::fmt::Debug>>(&self, call: &C) -> Refusal {
        self.gateway.ask(call).await.unwrap_err()
    }

    pub(crate) async fn receipt(&self, id: &str, payload: &str) {
        self.publish(IN_RECEIPTS, id, payload).await;
    }

    pub(crate) async fn account(&self, id: &str, payload: &Value) {
        self.publish(IN_ACCOUNTS, id, &payload.to_string()).await;
    }

    pub(crate) async fn document(&self, id: &str, payload: &Value) {
        self.publish(IN_DOCUMENTS, id, &payload.to_string()).await;
    }

    async fn publish(&self, kind: &str, id: &str, payload: &str) {
        let subject = format!("{kind}.test");
        self.suite.publish(&subject, id, payload.to_owned()).await;
    }

    /// Uploads a file in pieces and submits it.
    pub(crate) async fn upload(&self, name: &str, file: &[u8], dry_run: bool) -> ImportView {
        let opened = self
            .ask(&OpenImport {
                file_name: name.into(),
                format: None,
                dry_run,
                actor: "user:pat".into(),
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
    pub(crate) async fn import(&self, name: &str, file: &[u8]) -> ImportView {
        let queued = self.upload(name, file, false).await;
        self.done(&queued).await
    }

    pub(crate) async fn done(&self, import: &ImportView) -> ImportView {
        let import_id = import.import_id;
        eventually_some("the import is done", DEADLINE, async || {
            let view = self.ask(&GetImport { import_id }).await;
            let done = !matches!(
                view.state,
                ImportState::Uploading | ImportState::Queued | ImportState::Reading
            );
            done.then_some(view)
        })
        .await
    }

    pub(crate) async fn dead_letters(&self) -> Vec<DeadLetterView> {
        let subject = self
            .suite
            .prefix()
            .subject("svc.ingestion.dead-letters.list");
        let payload = serde_json::to_vec(&ListDeadLetters::default()).unwrap();
        let reply = self.gateway.nats().request(subject, payload.into()).await;
        serde_json::from_slice::<Page<DeadLetterView>>(&reply.unwrap().payload)
            .unwrap()
            .items
    }

    /// The facts of a type told so far, the oldest first.
    pub(crate) async fn facts(&self, name: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(
            "select payload from ingestion.outbox where event_type = $1 order by tx, seq",
        )
        .bind(format!("counterfoil.ingestion.{name}.v1"))
        .fetch_all(self.admin())
        .await
        .unwrap();
        rows.iter()
            .map(|row| serde_json::from_str(row).unwrap())
            .collect()
    }

    /// A count from the books.
    pub(crate) async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what)
            .fetch_one(self.admin())
            .await
            .unwrap()
    }

    pub(crate) async fn eventually(&self, what: &str, mut check: impl AsyncFnMut(&Self) -> bool) {
        eventually(what, DEADLINE, async || check(self).await).await;
    }

    pub(crate) async fn end(mut self) {
        self.halt().await;
    }
}
