//! Projections built anew while they are live (E104), and the conservation
//! check over all services.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a helper of a test fails the test"
)]

mod stage;

use contracts::{
    Role,
    allocation::{DocumentPosted, ReceiptPosted},
    api::{
        ControlTotals, CurrencyTotals, RefusalClass,
        allocation::GetAllocationTotals,
        ingestion::GetIngestionTotals,
        reporting::{
            CheckInvariants, GetAgedDebt, GetRebuild, GetUnallocated, RebuildProjections,
            RebuildView,
        },
    },
};
use kernel::{Currency, Money};
use messaging::Host;
use stage::{Debtor, Stage, at, day, debtor, line, posted, pounds};
use testkit::{DEADLINE, eventually_some};

async fn rebuilt(stage: &Stage, verify: bool) -> RebuildView {
    stage
        .ask(&RebuildProjections {
            verify,
            actor: "ops".into(),
        })
        .await;
    eventually_some("the rebuild has ended", DEADLINE, async || {
        let view = stage.ask(&GetRebuild {}).await;
        (view.state != "running").then_some(view)
    })
    .await
}

async fn execute(stage: &Stage, statement: &'static str) {
    sqlx::query(statement)
        .execute(stage.suite.admin_pool())
        .await
        .unwrap();
}

async fn count(stage: &Stage, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement)
        .fetch_one(stage.suite.admin_pool())
        .await
        .unwrap()
}

fn sale(debtor: Debtor, n: u32) -> (DocumentPosted, ReceiptPosted) {
    let invoice = debtor.document(&format!("INV-{n}"), day(2026, 1, 5), pounds("100.00"));
    let lines = vec![line(&invoice, pounds("75.00"), day(2026, 1, 20))];
    let receipt = posted(Some(debtor), day(2026, 1, 20), pounds("80.00"), lines);
    (invoice, receipt)
}

/// E104: verified while events go on arriving and while reports are read, and
/// replaced when the live projection is wrong.
#[tokio::test]
async fn e104_projections_are_rebuilt_beside_the_live_ones() {
    let mut stage = Stage::start().await;
    let idle = stage.ask(&GetRebuild {}).await;
    assert_eq!(idle.state, "idle");
    let acme = debtor(1);
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    for n in 0..40 {
        let (invoice, receipt) = sale(acme, n);
        stage.say(&invoice).await;
        stage.say(&receipt).await;
    }
    // Taken in or not: the rebuild does not wait for the live consumer.
    let view = rebuilt(&stage, true).await;
    assert_eq!((view.state.as_str(), &view.differences), ("same", &vec![]));
    assert_eq!((view.events, view.events_total), (81, 81));
    stage.heard().await;
    let truth = stage.ask(&GetAgedDebt::default()).await;
    let cash = stage.ask(&GetUnallocated::default()).await;
    assert_eq!(truth.totals[0].total, pounds("1000.00"));

    // While a rebuild runs, events arrive, and the reports are read.
    stage
        .ask(&RebuildProjections {
            verify: true,
            actor: "ops".into(),
        })
        .await;
    for n in 40..60 {
        let (invoice, receipt) = sale(acme, n);
        stage.say(&invoice).await;
        stage.say(&receipt).await;
        assert!(!stage.ask(&GetAgedDebt::default()).await.totals.is_empty());
    }
    let view = eventually_some("the rebuild has ended", DEADLINE, async || {
        let view = stage.ask(&GetRebuild {}).await;
        (view.state != "running").then_some(view)
    })
    .await;
    assert_eq!(view.state, "same", "{view:?}");
    stage.heard().await;
    assert_eq!(
        count(&stage, "select count(*) from reporting.document_1").await,
        0
    );

    // Somebody's hand in the database: a row lost, a figure changed, a row made up.
    execute(&stage, "delete from reporting.allocation where allocation_id = (select min(allocation_id::text)::uuid from reporting.allocation)").await;
    execute(
        &stage,
        "update reporting.document set amount = 1 where document_ref = 'INV-3'",
    )
    .await;
    execute(&stage, "insert into reporting.account select generation, gen_random_uuid(), 1, 'GHOST', 'Ghost', kind, parent_ref, terms_days, currency, email, phone, segment, department, principal, recorded_at, actor, event_id from reporting.account limit 1").await;
    let view = rebuilt(&stage, true).await;
    assert_eq!(view.state, "different", "{view:?}");
    let found: Vec<_> = view
        .differences
        .iter()
        .filter_map(|d| d.split(':').next())
        .collect();
    assert_eq!(found, ["account", "document", "allocation"], "{view:?}");
    assert!(view.differences[1].contains("INV-3"), "{view:?}");
    // Only verified: nothing has changed yet.
    assert_eq!(
        count(&stage, "select generation::bigint from reporting.live").await,
        0
    );

    let view = rebuilt(&stage, false).await;
    assert_eq!(
        (view.state.as_str(), view.differences.len()),
        ("replaced", 3)
    );
    assert_eq!(
        count(&stage, "select generation::bigint from reporting.live").await,
        1
    );
    assert_eq!(
        count(&stage, "select count(*) from reporting.document_0").await,
        0
    );
    let report = stage
        .ask(&GetAgedDebt {
            known_at: Some(truth.known_at),
            ..GetAgedDebt::default()
        })
        .await;
    assert_eq!(report.totals[0].total, pounds("1500.00"));
    assert!(cash.totals[0].is_positive());

    // The live consumer goes on in the new generation, and a rebuild goes back.
    let (invoice, receipt) = sale(acme, 60);
    stage.say(&receipt).await;
    stage.say(&invoice).await;
    stage.heard().await;
    let report = stage.ask(&GetAgedDebt::default()).await;
    assert_eq!(report.totals[0].total, pounds("1525.00"));
    assert_eq!(
        rebuilt(&stage, false).await.differences,
        Vec::<String>::new()
    );
    assert_eq!(
        count(&stage, "select generation::bigint from reporting.live").await,
        0
    );
    assert_eq!(rebuilt(&stage, true).await.state, "same");
}

