//! The rules in force: which set is for whom, and what they need to know.

use std::collections::{BTreeMap, HashMap};

use chrono::{Days, NaiveDate};
use contracts::{
    allocation::{AdjustmentKind, Rule},
    rules::{RemainderAction, RuleScope, RuleSet, RungMode, When},
};
use kernel::{AccountId, Currency, Money, MoneyError};

use super::{LADDER, Policy, Settled, order::order};
use crate::domain::ledger::Books;

/// A rule set that decides.
#[derive(Debug, Clone)]
pub struct Live {
    pub version: i64,
    pub rules: RuleSet,
}

/// One row of the past: an account wrote off so much on that day.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    pub on: NaiveDate,
    pub way: When,
    pub amount: Money,
}

/// The rules in force, and what they need to know about accounts.
#[derive(Debug, Clone, Default)]
pub struct Rulebook {
    /// By the first day; among equal days the later version is behind.
    sets: BTreeMap<RuleScope, Vec<Live>>,
    /// Rungs that were wrong too often.
    pub demoted: Vec<(RuleScope, Rule)>,
    /// Reference and segment of accounts; needed for scopes beyond the ledger.
    pub who: HashMap<AccountId, (String, Option<String>)>,
    /// Small differences of the past.
    pub used: HashMap<AccountId, Vec<Used>>,
    /// Versions that decide beside these, and of which nothing comes.
    pub shadows: Vec<Live>,
}

impl Rulebook {
    pub fn new(live: impl IntoIterator<Item = Live>) -> Self {
        let mut sets: BTreeMap<RuleScope, Vec<Live>> = BTreeMap::new();
        for set in live {
            sets.entry(set.rules.scope.clone()).or_default().push(set);
        }
        for of_scope in sets.values_mut() {
            of_scope.sort_by_key(|live| (live.rules.valid_from, live.version));
        }
        Self {
            sets,
            ..Self::default()
        }
    }

    /// The same with `candidate` in place of what is live in its scope, whenever
    /// it would begin.
    #[must_use]
    pub fn with(&self, mut candidate: Live) -> Self {
        let mut book = self.clone();
        book.shadows.clear();
        candidate.rules.valid_from = NaiveDate::MIN;
        book.sets
            .insert(candidate.rules.scope.clone(), vec![candidate]);
        book
    }

    fn all(&self) -> impl Iterator<Item = &RuleSet> {
        self.sets.values().flatten().map(|live| &live.rules)
    }

    /// Whether accounts have to be known by reference and segment.
    pub fn needs_accounts(&self) -> bool {
        let shadows = self.shadows.iter().map(|shadow| &shadow.rules.scope);
        let mut scopes = self.sets.keys().chain(shadows);
        scopes.any(|scope| *scope != RuleScope::Ledger)
    }

    /// Whether more than what is due may become the draft of a refund.
    pub fn drafts_refunds(&self) -> bool {
        let mut rows = self.all().flat_map(|rules| &rules.remainders);
        rows.any(|row| row.action == RemainderAction::SuggestRefund)
    }

    /// Whether a shadow would settle differences.
    pub fn shadow_settles(&self) -> bool {
        let mut shadows = self.shadows.iter();
        shadows.any(|shadow| !shadow.rules.remainders.is_empty())
    }

    /// The longest time over which small differences add up under a shadow.
    pub fn longest_shadow_cap(&self) -> Option<u16> {
        let shadows = self.shadows.iter();
        shadows
            .filter_map(|shadow| Some(shadow.rules.tolerance.as_ref()?.cap.days))
            .max()
    }

    /// Whether differences are ever settled, so that more has to be looked at.
    pub fn settles_differences(&self) -> bool {
        self.all().any(|rules| !rules.remainders.is_empty())
    }

    /// Whether any rules have rungs in another order than the ladder's, or off: then
    /// more has to be looked at than the surest sign.
    pub fn reorders(&self) -> bool {
        self.all().any(|rules| {
            order(rules) != LADDER || rules.rungs.iter().any(|rung| rung.mode == RungMode::Off)
        })
    }

    /// The longest time over which small differences add up.
    pub fn longest_cap(&self) -> Option<u16> {
        self.all()
            .filter_map(|rules| Some(rules.tolerance.as_ref()?.cap.days))
            .max()
    }

    /// The policy for an account's receipts that were booked on a day.
    pub fn policy(
        &self,
        account: Option<AccountId>,
        on: NaiveDate,
        books: &Books,
    ) -> Option<Policy<'_>> {
        let (reference, segment) = account.map_or((None, None), |id| self.account(id, books));
        let scopes = [
            reference.map(RuleScope::Account),
            segment.map(RuleScope::Segment),
            Some(RuleScope::Ledger),
        ];
        for scope in scopes.into_iter().flatten() {
            let of_scope = self.sets.get_key_value(&scope);
            let found = of_scope.and_then(|(scope, sets)| {
                let live = sets.iter().rfind(|live| live.rules.valid_from <= on)?;
                Some((scope, live))
            });
            if let Some((scope, live)) = found {
                return Some(Policy {
                    version: live.version,
                    rules: &live.rules,
                    scope,
                    book: self,
                });
            }
        }
        super::SHIPPED_SET.as_ref().map(|rules| Policy {
            version: 0,
            rules,
            scope: &RuleScope::Ledger,
            book: self,
        })
    }

    fn account(&self, id: AccountId, books: &Books) -> (Option<String>, Option<String>) {
        if !self.needs_accounts() {
            return (None, None);
        }
        // What came in this very batch is the latest.
        if let Some(account) = books.accounts.get(&id) {
            return (Some(account.reference.clone()), account.segment.clone());
        }
        match self.who.get(&id) {
            Some((reference, segment)) => (Some(reference.clone()), segment.clone()),
            None => (None, None),
        }
    }

    /// Small differences of an account, one way, in `days` days up to `on`; those
    /// booked later count too.
    pub(super) fn used(
        &self,
        account: AccountId,
        way: When,
        currency: Currency,
        days: u16,
        on: NaiveDate,
    ) -> Result<Money, MoneyError> {
        let since = on.checked_sub_days(Days::new(days.into()));
        let of_account = self.used.get(&account).into_iter().flatten();
        let counted = of_account.filter(|used| {
            used.way == way
                && used.amount.currency() == currency
                && since.is_none_or(|since| used.on > since)
        });
        Money::sum(counted.map(|used| used.amount), currency)
    }

    /// Notes what was just written off, for the receipts behind it.
    pub fn use_up(&mut self, account: AccountId, on: NaiveDate, what: &Settled) {
        if what.kind == AdjustmentKind::SmallBalance {
            let way = if what.amount.is_negative() {
                When::Over
            } else {
                When::Under
            };
            self.used.entry(account).or_default().push(Used {
                on,
                way,
                amount: what.amount.abs(),
            });
        }
    }
}
