//! What happened to an account, or to a receipt.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::api::reporting::{ProjectionTrace, TimelineEntry};
use kernel::{AccountId, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{enum_of, money};
use crate::domain::timeline::{Happening, summary};

/// Where the next page begins: behind this entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TimelinePlace {
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) event_id: Uuid,
    /// One event may bring many lines.
    pub(crate) entry_id: Uuid,
}

struct EntryRow {
    event_id: Uuid,
    entry_id: Uuid,
    recorded_at: DateTime<Utc>,
    effective_on: Option<NaiveDate>,
    kind: String,
    amount: Option<Decimal>,
    currency: Option<String>,
    actor: String,
    reason: Option<String>,
    receipt_id: Option<Uuid>,
    document_id: Option<Uuid>,
    /// A document's reference; for an account its name, for a receipt its payer.
    subject: Option<String>,
    /// The kind of a document, adjustment or outflow.
    detail: Option<String>,
    due_on: Option<NaiveDate>,
    version: Option<i64>,
}

impl EntryRow {
    fn place(&self) -> TimelinePlace {
        TimelinePlace {
            recorded_at: self.recorded_at,
            event_id: self.event_id,
            entry_id: self.entry_id,
        }
    }

    fn entry(self) -> Result<TimelineEntry, Failure> {
        let amount = match (self.amount, &self.currency) {
            (Some(amount), Some(currency)) => Some(money(amount, currency)?),
            _ => None,
        };
        let subject = self.subject.as_deref();
        let named = subject.unwrap_or("a document that is still on its way");
        let detail = self.detail.as_deref().unwrap_or("document");
        let (kind, happening) = match (self.kind.as_str(), amount) {
            ("document", Some(amount)) => (
                "document",
                Happening::DocumentPosted {
                    kind: detail,
                    reference: named,
                    amount,
                    due_on: self.due_on.unwrap_or_default(),
                },
            ),
            ("receipt", Some(amount)) => (
                "receipt",
                Happening::ReceiptPosted {
                    amount,
                    payer: subject,
                },
            ),
            ("allocation", Some(amount)) => (
                "allocation",
                Happening::Allocated {
                    amount,
                    reference: named,
                },
            ),
            ("undo", Some(amount)) => (
                "undo",
                Happening::Undone {
                    amount,
                    reference: named,
                },
            ),
            ("adjustment", Some(amount)) => (
                "adjustment",
                Happening::Adjusted {
                    kind: detail,
                    amount,
                    reference: named,
                },
            ),
            ("outflow", Some(amount)) => (
                "outflow",
                Happening::LeftReceipt {
                    kind: detail,
                    amount,
                    payer: subject,
                },
            ),
            ("client_money", Some(amount)) => (
                "client_money",
                Happening::ClientMoney {
                    kind: detail,
                    amount,
                    matter: named,
                },
            ),
            ("bank_move", Some(amount)) => (
                "bank_move",
                Happening::BankMove {
                    detail,
                    amount,
                    matter: named,
                    due_by: self.due_on.unwrap_or_default(),
                },
            ),
            ("residual", Some(amount)) => (
                "residual",
                Happening::Residual {
                    step: detail,
                    amount,
                    matter: named,
                },
            ),
            ("disbursement", Some(amount)) => (
                "disbursement",
                Happening::Disbursement {
                    step: detail,
                    amount,
                    supplier: named,
                },
            ),
            ("refund", Some(amount)) => (
                "refund",
                Happening::Refund {
                    state: detail,
                    amount,
                },
            ),
            (kind @ ("contact" | "hold" | "promise" | "plan"), _) => {
                (kind, Happening::Chased { said: named })
            }
            ("account", _) => (
                "account",
                Happening::AccountRecorded {
                    name: subject.unwrap_or_default(),
                    version: self.version.unwrap_or_default(),
                },
            ),
            // A movement without lines, or one that overtook its receipt.
            _ => ("receipt", Happening::ReceiptIdentified { payer: subject }),
        };
        Ok(TimelineEntry {
            event_id: self.event_id.into(),
            recorded_at: self.recorded_at,
            effective_on: self
                .effective_on
                .unwrap_or_else(|| kernel::london_date(self.recorded_at)),
            kind: kind.to_owned(),
            summary: summary(happening),
            amount,
            actor: self.actor,
            reason: self.reason.filter(|reason| !reason.is_empty()),
            receipt_id: self.receipt_id.map(Into::into),
            document_id: self.document_id.map(Into::into),
        })
    }
}

