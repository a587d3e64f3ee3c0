//! What feeds and billing systems say, checked field by field: the wire's texts
//! become money, days and accounts, or the message is refused by the field.

use std::collections::HashSet;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use contracts::{
    inbound::{
        AdviceKind, BankAccountRef, BankReceipt, BillingAccount, BillingDocument, BillingMandate,
        BillingMatter, JointDebtor, MatterStatus, RemittanceText,
    },
    ingestion::{AdvisedLine, ReceiptRecorded, RemittanceRecorded},
};
use kernel::{
    AccountNumber, BankAccount, Currency, Iban, Money, MoneyError, ReceiptId, RemittanceId,
    SortCode,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    dedup::{self, Traits},
    line::is_stated,
    mandate::reference,
    record::{Line, Origin},
};

/// The longest text that a field may hold, in bytes.
const TEXT_MAX: usize = 4 * 1024;
/// The longest reference: it is the key of an index.
const REFERENCE_MAX: usize = 200;
/// Lines of one remittance advice at most.
const ADVICE_LINES_MAX: usize = 2_000;
/// Debtors of one account at most.
const DEBTORS_MAX: usize = 20;
/// Years outside of these are slips of a keyboard.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;

/// A field that cannot be accepted, and with it the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Refused {
    /// Stable, such as `ingestion.amount_too_many_decimals`.
    pub code: &'static str,
    /// A JSON pointer into the message.
    pub pointer: &'static str,
    pub detail: String,
}

impl Refused {
    pub(super) fn new(
        code: &'static str,
        pointer: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            code,
            pointer,
            detail: detail.into(),
        }
    }
}

/// A line from a feed.
///
/// # Errors
/// When a field makes no sense. A line without a reference of the bank's own is
/// refused too: it could not be told from its twin, and money would be lost.
pub fn receipt(wire: BankReceipt, at: DateTime<Utc>) -> Result<Line, Refused> {
    let source = required("/feed", wire.feed, TEXT_MAX)?;
    let account = own_account(&wire.bank_account)?;
    let bank_reference = required("/bank_reference", wire.bank_reference, TEXT_MAX)?;
    if !is_stated(&bank_reference) {
        return Err(Refused::new(
            "ingestion.bank_reference_missing",
            "/bank_reference",
            format!(
                "{bank_reference:?} names no line; without a reference of its own a line cannot be told from its twin"
            ),
        ));
    }
    let booked_on = day("/booked_on", wire.booked_on)?;
    let value_on = day("/value_on", wire.value_on)?;
    let currency = currency("/currency", &wire.currency)?;
    let amount = positive("/amount", &wire.amount, currency)?;
    let payer_account = payer_account(&wire.payer.account)?.map(|account| account.key());
    let remittance = wire.remittance.unwrap_or_default();
    for text in &remittance.unstructured {
        bounded("/remittance/unstructured", text, TEXT_MAX)?;
    }
    for line in &remittance.structured {
        bounded("/remittance/structured", &line.document_number, TEXT_MAX)?;
    }
    let key = dedup::line_key(
        Traits {
            account: &account,
            booked_on,
            value_on,
            amount,
            direction: wire.direction,
            bank_reference: Some(&bank_reference),
            text: "",
        },
        1,
    );
    let return_reason = optional("/return_reason", wire.return_reason)?;
    let raw = without_column(&remittance, return_reason.as_deref());
    Ok(Line {
        dedup_key: narrow_key(&key, booked_on),
        direction: wire.direction,
        return_reason,
        raw,
        receipt: ReceiptRecorded {
            receipt_id: ReceiptId::generate(),
            actor: format!("feed:{source}"),
            source,
            bank_account: account.key(),
            bank_reference: Some(bank_reference),
            booked_on,
            value_on,
            amount,
            scheme: optional("/scheme", wire.scheme)?,
            payer_name: optional("/payer/name", wire.payer.name)?,
            payer_account,
            reference: optional("/reference", wire.reference)?,
            end_to_end_id: optional("/end_to_end_id", wire.end_to_end_id)?
                .filter(|id| is_stated(id)),
            mandate_reference: optional("/mandate_reference", wire.mandate_reference)?
                .filter(|reference| is_stated(reference)),
            remittance,
            statement: None,
            recorded_at: at,
        },
    })
}

