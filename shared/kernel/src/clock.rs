//! The time, injected: nothing but [`SystemClock`] asks the machine.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, NaiveTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Europe::London;

/// Where the time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Now, to the microsecond: what Postgres keeps, so that a time reads back as it was written.
    fn now(&self) -> DateTime<Utc>;

    /// The date now in London: the date of ledgers, due dates and letters.
    fn today(&self) -> NaiveDate {
        london_date(self.now())
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the machine"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that stands still until it is told otherwise. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            now: Arc::new(Mutex::new(now.trunc_subsecs(6))),
        }
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now.trunc_subsecs(6);
    }

    /// Moves on by `step` (or back, if that is negative).
    pub fn advance(&self, step: TimeDelta) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (*now + step).trunc_subsecs(6);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The date in London at that moment: in summer, 23:30 UTC is already tomorrow (E62).
pub fn london_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&London).date_naive()
}

/// When the London day of a moment began.
pub fn london_midnight(at: DateTime<Utc>) -> DateTime<Utc> {
    // London's clocks change at one in the morning or later: there always is a
    // midnight, and only one.
    london_date(at)
        .and_time(NaiveTime::MIN)
        .and_local_timezone(London)
        .earliest()
        .map_or(at, |midnight| midnight.to_utc())
}

/// That time of that day in London. A time that the clocks skip in spring is the
/// hour after, one that they show twice in autumn the first.
pub fn london_time(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    let wanted = date.and_time(time);
    wanted
        .and_local_timezone(London)
        .earliest()
        .or_else(|| {
            (wanted + TimeDelta::hours(1))
                .and_local_timezone(London)
                .earliest()
        })
        .map_or_else(|| wanted.and_utc(), |at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_london_date_follows_summer_time_e62() {
        for (moment, day) in [
            // Winter: London is UTC.
            ("2026-01-31T23:59:59Z", "2026-01-31"),
            // Summer: London is an hour ahead.
            ("2026-06-30T22:59:59Z", "2026-06-30"),
            ("2026-06-30T23:00:00Z", "2026-07-01"),
            // The days on which the clocks change.
            ("2026-03-28T23:59:59Z", "2026-03-28"),
            ("2026-03-29T23:00:00Z", "2026-03-30"),
            ("2026-10-24T23:00:00Z", "2026-10-25"),
            ("2026-10-25T23:59:59Z", "2026-10-25"),
        ] {
            assert_eq!(london_date(at(moment)), date(day), "{moment}");
        }
    }

    #[test]
    fn a_london_day_begins_at_its_own_midnight_e62() {
        for (moment, began) in [
            ("2026-01-31T23:59:59Z", "2026-01-31T00:00:00Z"),
            ("2026-07-01T12:00:00Z", "2026-06-30T23:00:00Z"),
            ("2026-06-30T23:00:00Z", "2026-06-30T23:00:00Z"),
            // The days on which the clocks change.
            ("2026-03-29T22:00:00Z", "2026-03-29T00:00:00Z"),
            ("2026-10-25T22:00:00Z", "2026-10-24T23:00:00Z"),
        ] {
            assert_eq!(london_midnight(at(moment)), at(began), "{moment}");
        }
    }

    #[test]
    fn a_time_of_a_london_day_follows_summer_time_e62() {
        for (day, time, moment) in [
            ("2026-01-31", "09:00:00", "2026-01-31T09:00:00Z"),
            ("2026-07-01", "09:00:00", "2026-07-01T08:00:00Z"),
            // Skipped, and shown twice.
            ("2026-03-29", "01:30:00", "2026-03-29T01:30:00Z"),
            ("2026-10-25", "01:30:00", "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(london_time(date(day), time.parse().unwrap()), at(moment));
        }
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(at("2026-06-30T22:30:00Z"));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        assert_eq!(shared.now(), at("2026-06-30T22:30:00Z"));
        assert_eq!(shared.today(), date("2026-06-30"));
        clock.advance(TimeDelta::minutes(30));
        assert_eq!(shared.now(), at("2026-06-30T23:00:00Z"));
        assert_eq!(shared.today(), date("2026-07-01"));
        clock.set(at("2026-01-01T00:00:00.1234567Z"));
        assert_eq!(shared.now(), at("2026-01-01T00:00:00.123456Z"));
    }

    #[test]
    fn the_system_clock_tells_whole_microseconds() {
        let now = SystemClock.now();
        assert_eq!(now, now.trunc_subsecs(6));
        assert!(now > at("2025-01-01T00:00:00Z"));
    }
}
