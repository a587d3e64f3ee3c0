//! Refunds and their history.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contracts::{
    api::controls::{RefundView, StepView},
    controls::{ApprovalId, RefundFileId, RefundFileOrdered, RefundId, RefundState},
};
use kernel::{AccountId, Currency, OutflowId, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::refunds::{PayTo, Refund, Step};

struct Row {
    refund_id: Uuid,
    version: i64,
    state: String,
    receipt_id: Uuid,
    account_id: Option<Uuid>,
    account_ref: Option<String>,
    currency: String,
    amount: Decimal,
    reason: String,
    evidence: serde_json::Value,
    payee_name: Option<String>,
    payee_account: Option<String>,
    payee_masked: Option<String>,
    payee_reason: Option<String>,
    to_source: bool,
    payee_revision: i32,
    requester: String,
    reservation: Option<Uuid>,
    approval_id: Option<Uuid>,
    approved_sha256: Option<String>,
    payment_file: Option<Uuid>,
    reference: Option<String>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for Refund {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.refund_id.into(),
            version: row.version,
            state: named(row.state)?,
            receipt: row.receipt_id.into(),
            account: row.account_id.map(AccountId::from),
            account_ref: row.account_ref,
            amount: money(row.amount, &row.currency)?,
            reason: row.reason,
            evidence: serde_json::from_value(row.evidence)?,
            payee: PayTo {
                name: row.payee_name,
                account: row.payee_account,
                masked: row.payee_masked,
                reason: row.payee_reason,
                to_source: row.to_source,
                revision: row.payee_revision,
            },
            requester: row.requester,
            reservation: row.reservation.map(OutflowId::from),
            approval: row.approval_id.map(ApprovalId::from),
            approved_sha256: row.approved_sha256,
            payment_file: row.payment_file.map(RefundFileId::from),
            reference: row.reference,
            changed_at: row.changed_at,
        })
    }
}

impl Refund {
    /// For pages: bank details masked.
    pub(crate) fn view(&self) -> RefundView {
        RefundView {
            refund_id: self.id,
            version: self.version,
            state: self.state,
            receipt_id: self.receipt,
            account_id: self.account,
            account_ref: self.account_ref.clone(),
            amount: self.amount,
            payee_name: self.payee.name.clone(),
            payee_account: self.payee.masked.clone(),
            to_source: self.payee.to_source,
            reason: self.reason.clone(),
            requester: self.requester.clone(),
            approval_id: self.approval,
            reference: self.reference.clone(),
            changed_at: self.changed_at,
        }
    }
}

/// Writes a refund as it is, new or changed; the caller holds the lock of its
/// receipt.
pub(crate) async fn put(conn: &mut PgConnection, r: &Refund) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.refund (refund_id, version, state, receipt_id, account_id, account_ref, currency,
             amount, reason, evidence, payee_name, payee_account, payee_masked, payee_reason, to_source,
             payee_revision, requester, reservation, approval_id, reference, changed_at, approved_sha256,
             payment_reference, payment_file)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
         on conflict (refund_id) do update set version = $2, state = $3, account_id = $5, account_ref = $6,
             amount = $8, reason = $9, evidence = $10, payee_name = $11, payee_account = $12, payee_masked = $13,
             payee_reason = $14, to_source = $15, payee_revision = $16, requester = $17, reservation = $18,
             approval_id = $19, reference = $20, changed_at = $21, approved_sha256 = $22,
             payment_file = $24",
        r.id.as_uuid(),
        r.version,
        r.state.name(),
        r.receipt.as_uuid(),
        r.account.map(AccountId::as_uuid),
        r.account_ref,
        r.amount.currency().code(),
        r.amount.amount(),
        r.reason,
        serde_json::to_value(&r.evidence)?,
        r.payee.name,
        r.payee.account,
        r.payee.masked,
        r.payee.reason,
        r.payee.to_source,
        r.payee.revision,
        r.requester,
        r.reservation.map(OutflowId::as_uuid),
        r.approval.map(ApprovalId::as_uuid),
        r.reference,
        r.changed_at,
        r.approved_sha256,
        r.payment_reference(),
        r.payment_file.map(RefundFileId::as_uuid)
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn note(conn: &mut PgConnection, steps: &[Step]) -> Result<(), Failure> {
    for s in steps {
        sqlx::query!(
            "insert into allocation.refund_step (step_id, refund_id, version, state, actor, reason, reference, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            s.id,
            s.refund.as_uuid(),
            s.version,
            s.state.name(),
            s.actor,
            s.reason,
            s.reference,
            s.at
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(crate) async fn get(conn: &mut PgConnection, id: RefundId) -> Result<Option<Refund>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select refund_id, version, state, receipt_id, account_id, account_ref, currency, amount, reason, evidence,
             payee_name, payee_account, payee_masked, payee_reason, to_source, payee_revision, requester, reservation,
             approval_id, reference, changed_at, approved_sha256, payment_file
         from allocation.refund where refund_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Refund::try_from).transpose()
}

/// Which of these receipts a refund was ever drafted of.
pub(crate) async fn of_any(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
) -> Result<HashSet<ReceiptId>, Failure> {
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select distinct receipt_id from allocation.refund where receipt_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(ReceiptId::from).collect())
}

/// Verified refunds of receipts on one of our bank accounts, the oldest first.
pub(crate) async fn verified(
    conn: &mut PgConnection,
    bank_account: &str,
    currency: Currency,
    most: i64,
) -> Result<Vec<Refund>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select refund_id, version, state, receipt_id, account_id, account_ref, currency, amount, reason, evidence,
             payee_name, payee_account, payee_masked, payee_reason, to_source, payee_revision, requester, reservation,
             approval_id, reference, changed_at, approved_sha256, payment_file
         from allocation.refund
         where state = 'verified' and currency = $2
           and receipt_id in (select r.receipt_id from allocation.receipt r where r.bank_account = $1)
         order by number limit $3",
        bank_account,
        currency.code(),
        most
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(Refund::try_from).collect()
}

