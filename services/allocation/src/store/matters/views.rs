//! Matters for people to look at: lists, bills, file numbers.

use chrono::NaiveDate;
use contracts::{
    api::matters::{MatterBill, MatterCounts, MatterView},
    inbound::MatterStatus,
};
use kernel::{AccountId, DocumentId, MatterId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    super::{money, named, pattern},
    no_matter,
};
use crate::domain::reference_key;

/// Bills and bank moves of a matter that are shown at once.
const BILLS_MAX: i64 = 500;

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
    let pattern = search.map(pattern);
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
