//! What allocation says, one consumer for all of it: debtors, documents, what
//! moved on them, and what takes off what may be chased.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix, Role,
    allocation::{
        AccountUpdated, AllocationUndone, ChaseableChanged, DebtAdjusted, DocumentPosted,
        ReceiptAllocated, ReceiptMoved, ReceiptPosted, ReceiptReduced,
    },
    catalogue,
};
use kernel::{AccountId, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Raw, Tx};
use uuid::Uuid;

use super::{judge, reach};
use crate::{
    domain::{
        claim, contact,
        hold::{Hold, Teller},
        movements::{self, Move},
    },
    store,
};

/// One fact of allocation.
pub(crate) enum Fact {
    Account(Box<AccountUpdated>),
    Document(Box<DocumentPosted>),
    Moved(Moved),
    Chaseable(Box<ChaseableChanged>),
}

/// What moved on documents, and of a new receipt where it came in.
#[derive(Default)]
pub(crate) struct Moved {
    moves: Vec<Move>,
    bank_account: Option<String>,
    /// Whose bank says that the payer has died.
    bereaved: Vec<AccountId>,
}

/// Reads the ledger's facts.
pub(crate) struct Ledger {
    pub(crate) prefix: Prefix,
}

/// What a batch says, to be written as it is: the rules look at it afterwards.
#[derive(Default)]
pub(crate) struct Changes {
    accounts: Vec<AccountUpdated>,
    documents: Vec<DocumentPosted>,
    moves: Vec<Move>,
    terms: Vec<ChaseableChanged>,
    feeds: BTreeMap<String, DateTime<Utc>>,
    bereaved: Vec<(AccountId, Meta)>,
    at: Option<(DateTime<Utc>, Meta)>,
}

/// Whether `kind` is an `E`. A version of it that we do not know is refused, not
/// passed over: an amount would be wrong without a word.
pub(super) fn is<E: Event>(kind: &str, from: Role) -> Result<bool, Failure> {
    let version = kind
        .strip_prefix("counterfoil.")
        .and_then(|rest| rest.strip_prefix(from.name()))
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(E::NAME))
        .and_then(|rest| rest.strip_prefix(".v"));
    match version.map(str::parse::<u8>) {
        None => Ok(false),
        Some(Ok(version)) if version == E::VERSION => Ok(true),
        Some(_) => Err(Failure::permanent(
            "dunning.unknown_version",
            format!("this version of dunning does not know `{kind}`"),
        )),
    }
}

pub(super) fn kind(raw: &Raw) -> Result<&str, Failure> {
    raw.event_type().ok_or_else(|| {
        Failure::permanent(
            "dunning.untyped_event",
            "the event does not say what it is: no ce-type",
        )
    })
}

fn moved(moved: ReceiptMoved) -> Option<Fact> {
    let moves: Vec<Move> = movements::lines(moved.receipt_id, &moved.lines)
        .chain(movements::adjustments(&moved.adjustments))
        .collect();
    let returned = moved.returned.filter(|returned| returned.stops_chasing);
    let reopened = returned.into_iter().flat_map(|returned| returned.reopened);
    let mut bereaved: Vec<AccountId> = reopened.map(|one| one.account_id).collect();
    bereaved.sort_unstable();
    bereaved.dedup();
    (!moves.is_empty() || !bereaved.is_empty()).then_some(Fact::Moved(Moved {
        moves,
        bank_account: None,
        bereaved,
    }))
}

