//! `BillingAccount.v1` on `in.billing.accounts.<source>`: a debtor account as
//! billing has it now.

use chrono::{DateTime, Utc};
use contracts::inbound::BillingAccount;
use messaging::{Failure, Meta, Outgoing, Raw};

use super::{Inbound, Message, failure};
use crate::domain::{
    inbound::{self, Account},
    record::{Changes, Known},
};

pub(super) fn decode(raw: &Raw, source: &str) -> Result<Message, Failure> {
    let wire: BillingAccount = raw.json()?;
    let account = inbound::account(wire).map_err(failure)?;
    Ok(Message::Account(source.to_owned(), account))
}

pub(super) fn decide(
    consumer: &Inbound,
    source: &str,
    account: &Account,
    meta: &Meta,
    now: DateTime<Utc>,
    known: &mut Known,
    changes: &mut Changes,
) -> Result<Option<Outgoing>, Failure> {
    let Some(fact) = known.account(account, &format!("feed:{source}"), now) else {
        changes.duplicates += 1;
        return Ok(None);
    };
    let about = fact.account_id.as_uuid();
    consumer
        .outgoing(&fact, about, fact.version, now, meta)
        .map(Some)
}
