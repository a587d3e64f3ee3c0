//! What casts doubt on a statement is told, one doubt at a time, and the
//! statement is read all the same.

use ingestion::domain::{line::Statement, parse::parse};

use super::{changed_statement, codes, fixture};

/// `uk-v02-sort-code.xml` with texts replaced, once each.
fn changed(changes: &[(&str, &str)]) -> Statement {
    changed_statement("uk-v02-sort-code.xml", changes)
}

const OPENING: &str = r#"<Amt Ccy="GBP">1250.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>"#;
const UNSIGNED: &str = r#"<Amt Ccy="GBP">1250.00</Amt>"#;

#[test]
fn a_balance_without_a_sign_is_a_credit_and_doubtful_only_if_it_does_not_tie() {
    let statement = changed(&[(OPENING, UNSIGNED)]);
    assert_eq!(statement.ties, Some(true));
    assert_eq!(statement.problems, []);

    let statement = changed(&[(OPENING, UNSIGNED), ("2309.55</Amt>", "2309.50</Amt>")]);
    assert_eq!(statement.ties, Some(false));
    assert_eq!(
        codes(&statement.problems),
        ["balance_does_not_tie", "balance_sign_assumed"]
    );
}

#[test]
fn without_a_balance_nothing_is_proven() {
    let statement = changed(&[("<Cd>OPBD</Cd>", "<Cd>OPAV</Cd>")]);
    assert_eq!((statement.opening, statement.ties), (None, None));
    assert_eq!(statement.lines.len(), 5);
    assert_eq!(statement.balances.len(), 3);
}

#[test]
fn one_page_of_several_says_so_when_it_does_not_tie() {
    let not_last = ("<LastPgInd>true", "<LastPgInd>false");
    assert_eq!(changed(&[not_last]).problems, []);
    let statement = changed(&[not_last, ("2309.55</Amt>", "9999.99</Amt>")]);
    assert_eq!(
        codes(&statement.problems),
        ["balance_does_not_tie", "one_page_of_several"]
    );
}

#[test]
fn totals_are_compared_one_by_one() {
    for (from, to, code) in [
        ("<NbOfNtries>5<", "<NbOfNtries>6<", "summary_count_differs"),
        ("<Sum>1300.00<", "<Sum>1300.01<", "summary_sum_differs"),
        ("<Sum>1300.00<", "<Sum>lots<", "summary_sum_differs"),
        (
            "<TtlNetNtryAmt>1059.55<",
            "<TtlNetNtryAmt>1059.54<",
            "summary_net_differs",
        ),
        (
            "</TtlNetNtryAmt><CdtDbtInd>CRDT",
            "</TtlNetNtryAmt><CdtDbtInd>DBIT",
            "summary_net_differs",
        ),
    ] {
        let statement = changed(&[(from, to)]);
        assert_eq!(codes(&statement.problems), [code], "{to}");
        assert_eq!(statement.problems[0].line, Some(33));
        assert_eq!(statement.ties, Some(true));
    }
}

#[test]
fn an_entry_in_another_currency_is_kept_and_breaks_the_proof() {
    let statement = changed(&[(
        r#"<Amt Ccy="GBP">40.00</Amt><CdtDbtInd>DBIT"#,
        r#"<Amt Ccy="EUR">40.00</Amt><CdtDbtInd>DBIT"#,
    )]);
    assert_eq!(statement.lines.len(), 5);
    assert_eq!(statement.ties, Some(false));
    assert_eq!(
        codes(&statement.problems),
        ["balance_does_not_tie", "entry_currency_differs"]
    );
}

#[test]
fn entries_without_a_day_get_that_of_the_statement() {
    let charge = (
        "<BookgDt><Dt>2026-03-02</Dt></BookgDt>\n        <BkTxCd>",
        "<BkTxCd>",
    );
    let statement = changed(&[charge]);
    assert_eq!(codes(&statement.problems), ["booking_date_assumed"]);
    let line = &statement.lines[3];
    assert!(!line.booked_on_stated);
    assert_eq!(Some(line.booked_on), statement.closes_on);
}

/// E16: fourteen digits are a sort code and an account number only in the UK.
#[test]
fn e16_fourteen_digits_elsewhere_are_no_sort_code() {
    let foreign = ("<BIC>HARBGB2LXXX</BIC>", "<BIC>HARBFI2HXXX</BIC>");
    let nameless = ("<BIC>HARBGB2LXXX</BIC>", "");
    let euros = ("<Ccy>GBP</Ccy>", "<Ccy>EUR</Ccy>");
    let key = |changes: &[(&str, &str)]| changed(changes).account.key();
    assert_eq!(key(&[foreign]), "X:20000055779911");
    assert_eq!(key(&[nameless]), "GB:200000-55779911");
    assert_eq!(key(&[nameless, euros]), "X:20000055779911");
    assert_eq!(key(&[euros]), "GB:200000-55779911");
}

#[test]
fn a_file_without_a_namespace_or_from_the_future_is_read_with_a_doubt() {
    let text = String::from_utf8(fixture("uk-v02-sort-code.xml")).expect("UTF-8");
    let namespace = " xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"";
    let parsed = parse(text.replace(namespace, "").as_bytes(), None).expect("readable");
    assert_eq!(parsed.version, None);
    assert_eq!(codes(&parsed.problems), ["no_version"]);
    let newer = text.replace("camt.053.001.02", "camt.053.001.99");
    let parsed = parse(newer.as_bytes(), None).expect("readable");
    assert_eq!(parsed.version.as_deref(), Some("camt.053.001.99"));
    assert_eq!(codes(&parsed.problems), ["unknown_version"]);
}
