//! A debtor's story, from the first reminder to the letter of claim: a promise that
//! is broken, a part payment, a query about a part, a breathing space, and chased
//! again by exactly what is left, at the stage where it stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Role,
    api::{
        PageRequest,
        allocation::{AllocateLine, AllocateReceipt, FindOpenItems, ListReceipts},
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        disputes::{CaseKey, CaseLine, CaseStep, GetCase, OpenCase, StepCase},
        dunning::{
            ExpectedPayment, GetPromise, GetRun, GetStanding, ItemStanding, ListHolds, ListRuns,
            PlaceHold, PromisedLine, ProposeRun, RunScope, RunStep, RunView, StepRun, TakePromise,
        },
        reporting::{AccountKey, GetAccount},
        worklist::{ListWork, WorkRow, WorkView},
    },
    controls::ApprovalKind,
    disputes::CaseKind,
    dunning::{ChaseReason, HoldKind, HoldState, PromiseState, RunState},
    inbound::{AccountKind, BankReceipt, Direction},
};
use dunning::{MailOptions, Options};
use kernel::{AccountId, CommandId, Currency, DocumentId, ManualClock, Money};
use messaging::Bus;
use runtime::local::MailSink;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};

const DEBT: &str = "INV-900";

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
    post: MailSink,
    _post: tempfile::TempDir,
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
        person: person("max", "manager"),
        page: PageRequest::default(),
    }
}

