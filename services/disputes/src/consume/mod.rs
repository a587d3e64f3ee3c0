//! What allocation says, one consumer for all of it: documents and what moved on
//! them, names, and what explains that something is not paid.
//!
//! Most receipts concern no case: for them a batch costs one look at the items
//! and one write.

mod approvals;
mod credit_notes;
mod follow;
mod opened;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use contracts::{
    Event, Prefix, Role,
    allocation::{
        AccountUpdated, AllocationUndone, ChaseableChanged, DebtAdjusted, Decision, DocumentPosted,
        ReceiptAllocated, ReceiptPosted, ReceiptReduced, Returned,
    },
    catalogue,
    disputes::CaseId,
};
use kernel::{DocumentId, Money, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Meta, Outgoing, Raw, Tx};

use crate::{
    domain::{
        Case,
        movements::{self, Moves},
        policy::Policy,
    },
    store::{
        self,
        cases::{Answer, Noted, Request},
        items::Known,
    },
};

pub(crate) use approvals::Approvals;
pub(crate) use follow::item;

pub(crate) const SYSTEM: &str = "system:disputes";

/// One fact of allocation.
#[derive(Debug)]
pub enum Fact {
    Account(Box<AccountUpdated>),
    Document(Box<DocumentPosted>),
    /// Documents were paid, credited or given up, or that was undone.
    Moved(Box<Moved>),
    Chaseable(Box<ChaseableChanged>),
}

/// What moved, whatever told of it.
#[derive(Debug)]
pub struct Moved {
    moves: Moves,
    decision: Option<Decision>,
    returned: Option<Returned>,
}

impl Moved {
    /// Parts of documents that the matching rules say are disputed.
    fn shorts(&self) -> &[contracts::allocation::DisputedPart] {
        self.decision
            .as_ref()
            .map_or(&[], |decision| &decision.disputed)
    }
}

/// Reads the ledger's facts and keeps items and cases true by them.
#[derive(Debug)]
pub struct Ledger {
    prefix: Prefix,
}

impl Ledger {
    pub const fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

/// What a batch touches, as it is now.
#[derive(Debug)]
pub struct State {
    items: HashMap<DocumentId, Known>,
    /// The oldest first.
    cases: Vec<Case>,
    /// Credits that accounts of the batch's credit notes wait for.
    requests: Vec<Request>,
    /// References for cases that may be opened.
    refs: Vec<String>,
}

/// What was decided.
#[derive(Debug, Default)]
pub struct Changes {
    accounts: Vec<AccountUpdated>,
    documents: Vec<DocumentPosted>,
    moves: Moves,
    explained: Vec<ChaseableChanged>,
    noted: BTreeMap<DocumentId, Money>,
    steps: Vec<Noted>,
    answers: Vec<Answer>,
    now: Option<DateTime<Utc>>,
}

/// Whether `raw` is an `E`. A version of it that we do not know is refused, not
/// passed over: an amount would be wrong without a word.
fn is<E: Event>(kind: &str) -> Result<bool, Failure> {
    let version = kind
        .strip_prefix("counterfoil.")
        .and_then(|rest| rest.strip_prefix(Role::Allocation.name()))
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(E::NAME))
        .and_then(|rest| rest.strip_prefix(".v"));
    match version.map(str::parse::<u8>) {
        None => Ok(false),
        Some(Ok(version)) if version == E::VERSION => Ok(true),
        Some(_) => Err(Failure::permanent(
            "disputes.unknown_version",
            format!("this version of disputes does not know `{kind}`"),
        )),
    }
}

fn moved(moved: contracts::allocation::ReceiptMoved) -> Result<Option<Fact>, Failure> {
    let mut moves = Moves::new();
    movements::lines(&mut moves, &moved.lines).map_err(Failure::of)?;
    movements::adjustments(&mut moves, &moved.adjustments).map_err(Failure::of)?;
    Ok((!moves.is_empty()).then(|| {
        Fact::Moved(Box::new(Moved {
            moves,
            decision: Some(moved.decision),
            returned: moved.returned,
        }))
    }))
}

