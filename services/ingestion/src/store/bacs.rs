//! Reports of Bacs and their records.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::api::ingestion::ReportView;
use kernel::{Currency, ImportId, Money};
use messaging::{Failure, Tx};
use rust_decimal::Decimal;
use sqlx::{PgPool, query};
use uuid::Uuid;

use super::{column, or_lost_race};
use crate::domain::{
    bacs::Report,
    bacs_news::{KnownReports, News},
    file::Checked,
};

/// Loads what is known of the records of a file and of the reports around it.
/// Files of one service user are read one after the other: what is told of one
/// depends on those before.
pub(crate) async fn load(tx: &mut Tx, checked: &Checked) -> Result<KnownReports, Failure> {
    let mut known = KnownReports::default();
    let Some(report) = &checked.report else {
        return Ok(known);
    };
    let user = report.service_user_number.as_str();
    query!(
        "select pg_advisory_xact_lock(hashtextextended('bacs ' || $1, 0))",
        user
    )
    .execute(tx.conn())
    .await?;
    let keys = column(&checked.records, |record| record.key);
    let rows = query!(
        "select k.record_key, r.number from ingestion.bacs_record k join ingestion.bacs_report r using (report_id)
         where k.record_key = any($1)",
        &keys
    )
    .fetch_all(tx.conn())
    .await?;
    known.records = rows
        .into_iter()
        .map(|row| (row.record_key, row.number))
        .collect();
    if let Some(day) = report.reported_on {
        known.day_before = sqlx::query_scalar!(
            "select max(reported_on) from ingestion.bacs_report
             where kind = $1 and service_user_number = $2 and reported_on < $3",
            report.kind,
            user,
            day
        )
        .fetch_one(tx.conn())
        .await?;
    }
    let accounts = sqlx::query_scalar!(
        r#"select distinct bank_account as "bank_account!" from ingestion.bacs_record
           where service_user_number = $1 and bank_account is not null limit 2"#,
        user
    )
    .fetch_all(tx.conn())
    .await?;
    if let [only] = accounts.as_slice() {
        known.own_account = Some(only.clone());
    }
    Ok(known)
}

pub(crate) async fn record(
    tx: &mut Tx,
    news: &News,
    import_id: ImportId,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    query!(
        "insert into ingestion.bacs_report (report_id, kind, service_user_number, number, reported_on, import_id,
             items, new_items, total, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        news.report_id,
        news.report.kind,
        news.report.service_user_number,
        news.report.number,
        news.reported_on,
        import_id.as_uuid(),
        news.items,
        crate::domain::file::int(news.records.len()),
        news.total.map(Money::amount),
        now
    )
    .execute(tx.conn())
    .await?;
    let rows = news.records.as_slice();
    if rows.is_empty() {
        return Ok(());
    }
    let contents = rows
        .iter()
        .map(|row| serde_json::to_string(&row.record.item))
        .collect::<Result<Vec<_>, _>>()?;
    query!(
        "insert into ingestion.bacs_record (record_id, record_key, report_id, kind, service_user_number, bank_account,
             content, recorded_at)
         select t.id, t.key, $1, $2, $3, t.bank, t.content, $4
         from unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[]) as t(id, key, bank, content)",
        news.report_id,
        news.report.kind,
        news.report.service_user_number,
        now,
        &column(rows, |row| row.id.as_uuid()),
        &column(rows, |row| row.record.key),
        &column(rows, |row| row.bank_account.as_deref()) as _,
        &contents
    )
    .execute(tx.conn())
    .await
    .map_err(or_lost_race)?;
    Ok(())
}

/// The day of the next report of this kind after `day`, and the files that told it.
pub(crate) async fn next_after(
    tx: &mut Tx,
    report: &Report,
    day: NaiveDate,
) -> Result<(Option<NaiveDate>, Vec<Uuid>), Failure> {
    let rows = query!(
        "select reported_on, import_id from ingestion.bacs_report
         where kind = $1 and service_user_number = $2 and reported_on = (
             select min(reported_on) from ingestion.bacs_report
             where kind = $1 and service_user_number = $2 and reported_on > $3)
         order by import_id",
        report.kind,
        report.service_user_number,
        day
    )
    .fetch_all(tx.conn())
    .await?;
    let next = rows.first().map(|row| row.reported_on);
    Ok((next, column(&rows, |row| row.import_id)))
}

/// The reports of imports.
pub(crate) async fn of_imports(
    pool: &PgPool,
    imports: &[Uuid],
) -> Result<HashMap<Uuid, ReportView>, Failure> {
    let rows = query!(
        "select import_id, kind, service_user_number, number, reported_on, items, new_items, total
         from ingestion.bacs_report where import_id = any($1)",
        imports
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let view = view(
                row.kind,
                row.service_user_number,
                row.number,
                row.reported_on,
                (row.items, row.new_items),
                row.total,
            )?;
            Ok((row.import_id, view))
        })
        .collect()
}

fn view(
    kind: String,
    service_user_number: String,
    number: Option<String>,
    reported_on: NaiveDate,
    (items, new_items): (i32, i32),
    total: Option<Decimal>,
) -> Result<ReportView, Failure> {
    Ok(ReportView {
        kind,
        service_user_number,
        number,
        reported_on,
        items,
        new_items,
        total: total
            .map(|total| Money::try_new(total.normalize(), Currency::GBP))
            .transpose()
            .map_err(Failure::of)?,
    })
}