/// Bank accounts of ours with verified refunds that are in no file yet.
pub(crate) async fn payable(
    conn: &mut PgConnection,
) -> Result<Vec<contracts::api::controls::Payable>, Failure> {
    let rows = sqlx::query!(
        r#"select r.bank_account, f.currency, count(*) as "refunds!", sum(f.amount) as "total!"
           from allocation.refund f join allocation.receipt r on r.receipt_id = f.receipt_id
           where f.state = 'verified' group by r.bank_account, f.currency order by 1, 2 limit 100"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(contracts::api::controls::Payable {
                bank_account: row.bank_account,
                refunds: row.refunds,
                total: money(row.total, &row.currency)?,
            })
        })
        .collect()
}

/// The refunds of a payment file, also those that are void by now.
pub(crate) async fn of_file(
    conn: &mut PgConnection,
    file: RefundFileId,
) -> Result<Vec<Refund>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select refund_id, version, state, receipt_id, account_id, account_ref, currency, amount, reason, evidence,
             payee_name, payee_account, payee_masked, payee_reason, to_source, payee_revision, requester, reservation,
             approval_id, reference, changed_at, approved_sha256, payment_file
         from allocation.refund where payment_file = $1 order by number",
        file.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(Refund::try_from).collect()
}

/// Refunds that payments with these references are of, as far as they may be
/// paid or returned.
pub(crate) async fn by_payment(
    conn: &mut PgConnection,
    references: &[String],
) -> Result<Vec<Refund>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select refund_id, version, state, receipt_id, account_id, account_ref, currency, amount, reason, evidence,
             payee_name, payee_account, payee_masked, payee_reason, to_source, payee_revision, requester, reservation,
             approval_id, reference, changed_at, approved_sha256, payment_file
         from allocation.refund
         where payment_reference = any($1) and state in ('in_payment_file', 'sent', 'paid', 'returned') order by number",
        references
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(Refund::try_from).collect()
}

pub(crate) async fn note_file(
    conn: &mut PgConnection,
    order: &RefundFileOrdered,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.refund_file (file_id, reference, payments, actor, recorded_at) values ($1, $2, $3, $4, $5)",
        order.file_id.as_uuid(),
        order.reference,
        i32::try_from(order.payments.len()).unwrap_or(i32::MAX),
        order.actor,
        order.recorded_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many payments a file has; locked.
pub(crate) async fn lock_file(
    conn: &mut PgConnection,
    file: RefundFileId,
) -> Result<Option<usize>, Failure> {
    let payments = sqlx::query_scalar!(
        "select payments from allocation.refund_file where file_id = $1 for update",
        file.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(payments.map(|payments| usize::try_from(payments).unwrap_or_default()))
}

/// Of these receipts those with a refund that holds money and is not sent yet.
pub(crate) async fn unsent(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
) -> Result<HashSet<ReceiptId>, Failure> {
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select receipt_id from allocation.refund
         where receipt_id = any($1) and state in ('submitted', 'approved', 'verified', 'in_payment_file')",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(ReceiptId::from).collect())
}

/// Whether a bank line that takes money from us waits for somebody to say
/// whether it takes this payment back.
pub(crate) async fn may_be_taken_back(
    conn: &mut PgConnection,
    receipt: ReceiptId,
) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select 1 from allocation.debit
             where state = 'unmatched' and candidates @> array[$1::uuid]) as "waits!""#,
        receipt.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    state: Option<RefundState>,
    receipt: Option<ReceiptId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Refund>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select refund_id, version, state, receipt_id, account_id, account_ref, currency, amount, reason, evidence,
             payee_name, payee_account, payee_masked, payee_reason, to_source, payee_revision, requester, reservation,
             approval_id, reference, changed_at, approved_sha256, payment_file
         from allocation.refund
         where ($1::text is null or state = $1) and ($2::uuid is null or receipt_id = $2)
           and ($3::uuid is null or number < (select b.number from allocation.refund b where b.refund_id = $3))
         order by number desc limit $4",
        state.map(RefundState::name),
        receipt.map(ReceiptId::as_uuid),
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(Refund::try_from).collect()
}

/// Refunds of the same amount to the same account since `since`, beside this
/// one: perhaps the same refund twice.
pub(crate) async fn alike(
    conn: &mut PgConnection,
    r: &Refund,
    since: DateTime<Utc>,
) -> Result<Vec<RefundId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select refund_id from allocation.refund
         where refund_id <> $1 and currency = $2 and amount = $3 and payee_masked is not distinct from $4
           and changed_at >= $5 and state not in ('rejected', 'expired', 'voided', 'cancelled', 'returned')
         order by number desc limit 20",
        r.id.as_uuid(),
        r.amount.currency().code(),
        r.amount.amount(),
        r.payee.masked,
        since
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(RefundId::from).collect())
}

pub(crate) async fn history(
    conn: &mut PgConnection,
    id: RefundId,
) -> Result<Vec<StepView>, Failure> {
    let rows = sqlx::query!(
        "select version, state, actor, reason, reference, recorded_at from allocation.refund_step
         where refund_id = $1 order by version",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StepView {
                version: row.version,
                state: named(row.state)?,
                actor: row.actor,
                reason: row.reason,
                reference: row.reference,
                recorded_at: row.recorded_at,
            })
        })
        .collect()
}
