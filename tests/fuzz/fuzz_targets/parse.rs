//! Any bytes: the parser ends, and what it read makes sense.
#![no_main]

use contracts::inbound::Direction;
use ingestion::domain::{
    line::receipts_of,
    parse::{parse, to_json},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let outcome = parse(bytes, None);
    let _ = to_json(&outcome);
    if let Ok(parsed) = &outcome
        && let Some(report) = &parsed.report
        && !report.accounts.is_empty()
    {
        let items: usize = report.accounts.iter().map(|account| account.items).sum();
        assert_eq!(items, parsed.items.len());
    }
    for line in outcome
        .iter()
        .flat_map(|parsed| &parsed.statements)
        .flat_map(|statement| &statement.lines)
    {
        assert!(!line.amount.is_negative());
        let sum: rust_decimal::Decimal = receipts_of(line)
            .iter()
            .map(|receipt| match receipt.direction {
                Direction::Credit => receipt.amount.amount(),
                Direction::Debit => -receipt.amount.amount(),
            })
            .sum();
        assert_eq!(sum, line.signed().amount());
    }
});
