//! [`WorkingCalendar`]: working days in the three divisions of the United Kingdom.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Classified, ErrorClass};
use crate::rows::{Rows, number};

const LIST: &str = include_str!("../data/bank-holidays.csv");

#[derive(Clone, Copy)]
struct Holiday {
    year: u32,
    date: NaiveDate,
    /// In the order of [`Division`]'s variants, which is that of the columns.
    kept: [bool; 3],
}

const COUNT: usize = Rows::new(LIST).count();
const ROWS: [Holiday; COUNT] = holidays();
static HOLIDAYS: [Holiday; COUNT] = ROWS;

/// The list covers whole years, from that of its first row to that of its last.
const FIRST: NaiveDate = date(ROWS[0].year, 1, 1);
const LAST: NaiveDate = date(ROWS[COUNT - 1].year, 12, 31);

const fn date(year: u32, month: u32, day: u32) -> NaiveDate {
    let date = NaiveDate::from_ymd_opt(year as i32, month, day);
    assert!(date.is_some(), "no such date");
    match date {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

const fn holidays() -> [Holiday; COUNT] {
    let mut holidays = [Holiday {
        year: 0,
        date: NaiveDate::MIN,
        kept: [false; 3],
    }; COUNT];
    let mut rows = Rows::new(LIST);
    let mut i = 0;
    let mut before = 0;
    while let Some(row) = rows.next() {
        let (day, mut rest) = row.split_at(10);
        let (year, month_and_day) = day.split_at(4);
        assert!(
            month_and_day[0] == b'-' && month_and_day[3] == b'-',
            "a date like 2026-12-25 is expected"
        );
        let year = number(year);
        let month = number(month_and_day.split_at(3).0.split_at(1).1);
        let day = number(month_and_day.split_at(4).1);
        let order = (year * 100 + month) * 100 + day;
        assert!(
            before < order,
            "the list must be sorted by date, without doubles"
        );
        before = order;

        let mut kept = [false; 3];
        let mut column = 0;
        while column < 3 {
            rest = match rest {
                [b',', b'x', after @ ..] => {
                    kept[column] = true;
                    after
                }
                [b',', after @ ..] => after,
                _ => rest,
            };
            assert!(
                !rest.is_empty() && rest[0] == b',',
                "`x` or nothing is expected for each division"
            );
            column += 1;
        }
        holidays[i] = Holiday {
            year,
            date: date(year, month, day),
            kept,
        };
        i += 1;
    }
    holidays
}

/// The parts of the United Kingdom that keep different bank holidays. Bacs, Faster Payments'
/// settlement and CHAPS keep those of England and Wales, wherever the customer is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Division {
    /// England and Wales.
    EnglandWales,
    /// Scotland.
    Scotland,
    /// Northern Ireland.
    NorthernIreland,
}

/// Why a calendar cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The bank holidays of that year are not in the list: a guess could be a day out.
    #[error(
        "bank holidays are known from {FIRST} to {LAST} only; asked for a day beyond, from {date}"
    )]
    NotCovered {
        /// The date that was asked for, or at which the counting began.
        date: NaiveDate,
    },
}

impl Classified for CalendarError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotCovered { .. } => "calendar.not_covered",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// The working days of one division: Monday to Friday without its bank holidays (E62).
///
/// The bank holidays are `data/bank-holidays.csv`, which names its sources. Outside the years that
/// it covers every question is an error, even for a Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingCalendar {
    division: Division,
}

impl WorkingCalendar {
    /// The calendar of a division.
    pub const fn new(division: Division) -> Self {
        Self { division }
    }

    /// Whose bank holidays it keeps.
    pub const fn division(self) -> Division {
        self.division
    }

    /// The first and the last date that can be asked for.
    pub const fn covered() -> (NaiveDate, NaiveDate) {
        (FIRST, LAST)
    }

    /// Whether people and banks work on that day.
    ///
    /// # Errors
    /// [`CalendarError::NotCovered`].
    pub fn is_working_day(self, date: NaiveDate) -> Result<bool, CalendarError> {
        if date < FIRST || date > LAST {
            return Err(CalendarError::NotCovered { date });
        }
        let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
        Ok(!weekend && !self.is_bank_holiday(date))
    }

    /// The `days`-th working day after `date`, not counting `date` itself. For 0: `date`, or the next
    /// working day if `date` is none, which is how a due date rolls forward.
    ///
    /// # Errors
    /// [`CalendarError::NotCovered`] if the counting leaves the covered years.
    pub fn add_working_days(self, date: NaiveDate, days: u32) -> Result<NaiveDate, CalendarError> {
        self.count(date, days, |day| day.checked_add_days(Days::new(1)))
    }

