//! Policies: when who is chased, and how. Versioned data; what is under way
//! keeps the version that it began with.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{dunning::Channel, inbound::AccountKind};
use kernel::{Classified, Currency, ErrorClass, Money};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Amounts by currency: what is not named is nothing.
pub type Amounts = BTreeMap<Currency, Decimal>;

/// One version of a policy. Days are calendar days unless a name says working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub policy: String,
    pub version: i32,
    /// The London day from which new work takes it up.
    pub valid_from: NaiveDate,
    pub title: String,
    /// What the desk's manual says above the stages.
    #[serde(default)]
    pub manual: String,
    /// Kinds of debtors that it is for: all when empty.
    #[serde(default)]
    pub debtors: Vec<AccountKind>,
    /// Segments that it is for, before a policy without: any when empty.
    #[serde(default)]
    pub segments: Vec<String>,
    /// Accounts that it is for, before anything else.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Whether an item goes to the last stage whose day has come, and not one at
    /// a time.
    #[serde(default)]
    pub jump: bool,
    /// After a stop ends, nobody is contacted about what it stopped for as long.
    pub cool_off_days: u32,
    /// No run when a bank feed is older.
    pub feed_fresh_hours: u32,
    /// The least that an account is contacted about, per currency (E51, E52).
    #[serde(default)]
    pub minimum: Amounts,
    pub budget: Budget,
    pub promise: PromiseRules,
    pub plan: PlanRules,
    pub interest: InterestRules,
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// At most so many contacts in so many days, over all channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub contacts: u32,
    pub days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromiseRules {
    /// What may be missing of a promise that still counts as kept.
    pub tolerance: Decimal,
    /// Working days after the promised one in which it still counts (E82).
    pub grace_working_days: u32,
    /// So many broken promises, and a further one stops nothing.
    pub levels: u32,
    /// Whether cash to other documents of the account keeps it too (E81).
    #[serde(default)]
    pub anywhere: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanRules {
    pub grace_working_days: u32,
    /// So many missed instalments, and the plan is in default.
    pub missed: u32,
    pub interest_frozen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum InterestRules {
    None,
    /// The Act: which rate across a half-year's end (E71), and whether claims are
    /// posted by themselves.
    Statutory {
        across: AcrossHalfYears,
        post: bool,
    },
    /// Percent a year, as the contract says.
    Contract {
        percent: Decimal,
        post: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcrossHalfYears {
    Fixed,
    Split,
}

/// What a stage is before the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalClass {
    Courtesy,
    Reminder,
    Demand,
    /// Practice Direction on Pre-Action Conduct.
    BeforeAction,
    /// Pre-Action Protocol for Debt Claims: individuals and sole traders.
    Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub code: String,
    /// Where it stands among the stages: an item at a stage that a later version
    /// does not have goes on with the first of a higher rank (E58). Two stages
    /// of one rank are for different debtors.
    pub rank: i16,
    pub title: String,
    /// Days after the due day, what stopped it subtracted; negative before it.
    pub days_past_due: i64,
    /// Days since the reminder before was actually sent.
    #[serde(default)]
    pub days_since_last: u32,
    /// Counted from the end of the month in which it was due.
    #[serde(default)]
    pub month_end: bool,
    /// The first that can reach them.
    pub channels: Vec<Channel>,
    pub template: String,
    pub legal: LegalClass,
    /// The least that an account is contacted about at this stage.
    #[serde(default)]
    pub minimum: Amounts,
    /// What the reminder costs the debtor.
    #[serde(default)]
    pub charge: Amounts,
    #[serde(default)]
    pub debtors: Vec<AccountKind>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy cannot be read: {0}")]
    Unreadable(String),
    #[error("{field}: {detail}")]
    Wrong { field: String, detail: String },
}

impl Classified for PolicyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "dunning.policy_unreadable",
            Self::Wrong { .. } => "dunning.policy_wrong",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// The built-in examples, oldest first.
const SHIPPED: [&str; 5] = [
    include_str!("../../data/policies/trade-credit.toml"),
    include_str!("../../data/policies/broker.toml"),
    include_str!("../../data/policies/insurance-principal.toml"),
    include_str!("../../data/policies/council-sundry.toml"),
    include_str!("../../data/policies/legal-file.toml"),
];

/// Who is to be chased, as far as a policy asks.
#[derive(Debug, Clone, Copy)]
pub struct Debtor<'a> {
    pub account_ref: &'a str,
    pub kind: Option<AccountKind>,
    pub segment: Option<&'a str>,
}

impl Policy {
    /// Reads a policy as it is written for people.
    ///
    /// # Errors
    /// When it is no policy, or contradicts itself: the field is named.
    pub fn read(text: &str) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|e| PolicyError::Unreadable(e.to_string()))?;
        policy.check()?;
        Ok(policy)
    }

    /// What the program comes with.
    ///
    /// # Errors
    /// When it is wrong, which a test rules out.
    pub fn shipped() -> Result<Vec<Self>, PolicyError> {
        SHIPPED.iter().map(|text| Self::read(text)).collect()
    }

    /// # Errors
    /// When it contradicts itself: the field is named.
    pub fn check(&self) -> Result<(), PolicyError> {
        let wrong = |field: String, detail: &str| {
            Err(PolicyError::Wrong {
                field,
                detail: detail.to_owned(),
            })
        };
        if self.stages.is_empty() {
            return wrong("stage".to_owned(), "a policy has at least one stage");
        }
        if self.budget.days == 0 || self.budget.contacts == 0 {
            return wrong("budget".to_owned(), "at least one contact in one day");
        }
        let mut before: Option<&Stage> = None;
        for (n, stage) in self.stages.iter().enumerate() {
            if stage.channels.is_empty() {
                return wrong(format!("stage[{n}].channels"), "at least one");
            }
            if self.stages.iter().filter(|s| s.code == stage.code).count() > 1 {
                return wrong(format!("stage[{n}].code"), "two stages have this code");
            }
            if before.is_some_and(|last| stage.rank < last.rank) {
                return wrong(format!("stage[{n}].rank"), "stages stand in their order");
            }
            if before.is_some_and(|last| stage.rank == last.rank && overlap(last, stage)) {
                return wrong(
                    format!("stage[{n}].debtors"),
                    "two stages of one rank are for different debtors",
                );
            }
            before = Some(stage);
        }
        Ok(())
    }

    /// The next stage after a rank, for this kind of debtor.
    pub fn after(&self, rank: Option<i16>, kind: Option<AccountKind>) -> Option<&Stage> {
        self.stages
            .iter()
            .find(|stage| rank.is_none_or(|rank| stage.rank > rank) && stage.is_for(kind))
    }

    pub fn stage(&self, code: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.code == code)
    }

    /// How well it fits a debtor; nothing when it does not.
    fn fits(&self, debtor: Debtor<'_>) -> Option<u8> {
        if self.accounts.iter().any(|one| one == debtor.account_ref) {
            return Some(3);
        }
        let kind_fits =
            self.debtors.is_empty() || debtor.kind.is_none_or(|kind| self.debtors.contains(&kind));
        if !kind_fits {
            return None;
        }
        if self.segments.is_empty() {
            return Some(1);
        }
        let named = |segment: &str| {
            self.segments
                .iter()
                .any(|one| one.eq_ignore_ascii_case(segment))
        };
        debtor.segment.is_some_and(named).then_some(2)
    }
}

