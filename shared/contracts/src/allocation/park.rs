//! A receipt put aside by a person, and taken up again. No money moves: parked
//! money is unallocated in every figure.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{Money, ReceiptId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Role};

/// A person put a receipt aside "to check": it is in no queue for review until
/// `until`, until it is taken up again, or until none of its money is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptParked {
    pub receipt_id: ReceiptId,
    /// Rises by one with every change of this receipt.
    pub version: i64,
    pub account_ref: Option<String>,
    pub unallocated: Money,
    /// What is to be checked.
    pub reason: String,
    /// Who is to check it.
    pub owner: Option<String>,
    /// The London day on which it comes back by itself.
    pub until: Option<NaiveDate>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
}

impl Event for ReceiptParked {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "receipt_parked";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or("")
    }
}

/// A person took a parked receipt up again before its day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptUnparked {
    pub receipt_id: ReceiptId,
    pub version: i64,
    pub account_ref: Option<String>,
    pub unallocated: Money,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for ReceiptUnparked {
    const CONTEXT: Role = Role::Allocation;
    const NAME: &'static str = "receipt_unparked";

    fn partition_key(&self) -> &str {
        self.account_ref.as_deref().unwrap_or("")
    }
}
