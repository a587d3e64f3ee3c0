//! Working time: when it counts, how much lies between two moments, and when so
//! much of it is over. Clocks keep seconds of it.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use kernel::{Division, WorkingCalendar, london_date, london_time};

/// Days looked at for one answer, at most: a bound, not a rule.
const DAYS_MAX: u32 = 40_000;

/// When working time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hours {
    /// Day and night.
    Always,
    /// On working days of a part of the United Kingdom, between two times of
    /// London.
    Office {
        calendar: Division,
        opens: NaiveTime,
        closes: NaiveTime,
    },
}

impl Hours {
    /// Seconds of a whole working day.
    pub(crate) fn day(self) -> i64 {
        match self {
            Self::Always => 24 * 3600,
            Self::Office { opens, closes, .. } => (closes - opens).num_seconds(),
        }
    }

    /// When `seconds` of working time after `from` are over; for none, when
    /// working time next counts.
    pub(crate) fn after(self, from: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
        let Self::Office { .. } = self else {
            return from + TimeDelta::seconds(seconds);
        };
        let mut left = seconds.max(0);
        let mut day = london_date(from);
        for _ in 0..DAYS_MAX {
            if let Some((opens, closes)) = self.of(day) {
                let begins = opens.max(from);
                if begins < closes {
                    let there = (closes - begins).num_seconds();
                    if left <= there {
                        return begins + TimeDelta::seconds(left);
                    }
                    left -= there;
                }
            }
            day = day + Days::new(1);
        }
        from
    }

    /// Seconds of working time from `from` to `to`; none if that is earlier.
    pub(crate) fn between(self, from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
        if to <= from {
            return 0;
        }
        let Self::Office { .. } = self else {
            return (to - from).num_seconds();
        };
        let mut sum = 0;
        let mut day = london_date(from);
        let last = london_date(to);
        for _ in 0..DAYS_MAX {
            if day > last {
                break;
            }
            if let Some((opens, closes)) = self.of(day) {
                sum += (closes.min(to) - opens.max(from)).num_seconds().max(0);
            }
            day = day + Days::new(1);
        }
        sum
    }

    /// When a day begins and ends, if it is a working day.
    fn of(self, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let Self::Office {
            calendar,
            opens,
            closes,
        } = self
        else {
            return None;
        };
        is_working_day(calendar, day).then(|| (london_time(day, opens), london_time(day, closes)))
    }
}

/// Beyond the years whose bank holidays are known, Monday to Friday: a clock
/// that is a holiday out is better than none.
pub(crate) fn is_working_day(calendar: Division, day: NaiveDate) -> bool {
    WorkingCalendar::new(calendar)
        .is_working_day(day)
        .unwrap_or(!matches!(day.weekday(), Weekday::Sat | Weekday::Sun))
}

/// Reads `30s`, `15m`, `4h` or `2d` into seconds of working time.
pub(crate) fn span(text: &str, hours: Hours) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|n| (0..100_000).contains(n))?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => hours.day(),
        _ => return None,
    };
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFICE: Hours = Hours::Office {
        calendar: Division::EnglandWales,
        opens: NaiveTime::from_hms_opt(9, 0, 0).unwrap(),
        closes: NaiveTime::from_hms_opt(17, 30, 0).unwrap(),
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn nights_weekends_and_bank_holidays_do_not_count_e62() {
        for (from, span_, to) in [
            // Friday afternoon to Monday.
            ("2026-01-09T16:30:00Z", "2h", "2026-01-12T10:00:00Z"),
            // Good Friday and Easter Monday, and the clocks have gone forward.
            ("2026-04-02T16:00:00Z", "1h", "2026-04-07T08:30:00Z"),
            // A working day from eleven to eleven.
            ("2026-01-12T11:00:00Z", "1d", "2026-01-13T11:00:00Z"),
            // Before and after hours.
            ("2026-01-12T03:00:00Z", "30m", "2026-01-12T09:30:00Z"),
            ("2026-01-12T22:00:00Z", "30m", "2026-01-13T09:30:00Z"),
            // Nothing left: when it opens next.
            ("2026-01-10T12:00:00Z", "0m", "2026-01-12T09:00:00Z"),
            // Beyond the known holidays Monday to Friday count.
            ("2031-01-03T17:00:00Z", "1h", "2031-01-06T09:30:00Z"),
        ] {
            let seconds = span(span_, OFFICE).unwrap();
            assert_eq!(OFFICE.after(at(from), seconds), at(to), "{from} + {span_}");
        }
        for bad in ["", "d", "-1h", "1.5h", "4w", "999999h"] {
            assert_eq!(span(bad, OFFICE), None, "{bad}");
        }
    }

    proptest! {
        /// What is added lies between, whatever the night or holiday.
        #[test]
        fn what_was_added_lies_between(start in 0..60_000_000i64, seconds in 1..400_000i64) {
            let from = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(start);
            for hours in [OFFICE, Hours::Always] {
                let to = hours.after(from, seconds);
                prop_assert!(to > from);
                prop_assert_eq!(hours.between(from, to), seconds);
            }
        }

        /// Two spans one after another are one span: what a pause needs.
        #[test]
        fn spans_add_up(start in 0..60_000_000i64, a in 0..200_000i64, b in 1..200_000i64) {
            let from = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(start);
            let stop = OFFICE.after(from, a);
            prop_assert_eq!(OFFICE.after(stop, b), OFFICE.after(from, a + b));
        }
    }
}
