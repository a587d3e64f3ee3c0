//! Policies: when who is chased, and how. Versioned data; what is under way
//! keeps the version that it began with.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use contracts::{
    dunning::{AssignTo, Channel},
    inbound::AccountKind,
};
use kernel::{Classified, Currency, ErrorClass, Money};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Stages of one policy.
const STAGES_MAX: usize = 30;

/// Amounts by currency: what is not named is nothing.
pub type Amounts = BTreeMap<Currency, Decimal>;

/// One version of a policy. Days are calendar days unless a name says working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub policy: String,
    /// Given to a draft by the service.
    #[serde(default)]
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
const SHIPPED: [&str; 6] = [
    include_str!("../../data/policies/trade-credit.toml"),
    include_str!("../../data/policies/broker.toml"),
    include_str!("../../data/policies/insurance-principal.toml"),
    include_str!("../../data/policies/council-sundry.toml"),
    include_str!("../../data/policies/legal-file.toml"),
    include_str!("../../data/policies/consumer.toml"),
];

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
    /// When it contradicts itself: the first field is named.
    pub fn check(&self) -> Result<(), PolicyError> {
        match self.faults().into_iter().next() {
            Some((field, detail)) => Err(PolicyError::Wrong { field, detail }),
            None => Ok(()),
        }
    }

    /// Where it contradicts itself: fields, and what is wrong with them.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut wrong = |field: String, detail: &str| faults.push((field, detail.to_owned()));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.policy.is_empty() || self.policy.len() > 60 || !self.policy.chars().all(plain) {
            let detail = "at most 60 lower-case letters, digits and underscores";
            wrong("policy".to_owned(), detail);
        }
        if self.stages.is_empty() || self.stages.len() > STAGES_MAX {
            wrong("stage".to_owned(), "a policy has 1 to 30 stages");
        }
        if self.budget.days == 0 || self.budget.contacts == 0 {
            wrong("budget".to_owned(), "at least one contact in one day");
        }
        if let InterestRules::Contract { percent, .. } = self.interest
            && !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&percent)
        {
            wrong("interest".to_owned(), "between 0 and 100 percent a year");
        }
        let negative = |amounts: &Amounts| amounts.values().any(|a| a.is_sign_negative());
        if negative(&self.minimum) {
            wrong("minimum".to_owned(), "no amount is below nothing");
        }
        let mut before: Option<&Stage> = None;
        for (n, stage) in self.stages.iter().enumerate() {
            let at = |field: &str| format!("stage[{n}].{field}");
            if stage.channels.is_empty() {
                wrong(at("channels"), "at least one");
            }
            if self.stages.iter().filter(|s| s.code == stage.code).count() > 1 {
                wrong(at("code"), "two stages have this code");
            }
            if before.is_some_and(|last| stage.rank < last.rank) {
                wrong(at("rank"), "stages stand in their order");
            }
            if before.is_some_and(|last| stage.rank == last.rank && overlap(last, stage)) {
                let detail = "two stages of one rank are for different debtors";
                wrong(at("debtors"), detail);
            }
            if before.is_none() && stage.days_since_last > 0 {
                let detail = "before the first stage there is no reminder to count from";
                wrong(at("days_since_last"), detail);
            }
            if negative(&stage.minimum) {
                wrong(at("minimum"), "no amount is below nothing");
            }
            if negative(&stage.charge) {
                wrong(at("charge"), "no amount is below nothing");
            }
            let person = [AccountKind::Individual, AccountKind::SoleTrader];
            if stage.legal == LegalClass::BeforeAction
                && person.iter().any(|kind| self.reaches(stage, *kind))
            {
                let detail = "individuals and sole traders get a letter of claim: Pre-Action \
                              Protocol for Debt Claims, 1.1";
                wrong(at("legal"), detail);
            }
            before = Some(stage);
        }
        faults
    }

    /// Whether a stage is for debtors of a kind that the policy is for.
    fn reaches(&self, stage: &Stage, kind: AccountKind) -> bool {
        let has = |kinds: &[AccountKind]| kinds.is_empty() || kinds.contains(&kind);
        has(&self.debtors) && has(&stage.debtors)
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

    /// Whether it is for debtors of a kind; of one whose kind is not known, it may be.
    pub fn is_for(&self, kind: Option<AccountKind>) -> bool {
        self.debtors.is_empty() || kind.is_none_or(|kind| self.debtors.contains(&kind))
    }

    /// How well it fits a debtor; nothing when it does not.
    fn fits(&self, debtor: Debtor<'_>) -> Option<u8> {
        if self.accounts.iter().any(|one| one == debtor.account_ref) {
            return Some(3);
        }
        if !self.is_for(debtor.kind) {
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

impl LegalClass {
    pub const ALL: [Self; 5] = [
        Self::Courtesy,
        Self::Reminder,
        Self::Demand,
        Self::BeforeAction,
        Self::Protocol,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Courtesy => "courtesy",
            Self::Reminder => "reminder",
            Self::Demand => "demand",
            Self::BeforeAction => "before_action",
            Self::Protocol => "protocol",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
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
    /// In the order in which they were said.
    accounts: HashMap<String, Vec<Assignment>>,
    parents: HashMap<String, Vec<Assignment>>,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn debtor(segment: Option<&'static str>, kind: AccountKind) -> Debtor<'static> {
        Debtor {
            account_ref: "A1",
            parent_ref: Some("P1"),
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
        assert_eq!(of(debtor(None, AccountKind::Individual)), Some("consumer"));
        all.iter_mut()
            .find(|p| p.policy == "council_sundry")
            .unwrap()
            .accounts
            .push("A1".to_owned());
        let policies = Policies::new(all);
        let chosen = policies.choose(debtor(Some("broker"), AccountKind::Company), on);
        assert_eq!(chosen.unwrap().policy, "council_sundry");
    }

    #[test]
    fn an_assignment_goes_before_segments_and_the_accounts_before_its_parents() {
        let said = |to, reference: &str, policy: Option<&str>, from: &str| Assignment {
            to,
            reference: reference.to_owned(),
            policy: policy.map(str::to_owned),
            valid_from: day(from),
        };
        let policies = Policies::new(Policy::shipped().unwrap()).with(vec![
            said(
                AssignTo::Parent,
                "P1",
                Some("insurance_principal"),
                "2026-02-01",
            ),
            said(AssignTo::Account, "A1", Some("legal_file"), "2026-03-01"),
            said(AssignTo::Account, "A1", None, "2026-04-01"),
            said(AssignTo::Parent, "P1", Some("broker"), "2026-05-01"),
        ]);
        let of = |on: &str, kind| {
            let debtor = debtor(Some("sundry_debt"), kind);
            policies.choose(debtor, day(on)).map(|p| p.policy.as_str())
        };
        let company = AccountKind::Company;
        assert_eq!(of("2026-01-31", company), Some("council_sundry"));
        assert_eq!(of("2026-02-01", company), Some("insurance_principal"));
        assert_eq!(of("2026-03-01", company), Some("legal_file"));
        assert_eq!(of("2026-04-01", company), Some("insurance_principal"));
        // The broker's policy is for companies only.
        assert_eq!(of("2026-05-01", company), Some("broker"));
        assert_eq!(
            of("2026-05-01", AccountKind::Individual),
            Some("council_sundry")
        );
    }

    /// E70: a person outside every segment is chased, without the Act's claims.
    #[test]
    fn e70_a_consumer_gets_a_letter_of_claim_and_owes_no_statutory_interest() {
        let policies = Policies::new(Policy::shipped().unwrap());
        let person = debtor(None, AccountKind::Individual);
        let policy = policies.choose(person, day("2026-11-27")).unwrap();
        assert_eq!(policy.interest, InterestRules::None);
        let last = policy.stages.last().unwrap();
        assert_eq!(last.legal, LegalClass::Protocol);
        assert!(
            policy
                .stages
                .iter()
                .all(|s| s.legal != LegalClass::BeforeAction)
        );
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