/// What has no column of its own: the structured remittance, the reason of a
/// return.
fn without_column(remittance: &RemittanceText, return_reason: Option<&str>) -> Option<String> {
    let structured = &remittance.structured;
    match return_reason {
        Some(reason) => serde_json::to_string(
            &serde_json::json!({ "return_reason": reason, "structured": structured }),
        )
        .ok(),
        None if structured.is_empty() => None,
        None => serde_json::to_string(structured).ok(),
    }
}

/// A line's key in two bytes for its day and fourteen of a hash: narrow, and the
/// lines of one day are neighbours in the index.
pub fn narrow_key(key: &str, booked_on: NaiveDate) -> Uuid {
    let day = booked_on.to_epoch_days().clamp(0, i32::from(u16::MAX)) as u16;
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&day.to_be_bytes());
    bytes[2..].copy_from_slice(&Sha256::digest(key)[..14]);
    Uuid::from_bytes(bytes)
}

/// A debtor account as billing told it, its texts trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub wire: BillingAccount,
    pub currency: Currency,
    /// The whole content in one text: what is the same has the same.
    pub content: String,
}

/// Who owes an account together, in the order in which billing names them.
fn debtors(wire: Vec<JointDebtor>) -> Result<Vec<JointDebtor>, Refused> {
    let refused = |detail: &str| Refused::new("ingestion.bad_debtors", "/debtors", detail);
    if wire.len() > DEBTORS_MAX {
        return Err(refused("at most 20 owe one account together"));
    }
    let debtors = wire
        .into_iter()
        .map(|one| {
            Ok(JointDebtor {
                debtor_ref: required("/debtors/debtor_ref", one.debtor_ref, REFERENCE_MAX)?,
                name: required("/debtors/name", one.name, TEXT_MAX)?,
                kind: one.kind,
                email: optional("/debtors/email", one.email)?,
                phone: optional("/debtors/phone", one.phone)?,
                address: optional("/debtors/address", one.address)?,
            })
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    let mut known = HashSet::new();
    if debtors.iter().all(|one| known.insert(&one.debtor_ref)) {
        return Ok(debtors);
    }
    Err(refused("one of them is named twice"))
}

/// A debtor account from a billing system or a file.
///
/// # Errors
/// When a field makes no sense.
pub fn account(wire: BillingAccount) -> Result<Account, Refused> {
    let currency = currency("/currency", &wire.currency)?;
    let wire = BillingAccount {
        account_ref: required("/account_ref", wire.account_ref, REFERENCE_MAX)?,
        name: required("/name", wire.name, TEXT_MAX)?,
        kind: wire.kind,
        parent_ref: optional("/parent_ref", wire.parent_ref)?,
        terms_days: wire.terms_days,
        currency: wire.currency,
        email: optional("/email", wire.email)?,
        phone: optional("/phone", wire.phone)?,
        address: optional("/address", wire.address)?,
        segment: optional("/segment", wire.segment)?,
        department: optional("/department", wire.department)?,
        principal: optional("/principal", wire.principal)?,
        debtors: wire.debtors.map(debtors).transpose()?,
    };
    if wire.parent_ref.as_ref() == Some(&wire.account_ref) {
        return Err(Refused::new(
            "ingestion.own_parent",
            "/parent_ref",
            "the account is its own parent",
        ));
    }
    let content = as_json("/", &wire)?;
    Ok(Account {
        wire,
        currency,
        content,
    })
}

/// A billing document as it was told, its amounts read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub wire: BillingDocument,
    pub gross: Money,
    pub net: Option<Money>,
    pub vat: Option<Money>,
    /// Of everything that the fact will tell on; the lines are not among it.
    pub content_hash: Uuid,
    /// The whole document as JSON.
    pub content: String,
}

/// A billing document from a billing system or a file.
///
/// # Errors
/// When a field makes no sense.
pub fn document(wire: BillingDocument) -> Result<Document, Refused> {
    let currency = currency("/currency", &wire.currency)?;
    let gross = positive("/gross", &wire.gross, currency)?;
    let part = |pointer, text: &Option<String>| {
        text.as_deref()
            .map(|text| not_negative(pointer, text, currency))
            .transpose()
    };
    let net = part("/net", &wire.net)?;
    let vat = part("/vat", &wire.vat)?;
    let wire = BillingDocument {
        document_ref: required("/document_ref", wire.document_ref, REFERENCE_MAX)?,
        account_ref: required("/account_ref", wire.account_ref, REFERENCE_MAX)?,
        matter_ref: optional("/matter_ref", wire.matter_ref)?,
        issued_on: day("/issued_on", wire.issued_on)?,
        due_on: day("/due_on", wire.due_on)?,
        payment_reference: optional("/payment_reference", wire.payment_reference)?,
        ..wire
    };
    for line in &wire.lines {
        bounded("/lines", &line.description, TEXT_MAX)?;
    }
    let amount = |money: Option<Money>| money.map_or_else(String::new, |m| m.amount().to_string());
    let told = [
        &wire.document_ref,
        wire.kind.name(),
        &wire.account_ref,
        wire.matter_ref.as_deref().unwrap_or_default(),
        &wire.issued_on.to_string(),
        &wire.due_on.to_string(),
        &amount(Some(gross)),
        &amount(net),
        &amount(vat),
        currency.code(),
        wire.payment_reference.as_deref().unwrap_or_default(),
    ]
    .join("\u{1f}");
    let mut hash = [0; 16];
    hash.copy_from_slice(&Sha256::digest(told)[..16]);
    Ok(Document {
        gross,
        net,
        vat,
        content_hash: Uuid::from_bytes(hash),
        content: as_json("/", &wire)?,
        wire,
    })
}

/// A remittance advice as it was told, its amounts read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remittance {
    /// With the id that it keeps if it is new.
    pub fact: RemittanceRecorded,
    /// Of everything that the fact tells: a repetition has the same, a
    /// contradiction another.
    pub content_hash: Uuid,
    /// The whole advice as JSON.
    pub content: String,
}

