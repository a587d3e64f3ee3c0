//! What ingestion says, on its way onto the ledger.
//!
//! One consumer for the whole stream: an account, its documents and a receipt
//! for them may stand in one batch, and are then taken in that order, whatever
//! order they came in.

mod accounts;
mod advised;
#[cfg(test)]
mod advised_tests;
pub(crate) mod approvals;
pub mod chaseable;
pub(crate) mod client_money;
mod collections;
pub(crate) mod debits;
pub mod disputes;
mod documents;
pub mod dunning;
pub(crate) mod duplicates;
mod matters;
mod receipts;
mod refunds;
mod remittances;

pub(crate) use matters::updated;
pub(crate) use receipts::moved;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    Prefix, catalogue,
    ingestion::{
        AccountRecorded, BankAccountDesignated, DebitRecorded, DocumentRecorded, MatterRecorded,
        ReceiptRecorded, RemittanceRecorded, ReturnAdvised,
    },
};
use kernel::{AccountId, DocumentId, MatterId, ReceiptId, RemittanceId, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Raw, Tx};

use self::{debits::Returns, duplicates::Payment};
use crate::{
    domain::{
        Advice, Books, Changes, Receipt, arrival, legal::Matter, policy, returns::Debit,
        rules::shadow::Shadow,
    },
    store,
};

/// Posts accounts, documents and receipts.
pub struct Ledger {
    prefix: Prefix,
}

impl Ledger {
    pub fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

/// A fact of ingestion; a receipt with what look-ups need worked out once.
pub enum Message {
    Account(Box<AccountRecorded>),
    Document(Box<DocumentRecorded>),
    Receipt(Box<Receipt>),
    Remittance(Box<RemittanceRecorded>),
    Matter(Box<MatterRecorded>),
    Designated(Box<BankAccountDesignated>),
    /// A bank line, or an item of a report that tells of one.
    Debit(Box<Debit>),
    /// A payment of ours that came back, as a report says.
    SentBack(Box<ReturnAdvised>),
    Collection(Box<chaseable::Word>),
}

/// What the batch touches, as it is now.
pub struct State {
    books: Books,
    /// Documents and receipts that are on the ledger already: the same fact
    /// under another message id changes nothing.
    known_documents: HashSet<DocumentId>,
    known_receipts: HashSet<ReceiptId>,
    known_remittances: HashSet<RemittanceId>,
    /// Receipts with money left whose words may name a document of this batch.
    waiting: Vec<Receipt>,
    /// Receipts with money left that an advice of this batch may be about, or
    /// whose advice may list a document of it.
    unadvised: Vec<Receipt>,
    matters: HashMap<MatterId, Matter>,
    returns: Returns,
    /// What paid the documents that receipts of this batch name again.
    payments: Vec<Payment>,
    /// Rules that decide beside the live ones.
    shadows: Vec<Shadow>,
    /// Receipts of which a refund was ever drafted: none is by itself again.
    refunded: HashSet<ReceiptId>,
}

/// What was decided, with the moment and the cause of the batch.
#[derive(Default)]
pub struct Written {
    changes: Changes,
    /// What is to come by Direct Debit.
    words: Vec<chaseable::Word>,
    at: Option<(DateTime<Utc>, Meta)>,
}

impl Written {
    /// How many allocations were decided.
    pub fn lines(&self) -> usize {
        self.changes.postings.len()
    }
}

impl Consumer for Ledger {
    const STREAM: &'static str = catalogue::INGESTION;
    type Message = Message;
    type State = State;
    type Changes = Written;

    fn decode(&self, raw: &Raw) -> Result<Option<Message>, Failure> {
        let name = raw
            .event_type()
            .and_then(|kind| kind.strip_prefix("counterfoil.ingestion."));
        Ok(match name {
            Some("account_recorded.v1") => Some(Message::Account(raw.json()?)),
            Some("document_recorded.v1") => Some(Message::Document(raw.json()?)),
            Some("receipt_recorded.v1") => {
                let fact: Box<ReceiptRecorded> = raw.json()?;
                // When it is posted is for the decision to say.
                Some(Message::Receipt(Box::new(arrival::receipt(
                    &fact,
                    fact.recorded_at,
                ))))
            }
            Some("remittance_recorded.v1") => Some(Message::Remittance(raw.json()?)),
            Some("matter_recorded.v1") => Some(Message::Matter(raw.json()?)),
            Some("bank_account_designated.v1") => Some(Message::Designated(raw.json()?)),
            Some("debit_recorded.v1") => {
                let fact: Box<DebitRecorded> = raw.json()?;
                Some(Message::Debit(Box::new(Debit::of(&fact, fact.recorded_at))))
            }
            Some("return_advised.v1") => {
                let fact: Box<ReturnAdvised> = raw.json()?;
                Some(match Debit::of_item(&fact, fact.recorded_at) {
                    Some(item) => Message::Debit(Box::new(item)),
                    None => Message::SentBack(fact),
                })
            }
            Some("collection_changed.v1") => {
                Some(Message::Collection(Box::new(collections::word(raw)?)))
            }
            _ => None,
        })
    }

