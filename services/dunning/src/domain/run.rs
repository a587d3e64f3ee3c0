//! A run's proposal: what stands in it for each account, how it adds up, and
//! what is frozen for the second person.

use std::collections::BTreeMap;

use contracts::{
    api::dunning::{RunAccountState, RunScope},
    dunning::{Channel, ChaseReason, RunState, RunTally, StatementExclusion},
};
use kernel::{AccountId, Classified, Currency, DocumentId, ErrorClass, Money, MoneyError};
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};

use super::chase::{Contacting, Judgement, Position, Verdict};

/// An account in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub account: AccountId,
    pub account_ref: String,
    pub policy: Option<(String, i32)>,
    /// Nobody is contacted without.
    pub contact: Option<Contacting>,
    pub verdicts: Vec<Verdict>,
    /// Of a statement, what only it has.
    pub statement: Option<OfStatement>,
}

/// What the line of a statement has beside that of a reminder. A verdict is a
/// line of it, and what may be chased is what is due now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfStatement {
    /// What is open of each document.
    pub opens: Vec<Money>,
    /// Which of them are overdue.
    pub overdue: Vec<bool>,
    pub excluded: Option<StatementExclusion>,
    pub in_name_of: Option<String>,
}

/// Whether a scope has an account, as far as its debts do not matter.
pub fn inside(position: &Position, scope: &RunScope) -> bool {
    fits(&scope.segments, position.segment.as_deref())
        && fits(&scope.principals, position.principal.as_deref())
        && fits(&scope.accounts, Some(&position.account_ref))
}

fn fits(wanted: &[String], has: Option<&str>) -> bool {
    wanted.is_empty()
        || has.is_some_and(|has| wanted.iter().any(|one| one.eq_ignore_ascii_case(has)))
}

impl Line {
    /// What a run has for an account; nothing if nothing is overdue, or it is
    /// not in the run's scope.
    pub fn of(position: &Position, judgement: Judgement, scope: &RunScope) -> Option<Self> {
        if judgement.verdicts.is_empty() {
            return None;
        }
        let policy = judgement.policy.as_ref().map(|(policy, _)| policy.as_str());
        let by_channel = scope.channels.is_empty()
            || judgement
                .contact
                .as_ref()
                .is_none_or(|contact| scope.channels.contains(&contact.channel));
        let wanted = fits(&scope.policies, policy) && inside(position, scope) && by_channel;
        wanted.then(|| Self {
            account: position.account,
            account_ref: position.account_ref.clone(),
            policy: judgement.policy,
            contact: judgement.contact,
            verdicts: judgement.verdicts,
            statement: None,
        })
    }

    /// The stage that it brings them to; a statement brings them to none.
    pub fn rank(&self) -> Option<i16> {
        let contact = self.contact.as_ref()?;
        self.statement.is_none().then_some(contact.rank)
    }

    /// Of a statement what is open of each document.
    pub fn opens(&self) -> &[Money] {
        self.statement.as_ref().map_or(&[], |of| &of.opens)
    }

    pub fn excluded(&self) -> Option<StatementExclusion> {
        self.statement.as_ref()?.excluded
    }

    pub fn in_name_of(&self) -> Option<&str> {
        self.statement.as_ref()?.in_name_of.as_deref()
    }

    pub const fn state(&self) -> RunAccountState {
        match self.contact {
            Some(_) => RunAccountState::Proposed,
            None => RunAccountState::Excluded,
        }
    }

    /// What a run counts by reason: overdue items, and those that a stage before
    /// the due day has come for.
    pub fn counted(&self) -> impl Iterator<Item = &Verdict> {
        let overdue = self.statement.as_ref().map(|of| &of.overdue);
        self.verdicts
            .iter()
            .enumerate()
            .filter_map(move |(n, one)| {
                let counts = overdue.is_none_or(|all| all.get(n).copied().unwrap_or_default());
                counts.then_some(one)
            })
    }

