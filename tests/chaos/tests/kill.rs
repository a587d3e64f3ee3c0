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
    api::{
        Call,
        allocation::{ListReceipts, ReceiptQueue},
        controls::{
            Attachment, DecideApproval, DraftRefund, FetchRefundFile, GetRefund, OrderRefundFile,
            Person, RefundContent, RefundFileStep, RefundStep, StepRefund, StepRefundFile, Verdict,
        },
        reporting::CheckInvariants,
    },
    catalogue::Outsider,
    controls::{RefundId, RefundState},
    inbound::{BankAccountRef, BankReceipt, Direction},
    subject,
};
use kernel::{CommandId, Currency};
use runtime::{Config, LocalStack, StackOptions, service};
use sqlx::PgPool;
use testkit::{account, document, eventually, receipt};
use tokio::{task::JoinSet, time::Instant};

const DOCUMENTS: usize = 1500;
/// So many payments come between one that is paid back and the next.
const REFUND_EVERY: usize = 100;
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
        for role in [
            Role::Ingestion,
            Role::Allocation,
            Role::Worklist,
            Role::Reporting,
        ] {
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

/// Money that nobody knows what to do with.
fn overpaid(n: usize) -> BankReceipt {
    let mut receipt = receipt(&format!("OVERPAID {n:02}"), "25.00");
    receipt.payer.name = Some("Acme Ltd".into());
    receipt.payer.account = BankAccountRef {
        sort_code: Some("10-79-99".into()),
        account_number: Some("88837491".into()),
        iban: None,
    };
    receipt
}

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.into()],
    }
}

/// The people who pay money back. Who gets no answer sends the same again: under
/// its own id a command counts once.
#[derive(Clone)]
struct Payments {
    nats: async_nats::Client,
    prefix: Prefix,
}

impl Payments {
    async fn ask<C: Call>(&self, call: &C) -> Result<C::Reply, contracts::api::Refusal> {
        messaging::ask(
            &self.nats,
            &self.prefix.call::<C>(),
            call,
            Duration::from_secs(5),
        )
        .await
    }

