//! Write-offs with their VAT, and runs that clear small balances.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::controls::{
        Recovery, SmallBalanceLine, SmallBalanceRun, SmallBalanceRunView, VatRelief,
        WriteOffDetail, WriteOffLine, WriteOffView,
    },
    controls::{ApprovalId, SmallBalanceRunId, WriteOffId, WriteOffState},
};
use kernel::{AccountId, AdjustmentId, DocumentId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::{
    policy::Small,
    write_offs::{Line, Run, SmallLine, SmallOf, WriteOff},
};

struct Row {
    write_off_id: Uuid,
    version: i64,
    state: String,
    account_id: Uuid,
    account_ref: String,
    reason_code: String,
    reason: String,
    currency: String,
    amount: Decimal,
    reversed: Decimal,
    requester: String,
    approval_id: Option<Uuid>,
    posted_on: Option<NaiveDate>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<Row> for WriteOff {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.write_off_id.into(),
            version: row.version,
            state: named(row.state)?,
            account: row.account_id.into(),
            account_ref: row.account_ref,
            reason_code: row.reason_code,
            reason: row.reason,
            amount: money(row.amount, &row.currency)?,
            reversed: money(row.reversed, &row.currency)?,
            requester: row.requester,
            approval: row.approval_id.map(ApprovalId::from),
            posted_on: row.posted_on,
            changed_at: row.changed_at,
            lines: Vec::new(),
        })
    }
}

impl WriteOff {
    pub(crate) fn view(&self) -> WriteOffView {
        WriteOffView {
            write_off_id: self.id,
            version: self.version,
            state: self.state,
            account_id: self.account,
            account_ref: self.account_ref.clone(),
            reason_code: self.reason_code.clone(),
            reason: self.reason.clone(),
            amount: self.amount,
            reversed: self.reversed,
            requester: self.requester.clone(),
            approval_id: self.approval,
            changed_at: self.changed_at,
        }
    }

    pub(crate) fn detail(&self) -> WriteOffDetail {
        let line = |line: &Line| WriteOffLine {
            document_id: line.document,
            document_ref: line.document_ref.clone(),
            part: line.part,
            amount: line.amount,
            reversed: line.reversed,
            vat: line.vat,
        };
        WriteOffDetail {
            write_off: self.view(),
            lines: self.lines.iter().map(line).collect(),
        }
    }
}

