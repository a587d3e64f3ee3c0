//! Every fixture prints exactly what stands in `<fixture>.expected.json`.

use std::fs;

use chrono::NaiveDate;
use contracts::inbound::Direction;
use ingestion::domain::{
    detect::{Format, detect},
    line::{LineStatus, receipts_of},
    parse::{parse, to_json},
    scheme::Scheme,
};
use kernel::BankAccount;
use serde_json::Value;

use super::{changed_statement, codes, fixture, fixture_path, read_fixture, statement};

const FIXTURES: &[&str] = &[
    "accounts.csv",
    "bacs-addacs.xml",
    "bacs-arucs.xml",
    "bacs-arudd-doubtful.xml",
    "bacs-arudd-empty.xml",
    "bacs-arudd-one.xml",
    "bacs-arudd-untied.xml",
    "bacs-arudd.xml",
    "bacs-auddis.xml",
    "bacs-awacs.xml",
    "bacs-ddica.xml",
    "bacs-input.xml",
    "bacs-unknown.xml",
    "bacs-withdrawal.xml",
    "batch-details.xml",
    "chain-day-1.xml",
    "documents-uk.csv",
    "documents-wrong.csv",
    "documents.csv",
    "entity-bomb.xml",
    "latin1.xml",
    "payment.pain.xml",
    "statement.mt940",
    "truncated.xml",
    "twins.xml",
    "two-statements-doubtful.xml",
    "uk-v02-sort-code.xml",
    "uk-v08-parties.xml",
    "wrong-encoding.xml",
];

fn printed(name: &str) -> String {
    let mut json = serde_json::to_string_pretty(&to_json(&parse(&fixture(name), None)))
        .expect("JSON can be printed");
    json.push('\n');
    json
}

fn expected_name(name: &str) -> String {
    format!("{name}.expected.json")
}

#[test]
fn every_fixture_prints_what_is_expected() {
    for name in FIXTURES {
        let expected = String::from_utf8(fixture(&expected_name(name))).expect("UTF-8");
        assert_eq!(printed(name), expected, "{name}");
    }
}

/// After a wanted change: `cargo nextest run -p ingestion --run-ignored only
/// write_expected`, then read the difference.
#[test]
#[ignore = "writes the expectations instead of checking them"]
fn write_expected() {
    for name in FIXTURES {
        fs::write(fixture_path(&expected_name(name)), printed(name))
            .expect("fixtures/ is writable");
    }
}

/// The keys of `parse --json` are a contract: read files and refused ones alike.
#[test]
fn the_printed_shape_is_the_promised_one() {
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    for name in FIXTURES {
        let json: Value = serde_json::from_str(&printed(name)).expect("JSON");
        // A report of Bacs says something of itself too.
        let mut found = keys(&json);
        let format = json["format"].as_str().expect("a name");
        found.retain(|key| key != "report" || !format.starts_with("bacs_"));
        assert_eq!(
            found,
            ["format", "items", "problems", "statements", "version"],
            "{name}"
        );
        for statement in json["statements"].as_array().expect("an array") {
            assert_eq!(
                keys(statement),
                [
                    "account", "closing", "currency", "entries", "id", "opening", "problems",
                    "ties"
                ],
                "{name}"
            );
            for entry in statement["entries"].as_array().expect("an array") {
                assert!(entry["details"].is_array(), "{name}");
                assert!(entry["amount"].is_string(), "{name}");
            }
        }
    }
}

