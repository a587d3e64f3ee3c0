//! Debits, the receipts that they may have taken back, and what stands of those.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AdjustmentLine, AllocationLine, DebitState, OutflowLine},
    api::returns::{DebitView, Run},
};
use kernel::{AdjustmentId, AllocationId, DebitId, DocumentId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named, receipts};
use crate::consume::duplicates::Payment;
use crate::domain::{
    Line, Receipt,
    ledger::NotedDebit,
    returns::{self, Debit, Standing, advised::Advised},
};

/// Payments of one amount that are looked at as what a debit took, at most: the
/// latest ones.
pub(crate) const CANDIDATES_MAX: i64 = 20;

/// Payments of one amount among which a repeated one is looked for, at most: the
/// latest ones.
const PAYMENTS_MAX: i64 = 2000;

/// Which of these are on the ledger already.
pub(crate) async fn known(
    conn: &mut PgConnection,
    ids: &[DebitId],
) -> Result<HashSet<DebitId>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        "select debit_id from allocation.debit where debit_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(DebitId::from).collect())
}

/// Receipts that `debits` may have taken back: of their amounts, or with their
/// end-to-end ids.
pub(crate) async fn candidates(
    conn: &mut PgConnection,
    debits: &[Debit],
) -> Result<Vec<ReceiptId>, Failure> {
    // Those of items are looked up by their day and marks.
    let lines = || debits.iter().filter(|debit| debit.item.is_none());
    let banks: Vec<String> = lines().map(|d| d.bank_account.clone()).collect();
    let amounts: Vec<Decimal> = lines().map(|d| d.amount.amount()).collect();
    let days: Vec<NaiveDate> = lines().map(|d| d.booked_on).collect();
    let ends: Vec<String> = lines().filter_map(|d| d.end_to_end_id.clone()).collect();
    let ids = sqlx::query_scalar!(
        r#"select c.receipt_id as "id!" from unnest($1::text[], $2::numeric[], $3::date[]) as d(bank, amount, day)
             cross join lateral (select r.receipt_id from allocation.receipt r
                 where r.amount = d.amount and r.booked_on <= d.day and r.bank_account = d.bank
                 order by r.booked_on desc limit $4) c
           union
           select receipt_id from allocation.receipt where end_to_end_id = any($5)
               and scheme in ('dd_collection', 'card', 'cheque')"#,
        &banks,
        &amounts,
        &days,
        CANDIDATES_MAX,
        &ends
    )
    .fetch_all(&mut *conn)
    .await?;
    Ok(ids.into_iter().map(ReceiptId::from).collect())
}

/// The same receipts and those that were `reached` otherwise, locked in key order.
pub(crate) async fn lock_candidates(
    conn: &mut PgConnection,
    debits: &[Debit],
    reached: &[ReceiptId],
) -> Result<Vec<Receipt>, Failure> {
    let mut ids = candidates(conn, debits).await?;
    ids.extend(reached);
    ids.sort_unstable();
    ids.dedup();
    receipts::lock_all(conn, &ids).await
}