/// Entries of an account, newest first, behind `after`; with the place of the
/// last one.
pub(crate) async fn of_account(
    conn: &mut PgConnection,
    account_id: AccountId,
    after: Option<&TimelinePlace>,
    rows: i64,
) -> Result<Vec<(TimelinePlace, TimelineEntry)>, Failure> {
    let found = sqlx::query_as!(
        EntryRow,
        r#"select event_id as "event_id!", entry_id as "entry_id!", recorded_at as "recorded_at!", effective_on,
                  kind as "kind!", amount, currency, actor as "actor!", reason, receipt_id, document_id, subject,
                  detail, due_on, version
           from (
               select a.event_id, a.account_id as entry_id, a.recorded_at, null::date as effective_on,
                      'account' as kind, null::numeric as amount, null::text as currency, a.actor,
                      null::text as reason, null::uuid as receipt_id, null::uuid as document_id, a.name as subject,
                      null::text as detail, null::date as due_on, a.version
               from reporting.account a
               where a.generation = (select l.generation from reporting.live l) and a.account_id = $1
               union all
               select d.event_id, d.document_id, d.recorded_at, d.issued_on, 'document', d.amount, d.currency,
                      d.actor, null, null, d.document_id, d.document_ref, d.kind, d.due_on, null
               from reporting.document d
               where d.generation = (select l.generation from reporting.live l) and d.account_id = $1
               union all
               -- Receipts that came as this account's, or were found to be.
               select s.event_id, s.receipt_id, s.recorded_at, case when s.kind = 'posted' then r.booked_on end,
                      case when s.kind = 'posted' then 'receipt' else 'identified' end, r.amount, r.currency,
                      s.actor, s.reason, s.receipt_id, null, r.payer_name, null, null, null
               from reporting.step s
               left join reporting.receipt r on r.generation = s.generation and r.receipt_id = s.receipt_id
               where s.generation = (select l.generation from reporting.live l) and s.account_id = $1
                   and (s.kind = 'posted' or not exists (
                       select 1 from reporting.allocation a
                       where a.generation = s.generation and a.receipt_id = s.receipt_id and a.version = s.version
                   ) and not exists (
                       select 1 from reporting.outflow o
                       where o.generation = s.generation and o.receipt_id = s.receipt_id and o.version = s.version
                   ))
               union all
               select s.event_id, a.allocation_id, a.recorded_at, a.effective_on,
                      case when a.contra_of is null then 'allocation' else 'undo' end, a.amount, a.currency,
                      s.actor, s.reason, a.receipt_id, a.document_id, d.document_ref, null, null, null
               from reporting.document d
               join reporting.allocation a on a.generation = d.generation and a.document_id = d.document_id
               join reporting.step s
                   on s.generation = a.generation and s.receipt_id = a.receipt_id and s.version = a.version
               where d.generation = (select l.generation from reporting.live l) and d.account_id = $1
               union all
               select j.event_id, j.adjustment_id, j.recorded_at, j.effective_on, 'adjustment', j.amount, j.currency,
                      j.actor, j.reason, j.receipt_id, j.document_id, d.document_ref, j.kind, null, null
               from reporting.adjustment j
               left join reporting.document d on d.generation = j.generation and d.document_id = j.document_id
               where j.generation = (select l.generation from reporting.live l) and j.account_id = $1
               union all
               select s.event_id, o.outflow_id, o.recorded_at, o.effective_on, 'outflow', o.amount, o.currency,
                      s.actor, s.reason, o.receipt_id, null, r.payer_name, o.kind, null, null
               from reporting.step s
               join reporting.outflow o
                   on o.generation = s.generation and o.receipt_id = s.receipt_id and o.version = s.version
               left join reporting.receipt r on r.generation = s.generation and r.receipt_id = s.receipt_id
               where s.generation = (select l.generation from reporting.live l) and s.account_id = $1
               union all
               select h.event_id, h.entry_id, h.recorded_at, h.effective_on, h.kind, h.amount, h.currency, h.actor,
                      h.reason, h.receipt_id, h.document_id, h.subject, h.detail, h.due_on, null
               from reporting.happening h
               where h.generation = (select l.generation from reporting.live l)
                   and h.account_ref = (
                       select a.account_ref from reporting.account a
                       where a.generation = (select l.generation from reporting.live l) and a.account_id = $1
                       order by a.version desc limit 1
                   )
               union all
               select c.event_id, c.event_id, c.recorded_at, c.effective_on, c.kind, c.amount, c.currency, c.actor,
                      c.reason, null, null, c.summary, null, null, null
               from reporting.chasing c where c.account_id = $1
           ) entry
           where $2::timestamptz is null or (recorded_at, event_id, entry_id) < ($2, $3, $4)
           order by recorded_at desc, event_id desc, entry_id desc
           limit $5"#,
        account_id.as_uuid(),
        after.map(|place| place.recorded_at),
        after.map(|place| place.event_id),
        after.map(|place| place.entry_id),
        rows,
    )
    .fetch_all(conn)
    .await?;
    found
        .into_iter()
        .map(|row| Ok((row.place(), row.entry()?)))
        .collect()
}

