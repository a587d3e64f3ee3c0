//! Any text: the reader of Standard 18 ends, and what it took for a service
//! user's file without a fault is written again as it was.
#![no_main]

use ingestion::domain::std18::{Writer, check, read, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(file) = read(text) else { return };
    if file.writer == Writer::ServiceUser && check(&file).is_empty() {
        let again = read(&render(&file)).expect("what was written is read");
        assert_eq!(again.records, file.records);
        assert_eq!(again.totals, file.totals);
    }
});
