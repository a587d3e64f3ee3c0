//! Runs of statements and red statements, on real servers: who gets one and of
//! everybody else why not, approved by a second person, looked at again at the
//! moment of sending, and sent once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        PageRequest, Refusal,
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        disputes::{CaseLine, OpenCase},
        dunning::{
            GetRun, GetStanding, ListRunAccounts, ListRuns, PlaceHold, PreviewRunAccount,
            ProposeRun, RunAccount, RunAccountState, RunScope, RunStep, RunView, StepRun,
        },
        reporting::{AccountKey, GetAccount, GetAccountStatement},
    },
    controls::ApprovalKind,
    disputes::CaseKind,
    dunning::{ChaseReason, HoldKind, RunKind, RunState, StatementExclusion},
    inbound::{BillingAccount, DocumentKind},
};
use dunning::{MailOptions, Options, Principal, domain::template::Sender};
use kernel::{AccountId, CommandId, Currency, ManualClock, Money};
use messaging::Bus;
use runtime::local::MailSink;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
    sink: MailSink,
    _dir: tempfile::TempDir,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

fn waiting() -> ListApprovals {
    ListApprovals {
        queue: ApprovalQueue::default(),
        person: person("sam", "manager"),
        page: PageRequest::default(),
    }
}

fn sender(name: &str, email: &str) -> Sender {
    Sender {
        name: name.to_owned(),
        address: "1 Example Street, London, EC1A 1AA".to_owned(),
        phone: "020 7946 0000".to_owned(),
        email: email.to_owned(),
        how_to_pay: format!("Pay {name} by bank transfer."),
    }
}

fn options(mail: SocketAddr) -> Options {
    let mut options = Options {
        sender: sender("Example Collections Ltd", "accounts@example.org"),
        mail: Some(MailOptions {
            host: mail.ip().to_string(),
            port: mail.port(),
            security: mail::Security::default(),
            credentials: None,
            idempotent: true,
            timeout: Duration::from_mins(1),
        }),
        ..Options::default()
    };
    options.principals.insert(
        "Albion".to_owned(),
        Principal {
            sender: sender("Albion Insurance plc", "credit@albion.example"),
            templates: BTreeMap::new(),
        },
    );
    options
}

