//! Contacts that people write down, on real servers: what opens and ends, what
//! is shut, and what counts in the budget.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, time::Duration};

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    Role,
    api::{
        PageRequest,
        allocation::ListReceipts,
        controls::Person as By,
        dunning::{
            ContactStep, ContactView, EraseContactNotes, ExpectedPayment, GetReach, GetStanding,
            ListContacts, ListPromises, PromisedLine, RecordContact, Standing, StepContact,
            TakePromise,
        },
        worklist::{
            ActOnWork, ListPeople, ListWork, NextStep, PutPerson, PutPortfolioRule, WorkAction,
            WorkRow, WorkView,
        },
    },
    dunning::{Channel, ChaseReason, ContactOutcome, ContactState, Direction, ReachState, RunId},
    inbound::BillingAccount,
    worklist::{OwnerSource, Person, PortfolioRule},
};
use dunning::{MailOptions, Options};
use kernel::{AccountId, CommandId, DocumentId, ManualClock};
use messaging::Bus;
use runtime::local::MailSink;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    dunning: Option<Running>,
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn by(role: &str) -> By {
    By {
        actor: "user:ann".to_owned(),
        roles: vec![role.to_owned()],
    }
}

/// A debtor who can be reached by e-mail and letter.
fn debtor(account_ref: &str) -> BillingAccount {
    BillingAccount {
        email: Some("pay@acme.example".to_owned()),
        address: Some("1 Some Road, Leeds, LS1 1AA".to_owned()),
        ..account(account_ref)
    }
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

fn call(account_id: AccountId, outcome: ContactOutcome) -> RecordContact {
    RecordContact {
        command_id: CommandId::generate(),
        account_id,
        debtor_ref: None,
        contact_id: None,
        direction: Direction::Out,
        channel: Channel::Phone,
        outcome: Some(outcome),
        next_step: Some("call again".to_owned()),
        next_on: Some(day("2026-02-13")),
        none_because: None,
        promise: None,
        documents: Vec::new(),
        at: None,
        note: None,
        person: by("controller"),
    }
}

impl Office {
    /// On Tuesday 10 February 2026: what was due on 31 January is ripe for a
    /// reminder. Ann's are the accounts from A to B.
    async fn open(options: Options) -> Self {
        let clock = ManualClock::new("2026-02-10T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Worklist, worklist::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let mut office = Self {
            dunning: None,
            _services: services,
            gateway,
            suite,
            clock,
        };
        office.work(options).await;
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListPeople {}).await.is_ok()
        })
        .await;
        office.hires("ann", false).await;
        office.hires("sam", true).await;
        let rule = PutPortfolioRule {
            command_id: CommandId::generate(),
            rule: PortfolioRule {
                rule_id: Uuid::now_v7(),
                owner: "user:ann".into(),
                account_ref: None,
                from_ref: Some("A".into()),
                to_ref: Some("B".into()),
                segment: None,
                department: None,
                ended: false,
            },
            actor: "user:max".into(),
            reason: "her part of the ledger".into(),
        };
        office.gateway.ask(&rule).await.unwrap();
        office
    }

    async fn work(&mut self, options: Options) {
        let running = self
            .suite
            .run(Role::Dunning, |bus| dunning::run_with(bus, options))
            .await;
        self.dunning = Some(running);
        eventually("dunning answers", DEADLINE, async || {
            self.gateway.ask(&ListPromises::default()).await.is_ok()
        })
        .await;
    }

    async fn hires(&self, name: &str, answers_for_rest: bool) {
        let ask = PutPerson {
            command_id: CommandId::generate(),
            person: Person {
                actor: format!("user:{name}"),
                version: 0,
                name: name.to_uppercase(),
                roles: vec!["controller".into()],
                skills: vec!["chasing".into()],
                minutes: vec![360, 360, 360, 360, 360, 0, 0],
                answers_for_rest,
                active: true,
                absences: Vec::new(),
            },
            actor: "user:max".into(),
            reason: "joins".into(),
        };
        self.gateway.ask(&ask).await.unwrap();
    }

    /// A debtor with one debt of 400 pounds that is due.
    async fn owes(&self, debtor: &BillingAccount) -> (AccountId, DocumentId) {
        let account_ref = debtor.account_ref.as_str();
        self.suite.publish_account(account_ref, debtor).await;
        let invoice = format!("INV-{account_ref}");
        self.suite
            .publish_document(&invoice, &document(&invoice, account_ref, "400.00"))
            .await;
        let (account, item): (Uuid, Uuid) = eventually_some("dunning knows it", DEADLINE, async || {
            sqlx::query_as(
                "select account_id, document_id from dunning.item join dunning.account using (account_id)
                 where document_ref = $1 and open > 0",
            )
            .bind(&invoice)
            .fetch_optional(self.suite.admin_pool())
            .await
            .unwrap()
        })
        .await;
        eventually("worklist knows it", DEADLINE, async || {
            self.count("select count(*) from worklist.account").await > 0
        })
        .await;
        (account.into(), item.into())
    }

    /// A run that is approved to remind these accounts in a way, and is sent.
    async fn run(&self, accounts: &[AccountId], channel: &str) -> Uuid {
        let run = Uuid::now_v7();
        sqlx::query(
            "insert into dunning.run (run_id, version, state, as_of, title, scope, contacts, requester, reason,
               created_at, changed_at)
             values ($1, 5, 'paused', '2026-02-10', 'Reminders', '{}', 1, 'user:jo', 'weekly', now(), now())",
        )
        .bind(run)
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
        sqlx::query(
            "insert into dunning.run_account (run_id, account_id, account_ref, state, policy, policy_version, stage,
               rank, template, channel, documents, reasons, ranks_from, ranks_to, chaseable, currencies)
             select $1, i.account_id, a.account_ref, 'queued', 'trade_credit', 1, 'reminder', 20, 'reminder', $3,
               array[i.document_id], '{chase_now}', '{null}', '{20}', array[i.open], '{GBP}'
             from dunning.item i join dunning.account a using (account_id) where i.account_id = any($2)",
        )
        .bind(run)
        .bind(&ids)
        .bind(channel)
        .execute(self.suite.admin_pool())
        .await
        .unwrap();
        sqlx::query("update dunning.run set state = 'sending' where run_id = $1")
            .bind(run)
            .execute(self.suite.admin_pool())
            .await
            .unwrap();
        run
    }

    async fn is_sent(&self, run: Uuid) -> Vec<(String, String, Option<String>)> {
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
        self.outcome(run).await
    }

    /// What stands in a run for each account.
    async fn outcome(&self, run: Uuid) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as(
            "select account_ref, state, note from dunning.run_account where run_id = $1 order by account_ref",
        )
        .bind(run)
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap()
    }

    async fn works(&self, view: WorkView, kind: &str) -> Vec<WorkRow> {
        let ask = ListWork {
            view,
            actor: "user:ann".to_owned(),
            kinds: vec![kind.to_owned()],
            ..ListWork::default()
        };
        let found = self.gateway.ask(&ask).await.unwrap().items;
        found.into_iter().filter(|row| row.kind == kind).collect()
    }

    async fn opens(&self, view: WorkView, kind: &str) -> WorkRow {
        eventually_some(&format!("{kind} is there"), DEADLINE, async || {
            self.works(view, kind).await.pop()
        })
        .await
    }

    async fn ends(&self, kind: &str) {
        eventually(&format!("{kind} has ended"), DEADLINE, async || {
            self.works(WorkView::Team, kind).await.is_empty()
        })
        .await;
    }

    async fn record(&self, ask: &RecordContact) -> ContactView {
        let recorded = self.gateway.ask(ask).await.unwrap();
        // Repeated, it is the same.
        assert_eq!(self.gateway.ask(ask).await.unwrap(), recorded);
        recorded
    }

    async fn step(&self, contact: &ContactView, step: ContactStep) -> ContactView {
        let ask = StepContact {
            command_id: CommandId::generate(),
            contact_id: contact.contact_id,
            version: Some(contact.version),
            step,
            reason: "looked it up".to_owned(),
            person: by("controller"),
        };
        let stepped = self.gateway.ask(&ask).await.unwrap();
        assert_eq!(self.gateway.ask(&ask).await.unwrap(), stepped);
        stepped
    }

    async fn contacts(&self, account_id: AccountId, role: &str) -> Vec<ContactView> {
        let ask = ListContacts {
            account_id,
            contact_id: None,
            person: by(role),
            page: PageRequest::default(),
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    async fn way(&self, account_id: AccountId, channel: Channel) -> ReachState {
        let reach = self.gateway.ask(&GetReach { account_id }).await.unwrap();
        let way = reach.ways.iter().find(|way| way.channel == channel);
        way.unwrap().state
    }

    async fn standing(&self, account_id: AccountId) -> Standing {
        self.gateway.ask(&GetStanding { account_id }).await.unwrap()
    }

    async fn reason(&self, account_id: AccountId) -> ChaseReason {
        self.standing(account_id).await.items[0].reason
    }
}

/// A call of a run is work of whoever has the account; with what came of it the
/// work ends, the stage counts, and its next step comes on its day.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_due_is_work_until_it_is_recorded() {
    let office = Office::open(Options::default()).await;
    let mut acme = debtor("ACME01");
    acme.phone = Some("020 7946 0000".to_owned());
    let (account_id, document_id) = office.owes(&acme).await;
    let run = office.run(&[account_id], "phone").await;
    office.is_sent(run).await;
    let work = office.opens(WorkView::Team, "call_due").await;
    assert_eq!(
        (work.owner.as_str(), work.owner_source, work.account_id),
        ("user:ann", OwnerSource::Portfolio, Some(account_id))
    );
    assert!(work.detail.contains("INV-ACME01"), "{}", work.detail);
    let contact = office.contacts(account_id, "controller").await.remove(0);
    assert_eq!(
        (contact.state, contact.contact_id.as_uuid()),
        (ContactState::Todo, work.subject_id)
    );
    // It ends by what is recorded, not by a tick.
    let tick = ActOnWork {
        command_id: CommandId::generate(),
        work_item_ids: vec![work.work_item_id],
        expected_version: None,
        actor: "user:ann".to_owned(),
        action: WorkAction::Complete {
            outcome: "no_answer".to_owned(),
            note: String::new(),
            next: NextStep::NoneBecause("later".to_owned()),
        },
    };
    let ticked = office.gateway.ask(&tick).await;
    assert!(
        format!("{ticked:?}").contains("worklist.recorded_elsewhere"),
        "{ticked:?}"
    );
    // Without a next step it is not taken.
    let mut made = call(account_id, ContactOutcome::Promised);
    made.contact_id = Some(contact.contact_id);
    made.note = Some("Sam says that Friday's payment run has it".to_owned());
    let mut bare = made.clone();
    bare.command_id = CommandId::generate();
    (bare.next_step, bare.next_on) = (None, None);
    assert!(office.gateway.ask(&bare).await.is_err());

    let done = office.record(&made).await;
    assert_eq!(
        (done.state, done.version, done.outcome, done.counted_on),
        (
            ContactState::Done,
            2,
            Some(ContactOutcome::Promised),
            Some(day("2026-02-10"))
        )
    );
    office.ends("call_due").await;
    let next = office.opens(WorkView::Snoozed, "follow_up").await;
    assert_eq!(next.back_on, Some(day("2026-02-13")));
    assert_eq!(
        office.outcome(run).await,
        [(
            "ACME01".to_owned(),
            "sent".to_owned(),
            Some("promises to pay".to_owned())
        )]
    );
    assert_eq!(
        office.standing(account_id).await.items[0].stage.as_deref(),
        Some("reminder")
    );
    // The promise itself is what stops chasing.
    let promise = TakePromise {
        command_id: CommandId::generate(),
        account_id,
        lines: vec![PromisedLine {
            document_id,
            amount: None,
        }],
        instalments: vec![ExpectedPayment {
            due_on: day("2026-02-13"),
            amount: kernel::Money::parse("400.00", kernel::Currency::GBP).unwrap(),
        }],
        method: None,
        promised_by: Some("Sam".to_owned()),
        replaces: None,
        reason: "said on the telephone".to_owned(),
        person: by("controller"),
    };
    office.gateway.ask(&promise).await.unwrap();
    assert_eq!(office.reason(account_id).await, ChaseReason::Promised);
    // What followed ends the next step, and is a contact of its own.
    office.clock.advance(TimeDelta::days(3));
    let mut followed = call(account_id, ContactOutcome::PaidAlready);
    followed.contact_id = Some(done.contact_id);
    (followed.next_step, followed.next_on) = (None, None);
    followed.none_because = Some("the payment run went".to_owned());
    let followed = office.record(&followed).await;
    assert_eq!(followed.follows, Some(done.contact_id));
    eventually("the next step is done", DEADLINE, async || {
        office
            .works(WorkView::Snoozed, "follow_up")
            .await
            .is_empty()
            && office.works(WorkView::Team, "follow_up").await.is_empty()
    })
    .await;
    // What was said can be erased (E103); that it was said stays.
    let erase = EraseContactNotes {
        command_id: CommandId::generate(),
        account_id,
        debtor_ref: None,
        reason: "asked for".to_owned(),
        person: by("manager"),
    };
    assert_eq!(office.gateway.ask(&erase).await.unwrap().notes, 1);
    let after = office.contacts(account_id, "manager").await;
    assert!(after.len() == 2 && after.iter().all(|contact| contact.note.is_none()));
}