    async fn insist<C: Call>(&self, call: &C) -> C::Reply {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ask(call).await {
                Ok(reply) => return reply,
                Err(refusal) => assert!(Instant::now() < until, "{refusal:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn state(&self, refund_id: RefundId) -> RefundState {
        self.insist(&GetRefund { refund_id }).await.refund.state
    }

    /// From the draft to the bank: asked for by one person, approved and verified
    /// by another, in a file that may take others along.
    async fn pay_back(self, n: usize) {
        let (officer, manager) = (person("jo", "payments_officer"), person("max", "manager"));
        let words = format!("OVERPAID {n:02}");
        let until = Instant::now() + PATIENCE;
        let receipt_id = loop {
            let ask = ListReceipts {
                queue: ReceiptQueue::All,
                search: Some(words.clone()),
                ..ListReceipts::default()
            };
            let found = self.insist(&ask).await.items;
            if let Some(receipt) = found.into_iter().find(|r| r.narrative == words) {
                break receipt.receipt_id;
            }
            assert!(Instant::now() < until, "{words} is not there");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let draft = DraftRefund {
            command_id: CommandId::generate(),
            receipt_id,
            content: RefundContent {
                amount: None,
                reason: "paid too much".into(),
                payee: None,
                evidence: vec![Attachment {
                    label: "their e-mail".into(),
                    reference: Some(words),
                    sha256: None,
                }],
            },
            submit: true,
            person: officer.clone(),
        };
        let drafted = self.insist(&draft).await.refund;
        let refund_id = drafted.refund_id;
        let decide = DecideApproval {
            command_id: CommandId::generate(),
            approval_id: drafted.approval_id.unwrap(),
            verdict: Verdict::Approve,
            reason: "looked into it".into(),
            person: manager.clone(),
        };
        self.insist(&decide).await;
        // Refused until the approval has come through.
        let verify = StepRefund {
            command_id: CommandId::generate(),
            refund_id,
            step: RefundStep::Verify {
                how: "called back".into(),
            },
            person: manager,
        };
        self.insist(&verify).await;
        let order = OrderRefundFile {
            command_id: CommandId::generate(),
            bank_account: "GB:200000-55779911".into(),
            currency: Currency::GBP,
            debtor_name: "Harbour Legal LLP".into(),
            execute_on: None,
            format: None,
            bacs: None,
            person: officer.clone(),
        };
        let until = Instant::now() + PATIENCE;
        let file_id = loop {
            match self.ask(&order).await {
                Ok(ordered) => break ordered.file_id,
                // Somebody else's file has taken it along.
                Err(_) if self.state(refund_id).await != RefundState::Verified => return,
                Err(refusal) => assert!(Instant::now() < until, "{refusal:?}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let fetch = FetchRefundFile {
            command_id: CommandId::generate(),
            file_id,
            person: officer.clone(),
        };
        self.insist(&fetch).await;
        let sent = StepRefundFile {
            command_id: CommandId::generate(),
            file_id,
            step: RefundFileStep::Sent,
            person: officer,
        };
        self.insist(&sent).await;
    }
}

/// E32, E100, E101: kill -9 of each role, of the broker and of the database while
/// receipts pour in, some of them are taken back, and others paid back with four
/// eyes and in files.
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
    let cli = service::nats(&house.config, Outsider::Cli.name())
        .await
        .unwrap();
    let payments = Payments {
        nats: cli.clone(),
        prefix: prefix.clone(),
    };
    let mut people = JoinSet::new();
    let mut paid = Vec::with_capacity(DOCUMENTS);
    for n in 0..DOCUMENTS {
        if n % REFUND_EVERY == REFUND_EVERY / 2 {
            let money = overpaid(n / REFUND_EVERY);
            let payload = serde_json::to_vec(&money).unwrap();
            let id = money.bank_reference.clone();
            house.publish(subject.clone(), id, payload).await;
            people.spawn(payments.clone().pay_back(n / REFUND_EVERY));
        }
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
            1100 => house.kill(Role::Worklist),
            1150 => house.start(Role::Worklist),
            1200 => {
                house.kill(Role::Allocation);
                house.start(Role::Allocation);
            }
            _ => {}
        }
    }
    let refunds = people.len() as i64;
    while let Some(done) = people.join_next().await {
        done.unwrap();
    }
    let all = DOCUMENTS as i64;
    let back = (0..DOCUMENTS).filter(|n| is_returned(*n)).count() as i64;
    eventually("every receipt is projected", PATIENCE, async || {
        house.count("select count(*) from reporting.receipt").await == all + refunds
    })
    .await;
    assert_eq!(
        house
            .count("select count(*) from ingestion.bank_line")
            .await,
        all + back + refunds
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
            .count("select sum(amount)::bigint from allocation.outflow where kind = 'returned'")
            .await,
        10 * back
    );
    // Each refund went out once: once reserved, in one file, sent, and no step twice.
    assert_eq!(
        house
            .count("select sum(amount)::bigint from allocation.outflow where kind = 'refunded'")
            .await,
        25 * refunds
    );
    assert_eq!(
        house
            .count("select count(*) from allocation.refund where state = 'sent'")
            .await,
        refunds
    );
    assert_eq!(
        house
            .count("select count(*) from (select 1 from allocation.refund_step group by refund_id, state having count(*) > 1) twice")
            .await,
        0
    );
    assert_eq!(
        house
            .count("select sum(payments)::bigint from ingestion.refund_file")
            .await,
        refunds
    );
    assert_eq!(
        house
            .count("select sum(regexp_count(content, '<EndToEndId>'))::bigint from ingestion.refund_file")
            .await,
        refunds
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
