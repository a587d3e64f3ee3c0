//! `BillingDocument.v1` on `in.billing.documents.<source>`: an invoice, credit
//! note or disbursement.

use chrono::{DateTime, Utc};
use contracts::inbound::BillingDocument;
use messaging::{Failure, Meta, Outgoing, Raw};

use super::{Inbound, Message, failure};
use crate::domain::{
    inbound::{self, Document},
    record::{Changes, Known, Origin},
};

pub(super) fn decode(raw: &Raw, source: &str) -> Result<Message, Failure> {
    let wire: BillingDocument = raw.json()?;
    let document = inbound::document(wire).map_err(failure)?;
    Ok(Message::Document(source.to_owned(), document))
}

pub(super) fn decide(
    consumer: &Inbound,
    source: &str,
    document: &Document,
    meta: &Meta,
    now: DateTime<Utc>,
    known: &mut Known,
    changes: &mut Changes,
) -> Result<Option<Outgoing>, Failure> {
    let origin = Origin::feed(source, meta.id);
    let Some(new) = known.document(document, &origin, now).map_err(failure)? else {
        changes.duplicates += 1;
        return Ok(None);
    };
    let about = new.fact.document_id.as_uuid();
    let event = consumer.outgoing(&new.fact, about, 1, now, meta)?;
    changes.documents.push(new);
    Ok(Some(event))
}
