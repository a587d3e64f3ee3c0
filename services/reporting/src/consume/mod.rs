//! What allocation publishes, turned into rows of facts: one file per message.
//!
//! Nothing has to be read to decide, because every row is a fact that an event
//! states by itself. So events may come in any order and any number of times.

mod account_updated;
mod chasing;
mod debt_adjusted;
mod document_posted;
mod happened;
mod receipt_moved;
mod receipt_posted;

pub(crate) use chasing::Chasing;
use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::{
    Event, Role,
    allocation::{
        AccountUpdated, AllocationUndone, DebtAdjusted, DocumentPosted, ReceiptAllocated,
        ReceiptMoved, ReceiptPosted, ReceiptReduced,
    },
    catalogue,
    controls::RefundChanged,
    matters::{BankMoveChanged, ClientMoneyMoved, DisbursementChanged, ResidualChanged},
};
use messaging::{Consumer, Decided, Failure, Incoming, Raw, Tx};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::store::facts::{self, Facts};

/// One event of allocation.
#[derive(Debug)]
pub(crate) enum Fact {
    Account(Box<AccountUpdated>),
    Document(Box<DocumentPosted>),
    Receipt(Box<ReceiptPosted>),
    Allocated(Box<ReceiptMoved>),
    Undone(Box<ReceiptMoved>),
    Reduced(Box<ReceiptMoved>),
    Adjusted(Box<DebtAdjusted>),
    ClientMoney(Box<ClientMoneyMoved>),
    BankMove(Box<BankMoveChanged>),
    Residual(Box<ResidualChanged>),
    Disbursement(Box<DisbursementChanged>),
    Refund(Box<RefundChanged>),
}

/// A message with its type, delivered live or read again by a rebuild.
pub(crate) trait Payload {
    fn event_type(&self) -> Option<&str>;
    fn json<T: DeserializeOwned>(&self) -> Result<T, Failure>;
}

impl Payload for Raw {
    fn event_type(&self) -> Option<&str> {
        Self::event_type(self)
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        Self::json(self)
    }
}

/// Understands one event; `None` for kinds that carry no figures of ours.
pub(crate) fn fact(payload: &impl Payload) -> Result<Option<Fact>, Failure> {
    let kind = payload.event_type().ok_or_else(|| {
        Failure::permanent(
            "reporting.untyped_event",
            "the event does not say what it is: no ce-type",
        )
    })?;
    // The most frequent first.
    Ok(Some(if is::<ReceiptPosted>(kind)? {
        Fact::Receipt(payload.json()?)
    } else if is::<ReceiptAllocated>(kind)? {
        Fact::Allocated(payload.json()?)
    } else if is::<DocumentPosted>(kind)? {
        Fact::Document(payload.json()?)
    } else if is::<AccountUpdated>(kind)? {
        Fact::Account(payload.json()?)
    } else if is::<AllocationUndone>(kind)? {
        Fact::Undone(payload.json()?)
    } else if is::<ReceiptReduced>(kind)? {
        Fact::Reduced(payload.json()?)
    } else if is::<DebtAdjusted>(kind)? {
        Fact::Adjusted(payload.json()?)
    } else if is::<ClientMoneyMoved>(kind)? {
        Fact::ClientMoney(payload.json()?)
    } else if is::<BankMoveChanged>(kind)? {
        Fact::BankMove(payload.json()?)
    } else if is::<ResidualChanged>(kind)? {
        Fact::Residual(payload.json()?)
    } else if is::<DisbursementChanged>(kind)? {
        Fact::Disbursement(payload.json()?)
    } else if is::<RefundChanged>(kind)? {
        Fact::Refund(payload.json()?)
    } else {
        return Ok(None);
    }))
}

/// Whether `kind` is `E`. A version of it that we do not know is refused, not
/// passed over: money would go missing without a word.
fn is<E: Event>(kind: &str) -> Result<bool, Failure> {
    let version = kind
        .strip_prefix("counterfoil.")
        .and_then(|rest| rest.strip_prefix(Role::Allocation.name()))
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(E::NAME))
        .and_then(|rest| rest.strip_prefix(".v"));
    match version.map(str::parse::<u8>) {
        None => Ok(false),
        Some(Ok(version)) if version == E::VERSION => Ok(true),
        Some(_) => Err(Failure::permanent(
            "reporting.unknown_version",
            format!("this version of reporting does not know `{kind}`"),
        )),
    }
}