#[test]
fn a_sort_code_account_of_version_2_is_understood() {
    let statement = statement("uk-v02-sort-code.xml");
    assert_eq!(statement.account.key(), "GB:200000-55779911");
    assert_eq!(statement.account_printed, "20000055779911");
    assert_eq!(statement.ties, Some(true));
    assert_eq!(statement.problems, []);
    assert_eq!(statement.sequence, Some(41));
    assert_eq!(statement.owner.as_deref(), Some("Ashdown & Pike LLP"));

    let schemes: Vec<Scheme> = statement.lines.iter().map(|line| line.scheme).collect();
    assert_eq!(
        schemes,
        [
            Scheme::BacsCredit,
            Scheme::Fps,
            Scheme::DdReturn,
            Scheme::Charge,
            Scheme::Unknown
        ]
    );

    let [bacs, fps, returned, charge, paid] = statement.lines.as_slice() else {
        panic!("five lines");
    };
    let bacs = &receipts_of(bacs)[0];
    assert_eq!(bacs.payer_name.as_deref(), Some("MERIDIAN INSURANCE"));
    assert_eq!(
        bacs.payer_account.as_ref().map(BankAccount::key).as_deref(),
        Some("GB:309634-55779900")
    );
    assert_eq!(bacs.reference.as_deref(), Some("INV-2026-00417"));
    assert_eq!(bacs.end_to_end_id, None, "NOTPROVIDED says nothing");

    assert_eq!(
        fps.booked_on,
        NaiveDate::from_ymd_opt(2026, 3, 2).expect("a day")
    );
    let fps = &receipts_of(fps)[0];
    assert_eq!(fps.payer_name.as_deref(), Some("J O'Connor"));
    assert_eq!(
        fps.payer_account.as_ref().map(BankAccount::key).as_deref(),
        Some("GB:404784-70872490")
    );
    assert_eq!(fps.reference, None, "two lines of text are no reference");
    assert_eq!(fps.remittance.unstructured, ["FLAT 2B", "MARCH £300"]);

    // E30: the reversal stays the debit that the bank says it is.
    assert!(returned.reversal);
    assert_eq!(returned.signed().to_string(), "GBP -200.00");
    let returned = &receipts_of(returned)[0];
    assert_eq!(returned.direction, Direction::Debit);
    assert_eq!(returned.payer_name.as_deref(), Some("P SINGH"));
    assert_eq!(returned.mandate_reference.as_deref(), Some("MND-00012"));
    assert_eq!(returned.return_reason.as_deref(), Some("AM04"));

    assert_eq!(charge.value_on, charge.booked_on);
    assert_eq!(
        receipts_of(charge)[0].remittance.unstructured,
        ["DD RETURN FEE"]
    );
    let paid = &receipts_of(paid)[0];
    assert_eq!(paid.payer_name.as_deref(), Some("Court Fees Office"));
    assert_eq!(paid.bank_reference, None, "NONREF says nothing");
}

