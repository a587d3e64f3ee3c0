//! What the reports show, asked over the broker and answered from Postgres.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a helper of a test fails the test"
)]

mod stage;

use chrono::NaiveDate;
use contracts::{
    allocation::{
        AdjustmentKind, AdjustmentLine, AllocationUndone, OutflowKind, OutflowLine,
        ReceiptAllocated, ReceiptMoved, ReceiptPosted, ReceiptReduced, ReceiptState,
    },
    api::{
        PageRequest, RefusalClass,
        reporting::{
            AccountKey, AgedDebt, AgeingBasis, GetAccount, GetAgedDebt, GetAgedItems, GetLedger,
            GetTimeline, GetUnallocated, ListAccounts, TraceProjection,
        },
    },
};
use kernel::{AccountId, AdjustmentId, Currency, Money, OutflowId, ReceiptId};
use stage::{Debtor, Stage, adjusted, at, contra, day, debtor, line, moved, posted, pounds};

fn aged(as_of: NaiveDate) -> GetAgedDebt {
    GetAgedDebt {
        as_of: Some(as_of),
        ..GetAgedDebt::default()
    }
}

fn total(report: &AgedDebt) -> Money {
    report.totals[0].total
}

/// E106: a report asked for a moment before a back-dated correction shows what
/// was known then; asked again without it, what is known now. E27: the line
/// counts from its own day, not from when it was recorded.
#[tokio::test]
async fn e27_e106_a_back_dated_allocation_changes_what_is_known_and_not_what_was() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    let invoice = acme.document("INV-1", day(2026, 1, 5), pounds("100.00"));
    stage.say(&invoice).await;
    let receipt = posted(Some(acme), day(2026, 1, 20), pounds("60.00"), vec![]);
    stage.say(&receipt).await;
    // Found in March, effective from the day the money came.
    let found_on = at(2026, 3, 10, 15);
    let lines = vec![line(&invoice, pounds("60.00"), day(2026, 1, 20))];
    let later = moved(&receipt, 2, pounds("60.00"), Some(acme), lines, found_on);
    stage.say(&ReceiptAllocated(later)).await;
    stage.heard().await;

    let month_end = aged(day(2026, 1, 31));
    let then = GetAgedDebt {
        known_at: Some(at(2026, 2, 1, 9)),
        ..month_end.clone()
    };
    let then_known = stage.ask(&then).await;
    assert_eq!(total(&then_known), pounds("100.00"));
    assert_eq!(then_known.totals[0].unallocated, pounds("60.00"));
    let now_known = stage.ask(&month_end).await;
    assert_eq!(total(&now_known), pounds("40.00"));
    assert_eq!(now_known.totals[0].unallocated, pounds("0.00"));
    // Before the line's own day it counts in neither.
    let before = stage.ask(&aged(day(2026, 1, 19))).await;
    assert_eq!(total(&before), pounds("100.00"));
    assert_eq!(before.totals[0].unallocated, pounds("0.00"));

    // The unallocated report ties with the column.
    let cash = stage
        .ask(&GetUnallocated {
            as_of: then.as_of,
            known_at: then.known_at,
            ..GetUnallocated::default()
        })
        .await;
    assert_eq!(cash.totals, [pounds("60.00")]);
    assert_eq!(cash.rows.items[0].age_days, 11);
    assert_eq!(cash.rows.items[0].state, ReceiptState::Unallocated);
}

