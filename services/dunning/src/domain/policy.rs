//! Policies: when who is chased, and how. Versioned data; what is under way
//! keeps the version that it began with.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{dunning::Channel, inbound::AccountKind};
use kernel::{Classified, Currency, ErrorClass, Money};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use super::policies::{Assignment, Debtor, Policies};

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

impl InterestRules {
    /// Whether claims are posted by themselves.
    pub const fn posts(&self) -> bool {
        match self {
            Self::None => false,
            Self::Statutory { post, .. } | Self::Contract { post, .. } => *post,
        }
    }
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
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub minimum: Amounts,
    /// What the reminder costs the debtor.
    #[serde(default, skip_serializing_if = "Amounts::is_empty")]
    pub charge: Amounts,
    /// From here on nothing is supplied on credit until it is paid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub credit_stop: bool,
    /// Each of those who owe an account together has it before anything further goes
    /// to them (E97). Of a letter before action or of claim this is always so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_each: bool,
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
pub(super) const SHIPPED: [&str; 6] = [
    include_str!("../../data/policies/trade-credit.toml"),
    include_str!("../../data/policies/broker.toml"),
    include_str!("../../data/policies/insurance-principal.toml"),
    include_str!("../../data/policies/council-sundry.toml"),
    include_str!("../../data/policies/legal-file.toml"),
    include_str!("../../data/policies/consumer.toml"),
];

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
        let negative = |amounts: &Amounts| amounts.values().any(Decimal::is_sign_negative);
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

    /// The rank from which on nothing is supplied on credit.
    pub fn stops_credit_at(&self) -> Option<i16> {
        let stops = self.stages.iter().filter(|stage| stage.credit_stop);
        stops.map(|stage| stage.rank).min()
    }

    pub fn stage(&self, code: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.code == code)
    }

    /// The stage of a rank for debtors of a kind: a rank may have one for each.
    pub fn at(&self, rank: i16, kind: Option<AccountKind>) -> Option<&Stage> {
        self.stages
            .iter()
            .find(|stage| stage.rank == rank && stage.is_for(kind))
    }

    /// Whether it is for debtors of a kind; of one whose kind is not known, it may be.
    pub fn is_for(&self, kind: Option<AccountKind>) -> bool {
        self.debtors.is_empty() || kind.is_none_or(|kind| self.debtors.contains(&kind))
    }

    /// How well it fits a debtor; nothing when it does not.
    pub(super) fn fits(&self, debtor: Debtor<'_>) -> Option<u8> {
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

    /// Whether what follows needs that each of several debtors had it.
    pub const fn is_needed(&self) -> bool {
        self.to_each || matches!(self.legal, LegalClass::BeforeAction | LegalClass::Protocol)
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
