//! Accounts, open items, receipts, and the changes that a decision makes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{
        AdjustmentLine, AllocationLine, Decision, MatchScore, OutflowLine, ReceiptState, Rule,
    },
    inbound::DocumentKind,
    ingestion::Designation,
};
use kernel::{
    AccountId, AllocationId, DocumentId, EntryId, Money, MoneyError, ReceiptId, RemittanceId,
};
use rust_decimal::Decimal;

mod movements;

pub use movements::{
    Adjust, Adjusted, PaidOut, PayOut, adjust, pay_out, undo_adjustment, undo_outflow,
};

use super::{
    edges::{Edge, Learned},
    legal::bounce::{Bounced, Clients},
    remittance::{self, Advice},
};

/// Ledger accounts of the journal.
pub mod chart {
    use contracts::{
        allocation::{AdjustmentKind, OutflowKind},
        ingestion::Designation,
    };

    /// What debtors owe.
    pub const DEBTORS: &str = "debtors";
    /// Cash received that pays nothing yet.
    pub const UNALLOCATED: &str = "unallocated_cash";
    /// What the bank took back although it had been refunded: owed by the payee.
    pub const RETURN_SHORTFALLS: &str = "return_shortfalls";
    /// What billing has charged.
    pub const BILLED: &str = "billed";
    /// What we owe to clients.
    pub const CLIENT_MONEY: &str = "client_money";
    /// Refunds that are promised and not paid.
    pub const REFUNDS_PAYABLE: &str = "refunds_payable";

    /// The bank account with this key. Client money and the firm's own are on
    /// different ledger accounts, and never net.
    pub fn bank(key: &str, whose: Designation) -> String {
        match whose {
            Designation::Business => format!("bank:{key}"),
            Designation::Client => format!("client_bank:{key}"),
        }
    }

    /// What reports say that the bank takes back from this account, until its own
    /// line books it. Of a client account it is a part of the client's money.
    pub fn in_transit(key: &str, whose: Designation) -> String {
        match whose {
            Designation::Business => format!("returns_in_transit:{key}"),
            Designation::Client => format!("client_bank:{key}:returns_in_transit"),
        }
    }

    /// What bears the loss of an adjustment.
    pub const fn of_adjustment(kind: AdjustmentKind) -> &'static str {
        match kind {
            AdjustmentKind::WriteOff => "bad_debts",
            AdjustmentKind::SmallBalance => "small_balances",
            AdjustmentKind::Discount => "discounts_allowed",
            AdjustmentKind::BankCharge => "bank_charges",
            AdjustmentKind::Offset => "offsets",
            AdjustmentKind::ClientTransfer => CLIENT_MONEY,
        }
    }

    /// Where money goes that leaves a receipt: what the bank takes back leaves
    /// the bank account that it had come into.
    pub fn of_outflow(kind: OutflowKind, receipt: &super::Receipt) -> String {
        match kind {
            OutflowKind::Returned => receipt.bank(),
            OutflowKind::Refunded => REFUNDS_PAYABLE.to_owned(),
            OutflowKind::ClientLedger => CLIENT_MONEY.to_owned(),
            OutflowKind::WrittenBack => "sundry_income".to_owned(),
        }
    }
}

/// A debtor account, as far as matching needs it.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: AccountId,
    pub reference: String,
    pub version: i64,
    pub name: String,
    /// What kind of customer it is, as billing sorts them.
    pub segment: Option<String>,
}

/// A document with what is left of it. Amounts are signed: a credit note's are
/// negative.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: DocumentId,
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_id: AccountId,
    pub account_ref: String,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    pub amount: Money,
    pub open: Money,
    pub ref_key: String,
    pub payment_key: Option<String>,
    /// The number without its letters: see [`super::evidence::tail_key`].
    pub tail_key: Option<String>,
    /// The amount without VAT, signed, where billing gave it.
    pub net: Option<Money>,
    /// The VAT in it, positive; only while it is new, then it stays in the store.
    pub vat: Option<Money>,
}

