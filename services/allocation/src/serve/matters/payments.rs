//! Client money that shall leave, to the client, a third party or a supplier: a
//! second person decides, and `consume::approvals` pays.

use contracts::{
    api::{
        Page, Refusal,
        matters::{
            ListClientPayments, MatterDetail, MatterPayment, PayClientMoney, TakeBackClientPayment,
        },
    },
    controls::{ApprovalKind, ApprovalWithdrawn, ClientPaymentId, ClientPaymentState},
    matters::EntryKind,
};
use messaging::{Bus, Failure};

use super::{
    super::{cursor, disbursements::of_matter, page, reason},
    Work, answer, take_up,
};
use crate::{
    domain::{
        approvals::{Ask, requested},
        legal::{Refused, payment::ClientPayment},
    },
    store,
};

pub(crate) fn no_payment(id: ClientPaymentId) -> Failure {
    Failure::not_found(
        "matters.no_payment",
        format!("there is no payment of client money {id}"),
    )
}

pub(crate) async fn list_payments(
    ask: ListClientPayments,
    bus: Bus,
) -> Result<Page<MatterPayment>, Refusal> {
    let mut tx = bus.look().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::client_payments::list(tx.conn(), ask.state, before, rows + 1).await?;
    Ok(page(items, rows, |one| one.payment.payment_id.as_uuid()))
}

/// Asks for a payment; nothing leaves yet.
pub(super) async fn request(
    bus: &Bus,
    work: &mut Work<'_>,
    ask: &PayClientMoney,
    bank_account: String,
) -> Result<(), Failure> {
    let because = work.because;
    let disbursement = match (ask.kind, ask.disbursement_id) {
        (EntryKind::DisbursementPaid, None) => {
            return Err(Failure::of(Refused::Missing("which disbursement is paid")));
        }
        (EntryKind::DisbursementPaid, Some(id)) => Some(id),
        _ => None,
    };
    let matter = &work.held.matter;
    let mut payment = ClientPayment {
        id: ask.command_id.as_uuid().into(),
        matter: matter.id,
        state: ClientPaymentState::Requested,
        kind: ask.kind,
        amount: ask.amount,
        payee: ask.payee.trim().to_owned(),
        disbursement,
        bank_account,
        reason: because.reason.to_owned(),
        requester: because.actor.to_owned(),
        approval: contracts::controls::ApprovalId::generate(),
        requested_at: because.now,
        changed_at: because.now,
    };
    payment.could(&work.held, &because).map_err(Failure::of)?;
    if let Some(id) = disbursement {
        let conn = work.tx.conn();
        let locked = store::disbursements::lock(conn, &[id]).await?;
        let spent = of_matter(&locked, id, &work.held)?;
        payment.settle(spent, &because).map_err(Failure::of)?;
        if store::client_payments::waits(conn, id).await? {
            return Err(Failure::of(Refused::AskedAlready));
        }
    }
    let event = requested(
        Ask {
            kind: ApprovalKind::ClientPayment,
            subject: payment.id.as_uuid(),
            title: format!(
                "Pay {} of {} to {}",
                payment.amount.display_uk(),
                matter.reference,
                payment.payee
            ),
            amount: payment.amount,
            account: Some(matter.account_id),
            account_ref: Some(&matter.account_ref),
            content: payment.content(&matter.reference),
            needed: 1,
            requester: because.actor,
            reason: because.reason,
        },
        because.now,
    );
    payment.approval = event.approval_id;
    store::client_payments::insert(work.tx.conn(), &payment).await?;
    work.tell(bus, &event, event.approval_id.as_uuid(), 1)
}

pub(crate) async fn take_back(
    ask: TakeBackClientPayment,
    bus: Bus,
) -> Result<MatterDetail, Refusal> {
    let why = reason(&ask.reason)?;
    let find = async |conn: &mut sqlx::PgConnection| {
        let found = store::client_payments::find(conn, &[ask.payment_id]).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| no_payment(ask.payment_id))
    };
    let matter = {
        let mut tx = bus.begin().await?;
        find(tx.conn()).await?.matter
    };
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, matter, &ask.actor, why).await? else {
        return answer(&bus, matter).await;
    };
    let now = work.because.now;
    // Again under the lock of the matter.
    let mut payment = find(work.tx.conn()).await?;
    if payment.state != ClientPaymentState::Requested {
        return Err(Failure::of(Refused::PaymentState(payment.state.name())).into());
    }
    payment.state = ClientPaymentState::TakenBack;
    payment.changed_at = now;
    store::client_payments::set(work.tx.conn(), &payment).await?;
    let fact = ApprovalWithdrawn {
        approval_id: payment.approval,
        kind: ApprovalKind::ClientPayment,
        subject_id: payment.id.as_uuid(),
        account_ref: Some(work.held.matter.account_ref.clone()),
        actor: ask.actor.clone(),
        reason: why.to_owned(),
        recorded_at: now,
    };
    work.tell(&bus, &fact, payment.approval.as_uuid(), 2)?;
    work.finish(&bus).await?;
    answer(&bus, matter).await
}