    async fn load(&self, tx: &mut Tx, batch: &[Incoming<Message>]) -> Result<State, Failure> {
        let mut accounts: Vec<AccountId> = Vec::new();
        let mut documents: Vec<DocumentId> = Vec::new();
        let mut document_keys: Vec<String> = Vec::new();
        let mut receipts: Vec<ReceiptId> = Vec::new();
        let mut advices: Vec<Advice> = Vec::new();
        let mut matters: Vec<MatterId> = Vec::new();
        let mut debits: Vec<Debit> = Vec::new();
        let mut sent_back: Vec<&str> = Vec::new();
        for incoming in batch {
            match &incoming.message {
                Message::Account(fact) => accounts.push(fact.account_id),
                Message::Document(fact) => {
                    accounts.push(fact.account_id);
                    documents.push(fact.document_id);
                    document_keys.extend(arrival::item(fact).keys().cloned());
                }
                Message::Receipt(receipt) => receipts.push(receipt.id),
                Message::Remittance(fact) => advices.push(Advice::of(fact)),
                Message::Matter(fact) => matters.push(fact.matter_id),
                Message::Designated(_) | Message::Collection(_) => {}
                Message::Debit(debit) => debits.push(debit.as_ref().clone()),
                Message::SentBack(fact) => sent_back.push(&fact.reference),
            }
        }
        let conn = tx.conn();
        let reach = store::advised::reach(conn, &debits).await?;
        // Before all else, as commands about matters do.
        let matters = store::matters::lock_all(conn, &matters).await?;
        let mut books = Books::default();
        books.clients = store::clients::lock_for(conn, &debits, &reach.receipts).await?;
        for account in store::accounts::lock(conn, &accounts).await? {
            books.accounts.insert(account.id, account);
        }
        let known_documents = store::items::known(conn, &documents).await?;
        let waiting = store::receipts::lock_waiting_for(conn, &document_keys).await?;
        let ids: Vec<RemittanceId> = advices.iter().map(|advice| advice.id).collect();
        let known_remittances = store::remittances::known(conn, &ids).await?.into_iter();
        let mut unadvised =
            store::remittances::lock_receipts(conn, &advices, &document_keys).await?;
        unadvised.retain(|receipt| !waiting.iter().any(|other| other.id == receipt.id));
        let arriving = batch.iter().filter_map(|incoming| match &incoming.message {
            Message::Receipt(receipt) => Some(receipt.as_ref()),
            _ => None,
        });
        let undecided: Vec<&Receipt> = arriving.chain(&waiting).chain(&unadvised).collect();
        let ids: Vec<ReceiptId> = waiting.iter().chain(&unadvised).map(|r| r.id).collect();
        let waiting_advices =
            store::remittances::lock_for(conn, undecided.iter().copied(), &ids).await?;
        // Each number of a list stands for itself.
        let listed: Vec<String> = waiting_advices
            .iter()
            .chain(&advices)
            .flat_map(Advice::keys)
            .collect();
        let texts = undecided.iter().map(|receipt| receipt.tokens.as_slice());
        let texts: Vec<&[String]> = texts.chain(listed.chunks(1)).collect();
        store::items::load_named(conn, &texts, &mut books).await?;

        for advice in waiting_advices {
            books.add_advice(advice);
        }
        let known_receipts = store::look_up_payers(conn, &receipts, &undecided, &mut books).await?;
        let arriving: Vec<&Receipt> = batch
            .iter()
            .filter_map(|incoming| match &incoming.message {
                Message::Receipt(receipt) => Some(receipt.as_ref()),
                _ => None,
            })
            .collect();
        let payments = duplicates::load(conn, &arriving, &books).await?;
        let returns = debits::load(conn, debits, &reach, &sent_back, &arriving, &mut books).await?;
        let shadows = books.rules.shadows.iter().cloned();
        let shadows = shadows.map(|s| Shadow::new(s, &books.rules)).collect();
        let refunded = if books.rules.drafts_refunds() {
            store::refunds::of_any(conn, &ids).await?
        } else {
            HashSet::new()
        };
        Ok(State {
            shadows,
            refunded,
            books,
            known_documents,
            known_receipts,
            known_remittances: known_remittances.collect(),
            waiting,
            unadvised,
            matters: matters.into_iter().map(|m| (m.id, m)).collect(),
            returns,
            payments,
        })
    }

