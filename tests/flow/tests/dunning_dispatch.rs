//! The dispatch of a run: once for each item and stage, nothing that is not owed
//! at that moment, whatever crashes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        controls::Person,
        dunning::{GetRun, RunStep, RunView, StepRun},
        worklist::{ListPeople, ListWork, WorkRow, WorkView},
    },
    dunning::RunState,
};
use dunning::{MailOptions, Options};
use kernel::{CommandId, ManualClock};
use runtime::local::MailSink;
use testkit::{DEADLINE, Running, Suite, eventually, eventually_some};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

struct Desk {
    suite: Suite,
    clock: ManualClock,
}

fn over(address: SocketAddr, idempotent: bool) -> Options {
    Options {
        mail: Some(MailOptions {
            host: address.ip().to_string(),
            port: address.port(),
            security: mail::Security::default(),
            credentials: None,
            idempotent,
            timeout: Duration::from_mins(1),
        }),
        ..Options::default()
    }
}

impl Desk {
    /// On 10 February 2026: what was due on 31 January is ripe for a reminder.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-02-10T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        Self { suite, clock }
    }

    async fn work(&self, options: Options) -> Running {
        self.suite
            .run(Role::Dunning, |bus| dunning::run_with(bus, options))
            .await
    }

    /// So many debtors with an item of 100 pounds each, and a run that is
    /// approved to remind them.
    async fn run(&self, count: i32, channel: &str) -> Uuid {
        let run = Uuid::now_v7();
        sqlx::query(
            "insert into dunning.account (account_id, account_ref, version, name, kind, email, address)
             select md5('a' || n)::uuid, 'A' || n, 1, 'Debtor ' || n, 'company', 'a' || n || '@example.org',
               n || ' Some Road, Leeds' from generate_series(1, $1) n on conflict do nothing",
        )
        .bind(count)
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        sqlx::query(
            "insert into dunning.item (document_id, document_ref, kind, account_id, account_ref, issued_on, due_on,
               currency, gross)
             select md5('d' || n)::uuid, 'INV' || n, 'invoice', md5('a' || n)::uuid, 'A' || n, '2026-01-05',
               '2026-01-31', 'GBP', 100 from generate_series(1, $1) n on conflict do nothing",
        )
        .bind(count)
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        sqlx::query(
            "insert into dunning.run (run_id, version, state, as_of, title, scope, contacts, requester, reason,
               created_at, changed_at)
             values ($1, 5, 'sending', '2026-02-10', 'Reminders', '{}', $2, 'user:jo', 'weekly', now(), now())",
        )
        .bind(run)
        .bind(i64::from(count))
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        sqlx::query(
            "insert into dunning.run_account (run_id, account_id, account_ref, state, policy, policy_version, stage,
               rank, template, channel, documents, reasons, ranks_from, ranks_to, chaseable, currencies)
             select $1, md5('a' || n)::uuid, 'A' || n, 'queued', 'trade_credit', 1, 'reminder', 20, 'reminder', $3,
               array[md5('d' || n)::uuid], '{chase_now}', '{null}', '{20}', '{100}', '{GBP}'
             from generate_series(1, $2) n",
        )
        .bind(run)
        .bind(count)
        .bind(channel)
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        run
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }

    async fn is_sent(&self, run: Uuid) {
        eventually("the run is sent", DEADLINE, async || {
            let state: String =
                sqlx::query_scalar("select state from dunning.run where run_id = $1")
                    .bind(run)
                    .fetch_one(self.suite.admin_pool())
                    .await
                    .unwrap();
            state == "sent"
        })
        .await;
    }
}

/// Takes an e-mail and never says so. Its address.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 silent\r\n").await.unwrap();
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    if line.starts_with("DATA") {
                        stream.write_all(b"354 go on\r\n").await.unwrap();
                        std::future::pending::<()>().await;
                    }
                    stream.write_all(b"250 ok\r\n").await.unwrap();
                    line.clear();
                }
            });
        }
    });
    address
}

fn ids(messages: &[String]) -> BTreeSet<&str> {
    messages
        .iter()
        .flat_map(|message| message.lines().filter(|l| l.starts_with("Message-ID:")))
        .collect()
}

/// E56: two dispatchers, a second run over the same, and a clock that moved back.
#[tokio::test]
async fn e56_one_letter_for_each_item_and_stage() {
    let desk = Desk::open().await;
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let run = desk.run(120, "email").await;
    let _one = desk.work(over(sink.address(), true)).await;
    let _two = desk.work(over(sink.address(), true)).await;
    desk.is_sent(run).await;
    let messages = sink.messages().unwrap();
    assert_eq!(messages.len(), 120);
    assert_eq!(ids(&messages).len(), 120);
    let one = &messages[0];
    for words in [
        "Auto-Submitted: auto-generated",
        "Reply-To:",
        "Subject: Reminder:",
        "text/html",
    ] {
        assert!(one.contains(words), "{words} is missing in {one}");
    }
    assert!(!one.contains("{{"), "{one}");
    assert_eq!(
        desk.count("select count(*) from dunning.contact where state = 'sent' and version = 2")
            .await,
        120
    );
    assert_eq!(
        desk.count("select count(*) from dunning.reached where ranks = '{20}' and contacts = '{2026-02-10}'").await,
        120
    );
    desk.clock.advance(TimeDelta::hours(-30));
    let again = desk.run(120, "email").await;
    desk.is_sent(again).await;
    assert_eq!(
        desk.count("select count(*) from dunning.run_account where state = 'recalled' and note = 'sent already'").await,
        120
    );
    assert_eq!(sink.messages().unwrap().len(), 120);
    assert_eq!(
        desk.count("select count(*) from dunning.outbox where event_type like '%contact_changed%'")
            .await,
        240
    );
}