/// E47: what is undone after the period was closed is undone by a contra in the
/// open period, and the closed period's report prints the same, then-known and
/// now-known alike.
#[tokio::test]
async fn e47_a_later_contra_leaves_prior_reports_as_they_were() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    let invoice = acme.document("INV-1", day(2026, 1, 5), pounds("100.00"));
    stage.say(&invoice).await;
    let paid = line(&invoice, pounds("100.00"), day(2026, 1, 20));
    let receipt = posted(
        Some(acme),
        day(2026, 1, 20),
        pounds("100.00"),
        vec![paid.clone()],
    );
    stage.say(&receipt).await;
    let other = acme.document("INV-2", day(2026, 1, 6), pounds("7.00"));
    stage.say(&other).await;
    stage.heard().await;

    let closed = GetAgedDebt {
        known_at: Some(at(2026, 2, 1, 9)),
        ..aged(day(2026, 1, 31))
    };
    let printed = serde_json::to_vec(&stage.ask(&closed).await).unwrap();

    // In May the money goes back to unidentified, and the account has a new name.
    let undone = vec![contra(&paid, day(2026, 5, 2))];
    stage
        .say(&AllocationUndone(moved(
            &receipt,
            2,
            pounds("0.00"),
            None,
            undone,
            at(2026, 5, 2, 10),
        )))
        .await;
    stage
        .say(&acme.updated(2, "Acme (in administration)", at(2026, 5, 2, 10)))
        .await;
    stage.heard().await;

    let again = stage.ask(&closed).await;
    assert_eq!(serde_json::to_vec(&again).unwrap(), printed);
    let now_known = stage.ask(&aged(day(2026, 1, 31))).await;
    assert_eq!(total(&now_known), pounds("7.00"));
    assert_eq!(now_known.rows.items[0].name, "Acme (in administration)");
    let today = stage.ask(&GetAgedDebt::default()).await;
    assert_eq!(today.as_of, day(2026, 7, 1));
    assert_eq!(total(&today), pounds("107.00"));
    // Nobody's money is on no account's row, but in the unallocated report.
    assert_eq!(today.totals[0].unallocated, pounds("0.00"));
    let cash = stage.ask(&GetUnallocated::default()).await;
    assert_eq!(cash.totals, [pounds("100.00")]);
    assert_eq!(cash.rows.items[0].state, ReceiptState::Unidentified);

    let trace = stage
        .ask(&TraceProjection {
            receipt_id: receipt.receipt_id,
        })
        .await;
    assert_eq!(
        (trace.version, trace.state),
        (2, ReceiptState::Unidentified)
    );
    let kinds: Vec<_> = trace.movements.iter().map(|m| m.kind.as_str()).collect();
    assert_eq!(kinds, ["receipt", "allocation", "undo"]);
    assert_eq!(
        trace.movements[2].reason.as_deref(),
        Some("a person said so")
    );
}

/// E32: a payment that the bank takes back opens its invoice again, revokes the
/// discount that came with it, and leaves nothing unallocated.
#[tokio::test]
async fn a_returned_payment_restores_the_debt_from_its_day_on() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    let invoice = acme.document("INV-1", day(2026, 1, 5), pounds("100.00"));
    stage.say(&invoice).await;
    let paid = line(&invoice, pounds("97.50"), day(2026, 1, 20));
    let discount = adjusted(
        &invoice,
        AdjustmentKind::Discount,
        pounds("2.50"),
        day(2026, 1, 20),
    );
    let receipt = ReceiptPosted {
        adjustments: vec![discount.clone()],
        ..posted(
            Some(acme),
            day(2026, 1, 20),
            pounds("97.50"),
            vec![paid.clone()],
        )
    };
    stage.say(&receipt).await;
    stage.heard().await;
    let before = stage.ask(&aged(day(2026, 1, 19))).await;
    assert_eq!(total(&before), pounds("100.00"));
    let paid_up = stage.ask(&aged(day(2026, 1, 20))).await;
    assert!(paid_up.totals.is_empty(), "{paid_up:?}");

    let undone = moved(
        &receipt,
        2,
        pounds("0.00"),
        Some(acme),
        vec![contra(&paid, day(2026, 1, 25))],
        at(2026, 1, 25, 10),
    );
    stage
        .say(&ReceiptReduced(ReceiptMoved {
            state: ReceiptState::PaidOut,
            unallocated: pounds("0.00"),
            adjustments: vec![AdjustmentLine {
                adjustment_id: AdjustmentId::generate(),
                amount: discount.amount.neg(),
                effective_on: day(2026, 1, 25),
                contra_of: Some(discount.adjustment_id),
                ..discount.clone()
            }],
            outflows: vec![OutflowLine {
                outflow_id: OutflowId::generate(),
                kind: OutflowKind::Returned,
                amount: pounds("97.50"),
                effective_on: day(2026, 1, 25),
                contra_of: None,
                cause: None,
            }],
            ..undone
        }))
        .await;
    stage.heard().await;
    let still = stage.ask(&aged(day(2026, 1, 24))).await;
    assert!(still.totals.is_empty(), "{still:?}");
    let again = stage.ask(&aged(day(2026, 1, 25))).await;
    assert_eq!(total(&again), pounds("100.00"));
    let cash = stage.ask(&GetUnallocated::default()).await;
    assert!(cash.rows.items.is_empty(), "{cash:?}");

    let ledger = stage
        .ask(&GetLedger {
            account_id: acme.id,
            open_only: false,
            page: PageRequest::default(),
        })
        .await;
    let sum = Money::sum(ledger.items.iter().map(|l| l.amount), Currency::GBP).unwrap();
    assert_eq!(sum, pounds("100.00"), "{ledger:#?}");
    let trace = stage
        .ask(&TraceProjection {
            receipt_id: receipt.receipt_id,
        })
        .await;
    let kinds: Vec<_> = trace.movements.iter().map(|m| m.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "receipt",
            "allocation",
            "adjustment",
            "undo",
            "adjustment",
            "outflow"
        ]
    );
    assert_eq!(trace.state, ReceiptState::PaidOut);
}

