use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::direct_debits::{AdvanceNotice, CollectionRunState, CollectionRunView},
    controls::ApprovalId,
    ingestion::{BacsFileId, CollectionId, CollectionRunId, CollectionState, MandateId},
};
use kernel::{Currency, DocumentId, Money};
use messaging::{Failure, Tx};
use rust_decimal::Decimal;
use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::{column, or_lost_race};
use crate::domain::collection::{Collection, Notice, Part};

/// A run without its collections.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: CollectionRunId,
    pub(crate) entry_on: NaiveDate,
    pub(crate) processing_on: NaiveDate,
    pub(crate) state: CollectionRunState,
    pub(crate) approval: Option<ApprovalId>,
    /// What the second person is asked for, as JSON.
    pub(crate) content: String,
    pub(crate) file_id: Option<BacsFileId>,
    pub(crate) requested_by: String,
    pub(crate) requested_at: DateTime<Utc>,
}

impl Run {
    pub(crate) fn view(
        &self,
        all: &[Collection],
        today: NaiveDate,
    ) -> Result<CollectionRunView, Failure> {
        let mut own: Vec<&Collection> = all.iter().filter(|c| c.run_id == self.id).collect();
        own.sort_by(|a, b| a.account_ref.cmp(&b.account_ref));
        let counted = own
            .iter()
            .filter(|c| c.state != CollectionState::Cancelled)
            .map(|c| c.amount);
        Ok(CollectionRunView {
            run_id: self.id,
            entry_on: self.entry_on,
            processing_on: self.processing_on,
            state: self.state,
            approval_id: self.approval,
            total: Money::sum(counted, Currency::GBP).map_err(Failure::of)?,
            collections: own.iter().map(|c| c.view(today)).collect(),
            file_id: self.file_id,
            requested_by: self.requested_by.clone(),
            requested_at: self.requested_at,
        })
    }
}

fn pounds(amount: Decimal) -> Result<Money, Failure> {
    Money::try_new(amount, Currency::GBP).map_err(Failure::of)
}

