//! What a case keeps and whom it asks: files as evidence, and questions that go
//! out by e-mail with a link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        controls::Person,
        disputes::{
            CaseDetail, CaseKey, CaseStep, ErasePerson, FetchEvidence, GetCase, HistoryLine,
            KeepEvidence, ListCases, NudgeMail, NudgeStakeholder, OpenCase, StepCase,
        },
    },
    disputes::{CaseId, CaseKind},
};
use gateway::auth::{UserRole, users};
use kernel::{AccountId, Clock as _, CommandId, ManualClock};
use mail::MailOptions;
use messaging::Bus;
use reqwest::{Client, StatusCode, redirect::Policy};
use runtime::local::MailSink;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use testkit::{DEADLINE, Running, Suite, eventually, eventually_some};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::oneshot,
};
use uuid::Uuid;

const PASSWORD: &str = "long enough for anybody";

/// Dropped in this order: nobody works any more when the database goes.
struct Desk {
    disputes: Option<Running>,
    _gateway: Running,
    client: Client,
    at: SocketAddr,
    bus: Bus,
    suite: Suite,
    clock: ManualClock,
}

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

fn jo() -> Person {
    person("jo", "controller")
}

fn over(address: SocketAddr, public: SocketAddr) -> disputes::Options {
    disputes::Options {
        mail: Some(MailOptions {
            host: address.ip().to_string(),
            port: address.port(),
            security: mail::Security::default(),
            credentials: None,
            idempotent: true,
            timeout: Duration::from_mins(1),
        }),
        public_url: format!("http://{public}"),
        ..disputes::Options::default()
    }
}

impl Desk {
    async fn open() -> Self {
        let clock = ManualClock::new("2026-02-10T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let pool = suite.pool(Role::Gateway);
        for (name, role) in [
            ("jo", UserRole::Controller),
            ("audra", UserRole::Auditor),
            ("olly", UserRole::Ops),
        ] {
            users::create_user(&pool, name, PASSWORD, &[role], clock.now())
                .await
                .unwrap();
        }
        let (bound, address) = oneshot::channel();
        let options = gateway::Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            bound: Some(bound),
            ..gateway::Options::default()
        };
        let gateway = suite
            .run(Role::Gateway, |bus| gateway::run(bus, options))
            .await;
        let at = address.await.unwrap();
        let mut desk = Self {
            disputes: None,
            _gateway: gateway,
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            at,
            bus: suite.bus(Role::Gateway).await,
            suite,
            clock,
        };
        desk.work(disputes::Options::default()).await;
        desk
    }

    async fn work(&mut self, options: disputes::Options) {
        let running = self
            .suite
            .run(Role::Disputes, |bus| disputes::run_with(bus, options))
            .await;
        self.disputes = Some(running);
        eventually("disputes answers", DEADLINE, async || {
            self.bus.ask(&ListCases::default()).await.is_ok()
        })
        .await;
    }

    /// A complaint is about no document.
    async fn complaint(&self) -> CaseDetail {
        let account = AccountId::generate();
        sqlx::query("insert into disputes.account values ($1, 'ACME01', 'Acme Ltd', 1)")
            .bind(account.as_uuid())
            .execute(self.suite.admin_pool())
            .await
            .unwrap();
        let ask = OpenCase {
            command_id: CommandId::generate(),
            kind: CaseKind::Complaint,
            account_id: Some(account),
            lines: Vec::new(),
            reason_code: "conduct_complaint".into(),
            reason: "they were rude".into(),
            raised_at: None,
            processor: Some("jo".into()),
            linked: None,
            person: jo(),
        };
        self.bus.ask(&ask).await.unwrap()
    }

