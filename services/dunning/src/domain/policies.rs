//! Which policy is for whom: by assignment, by what a policy names, by segment and
//! kind; the newest valid version of each.

use std::collections::HashMap;

use chrono::NaiveDate;
use contracts::{dunning::AssignTo, inbound::AccountKind};

use super::{
    enclosures::InForce,
    policy::{LegalClass, Policy},
};

/// Who is to be chased, as far as a policy asks.
#[derive(Debug, Clone, Copy)]
pub struct Debtor<'a> {
    pub account_ref: &'a str,
    pub parent_ref: Option<&'a str>,
    pub kind: Option<AccountKind>,
    pub segment: Option<&'a str>,
}

/// Which policy an account has, or every account of a parent, from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub to: AssignTo,
    pub reference: String,
    /// What segment and kind say again when absent.
    pub policy: Option<String>,
    pub valid_from: NaiveDate,
}

/// The policies that may be in force: the newest valid version of each, and the
/// older ones for what began under them.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    all: Vec<Policy>,
    /// In the order in which they were said.
    accounts: HashMap<String, Vec<Assignment>>,
    parents: HashMap<String, Vec<Assignment>>,
    forms: InForce,
}

impl Policies {
    pub fn new(mut all: Vec<Policy>) -> Self {
        all.sort_by(|a, b| (&a.policy, a.version).cmp(&(&b.policy, b.version)));
        Self {
            all,
            ..Self::default()
        }
    }

    /// With what was said of accounts and parents, the oldest first.
    #[must_use]
    pub fn with(mut self, assignments: Vec<Assignment>) -> Self {
        for one in assignments {
            let of = match one.to {
                AssignTo::Account => &mut self.accounts,
                AssignTo::Parent => &mut self.parents,
            };
            of.entry(one.reference.clone()).or_default().push(one);
        }
        self
    }

    /// With the official forms that are in force.
    #[must_use]
    pub fn enclosing(mut self, forms: InForce) -> Self {
        self.forms = forms;
        self
    }

    /// Whether everything is there that a letter of a class must have with it.
    pub fn encloses(&self, legal: LegalClass, kind: Option<AccountKind>, day: NaiveDate) -> bool {
        self.forms.suffices(legal, kind, day)
    }

    /// The policy that was last said of somebody for a day, if it is for such
    /// debtors.
    fn said(
        &self,
        all: Option<&Vec<Assignment>>,
        debtor: Debtor<'_>,
        day: NaiveDate,
    ) -> Option<&Policy> {
        // The last day counts; of one day, what was said last.
        let mut latest: Option<&Assignment> = None;
        for one in all?.iter().filter(|one| one.valid_from <= day) {
            if latest.is_none_or(|known| one.valid_from >= known.valid_from) {
                latest = Some(one);
            }
        }
        let name = latest?.policy.as_deref()?;
        self.valid(day)
            .find(|policy| policy.policy == name && policy.is_for(debtor.kind))
    }

    /// Every version of every policy, the newest of each first.
    pub fn each(&self) -> impl Iterator<Item = &Policy> {
        let mut all: Vec<&Policy> = self.all.iter().collect();
        all.sort_by(|a, b| (&a.policy, b.version).cmp(&(&b.policy, a.version)));
        all.into_iter()
    }

    pub fn get(&self, policy: &str, version: i32) -> Option<&Policy> {
        self.all
            .iter()
            .find(|one| one.policy == policy && one.version == version)
    }

    /// The newest version of each that is valid on a day.
    pub fn valid(&self, day: NaiveDate) -> impl Iterator<Item = &Policy> {
        self.all.iter().enumerate().filter_map(move |(n, one)| {
            let newer = self
                .all
                .iter()
                .skip(n + 1)
                .any(|other| other.policy == one.policy && other.valid_from <= day);
            (one.valid_from <= day && !newer).then_some(one)
        })
    }

    /// The one for a debtor: that which was assigned to the account, or names it;
    /// else that which was assigned to its parent; else that for its segment; else
    /// that for everybody of its kind. Of two that fit as well, the one whose name
    /// comes first.
    pub fn choose(&self, debtor: Debtor<'_>, day: NaiveDate) -> Option<&Policy> {
        let own = self.accounts.get(debtor.account_ref);
        if let Some(policy) = self.said(own, debtor, day) {
            return Some(policy);
        }
        let parent = debtor
            .parent_ref
            .and_then(|parent| self.parents.get(parent));
        // One that names the account (3) goes before that of its parent.
        let mut best: Option<(u8, &Policy)> =
            self.said(parent, debtor, day).map(|policy| (2, policy));
        for policy in self.valid(day) {
            if let Some(fit) = policy.fits(debtor)
                && best.is_none_or(|(known, _)| fit > known)
            {
                best = Some((fit, policy));
            }
        }
        best.map(|(_, policy)| policy)
    }
}
