//! Matters as CSV: the columns are the fields of `BillingMatter.v1`.

use contracts::inbound::{BillingMatter, MatterStatus};

use super::{
    csv_table::{self, Columns, Row},
    detect::Format,
    parse::{Item, Parsed},
    problem::ParseError,
};

/// The column that tells such a file: documents name matters too, but do not say
/// when they were opened.
pub const KEY_COLUMN: &str = "opened_on";

const COLUMNS: &Columns = &[
    ("matter_ref", true),
    ("account_ref", true),
    ("title", true),
    ("fee_earner", false),
    (KEY_COLUMN, true),
    ("concluded_on", false),
    ("closed_on", false),
    ("status", true),
];

const STATUSES: &[(&str, MatterStatus)] = &[
    ("opened", MatterStatus::Opened),
    ("concluded", MatterStatus::Concluded),
    ("closed", MatterStatus::Closed),
    ("reopened", MatterStatus::Reopened),
];

pub(super) fn read(text: &str) -> Result<Parsed, ParseError> {
    let (matters, problems) = csv_table::read(
        text,
        Format::CsvMatters,
        COLUMNS,
        |matter: &BillingMatter| &matter.matter_ref,
        read_row,
    )?;
    Ok(Parsed {
        format: Format::CsvMatters,
        version: None,
        report: None,
        statements: Vec::new(),
        items: matters
            .into_iter()
            .map(|matter| Item::Matter(Box::new(matter)))
            .collect(),
        problems,
    })
}

fn read_row(row: &mut Row<'_>) -> Option<BillingMatter> {
    // All cells first, so that every wrong one is told.
    let matter_ref = row.required("matter_ref");
    let account_ref = row.required("account_ref");
    let title = row.required("title");
    let fee_earner = row.optional("fee_earner");
    let opened_on = row.date(KEY_COLUMN);
    let day = |row: &mut Row<'_>, column| match row.optional(column) {
        Some(_) => row.date(column),
        None => None,
    };
    let concluded_on = day(row, "concluded_on");
    let closed_on = day(row, "closed_on");
    let status = row.word("status", STATUSES);
    Some(BillingMatter {
        matter_ref: matter_ref?,
        account_ref: account_ref?,
        title: title?,
        fee_earner,
        opened_on: opened_on?,
        concluded_on,
        closed_on,
        status: status?,
    })
}
