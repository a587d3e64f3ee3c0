//! Matters, their ledgers, and what else is kept about them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AdjustmentKind, AdjustmentLine},
    api::matters::{BankMoveView, MatterBill, MatterCounts, MatterEntryView, MatterView},
    inbound::MatterStatus,
    ingestion::Designation,
    matters::{BankMove, Component, EntryKind, MatterEntry, Side},
};
use kernel::{
    AccountId, BankMoveId, DisbursementId, DocumentId, MatterEntryId, MatterId, Money, ReceiptId,
};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named};
use crate::domain::{
    ledger::{Because, Entry},
    legal::{LegalChanges, Matter, News, Settings, client::Held},
    reference_key,
};

/// Lines of a matter that are shown at once.
const ENTRIES_MAX: i64 = 500;
/// Bills and bank moves of a matter that are shown at once.
const BILLS_MAX: i64 = 500;

struct Row {
    matter_id: Uuid,
    matter_ref: String,
    version: i64,
    source_version: i64,
    account_id: Uuid,
    account_ref: String,
    title: String,
    fee_earner: Option<String>,
    opened_on: NaiveDate,
    concluded_on: Option<NaiveDate>,
    closed_on: Option<NaiveDate>,
    status: String,
    status_on: NaiveDate,
    hold_reason: Option<String>,
    hold_until: Option<NaiveDate>,
    hold_ended_on: Option<NaiveDate>,
}

impl TryFrom<Row> for Matter {
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        Ok(Self {
            id: row.matter_id.into(),
            reference: row.matter_ref,
            version: row.version,
            source_version: row.source_version,
            account_id: row.account_id.into(),
            account_ref: row.account_ref,
            title: row.title,
            fee_earner: row.fee_earner,
            opened_on: row.opened_on,
            concluded_on: row.concluded_on,
            closed_on: row.closed_on,
            status: named(row.status)?,
            status_on: row.status_on,
            hold: row.hold_reason.zip(row.hold_until),
            hold_ended_on: row.hold_ended_on,
        })
    }
}

/// Matters, locked in the order of their ids.
pub(crate) async fn lock_all(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Matter>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select matter_id, matter_ref, version, source_version, account_id, account_ref, title, fee_earner,
             opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until, hold_ended_on
         from allocation.matter where matter_id = any($1) order by matter_id for no key update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Matter::try_from).collect()
}

/// Matters as they are, without a lock: for looking, not for deciding.
pub(crate) async fn look_at(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Matter>, Failure> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select matter_id, matter_ref, version, source_version, account_id, account_ref, title, fee_earner,
             opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until, hold_ended_on
         from allocation.matter where matter_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Matter::try_from).collect()
}

/// A matter with what is held on it. Whoever changes client money holds this
/// lock: two commands never see the same balance.
pub(crate) async fn lock(conn: &mut PgConnection, id: MatterId) -> Result<Held, Failure> {
    let held = lock_held(conn, &[id]).await?.pop();
    held.ok_or_else(|| no_matter(id))
}

/// Matters with what is held on them, locked in the order of their ids.
pub(crate) async fn lock_held(
    conn: &mut PgConnection,
    ids: &[MatterId],
) -> Result<Vec<Held>, Failure> {
    let matters = lock_all(conn, ids).await?;
    let ids: Vec<Uuid> = ids.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select matter_id, currency, amount from allocation.client_balance where matter_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut balances: HashMap<Uuid, Vec<Money>> = HashMap::new();
    for row in rows {
        let of = balances.entry(row.matter_id).or_default();
        of.push(money(row.amount, &row.currency)?);
    }
    Ok(matters
        .into_iter()
        .map(|matter| {
            let of = balances.remove(&matter.id.as_uuid()).unwrap_or_default();
            Held::new(matter, of)
        })
        .collect())
}

pub(crate) fn no_matter(id: MatterId) -> Failure {
    Failure::not_found("matters.no_matter", format!("there is no matter {id}"))
}

