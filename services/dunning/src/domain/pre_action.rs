//! The clocks before a claim: how long a debtor has, what stops the clocks, and
//! when each is over. The numbers of days are data (`data/pre-action.toml`).

use std::sync::LazyLock;

use chrono::{Days, NaiveDate};
use contracts::{
    dunning::{HoldKind, PreActionLaw, ReplyKind},
    inbound::AccountKind,
};
use kernel::{Classified, DocumentId, ErrorClass};
use serde::{Deserialize, Serialize};

use super::{
    hold,
    policy::LegalClass,
    stops::{self, Stop, StopKind},
};

/// Which rules protect a debtor. Of one whose kind is not known we assume a
/// person: the law protects those more.
pub const fn law(kind: Option<AccountKind>) -> PreActionLaw {
    match kind {
        Some(AccountKind::Company | AccountKind::PublicBody) => PreActionLaw::PracticeDirection,
        Some(AccountKind::SoleTrader | AccountKind::Individual) | None => PreActionLaw::Protocol,
    }
}

/// Whether a letter of a class does what the rules ask for.
pub const fn is_letter_of(law: PreActionLaw, class: LegalClass) -> bool {
    match class {
        LegalClass::Protocol => true,
        LegalClass::BeforeAction => matches!(law, PreActionLaw::PracticeDirection),
        LegalClass::Courtesy | LegalClass::Reminder | LegalClass::Demand => false,
    }
}

/// A row of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    law: PreActionLaw,
    code: String,
    valid_from: NaiveDate,
    pub days: i64,
    pub title: String,
    pub source: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Letter {
    valid_from: NaiveDate,
    days: i64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    clock: Vec<Rule>,
    letter: Vec<Letter>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/pre-action.toml")).unwrap_or_default()
});

#[derive(Debug, thiserror::Error)]
#[error("nothing says how long the clock `{code}` runs on {on}")]
pub struct NoRule {
    code: String,
    on: NaiveDate,
}

impl Classified for NoRule {
    fn code(&self) -> &'static str {
        "dunning.no_clock"
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

/// The rule of a clock that begins on a day.
///
/// # Errors
/// When the table has no row for it.
pub fn rule(law: PreActionLaw, code: &str, on: NaiveDate) -> Result<&'static Rule, NoRule> {
    TABLE
        .clock
        .iter()
        .filter(|row| row.law == law && row.code == code && row.valid_from <= on)
        .max_by_key(|row| row.valid_from)
        .ok_or_else(|| NoRule {
            code: code.to_owned(),
            on,
        })
}

/// Whether a letter is so old that its figures are to be brought up to date.
pub fn is_old(letter_on: NaiveDate, today: NaiveDate) -> bool {
    TABLE
        .letter
        .iter()
        .filter(|row| row.valid_from <= today)
        .max_by_key(|row| row.valid_from)
        .is_some_and(|row| (today - letter_on).num_days() > row.days)
}

/// The clock that a reply starts.
pub const fn clock_of(reply: ReplyKind) -> &'static str {
    match reply {
        ReplyKind::Admits | ReplyKind::Disputes | ReplyKind::Partial => "reply_form",
        ReplyKind::AsksTime => "time_to_pay",
        ReplyKind::TakesAdvice => "advice",
        ReplyKind::AsksDocuments => "documents_owed",
    }
}

/// A clock under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    pub code: String,
    /// Not one of its days.
    pub from: NaiveDate,
    pub days: i64,
}

/// Where a clock stands on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub paused: i64,
    /// Nothing on its last day.
    pub left: i64,
    /// Nothing while it stands still with no known end.
    pub last_on: Option<NaiveDate>,
    pub is_over: bool,
}