    /// The `days`-th working day before `date`, not counting `date` itself: when a Bacs file must be
    /// sent. For 0: `date`, or the working day before if `date` is none.
    ///
    /// # Errors
    /// [`CalendarError::NotCovered`] if the counting leaves the covered years.
    pub fn sub_working_days(self, date: NaiveDate, days: u32) -> Result<NaiveDate, CalendarError> {
        self.count(date, days, |day| day.checked_sub_days(Days::new(1)))
    }

    /// The first working day after `date`, never `date` itself.
    ///
    /// # Errors
    /// [`CalendarError::NotCovered`].
    pub fn next_working_day(self, date: NaiveDate) -> Result<NaiveDate, CalendarError> {
        self.add_working_days(date, 1)
    }

    fn count(
        self,
        from: NaiveDate,
        days: u32,
        step: impl Fn(NaiveDate) -> Option<NaiveDate>,
    ) -> Result<NaiveDate, CalendarError> {
        let beyond = |_| CalendarError::NotCovered { date: from };
        let mut date = from;
        let mut left = days;
        let mut working = self.is_working_day(date)?;
        while left > 0 || !working {
            date = step(date).ok_or(CalendarError::NotCovered { date: from })?;
            working = self.is_working_day(date).map_err(beyond)?;
            if working {
                left = left.saturating_sub(1);
            }
        }
        Ok(date)
    }

