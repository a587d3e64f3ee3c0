//! What moves no figure of a report but belongs to an account's story: client
//! money, money on the wrong bank account, residual balances, disbursements and
//! refunds. Each event is a row, or one for each of its lines.

use contracts::{
    controls::RefundChanged,
    matters::{BankMoveChanged, ClientMoneyMoved, DisbursementChanged, ResidualChanged, Side},
};
use kernel::{Money, london_date};
use uuid::Uuid;

use crate::store::facts::{Facts, Happened, Said};

/// Lines on the client side of a matter.
pub(super) fn client_money(facts: &mut Facts, event_id: Uuid, event: &ClientMoneyMoved) {
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    let client = |line: &&contracts::matters::MatterEntry| line.side == Side::Client;
    for line in event.lines.iter().filter(client) {
        let happened = Happened {
            entry_id: line.entry_id.as_uuid(),
            kind: "client_money",
            account_ref: &event.account_ref,
            receipt_id: line.receipt_id,
            document_id: line.document_id,
            subject: &event.matter_ref,
            detail: line.kind.name().to_owned(),
            amount: line.amount,
            effective_on: line.effective_on,
            due_on: None,
        };
        facts.happened.push(said, &happened);
    }
}

pub(super) fn bank_move(facts: &mut Facts, event_id: Uuid, event: &BankMoveChanged) {
    let due = &event.bank_move;
    let step = if due.done_on.is_some() { "done" } else { "due" };
    let happened = Happened {
        entry_id: due.move_id.as_uuid(),
        kind: "bank_move",
        account_ref: &event.account_ref,
        receipt_id: due.receipt_id,
        document_id: None,
        subject: &event.matter_ref,
        detail: format!("{step} {} {}", due.to.name(), due.kind.name()),
        amount: due.amount,
        effective_on: due.done_on.unwrap_or(due.arose_on),
        due_on: Some(due.due_by),
    };
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    facts.happened.push(said, &happened);
}

pub(super) fn residual(facts: &mut Facts, event_id: Uuid, event: &ResidualChanged) {
    let happened = Happened {
        entry_id: event.residual_id.as_uuid(),
        kind: "residual",
        account_ref: &event.account_ref,
        receipt_id: None,
        document_id: None,
        subject: &event.matter_ref,
        detail: event.step.name().to_owned(),
        amount: event.balance,
        effective_on: london_date(event.recorded_at),
        due_on: None,
    };
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    facts.happened.push(said, &happened);
}

pub(super) fn disbursement(facts: &mut Facts, event_id: Uuid, event: &DisbursementChanged) {
    let amount: Money = event.step_amount.unwrap_or(event.amount);
    let happened = Happened {
        entry_id: event.disbursement_id.as_uuid(),
        kind: "disbursement",
        account_ref: &event.account_ref,
        receipt_id: None,
        document_id: None,
        subject: &event.supplier,
        detail: event.step.name().to_owned(),
        amount,
        effective_on: event.on,
        due_on: None,
    };
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    facts.happened.push(said, &happened);
}

pub(super) fn refund(facts: &mut Facts, event_id: Uuid, event: &RefundChanged) {
    let happened = Happened {
        entry_id: event.refund_id.as_uuid(),
        kind: "refund",
        account_ref: event.account_ref.as_deref().unwrap_or_default(),
        receipt_id: Some(event.receipt_id),
        document_id: None,
        subject: "",
        detail: event.state.name().to_owned(),
        amount: event.amount,
        effective_on: london_date(event.recorded_at),
        due_on: None,
    };
    let said = Said {
        event_id,
        recorded_at: event.recorded_at,
        actor: &event.actor,
        reason: &event.reason,
        step: None,
    };
    facts.happened.push(said, &happened);
}
