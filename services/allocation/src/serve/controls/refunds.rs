//! Refunds, from draft to paid or returned.

use chrono::TimeDelta;
use contracts::{
    allocation::OutflowLine,
    api::{
        Page, Refusal,
        controls::{
            DraftRefund, GetRefund, ListRefunds, RedraftRefund, RefundDetail, RefundStep,
            RefundView, StepRefund, VoidRefunds,
        },
    },
    controls::{ApprovalKind, ApprovalWithdrawn, RefundChanged, RefundId, RefundState},
};
use kernel::ReceiptId;
use messaging::{Bus, Failure};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Act;
use crate::{
    domain::{
        Receipt,
        approvals::Ask,
        ledger::Because,
        refunds::{self as rules, Refund, Step},
    },
    serve::{cursor, no_receipt, page},
    store,
};

/// Other refunds like one are looked for so far back.
pub(super) const ALIKE: TimeDelta = TimeDelta::days(90);

fn no_refund(id: RefundId) -> Failure {
    Failure::not_found("allocation.no_refund", format!("there is no refund {id}"))
}

/// A refund under the lock of its receipt, which guards it too.
pub(super) async fn lock(act: &mut Act, id: RefundId) -> Result<(Refund, Receipt), Failure> {
    let conn = act.tx.conn();
    let seen = store::refunds::get(conn, id)
        .await?
        .ok_or_else(|| no_refund(id))?;
    let receipt = store::receipts::lock(conn, seen.receipt)
        .await?
        .ok_or_else(|| no_receipt(seen.receipt))?;
    let refund = store::refunds::get(conn, id)
        .await?
        .ok_or_else(|| no_refund(id))?;
    Ok((refund, receipt))
}

/// The fact that a refund came a step further.
pub(crate) fn told(refund: &Refund, step: &Step) -> RefundChanged {
    RefundChanged {
        refund_id: refund.id,
        version: refund.version,
        state: refund.state,
        receipt_id: refund.receipt,
        account_id: refund.account,
        account_ref: refund.account_ref.clone(),
        amount: refund.amount,
        payee_account: refund.payee.masked.clone(),
        to_source: refund.payee.to_source,
        reference: step.reference.clone(),
        recorded_at: step.at,
        actor: step.actor.clone(),
        reason: step.reason.clone(),
    }
}

/// Writes a refund that came a step further, and tells.
async fn changed(act: &mut Act, refund: &Refund, step: Step) -> Result<(), Failure> {
    store::refunds::put(act.tx.conn(), refund).await?;
    let event = told(refund, &step);
    store::refunds::note(act.tx.conn(), &[step]).await?;
    act.tell(&event, refund.id.as_uuid(), refund.version)
}

async fn moved_by(
    act: &mut Act,
    receipt: &mut Receipt,
    line: Option<OutflowLine>,
    because: &Because<'_>,
) -> Result<(), Failure> {
    match line {
        Some(line) => {
            act.receipt_moved(receipt, Vec::new(), vec![line], because)
                .await
        }
        None => Ok(()),
    }
}

/// Ends a refund before it is sent; its money is free again.
async fn stop(
    act: &mut Act,
    refund: &mut Refund,
    receipt: &mut Receipt,
    to: RefundState,
    because: &Because<'_>,
) -> Result<(), Failure> {
    let (step, line) = refund
        .stop(to, because.reason, receipt, &mut act.changes, because)
        .map_err(Failure::of)?;
    changed(act, refund, step).await?;
    moved_by(act, receipt, line, because).await
}

/// Takes back a request that still waits: what it was for is changed or over.
fn withdraw(act: &mut Act, refund: &Refund, because: &Because<'_>) -> Result<(), Failure> {
    match (refund.approval, refund.state) {
        (Some(approval_id), RefundState::Submitted) => {
            let withdrawn = ApprovalWithdrawn {
                approval_id,
                kind: ApprovalKind::Refund,
                subject_id: refund.id.as_uuid(),
                account_ref: refund.account_ref.clone(),
                actor: because.actor.to_owned(),
                reason: because.reason.to_owned(),
                recorded_at: act.now,
            };
            act.tell(&withdrawn, approval_id.as_uuid(), 2)
        }
        _ => Ok(()),
    }
}

