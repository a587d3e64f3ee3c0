//! Matching rules as data: what the ladder may post by itself, what becomes of
//! small differences, and what was decided about the rules themselves.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Division, Money};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Role, allocation::Rule, inbound::DocumentKind, names::names};

/// One version of the matching rules. A misspelt field is refused, because a
/// limit that is silently ignored costs money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// What it is for, in a few words.
    pub name: String,
    pub scope: RuleScope,
    /// For receipts booked from this day on (a date in London).
    pub valid_from: NaiveDate,
    /// How far each rung may go. When several rungs come to the same lines, the
    /// first in this order that is not off takes them. A rung that is not listed
    /// only suggests.
    pub rungs: Vec<Rung>,
    /// What may be written off without a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<EarlySettlement>,
    /// What banks on the way may have kept, at most, per currency of the
    /// receipt. A currency that is not listed has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bank_charges: Vec<Money>,
    /// What is paid first when the payer does not say: costs, interest,
    /// principal in the order listed, each the oldest first. Empty: the oldest
    /// first whatever it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
    #[serde(default)]
    pub disputed: DisputedItems,
    /// What becomes of a difference on a match that is certain but for the
    /// amount. The first row that fires wins; when none does, a person looks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remainders: Vec<Remainder>,
    /// How often the ladder may be wrong before a rung falls back to
    /// suggesting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<PrecisionBudget>,
    /// While it is a shadow: of a hundred receipts so many are decided under it
    /// too, beside the live rules. All when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_percent: Option<u8>,
}

/// Whose receipts a rule set is for. An account's own rules win over its
/// segment's, and those over the ledger's.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    Ledger,
    Segment(String),
    /// By account reference.
    Account(String),
}

impl RuleScope {
    /// `ledger`, `segment` or `account`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Segment(_) => "segment",
            Self::Account(_) => "account",
        }
    }

    /// The segment or the account; empty for the ledger.
    pub fn key(&self) -> &str {
        match self {
            Self::Ledger => "",
            Self::Segment(key) | Self::Account(key) => key,
        }
    }

    /// The scope with this kind and key; `None`: there is no such kind.
    pub fn of(kind: &str, key: &str) -> Option<Self> {
        match kind {
            "ledger" => Some(Self::Ledger),
            "segment" => Some(Self::Segment(key.to_owned())),
            "account" => Some(Self::Account(key.to_owned())),
            _ => None,
        }
    }
}

/// A rung of the ladder and how far it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    pub rule: Rule,
    pub mode: RungMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RungMode {
    /// Posts what is certain, suggests the rest.
    Automatic,
    /// Never posts.
    Suggest,
    /// Takes nothing, and suggests nothing.
    Off,
}

impl RungMode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Suggest => "suggest",
            Self::Off => "off",
        }
    }
}

/// Small differences. `None` on one side: none that way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The payer sent less than what is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<Limit>,
    /// The payer sent more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Limit>,
    /// All small differences of one account together, each way for itself, in
    /// any so many days: a shortfall every month is a discount that nobody gave.
    pub cap: Cap,
}

/// The smaller of a percentage and an amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Of what is open on the documents meant.
    pub percent: Decimal,
    /// Per currency; a currency that is not listed has no tolerance.
    pub amounts: Vec<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub days: u16,
    /// Per currency.
    pub amounts: Vec<Money>,
}

/// A discount for paying early. Never for a document that is part-paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlySettlement {
    pub percent: Decimal,
    /// Calendar days from the day of issue. Rolls forward to the next working
    /// day.
    pub days: u16,
    /// Working days after that.
    #[serde(default)]
    pub grace_days: u16,
    pub base: DiscountBase,
    /// Whose bank holidays count.
    #[serde(default = "england_wales")]
    pub calendar: Division,
}

const fn england_wales() -> Division {
    Division::EnglandWales
}

/// What the percentage is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiscountBase {
    /// With VAT.
    Gross,
    /// Without VAT. A document that came without its net amount has no discount.
    Net,
}