/// A remittance advice that came apart from the cash.
///
/// # Errors
/// When a field makes no sense. Whether the lines come to the total is not
/// asked here: an advice that is a penny out is still an advice (E11).
pub fn remittance(
    wire: contracts::inbound::Remittance,
    at: DateTime<Utc>,
) -> Result<Remittance, Refused> {
    let content = as_json("/", &wire)?;
    let remittance_ref = required("/remittance_id", wire.remittance_id, REFERENCE_MAX)?;
    let source = required("/source", wire.source, REFERENCE_MAX)?;
    let currency = currency("/currency", &wire.currency)?;
    let total = positive("/total", &wire.total, currency)?;
    let paid_on = day("/date", wire.date)?;
    if wire.lines.is_empty() || wire.lines.len() > ADVICE_LINES_MAX {
        return Err(Refused::new(
            "ingestion.advice_lines",
            "/lines",
            format!("an advice has between 1 and {ADVICE_LINES_MAX} lines"),
        ));
    }
    let part = |text: &Option<String>| {
        text.as_deref()
            .map(|text| amount("/lines", text, currency))
            .transpose()
    };
    let lines = wire
        .lines
        .iter()
        .map(|line| {
            let kind = line.kind.unwrap_or_default();
            let told = amount("/lines", &line.amount, currency)?;
            // Payers write a credit note with or without the minus.
            let takes_off = matches!(kind, AdviceKind::CreditNote | AdviceKind::Deduction);
            Ok(AdvisedLine {
                document_number: required("/lines", line.document_number.clone(), REFERENCE_MAX)?,
                amount: if takes_off { told.abs().neg() } else { told },
                kind,
                discount: part(&line.discount)?,
                deduction: part(&line.deduction)?,
            })
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    let mut hash = [0; 16];
    let told = as_json("/lines", &lines)?;
    let payer_account = payer_account(&wire.payer.account)?.map(|account| account.key());
    let payer_name = optional("/payer/name", wire.payer.name)?;
    let payment_reference = optional("/payment_reference", wire.payment_reference)?
        .filter(|reference| is_stated(reference));
    let text = [
        paid_on.to_string().as_str(),
        &total.amount().to_string(),
        currency.code(),
        payer_account.as_deref().unwrap_or_default(),
        payer_name.as_deref().unwrap_or_default(),
        payment_reference.as_deref().unwrap_or_default(),
        &told,
    ]
    .join("\u{1f}");
    hash.copy_from_slice(&Sha256::digest(text)[..16]);
    Ok(Remittance {
        content_hash: Uuid::from_bytes(hash),
        content,
        fact: RemittanceRecorded {
            remittance_id: RemittanceId::generate(),
            remittance_ref,
            actor: format!("feed:{source}"),
            source,
            payer_name,
            payer_account,
            payment_reference,
            paid_on,
            total,
            lines,
            recorded_at: at,
        },
    })
}

/// A matter as the case system told it, its texts trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    pub wire: BillingMatter,
    /// The whole content in one text: what is the same has the same.
    pub content: String,
}

/// A matter from a case system or a file.
///
/// # Errors
/// When a field makes no sense, or the days do not fit the status.
pub fn matter(wire: BillingMatter) -> Result<Matter, Refused> {
    let optional_day = |pointer, date: Option<NaiveDate>| date.map(|d| day(pointer, d)).transpose();
    let wire = BillingMatter {
        matter_ref: required("/matter_ref", wire.matter_ref, REFERENCE_MAX)?,
        account_ref: required("/account_ref", wire.account_ref, REFERENCE_MAX)?,
        title: required("/title", wire.title, TEXT_MAX)?,
        fee_earner: optional("/fee_earner", wire.fee_earner)?,
        opened_on: day("/opened_on", wire.opened_on)?,
        concluded_on: optional_day("/concluded_on", wire.concluded_on)?,
        closed_on: optional_day("/closed_on", wire.closed_on)?,
        status: wire.status,
    };
    let needed = match wire.status {
        MatterStatus::Concluded if wire.concluded_on.is_none() => Some("/concluded_on"),
        MatterStatus::Closed if wire.closed_on.is_none() => Some("/closed_on"),
        _ => None,
    };
    if let Some(pointer) = needed {
        return Err(Refused::new(
            "ingestion.matter_day_missing",
            pointer,
            format!("a matter that is {} has the day", wire.status.name()),
        ));
    }
    for (pointer, date) in [
        ("/concluded_on", wire.concluded_on),
        ("/closed_on", wire.closed_on),
    ] {
        if date.is_some_and(|date| date < wire.opened_on) {
            return Err(Refused::new(
                "ingestion.matter_day_before_opening",
                pointer,
                format!("the matter was opened on {}", wire.opened_on),
            ));
        }
    }
    Ok(Matter {
        content: as_json("/", &wire)?,
        wire,
    })
}

/// A mandate as billing told it, its account named in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mandate {
    pub wire: BillingMandate,
    /// As `BankAccount::key`.
    pub payer_account: String,
    /// The whole content in one text: what is the same has the same.
    pub content: String,
}

