//! What Postgres touches for a receipt: pages, rows and log, counted by the
//! server. Counts do not depend on who else uses the machine.

use anyhow::Context as _;
use contracts::Role;
use sqlx::{Executor as _, PgConnection};

/// Per receipt, over everything that allocation asked since [`reset`].
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    /// Pages that were looked at, in memory or not.
    pub(super) pages: f64,
    pub(super) wal_bytes: f64,
    /// A line for each statement, the most pages first.
    pub(super) statements: Vec<String>,
}

/// Begins to count.
pub(super) async fn reset(ledger: &mut PgConnection) -> anyhow::Result<()> {
    ledger
        .execute("select pg_stat_statements_reset()")
        .await
        .context(
        "pg_stat_statements is not there: it is in the package of Postgres' contributed modules",
    )?;
    Ok(())
}

pub(super) async fn read(ledger: &mut PgConnection, receipts: f64) -> anyhow::Result<Touched> {
    type Row = (i64, i64, i64, i64, f64, String);
    let rows: Vec<Row> = sqlx::query_as(
        "select s.calls, s.rows, s.shared_blks_hit + s.shared_blks_read, s.wal_bytes::bigint, s.total_exec_time,
                left(regexp_replace(s.query, '\\s+', ' ', 'g'), 80)
         from pg_stat_statements s join pg_roles r on r.oid = s.userid
         where r.rolname = $1 order by 3 desc",
    )
    .bind(Role::Allocation.name())
    .fetch_all(ledger)
    .await?;
    let mut touched = Touched::default();
    for (calls, rows, pages, wal, ms, query) in rows {
        touched.pages += pages as f64 / receipts;
        touched.wal_bytes += wal as f64 / receipts;
        if pages > 0 {
            touched.statements.push(format!(
                "{:8.2} pages {:7.2} rows {:7.1} bytes of log {:7.1} µs a receipt, {calls:4} calls: {query}",
                pages as f64 / receipts,
                rows as f64 / receipts,
                wal as f64 / receipts,
                ms * 1e3 / receipts,
            ));
        }
    }
    Ok(touched)
}
