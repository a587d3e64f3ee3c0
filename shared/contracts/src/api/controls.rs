//! Approvals, refunds, write-offs and small balances: asked and answered.

mod approvals;
mod refunds;
mod write_offs;

pub use approvals::*;
pub use refunds::*;
pub use write_offs::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who asks or acts. Two sessions and two roles of one person are one actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Such as `user:jo`.
    pub actor: String,
    /// Roles at this moment: limits follow from them.
    pub roles: Vec<String>,
}
