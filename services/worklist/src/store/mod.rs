//! The only SQL of work, people and clocks. Rows go in and out as JSON objects
//! of their columns, many in one statement.

pub(crate) mod approvals;
pub(crate) mod clocks;
pub(crate) mod erasure;
pub(crate) mod people;
pub(crate) mod work;

use messaging::Failure;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A stored row.
fn read<T: DeserializeOwned>(body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| {
        Failure::bug("worklist.stored_row", "a stored row makes no sense").caused_by(error)
    })
}

fn written<T: Serialize>(rows: &T) -> Result<Value, Failure> {
    Ok(serde_json::to_value(rows)?)
}
