//! Payment files of refunds: which refunds go, in one file and no other. The file
//! itself is made and kept by ingestion, which hears of it.

use contracts::{
    api::{
        Page, Refusal,
        controls::{
            LeftOut, ListPayable, OrderRefundFile, OrderedFile, Payable, RefundFileStep,
            RefundView, StepRefundFile,
        },
    },
    controls::{RefundFileFormat, RefundFileId, RefundFileOrdered, RefundPayment, RefundState},
};
use kernel::{Currency, Division, Money, WorkingCalendar, london_date};
use messaging::{Bus, Failure};

use super::{Act, refunds::changed};
use crate::{
    domain::{Receipt, refunds::Refund},
    store,
};

/// Payments of one file at most: more go into the next.
const PAYMENTS_MAX: i64 = 500;
const NAME_MAX: usize = 140;

fn refused(code: &'static str, pointer: &'static str, detail: &str) -> Failure {
    Failure::permanent(code, detail.to_owned()).at(pointer, detail.to_owned())
}

/// What the file says of a refund; the payee's account is whole here.
fn payment(refund: &Refund, receipt: &Receipt) -> Option<RefundPayment> {
    let source = receipt
        .payer_account
        .as_ref()
        .filter(|_| refund.payee.to_source);
    Some(RefundPayment {
        refund_id: refund.id,
        end_to_end_id: refund.payment_reference(),
        amount: refund.amount,
        payee_name: refund.payee.name.clone()?,
        payee_account: refund.payee.account.as_ref().or(source)?.clone(),
    })
}

pub(crate) async fn order(ask: OrderRefundFile, bus: Bus) -> Result<OrderedFile, Refusal> {
    let file_id: RefundFileId = ask.command_id.as_uuid().into();
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if !new {
        drop(act);
        return Ok(ordered(file_id, &bus).await?);
    }
    let today = london_date(act.now);
    let format = ask.format.unwrap_or(RefundFileFormat::Pain001);
    let by_bacs = format == RefundFileFormat::Std18;
    let earliest = if by_bacs { bacs_day(today)? } else { today };
    let execute_on = ask.execute_on.unwrap_or(earliest);
    let name = ask.debtor_name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        let detail = "our name as the bank knows it, in at most 140 characters";
        return Err(refused("allocation.debtor_name_needed", "/debtor_name", detail).into());
    }
    if execute_on < today {
        let detail = "today or later";
        return Err(refused("allocation.execution_in_the_past", "/execute_on", detail).into());
    }
    let (account, currency) = (ask.bank_account.trim(), ask.currency);
    if by_bacs {
        check_bacs(&ask, execute_on, earliest)?;
    }
    let seen = store::refunds::verified(act.tx.conn(), account, currency, PAYMENTS_MAX).await?;
    let receipts: Vec<_> = seen.iter().map(|refund| refund.receipt).collect();
    let locked = store::receipts::lock_all(act.tx.conn(), &receipts).await?;
    let reference = format!(
        "REFUNDS-{}-{}",
        today.format("%Y%m%d"),
        &file_id.as_uuid().simple().to_string().to_uppercase()[24..]
    );
    let actor = ask.person.actor.as_str();
    let because = act.because(actor, "");
    let (mut payments, mut views, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for seen in seen {
        let mut leave = |why: &str| {
            left_out.push(LeftOut {
                refund_id: seen.id,
                why: why.to_owned(),
            });
        };
        // Again under the lock of its receipt.
        let refund = store::refunds::get(act.tx.conn(), seen.id).await?;
        let receipt = locked.iter().find(|receipt| receipt.id == seen.receipt);
        let (Some(mut refund), Some(receipt)) = (refund, receipt) else {
            continue;
        };
        if refund.state != RefundState::Verified {
            continue;
        }
        if store::refunds::may_be_taken_back(act.tx.conn(), receipt.id).await? {
            leave("the bank may have taken this payment back");
            continue;
        }
        let Some(payment) = payment(&refund, receipt) else {
            leave("the payee's name or account is not known");
            continue;
        };
        if by_bacs && !is_uk(&payment.payee_account) {
            leave("Bacs pays only UK accounts, by sort code and account number");
            continue;
        }
        let step = match refund.on_its_way(RefundState::InPaymentFile, &reference, &because) {
            Ok(step) => step,
            Err(error) => {
                leave(&error.to_string());
                continue;
            }
        };
        refund.payment_file = Some(file_id);
        changed(&mut act, &refund, step).await?;
        payments.push(payment);
        views.push(refund.view());
    }
    if payments.is_empty() {
        return Err(Failure::conflict(
            "allocation.nothing_to_pay",
            left_out.first().map_or_else(
                || "no refund of this account is verified".to_owned(),
                |left| format!("no verified refund of this account can go: {}", left.why),
            ),
        )
        .into());
    }
    let total =
        Money::sum(payments.iter().map(|payment| payment.amount), currency).map_err(Failure::of)?;
    let event = RefundFileOrdered {
        file_id,
        reference: reference.clone(),
        format,
        bank_account: account.to_owned(),
        debtor_name: name.to_owned(),
        execute_on,
        payments,
        total,
        actor: actor.to_owned(),
        recorded_at: act.now,
        bacs: ask.bacs.clone().filter(|_| by_bacs),
    };
    store::refunds::note_file(act.tx.conn(), &event).await?;
    act.tell(&event, file_id.as_uuid(), 1)?;
    act.finish(&bus).await?;
    Ok(OrderedFile {
        file_id,
        reference,
        refunds: views,
        total,
        left_out,
    })
}

/// A key of sort code and account number.
fn is_uk(key: &str) -> bool {
    key.starts_with("GB:")
}