/// E66: a letter that came back is no reminder: the same stage goes another way,
/// or nobody is reminded and a person looks for them; a new address lifts it.
#[tokio::test(flavor = "multi_thread")]
async fn e66_gone_away_goes_another_way_or_to_a_person() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let office = Office::open(over(sink.address(), true)).await;
    let mut acme = debtor("ACME01");
    let (account_id, _) = office.owes(&acme).await;
    let run = office.run(&[account_id], "letter").await;
    office.is_sent(run).await;
    let printed = office.contacts(account_id, "controller").await.remove(0);
    assert_eq!(printed.state, ContactState::Printed);
    let posted = office.step(&printed, ContactStep::Posted).await;
    assert_eq!(posted.state, ContactState::Posted);
    assert_eq!(
        office.standing(account_id).await.items[0].stage.as_deref(),
        Some("reminder")
    );
    let back = office.step(&posted, ContactStep::CameBack).await;
    assert_eq!(
        (back.state, back.outcome),
        (ContactState::GoneAway, Some(ContactOutcome::GoneAway))
    );
    assert_eq!(office.outcome(run).await[0].1, "failed");
    for channel in [Channel::Letter, Channel::Visit] {
        assert_eq!(office.way(account_id, channel).await, ReachState::Unusable);
    }
    let trace = office.opens(WorkView::Team, "debtor_to_trace").await;
    assert!(
        trace.detail.contains("letter: gone away since 10/02/2026")
            && trace.detail.contains("left: email"),
        "{}",
        trace.detail
    );
    // The stage was not done: it is due again, and e-mail is left.
    let standing = office.standing(account_id).await;
    assert_eq!(
        (
            standing.items[0].stage.as_deref(),
            standing.items[0].reason,
            standing.next_contact.as_deref()
        ),
        (None, ChaseReason::ChaseNow, Some("reminder"))
    );
    // That bounces too, as somebody writes down: nothing is left.
    let mut bounced = call(account_id, ContactOutcome::Bounced);
    bounced.channel = Channel::Email;
    (bounced.next_step, bounced.next_on) = (None, None);
    office.record(&bounced).await;
    assert_eq!(office.reason(account_id).await, ChaseReason::NoAddress);
    eventually("a person is told", DEADLINE, async || {
        let work = office.works(WorkView::Team, "debtor_to_trace").await;
        work.len() == 1 && work[0].detail.contains("nothing reaches them")
    })
    .await;
    // Another address is usable, and the old one stays given up.
    acme.address = Some("2 Other Road, Hull, HU1 1AA".to_owned());
    office.suite.publish_account("acme-moved", &acme).await;
    eventually("a letter reaches them again", DEADLINE, async || {
        office.way(account_id, Channel::Letter).await == ReachState::Usable
    })
    .await;
    assert_eq!(
        office.way(account_id, Channel::Email).await,
        ReachState::Unusable
    );
    assert_eq!(office.reason(account_id).await, ChaseReason::ChaseNow);
    let again = office.run(&[account_id], "email").await;
    assert_eq!(office.is_sent(again).await[0].1, "sent");
    let latest = office.contacts(account_id, "controller").await;
    let letter = latest
        .iter()
        .find(|contact| contact.run_id.map(RunId::as_uuid) == Some(again));
    assert_eq!(letter.unwrap().channel, Channel::Letter);
    assert!(sink.messages().unwrap().is_empty());
    acme.email = Some("accounts@acme.example".to_owned());
    office.suite.publish_account("acme-email", &acme).await;
    office.ends("debtor_to_trace").await;
}

