//! Work and clocks on real servers: what opens, whose it is, when it is late,
//! who covers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Role,
    api::{
        PageRequest, Refusal,
        worklist::{
            ActOnWork, ApplyDayPlan, CountWork, EndCover, GetDayPlan, GetWork, ListDeadlines,
            ListPeople, ListPolicies, ListWork, NextStep, PlanAbsence, PutPerson, PutPolicy,
            PutPortfolioRule, WorkAction, WorkDetail, WorkRow, WorkView,
        },
    },
    catalogue::SLA,
    disputes::{CaseChanged, CaseId, CaseItem, CaseKind, CaseState},
    dunning::{ContactNotesErased, ContactRecorded},
    worklist::{
        CoverState, OwnerSource, Person, PortfolioRule, SlaBreach, SlaState, WorkItemId, WorkState,
    },
};
use kernel::{AccountId, CommandId, Currency, DocumentId, ManualClock, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};
use uuid::Uuid;

/// Monday, eleven in London.
const MONDAY: &str = "2026-06-29T10:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    worklist: Option<Running>,
    _services: Vec<Running>,
    gateway: Bus,
    clock: ManualClock,
    suite: Suite,
}

impl Office {
    /// With Jo, who does cash and disputes, and Sam, who answers for the rest.
    async fn open() -> Self {
        let clock = ManualClock::new(at(MONDAY));
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let mut office = Self {
            worklist: None,
            _services: services,
            gateway,
            clock,
            suite,
        };
        office.start().await;
        office.hires("jo", &["cash", "disputes"], false).await;
        office.hires("sam", &["chasing"], true).await;
        office
    }

    async fn start(&mut self) {
        let running = self.suite.run(Role::Worklist, worklist::run).await;
        self.worklist = Some(running);
        eventually("worklist answers", DEADLINE, async || {
            self.gateway.ask(&ListPeople {}).await.is_ok()
        })
        .await;
    }

    async fn stop(&mut self) {
        self.worklist.take().unwrap().stop().await;
    }

    async fn crash(&mut self) {
        self.worklist.take().unwrap().crash().await;
    }

    async fn hires(&self, name: &str, skills: &[&str], answers_for_rest: bool) {
        let person = Person {
            actor: format!("user:{name}"),
            version: 0,
            name: name.to_uppercase(),
            roles: vec!["payments_officer".into()],
            skills: skills.iter().map(|s| (*s).to_owned()).collect(),
            minutes: vec![360, 360, 360, 360, 360, 0, 0],
            answers_for_rest,
            active: true,
            absences: Vec::new(),
        };
        let ask = PutPerson {
            command_id: CommandId::generate(),
            person,
            actor: "user:max".into(),
            reason: "joins".into(),
        };
        self.gateway.ask(&ask).await.unwrap();
    }

    /// A payment that quotes `words`, and the work that it makes.
    async fn pays(&self, words: &str, amount: &str) -> WorkRow {
        let mut line = receipt(words, amount);
        line.booked_on = day("2026-06-29");
        line.value_on = line.booked_on;
        self.suite
            .publish_receipt(&line.bank_reference, &line)
            .await;
        let reference = line.bank_reference.clone();
        self.shown(move |row| row.subject_ref == reference).await
    }

    async fn shown(&self, is: impl Fn(&WorkRow) -> bool) -> WorkRow {
        eventually_some("the work is there", DEADLINE, async || {
            self.list(WorkView::Team, "user:jo")
                .await
                .into_iter()
                .find(|row| is(row))
        })
        .await
    }