/// Writes a write-off as it is, new or changed.
pub(crate) async fn put(conn: &mut PgConnection, w: &WriteOff) -> Result<(), Failure> {
    sqlx::query!(
        "insert into allocation.write_off (write_off_id, version, state, account_id, account_ref, reason_code, reason,
             currency, amount, reversed, requester, approval_id, posted_on, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         on conflict (write_off_id) do update set version = $2, state = $3, reversed = $10, approval_id = $12,
             posted_on = $13, changed_at = $14",
        w.id.as_uuid(),
        w.version,
        w.state.name(),
        w.account.as_uuid(),
        w.account_ref,
        w.reason_code,
        w.reason,
        w.amount.currency().code(),
        w.amount.amount(),
        w.reversed.amount(),
        w.requester,
        w.approval.map(ApprovalId::as_uuid),
        w.posted_on,
        w.changed_at
    )
    .execute(&mut *conn)
    .await?;
    fn column<T>(w: &WriteOff, of: impl Fn(&Line) -> T) -> Vec<T> {
        w.lines.iter().map(of).collect()
    }
    let numbers: Vec<i16> = (1..).take(w.lines.len()).collect();
    sqlx::query!(
        "insert into allocation.write_off_line (write_off_id, line, document_id, document_ref, ref_key, part, amount,
             open_then, adjustment_id, reversed, vat, supplied_on, due_on, vat_relief, earliest_claim_on,
             latest_claim_on, claimed_on, claimed, repayable)
         select $1, t.* from unnest($2::smallint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[],
             $8::numeric[], $9::uuid[], $10::numeric[], $11::numeric[], $12::date[], $13::date[], $14::bool[],
             $15::date[], $16::date[], $17::date[], $18::numeric[], $19::numeric[]) as t
         on conflict (write_off_id, line) do update set adjustment_id = excluded.adjustment_id,
             reversed = excluded.reversed, claimed_on = excluded.claimed_on, claimed = excluded.claimed,
             repayable = excluded.repayable",
        w.id.as_uuid(),
        &numbers,
        &column(w, |l| l.document.as_uuid()),
        &column(w, |l| l.document_ref.clone()),
        &column(w, |l| l.ref_key.clone()),
        &column(w, |l| l.part.name().to_owned()),
        &column(w, |l| l.amount.amount()),
        &column(w, |l| l.open_then.amount()),
        &column(w, |l| l.adjustment.map(AdjustmentId::as_uuid)) as &[Option<Uuid>],
        &column(w, |l| l.reversed.amount()),
        &column(w, |l| l.vat.map(Money::amount)) as &[Option<Decimal>],
        &column(w, |l| l.supplied_on),
        &column(w, |l| l.due_on),
        &column(w, |l| l.vat_relief),
        &column(w, |l| l.earliest_claim_on),
        &column(w, |l| l.latest_claim_on),
        &column(w, |l| l.claimed_on) as &[Option<NaiveDate>],
        &column(w, |l| l.claimed.map(Money::amount)) as &[Option<Decimal>],
        &column(w, |l| l.repayable.amount())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One with its lines, locked.
pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: WriteOffId,
) -> Result<Option<WriteOff>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select write_off_id, version, state, account_id, account_ref, reason_code, reason, currency, amount, reversed,
             requester, approval_id, posted_on, changed_at
         from allocation.write_off where write_off_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let currency = row.currency.clone();
    let mut found = WriteOff::try_from(row)?;
    let lines = sqlx::query!(
        "select document_id, document_ref, ref_key, part, amount, open_then, adjustment_id, reversed, vat, supplied_on,
             due_on, vat_relief, earliest_claim_on, latest_claim_on, claimed_on, claimed, repayable
         from allocation.write_off_line where write_off_id = $1 order by line",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let maybe = |amount: Option<Decimal>| amount.map(|amount| money(amount, &currency)).transpose();
    for line in lines {
        found.lines.push(Line {
            document: line.document_id.into(),
            document_ref: line.document_ref,
            ref_key: line.ref_key,
            part: named(line.part)?,
            amount: money(line.amount, &currency)?,
            open_then: money(line.open_then, &currency)?,
            adjustment: line.adjustment_id.map(AdjustmentId::from),
            reversed: money(line.reversed, &currency)?,
            vat: maybe(line.vat)?,
            supplied_on: line.supplied_on,
            due_on: line.due_on,
            vat_relief: line.vat_relief,
            earliest_claim_on: line.earliest_claim_on,
            latest_claim_on: line.latest_claim_on,
            claimed_on: line.claimed_on,
            claimed: maybe(line.claimed)?,
            repayable: money(line.repayable, &currency)?,
        });
    }
    Ok(Some(found))
}

/// The documents of a write-off, to be locked before it.
pub(crate) async fn documents(
    conn: &mut PgConnection,
    id: WriteOffId,
) -> Result<Vec<DocumentId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select document_id from allocation.write_off_line where write_off_id = $1",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().map(DocumentId::from).collect())
}

/// What billing said of the VAT in documents.
pub(crate) async fn vat(
    conn: &mut PgConnection,
    ids: &[DocumentId],
) -> Result<BTreeMap<DocumentId, Money>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select document_id, currency, vat as "vat!" from allocation.open_item
           where document_id = any($1) and vat is not null"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.document_id.into(), money(row.vat, &row.currency)?)))
        .collect()
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    state: Option<WriteOffState>,
    account: Option<AccountId>,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<WriteOffView>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select write_off_id, version, state, account_id, account_ref, reason_code, reason, currency, amount, reversed,
             requester, approval_id, posted_on, changed_at
         from allocation.write_off
         where ($1::text is null or state = $1) and ($2::uuid is null or account_id = $2)
           and ($3::uuid is null or number < (select b.number from allocation.write_off b where b.write_off_id = $3))
         order by number desc limit $4",
        state.map(WriteOffState::name),
        account.map(AccountId::as_uuid),
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| Ok(WriteOff::try_from(row)?.view()))
        .collect()
}