/// Killed between claim and mark: the same message again where the provider
/// drops what it has.
#[tokio::test]
async fn what_a_crash_left_claimed_is_sent_once() {
    let desk = Desk::open().await;
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let run = desk.run(10, "email").await;
    let first = desk.work(over(silent().await, true)).await;
    eventually("they are claimed", DEADLINE, async || {
        desk.count("select count(*) from dunning.contact where state = 'claimed'")
            .await
            == 10
    })
    .await;
    first.crash().await;
    desk.clock.advance(TimeDelta::minutes(2));
    let _second = desk.work(over(sink.address(), true)).await;
    desk.is_sent(run).await;
    assert_eq!(ids(&sink.messages().unwrap()).len(), 10);
    assert_eq!(
        desk.count("select count(*) from dunning.contact where state = 'sent'")
            .await,
        10
    );
}

/// E65: a provider that does not answer may have it: nothing is sent again, and
/// it counts as no stage until a person knows.
#[tokio::test]
async fn e65_what_a_provider_may_have_is_unknown() {
    let desk = Desk::open().await;
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let run = desk.run(3, "email").await;
    let first = desk.work(over(silent().await, false)).await;
    eventually("they are claimed", DEADLINE, async || {
        desk.count("select count(*) from dunning.contact where state = 'claimed'")
            .await
            == 3
    })
    .await;
    first.crash().await;
    desk.clock.advance(TimeDelta::hours(1));
    let _second = desk.work(over(sink.address(), false)).await;
    desk.is_sent(run).await;
    assert_eq!(sink.messages().unwrap().len(), 0);
    assert_eq!(
        desk.count("select count(*) from dunning.contact where state = 'unknown'")
            .await,
        3
    );
    assert_eq!(
        desk.count("select count(*) from dunning.reached where documents = '{}'")
            .await,
        3
    );
}

/// E49 and E55: cash that came late, and a query that was opened since: recalled
/// with the reason; what is left is claimed, and no more.
#[tokio::test]
async fn e49_e55_what_is_not_owed_now_is_recalled() {
    let desk = Desk::open().await;
    let run = desk.run(3, "letter").await;
    for sql in [
        "update dunning.item set likely_theirs = 100 where document_ref = 'INV1'",
        "insert into dunning.stop (subject_id, version, kind, account_id, documents, amounts, starts_on)
         values (gen_random_uuid(), 1, 'query', md5('a2')::uuid, array[md5('d2')::uuid], '{null}', '2026-02-09')",
        "update dunning.item set likely_theirs = 40 where document_ref = 'INV3'",
    ] {
        sqlx::query(sql)
            .execute(desk.suite.admin_pool())
            .await
            .unwrap();
    }
    let _dunning = desk.work(Options::default()).await;
    desk.is_sent(run).await;
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "select account_ref, state, note from dunning.run_account order by account_ref",
    )
    .fetch_all(desk.suite.admin_pool())
    .await
    .unwrap();
    let expected = [
        ("A1", "recalled", Some("cash_likely_theirs")),
        ("A2", "recalled", Some("in_query")),
        ("A3", "sent", None),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.map(str::to_owned)));
    assert_eq!(rows, expected);
    let (state, amount, bytes): (String, String, Vec<u8>) = sqlx::query_as(
        "select c.state, i.amount::text, a.bytes from dunning.contact c join dunning.contact_item i using (contact_id)
           join dunning.archive a on a.sha256 = c.content_sha256",
    )
    .fetch_one(desk.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!((state.as_str(), amount.as_str()), ("printed", "60.00"));
    assert!(bytes.starts_with(b"%PDF"));
}

/// E79: another team said that they are vulnerable after the run was approved.
#[tokio::test]
async fn e79_who_became_vulnerable_since_is_left_to_a_person() {
    let desk = Desk::open().await;
    let run = desk.run(2, "letter").await;
    for sql in [
        "update dunning.account set phone = '020 7946 0000'",
        "insert into dunning.stop (subject_id, version, kind, hold_kind, account_id, starts_on)
         values (gen_random_uuid(), 1, 'hold', 'vulnerable', md5('a1')::uuid, '2026-02-10')",
    ] {
        sqlx::query(sql)
            .execute(desk.suite.admin_pool())
            .await
            .unwrap();
    }
    let _dunning = desk.work(Options::default()).await;
    desk.is_sent(run).await;
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "select account_ref, state, note from dunning.run_account order by account_ref",
    )
    .fetch_all(desk.suite.admin_pool())
    .await
    .unwrap();
    let expected = [
        ("A1", "recalled", Some("only a person may contact them")),
        ("A2", "sent", None),
    ]
    .map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.map(str::to_owned)));
    assert_eq!(rows, expected);
}