impl Office {
    /// On 10 March 2026: what was due on 31 January is 38 days late.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-03-10T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let dir = tempfile::tempdir().unwrap();
        let sink = MailSink::start(dir.path()).await.unwrap();
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Disputes, disputes::run).await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        Self {
            services,
            gateway,
            suite,
            clock,
            sink,
            _dir: dir,
        }
    }

    async fn dunning(&self, mail: SocketAddr) -> Running {
        let options = options(mail);
        let running = self
            .suite
            .run(Role::Dunning, |bus| dunning::run_with(bus, options))
            .await;
        eventually("the services answer", DEADLINE, async || {
            self.gateway.ask(&ListRuns::default()).await.is_ok()
                && self.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        running
    }

    /// A debtor with an address of each kind.
    async fn debtor(
        &self,
        account_ref: &str,
        documents: &[(&str, &str)],
        with: impl FnOnce(&mut BillingAccount),
    ) -> AccountId {
        let mut debtor = account(account_ref);
        debtor.email = Some(format!("{}@example.invalid", account_ref.to_lowercase()));
        debtor.address = Some("1 High Street\nTown\nAB1 2CD".to_owned());
        with(&mut debtor);
        self.suite.publish_account(account_ref, &debtor).await;
        for (document_ref, amount) in documents {
            let document = document(document_ref, account_ref, amount);
            self.suite.publish_document(document_ref, &document).await;
        }
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref(account_ref.to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        self.open_is(account_ref, documents.iter().map(|(_, amount)| *amount))
            .await;
        id
    }

    /// Waits until dunning has so much open of an account's debts, one for each.
    async fn open_is<'a>(&self, account_ref: &str, amounts: impl Iterator<Item = &'a str>) {
        let mut wanted: Vec<String> = amounts.map(|a| gbp(a).amount().to_string()).collect();
        wanted.sort();
        eventually("dunning knows what is open", DEADLINE, async || {
            let mut found: Vec<String> = sqlx::query_scalar(
                "select round(i.open, 2)::text from dunning.item i join dunning.account a using (account_id)
                 where a.account_ref = $1 and i.open > 0",
            )
            .bind(account_ref)
            .fetch_all(self.suite.admin_pool())
            .await
            .unwrap();
            found.sort();
            found == wanted
        })
        .await;
    }

    async fn pay(&self, document_ref: &str, amount: &str) {
        let mut paid = receipt(document_ref, amount);
        paid.booked_on = "2026-03-09".parse().unwrap();
        paid.value_on = paid.booked_on;
        self.suite
            .publish_receipt(&paid.bank_reference, &paid)
            .await;
    }

    async fn propose(&self, kind: RunKind) -> RunView {
        let run = self
            .gateway
            .ask(&ProposeRun {
                kind,
                command_id: CommandId::generate(),
                as_of: None,
                title: "March".to_owned(),
                scope: RunScope::default(),
                reason: "monthly".to_owned(),
                person: person("jo", "controller"),
            })
            .await
            .unwrap();
        self.until(&run, RunState::Proposed).await
    }

    async fn until(&self, run: &RunView, state: RunState) -> RunView {
        eventually_some("the run comes so far", DEADLINE, async || {
            let run = self.gateway.ask(&GetRun { run_id: run.run_id }).await;
            run.ok().filter(|run| run.state == state)
        })
        .await
    }

    async fn accounts(&self, run: &RunView) -> BTreeMap<String, RunAccount> {
        let all = ListRunAccounts {
            run_id: run.run_id,
            state: None,
            reason: None,
            excluded: None,
            page: PageRequest::default(),
        };
        let found = self.gateway.ask(&all).await.unwrap().items;
        found
            .into_iter()
            .map(|one| (one.account_ref.clone(), one))
            .collect()
    }

    /// Asks a second person, who says yes.
    async fn approve(&self, run: &RunView) {
        let ask = StepRun {
            command_id: CommandId::generate(),
            run_id: run.run_id,
            version: None,
            step: RunStep::Request,
            reason: "as planned".to_owned(),
            person: person("jo", "controller"),
        };
        let run = self.gateway.ask(&ask).await.unwrap();
        let asked = eventually_some("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.ok()?;
            all.items.into_iter().find(|one| {
                one.kind == ApprovalKind::DunningRun && Some(one.approval_id) == run.approval_id
            })
        })
        .await;
        let decide = |who: &str| DecideApproval {
            command_id: CommandId::generate(),
            approval_id: asked.approval_id,
            verdict: Verdict::Approve,
            reason: "looked through".to_owned(),
            person: person(who, "manager"),
        };
        let own: Result<_, Refusal> = self.gateway.ask(&decide("jo")).await;
        assert!(own.is_err(), "nobody approves their own run");
        self.gateway.ask(&decide("sam")).await.unwrap();
    }

    /// The e-mails that came, by whom they went to, with what is unfolded.
    fn mails(&self) -> BTreeMap<String, String> {
        let mut mails = BTreeMap::new();
        for mail in self.sink.messages().unwrap() {
            let to = mail
                .lines()
                .find_map(|line| line.strip_prefix("To: "))
                .unwrap_or_default()
                .to_owned();
            let again = mails.insert(to.clone(), mail.replace("=\r\n", "").replace("=\n", ""));
            assert!(again.is_none(), "two e-mails went to {to}");
        }
        mails
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }
}

/// Pounds in a quoted-printable or plain part.
fn says(mail: &str, amount: &str) -> bool {
    mail.contains(&format!("£{amount}")) || mail.contains(&format!("=C2=A3{amount}"))
}

