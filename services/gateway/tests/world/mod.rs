//! The services behind the gateway, as far as its tests need them: they answer
//! always the same and remember what they were told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Role,
    allocation::{AllocationLine, Decision, ReceiptState, Rule},
    api::{
        Page, Refusal, RefusalClass,
        allocation::{
            AllocateReceipt, AllocationView, CountReceipts, FindOpenItems, GetReceipt,
            ListReceipts, OpenItemView, QueueCounts, ReceiptDetail, ReceiptView, SuggestedLine,
            Suggestion, UndoAllocation,
        },
        ingestion::{
            AppendImport, GetImport, ImportState, ImportView, ListImportReceipts, OpenImport,
            SubmitImport,
        },
        reporting::{AgedDebt, AgedRow, AgeingBasis, Bucket, GetAgedDebt},
        workbench::{
            AcceptSuggestion, Acceptable, AutomaticReceipt, AutomaticReceipts, BatchLine,
            BatchView, GetBatch, ListAcceptable, ListAutomatic, NameItems, NamedItem, NamedItems,
            ParkReceipt, Parked, UndoTogether, UnparkReceipt,
        },
    },
    inbound::DocumentKind,
};
use kernel::{AccountId, CommandId, Currency, ImportId, Money};
use messaging::{Bus, Host};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use testkit::{DEADLINE, Running, Suite, eventually};
use tokio::sync::{Notify, oneshot};

pub(crate) const PASSWORD: &str = gateway::DEMO_PASSWORD;
pub(crate) const RECEIPT: &str = "0198c0de-0000-7000-8000-000000000001";
pub(crate) const DOCUMENT_FIELD: &str = "a.0198c0de-0000-7000-8000-000000000002";
pub(crate) const OTHER_RECEIPT: &str = "0198c0de-0000-7000-8000-000000000004";
pub(crate) const ALLOCATION: &str = "0198c0de-0000-7000-8000-000000000003";
const DOCUMENT: &str = "0198c0de-0000-7000-8000-000000000002";

/// What the services were told, and how they are to answer.
#[derive(Default)]
struct Memory {
    commands: Vec<CommandId>,
    undone: Vec<String>,
    parked: Vec<ParkReceipt>,
    accepted: Vec<AcceptSuggestion>,
    refuse: Option<RefusalClass>,
    hold: Option<Arc<Notify>>,
    pieces: BTreeMap<i32, Vec<u8>>,
    opened: Option<OpenImport>,
}

type Shared = Arc<Mutex<Memory>>;

