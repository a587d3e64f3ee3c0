//! What comes in over the broker: one consumer of `INBOUND`, one file per kind
//! of message; and of `ALLOCATION` the orders for payment files.

mod accounts;
pub(crate) mod approvals;
pub(crate) mod charges;
pub(crate) mod direct_debits;
mod documents;
mod mandates;
mod matters;
mod receipts;
pub(crate) mod refund_files;
mod remittances;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use contracts::{Event, catalogue, subject};
use messaging::{Bus, Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};
use uuid::Uuid;

use crate::{
    domain::{
        self,
        inbound::{Account, Document, Mandate, Matter, Refused, Remittance},
        record::{Changes, Known, Line},
    },
    store,
};

/// Reads everything that feeds and billing systems publish.
pub(crate) struct Inbound {
    bus: Bus,
    /// Our own for Bacs, where it is known.
    user_number: Option<String>,
    /// Accounts of ours that are certainly in the books: a handful, looked up
    /// once instead of with every batch.
    seen: Mutex<HashSet<String>>,
}

/// A message that makes sense.
#[derive(Debug)]
pub(crate) enum Message {
    Receipt(Line),
    /// With the name of the billing system.
    Account(String, Account),
    Document(String, Document),
    Remittance(Box<Remittance>),
    Matter(String, Matter),
    Mandate(String, Box<Mandate>),
}

/// Who told of each mandate, and in which message.
pub(crate) type By = HashMap<String, (String, Meta)>;

pub(crate) struct State {
    known: Known,
    unseen_bank_accounts: BTreeSet<String>,
}

pub(crate) struct Recorded {
    changes: Changes,
    bank_accounts: BTreeSet<String>,
    by: By,
    now: DateTime<Utc>,
}

impl Inbound {
    pub(crate) fn new(bus: Bus, user_number: Option<String>) -> Self {
        Self {
            bus,
            user_number,
            seen: Mutex::default(),
        }
    }

    fn outgoing<E: Event>(
        &self,
        fact: &E,
        about: Uuid,
        version: i64,
        now: DateTime<Utc>,
        cause: &Meta,
    ) -> Result<Outgoing, Failure> {
        Outgoing::new(fact, about, version, self.bus.prefix(), now, cause)
    }

    /// Those of `keys` that have no row yet.
    async fn unseen(
        &self,
        tx: &mut Tx,
        keys: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Failure> {
        let asked: BTreeSet<String> = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            keys.into_iter().filter(|key| !seen.contains(key)).collect()
        };
        if asked.is_empty() {
            return Ok(asked);
        }
        let unseen = store::unseen_bank_accounts(tx, asked.clone()).await?;
        // Only what a committed transaction wrote is remembered.
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(asked.difference(&unseen).cloned());
        Ok(unseen)
    }
}

/// The name of the feed or billing system, if the subject is below `kind`.
fn source_of<'s>(subject: &'s str, kind: &str) -> Option<&'s str> {
    subject.strip_prefix(kind)?.strip_prefix('.')
}

/// A refusal by field, as the pipeline buries it.
pub(crate) fn failure(refused: Refused) -> Failure {
    Failure::permanent(refused.code, refused.to_string()).at(refused.pointer, refused.detail)
}

impl Consumer for Inbound {
    const STREAM: &'static str = catalogue::INBOUND;
    type Message = Message;
    type State = State;
    type Changes = Recorded;

    fn decode(&self, raw: &Raw) -> Result<Option<Message>, Failure> {
        let subject = raw.meta.subject.as_str();
        if source_of(subject, subject::IN_RECEIPTS).is_some() {
            receipts::decode(raw, self.bus.now()).map(Some)
        } else if let Some(source) = source_of(subject, subject::IN_ACCOUNTS) {
            accounts::decode(raw, source).map(Some)
        } else if let Some(source) = source_of(subject, subject::IN_DOCUMENTS) {
            documents::decode(raw, source).map(Some)
        } else if source_of(subject, subject::IN_REMITTANCES).is_some() {
            remittances::decode(raw, self.bus.now()).map(Some)
        } else if let Some(source) = source_of(subject, subject::IN_MATTERS) {
            matters::decode(raw, source).map(Some)
        } else if let Some(source) = source_of(subject, subject::IN_MANDATES) {
            mandates::decode(raw, source).map(Some)
        } else {
            // Nothing that was sent to us vanishes without a word.
            Err(Failure::permanent(
                "ingestion.unknown_subject",
                format!("nothing is expected on `{subject}`"),
            ))
        }
    }

