//! Any input: never a panic, and what is read is read the same again.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDate;
use contracts::inbound::Direction;
use ingestion::domain::{
    dedup::{self, Traits, line_key},
    detect::detect,
    line::{BankLine, BankTransactionCode, LineStatus, receipts_of},
    parse::{parse, to_json},
    scheme::Scheme,
};
use kernel::{BankAccount, Currency, Money};
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::fixture;

fn ours() -> BankAccount {
    BankAccount::Other("ours".to_owned())
}

fn line(
    day: u32,
    pence: i64,
    direction: Direction,
    reference: Option<&str>,
    text: &str,
) -> BankLine {
    let booked_on = NaiveDate::from_ymd_opt(2026, 3, day).expect("a day of March");
    BankLine {
        seq: 1,
        source_line: 1,
        entry_reference: None,
        bank_reference: reference.map(str::to_owned),
        booked_on,
        booked_on_stated: true,
        value_on: booked_on,
        amount: Money::try_new(Decimal::new(pence, 2), Currency::GBP).expect("pence"),
        direction,
        status: LineStatus::Booked,
        reversal: false,
        scheme: Scheme::Unknown,
        bank_transaction_code: BankTransactionCode::default(),
        batches: Vec::new(),
        narrative: Some(text.to_owned()),
        details: Vec::new(),
        dedup_key: String::new(),
    }
}

/// Few values each, so that twins are common.
fn any_line() -> impl Strategy<Value = BankLine> {
    (
        1..3_u32,
        1..3_i64,
        prop_oneof![Just(Direction::Credit), Just(Direction::Debit)],
        prop_oneof![
            Just(None),
            Just(Some("R1")),
            Just(Some("R2")),
            Just(Some("NONREF"))
        ],
        prop_oneof![Just("RENT"), Just("re nt"), Just("INV 1")],
    )
        .prop_map(|(day, pence, direction, reference, text)| {
            line(day, pence, direction, reference, text)
        })
}

fn keys(lines: &[BankLine]) -> Vec<String> {
    let mut lines = lines.to_vec();
    dedup::assign(&ours(), &mut lines);
    lines.into_iter().map(|line| line.dedup_key).collect()
}

fn sorted(mut keys: Vec<String>) -> Vec<String> {
    keys.sort();
    keys
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = detect(&bytes);
        let outcome = parse(&bytes, None);
        let _ = to_json(&outcome);
    }

    #[test]
    fn arbitrary_xml_never_panics(text in "(<[/?!]?[A-Za-z:]{0,5}( [a-z]=\"[^\"]{0,4}\")?/?>|&[a-z#0-9]{0,4};|[ -~£]{0,6}){0,40}") {
        let whole = format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt>{text}"
        );
        prop_assert!(parse(whole.as_bytes(), None).is_err());
    }

    #[test]
    fn arbitrary_csv_never_panics(body in "([a-z0-9,;\t\"\n£./-]|,){0,400}") {
        for header in ["account_ref,name,kind,currency\n", "document_ref;kind;account_ref;issued_on;due_on;gross;currency\n"] {
            let _ = to_json(&parse(format!("{header}{body}").as_bytes(), None));
        }
    }

    /// Bytes of a good file changed, cut out or doubled: it is read or refused,
    /// and a file that is still read has lines that make sense.
    #[test]
    fn mutated_files_never_panic(
        which in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let name = ["uk-v02-sort-code.xml", "uk-v08-parties.xml", "batch-details.xml", "documents.csv"][which];
        let mut bytes = fixture(name);
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, byte),
            }
        }
        let outcome = parse(&bytes, None);
        let _ = to_json(&outcome);
        if let Ok(parsed) = outcome {
            for line in parsed.statements.iter().flat_map(|statement| &statement.lines) {
                prop_assert!(!line.amount.is_negative());
                let receipts = receipts_of(line);
                let sum = receipts.iter().fold(Decimal::ZERO, |sum, receipt| {
                    match receipt.direction {
                        Direction::Credit => sum + receipt.amount.amount(),
                        Direction::Debit => sum - receipt.amount.amount(),
                    }
                });
                prop_assert_eq!(sum, line.signed().amount());
            }
        }
    }

    /// E29: keys are unique within a statement, and the set of keys does not
    /// depend on the order of its lines.
    #[test]
    fn e29_keys_are_unique_and_know_no_order(
        (lines, shuffled) in prop::collection::vec(any_line(), 0..20)
            .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle()))
    ) {
        let all = keys(&lines);
        prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), lines.len());
        prop_assert_eq!(sorted(all), sorted(keys(&shuffled)));
    }

    /// E29: imported again any number of times, also with lines added, every
    /// line counts once.
    #[test]
    fn e29_imports_in_any_number_and_order_record_each_line_once(
        lines in prop::collection::vec(any_line(), 1..15),
        more in any_line(),
        place in any::<prop::sample::Index>(),
        resent in 0..4_usize,
    ) {
        let mut longer = lines.clone();
        longer.insert(place.index(lines.len() + 1), more);
        let mut recorded: BTreeSet<String> = BTreeSet::new();
        for _ in 0..=resent {
            recorded.extend(keys(&lines));
        }
        prop_assert_eq!(recorded.len(), lines.len());
        recorded.extend(keys(&longer));
        prop_assert_eq!(recorded.len(), lines.len() + 1);
        recorded.extend(keys(&lines));
        prop_assert_eq!(recorded.len(), lines.len() + 1);
    }

    /// The occurrence counter tells twins apart and nothing else does it by
    /// accident: two lines share their first key only if they agree.
    #[test]
    fn keys_differ_exactly_where_lines_do(a in any_line(), b in any_line()) {
        let told = |line: &BankLine| {
            let reference = line.bank_reference.clone().filter(|r| r != "NONREF");
            let text = if reference.is_some() {
                String::new()
            } else {
                line.narrative.clone().unwrap_or_default().to_uppercase().replace(' ', "")
            };
            (line.booked_on, line.signed().amount(), reference, text)
        };
        let key = |line: &BankLine| {
            line_key(
                Traits {
                    account: &ours(),
                    booked_on: line.booked_on,
                    value_on: line.value_on,
                    amount: line.amount,
                    direction: line.direction,
                    bank_reference: line.bank_reference.as_deref(),
                    text: line.narrative.as_deref().unwrap_or_default(),
                },
                1,
            )
        };
        prop_assert_eq!(told(&a) == told(&b), key(&a) == key(&b));
    }
}

/// A feed's line and the same line on a statement have one key.
#[test]
fn a_feed_and_a_statement_agree_on_a_line() {
    let mut lines = [line(
        9,
        5000,
        Direction::Credit,
        Some("HB-1"),
        "as the statement tells it",
    )];
    dedup::assign(&ours(), &mut lines);
    let from_feed = line_key(
        Traits {
            account: &ours(),
            booked_on: lines[0].booked_on,
            value_on: lines[0].value_on,
            amount: lines[0].amount,
            direction: lines[0].direction,
            bank_reference: Some("hb 1"),
            text: "as the feed tells it",
        },
        1,
    );
    assert_eq!(lines[0].dedup_key, from_feed);
    let counted: HashMap<&str, usize> = HashMap::from([(lines[0].dedup_key.as_str(), 1)]);
    assert_eq!(counted.len(), 1);
}
