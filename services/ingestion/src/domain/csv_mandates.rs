//! Direct Debit mandates as CSV: the columns are the fields of
//! `BillingMandate.v1`, the account as sort code and number.

use contracts::inbound::{BankAccountRef, BillingMandate, MandateStatus};

use super::{
    csv_table::{self, Columns, Row},
    detect::Format,
    parse::{Item, Parsed},
    problem::ParseError,
};

/// The column that tells such a file.
pub const KEY_COLUMN: &str = "mandate_reference";

const COLUMNS: &Columns = &[
    (KEY_COLUMN, true),
    ("account_ref", true),
    ("payer_name", true),
    ("sort_code", true),
    ("account_number", true),
    ("signed_on", true),
    ("paperless", false),
    ("status", false),
];

const YES: &[(&str, bool)] = &[
    ("yes", true),
    ("no", false),
    ("true", true),
    ("false", false),
];

const STATUSES: &[(&str, MandateStatus)] = &[
    ("new", MandateStatus::New),
    ("active", MandateStatus::Active),
    ("cancelled", MandateStatus::Cancelled),
];

pub(super) fn read(text: &str) -> Result<Parsed, ParseError> {
    let (mandates, problems) = csv_table::read(
        text,
        Format::CsvMandates,
        COLUMNS,
        |mandate: &BillingMandate| &mandate.mandate_reference,
        read_row,
    )?;
    Ok(Parsed {
        report: None,
        format: Format::CsvMandates,
        version: None,
        statements: Vec::new(),
        items: mandates
            .into_iter()
            .map(|mandate| Item::Mandate(Box::new(mandate)))
            .collect(),
        problems,
    })
}

fn read_row(row: &mut Row<'_>) -> Option<BillingMandate> {
    // All cells first, so that every wrong one is told.
    let mandate_reference = row.required(KEY_COLUMN);
    let account_ref = row.required("account_ref");
    let payer_name = row.required("payer_name");
    let sort_code = row.required("sort_code");
    let account_number = row.required("account_number");
    let signed_on = row.date("signed_on");
    let paperless = match row.optional("paperless") {
        Some(_) => row.word("paperless", YES),
        None => Some(false),
    };
    let status = match row.optional("status") {
        Some(_) => row.word("status", STATUSES).map(Some),
        None => Some(None),
    };
    Some(BillingMandate {
        mandate_reference: mandate_reference?,
        account_ref: account_ref?,
        payer_name: payer_name?,
        payer_account: BankAccountRef {
            sort_code: Some(sort_code?),
            account_number: Some(account_number?),
            iban: None,
        },
        signed_on: signed_on?,
        paperless: paperless?,
        status: status?,
    })
}
