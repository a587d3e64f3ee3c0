//! What is known about schemes and reason codes: data with days from which it
//! counts.

use std::sync::LazyLock;

use chrono::{Months, NaiveDate};

use super::super::data::rows_between;

/// Whether a debit of a scheme is a payment that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Return,
    /// Never: a charge, interest.
    Ours,
    /// Only if its references say so.
    Unknown,
}

/// How payments of a scheme come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub role: Role,
    /// Days after the payment in which it comes back; `None`: no limit.
    pub window_days: Option<i64>,
    /// Less than the payment may come back.
    pub in_part: bool,
    /// What was taken may come again.
    pub may_be_won: bool,
}

/// What a reason code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    pub meaning: &'static str,
    pub action: &'static str,
    /// The same amount may be presented once more…
    pub may_present_again: bool,
    /// …within so many months of the payment; none: no limit.
    pub again_months: Option<u32>,
    pub stops_chasing: bool,
}

impl Reason {
    /// The last day on which a payment of `paid_on` may be presented again;
    /// `Some(None)`: whenever.
    pub fn again_until(&self, paid_on: NaiveDate) -> Option<Option<NaiveDate>> {
        self.may_present_again.then(|| {
            self.again_months
                .and_then(|months| paid_on.checked_add_months(Months::new(months)))
        })
    }
}

struct PolicyRow {
    scheme: &'static str,
    valid_from: NaiveDate,
    policy: Policy,
}

struct ReasonRow {
    scheme: &'static str,
    code: &'static str,
    valid_from: NaiveDate,
    reason: Reason,
}

/// How debits of `scheme` are taken on a day.
pub fn policy(scheme: Option<&str>, on: NaiveDate) -> Policy {
    POLICIES
        .iter()
        .filter(|row| scheme == Some(row.scheme) && row.valid_from <= on)
        .max_by_key(|row| row.valid_from)
        .map_or(
            Policy {
                role: Role::Unknown,
                window_days: None,
                in_part: false,
                may_be_won: false,
            },
            |row| row.policy,
        )
}

/// What a bank's code means: the scheme's own first, then the ISO one.
pub fn reason(scheme: Option<&str>, code: &str, on: NaiveDate) -> Option<Reason> {
    let code = code.trim();
    // Card schemes number the cases of a category: 13.1 is a case of 13.
    let category = code.split('.').next().unwrap_or(code);
    let find = |scheme: &str, code: &str| {
        REASONS
            .iter()
            .filter(|row| {
                row.scheme == scheme && row.code.eq_ignore_ascii_case(code) && row.valid_from <= on
            })
            .max_by_key(|row| row.valid_from)
            .map(|row| row.reason)
    };
    scheme
        .and_then(|scheme| find(scheme, code).or_else(|| find(scheme, category)))
        .or_else(|| find("iso", code))
}

// A row that is none is left out and caught by the tests below: production code
// must not panic over its own data.
static POLICIES: LazyLock<Vec<PolicyRow>> = LazyLock::new(|| {
    table(include_str!("schemes.csv"))
        .filter_map(|row| policy_row(&row))
        .collect()
});
static REASONS: LazyLock<Vec<ReasonRow>> = LazyLock::new(|| {
    table(include_str!("reasons.csv"))
        .filter_map(|row| reason_row(&row))
        .collect()
});

fn table(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    rows_between(text, ';')
}

fn yes(field: &str) -> Option<bool> {
    match field {
        "y" => Some(true),
        "n" => Some(false),
        _ => None,
    }
}

fn policy_row(row: &[&'static str]) -> Option<PolicyRow> {
    let [scheme, role, valid_from, window, in_part, won] = row else {
        return None;
    };
    Some(PolicyRow {
        scheme,
        valid_from: valid_from.parse().ok()?,
        policy: Policy {
            role: match *role {
                "return" => Role::Return,
                "ours" => Role::Ours,
                _ => return None,
            },
            window_days: match *window {
                "" => None,
                days => Some(days.parse().ok()?),
            },
            in_part: yes(in_part)?,
            may_be_won: yes(won)?,
        },
    })
}

fn reason_row(row: &[&'static str]) -> Option<ReasonRow> {
    let [
        scheme,
        code,
        valid_from,
        again,
        months,
        stop,
        meaning,
        action,
    ] = row
    else {
        return None;
    };
    Some(ReasonRow {
        scheme,
        code,
        valid_from: valid_from.parse().ok()?,
        reason: Reason {
            meaning,
            action,
            may_present_again: yes(again)?,
            again_months: match *months {
                "" => None,
                months => Some(months.parse().ok()?),
            },
            stops_chasing: yes(stop)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day() -> NaiveDate {
        "2026-03-02".parse().unwrap()
    }

    #[test]
    fn every_row_of_the_tables_is_read() {
        assert_eq!(POLICIES.len(), table(include_str!("schemes.csv")).count());
        assert_eq!(REASONS.len(), table(include_str!("reasons.csv")).count());
    }

    /// E36: never for another code than refer to payer, and never later than a
    /// month after the payment.
    #[test]
    fn e36_only_refer_to_payer_may_be_presented_again_within_a_month() {
        let of = |code| reason(Some("dd_return"), code, day()).unwrap();
        let until = |day: &str| day.parse::<NaiveDate>().unwrap();
        let again = of("0").again_until(until("2026-01-31"));
        assert_eq!(again, Some(Some(until("2026-02-28"))));
        assert_eq!(of("1").again_until(day()), None);
        let cheque = reason(
            Some("cheque_return"),
            "refer to drawer please represent",
            day(),
        );
        assert_eq!(cheque.unwrap().again_until(day()), Some(None));
    }

    /// E37: death stops everything, and nothing else does.
    #[test]
    fn e37_only_death_stops_chasing() {
        let of = |code| reason(Some("dd_return"), code, day()).unwrap();
        assert!(of("0").may_present_again);
        for code in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B"] {
            assert!(!of(code).may_present_again, "{code}");
            assert_eq!(of(code).stops_chasing, code == "2");
        }
        assert_eq!(of("b").meaning, "Account closed");
    }

    #[test]
    fn a_code_means_what_its_scheme_says_and_else_what_iso_says() {
        assert_ne!(
            reason(Some("dd_return"), "1", day()),
            reason(Some("ddic"), "1", day())
        );
        assert_eq!(
            reason(Some("dd_return"), "AM04", day()).unwrap().meaning,
            "Not enough funds"
        );
        assert_eq!(
            reason(Some("card"), "13.1", day()).unwrap().meaning,
            "Cardholder dispute"
        );
        assert_eq!(reason(None, "0", day()), None);
        assert_eq!(reason(Some("ddic"), "Z", day()), None);
    }

    #[test]
    fn what_nobody_knows_is_no_return_by_itself() {
        assert_eq!(policy(Some("fps"), day()).role, Role::Unknown);
        assert_eq!(policy(None, day()).role, Role::Unknown);
        assert_eq!(policy(Some("charge"), day()).role, Role::Ours);
        assert_eq!(policy(Some("ddic"), day()).window_days, None);
    }
}
