//! Small balances: proposed, approved, cleared in one batch, undone in one.

use std::collections::BTreeMap;

use chrono::Days;
use contracts::{
    allocation::OutflowLine,
    api::{
        Page, Refusal,
        controls::{
            GetSmallBalances, ListSmallBalances, ProposeSmallBalances, RunStep, SmallBalanceRun,
            SmallBalanceRunView, StepSmallBalances,
        },
    },
    controls::{ApprovalKind, RunState, SmallBalanceRunId},
};
use kernel::{DocumentId, ReceiptId, london_date};
use messaging::{Bus, Failure};

use super::{Act, locked_items};
use crate::{
    domain::{
        Books, Receipt,
        approvals::Ask,
        ledger::Because,
        policy,
        write_offs::{Cleared, Run, SmallOf},
    },
    serve::{cursor, page},
    store,
};

/// Documents, and receipts, of one run at most.
const LINES_MAX: i64 = 250;

fn no_run(id: SmallBalanceRunId) -> Failure {
    Failure::not_found(
        "allocation.no_run",
        format!("there is no run of small balances {id}"),
    )
}

/// A run with the receipts and documents that it clears, locked.
pub(super) async fn lock(
    act: &mut Act,
    id: SmallBalanceRunId,
) -> Result<(Run, Books, BTreeMap<ReceiptId, Receipt>), Failure> {
    let seen = store::write_offs::run(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_run(id))?;
    let receipts: Vec<ReceiptId> = seen
        .lines
        .iter()
        .filter_map(|line| match line.of {
            SmallOf::Receipt(id) => Some(id),
            SmallOf::Document(_) => None,
        })
        .collect();
    let documents: Vec<DocumentId> = seen
        .lines
        .iter()
        .filter_map(|line| match line.of {
            SmallOf::Document(id) => Some(id),
            SmallOf::Receipt(_) => None,
        })
        .collect();
    let receipts = store::receipts::lock_all(act.tx.conn(), &receipts).await?;
    let receipts = receipts.into_iter().map(|r| (r.id, r)).collect();
    let books = locked_items(act, &documents).await?;
    let run = store::write_offs::lock_run(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_run(id))?;
    Ok((run, books, receipts))
}

/// Writes what a run moved, and tells.
pub(super) async fn moved(
    act: &mut Act,
    run: &Run,
    books: &Books,
    receipts: &mut BTreeMap<ReceiptId, Receipt>,
    (adjustments, outflows): Cleared,
    because: &Because<'_>,
) -> Result<(), Failure> {
    store::write_offs::put_run(act.tx.conn(), run).await?;
    act.debt_adjusted(&adjustments, books, because)?;
    let mut by_receipt: BTreeMap<ReceiptId, Vec<OutflowLine>> = BTreeMap::new();
    for (id, line) in outflows {
        by_receipt.entry(id).or_default().push(line);
    }
    for (id, lines) in by_receipt {
        if let Some(receipt) = receipts.get_mut(&id) {
            act.receipt_moved(receipt, Vec::new(), lines, because)
                .await?;
        }
    }
    Ok(())
}

async fn shown(id: SmallBalanceRunId, bus: &Bus) -> Result<SmallBalanceRun, Refusal> {
    let mut tx = bus.begin().await?;
    let run = store::write_offs::run(tx.conn(), id)
        .await?
        .ok_or_else(|| no_run(id))?;
    Ok(run.detail())
}

async fn submit(act: &mut Act, run: &mut Run, actor: &str) -> Result<(), Failure> {
    run.moves(RunState::Proposed, RunState::Requested, act.now)
        .map_err(Failure::of)?;
    let approval = act.request(Ask {
        kind: ApprovalKind::SmallBalances,
        subject: run.id.as_uuid(),
        title: format!(
            "Clear {} small balances, {} together",
            run.lines.len(),
            run.amount.display_uk()
        ),
        amount: run.amount,
        account: None,
        account_ref: None,
        content: run.content(),
        needed: 1,
        requester: actor,
        reason: &run.reason,
    })?;
    run.approval = Some(approval);
    store::write_offs::put_run(act.tx.conn(), run).await
}

pub(crate) async fn propose(
    ask: ProposeSmallBalances,
    bus: Bus,
) -> Result<SmallBalanceRun, Refusal> {
    let id: SmallBalanceRunId = ask.command_id.as_uuid().into();
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return shown(id, &bus).await;
    }
    let today = london_date(act.now);
    let small = policy::small(ask.currency, today).ok_or_else(|| {
        Failure::permanent(
            "allocation.no_threshold",
            format!("nobody has said what is small in {}", ask.currency),
        )
    })?;
    let until = today
        .checked_sub_days(Days::new(small.days.into()))
        .unwrap_or(today);
    let lines = store::write_offs::small(act.tx.conn(), &small, until, LINES_MAX).await?;
    let actor = &ask.person.actor;
    let mut run =
        Run::proposed(small.at_most, lines, &ask.reason, actor, act.now).map_err(Failure::of)?;
    run.id = id;
    store::write_offs::put_run(act.tx.conn(), &run).await?;
    if ask.submit {
        submit(&mut act, &mut run, actor).await?;
    }
    act.finish(&bus).await?;
    shown(id, &bus).await
}

pub(crate) async fn step_run(ask: StepSmallBalances, bus: Bus) -> Result<SmallBalanceRun, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return shown(ask.run_id, &bus).await;
    }
    let (mut run, mut books, mut receipts) = lock(&mut act, ask.run_id).await?;
    let actor = &ask.person.actor;
    match ask.step {
        RunStep::Submit => submit(&mut act, &mut run, actor).await?,
        RunStep::Undo => {
            let reason = ask.reason.trim();
            if reason.is_empty() {
                return Err(Failure::of(crate::domain::write_offs::Refused::NoReason).into());
            }
            let because = act.because(actor, reason);
            let cleared = run
                .undo(&mut books, &mut receipts, &mut act.changes, &because)
                .map_err(Failure::of)?;
            moved(&mut act, &run, &books, &mut receipts, cleared, &because).await?;
        }
    }
    act.finish(&bus).await?;
    shown(ask.run_id, &bus).await
}

pub(crate) async fn list_runs(
    ask: ListSmallBalances,
    bus: Bus,
) -> Result<Page<SmallBalanceRunView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::write_offs::runs(tx.conn(), before, rows).await?;
    Ok(page(items, rows, |run: &SmallBalanceRunView| {
        run.run_id.as_uuid()
    }))
}

pub(crate) async fn get_run(ask: GetSmallBalances, bus: Bus) -> Result<SmallBalanceRun, Refusal> {
    shown(ask.run_id, &bus).await
}