impl Consumer for Ledger {
    const STREAM: &'static str = catalogue::ALLOCATION;
    type Message = Fact;
    type State = State;
    type Changes = Changes;

    fn decode(&self, raw: &Raw) -> Result<Option<Fact>, Failure> {
        let kind = raw.event_type().ok_or_else(|| {
            Failure::permanent(
                "disputes.untyped_event",
                "the event does not say what it is: no ce-type",
            )
        })?;
        // The most frequent first.
        if is::<ReceiptPosted>(kind)? {
            let posted: ReceiptPosted = raw.json()?;
            let mut moves = Moves::new();
            movements::lines(&mut moves, &posted.lines).map_err(Failure::of)?;
            movements::adjustments(&mut moves, &posted.adjustments).map_err(Failure::of)?;
            return Ok((!moves.is_empty()).then(|| {
                Fact::Moved(Box::new(Moved {
                    moves,
                    decision: Some(posted.decision),
                    returned: None,
                }))
            }));
        }
        if is::<ReceiptAllocated>(kind)? {
            return moved(raw.json::<ReceiptAllocated>()?.0);
        }
        if is::<DocumentPosted>(kind)? {
            return Ok(Some(Fact::Document(raw.json()?)));
        }
        if is::<ChaseableChanged>(kind)? {
            return Ok(Some(Fact::Chaseable(raw.json()?)));
        }
        if is::<AccountUpdated>(kind)? {
            return Ok(Some(Fact::Account(raw.json()?)));
        }
        if is::<AllocationUndone>(kind)? {
            return moved(raw.json::<AllocationUndone>()?.0);
        }
        if is::<ReceiptReduced>(kind)? {
            return moved(raw.json::<ReceiptReduced>()?.0);
        }
        if is::<DebtAdjusted>(kind)? {
            let adjusted: DebtAdjusted = raw.json()?;
            let mut moves = Moves::new();
            movements::adjustments(&mut moves, &adjusted.lines).map_err(Failure::of)?;
            return Ok(Some(Fact::Moved(Box::new(Moved {
                moves,
                decision: None,
                returned: None,
            }))));
        }
        Ok(None)
    }

    async fn load(&self, tx: &mut Tx, batch: &[Incoming<Fact>]) -> Result<State, Failure> {
        let mut documents: BTreeSet<DocumentId> = BTreeSet::new();
        let mut creditors = BTreeSet::new();
        let mut opening = 0;
        for incoming in batch {
            match &incoming.message {
                Fact::Moved(moved) => {
                    documents.extend(moved.moves.keys());
                    opening += usize::from(!moved.shorts().is_empty())
                        + usize::from(moved.returned.is_some());
                }
                Fact::Document(document) if document.kind.is_credit() => {
                    creditors.insert(document.account_id);
                }
                _ => {}
            }
        }
        let conn = tx.conn();
        let creditors: Vec<_> = creditors.into_iter().collect();
        let mut requests = Vec::new();
        if !creditors.is_empty() {
            requests = store::cases::open_requests(conn, &creditors).await?;
            documents.extend(requests.iter().map(|request| request.document));
        }
        if documents.is_empty() {
            return Ok(State {
                items: HashMap::new(),
                cases: Vec::new(),
                requests: Vec::new(),
                refs: Vec::new(),
            });
        }
        let documents: Vec<DocumentId> = documents.into_iter().collect();
        let mut items = store::items::lock(conn, &documents).await?;
        let ids: Vec<CaseId> = store::cases::about(conn, &documents).await?;
        let cases = store::cases::lock(conn, &ids).await?;
        if !requests.is_empty() {
            // Again under the locks: somebody may have been quicker.
            requests = store::cases::open_requests(conn, &creditors).await?;
            requests.retain(|request| cases.iter().any(|case| case.id == request.case));
        }
        let others: Vec<DocumentId> = cases
            .iter()
            .flat_map(|case| case.parts.iter().map(|part| part.document))
            .filter(|document| !items.contains_key(document))
            .collect();
        if !others.is_empty() {
            items.extend(store::items::look_at(conn, &others).await?);
        }
        Ok(State {
            items,
            cases,
            requests,
            refs: store::cases::next_refs(conn, opening).await?,
        })
    }

