//! The real program as separate processes, killed under load: nothing is lost,
//! nothing happens twice, and the rest goes on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use contracts::{
    Prefix, Role,
    api::reporting::CheckInvariants,
    catalogue::Outsider,
    inbound::{BankReceipt, Direction},
    subject,
};
use runtime::{Config, LocalStack, StackOptions, service};
use sqlx::PgPool;
use testkit::{account, document, eventually, receipt};

const DOCUMENTS: usize = 1500;
const PATIENCE: Duration = Duration::from_secs(90);

/// The program beside this test's own folder; `make test` builds it first.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("counterfoil");
    assert!(
        path.exists(),
        "build the program first: cargo build -p counterfoil"
    );
    path
}

struct House {
    stack: LocalStack,
    config: Config,
    folder: tempfile::TempDir,
    roles: Vec<(Role, Child)>,
    admin: PgPool,
    jetstream: async_nats::jetstream::Context,
}

impl House {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut config = Config::defaults().unwrap();
        config.local.data_dir = folder.path().to_owned();
        let options = StackOptions {
            nats_users: service::nats_users(&config).unwrap(),
            ..StackOptions::default()
        };
        let stack = LocalStack::start(folder.path(), options).await.unwrap();
        for role in Role::ALL {
            stack.postgres_password(role.name()).unwrap();
        }
        stack.configure(&mut config);
        let migrated = Command::new(program())
            .arg("--data-dir")
            .arg(folder.path())
            .arg("migrate")
            .status()
            .unwrap();
        assert!(migrated.success());
        let admin = PgPool::connect_with(stack.admin_options().database(&config.database.name))
            .await
            .unwrap();
        let nats = service::nats(&config, Outsider::Platform.name())
            .await
            .unwrap();
        let mut house = Self {
            jetstream: async_nats::jetstream::new(nats),
            stack,
            config,
            folder,
            roles: Vec::new(),
            admin,
        };
        for role in [Role::Ingestion, Role::Allocation, Role::Reporting] {
            house.start(role);
        }
        house
    }

    fn start(&mut self, role: Role) {
        let child = Command::new(program())
            .arg("--data-dir")
            .arg(self.folder.path())
            .args([
                "--set",
                "admin.listen=127.0.0.1:0",
                "--set",
                "log.level=error",
            ])
            .args(["run", "--roles", role.name()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.roles.push((role, child));
    }

    fn kill(&mut self, role: Role) {
        let at = self.roles.iter().position(|(r, _)| *r == role).unwrap();
        let (_, mut child) = self.roles.remove(at);
        // `Child::kill` is SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
    }

    async fn publish(&self, subject: String, id: String, payload: Vec<u8>) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        // The bank's own retry: a broker that is down comes back.
        loop {
            let sent = self
                .jetstream
                .publish_with_headers(subject.clone(), headers.clone(), payload.clone().into())
                .await;
            if let Ok(ack) = sent
                && ack.await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        // The server may be restarting: an answer is waited for.
        for _ in 0..200 {
            if let Ok(count) = sqlx::query_scalar::<_, i64>(sql)
                .fetch_one(&self.admin)
                .await
            {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Postgres does not answer");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for (_, child) in &mut self.roles {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Every tenth payment is a collection that the bank takes back a hundred
/// payments later.
fn is_returned(n: usize) -> bool {
    n % 10 == 3 && n + 100 < DOCUMENTS
}

fn payment(n: usize) -> BankReceipt {
    let mut receipt = receipt(&format!("INV-{n:05}"), "10.00");
    if is_returned(n) {
        receipt.scheme = Some("dd_collection".into());
        receipt.end_to_end_id = Some(format!("E2E-{n:05}"));
    }
    receipt
}

fn returned(paid: &BankReceipt) -> BankReceipt {
    BankReceipt {
        direction: Direction::Debit,
        scheme: Some("dd_return".into()),
        return_reason: Some("0".into()),
        bank_reference: format!("RTN-{}", paid.bank_reference),
        ..paid.clone()
    }
}

/// E32, E100, E101: kill -9 of each role, of the broker and of the database while
/// receipts pour in and some of them are taken back.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_happens_twice() {
    let mut house = House::open().await;
    let prefix = Prefix::default();
    for n in 0..DOCUMENTS / 10 {
        let account = account(&format!("ACC{n:04}"));
        let subject = prefix.subject(format_args!("{}.chaos", subject::IN_ACCOUNTS));
        house
            .publish(
                subject,
                account.account_ref.clone(),
                serde_json::to_vec(&account).unwrap(),
            )
            .await;
    }
    for n in 0..DOCUMENTS {
        let document = document(
            &format!("INV-{n:05}"),
            &format!("ACC{:04}", n / 10),
            "10.00",
        );
        let subject = prefix.subject(format_args!("{}.chaos", subject::IN_DOCUMENTS));
        house
            .publish(
                subject,
                document.document_ref.clone(),
                serde_json::to_vec(&document).unwrap(),
            )
            .await;
    }
    let subject = prefix.subject(format_args!("{}.chaos", subject::IN_RECEIPTS));
    let mut paid = Vec::with_capacity(DOCUMENTS);
    for n in 0..DOCUMENTS {
        let receipt = payment(n);
        let payload = serde_json::to_vec(&receipt).unwrap();
        paid.push(receipt.clone());
        if let Some(before) = n.checked_sub(100).filter(|before| is_returned(*before)) {
            let taken = returned(&paid[before]);
            let id = taken.bank_reference.clone();
            let payload = serde_json::to_vec(&taken).unwrap();
            house
                .publish(subject.clone(), id.clone(), payload.clone())
                .await;
            if before % 3 == 0 {
                house
                    .publish(subject.clone(), format!("again-{id}"), payload)
                    .await;
            }
        }
        house
            .publish(
                subject.clone(),
                receipt.bank_reference.clone(),
                payload.clone(),
            )
            .await;
        if n % 7 == 0 {
            // The bank sends it once more, under another message id.
            house
                .publish(subject.clone(), format!("again-{n}"), payload)
                .await;
        }
        match n {
            200 => house.kill(Role::Allocation),
            300 => house.start(Role::Allocation),
            400 => house.kill(Role::Ingestion),
            500 => house.start(Role::Ingestion),
            600 => house.kill(Role::Reporting),
            700 => house.start(Role::Reporting),
            800 => {
                house.stack.kill_nats();
                house.stack.restart_nats().await.unwrap();
            }
            1000 => {
                house.stack.kill_postgres();
                house.stack.restart_postgres().await.unwrap();
            }
            1200 => {
                house.kill(Role::Allocation);
                house.start(Role::Allocation);
            }
            _ => {}
        }
    }
    let all = DOCUMENTS as i64;
    let back = (0..DOCUMENTS).filter(|n| is_returned(*n)).count() as i64;
    eventually("every receipt is projected", PATIENCE, async || {
        house.count("select count(*) from reporting.receipt").await == all
    })
    .await;
    assert_eq!(
        house
            .count("select count(*) from ingestion.bank_line")
            .await,
        all + back
    );
    eventually("every return has taken its payment", PATIENCE, async || {
        house
            .count("select count(*) from allocation.debit where state = 'returned'")
            .await
            == back
    })
    .await;
    // A killed service's documents are delivered again later than the receipts
    // that name them: those wait, and are allocated when the documents come.
    eventually("every receipt is allocated", PATIENCE, async || {
        house
            .count("select count(*) from allocation.receipt where state = 'allocated'")
            .await
            == all - back
    })
    .await;
    // A return that came before its payment left nothing to undo; every other
    // undid one line by one contra, once.
    assert_eq!(
        house
            .count("select sum(amount)::bigint from allocation.allocation")
            .await,
        10 * (all - back)
    );
    assert_eq!(
        house
            .count("select sum(amount)::bigint from allocation.outflow")
            .await,
        10 * back
    );
    // The document of such a return has no receipt that was waited for, and may be
    // the last to come.
    eventually("what came back is owed", PATIENCE, async || {
        house
            .count("select count(*) from allocation.open_item where open <> 0")
            .await
            == back
    })
    .await;
    assert_eq!(
        house
            .count("select count(*) from allocation.dead_letter")
            .await,
        0
    );

    let cli = service::nats(&house.config, Outsider::Cli.name())
        .await
        .unwrap();
    let call = prefix.call::<CheckInvariants>();
    eventually("the invariants hold", PATIENCE, async || {
        let report: Result<contracts::api::reporting::InvariantReport, _> =
            messaging::ask(&cli, &call, &CheckInvariants {}, PATIENCE).await;
        report.is_ok_and(|report| {
            assert!(!report.settled || report.holds, "{report:#?}");
            report.settled && report.holds
        })
    })
    .await;
}