    pub fn frozen(&self) -> Option<Frozen<'_>> {
        let contact = self.contact.as_ref()?;
        Some(Frozen {
            account: self.account,
            stage: &contact.stage,
            channel: contact.channel,
            template: &contact.template,
            sentence: "",
            in_name_of: self.in_name_of(),
            items: match &self.statement {
                None => self
                    .verdicts
                    .iter()
                    .filter(|verdict| verdict.is_chased())
                    .map(|verdict| (verdict.document, verdict.to, verdict.chaseable))
                    .collect(),
                Some(of) => shown(
                    self.verdicts
                        .iter()
                        .zip(&of.opens)
                        .map(|(verdict, open)| (verdict.document, *open, verdict.chaseable)),
                ),
            },
        })
    }
}

/// Every line of a statement is frozen: with what is open of it, and with what is
/// due now.
pub fn shown(
    lines: impl Iterator<Item = (DocumentId, Money, Money)>,
) -> Vec<(DocumentId, Option<i16>, Money)> {
    lines
        .flat_map(|(document, open, due_now)| [(document, None, open), (document, None, due_now)])
        .collect()
}

/// What a second person approves of one account, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen<'a> {
    pub account: AccountId,
    pub stage: &'a str,
    pub channel: Channel,
    pub template: &'a str,
    pub sentence: &'a str,
    pub in_name_of: Option<&'a str>,
    pub items: Vec<(DocumentId, Option<i16>, Money)>,
}

/// The digest of a range, fed in the order of the accounts.
#[derive(Debug, Default)]
pub struct Freezer(Sha256);

impl Freezer {
    pub fn add(&mut self, frozen: &Frozen<'_>) {
        // Lengths go first where people write: nothing can be moved from one
        // field into the next.
        let head = format!(
            "{}|{}|{}|{}|{}:{}",
            frozen.account,
            frozen.stage,
            frozen.channel.name(),
            frozen.template,
            frozen.sentence.len(),
            frozen.sentence
        );
        self.0.update(head.as_bytes());
        if let Some(name) = frozen.in_name_of {
            self.0
                .update(format!("|for {}:{name}", name.len()).as_bytes());
        }
        for (document, rank, amount) in &frozen.items {
            let item = format!(
                "|{document}:{}:{} {}",
                rank.unwrap_or_default(),
                amount.amount(),
                amount.currency()
            );
            self.0.update(item.as_bytes());
        }
        self.0.update(b"\n");
    }

    pub fn digest(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

/// What stands for a whole run: the digests of its ranges in their order.
pub fn content_sha256<'d>(ranges: impl IntoIterator<Item = &'d [u8]>) -> String {
    let mut all = Sha256::new();
    for digest in ranges {
        all.update(digest);
    }
    hex::encode(all.finalize())
}

/// Items, accounts and amounts by reason and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    rows: BTreeMap<(ChaseReason, Currency), (i64, i64, Decimal)>,
}