#[test]
fn parties_of_version_8_are_found_behind_pty_and_agt() {
    let parsed = read_fixture("uk-v08-parties.xml");
    assert_eq!(parsed.version.as_deref(), Some("camt.053.001.08"));
    let statement = &parsed.statements[0];
    assert_eq!(statement.account.key(), "GB:601613-31926819");
    assert_eq!(
        statement.opening.map(|m| m.to_string()).as_deref(),
        Some("GBP -100.00")
    );
    assert_eq!(
        statement.ties,
        Some(true),
        "the pending line is not counted"
    );
    assert_eq!(codes(&statement.problems), ["remittance_unreadable"]);

    let [chaps, by_bank, pending] = statement.lines.as_slice() else {
        panic!("three lines");
    };
    assert_eq!(chaps.scheme, Scheme::Chaps);
    let receipts = receipts_of(chaps);
    assert_eq!(receipts.len(), 1);
    let receipt = &receipts[0];
    assert_eq!(receipt.dedup_key, chaps.dedup_key);
    assert_eq!(receipt.payer_name.as_deref(), Some("Thornbury Estates plc"));
    assert_eq!(
        receipt
            .payer_account
            .as_ref()
            .map(BankAccount::key)
            .as_deref(),
        Some("GB:123456-98765432")
    );
    assert_eq!(receipt.reference.as_deref(), Some("RF74INV2026001234"));
    let lines: Vec<(&str, Option<&str>, Option<&str>)> = receipt
        .remittance
        .structured
        .iter()
        .map(|line| {
            (
                line.document_number.as_str(),
                line.amount.as_deref(),
                line.kind.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("INV-100", Some("4940.00"), Some("invoice")),
            ("CN-7", None, Some("credit_note"))
        ]
    );
    assert_eq!(receipt.remittance.unstructured, ["net of CN-7", "CHAPS IN"]);

    assert_eq!(by_bank.bank_reference.as_deref(), Some("NW-7782"));
    assert_eq!(
        receipts_of(by_bank)[0].payer_name.as_deref(),
        Some("West Bank")
    );
    assert_eq!(pending.status, LineStatus::Pending);
    assert!(!pending.booked_on_stated);
}

/// E28: a batch with its payments is either the one or the other.
#[test]
fn a_batch_is_split_only_when_its_payments_sum_to_it() {
    let statement = statement("batch-details.xml");
    assert_eq!(statement.ties, Some(true));
    assert_eq!(codes(&statement.problems), ["details_do_not_sum"]);
    let [sums, does_not, untold] = statement.lines.as_slice() else {
        panic!("three lines");
    };

    let parts = receipts_of(sums);
    let told: Vec<(&str, String, Direction)> = parts
        .iter()
        .map(|part| {
            (
                part.payer_name.as_deref().unwrap_or(""),
                part.amount.to_string(),
                part.direction,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("ALDER LTD", "GBP 100.00".to_owned(), Direction::Credit),
            ("BIRCH LTD", "GBP 200.00".to_owned(), Direction::Credit),
            ("CEDAR LTD", "GBP 300.00".to_owned(), Direction::Credit),
            // The bank's correction names a debtor, but money went out.
            ("", "GBP 10.00".to_owned(), Direction::Debit),
        ]
    );
    assert_eq!(parts[2].dedup_key, format!("{}/3", sums.dedup_key));

    let whole = receipts_of(does_not);
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].amount.to_string(), "GBP 500.00");
    assert_eq!(whole[0].payer_name, None, "neither of the two paid it all");
    assert_eq!(whole[0].remittance.unstructured, ["BACS BATCH 2"]);

    assert_eq!(receipts_of(untold).len(), 1);
    assert_eq!(untold.batches[0].count, Some(25));
}

#[test]
fn doubts_are_told_and_nothing_is_dropped() {
    let parsed = read_fixture("two-statements-doubtful.xml");
    let [first, second] = parsed.statements.as_slice() else {
        panic!("two statements");
    };
    assert_eq!(first.ties, Some(false));
    assert_eq!(
        codes(&first.problems),
        ["unknown_status", "balance_does_not_tie"]
    );
    assert_eq!(first.lines.len(), 2);
    assert_eq!(first.lines[1].status, LineStatus::Info);

    assert_eq!(second.ties, None);
    assert_eq!(
        second.account,
        BankAccount::Other("GB29NWBKXXXXXXXXXX6819".to_owned())
    );
    assert_eq!(
        codes(&second.problems),
        [
            "iban_invalid",
            "summary_count_differs",
            "summary_sum_differs"
        ]
    );
    // E26: dinars have three decimals.
    assert_eq!(second.lines[0].amount.to_string(), "KWD 1.005");
    assert_eq!(second.lines[0].status, LineStatus::Booked);
}

#[test]
fn declared_encodings_are_honoured() {
    let statement = statement("latin1.xml");
    let line = &statement.lines[0];
    assert_eq!(line.narrative.as_deref(), Some("Café Zoë £12.50"));

    let text = String::from_utf8(fixture("twins.xml")).expect("UTF-8");
    let plain = parse(text.as_bytes(), None).expect("readable");
    let with_mark = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    assert_eq!(parse(&with_mark, None).expect("UTF-8 with mark"), plain);
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let with_mark: Vec<u8> = "\u{feff}"
            .encode_utf16()
            .chain(text.encode_utf16())
            .flat_map(order)
            .collect();
        assert_eq!(parse(&with_mark, None).expect("UTF-16"), plain);
        assert_eq!(parse(&with_mark[2..], None).expect("no mark"), plain);
    }
}