pub(crate) struct World {
    suite: Suite,
    client: Client,
    address: SocketAddr,
    memory: Shared,
    gateway: Running,
    behind: Vec<Running>,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

fn moment() -> DateTime<Utc> {
    "2026-11-22T09:41:07Z".parse().unwrap()
}

fn receipt() -> ReceiptView {
    ReceiptView {
        receipt_id: RECEIPT.parse().unwrap(),
        version: 1,
        bank_account: "GB:200000-55779911".into(),
        bank_reference: None,
        booked_on: day(),
        value_on: day(),
        amount: gbp("250"),
        unallocated: gbp("150"),
        payer_name: Some("ACME LTD".into()),
        payer_account: None,
        narrative: "INV 104".into(),
        state: ReceiptState::PartAllocated,
        account_id: Some(AccountId::generate()),
        account_ref: Some("ACME01".into()),
        account_name: Some("Acme Ltd".into()),
        suggestions: 0,
        recorded_at: moment(),
        parked: None,
    }
}

fn detail() -> ReceiptDetail {
    ReceiptDetail {
        receipt: receipt(),
        decision: Decision::because(Rule::Manual, Vec::new()),
        suggestions: Vec::new(),
        allocations: vec![AllocationView {
            line: AllocationLine {
                allocation_id: ALLOCATION.parse().unwrap(),
                document_id: DOCUMENT.parse().unwrap(),
                document_ref: "INV-104".into(),
                account_id: AccountId::generate(),
                amount: gbp("100"),
                contra_of: None,
                effective_on: day(),
            },
            rule: Rule::Manual,
            actor: "user:controller".into(),
            reason: "as agreed".into(),
            recorded_at: moment(),
            undone: false,
        }],
        adjustments: Vec::new(),
        outflows: Vec::new(),
        held: None,
    }
}

fn import(memory: &Memory, import_id: ImportId, state: ImportState) -> ImportView {
    let opened = memory.opened.clone().unwrap();
    ImportView {
        import_id,
        file_name: opened.file_name,
        format: opened.format,
        state,
        dry_run: opened.dry_run,
        bytes: 0,
        sha256: None,
        entries: 0,
        recorded: 0,
        duplicates: 0,
        problems: Vec::new(),
        statements: Vec::new(),
        report: None,
        actor: opened.actor,
        opened_at: moment(),
        finished_at: None,
    }
}

fn item() -> OpenItemView {
    OpenItemView {
        document_id: DOCUMENT.parse().unwrap(),
        document_ref: "INV-104".into(),
        kind: DocumentKind::Invoice,
        account_id: AccountId::generate(),
        account_ref: "ACME01".into(),
        account_name: "Acme Ltd".into(),
        issued_on: day(),
        due_on: day(),
        amount: gbp("100"),
        open: gbp("100"),
    }
}

fn acceptable(receipt_id: &str) -> Acceptable {
    Acceptable {
        receipt: ReceiptView {
            receipt_id: receipt_id.parse().unwrap(),
            ..receipt()
        },
        suggestion: Suggestion {
            rank: 1,
            rule: Rule::DocumentNumber,
            confidence: "high".into(),
            account_id: AccountId::generate(),
            account_ref: "ACME01".into(),
            account_name: "Acme Ltd".into(),
            lines: vec![SuggestedLine {
                document_id: DOCUMENT.parse().unwrap(),
                document_ref: "INV-104".into(),
                open: gbp("100"),
                amount: gbp("100"),
                due_on: day(),
            }],
            evidence: Vec::new(),
            score: None,
            behind: None,
            would_have_matched: None,
        },
    }
}

fn not_as_wanted() -> Refusal {
    Refusal {
        code: "allocation.refused".into(),
        class: RefusalClass::Conflict,
        detail: "as the test wants it".into(),
        fields: Vec::new(),
    }
}

/// What the workbench asks beyond one receipt.
fn workbench(host: Host, memory: &Shared) -> Host {
    let (parked, accepted, undone) = (memory.clone(), memory.clone(), memory.clone());
    host.serve::<ParkReceipt, _, _>(move |command, _| {
        let mut memory = parked.lock().unwrap();
        let refuse = memory.refuse.is_some();
        let mut detail = detail();
        detail.receipt.parked = Some(Parked {
            reason: command.reason.clone(),
            owner: command.owner.clone(),
            until: command.until,
            by: command.actor.clone(),
            at: moment(),
        });
        memory.parked.push(command);
        async move {
            if refuse {
                Err(not_as_wanted())
            } else {
                Ok(detail)
            }
        }
    })
    .serve::<UnparkReceipt, _, _>(|_, _| async { Ok(detail()) })
    .serve::<UndoTogether, _, _>(move |command, _| {
        let ids = command.allocation_ids.iter().map(ToString::to_string);
        let mut memory = undone.lock().unwrap();
        memory.undone.extend(ids);
        if command.automatic {
            memory
                .undone
                .push(format!("all automatic of {}", command.receipt_id));
        }
        async { Ok(detail()) }
    })
    .serve::<ListAutomatic, _, _>(|question, _| async move {
        // A person has decided about the other one.
        let of = question
            .receipt_ids
            .into_iter()
            .filter(|id| id.to_string() == RECEIPT);
        Ok(AutomaticReceipts {
            receipts: of
                .map(|receipt_id| AutomaticReceipt {
                    receipt_id,
                    lines: 2,
                    amount: gbp("100"),
                })
                .collect(),
        })
    })
    .serve::<ListAcceptable, _, _>(|_, _| async {
        Ok(Page {
            items: vec![acceptable(RECEIPT), acceptable(OTHER_RECEIPT)],
            next_cursor: None,
        })
    })
    .serve::<AcceptSuggestion, _, _>(move |command, _| {
        // The second receipt of a batch has moved on.
        let moved_on = command.receipt_id.to_string() == OTHER_RECEIPT;
        accepted.lock().unwrap().accepted.push(command);
        async move {
            if moved_on {
                Err(not_as_wanted())
            } else {
                Ok(detail())
            }
        }
    })
    .serve::<NameItems, _, _>(|question, _| async move {
        let known = question
            .numbers
            .into_iter()
            .filter(|number| number == "INV-104");
        Ok(NamedItems {
            items: known
                .map(|number| NamedItem {
                    number,
                    item: item(),
                })
                .collect(),
        })
    })
    .serve::<GetBatch, _, _>(|question, _| async move {
        Ok(BatchView {
            batch_id: question.batch_id,
            lines: vec![BatchLine {
                receipt_id: RECEIPT.parse().unwrap(),
                payer_name: Some("ACME LTD".into()),
                allocation: detail().allocations.remove(0),
            }],
        })
    })
}

/// A list of two pages with one row each.
fn one_of_two<T>(first: bool, make: impl Fn() -> T) -> Page<T> {
    Page {
        items: vec![make()],
        next_cursor: first.then(|| "page 2".to_owned()),
    }
}

fn allocation(bus: Bus, memory: Shared) -> Host {
    let commanded = memory.clone();
    workbench(Host::new(bus), &memory)
        .serve::<ListReceipts, _, _>(|question, _| async move {
            Ok(one_of_two(question.page.cursor.is_none(), receipt))
        })
        .serve::<CountReceipts, _, _>(|_, _| async { Ok(QueueCounts { queues: Vec::new() }) })
        .serve::<GetReceipt, _, _>(|_, _| async { Ok(detail()) })
        .serve::<FindOpenItems, _, _>(|_, _| async {
            Ok(Page {
                items: vec![item()],
                next_cursor: None,
            })
        })
        .serve::<AllocateReceipt, _, _>(move |command, _| {
            let memory = commanded.clone();
            async move {
                let (refuse, hold) = {
                    let mut memory = memory.lock().unwrap();
                    memory.commands.push(command.command_id);
                    (memory.refuse, memory.hold.clone())
                };
                if let Some(hold) = hold {
                    hold.notified().await;
                }
                match refuse {
                    None => Ok(detail()),
                    Some(class) => Err(Refusal {
                        code: "allocation.refused".into(),
                        class,
                        detail: "as the test wants it".into(),
                        fields: Vec::new(),
                    }),
                }
            }
        })
        .serve::<UndoAllocation, _, _>(move |command, _| {
            memory
                .lock()
                .unwrap()
                .undone
                .push(command.allocation_id.to_string());
            async { Ok(detail()) }
        })
}

fn ingestion(bus: Bus, memory: Shared) -> Host {
    let (opened, appended) = (memory.clone(), memory.clone());
    Host::new(bus)
        .serve::<OpenImport, _, _>(move |question, _| {
            let mut memory = opened.lock().unwrap();
            memory.opened = Some(question);
            memory.pieces.clear();
            let view = import(&memory, ImportId::generate(), ImportState::Uploading);
            async { Ok(view) }
        })
        .serve::<ListImportReceipts, _, _>(|question, _| async move {
            let first = question.page.cursor.is_none();
            let id = if first { OTHER_RECEIPT } else { RECEIPT };
            Ok(one_of_two(first, || id.parse().unwrap()))
        })
        .serve::<GetImport, _, _>(|question, _| async move {
            let opened = OpenImport {
                file_name: "day.xml".into(),
                format: None,
                dry_run: false,
                actor: "user:controller".into(),
            };
            let memory = Memory {
                opened: Some(opened),
                ..Memory::default()
            };
            Ok(import(&memory, question.import_id, ImportState::Recorded))
        })
        .serve::<AppendImport, _, _>(move |piece, _| {
            let mut memory = appended.lock().unwrap();
            let bytes = BASE64_STANDARD.decode(&piece.base64).unwrap();
            assert!(bytes.len() <= AppendImport::MAX_BYTES);
            memory.pieces.insert(piece.piece, bytes);
            let view = import(&memory, piece.import_id, ImportState::Uploading);
            async { Ok(view) }
        })
        .serve::<SubmitImport, _, _>(move |question, _| {
            let memory = memory.lock().unwrap();
            let whole: Vec<u8> = memory.pieces.values().flatten().copied().collect();
            assert_eq!(question.sha256, hex::encode(Sha256::digest(&whole)));
            let view = import(&memory, question.import_id, ImportState::Queued);
            async { Ok(view) }
        })
}

fn reporting(bus: Bus) -> Host {
    Host::new(bus).serve::<GetAgedDebt, _, _>(|question, _| async move {
        let first = question.page.cursor.is_none();
        // The second page of a file is of the same moment as the first.
        assert_eq!(question.known_at, (!first).then(moment));
        let bucket = |title: &str| Bucket {
            title: title.into(),
            from_days: None,
            to_days: None,
        };
        Ok(AgedDebt {
            as_of: day(),
            known_at: moment(),
            basis: AgeingBasis::Due,
            buckets: vec![bucket("Not due"), bucket("1–30")],
            totals: Vec::new(),
            rows: one_of_two(first, || AgedRow {
                account_id: AccountId::generate(),
                account_ref: if first { "A-1" } else { "A-2" }.into(),
                name: if first { "=CMD()" } else { "Beta" }.into(),
                segment: None,
                currency: Currency::GBP,
                buckets: vec![gbp("10"), gbp("-2.50")],
                total: gbp("7.50"),
                overdue: gbp("-2.50"),
                unallocated: gbp("0"),
                oldest_days: Some(12),
            }),
        })
    })
}

async fn face(suite: &Suite, demo: bool) -> (Running, SocketAddr) {
    let (bound, address) = oneshot::channel();
    let options = gateway::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        demo,
        upload_limit: 2_000_000,
        bound: Some(bound),
        ..gateway::Options::default()
    };
    let running = suite
        .run(Role::Gateway, |bus| gateway::run(bus, options))
        .await;
    (running, address.await.unwrap())
}