/// What the payer says that it pays, line by line.
#[derive(Debug, Clone)]
pub struct Advised {
    /// The document number, folded.
    pub key: String,
    pub amount: Money,
}

/// What the bank told of a payment beside its words, and why what is left of it
/// is not allocated by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    pub scheme: Option<String>,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    pub held: Option<Held>,
}

/// Why money is kept from being allocated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// A person keeps it on account.
    OnAccount,
    /// It seems to repeat this payment (E5).
    PossibleDuplicate(ReceiptId),
    /// A person said that it repeats this payment.
    Duplicate(ReceiptId),
}

impl Held {
    pub const fn name(self) -> &'static str {
        match self {
            Self::OnAccount => "on_account",
            Self::PossibleDuplicate(_) => "possible_duplicate",
            Self::Duplicate(_) => "duplicate",
        }
    }

    pub const fn twin(self) -> Option<ReceiptId> {
        match self {
            Self::OnAccount => None,
            Self::PossibleDuplicate(twin) | Self::Duplicate(twin) => Some(twin),
        }
    }

    /// As it is stored.
    pub fn of(name: &str, twin: Option<ReceiptId>) -> Option<Self> {
        match (name, twin) {
            ("on_account", None) => Some(Self::OnAccount),
            ("possible_duplicate", Some(twin)) => Some(Self::PossibleDuplicate(twin)),
            ("duplicate", Some(twin)) => Some(Self::Duplicate(twin)),
            _ => None,
        }
    }
}

/// A receipt with what is left of it.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub id: ReceiptId,
    pub version: i64,
    pub bank_account: String,
    /// Whose money that account held when the receipt came: where it was booked,
    /// and what is taken back leaves again.
    pub designation: Designation,
    pub bank_reference: Option<String>,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    pub amount: Money,
    pub unallocated: Money,
    /// What has left it other than onto a document.
    pub paid_out: Money,
    pub payer_name: Option<String>,
    pub payer_account: Option<String>,
    pub narrative: String,
    pub tokens: Vec<String>,
    /// Only while it is new: kept with the receipt are its words.
    pub advice: Vec<Advised>,
    pub detail: Detail,
    pub account: Option<AccountId>,
    pub account_ref: Option<String>,
    pub decision: Decision,
    pub suggestions: Vec<Proposal>,
    pub recorded_at: DateTime<Utc>,
}

impl Receipt {
    /// The ledger account of the bank account that it came into.
    pub fn bank(&self) -> String {
        chart::bank(&self.bank_account, self.designation)
    }

    /// Whether a person, a return or a doubt has decided about it: nothing is
    /// allocated by itself any more (E22, E48).
    pub fn is_spoken_for(&self) -> bool {
        self.detail.held.is_some()
            || !self.paid_out.is_zero()
            || matches!(self.decision.rule, Rule::Manual | Rule::Returned)
    }

    /// Where it stands follows from its money and its payer.
    pub fn state(&self) -> ReceiptState {
        if self.paid_out == self.amount {
            ReceiptState::PaidOut
        } else if self.unallocated.is_zero() {
            ReceiptState::Allocated
        } else if self.detail.held == Some(Held::OnAccount) {
            ReceiptState::OnAccount
        } else if self.amount.checked_sub(self.paid_out) != Ok(self.unallocated) {
            ReceiptState::PartAllocated
        } else if self.account.is_some() {
            ReceiptState::Unallocated
        } else {
            ReceiptState::Unidentified
        }
    }
}

/// Cash that shall meet a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub document: DocumentId,
    pub amount: Money,
}

/// A match that is not certain enough to post.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub rule: Rule,
    pub confidence: &'static str,
    pub account: AccountId,
    pub lines: Vec<Line>,
    pub evidence: Vec<contracts::allocation::Evidence>,
    /// Set when it is ranked among the others.
    pub score: Option<MatchScore>,
    /// The one change that would have made it automatic.
    pub would: Option<String>,
}

impl Proposal {
    /// Why, in the words of its first piece of evidence.
    pub fn why(&self) -> Option<String> {
        self.evidence.first().map(|first| first.detail.clone())
    }
}

