//! Disbursements: recording them and taking them a step further.

use chrono::NaiveDate;
use contracts::{
    api::{
        Page, Refusal,
        matters::{DisbursementView, ListDisbursements, MoveDisbursement, RecordDisbursement},
    },
    matters::{DisbursementChanged, DisbursementStep, RecoveryState, Side, SupplierState},
};
use kernel::{DisbursementId, Money, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;

use super::{
    cursor,
    matters::{Work, take_up},
    page, reason,
};
use crate::{
    domain::{
        ledger::Because,
        legal::{
            Matter, Refused,
            client::{self, Held},
            disbursement::{self, Disbursement},
        },
    },
    store,
};

const TEXT_MAX: usize = 300;

pub(crate) async fn list_disbursements(
    ask: ListDisbursements,
    bus: Bus,
) -> Result<Page<DisbursementView>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::disbursements::list(
        tx.conn(),
        None,
        ask.matter_id,
        ask.outstanding,
        after,
        london_date(bus.now()),
        rows + 1,
    )
    .await?;
    Ok(page(items, rows, |item| item.disbursement_id.as_uuid()))
}

async fn view(bus: &Bus, id: DisbursementId) -> Result<DisbursementView, Failure> {
    let mut tx = bus.begin().await?;
    let today = london_date(bus.now());
    store::disbursements::list(tx.conn(), Some(id), None, false, None, today, 1)
        .await?
        .pop()
        .ok_or_else(|| no_disbursement(id))
}

fn no_disbursement(id: DisbursementId) -> Failure {
    Failure::not_found(
        "matters.no_disbursement",
        format!("there is no disbursement {id} on this matter"),
    )
}

/// One of the disbursements that were locked, if it is of this matter.
pub(crate) fn of_matter<'d>(
    locked: &'d [Disbursement],
    id: DisbursementId,
    held: &Held,
) -> Result<&'d Disbursement, Failure> {
    locked
        .iter()
        .find(|item| item.id == id && item.matter == held.matter.id)
        .ok_or_else(|| no_disbursement(id))
}

/// Takes a locked disbursement a step further, and notes it.
pub(crate) async fn advance(
    bus: &Bus,
    work: &mut Work<'_>,
    item: &mut Disbursement,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
) -> Result<(), Failure> {
    disbursement::step(item, step, on, amount, work.because.actor).map_err(Failure::of)?;
    note(bus, work, item, step, on, amount).await
}

/// Writes a disbursement as it is now with the step that brought it there.
pub(crate) async fn note(
    bus: &Bus,
    work: &mut Work<'_>,
    item: &Disbursement,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
) -> Result<(), Failure> {
    let because = work.because;
    put(work.tx.conn(), item, step, on, amount, &because).await?;
    let fact = changed(item, &work.held.matter, step, on, amount, &because);
    work.tell(bus, &fact, item.id.as_uuid(), item.version)
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    item: &Disbursement,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
    because: &Because<'_>,
) -> Result<(), Failure> {
    let (reason, actor) = (because.reason, because.actor);
    store::disbursements::put(conn, item, step, on, amount, reason, actor, because.now).await
}

/// What is told of a disbursement that took a step.
pub(crate) fn changed(
    item: &Disbursement,
    matter: &Matter,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
    because: &Because<'_>,
) -> DisbursementChanged {
    DisbursementChanged {
        disbursement_id: item.id,
        version: item.version,
        matter_id: matter.id,
        matter_ref: matter.reference.clone(),
        account_ref: matter.account_ref.clone(),
        step,
        on,
        step_amount: amount,
        kind: item.kind,
        supplier: item.supplier.clone(),
        amount: item.amount,
        vat: item.vat,
        supplier_state: item.supplier_state,
        recovery_state: item.recovery_state,
        recovered: item.recovered,
        refunded: item.refunded,
        recorded_at: because.now,
        actor: because.actor.to_owned(),
        reason: because.reason.to_owned(),
    }
}

