//! Everything that stops chasing for a time: holds, promises, plans, queries.
//! One shape for all, so that nobody has to remember a fifth kind.

use chrono::{Days, NaiveDate};
use contracts::dunning::HoldKind;
use kernel::{Classified, DocumentId, ErrorClass, Money};
use serde::Deserialize;
use std::sync::LazyLock;
use uuid::Uuid;

/// What a stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    Hold(HoldKind),
    Promise,
    Plan,
    /// A query or dispute that holds an amount.
    Query,
    /// A query that is suspected: stops nothing, the first contact clears it.
    Suspected,
}

impl StopKind {
    /// As it is written: the kind, and of a hold which.
    pub const fn name(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Hold(kind) => ("hold", Some(kind.name())),
            Self::Promise => ("promise", None),
            Self::Plan => ("plan", None),
            Self::Query => ("query", None),
            Self::Suspected => ("suspected", None),
        }
    }

    pub fn named(kind: &str, hold: Option<&str>) -> Option<Self> {
        Some(match (kind, hold) {
            ("hold", Some(hold)) => Self::Hold(HoldKind::named(hold)?),
            ("promise", None) => Self::Promise,
            ("plan", None) => Self::Plan,
            ("query", None) => Self::Query,
            ("suspected", None) => Self::Suspected,
            _ => return None,
        })
    }
}

/// A part of a document that a stop is about; the whole of it without amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub document: DocumentId,
    pub amount: Option<Money>,
}

/// A reason not to chase, from a day to a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The hold, promise, plan or case.
    pub subject: Uuid,
    pub kind: StopKind,
    /// Whose it is; everybody's who owes the account when there is none (E97).
    pub debtor: Option<String>,
    /// The whole account when there is none.
    pub parts: Vec<Part>,
    pub starts_on: NaiveDate,
    /// The last day that it stops, by its own word.
    pub ends_on: Option<NaiveDate>,
    /// The first day that it did not stop any more.
    pub ended_on: Option<NaiveDate>,
}

impl Stop {
    pub fn is_active(&self, day: NaiveDate) -> bool {
        self.starts_on <= day && day < self.over_from()
    }

    /// The first day that it does not stop: far away when its end is open.
    pub fn over_from(&self) -> NaiveDate {
        let own = self
            .ends_on
            .map_or(NaiveDate::MAX, |last| last.succ_opt().unwrap_or(last));
        self.ended_on.map_or(own, |ended| ended.min(own))
    }

    /// What of a document it is about; nothing if it is not.
    pub fn covers(&self, document: DocumentId) -> Option<Part> {
        if self.parts.is_empty() {
            return Some(Part {
                document,
                amount: None,
            });
        }
        self.parts
            .iter()
            .copied()
            .find(|part| part.document == document)
    }

    /// Whether it is about all of a document of which so much is open: what is left
    /// of a document in query for a part of it is chased on, and its clocks run (E53).
    fn covers_all(&self, document: DocumentId, open: Money) -> bool {
        self.covers(document).is_some_and(|part| {
            part.amount
                .is_none_or(|amount| amount.amount() >= open.amount())
        })
    }

    /// Whether it is one debtor's own and counts for those who owe with them too.
    pub fn spreads(&self) -> bool {
        match self.kind {
            StopKind::Hold(kind) => effect(kind, self.starts_on).is_ok_and(|effect| effect.spreads),
            _ => false,
        }
    }

    /// Whether the clocks of what it is about stand still: while nobody may be
    /// contacted about it.
    pub fn pauses(&self) -> bool {
        match self.kind {
            StopKind::Suspected => false,
            StopKind::Hold(kind) => {
                effect(kind, self.starts_on).is_ok_and(|effect| effect.contact == Contact::None)
            }
            StopKind::Promise | StopKind::Plan | StopKind::Query => true,
        }
    }
}

/// How many days between two days were stopped for a document, each once however
/// many stops it had. `until` does not count.
pub fn paused(
    stops: &[Stop],
    document: DocumentId,
    open: Money,
    from: NaiveDate,
    until: NaiveDate,
) -> i64 {
    let spans = stops
        .iter()
        .filter(|stop| stop.pauses() && stop.covers_all(document, open))
        .map(|stop| (stop.starts_on, stop.over_from()));
    union(spans, from, until)
}

/// Days between two days that spans have, each once however they lie. Neither
/// the end of a span nor `until` counts.
pub fn union(
    spans: impl Iterator<Item = (NaiveDate, NaiveDate)>,
    from: NaiveDate,
    until: NaiveDate,
) -> i64 {
    let mut spans: Vec<(NaiveDate, NaiveDate)> = spans
        .map(|(begin, end)| (begin.max(from), end.min(until)))
        .filter(|(begin, end)| begin < end)
        .collect();
    spans.sort_unstable();
    let mut days = 0;
    let mut counted = from;
    for (begin, end) in spans {
        let begin = begin.max(counted);
        if begin < end {
            days += (end - begin).num_days();
            counted = end;
        }
    }
    days
}

