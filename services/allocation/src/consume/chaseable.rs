//! What may be chased, kept current with everything that the ledger writes; and
//! the way in for what other services say of a debt.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use contracts::{Prefix, allocation::ChaseableChanged};
use kernel::AccountId;
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};

pub use crate::store::chaseable::Word;
use crate::{
    domain::{Changes, chaseable},
    store,
};

const SYSTEM: &str = "system:chaseable";

/// Accounts whose figure `changes` may have moved: those that surely need to be
/// looked at, and those that do only if less than everything may be chased.
fn touched(changes: &Changes) -> (BTreeSet<AccountId>, BTreeSet<AccountId>) {
    let (mut surely, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
    for item in &changes.new_items {
        if item.amount.is_negative() {
            surely.insert(item.account_id);
        } else {
            perhaps.insert(item.account_id);
        }
    }
    for receipt in changes.new_receipts.iter().chain(&changes.moved_receipts) {
        let suggested = receipt.suggestions.first().map(|s| s.account);
        let whose = receipt.account.or(suggested);
        if receipt.unallocated.is_positive() {
            surely.extend(whose);
        } else {
            perhaps.extend(whose);
        }
    }
    perhaps.extend(
        changes
            .postings
            .iter()
            .map(|posting| posting.line.account_id),
    );
    perhaps.extend(changes.adjustments.iter().map(|made| made.line.account_id));
    // A receipt that moves to another account, or loses its suggestion, leaves
    // the one that it was likely to pay: nobody else remembers that one.
    perhaps.extend(changes.left.iter().copied());
    perhaps.retain(|account| !surely.contains(account));
    (surely, perhaps)
}

/// Writes what was decided, and tells of the accounts of which another amount
/// may be chased now.
pub(crate) async fn record(
    tx: &mut Tx,
    mut changes: Changes,
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    changes
        .left
        .extend(store::record(tx.conn(), &changes).await?);
    super::client_money::record(tx, &changes, prefix, now, cause).await?;
    refresh(tx, &changes, prefix, now, cause).await
}

/// Tells of accounts of which another amount may be chased after `changes`. One
/// statement for a batch in which everything that is open may be chased.
async fn refresh(
    tx: &mut Tx,
    changes: &Changes,
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    let (mut accounts, perhaps) = touched(changes);
    if !perhaps.is_empty() {
        let perhaps: Vec<AccountId> = perhaps.into_iter().collect();
        accounts.extend(store::chaseable::partly(tx.conn(), &perhaps).await?);
    }
    tell(tx, accounts, prefix, now, cause).await
}

async fn tell(
    tx: &mut Tx,
    accounts: BTreeSet<AccountId>,
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    let accounts: Vec<AccountId> = accounts.into_iter().collect();
    let before = store::chaseable::told(tx.conn(), &accounts).await?;
    let positions = store::chaseable::positions(tx.conn(), &accounts).await?;
    let mut rows = Vec::new();
    let mut events = Vec::new();
    for (account, (account_ref, position)) in positions {
        let mut items = chaseable::chaseable(position).map_err(Failure::of)?;
        let totals = chaseable::totals(&items).map_err(Failure::of)?;
        items.retain(|item| !item.terms.is_empty());
        let trivial = items.is_empty();
        let (version, said, was_trivial) = before
            .get(&account)
            .map_or((0, "", true), |(version, said, trivial)| {
                (*version, said.as_str(), *trivial)
            });
        if trivial && was_trivial {
            continue;
        }
        let told = serde_json::to_string(&(&totals, &items))?;
        if told == said {
            continue;
        }
        let event = ChaseableChanged {
            account_id: account,
            account_ref,
            version: version + 1,
            totals,
            items,
            recorded_at: now,
            actor: SYSTEM.to_owned(),
        };
        events.push(Outgoing::new(
            &event,
            account.as_uuid(),
            event.version,
            prefix,
            now,
            cause,
        )?);
        rows.push(store::chaseable::Told {
            account,
            version: event.version,
            words: told,
            trivial,
        });
    }
    store::chaseable::put(tx.conn(), &rows, now).await?;
    tx.publish(&events).await
}

/// What another service's stream says of parts of debts.
pub trait ChaseTerms: Send + Sync + 'static {
    const STREAM: &'static str;

    /// What a fact says; nothing if it is about something else.
    ///
    /// # Errors
    /// When the fact cannot be read.
    fn word(&self, raw: &Raw) -> Result<Option<Word>, Failure>;
}

/// Keeps the terms that a service tells of.
pub struct Terms<S> {
    source: S,
    prefix: Prefix,
}

impl<S: ChaseTerms> Terms<S> {
    pub fn new(source: S, prefix: Prefix) -> Self {
        Self { source, prefix }
    }
}

/// Words with the moment and the cause of the batch.
#[derive(Default)]
pub struct Said {
    words: Vec<Word>,
    at: Option<(DateTime<Utc>, Meta)>,
}

impl<S: ChaseTerms> Consumer for Terms<S> {
    const STREAM: &'static str = S::STREAM;
    type Message = Word;
    type State = ();
    type Changes = Said;

    fn decode(&self, raw: &Raw) -> Result<Option<Word>, Failure> {
        self.source.word(raw)
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<Word>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<Word>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Said>, Failure> {
        Ok(Decided {
            changes: Said {
                words: batch
                    .iter()
                    .map(|incoming| incoming.message.clone())
                    .collect(),
                at: batch.first().map(|incoming| (now, incoming.meta.clone())),
            },
            events: Vec::new(),
            rejected: Vec::new(),
            notices: Vec::new(),
        })
    }

    async fn record(&self, tx: &mut Tx, said: Said) -> Result<(), Failure> {
        let Some((now, cause)) = said.at else {
            return Ok(());
        };
        say(tx, &said.words, &self.prefix, now, &cause).await
    }
}

/// Keeps what was said of parts of debts, and tells of the accounts concerned.
pub(crate) async fn say(
    tx: &mut Tx,
    words: &[Word],
    prefix: &Prefix,
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    if words.is_empty() {
        return Ok(());
    }
    let accounts = store::chaseable::put_words(tx.conn(), words, now).await?;
    tell(tx, accounts.into_iter().collect(), prefix, now, cause).await
}
