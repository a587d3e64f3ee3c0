//! Billing accounts and documents as CSV.

use contracts::inbound::{
    AccountKind, BillingAccount, BillingDocument, DocumentKind, MatterStatus,
};
use ingestion::domain::{
    csv_table::MAX_ROW_ERRORS,
    detect::Format,
    parse::{Item, Parsed, parse},
};

use super::{codes, fixture, read_fixture};

fn documents(parsed: &Parsed) -> Vec<&BillingDocument> {
    parsed
        .items
        .iter()
        .map(|item| match item {
            Item::Document(document) => document.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn accounts(parsed: &Parsed) -> Vec<&BillingAccount> {
    parsed
        .items
        .iter()
        .map(|item| match item {
            Item::Account(account) => account.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Documents name matters too, and matters accounts: each file is told by what
/// only it has.
#[test]
fn matters_are_read_and_told_from_other_files() {
    let text = "matter_ref,account_ref,title,fee_earner,opened_on,concluded_on,closed_on,status\n\
        M-1,C-1,RTA 1 May 2025,J. Patel,2025-05-03,,,opened\n\
        M-2,C-1,RTA 2 May 2025,,04/05/2025,2025-09-01,,concluded\n";
    let parsed = parse(text.as_bytes(), None).unwrap();
    assert_eq!(parsed.format, Format::CsvMatters);
    let matters: Vec<_> = parsed
        .items
        .iter()
        .map(|item| match item {
            Item::Matter(matter) => matter.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(matters.len(), 2);
    assert_eq!(matters[0].fee_earner.as_deref(), Some("J. Patel"));
    assert_eq!(matters[1].opened_on.to_string(), "2025-05-04");
    assert_eq!(matters[1].status, MatterStatus::Concluded);
    assert_eq!(matters[1].closed_on, None);

    let refused = |status: &str| {
        let text = format!(
            "matter_ref,account_ref,title,opened_on,status\nM-1,C-1,t,2025-05-03,{status}\n"
        );
        let parsed = parse(text.as_bytes(), None).unwrap();
        ingestion::domain::file::check(parsed)
            .err()
            .map(|reasons| codes(&reasons).join(","))
    };
    assert_eq!(refused("opened"), None);
    assert_eq!(
        refused("closed").as_deref(),
        Some("ingestion.matter_day_missing"),
        "a file that is closed has the day"
    );
}

#[test]
fn accounts_are_read() {
    let parsed = read_fixture("accounts.csv");
    assert_eq!(parsed.format, Format::CsvAccounts);
    assert_eq!(parsed.problems, []);
    let accounts = accounts(&parsed);
    assert_eq!(accounts.len(), 4);
    assert_eq!(accounts[0].terms_days, Some(30));
    assert_eq!(accounts[1].parent_ref.as_deref(), Some("ACC-001"));
    assert_eq!(accounts[2].address.as_deref(), Some("Flat 2B\n4 Mill Lane"));
    assert_eq!(accounts[2].principal.as_deref(), Some("Harbour Homes"));
    assert_eq!(accounts[3].kind, AccountKind::PublicBody);
}

#[test]
fn documents_are_read_and_doubted() {
    let parsed = read_fixture("documents.csv");
    let documents = documents(&parsed);
    assert_eq!(documents.len(), 4);
    assert_eq!(documents[0].gross, "5000.00");
    assert_eq!(documents[0].net.as_deref(), Some("4166.67"));
    assert_eq!(documents[1].kind, DocumentKind::CreditNote);
    assert_eq!(documents[1].gross, "40.00");
    assert_eq!(documents[2].gross, "1234.50");
    assert_eq!(
        codes(&parsed.problems),
        [
            "reference_check_digits",
            "due_before_issue",
            "gross_differs",
            "due_before_issue",
            "gross_differs",
            "duplicate_row"
        ]
    );
    assert_eq!(parsed.problems[0].line, Some(4));
    assert_eq!(
        parsed.problems[0].path.as_deref(),
        Some("payment_reference")
    );
}

#[test]
fn british_dates_semicolons_and_windows_text_are_read() {
    let parsed = read_fixture("documents-uk.csv");
    let documents = documents(&parsed);
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].issued_on.to_string(), "2026-02-01");
    assert_eq!(documents[0].due_on.to_string(), "2026-03-03");
    assert_eq!(documents[0].gross, "99.90");
    assert_eq!(documents[1].kind, DocumentKind::CreditNote);
    assert_eq!(
        codes(&parsed.problems),
        ["unknown_column", "encoding_assumed"]
    );
}

#[test]
fn every_wrong_cell_is_told_at_once() {
    let error = parse(&fixture("documents-wrong.csv"), None).expect_err("wrong cells");
    let told: Vec<(u64, &str, &str)> = error
        .reasons
        .iter()
        .map(|reason| {
            (
                reason.line.unwrap_or(0),
                reason.path.as_deref().unwrap_or(""),
                reason.code,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (2, "due_on", "bad_date"),
            (3, "kind", "unknown_value"),
            (3, "account_ref", "missing_value"),
            (3, "gross", "too_many_decimals"),
            (4, "gross", "negative_amount"),
            (5, "currency", "unknown_currency"),
            (6, "", "wrong_cell_count"),
            (8, "", "contradicting_row"),
        ]
    );
}

#[test]
fn errors_are_told_up_to_a_hundred() {
    let mut text = "document_ref,kind,account_ref,issued_on,due_on,gross,currency\n".to_owned();
    text.push_str(&"X,nothing,,never,,much,GBP\n".repeat(50));
    let error = parse(text.as_bytes(), None).expect_err("wrong cells");
    assert_eq!(error.reasons.len(), MAX_ROW_ERRORS);
    assert!(error.to_string().ends_with("(and 99 more)"), "{error}");
}

#[test]
fn a_header_without_needed_columns_is_refused() {
    let error = parse(b"document_ref,gross,gross\nX,1,2\n", None).expect_err("columns");
    assert_eq!(codes(&error.reasons)[0], "duplicate_column");
    let missing: Vec<&str> = error
        .reasons
        .iter()
        .filter(|reason| reason.code == "missing_column")
        .filter_map(|reason| reason.path.as_deref())
        .collect();
    assert_eq!(
        missing,
        ["kind", "account_ref", "issued_on", "due_on", "currency"]
    );
}

#[test]
fn an_account_is_not_its_own_parent() {
    let error = parse(
        b"account_ref,name,kind,currency,parent_ref\nA,Alder,company,GBP,A\n",
        None,
    )
    .expect_err("own parent");
    assert_eq!(error.first_code(), "own_parent");
}