/// Which of these have taken a returned outflow from a receipt: of refunds those
/// whose money came back on a bank line.
pub(crate) async fn caused(
    conn: &mut PgConnection,
    causes: &[Uuid],
) -> Result<HashSet<Uuid>, Failure> {
    if causes.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query_scalar!(
        r#"select distinct cause as "cause!" from allocation.outflow
           where cause = any($1) and kind = 'returned' and contra_of is null"#,
        causes
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// What stands of receipts.
pub(crate) async fn standing(
    conn: &mut PgConnection,
    receipts: &[ReceiptId],
) -> Result<HashMap<ReceiptId, Standing>, Failure> {
    let mut found: HashMap<ReceiptId, Standing> = HashMap::new();
    if receipts.is_empty() {
        return Ok(found);
    }
    let ids: Vec<Uuid> = receipts.iter().map(|id| id.as_uuid()).collect();
    let lines = sqlx::query!(
        "select l.receipt_id, l.allocation_id, l.document_id, i.document_ref, l.account_id, l.currency, l.amount,
             l.effective_on
         from allocation.allocation l join allocation.open_item i using (document_id)
         where l.receipt_id = any($1) and l.contra_of is null
           and not exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id)
         order by l.allocation_id",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in lines {
        let of = found.entry(row.receipt_id.into()).or_default();
        of.lines.push(AllocationLine {
            allocation_id: row.allocation_id.into(),
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            account_id: row.account_id.into(),
            amount: money(row.amount, &row.currency)?,
            effective_on: row.effective_on,
            contra_of: None,
        });
    }
    let adjustments = sqlx::query!(
        r#"select d.receipt_id as "receipt_id!", d.adjustment_id, d.kind, d.document_id, i.document_ref, d.account_id,
             d.currency, d.amount, d.effective_on, d.cause
         from allocation.adjustment d join allocation.open_item i using (document_id)
         where d.receipt_id = any($1) and d.contra_of is null
           and not exists (select 1 from allocation.adjustment c where c.contra_of = d.adjustment_id)
         order by d.adjustment_id"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in adjustments {
        let of = found.entry(row.receipt_id.into()).or_default();
        of.adjustments.push(AdjustmentLine {
            adjustment_id: row.adjustment_id.into(),
            kind: named(row.kind)?,
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            account_id: row.account_id.into(),
            amount: money(row.amount, &row.currency)?,
            effective_on: row.effective_on,
            contra_of: None,
            cause: row.cause,
        });
    }
    let outflows = sqlx::query!(
        "select o.receipt_id, o.outflow_id, o.kind, o.currency, o.amount, o.effective_on, o.cause
         from allocation.outflow o
         where o.receipt_id = any($1) and o.contra_of is null
           and not exists (select 1 from allocation.outflow c where c.contra_of = o.outflow_id)
         order by o.outflow_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    for row in outflows {
        let of = found.entry(row.receipt_id.into()).or_default();
        of.outflows.push(OutflowLine {
            outflow_id: row.outflow_id.into(),
            kind: named(row.kind)?,
            amount: money(row.amount, &row.currency)?,
            effective_on: row.effective_on,
            contra_of: None,
            cause: row.cause,
        });
    }
    Ok(found)
}

pub(super) struct Row {
    pub(super) debit_id: Uuid,
    pub(super) version: i64,
    pub(super) state: String,
    pub(super) bank_account: String,
    pub(super) bank_reference: Option<String>,
    pub(super) booked_on: NaiveDate,
    pub(super) currency: String,
    pub(super) amount: Decimal,
    pub(super) scheme: Option<String>,
    pub(super) code: Option<String>,
    pub(super) counterparty_name: Option<String>,
    pub(super) counterparty_account: Option<String>,
    pub(super) narrative: String,
    pub(super) end_to_end_id: Option<String>,
    pub(super) mandate_reference: Option<String>,
    pub(super) receipt_id: Option<Uuid>,
    pub(super) shortfall: Option<Decimal>,
    pub(super) candidates: Vec<Uuid>,
    pub(super) reopened: serde_json::Value,
    pub(super) evidence: serde_json::Value,
    pub(super) report: Option<String>,
    pub(super) service_user: Option<String>,
    pub(super) original_on: Option<NaiveDate>,
    pub(super) claim: Option<String>,
    pub(super) batch_items: Option<i32>,
    pub(super) batch_total: Option<Decimal>,
    pub(super) challenge_by: Option<NaiveDate>,
    pub(super) expected_on: Option<NaiveDate>,
    pub(super) pair: Option<Uuid>,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) recorded_at: DateTime<Utc>,
}

/// A line as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredLine {
    document: DocumentId,
    amount: Money,
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::bug("allocation.stored_debit", "a stored debit cannot be read").caused_by(error)
}

impl TryFrom<Row> for Debit {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        let reopened: Vec<StoredLine> = serde_json::from_value(row.reopened).map_err(unreadable)?;
        let item = match (row.report, row.service_user, row.batch_total) {
            (Some(report), Some(service_user), Some(total)) => Some(Advised {
                report: named(report)?,
                service_user,
                original_on: row.original_on,
                claim: row.claim,
                items: row.batch_items.unwrap_or(1),
                total: money(total, &row.currency)?,
                challenge_by: row.challenge_by,
                expected_on: row.expected_on,
            }),
            _ => None,
        };
        Ok(Self {
            item,
            pair: row.pair.map(DebitId::from),
            id: row.debit_id.into(),
            version: row.version,
            state: named(row.state)?,
            bank_account: row.bank_account,
            bank_reference: row.bank_reference,
            booked_on: row.booked_on,
            amount: money(row.amount, &row.currency)?,
            scheme: row.scheme,
            code: row.code,
            counterparty_name: row.counterparty_name,
            counterparty_account: row.counterparty_account,
            narrative: row.narrative,
            end_to_end_id: row.end_to_end_id,
            mandate_reference: row.mandate_reference,
            receipt: row.receipt_id.map(ReceiptId::from),
            shortfall: row
                .shortfall
                .map(|amount| money(amount, &row.currency))
                .transpose()?,
            candidates: row.candidates.into_iter().map(ReceiptId::from).collect(),
            reopened: reopened
                .into_iter()
                .map(|line| Line {
                    document: line.document,
                    amount: line.amount,
                })
                .collect(),
            evidence: serde_json::from_value(row.evidence).map_err(unreadable)?,
            recorded_at: row.recorded_at,
        })
    }
}