#[tokio::test]
async fn one_rebuild_runs_at_a_time_and_one_that_died_is_told() {
    let stage = Stage::start().await;
    // Another process has the right to rebuild, as far as the database knows.
    let mut other = stage
        .suite
        .pool(Role::Reporting)
        .acquire()
        .await
        .unwrap()
        .detach();
    let locked: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(0x5245_504f_0002_i64)
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert!(locked);
    execute(
        &stage,
        "insert into reporting.rebuild (rebuild_id, verify, actor, state, events, events_total, started_at) \
         values (gen_random_uuid(), true, 'ops', 'running', 5, 9, '2026-06-30T12:00:00Z')",
    )
    .await;
    assert_eq!(stage.ask(&GetRebuild {}).await.state, "running");
    let refusal = stage
        .try_ask(&RebuildProjections {
            verify: true,
            actor: "ops".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.class),
        ("reporting.rebuild_running", RefusalClass::Conflict)
    );

    // It dies.
    drop(other);
    let view = eventually_some("the death is noticed", DEADLINE, async || {
        let view = stage.ask(&GetRebuild {}).await;
        (view.state == "failed").then_some(view)
    })
    .await;
    assert_eq!(view.differences, ["the process that rebuilt it ended"]);
    assert_eq!(rebuilt(&stage, true).await.state, "same");
}

/// The stream keeps facts for a time only: what it has forgotten must not be
/// forgotten here.
#[tokio::test]
async fn a_stream_without_its_beginning_replaces_nothing() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    for n in 0..2 {
        stage.say(&sale(acme, n).0).await;
    }
    stage.heard().await;
    let name = stage.suite.prefix().stream("ALLOCATION");
    let stream = stage.suite.jetstream().get_stream(name).await.unwrap();
    stream.delete_message(1).await.unwrap();
    let refusal = stage
        .try_ask(&RebuildProjections {
            verify: false,
            actor: "ops".into(),
        })
        .await
        .unwrap_err();
    assert_eq!(refusal.code, "reporting.stream_incomplete");
    let view = rebuilt(&stage, true).await;
    assert_eq!(view.state, "different");
    assert!(
        view.differences[0].contains("1 rows only in the live projection"),
        "{view:?}"
    );
}

fn totals(of: CurrencyTotals, unpublished: i64) -> ControlTotals {
    ControlTotals {
        currencies: vec![of],
        client_money: Vec::new(),
        violations: Vec::new(),
        unpublished,
    }
}

fn nothing() -> CurrencyTotals {
    let zero = Money::zero(Currency::GBP);
    CurrencyTotals {
        currency: Currency::GBP,
        receipts: 0,
        received: zero,
        allocated: zero,
        outflows: zero,
        unallocated: zero,
        documents: 0,
        billed: zero,
        adjusted: zero,
        open: zero,
        debtors_control: zero,
        unallocated_control: zero,
    }
}

#[tokio::test]
async fn the_books_of_three_services_are_held_side_by_side() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    let (invoice, receipt) = sale(acme, 1);
    stage.say(&invoice).await;
    stage.say(&receipt).await;
    stage.heard().await;

    let of_ingestion = CurrencyTotals {
        receipts: 1,
        received: pounds("80.00"),
        documents: 1,
        billed: pounds("100.00"),
        ..nothing()
    };
    let of_allocation = CurrencyTotals {
        allocated: pounds("75.00"),
        unallocated: pounds("5.00"),
        open: pounds("25.00"),
        debtors_control: pounds("25.00"),
        unallocated_control: pounds("5.00"),
        ..of_ingestion.clone()
    };
    let _ingestion = stage
        .suite
        .run(Role::Ingestion, |bus| {
            Host::new(bus)
                .serve::<GetIngestionTotals, _, _>(move |_, _| {
                    let totals = totals(of_ingestion.clone(), 0);
                    async { Ok(totals) }
                })
                .run()
        })
        .await;
    let allocation = stage
        .suite
        .run(Role::Allocation, |bus| {
            let totals = totals(of_allocation.clone(), 0);
            Host::new(bus)
                .serve::<GetAllocationTotals, _, _>(move |_, _| {
                    let totals = totals.clone();
                    async { Ok(totals) }
                })
                .run()
        })
        .await;
    let report = eventually_some("all services tell their totals", DEADLINE, async || {
        stage.try_ask(&CheckInvariants {}).await.ok()
    })
    .await;
    assert!(report.holds && report.settled, "{report:#?}");
    assert!((1..=4).all(|n| report.checks.iter().any(|check| check.invariant == n)));
    allocation.stop().await;

    // A penny off, and a fact on its way: not settled, so nobody is blamed.
    let wrong = CurrencyTotals {
        debtors_control: pounds("25.01"),
        ..of_allocation
    };
    let _allocation = stage
        .suite
        .run(Role::Allocation, |bus| {
            Host::new(bus)
                .serve::<GetAllocationTotals, _, _>(move |_, _| {
                    let totals = totals(wrong.clone(), 1);
                    async { Ok(totals) }
                })
                .run()
        })
        .await;
    let report = eventually_some("all services tell their totals", DEADLINE, async || {
        stage.try_ask(&CheckInvariants {}).await.ok()
    })
    .await;
    assert!(!report.holds && !report.settled);
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.holds).collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].detail.contains("25.01"), "{broken:?}");
}