/// An allocation row: made once, never edited.
#[derive(Debug, Clone)]
pub struct Posting {
    pub line: AllocationLine,
    pub receipt: ReceiptId,
    pub rule: Rule,
    pub reason: String,
    pub actor: String,
    pub recorded_at: DateTime<Utc>,
}

/// A journal row.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: EntryId,
    pub debit: String,
    pub credit: String,
    /// Positive.
    pub amount: Money,
    pub effective_on: NaiveDate,
    pub recorded_at: DateTime<Utc>,
}

/// Everything that a decision writes.
#[derive(Debug, Default)]
pub struct Changes {
    pub accounts: Vec<Account>,
    pub new_items: Vec<Item>,
    pub new_receipts: Vec<Receipt>,
    pub moved_receipts: Vec<Receipt>,
    pub postings: Vec<Posting>,
    pub adjustments: Vec<Adjusted>,
    pub outflows: Vec<PaidOut>,
    pub entries: Vec<Entry>,
    /// What is left of items that were there before.
    pub open: BTreeMap<DocumentId, Money>,
    pub learned: Vec<Learned>,
    /// The batch of a person that made the postings.
    pub batch: Option<uuid::Uuid>,
    pub new_advices: Vec<Advice>,
    /// Advices that receipts have used, each by one.
    pub used_advices: Vec<(RemittanceId, ReceiptId)>,
    /// What was told about matters and bank accounts.
    pub legal: super::legal::News,
    pub debits: Vec<NotedDebit>,
    /// Client money that went with payments that the bank took back.
    pub bounced: Vec<Bounced>,
    /// Accounts whose money it was or seemed to be, until now.
    pub left: Vec<AccountId>,
    pub refunds: Vec<super::refunds::Refund>,
    pub refund_steps: Vec<super::refunds::Step>,
    /// What shadow rules would have done.
    pub compared: Vec<super::rules::shadow::Compared>,
}

/// How a debit stands, with who said so and why.
#[derive(Debug, Clone)]
pub struct NotedDebit {
    pub debit: super::returns::Debit,
    pub actor: String,
    pub reason: String,
}

/// Characters of a folded name that can stand for the whole, at least.
pub const NAME_BEGINNING_MIN: usize = 8;

/// The part of the ledger that a decision sees.
#[derive(Debug, Default)]
pub struct Books {
    pub accounts: HashMap<AccountId, Account>,
    pub items: HashMap<DocumentId, Item>,
    /// Items by folded document number or payment reference.
    by_key: HashMap<String, Vec<DocumentId>>,
    by_tail: HashMap<String, Vec<DocumentId>>,
    by_account: HashMap<AccountId, Vec<DocumentId>>,
    by_amount: HashMap<Decimal, Vec<DocumentId>>,
    /// Accounts by payer bank account, folded name or quoted account number: a
    /// payer with two accounts is no identified payer.
    pub payers: BTreeMap<String, Vec<AccountId>>,
    /// Accounts that a person has allocated money from this bank account to. A
    /// solicitor pays for many: alone it only suggests (E15).
    pub learned: HashMap<String, Vec<Edge>>,
    /// Our own bank accounts that hold client money.
    pub client_accounts: HashSet<String>,
    /// The client's part of receipts that may be taken back, under lock.
    pub clients: Clients,
    /// Names of accounts that may have paid, where nobody knows who did.
    pub names: HashMap<AccountId, String>,
    /// Accounts with more open items than are here: nothing is proved of them.
    pub truncated: HashSet<AccountId>,
    /// The matching rules in force.
    pub rules: super::rules::Rulebook,
    /// How much of an item open cases hold, as disputes tells.
    pub disputed: HashMap<DocumentId, Money>,
    /// Remittance advices that no receipt has used, by their total.
    advices: BTreeMap<Decimal, Vec<Advice>>,
}

