//! Money that stands on the wrong one of our bank accounts.

use chrono::NaiveDate;
use contracts::{api::matters::BankMoveView, matters::BankMove};
use kernel::{BankMoveId, MatterId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::{money, named};

struct MoveRow {
    matter_id: Uuid,
    matter_ref: String,
    move_id: Uuid,
    kind: String,
    to_side: String,
    currency: String,
    amount: Decimal,
    from_account: Option<String>,
    receipt_id: Option<Uuid>,
    arose_on: NaiveDate,
    due_by: NaiveDate,
    done_on: Option<NaiveDate>,
}

impl MoveRow {
    fn view(self, today: NaiveDate) -> Result<BankMoveView, Failure> {
        Ok(BankMoveView {
            matter_id: self.matter_id.into(),
            matter_ref: self.matter_ref,
            overdue: self.done_on.is_none() && self.due_by < today,
            bank_move: BankMove {
                move_id: self.move_id.into(),
                kind: named(self.kind)?,
                to: named(self.to_side)?,
                amount: money(self.amount, &self.currency)?,
                from_account: self.from_account,
                receipt_id: self.receipt_id.map(ReceiptId::from),
                arose_on: self.arose_on,
                due_by: self.due_by,
                done_on: self.done_on,
            },
        })
    }
}

/// What must be moved and has not been, the most urgent first; of one matter,
/// also what was.
pub(crate) async fn moves(
    conn: &mut PgConnection,
    matter: Option<MatterId>,
    after: Option<Uuid>,
    today: NaiveDate,
    limit: i64,
) -> Result<Vec<BankMoveView>, Failure> {
    let rows = sqlx::query_as!(
        MoveRow,
        r#"select b.matter_id, m.matter_ref, b.move_id, b.kind, b.to_side, b.currency, b.amount, b.from_account,
               b.receipt_id, b.arose_on, b.due_by, b.done_on
           from allocation.bank_move b join allocation.matter m using (matter_id)
           where (b.matter_id = $1 or ($1::uuid is null and b.done_on is null))
             and ($2::uuid is null or (b.due_by, b.move_id) >
                 (select a.due_by, a.move_id from allocation.bank_move a where a.move_id = $2))
           order by b.due_by, b.move_id limit $3"#,
        matter.map(MatterId::as_uuid),
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| row.view(today)).collect()
}

pub(crate) async fn move_of(
    conn: &mut PgConnection,
    id: BankMoveId,
    today: NaiveDate,
) -> Result<Option<BankMoveView>, Failure> {
    let row = sqlx::query_as!(
        MoveRow,
        r#"select b.matter_id, m.matter_ref, b.move_id, b.kind, b.to_side, b.currency, b.amount, b.from_account,
               b.receipt_id, b.arose_on, b.due_by, b.done_on
           from allocation.bank_move b join allocation.matter m using (matter_id)
           where b.move_id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.view(today)).transpose()
}

pub(crate) async fn complete_move(
    conn: &mut PgConnection,
    id: BankMoveId,
    done_on: NaiveDate,
) -> Result<bool, Failure> {
    let done = sqlx::query!(
        "update allocation.bank_move set done_on = $2 where move_id = $1 and done_on is null",
        id.as_uuid(),
        done_on
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What was noted to be moved of a receipt so far: positive towards the
/// business.
pub(crate) async fn noted(
    conn: &mut PgConnection,
    receipt: ReceiptId,
    zero: Money,
) -> Result<Money, Failure> {
    let sum = sqlx::query_scalar!(
        r#"select coalesce(sum(case to_side when 'business' then amount else -amount end), 0) as "sum!"
           from allocation.bank_move where receipt_id = $1"#,
        receipt.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    Money::try_new(sum, zero.currency()).map_err(Failure::of)
}