    async fn load(&self, tx: &mut Tx, batch: &[Incoming<Message>]) -> Result<State, Failure> {
        let mut known = Known::default();
        let mut lines = Vec::new();
        let mut bank_accounts = BTreeSet::new();
        let (mut accounts, mut named) = (BTreeSet::new(), BTreeSet::new());
        let mut documents = BTreeSet::new();
        let mut remittances = BTreeSet::new();
        let mut matters = BTreeSet::new();
        let (mut mandates, mut payers) = (BTreeSet::new(), BTreeSet::new());
        for incoming in batch {
            match &incoming.message {
                Message::Receipt(line) => {
                    lines.push(line.dedup_key);
                    if !bank_accounts.contains(&line.receipt.bank_account) {
                        bank_accounts.insert(line.receipt.bank_account.clone());
                    }
                }
                Message::Account(_, account) => {
                    accounts.insert(account.wire.account_ref.as_str());
                }
                Message::Document(_, document) => {
                    named.insert(document.wire.account_ref.as_str());
                    documents.insert(document.wire.document_ref.as_str());
                }
                Message::Remittance(advice) => {
                    let fact = &advice.fact;
                    remittances.insert((fact.source.as_str(), fact.remittance_ref.as_str()));
                }
                Message::Matter(_, matter) => {
                    named.insert(matter.wire.account_ref.as_str());
                    matters.insert(matter.wire.matter_ref.as_str());
                }
                Message::Mandate(_, mandate) => {
                    named.insert(mandate.wire.account_ref.as_str());
                    mandates.insert(mandate.wire.mandate_reference.as_str());
                    payers.insert(mandate.payer_account.as_str());
                }
            }
        }
        if !lines.is_empty() {
            store::load_lines(tx, &lines, &mut known).await?;
        }
        if !documents.is_empty() {
            store::load_documents(tx, documents, &mut known).await?;
        }
        if !remittances.is_empty() {
            store::load_remittances(tx, remittances, &mut known).await?;
        }
        store::load_accounts(tx, accounts, named, &mut known).await?;
        store::load_matters(tx, matters, &mut known).await?;
        store::mandates::load(tx, mandates, payers, &mut known).await?;
        Ok(State {
            known,
            unseen_bank_accounts: self.unseen(tx, bank_accounts).await?,
        })
    }

    fn decide(
        &self,
        state: State,
        batch: &[Incoming<Message>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Recorded>, Failure> {
        let mut known = state.known;
        let mut changes = Changes::default();
        let mut events = Vec::with_capacity(batch.len());
        let mut rejected = Vec::new();
        let mut by = By::new();
        for (index, incoming) in batch.iter().enumerate() {
            let meta = &incoming.meta;
            let decided = match &incoming.message {
                Message::Receipt(line) => {
                    receipts::decide(self, line, meta, now, &mut known, &mut changes)
                }
                Message::Account(source, account) => {
                    accounts::decide(self, source, account, meta, now, &mut known, &mut changes)
                }
                Message::Document(source, document) => {
                    documents::decide(self, source, document, meta, now, &mut known, &mut changes)
                }
                Message::Remittance(advice) => {
                    remittances::decide(self, advice, meta, now, &mut known, &mut changes)
                }
                Message::Matter(source, matter) => {
                    matters::decide(self, source, matter, meta, now, &mut known, &mut changes)
                }
                Message::Mandate(source, told) => {
                    mandates::decide(source, told, meta, &mut known, &mut changes, &mut by)
                        .map(|()| None)
                }
            };
            match decided {
                Ok(event) => events.extend(event),
                Err(failure) => rejected.push((index, failure)),
            }
        }
        changes.matters = known.take_matter_rows();
        changes.mandates = known.take_mandate_steps();
        changes.accounts = known.into_account_rows();
        if changes.duplicates > 0 {
            tracing::debug!(
                duplicates = changes.duplicates,
                "came before and changed nothing"
            );
        }
        let mut notices = Vec::new();
        if !changes.lines.is_empty() {
            notices.push("receipts".to_owned());
        }
        if !changes.mandates.is_empty() {
            notices.push("direct-debits".to_owned());
        }
        Ok(Decided {
            changes: Recorded {
                changes,
                bank_accounts: state.unseen_bank_accounts,
                by,
                now,
            },
            events,
            rejected,
            notices,
        })
    }

    async fn record(&self, tx: &mut Tx, recorded: Recorded) -> Result<(), Failure> {
        store::record_bank_accounts(tx, &recorded.bank_accounts, recorded.now).await?;
        store::record(tx, &recorded.changes, recorded.now).await?;
        let teller_of = |mandate: &domain::mandate::Mandate| {
            let (actor, cause) = recorded.by.get(&mandate.reference)?;
            Some(direct_debits::Teller {
                prefix: self.bus.prefix(),
                actor,
                cause,
                now: recorded.now,
            })
        };
        let told = &recorded.changes.mandates;
        for step in told {
            if let Some(teller) = teller_of(&step.mandate) {
                teller.step(tx, step).await?;
            }
        }
        let ours = self.user_number.as_deref();
        direct_debits::hear_of_told(tx, teller_of, ours, told).await?;
        Ok(())
    }
}
