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
    domain::{mandate::CALENDAR, pain001, std18},
    serve::direct_debits::serial,
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

/// The order as Direct Credits: all of it follows from the order.
fn standard_18(order: &RefundFileOrdered) -> Result<String, Failure> {
    let wrong = |detail: String| Failure::permanent("ingestion.bacs_file_wrong", detail);
    let bacs = order
        .bacs
        .as_ref()
        .ok_or_else(|| wrong("the order does not say who we are for Bacs".to_owned()))?;
    let account = std18::Account::of_key(&bacs.account);
    let user = std18::ServiceUser {
        number: bacs.user_number.clone(),
        name: bacs.user_name.clone(),
        account: account.ok_or_else(|| wrong("our account is not one of the UK".to_owned()))?,
    };
    let processing_on = CALENDAR
        .sub_working_days(order.execute_on, 1)
        .map_err(Failure::of)?;
    let entries = order
        .payments
        .iter()
        .map(|payment| {
            Some(std18::Entry {
                account: std18::Account::of_key(&payment.payee_account)?,
                code: "99",
                pence: std18::pence(payment.amount)?,
                reference: payment.end_to_end_id.clone(),
                name: payment.payee_name.clone(),
                processing_on,
            })
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| wrong("a payee's account or amount cannot go by Bacs".to_owned()))?;
    let created_on = kernel::london_date(order.recorded_at);
    std18::write(
        &user,
        &serial(order.file_id.as_uuid()),
        created_on,
        &entries,
    )
    .map_err(|found| wrong(found.first().map(ToString::to_string).unwrap_or_default()))
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
        for (index, incoming) in batch.iter().enumerate() {
            let order = &incoming.message;
            if known.contains(&order.file_id) {
                continue;
            }
            known.push(order.file_id);
            let content = match order.format {
                RefundFileFormat::Pain001 => Ok(pain001::write(order)),
                RefundFileFormat::Std18 => standard_18(order),
            };
            let content = match content {
                Ok(content) => content,
                Err(failure) => {
                    decided.rejected.push((index, failure));
                    continue;
                }
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