/// What a batch adds to the projections.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    /// Events that contradict themselves, by their place in the batch.
    pub(crate) rejected: Vec<(usize, Failure)>,
    /// The accounts concerned.
    pub(crate) accounts: BTreeSet<Uuid>,
}

/// Turns events into rows. Pure; the same for the live projection and for a
/// rebuild.
pub(crate) fn gather<'e>(batch: impl Iterator<Item = (Uuid, &'e Fact)>) -> Gathered {
    let mut gathered = Gathered::default();
    for (place, (event_id, fact)) in batch.enumerate() {
        let (facts, accounts) = (&mut gathered.facts, &mut gathered.accounts);
        let added = match fact {
            Fact::Account(event) => {
                account_updated::add(facts, accounts, event_id, event);
                Ok(())
            }
            Fact::Document(event) => {
                document_posted::add(facts, accounts, event_id, event);
                Ok(())
            }
            Fact::Receipt(event) => receipt_posted::add(facts, accounts, event_id, event),
            Fact::Allocated(event) | Fact::Reduced(event) => {
                receipt_moved::add(facts, accounts, event_id, event, false)
            }
            Fact::Adjusted(event) => {
                debt_adjusted::add(facts, accounts, event_id, event);
                Ok(())
            }
            Fact::ClientMoney(event) => {
                accounts.insert(event.account_id.as_uuid());
                happened::client_money(facts, event_id, event);
                Ok(())
            }
            Fact::BankMove(event) => {
                happened::bank_move(facts, event_id, event);
                Ok(())
            }
            Fact::Residual(event) => {
                accounts.insert(event.account_id.as_uuid());
                happened::residual(facts, event_id, event);
                Ok(())
            }
            Fact::Disbursement(event) => {
                happened::disbursement(facts, event_id, event);
                Ok(())
            }
            Fact::Refund(event) => {
                accounts.extend(event.account_id.map(kernel::AccountId::as_uuid));
                happened::refund(facts, event_id, event);
                Ok(())
            }
            Fact::Undone(event) => receipt_moved::add(facts, accounts, event_id, event, true),
        };
        if let Err(error) = added {
            gathered.rejected.push((place, Failure::of(error)));
        }
    }
    gathered
}

/// Pages about single accounts are told up to this many names per batch; a
/// bigger batch says `accounts`.
const ACCOUNT_TOPICS_MAX: usize = 64;

fn topics(accounts: &BTreeSet<Uuid>) -> Vec<String> {
    let mut topics = vec![
        "aged-debt".to_owned(),
        "unallocated".to_owned(),
        "accounts".to_owned(),
    ];
    if accounts.len() <= ACCOUNT_TOPICS_MAX {
        topics.extend(accounts.iter().map(|id| format!("account:{id}")));
    }
    topics
}

/// Keeps the live projection.
#[derive(Debug)]
pub(crate) struct Projector;

impl Consumer for Projector {
    const STREAM: &'static str = catalogue::ALLOCATION;
    type Message = Fact;
    type State = ();
    type Changes = Facts;

    fn decode(&self, raw: &Raw) -> Result<Option<Fact>, Failure> {
        fact(raw)
    }

    async fn load(&self, _tx: &mut Tx, _batch: &[Incoming<Fact>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<Fact>],
        _now: DateTime<Utc>,
    ) -> Result<Decided<Self::Changes>, Failure> {
        let gathered = gather(
            batch
                .iter()
                .map(|incoming| (incoming.meta.id, &incoming.message)),
        );
        Ok(Decided {
            notices: topics(&gathered.accounts),
            changes: gathered.facts,
            events: Vec::new(),
            rejected: gathered.rejected,
        })
    }

    async fn record(&self, tx: &mut Tx, facts: Facts) -> Result<(), Failure> {
        facts::insert(tx.conn(), None, facts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_of_a_known_event_is_never_passed_over() {
        assert!(is::<ReceiptPosted>("counterfoil.allocation.receipt_posted.v1").unwrap());
        assert!(!is::<ReceiptPosted>("counterfoil.allocation.receipt_allocated.v1").unwrap());
        assert!(
            !is::<ReceiptPosted>("counterfoil.allocation.receipt_posted_elsewhere.v1").unwrap()
        );
        assert!(is::<ReceiptPosted>("counterfoil.allocation.receipt_posted.v2").is_err());
        assert_eq!(
            ReceiptPosted::event_type(),
            "counterfoil.allocation.receipt_posted.v1"
        );
    }
}
