//! Payments of client money that a second person decides.

use chrono::{DateTime, Utc};
use contracts::{
    api::matters::{ClientPaymentView, MatterPayment},
    controls::{ClientPaymentId, ClientPaymentState},
};
use kernel::{DisbursementId, MatterId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::legal::payment::ClientPayment;

/// Payments shown with a matter.
const LIST_MAX: i64 = 50;

struct Row {
    payment_id: Uuid,
    matter_id: Uuid,
    state: String,
    kind: String,
    currency: String,
    amount: Decimal,
    payee: String,
    disbursement_id: Option<Uuid>,
    bank_account: String,
    reason: String,
    requester: String,
    approval_id: Uuid,
    requested_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for ClientPayment {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.payment_id.into(),
            matter: row.matter_id.into(),
            state: named(row.state)?,
            kind: named(row.kind)?,
            amount: money(row.amount, &row.currency)?,
            payee: row.payee,
            disbursement: row.disbursement_id.map(DisbursementId::from),
            bank_account: row.bank_account,
            reason: row.reason,
            requester: row.requester,
            approval: row.approval_id.into(),
            requested_at: row.requested_at,
            changed_at: row.changed_at,
        })
    }
}

impl ClientPayment {
    fn view(self) -> ClientPaymentView {
        ClientPaymentView {
            payment_id: self.id,
            state: self.state,
            kind: self.kind,
            amount: self.amount,
            payee: self.payee,
            disbursement_id: self.disbursement,
            bank_account: self.bank_account,
            reason: self.reason,
            requester: self.requester,
            approval_id: self.approval,
            requested_at: self.requested_at,
            changed_at: self.changed_at,
        }
    }
}

pub(crate) async fn insert(conn: &mut PgConnection, p: &ClientPayment) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.client_payment (payment_id, matter_id, state, kind, currency, amount, payee,
             bank_account, reason, requester, approval_id, requested_at, changed_at, disbursement_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        p.id.as_uuid(),
        p.matter.as_uuid(),
        p.state.name(),
        p.kind.name(),
        p.amount.currency().code(),
        p.amount.amount(),
        p.payee,
        p.bank_account,
        p.reason,
        p.requester,
        p.approval.as_uuid(),
        p.requested_at,
        p.changed_at,
        p.disbursement.map(DisbursementId::as_uuid)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a payment of this disbursement waits for a second person. The lock of
/// the disbursement guards it.
pub(crate) async fn waits(conn: &mut PgConnection, of: DisbursementId) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from allocation.client_payment
           where disbursement_id = $1 and state = 'requested') as "waits!""#,
        of.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}

/// Notes where it stands now.
pub(crate) async fn set(conn: &mut PgConnection, p: &ClientPayment) -> Result<(), Failure> {
    sqlx::query!(
        "update allocation.client_payment set state = $2, changed_at = $3 where payment_id = $1",
        p.id.as_uuid(),
        p.state.name(),
        p.changed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of these that are there, as they are now. The lock of the matter guards
/// them too.
pub(crate) async fn find(
    conn: &mut PgConnection,
    ids: &[ClientPaymentId],
) -> Result<Vec<ClientPayment>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select payment_id, matter_id, state, kind, currency, amount, payee, bank_account, reason, requester,
             approval_id, requested_at, changed_at, disbursement_id
         from allocation.client_payment where payment_id = any($1) order by payment_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ClientPayment::try_from).collect()
}

/// Payments of all matters, the latest first, from the one after `before`.
pub(crate) async fn list(
    conn: &mut PgConnection,
    state: Option<ClientPaymentState>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<MatterPayment>, Failure> {
    let rows = sqlx::query!(
        "select p.payment_id, p.matter_id, p.state, p.kind, p.currency, p.amount, p.payee, p.bank_account, p.reason,
             p.requester, p.approval_id, p.requested_at, p.changed_at, p.disbursement_id,
             m.matter_ref, m.title, m.account_ref
         from allocation.client_payment p join allocation.matter m using (matter_id)
         where ($1::text is null or p.state = $1)
             and ($2::uuid is null or (p.requested_at, p.payment_id) <
                 (select b.requested_at, b.payment_id from allocation.client_payment b where b.payment_id = $2))
         order by p.requested_at desc, p.payment_id desc limit $3",
        state.map(ClientPaymentState::name),
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let payment = ClientPayment::try_from(Row {
                payment_id: row.payment_id,
                matter_id: row.matter_id,
                state: row.state,
                kind: row.kind,
                currency: row.currency,
                amount: row.amount,
                payee: row.payee,
                disbursement_id: row.disbursement_id,
                bank_account: row.bank_account,
                reason: row.reason,
                requester: row.requester,
                approval_id: row.approval_id,
                requested_at: row.requested_at,
                changed_at: row.changed_at,
            })?;
            Ok(MatterPayment {
                matter_id: payment.matter,
                matter_ref: row.matter_ref,
                matter_title: row.title,
                account_ref: row.account_ref,
                payment: payment.view(),
            })
        })
        .collect()
}

pub(crate) async fn of_matter(
    conn: &mut PgConnection,
    matter: MatterId,
) -> Result<Vec<ClientPaymentView>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select payment_id, matter_id, state, kind, currency, amount, payee, bank_account, reason, requester,
             approval_id, requested_at, changed_at, disbursement_id
         from allocation.client_payment where matter_id = $1 order by requested_at desc, payment_id desc limit $2",
        matter.as_uuid(),
        LIST_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok(ClientPayment::try_from(row)?.view()))
        .collect()
}
