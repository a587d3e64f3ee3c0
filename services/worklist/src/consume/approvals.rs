//! Requests for a second person, and what became of what they were for.

use chrono::{DateTime, Utc};
use contracts::Prefix;
use messaging::{Failure, Raw, Tx};

use super::{Part, Said};

/// None yet.
pub(crate) enum Fact {}

#[derive(Default)]
pub(crate) struct State {}

#[derive(Default)]
pub(crate) struct Changes {}

pub(super) fn decode(_kind: &str, _raw: &Raw) -> Result<Option<Fact>, Failure> {
    Ok(None)
}

pub(super) async fn load(_tx: &mut Tx, _part: &Part<'_, Fact>) -> Result<State, Failure> {
    Ok(State {})
}

pub(super) fn decide(
    _state: State,
    _part: &Part<'_, Fact>,
    _prefix: &Prefix,
    _now: DateTime<Utc>,
) -> Result<Said<Changes>, Failure> {
    Ok(Said::default())
}

pub(super) async fn record(_tx: &mut Tx, _changes: Changes) -> Result<(), Failure> {
    Ok(())
}