/// Issue 5: a red run from its scope to what was sent. One pays in between; one is
/// on hold, one in query, one owes nothing, and one belongs to a principal who pays
/// net (E80).
#[tokio::test]
async fn a_red_run_sends_exactly_what_is_owed_at_that_moment() {
    let office = Office::open().await;
    let _dunning = office.dunning(office.sink.address()).await;
    office
        .debtor("RED1", &[("R1-A", "100.00"), ("R1-B", "50.00")], |_| {})
        .await;
    office.debtor("RED2", &[("R2-A", "200.00")], |_| {}).await;
    let held = office.debtor("RED3", &[("R3-A", "300.00")], |_| {}).await;
    let asks = office
        .debtor("RED4", &[("R4-A", "40.00"), ("R4-B", "60.00")], |_| {})
        .await;
    office.debtor("RED5", &[("R5-A", "500.00")], |_| {}).await;
    // E80: a principal who pays net of commission, in the principal's own name.
    let net = office
        .debtor("RED6", &[("R6-A", "1000.00")], |debtor| {
            debtor.segment = Some("principal".to_owned());
            debtor.principal = Some("Albion".to_owned());
            debtor.email = None;
        })
        .await;
    let mut commission = document("R6-COM", "RED6", "150.00");
    commission.kind = DocumentKind::CreditNote;
    office.suite.publish_document("R6-COM", &commission).await;
    office
        .debtor("RED7", &[("R7-A", "70.00")], |debtor| {
            debtor.email = None;
            debtor.address = None;
        })
        .await;
    office.pay("R5-A", "500.00").await;
    office.open_is("RED5", std::iter::empty()).await;
    // In query: one whole document of two.
    let standing = office
        .gateway
        .ask(&GetStanding { account_id: asks })
        .await
        .unwrap();
    let document_id = standing
        .items
        .iter()
        .find(|item| item.document_ref == "R4-A")
        .unwrap()
        .document_id;
    office
        .gateway
        .ask(&OpenCase {
            command_id: CommandId::generate(),
            kind: CaseKind::Query,
            account_id: None,
            lines: vec![CaseLine {
                document_id,
                amount: None,
                lines: Vec::new(),
            }],
            reason_code: "price".to_owned(),
            reason: "they say the price is wrong".to_owned(),
            raised_at: None,
            processor: None,
            linked: None,
            person: person("jo", "controller"),
        })
        .await
        .unwrap();
    office
        .gateway
        .ask(&PlaceHold {
            command_id: CommandId::generate(),
            account_id: held,
            debtor_ref: None,
            kind: HoldKind::BreathingSpace,
            documents: Vec::new(),
            starts_on: None,
            ends_on: None,
            review_on: None,
            cut_off_on: None,
            owner: None,
            reference: None,
            reason: "told by the Insolvency Service".to_owned(),
            person: person("jo", "controller"),
        })
        .await
        .unwrap();
    eventually("dunning knows all of it", DEADLINE, async || {
        let of = async |account_id| {
            office
                .gateway
                .ask(&GetStanding { account_id })
                .await
                .unwrap()
        };
        let (asks, held, net) = (of(asks).await, of(held).await, of(net).await);
        asks.items.iter().any(|i| i.reason == ChaseReason::InQuery)
            && held.items.iter().all(|i| i.reason == ChaseReason::OnHold)
            && net.items.iter().all(|i| i.chaseable == gbp("850.00"))
    })
    .await;

    let run = office.propose(RunKind::RedStatement).await;
    let all = office.accounts(&run).await;
    let why = |account: &str| all[account].excluded;
    assert_eq!(why("RED1"), None);
    assert_eq!(why("RED2"), None);
    assert_eq!(why("RED3"), Some(StatementExclusion::OnHold));
    assert_eq!(why("RED4"), None);
    assert_eq!(why("RED5"), Some(StatementExclusion::NothingOwed));
    assert_eq!(why("RED6"), None);
    assert_eq!(why("RED7"), Some(StatementExclusion::NoAddress));
    assert_eq!(all["RED1"].amounts, [gbp("150.00")]);
    assert_eq!(all["RED4"].amounts, [gbp("60.00")]);
    assert_eq!(all["RED6"].amounts, [gbp("850.00")]);
    assert_eq!(all["RED6"].in_name_of.as_deref(), Some("Albion"));
    let query = all["RED4"].items.iter().find(|i| i.document_ref == "R4-A");
    let query = query.unwrap();
    assert_eq!(query.reason, ChaseReason::InQuery);
    assert_eq!(
        (query.chaseable, query.open),
        (gbp("0.00"), Some(gbp("40.00")))
    );
    assert_eq!((run.contacts, run.unclassified), (4, 0));
    assert_eq!(run.amounts, [gbp("1260.00")]);
    let preview = PreviewRunAccount {
        run_id: run.run_id,
        account_id: net,
    };
    let made = office.gateway.ask(&preview).await.unwrap();
    assert!(!made.sent && made.media_type == "application/pdf");

    // One pays after it was worked out, before it is sent.
    office.pay("R2-A", "200.00").await;
    office.open_is("RED2", std::iter::empty()).await;
    office.pay("R1-B", "50.00").await;
    office.open_is("RED1", ["100.00"].into_iter()).await;
    office.approve(&run).await;
    let run = office.until(&run, RunState::Sent).await;
    let sent = office.accounts(&run).await;
    assert_eq!(sent["RED2"].state, RunAccountState::Recalled);
    assert_eq!(sent["RED2"].note.as_deref(), Some("nothing_owed"));
    for account in ["RED1", "RED4", "RED6"] {
        assert_eq!(sent[account].state, RunAccountState::Sent, "{account}");
    }
    let mails = office.mails();
    let to: Vec<&str> = mails.keys().map(String::as_str).collect();
    assert_eq!(to, ["red1@example.invalid", "red4@example.invalid"]);
    let one = &mails["red1@example.invalid"];
    assert!(says(one, "100.00") && !says(one, "150.00"), "{one}");
    let four = &mails["red4@example.invalid"];
    assert!(four.contains("Subject: Overdue account RED4"), "{four}");
    assert!(says(four, "60.00") && four.contains("in query"), "{four}");
    // E80: the letter is the principal's, and net.
    let letters: Vec<Vec<u8>> = sqlx::query_scalar(
        "select a.bytes from dunning.contact c join dunning.archive a on a.sha256 = c.content_sha256
         where c.channel = 'letter'",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    let [letter] = letters.as_slice() else {
        panic!("one letter, not {}", letters.len());
    };
    let words = String::from_utf8_lossy(letter);
    for said in ["Albion Insurance plc", "Less commission and credit notes"] {
        assert!(words.contains(said), "the letter does not say {said}");
    }
    // £850.00: a text with a pound sign in it is written in hexadecimal digits.
    let is_net = words.to_lowercase().contains("a33835302e3030");
    assert!(is_net, "it is not net");
    assert!(!words.contains("Example Collections"), "the firm is named");
    let kept = office.gateway.ask(&preview).await.unwrap();
    assert!(kept.sent, "what was sent is shown as it was sent");
    // It moved no stage, and counts in the budget.
    assert_eq!(
        office
            .count("select count(*) from dunning.reached where documents <> '{}'")
            .await,
        0
    );
    assert_eq!(
        office
            .count("select count(*) from dunning.contact where counted_on = '2026-03-10'")
            .await,
        3
    );

    // Again in the same month: nobody gets a second one.
    let again = office.propose(RunKind::RedStatement).await;
    let all = office.accounts(&again).await;
    assert_eq!(again.contacts, 0);
    for account in ["RED1", "RED4", "RED6"] {
        let had = Some(StatementExclusion::HadOne);
        assert_eq!(all[account].excluded, had, "{account}");
    }
}

