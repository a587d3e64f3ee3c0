//! Adjustments and outflows.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::allocation::{AdjustmentLine, OutflowLine};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{LIVE_LOCK, Step};

/// Columns of `reporting.adjustment`.
#[derive(Debug, Default)]
pub(crate) struct Adjustments {
    adjustment_id: Vec<Uuid>,
    kind: Vec<&'static str>,
    document_id: Vec<Uuid>,
    account_id: Vec<Uuid>,
    amount: Vec<Decimal>,
    currency: Vec<&'static str>,
    effective_on: Vec<NaiveDate>,
    recorded_at: Vec<DateTime<Utc>>,
    contra_of: Vec<Option<Uuid>>,
    receipt_id: Vec<Option<Uuid>>,
    version: Vec<Option<i64>>,
    cause: Vec<Option<Uuid>>,
    actor: Vec<String>,
    reason: Vec<String>,
    event_id: Vec<Uuid>,
}

/// The event that adjustments came with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'e> {
    pub(crate) event_id: Uuid,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) actor: &'e str,
    pub(crate) reason: &'e str,
    /// The receipt's step, where there is one.
    pub(crate) step: Option<Step>,
}

impl Adjustments {
    pub(crate) fn push(&mut self, said: Said<'_>, line: &AdjustmentLine) {
        self.adjustment_id.push(line.adjustment_id.as_uuid());
        self.kind.push(line.kind.name());
        self.document_id.push(line.document_id.as_uuid());
        self.account_id.push(line.account_id.as_uuid());
        self.amount.push(line.amount.amount());
        self.currency.push(line.amount.currency().code());
        self.effective_on.push(line.effective_on);
        self.recorded_at.push(said.recorded_at);
        self.contra_of
            .push(line.contra_of.map(kernel::AdjustmentId::as_uuid));
        self.receipt_id
            .push(said.step.map(|step| step.receipt_id.as_uuid()));
        self.version.push(said.step.map(|step| step.version));
        self.cause.push(line.cause);
        self.actor.push(said.actor.to_owned());
        self.reason.push(said.reason.to_owned());
        self.event_id.push(said.event_id);
    }

    pub(super) async fn insert(
        self,
        conn: &mut PgConnection,
        generation: Option<i16>,
    ) -> Result<(), Failure> {
        if self.adjustment_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into reporting.adjustment (generation, adjustment_id, kind, document_id, account_id, amount, \
             currency, effective_on, recorded_at, contra_of, receipt_id, version, cause, actor, reason, event_id) \
             select (select coalesce($1, reporting.hold_live($17))), * \
             from unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::numeric[], $7::text[], \
             $8::date[], $9::timestamptz[], $10::uuid[], $11::uuid[], $12::bigint[], $13::uuid[], $14::text[], \
             $15::text[], $16::uuid[]) \
             on conflict do nothing",
            generation,
            &self.adjustment_id,
            &self.kind as &[&str],
            &self.document_id,
            &self.account_id,
            &self.amount,
            &self.currency as &[&str],
            &self.effective_on,
            &self.recorded_at,
            &self.contra_of as &[Option<Uuid>],
            &self.receipt_id as &[Option<Uuid>],
            &self.version as &[Option<i64>],
            &self.cause as &[Option<Uuid>],
            &self.actor,
            &self.reason,
            &self.event_id,
            LIVE_LOCK,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Columns of `reporting.outflow`.
#[derive(Debug, Default)]
pub(crate) struct Outflows {
    receipt_id: Vec<Uuid>,
    outflow_id: Vec<Uuid>,
    version: Vec<i64>,
    kind: Vec<&'static str>,
    amount: Vec<Decimal>,
    currency: Vec<&'static str>,
    effective_on: Vec<NaiveDate>,
    recorded_at: Vec<DateTime<Utc>>,
    contra_of: Vec<Option<Uuid>>,
    cause: Vec<Option<Uuid>>,
}

impl Outflows {
    pub(crate) fn push(&mut self, step: Step, line: &OutflowLine) {
        self.receipt_id.push(step.receipt_id.as_uuid());
        self.outflow_id.push(line.outflow_id.as_uuid());
        self.version.push(step.version);
        self.kind.push(line.kind.name());
        self.amount.push(line.amount.amount());
        self.currency.push(line.amount.currency().code());
        self.effective_on.push(line.effective_on);
        self.recorded_at.push(step.recorded_at);
        self.contra_of
            .push(line.contra_of.map(kernel::OutflowId::as_uuid));
        self.cause.push(line.cause);
    }

    pub(super) async fn insert(
        self,
        conn: &mut PgConnection,
        generation: Option<i16>,
    ) -> Result<(), Failure> {
        if self.outflow_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "insert into reporting.outflow (generation, receipt_id, outflow_id, version, kind, amount, currency, \
             effective_on, recorded_at, contra_of, cause) \
             select (select coalesce($1, reporting.hold_live($12))), * \
             from unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::numeric[], $7::text[], \
             $8::date[], $9::timestamptz[], $10::uuid[], $11::uuid[]) \
             on conflict do nothing",
            generation,
            &self.receipt_id,
            &self.outflow_id,
            &self.version,
            &self.kind as &[&str],
            &self.amount,
            &self.currency as &[&str],
            &self.effective_on,
            &self.recorded_at,
            &self.contra_of as &[Option<Uuid>],
            &self.cause as &[Option<Uuid>],
            LIVE_LOCK,
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
