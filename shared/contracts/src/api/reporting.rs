//! What reporting answers, all of it from its own projections.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{AccountId, AdjustmentId, DocumentId, Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest, call};
use crate::{
    allocation::ReceiptState,
    inbound::{AccountKind, DocumentKind},
};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListAccounts {
    /// Part of the reference or the name.
    #[serde(default)]
    pub search: Option<String>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(ListAccounts => Reporting."accounts"."list" -> Page<AccountView>);

/// By id, or by the billing system's reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetAccount {
    pub account: AccountKey,
}
call!(GetAccount => Reporting."accounts"."get" -> AccountView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountKey {
    Id(AccountId),
    Ref(String),
}

/// An account and where it stands today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub kind: Option<AccountKind>,
    pub parent_ref: Option<String>,
    pub terms_days: Option<u16>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub segment: Option<String>,
    pub department: Option<String>,
    pub principal: Option<String>,
    /// One row per currency.
    pub balances: Vec<AccountBalance>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountBalance {
    /// Open documents less unallocated cash.
    pub balance: Money,
    pub open: Money,
    pub overdue: Money,
    pub unallocated: Money,
    pub oldest_due_on: Option<NaiveDate>,
}

/// Documents and receipts of an account, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetLedger {
    pub account_id: AccountId,
    #[serde(default)]
    pub open_only: bool,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(GetLedger => Reporting."accounts"."ledger" -> Page<LedgerLine>);

/// A document, what changed one without cash, or a receipt that is at least
/// partly this account's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerLine {
    pub document_id: Option<DocumentId>,
    pub receipt_id: Option<ReceiptId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjustment_id: Option<AdjustmentId>,
    /// `invoice`, `credit_note`, `disbursement`, `receipt`, or the kind of the
    /// adjustment: `write_off`, `discount`, …
    pub kind: String,
    pub reference: String,
    pub matter_ref: Option<String>,
    /// Issued or booked.
    pub dated: NaiveDate,
    pub due_on: Option<NaiveDate>,
    /// Signed: what it adds to the debt.
    pub amount: Money,
    /// Signed: what is left of it.
    pub open: Money,
    /// Days past due today; negative when not due yet.
    pub days_past_due: Option<i64>,
}

/// An account between two days: what it began with, everything that moved it, and
/// what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetAccountStatement {
    pub account_id: AccountId,
    pub from: NaiveDate,
    /// The last day that counts: today at the latest.
    pub to: NaiveDate,
}
call!(GetAccountStatement => Reporting."accounts"."statement" -> AccountStatement);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountStatement {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// As known at this moment: what is recorded later for these days changes it.
    pub known_at: DateTime<Utc>,
    /// One for each currency.
    pub currencies: Vec<AccountMovements>,
}

/// The opening balance and all lines together are the closing balance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountMovements {
    /// Open documents less unallocated cash, at the end of the day before.
    pub opening: Money,
    pub lines: Vec<AccountMovement>,
    pub closing: Money,
    /// Cash that is in the closing balance and set against no document.
    pub unallocated: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountMovement {
    pub on: NaiveDate,
    /// `invoice`, `credit_note`, `receipt`, the kind of an adjustment or of an
    /// outflow, `paid_by_another`, `paid_to_another` account; with `_undone` its
    /// contra.
    pub kind: String,
    pub reference: String,
    /// Signed: what it adds to the balance.
    pub amount: Money,
    /// After it.
    pub balance: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_id: Option<DocumentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_id: Option<ReceiptId>,
}

/// Everything that happened to an account, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetTimeline {
    pub account_id: AccountId,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(GetTimeline => Reporting."accounts"."timeline" -> Page<TimelineEntry>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    /// The event that it comes from.
    pub event_id: kernel::EventId,
    pub recorded_at: DateTime<Utc>,
    pub effective_on: NaiveDate,
    /// `document`, `receipt`, `allocation`, `undo`, `adjustment`, `outflow` or
    /// `account`.
    pub kind: String,
    pub summary: String,
    pub amount: Option<Money>,
    pub actor: String,
    pub reason: Option<String>,
    pub receipt_id: Option<ReceiptId>,
    pub document_id: Option<DocumentId>,
}

/// Which date a document ages from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgeingBasis {
    #[default]
    Due,
    Document,
}