/// A part of what is owed, and the kinds of document that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    pub component: ComponentKind,
    pub kinds: Vec<DocumentKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    Costs,
    Interest,
    Principal,
}

/// Items of which some is disputed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputedItems {
    /// Paid without a person only when the payer names them.
    #[default]
    LeaveOut,
    /// Like any other.
    TakeIn,
}

/// One row about what is left over or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remainder {
    pub when: When,
    /// Fires up to this share of what is open on the documents meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
    /// Fires up to this amount, per currency; empty: any amount. The smaller of
    /// percent and amount holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amounts: Vec<Money>,
    pub action: RemainderAction,
    /// A person has to confirm it.
    #[serde(default)]
    pub review: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// More was paid than is open.
    Over,
    /// Less was paid.
    Under,
}

/// What is done. An action whose own limits do not hold lets the next row try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RemainderAction {
    /// A small balance, within the tolerance and its cap.
    WriteOff,
    /// The discount for early settlement. Under only.
    Discount,
    /// Kept by a bank on the way. Under only.
    BankCharge,
    /// The documents are paid as far as the cash goes, and what is missing
    /// becomes a dispute. Under only.
    Dispute,
    /// The documents are paid, the rest waits on the receipt. Over only.
    OnAccount,
    /// The same, and a refund of the rest is drafted where the payer's account is
    /// known: a person completes it, or cancels it for good. Over only.
    SuggestRefund,
    /// Nothing is posted.
    Person,
}

impl RemainderAction {
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteOff => "write_off",
            Self::Discount => "discount",
            Self::BankCharge => "bank_charge",
            Self::Dispute => "dispute",
            Self::OnAccount => "on_account",
            Self::SuggestRefund => "suggest_refund",
            Self::Person => "person",
        }
    }
}

/// Wrong lines allowed among automatic ones, per rung. Fewer automatic lines
/// than `lines` count as that many, so that a quiet rung is not judged by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrecisionBudget {
    pub wrong: u32,
    pub lines: u32,
    /// Over the last so many days.
    pub days: u16,
}

/// Where a rule set stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleSetState {
    Draft,
    /// Checked; decides beside the live rules, and nothing comes of it but a
    /// count of what would be different.
    Shadow,
    /// Decides.
    Live,
    Retired,
}

impl RuleSetState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Retired => "retired",
        }
    }
}

names! {
    /// What a shadow would have done with a receipt, beside the live rules.
    ShadowOutcome {
        /// The same lines and adjustments, or both leave it to a person.
        Same = "same",
        /// The live rules post, the shadow leaves it to a person.
        LiveOnly = "live_only",
        ShadowOnly = "shadow_only",
        /// Both post, and not the same.
        DifferentLines = "different_lines",
    }
}

/// A rule set took a step of its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesChanged {
    pub version: i64,
    pub name: String,
    pub scope: RuleScope,
    pub valid_from: NaiveDate,
    pub state: RuleSetState,
    /// `None` while it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RuleSetState>,
    pub author: String,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for RulesChanged {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "rules_changed";

    fn partition_key(&self) -> &str {
        self.scope.key()
    }
}

/// A rung was wrong too often, and only suggests from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDemoted {
    pub rule: Rule,
    pub scope: RuleScope,
    /// Wrong lines of the last `days` days.
    pub wrong: i64,
    /// Automatic lines of that time, as far as they were counted.
    pub lines: i64,
    /// So many wrong ones would have been allowed…
    pub allowed_wrong: u32,
    /// …among so many.
    pub allowed_lines: u32,
    pub days: u16,
    pub recorded_at: DateTime<Utc>,
    /// Whose undo used up the budget.
    pub actor: String,
    pub reason: String,
}

impl Event for RuleDemoted {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "rule_demoted";

    fn partition_key(&self) -> &str {
        self.scope.key()
    }
}

/// A second person lets a demoted rung post again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleRestored {
    pub rule: Rule,
    pub scope: RuleScope,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for RuleRestored {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "rule_restored";

    fn partition_key(&self) -> &str {
        self.scope.key()
    }
}