/// Writes matters that are new or changed.
pub(crate) async fn put(
    conn: &mut PgConnection,
    matters: &[Matter],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if matters.is_empty() {
        return Ok(());
    }
    fn column<'m, T>(matters: &'m [Matter], of: impl Fn(&'m Matter) -> T) -> Vec<T> {
        matters.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.matter (matter_id, matter_ref, version, source_version, account_id, account_ref,
             title, fee_earner, opened_on, concluded_on, closed_on, status, status_on, hold_reason, hold_until,
             hold_ended_on, ref_key, recorded_at)
         select t.*, $18 from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::uuid[], $6::text[],
             $7::text[], $8::text[], $9::date[], $10::date[], $11::date[], $12::text[], $13::date[], $14::text[],
             $15::date[], $16::date[], $17::text[]) as t
         on conflict (matter_id) do update set version = excluded.version, source_version = excluded.source_version,
             account_id = excluded.account_id, account_ref = excluded.account_ref, title = excluded.title,
             fee_earner = excluded.fee_earner, opened_on = excluded.opened_on, concluded_on = excluded.concluded_on,
             closed_on = excluded.closed_on, status = excluded.status, status_on = excluded.status_on,
             hold_reason = excluded.hold_reason, hold_until = excluded.hold_until,
             hold_ended_on = excluded.hold_ended_on, recorded_at = excluded.recorded_at
         where matter.version < excluded.version or matter.source_version < excluded.source_version",
        &column(matters, |m| m.id.as_uuid()),
        &column(matters, |m| m.reference.as_str()) as &[&str],
        &column(matters, |m| m.version),
        &column(matters, |m| m.source_version),
        &column(matters, |m| m.account_id.as_uuid()),
        &column(matters, |m| m.account_ref.as_str()) as &[&str],
        &column(matters, |m| m.title.as_str()) as &[&str],
        &column(matters, |m| m.fee_earner.as_deref()) as &[Option<&str>],
        &column(matters, |m| m.opened_on),
        &column(matters, |m| m.concluded_on) as &[Option<NaiveDate>],
        &column(matters, |m| m.closed_on) as &[Option<NaiveDate>],
        &column(matters, |m| m.status.name()) as &[&str],
        &column(matters, |m| m.status_on),
        &column(matters, |m| m.hold.as_ref().map(|(reason, _)| reason.as_str())) as &[Option<&str>],
        &column(matters, |m| m.hold.as_ref().map(|(_, until)| *until)) as &[Option<NaiveDate>],
        &column(matters, |m| m.hold_ended_on) as &[Option<NaiveDate>],
        &column(matters, |m| reference_key(&m.reference)),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what ingestion told about matters and bank accounts.
pub(crate) async fn record_news(conn: &mut PgConnection, news: &News) -> Result<(), Failure> {
    put(conn, &news.matters, news.recorded_at).await?;
    if !news.statuses.is_empty() {
        sqlx::query!(
            "insert into allocation.matter_status (matter_id, status, effective_on, recorded_at)
             select t.*, $4 from unnest($1::uuid[], $2::text[], $3::date[]) as t",
            &news
                .statuses
                .iter()
                .map(|(id, _)| id.as_uuid())
                .collect::<Vec<_>>(),
            &news
                .statuses
                .iter()
                .map(|(_, s)| s.status.name())
                .collect::<Vec<_>>() as &[&str],
            &news.statuses.iter().map(|(_, s)| s.on).collect::<Vec<_>>(),
            news.recorded_at
        )
        .execute(&mut *conn)
        .await?;
    }
    if !news.documents.is_empty() {
        sqlx::query!(
            "insert into allocation.matter_document (document_id, matter_ref)
             select * from unnest($1::uuid[], $2::text[]) on conflict do nothing",
            &news
                .documents
                .iter()
                .map(|(id, _)| id.as_uuid())
                .collect::<Vec<_>>(),
            &news
                .documents
                .iter()
                .map(|(_, r)| r.as_str())
                .collect::<Vec<_>>() as &[&str]
        )
        .execute(&mut *conn)
        .await?;
    }
    for told in &news.designated {
        sqlx::query!(
            "insert into allocation.bank_account (bank_account, designation, version) values ($1, $2, $3)
             on conflict (bank_account) do update set designation = excluded.designation, version = excluded.version
             where bank_account.version < excluded.version",
            told.bank_account,
            told.designation.name(),
            told.version
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The bank accounts that hold client money: a handful.
pub(crate) async fn client_accounts(conn: &mut PgConnection) -> Result<HashSet<String>, Failure> {
    let found = sqlx::query_scalar!(
        "select bank_account from allocation.bank_account where designation = 'client' order by 1"
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().collect())
}

pub(crate) fn designation(client: &HashSet<String>, bank_account: &str) -> Designation {
    if client.contains(bank_account) {
        Designation::Client
    } else {
        Designation::Business
    }
}

/// Writes what a decision about client money adds.
pub(crate) async fn record(
    conn: &mut PgConnection,
    changes: &LegalChanges,
    because: &Because<'_>,
) -> Result<(), Failure> {
    book(conn, &changes.journal).await?;
    // One by one: the order is part of the decision (a shortage is made good
    // before the money goes back), and the lines are few.
    for row in &changes.entries {
        let entry = &row.entry;
        sqlx::query!(
            "insert into allocation.matter_entry (entry_id, matter_id, side, kind, currency, amount, component,
                 receipt_id, document_id, disbursement_id, payee, contra_of, cause, reason, actor, effective_on,
                 recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            entry.entry_id.as_uuid(),
            row.matter.as_uuid(),
            entry.side.name(),
            entry.kind.name(),
            entry.amount.currency().code(),
            entry.amount.amount(),
            entry.component.map(Component::name),
            entry.receipt_id.map(ReceiptId::as_uuid),
            entry.document_id.map(DocumentId::as_uuid),
            entry.disbursement_id.map(DisbursementId::as_uuid),
            entry.payee,
            entry.contra_of.map(MatterEntryId::as_uuid),
            row.cause,
            because.reason,
            because.actor,
            entry.effective_on,
            because.now
        )
        .execute(&mut *conn)
        .await?;
    }
    for row in &changes.moves {
        let due = &row.bank_move;
        sqlx::query!(
            "insert into allocation.bank_move (move_id, matter_id, kind, to_side, currency, amount, from_account,
                 receipt_id, arose_on, due_by, reason, actor, recorded_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            due.move_id.as_uuid(),
            row.matter.as_uuid(),
            due.kind.name(),
            due.to.name(),
            due.amount.currency().code(),
            due.amount.amount(),
            due.from_account,
            due.receipt_id.map(ReceiptId::as_uuid),
            due.arose_on,
            due.due_by,
            because.reason,
            because.actor,
            because.now
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Writes journal rows that no row of the open-item ledger books.
async fn book(conn: &mut PgConnection, entries: &[Entry]) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    fn column<'e, T>(entries: &'e [Entry], of: impl Fn(&'e Entry) -> T) -> Vec<T> {
        entries.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into allocation.journal (entry_id, debit, credit, currency, amount, effective_on, recorded_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::date[],
             $7::timestamptz[])",
        &column(entries, |e| e.id.as_uuid()),
        &column(entries, |e| e.debit.as_str()) as &[&str],
        &column(entries, |e| e.credit.as_str()) as &[&str],
        &column(entries, |e| e.amount.currency().code()) as &[&str],
        &column(entries, |e| e.amount.amount()),
        &column(entries, |e| e.effective_on),
        &column(entries, |e| e.recorded_at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Limits and times as they hold on a day.
pub(crate) async fn settings(conn: &mut PgConnection, on: NaiveDate) -> Result<Settings, Failure> {
    let rows = sqlx::query!(
        "select distinct on (name) name, value from allocation.legal_setting where valid_from <= $1
         order by name, valid_from desc",
        on
    )
    .fetch_all(conn)
    .await?;
    let values: HashMap<String, Decimal> =
        rows.into_iter().map(|row| (row.name, row.value)).collect();
    Settings::read(|name| values.get(name).copied()).map_err(Failure::of)
}

/// The age bands as they hold on a day, rising.
pub(crate) async fn bands(
    conn: &mut PgConnection,
    on: NaiveDate,
) -> Result<Vec<(Option<i32>, String)>, Failure> {
    let rows = sqlx::query!(
        "select up_to, name from allocation.age_band
         where valid_from = (select max(valid_from) from allocation.age_band where valid_from <= $1)
         order by up_to nulls last",
        on
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.up_to, row.name)).collect())
}

/// The delivered bills of a matter with something left, in the order in which
/// they are paid.
pub(crate) async fn open_bills(
    conn: &mut PgConnection,
    matter_ref: &str,
) -> Result<Vec<DocumentId>, Failure> {
    let found = sqlx::query_scalar!(
        "select i.document_id from allocation.matter_document d join allocation.open_item i using (document_id)
         where d.matter_ref = $1 and i.amount > 0 order by i.due_on, i.document_ref limit $2",
        matter_ref,
        BILLS_MAX
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(DocumentId::from).collect())
}

/// Every document of a matter, oldest first.
pub(crate) async fn bills(
    conn: &mut PgConnection,
    matter_ref: &str,
) -> Result<Vec<MatterBill>, Failure> {
    let rows = sqlx::query!(
        "select i.document_id, i.document_ref, i.issued_on, i.currency, i.amount, i.open
         from allocation.matter_document d join allocation.open_item i using (document_id)
         where d.matter_ref = $1 order by i.issued_on, i.document_ref limit $2",
        matter_ref,
        BILLS_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(MatterBill {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                issued_on: row.issued_on,
                amount: money(row.amount, &row.currency)?,
                open: money(row.open, &row.currency)?,
            })
        })
        .collect()
}

struct EntryRow {
    entry_id: Uuid,
    side: String,
    kind: String,
    currency: String,
    amount: Decimal,
    component: Option<String>,
    receipt_id: Option<Uuid>,
    document_id: Option<Uuid>,
    disbursement_id: Option<Uuid>,
    payee: Option<String>,
    contra_of: Option<Uuid>,
    effective_on: NaiveDate,
    actor: String,
    reason: String,
    recorded_at: DateTime<Utc>,
    undone: bool,
}

impl TryFrom<EntryRow> for MatterEntryView {
    type Error = Failure;

    fn try_from(row: EntryRow) -> Result<Self, Failure> {
        Ok(Self {
            entry: MatterEntry {
                entry_id: row.entry_id.into(),
                side: named::<Side>(row.side)?,
                kind: named::<EntryKind>(row.kind)?,
                amount: money(row.amount, &row.currency)?,
                effective_on: row.effective_on,
                component: row.component.map(named).transpose()?,
                receipt_id: row.receipt_id.map(ReceiptId::from),
                document_id: row.document_id.map(DocumentId::from),
                disbursement_id: row.disbursement_id.map(DisbursementId::from),
                payee: row.payee,
                contra_of: row.contra_of.map(MatterEntryId::from),
            },
            actor: row.actor,
            reason: row.reason,
            recorded_at: row.recorded_at,
            undone: row.undone,
        })
    }
}

/// Both sides of a matter's ledger, oldest first. The business side is what was
/// allocated to its documents and what client money paid of them, with what the
/// firm laid out: read from where it happened, so that it cannot differ.
pub(crate) async fn entries(
    conn: &mut PgConnection,
    matter: &MatterView,
) -> Result<Vec<MatterEntryView>, Failure> {
    let rows = sqlx::query_as!(
        EntryRow,
        r#"select * from (
               select e.entry_id as "entry_id!", e.side as "side!", e.kind as "kind!", e.currency as "currency!",
                   e.amount as "amount!", e.component, e.receipt_id, e.document_id, e.disbursement_id, e.payee,
                   e.contra_of, e.effective_on as "effective_on!", e.actor as "actor!", e.reason as "reason!",
                   e.recorded_at as "recorded_at!",
                   exists (select 1 from allocation.matter_entry c where c.contra_of = e.entry_id) as "undone!"
               from allocation.matter_entry e where e.matter_id = $1
               union all
               select l.allocation_id, 'business', 'received', l.currency, l.amount, null, l.receipt_id, l.document_id,
                   null, null, l.contra_of, l.effective_on, l.actor, l.reason, l.recorded_at,
                   exists (select 1 from allocation.allocation c where c.contra_of = l.allocation_id)
               from allocation.matter_document d join allocation.allocation l using (document_id)
               where d.matter_ref = $2
               union all
               select a.adjustment_id, 'business', 'transferred', a.currency, a.amount, null, null, a.document_id,
                   null, null, a.contra_of, a.effective_on, a.actor, a.reason, a.recorded_at,
                   exists (select 1 from allocation.adjustment c where c.contra_of = a.adjustment_id)
               from allocation.matter_document d join allocation.adjustment a using (document_id)
               where d.matter_ref = $2 and a.kind = 'client_transfer') lines
           order by "recorded_at!" desc, "entry_id!" desc limit $3"#,
        matter.matter_id.as_uuid(),
        matter.matter_ref,
        ENTRIES_MAX
    )
    .fetch_all(conn)
    .await?;
    let mut entries = rows
        .into_iter()
        .map(MatterEntryView::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    entries.reverse();
    Ok(entries)
}

/// A stored line with its matter, and whether it was undone.
pub(crate) async fn entry(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<(MatterId, MatterEntryView)>, Failure> {
    let row = sqlx::query!(
        r#"select e.matter_id, e.entry_id, e.side, e.kind, e.currency, e.amount, e.component, e.receipt_id,
               e.document_id, e.disbursement_id, e.payee, e.contra_of, e.effective_on, e.actor, e.reason,
               e.recorded_at,
               exists (select 1 from allocation.matter_entry c where c.contra_of = e.entry_id) as "undone!"
           from allocation.matter_entry e where e.entry_id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let view = MatterEntryView::try_from(EntryRow {
            entry_id: row.entry_id,
            side: row.side,
            kind: row.kind,
            currency: row.currency,
            amount: row.amount,
            component: row.component,
            receipt_id: row.receipt_id,
            document_id: row.document_id,
            disbursement_id: row.disbursement_id,
            payee: row.payee,
            contra_of: row.contra_of,
            effective_on: row.effective_on,
            actor: row.actor,
            reason: row.reason,
            recorded_at: row.recorded_at,
            undone: row.undone,
        })?;
        Ok((MatterId::from(row.matter_id), view))
    })
    .transpose()
}

/// What a line was booked against in the journal, other than client money.
pub(crate) async fn booked_against(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<String>, Failure> {
    Ok(sqlx::query_scalar!(
        "select credit from allocation.journal where entry_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

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

struct ViewRow {
    matter_id: Uuid,
    matter_ref: String,
    version: i64,
    account_id: Uuid,
    account_ref: String,
    account_name: Option<String>,
    title: String,
    fee_earner: Option<String>,
    opened_on: NaiveDate,
    concluded_on: Option<NaiveDate>,
    closed_on: Option<NaiveDate>,
    status: String,
    hold_reason: Option<String>,
    hold_until: Option<NaiveDate>,
    /// Pairs of currency and amount.
    currencies: Vec<String>,
    amounts: Vec<Decimal>,
}

impl TryFrom<ViewRow> for MatterView {
    type Error = Failure;

    fn try_from(row: ViewRow) -> Result<Self, Failure> {
        Ok(Self {
            matter_id: row.matter_id.into(),
            matter_ref: row.matter_ref,
            version: row.version,
            account_id: AccountId::from(row.account_id),
            account_ref: row.account_ref,
            account_name: row.account_name,
            title: row.title,
            fee_earner: row.fee_earner,
            opened_on: row.opened_on,
            concluded_on: row.concluded_on,
            closed_on: row.closed_on,
            status: named(row.status)?,
            client_money: row
                .currencies
                .iter()
                .zip(row.amounts)
                .map(|(currency, amount)| money(amount, currency))
                .collect::<Result<_, _>>()?,
            hold_reason: row.hold_reason,
            hold_until: row.hold_until,
        })
    }
}

/// Matters, the newest first: one, or those before `before`.
pub(crate) async fn views(
    conn: &mut PgConnection,
    one: Option<MatterId>,
    search: Option<&str>,
    status: Option<MatterStatus>,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<MatterView>, Failure> {
    let pattern = search.map(super::pattern);
    let rows = sqlx::query_as!(
        ViewRow,
        r#"select m.matter_id, m.matter_ref, m.version, m.account_id, m.account_ref, a.name as "account_name?",
               m.title, m.fee_earner, m.opened_on, m.concluded_on, m.closed_on, m.status, m.hold_reason, m.hold_until,
               array(select b.currency from allocation.client_balance b
                   where b.matter_id = m.matter_id and b.amount > 0 order by 1) as "currencies!: Vec<String>",
               array(select b.amount from allocation.client_balance b
                   where b.matter_id = m.matter_id and b.amount > 0 order by b.currency) as "amounts!: Vec<Decimal>"
           from allocation.matter m left join allocation.account a using (account_id)
           where ($1::uuid is null or m.matter_id = $1)
             and ($2::text is null or m.matter_ref ilike $2 or m.title ilike $2 or m.account_ref ilike $2)
             and ($3::text is null or m.status = $3)
             and ($4::uuid is null or m.matter_id < $4)
           order by m.matter_id desc limit $5"#,
        one.map(MatterId::as_uuid),
        pattern,
        status.map(MatterStatus::name),
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(MatterView::try_from).collect()
}

pub(crate) async fn view(conn: &mut PgConnection, id: MatterId) -> Result<MatterView, Failure> {
    views(conn, Some(id), None, None, None, 1)
        .await?
        .pop()
        .ok_or_else(|| no_matter(id))
}

/// Receipts with money left whose words name the matter.
pub(crate) async fn receipts_naming(
    conn: &mut PgConnection,
    matter_ref: &str,
) -> Result<Vec<(String, Money)>, Failure> {
    let rows = sqlx::query!(
        r#"select r.receipt_id, r.bank_reference, r.currency, r.unallocated from allocation.receipt r
           where r.unallocated > 0 and r.tokens && array[$1] order by r.receipt_id limit 20"#,
        reference_key(matter_ref)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let name = row
                .bank_reference
                .unwrap_or_else(|| row.receipt_id.to_string());
            Ok((name, money(row.unallocated, &row.currency)?))
        })
        .collect()
}

/// File numbers as at the end of a day.
pub(crate) async fn counts(
    conn: &mut PgConnection,
    as_at: NaiveDate,
) -> Result<MatterCounts, Failure> {
    let rows = sqlx::query!(
        r#"select status, count(*) as "n!" from (
               select distinct on (matter_id) matter_id, status from allocation.matter_status
               where effective_on <= $1 order by matter_id, effective_on desc, seq desc) last
           group by status"#,
        as_at
    )
    .fetch_all(conn)
    .await?;
    let of = |status: MatterStatus| {
        rows.iter()
            .find(|row| row.status == status.name())
            .map_or(0, |row| row.n)
    };
    let (opened, reopened) = (of(MatterStatus::Opened), of(MatterStatus::Reopened));
    let concluded = of(MatterStatus::Concluded);
    Ok(MatterCounts {
        as_at,
        opened,
        reopened,
        concluded,
        closed: of(MatterStatus::Closed),
        not_closed: opened + reopened + concluded,
    })
}

/// Every matter that was not closed at the end of a day, with its status.
pub(crate) async fn not_closed(
    conn: &mut PgConnection,
    as_at: NaiveDate,
) -> Result<Vec<(String, MatterStatus)>, Failure> {
    let rows = sqlx::query!(
        r#"select m.matter_ref, last.status as "status!" from (
               select distinct on (matter_id) matter_id, status from allocation.matter_status
               where effective_on <= $1 order by matter_id, effective_on desc, seq desc) last
           join allocation.matter m using (matter_id) where last.status <> 'closed'"#,
        as_at
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.matter_ref, named(row.status)?)))
        .collect()
}

/// An adjustment by which client money paid a bill.
pub(crate) async fn transfer_line(
    conn: &mut PgConnection,
    id: MatterEntryId,
) -> Result<Option<AdjustmentLine>, Failure> {
    let row = sqlx::query!(
        "select d.adjustment_id, d.document_id, i.document_ref, d.account_id, d.currency, d.amount, d.effective_on,
             d.cause
         from allocation.adjustment d join allocation.open_item i using (document_id)
         where d.adjustment_id = $1 and d.kind = 'client_transfer' and d.contra_of is null",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(AdjustmentLine {
            adjustment_id: row.adjustment_id.into(),
            kind: AdjustmentKind::ClientTransfer,
            document_id: row.document_id.into(),
            document_ref: row.document_ref,
            account_id: row.account_id.into(),
            amount: money(row.amount, &row.currency)?,
            effective_on: row.effective_on,
            contra_of: None,
            cause: row.cause,
        })
    })
    .transpose()
}
