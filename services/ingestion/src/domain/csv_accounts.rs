//! Debtor accounts as CSV: the columns are the fields of `BillingAccount.v1`.

use contracts::inbound::{AccountKind, BillingAccount};

use super::{
    csv_table::{self, Columns},
    detect::Format,
    parse::{Item, Parsed},
    problem::ParseError,
};

/// The column that tells such a file.
pub const KEY_COLUMN: &str = "account_ref";

const COLUMNS: &Columns = &[
    (KEY_COLUMN, true),
    ("name", true),
    ("kind", true),
    ("parent_ref", false),
    ("terms_days", false),
    ("currency", true),
    ("email", false),
    ("phone", false),
    ("address", false),
    ("segment", false),
    ("department", false),
    ("principal", false),
];

const KINDS: &[(&str, AccountKind)] = &[
    ("company", AccountKind::Company),
    ("sole_trader", AccountKind::SoleTrader),
    ("individual", AccountKind::Individual),
    ("public_body", AccountKind::PublicBody),
];

pub(super) fn read(text: &str) -> Result<Parsed, ParseError> {
    let (accounts, problems) = csv_table::read(
        text,
        Format::CsvAccounts,
        COLUMNS,
        |account: &BillingAccount| &account.account_ref,
        |row| {
            // All cells first, so that every wrong one is told.
            let account_ref = row.required(KEY_COLUMN);
            let name = row.required("name");
            let kind = row.word("kind", KINDS);
            let parent_ref = row.optional("parent_ref");
            let terms_days = row.number("terms_days");
            let currency = row.currency("currency");
            if parent_ref.is_some() && parent_ref == account_ref {
                row.error("own_parent", "parent_ref", "the account is its own parent");
            }
            let (email, phone, address) = (
                row.optional("email"),
                row.optional("phone"),
                row.optional("address"),
            );
            let (segment, department, principal) = (
                row.optional("segment"),
                row.optional("department"),
                row.optional("principal"),
            );
            Some(BillingAccount {
                account_ref: account_ref?,
                name: name?,
                kind: kind?,
                parent_ref,
                terms_days,
                currency: currency?.code().to_owned(),
                email,
                phone,
                address,
                segment,
                department,
                principal,
                debtors: None,
            })
        },
    )?;
    Ok(Parsed {
        format: Format::CsvAccounts,
        version: None,
        report: None,
        statements: Vec::new(),
        items: accounts
            .into_iter()
            .map(|account| Item::Account(Box::new(account)))
            .collect(),
        problems,
    })
}