/// Whether a stop is one that no step towards a court may be taken under, and
/// that the clocks stand still for.
pub fn freezes(stop: &Stop) -> bool {
    match stop.kind {
        StopKind::Suspected => false,
        // What is not known is taken for the stronger.
        StopKind::Hold(kind) => {
            stops::effect(kind, stop.starts_on).is_ok_and(|effect| !effect.escalates)
                || stops::effect(kind, stop.starts_on).is_err()
        }
        StopKind::Promise | StopKind::Plan | StopKind::Query => true,
    }
}

/// The stops that freeze one of these documents.
pub fn freezing<'s>(stops: &'s [Stop], documents: &[DocumentId]) -> Vec<&'s Stop> {
    stops
        .iter()
        .filter(|stop| freezes(stop))
        .filter(|stop| documents.iter().any(|one| stop.covers(*one).is_some()))
        .collect()
}

/// What a stop is, in words that may leave the house: not what is about
/// somebody's health or death (E99).
pub fn words(stop: &Stop) -> String {
    match stop.kind {
        // Whoever has the debt must know which law it is (E73).
        StopKind::Hold(HoldKind::BreathingSpace | HoldKind::MentalHealthCrisis) => {
            "breathing space".to_owned()
        }
        StopKind::Hold(kind) if hold::is_restricted(kind) => "a hold".to_owned(),
        StopKind::Hold(kind) => kind.name().replace('_', " "),
        StopKind::Promise => "a promise".to_owned(),
        StopKind::Plan => "a payment plan".to_owned(),
        StopKind::Query | StopKind::Suspected => "a query".to_owned(),
    }
}

fn plus(day: NaiveDate, days: i64) -> NaiveDate {
    day.checked_add_days(Days::new(u64::try_from(days).unwrap_or_default()))
        .unwrap_or(day)
}

impl Clock {
    /// Begins one.
    ///
    /// # Errors
    /// When the table has no row for it.
    pub fn start(law: PreActionLaw, code: &str, from: NaiveDate) -> Result<Self, NoRule> {
        Ok(Self {
            code: code.to_owned(),
            from,
            days: rule(law, code, from)?.days,
        })
    }