impl Office {
    /// On 1 February 2026; what there is was due the day before.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-02-01T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let dir = tempfile::tempdir().unwrap();
        let post = MailSink::start(dir.path()).await.unwrap();
        let options = Options {
            mail: Some(MailOptions {
                host: post.address().ip().to_string(),
                port: post.address().port(),
                security: mail::Security::default(),
                credentials: None,
                idempotent: true,
                timeout: Duration::from_mins(1),
            }),
            ..Options::default()
        };
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Disputes, disputes::run).await,
            suite
                .run(Role::Dunning, |bus| dunning::run_with(bus, options))
                .await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            clock,
            post,
            _post: dir,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListRuns::default()).await.is_ok()
                && office.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        office
    }

    /// Goes on to that day, nine in the morning, and the bank's file of the day comes.
    async fn day(&self, day: &str) {
        let at: DateTime<Utc> = format!("{day}T09:00:00Z").parse().unwrap();
        self.clock.set(at);
        let other = format!("OTHER-{day}");
        self.paid(&other, "1.00", day).await;
        eventually("the file of the day is known", DEADLINE, async || {
            let seen: Option<DateTime<Utc>> =
                sqlx::query_scalar("select max(heard_at) from dunning.feed")
                    .fetch_one(self.suite.admin_pool())
                    .await
                    .unwrap();
            seen.is_some_and(|seen| seen >= at)
        })
        .await;
    }

    async fn paid(&self, reference: &str, amount: &str, day: &str) {
        let mut line = receipt(reference, amount);
        line.booked_on = day.parse().unwrap();
        line.value_on = line.booked_on;
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
    }

    /// Jo allocates what was paid under the debt's reference.
    async fn allocate(&self, document_id: DocumentId, amount: &str) {
        let ask = ListReceipts {
            search: Some(DEBT.to_owned()),
            ..ListReceipts::default()
        };
        let found = self.gateway.ask(&ask).await.unwrap().items;
        let allocate = AllocateReceipt {
            command_id: CommandId::generate(),
            receipt_id: found[0].receipt_id,
            expected_version: None,
            lines: vec![AllocateLine {
                document_id,
                amount: gbp(amount),
            }],
            actor: "user:jo".to_owned(),
            reason: "a part of it".to_owned(),
        };
        self.gateway.ask(&allocate).await.unwrap();
        eventually("it is off the debt", DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(DEBT.to_owned()),
                ..FindOpenItems::default()
            };
            let items = self.gateway.ask(&ask).await.unwrap().items;
            items.iter().all(|item| item.open == gbp("350.00"))
        })
        .await;
    }

    /// A sole trader with one debt.
    async fn debtor(&self) -> AccountId {
        let mut debtor = account("REED01");
        "Ada Reed Joinery".clone_into(&mut debtor.name);
        debtor.kind = AccountKind::SoleTrader;
        debtor.email = Some("ada@reed.example".to_owned());
        debtor.address = Some("1 High Street\nTown\nAB1 2CD".to_owned());
        debtor.phone = Some("020 7946 0000".to_owned());
        self.suite.publish_account("REED01", &debtor).await;
        let debt = document(DEBT, "REED01", "600.00");
        self.suite.publish_document(DEBT, &debt).await;
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref("REED01".to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        self.stands(id, ChaseReason::Waiting, "600.00").await;
        id
    }

    /// The debt comes to stand so.
    async fn stands(
        &self,
        account_id: AccountId,
        reason: ChaseReason,
        chaseable: &str,
    ) -> ItemStanding {
        let wanted = gbp(chaseable);
        let mut last = None;
        let told = format!("{} of {chaseable}", reason.name());
        eventually_some(&told, DEADLINE, async || {
            let standing = self.gateway.ask(&GetStanding { account_id }).await.ok()?;
            let item = standing.items.into_iter().find(|i| i.document_ref == DEBT);
            if item != last {
                last.clone_from(&item);
                println!("{told}: {last:?}");
            }
            item.filter(|item| item.reason == reason && item.chaseable == wanted)
        })
        .await
    }

    /// Since when nothing is supplied on credit comes to be so.
    async fn credit_stopped(&self, account_id: AccountId, since: Option<NaiveDate>) {
        let told = format!("credit is stopped since {since:?}");
        eventually(&told, DEADLINE, async || {
            let standing = self.gateway.ask(&GetStanding { account_id }).await;
            standing.is_ok_and(|standing| standing.credit_stopped_on == since)
        })
        .await;
    }

    async fn until(&self, run: &RunView, state: RunState) -> RunView {
        eventually_some("the run comes so far", DEADLINE, async || {
            let run = self.gateway.ask(&GetRun { run_id: run.run_id }).await;
            run.ok().filter(|run| run.state == state)
        })
        .await
    }

    /// Jo works out who is written to today.
    async fn propose(&self) -> RunView {
        let ask = ProposeRun {
            kind: contracts::dunning::RunKind::Reminders,
            command_id: CommandId::generate(),
            as_of: None,
            title: "Weekly".to_owned(),
            scope: RunScope::default(),
            reason: "weekly".to_owned(),
            person: person("jo", "controller"),
        };
        let run = self.gateway.ask(&ask).await.unwrap();
        let run = self.until(&run, RunState::Proposed).await;
        assert_eq!(run.unclassified, 0);
        run
    }

    async fn step(&self, run: &RunView, step: RunStep) -> RunView {
        self.gateway
            .ask(&StepRun {
                command_id: CommandId::generate(),
                run_id: run.run_id,
                version: None,
                step,
                reason: "as planned".to_owned(),
                person: person("jo", "controller"),
            })
            .await
            .unwrap()
    }

    /// Nobody is written to today, for the one reason.
    async fn nobody(&self, reason: ChaseReason) {
        let run = self.propose().await;
        let tally: Vec<_> = run.tally.iter().map(|row| row.reason).collect();
        assert_eq!((run.contacts, &tally[..]), (0, &[reason][..]));
        self.step(&run, RunStep::Cancel).await;
    }

    /// Today's run, approved by Max: one contact at `stage` about `amount`.
    async fn chased(&self, stage: &str, amount: &str) {
        let run = self.propose().await;
        assert_eq!(run.contacts, 1, "{stage}: {:?}", run.tally);
        assert_eq!(run.amounts, [gbp(amount)], "{stage}");
        let run = self.step(&run, RunStep::Request).await;
        let asked = eventually_some("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.ok()?;
            all.items.into_iter().find(|one| {
                one.kind == ApprovalKind::DunningRun && Some(one.approval_id) == run.approval_id
            })
        })
        .await;
        let approve = DecideApproval {
            command_id: CommandId::generate(),
            approval_id: asked.approval_id,
            verdict: Verdict::Approve,
            reason: "looked through".to_owned(),
            person: person("max", "manager"),
        };
        self.gateway.ask(&approve).await.unwrap();
        self.until(&run, RunState::Sent).await;
        let last: (String, String) = sqlx::query_as(
            "select stage, amounts->0->>'amount' from dunning.contact where run_id = $1",
        )
        .bind(run.run_id.as_uuid())
        .fetch_one(self.suite.admin_pool())
        .await
        .unwrap();
        assert_eq!(last, (stage.to_owned(), amount.to_owned()));
    }

    /// The last e-mail that they got.
    fn last_mail(&self) -> String {
        self.post.messages().unwrap().pop().unwrap()
    }

    async fn work(&self, kind: &str) -> WorkRow {
        eventually_some(&format!("work {kind}"), DEADLINE, async || {
            let ask = ListWork {
                view: WorkView::Team,
                actor: "user:max".to_owned(),
                kinds: vec![kind.to_owned()],
                ..ListWork::default()
            };
            let all = self.gateway.ask(&ask).await.ok()?;
            all.items.into_iter().next()
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debtor_is_chased_by_what_they_owe_and_by_nothing_else() {
    let office = Office::open().await;
    let ada = office.debtor().await;

    // Ten days late: the first reminder, by e-mail, over all of it.
    office.day("2026-02-10").await;
    office.stands(ada, ChaseReason::ChaseNow, "600.00").await;
    office.chased("reminder", "600.00").await;
    assert!(office.last_mail().contains("600.00"));

    // Ada says that she pays on Friday, the 20th. She is left alone until then.
    office.day("2026-02-12").await;
    let item = office.stands(ada, ChaseReason::Waiting, "600.00").await;
    let promise = TakePromise {
        command_id: CommandId::generate(),
        account_id: ada,
        lines: vec![PromisedLine {
            document_id: item.document_id,
            amount: None,
        }],
        instalments: vec![ExpectedPayment {
            due_on: "2026-02-20".parse().unwrap(),
            amount: gbp("600.00"),
        }],
        method: None,
        promised_by: Some("Ada Reed".to_owned()),
        replaces: None,
        reason: "waits for a customer's payment".to_owned(),
        person: person("jo", "controller"),
    };
    let promise = office.gateway.ask(&promise).await.unwrap();
    office.day("2026-02-18").await;
    office.stands(ada, ChaseReason::Promised, "0.00").await;
    office.nobody(ChaseReason::Promised).await;

    // Two working days after it nothing has come: broken, and somebody's work.
    office.day("2026-02-25").await;
    eventually("the promise is broken", DEADLINE, async || {
        let ask = GetPromise {
            promise_id: promise.promise_id,
        };
        office.gateway.ask(&ask).await.unwrap().state == PromiseState::Broken
    })
    .await;
    let broken = office.work("broken_promise").await;
    assert_eq!(broken.account_ref.as_deref(), Some("REED01"));
    // The days of the promise do not count: the second reminder waits as many.
    office.day("2026-03-02").await;
    office.stands(ada, ChaseReason::ChaseNow, "600.00").await;
    office.chased("second_reminder", "600.00").await;

    // A part of it comes: the rest may be chased.
    office.day("2026-03-05").await;
    office.paid(DEBT, "250.00", "2026-03-05").await;
    // Before anybody has allocated it, and when Jo has.
    office.stands(ada, ChaseReason::Waiting, "350.00").await;
    office.allocate(item.document_id, "250.00").await;
    eventually("dunning knows it", DEADLINE, async || {
        let after = office.stands(ada, ChaseReason::Waiting, "350.00").await;
        after.open == gbp("350.00")
    })
    .await;

    // A hundred of it is in query: that is not.
    let case = OpenCase {
        command_id: CommandId::generate(),
        kind: CaseKind::Dispute,
        account_id: None,
        lines: vec![CaseLine {
            document_id: item.document_id,
            amount: Some(gbp("100.00")),
            lines: Vec::new(),
        }],
        reason_code: "price".to_owned(),
        reason: "the oak was not agreed".to_owned(),
        raised_at: None,
        processor: None,
        linked: None,
        person: person("jo", "controller"),
    };
    let case = office.gateway.ask(&case).await.unwrap().case;
    office.stands(ada, ChaseReason::Waiting, "250.00").await;
    office.day("2026-03-09").await;
    office.chased("call", "250.00").await;

    // A breathing space: nothing at all, and the days do not count.
    office.day("2026-03-11").await;
    let space = PlaceHold {
        command_id: CommandId::generate(),
        kind: HoldKind::BreathingSpace,
        account_id: ada,
        debtor_ref: None,
        documents: vec![item.document_id],
        starts_on: None,
        ends_on: None,
        review_on: None,
        cut_off_on: None,
        owner: None,
        reference: Some("BSS-123".to_owned()),
        reason: "told by the Insolvency Service".to_owned(),
        person: person("jo", "controller"),
    };
    let space = office.gateway.ask(&space).await.unwrap();
    assert_eq!(space.ends_on.unwrap().to_string(), "2026-05-09");
    office.day("2026-04-01").await;
    office.stands(ada, ChaseReason::OnHold, "0.00").await;
    office.nobody(ChaseReason::OnHold).await;

    // The query was theirs to lose: all that is left is owed again, later.
    let reject = StepCase {
        command_id: CommandId::generate(),
        case_id: case.case_id,
        version: None,
        step: CaseStep::Resolve {
            credits: Vec::new(),
        },
        reason: "the order names the oak".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&reject).await.unwrap();

    // After its last day it goes on where it stopped: the call was made, so the final
    // demand is next: on the 35th day after the due day, later by the 13 days of the
    // promise and the 60 of the breathing space.
    office.day("2026-05-10").await;
    eventually("the breathing space is over", DEADLINE, async || {
        let ask = ListHolds {
            account_id: Some(ada),
            state: Some(HoldState::Ended),
            person: person("jo", "controller"),
            page: PageRequest::default(),
        };
        office.gateway.ask(&ask).await.unwrap().items.len() == 1
    })
    .await;
    office.day("2026-05-18").await;
    office.stands(ada, ChaseReason::Waiting, "350.00").await;
    office.day("2026-05-19").await;
    office.stands(ada, ChaseReason::ChaseNow, "350.00").await;
    office.chased("final_demand", "350.00").await;

    // A fortnight later, the letter of claim of the Pre-Action Protocol, once there
    // are the forms that must go with it.
    office.day("2026-06-02").await;
    office
        .stands(ada, ChaseReason::EnclosuresMissing, "350.00")
        .await;
    let forms = "with f as (
           insert into dunning.archive (sha256, media_type, bytes, recorded_at)
           select encode(sha256(b), 'hex'), 'application/pdf', b, now() from (select '%PDF-1.7'::bytea as b) x
           returning sha256)
         insert into dunning.edition (edition_id, kind, name, version, state, title, valid_from, body, sha256, drafted_by,
           drafted_at, reason)
         select gen_random_uuid(), 'enclosure', n, 1, 'published', n, '2026-01-01',
           jsonb_build_object('file_sha256', f.sha256), f.sha256, 'user:sam', now(), 'the official ones'
         from f, unnest(array['information_sheet', 'reply_form', 'financial_statement']) n";
    sqlx::query(forms)
        .execute(office.suite.admin_pool())
        .await
        .unwrap();
    let item = office.stands(ada, ChaseReason::ChaseNow, "350.00").await;
    assert_eq!(item.next_stage.as_deref(), Some("letter_of_claim"));
    office.chased("letter_of_claim", "350.00").await;
    let stages: Vec<String> = sqlx::query_scalar(
        "select stage from dunning.contact where account_ref = 'REED01' and stage is not null order by at",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(
        stages,
        [
            "reminder",
            "second_reminder",
            "call",
            "final_demand",
            "letter_of_claim"
        ]
    );
    let detail = office
        .gateway
        .ask(&GetCase {
            case: CaseKey::Id(case.case_id),
        })
        .await
        .unwrap();
    assert!(detail.case.disputed.is_zero());

    // E78: nothing on credit since the final demand. A cheque lifts that, and when it
    // bounces it is back.
    let demanded = "2026-05-19".parse().unwrap();
    office.credit_stopped(ada, Some(demanded)).await;
    office.day("2026-06-03").await;
    let mut cheque = receipt(DEBT, "350.00");
    cheque.scheme = Some("cheque".into());
    cheque.booked_on = "2026-06-03".parse().unwrap();
    cheque.value_on = cheque.booked_on;
    let paid = office.suite.publish_receipt("cheque", &cheque);
    paid.await;
    office.credit_stopped(ada, None).await;
    let bounced_on = "2026-06-05".parse().unwrap();
    office.day("2026-06-05").await;
    let bounced = BankReceipt {
        direction: Direction::Debit,
        scheme: Some("cheque_return".into()),
        return_reason: Some("refer to drawer".into()),
        bank_reference: format!("RTN-{}", cheque.bank_reference),
        booked_on: bounced_on,
        value_on: bounced_on,
        ..cheque
    };
    office.suite.publish_receipt("bounced", &bounced).await;
    office.credit_stopped(ada, Some(bounced_on)).await;
}