/// What reporting knows of a receipt: where it stands by its latest step, and
/// every step and line, oldest first.
pub(crate) async fn of_receipt(
    conn: &mut PgConnection,
    receipt_id: ReceiptId,
) -> Result<Option<ProjectionTrace>, Failure> {
    let head = sqlx::query!(
        r#"select s.version as "version!", s.state as "state!", s.unallocated as "unallocated!", r.currency
           from reporting.receipt r
           join reporting.step s on s.generation = r.generation and s.receipt_id = r.receipt_id
           where r.generation = (select l.generation from reporting.live l) and r.receipt_id = $1
           order by s.version desc
           limit 1"#,
        receipt_id.as_uuid(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(head) = head else { return Ok(None) };
    let found = sqlx::query_as!(
        EntryRow,
        r#"select event_id as "event_id!", entry_id as "entry_id!", recorded_at as "recorded_at!", effective_on,
                  kind as "kind!", amount, currency, actor as "actor!", reason, receipt_id, document_id, subject,
                  detail, due_on, version
           from (
               select s.event_id, s.receipt_id as entry_id, s.recorded_at,
                      case when s.kind = 'posted' then r.booked_on end as effective_on,
                      case when s.kind = 'posted' then 'receipt' else 'identified' end as kind, r.amount, r.currency,
                      s.actor, s.reason, s.receipt_id, null::uuid as document_id, r.payer_name as subject, null::text as detail,
                      null::date as due_on, s.version, 0 as place
               from reporting.step s
               join reporting.receipt r on r.generation = s.generation and r.receipt_id = s.receipt_id
               where s.generation = (select l.generation from reporting.live l) and s.receipt_id = $1
                   and (s.kind = 'posted' or not exists (
                       select 1 from reporting.allocation a
                       where a.generation = s.generation and a.receipt_id = s.receipt_id and a.version = s.version
                   ) and not exists (
                       select 1 from reporting.outflow o
                       where o.generation = s.generation and o.receipt_id = s.receipt_id and o.version = s.version
                   ))
               union all
               select s.event_id, a.allocation_id, a.recorded_at, a.effective_on,
                      case when a.contra_of is null then 'allocation' else 'undo' end, a.amount, a.currency,
                      s.actor, s.reason, a.receipt_id, a.document_id, d.document_ref, null,
                      null, a.version, 1
               from reporting.allocation a
               join reporting.step s
                   on s.generation = a.generation and s.receipt_id = a.receipt_id and s.version = a.version
               left join reporting.document d on d.generation = a.generation and d.document_id = a.document_id
               where a.generation = (select l.generation from reporting.live l) and a.receipt_id = $1
               union all
               select j.event_id, j.adjustment_id, j.recorded_at, j.effective_on, 'adjustment', j.amount, j.currency,
                      j.actor, j.reason, j.receipt_id, j.document_id, d.document_ref, j.kind, null,
                      j.version, 2
               from reporting.adjustment j
               left join reporting.document d on d.generation = j.generation and d.document_id = j.document_id
               where j.generation = (select l.generation from reporting.live l) and j.receipt_id = $1
               union all
               select s.event_id, o.outflow_id, o.recorded_at, o.effective_on, 'outflow', o.amount, o.currency,
                      s.actor, s.reason, o.receipt_id, null, r.payer_name, o.kind, null, o.version, 3
               from reporting.outflow o
               join reporting.step s
                   on s.generation = o.generation and s.receipt_id = o.receipt_id and s.version = o.version
               left join reporting.receipt r on r.generation = o.generation and r.receipt_id = o.receipt_id
               where o.generation = (select l.generation from reporting.live l) and o.receipt_id = $1
               union all
               -- Behind the step that was there when it was told.
               select h.event_id, h.entry_id, h.recorded_at, h.effective_on, h.kind, h.amount, h.currency, h.actor,
                      h.reason, h.receipt_id, h.document_id, h.subject, h.detail, h.due_on,
                      (select max(s.version) from reporting.step s
                       where s.generation = h.generation and s.receipt_id = h.receipt_id
                           and s.recorded_at <= h.recorded_at), 4
               from reporting.happening h
               where h.generation = (select l.generation from reporting.live l) and h.receipt_id = $1
           ) entry
           order by version, place, recorded_at, event_id, entry_id"#,
        receipt_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    Ok(Some(ProjectionTrace {
        receipt_id,
        version: head.version,
        state: enum_of(head.state)?,
        unallocated: money(head.unallocated, &head.currency)?,
        movements: found
            .into_iter()
            .map(EntryRow::entry)
            .collect::<Result<_, _>>()?,
    }))
}