/// The first entry day of a file that is sent on `today`: it is processed on the
/// working day after, and the payee has the money on the next.
fn bacs_day(today: chrono::NaiveDate) -> Result<chrono::NaiveDate, Failure> {
    WorkingCalendar::new(Division::EnglandWales)
        .add_working_days(today, 2)
        .map_err(Failure::of)
}

/// What Bacs wants of an order.
fn check_bacs(
    ask: &OrderRefundFile,
    execute_on: chrono::NaiveDate,
    earliest: chrono::NaiveDate,
) -> Result<(), Failure> {
    let Some(user) = &ask.bacs else {
        let detail =
            "a Bacs file needs the settings bacs.user_number, bacs.user_name and bacs.account";
        return Err(refused("allocation.bacs_not_set", "/format", detail));
    };
    if user.account != ask.bank_account.trim() {
        let detail =
            "the setting bacs.account names another account: from this one no Bacs file is sent";
        return Err(refused(
            "allocation.bacs_other_account",
            "/bank_account",
            detail,
        ));
    }
    if ask.currency != Currency::GBP {
        let detail = "Bacs pays pounds";
        return Err(refused("allocation.bacs_pounds", "/currency", detail));
    }
    let calendar = WorkingCalendar::new(Division::EnglandWales);
    if execute_on < earliest || !calendar.is_working_day(execute_on).unwrap_or(false) {
        let detail = "a working day in England and Wales, two after today at least";
        return Err(refused("allocation.bacs_entry_day", "/execute_on", detail));
    }
    Ok(())
}

pub(crate) async fn payable(_: ListPayable, bus: Bus) -> Result<Page<Payable>, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(Page {
        items: store::refunds::payable(tx.conn()).await?,
        next_cursor: None,
    })
}

/// The file of a command that came before.
async fn ordered(file_id: RefundFileId, bus: &Bus) -> Result<OrderedFile, Failure> {
    let mut tx = bus.begin().await?;
    let refunds = store::refunds::of_file(tx.conn(), file_id).await?;
    let Some(first) = refunds.first() else {
        return Err(no_file(file_id));
    };
    Ok(OrderedFile {
        file_id,
        reference: first.reference.clone().unwrap_or_default(),
        total: Money::sum(refunds.iter().map(|r| r.amount), first.amount.currency())
            .map_err(Failure::of)?,
        refunds: refunds.iter().map(Refund::view).collect(),
        left_out: Vec::new(),
    })
}

fn no_file(file_id: RefundFileId) -> Failure {
    Failure::not_found(
        "allocation.no_refund_file",
        format!("there is no payment file {file_id}"),
    )
}

/// Says what became of a whole file.
pub(crate) async fn step_file(ask: StepRefundFile, bus: Bus) -> Result<Page<RefundView>, Refusal> {
    let (mut act, new) = Act::begin(&bus, ask.command_id).await?;
    if new {
        let payments = store::refunds::lock_file(act.tx.conn(), ask.file_id)
            .await?
            .ok_or_else(|| no_file(ask.file_id))?;
        let seen = store::refunds::of_file(act.tx.conn(), ask.file_id).await?;
        let receipts: Vec<_> = seen.iter().map(|refund| refund.receipt).collect();
        store::receipts::lock_all(act.tx.conn(), &receipts).await?;
        let refunds = store::refunds::of_file(act.tx.conn(), ask.file_id).await?;
        match ask.step {
            RefundFileStep::Sent => sent(&mut act, refunds, payments, &ask).await?,
            RefundFileStep::Discarded => discarded(&mut act, refunds, &ask).await?,
        }
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let refunds = store::refunds::of_file(tx.conn(), ask.file_id).await?;
    Ok(Page {
        items: refunds.iter().map(Refund::view).collect(),
        next_cursor: None,
    })
}

/// What is further already stays as it is.
async fn sent(
    act: &mut Act,
    refunds: Vec<Refund>,
    payments: usize,
    ask: &StepRefundFile,
) -> Result<(), Failure> {
    // One that was voided since, or drafted anew, is in the bytes still (E43).
    let alive = refunds.iter().filter(|refund| !refund.is_over_unpaid());
    if alive.count() < payments {
        return Err(Failure::conflict(
            "allocation.file_has_void_refund",
            "a refund in this file is void by now: do not send it, discard it and make another",
        ));
    }
    let because = act.because(&ask.person.actor, "");
    for mut refund in refunds {
        if refund.state != RefundState::InPaymentFile {
            continue;
        }
        if store::refunds::may_be_taken_back(act.tx.conn(), refund.receipt).await? {
            return Err(Failure::conflict(
                "allocation.payment_taken_back",
                format!(
                    "the bank may have taken back the payment behind the refund of {}",
                    refund.amount.display_uk()
                ),
            ));
        }
        let reference = refund.reference.clone().unwrap_or_default();
        let step = refund
            .on_its_way(RefundState::Sent, &reference, &because)
            .map_err(Failure::of)?;
        changed(act, &refund, step).await?;
    }
    Ok(())
}

async fn discarded(
    act: &mut Act,
    refunds: Vec<Refund>,
    ask: &StepRefundFile,
) -> Result<(), Failure> {
    if refunds
        .iter()
        .any(|refund| matches!(refund.state, RefundState::Sent | RefundState::Paid))
    {
        return Err(Failure::conflict(
            "allocation.file_was_sent",
            "this file was sent: it cannot be discarded",
        ));
    }
    let because = act.because(&ask.person.actor, "its payment file was discarded");
    for mut refund in refunds {
        if refund.state != RefundState::InPaymentFile {
            continue;
        }
        let step = refund.out_of_file(&because).map_err(Failure::of)?;
        changed(act, &refund, step).await?;
    }
    Ok(())
}