    fn is_bank_holiday(self, date: NaiveDate) -> bool {
        HOLIDAYS
            .binary_search_by_key(&date, |holiday| holiday.date)
            .is_ok_and(|found| HOLIDAYS[found].kept[self.division as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Division; 3] = [
        Division::EnglandWales,
        Division::Scotland,
        Division::NorthernIreland,
    ];

    fn at(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn each_year_has_its_number_of_bank_holidays() {
        for (division, expected) in [
            (Division::EnglandWales, [8, 8, 8]),
            // 2026: the World Cup day.
            (Division::Scotland, [9, 10, 9]),
            (Division::NorthernIreland, [10, 10, 10]),
        ] {
            let counts = [2025, 2026, 2027].map(|year| {
                HOLIDAYS
                    .iter()
                    .filter(|day| day.year == year && day.kept[division as usize])
                    .count()
            });
            assert_eq!(counts, expected, "{division:?}");
        }
        for day in &HOLIDAYS {
            assert!(day.kept.contains(&true), "{} is kept nowhere", day.date);
            assert!(
                !matches!(day.date.weekday(), Weekday::Sat | Weekday::Sun),
                "{} is a weekend: its substitute belongs there",
                day.date
            );
        }
    }

    #[test]
    fn divisions_differ_e62() {
        for (day, working) in [
            ("2026-11-30", [true, false, true]),
            ("2026-03-17", [true, true, false]),
            ("2026-04-06", [false, true, false]),
            ("2026-08-03", [true, false, true]),
            ("2026-08-31", [false, true, false]),
            ("2026-07-13", [true, true, false]),
            ("2026-06-15", [true, false, true]),
            ("2026-12-25", [false, false, false]),
            ("2026-12-28", [false, false, false]),
            ("2026-12-29", [true, true, true]),
            ("2026-12-26", [false, false, false]),
            ("2027-01-04", [true, false, true]),
        ] {
            assert_eq!(
                ALL.map(|division| WorkingCalendar::new(division).is_working_day(at(day))),
                working.map(Ok),
                "{day}"
            );
        }
    }

    #[test]
    fn easter_and_christmas_are_skipped() {
        let england = WorkingCalendar::new(Division::EnglandWales);
        let scotland = WorkingCalendar::new(Division::Scotland);
        // Thursday before Good Friday 2026.
        let thursday = at("2026-04-02");
        assert_eq!(england.next_working_day(thursday), Ok(at("2026-04-07")));
        assert_eq!(scotland.next_working_day(thursday), Ok(at("2026-04-06")));
        assert_eq!(england.add_working_days(thursday, 3), Ok(at("2026-04-09")));
        assert_eq!(
            england.add_working_days(at("2026-12-24"), 2),
            Ok(at("2026-12-30"))
        );
        assert_eq!(
            england.sub_working_days(at("2026-12-30"), 2),
            Ok(at("2026-12-24"))
        );
    }

    #[test]
    fn zero_days_roll_off_a_day_that_is_none() {
        let england = WorkingCalendar::new(Division::EnglandWales);
        let saturday = at("2026-06-06");
        assert_eq!(england.add_working_days(saturday, 0), Ok(at("2026-06-08")));
        assert_eq!(england.add_working_days(saturday, 1), Ok(at("2026-06-08")));
        assert_eq!(england.sub_working_days(saturday, 0), Ok(at("2026-06-05")));
        let monday = at("2026-06-08");
        assert_eq!(england.add_working_days(monday, 0), Ok(monday));
        assert_eq!(england.next_working_day(monday), Ok(at("2026-06-09")));
    }

    #[test]
    fn outside_the_covered_years_nothing_is_guessed() {
        assert_eq!(
            WorkingCalendar::covered(),
            (at("2025-01-01"), at("2027-12-31"))
        );
        let england = WorkingCalendar::new(Division::EnglandWales);
        for day in ["2024-12-31", "2028-01-01", "2028-01-02"] {
            let date = at(day);
            let error = Err(CalendarError::NotCovered { date });
            assert_eq!(england.is_working_day(date), error);
            assert_eq!(
                england.add_working_days(date, 0),
                Err(CalendarError::NotCovered { date })
            );
        }
        let last = at("2027-12-31");
        assert_eq!(england.add_working_days(last, 0), Ok(last));
        let error = england.next_working_day(last).unwrap_err();
        assert_eq!(error, CalendarError::NotCovered { date: last });
        assert_eq!(error.code(), "calendar.not_covered");
        assert_eq!(
            error.to_string(),
            "bank holidays are known from 2025-01-01 to 2027-12-31 only; asked for a day beyond, from 2027-12-31"
        );
        assert_eq!(
            england.add_working_days(last, u32::MAX),
            Err(CalendarError::NotCovered { date: last })
        );
        assert!(england.sub_working_days(at("2025-01-02"), 1).is_err());
        assert!(england.is_working_day(NaiveDate::MAX).is_err());
        assert!(england.is_working_day(NaiveDate::MIN).is_err());
    }

    #[test]
    fn divisions_are_words_on_the_wire() {
        assert_eq!(
            serde_json::to_string(&ALL).unwrap(),
            r#"["england_wales","scotland","northern_ireland"]"#
        );
    }

    fn division() -> impl Strategy<Value = Division> {
        proptest::sample::select(ALL.to_vec())
    }

    /// A date early enough for 60 working days on both sides.
    fn inner() -> impl Strategy<Value = NaiveDate> {
        (120_u64..900).prop_map(|days| FIRST + Days::new(days))
    }

    proptest! {
        #[test]
        fn the_result_is_a_working_day(division in division(), from in inner(), days in 0_u32..60) {
            let calendar = WorkingCalendar::new(division);
            for date in [
                calendar.add_working_days(from, days).unwrap(),
                calendar.sub_working_days(from, days).unwrap(),
            ] {
                prop_assert_eq!(calendar.is_working_day(date), Ok(true));
            }
        }

        #[test]
        fn exactly_so_many_working_days_lie_between(
            division in division(), from in inner(), days in 1_u32..60,
        ) {
            let calendar = WorkingCalendar::new(division);
            let to = calendar.add_working_days(from, days).unwrap();
            let passed = from
                .iter_days()
                .skip(1)
                .take_while(|day| *day <= to)
                .filter(|day| calendar.is_working_day(*day).unwrap())
                .count();
            prop_assert_eq!(passed, days as usize);
        }

        #[test]
        fn later_starts_and_more_days_never_end_earlier(
            division in division(), from in inner(), days in 0_u32..60,
        ) {
            let calendar = WorkingCalendar::new(division);
            let end = calendar.add_working_days(from, days).unwrap();
            prop_assert!(end >= from);
            prop_assert!(calendar.add_working_days(from + Days::new(1), days).unwrap() >= end);
            let longer = calendar.add_working_days(from, days + 1).unwrap();
            prop_assert!(longer > end || (days == 0 && longer == end));
            prop_assert_eq!(longer == end, days == 0 && calendar.is_working_day(from) == Ok(false));
        }

        #[test]
        fn from_a_working_day_back_is_the_inverse(
            division in division(), from in inner(), days in 0_u32..60,
        ) {
            let calendar = WorkingCalendar::new(division);
            let from = calendar.add_working_days(from, 0).unwrap();
            let there = calendar.add_working_days(from, days).unwrap();
            prop_assert_eq!(calendar.sub_working_days(there, days), Ok(from));
            let step_by_step = (0..days)
                .try_fold(from, |date, _| calendar.next_working_day(date));
            prop_assert_eq!(step_by_step, Ok(there));
        }
    }
}