/// A plain statement has everything open, due or not; two of them with something
/// overdue make the next one red.
#[tokio::test]
async fn a_plain_run_has_everything_open_and_the_second_in_a_row_makes_red() {
    let office = Office::open().await;
    office.clock.advance(TimeDelta::days(-27));
    let _dunning = office.dunning(office.sink.address()).await;
    office.debtor("PLN1", &[("P1-A", "100.00")], |_| {}).await;
    let mut young = document("P1-B", "PLN1", "30.00");
    young.issued_on = "2026-02-01".parse().unwrap();
    young.due_on = "2026-04-30".parse().unwrap();
    office.suite.publish_document("P1-B", &young).await;
    office
        .open_is("PLN1", ["100.00", "30.00"].into_iter())
        .await;
    // On 11 February it is 11 days late: not red yet.
    let red = office.propose(RunKind::RedStatement).await;
    let why = office.accounts(&red).await["PLN1"].excluded;
    assert_eq!(why, Some(StatementExclusion::NotRedYet));
    let plain = office.propose(RunKind::Statement).await;
    assert_eq!(plain.amounts, [gbp("130.00")]);
    let line = &office.accounts(&plain).await["PLN1"];
    let young = line
        .items
        .iter()
        .find(|i| i.document_ref == "P1-B")
        .unwrap();
    assert_eq!(young.reason, ChaseReason::NotDue);
    assert_eq!(
        (young.chaseable, young.open),
        (gbp("0.00"), Some(gbp("30.00")))
    );
    office.approve(&plain).await;
    office.until(&plain, RunState::Sent).await;
    let mails = office.mails();
    let mail = &mails["pln1@example.invalid"];
    assert!(
        mail.contains("Subject: Statement of account PLN1"),
        "{mail}"
    );
    assert!(says(mail, "130.00") && says(mail, "100.00"), "{mail}");
    assert_eq!(
        office
            .count("select count(*) from dunning.contact where counted_on is null")
            .await,
        1,
        "a plain statement does not count in the budget"
    );

    // A month later something else is overdue for nine days: the second in a row.
    office.clock.advance(TimeDelta::days(27));
    let mut other = document("P1-C", "PLN1", "45.00");
    other.issued_on = "2026-02-12".parse().unwrap();
    other.due_on = "2026-03-01".parse().unwrap();
    office.suite.publish_document("P1-C", &other).await;
    office.pay("P1-A", "100.00").await;
    office.open_is("PLN1", ["30.00", "45.00"].into_iter()).await;
    let red = office.propose(RunKind::RedStatement).await;
    let why = office.accounts(&red).await["PLN1"].excluded;
    assert_eq!(why, Some(StatementExclusion::NotRedYet));
    let second = office.propose(RunKind::Statement).await;
    office.approve(&second).await;
    office.until(&second, RunState::Sent).await;
    let red = office.propose(RunKind::RedStatement).await;
    assert_eq!(red.amounts, [gbp("45.00")]);
}

