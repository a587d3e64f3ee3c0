//! What is new about what came in: natural keys against what is known already.
//!
//! The same line, account or document again, from wherever and in whatever
//! order, changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::{
    inbound::Direction,
    ingestion::{
        AccountRecorded, DebitRecorded, DocumentRecorded, MatterRecorded, ReceiptRecorded,
    },
};
use kernel::{AccountId, DebitId, DocumentId, ImportId, MatterId};
use uuid::Uuid;

use super::{
    inbound::{self, Account, Document, Matter, Refused, Remittance},
    mandate::{ForCollections, Mandate, reference},
};

/// A movement on one of our bank accounts, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// See [`super::inbound::narrow_key`].
    pub dedup_key: Uuid,
    pub direction: Direction,
    /// What will be told of it, if it is a receipt; a debit has the same fields
    /// under other names.
    pub receipt: ReceiptRecorded,
    /// Why a payment came back, as the bank codes it.
    pub return_reason: Option<String>,
    /// What has no field there, as JSON.
    pub raw: Option<String>,
}

impl Line {
    /// What is told of it. A line without an amount is kept but told to nobody:
    /// nothing moved.
    pub fn fact(&self) -> Option<Told<'_>> {
        if !self.receipt.amount.is_positive() {
            return None;
        }
        Some(match self.direction {
            Direction::Credit => Told::Receipt(&self.receipt),
            Direction::Debit => Told::Debit(Box::new(self.debit())),
        })
    }

    fn debit(&self) -> DebitRecorded {
        let line = self.receipt.clone();
        DebitRecorded {
            debit_id: DebitId::from(line.receipt_id.as_uuid()),
            source: line.source,
            bank_account: line.bank_account,
            bank_reference: line.bank_reference,
            booked_on: line.booked_on,
            value_on: line.value_on,
            amount: line.amount,
            scheme: line.scheme,
            counterparty_name: line.payer_name,
            counterparty_account: line.payer_account,
            reference: line.reference,
            end_to_end_id: line.end_to_end_id,
            mandate_reference: line.mandate_reference,
            return_reason: self.return_reason.clone(),
            remittance: line.remittance,
            statement: line.statement,
            recorded_at: line.recorded_at,
            actor: line.actor,
        }
    }
}

/// What a line means for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<'l> {
    Receipt(&'l ReceiptRecorded),
    Debit(Box<DebitRecorded>),
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
    /// By source and number.
    remittances: HashMap<(String, String), Uuid>,
    /// Accounts that differ now from what was loaded; sorted, so that rows are
    /// always written in the order of their keys.
    changed: BTreeSet<String>,
    matters: HashMap<String, KnownMatter>,
    changed_matters: BTreeSet<String>,
    mandates: BTreeMap<String, Mandate>,
    /// With what the change means for collections, and whether it is new.
    changed_mandates: BTreeMap<String, (ForCollections, bool)>,
}

/// A mandate that is new or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MandateStep {
    pub mandate: Mandate,
    pub collections: ForCollections,
    /// Nobody knew it before: what was said of it is to be heard.
    pub new: bool,
}

/// A matter as the books have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMatter {
    pub matter_id: MatterId,
    pub version: i64,
    /// [`Matter::content`]
    pub content: String,
}

/// A matter row to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatterRow {
    pub matter_ref: String,
    pub matter: KnownMatter,
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