/// Receipts with money left whose words name a written-off document (E45).
pub(crate) async fn recoveries(conn: &mut PgConnection) -> Result<Vec<Recovery>, Failure> {
    let rows = sqlx::query!(
        r#"select r.receipt_id, r.booked_on, r.payer_name, r.currency, r.unallocated, w.write_off_id, l.document_ref,
               w.account_ref, l.amount - l.reversed as "written_off!"
           from allocation.write_off w
           join allocation.write_off_line l using (write_off_id)
           join allocation.receipt r on r.unallocated > 0 and r.tokens && array[l.ref_key] and r.currency = w.currency
           where w.state in ('posted', 'part_reversed') and l.adjustment_id is not null and l.ref_key <> ''
           order by r.receipt_id desc limit 100"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Recovery {
                receipt_id: row.receipt_id.into(),
                booked_on: row.booked_on,
                payer_name: row.payer_name,
                unallocated: money(row.unallocated, &row.currency)?,
                write_off_id: row.write_off_id.into(),
                document_ref: row.document_ref,
                account_ref: row.account_ref,
                written_off: money(row.written_off, &row.currency)?,
            })
        })
        .collect()
}

/// A page of VAT relief and where the next begins: by write-off and line.
pub(crate) async fn vat_relief(
    conn: &mut PgConnection,
    claimable_on: Option<NaiveDate>,
    after: Option<(Uuid, i16)>,
    rows: i64,
) -> Result<Vec<(Uuid, i16, VatRelief)>, Failure> {
    let found = sqlx::query!(
        r#"select w.write_off_id, l.line, l.document_id, l.document_ref, w.account_ref, w.currency,
               w.posted_on as "posted_on!", l.amount, l.reversed, l.vat, l.supplied_on, l.due_on, l.earliest_claim_on,
               l.latest_claim_on, l.claimed_on, l.claimed, l.repayable
           from allocation.write_off w join allocation.write_off_line l using (write_off_id)
           where w.posted_on is not null and l.vat_relief
             and ($1::date is null or (l.claimed_on is null and l.amount > l.reversed
                  and $1 between l.earliest_claim_on and l.latest_claim_on))
             and ($2::uuid is null or (w.write_off_id, l.line) > ($2, $3::smallint))
           order by w.write_off_id, l.line limit $4"#,
        claimable_on,
        after.map(|(id, _)| id),
        after.map(|(_, line)| line),
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| {
            let maybe = |amount: Option<Decimal>| {
                amount
                    .map(|amount| money(amount, &row.currency))
                    .transpose()
            };
            // What is in force still of what was written off.
            let in_force = row.amount - row.reversed;
            let vat = row
                .vat
                .and_then(|vat| vat.checked_mul(in_force)?.checked_div(row.amount))
                .map(|vat| {
                    let currency = kernel::Currency::parse(&row.currency).map_err(Failure::of)?;
                    Money::rounded(vat, currency, kernel::Rounding::HalfUp).map_err(Failure::of)
                })
                .transpose()?;
            let relief = VatRelief {
                write_off_id: row.write_off_id.into(),
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                account_ref: row.account_ref,
                written_off_on: row.posted_on,
                amount: money(in_force, &row.currency)?,
                vat,
                supplied_on: row.supplied_on,
                due_on: row.due_on,
                earliest_claim_on: row.earliest_claim_on,
                latest_claim_on: row.latest_claim_on,
                claimed_on: row.claimed_on,
                claimed: maybe(row.claimed)?,
                repayable: maybe(row.claimed.map(|_| row.repayable))?,
            };
            Ok((row.write_off_id, row.line, relief))
        })
        .collect()
}

