//! What is new about what came in: natural keys against what is known already.
//!
//! The same line, account or document again, from wherever and in whatever
//! order, changes nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    inbound::Direction,
    ingestion::{AccountRecorded, DocumentRecorded, ReceiptRecorded},
};
use kernel::{AccountId, DocumentId, ImportId};
use uuid::Uuid;

use super::inbound::{Account, Document, Refused};

/// A movement on one of our bank accounts, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// See [`super::inbound::narrow_key`].
    pub dedup_key: Uuid,
    pub direction: Direction,
    /// What will be told of it, if it is a receipt; a debit has the same fields.
    pub receipt: ReceiptRecorded,
    /// What has no field there, as JSON.
    pub raw: Option<String>,
}

impl Line {
    /// Whether money came in. Debits, and lines without an amount, are kept but
    /// told to nobody: there is nothing to allocate.
    pub fn is_receipt(&self) -> bool {
        self.direction == Direction::Credit && self.receipt.amount.is_positive()
    }
}

/// Who or what brought a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The feed's or the file's name.
    pub source: String,
    /// `feed:<source>` or `user:<name>`.
    pub actor: String,
    pub message_id: Option<Uuid>,
    pub import_id: Option<ImportId>,
}

/// What the books hold under the natural keys that a batch names.
#[derive(Debug, Default)]
pub struct Known {
    lines: HashSet<Uuid>,
    accounts: HashMap<String, KnownAccount>,
    documents: HashMap<String, Uuid>,
    /// Accounts that differ now from what was loaded; sorted, so that rows are
    /// always written in the order of their keys.
    changed: BTreeSet<String>,
}

/// An account as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccount {
    pub account_id: AccountId,
    /// 0 while it is only awaited.
    pub version: i64,
    /// [`Account::content`]; `None` while it is only awaited.
    pub content: Option<String>,
    /// Whether it has a row already.
    pub stored: bool,
}

/// A document that is new, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDocument {
    pub fact: DocumentRecorded,
    pub content_hash: Uuid,
    pub content: String,
    pub origin: Origin,
}

/// A line that is new, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    pub line: Line,
    pub message_id: Option<Uuid>,
}

/// An account row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    pub account_ref: String,
    pub account: KnownAccount,
}

/// Everything that a batch or a file adds.
#[derive(Debug, Default)]
pub struct Changes {
    pub lines: Vec<NewLine>,
    pub documents: Vec<NewDocument>,
    pub accounts: Vec<AccountRow>,
    /// Things that came before.
    pub duplicates: usize,
}

impl Known {
    pub fn know_line(&mut self, dedup_key: Uuid) {
        self.lines.insert(dedup_key);
    }

    pub fn know_account(&mut self, account_ref: String, account: KnownAccount) {
        self.accounts.insert(account_ref, account);
    }

    pub fn know_document(&mut self, document_ref: String, content_hash: Uuid) {
        self.documents.insert(document_ref, content_hash);
    }

    /// Whether this line is seen for the first time; from now on it is known.
    pub fn first_sight(&mut self, dedup_key: Uuid) -> bool {
        self.lines.insert(dedup_key)
    }

    /// The fact that an account is new or changed; `None` if it is as it was.
    pub fn account(
        &mut self,
        account: &Account,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Option<AccountRecorded> {
        let wire = &account.wire;
        let known = self
            .accounts
            .entry(wire.account_ref.clone())
            .or_insert_with(KnownAccount::unseen);
        if known.content.as_ref() == Some(&account.content) {
            return None;
        }
        known.version += 1;
        known.content = Some(account.content.clone());
        self.changed.insert(wire.account_ref.clone());
        let wire = wire.clone();
        Some(AccountRecorded {
            account_id: known.account_id,
            account_ref: wire.account_ref,
            version: known.version,
            name: wire.name,
            kind: wire.kind,
            parent_ref: wire.parent_ref,
            terms_days: wire.terms_days,
            currency: account.currency,
            email: wire.email,
            phone: wire.phone,
            address: wire.address,
            segment: wire.segment,
            department: wire.department,
            principal: wire.principal,
            recorded_at: now,
            actor: actor.to_owned(),
        })
    }

    /// The document, if it is new. Its account may be unknown yet: then it is
    /// awaited under an id that it will keep.
    ///
    /// # Errors
    /// When a document of this reference said something else before: nothing
    /// tells which is right.
    pub fn document(
        &mut self,
        document: &Document,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Option<NewDocument>, Refused> {
        let wire = &document.wire;
        match self.documents.get(&wire.document_ref) {
            Some(hash) if *hash == document.content_hash => return Ok(None),
            Some(_) => {
                return Err(Refused::new(
                    "ingestion.document_conflict",
                    "/document_ref",
                    format!(
                        "document {:?} was recorded before and said something else; a correction needs a credit note or another reference",
                        wire.document_ref
                    ),
                ));
            }
            None => {}
        }
        self.documents
            .insert(wire.document_ref.clone(), document.content_hash);
        let account_id = match self.accounts.get(&wire.account_ref) {
            Some(account) => account.account_id,
            None => {
                let awaited = KnownAccount::unseen();
                let account_id = awaited.account_id;
                self.accounts.insert(wire.account_ref.clone(), awaited);
                self.changed.insert(wire.account_ref.clone());
                account_id
            }
        };
        Ok(Some(NewDocument {
            fact: DocumentRecorded {
                document_id: DocumentId::generate(),
                document_ref: wire.document_ref.clone(),
                kind: wire.kind,
                account_id,
                account_ref: wire.account_ref.clone(),
                matter_ref: wire.matter_ref.clone(),
                issued_on: wire.issued_on,
                due_on: wire.due_on,
                gross: document.gross,
                net: document.net,
                vat: document.vat,
                payment_reference: wire.payment_reference.clone(),
                recorded_at: now,
                actor: origin.actor.clone(),
            },
            content_hash: document.content_hash,
            content: document.content.clone(),
            origin: origin.clone(),
        }))
    }

    /// The account rows to write, in the order of their keys.
    pub fn into_account_rows(mut self) -> Vec<AccountRow> {
        self.changed
            .into_iter()
            .filter_map(|account_ref| {
                let account = self.accounts.remove(&account_ref)?;
                Some(AccountRow {
                    account_ref,
                    account,
                })
            })
            .collect()
    }
}

impl KnownAccount {
    fn unseen() -> Self {
        Self {
            account_id: AccountId::generate(),
            version: 0,
            content: None,
            stored: false,
        }
    }
}