    async fn get(&self, case: CaseId) -> CaseDetail {
        let ask = GetCase {
            case: CaseKey::Id(case),
        };
        self.bus.ask(&ask).await.unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// Sends a form with a file in it.
    async fn upload(
        &self,
        case: CaseId,
        key: &str,
        fields: &[(&str, &str)],
        file: (&str, &[u8]),
    ) -> (StatusCode, Value) {
        // Every sending has a boundary of its own.
        let boundary = Uuid::now_v7().simple().to_string();
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend(part.into_bytes());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: application/pdf\r\n\r\n",
            file.0
        );
        body.extend(head.into_bytes());
        body.extend(file.1);
        body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        let answer = self
            .client
            .post(self.url(&format!("/api/v1/disputes/{case}/evidence")))
            .basic_auth("jo", Some(PASSWORD))
            .header("Idempotency-Key", key)
            .header(
                "Content-Type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn question(case: CaseId, email: Option<&str>) -> NudgeStakeholder {
        NudgeStakeholder {
            command_id: CommandId::generate(),
            case_id: case,
            stakeholder: "Sam of Operations".into(),
            email: email.map(str::to_owned),
            question: "Who spoke to them on the 4th?".into(),
            person: jo(),
        }
    }
}

fn pdf(words: &str) -> Vec<u8> {
    format!("%PDF-1.7\n{words}\u{e9}\n%%EOF").into_bytes()
}

/// A file is kept as it came, given back as an attachment with its hash, and
/// counts once; what is too large, of another kind or not what was meant is
/// refused by the name of its field.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_and_given_back_byte_for_byte() {
    let desk = Desk::open().await;
    let case = desk.complaint().await.case.case_id;
    let bytes = pdf("proof of delivery");
    let hash = hex::encode(Sha256::digest(&bytes));
    let fields = [("label", "Delivery note"), ("reason", "signed by them")];
    let file = ("../pod é.pdf", &bytes[..]);
    let (status, kept) = desk.upload(case, "k-1", &fields, file).await;
    assert_eq!(status, StatusCode::OK, "{kept}");
    let (status, again) = desk.upload(case, "k-1", &fields, file).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(again["evidence"].as_array().unwrap().len(), 1);
    let evidence = &kept["evidence"][0];
    assert_eq!(evidence["sha256"], hash.as_str());
    assert_eq!(evidence["file"]["name"], "pod é.pdf");
    assert_eq!(evidence["file"]["media_type"], "application/pdf");

