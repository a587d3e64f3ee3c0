//! Who answers for a work item, and who has it: never nobody.

use chrono::{Datelike, NaiveDate};
use contracts::worklist::{CoverId, OwnerSource, Person, PortfolioRule};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// To whom everything falls while no person answers for the rest.
pub(crate) const QUEUE: &str = "queue:unowned";
/// Covers that are followed from one to the next.
const CHAIN_MAX: usize = 3;

/// What is known of a debtor account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub reference: String,
    pub name: String,
    pub segment: Option<String>,
    pub department: Option<String>,
    pub broken_promise_on: Option<NaiveDate>,
    pub last_contact_on: Option<NaiveDate>,
}

/// Somebody doing another's work now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cover {
    pub id: CoverId,
    pub owner: String,
    pub covered_by: String,
}

/// Everybody who works here, whose accounts are whose, and who covers for whom
/// today.
#[derive(Debug, Clone, Default)]
pub(crate) struct Staff {
    pub people: Vec<Person>,
    /// In the order in which they were made.
    pub rules: Vec<PortfolioRule>,
    pub covers: Vec<Cover>,
}

/// Whose an item is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub owner: String,
    pub source: OwnerSource,
    pub holder: String,
    pub cover_id: Option<CoverId>,
}

pub(crate) fn is_absent(person: &Person, day: NaiveDate) -> bool {
    person
        .absences
        .iter()
        .any(|absence| (absence.from..=absence.to).contains(&day))
}

/// Minutes for work of a person on a day.
pub(crate) fn minutes(person: &Person, day: NaiveDate) -> i32 {
    if !person.active || is_absent(person, day) {
        return 0;
    }
    let weekday = day.weekday().num_days_from_monday() as usize;
    person.minutes.get(weekday).copied().unwrap_or(0).max(0)
}

impl Staff {
    pub(crate) fn person(&self, actor: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.actor == actor)
    }

    /// Who a name in an event is: the actor, or the one person of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        let mut fits = self.people.iter().filter(|person| {
            person.active
                && (person.actor == name
                    || person.actor.strip_prefix("user:") == Some(name)
                    || person.name.eq_ignore_ascii_case(name))
        });
        match (fits.next(), fits.next()) {
            (Some(person), None) => Some(&person.actor),
            _ => None,
        }
    }

    pub(crate) fn default_owner(&self) -> &str {
        self.people
            .iter()
            .find(|person| person.active && person.answers_for_rest)
            .map_or(QUEUE, |person| &person.actor)
    }

    /// Whose portfolio an account is in: a named account before a range before a
    /// segment or department, a later rule before an earlier one. Whoever it is
    /// gets only work that they can do: an approval of theirs is not theirs.
    pub(crate) fn portfolio(&self, account: &Account, skill: &str) -> Option<&str> {
        let can = |actor: &str| {
            self.person(actor)
                .is_some_and(|person| person.active && person.skills.iter().any(|has| has == skill))
        };
        self.rules
            .iter()
            .enumerate()
            .filter(|(_, rule)| !rule.ended && can(&rule.owner) && meets(rule, account))
            .max_by_key(|(place, rule)| (rank(rule), *place))
            .map(|(_, rule)| rule.owner.as_str())
    }

    /// Whose a new item about `subject` is.
    pub(crate) fn owner(
        &self,
        subject: Uuid,
        account: Option<&Account>,
        skill: &str,
        wanted: Option<&str>,
        today: NaiveDate,
    ) -> Owned {
        let (owner, source) = if let Some(actor) = wanted.and_then(|name| self.named(name)) {
            (actor, OwnerSource::Assigned)
        } else if let Some(actor) = account.and_then(|account| self.portfolio(account, skill)) {
            (actor, OwnerSource::Portfolio)
        } else if let Some(actor) = self.by_skill(subject, skill, today) {
            (actor, OwnerSource::Skill)
        } else {
            (self.default_owner(), OwnerSource::Default)
        };
        self.with_cover(owner, source)
    }

    /// The same with whoever covers for the owner now.
    pub(crate) fn with_cover(&self, owner: &str, source: OwnerSource) -> Owned {
        let (holder, cover_id) = self.holder(owner);
        Owned {
            owner: owner.to_owned(),
            source,
            holder: holder.to_owned(),
            cover_id,
        }
    }

    /// Who does what is `owner`'s now: themselves, or who covers, or who covers
    /// for those.
    pub(crate) fn holder<'s>(&'s self, owner: &'s str) -> (&'s str, Option<CoverId>) {
        let mut holder = owner;
        let mut first = None;
        for _ in 0..CHAIN_MAX {
            match self.covers.iter().find(|cover| cover.owner == holder) {
                Some(cover) if cover.covered_by != owner => {
                    first.get_or_insert(cover.id);
                    holder = &cover.covered_by;
                }
                _ => break,
            }
        }
        (holder, first)
    }

    /// One of those who can, by the lot that the subject draws: the same subject
    /// stays with the same person, and those with more time draw more often.
    fn by_skill(&self, subject: Uuid, skill: &str, today: NaiveDate) -> Option<&str> {
        let can = |person: &&Person| person.active && person.skills.iter().any(|has| has == skill);
        let here: Vec<&Person> = self
            .people
            .iter()
            .filter(can)
            .filter(|person| !is_absent(person, today))
            .collect();
        // All away: still theirs.
        let here = if here.is_empty() {
            self.people.iter().filter(can).collect()
        } else {
            here
        };
        here.into_iter()
            .max_by_key(|person| {
                let lot = Sha256::new()
                    .chain_update(subject.as_bytes())
                    .chain_update(person.actor.as_bytes())
                    .finalize();
                let lot = lot
                    .iter()
                    .take(4)
                    .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
                let week: i32 = person.minutes.iter().copied().sum();
                lot * u64::from(week.clamp(1, 100_000).unsigned_abs())
            })
            .map(|person| person.actor.as_str())
    }
}

fn rank(rule: &PortfolioRule) -> u8 {
    match (&rule.account_ref, &rule.from_ref, &rule.to_ref) {
        (Some(_), _, _) => 2,
        (None, None, None) => 0,
        _ => 1,
    }
}

fn meets(rule: &PortfolioRule, account: &Account) -> bool {
    let same = |want: &Option<String>, have: Option<&str>| {
        want.as_deref().is_none_or(|want| have == Some(want))
    };
    same(&rule.account_ref, Some(&account.reference))
        && same(&rule.segment, account.segment.as_deref())
        && same(&rule.department, account.department.as_deref())
        && rule
            .from_ref
            .as_ref()
            .is_none_or(|from| account.reference >= *from)
        && rule
            .to_ref
            .as_ref()
            .is_none_or(|to| account.reference <= *to)
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