pub(crate) async fn record_disbursement(
    ask: RecordDisbursement,
    bus: Bus,
) -> Result<DisbursementView, Refusal> {
    let command = ask.command_id.as_uuid();
    // The same command again finds what it made.
    let id = DisbursementId::from(command);
    let supplier = ask.supplier.trim();
    if supplier.is_empty() || supplier.len() > TEXT_MAX {
        return Err(Failure::of(Refused::Missing("the supplier"))
            .at("/supplier", format!("between 1 and {TEXT_MAX} characters"))
            .into());
    }
    let zero = Money::zero(ask.amount.currency());
    let vat_fits = !ask.vat.is_negative()
        && ask
            .vat
            .checked_cmp(ask.amount)
            .map_err(Failure::of)?
            .is_lt();
    if !ask.amount.is_positive() || !vat_fits {
        return Err(Failure::of(Refused::NotPositive)
            .at("/amount", "more than nothing, and more than its VAT")
            .into());
    }
    let today = london_date(bus.now());
    if ask.incurred_on > today {
        return Err(Failure::of(Refused::Future(ask.incurred_on)).into());
    }
    let why = "incurred";
    let Some(mut work) = take_up(&bus, command, ask.matter_id, &ask.actor, why).await? else {
        return Ok(view(&bus, id).await?);
    };
    let item = Disbursement {
        id,
        version: 1,
        matter: ask.matter_id,
        kind: ask.kind,
        supplier: supplier.to_owned(),
        amount: ask.amount,
        vat: ask.vat,
        incurred_on: ask.incurred_on,
        paid_on: None,
        funded_by: None,
        recoverable_from: ask.recoverable_from.clone(),
        supplier_state: SupplierState::Incurred,
        recovery_state: RecoveryState::NotClaimed,
        agreed: None,
        recovered: zero,
        refunded: zero,
        write_off_requested_by: None,
    };
    let step = DisbursementStep::Incurred;
    note(&bus, &mut work, &item, step, ask.incurred_on, None).await?;
    work.finish(&bus).await?;
    Ok(view(&bus, id).await?)
}

pub(crate) async fn move_disbursement(
    ask: MoveDisbursement,
    bus: Bus,
) -> Result<DisbursementView, Refusal> {
    let reason = reason(&ask.reason)?;
    let id = ask.disbursement_id;
    let matter = view(&bus, id).await?.matter_id;
    if ask.on > london_date(bus.now()) {
        return Err(Failure::of(Refused::Future(ask.on)).into());
    }
    // Client money pays through the client ledger.
    if ask.step == DisbursementStep::PaidByClient {
        return Err(Failure::of(Refused::NotPayable).into());
    }
    let command = ask.command_id.as_uuid();
    let Some(mut work) = take_up(&bus, command, matter, &ask.actor, reason).await? else {
        return Ok(view(&bus, id).await?);
    };
    let mut locked = store::disbursements::lock(work.tx.conn(), &[id]).await?;
    let item = locked.first_mut().ok_or_else(|| no_disbursement(id))?;
    let funded_by = item.funded_by;
    advance(&bus, &mut work, item, ask.step, ask.on, ask.amount).await?;
    let laid_out = match ask.step {
        DisbursementStep::Paid => Some(item.amount),
        // What client money paid goes back to the client ledger with its receipt.
        DisbursementStep::SupplierRefunded if funded_by == Some(Side::Business) => {
            ask.amount.map(Money::neg)
        }
        _ => None,
    };
    if let Some(amount) = laid_out {
        let because = work.because;
        client::lay_out(
            &mut work.held,
            &mut work.legal,
            amount,
            id,
            &item.supplier,
            ask.on,
            command,
            &because,
        )
        .map_err(Failure::of)?;
    }
    work.finish(&bus).await?;
    Ok(view(&bus, id).await?)
}
