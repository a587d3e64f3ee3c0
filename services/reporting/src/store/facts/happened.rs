//! What belongs to an account's story and moves no figure of a report.

use chrono::{DateTime, NaiveDate, Utc};
use kernel::{DocumentId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LIVE_LOCK, Said};

/// One thing that happened.
#[derive(Debug)]
pub(crate) struct Happened<'e> {
    /// What it happened to; a line of its own where the event brings several.
    pub(crate) entry_id: Uuid,
    pub(crate) kind: &'static str,
    pub(crate) account_ref: &'e str,
    pub(crate) receipt_id: Option<ReceiptId>,
    pub(crate) document_id: Option<DocumentId>,
    /// The matter, or whom it is about.
    pub(crate) subject: &'e str,
    /// The step, as the ledger names it.
    pub(crate) detail: String,
    pub(crate) amount: Money,
    pub(crate) effective_on: NaiveDate,
    pub(crate) due_on: Option<NaiveDate>,
}

/// Columns of `reporting.happening`.
#[derive(Debug, Default)]
pub(crate) struct Happenings {
    event_id: Vec<Uuid>,
    entry_id: Vec<Uuid>,
    kind: Vec<&'static str>,
    account_ref: Vec<String>,
    receipt_id: Vec<Option<Uuid>>,
    document_id: Vec<Option<Uuid>>,
    subject: Vec<String>,
    detail: Vec<String>,
    amount: Vec<Decimal>,
    currency: Vec<&'static str>,
    effective_on: Vec<NaiveDate>,
    due_on: Vec<Option<NaiveDate>>,
    recorded_at: Vec<DateTime<Utc>>,
    actor: Vec<String>,
    reason: Vec<String>,
}

impl Happenings {
    pub(crate) fn push(&mut self, said: Said<'_>, happened: &Happened<'_>) {
        self.event_id.push(said.event_id);
        self.entry_id.push(happened.entry_id);
        self.kind.push(happened.kind);
        self.account_ref.push(happened.account_ref.to_owned());
        self.receipt_id
            .push(happened.receipt_id.map(ReceiptId::as_uuid));
        self.document_id
            .push(happened.document_id.map(DocumentId::as_uuid));
        self.subject.push(happened.subject.to_owned());
        self.detail.push(happened.detail.clone());
        self.amount.push(happened.amount.amount());
        self.currency.push(happened.amount.currency().code());
        self.effective_on.push(happened.effective_on);
        self.due_on.push(happened.due_on);
        self.recorded_at.push(said.recorded_at);
        self.actor.push(said.actor.to_owned());
        self.reason.push(said.reason.to_owned());
    }

    pub(super) async fn insert(
        self,
        conn: &mut PgConnection,
        generation: Option<i16>,
    ) -> Result<(), Failure> {
        if self.entry_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into reporting.happening (generation, event_id, entry_id, kind, account_ref, receipt_id, \
             document_id, subject, detail, amount, currency, effective_on, due_on, recorded_at, actor, reason) \
             select (select coalesce($1, reporting.hold_live($17))), * \
             from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::uuid[], $8::text[], \
             $9::text[], $10::numeric[], $11::text[], $12::date[], $13::date[], $14::timestamptz[], $15::text[], \
             $16::text[]) \
             on conflict do nothing",
            generation,
            &self.event_id,
            &self.entry_id,
            &self.kind as &[&str],
            &self.account_ref,
            &self.receipt_id as &[Option<Uuid>],
            &self.document_id as &[Option<Uuid>],
            &self.subject,
            &self.detail,
            &self.amount,
            &self.currency as &[&str],
            &self.effective_on,
            &self.due_on as &[Option<NaiveDate>],
            &self.recorded_at,
            &self.actor,
            &self.reason,
            LIVE_LOCK,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
