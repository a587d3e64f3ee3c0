//! What other services say, turned into requests for a second person
//! (`approvals`) and into work (`work`): one consumer, the same for each stream.

mod approvals;
mod work;

pub(crate) use work::{Erased, Known};

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use contracts::{Prefix, catalogue};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};

/// A stream that worklist reads.
pub(crate) trait Source: Send + Sync + 'static {
    const STREAM: &'static str;
}

/// What comes in.
pub(crate) struct Ingestion;
/// What moves on the ledger.
pub(crate) struct Allocation;
/// What happens to queries.
pub(crate) struct Disputes;
/// Who is chased, and what they say.
pub(crate) struct Dunning;
/// What worklist itself decided: it ends the work of deciding.
pub(crate) struct Own;
/// What reporting could not handle.
pub(crate) struct Reporting;

impl Source for Ingestion {
    const STREAM: &'static str = catalogue::INGESTION;
}

impl Source for Allocation {
    const STREAM: &'static str = catalogue::ALLOCATION;
}

impl Source for Disputes {
    const STREAM: &'static str = catalogue::DISPUTES;
}

impl Source for Dunning {
    const STREAM: &'static str = catalogue::DUNNING;
}

impl Source for Reporting {
    const STREAM: &'static str = catalogue::REPORTING;
}

impl Source for Own {
    const STREAM: &'static str = catalogue::WORKLIST;
}

/// Reads one stream.
pub(crate) struct Facts<S> {
    prefix: Prefix,
    source: PhantomData<S>,
}

impl<S: Source> Facts<S> {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            source: PhantomData,
        }
    }
}

/// An event that worklist has to do with: a request to decide is work too.
pub(crate) struct Fact {
    approval: Option<Box<approvals::Fact>>,
    work: Option<Box<work::Fact>>,
}

/// What the batch touches, as it is now.
pub(crate) struct State {
    approvals: approvals::State,
    work: work::State,
}

/// What was decided.
#[derive(Default)]
pub(crate) struct Changes {
    approvals: approvals::Changes,
    work: work::Changes,
}

/// What each half says of its part of a batch.
#[derive(Default)]
pub(crate) struct Said<C> {
    pub(crate) changes: C,
    pub(crate) events: Vec<Outgoing>,
    /// By the place in the batch.
    pub(crate) rejected: Vec<(usize, Failure)>,
    pub(crate) notices: Vec<String>,
}

/// Facts of one half with their place in the batch and where they came from.
pub(crate) type Part<'b, F> = Vec<(usize, &'b Meta, &'b F)>;

fn approvals_of(batch: &[Incoming<Fact>]) -> Part<'_, approvals::Fact> {
    let mut part = Vec::new();
    for (place, incoming) in batch.iter().enumerate() {
        if let Some(fact) = &incoming.message.approval {
            part.push((place, &incoming.meta, &**fact));
        }
    }
    part
}

fn work_of(batch: &[Incoming<Fact>]) -> Part<'_, work::Fact> {
    let mut part = Vec::new();
    for (place, incoming) in batch.iter().enumerate() {
        if let Some(fact) = &incoming.message.work {
            part.push((place, &incoming.meta, &**fact));
        }
    }
    part
}

impl<S: Source> Consumer for Facts<S> {
    const STREAM: &'static str = S::STREAM;
    type Message = Fact;
    type State = State;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<Fact>, Failure> {
        let kind = raw.event_type().ok_or_else(|| {
            Failure::permanent(
                "worklist.untyped_event",
                "the event does not say what it is: no ce-type",
            )
        })?;
        let fact = Fact {
            approval: approvals::decode(kind, raw)?.map(Box::new),
            work: work::decode(kind, raw)?.map(Box::new),
        };
        Ok((fact.approval.is_some() || fact.work.is_some()).then_some(fact))
    }

    async fn load(&self, tx: &mut Tx, batch: &[Incoming<Fact>]) -> Result<State, Failure> {
        Ok(State {
            approvals: approvals::load(tx, &approvals_of(batch)).await?,
            work: work::load(tx, &work_of(batch)).await?,
        })
    }

    fn decide(
        &self,
        state: State,
        batch: &[Incoming<Fact>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let approvals =
            approvals::decide(state.approvals, &approvals_of(batch), &self.prefix, now)?;
        let mut work = work::decide(state.work, &work_of(batch), &self.prefix, now)?;
        let mut said = approvals;
        said.events.append(&mut work.events);
        said.rejected.append(&mut work.rejected);
        said.notices.append(&mut work.notices);
        Ok(Decided {
            changes: Changes {
                approvals: said.changes,
                work: work.changes,
            },
            events: said.events,
            rejected: said.rejected,
            notices: said.notices,
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        approvals::record(tx, changes.approvals).await?;
        work::record(tx, changes.work).await
    }
}
