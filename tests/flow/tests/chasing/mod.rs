//! An office that chases, for stories about it: all services on real servers, a
//! clock, a run from its scope to a second person's approval, cash, work.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, and none uses all of it"
)]

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Role,
    api::{
        PageRequest, Refusal,
        allocation::ListReceipts,
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        dunning::{
            DraftEnclosure, EditionKind, EditionStep, EnclosureRow, GetRun, GetStanding, HoldView,
            ItemStanding, ListEnclosures, ListHolds, ListRuns, ProposeRun, RunScope, RunStep,
            RunView, StepEdition, StepRun,
        },
        reporting::{AccountKey, GetAccount},
        worklist::{ListPeople, ListWork, WorkRow, WorkView},
    },
    controls::ApprovalId,
    dunning::{ChaseReason, HoldState, RunKind, RunState},
    inbound::{BillingAccount, BillingDocument, RemittanceLine, RemittanceText},
};
use dunning::{MailOptions, Options};
use kernel::{AccountId, CommandId, Currency, ManualClock, Money, london_date};
use messaging::Bus;
use runtime::local::MailSink;
use sha2::{Digest as _, Sha256};
use testkit::{DEADLINE, Running, Suite, eventually, eventually_some, receipt};

/// Dropped in this order: nobody works any more when the database goes.
pub(crate) struct Office {
    _services: Vec<Running>,
    pub(crate) gateway: Bus,
    pub(crate) suite: Suite,
    pub(crate) clock: ManualClock,
    pub(crate) post: MailSink,
    _post: tempfile::TempDir,
}

