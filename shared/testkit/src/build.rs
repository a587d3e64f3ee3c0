//! Messages as outside systems publish them, plain and valid; a test changes the field that it is about.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::NaiveDate;
use contracts::inbound::{
    AccountKind, BankAccountRef, BankReceipt, BillingAccount, BillingDocument, Direction,
    DocumentKind, Payer, Remittance, RemittanceAdviceLine, RemittanceText,
};

/// All builders' dates are days of January 2026.
fn january(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, day).unwrap_or_default()
}

/// `amount` pounds by Faster Payments from nobody in particular, who quotes `reference`. Each is a bank line of its
/// own; the same line once more is a clone.
pub fn receipt(reference: &str, amount: &str) -> BankReceipt {
    static LINES: AtomicU64 = AtomicU64::new(1);
    let line = LINES.fetch_add(1, Ordering::Relaxed);
    BankReceipt {
        feed: "test".into(),
        bank_account: BankAccountRef {
            sort_code: Some("20-00-00".into()),
            account_number: Some("55779911".into()),
            iban: None,
        },
        bank_reference: format!("BR{line:06}"),
        booked_on: january(20),
        value_on: january(20),
        amount: amount.into(),
        currency: "GBP".into(),
        direction: Direction::Credit,
        scheme: Some("fps".into()),
        payer: Payer::default(),
        reference: Some(reference.into()),
        end_to_end_id: None,
        mandate_reference: None,
        return_reason: None,
        remittance: Some(RemittanceText {
            unstructured: vec![reference.into()],
            structured: Vec::new(),
        }),
    }
}

/// A company on 30 days, in pounds.
pub fn account(account_ref: &str) -> BillingAccount {
    BillingAccount {
        account_ref: account_ref.into(),
        name: format!("{account_ref} Ltd"),
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
    }
}

/// An invoice over `gross` pounds, issued on 5 January 2026 and due on the 31st.
pub fn document(document_ref: &str, account_ref: &str, gross: &str) -> BillingDocument {
    BillingDocument {
        document_ref: document_ref.into(),
        kind: DocumentKind::Invoice,
        account_ref: account_ref.into(),
        matter_ref: None,
        issued_on: january(5),
        due_on: january(31),
        gross: gross.into(),
        net: None,
        vat: None,
        currency: "GBP".into(),
        payment_reference: None,
        lines: Vec::new(),
    }
}

/// An advice of a payment of 20 January 2026 under `reference`, line by line.
pub fn remittance(reference: &str, total: &str, lines: &[(&str, &str)]) -> Remittance {
    Remittance {
        remittance_id: format!("ADV-{reference}"),
        source: "test".into(),
        payer: Payer::default(),
        payment_reference: Some(reference.into()),
        date: january(20),
        total: total.into(),
        currency: "GBP".into(),
        lines: lines
            .iter()
            .map(|(number, amount)| RemittanceAdviceLine {
                document_number: (*number).into(),
                amount: (*amount).into(),
                kind: None,
                discount: None,
                deduction: None,
            })
            .collect(),
    }
}