/// Aged debt as at a day, and as it was known at a moment (E106).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetAgedDebt {
    /// Today in London when absent.
    #[serde(default)]
    pub as_of: Option<NaiveDate>,
    /// Now when absent.
    #[serde(default)]
    pub known_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub basis: AgeingBasis,
    #[serde(default)]
    pub search: Option<String>,
    #[serde(default)]
    pub segment: Option<String>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(GetAgedDebt => Reporting."aged_debt"."get" -> AgedDebt);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgedDebt {
    pub as_of: NaiveDate,
    pub known_at: DateTime<Utc>,
    pub basis: AgeingBasis,
    /// Bucket titles in order, the first being what is not due.
    pub buckets: Vec<Bucket>,
    /// One row per currency over all accounts that match, not just this page.
    pub totals: Vec<AgedTotals>,
    /// Accounts with anything open or unallocated, most overdue first.
    pub rows: Page<AgedRow>,
}

/// A band of days; `from` is absent at the young end, `to` at the old end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    pub title: String,
    pub from_days: Option<i32>,
    pub to_days: Option<i32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgedTotals {
    pub currency: kernel::Currency,
    /// In the order of the buckets.
    pub buckets: Vec<Money>,
    pub total: Money,
    /// Shown beside, never silently netted.
    pub unallocated: Money,
    pub accounts: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgedRow {
    pub account_id: AccountId,
    pub account_ref: String,
    pub name: String,
    pub segment: Option<String>,
    pub currency: kernel::Currency,
    pub buckets: Vec<Money>,
    pub total: Money,
    pub overdue: Money,
    pub unallocated: Money,
    pub oldest_days: Option<i64>,
}

/// The open documents behind a cell of the aged debt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetAgedItems {
    #[serde(default)]
    pub as_of: Option<NaiveDate>,
    #[serde(default)]
    pub known_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub basis: AgeingBasis,
    #[serde(default)]
    pub account_id: Option<AccountId>,
    #[serde(default)]
    pub currency: Option<kernel::Currency>,
    /// Index into the buckets; all when absent.
    #[serde(default)]
    pub bucket: Option<u8>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(GetAgedItems => Reporting."aged_debt"."items" -> Page<AgedItem>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgedItem {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub kind: DocumentKind,
    pub account_id: AccountId,
    pub account_ref: String,
    pub account_name: String,
    pub issued_on: NaiveDate,
    pub due_on: NaiveDate,
    pub days: i64,
    pub amount: Money,
    pub open: Money,
}

/// Cash that pays nothing yet, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetUnallocated {
    #[serde(default)]
    pub as_of: Option<NaiveDate>,
    #[serde(default)]
    pub known_at: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub page: PageRequest,
}
call!(GetUnallocated => Reporting."unallocated"."get" -> UnallocatedCash);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnallocatedCash {
    pub as_of: NaiveDate,
    pub known_at: DateTime<Utc>,
    pub totals: Vec<Money>,
    pub rows: Page<UnallocatedRow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnallocatedRow {
    pub receipt_id: ReceiptId,
    pub booked_on: NaiveDate,
    pub age_days: i64,
    pub amount: Money,
    pub unallocated: Money,
    pub payer_name: Option<String>,
    pub narrative: String,
    pub state: ReceiptState,
    pub account_id: Option<AccountId>,
    pub account_ref: Option<String>,
}

/// The last link of `explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceProjection {
    pub receipt_id: ReceiptId,
}
call!(TraceProjection => Reporting."receipts"."trace" -> ProjectionTrace);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectionTrace {
    pub receipt_id: ReceiptId,
    pub version: i64,
    pub state: ReceiptState,
    pub unallocated: Money,
    pub movements: Vec<TimelineEntry>,
}

/// The conservation check over all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckInvariants {}
call!(CheckInvariants => Reporting."invariants"."check" -> InvariantReport);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantReport {
    pub checked_at: DateTime<Utc>,
    pub holds: bool,
    /// Something was still on its way, so the services could not be compared.
    pub settled: bool,
    pub checks: Vec<InvariantCheck>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantCheck {
    /// Which of the invariants of ARCHITECTURE.md: 1 to 4, and 6.
    pub invariant: u8,
    pub what: String,
    pub holds: bool,
    pub detail: String,
}

/// Builds the projections anew from the stream beside the live ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildProjections {
    /// Compare only: the live ones stay.
    pub verify: bool,
    pub actor: String,
}
call!(RebuildProjections => Reporting."projections"."rebuild" -> RebuildView);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRebuild {}
call!(GetRebuild => Reporting."projections"."status" -> RebuildView);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildView {
    /// `idle`, `running`, `same`, `different`, `replaced` or `failed`.
    pub state: String,
    pub events: i64,
    pub events_total: i64,
    pub seconds: f64,
    /// Rows that differ from the live projection, by table, in words.
    pub differences: Vec<String>,
}