/// A mandate from a billing system or a file.
///
/// # Errors
/// When a field makes no sense: the reference by the rules of Bacs, the account
/// whole and of the United Kingdom.
pub fn mandate(wire: BillingMandate) -> Result<Mandate, Refused> {
    let at = "/mandate_reference";
    let mandate_reference = required(at, wire.mandate_reference, REFERENCE_MAX)?;
    reference::check(&mandate_reference)
        .map_err(|rule| Refused::new("ingestion.mandate_reference", at, rule))?;
    let payer_name = required("/payer_name", wire.payer_name, TEXT_MAX)?;
    let clean = super::std18::clean(&payer_name, 18);
    if clean.trim().is_empty() {
        return Err(Refused::new(
            "ingestion.payer_name",
            "/payer_name",
            "none of its first 18 characters is one that Bacs takes",
        ));
    }
    let uk = uk_account(
        &wire.payer_account,
        "/payer_account/sort_code",
        "/payer_account/account_number",
    )?;
    let iban = iban(&wire.payer_account, "/payer_account/iban")?;
    let parts = match (uk, iban) {
        (
            Uk::Whole(BankAccount::Uk {
                sort_code,
                account_number,
            }),
            _,
        ) => Some((sort_code, account_number)),
        (_, Some(BankAccount::Iban(iban))) => iban.uk_parts(),
        _ => None,
    };
    let (sort_code, account_number) = parts.ok_or_else(|| {
        Refused::new(
            "ingestion.account_missing",
            "/payer_account",
            "a Direct Debit needs a UK account: sort code and account number",
        )
    })?;
    let wire = BillingMandate {
        mandate_reference,
        account_ref: required("/account_ref", wire.account_ref, REFERENCE_MAX)?,
        payer_name,
        payer_account: BankAccountRef {
            sort_code: Some(sort_code.digits()),
            account_number: Some(account_number.digits()),
            iban: None,
        },
        signed_on: day("/signed_on", wire.signed_on)?,
        paperless: wire.paperless,
        status: Some(wire.status.unwrap_or_default()),
    };
    Ok(Mandate {
        content: as_json("/", &wire)?,
        payer_account: BankAccount::Uk {
            sort_code,
            account_number,
        }
        .key(),
        wire,
    })
}

