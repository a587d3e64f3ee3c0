//! What dunning tells: letters, contacts, holds, promises and plans, as lines of an
//! account's story. Every event is a row of its own, in any order and any number of
//! times.

use chrono::{DateTime, Utc};
use contracts::{
    catalogue,
    dunning::{ContactChanged, ContactRecorded, HoldChanged, PlanChanged, PromiseChanged},
};
use kernel::{AccountId, Money, london_date};
use messaging::{Consumer, Decided, Failure, Incoming, Raw, Tx};

use crate::{
    domain::chasing,
    store::chasing::{Chased, insert},
};

/// Puts what dunning tells on the timeline.
#[derive(Debug)]
pub(crate) struct Chasing;

/// What an event says, without its id.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    account: AccountId,
    kind: &'static str,
    summary: String,
    amount: Option<Money>,
    at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    actor: String,
    reason: String,
}

impl Consumer for Chasing {
    const STREAM: &'static str = catalogue::DUNNING;
    type Message = Line;
    type State = ();
    type Changes = Vec<Chased>;

    fn decode(&self, raw: &Raw) -> Result<Option<Line>, Failure> {
        if raw.is::<ContactChanged>() {
            let event: ContactChanged = raw.json()?;
            let amount = match event.amounts.as_slice() {
                [one] => Some(*one),
                _ => None,
            };
            return Ok(chasing::sent(&event).map(|summary| Line {
                account: event.account_id,
                kind: "contact",
                summary,
                amount,
                at: event.at,
                recorded_at: event.recorded_at,
                actor: event.actor,
                reason: event.reason,
            }));
        }
        if raw.is::<ContactRecorded>() {
            let event: ContactRecorded = raw.json()?;
            return Ok(Some(Line {
                account: event.account_id,
                kind: "contact",
                summary: chasing::recorded(&event),
                amount: None,
                at: event.at,
                recorded_at: event.recorded_at,
                actor: event.actor,
                reason: event.reason,
            }));
        }
        if raw.is::<HoldChanged>() {
            let event: HoldChanged = raw.json()?;
            return Ok(Some(Line {
                account: event.account_id,
                kind: "hold",
                summary: chasing::held(&event),
                amount: None,
                at: event.recorded_at,
                recorded_at: event.recorded_at,
                actor: event.actor,
                reason: event.reason,
            }));
        }
        if raw.is::<PromiseChanged>() {
            let event: PromiseChanged = raw.json()?;
            return Ok(Some(Line {
                account: event.account_id,
                kind: "promise",
                summary: chasing::promised(&event),
                amount: Some(event.amount),
                at: event.recorded_at,
                recorded_at: event.recorded_at,
                actor: event.actor,
                reason: event.reason,
            }));
        }
        if raw.is::<PlanChanged>() {
            let event: PlanChanged = raw.json()?;
            return Ok(Some(Line {
                account: event.account_id,
                kind: "plan",
                summary: chasing::planned(&event),
                amount: Some(event.amount),
                at: event.recorded_at,
                recorded_at: event.recorded_at,
                actor: event.actor,
                reason: event.reason,
            }));
        }
        Ok(None)
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<Line>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<Line>],
        _: DateTime<Utc>,
    ) -> Result<Decided<Vec<Chased>>, Failure> {
        let changes: Vec<Chased> = batch
            .iter()
            .map(|Incoming { meta, message }| Chased {
                event_id: meta.id,
                account_id: message.account.as_uuid(),
                kind: message.kind,
                summary: message.summary.clone(),
                amount: message.amount,
                effective_on: london_date(message.at),
                recorded_at: message.recorded_at,
                actor: message.actor.clone(),
                reason: message.reason.clone(),
            })
            .collect();
        let mut notices: Vec<String> = changes
            .iter()
            .map(|one| format!("account:{}", one.account_id))
            .collect();
        notices.sort_unstable();
        notices.dedup();
        notices.truncate(64);
        Ok(Decided {
            changes,
            notices,
            events: Vec::new(),
            rejected: Vec::new(),
        })
    }

    async fn record(&self, tx: &mut Tx, changes: Vec<Chased>) -> Result<(), Failure> {
        insert(tx.conn(), &changes).await
    }
}