    fn decide(
        &self,
        mut state: State,
        batch: &[Incoming<Message>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Written>, Failure> {
        let shadows = policy::shadow_limits(london_date(now)).versions;
        state.shadows.truncate(shadows);
        let mut decided = Decided::<Changes>::default();
        let mut topics: HashSet<&'static str> = HashSet::new();
        for incoming in batch {
            if let Message::Account(fact) = &incoming.message {
                accounts::decide(
                    fact,
                    &incoming.meta,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
                topics.insert("accounts");
            }
        }
        for incoming in batch {
            match &incoming.message {
                Message::Matter(fact) => {
                    matters::decide(
                        fact,
                        &incoming.meta,
                        &mut state,
                        &mut decided,
                        &self.prefix,
                        now,
                    )?;
                    topics.insert("matters");
                }
                Message::Designated(fact) => matters::designated(fact, &mut state, &mut decided),
                _ => {}
            }
        }
        let mut arrived: HashSet<String> = HashSet::new();
        for incoming in batch {
            if let Message::Document(fact) = &incoming.message {
                arrived.extend(arrival::item(fact).keys().cloned());
                documents::decide(
                    fact,
                    &incoming.meta,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
                topics.insert("aged-debt");
            }
        }
        for incoming in batch {
            if let Message::Remittance(fact) = &incoming.message {
                remittances::decide(fact, &mut state, &mut decided);
            }
        }
        for incoming in batch {
            if let Message::SentBack(fact) = &incoming.message {
                debits::sent_back(
                    fact,
                    &incoming.meta,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
                topics.insert("receipts");
            }
            if let Message::Debit(debit) = &incoming.message {
                let decide = if debit.item.is_some() {
                    advised::decide
                } else {
                    debits::decide
                };
                decide(
                    debit,
                    &incoming.meta,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
                topics.insert("receipts");
                topics.insert("aged-debt");
            }
        }
        let arriving = batch.iter().filter_map(|incoming| match &incoming.message {
            Message::Receipt(receipt) if !state.known_receipts.contains(&receipt.id) => {
                Some(receipt.as_ref())
            }
            _ => None,
        });
        debits::count_fits(&mut state.returns, arriving)?;
        // Money that waited for one of these documents goes before new money.
        let cause = batch.first().map(|incoming| incoming.meta.clone());
        for mut receipt in std::mem::take(&mut state.waiting) {
            if state.returns.changed.contains(&receipt.id) {
                continue;
            }
            if let Some(cause) = &cause
                && receipt.tokens.iter().any(|token| arrived.contains(token))
            {
                receipts::decide_again(
                    &mut receipt,
                    "its document arrived",
                    cause,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
            }
        }
        for mut receipt in std::mem::take(&mut state.unadvised) {
            if state.returns.changed.contains(&receipt.id) {
                continue;
            }
            if let Some(cause) = &cause {
                receipts::decide_again(
                    &mut receipt,
                    "its remittance advice, or what that lists, arrived",
                    cause,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
            }
        }
        for incoming in batch {
            if let Message::Receipt(receipt) = &incoming.message {
                receipts::decide(
                    receipt.as_ref().clone(),
                    &incoming.meta,
                    &mut state,
                    &mut decided,
                    &self.prefix,
                    now,
                )?;
                topics.insert("receipts");
            }
        }
        let words = batch.iter().filter_map(|incoming| match &incoming.message {
            Message::Collection(word) => Some(word.as_ref().clone()),
            _ => None,
        });
        Ok(Decided {
            changes: Written {
                changes: decided.changes,
                words: words.collect(),
                at: cause.map(|cause| (now, cause)),
            },
            events: decided.events,
            rejected: decided.rejected,
            notices: topics.into_iter().map(str::to_owned).collect(),
        })
    }

    async fn record(&self, tx: &mut Tx, written: Written) -> Result<(), Failure> {
        let Some((now, cause)) = written.at else {
            return Ok(());
        };
        chaseable::record(tx, written.changes, &self.prefix, now, &cause).await?;
        chaseable::say(tx, &written.words, &self.prefix, now, &cause).await
    }
}