impl Origin {
    /// Of a message of a billing system.
    pub fn feed(source: &str, message_id: Uuid) -> Self {
        Self {
            source: source.to_owned(),
            actor: format!("feed:{source}"),
            message_id: Some(message_id),
            import_id: None,
        }
    }
}

fn as_json(pointer: &'static str, value: &impl serde::Serialize) -> Result<String, Refused> {
    serde_json::to_string(value)
        .map_err(|error| Refused::new("ingestion.unprintable", pointer, error.to_string()))
}

/// One of our own accounts, as people and systems name it.
///
/// # Errors
/// When it is not named whole.
pub fn own_account(account: &BankAccountRef) -> Result<BankAccount, Refused> {
    let missing = |pointer| {
        Refused::new(
            "ingestion.account_missing",
            pointer,
            "a line needs our account: sort code and account number, or IBAN",
        )
    };
    let uk = uk_account(
        account,
        "/bank_account/sort_code",
        "/bank_account/account_number",
    )?;
    let iban = iban(account, "/bank_account/iban")?;
    match (uk, iban) {
        (Uk::Whole(uk), Some(iban)) if uk != iban => Err(Refused::new(
            "ingestion.two_accounts",
            "/bank_account/iban",
            "the IBAN is of another account than sort code and account number",
        )),
        (Uk::Whole(account), _) | (_, Some(account)) => Ok(account),
        (Uk::SortCodeOnly, None) => Err(missing("/bank_account/account_number")),
        (Uk::NumberOnly(_), None) => Err(missing("/bank_account/sort_code")),
        (Uk::Nothing, None) => Err(missing("/bank_account")),
    }
}

/// A payer's account may be told in part; a number alone is kept as it is.
fn payer_account(account: &BankAccountRef) -> Result<Option<BankAccount>, Refused> {
    let uk = uk_account(account, "/payer/sort_code", "/payer/account_number")?;
    let iban = iban(account, "/payer/iban")?;
    Ok(match (uk, iban) {
        (Uk::Whole(account), _) | (_, Some(account)) => Some(account),
        (Uk::NumberOnly(number), None) => Some(BankAccount::Other(number)),
        (Uk::SortCodeOnly | Uk::Nothing, None) => None,
    })
}

/// What of a UK account is told.
enum Uk {
    Whole(BankAccount),
    SortCodeOnly,
    NumberOnly(String),
    Nothing,
}

fn uk_account(
    account: &BankAccountRef,
    at_sort_code: &'static str,
    at_number: &'static str,
) -> Result<Uk, Refused> {
    let told = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let sort_code = told(&account.sort_code)
        .map(|text| SortCode::parse(&text))
        .transpose()
        .map_err(|e| Refused::new("ingestion.sort_code", at_sort_code, e.to_string()))?;
    let number = told(&account.account_number)
        .map(|text| AccountNumber::parse(&text))
        .transpose()
        .map_err(|e| Refused::new("ingestion.account_number", at_number, e.to_string()))?;
    Ok(match (sort_code, number) {
        (Some(sort_code), Some(account_number)) => Uk::Whole(BankAccount::Uk {
            sort_code,
            account_number,
        }),
        (Some(_), None) => Uk::SortCodeOnly,
        (None, Some(number)) => Uk::NumberOnly(number.digits()),
        (None, None) => Uk::Nothing,
    })
}