/// The account reconciliation: what it began with, each movement, and what it came
/// to, with the cash that is set against nothing.
#[tokio::test]
async fn an_account_reconciles_between_two_days_to_the_penny() {
    let office = Office::open().await;
    let _dunning = office.dunning(office.sink.address()).await;
    let account_id = office
        .debtor("REC1", &[("RC1-A", "100.00"), ("RC1-B", "60.00")], |_| {})
        .await;
    let mut credit = document("RC1-CN", "REC1", "25.50");
    credit.kind = DocumentKind::CreditNote;
    credit.issued_on = "2026-02-03".parse().unwrap();
    credit.due_on = credit.issued_on;
    office.pay("RC1-A", "100.00").await;
    office.open_is("REC1", ["60.00"].into_iter()).await;
    office.suite.publish_document("RC1-CN", &credit).await;
    let ask = |from: &str, to: &str| GetAccountStatement {
        account_id,
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let march = eventually_some("reporting has all of it", DEADLINE, async || {
        let all = office
            .gateway
            .ask(&ask("2026-02-01", "2026-03-10"))
            .await
            .ok()?;
        let [gbp] = all.currencies.as_slice() else {
            return None;
        };
        (gbp.lines.len() == 2).then(|| gbp.clone())
    })
    .await;
    let lines: Vec<(&str, Money, Money)> = march
        .lines
        .iter()
        .map(|line| (line.kind.as_str(), line.amount, line.balance))
        .collect();
    assert_eq!(march.opening, gbp("160.00"));
    assert_eq!(
        lines,
        [
            ("credit_note", gbp("-25.50"), gbp("134.50")),
            ("receipt", gbp("-100.00"), gbp("34.50")),
        ]
    );
    assert_eq!(
        (march.closing, march.unallocated),
        (gbp("34.50"), gbp("0.00"))
    );
    let january = office.gateway.ask(&ask("2026-01-01", "2026-01-31")).await;
    let january = &january.unwrap().currencies[0];
    assert_eq!(
        (january.opening, january.closing),
        (gbp("0.00"), gbp("160.00"))
    );
    let later: Result<_, Refusal> = office.gateway.ask(&ask("2026-03-01", "2026-03-11")).await;
    assert!(later.is_err(), "a day to come");
}

/// Stopped between claim and mark: what the provider drops twice is handed over
/// again, and there is one statement.
#[tokio::test]
async fn a_crash_between_claim_and_mark_sends_none_twice() {
    let office = Office::open().await;
    let first = office.dunning(silent().await).await;
    for n in 1..=5 {
        let (account, document) = (format!("CRS{n}"), format!("C{n}-A"));
        office
            .debtor(&account, &[(&document, "80.00")], |_| {})
            .await;
    }
    let run = office.propose(RunKind::RedStatement).await;
    office.approve(&run).await;
    eventually("they are claimed", DEADLINE, async || {
        office
            .count("select count(*) from dunning.contact where state = 'claimed'")
            .await
            == 5
    })
    .await;
    first.crash().await;
    office.clock.advance(TimeDelta::minutes(2));
    let _second = office.dunning(office.sink.address()).await;
    office.until(&run, RunState::Sent).await;
    assert_eq!(office.mails().len(), 5);
    assert_eq!(
        office
            .count("select count(*) from dunning.statement_sent where not void")
            .await,
        5
    );
    let again = office.propose(RunKind::RedStatement).await;
    assert_eq!(again.contacts, 0);
    assert!(office.services.len() == 5);
}

/// Takes an e-mail and never says so. Its address.
async fn silent() -> SocketAddr {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
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
