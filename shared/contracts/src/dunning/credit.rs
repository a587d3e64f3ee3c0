//! Debtors who are supplied nothing on credit for the time being.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::AccountId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Event, Role};

/// Something is open that has come to a stage which stops credit, or nothing is
/// any more. What takes orders reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreditStopChanged {
    pub account_id: AccountId,
    pub account_ref: String,
    pub version: i64,
    pub stopped: bool,
    /// The first day on which it is as it is now.
    pub since: NaiveDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Uuid>,
    pub recorded_at: DateTime<Utc>,
    pub actor: String,
    pub reason: String,
}

impl Event for CreditStopChanged {
    const CONTEXT: Role = Role::Dunning;
    const NAME: &'static str = "credit_stop_changed";

    fn partition_key(&self) -> &str {
        &self.account_ref
    }
}