/// Debits that one of `receipts`, which are new, may be what they waited for or
/// what they took, given again. Locked in key order. Hardly ever any: both
/// indexes hold only what is unsettled.
pub(crate) async fn lock_waiting(
    conn: &mut PgConnection,
    amounts: &[Decimal],
    ends: &[String],
) -> Result<Vec<Debit>, Failure> {
    if amounts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit
         where debit_id = any(array(
             select debit_id from allocation.debit where state = 'unmatched' and amount = any($1)
             union
             select debit_id from allocation.debit where state = 'unmatched' and end_to_end_id = any($2)
             union
             select debit_id from allocation.debit where state = 'returned' and end_to_end_id = any($2)))
         order by debit_id for update",
        amounts,
        ends
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Debit::try_from).collect()
}

pub(super) async fn lock_rows(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Debit>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit where debit_id = any($1) order by debit_id for update",
        ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Debit::try_from).collect()
}

pub(crate) async fn lock(conn: &mut PgConnection, id: DebitId) -> Result<Option<Debit>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit where debit_id = $1 for update",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Debit::try_from).transpose()
}

/// Writes how debits stand; the caller holds the locks of those that were there.
pub(crate) async fn put(conn: &mut PgConnection, debits: &[NotedDebit]) -> Result<(), Failure> {
    if debits.is_empty() {
        return Ok(());
    }
    fn column<'d, T>(rows: &'d [NotedDebit], of: impl Fn(&'d Debit) -> T) -> Vec<T> {
        rows.iter().map(|row| of(&row.debit)).collect()
    }
    fn of_item<'d, T>(debit: &'d Debit, of: impl Fn(&'d Advised) -> T) -> Option<T> {
        debit.item.as_ref().map(of)
    }
    let mut candidates = Vec::new();
    let mut reopened = Vec::new();
    let mut evidence = Vec::new();
    for NotedDebit { debit, .. } in debits {
        let ids: Vec<String> = debit.candidates.iter().map(ToString::to_string).collect();
        candidates.push(ids.join(" "));
        let lines: Vec<StoredLine> = debit
            .reopened
            .iter()
            .map(|line| StoredLine {
                document: line.document,
                amount: line.amount,
            })
            .collect();
        reopened.push(serde_json::to_value(lines)?);
        evidence.push(serde_json::to_value(&debit.evidence)?);
    }
    sqlx::query!(
        "insert into allocation.debit (debit_id, version, state, bank_account, bank_reference, booked_on, currency,
             amount, scheme, code, counterparty_name, counterparty_account, narrative, end_to_end_id,
             mandate_reference, receipt_id, shortfall, candidates, reopened, evidence, actor, reason, recorded_at,
             report, service_user, original_on, claim, batch_items, batch_total, challenge_by, expected_on, pair)
         select t.id, t.version, t.state, t.bank, t.bank_ref, t.booked, t.currency, t.amount, t.scheme, t.code, t.name,
             t.account, t.narrative, t.e2e, t.mandate, t.receipt, t.shortfall,
             case when t.candidates = '' then '{}' else string_to_array(t.candidates, ' ')::uuid[] end,
             t.reopened, t.evidence, t.actor, t.reason, t.at, t.report, t.service_user, t.original, t.claim, t.items,
             t.total, t.challenge, t.expected, t.pair
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::date[], $7::text[],
             $8::numeric[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
             $16::uuid[], $17::numeric[], $18::text[], $19::jsonb[], $20::jsonb[], $21::text[], $22::text[],
             $23::timestamptz[], $24::text[], $25::text[], $26::date[], $27::text[], $28::int[], $29::numeric[],
             $30::date[], $31::date[], $32::uuid[])
             as t(id, version, state, bank, bank_ref, booked, currency, amount, scheme, code, name, account, narrative,
                 e2e, mandate, receipt, shortfall, candidates, reopened, evidence, actor, reason, at, report,
                 service_user, original, claim, items, total, challenge, expected, pair)
         on conflict (debit_id) do update set version = excluded.version, state = excluded.state,
             receipt_id = excluded.receipt_id, shortfall = excluded.shortfall, candidates = excluded.candidates,
             reopened = excluded.reopened, evidence = excluded.evidence, actor = excluded.actor,
             reason = excluded.reason, pair = excluded.pair, bank_account = excluded.bank_account,
             scheme = excluded.scheme, code = excluded.code",
        &column(debits, |d| d.id.as_uuid()),
        &column(debits, |d| d.version),
        &column(debits, |d| d.state.name()) as &[&str],
        &column(debits, |d| d.bank_account.as_str()) as &[&str],
        &column(debits, |d| d.bank_reference.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.booked_on),
        &column(debits, |d| d.amount.currency().code()) as &[&str],
        &column(debits, |d| d.amount.amount()),
        &column(debits, |d| d.scheme.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.code.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.counterparty_name.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.counterparty_account.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.narrative.as_str()) as &[&str],
        &column(debits, |d| d.end_to_end_id.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.mandate_reference.as_deref()) as &[Option<&str>],
        &column(debits, |d| d.receipt.map(ReceiptId::as_uuid)) as &[Option<Uuid>],
        &column(debits, |d| d.shortfall.map(Money::amount)) as &[Option<Decimal>],
        &candidates,
        &reopened,
        &evidence,
        &debits.iter().map(|d| d.actor.as_str()).collect::<Vec<_>>() as &[&str],
        &debits.iter().map(|d| d.reason.as_str()).collect::<Vec<_>>() as &[&str],
        &column(debits, |d| d.recorded_at),
        &column(debits, |d| of_item(d, |item| item.report.name())) as &[Option<&str>],
        &column(debits, |d| of_item(d, |item| item.service_user.as_str())) as &[Option<&str>],
        &column(debits, |d| of_item(d, |item| item.original_on).flatten()) as &[Option<NaiveDate>],
        &column(debits, |d| of_item(d, |item| item.claim.as_deref()).flatten()) as &[Option<&str>],
        &column(debits, |d| of_item(d, |item| item.items)) as &[Option<i32>],
        &column(debits, |d| of_item(d, |item| item.total.amount())) as &[Option<Decimal>],
        &column(debits, |d| of_item(d, |item| item.challenge_by).flatten()) as &[Option<NaiveDate>],
        &column(debits, |d| of_item(d, |item| item.expected_on).flatten()) as &[Option<NaiveDate>],
        &column(debits, |d| d.pair.map(DebitId::as_uuid)) as &[Option<Uuid>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn view_of(row: Row) -> Result<DebitView, Failure> {
    let (actor, reason) = (row.actor.clone(), row.reason.clone());
    let debit = Debit::try_from(row)?;
    let told = debit.reason();
    Ok(DebitView {
        advised: debit.advised_by(),
        paired_with: debit.pair,
        debit_id: debit.id,
        version: debit.version,
        state: debit.state,
        bank_account: debit.bank_account,
        bank_reference: debit.bank_reference,
        booked_on: debit.booked_on,
        amount: debit.amount,
        scheme: debit.scheme,
        code: debit.code,
        meaning: told.map(|reason: returns::Reason| reason.meaning.to_owned()),
        action: told.map(|reason| reason.action.to_owned()),
        counterparty_name: debit.counterparty_name,
        counterparty_account: debit.counterparty_account.map(|key| receipts::masked(&key)),
        narrative: debit.narrative,
        end_to_end_id: debit.end_to_end_id,
        mandate_reference: debit.mandate_reference,
        receipt_id: debit.receipt,
        shortfall: debit.shortfall,
        candidates: debit.candidates,
        evidence: debit.evidence,
        recorded_at: debit.recorded_at,
        actor,
        reason,
    })
}

pub(crate) async fn view(
    conn: &mut PgConnection,
    id: DebitId,
) -> Result<Option<DebitView>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit where debit_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(view_of).transpose()
}

/// Debits, newest first, with one row more than asked for.
pub(crate) async fn list(
    conn: &mut PgConnection,
    state: Option<DebitState>,
    shortfall: bool,
    before: Option<Uuid>,
    rows: i64,
) -> Result<Vec<DebitView>, Failure> {
    let found = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit
         where ($1::text is null or state = $1) and (not $2 or shortfall is not null)
           and ($3::uuid is null or debit_id < $3)
         order by debit_id desc limit $4",
        state.map(DebitState::name),
        shortfall,
        before,
        rows + 1
    )
    .fetch_all(conn)
    .await?;
    found.into_iter().map(view_of).collect()
}

