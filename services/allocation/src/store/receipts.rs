//! Receipts and the suggestions that wait with them.

mod views;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::ingestion::Designation;
use kernel::{AccountId, DocumentId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) use views::{counts, list, masked, past_decisions, searched, suggestions, view};

use super::money;
use crate::domain::{
    Line, Receipt,
    ledger::{Detail, Held},
};

pub(super) struct Row {
    pub(super) receipt_id: Uuid,
    pub(super) version: i64,
    pub(super) bank_account: String,
    pub(super) client_account: bool,
    pub(super) bank_reference: Option<String>,
    pub(super) booked_on: NaiveDate,
    pub(super) value_on: NaiveDate,
    pub(super) currency: String,
    pub(super) amount: Decimal,
    pub(super) unallocated: Decimal,
    pub(super) paid_out: Decimal,
    pub(super) payer_name: Option<String>,
    pub(super) payer_account: Option<String>,
    pub(super) narrative: String,
    pub(super) tokens: Vec<String>,
    pub(super) account_id: Option<Uuid>,
    pub(super) account_ref: Option<String>,
    pub(super) decision: String,
    pub(super) scheme: Option<String>,
    pub(super) end_to_end_id: Option<String>,
    pub(super) mandate_reference: Option<String>,
    pub(super) held: Option<String>,
    pub(super) twin: Option<Uuid>,
    pub(super) recorded_at: DateTime<Utc>,
}

impl TryFrom<Row> for Receipt {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.receipt_id.into(),
            version: row.version,
            bank_account: row.bank_account,
            designation: if row.client_account {
                Designation::Client
            } else {
                Designation::Business
            },
            bank_reference: row.bank_reference,
            booked_on: row.booked_on,
            value_on: row.value_on,
            amount: money(row.amount, &row.currency)?,
            unallocated: money(row.unallocated, &row.currency)?,
            paid_out: money(row.paid_out, &row.currency)?,
            payer_name: row.payer_name,
            payer_account: row.payer_account,
            narrative: row.narrative,
            tokens: row.tokens,
            advice: Vec::new(),
            detail: Detail {
                scheme: row.scheme,
                end_to_end_id: row.end_to_end_id,
                mandate_reference: row.mandate_reference,
                held: row
                    .held
                    .and_then(|name| Held::of(&name, row.twin.map(ReceiptId::from))),
            },
            account: row.account_id.map(AccountId::from),
            account_ref: row.account_ref,
            decision: decision(&row.decision)?,
            suggestions: Vec::new(),
            recorded_at: row.recorded_at,
        })
    }
}

pub(crate) fn decision(text: &str) -> Result<contracts::allocation::Decision, Failure> {
    serde_json::from_str(text).map_err(|e| {
        Failure::bug(
            "allocation.stored_decision",
            "a stored decision cannot be read",
        )
        .caused_by(e)
    })
}

/// Receipts with money left whose words name one of `keys`, locked in key
/// order. What a person has put aside is the person's (E48).
pub(crate) async fn lock_waiting_for(
    conn: &mut PgConnection,
    keys: &[String],
) -> Result<Vec<Receipt>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query_as!(
        Row,
        r#"select r.receipt_id, r.version, r.bank_account, r.client_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.paid_out, r.payer_name, r.payer_account, r.narrative, r.tokens, r.account_id,
                (select a.account_ref from allocation.account a where a.account_id = r.account_id) as account_ref,
                r.decision, r.scheme, r.end_to_end_id, r.mandate_reference, r.held, r.twin, r.recorded_at
         from allocation.receipt r where r.unallocated > 0 and r.tokens && $1 and r.parked_at is null
         order by r.receipt_id limit 5000 for update of r"#,
        keys
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Receipt::try_from).collect()
}