    let path = format!(
        "/api/v1/disputes/{case}/evidence/{}",
        evidence["evidence_id"].as_str().unwrap()
    );
    let fetch = async |name: &str| {
        desk.client
            .get(desk.url(&path))
            .basic_auth(name, Some(PASSWORD))
            .send()
            .await
            .unwrap()
    };
    let given = fetch("audra").await;
    assert_eq!(given.status(), StatusCode::OK);
    let header = |name: &str| given.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-disposition").starts_with("attachment; filename=\"pod _.pdf\""));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-type"), "application/pdf");
    let digest = BASE64_STANDARD.encode(Sha256::digest(&bytes));
    assert_eq!(header("repr-digest"), format!("sha-256=:{digest}:"));
    assert_eq!(given.bytes().await.unwrap(), bytes);
    // Whoever has neither a role for it nor a place in the case, and nobody.
    assert_ne!(fetch("olly").await.status(), StatusCode::OK);
    let nobody = desk.client.get(desk.url(&path)).send().await.unwrap();
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);

    let refused = async |key: &str, fields: &[(&str, &str)], file: (&str, &[u8])| {
        let (status, problem) = desk.upload(case, key, fields, file).await;
        assert!(status.is_client_error(), "{status} {problem}");
        problem["errors"][0]["pointer"].as_str().unwrap().to_owned()
    };
    let large = vec![b'x'; KeepEvidence::MAX_BYTES + 1];
    assert_eq!(refused("k-2", &fields, ("a.txt", &large)).await, "/file");
    let program = b"MZ\x90\x00this is no paper";
    assert_eq!(refused("k-3", &fields, ("a.pdf", program)).await, "/file");
    assert_eq!(refused("k-4", &fields, ("a.pdf", b"")).await, "/file");
    assert_eq!(refused("k-5", &fields, ("", &bytes)).await, "/file");
    let other = [("reason", "it"), ("sha256", &"ab".repeat(32)[..])];
    assert_eq!(refused("k-6", &other, ("a.pdf", &bytes)).await, "/sha256");
    let silent = [("reason", " ")];
    assert_eq!(refused("k-7", &silent, ("a.pdf", &bytes)).await, "/reason");
    // The same key for another file is not the same command.
    let (status, _) = desk
        .upload(case, "k-1", &fields, ("a.pdf", &pdf("other")))
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(desk.count("select count(*) from disputes.file").await, 1);

    // A case keeps so many files, and no more.
    sqlx::query(
        "insert into disputes.evidence (evidence_id, case_id, label, sha256, file_name, file_sha256, added_by, added_at)
         select gen_random_uuid(), $1, 'n', $2, 'n', $2, 'user:jo', now() from generate_series(1, 49)",
    )
    .bind(case.as_uuid())
    .bind(&hash)
    .execute(desk.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(refused("k-8", &fields, ("a.pdf", &bytes)).await, "/file");

    // What is kept cannot be changed by the service, and a file that was changed
    // behind its back is not given out.
    let pool = desk.suite.pool(Role::Disputes);
    let changed = sqlx::query("update disputes.file set bytes = 'x'")
        .execute(&pool)
        .await;
    assert!(changed.is_err());
    for sql in [
        "alter table disputes.file disable trigger file_append_only",
        "update disputes.file set bytes = 'x'",
    ] {
        sqlx::query(sql)
            .execute(desk.suite.admin_pool())
            .await
            .unwrap();
    }
    assert_eq!(
        fetch("jo").await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// E103: a file about somebody is erased with its name when the case is closed;
/// another case that keeps the same file still has it. No event had either.
#[tokio::test(flavor = "multi_thread")]
async fn e103_a_file_is_erased_where_it_was_asked_for_and_nowhere_else() {
    let desk = Desk::open().await;
    let bytes = pdf("a letter of Samantha");
    let keep = |case: CaseId, name: &str| KeepEvidence {
        command_id: CommandId::generate(),
        case_id: case,
        version: None,
        label: format!("letter of {name}"),
        file_name: format!("{name}.pdf"),
        base64: BASE64_STANDARD.encode(&bytes),
        sha256: hex::encode(Sha256::digest(&bytes)),
        reason: format!("{name} wrote it"),
        person: jo(),
    };
    let one = desk.complaint().await.case.case_id;
    let account = desk.get(one).await.case.account_id;
    let other = OpenCase {
        command_id: CommandId::generate(),
        kind: CaseKind::Complaint,
        account_id: Some(account),
        lines: Vec::new(),
        reason_code: "conduct_complaint".into(),
        reason: "again".into(),
        raised_at: None,
        processor: None,
        linked: None,
        person: jo(),
    };
    let two = desk.bus.ask(&other).await.unwrap().case.case_id;
    desk.bus.ask(&keep(one, "samantha")).await.unwrap();
    let beside = desk.bus.ask(&keep(two, "tom")).await.unwrap();
    assert_eq!(desk.count("select count(*) from disputes.file").await, 1);
    let step = async |case: CaseId, step: CaseStep| {
        let ask = StepCase {
            command_id: CommandId::generate(),
            case_id: case,
            version: None,
            step,
            reason: "answered".into(),
            person: jo(),
        };
        desk.bus.ask(&ask).await.unwrap()
    };
    let erase = async |case: CaseId| {
        let history = desk.get(case).await.history;
        let line = history.iter().find(|line| line.step == "attached").unwrap();
        let ask = ErasePerson {
            command_id: CommandId::generate(),
            stakeholder: None,
            lines: vec![HistoryLine {
                case_id: case,
                version: line.version,
            }],
            reason: "a request by letter".into(),
            person: person("max", "manager"),
        };
        desk.bus.ask(&ask).await.unwrap()
    };
    let close = CaseStep::Resolve {
        credits: Vec::new(),
    };
    step(one, close.clone()).await;
    step(one, CaseStep::Close).await;
    assert_eq!(erase(one).await.erased_in.len(), 1);
    let gone = desk.get(one).await;
    assert_eq!(gone.evidence[0].label, "erased");
    assert_eq!(gone.evidence[0].file, None);
    assert!(gone.evidence[0].sha256.is_some(), "the hash stays");
    assert_eq!(gone.history.last().unwrap().step, "words_erased");
    let fetch = |case: CaseId, of: &CaseDetail| FetchEvidence {
        case_id: case,
        evidence_id: of.evidence[0].evidence_id.unwrap(),
        person: jo(),
    };
    let refused = desk.bus.ask(&fetch(one, &gone)).await.unwrap_err();
    assert_eq!(refused.code, "disputes.no_file");
    let still = desk.bus.ask(&fetch(two, &beside)).await.unwrap();
    assert_eq!(still.base64, BASE64_STANDARD.encode(&bytes));
    step(two, close).await;
    step(two, CaseStep::Close).await;
    erase(two).await;
    assert_eq!(desk.count("select count(*) from disputes.file").await, 0);
    assert_eq!(
        desk.count("select count(*) from disputes.outbox where payload ~* 'samantha'")
            .await,
        0
    );
}

/// The link of the one e-mail in the sink; its lines may be folded.
fn link_in(message: &str) -> String {
    let text = message.replace("=\r\n", "").replace("=\n", "");
    let at = text.find("http://").unwrap();
    text[at..]
        .split_whitespace()
        .next()
        .unwrap()
        .replace("=3D", "=")
}

/// The question goes out once, with a link that works without an account until it
/// ends. The link is in the e-mail and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_out_by_email_and_its_link_takes_the_answer() {
    let mut desk = Desk::open().await;
    let case = desk.complaint().await.case.case_id;
    // Nobody sends anything where no provider is set up, and it says so.
    let refused = desk
        .bus
        .ask(&Desk::question(case, Some("sam@example.net")))
        .await
        .unwrap_err();
    assert_eq!(refused.fields[0].pointer, "/email");
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    desk.disputes.take().unwrap().stop().await;
    let options = over(sink.address(), desk.at);
    desk.work(options).await;
    let wrong = Desk::question(case, Some("sam@example.net\r\nBcc: x@example.net"));
    let refused = desk.bus.ask(&wrong).await.unwrap_err();
    assert_eq!(refused.fields[0].pointer, "/email");

    let ask = Desk::question(case, Some("sam@example.net"));
    let asked = desk.bus.ask(&ask).await.unwrap();
    assert_eq!(asked.mail, Some(NudgeMail::Sent));
    assert_eq!(
        desk.bus.ask(&ask).await.unwrap().mail,
        Some(NudgeMail::Sent)
    );
    let messages = sink.messages().unwrap();
    assert_eq!(messages.len(), 1, "once, however often it is asked for");
    let message = &messages[0];
    let about = ask.command_id.as_uuid();
    for words in [
        "To: sam@example.net",
        "Who spoke to them on the 4th?",
        &format!("Message-ID: <{about}@"),
        "Auto-Submitted: auto-generated",
    ] {
        assert!(message.contains(words), "{words} is missing in {message}");
    }
    let link = link_in(message);
    assert_eq!(link, desk.url(&format!("/n/{}", asked.token.unwrap())));
    let secret = &link[link.len() - 64..];
    let kept: i64 = sqlx::query_scalar(
        "select (select count(*) from disputes.outbox o where o.payload like $1 or o.payload like '%sam@%')
           + (select count(*) from disputes.nudge n where n::text like $1)
           + (select count(*) from disputes.step s where s::text like $1 or s::text like '%sam@%')",
    )
    .bind(format!("%{secret}%"))
    .fetch_one(desk.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(kept, 0, "the secret is in the e-mail and nowhere else");

    let page = desk.client.get(&link).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("on the 4th?"));
    let said = [("text", "It was Tom."), ("key", "one")];
    let sent = desk.client.post(&link).form(&said).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let detail = desk.get(case).await;
    assert_eq!(detail.nudges[0].comments, 1);
    assert_eq!(detail.nudges[0].email.as_deref(), Some("sam@example.net"));
    let steps: Vec<&str> = detail.history.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(
        steps,
        ["opened", "nudged", "question_sent", "stakeholder_commented"]
    );
    desk.clock.advance(TimeDelta::days(8));
    let over = desk.client.get(&link).send().await.unwrap();
    assert_eq!(over.status(), StatusCode::NOT_FOUND);
}

/// Takes an e-mail and never says so. Its address.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let _ = stream.write_all(b"220 silent\r\n").await;
                let mut line = String::new();
                while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                    if line.starts_with("DATA") {
                        let _ = stream.write_all(b"354 go on\r\n").await;
                        std::future::pending::<()>().await;
                    }
                    let _ = stream.write_all(b"250 ok\r\n").await;
                    line.clear();
                }
            });
        }
    });
    address
}