    async fn list(&self, view: WorkView, actor: &str) -> Vec<WorkRow> {
        let ask = ListWork {
            view,
            actor: actor.to_owned(),
            ..ListWork::default()
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    async fn get(&self, id: WorkItemId) -> WorkDetail {
        let ask = GetWork { work_item_id: id };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn until(&self, what: &str, id: WorkItemId, is: impl Fn(&WorkRow) -> bool) -> WorkDetail {
        eventually_some(what, DEADLINE, async || {
            let detail = self.get(id).await;
            is(&detail.item).then_some(detail)
        })
        .await
    }

    async fn does(
        &self,
        who: &str,
        id: WorkItemId,
        action: WorkAction,
    ) -> Result<WorkRow, Refusal> {
        let ask = ActOnWork {
            command_id: CommandId::generate(),
            work_item_ids: vec![id],
            expected_version: None,
            actor: who.to_owned(),
            action,
        };
        Ok(self.gateway.ask(&ask).await?.items.remove(0))
    }

    /// Everything that dashboards could hear so far.
    async fn sla(&self) -> Vec<(String, SlaBreach)> {
        let name = self.suite.prefix().stream(SLA);
        let stream = self.suite.jetstream().get_stream(&name).await.unwrap();
        let mut told = Vec::new();
        for sequence in 1..=stream.cached_info().state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            let subject = self.suite.prefix().strip(&message.subject).unwrap();
            let breach = serde_json::from_slice(&message.payload).unwrap();
            told.push((subject.to_owned(), breach));
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unallocated_money_opens_work_with_owner_and_clock_and_allocation_closes_it() {
    let office = Office::open().await;
    let item = office.pays("INV-4711", "120.00").await;
    assert_eq!(item.kind, "unallocated_receipt");
    assert_eq!((item.state, item.version), (WorkState::Open, 1));
    assert_eq!(item.owner, "user:jo");
    assert_eq!(item.owner_source, OwnerSource::Skill);
    assert_eq!(item.amount, Some(gbp("120.00")));
    assert_eq!(item.sla, SlaState::Running);
    // A working day from eleven to eleven.
    assert_eq!(item.due_at, Some(at("2026-06-30T10:00:00Z")));
    assert_eq!(item.score, item.parts.iter().map(|p| p.points).sum::<i32>());
    // One that is allocated at once makes no work.
    office.suite.publish_account("a", &account("ACME01")).await;
    office
        .suite
        .publish_document("d1", &document("INV-4712", "ACME01", "80.00"))
        .await;
    let mut direct = receipt("INV-4712", "80.00");
    direct.booked_on = day("2026-06-29");
    direct.value_on = direct.booked_on;
    office
        .suite
        .publish_receipt(&direct.bank_reference, &direct)
        .await;
    // Its document comes: the cause is gone.
    office
        .suite
        .publish_document("d2", &document("INV-4711", "ACME01", "120.00"))
        .await;
    let detail = office
        .until("it is closed", item.work_item_id, |item| {
            item.state == WorkState::Closed
        })
        .await;
    assert_eq!(detail.item.sla, SlaState::Met);
    assert_eq!(detail.clocks.len(), 1);
    let steps: Vec<&str> = detail.history.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(
        (steps.first(), steps.last()),
        (Some(&"closed"), Some(&"opened"))
    );
    let due: Vec<WorkRow> = office.list(WorkView::Team, "user:jo").await;
    assert!(due.iter().all(|row| row.kind == "deadline"), "{due:#?}");
    let counts = office
        .gateway
        .ask(&CountWork {
            actor: "user:jo".into(),
            team: true,
        })
        .await
        .unwrap();
    assert_eq!(counts.due.count, due.len() as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_warns_and_breaches_once_each_across_restarts_and_outages() {
    let mut office = Office::open().await;
    let item = office.pays("nothing that we know", "75.00").await;
    // Deadlines have clocks, too: only this item's are looked at.
    let of = |told: Vec<(String, SlaBreach)>| -> Vec<(String, SlaBreach)> {
        told.into_iter()
            .filter(|(_, breach)| breach.work_item == item.work_item_id)
            .collect()
    };
    office.clock.set(at("2026-06-29T16:00:00Z"));
    let warned = eventually_some("it warns", DEADLINE, async || {
        Some(of(office.sla().await)).filter(|told| !told.is_empty())
    })
    .await;
    assert_eq!(warned[0].0, "sla.warning.unallocated_receipt");
    assert_eq!(warned[0].1.due_at, at("2026-06-30T10:00:00Z"));
    assert_eq!(warned[0].1.amount.as_deref(), Some("75.00"));
    assert_eq!(warned[0].1.owner.as_deref(), Some("user:jo"));
    assert_eq!(warned[0].1.policy, "receipt_processed.1");
    // Down when it is out of time: told late, once, with both times.
    office.crash().await;
    office.clock.set(at("2026-06-30T12:34:56Z"));
    office.start().await;
    let late = eventually_some("it breaches", DEADLINE, async || {
        Some(of(office.sla().await)).filter(|told| told.len() > 1)
    })
    .await;
    assert_eq!(late[1].0, "sla.breached.unallocated_receipt");
    assert_eq!(late[1].1.due_at, at("2026-06-30T10:00:00Z"));
    assert_eq!(late[1].1.breached_at, at("2026-06-30T12:34:56Z"));
    office.stop().await;
    office.start().await;
    // The ladder: a working day after.
    office.clock.set(at("2026-07-01T10:00:00Z"));
    let detail = office
        .until("it is escalated", item.work_item_id, |item| {
            item.escalated == 1
        })
        .await;
    assert_eq!(detail.item.sla, SlaState::Breached);
    let points = |detail: &WorkDetail| {
        let parts = detail.item.parts.iter();
        parts
            .filter(|p| p.part == "sla")
            .map(|p| p.points)
            .sum::<i32>()
    };
    assert!(points(&detail) > 0);
    let steps: Vec<&str> = detail
        .history
        .iter()
        .rev()
        .map(|step| step.step.as_str())
        .collect();
    assert_eq!(
        steps,
        ["opened", "sla_warning", "sla_breached", "escalated"]
    );
    let told = of(office.sla().await);
    assert_eq!(told.len(), 2, "{told:#?}");
}

/// A new version of a policy counts for clocks that start after it.
#[tokio::test(flavor = "multi_thread")]
async fn running_clocks_keep_the_version_of_their_policy() {
    let office = Office::open().await;
    let before = office.pays("first", "10.00").await;
    let all = office.gateway.ask(&ListPolicies {}).await.unwrap().items;
    let mut policy = all
        .into_iter()
        .find(|policy| policy.policy == "receipt_processed")
        .unwrap();
    policy.target = "30s".into();
    policy.warning = Some("10s".into());
    policy.calendar = "always".into();
    policy.ladder.clear();
    policy.valid_from = day("2026-06-29");
    let mut bad = policy.clone();
    bad.target = "soon".into();
    let put = |policy| PutPolicy {
        command_id: CommandId::generate(),
        policy,
        actor: "user:max".into(),
        reason: "a drill".into(),
    };
    let refused = office.gateway.ask(&put(bad)).await.unwrap_err();
    assert_eq!(refused.code, "worklist.bad_policy");
    let now = office.gateway.ask(&put(policy)).await.unwrap();
    assert_eq!(now.version, 2);
    let after = office.pays("second", "20.00").await;
    assert_eq!(after.due_at, Some(at("2026-06-29T10:00:30Z")));
    assert_eq!(before.due_at, Some(at("2026-06-30T10:00:00Z")));
    office.clock.set(at("2026-06-29T10:00:30Z"));
    // The morning's deadline has told its own.
    let of = |told: Vec<(String, SlaBreach)>| -> Vec<(String, SlaBreach)> {
        let mine = |breach: &SlaBreach| breach.work_item == after.work_item_id;
        told.into_iter().filter(|(_, one)| mine(one)).collect()
    };
    let told = eventually_some("dashboards are told", DEADLINE, async || {
        Some(of(office.sla().await)).filter(|told| told.len() > 1)
    })
    .await;
    let subjects: Vec<&str> = told.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "sla.warning.unallocated_receipt",
            "sla.breached.unallocated_receipt"
        ]
    );
    assert!(told.iter().all(|(_, b)| b.policy == "receipt_processed.2"));
}

fn case(version: i64, state: CaseState, since: &str) -> CaseChanged {
    CaseChanged {
        case_id: CaseId::from(Uuid::from_u128(5)),
        version,
        case_ref: "Q-000005".into(),
        kind: CaseKind::Dispute,
        state,
        from: None,
        step: "moved".into(),
        account_id: AccountId::from(Uuid::from_u128(6)),
        account_ref: "ACME01".into(),
        items: vec![CaseItem {
            document_id: DocumentId::from(Uuid::from_u128(7)),
            document_ref: "INV-1".into(),
            due_on: day("2026-05-31"),
            original: gbp("90.00"),
            disputed: gbp("90.00"),
            paid: gbp("0.00"),
            credited: gbp("0.00"),
            cleared: gbp("0.00"),
            written_off: gbp("0.00"),
        }],
        disputed: gbp("90.00"),
        reason_code: Some("price".into()),
        coordinator: None,
        processor: None,
        responsible: None,
        department: None,
        resolution: None,
        raised_at: at(MONDAY),
        since: at(since),
        related: None,
        cause: None,
        recorded_at: at(since),
        actor: "user:jo".into(),
        reason: "they called".into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_stands_still_while_the_customer_must_answer_and_only_then() {
    let office = Office::open().await;
    office
        .suite
        .publish_event(&case(1, CaseState::Confirmed, MONDAY))
        .await;
    let item = office.shown(|row| row.kind == "dispute").await;
    assert_eq!(item.subject_ref, "Q-000005");
    let due = item.due_at.unwrap();
    // One working day passes, then it is the customer's turn for two weeks.
    office.clock.set(at("2026-06-30T10:00:00Z"));
    let waits = case(3, CaseState::AwaitingCustomer, "2026-06-30T10:00:00Z");
    office.suite.publish_event(&waits).await;
    let id = item.work_item_id;
    let paused = office
        .until("it stands still", id, |item| item.sla == SlaState::Paused)
        .await;
    assert_eq!(paused.item.due_at, None);
    let why = paused.clocks[0].pause_reason.as_deref();
    assert_eq!(why, Some("awaiting_customer"));
    // What is older changes nothing any more (E100).
    let older = case(2, CaseState::AwaitingInternal, "2026-06-29T12:00:00Z");
    office.suite.publish_event(&older).await;
    office.clock.set(at("2026-07-14T10:00:00Z"));
    let again = case(4, CaseState::AwaitingInternal, "2026-07-14T10:00:00Z");
    office.suite.publish_event(&again).await;
    let runs = office
        .until("it goes on", id, |item| item.sla == SlaState::Running)
        .await;
    // Ten working days from the start, less the one that was used.
    assert_eq!(due, at("2026-07-13T10:00:00Z"));
    assert_eq!(runs.item.due_at, Some(at("2026-07-27T10:00:00Z")));
    let told = office.sla().await;
    assert!(told.iter().all(|(_, breach)| breach.kind != "dispute"));
    let ended = case(5, CaseState::Closed, "2026-07-15T10:00:00Z");
    office.suite.publish_event(&ended).await;
    let closed = office
        .until("it is closed", id, |item| item.state == WorkState::Closed)
        .await;
    assert_eq!(closed.item.sla, SlaState::Met);
}

/// E108: cover ends while work is in somebody's hands.
#[tokio::test(flavor = "multi_thread")]
async fn cover_moves_work_and_gives_it_back_with_what_has_changed_e108() {
    let office = Office::open().await;
    let in_hand = office.pays("one", "10.00").await.work_item_id;
    let left = office.pays("two", "20.00").await.work_item_id;
    let ended = office.pays("three", "30.00").await.work_item_id;
    let plan = PlanAbsence {
        command_id: CommandId::generate(),
        person: "user:jo".into(),
        from: day("2026-06-29"),
        to: day("2026-06-30"),
        covered_by: Some("user:sam".into()),
        actor: "user:max".into(),
        reason: "holiday".into(),
    };
    let planned = office.gateway.ask(&plan).await.unwrap();
    let cover = planned.cover.clone().unwrap();
    assert_eq!(cover.state, CoverState::Active);
    // The same command again changes nothing.
    assert_eq!(office.gateway.ask(&plan).await.unwrap(), planned);
    office.clock.set(at("2026-06-29T10:01:00Z"));
    for id in [in_hand, left, ended] {
        let item = office.get(id).await.item;
        assert_eq!(
            (item.owner.as_str(), item.holder.as_str()),
            ("user:jo", "user:sam")
        );
    }
    // What comes meanwhile goes to who covers, and stays Jo's to answer for.
    let came = office.pays("four", "40.00").await;
    assert_eq!(came.holder, "user:sam");
    office
        .does("user:sam", in_hand, WorkAction::Take)
        .await
        .unwrap();
    let done = WorkAction::Complete {
        outcome: "asked_payer".into(),
        note: "by e-mail".into(),
        next: NextStep::On(day("2026-07-10")),
    };
    office.does("user:sam", ended, done).await.unwrap();
    office.clock.set(at("2026-07-01T09:00:00Z"));
    for id in [left, ended, came.work_item_id] {
        office
            .until("it is back", id, |item| item.holder == "user:jo")
            .await;
    }
    let team = office.gateway.ask(&ListPeople {}).await.unwrap();
    let over = team
        .covers
        .iter()
        .find(|one| one.cover_id == cover.cover_id)
        .unwrap();
    assert_eq!(over.state, CoverState::Ended);
    let digest = over.digest.as_ref().unwrap();
    assert_eq!((digest.moved, digest.returned, digest.kept), (3, 3, 1));
    assert_eq!((digest.opened, digest.completed), (1, 1));
    assert!(
        digest.lines.iter().any(|line| line.contains("by e-mail")),
        "{digest:#?}"
    );
    // In Sam's hands until it is put down.
    assert_eq!(office.get(in_hand).await.item.holder, "user:sam");
    let item = office
        .does("user:sam", in_hand, WorkAction::PutDown)
        .await
        .unwrap();
    assert_eq!(item.holder, "user:jo");
    let again = EndCover {
        command_id: CommandId::generate(),
        cover_id: cover.cover_id,
        actor: "user:max".into(),
        reason: "once more".into(),
    };
    assert_eq!(
        office.gateway.ask(&again).await.unwrap_err().code,
        "worklist.cover_over"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_has_an_outcome_a_next_step_and_counts_once() {
    let office = Office::open().await;
    let item = office.pays("one", "10.00").await;
    let id = item.work_item_id;
    let code = |done: Result<WorkRow, Refusal>| done.unwrap_err().code;
    let end = |outcome: &str, next| WorkAction::Complete {
        outcome: outcome.into(),
        note: String::new(),
        next,
    };
    let never = end("asked_payer", NextStep::NoneBecause(String::new()));
    assert_eq!(
        code(office.does("user:jo", id, never).await),
        "worklist.next_step_needed"
    );
    let odd = end("abandoned", NextStep::On(day("2026-07-10")));
    assert_eq!(
        code(office.does("user:jo", id, odd).await),
        "worklist.outcome_needed"
    );
    let snooze = |until: &str| WorkAction::Snooze {
        until: day(until),
        reason: "their bank is closed".into(),
    };
    assert_eq!(
        code(office.does("user:jo", id, snooze("2026-06-29")).await),
        "worklist.day_passed"
    );
    // Snoozed, it is due again by comparison.
    office
        .does("user:jo", id, snooze("2026-07-01"))
        .await
        .unwrap();
    let snoozed = office.list(WorkView::Snoozed, "user:jo").await;
    assert!(snoozed.iter().any(|row| row.work_item_id == id));
    let mine = office.list(WorkView::Mine, "user:jo").await;
    assert!(mine.iter().all(|row| row.work_item_id != id));
    office.clock.set(at("2026-07-01T06:00:00Z"));
    let mine = office.list(WorkView::Mine, "user:jo").await;
    assert!(mine.iter().any(|row| row.work_item_id == id));
    // The same command twice counts once; a stale version is refused.
    let late = office
        .until("its clock has spoken", id, |item| {
            item.sla == SlaState::Breached
        })
        .await;
    let version = late.item.version;
    let ask = ActOnWork {
        command_id: CommandId::generate(),
        work_item_ids: vec![id],
        expected_version: Some(version),
        actor: "user:jo".into(),
        action: WorkAction::Rank {
            points: 20,
            reason: "the director asked".into(),
        },
    };
    let first = office.gateway.ask(&ask).await.unwrap();
    assert_eq!(office.gateway.ask(&ask).await.unwrap(), first);
    let stale = ActOnWork {
        command_id: CommandId::generate(),
        ..ask
    };
    assert_eq!(
        office.gateway.ask(&stale).await.unwrap_err().code,
        "worklist.item_moved"
    );
    let over = end(
        "asked_payer",
        NextStep::NoneBecause("they will refund it".into()),
    );
    let row = office.does("user:jo", id, over).await.unwrap();
    assert_eq!(row.state, WorkState::Done);
    assert_eq!(
        code(office.does("user:jo", id, WorkAction::Take).await),
        "worklist.item_ended"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn portfolios_and_the_plan_of_the_day_leave_nothing_to_nobody() {
    let office = Office::open().await;
    office
        .suite
        .publish_event(&case(1, CaseState::Confirmed, MONDAY))
        .await;
    let item = office.shown(|row| row.kind == "dispute").await;
    assert_eq!(item.owner, "user:jo");
    // The account's portfolio is known before the account is.
    let rule = PutPortfolioRule {
        command_id: CommandId::generate(),
        rule: PortfolioRule {
            rule_id: Uuid::now_v7(),
            owner: "user:sam".into(),
            account_ref: None,
            from_ref: Some("A".into()),
            to_ref: Some("B".into()),
            segment: None,
            department: None,
            ended: false,
        },
        actor: "user:max".into(),
        reason: "A to B".into(),
    };
    office.gateway.ask(&rule).await.unwrap();
    office.suite.publish_account("a", &account("ACME01")).await;
    let id = office.suite.publish_account("a2", &account("ACME02")).await;
    assert!(id.sequence > 0);
    // Work of a skill that nobody has falls to who answers for the rest.
    let unowned = office.list(WorkView::Unowned, "user:max").await;
    assert!(unowned.iter().all(|row| row.owner == "user:sam"));
    // Jo's day is full: what may be done by others goes to who can.
    office.hires("kim", &["cash"], false).await;
    for n in 0..3 {
        office.pays(&format!("p{n}"), "10.00").await;
    }
    let team = office.list(WorkView::Team, "user:max").await;
    assert!(team.iter().all(|row| !row.holder.is_empty()));
    office.hires("jo", &["cash", "disputes"], false).await;
    let plan = office.gateway.ask(&GetDayPlan {}).await.unwrap();
    assert_eq!(plan.looked_at, team.len() as i64);
    let planned: i64 = plan.people.iter().map(|p| p.items).sum();
    assert_eq!(planned + plan.left_over.count, plan.looked_at);
    let apply = ApplyDayPlan {
        command_id: CommandId::generate(),
        actor: "user:max".into(),
        reason: "the plan of the day".into(),
    };
    let after = office.gateway.ask(&apply).await.unwrap();
    assert!(after.moves.is_empty(), "{:#?}", after.moves);
    let deadlines = office
        .gateway
        .ask(&ListDeadlines {
            from: Some(day("2026-06-29")),
            to: Some(day("2026-06-30")),
        })
        .await
        .unwrap()
        .items;
    let cash = deadlines
        .iter()
        .find(|d| d.deadline == "expected_cash")
        .unwrap();
    // Ten in London had passed at eleven.
    assert_eq!(
        (cash.due_at, cash.state.as_str()),
        (at("2026-06-29T09:00:00Z"), "late")
    );
    let page = ListWork {
        view: WorkView::Team,
        actor: "user:max".into(),
        page: PageRequest {
            cursor: None,
            limit: Some(2),
        },
        ..ListWork::default()
    };
    let first = office.gateway.ask(&page).await.unwrap();
    let next = ListWork {
        page: PageRequest {
            cursor: first.next_cursor.clone(),
            limit: Some(200),
        },
        ..page
    };
    let rest = office.gateway.ask(&next).await.unwrap();
    assert_eq!(first.items.len() + rest.items.len(), team.len());
}

/// E103: somebody's words are erased where they were said. What was copied into
/// work, and what people wrote beside it, goes too; rows, states and times stay.
#[tokio::test(flavor = "multi_thread")]
async fn e103_words_about_somebody_are_gone_from_work_and_its_history() {
    let office = Office::open().await;
    let mut open = case(1, CaseState::Assigned, MONDAY);
    open.reason = "the customer called".into();
    office.suite.publish_event(&open).await;
    let item = office.shown(|row| row.subject_ref == "Q-000005").await;
    let id = item.work_item_id;
    let snooze = WorkAction::Snooze {
        until: day("2026-07-10"),
        reason: "Samantha is on leave".into(),
    };
    office.does("user:jo", id, snooze).await.unwrap();
    let rank = WorkAction::Rank {
        points: 5,
        reason: "Samantha will complain".into(),
    };
    office.does("user:jo", id, rank).await.unwrap();

    // A contact whose next step quotes what was said.
    let contact = serde_json::json!({
        "contact_id": Uuid::from_u128(50), "version": 1, "direction": "in", "channel": "phone", "state": "done",
        "account_id": Uuid::from_u128(6), "account_ref": "ACME01", "items": [], "outcome": "promised",
        "next_step": "ask again", "next_on": "2026-06-29", "at": MONDAY, "recorded_at": MONDAY, "actor": "user:jo",
        "reason": "Samantha rang",
    });
    let contact: ContactRecorded = serde_json::from_value(contact).unwrap();
    office.suite.publish_event(&contact).await;
    let next = office.shown(|row| row.kind == "follow_up").await;
    assert!(next.detail.contains("Samantha"));
    let other = office.pays("one", "10.00").await;
    let kept = WorkAction::Rank {
        points: 1,
        reason: "Tom asked for it".into(),
    };
    office
        .does("user:jo", other.work_item_id, kept)
        .await
        .unwrap();

    let named = async || -> i64 {
        sqlx::query_scalar(
            "select (select count(*) from worklist.work_item i where i::text ~* 'samantha')
               + (select count(*) from worklist.work_step s where s::text ~* 'samantha')",
        )
        .fetch_one(office.suite.admin_pool())
        .await
        .unwrap()
    };
    assert_eq!(named().await, 5);
    let steps = office.get(id).await.history.len();
    office
        .suite
        .publish_event(&case(2, CaseState::Closed, MONDAY))
        .await;
    office
        .until("it is over", id, |row| row.state == WorkState::Closed)
        .await;
    let mut erased = case(3, CaseState::Closed, MONDAY);
    erased.step = "words_erased".into();
    office.suite.publish_event(&erased).await;
    let notes = ContactNotesErased {
        erasure_id: Uuid::from_u128(60),
        account_id: AccountId::from(Uuid::from_u128(6)),
        account_ref: "ACME01".into(),
        debtor_ref: None,
        notes: 1,
        cause: None,
        recorded_at: at(MONDAY),
        actor: "user:max".into(),
        reason: "she asked for it".into(),
    };
    office.suite.publish_event(&notes).await;
    eventually("nobody is named", DEADLINE, async || named().await == 0).await;
    let gone = office.get(id).await;
    assert_eq!(gone.history.len(), steps + 1, "every line is there");
    assert_eq!(gone.item.score, office.get(id).await.item.score);
    let words: Vec<&str> = gone.history.iter().map(|s| s.reason.as_str()).collect();
    assert!(words.contains(&"erased"), "{words:?}");
    let still = office.get(other.work_item_id).await;
    assert!(still.history.iter().any(|s| s.reason == "Tom asked for it"));

    // Nothing else of the history can be changed, not even by the service.
    let pool = office.suite.pool(Role::Worklist);
    for sql in [
        "update worklist.work_step set reason = 'another'",
        "update worklist.work_step set actor = 'user:tom'",
        "delete from worklist.work_step",
    ] {
        assert!(sqlx::query(sql).execute(&pool).await.is_err(), "{sql}");
    }
}
