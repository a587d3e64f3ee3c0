//! Disbursements and their steps.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::matters::DisbursementView,
    matters::{DisbursementStep, Side},
};
use kernel::{DisbursementId, MatterId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::legal::disbursement::{Disbursement, band};

struct Row {
    disbursement_id: Uuid,
    version: i64,
    matter_id: Uuid,
    kind: String,
    supplier: String,
    currency: String,
    amount: Decimal,
    vat: Decimal,
    incurred_on: NaiveDate,
    paid_on: Option<NaiveDate>,
    funded_by: Option<String>,
    recoverable_from: Option<String>,
    supplier_state: String,
    recovery_state: String,
    agreed: Option<Decimal>,
    recovered: Decimal,
    refunded: Decimal,
    write_off_requested_by: Option<String>,
}

impl TryFrom<Row> for Disbursement {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        let of = |amount| money(amount, &row.currency);
        Ok(Self {
            id: row.disbursement_id.into(),
            version: row.version,
            matter: row.matter_id.into(),
            kind: named(row.kind)?,
            supplier: row.supplier,
            amount: of(row.amount)?,
            vat: of(row.vat)?,
            incurred_on: row.incurred_on,
            paid_on: row.paid_on,
            funded_by: row.funded_by.map(named).transpose()?,
            recoverable_from: row.recoverable_from,
            supplier_state: named(row.supplier_state)?,
            recovery_state: named(row.recovery_state)?,
            agreed: row.agreed.map(of).transpose()?,
            recovered: of(row.recovered)?,
            refunded: of(row.refunded)?,
            write_off_requested_by: row.write_off_requested_by,
        })
    }
}

/// Disbursements, locked in the order of their ids.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    ids: &[DisbursementId],
) -> Result<Vec<Disbursement>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select disbursement_id, version, matter_id, kind, supplier, currency, amount, vat, incurred_on, paid_on,
             funded_by, recoverable_from, supplier_state, recovery_state, agreed, recovered, refunded,
             write_off_requested_by
         from allocation.disbursement where disbursement_id = any($1) order by disbursement_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Disbursement::try_from).collect()
}

pub(crate) async fn of_matter(
    conn: &mut PgConnection,
    matter: MatterId,
) -> Result<Vec<Disbursement>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select disbursement_id, version, matter_id, kind, supplier, currency, amount, vat, incurred_on, paid_on,
             funded_by, recoverable_from, supplier_state, recovery_state, agreed, recovered, refunded,
             write_off_requested_by
         from allocation.disbursement where matter_id = $1 order by incurred_on, disbursement_id limit 500",
        matter.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Disbursement::try_from).collect()
}

/// Writes a disbursement as it is now, and the step that brought it there.
#[allow(clippy::too_many_arguments, reason = "one for each column of the step")]
pub(crate) async fn put(
    conn: &mut PgConnection,
    item: &Disbursement,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
    reason: &str,
    actor: &str,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.disbursement (disbursement_id, version, matter_id, kind, supplier, currency, amount,
             vat, incurred_on, paid_on, funded_by, recoverable_from, supplier_state, recovery_state, agreed, recovered,
             refunded, write_off_requested_by, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
         on conflict (disbursement_id) do update set version = excluded.version, paid_on = excluded.paid_on,
             funded_by = excluded.funded_by, supplier_state = excluded.supplier_state,
             recovery_state = excluded.recovery_state, agreed = excluded.agreed, recovered = excluded.recovered,
             refunded = excluded.refunded, write_off_requested_by = excluded.write_off_requested_by,
             recorded_at = excluded.recorded_at",
        item.id.as_uuid(),
        item.version,
        item.matter.as_uuid(),
        item.kind.name(),
        item.supplier,
        item.amount.currency().code(),
        item.amount.amount(),
        item.vat.amount(),
        item.incurred_on,
        item.paid_on,
        item.funded_by.map(Side::name),
        item.recoverable_from,
        item.supplier_state.name(),
        item.recovery_state.name(),
        item.agreed.map(Money::amount),
        item.recovered.amount(),
        item.refunded.amount(),
        item.write_off_requested_by,
        now
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into allocation.disbursement_event (disbursement_id, version, step, happened_on, amount, reason, actor,
             recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        item.id.as_uuid(),
        item.version,
        step.name(),
        on,
        amount.map(Money::amount),
        reason,
        actor,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Disbursements with their age, the oldest first.
#[allow(
    clippy::too_many_arguments,
    reason = "one for each part of the question"
)]
pub(crate) async fn list(
    conn: &mut PgConnection,
    one: Option<DisbursementId>,
    matter: Option<MatterId>,
    outstanding: bool,
    after: Option<Uuid>,
    today: NaiveDate,
    limit: i64,
) -> Result<Vec<DisbursementView>, Failure> {
    let bands = super::matters::bands(conn, today).await?;
    let rows = sqlx::query!(
        r#"select d.disbursement_id, d.version, d.matter_id, m.matter_ref, m.concluded_on, d.kind, d.supplier,
               d.currency, d.amount, d.vat, d.incurred_on, d.paid_on, d.funded_by, d.recoverable_from,
               d.supplier_state, d.recovery_state, d.agreed, d.recovered, d.refunded, d.write_off_requested_by
           from allocation.disbursement d join allocation.matter m using (matter_id)
           where ($1::uuid is null or d.disbursement_id = $1) and ($2::uuid is null or d.matter_id = $2)
             and (not $3 or d.supplier_state <> 'paid'
                 or d.recovery_state in ('not_claimed', 'claimed', 'agreed', 'shortfall'))
             and ($4::uuid is null or (d.incurred_on, d.disbursement_id) >
                 (select a.incurred_on, a.disbursement_id from allocation.disbursement a where a.disbursement_id = $4))
           order by d.incurred_on, d.disbursement_id limit $5"#,
        one.map(DisbursementId::as_uuid),
        matter.map(MatterId::as_uuid),
        outstanding,
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let concluded_on = row.concluded_on;
            let matter_ref = row.matter_ref;
            let item = Disbursement::try_from(Row {
                disbursement_id: row.disbursement_id,
                version: row.version,
                matter_id: row.matter_id,
                kind: row.kind,
                supplier: row.supplier,
                currency: row.currency,
                amount: row.amount,
                vat: row.vat,
                incurred_on: row.incurred_on,
                paid_on: row.paid_on,
                funded_by: row.funded_by,
                recoverable_from: row.recoverable_from,
                supplier_state: row.supplier_state,
                recovery_state: row.recovery_state,
                agreed: row.agreed,
                recovered: row.recovered,
                refunded: row.refunded,
                write_off_requested_by: row.write_off_requested_by,
            })?;
            let days = (today - item.incurred_on).num_days();
            Ok(DisbursementView {
                to_pay_on: item.to_pay_on().map_err(Failure::of)?,
                disbursement_id: item.id,
                version: item.version,
                matter_id: item.matter,
                matter_ref,
                kind: item.kind,
                supplier: item.supplier,
                amount: item.amount,
                vat: item.vat,
                incurred_on: item.incurred_on,
                paid_on: item.paid_on,
                funded_by: item.funded_by,
                recoverable_from: item.recoverable_from,
                supplier_state: item.supplier_state,
                recovery_state: item.recovery_state,
                agreed: item.agreed,
                recovered: item.recovered,
                refunded: item.refunded,
                write_off_requested_by: item.write_off_requested_by,
                band: band(days, &bands).to_owned(),
                days,
                days_since_conclusion: concluded_on.map(|on| (today - on).num_days()),
            })
        })
        .collect()
}
