//! Billing documents as CSV: the columns are the fields of `BillingDocument.v1`
//! but for `lines`, which has no place in a table.

use contracts::inbound::{BillingDocument, DocumentKind};
use kernel::{CreditorReference, Money, ReferenceError};

use super::{
    csv_table::{self, Columns, Row},
    detect::Format,
    parse::{Item, Parsed},
    problem::ParseError,
};

/// The column that tells such a file.
pub const KEY_COLUMN: &str = "document_ref";

const COLUMNS: &Columns = &[
    (KEY_COLUMN, true),
    ("kind", true),
    ("account_ref", true),
    ("matter_ref", false),
    ("issued_on", true),
    ("due_on", true),
    ("gross", true),
    ("net", false),
    ("vat", false),
    ("currency", true),
    ("payment_reference", false),
];

const KINDS: &[(&str, DocumentKind)] = &[
    ("invoice", DocumentKind::Invoice),
    ("credit_note", DocumentKind::CreditNote),
    ("disbursement", DocumentKind::Disbursement),
];

pub(super) fn read(text: &str) -> Result<Parsed, ParseError> {
    let (documents, problems) = csv_table::read(
        text,
        Format::CsvDocuments,
        COLUMNS,
        |document: &BillingDocument| &document.document_ref,
        read_row,
    )?;
    Ok(Parsed {
        format: Format::CsvDocuments,
        version: None,
        report: None,
        statements: Vec::new(),
        items: documents
            .into_iter()
            .map(|document| Item::Document(Box::new(document)))
            .collect(),
        problems,
    })
}

fn read_row(row: &mut Row<'_>) -> Option<BillingDocument> {
    // All cells first, so that every wrong one is told.
    let document_ref = row.required(KEY_COLUMN);
    let kind = row.word("kind", KINDS);
    let account_ref = row.required("account_ref");
    let matter_ref = row.optional("matter_ref");
    let issued_on = row.date("issued_on");
    let due_on = row.date("due_on");
    row.required("gross");
    let currency = row.currency("currency");
    let payment_reference = row.optional("payment_reference");
    // Amounts can only be read in a known currency.
    let currency = currency?;
    let gross = row.amount("gross", currency);
    let net = row.amount("net", currency);
    let vat = row.amount("vat", currency);

    if let (Some(issued_on), Some(due_on)) = (issued_on, due_on)
        && due_on < issued_on
    {
        row.doubt(
            "due_before_issue",
            "due_on",
            format!("the document is due on {due_on}, before it was issued on {issued_on}"),
        );
    }
    if let (Some(gross), Some(net), Some(vat)) = (gross, net, vat)
        && net.checked_add(vat) != Ok(gross)
    {
        row.doubt(
            "gross_differs",
            "gross",
            format!("{net} net and {vat} VAT do not make {gross}"),
        );
    }
    if let Some(reference) = &payment_reference
        && CreditorReference::parse(reference) == Err(ReferenceError::CheckDigits)
    {
        row.doubt(
            "reference_check_digits",
            "payment_reference",
            "the reference looks like one of ISO 11649, but its check digits are wrong",
        );
    }
    let plain = |amount: Money| amount.amount().to_string();
    Some(BillingDocument {
        document_ref: document_ref?,
        kind: kind?,
        account_ref: account_ref?,
        matter_ref,
        issued_on: issued_on?,
        due_on: due_on?,
        gross: plain(gross?),
        net: net.map(plain),
        vat: vat.map(plain),
        currency: currency.code().to_owned(),
        payment_reference,
        lines: Vec::new(),
    })
}