    fn decide(
        &self,
        state: State,
        batch: &[Incoming<Fact>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Changes>, Failure> {
        let policy = Policy::on(london_date(now));
        let mut changes = Changes {
            now: Some(now),
            ..Changes::default()
        };
        let mut rejected = Vec::new();
        let mut causes: HashMap<DocumentId, &Meta> = HashMap::new();
        let mut desk = follow::Desk::new(state.items, state.cases);
        let mut notes = Vec::new();
        let mut openings = Vec::new();
        for (place, Incoming { meta, message }) in batch.iter().enumerate() {
            match message {
                Fact::Account(account) => changes.accounts.push((**account).clone()),
                Fact::Chaseable(told) => changes.explained.push((**told).clone()),
                Fact::Document(document) => {
                    desk.posted(document);
                    if document.kind.is_credit() {
                        notes.push((meta, &**document));
                    }
                    changes.documents.push((**document).clone());
                }
                Fact::Moved(moved) => {
                    if let Err(error) = movements::add(&mut changes.moves, moved.moves.clone()) {
                        rejected.push((place, Failure::of(error)));
                        continue;
                    }
                    causes.extend(moved.moves.keys().map(|document| (*document, meta)));
                    openings.push((meta, &**moved));
                }
            }
        }
        if desk.is_idle() && state.requests.is_empty() && state.refs.is_empty() {
            // No case is concerned.
            return Ok(Decided {
                changes,
                rejected,
                ..Decided::default()
            });
        }
        desk.moved(&changes.moves, &causes).map_err(Failure::of)?;
        let mut requests = state.requests;
        for (meta, note) in notes {
            credit_notes::answer(&mut desk, &mut requests, &mut changes, &policy, meta, note)
                .map_err(Failure::of)?;
        }
        desk.follow(&policy, now).map_err(Failure::of)?;
        let mut refs = state.refs.into_iter();
        for (meta, moved) in openings {
            opened::by(&mut desk, &mut refs, &policy, meta, moved, now).map_err(Failure::of)?;
        }
        let mut events: Vec<Outgoing> = Vec::new();
        let mut notices = Vec::new();
        for (noted, cause) in desk.steps().map_err(Failure::of)? {
            let told = crate::domain::case::Told {
                cause: cause.id,
                at: now,
                actor: SYSTEM,
                reason: &noted.detail,
            };
            let event = noted
                .case
                .changed(noted.from, &noted.step, told)
                .map_err(Failure::of)?;
            events.push(Outgoing::new(
                &event,
                noted.case.id.as_uuid(),
                noted.case.version,
                &self.prefix,
                now,
                cause,
            )?);
            changes.steps.push(noted);
        }
        if !changes.steps.is_empty() {
            notices.push("disputes".to_owned());
        }
        Ok(Decided {
            changes,
            events,
            rejected,
            notices,
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
        let conn = tx.conn();
        store::items::put_accounts(conn, &changes.accounts).await?;
        store::items::put(conn, &changes.documents, &changes.moves).await?;
        store::items::note(conn, &changes.noted).await?;
        store::items::put_explained(conn, &changes.explained).await?;
        let Some(now) = changes.now else {
            return Ok(());
        };
        store::cases::put(conn, &changes.steps, now).await?;
        store::cases::answer_requests(conn, &changes.answers, now).await
    }
}
