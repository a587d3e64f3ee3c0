//! Files for Bacs: what is written is read again, and ours stays as it is.

use std::{collections::BTreeMap, path::Path};

use chrono::NaiveDate;
use ingestion::domain::{
    detect::Format,
    parse::{Item, parse},
    std18::{Account, Entry, Kind, ServiceUser, check, check_days, read, render, write},
};
use proptest::prelude::*;

use super::{codes, fixture};

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

fn account(sort_code: &str, number: &str) -> Account {
    Account {
        sort_code: sort_code.into(),
        number: number.into(),
    }
}

fn user() -> ServiceUser {
    ServiceUser::of("123456", "Harbour Legal LLP", "200000-55779911").expect("a user")
}

fn entry(code: &'static str, pence: u64, reference: &str, on: &str) -> Entry {
    Entry {
        account: account("107999", "88837491"),
        code,
        pence,
        reference: reference.into(),
        name: "Acme & Söhne Ltd".into(),
        processing_on: day(on),
    }
}

fn collections() -> Vec<Entry> {
    vec![
        entry("01", 12_000, "HARBOUR001", "2026-03-05"),
        entry("17", 4_550, "HARBOUR002", "2026-03-05"),
        entry("99", 1_000, "RF00000000000001", "2026-03-05"),
    ]
}

#[test]
fn the_golden_file_is_written_byte_by_byte() {
    let text = write(&user(), "A1B2C3", day("2026-03-02"), &collections()).expect("a file");
    assert_eq!(text.as_bytes(), fixture("collections.std18"));
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    for line in &lines {
        let label = line.starts_with(|c: char| c.is_ascii_uppercase());
        assert_eq!(line.len(), if label { 80 } else { 100 }, "{line}");
    }
    assert_eq!(lines.len(), 4 + 3 + 2 + 3, "two contras");
    assert!(lines[0].starts_with("VOL1A1B2C3") && lines[0].ends_with('1'));
    assert_eq!(&lines[0][41..47], "123456");
    assert_eq!(&lines[1][4..21], "A123456S  1123456");
    assert_eq!(&lines[1][41..47], " 26061");
    assert_eq!(&lines[3][4..10], " 26064");
    assert_eq!(&lines[4][64..82], "HARBOUR001        ");
    assert_eq!(&lines[4][82..100], "ACME & S HNE LTD  ");
    assert!(lines[11].starts_with("UTL10000000017550000000001755000000030000002"));
}

#[test]
fn it_is_known_by_its_content_and_printed_record_by_record() {
    let parsed = parse(&fixture("collections.std18"), None).expect("it is read");
    assert_eq!(parsed.format, Format::Std18);
    assert_eq!(codes(&parsed.problems), Vec::<&str>::new());
    assert_eq!(parsed.items.len(), 5);
    let Item::Std18(first) = &parsed.items[0] else {
        panic!("a record of Standard 18")
    };
    assert_eq!((first.code.as_str(), first.kind), ("01", Kind::Debit));
    assert_eq!(first.destination_account, "GB:107999-88837491");
    assert_eq!(first.processing_on, Some(day("2026-03-05")));
    let contras = parsed.items.iter().filter(|item| match item {
        Item::Std18(item) => item.contra,
        _ => false,
    });
    assert_eq!(contras.count(), 2);
}

#[test]
fn what_bacs_would_refuse_is_not_written() {
    let wrong = |entry: Entry| match write(&user(), "A1B2C3", day("2026-03-02"), &[entry]) {
        Ok(_) => Vec::new(),
        Err(problems) => codes(&problems),
    };
    let sunday = entry("17", 100, "HARBOUR001", "2026-03-08");
    assert_eq!(wrong(sunday), ["std18_processing_day"]);
    let nothing = entry("17", 0, "HARBOUR001", "2026-03-05");
    assert!(wrong(nothing).contains(&"std18_amount"));
    let priced = entry("0N", 5, "HARBOUR001", "2026-03-05");
    assert_eq!(wrong(priced), ["std18_amount"]);
    let nameless = entry("17", 100, "", "2026-03-05");
    assert_eq!(wrong(nameless), ["std18_blank"]);
    assert_eq!(wrong(entry("RA", 100, "X", "2026-03-05"))[0], "std18_code");
    let instruction = entry("0N", 0, "HARBOUR001", "2026-03-05");
    assert_eq!(
        wrong(instruction),
        Vec::<&str>::new(),
        "no contra is needed"
    );
}