/// A payment for an invoice that is not issued yet is still cash until it is.
#[tokio::test]
async fn a_payment_in_advance_is_unallocated_until_its_document_is_issued() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    let mut invoice = acme.document("INV-1", day(2026, 2, 10), pounds("100.00"));
    invoice.recorded_at = at(2026, 1, 3, 9);
    stage.say(&invoice).await;
    let lines = vec![line(&invoice, pounds("100.00"), day(2026, 2, 10))];
    stage
        .say(&posted(
            Some(acme),
            day(2026, 1, 20),
            pounds("100.00"),
            lines,
        ))
        .await;
    stage.heard().await;

    let before = stage.ask(&aged(day(2026, 2, 9))).await;
    assert_eq!(
        (total(&before), before.totals[0].unallocated),
        (pounds("0.00"), pounds("100.00"))
    );
    let after = stage.ask(&aged(day(2026, 2, 10))).await;
    assert!(
        after.totals.is_empty() && after.rows.items.is_empty(),
        "{after:?}"
    );
}

#[tokio::test]
async fn buckets_bases_and_filters() {
    let mut stage = Stage::start().await;
    let (acme, beta) = (debtor(1), debtor(2));
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    stage
        .say(&beta.updated(1, "Beta 100%_sure plc", at(2026, 1, 2, 9)))
        .await;
    // Due on 31 January, 1 and 2 March; on 1 March 29, 0 and -1 days past due.
    for (debtor, reference, issued_on, amount) in [
        (acme, "INV-1", day(2026, 1, 1), "10.00"),
        (acme, "INV-2", day(2026, 1, 30), "20.00"),
        (beta, "INV-3", day(2026, 1, 31), "40.00"),
        (beta, "CN-1", day(2025, 12, 1), "-5.00"),
    ] {
        stage
            .say(&debtor.document(reference, issued_on, pounds(amount)))
            .await;
    }
    stage.heard().await;
    let report = stage.ask(&aged(day(2026, 3, 1))).await;
    let titles: Vec<_> = report.buckets.iter().map(|b| b.title.as_str()).collect();
    assert_eq!(
        titles,
        ["Not due", "1–30", "31–60", "61–90", "91–120", "120+"]
    );
    // The credit note was due on New Year's Eve: 60 days.
    let totals: Vec<_> = report.totals[0]
        .buckets
        .iter()
        .map(|m| m.amount().to_string())
        .collect();
    assert_eq!(totals, ["60.00", "10.00", "-5.00", "0.00", "0.00", "0.00"]);
    assert_eq!(
        (total(&report), report.totals[0].accounts),
        (pounds("65.00"), 2)
    );
    // Most overdue first.
    let rows: Vec<_> = report
        .rows
        .items
        .iter()
        .map(|r| (r.account_id, r.overdue, r.oldest_days))
        .collect();
    assert_eq!(
        rows,
        [
            (acme.id, pounds("10.00"), Some(29)),
            (beta.id, pounds("-5.00"), Some(-1))
        ]
    );

    let by_document = stage
        .ask(&GetAgedDebt {
            basis: AgeingBasis::Document,
            ..aged(day(2026, 3, 1))
        })
        .await;
    let totals: Vec<_> = by_document.totals[0]
        .buckets
        .iter()
        .map(|m| m.amount().to_string())
        .collect();
    // The credit note is 90 days old, which is the last day of its band.
    assert_eq!(totals, ["60.00", "10.00", "-5.00", "0.00"]);
    assert_eq!(total(&by_document), total(&report));

    // The totals are those of the accounts that match, not of one page.
    let of = async |search: Option<&str>, segment: Option<&str>| {
        let call = GetAgedDebt {
            search: search.map(str::to_owned),
            segment: segment.map(str::to_owned),
            ..aged(day(2026, 3, 1))
        };
        stage.ask(&call).await.totals.first().map(|t| t.total)
    };
    assert_eq!(of(Some("acme"), None).await, Some(pounds("30.00")));
    assert_eq!(of(Some("c-002"), None).await, Some(pounds("35.00")));
    assert_eq!(of(Some("100%_s"), None).await, Some(pounds("35.00")));
    assert_eq!(of(Some("_"), None).await, Some(pounds("35.00")));
    assert_eq!(of(None, Some("even")).await, Some(pounds("35.00")));
    assert_eq!(of(Some("acme"), Some("even")).await, None);

    let cell = stage
        .ask(&GetAgedItems {
            as_of: Some(day(2026, 3, 1)),
            bucket: Some(0),
            ..GetAgedItems::default()
        })
        .await;
    let cell: Vec<_> = cell
        .items
        .iter()
        .map(|i| (i.document_ref.as_str(), i.days, i.open))
        .collect();
    assert_eq!(
        cell,
        [
            ("INV-2", 0, pounds("20.00")),
            ("INV-3", -1, pounds("40.00"))
        ]
    );
}