impl World {
    pub(crate) async fn open() -> Self {
        let suite = Suite::start().await;
        let memory = Shared::default();
        let (one, two) = (memory.clone(), memory.clone());
        let behind = vec![
            suite
                .run(Role::Allocation, |bus| allocation(bus, one).run())
                .await,
            suite
                .run(Role::Ingestion, |bus| ingestion(bus, two).run())
                .await,
            suite.run(Role::Reporting, |bus| reporting(bus).run()).await,
        ];
        let (gateway, address) = face(&suite, true).await;
        let asking = suite.bus(Role::Gateway).await;
        eventually("the services answer", DEADLINE, async || {
            asking.ask(&CountReceipts {}).await.is_ok()
                && asking.ask(&GetAgedDebt::default()).await.is_ok()
        })
        .await;
        Self {
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            suite,
            address,
            memory,
            gateway,
            behind,
        }
    }

    pub(crate) async fn reopen_without_demo(self) -> Self {
        self.gateway.stop().await;
        let (gateway, address) = face(&self.suite, false).await;
        Self {
            address,
            gateway,
            ..self
        }
    }

    pub(crate) async fn close(self) {
        self.gateway.stop().await;
        for service in self.behind {
            service.stop().await;
        }
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path)
    }

    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Response {
        let form = [
            ("name", name),
            ("password", password),
            ("next", "/cash?queue=all"),
        ];
        self.ask(Method::POST, "/sign-in")
            .form(&form)
            .send()
            .await
            .unwrap()
    }

    /// A session cookie, as a browser sends it.
    pub(crate) async fn session(&self, name: &str) -> String {
        let answer = self.sign_in(name, PASSWORD).await;
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn notice(&self, topics: &[&str]) {
        let bus = self.suite.bus(Role::Allocation).await;
        let topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        bus.notice(&topics).await;
        bus.nats().flush().await.unwrap();
    }

    pub(crate) fn commands(&self) -> usize {
        self.memory.lock().unwrap().commands.len()
    }

    pub(crate) fn command_ids(&self) -> Vec<CommandId> {
        self.memory.lock().unwrap().commands.clone()
    }

    pub(crate) fn undone(&self) -> Vec<String> {
        self.memory.lock().unwrap().undone.clone()
    }

    pub(crate) fn parked(&self) -> Vec<ParkReceipt> {
        self.memory.lock().unwrap().parked.clone()
    }

    pub(crate) fn accepted(&self) -> Vec<AcceptSuggestion> {
        self.memory.lock().unwrap().accepted.clone()
    }

    pub(crate) fn uploaded(&self) -> Vec<u8> {
        self.memory
            .lock()
            .unwrap()
            .pieces
            .values()
            .flatten()
            .copied()
            .collect()
    }

    pub(crate) fn refuse_with(&self, class: Option<RefusalClass>) {
        self.memory.lock().unwrap().refuse = class;
    }

    /// Commands wait until they are let go.
    pub(crate) fn hold(&self) -> Arc<Notify> {
        self.memory
            .lock()
            .unwrap()
            .hold
            .insert(Arc::default())
            .clone()
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.suite.pool(Role::Gateway)
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.suite.clock().now()
    }
}