/// A remittance advice that is new, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRemittance {
    pub advice: Remittance,
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
    pub remittances: Vec<NewRemittance>,
    pub matters: Vec<MatterRow>,
    pub mandates: Vec<MandateStep>,
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

    pub fn know_remittance(&mut self, source: String, number: String, content_hash: Uuid) {
        self.remittances.insert((source, number), content_hash);
    }

    /// Whether this advice is new; from now on it is known.
    ///
    /// # Errors
    /// When an advice of this number said something else before: nothing tells
    /// which is right.
    pub fn remittance(&mut self, advice: &Remittance) -> Result<bool, Refused> {
        let key = (
            advice.fact.source.clone(),
            advice.fact.remittance_ref.clone(),
        );
        match self.remittances.get(&key) {
            Some(hash) if *hash == advice.content_hash => Ok(false),
            Some(_) => Err(Refused::new(
                "ingestion.remittance_conflict",
                "/remittance_id",
                format!(
                    "advice {:?} was recorded before and said something else",
                    advice.fact.remittance_ref
                ),
            )),
            None => {
                self.remittances.insert(key, advice.content_hash);
                Ok(true)
            }
        }
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
            debtors: wire.debtors,
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
        let account_id = self.mention(&wire.account_ref);
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

    pub fn know_matter(&mut self, matter_ref: String, matter: KnownMatter) {
        self.matters.insert(matter_ref, matter);
    }

    /// The fact that a matter is new or changed; `None` if it is as it was. Its
    /// account may be unknown yet, as a document's may.
    pub fn matter(
        &mut self,
        matter: &Matter,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Option<MatterRecorded> {
        let wire = &matter.wire;
        let known = self
            .matters
            .entry(wire.matter_ref.clone())
            .or_insert_with(|| KnownMatter {
                matter_id: MatterId::generate(),
                version: 0,
                content: String::new(),
            });
        if known.content == matter.content {
            return None;
        }
        known.version += 1;
        known.content.clone_from(&matter.content);
        let (matter_id, version) = (known.matter_id, known.version);
        self.changed_matters.insert(wire.matter_ref.clone());
        let account_id = self.mention(&wire.account_ref);
        let wire = wire.clone();
        Some(MatterRecorded {
            matter_id,
            matter_ref: wire.matter_ref,
            version,
            account_id,
            account_ref: wire.account_ref,
            title: wire.title,
            fee_earner: wire.fee_earner,
            opened_on: wire.opened_on,
            concluded_on: wire.concluded_on,
            closed_on: wire.closed_on,
            status: wire.status,
            recorded_at: now,
            actor: actor.to_owned(),
        })
    }

    pub fn know_mandate(&mut self, mandate: Mandate) {
        self.mandates.insert(mandate.reference.clone(), mandate);
    }

    /// Whether a mandate is new or changed.
    ///
    /// # Errors
    /// When banks could not tell it from another one of the same account.
    pub fn mandate(&mut self, told: &inbound::Mandate) -> Result<bool, Refused> {
        let wire = &told.wire;
        let account_id = self.mention(&wire.account_ref);
        let twin = self.mandates.values().find(|other| {
            other.reference != wire.mandate_reference
                && other.payer_account == told.payer_account
                && reference::collide(&other.reference, &wire.mandate_reference)
        });
        if let Some(twin) = twin {
            return Err(Refused::new(
                "ingestion.mandate_reference",
                "/mandate_reference",
                format!(
                    "on this account it could not be told from {:?}",
                    twin.reference
                ),
            ));
        }
        let known = self.mandates.get(&wire.mandate_reference);
        let new = known.is_none();
        let (mut next, collections) = match known {
            None => (Mandate::captured(told, account_id), ForCollections::Keep),
            Some(known) => match known.told(told, account_id) {
                None => return Ok(false),
                Some(outcome) => match outcome.mandate {
                    None => return Ok(false),
                    Some(next) => (next, outcome.collections),
                },
            },
        };
        next.version += 1;
        // Two words in one batch are one step: the stronger effect counts.
        let (effect, _) = self
            .changed_mandates
            .entry(wire.mandate_reference.clone())
            .or_insert((collections, new));
        if collections == ForCollections::Drop {
            *effect = collections;
        }
        self.mandates.insert(wire.mandate_reference.clone(), next);
        Ok(true)
    }

    /// The mandates to write, in the order of their references.
    pub fn take_mandate_steps(&mut self) -> Vec<MandateStep> {
        std::mem::take(&mut self.changed_mandates)
            .into_iter()
            .filter_map(|(reference, (collections, new))| {
                Some(MandateStep {
                    mandate: self.mandates.remove(&reference)?,
                    collections,
                    new,
                })
            })
            .collect()
    }

    /// The id of an account that is named; it may come later, and will keep it.
    fn mention(&mut self, account_ref: &str) -> AccountId {
        self.accounts
            .entry(account_ref.to_owned())
            .or_insert_with(|| {
                self.changed.insert(account_ref.to_owned());
                KnownAccount::unseen()
            })
            .account_id
    }

    /// The matter rows to write, in the order of their keys.
    pub fn take_matter_rows(&mut self) -> Vec<MatterRow> {
        std::mem::take(&mut self.changed_matters)
            .into_iter()
            .filter_map(|matter_ref| {
                let matter = self.matters.remove(&matter_ref)?;
                Some(MatterRow { matter_ref, matter })
            })
            .collect()
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

#[cfg(test)]
mod tests {
    use contracts::inbound::{AccountKind, BillingAccount, BillingDocument, DocumentKind};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::inbound;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn account(account_ref: &str, name: &str) -> Account {
        inbound::account(BillingAccount {
            account_ref: account_ref.into(),
            name: name.into(),
            kind: AccountKind::Company,
            parent_ref: None,
            terms_days: Some(30),
            currency: "GBP".into(),
            email: None,
            phone: None,
            address: None,
            segment: None,
            department: None,
            principal: None,
            debtors: None,
        })
        .unwrap()
    }

    fn document(document_ref: &str, account_ref: &str, gross: &str) -> Document {
        inbound::document(BillingDocument {
            document_ref: document_ref.into(),
            kind: DocumentKind::Invoice,
            account_ref: account_ref.into(),
            matter_ref: None,
            issued_on: "2026-03-01".parse().unwrap(),
            due_on: "2026-03-31".parse().unwrap(),
            gross: gross.into(),
            net: None,
            vat: None,
            currency: "GBP".into(),
            payment_reference: None,
            lines: Vec::new(),
        })
        .unwrap()
    }

    fn feed() -> Origin {
        Origin::feed("sage", Uuid::nil())
    }

    #[test]
    fn a_changed_account_gets_the_next_version_and_an_unchanged_one_none() {
        let mut known = Known::default();
        let first = known
            .account(&account("A1", "Acme"), "feed:sage", NOW)
            .unwrap();
        assert_eq!(first.version, 1);
        assert_eq!(
            known.account(&account("A1", "Acme"), "feed:sage", NOW),
            None
        );
        let second = known
            .account(&account("A1", "Acme Ltd"), "feed:sage", NOW)
            .unwrap();
        assert_eq!((second.version, second.account_id), (2, first.account_id));
        let rows = known.into_account_rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].account.version, rows[0].account.stored),
            (2, false)
        );
    }

    #[test]
    fn an_account_that_did_not_change_is_not_written() {
        let mut known = Known::default();
        let stored = KnownAccount {
            content: Some(account("A1", "Acme").content),
            version: 7,
            stored: true,
            ..KnownAccount::unseen()
        };
        known.know_account("A1".into(), stored);
        assert_eq!(
            known.account(&account("A1", "Acme"), "feed:sage", NOW),
            None
        );
        assert_eq!(known.into_account_rows(), []);
    }

    #[test]
    fn a_document_of_an_unknown_account_awaits_it_under_the_id_it_will_keep() {
        let mut known = Known::default();
        let new = known
            .document(&document("INV-1", "A1", "100"), &feed(), NOW)
            .unwrap()
            .unwrap();
        let fact = known
            .account(&account("A1", "Acme"), "feed:sage", NOW)
            .unwrap();
        assert_eq!((fact.account_id, fact.version), (new.fact.account_id, 1));

        let mut known = Known::default();
        known
            .document(&document("INV-1", "A1", "100"), &feed(), NOW)
            .unwrap();
        let rows = known.into_account_rows();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].account.version, &rows[0].account.content),
            (0, &None)
        );
    }

    #[test]
    fn a_document_again_is_nothing_and_one_that_contradicts_is_refused() {
        let mut known = Known::default();
        let first = document("INV-1", "A1", "100");
        assert!(known.document(&first, &feed(), NOW).unwrap().is_some());
        assert_eq!(known.document(&first, &feed(), NOW).unwrap(), None);
        let refused = known
            .document(&document("INV-1", "A1", "101"), &feed(), NOW)
            .unwrap_err();
        assert_eq!(
            (refused.code, refused.pointer),
            ("ingestion.document_conflict", "/document_ref")
        );
    }

    /// E28: the same advice twice is one; another under the same number is
    /// refused.
    #[test]
    fn an_advice_again_is_nothing_and_one_that_contradicts_is_refused() {
        let advice = |total: &str| {
            let wire = serde_json::json!({"remittance_id": "ADV-1", "source": "mailbox",
                "date": "2026-03-02", "total": total, "currency": "GBP",
                "lines": [{"document_number": "INV-1", "amount": total}]});
            inbound::remittance(serde_json::from_value(wire).unwrap(), NOW).unwrap()
        };
        let mut known = Known::default();
        assert_eq!(known.remittance(&advice("10.00")), Ok(true));
        assert_eq!(known.remittance(&advice("10.00")), Ok(false));
        let refused = known.remittance(&advice("11.00")).unwrap_err();
        assert_eq!(refused.code, "ingestion.remittance_conflict");
    }

    proptest! {
        /// However often and in whatever order messages come, in one batch or in
        /// many: an account has one id, its versions rise by one, and a document
        /// is told once.
        #[test]
        fn natural_keys_hold_in_any_order(
            messages in prop::collection::vec((0..4_u8, 0..3_u8, any::<bool>()), 0..60)
        ) {
            let mut known = Known::default();
            let mut told = HashSet::new();
            let mut accounts: HashMap<String, (AccountId, i64)> = HashMap::new();
            for (key, variant, is_document) in messages {
                let account_ref = format!("A{key}");
                if is_document {
                    let reference = format!("INV-{key}-{variant}");
                    let new = known
                        .document(&document(&reference, &account_ref, "100"), &feed(), NOW)
                        .unwrap();
                    prop_assert_eq!(new.is_some(), told.insert(reference));
                    if let Some(new) = new {
                        let id = accounts.entry(account_ref).or_insert((new.fact.account_id, 0)).0;
                        prop_assert_eq!(id, new.fact.account_id);
                    }
                } else if let Some(fact) =
                    known.account(&account(&account_ref, &format!("name {variant}")), "feed:x", NOW)
                {
                    let last = accounts.entry(account_ref).or_insert((fact.account_id, 0));
                    prop_assert_eq!((fact.account_id, fact.version), (last.0, last.1 + 1));
                    last.1 += 1;
                }
            }
            let rows = known.into_account_rows();
            prop_assert!(rows.is_sorted_by_key(|row| row.account_ref.clone()));
            for row in rows {
                let (id, version) = accounts[&row.account_ref];
                prop_assert_eq!((row.account.account_id, row.account.version), (id, version));
            }
        }
    }
}