/// Reserves the money and asks for approval.
async fn submit(
    act: &mut Act,
    refund: &mut Refund,
    receipt: &mut Receipt,
    because: &Because<'_>,
) -> Result<(), Failure> {
    let (step, line) = refund
        .submit(receipt, &mut act.changes, because)
        .map_err(Failure::of)?;
    let to = refund.payee.name.as_deref().unwrap_or("the payer");
    let elsewhere = if refund.payee.to_source {
        ""
    } else {
        " (not the account that paid)"
    };
    let approval = act.request(Ask {
        kind: ApprovalKind::Refund,
        subject: refund.id.as_uuid(),
        title: format!("Refund {} to {to}{elsewhere}", refund.amount.display_uk()),
        amount: refund.amount,
        account: refund.account,
        account_ref: refund.account_ref.as_deref(),
        content: refund.content(),
        needed: refund.approvers(),
        requester: because.actor,
        reason: &refund.reason,
    })?;
    refund.approval = Some(approval);
    changed(act, refund, step).await?;
    moved_by(act, receipt, Some(line), because).await
}

pub(crate) async fn draft(ask: DraftRefund, bus: Bus) -> Result<RefundDetail, Refusal> {
    let id: RefundId = ask.command_id.as_uuid().into();
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        return Ok(detail(act.tx.conn(), id, &bus).await?);
    }
    let mut receipt = store::receipts::lock(act.tx.conn(), ask.receipt_id)
        .await?
        .ok_or_else(|| no_receipt(ask.receipt_id))?;
    let actor = &ask.person.actor;
    let mut refund =
        rules::drafted(id, &receipt, &ask.content, 1, actor, act.now).map_err(Failure::of)?;
    let reason = refund.reason.clone();
    let because = act.because(actor, &reason);
    let step = refund.note_draft(&because);
    changed(&mut act, &refund, step).await?;
    if ask.submit {
        submit(&mut act, &mut refund, &mut receipt, &because).await?;
    }
    finish(act, id, &bus).await
}

pub(crate) async fn redraft(ask: RedraftRefund, bus: Bus) -> Result<RefundDetail, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        return Ok(detail(act.tx.conn(), ask.refund_id, &bus).await?);
    }
    let (mut before, mut receipt) = lock(&mut act, ask.refund_id).await?;
    let actor = &ask.person.actor;
    let why = "drafted anew";
    let because = act.because(actor, why);
    withdraw(&mut act, &before, &because)?;
    if !before.is_over_unpaid() && before.state != RefundState::Draft {
        stop(
            &mut act,
            &mut before,
            &mut receipt,
            RefundState::Draft,
            &because,
        )
        .await?;
    }
    let revision = before.payee.revision + 1;
    let mut refund = rules::drafted(before.id, &receipt, &ask.content, revision, actor, act.now)
        .map_err(Failure::of)?;
    refund.version = before.version;
    let reason = refund.reason.clone();
    let because = act.because(actor, &reason);
    let step = refund.note_draft(&because);
    changed(&mut act, &refund, step).await?;
    if ask.submit {
        submit(&mut act, &mut refund, &mut receipt, &because).await?;
    }
    finish(act, ask.refund_id, &bus).await
}

pub(crate) async fn step(ask: StepRefund, bus: Bus) -> Result<RefundDetail, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        return Ok(detail(act.tx.conn(), ask.refund_id, &bus).await?);
    }
    let (mut refund, mut receipt) = lock(&mut act, ask.refund_id).await?;
    let actor = &ask.person.actor;
    let because = act.because(actor, "");
    let of = |refused: rules::Refused| Failure::of(refused);
    if matches!(
        ask.step,
        RefundStep::Submit | RefundStep::IntoPaymentFile { .. } | RefundStep::Sent { .. }
    ) && store::refunds::may_be_taken_back(act.tx.conn(), receipt.id).await?
    {
        return Err(Failure::conflict(
            "allocation.payment_taken_back",
            "the bank may have taken this payment back: a debit waits for somebody to say so",
        )
        .into());
    }
    match &ask.step {
        RefundStep::Submit => {
            let reason = refund.reason.clone();
            let because = act.because(actor, &reason);
            submit(&mut act, &mut refund, &mut receipt, &because).await?;
        }
        RefundStep::Cancel { reason } => {
            let reason = reason.trim();
            if reason.is_empty() {
                return Err(of(rules::Refused::NoReason).into());
            }
            let because = act.because(actor, reason);
            withdraw(&mut act, &refund, &because)?;
            let to = RefundState::Cancelled;
            stop(&mut act, &mut refund, &mut receipt, to, &because).await?;
        }
        RefundStep::Verify { how } => {
            let step = refund.verified(how, &because).map_err(of)?;
            changed(&mut act, &refund, step).await?;
        }
        RefundStep::IntoPaymentFile { reference } => {
            let to = RefundState::InPaymentFile;
            let step = refund.on_its_way(to, reference, &because).map_err(of)?;
            changed(&mut act, &refund, step).await?;
        }
        RefundStep::Sent { reference } => {
            let to = RefundState::Sent;
            let step = refund.on_its_way(to, reference, &because).map_err(of)?;
            changed(&mut act, &refund, step).await?;
        }
        RefundStep::Paid { paid_on } => {
            let step = refund
                .paid(*paid_on, &receipt, &mut act.changes, &because)
                .map_err(of)?;
            changed(&mut act, &refund, step).await?;
        }
        RefundStep::Returned { code, returned_on } => {
            let reason = format!("the refund was returned, code {code}");
            let because = act.because(actor, &reason);
            let (step, line) = refund
                .returned(code, *returned_on, &mut receipt, &mut act.changes, &because)
                .map_err(of)?;
            changed(&mut act, &refund, step).await?;
            moved_by(&mut act, &mut receipt, line, &because).await?;
        }
    }
    finish(act, ask.refund_id, &bus).await
}

