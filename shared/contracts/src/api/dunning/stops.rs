//! Holds.

use chrono::NaiveDate;
use kernel::{AccountId, CommandId, DocumentId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    api::{Page, PageRequest, call, controls::Person},
    dunning::{ContactId, HoldId, HoldKind, HoldState},
};

/// Stops chasing an account, or some of its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceHold {
    pub command_id: CommandId,
    pub kind: HoldKind,
    pub account_id: AccountId,
    /// Which of the joint debtors it is about: the others are chased on for the
    /// whole (E73, E97). Everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    /// The whole account when empty.
    #[serde(default)]
    pub documents: Vec<DocumentId>,
    /// Today when absent.
    #[serde(default)]
    pub starts_on: Option<NaiveDate>,
    /// The last day that it stops; what the kind says when absent.
    #[serde(default)]
    pub ends_on: Option<NaiveDate>,
    #[serde(default)]
    pub review_on: Option<NaiveDate>,
    /// Of an insolvency: what was issued after this day is not stopped (E74).
    #[serde(default)]
    pub cut_off_on: Option<NaiveDate>,
    /// Who answers for it; who places it when absent.
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    pub reason: String,
    pub person: Person,
}

call!(PlaceHold => Dunning."hold"."place" -> HoldView);

/// What is done with a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum HoldStep {
    /// What is absent stays. One that was only told of is confirmed by it: it ends
    /// and is looked at again as its kind does, unless said otherwise.
    Change {
        #[serde(default)]
        ends_on: Option<NaiveDate>,
        #[serde(default)]
        review_on: Option<NaiveDate>,
        #[serde(default)]
        owner: Option<String>,
    },
    /// Debts that were found later are held too (E73).
    Add { documents: Vec<DocumentId> },
    /// Of a mental-health crisis: it lasts for 30 days more.
    TreatmentEnded { on: NaiveDate },
    /// It is over from today.
    End,
    /// It should not have been: its days do not count as stopped.
    Cancel,
}

/// Takes a step with a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepHold {
    pub command_id: CommandId,
    pub hold_id: HoldId,
    /// The version that was seen; refused when it is another now.
    #[serde(default)]
    pub version: Option<i64>,
    #[serde(flatten)]
    pub step: HoldStep,
    pub reason: String,
    pub person: Person,
}

call!(StepHold => Dunning."hold"."step" -> HoldView);

/// Holds, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListHolds {
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub state: Option<HoldState>,
    /// Who looks: some reasons are not for everybody (E99).
    pub person: Person,
    #[serde(flatten)]
    pub page: PageRequest,
}

call!(ListHolds => Dunning."hold"."list" -> Page<HoldView>);

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetHold {
    pub hold_id: HoldId,
    /// Who looks: some reasons are not for everybody (E99).
    pub person: Person,
}

call!(GetHold => Dunning."hold"."get" -> HoldView);

/// A hold as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldView {
    pub hold_id: HoldId,
    pub version: i64,
    pub kind: HoldKind,
    pub state: HoldState,
    pub account_id: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors; it is everybody's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor_ref: Option<String>,
    /// The whole account when empty.
    pub documents: Vec<DocumentId>,
    pub starts_on: NaiveDate,
    pub ends_on: Option<NaiveDate>,
    pub review_on: Option<NaiveDate>,
    pub cut_off_on: Option<NaiveDate>,
    pub owner: String,
    /// Absent for those who may not read it.
    pub reference: Option<String>,
    /// Absent for those who may not read it.
    pub reason: Option<String>,
    /// What is unusual about it: said, not refused.
    pub warnings: Vec<String>,
    /// The contact in which it was told of, when that placed it.
    pub told_in: Option<ContactId>,
    /// It was told of, and nobody has confirmed it yet.
    pub unconfirmed: bool,
}