fn iban(account: &BankAccountRef, pointer: &'static str) -> Result<Option<BankAccount>, Refused> {
    account
        .iban
        .as_deref()
        .filter(|text| !text.trim().is_empty())
        .map(|text| Iban::parse(text).map(BankAccount::Iban))
        .transpose()
        .map_err(|e| Refused::new("ingestion.iban", pointer, e.to_string()))
}

fn day(pointer: &'static str, day: NaiveDate) -> Result<NaiveDate, Refused> {
    if YEARS.contains(&day.year()) {
        Ok(day)
    } else {
        Err(Refused::new(
            "ingestion.date_out_of_range",
            pointer,
            format!("{day} is not between {} and {}", YEARS.start(), YEARS.end()),
        ))
    }
}

fn currency(pointer: &'static str, code: &str) -> Result<Currency, Refused> {
    Currency::parse(code)
        .map_err(|error| Refused::new("ingestion.currency_unknown", pointer, error.to_string()))
}

fn amount(pointer: &'static str, text: &str, currency: Currency) -> Result<Money, Refused> {
    Money::parse(text, currency).map_err(|error| {
        let code = match error {
            MoneyError::TooManyDecimals { .. } => "ingestion.amount_too_many_decimals",
            MoneyError::Overflow => "ingestion.amount_too_large",
            _ => "ingestion.amount_not_a_number",
        };
        Refused::new(code, pointer, error.to_string())
    })
}

fn positive(pointer: &'static str, text: &str, currency: Currency) -> Result<Money, Refused> {
    let money = amount(pointer, text, currency)?;
    if money.is_positive() {
        Ok(money)
    } else {
        Err(Refused::new(
            "ingestion.amount_not_positive",
            pointer,
            format!("{money} is not more than nothing; direction or kind say which way it counts"),
        ))
    }
}

fn not_negative(pointer: &'static str, text: &str, currency: Currency) -> Result<Money, Refused> {
    let money = amount(pointer, text, currency)?;
    if money.is_negative() {
        return Err(Refused::new(
            "ingestion.amount_negative",
            pointer,
            format!("{money} is negative; the kind says which way it counts"),
        ));
    }
    Ok(money)
}

fn required(pointer: &'static str, text: String, max: usize) -> Result<String, Refused> {
    bounded(pointer, &text, max)?;
    match trimmed(text) {
        Some(text) => Ok(text),
        None => Err(Refused::new(
            "ingestion.value_missing",
            pointer,
            "the field is empty",
        )),
    }
}

/// A blank text says nothing.
fn optional(pointer: &'static str, text: Option<String>) -> Result<Option<String>, Refused> {
    let Some(text) = text else {
        return Ok(None);
    };
    bounded(pointer, &text, TEXT_MAX)?;
    Ok(trimmed(text))
}

fn trimmed(text: String) -> Option<String> {
    let plain = text.trim();
    if plain.is_empty() {
        None
    } else if plain.len() == text.len() {
        Some(text)
    } else {
        Some(plain.to_owned())
    }
}

