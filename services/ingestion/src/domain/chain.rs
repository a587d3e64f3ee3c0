//! The statements of one account in a row: whether each follows the one before.
//!
//! Files come in any order, and one may come late: the whole row is judged again
//! then, which is cheap even after years of daily statements.

use chrono::NaiveDate;
use kernel::{BankAccount, Money, StatementId};

use super::{
    file::told,
    line::Statement,
    proof::{self, Previous},
};

/// What of a recorded statement counts for its place in the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub statement_id: StatementId,
    pub sequence: Option<i64>,
    pub first_day: Option<NaiveDate>,
    pub closes_on: Option<NaiveDate>,
    pub opening: Option<Money>,
    pub closing: Option<Money>,
    /// As judged so far.
    pub continues: Option<bool>,
    pub gaps: Vec<String>,
}

/// Judges a row of statements, the oldest first, and gives back those that are
/// judged differently now.
pub fn judge(links: Vec<Link>) -> Vec<Link> {
    let mut previous: Option<Previous> = None;
    let mut changed = Vec::new();
    for mut link in links {
        let statement = shell(&link);
        let judged = proof::continuity(previous.as_ref(), &statement);
        previous = Some(Previous::of(&statement));
        let gaps: Vec<String> = judged.problems.iter().map(told).collect();
        if (judged.continues, &gaps) != (link.continues, &link.gaps) {
            link.continues = judged.continues;
            link.gaps = gaps;
            changed.push(link);
        }
    }
    changed
}

/// The statement without what continuity does not look at.
fn shell(link: &Link) -> Statement {
    Statement {
        account: BankAccount::Other(String::new()),
        account_printed: String::new(),
        owner: None,
        servicer: None,
        message_id: None,
        id: String::new(),
        sequence: link.sequence.and_then(|n| u64::try_from(n).ok()),
        legal_sequence: None,
        page: None,
        copy_or_duplicate: None,
        created_on: None,
        from: link.first_day,
        to: None,
        currency: None,
        balances: Vec::new(),
        opening: link.opening,
        closing: link.closing,
        opens_on: None,
        closes_on: link.closes_on,
        ties: None,
        lines: Vec::new(),
        problems: Vec::new(),
    }
}
