//! The canonical bank line: what every statement format is read into.
//!
//! Nothing that a bank wrote about a payment is thrown away here, so that it can
//! be matched again later with better rules.

use chrono::NaiveDate;
use contracts::inbound::{Direction, RemittanceLine, RemittanceText};
use kernel::{BankAccount, Currency, Money};
use serde::{Serialize, Serializer};

use super::{dedup, problem::Problem, scheme::Scheme};

/// One statement of one account: its balances and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub account: BankAccount,
    /// The account as the file names it, before it was understood.
    pub account_printed: String,
    pub owner: Option<String>,
    /// The BIC of the bank that keeps the account.
    pub servicer: Option<String>,
    /// The message that carried the statement.
    pub message_id: Option<String>,
    /// The bank's name for the statement. Banks use it again after a year: see
    /// [`dedup::statement_key`].
    pub id: String,
    /// The bank's electronic sequence number, one more with each statement.
    pub sequence: Option<u64>,
    pub legal_sequence: Option<u64>,
    /// The statement may be one of several pages.
    pub page: Option<Page>,
    /// `COPY`, `CODU` or `DUPL`: the bank says that it sent this before.
    pub copy_or_duplicate: Option<String>,
    pub created_on: Option<NaiveDate>,
    /// First and last day that the statement says it covers.
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// The account's currency, else that of its balances or first line.
    pub currency: Option<Currency>,
    pub balances: Vec<Balance>,
    /// The booked opening balance (`OPBD`, else the previous closing `PRCD`),
    /// negative when overdrawn.
    pub opening: Option<Money>,
    /// The booked closing balance (`CLBD`), negative when overdrawn.
    pub closing: Option<Money>,
    pub opens_on: Option<NaiveDate>,
    pub closes_on: Option<NaiveDate>,
    /// Opening plus booked lines equals closing; `None` when either is missing.
    pub ties: Option<bool>,
    pub lines: Vec<BankLine>,
    /// Doubts about this statement; nothing was dropped because of them.
    pub problems: Vec<Problem>,
}

/// Which page of a statement a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Page {
    /// From 1.
    pub number: u32,
    pub last: bool,
}

/// A balance that the bank states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The bank's code, such as `OPBD`, `CLBD`, `PRCD`, `ITBD` or `CLAV`.
    pub kind: String,
    /// Negative when overdrawn.
    pub amount: Money,
    /// The bank said whether it is a credit or debit balance. When it did not,
    /// `amount` was taken for a credit balance.
    pub sign_stated: bool,
    pub on: Option<NaiveDate>,
    /// A balance between two pages of one statement.
    pub intermediate: bool,
}

/// One entry of a statement: one movement on our account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankLine {
    /// The place in the statement, from 1.
    pub seq: u32,
    /// The line of the file, from 1.
    pub source_line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_reference: Option<String>,
    /// The bank's own reference of the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_reference: Option<String>,
    /// The bank's local calendar day.
    pub booked_on: NaiveDate,
    /// The entry itself said when it was booked. Otherwise `booked_on` is the
    /// value date, else the day of the statement.
    pub booked_on_stated: bool,
    pub value_on: NaiveDate,
    /// Never negative: `direction` says which way.
    #[serde(flatten)]
    pub amount: Money,
    /// Seen from our account, reversals too.
    pub direction: Direction,
    pub status: LineStatus,
    /// The bank marks it as the reversal of an earlier line. This never changes
    /// the direction.
    pub reversal: bool,
    pub scheme: Scheme,
    pub bank_transaction_code: BankTransactionCode,
    /// What the bank says about a batch booked as one line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<Batch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrative: Option<String>,
    /// The payments that the line consists of, as far as the bank tells them.
    pub details: Vec<LineDetail>,
    /// See [`dedup`].
    pub dedup_key: String,
}

impl BankLine {
    /// The amount with its sign, seen from our account.
    pub fn signed(&self) -> Money {
        signed(self.amount, self.direction)
    }
}

pub(super) fn signed(amount: Money, direction: Direction) -> Money {
    match direction {
        Direction::Credit => amount,
        Direction::Debit => amount.neg(),
    }
}

/// How final a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineStatus {
    /// On the account; the only status that counts into the balances.
    Booked,
    /// Expected, not on the account yet.
    Pending,
    /// For information; never on the account.
    Info,
}

/// ISO 20022 bank transaction code, and the bank's own one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BankTransactionCode {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proprietary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

/// A batch of payments that the bank booked as one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Batch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_information_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
}

