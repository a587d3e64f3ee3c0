//! A payment plan's life: agreed, paid, paid in part and spread anew, missed, in
//! default; then chased again at the stage and by the days where it stopped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use chasing::{Office, day, gbp, person};
use contracts::{
    api::{
        disputes::{CaseLine, CaseStep, OpenCase, StepCase},
        dunning::{
            Every, GetPlan, OpenPlan, PlanStep, PlanView, PromisedLine, ProposePlan, StepPlan,
        },
    },
    disputes::CaseKind,
    dunning::{ChaseReason, PlanState},
    inbound::BillingAccount,
};
use kernel::{AccountId, CommandId, DocumentId};
use testkit::{DEADLINE, account, document, eventually, eventually_some};

fn reached() -> BillingAccount {
    BillingAccount {
        email: Some("accounts@acme.example".to_owned()),
        ..account("ACME01")
    }
}

async fn agree(
    office: &Office,
    account_id: AccountId,
    documents: &[DocumentId],
    total: &str,
    first_on: &str,
    count: u32,
) -> PlanView {
    let every = Every::Week;
    let proposed = ProposePlan {
        total: gbp(total),
        first_on: day(first_on),
        every,
        count,
    };
    let proposed = office.gateway.ask(&proposed).await.unwrap();
    let ask = OpenPlan {
        command_id: CommandId::generate(),
        account_id,
        lines: documents
            .iter()
            .map(|document_id| PromisedLine {
                document_id: *document_id,
                amount: None,
            })
            .collect(),
        instalments: proposed.instalments,
        every,
        method: None,
        reason: "a slow season".to_owned(),
        person: person("jo", "controller"),
    };
    let plan = office.gateway.ask(&ask).await.unwrap();
    assert_eq!(office.gateway.ask(&ask).await.unwrap(), plan);
    plan
}

fn step(plan: &PlanView, step: PlanStep) -> StepPlan {
    StepPlan {
        command_id: CommandId::generate(),
        plan_id: plan.plan_id,
        step,
        reason: "they asked for it".to_owned(),
        person: person("jo", "controller"),
    }
}

async fn until(
    office: &Office,
    plan: &PlanView,
    what: &str,
    is: impl Fn(&PlanView) -> bool,
) -> PlanView {
    let mut last = None;
    eventually_some(what, DEADLINE, async || {
        let ask = GetPlan {
            plan_id: plan.plan_id,
        };
        let now = office.gateway.ask(&ask).await.ok();
        if now != last {
            last.clone_from(&now);
            println!("{what}: {last:?}");
        }
        now.filter(|now| is(now))
    })
    .await
}

fn amounts(plan: &PlanView) -> Vec<String> {
    let amounts = plan.instalments.iter();
    amounts.map(|one| one.amount.amount().to_string()).collect()
}

/// E88, E89: the pence in the last instalment; a part payment is spread over what is
/// to come; two that are missed are a default, and all is owed at once, at the stage
/// that was reached, later by the days of the plan.
#[tokio::test(flavor = "multi_thread")]
async fn e88_e89_a_plan_from_its_schedule_to_its_default() {
    let office = Office::open("2026-02-01").await;
    let bills = [
        document("INV-P1", "ACME01", "300.00"),
        document("INV-P2", "ACME01", "200.02"),
    ];
    let acme = office.debtor(&reached(), &bills).await;
    office.day("2026-02-10").await;
    let one = office
        .stands(acme, "INV-P1", ChaseReason::ChaseNow, "300.00")
        .await;
    let two = office
        .stands(acme, "INV-P2", ChaseReason::ChaseNow, "200.02")
        .await;
    let chased = |stage: &str, amount: &str| {
        vec![("ACME01".to_owned(), stage.to_owned(), amount.to_owned())]
    };
    assert_eq!(office.chased().await, chased("reminder", "500.02"));

    office.day("2026-02-12").await;
    let documents = [one.document_id, two.document_id];
    let plan = agree(&office, acme, &documents, "500.02", "2026-02-19", 4).await;
    assert_eq!(amounts(&plan), ["125.00", "125.00", "125.00", "125.02"]);
    assert!(plan.interest_frozen);
    office
        .stands(acme, "INV-P1", ChaseReason::OnPlan, "0.00")
        .await;
    let none = office.gateway.ask(&step(&plan, PlanStep::Respread)).await;
    assert_eq!(none.unwrap_err().code, "dunning.nothing_missed");

    // The first is paid, the second in part only.
    office.day("2026-02-18").await;
    office.paid("PAY-1", &[("INV-P1", "125.00")]).await;
    until(&office, &plan, "the first is paid", |plan| {
        plan.instalments[0].received == gbp("125.00")
    })
    .await;
    office.day("2026-02-25").await;
    office.paid("PAY-2", &[("INV-P1", "100.00")]).await;
    let part = until(&office, &plan, "the second is paid in part", |plan| {
        plan.received == gbp("225.00")
    })
    .await;
    assert_eq!(
        (part.instalments[1].received, part.missed),
        (gbp("100.00"), 0)
    );
    // Its grace is over: missed, and spread over the two that are to come.
    office.day("2026-03-04").await;
    let missed = until(&office, &plan, "the second is missed", |plan| {
        plan.missed == 1
    })
    .await;
    assert_eq!(missed.state, PlanState::Active);
    let spread = step(&plan, PlanStep::Respread);
    let spread = office.gateway.ask(&spread).await.unwrap();
    assert_eq!(amounts(&spread), ["125.00", "100.00", "137.50", "137.52"]);
    assert_eq!((spread.missed, spread.amount), (0, gbp("500.02")));

    // Nothing more comes.
    office.day("2026-03-11").await;
    until(&office, &plan, "the third is missed", |plan| {
        plan.missed == 1 && plan.state == PlanState::Active
    })
    .await;
    office
        .stands(acme, "INV-P2", ChaseReason::OnPlan, "0.00")
        .await;
    office.day("2026-03-18").await;
    let over = until(&office, &plan, "the plan is in default", |plan| {
        plan.state == PlanState::Defaulted
    })
    .await;
    assert_eq!((over.missed, over.interest_frozen), (2, false));
    let work = office.work("plan_defaulted").await;
    assert_eq!(work.subject_id, plan.plan_id.as_uuid());

    // All of it is owed now. The second reminder waits for 7 days since the first, and
    // the 34 of the plan do not count: the 41st day.
    office
        .stands(acme, "INV-P1", ChaseReason::Waiting, "75.00")
        .await;
    office.day("2026-03-22").await;
    office
        .stands(acme, "INV-P2", ChaseReason::Waiting, "200.02")
        .await;
    office.day("2026-03-23").await;
    let item = office
        .stands(acme, "INV-P2", ChaseReason::ChaseNow, "200.02")
        .await;
    assert_eq!(item.stage.as_deref(), Some("reminder"));
    assert_eq!(office.chased().await, chased("second_reminder", "275.02"));
}

