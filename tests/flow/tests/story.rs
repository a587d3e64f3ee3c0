//! One debt's story through every service: short payment, dispute, warning,
//! escalation, credit note, and chased again by what is left.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::{DateTime, Utc};
use contracts::{
    Role,
    api::{
        allocation::{FindOpenItems, OpenItemView},
        controls::{self, DecideApproval, GetApproval, Verdict},
        disputes::{
            CaseDetail, CaseKey, CaseQueue, CaseStep, CreditLine, GetCase, ListCases, StepCase,
        },
        returns::{GetChaseable, OffsetDocuments, OffsetLine},
        worklist::{GetWork, ListPeople, ListWork, PutPerson, WorkRow, WorkView},
    },
    controls::{ApprovalId, ApprovalState},
    disputes::{CaseId, CaseState, Resolution},
    inbound::DocumentKind,
    rules::{Remainder, RemainderAction, RuleSet, When},
    worklist::{Person, SlaBreach, SlaState, WorkState},
};
use futures::StreamExt as _;
use kernel::{CommandId, Currency, ManualClock, Money};
use messaging::Bus;
use serde_json::Value;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt,
};

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn person(name: &str, role: &str) -> controls::Person {
    controls::Person {
        actor: format!("user:{name}"),
        roles: vec![role.to_owned()],
    }
}

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
}

