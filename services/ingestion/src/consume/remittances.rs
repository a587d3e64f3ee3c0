//! `Remittance.v1` on `in.remittances.<source>`: what a payer says that a payment
//! is for, apart from the money.

use chrono::{DateTime, Utc};
use contracts::inbound::Remittance as Wire;
use messaging::{Failure, Meta, Outgoing, Raw};

use super::{Inbound, Message, failure};
use crate::domain::{
    inbound::{self, Remittance},
    record::{Changes, Known, NewRemittance},
};

pub(super) fn decode(raw: &Raw, now: DateTime<Utc>) -> Result<Message, Failure> {
    let wire: Wire = raw.json()?;
    let advice = inbound::remittance(wire, now).map_err(failure)?;
    Ok(Message::Remittance(Box::new(advice)))
}

pub(super) fn decide(
    consumer: &Inbound,
    advice: &Remittance,
    meta: &Meta,
    now: DateTime<Utc>,
    known: &mut Known,
    changes: &mut Changes,
) -> Result<Option<Outgoing>, Failure> {
    if !known.remittance(advice).map_err(failure)? {
        changes.duplicates += 1;
        return Ok(None);
    }
    let mut advice = advice.clone();
    advice.fact.recorded_at = now;
    let about = advice.fact.remittance_id.as_uuid();
    let event = consumer.outgoing(&advice.fact, about, 1, now, meta)?;
    changes.remittances.push(NewRemittance {
        advice,
        message_id: Some(meta.id),
    });
    Ok(Some(event))
}