/// E67: a message is a proposal until a person reads it; then reminders go
/// another way, and a later word lifts it.
#[tokio::test(flavor = "multi_thread")]
async fn e67_an_opt_out_counts_when_a_person_has_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let office = Office::open(over(sink.address(), true)).await;
    let (account_id, _) = office.owes(&debtor("ACME01")).await;
    let message = RecordContact {
        direction: Direction::In,
        channel: Channel::Email,
        outcome: None,
        next_step: None,
        next_on: None,
        note: Some("Please stop emailing me about my mental health debts".to_owned()),
        ..call(account_id, ContactOutcome::OptedOut)
    };
    let received = office.record(&message).await;
    assert_eq!(
        (received.outcome, received.proposal, received.counted_on),
        (None, Some(ContactOutcome::OptedOut), None)
    );
    assert_eq!(
        office.way(account_id, Channel::Email).await,
        ReachState::Usable
    );
    let work = office.opens(WorkView::Team, "reply_to_read").await;
    assert_eq!(work.subject_id, received.contact_id.as_uuid());
    let outcome = ContactOutcome::OptedOut;
    let read = office
        .step(&received, ContactStep::ReadAs { outcome })
        .await;
    assert_eq!((read.outcome, read.proposal), (Some(outcome), None));
    office.ends("reply_to_read").await;
    assert_eq!(
        office.way(account_id, Channel::Email).await,
        ReachState::OptedOut
    );
    // Approved as an e-mail before they said so: it goes as a letter.
    let run = office.run(&[account_id], "email").await;
    office.is_sent(run).await;
    let latest = office.contacts(account_id, "controller").await;
    let sent = latest.iter().find(|contact| contact.run_id.is_some());
    assert_eq!(
        sent.map(|sent| (sent.channel, sent.state)),
        Some((Channel::Letter, ContactState::Printed))
    );
    assert!(sink.messages().unwrap().is_empty());
    let mut lifted = call(account_id, ContactOutcome::OptedIn);
    (lifted.direction, lifted.channel) = (Direction::In, Channel::Email);
    (lifted.next_step, lifted.next_on) = (None, None);
    office.record(&lifted).await;
    assert_eq!(
        office.way(account_id, Channel::Email).await,
        ReachState::Usable
    );
    // Some words are not for everybody (E99).
    let mut told = call(account_id, ContactOutcome::VulnerabilityTold);
    told.direction = Direction::In;
    told.note = Some("in hospital until March".to_owned());
    let told = office.record(&told).await;
    assert_eq!(told.note, None);
    let seen = office.contacts(account_id, "manager").await;
    let seen = seen.iter().find(|one| one.contact_id == told.contact_id);
    assert_eq!(
        seen.unwrap().note.as_deref(),
        Some("in hospital until March")
    );
}