/// Voids the refunds of a receipt that the bank takes back, as far as they are
/// not sent (E43). The caller holds the receipt's lock, and goes on with money
/// that is free again; a refund that is sent stays as it is, and its payee owes
/// us (E34).
pub(crate) async fn void_for_return(
    act: &mut Act,
    receipt: &mut Receipt,
    because: &Because<'_>,
) -> Result<Vec<Refund>, Failure> {
    use RefundState::{Approved, Draft, InPaymentFile, Submitted, Verified};
    let mut voided = Vec::new();
    for mut refund in store::refunds::list(act.tx.conn(), None, Some(receipt.id), None, 200).await?
    {
        if !matches!(
            refund.state,
            Draft | Submitted | Approved | Verified | InPaymentFile
        ) {
            continue;
        }
        withdraw(act, &refund, because)?;
        stop(act, &mut refund, receipt, RefundState::Voided, because).await?;
        voided.push(refund);
    }
    Ok(voided)
}

pub(crate) async fn void_refunds(ask: VoidRefunds, bus: Bus) -> Result<Page<RefundView>, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if new {
        let mut receipt = store::receipts::lock(act.tx.conn(), ask.receipt_id)
            .await?
            .ok_or_else(|| no_receipt(ask.receipt_id))?;
        let because = act.because(&ask.actor, &ask.reason);
        void_for_return(&mut act, &mut receipt, &because).await?;
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let items = views(tx.conn(), None, Some(ask.receipt_id), None, 200).await?;
    Ok(Page {
        items,
        next_cursor: None,
    })
}

async fn finish(act: Act, id: RefundId, bus: &Bus) -> Result<RefundDetail, Refusal> {
    act.finish(bus).await?;
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), id, bus).await?)
}

async fn detail(conn: &mut PgConnection, id: RefundId, bus: &Bus) -> Result<RefundDetail, Failure> {
    let refund = store::refunds::get(conn, id)
        .await?
        .ok_or_else(|| no_refund(id))?;
    Ok(RefundDetail {
        alike: store::refunds::alike(conn, &refund, bus.now() - ALIKE).await?,
        history: store::refunds::history(conn, id).await?,
        payee_reason: refund.payee.reason.clone(),
        evidence: refund.evidence.clone(),
        refund: refund.view(),
    })
}

pub(crate) async fn get_refund(ask: GetRefund, bus: Bus) -> Result<RefundDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.refund_id, &bus).await?)
}

async fn views(
    conn: &mut PgConnection,
    state: Option<RefundState>,
    receipt: Option<ReceiptId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<RefundView>, Failure> {
    let found = store::refunds::list(conn, state, receipt, before, rows).await?;
    Ok(found.iter().map(Refund::view).collect())
}

pub(crate) async fn list_refunds(ask: ListRefunds, bus: Bus) -> Result<Page<RefundView>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = views(tx.conn(), ask.state, ask.receipt_id, before, rows).await?;
    Ok(page(items, rows, |refund: &RefundView| {
        refund.refund_id.as_uuid()
    }))
}
