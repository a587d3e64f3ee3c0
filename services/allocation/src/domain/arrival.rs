//! What ingestion says, as the ledger's own things.

use chrono::{DateTime, Utc};
use contracts::{
    allocation::{Decision, Rule},
    ingestion::{Designation, DocumentRecorded, ReceiptRecorded},
};
use kernel::Money;

use super::{
    evidence::{self, reference_key, tail_key},
    ledger::{Advised, Detail, Item, Receipt},
};

/// Between the texts of a bank line where they stand as one.
pub const PARTS: &str = " · ";

/// A receipt as it comes, with nothing decided about it.
pub fn receipt(fact: &ReceiptRecorded, now: DateTime<Utc>) -> Receipt {
    let mut texts: Vec<&str> = Vec::new();
    texts.extend(fact.reference.as_deref());
    texts.extend(fact.remittance.unstructured.iter().map(String::as_str));
    texts.extend(
        fact.remittance
            .structured
            .iter()
            .map(|line| line.document_number.as_str()),
    );
    texts.dedup();
    let narrative = texts.join(PARTS);
    texts.extend(fact.end_to_end_id.as_deref());
    // Banks break lines in the middle of a number (E4).
    let unbroken = fact.remittance.unstructured.concat();
    texts.push(&unbroken);
    Receipt {
        id: fact.receipt_id,
        version: 1,
        bank_account: fact.bank_account.clone(),
        // The ledger knows whose account it is.
        designation: Designation::default(),
        bank_reference: fact.bank_reference.clone(),
        booked_on: fact.booked_on,
        value_on: fact.value_on,
        amount: fact.amount,
        unallocated: fact.amount,
        paid_out: Money::zero(fact.amount.currency()),
        payer_name: fact.payer_name.clone(),
        payer_account: fact.payer_account.clone(),
        narrative,
        tokens: evidence::keys(texts),
        advice: advice(fact),
        detail: Detail {
            scheme: fact.scheme.clone(),
            end_to_end_id: fact.end_to_end_id.clone(),
            mandate_reference: fact.mandate_reference.clone(),
            held: None,
        },
        account: None,
        account_ref: None,
        decision: Decision::because(Rule::None, Vec::new()),
        suggestions: Vec::new(),
        recorded_at: now,
    }
}

/// The payer's own lines, if all of them are readable.
fn advice(fact: &ReceiptRecorded) -> Vec<Advised> {
    let lines = fact.remittance.structured.iter().map(|line| {
        Some(Advised {
            key: reference_key(&line.document_number),
            amount: Money::parse(line.amount.as_deref()?, fact.amount.currency()).ok()?,
        })
    });
    lines.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// A document as it comes: all of it is open.
pub fn item(fact: &DocumentRecorded) -> Item {
    let amount = if fact.kind.is_credit() {
        fact.gross.neg()
    } else {
        fact.gross
    };
    Item {
        id: fact.document_id,
        document_ref: fact.document_ref.clone(),
        kind: fact.kind,
        account_id: fact.account_id,
        account_ref: fact.account_ref.clone(),
        issued_on: fact.issued_on,
        due_on: fact.due_on,
        amount,
        open: amount,
        ref_key: reference_key(&fact.document_ref),
        payment_key: fact
            .payment_reference
            .as_deref()
            .map(reference_key)
            .filter(|key| !key.is_empty()),
        tail_key: tail_key(&fact.document_ref),
        net: fact.net.map(|net| {
            if fact.kind.is_credit() {
                net.neg()
            } else {
                net
            }
        }),
        vat: fact.vat,
    }
}

impl Item {
    /// The keys under which a receipt may name it.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        [
            Some(&self.ref_key),
            self.payment_key.as_ref(),
            self.tail_key.as_ref(),
        ]
        .into_iter()
        .flatten()
        .filter(|key| !key.is_empty())
    }
}