pub(crate) async fn lock(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Option<Receipt>, Failure> {
    let row = sqlx::query_as!(
        Row,
        r#"select r.receipt_id, r.version, r.bank_account, r.client_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.paid_out, r.payer_name, r.payer_account, r.narrative, r.tokens, r.account_id,
                (select a.account_ref from allocation.account a where a.account_id = r.account_id) as account_ref,
                r.decision, r.scheme, r.end_to_end_id, r.mandate_reference, r.held, r.twin, r.recorded_at
         from allocation.receipt r where r.receipt_id = $1 for update of r"#,
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Receipt::try_from).transpose()
}

/// The latest `most` receipts that were booked between two days, as they stand,
/// the oldest first. Not locked.
pub(crate) async fn between(
    conn: &mut PgConnection,
    (from, to): (Option<NaiveDate>, Option<NaiveDate>),
    most: i64,
) -> Result<Vec<Receipt>, Failure> {
    let rows = sqlx::query_as!(
        Row,
        r#"select r.receipt_id, r.version, r.bank_account, r.client_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.paid_out, r.payer_name, r.payer_account, r.narrative, r.tokens,
                r.account_id, null as "account_ref?", r.decision, r.scheme, r.end_to_end_id,
                r.mandate_reference, r.held, r.twin, r.recorded_at
         from allocation.receipt r
         where ($1::date is null or r.booked_on >= $1) and ($2::date is null or r.booked_on <= $2)
         order by r.receipt_id desc limit $3"#,
        from,
        to,
        most
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().rev().map(Receipt::try_from).collect()
}

/// These receipts, locked in key order.
pub(crate) async fn lock_all(
    conn: &mut PgConnection,
    ids: &[ReceiptId],
) -> Result<Vec<Receipt>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select r.receipt_id, r.version, r.bank_account, r.client_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.paid_out, r.payer_name, r.payer_account, r.narrative, r.tokens, r.account_id,
                (select a.account_ref from allocation.account a where a.account_id = r.account_id) as account_ref,
                r.decision, r.scheme, r.end_to_end_id, r.mandate_reference, r.held, r.twin, r.recorded_at
         from allocation.receipt r where r.receipt_id = any($1) order by r.receipt_id for update of r"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Receipt::try_from).collect()
}

/// Writes where moved receipts now stand; the caller holds their locks. One that
/// has no money left is put aside no longer. Returns the accounts that were
/// suggested as theirs until now.
pub(crate) async fn update(
    conn: &mut PgConnection,
    receipts: &[Receipt],
) -> Result<Vec<AccountId>, Failure> {
    if receipts.is_empty() {
        return Ok(Vec::new());
    }
    let held: Vec<Option<&str>> = receipts
        .iter()
        .map(|r| r.detail.held.map(Held::name))
        .collect();
    let twins: Vec<Option<Uuid>> = receipts
        .iter()
        .map(|r| r.detail.held.and_then(Held::twin).map(ReceiptId::as_uuid))
        .collect();
    // Money that is there again is found by its words again.
    let tokens: Vec<String> = receipts.iter().map(|r| r.tokens.join(" ")).collect();
    let ids: Vec<Uuid> = receipts.iter().map(|r| r.id.as_uuid()).collect();
    let versions: Vec<i64> = receipts.iter().map(|r| r.version).collect();
    let left: Vec<Decimal> = receipts.iter().map(|r| r.unallocated.amount()).collect();
    let gone: Vec<Decimal> = receipts.iter().map(|r| r.paid_out.amount()).collect();
    let states: Vec<String> = receipts
        .iter()
        .map(|r| r.state().name().to_owned())
        .collect();
    let accounts: Vec<Option<Uuid>> = receipts
        .iter()
        .map(|r| r.account.map(AccountId::as_uuid))
        .collect();
    let counts: Vec<i16> = receipts
        .iter()
        .map(|r| r.suggestions.len() as i16)
        .collect();
    let decisions = receipts
        .iter()
        .map(|r| serde_json::to_string(&r.decision))
        .collect::<Result<Vec<_>, _>>()?;
    // What was decided so far is kept: it explains what is allocated.
    sqlx::query!(
        "insert into allocation.past_decision (receipt_id, version, decision, allocated_at)
         select r.receipt_id, r.version, r.decision,
             (select max(a.recorded_at) from allocation.allocation a where a.receipt_id = r.receipt_id)
         from allocation.receipt r where r.receipt_id = any($1)
         on conflict do nothing",
        &ids
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update allocation.receipt r set version = t.version, unallocated = t.unallocated, paid_out = t.paid_out,
             state = t.state, account_id = t.account, suggestions = t.suggestions, decision = t.decision,
             parked_at = case when t.unallocated > 0 then r.parked_at end,
             parked_by = case when t.unallocated > 0 then r.parked_by end,
             parked_reason = case when t.unallocated > 0 then r.parked_reason end,
             parked_owner = case when t.unallocated > 0 then r.parked_owner end,
             parked_until = case when t.unallocated > 0 then r.parked_until end,
             held = t.held, twin = t.twin,
             tokens = case when t.tokens = '' then r.tokens else string_to_array(t.tokens, ' ') end
         from unnest($1::uuid[], $2::bigint[], $3::numeric[], $4::numeric[], $5::text[], $6::uuid[], $7::smallint[],
             $8::text[], $9::text[], $10::uuid[], $11::text[])
             as t(id, version, unallocated, paid_out, state, account, suggestions, decision, held, twin, tokens)
         where r.receipt_id = t.id",
        &ids,
        &versions,
        &left,
        &gone,
        &states,
        &accounts as &[Option<Uuid>],
        &counts,
        &decisions,
        &held as &[Option<&str>],
        &twins as &[Option<Uuid>],
        &tokens
    )
    .execute(&mut *conn)
    .await?;
    let suggested = sqlx::query_scalar!(
        "delete from allocation.suggestion where receipt_id = any($1) returning account_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(suggested.into_iter().map(AccountId::from).collect())
}

/// A suggested line as it is stored; what is open is looked up when it is
/// shown.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredLine {
    pub(crate) document: DocumentId,
    pub(crate) amount: Money,
}

/// The lines of a suggestion as it was stored.
pub(crate) fn stored_lines(value: serde_json::Value) -> Result<Vec<Line>, Failure> {
    let stored: Vec<StoredLine> = serde_json::from_value(value).map_err(|e| {
        Failure::bug("allocation.stored_lines", "stored lines cannot be read").caused_by(e)
    })?;
    Ok(stored
        .into_iter()
        .map(|line| Line {
            document: line.document,
            amount: line.amount,
        })
        .collect())
}