    /// Where it stands, given the stops that freeze it.
    pub fn read(&self, frozen: &[&Stop], today: NaiveDate) -> Reading {
        let paused = |until: NaiveDate| {
            stops::union(
                frozen.iter().map(|stop| (stop.starts_on, stop.over_from())),
                plus(self.from, 1),
                plus(until, 1),
            )
        };
        let so_far = paused(today);
        let run = (today - self.from).num_days().max(0) - so_far;
        // Each round takes in the stops that the round before has reached.
        let mut last_on = plus(self.from, self.days);
        let last_on = loop {
            let open = |stop: &&&Stop| stop.over_from() == NaiveDate::MAX;
            if frozen
                .iter()
                .filter(open)
                .any(|stop| stop.starts_on <= last_on)
            {
                break None;
            }
            let next = plus(self.from, self.days + paused(last_on));
            if next == last_on {
                break Some(last_on);
            }
            last_on = next;
        };
        Reading {
            paused: so_far,
            left: (self.days - run).max(0),
            last_on,
            is_over: last_on.is_some_and(|last| today > last)
                && !frozen.iter().any(|stop| stop.is_active(today)),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + TimeDelta::days(n)
    }

    fn stop(kind: StopKind, from: i64, days: Option<i64>) -> Stop {
        Stop {
            debtor: None,
            subject: Uuid::nil(),
            kind,
            parts: Vec::new(),
            starts_on: day(from),
            ends_on: days.map(|days| day(from + days)),
            ended_on: None,
        }
    }

    const SPACE: StopKind = StopKind::Hold(HoldKind::BreathingSpace);

    #[test]
    fn every_clock_has_its_days_for_both_laws() {
        for law in PreActionLaw::ALL {
            for code in ["reply", "documents_sent", "notice"] {
                rule(*law, code, day(0)).unwrap();
            }
            for reply in ReplyKind::ALL {
                rule(*law, clock_of(*reply), day(0)).unwrap();
            }
        }
        // uk-domain 4.3.
        let protocol = |code| rule(PreActionLaw::Protocol, code, day(0)).unwrap().days;
        assert_eq!((protocol("reply"), protocol("notice")), (30, 14));
        assert!(
            rule(
                PreActionLaw::Protocol,
                "reply",
                "2017-09-30".parse().unwrap()
            )
            .is_err()
        );
    }

    #[test]
    fn a_reply_on_the_last_day_is_in_time() {
        let clock = Clock::start(PreActionLaw::Protocol, "reply", day(0)).unwrap();
        let last = clock.read(&[], day(30));
        assert_eq!((last.left, last.is_over), (0, false));
        assert_eq!(last.last_on, Some(day(30)));
        let over = clock.read(&[], day(31));
        assert!(over.is_over);
        assert_eq!(over.last_on, Some(day(30)));
    }

    /// E73: a breathing space of 60 days in the middle adds 60 days; while it is
    /// open-ended nobody knows the last day.
    #[test]
    fn e73_a_breathing_space_freezes_the_clock_and_it_goes_on_afterwards() {
        let clock = Clock::start(PreActionLaw::Protocol, "reply", day(0)).unwrap();
        let space = stop(SPACE, 10, Some(59));
        let during = clock.read(&[&space], day(40));
        assert_eq!((during.left, during.is_over), (21, false));
        assert_eq!(during.last_on, Some(day(90)));
        let later = clock.read(&[&space], day(90));
        assert_eq!((later.paused, later.left), (60, 0));
        assert_eq!(later.last_on, Some(day(90)));
        let crisis = stop(StopKind::Hold(HoldKind::MentalHealthCrisis), 10, None);
        assert_eq!(clock.read(&[&crisis], day(300)).last_on, None);
        assert_eq!(clock.read(&[&crisis], day(300)).left, 21);
    }

    #[test]
    fn what_is_about_health_or_death_is_not_told_to_a_firm() {
        let deceased = stop(StopKind::Hold(HoldKind::Deceased), 0, None);
        assert_eq!(words(&deceased), "a hold");
        let crisis = stop(StopKind::Hold(HoldKind::MentalHealthCrisis), 0, None);
        assert_eq!(words(&crisis), "breathing space");
    }

    #[test]
    fn an_agency_of_ours_or_a_suspicion_freezes_nothing() {
        assert!(!freezes(&stop(StopKind::Hold(HoldKind::Legal), 0, None)));
        assert!(!freezes(&stop(StopKind::Suspected, 0, None)));
        assert!(freezes(&stop(SPACE, 0, None)));
    }

    proptest! {
        /// A clock is over when so many days without a stop have passed, each
        /// counted once however the stops lie, and never under a stop.
        #[test]
        fn paused_days_are_added_exactly_and_nothing_ends_under_a_stop(
            spans in proptest::collection::vec((-10_i64..80, 0_i64..40), 0..5),
            days in 1_i64..40,
            today in 0_i64..150,
        ) {
            let clock = Clock { code: "reply".to_owned(), from: day(0), days };
            let stops: Vec<Stop> = spans.iter().map(|(a, b)| stop(SPACE, *a, Some(*b))).collect();
            let frozen: Vec<&Stop> = stops.iter().collect();
            let stopped = |d: i64| stops.iter().any(|stop| stop.is_active(day(d)));
            let reading = clock.read(&frozen, day(today));
            // Its last day is the first on which enough days have run.
            let mut counted = 0;
            let mut last = 0;
            while counted < days {
                last += 1;
                if !stopped(last) {
                    counted += 1;
                }
            }
            prop_assert_eq!(reading.last_on, Some(day(last)));
            prop_assert_eq!(reading.is_over, today > last && !stopped(today));
            let run = (1..=today).filter(|d| !stopped(*d)).count();
            prop_assert_eq!(reading.left, (days - i64::try_from(run).unwrap()).max(0));
        }
    }
}