// ---- small balances

/// Documents and receipts with a small rest, the oldest first; `most` of each.
pub(crate) async fn small(
    conn: &mut PgConnection,
    small: &Small,
    until: NaiveDate,
    most: i64,
) -> Result<Vec<SmallLine>, Failure> {
    let currency = small.at_most.currency().code();
    let items = sqlx::query!(
        "select document_id, document_ref, open from allocation.open_item
         where open <> 0 and currency = $1 and abs(open) <= $2 and due_on <= $3
         order by due_on, document_id limit $4",
        currency,
        small.at_most.amount(),
        until,
        most
    )
    .fetch_all(&mut *conn)
    .await?;
    // A small receipt of which nothing was used is no rest: perhaps a test
    // payment, or somebody's money.
    let receipts = sqlx::query!(
        r#"select receipt_id, coalesce(bank_reference, payer_name, '') as "reference!", unallocated
           from allocation.receipt
           where unallocated > 0 and unallocated < amount and currency = $1 and unallocated <= $2 and booked_on <= $3
           order by booked_on, receipt_id limit $4"#,
        currency,
        small.at_most.amount(),
        until,
        most
    )
    .fetch_all(conn)
    .await?;
    let mut lines = Vec::with_capacity(items.len() + receipts.len());
    for row in items {
        lines.push(SmallLine {
            of: SmallOf::Document(row.document_id.into()),
            reference: row.document_ref,
            amount: money(row.open, currency)?,
            movement: None,
        });
    }
    for row in receipts {
        lines.push(SmallLine {
            of: SmallOf::Receipt(row.receipt_id.into()),
            reference: row.reference,
            amount: money(row.unallocated, currency)?,
            movement: None,
        });
    }
    Ok(lines)
}

