//! Accounts, their balances and their ledgers.

use std::collections::HashMap;

use chrono::NaiveDate;
use contracts::api::reporting::{AccountBalance, AccountView, LedgerLine};
use kernel::AccountId;
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{enum_of, money};
use crate::serve::AsAt;

struct AccountRow {
    account_id: Uuid,
    account_ref: String,
    name: String,
    kind: Option<String>,
    parent_ref: Option<String>,
    terms_days: Option<i32>,
    email: Option<String>,
    phone: Option<String>,
    segment: Option<String>,
    department: Option<String>,
    principal: Option<String>,
}

impl AccountRow {
    fn view(self) -> Result<AccountView, Failure> {
        Ok(AccountView {
            account_id: self.account_id.into(),
            account_ref: self.account_ref,
            name: self.name,
            kind: self.kind.map(enum_of).transpose()?,
            parent_ref: self.parent_ref,
            terms_days: self.terms_days.and_then(|days| u16::try_from(days).ok()),
            email: self.email,
            phone: self.phone,
            segment: self.segment,
            department: self.department,
            principal: self.principal,
            balances: Vec::new(),
        })
    }
}

/// Accounts whose reference or name contains `search`, in the order of the
/// reference, behind `after`.
pub(crate) async fn list(
    conn: &mut PgConnection,
    at: AsAt,
    search: Option<&str>,
    after: &str,
    rows: i64,
) -> Result<Vec<AccountView>, Failure> {
    let found = sqlx::query_as!(
        AccountRow,
        r#"select account_id as "account_id!", account_ref as "account_ref!", name as "name!", kind, parent_ref,
                  terms_days, email, phone, segment, department, principal
           from reporting.accounts_at($1)
           where account_ref > $2
               and ($3::text is null or strpos(lower(account_ref), lower($3)) > 0 or strpos(lower(name), lower($3)) > 0)
           order by account_ref
           limit $4"#,
        at.known_at,
        after,
        search,
        rows,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut views = found
        .into_iter()
        .map(AccountRow::view)
        .collect::<Result<Vec<_>, _>>()?;
    add_balances(conn, at, &mut views).await?;
    Ok(views)
}

/// One account, by id or by reference.
pub(crate) async fn find(
    conn: &mut PgConnection,
    at: AsAt,
    account_id: Option<AccountId>,
    account_ref: Option<&str>,
) -> Result<Option<AccountView>, Failure> {
    let found = sqlx::query_as!(
        AccountRow,
        r#"select account_id as "account_id!", account_ref as "account_ref!", name as "name!", kind, parent_ref,
                  terms_days, email, phone, segment, department, principal
           from reporting.accounts_at($1)
           where account_ref = coalesce($2, (
               select a.account_ref
               from reporting.account a
               where a.generation = (select l.generation from reporting.live l) and a.account_id = $3
               limit 1
           ))"#,
        at.known_at,
        account_ref,
        account_id.map(AccountId::as_uuid),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let mut views = [found.view()?];
    add_balances(conn, at, &mut views).await?;
    let [view] = views;
    Ok(Some(view))
}

/// Whether anything is known of an account.
pub(crate) async fn exists(
    conn: &mut PgConnection,
    account_id: AccountId,
) -> Result<bool, Failure> {
    Ok(sqlx::query_scalar!(
        r#"select exists (
               select 1 from reporting.account a
               where a.generation = (select l.generation from reporting.live l) and a.account_id = $1
           ) as "exists!""#,
        account_id.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}

async fn add_balances(
    conn: &mut PgConnection,
    at: AsAt,
    views: &mut [AccountView],
) -> Result<(), Failure> {
    if views.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = views.iter().map(|view| view.account_id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"with debt as (
               select account_id, currency, sum(open_amount) as open,
                      coalesce(sum(open_amount) filter (where due_on < $2), 0) as overdue,
                      min(due_on) filter (where open_amount > 0) as oldest_due_on
               from reporting.documents_at($2, $3)
               where account_id = any($1)
               group by account_id, currency
           ),
           mine as (
               select r.receipt_id
               from reporting.receipt r
               where r.generation = (select l.generation from reporting.live l) and r.account_id = any($1)
               union
               select m.receipt_id
               from reporting.movement m
               where m.generation = (select l.generation from reporting.live l) and m.account_id = any($1)
           ),
           cash as (
               select r.account_id, r.currency, sum(r.unallocated) as unallocated
               from mine
               join reporting.receipts_at($2, $3) r using (receipt_id)
               where r.account_id = any($1)
               group by r.account_id, r.currency
           )
           select account_id as "account_id!", currency as "currency!",
                  coalesce(debt.open, 0) as "open!", coalesce(debt.overdue, 0) as "overdue!",
                  coalesce(cash.unallocated, 0) as "unallocated!", debt.oldest_due_on
           from debt
           full join cash using (account_id, currency)
           order by currency"#,
        &ids,
        at.as_of,
        at.known_at,
    )
    .fetch_all(conn)
    .await?;
    let mut balances: HashMap<AccountId, Vec<AccountBalance>> = HashMap::new();
    for row in rows {
        balances
            .entry(row.account_id.into())
            .or_default()
            .push(AccountBalance {
                balance: money(row.open - row.unallocated, &row.currency)?,
                open: money(row.open, &row.currency)?,
                overdue: money(row.overdue, &row.currency)?,
                unallocated: money(row.unallocated, &row.currency)?,
                oldest_due_on: row.oldest_due_on,
            });
    }
    for view in views {
        view.balances = balances.remove(&view.account_id).unwrap_or_default();
    }
    Ok(())
}

/// Where the next page of a ledger begins: behind this line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LedgerPlace {
    pub(crate) dated: NaiveDate,
    pub(crate) id: Uuid,
}

impl LedgerPlace {
    pub(crate) fn of(line: &LedgerLine) -> Self {
        let adjustment = line.adjustment_id.map(kernel::AdjustmentId::as_uuid);
        let document = line.document_id.map(kernel::DocumentId::as_uuid);
        let receipt = line.receipt_id.map(kernel::ReceiptId::as_uuid);
        Self {
            dated: line.dated,
            id: adjustment.or(document).or(receipt).unwrap_or_default(),
        }
    }
}

/// Documents of an account, what changed them without cash, and its part of
/// receipts, newest first. A receipt
/// that also pays other accounts counts with what it pays of this one, and with
/// what is left of it where it is this one's: so the lines add up to the
/// balance.
pub(crate) async fn ledger(
    conn: &mut PgConnection,
    at: AsAt,
    account_id: AccountId,
    open_only: bool,
    after: Option<&LedgerPlace>,
    rows: i64,
) -> Result<Vec<LedgerLine>, Failure> {
    let lines = sqlx::query!(
        r#"with mine as (
               select r.receipt_id
               from reporting.receipt r
               where r.generation = (select l.generation from reporting.live l) and r.account_id = $1
               union
               select m.receipt_id
               from reporting.movement m
               where m.generation = (select l.generation from reporting.live l) and m.account_id = $1
               union
               select a.receipt_id
               from reporting.document d
               join reporting.allocation a on a.generation = d.generation and a.document_id = d.document_id
               where d.generation = (select l.generation from reporting.live l) and d.account_id = $1
           ),
           part as (
               select r.receipt_id, r.bank_reference, r.narrative, r.booked_on, r.currency,
                      coalesce(paid.amount, 0) as paid,
                      case when r.account_id = $1 then r.unallocated else 0 end as unallocated
               from mine
               join reporting.receipts_at($2, $3) r using (receipt_id)
               left join lateral (
                   select sum(a.amount) as amount
                   from reporting.allocation a
                   where a.generation = (select l.generation from reporting.live l)
                       and a.receipt_id = r.receipt_id and a.account_id = $1
                       and a.effective_on <= $2 and a.recorded_at <= $3
               ) paid on true
           ),
           line as (
               select d.document_id as id, d.document_id, null::uuid as receipt_id, null::uuid as adjustment_id, d.kind,
                      d.document_ref as reference, d.matter_ref, d.issued_on as dated, d.due_on, d.amount,
                      d.open_amount as open, d.currency
               from reporting.documents_at($2, $3) d
               where d.account_id = $1
               union all
               select j.adjustment_id, j.document_id, j.receipt_id, j.adjustment_id, j.kind,
                      coalesce(d.document_ref, ''), d.matter_ref, j.effective_on, null, -j.amount, 0, j.currency
               from reporting.adjustment j
               left join reporting.document d on d.generation = j.generation and d.document_id = j.document_id
               where j.generation = (select l.generation from reporting.live l) and j.account_id = $1
                   and j.effective_on <= $2 and j.recorded_at <= $3
               union all
               select p.receipt_id, null, p.receipt_id, null, 'receipt', coalesce(p.bank_reference, p.narrative), null,
                      p.booked_on, null, -(p.paid + p.unallocated), -p.unallocated, p.currency
               from part p
               where p.paid <> 0 or p.unallocated <> 0
           )
           select document_id, receipt_id, adjustment_id, kind as "kind!", reference as "reference!", matter_ref,
                  dated as "dated!", due_on, amount as "amount!", open as "open!", currency as "currency!"
           from line
           where (not $4 or open <> 0) and ($5::date is null or (dated, id) < ($5, $6))
           order by dated desc, id desc
           limit $7"#,
        account_id.as_uuid(),
        at.as_of,
        at.known_at,
        open_only,
        after.map(|place| place.dated),
        after.map(|place| place.id),
        rows,
    )
    .fetch_all(conn)
    .await?;
    lines
        .into_iter()
        .map(|row| {
            Ok(LedgerLine {
                document_id: row.document_id.map(Into::into),
                receipt_id: row.receipt_id.map(Into::into),
                adjustment_id: row.adjustment_id.map(Into::into),
                kind: row.kind,
                reference: row.reference,
                matter_ref: row.matter_ref,
                dated: row.dated,
                due_on: row.due_on,
                amount: money(row.amount, &row.currency)?,
                open: money(row.open, &row.currency)?,
                // What is settled is neither due nor overdue.
                days_past_due: row
                    .due_on
                    .filter(|_| row.open != Decimal::ZERO)
                    .map(|due_on| (at.as_of - due_on).num_days()),
            })
        })
        .collect()
}
