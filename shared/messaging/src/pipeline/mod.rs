//! The six steps. Each is a function of its name, a span and a histogram.

mod batch;
mod receive;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::api::dead_letters::PickDeadLetter;

use crate::{Bus, Failure, Incoming, Outgoing, Raw, Tx};

pub use receive::receive_from;

/// Handles a dead letter again, as a batch of one in the transaction that takes
/// it back. If it fails it is waiting as before.
pub(crate) async fn handle_again<C: Consumer>(
    bus: &Bus,
    consumer: &Arc<C>,
    raw: &Raw,
    pick: &PickDeadLetter,
) -> Result<(), Failure> {
    batch::handle(bus, consumer, std::slice::from_ref(raw), Some(pick)).await
}

/// What a service does with the messages of one stream.
///
/// Receive, Claim and Settle are the pipeline's; the rest is the service's.
pub trait Consumer: Send + Sync + 'static {
    /// The stream, without prefix, as in `contracts::catalogue`.
    const STREAM: &'static str;
    type Message: Send + Sync;
    type State: Send;
    type Changes: Send;

    /// Understands one message; `None` if it is not for this service.
    fn decode(&self, raw: &Raw) -> Result<Option<Self::Message>, Failure>;

    /// Reads what the decision needs: one set-based query per kind of row,
    /// locked in key order.
    fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<Self::Message>],
    ) -> impl Future<Output = Result<Self::State, Failure>> + Send;

    /// Decides. Pure: no IO, no clock but `now`.
    fn decide(
        &self,
        state: Self::State,
        batch: &[Incoming<Self::Message>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Self::Changes>, Failure>;

    /// Writes the changes, set-based.
    fn record(
        &self,
        tx: &mut Tx,
        changes: Self::Changes,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What was decided for a batch.
#[derive(Debug)]
pub struct Decided<C> {
    pub changes: C,
    /// Facts for the outbox.
    pub events: Vec<Outgoing>,
    /// Messages that cannot be accepted, by their place in the batch; they
    /// become dead letters in the same transaction.
    pub rejected: Vec<(usize, Failure)>,
    /// Topics of open pages that may now show something old.
    pub notices: Vec<String>,
}

impl<C: Default> Default for Decided<C> {
    fn default() -> Self {
        Self {
            changes: C::default(),
            events: Vec::new(),
            rejected: Vec::new(),
            notices: Vec::new(),
        }
    }
}