pub(crate) async fn put_run(conn: &mut PgConnection, run: &Run) -> Result<(), Failure> {
    let count = i32::try_from(run.lines.len()).unwrap_or(i32::MAX);
    sqlx::query!(
        "insert into allocation.small_balance_run (run_id, version, state, currency, at_most, lines, amount, reason,
             requester, approval_id, changed_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (run_id) do update set version = $2, state = $3, approval_id = $10, changed_at = $11",
        run.id.as_uuid(),
        run.version,
        run.state.name(),
        run.at_most.currency().code(),
        run.at_most.amount(),
        count,
        run.amount.amount(),
        run.reason,
        run.requester,
        run.approval.map(ApprovalId::as_uuid),
        run.changed_at
    )
    .execute(&mut *conn)
    .await?;
    fn column<T>(run: &Run, of: impl Fn(&SmallLine) -> T) -> Vec<T> {
        run.lines.iter().map(of).collect()
    }
    let numbers: Vec<i16> = (1..).take(run.lines.len()).collect();
    sqlx::query!(
        "insert into allocation.small_balance_line (run_id, line, document_id, receipt_id, reference, amount, movement_id)
         select $1, t.* from unnest($2::smallint[], $3::uuid[], $4::uuid[], $5::text[], $6::numeric[], $7::uuid[]) as t
         on conflict (run_id, line) do update set movement_id = excluded.movement_id",
        run.id.as_uuid(),
        &numbers,
        &column(run, |l| match l.of {
            SmallOf::Document(id) => Some(id.as_uuid()),
            SmallOf::Receipt(_) => None,
        }) as &[Option<Uuid>],
        &column(run, |l| match l.of {
            SmallOf::Document(_) => None,
            SmallOf::Receipt(id) => Some(id.as_uuid()),
        }) as &[Option<Uuid>],
        &column(run, |l| l.reference.clone()),
        &column(run, |l| l.amount.amount()),
        &column(run, |l| l.movement) as &[Option<Uuid>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct RunRow {
    run_id: Uuid,
    version: i64,
    state: String,
    currency: String,
    at_most: Decimal,
    lines: i32,
    amount: Decimal,
    reason: String,
    requester: String,
    approval_id: Option<Uuid>,
    changed_at: DateTime<Utc>,
}

impl TryFrom<RunRow> for SmallBalanceRunView {
    type Error = Failure;

    fn try_from(row: RunRow) -> Result<Self, Failure> {
        Ok(Self {
            run_id: row.run_id.into(),
            version: row.version,
            state: named(row.state)?,
            at_most: money(row.at_most, &row.currency)?,
            lines: row.lines.into(),
            amount: money(row.amount, &row.currency)?,
            reason: row.reason,
            requester: row.requester,
            approval_id: row.approval_id.map(ApprovalId::from),
            changed_at: row.changed_at,
        })
    }
}

pub(crate) async fn runs(
    conn: &mut PgConnection,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<SmallBalanceRunView>, Failure> {
    let found = sqlx::query_as!(
        RunRow,
        "select run_id, version, state, currency, at_most, lines, amount, reason, requester, approval_id, changed_at
         from allocation.small_balance_run
         where $1::uuid is null or number < (select b.number from allocation.small_balance_run b where b.run_id = $1)
         order by number desc limit $2",
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(SmallBalanceRunView::try_from)
        .collect()
}

/// A run as it stands.
pub(crate) async fn run(
    conn: &mut PgConnection,
    id: SmallBalanceRunId,
) -> Result<Option<Run>, Failure> {
    let row = sqlx::query_as!(
        RunRow,
        "select run_id, version, state, currency, at_most, lines, amount, reason, requester, approval_id, changed_at
         from allocation.small_balance_run where run_id = $1",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let currency = row.currency.clone();
    let view = SmallBalanceRunView::try_from(row)?;
    let rows = sqlx::query!(
        "select document_id, receipt_id, reference, amount, movement_id from allocation.small_balance_line
         where run_id = $1 order by line",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let of = match (row.document_id, row.receipt_id) {
            (Some(id), _) => SmallOf::Document(id.into()),
            (None, Some(id)) => SmallOf::Receipt(id.into()),
            // The constraint `one_of_both` allows no third.
            (None, None) => continue,
        };
        lines.push(SmallLine {
            of,
            reference: row.reference,
            amount: money(row.amount, &currency)?,
            movement: row.movement_id,
        });
    }
    Ok(Some(Run {
        id: view.run_id,
        version: view.version,
        state: view.state,
        at_most: view.at_most,
        amount: view.amount,
        reason: view.reason,
        requester: view.requester,
        approval: view.approval_id,
        changed_at: view.changed_at,
        lines,
    }))
}

impl Run {
    pub(crate) fn detail(&self) -> SmallBalanceRun {
        let line = |line: &SmallLine| {
            let (document_id, receipt_id): (Option<DocumentId>, Option<ReceiptId>) = match line.of {
                SmallOf::Document(id) => (Some(id), None),
                SmallOf::Receipt(id) => (None, Some(id)),
            };
            SmallBalanceLine {
                document_id,
                receipt_id,
                reference: line.reference.clone(),
                amount: line.amount,
                cleared: line.movement.is_some(),
            }
        };
        SmallBalanceRun {
            run: SmallBalanceRunView {
                run_id: self.id,
                version: self.version,
                state: self.state,
                at_most: self.at_most,
                lines: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
                amount: self.amount,
                reason: self.reason.clone(),
                requester: self.requester.clone(),
                approval_id: self.approval,
                changed_at: self.changed_at,
            },
            lines: self.lines.iter().map(line).collect(),
        }
    }
}

/// As [`run`], locked: after the receipts and items that it clears.
pub(crate) async fn lock_run(
    conn: &mut PgConnection,
    id: SmallBalanceRunId,
) -> Result<Option<Run>, Failure> {
    sqlx::query!(
        "select 1 as one from allocation.small_balance_run where run_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    run(conn, id).await
}