impl Tally {
    /// Counts an account: each of its items once, itself once for each reason.
    pub fn add<'v>(&mut self, verdicts: impl IntoIterator<Item = &'v Verdict>) {
        let mut seen: Vec<(ChaseReason, Currency)> = Vec::new();
        for verdict in verdicts {
            let key = (verdict.reason, verdict.chaseable.currency());
            let row = self.rows.entry(key).or_default();
            row.0 += 1;
            row.2 += verdict.chaseable.amount();
            if !seen.contains(&key) {
                seen.push(key);
                row.1 += 1;
            }
        }
    }

    /// # Errors
    /// When a sum overflows.
    pub fn rows(&self) -> Result<Vec<RunTally>, MoneyError> {
        self.rows
            .iter()
            .map(|((reason, currency), (items, accounts, amount))| {
                Ok(RunTally {
                    reason: *reason,
                    items: *items,
                    accounts: *accounts,
                    amount: Money::try_new(*amount, *currency)?,
                })
            })
            .collect()
    }

    pub fn take_in(&mut self, rows: &[RunTally]) {
        for other in rows {
            let row = self
                .rows
                .entry((other.reason, other.amount.currency()))
                .or_default();
            row.0 += other.items;
            row.1 += other.accounts;
            row.2 += other.amount.amount();
        }
    }

    /// Items with a reason.
    pub fn items(&self) -> i64 {
        self.rows.values().map(|(items, ..)| items).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefused {
    #[error("a run of {later} is there already: none can be made for an earlier day")]
    LaterRun { later: chrono::NaiveDate },
    #[error("a run is made for today or a day before it, not for a day to come")]
    Future,
    #[error("run {0} is being worked out: two at once would claim the same debts")]
    Busy(uuid::Uuid),
    #[error("a run that is {} cannot be {what}", .state.name().replace('_', " "))]
    Wrong { state: RunState, what: &'static str },
    #[error("the run has changed since: its version is {0} now")]
    Changed(i64),
    #[error("nobody would be contacted: there is nothing to approve")]
    Empty,
    #[error("the account is not contacted by this run: {0}")]
    NotContacted(&'static str),
}

impl Classified for RunRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::LaterRun { .. } => "dunning.later_run",
            Self::Future => "dunning.run_in_future",
            Self::Busy(_) => "dunning.run_busy",
            Self::Wrong { .. } => "dunning.run_state",
            Self::Changed(_) => "dunning.run_changed",
            Self::Empty => "dunning.run_empty",
            Self::NotContacted(_) => "dunning.not_contacted",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Future => ErrorClass::Permanent,
            _ => ErrorClass::Conflict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn frozen(sentence: &str) -> Frozen<'_> {
        Frozen {
            account: "0192f0c0-0000-7000-8000-000000000001".parse().unwrap(),
            stage: "reminder",
            channel: Channel::Email,
            template: "reminder",
            sentence,
            in_name_of: None,
            items: vec![(DocumentId::generate(), Some(20), gbp("10.00"))],
        }
    }

    fn digest(all: &[&Frozen<'_>]) -> Vec<u8> {
        let mut freezer = Freezer::default();
        for one in all {
            freezer.add(one);
        }
        freezer.digest()
    }

    #[test]
    fn whatever_is_changed_freezes_to_something_else() {
        let plain = frozen("");
        let same = plain.clone();
        assert_eq!(digest(&[&plain]), digest(&[&same]));
        for change in [
            |one: &mut Frozen<'_>| one.sentence = "Thank you.",
            |one: &mut Frozen<'_>| one.stage = "final_demand",
            |one: &mut Frozen<'_>| one.channel = Channel::Letter,
            |one: &mut Frozen<'_>| one.template = "other",
            |one: &mut Frozen<'_>| one.in_name_of = Some("Principal"),
            |one: &mut Frozen<'_>| one.items[0].1 = Some(30),
            |one: &mut Frozen<'_>| one.items[0].2 = gbp("10.01"),
        ] {
            let mut other = plain.clone();
            change(&mut other);
            assert_ne!(digest(&[&plain]), digest(&[&other]));
        }
        assert_ne!(digest(&[&plain]), digest(&[&plain, &same]));
    }

    #[test]
    fn every_item_is_counted_once_and_every_account_once_for_each_reason() {
        let verdict = |reason, amount| Verdict {
            document: DocumentId::generate(),
            reason,
            hold: None,
            chaseable: gbp(amount),
            from: None,
            to: None,
            next_on: None,
        };
        let mut tally = Tally::default();
        tally.add(&[
            verdict(ChaseReason::ChaseNow, "10.00"),
            verdict(ChaseReason::ChaseNow, "5.00"),
            verdict(ChaseReason::OnHold, "0.00"),
        ]);
        let mut all = Tally::default();
        all.take_in(&tally.rows().unwrap());
        all.take_in(&tally.rows().unwrap());
        assert_eq!(all.items(), 6);
        let chased = all.rows().unwrap().pop().unwrap();
        assert_eq!((chased.items, chased.accounts), (4, 2));
        assert_eq!(chased.amount, gbp("30.00"));
    }
}
