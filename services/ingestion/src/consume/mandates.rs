//! `BillingMandate.v1` on `in.billing.mandates.<source>`: a Direct Debit mandate
//! as billing has it now. What it changes is written by [`super::direct_debits`].

use contracts::inbound::BillingMandate;
use messaging::{Failure, Meta, Raw};

use super::{By, Message, failure};
use crate::domain::{
    inbound::{self, Mandate},
    record::{Changes, Known},
};

pub(super) fn decode(raw: &Raw, source: &str) -> Result<Message, Failure> {
    let wire: BillingMandate = raw.json()?;
    let mandate = inbound::mandate(wire).map_err(failure)?;
    Ok(Message::Mandate(source.to_owned(), Box::new(mandate)))
}

pub(super) fn decide(
    source: &str,
    mandate: &Mandate,
    meta: &Meta,
    known: &mut Known,
    changes: &mut Changes,
    by: &mut By,
) -> Result<(), Failure> {
    if known.mandate(mandate).map_err(failure)? {
        let said = (format!("feed:{source}"), meta.clone());
        by.insert(mandate.wire.mandate_reference.clone(), said);
    } else {
        changes.duplicates += 1;
    }
    Ok(())
}