#[tokio::test]
async fn an_account_its_ledger_and_its_timeline_agree() {
    let mut stage = Stage::start().await;
    let (acme, beta) = (debtor(1), debtor(2));
    stage
        .say(&acme.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
        .await;
    stage
        .say(&beta.updated(1, "Beta plc", at(2026, 1, 2, 9)))
        .await;
    let ours = acme.document("INV-1", day(2026, 1, 5), pounds("100.00"));
    let open = acme.document("INV-2", day(2026, 6, 20), pounds("30.00"));
    let theirs = beta.document("INV-3", day(2026, 1, 5), pounds("50.00"));
    for document in [&ours, &open, &theirs] {
        stage.say(document).await;
    }
    // Acme pays its own and Beta's invoice, and five pounds too much.
    let lines = vec![
        line(&ours, pounds("100.00"), day(2026, 2, 1)),
        line(&theirs, pounds("50.00"), day(2026, 2, 1)),
    ];
    let receipt = posted(Some(acme), day(2026, 2, 1), pounds("155.00"), lines);
    stage.say(&receipt).await;
    stage.heard().await;

    let by_ref = stage
        .ask(&GetAccount {
            account: AccountKey::Ref("C-001".into()),
        })
        .await;
    let by_id = stage
        .ask(&GetAccount {
            account: AccountKey::Id(acme.id),
        })
        .await;
    assert_eq!(by_ref, by_id);
    let balance = &by_id.balances[0];
    assert_eq!(
        (
            balance.balance,
            balance.open,
            balance.overdue,
            balance.unallocated
        ),
        (
            pounds("25.00"),
            pounds("30.00"),
            pounds("0.00"),
            pounds("5.00")
        )
    );
    assert_eq!(balance.oldest_due_on, Some(open.due_on));

    let ledger = stage
        .ask(&GetLedger {
            account_id: acme.id,
            open_only: false,
            page: PageRequest::default(),
        })
        .await;
    let amounts: Vec<_> = ledger
        .items
        .iter()
        .map(|l| (l.kind.as_str(), l.amount, l.open))
        .collect();
    assert_eq!(
        amounts,
        [
            ("invoice", pounds("30.00"), pounds("30.00")),
            ("receipt", pounds("-105.00"), pounds("-5.00")),
            ("invoice", pounds("100.00"), pounds("0.00")),
        ]
    );
    assert_eq!(ledger.items[0].days_past_due, Some(-19));
    assert_eq!(ledger.items[2].days_past_due, None);
    let open_only = stage
        .ask(&GetLedger {
            account_id: acme.id,
            open_only: true,
            page: PageRequest::default(),
        })
        .await;
    assert_eq!(open_only.items, ledger.items[..2]);
    // What Acme paid of Beta's is on Beta's ledger.
    let of_beta = stage
        .ask(&GetLedger {
            account_id: beta.id,
            open_only: false,
            page: PageRequest::default(),
        })
        .await;
    assert_eq!(
        of_beta
            .items
            .iter()
            .filter(|l| l.amount == pounds("-50.00"))
            .count(),
        1
    );

    let timeline = stage
        .ask(&GetTimeline {
            account_id: acme.id,
            page: PageRequest::default(),
        })
        .await;
    let mut kinds: Vec<_> = timeline.items.iter().map(|e| e.kind.as_str()).collect();
    // Receipt and line are of one moment.
    kinds[1..3].sort_unstable();
    assert_eq!(
        kinds,
        ["document", "allocation", "receipt", "document", "account"]
    );
    assert!(
        timeline
            .items
            .iter()
            .any(|e| e.summary == "£100.00 allocated to INV-1")
    );

    let listed = stage.ask(&ListAccounts::default()).await;
    assert_eq!(listed.items.len(), 2);
    assert_eq!(listed.items[0], by_id);
    let found = stage
        .ask(&ListAccounts {
            search: Some("BETA".into()),
            ..ListAccounts::default()
        })
        .await;
    assert_eq!(
        found.items.iter().map(|a| a.account_id).collect::<Vec<_>>(),
        [beta.id]
    );
}

/// Pages put together are the whole list, and stay as known at the first page
/// even when facts arrive between two pages.
#[tokio::test]
async fn pages_are_of_one_piece() {
    let mut stage = Stage::start().await;
    let accounts: Vec<Debtor> = (1..=5).map(debtor).collect();
    for (n, account) in accounts.iter().enumerate() {
        stage
            .say(&account.updated(1, "Acme Ltd", at(2026, 1, 2, 9)))
            .await;
        // Two with the same amount overdue: the reference decides.
        let amount = if n < 2 { "10.00" } else { "30.00" };
        for day_of in 1..=2 {
            let reference = format!("INV-{n}-{day_of}");
            stage
                .say(&account.document(&reference, day(2026, 1, day_of), pounds(amount)))
                .await;
        }
        let booked_on = day(2026, 1, 10 + u32::try_from(n).unwrap() % 2);
        stage
            .say(&posted(Some(*account), booked_on, pounds("1.00"), vec![]))
            .await;
    }
    stage.heard().await;

    let whole = stage.ask(&GetAgedDebt::default()).await;
    assert_eq!(whole.rows.items.len(), 5);
    assert!(whole.rows.next_cursor.is_none());
    let mut rows = Vec::new();
    let mut page = PageRequest {
        cursor: None,
        limit: Some(2),
    };
    loop {
        let next = stage
            .ask(&GetAgedDebt {
                page: page.clone(),
                ..GetAgedDebt::default()
            })
            .await;
        assert_eq!(next.totals, whole.totals);
        assert_eq!(next.known_at, whole.known_at);
        rows.extend(next.rows.items);
        let Some(cursor) = next.rows.next_cursor else {
            break;
        };
        page.cursor = Some(cursor);
        // Known only from here on: the report that is being turned over does not change.
        stage.clock.advance(chrono::TimeDelta::hours(1));
        let mut late = accounts[4].document("LATE", day(2026, 1, 1), pounds("1000.00"));
        late.recorded_at = kernel::Clock::now(&stage.clock);
        late.document_ref = format!("LATE-{}", rows.len());
        stage.say(&late).await;
        stage.heard().await;
    }
    assert_eq!(rows, whole.rows.items);

    async fn all<T, C>(
        stage: &Stage,
        call: impl Fn(PageRequest) -> C,
        page_of: impl Fn(C::Reply) -> contracts::api::Page<T>,
    ) -> Vec<T>
    where
        C: contracts::api::Call,
    {
        let mut all = Vec::new();
        let mut page = PageRequest {
            cursor: None,
            limit: Some(2),
        };
        loop {
            let next = page_of(stage.ask(&call(page.clone())).await);
            assert!(next.items.len() <= 2);
            all.extend(next.items);
            match next.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => return all,
            }
        }
    }
    let account_id = accounts[0].id;
    let items = |page| GetAgedItems {
        page,
        ..GetAgedItems::default()
    };
    let whole = stage.ask(&items(PageRequest::default())).await;
    assert_eq!(all(&stage, items, |p| p).await, whole.items);
    assert!(whole.items.is_sorted_by_key(|item| item.due_on));
    let cash = |page| GetUnallocated {
        page,
        ..GetUnallocated::default()
    };
    let whole = stage.ask(&cash(PageRequest::default())).await.rows.items;
    assert_eq!(whole.len(), 5);
    assert_eq!(all(&stage, cash, |c| c.rows).await, whole);
    let ledger = |page| GetLedger {
        account_id,
        open_only: false,
        page,
    };
    let whole = stage.ask(&ledger(PageRequest::default())).await.items;
    assert_eq!(whole.len(), 3);
    assert_eq!(all(&stage, ledger, |p| p).await, whole);
    let timeline = |page| GetTimeline { account_id, page };
    let whole = stage.ask(&timeline(PageRequest::default())).await.items;
    assert_eq!(whole.len(), 4);
    assert_eq!(all(&stage, timeline, |p| p).await, whole);
    let accounts = |page| ListAccounts { search: None, page };
    let whole = stage.ask(&accounts(PageRequest::default())).await.items;
    assert_eq!(all(&stage, accounts, |p| p).await, whole);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_by_name() {
    let stage = Stage::start().await;
    let cursor = |cursor: &str| PageRequest {
        cursor: Some(cursor.to_owned()),
        limit: None,
    };
    let field = |refusal: contracts::api::Refusal| {
        assert_eq!(refusal.class, RefusalClass::Invalid);
        refusal.fields[0].pointer.clone()
    };
    let refusal = stage
        .try_ask(&GetAgedDebt {
            page: cursor("?"),
            ..GetAgedDebt::default()
        })
        .await;
    assert_eq!(field(refusal.unwrap_err()), "/cursor");
    let refusal = stage.try_ask(&aged(NaiveDate::MIN)).await;
    assert_eq!(field(refusal.unwrap_err()), "/as_of");
    let refusal = stage
        .try_ask(&ListAccounts {
            search: Some("x".repeat(201)),
            ..ListAccounts::default()
        })
        .await;
    assert_eq!(field(refusal.unwrap_err()), "/search");
    let refusal = stage
        .try_ask(&GetAgedItems {
            basis: AgeingBasis::Document,
            bucket: Some(4),
            ..GetAgedItems::default()
        })
        .await;
    assert_eq!(field(refusal.unwrap_err()), "/bucket");

    let unknown = AccountId::generate();
    for refusal in [
        stage
            .try_ask(&GetAccount {
                account: AccountKey::Id(unknown),
            })
            .await
            .unwrap_err(),
        stage
            .try_ask(&GetAccount {
                account: AccountKey::Ref("nobody".into()),
            })
            .await
            .unwrap_err(),
        stage
            .try_ask(&GetLedger {
                account_id: unknown,
                open_only: false,
                page: PageRequest::default(),
            })
            .await
            .unwrap_err(),
        stage
            .try_ask(&GetTimeline {
                account_id: unknown,
                page: PageRequest::default(),
            })
            .await
            .unwrap_err(),
        stage
            .try_ask(&TraceProjection {
                receipt_id: ReceiptId::generate(),
            })
            .await
            .unwrap_err(),
    ] {
        assert_eq!(refusal.class, RefusalClass::NotFound, "{refusal:?}");
    }
}

/// A receipt whose figures contradict one another is put aside with the reason,
/// and so is a newer version of an event; what comes with them counts.
#[tokio::test]
async fn what_does_not_add_up_is_put_aside_and_the_rest_counts() {
    let mut stage = Stage::start().await;
    let acme = debtor(1);
    let invoice = acme.document("INV-1", day(2026, 1, 5), pounds("100.00"));
    let mut wrong = posted(Some(acme), day(2026, 1, 20), pounds("60.00"), vec![]);
    wrong.unallocated = pounds("59.99");
    stage.say(&wrong).await;
    let subject = stage.suite.prefix().event(&invoice);
    let payload = serde_json::to_vec(&invoice).unwrap();
    let kind = "counterfoil.allocation.document_posted.v2";
    stage
        .say_raw(kernel::EventId::generate(), kind, &subject, payload)
        .await;
    stage.say(&invoice).await;
    stage.heard().await;

    let codes: Vec<String> =
        sqlx::query_scalar("select code from reporting.dead_letter order by code")
            .fetch_all(stage.suite.admin_pool())
            .await
            .unwrap();
    assert_eq!(
        codes,
        [
            "reporting.receipt_does_not_add_up",
            "reporting.unknown_version"
        ]
    );
    let report = stage.ask(&GetAgedDebt::default()).await;
    assert_eq!(total(&report), pounds("100.00"));
    // The account's own facts are late: its documents name it.
    assert_eq!(report.rows.items[0].name, "C-001");
    assert_eq!(report.rows.items[0].account_ref, "C-001");
}