/// A provider that is closed while nobody opens it, and hands on to a sink then.
async fn with_a_door(sink: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let open = Arc::new(AtomicBool::new(false));
    let door = open.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if !door.load(Ordering::SeqCst) {
                let words = b"421 4.3.2 closed for maintenance\r\n";
                let _ = stream.write_all(words).await;
                continue;
            }
            tokio::spawn(async move {
                let mut there = TcpStream::connect(sink).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    (address, open)
}

impl Desk {
    async fn run_as(&self, run: Uuid) -> RunView {
        let gateway = self.suite.bus(Role::Gateway).await;
        eventually_some("dunning answers", DEADLINE, async || {
            let run = GetRun { run_id: run.into() };
            gateway.ask(&run).await.ok()
        })
        .await
    }

    async fn step(&self, run: Uuid, step: RunStep) {
        let gateway = self.suite.bus(Role::Gateway).await;
        let ask = StepRun {
            command_id: CommandId::generate(),
            run_id: run.into(),
            version: None,
            step,
            reason: "the provider is down".to_owned(),
            person: Person {
                actor: "user:jo".to_owned(),
                roles: vec!["controller".to_owned()],
            },
        };
        gateway.ask(&ask).await.unwrap();
    }

    async fn work_of(&self) -> Vec<WorkRow> {
        let gateway = self.suite.bus(Role::Gateway).await;
        let ask = ListWork {
            view: WorkView::Team,
            actor: "user:max".to_owned(),
            kinds: vec!["provider_down".to_owned()],
            ..ListWork::default()
        };
        let all = gateway.ask(&ask).await.map(|page| page.items);
        all.unwrap_or_default()
            .into_iter()
            .filter(|row| row.kind == "provider_down")
            .collect()
    }
}

/// A provider that is down is said of the run: since when, what it answered, when it is
/// asked again; it can be paused, and goes on by itself.
#[tokio::test]
async fn a_run_whose_provider_is_down_says_so_and_goes_on_by_itself() {
    let desk = Desk::open().await;
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let (address, open) = with_a_door(sink.address()).await;
    let run = desk.run(5, "email").await;
    let _worklist = desk.suite.run(Role::Worklist, worklist::run).await;
    let gateway = desk.suite.bus(Role::Gateway).await;
    eventually("worklist answers", DEADLINE, async || {
        gateway.ask(&ListPeople {}).await.is_ok()
    })
    .await;
    let _dunning = desk.work(over(address, true)).await;
    let since = desk.suite.clock().now();
    let down = eventually_some("the run says so", DEADLINE, async || {
        desk.run_as(run).await.waits
    })
    .await;
    assert_eq!(down.since, since);
    assert_eq!(down.next_try_at, Some(since + TimeDelta::seconds(5)));
    assert!(down.answer.contains("closed for maintenance"), "{down:?}");
    let work = eventually_some("somebody has work", DEADLINE, async || {
        desk.work_of().await.pop()
    })
    .await;
    assert_eq!(work.subject_id, run);
    assert!(work.detail.contains("closed for maintenance"), "{work:?}");
    assert_eq!(sink.messages().unwrap().len(), 0);

    // It is asked again when it is time, and the answer is said.
    desk.clock.advance(TimeDelta::minutes(1));
    let later = since + TimeDelta::minutes(2);
    eventually("it was asked again", DEADLINE, async || {
        let down = desk.run_as(run).await.waits.unwrap();
        assert_eq!(down.since, since);
        down.next_try_at == Some(later)
    })
    .await;
    desk.step(run, RunStep::Pause).await;
    let paused = desk.run_as(run).await;
    assert_eq!((paused.state, paused.waits), (RunState::Paused, None));
    eventually("nobody has work", DEADLINE, async || {
        desk.work_of().await.is_empty()
    })
    .await;
    desk.step(run, RunStep::Resume).await;
    eventually("it waits again", DEADLINE, async || {
        desk.run_as(run).await.waits.is_some()
    })
    .await;

    // It answers again: nobody need do anything.
    open.store(true, Ordering::SeqCst);
    desk.clock.advance(TimeDelta::minutes(1));
    desk.is_sent(run).await;
    assert_eq!(desk.run_as(run).await.waits, None);
    assert_eq!(ids(&sink.messages().unwrap()).len(), 5);
    eventually("nobody has work", DEADLINE, async || {
        desk.work_of().await.is_empty()
    })
    .await;
    let left: i64 = desk.count("select count(*) from dunning.provider").await;
    assert_eq!(left, 0);
}