impl Books {
    /// Adds an item that is not there yet.
    pub fn add(&mut self, item: Item) {
        if self.items.contains_key(&item.id) {
            return;
        }
        fn index<K: std::hash::Hash + Eq>(
            of: &mut HashMap<K, Vec<DocumentId>>,
            key: K,
            id: DocumentId,
        ) {
            let ids = of.entry(key).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
        index(&mut self.by_key, item.ref_key.clone(), item.id);
        if let Some(key) = &item.payment_key {
            index(&mut self.by_key, key.clone(), item.id);
        }
        if let Some(key) = &item.tail_key {
            index(&mut self.by_tail, key.clone(), item.id);
        }
        index(&mut self.by_account, item.account_id, item.id);
        index(
            &mut self.by_amount,
            item.amount.amount().normalize(),
            item.id,
        );
        self.items.insert(item.id, item);
    }

    /// Adds an advice that waits for its receipt.
    pub fn add_advice(&mut self, advice: Advice) {
        let of_total = self
            .advices
            .entry(advice.total.amount().normalize())
            .or_default();
        if !of_total.iter().any(|known| known.id == advice.id) {
            of_total.push(advice);
        }
    }

    /// Keeps an advice for the receipt that has used it.
    pub fn use_advice(&mut self, id: RemittanceId, total: Money, by: ReceiptId) {
        let of_total = self.advices.get_mut(&total.amount().normalize());
        for advice in of_total.into_iter().flatten().filter(|a| a.id == id) {
            advice.used_by = Some(by);
        }
    }

    /// Takes an advice away again.
    pub fn drop_advice(&mut self, id: RemittanceId, total: Money) {
        if let Some(of_total) = self.advices.get_mut(&total.amount().normalize()) {
            of_total.retain(|advice| advice.id != id);
        }
    }

    /// Advices that come to about this much.
    pub fn advices_near(&self, cash: Money) -> impl Iterator<Item = &Advice> {
        let near = remittance::near_max();
        self.advices
            .range(cash.amount() - near..=cash.amount() + near)
            .flat_map(|(_, of_total)| of_total)
    }

    /// Items whose number, without its letters, is `key`.
    pub fn with_tail(&self, key: &str) -> impl Iterator<Item = &Item> {
        self.found(self.by_tail.get(key))
    }

    /// Accounts whose folded name is `key`; or else those whose name begins with
    /// it, as banks cut names short.
    pub fn payers_named(&self, key: &str) -> Vec<AccountId> {
        if let Some(exactly) = self.payers.get(key) {
            return exactly.clone();
        }
        if key.len() < NAME_BEGINNING_MIN {
            return Vec::new();
        }
        let mut accounts: Vec<AccountId> = self
            .payers
            .range::<str, _>((Bound::Included(key), Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(key))
            .flat_map(|(_, accounts)| accounts.iter().copied())
            .collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }

    /// Items of an account.
    pub fn of_account(&self, account: AccountId) -> impl Iterator<Item = &Item> {
        self.found(self.by_account.get(&account))
    }

    /// Items that were billed with this amount.
    pub fn of_amount(&self, amount: Money) -> impl Iterator<Item = &Item> {
        self.found(self.by_amount.get(&amount.amount().normalize()))
    }

    fn found<'b>(&'b self, ids: Option<&'b Vec<DocumentId>>) -> impl Iterator<Item = &'b Item> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.items.get(id))
    }

    /// Items that a key names.
    pub fn named(&self, key: &str) -> impl Iterator<Item = &Item> + use<'_> {
        self.found(self.by_key.get(key))
    }
}

/// What one decision moved, as its event tells it.
#[derive(Debug, Clone, Default)]
pub struct Moves {
    pub lines: Vec<AllocationLine>,
    pub adjustments: Vec<AdjustmentLine>,
    pub outflows: Vec<OutflowLine>,
}

impl Moves {
    /// Cash that met documents, and nothing else.
    pub fn of(lines: Vec<AllocationLine>) -> Self {
        Self {
            lines,
            ..Self::default()
        }
    }
}

/// What an allocation is about, beside its lines.
#[derive(Debug, Clone, Copy)]
pub struct Because<'a> {
    pub rule: Rule,
    pub reason: &'a str,
    pub actor: &'a str,
    pub now: DateTime<Utc>,
    /// The earliest day on which it may count.
    pub not_before: NaiveDate,
}