/// The last day on which a stop of a document ended, up to and with `day`.
pub fn last_end(
    stops: &[Stop],
    document: DocumentId,
    open: Money,
    day: NaiveDate,
) -> Option<NaiveDate> {
    stops
        .iter()
        .filter(|stop| stop.pauses() && stop.covers_all(document, open))
        .map(Stop::over_from)
        .filter(|over| *over <= day)
        .max()
}

/// Who may still contact a debtor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    None,
    /// A person, never a letter by itself.
    Person,
    All,
}

/// What a kind of hold stops, from a day on (`data/holds.toml`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effect {
    kind: HoldKind,
    valid_from: NaiveDate,
    pub contact: Contact,
    /// Whether interest runs meanwhile.
    pub interest: bool,
    /// Whether Direct Debits for arrears may be collected.
    pub collect: bool,
    /// Whether steps towards a court may be taken.
    pub escalates: bool,
    /// Whether the hold of one joint debtor lets nobody contact the others either.
    #[serde(default)]
    pub spreads: bool,
    /// Calendar days after which it ends by itself.
    pub days: Option<u64>,
    /// Calendar days after which somebody looks at it.
    pub review: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    hold: Vec<Effect>,
}

static EFFECTS: LazyLock<Vec<Effect>> = LazyLock::new(|| {
    toml::from_str::<Table>(include_str!("../../data/holds.toml"))
        .map(|table| table.hold)
        .unwrap_or_default()
});

#[derive(Debug, thiserror::Error)]
#[error("nothing says what a hold of the kind `{}` stops on {on}", kind.name())]
pub struct NoEffect {
    kind: HoldKind,
    on: NaiveDate,
}

impl Classified for NoEffect {
    fn code(&self) -> &'static str {
        "dunning.no_effect"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

/// What a kind of hold stops on a day.
///
/// # Errors
/// When the table has no row for it.
pub fn effect(kind: HoldKind, day: NaiveDate) -> Result<&'static Effect, NoEffect> {
    EFFECTS
        .iter()
        .filter(|row| row.kind == kind && row.valid_from <= day)
        .max_by_key(|row| row.valid_from)
        .ok_or(NoEffect { kind, on: day })
}

impl Effect {
    /// The last day of a hold that begins on a day, if it ends by itself.
    pub fn ends_on(&self, starts_on: NaiveDate) -> Option<NaiveDate> {
        let days = self.days?;
        starts_on.checked_add_days(Days::new(days.saturating_sub(1)))
    }

    pub fn review_on(&self, starts_on: NaiveDate) -> NaiveDate {
        starts_on
            .checked_add_days(Days::new(self.review))
            .unwrap_or(starts_on)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Currency;
    use proptest::prelude::*;

    use super::*;

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::TimeDelta::days(n)
    }

    /// E53: a query about a part lets the clocks of the rest run; about all it stops
    /// them.
    #[test]
    fn e53_a_part_in_query_pauses_nothing() {
        let document = DocumentId::generate();
        let gbp = |text| Money::parse(text, Currency::GBP).unwrap();
        let of = |amount| Stop {
            kind: StopKind::Query,
            parts: vec![Part { document, amount }],
            ..stop(0, 10)
        };
        let days = |amount| paused(&[of(amount)], document, gbp("600"), day(0), day(10));
        assert_eq!(days(Some(gbp("100"))), 0);
        assert_eq!(days(Some(gbp("600"))), 10);
        assert_eq!(days(None), 10);
    }

    fn stop(from: i64, days: i64) -> Stop {
        Stop {
            subject: Uuid::nil(),
            debtor: None,
            kind: StopKind::Promise,
            parts: Vec::new(),
            starts_on: day(from),
            ends_on: Some(day(from + days)),
            ended_on: None,
        }
    }

    #[test]
    fn every_kind_of_hold_says_what_it_stops() {
        for kind in HoldKind::ALL {
            effect(*kind, day(0)).unwrap();
        }
    }

    #[test]
    fn a_breathing_space_ends_after_sixty_days() {
        let effect = effect(HoldKind::BreathingSpace, day(0)).unwrap();
        assert_eq!(effect.ends_on(day(0)), Some(day(59)));
        assert!(!effect.interest && !effect.escalates);
    }

    proptest! {
        /// Each stopped day counts once, however the stops lie.
        #[test]
        fn paused_days_are_the_union(
            spans in proptest::collection::vec((0_i64..60, 0_i64..30), 0..6),
            from in 0_i64..40,
            length in 0_i64..60,
        ) {
            let stops: Vec<Stop> = spans.iter().map(|(a, b)| stop(*a, *b)).collect();
            let document = DocumentId::generate();
            let plain = (from..from + length)
                .filter(|d| stops.iter().any(|stop| stop.is_active(day(*d))))
                .count();
            let open = Money::parse("1", Currency::GBP).unwrap();
            let counted = paused(&stops, document, open, day(from), day(from + length));
            prop_assert_eq!(counted, i64::try_from(plain).unwrap());
        }
    }
}