/// E90: what is in dispute is not expected while it is; when it is owed after all, a
/// plan whose days are over is in default by it, and it is chased.
#[tokio::test(flavor = "multi_thread")]
async fn e90_a_plan_over_an_invoice_that_comes_into_dispute() {
    let office = Office::open("2026-02-10").await;
    let bills = [
        document("INV-Q1", "ACME01", "300.00"),
        document("INV-Q2", "ACME01", "200.00"),
    ];
    let acme = office.debtor(&reached(), &bills).await;
    let one = office
        .stands(acme, "INV-Q1", ChaseReason::ChaseNow, "300.00")
        .await;
    let two = office
        .stands(acme, "INV-Q2", ChaseReason::ChaseNow, "200.00")
        .await;
    office.day("2026-02-12").await;
    let documents = [one.document_id, two.document_id];
    let plan = agree(&office, acme, &documents, "500.00", "2026-02-19", 2).await;
    office.day("2026-02-18").await;
    office.paid("PAY-1", &[("INV-Q1", "250.00")]).await;
    until(&office, &plan, "the first is paid", |plan| {
        plan.received == gbp("250.00")
    })
    .await;

    let case = OpenCase {
        command_id: CommandId::generate(),
        kind: CaseKind::Dispute,
        account_id: None,
        lines: vec![CaseLine {
            document_id: two.document_id,
            amount: Some(gbp("100.00")),
            lines: Vec::new(),
        }],
        reason_code: "price".to_owned(),
        reason: "not what was agreed".to_owned(),
        raised_at: None,
        processor: None,
        linked: None,
        person: person("jo", "controller"),
    };
    let case = office.gateway.ask(&case).await.unwrap().case;
    eventually("dunning knows of the dispute", DEADLINE, async || {
        let known: i64 =
            sqlx::query_scalar("select count(*) from dunning.stop where kind = 'query'")
                .fetch_one(office.suite.admin_pool())
                .await
                .unwrap();
        known == 1
    })
    .await;
    office.day("2026-02-25").await;
    let lines = [("INV-Q1", "50.00"), ("INV-Q2", "100.00")];
    office.paid("PAY-2", &lines).await;
    until(
        &office,
        &plan,
        "all that is not in dispute is paid",
        |plan| plan.received == gbp("400.00"),
    )
    .await;
    // Its last day is over, and nothing was missed.
    office.day("2026-03-04").await;
    eventually(
        "the plan was judged after its last day",
        DEADLINE,
        async || {
            let judged: bool = sqlx::query_scalar("select next_on is null from dunning.plan")
                .fetch_one(office.suite.admin_pool())
                .await
                .unwrap();
            judged
        },
    )
    .await;
    let now = until(&office, &plan, "it is not missed", |_| true).await;
    assert_eq!((now.state, now.missed), (PlanState::Active, 0));

    let reject = StepCase {
        command_id: CommandId::generate(),
        case_id: case.case_id,
        version: None,
        step: CaseStep::Resolve {
            credits: Vec::new(),
        },
        reason: "the order names the price".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&reject).await.unwrap();
    until(&office, &plan, "the plan is in default", |plan| {
        plan.state == PlanState::Defaulted && plan.missed == 1
    })
    .await;
    office.work("plan_defaulted").await;
    eventually("the rest may be chased", DEADLINE, async || {
        let ask = contracts::api::dunning::GetStanding { account_id: acme };
        let standing = office.gateway.ask(&ask).await.unwrap();
        standing
            .items
            .iter()
            .any(|item| item.document_ref == "INV-Q2" && item.chaseable == gbp("100.00"))
    })
    .await;
}