/// One payment inside a line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LineDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_information_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_to_end_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uetr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mandate_reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheque_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearing_reference: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_references: Vec<OtherReference>,
    /// In the entry's currency where the bank gives it so. Never negative.
    #[serde(flatten)]
    pub amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    #[serde(skip_serializing_if = "BankTransactionCode::is_empty")]
    pub bank_transaction_code: BankTransactionCode,
    #[serde(skip_serializing_if = "Party::is_empty")]
    pub debtor: Party,
    #[serde(skip_serializing_if = "Party::is_empty")]
    pub ultimate_debtor: Party,
    #[serde(skip_serializing_if = "Party::is_empty")]
    pub creditor: Party,
    #[serde(skip_serializing_if = "Party::is_empty")]
    pub ultimate_creditor: Party,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unstructured: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub structured: Vec<StructuredRemittance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<ReturnInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// When the payer's bank took the payment on, as it wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional: Option<String>,
}

/// A reference under a name of the bank's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherReference {
    pub kind: String,
    pub reference: String,
}

/// A debtor or creditor as the bank names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Party {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<BankAccount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_bic: Option<String>,
    /// The bank's number in its national clearing: the sort code in the UK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bank_clearing_id: Option<String>,
}

impl Party {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl BankTransactionCode {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One structured remittance block: documents and what is paid of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StructuredRemittance {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<ReferredDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit_note: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remitted: Option<Money>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// `SCOR` for an ISO 11649 reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creditor_reference_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creditor_reference: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<String>,
}

/// A document that a remittance refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReferredDocument {
    /// The ISO code, such as `CINV` or `CREN`, or the bank's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dated: Option<NaiveDate>,
}

/// Why a payer pays more or less than the document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adjustment {
    #[serde(flatten)]
    pub amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why a payment came back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReturnInfo {
    #[serde(skip_serializing_if = "BankTransactionCode::is_empty")]
    pub original: BankTransactionCode,
    /// An ISO reason such as `AC04`, or the bank's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a line means for the ledger: one movement of money by one payer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Unique for ever: the line's key, with `/n` where a line has several.
    pub dedup_key: String,
    pub booked_on: NaiveDate,
    pub value_on: NaiveDate,
    /// Never negative.
    pub amount: Money,
    pub direction: Direction,
    pub scheme: Scheme,
    pub bank_reference: Option<String>,
    /// On a credit who paid; on a debit whom the money went to, or whose
    /// collection came back.
    pub payer_name: Option<String>,
    pub payer_account: Option<BankAccount>,
    /// The structured creditor reference, else the only line of free text.
    pub reference: Option<String>,
    pub end_to_end_id: Option<String>,
    pub mandate_reference: Option<String>,
    pub return_reason: Option<String>,
    pub remittance: RemittanceText,
}

/// The receipts that a line consists of: one per payment when the bank lists
/// several that sum to the line, otherwise one for the whole line.
///
/// A batch whose payments do not sum to it stays whole (and its statement says
/// so in its problems): splitting it would create or lose money.
pub fn receipts_of(line: &BankLine) -> Vec<Receipt> {
    if line.details.len() > 1 && details_sum_to(line) == Some(true) {
        return line
            .details
            .iter()
            .enumerate()
            .map(|(index, detail)| Receipt {
                dedup_key: dedup::part_key(&line.dedup_key, index + 1),
                amount: detail.amount.unwrap_or(line.amount),
                ..receipt(line, detail, detail.direction.unwrap_or(line.direction))
            })
            .collect();
    }
    // A single detail describes the line; of several that do not add up none
    // does.
    match line.details.as_slice() {
        [only] => vec![receipt(line, only, line.direction)],
        _ => vec![receipt(line, &LineDetail::default(), line.direction)],
    }
}

/// Whether the details' amounts, each with its own direction, sum to the line.
/// `None` when one of them has no amount in the line's currency.
pub(super) fn details_sum_to(line: &BankLine) -> Option<bool> {
    if line.details.is_empty() {
        return None;
    }
    let mut sum = Money::zero(line.amount.currency());
    for detail in &line.details {
        let amount = detail
            .amount
            .filter(|amount| amount.currency() == line.amount.currency())?;
        sum = sum
            .checked_add(signed(amount, detail.direction.unwrap_or(line.direction)))
            .ok()?;
    }
    Some(sum == line.signed())
}

fn receipt(line: &BankLine, detail: &LineDetail, direction: Direction) -> Receipt {
    let scheme = if detail.bank_transaction_code.is_empty() {
        line.scheme
    } else {
        let own = Scheme::of(
            &detail.bank_transaction_code,
            direction,
            line.amount.currency(),
            None,
        );
        if own == Scheme::Unknown {
            line.scheme
        } else {
            own
        }
    };
    let payer = other_party(detail, direction, scheme);
    let creditor_reference = detail
        .structured
        .iter()
        .find_map(|block| block.creditor_reference.clone());
    let only_text = match detail.unstructured.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    Receipt {
        dedup_key: line.dedup_key.clone(),
        booked_on: line.booked_on,
        value_on: line.value_on,
        amount: line.amount,
        direction,
        scheme,
        bank_reference: stated(detail.bank_reference.as_ref())
            .or_else(|| stated(line.bank_reference.as_ref())),
        payer_name: payer.and_then(|party| party.name.clone().or(party.account_name.clone())),
        payer_account: payer.and_then(|party| party.account.clone()),
        reference: creditor_reference.or(only_text),
        end_to_end_id: stated(detail.end_to_end_id.as_ref()),
        mandate_reference: stated(detail.mandate_reference.as_ref()),
        return_reason: detail
            .returned
            .as_ref()
            .and_then(|returned| returned.reason.clone()),
        remittance: remittance_of(line, detail),
    }
}

/// Whom the money came from or went to. On a returned collection that is the
/// debtor although money left us; some banks then name him as the creditor of
/// the return.
fn other_party(detail: &LineDetail, direction: Direction, scheme: Scheme) -> Option<&Party> {
    let named = |party: &Party| party.name.is_some() || party.account.is_some();
    match direction {
        Direction::Credit => [Some(&detail.debtor), Some(&detail.ultimate_debtor)],
        Direction::Debit if scheme.is_returned_collection() => {
            [Some(&detail.debtor), Some(&detail.creditor)]
        }
        Direction::Debit => [Some(&detail.creditor), Some(&detail.ultimate_creditor)],
    }
    .into_iter()
    .flatten()
    .find(|party| named(party))
}

fn remittance_of(line: &BankLine, detail: &LineDetail) -> RemittanceText {
    let mut unstructured = detail.unstructured.clone();
    unstructured.extend(
        detail
            .structured
            .iter()
            .flat_map(|block| block.additional.iter().cloned()),
    );
    unstructured.extend(detail.additional.clone());
    if unstructured.is_empty() {
        unstructured.extend(line.narrative.clone());
    }
    let structured = detail
        .structured
        .iter()
        .flat_map(|block| {
            // The amounts of a block belong to its document; with several
            // documents it does not say which.
            let amount = block
                .remitted
                .or(block.due)
                .filter(|_| block.documents.len() == 1)
                .map(|amount| amount.amount().to_string());
            block.documents.iter().filter_map(move |document| {
                Some(RemittanceLine {
                    document_number: document.number.clone()?,
                    amount: amount.clone(),
                    kind: document.kind.as_deref().map(document_kind),
                })
            })
        })
        .collect();
    RemittanceText {
        unstructured,
        structured,
    }
}

/// The ISO document codes that have a name among our documents.
fn document_kind(code: &str) -> String {
    match code {
        "CINV" | "MSIN" => "invoice".to_owned(),
        "CREN" => "credit_note".to_owned(),
        other => other.to_owned(),
    }
}

/// A reference that says something: banks fill the field with these when the
/// payer gave none.
pub(super) fn stated(reference: Option<&String>) -> Option<String> {
    reference.filter(|text| is_stated(text)).cloned()
}

pub(super) fn is_stated(reference: &str) -> bool {
    let folded: String = reference
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    !folded.is_empty()
        && !matches!(
            folded.as_str(),
            "NOTPROVIDED" | "NONREF" | "NOREF" | "NOTAVAILABLE" | "NA"
        )
}

/// As `counterfoil parse --json` prints it: balances as decimal strings in
/// `currency`, the account as the file names it.
impl Serialize for Statement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            account: &'a str,
            id: &'a str,
            currency: Option<Currency>,
            opening: Option<String>,
            closing: Option<String>,
            ties: Option<bool>,
            entries: &'a [BankLine],
            problems: &'a [Problem],
        }

        let plain = |amount: Money| amount.amount().to_string();
        Wire {
            account: &self.account_printed,
            id: &self.id,
            currency: self.currency,
            opening: self.opening.map(plain),
            closing: self.closing.map(plain),
            ties: self.ties,
            entries: &self.lines,
            problems: &self.problems,
        }
        .serialize(serializer)
    }
}
