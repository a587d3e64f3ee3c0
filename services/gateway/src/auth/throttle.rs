//! Guessing passwords gets slower with every guess, per user and per address.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};

/// Failures of one user before the next try has to wait.
const FREE_PER_USER: i32 = 5;
/// Failures from one address, which an office shares.
const FREE_PER_ADDRESS: i32 = 30;
/// The longest wait. Short enough that locking a colleague out is no fun.
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// After this long without a failure, all is forgotten.
pub const FORGET_AFTER: TimeDelta = TimeDelta::hours(1);

/// What failures are counted under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    pub user: String,
    pub address: String,
}

impl Subjects {
    pub fn of(name: &str, address: IpAddr) -> Self {
        let name: String = name.to_lowercase().chars().take(64).collect();
        Self {
            user: format!("user:{name}").chars().take(128).collect(),
            address: format!("address:{address}"),
        }
    }

    pub fn both(&self) -> [String; 2] {
        [self.user.clone(), self.address.clone()]
    }
}

/// How long the next try has to wait, given the failures so far as
/// `(subject, failures, last failure)`.
pub fn wait(failures: &[(String, i32, DateTime<Utc>)], now: DateTime<Utc>) -> Option<TimeDelta> {
    failures
        .iter()
        .filter(|(_, _, last)| now - *last < FORGET_AFTER)
        .filter_map(|(subject, failures, last)| {
            let free = if subject.starts_with("user:") {
                FREE_PER_USER
            } else {
                FREE_PER_ADDRESS
            };
            let over = failures.checked_sub(free).filter(|over| *over >= 0)?;
            // 2 s, 4 s, 8 s, … at the first failure that is one too many.
            let delay = TimeDelta::seconds(2_i64.saturating_pow(over.unsigned_abs().min(16) + 1))
                .min(LONGEST);
            Some(*last + delay - now).filter(|left| *left > TimeDelta::zero())
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn each_failure_too_many_doubles_the_wait_up_to_a_limit() {
        let after = |failures| wait(&[("user:jo".into(), failures, at(0))], at(0));
        assert_eq!(after(4), None);
        assert_eq!(after(5), Some(TimeDelta::seconds(2)));
        assert_eq!(after(6), Some(TimeDelta::seconds(4)));
        assert_eq!(after(9), Some(TimeDelta::seconds(32)));
        assert_eq!(after(1000), Some(LONGEST));
    }

    #[test]
    fn an_office_behind_one_address_may_err_more_often() {
        let after = |failures| wait(&[("address:10.0.0.1".into(), failures, at(0))], at(0));
        assert_eq!(after(29), None);
        assert_eq!(after(30), Some(TimeDelta::seconds(2)));
    }

    #[test]
    fn waiting_ends_and_is_forgotten() {
        let failures = [("user:jo".into(), 6, at(0))];
        assert_eq!(wait(&failures, at(1)), Some(TimeDelta::seconds(3)));
        assert_eq!(wait(&failures, at(4)), None);
        let many = [("user:jo".into(), 900, at(0))];
        assert_eq!(wait(&many, at(3600)), None);
    }

    #[test]
    fn subjects_are_bounded_whatever_is_typed() {
        let subjects = Subjects::of(&"Ü".repeat(5000), "::1".parse().unwrap());
        assert!(subjects.user.chars().count() <= 128);
        assert_eq!(Subjects::of("JO", "::1".parse().unwrap()).user, "user:jo");
    }
}
