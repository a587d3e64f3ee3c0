//! How often a rung may be wrong.

use contracts::rules::PrecisionBudget;

/// Whether `wrong` lines among `lines` automatic ones are more than the budget
/// allows. Fewer lines than the budget speaks of count as that many.
pub fn is_burnt(budget: PrecisionBudget, wrong: i64, lines: i64) -> bool {
    let per = i128::from(budget.lines.max(1));
    let lines = i128::from(lines).max(per);
    i128::from(wrong) * per > i128::from(budget.wrong) * lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_rung_is_not_judged_by_one_line_and_a_busy_one_in_proportion() {
        let budget = PrecisionBudget {
            wrong: 1,
            lines: 1_000,
            days: 90,
        };
        assert!(!is_burnt(budget, 1, 3));
        assert!(is_burnt(budget, 2, 3));
        assert!(is_burnt(budget, 2, 1_999));
        assert!(!is_burnt(budget, 2, 2_000));
        let none = PrecisionBudget { wrong: 0, ..budget };
        assert!(!is_burnt(none, 0, 5) && is_burnt(none, 1, 1_000_000));
    }
}