/// What the database cannot hold, or nobody would write, is refused by its
/// field instead of failing there with the whole batch.
fn bounded(pointer: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    if text.len() > max {
        return Err(Refused::new(
            "ingestion.text_too_long",
            pointer,
            format!("the text has {} bytes, more than {max}", text.len()),
        ));
    }
    if text.as_bytes().contains(&0) {
        return Err(Refused::new(
            "ingestion.text_unprintable",
            pointer,
            "the text holds a NUL character",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use contracts::inbound::Direction;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::record::Told;

    fn wire() -> Value {
        json!({
            "feed": "barclays",
            "bank_account": {"sort_code": "20-00-00", "account_number": "55779911"},
            "bank_reference": "FPID-1",
            "booked_on": "2026-03-02",
            "value_on": "2026-03-02",
            "amount": "120.50",
            "currency": "GBP",
            "direction": "credit",
            "payer": {"name": "Acme Ltd", "sort_code": "60-16-13", "account_number": "1926819"},
            "reference": "INV-1"
        })
    }

    fn with(path: &str, value: Value) -> Value {
        let mut wire = wire();
        let (parent, field) = path.rsplit_once('/').unwrap();
        wire.pointer_mut(parent).unwrap()[field] = value;
        wire
    }

    fn read(wire: Value) -> Result<Line, Refused> {
        receipt(serde_json::from_value(wire).unwrap(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_line_is_read_into_money_days_and_accounts() {
        let line = read(wire()).unwrap();
        assert!(matches!(line.fact(), Some(Told::Receipt(_))));
        assert_eq!(line.receipt.bank_account, "GB:200000-55779911");
        assert_eq!(
            line.receipt.payer_account.as_deref(),
            Some("GB:601613-01926819")
        );
        assert_eq!(line.receipt.amount.to_string(), "GBP 120.50");
        assert_eq!(line.receipt.actor, "feed:barclays");
    }

    #[test]
    fn a_refusal_names_the_field() {
        for (path, value, code) in [
            (
                "/amount",
                json!("1.234"),
                "ingestion.amount_too_many_decimals",
            ),
            ("/amount", json!("0.00"), "ingestion.amount_not_positive"),
            ("/amount", json!("-5"), "ingestion.amount_not_positive"),
            ("/amount", json!("12,50"), "ingestion.amount_not_a_number"),
            ("/amount", json!("1e3"), "ingestion.amount_not_a_number"),
            (
                "/amount",
                json!("9999999999999999"),
                "ingestion.amount_too_large",
            ),
            ("/currency", json!("GPB"), "ingestion.currency_unknown"),
            ("/bank_account", json!({}), "ingestion.account_missing"),
            (
                "/bank_account/sort_code",
                json!("20-00-0"),
                "ingestion.sort_code",
            ),
            (
                "/bank_account/account_number",
                json!(null),
                "ingestion.account_missing",
            ),
            (
                "/bank_account/iban",
                json!("GB00NWBK60161331926819"),
                "ingestion.iban",
            ),
            ("/payer/sort_code", json!("sixty"), "ingestion.sort_code"),
            ("/bank_reference", json!(" "), "ingestion.value_missing"),
            (
                "/bank_reference",
                json!("NONREF"),
                "ingestion.bank_reference_missing",
            ),
            ("/feed", json!(""), "ingestion.value_missing"),
            (
                "/booked_on",
                json!("0206-03-02"),
                "ingestion.date_out_of_range",
            ),
            ("/reference", json!("a\u{0}b"), "ingestion.text_unprintable"),
            (
                "/payer/name",
                json!("x".repeat(5000)),
                "ingestion.text_too_long",
            ),
        ] {
            let refused = read(with(path, value.clone())).unwrap_err();
            assert_eq!((refused.code, refused.pointer), (code, path), "{value}");
        }
    }

    /// The same movement has the same key from whatever feed, under whatever
    /// name of our account; anything that makes it another one changes it.
    #[test]
    fn the_key_is_of_the_movement_alone() {
        let key = |wire| read(wire).unwrap().dedup_key;
        let own = key(wire());
        assert_eq!(key(with("/feed", json!("other"))), own);
        assert_eq!(key(with("/payer/name", json!("ACME"))), own);
        assert_eq!(key(with("/bank_account/sort_code", json!("200000"))), own);
        assert_eq!(key(with("/amount", json!("120.5"))), own);
        for (path, value) in [
            ("/amount", json!("120.51")),
            ("/currency", json!("EUR")),
            ("/direction", json!("debit")),
            ("/booked_on", json!("2026-03-03")),
            ("/value_on", json!("2026-03-03")),
            ("/bank_reference", json!("FPID-2")),
            ("/bank_account/account_number", json!("55779912")),
        ] {
            assert_ne!(key(with(path, value)), own, "{path}");
        }
    }

    /// E11, E12: an advice is read as it is, whether it adds up or not; what
    /// makes no sense is refused by its field.
    #[test]
    fn an_advice_is_read_with_its_signs() {
        let wire = |total: &str, lines: Value| {
            json!({"remittance_id": "ADV-1", "source": "mailbox", "date": "2026-03-02",
                "total": total, "currency": "GBP", "payer": {"name": "Acme Ltd"}, "lines": lines})
        };
        let read =
            |wire: Value| remittance(serde_json::from_value(wire).unwrap(), DateTime::UNIX_EPOCH);
        let lines = json!([
            {"document_number": "INV-1", "amount": "100.00", "discount": "2.00"},
            {"document_number": "CN-1", "amount": "20.00", "kind": "credit_note"},
            {"document_number": "DM-9", "amount": "-5.00", "kind": "deduction"},
        ]);
        let advice = read(wire("75.01", lines.clone())).unwrap();
        let amounts: Vec<String> = advice
            .fact
            .lines
            .iter()
            .map(|line| line.amount.to_string())
            .collect();
        assert_eq!(amounts, ["GBP 100.00", "GBP -20.00", "GBP -5.00"]);
        let again = read(wire("75.012", lines.clone()));
        assert_eq!(
            again.unwrap_err().code,
            "ingestion.amount_too_many_decimals"
        );
        assert_eq!(
            read(wire("75.01", lines.clone())).unwrap().content_hash,
            advice.content_hash
        );
        assert_ne!(
            read(wire("75.00", lines)).unwrap().content_hash,
            advice.content_hash
        );
        assert_eq!(
            read(wire("75.01", json!([]))).unwrap_err().code,
            "ingestion.advice_lines"
        );
    }

    #[test]
    fn keys_of_one_day_are_neighbours() {
        let mut keys: Vec<_> = (0..100)
            .map(|n: u32| {
                let wire = with("/booked_on", json!(format!("2026-03-{:02}", 1 + n % 28)));
                let day = wire["booked_on"].as_str().unwrap().to_owned();
                let mut wire = wire;
                wire["bank_reference"] = json!(format!("R{n}"));
                (read(wire).unwrap().dedup_key, day)
            })
            .collect();
        keys.sort();
        assert!(keys.is_sorted_by_key(|(_, day)| day.clone()));
    }

    #[test]
    fn a_debit_is_a_line_but_no_receipt() {
        let line = read(with("/direction", json!("debit"))).unwrap();
        assert_eq!(line.direction, Direction::Debit);
        assert!(matches!(line.fact(), Some(Told::Debit(_))));
    }

    #[test]
    fn an_account_cannot_be_its_own_parent() {
        let wire = json!({"account_ref": "A1", "name": "Acme", "kind": "company",
            "parent_ref": " A1 ", "currency": "GBP"});
        let refused = account(serde_json::from_value(wire).unwrap()).unwrap_err();
        assert_eq!(
            (refused.code, refused.pointer),
            ("ingestion.own_parent", "/parent_ref")
        );
    }

    #[test]
    fn a_document_says_the_same_however_its_amounts_are_written() {
        let hash = |gross: &str, lines: Value| {
            let wire = json!({"document_ref": "INV-1", "kind": "invoice", "account_ref": "A1",
                "issued_on": "2026-03-01", "due_on": "2026-03-31", "gross": gross,
                "currency": "GBP", "lines": lines});
            document(serde_json::from_value(wire).unwrap()).map(|d| d.content_hash)
        };
        let own = hash("100", json!([])).unwrap();
        assert_eq!(hash("100.00", json!([])).unwrap(), own);
        assert_eq!(hash("100", json!([{"description": "work"}])).unwrap(), own);
        assert_ne!(hash("100.01", json!([])).unwrap(), own);
        let refused = hash("-100", json!([])).unwrap_err();
        assert_eq!(
            (refused.code, refused.pointer),
            ("ingestion.amount_not_positive", "/gross")
        );
    }

    proptest! {
        /// Whatever stands in a field: a line or a refusal that names a field of
        /// the message, never a panic.
        #[test]
        fn any_text_is_read_or_refused(
            amount in ".{0,24}",
            currency in "[A-Z]{0,4}|.{3}",
            sort_code in ".{0,10}",
            iban in "[A-Z]{2}[0-9]{2}[A-Z0-9]{0,32}|.{0,12}",
            reference in ".{0,20}",
        ) {
            let mut wire = wire();
            wire["amount"] = json!(amount);
            wire["currency"] = json!(currency);
            wire["payer"]["sort_code"] = json!(sort_code);
            wire["bank_account"]["iban"] = json!(iban);
            wire["bank_reference"] = json!(reference);
            match read(wire.clone()) {
                Ok(line) => prop_assert!(line.receipt.amount.is_positive()),
                Err(refused) => prop_assert!(wire.pointer(refused.pointer).is_some()),
            }
        }
    }
}
