//! `refund_file_ordered`: allocation says which refunds go; here the file is made
//! and kept.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix, catalogue,
    controls::{RefundFileFormat, RefundFileId, RefundFileMade, RefundFileOrdered},
};
use messaging::{Consumer, Decided, Failure, Incoming, Outgoing, Raw, Tx};
use sha2::{Digest as _, Sha256};

use crate::{
    domain::pain001,
    store::{self, refund_files::Made},
};

/// Makes the files that allocation orders.
pub(crate) struct RefundFiles {
    prefix: Prefix,
}

impl RefundFiles {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self { prefix }
    }
}

/// The files of a batch.
#[derive(Default)]
pub(crate) struct Written {
    made: Vec<Made>,
    now: DateTime<Utc>,
}

impl Consumer for RefundFiles {
    const STREAM: &'static str = catalogue::ALLOCATION;
    type Message = RefundFileOrdered;
    /// Files that are made already.
    type State = Vec<RefundFileId>;
    type Changes = Written;

    fn decode(&self, raw: &Raw) -> Result<Option<RefundFileOrdered>, Failure> {
        if raw.is::<RefundFileOrdered>() {
            raw.json().map(Some)
        } else {
            Ok(None)
        }
    }

    async fn load(
        &self,
        tx: &mut Tx,
        batch: &[Incoming<RefundFileOrdered>],
    ) -> Result<Vec<RefundFileId>, Failure> {
        let ids: Vec<RefundFileId> = batch.iter().map(|order| order.message.file_id).collect();
        store::refund_files::known(tx, &ids).await
    }

    fn decide(
        &self,
        mut known: Vec<RefundFileId>,
        batch: &[Incoming<RefundFileOrdered>],
        now: DateTime<Utc>,
    ) -> Result<Decided<Written>, Failure> {
        let mut decided = Decided::<Written>::default();
        decided.changes.now = now;
        for incoming in batch {
            let order = &incoming.message;
            if known.contains(&order.file_id) {
                continue;
            }
            known.push(order.file_id);
            let content = match order.format {
                RefundFileFormat::Pain001 => pain001::write(order),
            };
            let sha256 = hex::encode(Sha256::digest(&content));
            let event = RefundFileMade {
                file_id: order.file_id,
                reference: order.reference.clone(),
                format: order.format,
                bank_account: order.bank_account.clone(),
                execute_on: order.execute_on,
                payments: u32::try_from(order.payments.len()).unwrap_or(u32::MAX),
                total: order.total,
                sha256: sha256.clone(),
                recorded_at: now,
            };
            decided.events.push(Outgoing::new(
                &event,
                order.file_id.as_uuid(),
                1,
                &self.prefix,
                now,
                &incoming.meta,
            )?);
            decided.changes.made.push(Made {
                order: order.clone(),
                content,
                sha256,
            });
        }
        decided.notices = vec!["controls".to_owned()];
        Ok(decided)
    }

    async fn record(&self, tx: &mut Tx, written: Written) -> Result<(), Failure> {
        for made in &written.made {
            store::refund_files::put(tx, made, written.now).await?;
        }
        Ok(())
    }
}