impl Office {
    /// On Monday, 2 February 2026, ten in the morning; everything was due on
    /// Saturday. Jo does disputes.
    async fn open() -> Self {
        let clock = ManualClock::new(at("2026-02-02T10:00:00Z"));
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
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
        let office = Self {
            suite,
            gateway,
            clock,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListPeople {}).await.is_ok()
                && office.gateway.ask(&ListCases::default()).await.is_ok()
                && office.gateway.ask(&FindOpenItems::default()).await.is_ok()
        })
        .await;
        let jo = PutPerson {
            command_id: CommandId::generate(),
            person: Person {
                actor: "user:jo".into(),
                version: 0,
                name: "Jo".into(),
                roles: vec!["controller".into()],
                skills: vec!["disputes".into()],
                minutes: vec![360, 360, 360, 360, 360, 0, 0],
                answers_for_rest: true,
                active: true,
                absences: Vec::new(),
            },
            actor: "user:max".into(),
            reason: "joins".into(),
        };
        office.gateway.ask(&jo).await.unwrap();
        office
    }

    async fn short_is_disputed(&self) {
        let rules = RuleSet {
            name: "Short is disputed".into(),
            remainders: vec![Remainder {
                when: When::Under,
                percent: None,
                amounts: vec![],
                action: RemainderAction::Dispute,
                review: false,
            }],
            ..allocation::domain::rules::shipped().unwrap()
        };
        testkit::rules::enact(&self.gateway, rules).await;
    }

    async fn item(&self, document_ref: &str) -> OpenItemView {
        eventually_some(&format!("{document_ref} is open"), DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(document_ref.into()),
                ..FindOpenItems::default()
            };
            let found = self.gateway.ask(&ask).await.unwrap().items;
            found.into_iter().find(|i| i.document_ref == document_ref)
        })
        .await
    }

    /// What of a document may be chased comes to be `amount`.
    async fn chased(&self, item: &OpenItemView, amount: &str) {
        let wanted = gbp(amount);
        let what = format!("{amount} of {} may be chased", item.document_ref);
        eventually(&what, DEADLINE, async || {
            let ask = GetChaseable {
                account_id: item.account_id,
                items: vec![item.document_id],
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            now.items.iter().any(|i| i.chaseable == wanted)
        })
        .await;
    }

    async fn case(&self, case_id: CaseId) -> CaseDetail {
        let ask = GetCase {
            case: CaseKey::Id(case_id),
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn step(&self, case_id: CaseId, step: CaseStep, who: controls::Person) -> CaseDetail {
        let ask = StepCase {
            command_id: CommandId::generate(),
            case_id,
            version: None,
            step,
            reason: "looked into it".into(),
            person: who,
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    /// The work of a kind about a case, once there is such.
    async fn work(&self, kind: &str, case_ref: &str, view: WorkView) -> WorkRow {
        let what = format!("{kind} about {case_ref} in {view:?}");
        eventually_some(&what, DEADLINE, async || {
            let ask = ListWork {
                view,
                actor: "user:jo".into(),
                kinds: vec![kind.to_owned()],
                ..ListWork::default()
            };
            let listed = self.gateway.ask(&ask).await.unwrap().items;
            listed
                .into_iter()
                .find(|row| row.kind == kind && row.subject_ref == case_ref)
        })
        .await
    }

    async fn until(&self, row: &WorkRow, what: &str, is: impl Fn(&WorkRow) -> bool) -> WorkRow {
        eventually_some(what, DEADLINE, async || {
            let ask = GetWork {
                work_item_id: row.work_item_id,
            };
            Some(self.gateway.ask(&ask).await.unwrap().item).filter(|row| is(row))
        })
        .await
    }

    /// Payloads of a service's events of a kind, in the order of its outbox.
    async fn said(&self, role: &str, name: &str) -> Vec<Value> {
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select payload from {role}.outbox where event_type = $1 order by tx, seq"
        )))
        .bind(format!("counterfoil.{role}.{name}.v1"))
        .fetch_all(self.suite.admin_pool())
        .await
        .unwrap();
        rows.iter()
            .map(|payload| serde_json::from_str(payload).unwrap())
            .collect()
    }
}

/// The next that a dashboard hears of one work item.
async fn next_of(hears: &mut async_nats::Subscriber, row: &WorkRow) -> (String, SlaBreach) {
    loop {
        let message = tokio::time::timeout(DEADLINE, hears.next())
            .await
            .expect("nothing was heard")
            .unwrap();
        let breach: SlaBreach = serde_json::from_slice(&message.payload).unwrap();
        if breach.work_item == row.work_item_id {
            return (message.subject.to_string(), breach);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_payment_is_disputed_warned_escalated_credited_and_chased_by_the_rest() {
    let office = Office::open().await;
    let prefix = office.suite.prefix().clone();
    let mut hears = office
        .gateway
        .nats()
        .subscribe(prefix.subject("sla.>"))
        .await
        .unwrap();
    office.short_is_disputed().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office
        .suite
        .publish_document("INV-8001", &document("INV-8001", "ACME01", "1000.00"))
        .await;
    let invoice = office.item("INV-8001").await;
    office.chased(&invoice, "1000.00").await;

    // Paid short: what is missing is a case, held back, and somebody's work.
    let line = receipt("INV-8001", "800.00");
    office
        .suite
        .publish_receipt(&line.bank_reference, &line)
        .await;
    let opened = eventually_some("a case", DEADLINE, async || {
        let ask = ListCases {
            queue: Some(CaseQueue::New),
            document_id: Some(invoice.document_id),
            ..ListCases::default()
        };
        office.gateway.ask(&ask).await.unwrap().items.pop()
    })
    .await;
    let (id, case_ref) = (opened.case_id, opened.case_ref.clone());
    assert_eq!(opened.disputed, gbp("200.00"));
    office.chased(&invoice, "0.00").await;
    let work = office.work("dispute", &case_ref, WorkView::Team).await;
    assert_eq!(work.amount, Some(gbp("200.00")));
    assert_eq!(work.owner, "user:jo");
    assert_eq!(work.due_at, Some(at("2026-02-16T10:00:00Z")));

    // Seven working days: a warning. Ten: it is late. Eleven: the team leader.
    office.clock.set(at("2026-02-11T10:00:00Z"));
    let (subject, warning) = next_of(&mut hears, &work).await;
    assert_eq!(subject, prefix.subject("sla.warning.dispute"));
    assert_eq!(warning.subject_ref, case_ref);
    assert_eq!(warning.due_at, at("2026-02-16T10:00:00Z"));
    assert_eq!(warning.amount.as_deref(), Some("200.00"));
    office.clock.set(at("2026-02-16T10:00:00Z"));
    let (subject, breach) = next_of(&mut hears, &work).await;
    assert_eq!(subject, prefix.subject("sla.breached.dispute"));
    assert_eq!(breach.breached_at, at("2026-02-16T10:00:00Z"));
    office.clock.set(at("2026-02-17T10:00:00Z"));
    let late = office
        .until(&work, "it is escalated", |row| row.escalated == 1)
        .await;
    assert_eq!(late.sla, SlaState::Breached);
    assert!(late.score > work.score, "{} {}", late.score, work.score);
    let escalated = office.said("worklist", "work_escalated").await;
    let of_case: Vec<&Value> = escalated
        .iter()
        .filter(|said| said["subject_ref"] == case_ref.as_str())
        .collect();
    assert_eq!(of_case.len(), 1, "{escalated:#?}");
    assert_eq!(of_case[0]["to"], "team_leader");

    // Upheld in part: billing is asked for a quarter, the rest is chased at once.
    let assign = CaseStep::Assign {
        coordinator: Some("max".into()),
        processor: Some("jo".into()),
        responsible: None,
    };
    office.step(id, assign, person("jo", "controller")).await;
    let propose = CaseStep::Propose {
        credits: vec![CreditLine {
            document_id: invoice.document_id,
            amount: gbp("50.00"),
        }],
    };
    office.step(id, propose, person("jo", "controller")).await;
    office
        .step(id, CaseStep::Agree, person("max", "manager"))
        .await;
    office.chased(&invoice, "150.00").await;
    let asked = office.said("disputes", "credit_requested").await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["amount"]["amount"], "50.00");
    office
        .until(&work, "the dispute's work is over", |row| {
            row.state == WorkState::Closed
        })
        .await;
    let credit = office
        .work("credit_request", &case_ref, WorkView::Team)
        .await;
    assert_eq!(credit.amount, Some(gbp("50.00")));

    // The credit note ends the case and the work about it.
    let mut note = document("CN-8001", "ACME01", "50.00");
    note.kind = DocumentKind::CreditNote;
    note.payment_reference = Some(case_ref.clone());
    office.suite.publish_document("CN-8001", &note).await;
    let note = office.item("CN-8001").await;
    eventually("the case is closed", DEADLINE, async || {
        office.case(id).await.case.state == CaseState::Closed
    })
    .await;
    let closed = office.case(id).await;
    assert_eq!(closed.case.resolution, Some(Resolution::Part));
    assert_eq!(closed.items[0].item.credited, gbp("50.00"));
    assert_eq!(closed.items[0].released, gbp("150.00"));
    office
        .until(&credit, "the credit's work is over", |row| {
            row.state == WorkState::Closed
        })
        .await;
    let offset = OffsetDocuments {
        command_id: CommandId::generate(),
        account_id: invoice.account_id,
        lines: vec![
            OffsetLine {
                document_id: invoice.document_id,
                amount: gbp("50.00"),
            },
            OffsetLine {
                document_id: note.document_id,
                amount: gbp("-50.00"),
            },
        ],
        actor: "user:jo".into(),
        reason: "the credit of the dispute".into(),
    };
    office.gateway.ask(&offset).await.unwrap();
    eventually("150.00 is open", DEADLINE, async || {
        office.case(id).await.items[0].open == gbp("150.00")
    })
    .await;
    office.chased(&invoice, "150.00").await;

    // The last thing that was said of the work is that it is over.
    let told = office.said("worklist", "work_item_changed").await;
    let last = told
        .iter()
        .rev()
        .find(|said| said["work_item_id"] == work.work_item_id.to_string())
        .unwrap();
    assert_eq!(last["state"], "closed");
    assert_conserved(&office.suite).await;
}

/// A credit above what one person may give leaves only when a second person has
/// approved it; and a change meanwhile voids what was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_credit_waits_for_a_second_person_and_a_change_voids_it() {
    let office = Office::open().await;
    office.short_is_disputed().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office
        .suite
        .publish_document("INV-8101", &document("INV-8101", "ACME01", "2000.00"))
        .await;
    let invoice = office.item("INV-8101").await;
    office.chased(&invoice, "2000.00").await;
    let line = receipt("INV-8101", "500.00");
    office
        .suite
        .publish_receipt(&line.bank_reference, &line)
        .await;
    let id = eventually_some("a case", DEADLINE, async || {
        let ask = ListCases {
            queue: Some(CaseQueue::New),
            document_id: Some(invoice.document_id),
            ..ListCases::default()
        };
        office.gateway.ask(&ask).await.unwrap().items.pop()
    })
    .await
    .case_id;
    let assign = CaseStep::Assign {
        coordinator: Some("max".into()),
        processor: Some("jo".into()),
        responsible: None,
    };
    office.step(id, assign, person("jo", "controller")).await;
    let propose = |amount: &str| CaseStep::Propose {
        credits: vec![CreditLine {
            document_id: invoice.document_id,
            amount: gbp(amount),
        }],
    };
    let max = || person("max", "manager");
    let approval = async |approval_id: ApprovalId| {
        let ask = GetApproval {
            approval_id,
            person: person("fay", "cfo"),
        };
        eventually_some("worklist knows of it", DEADLINE, async || {
            office.gateway.ask(&ask).await.ok()
        })
        .await
    };
    let decide = async |approval_id: ApprovalId, who: controls::Person| {
        approval(approval_id).await;
        let ask = DecideApproval {
            command_id: CommandId::generate(),
            approval_id,
            verdict: Verdict::Approve,
            reason: "the price was wrong".into(),
            person: who,
        };
        office
            .gateway
            .ask(&ask)
            .await
            .map_err(|refusal| refusal.code)
    };
    let jo = || person("jo", "controller");
    office.step(id, propose("1200.00"), jo()).await;
    let asked = office.step(id, CaseStep::Agree, max()).await;
    assert_eq!(asked.case.state, CaseState::Proposed);
    let first = asked.proposal.unwrap().approval.unwrap();
    assert!(office.said("disputes", "credit_requested").await.is_empty());
    let shown = approval(first).await;
    assert_eq!(shown.approval.amount, gbp("1200.00"));
    assert_eq!(shown.content["credits"][0]["document"], "INV-8101");
    let own = decide(first, max()).await;
    assert_eq!(own.unwrap_err(), "worklist.own_request");

    // Another amount: nobody need decide the first any more.
    office.step(id, propose("1100.00"), jo()).await;
    eventually("the first is void", DEADLINE, async || {
        approval(first).await.approval.state == ApprovalState::Voided
    })
    .await;
    let asked = office.step(id, CaseStep::Agree, max()).await;
    let second = asked.proposal.unwrap().approval.unwrap();
    office.chased(&invoice, "0.00").await;
    decide(second, person("fay", "cfo")).await.unwrap();
    eventually("the case is settled", DEADLINE, async || {
        office.case(id).await.case.state == CaseState::Resolved
    })
    .await;
    let said = office.said("disputes", "credit_requested").await;
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["amount"]["amount"], "1100.00");
    assert_eq!(said[0]["actor"], "user:fay");
    office.chased(&invoice, "400.00").await;
    eventually("it is carried out", DEADLINE, async || {
        approval(second).await.approval.carried_out_at.is_some()
    })
    .await;

    // Rejected: somebody works on it again, and nothing is credited.
    office.step(id, CaseStep::Reopen, jo()).await;
    office.step(id, propose("1300.00"), jo()).await;
    let asked = office.step(id, CaseStep::Agree, max()).await;
    let third = asked.proposal.unwrap().approval.unwrap();
    approval(third).await;
    let reject = DecideApproval {
        command_id: CommandId::generate(),
        approval_id: third,
        verdict: Verdict::Reject,
        reason: "not without the delivery note".into(),
        person: person("fay", "cfo"),
    };
    office.gateway.ask(&reject).await.unwrap();
    eventually("it is worked on again", DEADLINE, async || {
        office.case(id).await.case.state == CaseState::Assigned
    })
    .await;
    assert_eq!(office.said("disputes", "credit_requested").await.len(), 1);
    office.chased(&invoice, "0.00").await;
    assert_conserved(&office.suite).await;
}
