//! Dunning runs: whom to contact, frozen, approved by a second person, and what
//! makes them wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        PageRequest, Refusal,
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        disputes::{CaseLine, OpenCase},
        dunning::{
            EditRun, GetRun, GetStanding, ListRunAccounts, ListRuns, ProposeRun, RunAccount,
            RunAccountState, RunEdit, RunScope, RunStep, RunView, Standing, StepRun,
        },
        reporting::{AccountKey, GetAccount},
    },
    controls::ApprovalKind,
    disputes::CaseKind,
    dunning::{Channel, ChaseReason, RunState},
};
use kernel::{AccountId, CommandId, Currency, ManualClock, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
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

impl Office {
    /// On 2 March 2026: what was due on 31 January is a month late.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-03-02T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Disputes, disputes::run).await,
            suite.run(Role::Dunning, dunning::run).await,
            suite.run(Role::Worklist, worklist::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            clock,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListRuns::default()).await.is_ok()
                && office.gateway.ask(&waiting()).await.is_ok()
        })
        .await;
        office
    }

    /// A debtor with documents on the ledger, and dunning knows of them.
    async fn debtor(&self, account_ref: &str, documents: &[(&str, &str)]) -> AccountId {
        let mut debtor = account(account_ref);
        debtor.email = Some(format!("{}@example.invalid", account_ref.to_lowercase()));
        debtor.address = Some("1 High Street\nTown\nAB1 2CD".to_owned());
        debtor.phone = Some("020 7946 0000".to_owned());
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
        eventually("dunning knows the documents", DEADLINE, async || {
            self.standing(id).await.items.len() == documents.len()
        })
        .await;
        id
    }

    async fn standing(&self, account_id: AccountId) -> Standing {
        self.gateway.ask(&GetStanding { account_id }).await.unwrap()
    }

    async fn try_propose(&self, title: &str) -> Result<RunView, Refusal> {
        self.gateway
            .ask(&ProposeRun {
                kind: contracts::dunning::RunKind::Reminders,
                command_id: CommandId::generate(),
                as_of: None,
                title: title.to_owned(),
                scope: RunScope::default(),
                reason: "weekly".to_owned(),
                person: person("jo", "controller"),
            })
            .await
    }

    async fn propose(&self, title: &str) -> RunView {
        let run = self.try_propose(title).await.unwrap();
        self.until(&run, RunState::Proposed).await
    }

    async fn until(&self, run: &RunView, state: RunState) -> RunView {
        eventually_some("the run comes so far", DEADLINE, async || {
            let run = self.gateway.ask(&GetRun { run_id: run.run_id }).await;
            run.ok().filter(|run| run.state == state)
        })
        .await
    }

    async fn accounts(&self, run: &RunView) -> Vec<RunAccount> {
        let all = ListRunAccounts {
            excluded: None,
            run_id: run.run_id,
            state: None,
            reason: None,
            page: PageRequest::default(),
        };
        let mut accounts = self.gateway.ask(&all).await.unwrap().items;
        accounts.sort_by(|a, b| a.account_ref.cmp(&b.account_ref));
        accounts
    }

    async fn step(&self, run: &RunView, step: RunStep) -> Result<RunView, Refusal> {
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
    }

    async fn edit(&self, run: &RunView, account_id: AccountId, edit: RunEdit) -> RunAccount {
        self.gateway
            .ask(&EditRun {
                command_id: CommandId::generate(),
                run_id: run.run_id,
                account_id,
                edit,
                reason: "spoke to them".to_owned(),
                person: person("jo", "controller"),
            })
            .await
            .unwrap()
    }

    /// What worklist has been asked for this run, and waits for.
    async fn asked(&self, run: &RunView) -> contracts::api::controls::ApprovalView {
        eventually_some("worklist was asked", DEADLINE, async || {
            let all = self.gateway.ask(&waiting()).await.ok()?;
            all.items.into_iter().find(|one| {
                one.kind == ApprovalKind::DunningRun && Some(one.approval_id) == run.approval_id
            })
        })
        .await
    }

    async fn approve(&self, run: &RunView, who: &str) -> Result<(), Refusal> {
        let asked = self.asked(run).await;
        self.gateway
            .ask(&DecideApproval {
                command_id: CommandId::generate(),
                approval_id: asked.approval_id,
                verdict: Verdict::Approve,
                reason: "looked through".to_owned(),
                person: person(who, "manager"),
            })
            .await
            .map(drop)
    }
}

/// What a manager may decide.
fn waiting() -> ListApprovals {
    ListApprovals {
        queue: ApprovalQueue::default(),
        person: person("max", "manager"),
        page: PageRequest::default(),
    }
}

fn reasons(run: &RunView) -> Vec<(ChaseReason, i64)> {
    run.tally
        .iter()
        .map(|row| (row.reason, row.items))
        .collect()
}