/// Which collections.
pub(crate) enum Which<'a> {
    Ids(&'a [CollectionId]),
    Runs(&'a [CollectionRunId]),
    /// The live ones, and all that may still come back, of mandates.
    Mandates(&'a [MandateId]),
    Files(&'a [BacsFileId]),
    /// Sent ones of entry days before this.
    SentBefore(NaiveDate),
}

/// Locks collections, in the order of their ids.
pub(crate) async fn lock(tx: &mut Tx, which: Which<'_>) -> Result<Vec<Collection>, Failure> {
    find(tx.conn(), which, true).await
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    which: Which<'_>,
    locked: bool,
) -> Result<Vec<Collection>, Failure> {
    let (mut ids, mut runs, mut mandates, mut files, mut before) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), None);
    match which {
        Which::Ids(of) => ids = column(of, |id| id.as_uuid()),
        Which::Runs(of) => runs = column(of, |id| id.as_uuid()),
        Which::Mandates(of) => mandates = column(of, |id| id.as_uuid()),
        Which::Files(of) => files = column(of, |id| id.as_uuid()),
        Which::SentBefore(day) => before = Some(day),
    }
    if locked {
        // Who changes one waits here for who changes it now.
        query!(
            "select collection_id from ingestion.collection
             where collection_id = any($1) or run_id = any($2) or mandate_id = any($3) or file_id = any($4)
                 or (entry_on < $5 and state in ('sent', 'at_risk'))
             order by collection_id for update",
            &ids,
            &runs,
            &mandates,
            &files,
            before
        )
        .fetch_all(&mut *conn)
        .await?;
    }
    let rows = query!(
        "select collection_id, version, run_id, mandate_id, mandate_reference, account_id, account_ref, code, entry_on,
             processing_on, amount, state, reason, file_id, first_id, first_on, again, may_again
         from ingestion.collection
         where collection_id = any($1) or run_id = any($2) or mandate_id = any($3) or file_id = any($4)
             or (entry_on < $5 and state in ('sent', 'at_risk'))
         order by collection_id",
        &ids,
        &runs,
        &mandates,
        &files,
        before
    )
    .fetch_all(&mut *conn)
    .await?;
    let found: Vec<Uuid> = rows.iter().map(|row| row.collection_id).collect();
    let parts = query!(
        "select collection_id, document_id, document_ref, amount from ingestion.collection_part
         where collection_id = any($1) order by document_ref, document_id",
        &found
    )
    .fetch_all(conn)
    .await?;
    let mut of: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for part in parts {
        of.entry(part.collection_id).or_default().push(Part {
            document_id: part.document_id.into(),
            document_ref: part.document_ref,
            amount: pounds(part.amount)?,
        });
    }
    rows.into_iter()
        .map(|row| {
            Ok(Collection {
                parts: of.remove(&row.collection_id).unwrap_or_default(),
                id: row.collection_id.into(),
                version: row.version,
                run_id: row.run_id.into(),
                mandate_id: row.mandate_id.into(),
                mandate_reference: row.mandate_reference,
                account_id: row.account_id.into(),
                account_ref: row.account_ref,
                code: row.code,
                entry_on: row.entry_on,
                processing_on: row.processing_on,
                amount: pounds(row.amount)?,
                state: CollectionState::named(&row.state).ok_or_else(|| {
                    Failure::bug("ingestion.stored_state", "a stored state is not known")
                })?,
                reason: row.reason,
                file_id: row.file_id.map(BacsFileId::from),
                first_id: row.first_id.map(CollectionId::from),
                first_on: row.first_on,
                again: row.again.unsigned_abs(),
                may_again: row.may_again,
            })
        })
        .collect()
}

/// Writes a collection that is new or changed, and its step.
pub(crate) async fn put(
    tx: &mut Tx,
    collection: &Collection,
    actor: &str,
    because_of: Uuid,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let id = collection.id.as_uuid();
    query!(
        "insert into ingestion.collection (collection_id, version, run_id, mandate_id, mandate_reference, account_id,
             account_ref, code, entry_on, processing_on, amount, state, reason, file_id, first_id, first_on, again,
             may_again, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         on conflict (collection_id) do update set version = excluded.version, code = excluded.code,
             state = excluded.state, reason = excluded.reason, file_id = excluded.file_id,
             may_again = excluded.may_again, changed_at = excluded.changed_at",
        id,
        collection.version,
        collection.run_id.as_uuid(),
        collection.mandate_id.as_uuid(),
        collection.mandate_reference,
        collection.account_id.as_uuid(),
        collection.account_ref,
        collection.code,
        collection.entry_on,
        collection.processing_on,
        collection.amount.amount(),
        collection.state.name(),
        collection.reason,
        collection.file_id.map(BacsFileId::as_uuid),
        collection.first_id.map(CollectionId::as_uuid),
        collection.first_on,
        i32::try_from(collection.again).unwrap_or(i32::MAX),
        collection.may_again,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    let documents: Vec<Uuid> = column(&collection.parts, |p| p.document_id.as_uuid());
    let references: Vec<String> = column(&collection.parts, |p| p.document_ref.clone());
    let amounts: Vec<Decimal> = column(&collection.parts, |p| p.amount.amount());
    query!(
        "insert into ingestion.collection_part (collection_id, document_id, document_ref, amount, live)
         select $1, n.*, $5 from unnest($2::uuid[], $3::text[], $4::numeric[]) n
         on conflict (collection_id, document_id) do update set live = excluded.live",
        id,
        &documents,
        &references,
        &amounts,
        collection.is_live()
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    query!(
        "insert into ingestion.collection_step (collection_id, version, state, reason, actor, because_of, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        id,
        collection.version,
        collection.state.name(),
        collection.reason,
        actor,
        because_of,
        now
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

pub(crate) async fn put_run(tx: &mut Tx, run: &Run) -> Result<(), Failure> {
    query!(
        "insert into ingestion.collection_run (run_id, entry_on, processing_on, state, approval_id, content, file_id,
             requested_by, requested_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (run_id) do update set state = excluded.state, approval_id = excluded.approval_id,
             file_id = excluded.file_id",
        run.id.as_uuid(),
        run.entry_on,
        run.processing_on,
        run.state.name(),
        run.approval.map(ApprovalId::as_uuid),
        run.content,
        run.file_id.map(BacsFileId::as_uuid),
        run.requested_by,
        run.requested_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Runs by id, or a page of all, the latest entry day first.
pub(crate) async fn runs(
    conn: &mut PgConnection,
    ids: Option<&[CollectionRunId]>,
    skip: i64,
    rows: i64,
) -> Result<Vec<Run>, Failure> {
    let ids: Option<Vec<Uuid>> = ids.map(|ids| column(ids, |id| id.as_uuid()));
    let rows = query!(
        "select run_id, entry_on, processing_on, state, approval_id, content, file_id, requested_by, requested_at
         from ingestion.collection_run where $1::uuid[] is null or run_id = any($1)
         order by entry_on desc, number desc offset $2 limit $3",
        ids.as_deref(),
        skip,
        rows
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Run {
                id: row.run_id.into(),
                entry_on: row.entry_on,
                processing_on: row.processing_on,
                state: CollectionRunState::named(&row.state).ok_or_else(|| {
                    Failure::bug("ingestion.stored_state", "a stored state is not known")
                })?,
                approval: row.approval_id.map(ApprovalId::from),
                content: row.content,
                file_id: row.file_id.map(BacsFileId::from),
                requested_by: row.requested_by,
                requested_at: row.requested_at,
            })
        })
        .collect()
}

/// Locks runs in the order of their ids.
pub(crate) async fn lock_runs(tx: &mut Tx, ids: &[CollectionRunId]) -> Result<Vec<Run>, Failure> {
    let of: Vec<Uuid> = column(ids, |id| id.as_uuid());
    query!(
        "select run_id from ingestion.collection_run where run_id = any($1) order by run_id for update",
        &of
    )
    .fetch_all(tx.conn())
    .await?;
    runs(tx.conn(), Some(ids), 0, i64::from(i32::MAX)).await
}

/// A document that was asked for.
pub(crate) struct Asked {
    pub(crate) document_id: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) account_id: Uuid,
    pub(crate) account_ref: Option<String>,
    /// Nothing for credit notes.
    pub(crate) gross: Option<Money>,
    /// It is in a collection that is under way.
    pub(crate) taken: bool,
}

pub(crate) async fn documents(tx: &mut Tx, ids: &[DocumentId]) -> Result<Vec<Asked>, Failure> {
    let ids: Vec<Uuid> = column(ids, |id| id.as_uuid());
    let rows = query!(
        r#"select d.document_id, d.document_ref, d.account_id, a.account_ref as "account_ref?", d.kind, d.gross,
               d.currency,
               exists (select from ingestion.collection_part p where p.document_id = d.document_id and p.live)
                   as "taken!"
           from ingestion.document d left join ingestion.account a using (account_id)
           where d.document_id = any($1) order by d.document_ref"#,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            let owed = row.kind != "credit_note" && row.currency == "GBP";
            Ok(Asked {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                account_id: row.account_id,
                account_ref: row.account_ref,
                gross: owed.then(|| pounds(row.gross)).transpose()?,
                taken: row.taken,
            })
        })
        .collect()
}

/// Writes notices of mandates that we know; how many.
pub(crate) async fn put_notices(
    tx: &mut Tx,
    command: Uuid,
    notices: &[AdvanceNotice],
    actor: &str,
    now: DateTime<Utc>,
) -> Result<u64, Failure> {
    let lines: Vec<i32> = (0..).take(notices.len()).collect();
    let written = query!(
        "insert into ingestion.advance_notice (command_id, line, mandate_id, channel, sent_on, entry_on, amount,
             reference, actor, recorded_at)
         select $1, n.line, m.mandate_id, n.channel, n.sent_on, n.entry_on, n.amount, n.found_by, $9, $10
         from unnest($2::integer[], $3::text[], $4::text[], $5::date[], $6::date[], $7::numeric[], $8::text[])
             n(line, reference, channel, sent_on, entry_on, amount, found_by)
         join ingestion.mandate m on m.reference = n.reference",
        command,
        &lines,
        &column(notices, |n| n.mandate_reference.trim().to_owned()),
        &column(notices, |n| n.channel.trim().to_owned()),
        &column(notices, |n| n.sent_on),
        &column(notices, |n| n.entry_on),
        &column(notices, |n| n.amount.amount()),
        &column(notices, |n| n.reference.trim().to_owned()),
        actor,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(written.rows_affected())
}

/// The notices of mandates, the latest first.
pub(crate) async fn notices(
    tx: &mut Tx,
    mandates: &[MandateId],
    since: NaiveDate,
) -> Result<HashMap<MandateId, Vec<Notice>>, Failure> {
    let ids: Vec<Uuid> = column(mandates, |id| id.as_uuid());
    let rows = query!(
        "select mandate_id, sent_on, entry_on, amount from ingestion.advance_notice
         where mandate_id = any($1) and entry_on >= $2 order by sent_on desc, line",
        &ids,
        since
    )
    .fetch_all(tx.conn())
    .await?;
    let mut found: HashMap<MandateId, Vec<Notice>> = HashMap::new();
    for row in rows {
        found
            .entry(row.mandate_id.into())
            .or_default()
            .push(Notice {
                sent_on: row.sent_on,
                entry_on: row.entry_on,
                amount: pounds(row.amount)?,
            });
    }
    Ok(found)
}
