//! `BankReceipt.v1` on `in.bank.receipts.<feed>`: one line of a bank account.

use chrono::{DateTime, Utc};
use contracts::inbound::BankReceipt;
use messaging::{Failure, Meta, Outgoing, Raw};

use super::{Inbound, Message, failure};
use crate::domain::{
    inbound,
    record::{Changes, Known, Line, NewLine, Told},
};

pub(super) fn decode(raw: &Raw, now: DateTime<Utc>) -> Result<Message, Failure> {
    let wire: BankReceipt = raw.json()?;
    inbound::receipt(wire, now)
        .map(Message::Receipt)
        .map_err(failure)
}

pub(super) fn decide(
    consumer: &Inbound,
    line: &Line,
    meta: &Meta,
    now: DateTime<Utc>,
    known: &mut Known,
    changes: &mut Changes,
) -> Result<Option<Outgoing>, Failure> {
    if !known.first_sight(line.dedup_key) {
        changes.duplicates += 1;
        return Ok(None);
    }
    let mut line = line.clone();
    line.receipt.recorded_at = now;
    let about = line.receipt.receipt_id.as_uuid();
    let event = line
        .fact()
        .map(|told| match told {
            Told::Receipt(fact) => consumer.outgoing(fact, about, 1, now, meta),
            Told::Debit(fact) => consumer.outgoing(fact.as_ref(), about, 1, now, meta),
        })
        .transpose()?;
    changes.lines.push(NewLine {
        line,
        message_id: Some(meta.id),
    });
    Ok(event)
}
