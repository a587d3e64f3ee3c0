//! Payments of client money that a second person decides.

use chrono::{DateTime, Utc};
use contracts::{api::matters::ClientPaymentView, controls::ClientPaymentId};
use kernel::MatterId;
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
             bank_account, reason, requester, approval_id, requested_at, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
        p.changed_at
    )
    .execute(conn)
    .await?;
    Ok(())
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
             approval_id, requested_at, changed_at
         from allocation.client_payment where payment_id = any($1) order by payment_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ClientPayment::try_from).collect()
}

pub(crate) async fn of_matter(
    conn: &mut PgConnection,
    matter: MatterId,
) -> Result<Vec<ClientPaymentView>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select payment_id, matter_id, state, kind, currency, amount, payee, bank_account, reason, requester,
             approval_id, requested_at, changed_at
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