/// The lines and adjustments of a receipt that one decision made.
pub(crate) async fn made_by(
    conn: &mut PgConnection,
    receipt: ReceiptId,
    run: Run,
) -> Result<(Vec<AllocationId>, Vec<AdjustmentId>), Failure> {
    let (decided_at, message) = match run {
        Run::DecidedAt(at) => (Some(at), None),
        Run::Event(id) => (None, Some(id.as_uuid())),
        Run::Command(id) => (None, Some(id.as_uuid())),
    };
    // The event of a decision has the decision's moment; its lines too. Wire
    // times have microseconds, as the rows do.
    let rows = sqlx::query!(
        r#"with run as (
               select $2::timestamptz as at where $2 is not null
               union
               select o.recorded_at from allocation.outbox o
               where $3::uuid is not null and o.aggregate_id = $1 and (o.event_id = $3 or o.causation_id = $3)
                   and o.recorded_at = any(array(
                       select m.recorded_at from allocation.allocation m where m.receipt_id = $1)))
           select 'line' as "kind!", l.allocation_id as "id!" from allocation.allocation l, run
           where l.receipt_id = $1 and l.contra_of is null and l.recorded_at = run.at
           union all
           select 'adjustment', d.adjustment_id from allocation.adjustment d, run
           where d.receipt_id = $1 and d.contra_of is null and d.recorded_at = run.at"#,
        receipt.as_uuid(),
        decided_at,
        message
    )
    .fetch_all(conn)
    .await?;
    let mut made = (Vec::new(), Vec::new());
    for row in rows {
        if row.kind == "line" {
            made.0.push(row.id.into());
        } else {
            made.1.push(row.id.into());
        }
    }
    Ok(made)
}