/// Killed between claim and mark: nobody knows whether it went out, and it is not
/// sent again. A provider that is down is told at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_claimed_is_unknown_and_never_sent_twice() {
    let mut desk = Desk::open().await;
    let case = desk.complaint().await.case.case_id;
    desk.disputes.take().unwrap().stop().await;
    let options = over(silent().await, desk.at);
    desk.work(options).await;
    let ask = Desk::question(case, Some("sam@example.net"));
    let asking = {
        let (bus, ask) = (desk.bus.clone(), ask.clone());
        tokio::spawn(async move { bus.ask(&ask).await })
    };
    eventually("it is claimed", DEADLINE, async || {
        desk.count("select count(*) from disputes.nudge where mail_state = 'sending'")
            .await
            == 1
    })
    .await;
    desk.disputes.take().unwrap().crash().await;
    asking.abort();
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let options = over(sink.address(), desk.at);
    desk.work(options).await;
    let again = desk.bus.ask(&ask).await.unwrap();
    assert_eq!(again.mail, Some(NudgeMail::Sending));
    assert_eq!(again.token, None);
    desk.clock.advance(TimeDelta::seconds(61));
    let detail = eventually_some("it is unknown", DEADLINE, async || {
        let detail = desk.get(case).await;
        (detail.nudges[0].mail == Some(NudgeMail::Unknown)).then_some(detail)
    })
    .await;
    let told =
        |detail: &CaseDetail, step: &str| detail.history.iter().filter(|s| s.step == step).count();
    assert_eq!(told(&detail, "question_unknown"), 1);
    assert_eq!(
        desk.bus.ask(&ask).await.unwrap().mail,
        Some(NudgeMail::Unknown)
    );
    assert_eq!(sink.messages().unwrap(), Vec::<String>::new());

    let address = sink.address();
    drop(sink);
    let down = Desk::question(case, Some("sam@example.net"));
    let refused = desk.bus.ask(&down).await.unwrap();
    assert_eq!(refused.mail, Some(NudgeMail::Refused), "{address}");
    assert!(refused.token.is_some(), "the link can be passed on by hand");
    assert_eq!(told(&desk.get(case).await, "question_refused"), 1);
}