fn overlap(a: &Stage, b: &Stage) -> bool {
    a.debtors.is_empty()
        || b.debtors.is_empty()
        || a.debtors.iter().any(|kind| b.debtors.contains(kind))
}

impl Stage {
    /// Whether it is for this kind of debtor. Of one whose kind is not known we
    /// assume a person: the law protects those more.
    pub fn is_for(&self, kind: Option<AccountKind>) -> bool {
        self.debtors.is_empty()
            || self
                .debtors
                .contains(&kind.unwrap_or(AccountKind::Individual))
    }

    /// Before the due day: nothing is owed yet.
    pub const fn is_courtesy(&self) -> bool {
        self.days_past_due < 0
    }

    pub fn least(&self, currency: Currency, policy: &Policy) -> Decimal {
        let of = |amounts: &Amounts| amounts.get(&currency).copied().unwrap_or_default();
        of(&self.minimum).max(of(&policy.minimum))
    }

    /// What the reminder costs the debtor, in one currency.
    pub fn charged(&self, currency: Currency) -> Option<Money> {
        let amount = self.charge.get(&currency)?;
        Money::try_new(*amount, currency)
            .ok()
            .filter(|charge| charge.is_positive())
    }
}

/// The policies that may be in force: the newest valid version of each, and the
/// older ones for what began under them.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    all: Vec<Policy>,
}