#[test]
fn formats_are_told_from_content() {
    for (name, format) in [
        ("uk-v02-sort-code.xml", Format::Camt053),
        ("uk-v08-parties.xml", Format::Camt053),
        ("payment.pain.xml", Format::Pain),
        ("statement.mt940", Format::Mt940),
        ("accounts.csv", Format::CsvAccounts),
        ("documents-uk.csv", Format::CsvDocuments),
    ] {
        assert_eq!(detect(&fixture(name)).format, format, "{name}");
    }
    for (bytes, part) in [
        (&b""[..], "empty"),
        (b"PK\x03\x04\x14\0", "zip"),
        (b"%PDF-1.7 \xff", "PDF"),
        (b"<html><body/></html>", "<html>"),
        (
            b"<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.029.001.09\"/>",
            "camt.029.001.09",
        ),
        (b"date,amount\n2026-01-01,5\n", "document_ref"),
    ] {
        let found = detect(bytes);
        assert_eq!(found.format, Format::Unknown);
        assert!(found.reason.contains(part), "{}", found.reason);
    }
    assert_eq!("camt.053".parse(), Ok(Format::Camt053));
    assert_eq!("CSV-documents".parse(), Ok(Format::CsvDocuments));
    assert!("camt.099".parse::<Format>().is_err());
}

/// camt.052 and camt.054 are the same grammar in other containers.
#[test]
fn reports_and_notifications_are_read_too() {
    let text = String::from_utf8(fixture("twins.xml")).expect("UTF-8");
    let report = text
        .replace("camt.053", "camt.052")
        .replace("BkToCstmrStmt", "BkToCstmrAcctRpt")
        .replace("Stmt>", "Rpt>")
        .replace("<Sts><Cd>BOOK</Cd></Sts>", "");
    let parsed = parse(report.as_bytes(), None).expect("a report");
    assert_eq!(parsed.format, Format::Camt052);
    let lines = &parsed.statements[0].lines;
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.status == LineStatus::Pending));

    let notification = text
        .replace("camt.053", "camt.054")
        .replace("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn")
        .replace("Stmt>", "Ntfctn>");
    let parsed = parse(notification.as_bytes(), None).expect("a notification");
    assert_eq!(parsed.format, Format::Camt054);
    assert_eq!(parsed.statements[0].lines.len(), 3);
}

#[test]
fn an_amount_for_several_documents_is_given_to_none_of_them() {
    let statement = changed_statement(
        "uk-v08-parties.xml",
        &[(
            "<c:RfrdDocInf>",
            "<c:RfrdDocInf><c:Nb>INV-99</c:Nb></c:RfrdDocInf><c:RfrdDocInf>",
        )],
    );
    let lines = &receipts_of(&statement.lines[0])[0].remittance.structured;
    let told: Vec<(&str, Option<&str>)> = lines
        .iter()
        .map(|line| (line.document_number.as_str(), line.amount.as_deref()))
        .collect();
    assert_eq!(told, [("INV-99", None), ("INV-100", None), ("CN-7", None)]);
}

#[test]
fn the_text_of_an_entry_stands_in_only_for_missing_text() {
    let statement = changed_statement(
        "uk-v02-sort-code.xml",
        &[(
            "</TxDtls></NtryDtls>",
            "</TxDtls></NtryDtls><AddtlNtryInf>BANK GIRO CREDIT</AddtlNtryInf>",
        )],
    );
    let line = &statement.lines[0];
    assert_eq!(line.narrative.as_deref(), Some("BANK GIRO CREDIT"));
    assert_eq!(
        receipts_of(line)[0].remittance.unstructured,
        ["INV-2026-00417"]
    );
}