/// Lets `receipt` pay `lines`: moves the money in `books` and notes every row.
/// The lines must have been checked against what is open.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn post(
    receipt: &mut Receipt,
    lines: &[Line],
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AllocationLine>, MoneyError> {
    let mut posted = Vec::with_capacity(lines.len());
    for line in lines {
        let Some(item) = books.items.get_mut(&line.document) else {
            continue;
        };
        item.open = item.open.checked_sub(line.amount)?;
        receipt.unallocated = receipt.unallocated.checked_sub(line.amount)?;
        changes.open.insert(item.id, item.open);
        // Cash cannot have met a document before either was there.
        let effective_on = because
            .not_before
            .max(receipt.booked_on)
            .max(item.issued_on);
        posted.push(note(
            changes,
            receipt.id,
            AllocationLine {
                allocation_id: AllocationId::generate(),
                document_id: item.id,
                document_ref: item.document_ref.clone(),
                account_id: item.account_id,
                amount: line.amount,
                effective_on,
                contra_of: None,
            },
            because,
        ));
        receipt.account = Some(item.account_id);
        receipt.account_ref = Some(item.account_ref.clone());
    }
    Ok(posted)
}

/// Takes `line` back by a contra.
///
/// # Errors
/// When currencies differ or an amount overflows.
pub fn undo(
    receipt: &mut Receipt,
    line: &AllocationLine,
    books: &mut Books,
    changes: &mut Changes,
    because: &Because<'_>,
) -> Result<Vec<AllocationLine>, MoneyError> {
    if let Some(item) = books.items.get_mut(&line.document_id) {
        item.open = item.open.checked_add(line.amount)?;
        changes.open.insert(item.id, item.open);
    }
    receipt.unallocated = receipt.unallocated.checked_add(line.amount)?;
    let contra = AllocationLine {
        allocation_id: AllocationId::generate(),
        amount: line.amount.neg(),
        // A contra counts from the day it is made: what was reported for the
        // days before stays as it was (E47).
        effective_on: because.not_before.max(line.effective_on),
        contra_of: Some(line.allocation_id),
        ..line.clone()
    };
    Ok(vec![note(changes, receipt.id, contra, because)])
}

/// The allocation row and its journal entry: cash that met a document leaves
/// the unallocated cash and lowers the debt; a negative line does the opposite.
fn note(
    changes: &mut Changes,
    receipt: ReceiptId,
    line: AllocationLine,
    because: &Because<'_>,
) -> AllocationLine {
    let (debit, credit) = if line.amount.is_negative() {
        (chart::DEBTORS, chart::UNALLOCATED)
    } else {
        (chart::UNALLOCATED, chart::DEBTORS)
    };
    changes.entries.push(Entry {
        id: EntryId::from(line.allocation_id.as_uuid()),
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        amount: line.amount.abs(),
        effective_on: line.effective_on,
        recorded_at: because.now,
    });
    changes.postings.push(Posting {
        line: line.clone(),
        receipt,
        rule: because.rule,
        reason: because.reason.to_owned(),
        actor: because.actor.to_owned(),
        recorded_at: because.now,
    });
    line
}

/// The entry of a receipt: the bank has more, and nobody knows yet for what.
pub fn banked(receipt: &Receipt) -> Entry {
    Entry {
        id: EntryId::from(receipt.id.as_uuid()),
        debit: receipt.bank(),
        credit: chart::UNALLOCATED.to_owned(),
        amount: receipt.amount,
        effective_on: receipt.booked_on,
        recorded_at: receipt.recorded_at,
    }
}

/// The entry of a document: the debtor owes more, or with a credit note less.
pub fn billed(item: &Item, now: DateTime<Utc>) -> Entry {
    let (debit, credit) = if item.amount.is_negative() {
        (chart::BILLED, chart::DEBTORS)
    } else {
        (chart::DEBTORS, chart::BILLED)
    };
    Entry {
        id: EntryId::from(item.id.as_uuid()),
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        amount: item.amount.abs(),
        effective_on: item.issued_on,
        recorded_at: now,
    }
}