pub(crate) fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn person(name: &str, role: &str) -> Person {
    Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

pub(crate) fn by_mail(host: &str, port: u16) -> Options {
    Options {
        mail: Some(MailOptions {
            host: host.to_owned(),
            port,
            security: mail::Security::default(),
            credentials: None,
            idempotent: true,
            timeout: Duration::from_mins(1),
        }),
        ..Options::default()
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
    /// On a day at nine; e-mails go to a sink.
    pub(crate) async fn open(on: &str) -> Self {
        Self::open_with(on, None).await
    }

    /// The same, with another way for e-mails.
    pub(crate) async fn open_with(on: &str, options: Option<Options>) -> Self {
        let clock = ManualClock::new(format!("{on}T09:00:00Z").parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let dir = tempfile::tempdir().unwrap();
        let post = MailSink::start(dir.path()).await.unwrap();
        let sink = post.address();
        let options = options.unwrap_or_else(|| by_mail(&sink.ip().to_string(), sink.port()));
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
                && office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListPeople {}).await.is_ok()
                && office.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        office
    }

    /// Goes on to that day, nine in the morning, and the bank's file of the day comes.
    pub(crate) async fn day(&self, day: &str) {
        let at: DateTime<Utc> = format!("{day}T09:00:00Z").parse().unwrap();
        self.clock.set(at);
        let mut line = receipt(&format!("OTHER-{day}"), "1.00");
        line.booked_on = day.parse().unwrap();
        line.value_on = line.booked_on;
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
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

    pub(crate) async fn now(&self) -> DateTime<Utc> {
        self.suite.bus(Role::Dunning).await.now()
    }

    /// A payment of today that says what it is for, and is allocated to it.
    pub(crate) async fn paid(&self, reference: &str, lines: &[(&str, &str)]) {
        let sum = Money::sum(lines.iter().map(|line| gbp(line.1)), Currency::GBP).unwrap();
        let mut paid = receipt(reference, &sum.amount().to_string());
        paid.booked_on = london_date(self.now().await);
        paid.value_on = paid.booked_on;
        paid.remittance = Some(RemittanceText {
            unstructured: lines.iter().map(|line| line.0.to_owned()).collect(),
            structured: lines
                .iter()
                .map(|(document, amount)| RemittanceLine {
                    document_number: (*document).to_owned(),
                    amount: Some((*amount).to_owned()),
                    kind: None,
                })
                .collect(),
        });
        self.suite.publish_receipt(reference, &paid).await;
    }

    /// An account with documents, as dunning knows it.
    pub(crate) async fn debtor(
        &self,
        debtor: &BillingAccount,
        documents: &[BillingDocument],
    ) -> AccountId {
        let account_ref = debtor.account_ref.as_str();
        self.suite.publish_account(account_ref, debtor).await;
        for one in documents {
            self.suite.publish_document(&one.document_ref, one).await;
        }
        let id = eventually_some("the account is known", DEADLINE, async || {
            let key = AccountKey::Ref(account_ref.to_owned());
            let found = self.gateway.ask(&GetAccount { account: key }).await;
            found.ok().map(|view| view.account_id)
        })
        .await;
        self.knows(id, documents.len()).await;
        id
    }

    /// Dunning knows so many documents of an account.
    pub(crate) async fn knows(&self, account: AccountId, documents: usize) {
        eventually("dunning knows the documents", DEADLINE, async || {
            let known: i64 = sqlx::query_scalar(
                "select count(*) from dunning.item where account_id = $1 and open > 0",
            )
            .bind(account.as_uuid())
            .fetch_one(self.suite.admin_pool())
            .await
            .unwrap();
            usize::try_from(known).unwrap() == documents
        })
        .await;
    }

    /// The debt comes to stand so; what is chased may also be suspected to be in query.
    pub(crate) async fn stands(
        &self,
        account_id: AccountId,
        document: &str,
        reason: ChaseReason,
        chaseable: &str,
    ) -> ItemStanding {
        let wanted = gbp(chaseable);
        let mut last = None;
        let told = format!("{document}: {} of {chaseable}", reason.name());
        eventually_some(&told, DEADLINE, async || {
            let standing = self.gateway.ask(&GetStanding { account_id }).await.ok()?;
            let mut items = standing.items.into_iter();
            let item = items.find(|item| item.document_ref == document);
            if item != last {
                last.clone_from(&item);
                println!("{told}: {last:?}");
            }
            let is = |item: &ItemStanding| match item.reason {
                ChaseReason::SuspectedQuery => reason == ChaseReason::ChaseNow,
                other => reason == other,
            };
            item.filter(|item| is(item) && item.chaseable == wanted)
        })
        .await
    }

    async fn until(&self, run: &RunView, state: RunState) -> RunView {
        eventually_some("the run comes so far", DEADLINE, async || {
            let run = self.gateway.ask(&GetRun { run_id: run.run_id }).await;
            run.ok().filter(|run| run.state == state)
        })
        .await
    }

    /// Sam uploads every official form and Max publishes it: what letters of claim
    /// must have with them. What is in each.
    pub(crate) async fn publish_forms(&self) -> Vec<(String, Vec<u8>)> {
        let mut forms = Vec::new();
        for row in self.gateway.ask(&ListEnclosures {}).await.unwrap().items {
            let bytes = format!("%PDF-1.7 {}", row.title).into_bytes();
            self.upload(&row.enclosure, &bytes).await.unwrap();
            self.publish_form(&row.enclosure, 1).await;
            forms.push((row.enclosure, bytes));
        }
        forms
    }

    /// Sam uploads a form.
    pub(crate) async fn upload(
        &self,
        enclosure: &str,
        bytes: &[u8],
    ) -> Result<EnclosureRow, Refusal> {
        let ask = DraftEnclosure {
            command_id: CommandId::generate(),
            enclosure: enclosure.to_owned(),
            file_name: format!("{enclosure}.pdf"),
            sha256: hex::encode(Sha256::digest(bytes)),
            base64: BASE64_STANDARD.encode(bytes),
            valid_from: None,
            reason: "from the Ministry's page".to_owned(),
            person: person("sam", "team_leader"),
        };
        self.gateway.ask(&ask).await
    }

    /// Sam asks for it, and Max publishes it.
    pub(crate) async fn publish_form(&self, enclosure: &str, version: i32) {
        let ask = StepEdition {
            command_id: CommandId::generate(),
            kind: EditionKind::Enclosure,
            name: enclosure.to_owned(),
            version,
            step: EditionStep::Request,
            reason: "compared with the original".to_owned(),
            person: person("sam", "team_leader"),
        };
        let asked = self.gateway.ask(&ask).await.unwrap();
        self.say_yes(asked.approval_id.unwrap()).await;
        eventually("the form is in force", DEADLINE, async || {
            let all = self.gateway.ask(&ListEnclosures {}).await.unwrap().items;
            all.iter()
                .any(|row| row.enclosure == enclosure && row.version == Some(version))
        })
        .await;
    }

    /// Max approves what somebody else asked for.
    pub(crate) async fn say_yes(&self, approval_id: ApprovalId) {
        eventually("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.unwrap().items;
            all.iter().any(|one| one.approval_id == approval_id)
        })
        .await;
        let approve = DecideApproval {
            command_id: CommandId::generate(),
            approval_id,
            verdict: Verdict::Approve,
            reason: "looked through".to_owned(),
            person: person("max", "manager"),
        };
        self.gateway.ask(&approve).await.unwrap();
    }

    /// Jo works out who is written to today.
    pub(crate) async fn propose(&self) -> RunView {
        self.propose_of(RunKind::Reminders).await
    }

    /// The same of another kind.
    pub(crate) async fn propose_of(&self, kind: RunKind) -> RunView {
        let ask = ProposeRun {
            command_id: CommandId::generate(),
            kind,
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

    pub(crate) async fn step(&self, run: &RunView, step: RunStep) -> RunView {
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

    /// Max approves a run, and it is being sent.
    pub(crate) async fn approve(&self, run: &RunView) {
        let run = self.step(run, RunStep::Request).await;
        let asked = eventually_some("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.ok()?;
            let mut all = all.items.into_iter();
            all.find(|one| Some(one.approval_id) == run.approval_id)
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
    }

    /// Today's run, approved by Max: what each account was contacted about, and at
    /// which stage.
    pub(crate) async fn chased(&self) -> Vec<(String, String, String)> {
        let run = self.propose().await;
        self.approve(&run).await;
        self.sent(&run).await;
        sqlx::query_as(
            "select account_ref, stage, amounts->0->>'amount' from dunning.contact where run_id = $1 order by 1",
        )
        .bind(run.run_id.as_uuid())
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap()
    }

    pub(crate) async fn sent(&self, run: &RunView) {
        self.until(run, RunState::Sent).await;
    }

    /// What stands in a run for each account.
    pub(crate) async fn outcome(&self, run: &RunView) -> Vec<(String, String, Option<String>)> {
        sqlx::query_as(
            "select account_ref, state, note from dunning.run_account where run_id = $1 order by account_ref",
        )
        .bind(run.run_id.as_uuid())
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap()
    }

    pub(crate) async fn holds(&self, account: AccountId, role: &str) -> Vec<HoldView> {
        let ask = ListHolds {
            account_id: Some(account),
            state: Some(HoldState::Active),
            person: person("jo", role),
            page: PageRequest::default(),
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    async fn works(&self, kind: &str) -> Vec<WorkRow> {
        let ask = ListWork {
            view: WorkView::Team,
            actor: "user:max".to_owned(),
            kinds: vec![kind.to_owned()],
            ..ListWork::default()
        };
        let all = self.gateway.ask(&ask).await.unwrap().items;
        all.into_iter().filter(|row| row.kind == kind).collect()
    }

    pub(crate) async fn work(&self, kind: &str) -> WorkRow {
        eventually_some(&format!("work {kind}"), DEADLINE, async || {
            self.works(kind).await.pop()
        })
        .await
    }

    pub(crate) async fn no_work(&self, kind: &str) {
        eventually(&format!("{kind} has ended"), DEADLINE, async || {
            self.works(kind).await.is_empty()
        })
        .await;
    }
}