#[test]
fn what_does_not_add_up_is_told() {
    let good = String::from_utf8(fixture("collections.std18")).expect("ASCII");
    let told = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        let file = read(&good.replacen(from, to, 1)).expect("it is read");
        codes(&check(&file))
    };
    assert!(told("UTL10000000017550", "UTL10000000017551").contains(&"std18_totals"));
    let amount = "00000012000HARBOUR";
    assert!(told(amount, "00000012001HARBOUR").contains(&"std18_contra"));
    assert!(told("HDR1A123456", "HDR1A654321").contains(&"std18_user_number"));
    assert!(told("UHL1 26064", "UHL1 26067").contains(&"std18_processing_day"));
    let file = read(&good).expect("it is read");
    assert_eq!(
        codes(&check_days(&file, day("2026-03-04"))),
        Vec::<&str>::new()
    );
    assert_eq!(codes(&check_days(&file, day("2026-03-05"))).len(), 1);
    assert_eq!(codes(&check_days(&file, day("2026-02-01"))).len(), 1);
    assert_eq!(
        read("VOL1\nHDR1\nUTL1").map_err(|p| p.code),
        Err("std18_label")
    );
}

/// Files that banks write in the likeness of Standard 18: they have fewer labels
/// and records that end in other ways, but their totals tie.
#[test]
fn the_totals_of_the_samples_tie() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples");
    let index = folder.join("index.csv");
    if !index.is_file() {
        println!("skipped: no samples at {}", folder.display());
        return;
    }
    let mut seen = 0;
    let rows = csv::Reader::from_path(index)
        .expect("index.csv")
        .into_deserialize();
    for row in rows.map(|row: Result<BTreeMap<String, String>, _>| row.expect("a row")) {
        if row["format"] != "bacs_std18" {
            continue;
        }
        let bytes = std::fs::read(folder.join(&row["path"])).expect("a sample");
        let parsed = parse(&bytes, None).unwrap_or_else(|error| panic!("{}: {error}", row["path"]));
        assert_eq!(parsed.format, Format::Std18);
        assert_eq!(
            codes(&parsed.problems),
            Vec::<&str>::new(),
            "{}",
            row["path"]
        );
        seen += 1;
    }
    assert!(seen > 0, "the index lists some");
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (
        "[0-9]{6}",
        "[0-9]{8}",
        prop::sample::select(vec!["01", "17", "18", "19", "99", "0N", "0C"]),
        1_u64..99_999_999,
        "[A-Z0-9][A-Z0-9/.&-]{5,17}",
        "[A-Za-zäé][ -~]{0,30}",
        prop::sample::select(vec!["2026-03-05", "2026-03-06", "2026-03-09"]),
    )
        .prop_map(
            |(sort_code, number, code, pence, reference, name, on)| Entry {
                account: account(&sort_code, &number),
                code,
                pence: if code.starts_with('0') && code != "01" {
                    0
                } else {
                    pence
                },
                reference,
                name: format!("P{name}"),
                processing_on: day(on),
            },
        )
}

proptest! {
    /// Whatever is written is read again as it was, its contras balance and its
    /// totals tie; written again it is the same.
    #[test]
    fn what_is_written_is_read(entries in prop::collection::vec(any_entry(), 1..20)) {
        let text = write(&user(), "A1B2C3", day("2026-03-02"), &entries);
        let text = text.map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
        prop_assert!(text.is_ascii());
        let file = read(&text).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
        prop_assert_eq!(check(&file), Vec::new());
        prop_assert_eq!(render(&file), text);
        prop_assert_eq!(file.totals.debit, file.totals.credit);
        let data: Vec<_> = file.records.iter().filter(|r| !r.is_contra()).collect();
        prop_assert_eq!(data.len(), entries.len());
        for (record, entry) in data.iter().zip(&entries) {
            prop_assert_eq!(&record.destination, &entry.account);
            prop_assert_eq!(record.pence, Some(entry.pence));
            prop_assert_eq!(&record.reference, &entry.reference);
            prop_assert_eq!(file.day_of(record), Some(entry.processing_on));
        }
    }

    /// Any text ends, with a file or a reason.
    #[test]
    fn any_text_is_read_or_refused(text in "(VOL1|HDR1|HDR2|UHL1|UTL1|EOF1|[ -~]{0,120}|é|\n){0,12}") {
        if let Ok(file) = read(&text) {
            let _ = check(&file);
        }
    }
}
