//! Joint debtors before a claim: no step against who had no letter, or may still
//! reply to it; the others may go on (E97).

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    dunning::{ContactId, HoldKind},
    inbound::AccountKind,
};
use kernel::DocumentId;
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    owing::{BeforeClaim, Claimed, Owing},
    stops::{Stop, StopKind},
};

fn day(n: i64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + TimeDelta::days(n)
}

fn owing(kind: AccountKind, letters: &[(DocumentId, i64, bool)]) -> Owing {
    let mut owing = Owing {
        debtor_ref: "A".to_owned(),
        kind: Some(kind),
        letters: BTreeMap::new(),
    };
    for (document, on, posted) in letters {
        let letter = Claimed {
            contact: ContactId::generate(),
            on: day(*on),
            posted: *posted,
        };
        owing.had(*document, letter);
    }
    owing
}

fn stands(owing: &Owing, about: &[DocumentId], frozen: &[&Stop], today: i64) -> BeforeClaim {
    owing.before_claim(about, frozen, day(today))
}

#[test]
fn e97_an_individual_has_thirty_days_from_their_own_letter() {
    let documents = [DocumentId::generate(), DocumentId::generate()];
    let [one, other] = documents;
    let none = owing(AccountKind::Individual, &[]);
    assert!(stands(&none, &documents, &[], 100).lacks.is_some());
    let half = owing(AccountKind::Individual, &[(one, 0, true)]);
    assert!(stands(&half, &documents, &[], 100).lacks.is_some());
    assert_eq!(stands(&half, &[one], &[], 31).lacks, None);
    let both = [(one, 0, true), (other, 10, true)];
    let both = owing(AccountKind::Individual, &both);
    let last = stands(&both, &documents, &[], 40);
    assert_eq!(last.reply_until, Some(day(40)));
    assert!(last.lacks.is_some());
    assert_eq!(stands(&both, &documents, &[], 41).lacks, None);
    let company = owing(AccountKind::Company, &[(one, 0, true)]);
    assert!(stands(&company, &[one], &[], 14).lacks.is_some());
    assert_eq!(stands(&company, &[one], &[], 15).lacks, None);
}

#[test]
fn e66_what_was_only_printed_starts_no_clock() {
    let one = DocumentId::generate();
    let printed = owing(AccountKind::Individual, &[(one, 0, false)]);
    assert!(stands(&printed, &[one], &[], 100).lacks.is_some());
    // Of two letters the one that was posted counts.
    let both = owing(AccountKind::Individual, &[(one, 0, false), (one, 20, true)]);
    assert_eq!(stands(&both, &[one], &[], 51).lacks, None);
    assert!(stands(&both, &[one], &[], 50).lacks.is_some());
}

proptest! {
    /// Never under a hold, and never before so many free days have passed.
    #[test]
    fn e97_their_clock_stands_still_while_they_are_held(
        from in -10_i64..60, days in 0_i64..50, today in 0_i64..140,
    ) {
        let one = DocumentId::generate();
        let owing = owing(AccountKind::Individual, &[(one, 0, true)]);
        let hold = Stop {
            subject: Uuid::nil(),
            kind: StopKind::Hold(HoldKind::Insolvency),
            debtor: Some("A".to_owned()),
            parts: Vec::new(),
            starts_on: day(from),
            ends_on: Some(day(from + days)),
            ended_on: None,
        };
        let free = (1..today).filter(|n| !hold.is_active(day(*n))).count();
        let may = free >= 30 && !hold.is_active(day(today));
        let stands = stands(&owing, &[one], &[&hold], today);
        prop_assert_eq!(stands.lacks.is_none(), may, "{:?}", stands);
    }
}