#[tokio::test]
async fn a_run_is_proposed_frozen_approved_by_another_person_and_queued() {
    let office = Office::open().await;
    let first = office
        .debtor("RUN01", &[("INV-1", "100.00"), ("INV-2", "50.00")])
        .await;
    let second = office.debtor("RUN02", &[("INV-3", "10.00")]).await;
    let third = office.debtor("RUN03", &[("INV-4", "80.00")]).await;

    let run = office.propose("March, first").await;
    assert_eq!(
        reasons(&run),
        [(ChaseReason::BelowMinimum, 1), (ChaseReason::ChaseNow, 3)]
    );
    assert_eq!((run.contacts, run.unclassified), (2, 0));
    assert_eq!(run.amounts, [gbp("230.00")]);
    let accounts = office.accounts(&run).await;
    let states: Vec<_> = accounts.iter().map(|one| one.state).collect();
    assert_eq!(
        states,
        [
            RunAccountState::Proposed,
            RunAccountState::Excluded,
            RunAccountState::Proposed
        ]
    );
    assert_eq!(accounts[0].account_id, first);
    assert_eq!(accounts[0].channel, Some(Channel::Email));
    assert_eq!(accounts[0].stage.as_deref(), Some("reminder"));

    // What is in an open run is in no other.
    let other = office.propose("March, again").await;
    assert_eq!(
        reasons(&other),
        [(ChaseReason::InRun, 3), (ChaseReason::BelowMinimum, 1)]
    );
    let refused = office.step(&other, RunStep::Request).await.unwrap_err();
    assert_eq!(refused.code, "dunning.run_empty");
    office.step(&other, RunStep::Cancel).await.unwrap();

    // An edit takes the request back and freezes it anew.
    let asked = office.step(&run, RunStep::Request).await.unwrap();
    office.asked(&asked).await;
    let gone = office.edit(&run, third, RunEdit::Remove).await;
    assert_eq!(gone.state, RunAccountState::Removed);
    let edited = office.until(&run, RunState::Proposed).await;
    assert_ne!(edited.content_sha256, run.content_sha256);
    assert_eq!(
        (edited.contacts, &edited.amounts[..]),
        (1, &[gbp("150.00")][..])
    );
    let back = office.edit(&run, third, RunEdit::Restore).await;
    assert_eq!(back.state, RunAccountState::Proposed);
    let restored = office.until(&run, RunState::Proposed).await;
    assert_eq!(restored.content_sha256, run.content_sha256);
    office.edit(&run, third, RunEdit::Remove).await;

    let asked = office.step(&run, RunStep::Request).await.unwrap();
    let refused = office.approve(&asked, "jo").await.unwrap_err();
    assert!(
        refused.code.starts_with("worklist."),
        "nobody approves their own: {refused:?}"
    );
    office.approve(&asked, "max").await.unwrap();
    let sending = eventually_some("it is sent", DEADLINE, async || {
        let run = office
            .gateway
            .ask(&GetRun { run_id: run.run_id })
            .await
            .ok()?;
        matches!(run.state, RunState::Sending | RunState::Sent).then_some(run)
    })
    .await;
    assert_eq!(sending.approver.as_deref(), Some("user:max"));
    let accounts = office.accounts(&sending).await;
    assert!(!matches!(
        accounts[0].state,
        RunAccountState::Proposed | RunAccountState::Removed
    ));
    assert_eq!(accounts[1].account_id, second);
    assert_eq!(accounts[1].state, RunAccountState::Excluded);
    assert_eq!(accounts[2].state, RunAccountState::Removed);
}

/// E57: a run for a day before that of a later run, and for a day to come.
#[tokio::test]
async fn e57_no_run_for_an_earlier_day_than_a_later_one_or_for_tomorrow() {
    let office = Office::open().await;
    office.debtor("RUN11", &[("INV-11", "100.00")]).await;
    office.propose("today").await;
    let ask = |as_of: &str| ProposeRun {
        kind: contracts::dunning::RunKind::Reminders,
        command_id: CommandId::generate(),
        as_of: Some(as_of.parse().unwrap()),
        title: "other day".to_owned(),
        scope: RunScope::default(),
        reason: "weekly".to_owned(),
        person: person("jo", "controller"),
    };
    let earlier = office.gateway.ask(&ask("2026-03-01")).await.unwrap_err();
    assert_eq!(earlier.code, "dunning.later_run");
    let tomorrow = office.gateway.ask(&ask("2026-03-03")).await.unwrap_err();
    assert_eq!(tomorrow.code, "dunning.run_in_future");
}

/// E53, and a bank feed that is silent: what a query holds is not chased, and
/// nothing at all while nobody knows what has been paid.
#[tokio::test]
async fn e53_a_query_and_a_silent_bank_feed_are_reasons() {
    let office = Office::open().await;
    let debtor = office
        .debtor("RUN21", &[("INV-21", "100.00"), ("INV-22", "60.00")])
        .await;
    let items = office.standing(debtor).await.items;
    let query = items.iter().find(|i| i.document_ref == "INV-21").unwrap();
    office
        .gateway
        .ask(&OpenCase {
            command_id: CommandId::generate(),
            kind: CaseKind::Query,
            account_id: None,
            lines: vec![CaseLine {
                document_id: query.document_id,
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
    eventually("dunning heard of the query", DEADLINE, async || {
        let items = office.standing(debtor).await.items;
        items.iter().any(|item| item.reason == ChaseReason::InQuery)
    })
    .await;
    let run = office.propose("with a query").await;
    assert_eq!(
        reasons(&run),
        [(ChaseReason::InQuery, 1), (ChaseReason::ChaseNow, 1)]
    );
    assert_eq!(run.amounts, [gbp("60.00")]);
    office.step(&run, RunStep::Cancel).await.unwrap();

    // A receipt tells that the feed is alive; four days later it is not.
    office
        .suite
        .publish_receipt("R-1", &receipt("R-1", "5.00"))
        .await;
    eventually("the feed was heard of", DEADLINE, async || {
        let runs = office.gateway.ask(&ListRuns::default()).await.unwrap();
        runs.items.iter().all(|run| run.feed_age_hours == Some(0))
    })
    .await;
    office.clock.advance(TimeDelta::hours(97));
    let run = office.propose("four days later").await;
    assert!(
        reasons(&run).contains(&(ChaseReason::FeedStale, 1)),
        "{:?}",
        run.tally
    );
    assert_eq!(run.contacts, 0);
}