impl Policies {
    pub fn new(mut all: Vec<Policy>) -> Self {
        all.sort_by(|a, b| (&a.policy, a.version).cmp(&(&b.policy, b.version)));
        Self { all }
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

    /// The one for a debtor: that which names the account, else the segment,
    /// else that for everybody of its kind; of two that fit as well, the one
    /// whose name comes first.
    pub fn choose(&self, debtor: Debtor<'_>, day: NaiveDate) -> Option<&Policy> {
        let mut best: Option<(u8, &Policy)> = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn debtor(segment: Option<&'static str>, kind: AccountKind) -> Debtor<'static> {
        Debtor {
            account_ref: "A1",
            kind: Some(kind),
            segment,
        }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_program_comes_with_can_be_read() {
        assert_eq!(Policy::shipped().unwrap().len(), SHIPPED.len());
    }

    #[test]
    fn a_segment_goes_before_everybody_and_an_account_before_a_segment() {
        let mut all = Policy::shipped().unwrap();
        let policies = Policies::new(all.clone());
        let on = day("2026-11-27");
        let of = |debtor| policies.choose(debtor, on).map(|p| p.policy.as_str());
        assert_eq!(
            of(debtor(Some("Broker"), AccountKind::Company)),
            Some("broker")
        );
        assert_eq!(of(debtor(None, AccountKind::Company)), Some("trade_credit"));
        assert_eq!(of(debtor(None, AccountKind::Individual)), None);
        all.iter_mut()
            .find(|p| p.policy == "council_sundry")
            .unwrap()
            .accounts
            .push("A1".to_owned());
        let policies = Policies::new(all);
        let chosen = policies.choose(debtor(Some("broker"), AccountKind::Company), on);
        assert_eq!(chosen.unwrap().policy, "council_sundry");
    }

    /// E58: a stage that a later version does not have any more.
    #[test]
    fn an_item_at_a_deleted_stage_goes_on_with_the_next_higher_rank() {
        let policy = &Policy::shipped().unwrap()[0];
        let kind = Some(AccountKind::Company);
        assert_eq!(policy.after(Some(45), kind).unwrap().code, "final_demand");
        assert_eq!(policy.after(Some(60), kind), None);
        assert_eq!(policy.after(None, kind).unwrap().code, "before_due");
    }

    #[test]
    fn the_law_of_the_debtor_picks_the_last_letter() {
        let policy = &Policy::shipped().unwrap()[0];
        let last = |kind| policy.after(Some(50), kind).unwrap().code.as_str();
        assert_eq!(last(Some(AccountKind::Company)), "letter_before_action");
        assert_eq!(last(Some(AccountKind::SoleTrader)), "letter_of_claim");
        assert_eq!(last(None), "letter_of_claim");
    }

    #[test]
    fn a_policy_that_contradicts_itself_is_refused_with_the_field() {
        let good = SHIPPED[1];
        let twice = good.replace("code = \"call\"", "code = \"final_demand\"");
        let error = Policy::read(&twice).unwrap_err();
        assert!(error.to_string().starts_with("stage["), "{error}");
        let late = good.replace("rank = 40", "rank = 10");
        assert!(
            Policy::read(&late)
                .unwrap_err()
                .to_string()
                .contains("rank")
        );
        let unknown = good.replace("cool_off_days = 3", "cool_off_day = 3");
        assert!(matches!(
            Policy::read(&unknown),
            Err(PolicyError::Unreadable(_))
        ));
    }

    #[test]
    fn a_newer_version_counts_from_its_day() {
        let mut newer = Policy::shipped().unwrap().remove(0);
        newer.version = 2;
        newer.valid_from = day("2026-12-01");
        let mut all = Policy::shipped().unwrap();
        all.push(newer);
        let policies = Policies::new(all);
        let version = |on: &str| {
            let debtor = debtor(None, AccountKind::Company);
            policies.choose(debtor, day(on)).unwrap().version
        };
        assert_eq!(version("2026-11-30"), 1);
        assert_eq!(version("2026-12-01"), 2);
    }
}