/// E61: three contacts a week, over every way and over all accounts of one
/// debtor, also while a run is being sent.
#[tokio::test(flavor = "multi_thread")]
async fn e61_one_budget_over_ways_and_accounts_of_a_debtor() {
    let office = Office::open(Options::default()).await;
    let parent = debtor("ACME01");
    let child = BillingAccount {
        parent_ref: Some("ACME01".to_owned()),
        ..debtor("ACME02")
    };
    let (first, _) = office.owes(&parent).await;
    let (second, _) = office.owes(&child).await;
    let (other, _) = office.owes(&debtor("BETA01")).await;
    let mut letter = call(first, ContactOutcome::NoResult);
    letter.channel = Channel::Letter;
    office.record(&letter).await;
    let mut theirs = call(second, ContactOutcome::AskedFor);
    theirs.direction = Direction::In;
    office.record(&theirs).await;
    office.record(&call(second, ContactOutcome::NoAnswer)).await;
    let reach = office
        .gateway
        .ask(&GetReach { account_id: first })
        .await
        .unwrap();
    assert_eq!(
        (reach.contacts, reach.budget, reach.days),
        (2, Some(3), Some(7))
    );
    assert_eq!(reach.same_debtor, ["ACME02"]);
    // One is left for the two of them.
    for account in [first, second, other] {
        assert_eq!(office.reason(account).await, ChaseReason::ChaseNow);
    }
    let run = office.run(&[first, second, other], "letter").await;
    let mut rows = office.is_sent(run).await;
    let (_, state, note) = rows.pop().unwrap();
    assert_eq!((state.as_str(), note), ("sent", None));
    rows.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(
        (rows[0].1.as_str(), rows[0].2.as_deref(), rows[1].1.as_str()),
        ("recalled", Some("contacted_recently"), "sent")
    );
    let waits = if rows[0].0 == "ACME01" { first } else { second };
    assert_eq!(office.reason(waits).await, ChaseReason::ContactedRecently);
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

/// E65: what a crash left unknown is work until a person says what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn e65_a_person_says_whether_what_is_unknown_was_sent() {
    let options = over(silent().await, false);
    let mut office = Office::open(options.clone()).await;
    let (first, _) = office.owes(&debtor("ACME01")).await;
    let (second, _) = office.owes(&debtor("ACME02")).await;
    let run = office.run(&[first, second], "email").await;
    eventually("they are claimed", DEADLINE, async || {
        office
            .count("select count(*) from dunning.contact where state = 'claimed'")
            .await
            == 2
    })
    .await;
    office.dunning.take().unwrap().crash().await;
    office.clock.advance(TimeDelta::hours(1));
    office.work(options).await;
    office.is_sent(run).await;
    eventually("both are work", DEADLINE, async || {
        office.works(WorkView::Team, "contact_unknown").await.len() == 2
    })
    .await;
    let sent = office.contacts(first, "controller").await.remove(0);
    let sent = office.step(&sent, ContactStep::Sent).await;
    assert_eq!(sent.state, ContactState::Sent);
    let not = office.contacts(second, "controller").await.remove(0);
    let not = office.step(&not, ContactStep::NotSent).await;
    assert_eq!(not.state, ContactState::Failed);
    office.ends("contact_unknown").await;
    let stage = async |account| office.standing(account).await.items[0].stage.clone();
    assert_eq!(stage(first).await.as_deref(), Some("reminder"));
    assert_eq!(stage(second).await, None);
    assert_eq!(office.reason(second).await, ChaseReason::ChaseNow);
    let rows = office.outcome(run).await;
    assert_eq!((rows[0].1.as_str(), rows[1].1.as_str()), ("sent", "failed"));
}