/// Receipts of one of `amounts` that hold `documents` paid.
pub(crate) async fn payments_of(
    conn: &mut PgConnection,
    documents: &[DocumentId],
    amounts: &[Decimal],
) -> Result<Vec<Payment>, Failure> {
    if documents.is_empty() {
        return Ok(Vec::new());
    }
    let documents: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select r.receipt_id, l.document_id, r.currency, r.amount, r.payer_name, r.payer_account, r.narrative
         from unnest($2::numeric[]) as said(amount)
             cross join lateral (select * from allocation.receipt where amount = said.amount
                 order by booked_on desc limit $3) r
             join allocation.allocation l on l.receipt_id = r.receipt_id
         where l.document_id = any($1) and l.contra_of is null
           and not exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id)
         order by r.receipt_id",
        &documents,
        amounts,
        PAYMENTS_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Payment {
                receipt: row.receipt_id.into(),
                document: row.document_id.into(),
                amount: money(row.amount, &row.currency)?,
                payer_name: row.payer_name,
                payer_account: row.payer_account,
                narrative: row.narrative,
            })
        })
        .collect()
}

/// Every adjustment and outflow of a receipt, contras among them, and when it was
/// made.
pub(crate) async fn marks(
    conn: &mut PgConnection,
    receipt: ReceiptId,
) -> Result<Vec<(Uuid, DateTime<Utc>)>, Failure> {
    let rows = sqlx::query!(
        r#"select adjustment_id as "id!", recorded_at as "at!" from allocation.adjustment where receipt_id = $1
           union all
           select outflow_id, recorded_at from allocation.outflow where receipt_id = $1
           order by 2, 1"#,
        receipt.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.at)).collect())
}

/// The debits that took money of a receipt, oldest first.
pub(crate) async fn of_receipt(
    conn: &mut PgConnection,
    receipt: ReceiptId,
) -> Result<Vec<DebitView>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        "select debit_id, version, state, bank_account, bank_reference, booked_on, currency, amount, scheme, code,
             counterparty_name, counterparty_account, narrative, end_to_end_id, mandate_reference, receipt_id,
             shortfall, candidates, reopened, evidence, report, service_user, original_on, claim, batch_items,
             batch_total, challenge_by, expected_on, pair, actor, reason, recorded_at
         from allocation.debit where receipt_id = $1 order by debit_id",
        receipt.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(view_of).collect()
}
