//! Reports of Bacs: one item and many, none, twins, totals, days, and what is
//! new of a report that comes again.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate};
use ingestion::domain::{
    bacs::{Claim, Returned},
    bacs_news::{KnownReports, News, decide, missing_days},
    detect::{Format, detect},
    file::check,
    parse::{Item, Parsed, parse, to_json},
    problem::Problem,
    record::Origin,
};
use kernel::ImportId;
use proptest::prelude::*;
use uuid::Uuid;

use super::{codes, fixture, read_fixture, samples::samples};

fn returned(parsed: &Parsed) -> Vec<&Returned> {
    let items = parsed.items.iter();
    items
        .map(|item| match item {
            Item::BacsReturn(item) => item.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn claims(parsed: &Parsed) -> Vec<&Claim> {
    let items = parsed.items.iter();
    items
        .map(|item| match item {
            Item::BacsClaim(item) => item.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

#[test]
fn every_report_is_told_by_its_content() {
    for (name, format) in [
        ("bacs-arudd.xml", Format::BacsArudd),
        ("bacs-arudd-empty.xml", Format::BacsArudd),
        ("bacs-arucs.xml", Format::BacsArucs),
        ("bacs-ddica.xml", Format::BacsDdica),
        ("bacs-addacs.xml", Format::BacsAddacs),
        ("bacs-auddis.xml", Format::BacsAuddis),
        ("bacs-awacs.xml", Format::BacsAwacs),
        ("bacs-input.xml", Format::BacsInput),
        ("bacs-withdrawal.xml", Format::BacsWithdrawal),
        ("bacs-unknown.xml", Format::Unknown),
    ] {
        assert_eq!(detect(&fixture(name)).format, format, "{name}");
    }
}

/// E40: one item, many, twins and none; values without their padding, in the
/// encoding that the file says.
#[test]
fn e40_one_item_and_many_are_read_the_same_and_none_is_said() {
    let many = read_fixture("bacs-arudd.xml");
    let items = returned(&many);
    assert_eq!(items.len(), 4);
    assert_eq!(items[0].reference, "ACME-DD-1");
    assert_eq!(items[0].code, "0");
    assert_eq!(items[0].amount.amount().to_string(), "600.00");
    assert_eq!(items[0].original_on, Some(day("2026-11-20")));
    assert_eq!(items[0].our_account, "GB:200000-55779911");
    assert_eq!(
        items[0].payer_account.as_deref(),
        Some("GB:601613-31926819")
    );
    assert_eq!(items[0].payer_name.as_deref(), Some("ACME WIDGETS & SONS"));
    assert_eq!(items[1].payer_name.as_deref(), Some("MME RENÉE CAFÉ"));
    assert_eq!((items[2].ordinal, items[3].ordinal), (1, 2), "twins");
    assert_eq!(codes(&many.problems), [""; 0]);
    let report = many.report.expect("a report");
    assert_eq!(report.accounts.len(), 2);
    assert_eq!(report.reported_on, Some(day("2026-11-24")));

    assert_eq!(returned(&read_fixture("bacs-arudd-one.xml")).len(), 1);
    let empty = read_fixture("bacs-arudd-empty.xml");
    assert!(empty.items.is_empty());
    assert_eq!(codes(&empty.problems), ["empty_report"]);
}

#[test]
fn a_report_that_does_not_tie_is_refused_whole_and_names_the_record() {
    let error = parse(&fixture("bacs-arudd-untied.xml"), None).expect_err("refused");
    let reason = &error.reasons[0];
    assert_eq!(reason.code, "totals_do_not_tie");
    let path = reason.path.as_deref().unwrap_or_default();
    assert!(path.contains("OriginatingAccountRecord[1]"), "{path}");
    assert!(reason.detail.contains("£645.05"), "{}", reason.detail);

    let spoilt = |from: &str, to: &str| {
        let text = String::from_utf8(fixture("bacs-ddica.xml")).expect("UTF-8");
        assert!(text.contains(from));
        parse(text.replacen(from, to, 1).as_bytes(), None)
            .expect_err("refused")
            .first_code()
    };
    assert_eq!(spoilt("1,260.00", "1,260.01"), "totals_do_not_tie");
    assert_eq!(
        spoilt("<Amount>600.00", "<Amount>500.00"),
        "totals_do_not_tie"
    );
    assert_eq!(spoilt("1,200.00", "1,2000.0"), "bad_amount");
}

#[test]
fn what_is_odd_but_not_wrong_is_doubted() {
    let parsed = read_fixture("bacs-arudd-doubtful.xml");
    assert_eq!(
        codes(&parsed.problems),
        ["return_code_day", "account_unreadable"]
    );
    assert_eq!(returned(&parsed)[0].payer_account, None);
}

#[test]
fn a_claim_is_one_record_for_each_collection() {
    let parsed = read_fixture("bacs-ddica.xml");
    let found: Vec<_> = claims(&parsed)
        .iter()
        .map(|claim| {
            let amount = claim.amount.amount().to_string();
            (
                claim.reference.clone(),
                amount,
                claim.debited_on,
                claim.withdrawn,
            )
        })
        .collect();
    let of = |reference: &str, amount: &str, on: Option<&str>, withdrawn| {
        (
            reference.to_owned(),
            amount.to_owned(),
            on.map(day),
            withdrawn,
        )
    };
    assert_eq!(
        found,
        [
            of("ACME-DD-1", "600.00", Some("2026-09-01"), false),
            of("ACME-DD-1", "600.00", Some("2026-10-01"), false),
            of("CAFE-DD-22", "60.00", None, false),
            of("TWIN-DD-3", "33.00", Some("2026-09-01"), true),
        ]
    );
    assert_eq!(claims(&parsed)[0].expected_on, Some(day("2026-12-14")));
}

#[test]
fn instructions_come_with_what_their_codes_mean() {
    let parsed = read_fixture("bacs-addacs.xml");
    let Some(Item::BacsAdvice(moved)) = parsed.items.get(1) else {
        panic!("{:?}", parsed.items)
    };
    assert_eq!(
        moved.new_payer_account.as_deref(),
        Some("GB:200000-55779933")
    );
    assert_eq!(moved.meaning, Some("Account transferred to another bank"));
    let parsed = read_fixture("bacs-auddis.xml");
    let Some(Item::BacsAdvice(rejected)) = parsed.items.last() else {
        panic!("{:?}", parsed.items)
    };
    assert_eq!(rejected.errors, ["INVALID PROCESSING DATE FILE REJECTED"]);
}

/// Reads a file as an import does, after others.
fn import(known: &mut KnownReports, bytes: &[u8]) -> (News, Vec<Problem>) {
    let checked = check(parse(bytes, None).expect("read")).expect("checked");
    let report = checked.report.expect("a report");
    let day = report.reported_on;
    let mut problems = Vec::new();
    let news = decide(
        report,
        checked.records,
        known,
        ImportId::from(Uuid::from_u128(1)),
        &Origin {
            source: "report.xml".into(),
            actor: "user:pat".into(),
            message_id: None,
            import_id: None,
        },
        DateTime::UNIX_EPOCH,
        &mut problems,
    );
    known.day_before = known.day_before.max(day);
    (news, problems)
}

#[test]
fn e40_a_report_again_or_longer_tells_nothing_twice_and_loses_no_twin() {
    let mut known = KnownReports::default();
    let (first, _) = import(&mut known, &fixture("bacs-arudd.xml"));
    assert_eq!(first.returns.len(), 4);
    assert_eq!(first.returns[0].items, 2);
    assert_eq!(first.returns[0].total.amount().to_string(), "645.50");
    let (again, problems) = import(&mut known, &fixture("bacs-arudd.xml"));
    assert_eq!((again.returns.len(), again.items), (0, 4));
    assert_eq!(codes(&problems), [""; 0]);
    let (longer, _) = import(&mut known, &fixture("bacs-arudd-longer.xml"));
    assert_eq!(longer.returns.len(), 1, "the third twin");
    assert_eq!(longer.returns[0].items, 3);
}

/// E40: 25 and 26 November 2026 are a Wednesday and a Thursday.
#[test]
fn e40_a_missing_report_day_is_seen() {
    let mut known = KnownReports::default();
    let (_, problems) = import(&mut known, &fixture("bacs-arudd.xml"));
    assert_eq!(codes(&problems), [""; 0], "nothing was before the first");
    let (_, problems) = import(&mut known, &fixture("bacs-arudd-one.xml"));
    assert_eq!(codes(&problems), ["missing_report_day"]);
    assert!(problems[0].detail.contains("2026-11-25, 2026-11-26:"));
    // An empty report of the Monday after: no day is missing over a weekend.
    let (_, problems) = import(&mut known, &fixture("bacs-arudd-empty.xml"));
    assert_eq!(codes(&problems), [""; 0]);
}

/// E40: the report of a missing day comes late. What is missing before the next
/// one is less, and nothing in the end.
#[test]
fn e40_a_late_report_leaves_less_missing() {
    let on = |day: &str| day.parse().expect("a day");
    let missing = |before| missing_days("addacs", on("2026-11-27"), on(before));
    let two = missing("2026-11-24").expect("two days are missing");
    assert!(two.detail.contains("2026-11-25, 2026-11-26:"));
    let one = missing("2026-11-25").expect("one day is missing");
    assert!(one.detail.contains("for 2026-11-26:"));
    assert_eq!(missing("2026-11-26"), None);
    assert_eq!(
        missing_days("auddis", on("2026-11-27"), on("2026-11-24")),
        None
    );
}

#[test]
fn e40_the_sample_reports_are_read_or_told_to_be_none() {
    let Some(folder) = samples() else { return };
    let folder = folder.join("bacs_reports");
    let of = |name: &str| std::fs::read(folder.join(name)).ok();
    if let Some(bytes) = of("mortonprod__glabs/xmlFiles/sample.xml") {
        let parsed = parse(&bytes, None).expect("read");
        assert_eq!(parsed.format, Format::BacsArudd);
        assert_eq!(returned(&parsed).len(), 3);
        assert_eq!(codes(&parsed.problems), [""; 0]);
    }
    let other = "mattwire__org.civicrm.smartdebit/CRM/Smartdebit/Mock.CollectionReport.0.xml";
    if let Some(bytes) = of(other) {
        assert_eq!(detect(&bytes).format, Format::Unknown);
    }
}

proptest! {
    /// Any report of a few items, twins among them, is read whole, and what it
    /// comes to is what was written; cut off anywhere it is refused or, where
    /// only white space is missing, the same.
    #[test]
    fn what_is_written_is_read(
        items in prop::collection::vec((1..4_u32, 1..5_000_u32, "[0-9A-B]"), 0..8), cut in 0..4_000_usize,
    ) {
        let mut body = String::new();
        let mut total = 0;
        for (payer, pence, code) in &items {
            total += pence;
            write!(body,
                r#"<ReturnedDebitItem ref="REF-{payer}  " transCode="17" returnCode="{code}324" originalProcessingDate="2026-11-20" valueOf="{}.{:02}" currency="GBP"><PayerAccount number="3192681{payer}" sortCode="60-16-13" name="A &amp; B"/></ReturnedDebitItem>"#,
                pence / 100, pence % 100
            )
            .expect("a text can be added to");
        }
        let text = format!(
            r#"<BACSDocument><Data><ARUDD><Header adviceNumber="1" currentProcessingDate="2026-11-24"/><ServiceLicenseInformation userNumber="246810"/><Advice><OriginatingAccountRecords><OriginatingAccountRecord><OriginatingAccount number="55779911" sortCode="200000"/>{body}<Totals numberOf="{}" valueOf="{}.{:02}"/></OriginatingAccountRecord></OriginatingAccountRecords></Advice></ARUDD></Data></BACSDocument>"#,
            items.len(), total / 100, total % 100
        );
        let parsed = parse(text.as_bytes(), None).expect("read");
        prop_assert_eq!(parsed.items.len(), items.len());
        let mut known = KnownReports::default();
        let (news, _) = import(&mut known, text.as_bytes());
        prop_assert_eq!(news.returns.len(), items.len(), "no twin is lost");
        let (again, _) = import(&mut known, text.as_bytes());
        prop_assert_eq!(again.returns.len(), 0);
        let cut = cut.min(text.len() - 1);
        prop_assert!(parse(&text.as_bytes()[..cut], None).is_err());
    }

    /// Any bytes in place of any others: never a panic.
    #[test]
    fn damaged_reports_end(at in 0..3_000_usize, bytes in prop::collection::vec(any::<u8>(), 1..6)) {
        for name in ["bacs-arudd.xml", "bacs-ddica.xml", "bacs-auddis.xml", "bacs-input.xml"] {
            let mut file = fixture(name);
            let at = at.min(file.len() - 1);
            let end = (at + bytes.len()).min(file.len());
            file.splice(at..end, bytes.iter().copied());
            let _ = to_json(&parse(&file, None));
        }
    }
}
