//! `statement_recorded`: a bank feed was heard of, even if nobody paid.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{Role, catalogue, ingestion::StatementRecorded};
use messaging::{Consumer, Decided, Failure, Incoming, Raw, Tx};

use super::ledger::{is, kind};
use crate::store;

/// Reads which statements came.
pub(crate) struct Feeds;

impl Consumer for Feeds {
    const STREAM: &'static str = catalogue::INGESTION;
    type Message = StatementRecorded;
    type State = ();
    type Changes = BTreeMap<String, DateTime<Utc>>;

    fn decode(&self, raw: &Raw) -> Result<Option<StatementRecorded>, Failure> {
        if !is::<StatementRecorded>(kind(raw)?, Role::Ingestion)? {
            return Ok(None);
        }
        Ok(Some(raw.json()?))
    }

    async fn load(&self, _: &mut Tx, _: &[Incoming<StatementRecorded>]) -> Result<(), Failure> {
        Ok(())
    }

    fn decide(
        &self,
        (): (),
        batch: &[Incoming<StatementRecorded>],
        _: DateTime<Utc>,
    ) -> Result<Decided<Self::Changes>, Failure> {
        let mut changes = BTreeMap::new();
        for Incoming { message, .. } in batch {
            let heard: &mut DateTime<Utc> =
                changes.entry(message.bank_account.clone()).or_default();
            *heard = message.recorded_at.max(*heard);
        }
        Ok(Decided {
            changes,
            ..Decided::default()
        })
    }

    async fn record(&self, tx: &mut Tx, feeds: Self::Changes) -> Result<(), Failure> {
        store::accounts::heard(tx.conn(), &feeds).await
    }
}