impl Consumer for Ledger {
    const STREAM: &'static str = catalogue::ALLOCATION;
    type Message = Fact;
    type State = ();
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<Fact>, Failure> {
        let kind = kind(raw)?;
        let from = Role::Allocation;
        // The most frequent first.
        if is::<ReceiptPosted>(kind, from)? {
            let posted: ReceiptPosted = raw.json()?;
            return Ok(Some(Fact::Moved(Moved {
                moves: movements::lines(posted.receipt_id, &posted.lines)
                    .chain(movements::adjustments(&posted.adjustments))
                    .collect(),
                bank_account: Some(posted.bank_account),
                bereaved: Vec::new(),
            })));
        }
        if is::<ReceiptAllocated>(kind, from)? {
            return Ok(moved(raw.json::<ReceiptAllocated>()?.0));
        }
        if is::<DocumentPosted>(kind, from)? {
            return Ok(Some(Fact::Document(raw.json()?)));
        }
        if is::<ChaseableChanged>(kind, from)? {
            return Ok(Some(Fact::Chaseable(raw.json()?)));
        }
        if is::<AccountUpdated>(kind, from)? {
            return Ok(Some(Fact::Account(raw.json()?)));
        }
        if is::<AllocationUndone>(kind, from)? {
            return Ok(moved(raw.json::<AllocationUndone>()?.0));
        }
        if is::<ReceiptReduced>(kind, from)? {
            return Ok(moved(raw.json::<ReceiptReduced>()?.0));
        }
        if is::<DebtAdjusted>(kind, from)? {
            let adjusted: DebtAdjusted = raw.json()?;
            return Ok(Some(Fact::Moved(Moved {
                moves: movements::adjustments(&adjusted.lines).collect(),
                ..Moved::default()
            })));
        }
        Ok(None)
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<Fact>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<Fact>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let mut changes = Changes {
            at: batch.last().map(|last| (now, last.meta.clone())),
            ..Changes::default()
        };
        for Incoming { meta, message } in batch {
            match message {
                Fact::Account(account) => changes.accounts.push((**account).clone()),
                Fact::Document(document) => changes.documents.push((**document).clone()),
                Fact::Chaseable(told) => changes.terms.push((**told).clone()),
                Fact::Moved(moved) => {
                    changes.moves.extend_from_slice(&moved.moves);
                    let bereaved = moved.bereaved.iter();
                    changes
                        .bereaved
                        .extend(bereaved.map(|account| (*account, meta.clone())));
                    if let Some(bank_account) = &moved.bank_account {
                        let heard = changes.feeds.entry(bank_account.clone()).or_default();
                        *heard = meta.time.max(*heard);
                    }
                }
            }
        }
        Ok(Decided {
            changes,
            ..Decided::default()
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        let Some((now, cause)) = changes.at else {
            return Ok(());
        };
        let today = london_date(now);
        store::accounts::put(tx.conn(), &changes.accounts).await?;
        store::debtors::put(tx.conn(), &changes.accounts).await?;
        let heard: Vec<Uuid> = changes
            .accounts
            .iter()
            .map(|account| account.account_id.as_uuid())
            .collect();
        let told = judge::Told {
            prefix: &self.prefix,
            now,
            cause: &cause,
            actor: judge::SYSTEM,
            reason: "another address is known",
        };
        reach::look(tx, &heard, true, told).await?;
        let conn = tx.conn();
        store::accounts::heard(conn, &changes.feeds).await?;
        store::items::put(conn, &changes.documents, today).await?;
        let mut accounts = store::items::moved(conn, &changes.moves, now, today).await?;
        // A cost that was posted is a document of its referral from now on.
        accounts.extend(
            changes
                .documents
                .iter()
                .filter(|document| claim::is_charge(&document.document_ref))
                .map(|document| document.account_id),
        );
        accounts.sort_unstable();
        accounts.dedup();
        store::items::put_terms(conn, &changes.terms).await?;
        let owing = changes.documents.iter().map(|d| d.account_id.as_uuid());
        let asked: Vec<Uuid> = owing.chain(heard).collect();
        let nowhere = store::ways::nowhere(conn, &asked).await?;
        let told = judge::Told {
            reason: "they owe, and no address is known",
            ..told
        };
        reach::look(tx, &nowhere, false, told).await?;
        let moved: Vec<Uuid> = accounts.iter().map(|account| account.as_uuid()).collect();
        let told = judge::Told {
            reason: "they owe nothing any more",
            ..told
        };
        reach::settled(tx, &moved, told).await?;
        for (account, cause) in &changes.bereaved {
            let told = judge::Told {
                cause,
                reason: "the bank returned a payment: payer deceased",
                ..told
            };
            bereave(tx, *account, told).await?;
        }
        judge::accounts(tx, &self.prefix, &accounts, now, &cause).await
    }
}

/// Nobody is chased before a person has looked (E37).
async fn bereave(tx: &mut Tx, account: AccountId, told: judge::Told<'_>) -> Result<(), Failure> {
    let today = london_date(told.now);
    let Some(hold) = contact::bereavement(today) else {
        return Ok(());
    };
    let Some(account_ref) = store::accounts::reference(tx.conn(), account).await? else {
        return Ok(());
    };
    if store::holds::is_held(tx.conn(), account, None, hold.kind, today).await? {
        return Ok(());
    }
    let id = Uuid::new_v5(&told.cause.id, account.as_uuid().as_bytes()).into();
    let teller = Teller {
        account,
        account_ref: &account_ref,
        debtor: None,
        actor: told.actor,
        reason: told.reason,
    };
    judge::put_hold(tx, &Hold::heard(id, hold, &teller, today), told).await
}
