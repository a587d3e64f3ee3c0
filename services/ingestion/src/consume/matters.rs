//! `BillingMatter.v1` on `in.billing.matters.<source>`: a file as the case
//! system has it now.

use chrono::{DateTime, Utc};
use contracts::inbound::BillingMatter;
use messaging::{Failure, Meta, Outgoing, Raw};

use super::{Inbound, Message, failure};
use crate::domain::{
    inbound::{self, Matter},
    record::{Changes, Known},
};

pub(super) fn decode(raw: &Raw, source: &str) -> Result<Message, Failure> {
    let wire: BillingMatter = raw.json()?;
    let matter = inbound::matter(wire).map_err(failure)?;
    Ok(Message::Matter(source.to_owned(), matter))
}

pub(super) fn decide(
    consumer: &Inbound,
    source: &str,
    matter: &Matter,
    meta: &Meta,
    now: DateTime<Utc>,
    known: &mut Known,
    changes: &mut Changes,
) -> Result<Option<Outgoing>, Failure> {
    let Some(fact) = known.matter(matter, &format!("feed:{source}"), now) else {
        changes.duplicates += 1;
        return Ok(None);
    };
    let about = fact.matter_id.as_uuid();
    consumer
        .outgoing(&fact, about, fact.version, now, meta)
        .map(Some)
}
