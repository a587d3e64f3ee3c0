//! Debtor accounts, as far as it matters whose they are.

use std::collections::HashMap;

use messaging::{Failure, Raw};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::owner::Account;

/// What billing says of an account; of the rest nothing is kept.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(crate) struct Known {
    pub account_id: Uuid,
    pub account_ref: String,
    pub version: i64,
    pub name: String,
    pub segment: Option<String>,
    pub department: Option<String>,
}

impl Known {
    pub(super) fn put_into(&self, account: &mut Account) {
        account.reference.clone_from(&self.account_ref);
        account.name.clone_from(&self.name);
        account.segment.clone_from(&self.segment);
        account.department.clone_from(&self.department);
    }
}

pub(super) fn read(raw: &Raw) -> Result<Known, Failure> {
    raw.json()
}

/// The newest of each account.
pub(super) fn newest(known: Vec<Known>) -> Vec<Known> {
    let mut newest: HashMap<Uuid, Known> = HashMap::new();
    for one in known {
        match newest.get(&one.account_id) {
            Some(have) if have.version >= one.version => {}
            _ => {
                newest.insert(one.account_id, one);
            }
        }
    }
    newest.into_values().collect()
}
