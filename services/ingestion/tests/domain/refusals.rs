//! What makes a file unusable refuses it whole, with the line and path.

use ingestion::domain::{
    detect::{Format, MAX_FILE_BYTES},
    parse::parse,
    problem::ParseError,
};

use super::fixture;

fn refused(bytes: &[u8]) -> ParseError {
    match parse(bytes, None) {
        Err(error) => error,
        Ok(parsed) => panic!("read as {}", parsed.format),
    }
}

/// `twins.xml` with one text replaced, once.
fn spoilt(from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(fixture("twins.xml")).expect("UTF-8");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1).into_bytes()
}

fn assert_refused(bytes: &[u8], code: &str, line: u64, path_end: &str) {
    let error = refused(bytes);
    let reason = &error.reasons[0];
    assert_eq!(reason.code, code, "{error}");
    assert_eq!(reason.line, Some(line), "{error}");
    let path = reason.path.as_deref().unwrap_or_default();
    assert!(path.ends_with(path_end), "{error}");
}

#[test]
fn damaged_files_are_refused_where_they_are_damaged() {
    let first = "/Stmt[1]/Ntry[1]";
    let amount = "<Amt Ccy=\"GBP\">50.00</Amt>";
    for (from, to, code, line, path) in [
        (
            amount,
            "<Amt Ccy=\"GBP\">5O.00</Amt>",
            "bad_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GBP\">1,50</Amt>",
            "bad_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GBP\">1e3</Amt>",
            "bad_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GBP\"></Amt>",
            "bad_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GBP\"/>",
            "bad_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GBP\">-50.00</Amt>",
            "negative_amount",
            11,
            "/Ntry[1]/Amt",
        ),
        // E26
        (
            amount,
            "<Amt Ccy=\"GBP\">50.001</Amt>",
            "too_many_decimals",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"JPY\">50.5</Amt>",
            "too_many_decimals",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt Ccy=\"GPB\">50.00</Amt>",
            "unknown_currency",
            11,
            "/Ntry[1]/Amt",
        ),
        (
            amount,
            "<Amt>50.00</Amt>",
            "missing_currency",
            11,
            "/Ntry[1]/Amt",
        ),
        (amount, "", "missing_amount", 10, first),
        (
            "</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>",
            "</Amt><Sts>",
            "missing_direction",
            10,
            first,
        ),
        (
            "<CdtDbtInd>CRDT</CdtDbtInd><Sts>",
            "<CdtDbtInd>CR</CdtDbtInd><Sts>",
            "bad_direction",
            11,
            "/Ntry[1]/CdtDbtInd",
        ),
        (
            "<BookgDt><Dt>2026-03-09</Dt>",
            "<BookgDt><Dt>2026-02-30</Dt>",
            "bad_date",
            12,
            "/Ntry[1]/BookgDt",
        ),
        (
            "<BookgDt><Dt>2026-03-09</Dt>",
            "<BookgDt><Dt>09.03.2026</Dt>",
            "bad_date",
            12,
            "/Ntry[1]/BookgDt",
        ),
        (
            "<Othr><Id>20000055779911</Id></Othr>",
            "",
            "missing_account",
            5,
            "/Stmt[1]/Acct/Id",
        ),
        (
            "FPI SMITH",
            "FPI &smith;",
            "entity_refused",
            14,
            "/Ntry[1]/AddtlNtryInf",
        ),
        (
            "FPI SMITH",
            "FPI &#0;",
            "entity_refused",
            14,
            "/Ntry[1]/AddtlNtryInf",
        ),
        (
            "FPI SMITH",
            "FPI <b/>",
            "unexpected_element",
            14,
            "/Ntry[1]/AddtlNtryInf",
        ),
        (
            "<BkTxCd>",
            "<BkTxCd>FPS",
            "unexpected_text",
            13,
            "/Ntry[1]/BkTxCd",
        ),
        ("</Ntry>", "</Entry>", "malformed_xml", 15, ""),
        (
            "</Document>",
            "</Document><Document/>",
            "trailing_content",
            30,
            "/Document",
        ),
    ] {
        assert_refused(&spoilt(from, to), code, line, path);
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    assert_refused(&fixture("truncated.xml"), "truncated", 18, "");
    let whole = fixture("twins.xml");
    let last = whole.len() - "</Document>\n".len();
    for end in (60..=last).step_by(7) {
        let error = refused(&whole[..end]);
        assert!(
            ["truncated", "malformed_xml", "unknown_format"].contains(&error.first_code()),
            "cut at {end}: {error}"
        );
    }
}

#[test]
fn an_xml_bomb_is_refused_at_its_doctype() {
    let error = refused(&fixture("entity-bomb.xml"));
    assert_eq!(error.first_code(), "doctype_refused");
    let outside = b"<!DOCTYPE Document SYSTEM \"file:///etc/passwd\">\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"/>";
    assert_eq!(refused(outside).first_code(), "doctype_refused");
}

#[test]
fn limits_are_kept() {
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    assert_eq!(
        refused(&spoilt("<BkTxCd>", &format!("{deep}<BkTxCd>"))).first_code(),
        "too_deep"
    );
    let long = "x".repeat(20_000);
    assert_eq!(
        refused(&spoilt("FPI SMITH", &long)).first_code(),
        "text_too_long"
    );
    assert_eq!(
        refused(&spoilt(
            "<BkTxCd>",
            &format!("<Unknown>{long}</Unknown><BkTxCd>")
        ))
        .first_code(),
        "text_too_long"
    );
    assert_eq!(
        refused(&vec![b' '; MAX_FILE_BYTES + 1]).first_code(),
        "too_large"
    );
}

#[test]
fn broken_encodings_are_refused() {
    let error = refused(&fixture("wrong-encoding.xml"));
    assert_eq!(error.first_code(), "bad_encoding");
    assert_eq!(error.reasons[0].line, Some(14));
    assert_eq!(
        refused(&spoilt("UTF-8", "UTF-16")).first_code(),
        "bad_encoding"
    );
    assert_eq!(
        refused(&spoilt("UTF-8", "KLINGON")).first_code(),
        "unknown_encoding"
    );
    assert_eq!(
        refused(&spoilt("FPI SMITH", "FPI \u{0}")).first_code(),
        "control_character"
    );
}

#[test]
fn other_and_empty_files_are_refused_by_name() {
    assert_eq!(refused(b"").first_code(), "empty");
    assert_eq!(
        refused(b"PK\x03\x04\x14\0\0\xff").to_string(),
        "unknown file refused: the file is a zip archive or an Office file"
    );
    assert_eq!(
        refused(b"<Document>\n <!-- nothing -->\n</Document>").first_code(),
        "unknown_format"
    );
    assert_eq!(
        refused(&fixture("statement.mt940")).first_code(),
        "unsupported_format"
    );
    assert_eq!(
        refused(&fixture("payment.pain.xml")).first_code(),
        "unsupported_format"
    );
    assert_eq!(
        refused(b"<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"/>")
            .first_code(),
        "no_statement"
    );
    assert_eq!(
        refused(b"<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrAcctRpt/></Document>").first_code(),
        "wrong_message"
    );
}

#[test]
fn a_named_format_that_the_content_contradicts_is_refused() {
    let error = parse(&fixture("twins.xml"), Some(Format::Camt052)).expect_err("not a camt.052");
    assert_eq!(error.first_code(), "other_format");
    assert_eq!(error.format, Format::Camt052);
    assert!(parse(&fixture("twins.xml"), Some(Format::Camt053)).is_ok());
    assert_eq!(
        parse(&fixture("accounts.csv"), Some(Format::CsvDocuments))
            .expect_err("accounts")
            .first_code(),
        "other_format"
    );
}
