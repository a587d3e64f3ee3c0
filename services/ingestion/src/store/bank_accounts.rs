use chrono::{DateTime, Utc};
use contracts::{api::ingestion::BankAccountView, ingestion::Designation};
use messaging::{Failure, Tx};
use sqlx::{PgExecutor, query};

/// Our bank accounts: a handful.
pub(crate) async fn list(db: impl PgExecutor<'_>) -> Result<Vec<BankAccountView>, Failure> {
    let rows = query!(
        "select bank_account, designation, version, first_seen_at from ingestion.bank_account
         order by bank_account limit 1000"
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| BankAccountView {
            bank_account: row.bank_account,
            designation: designation(&row.designation),
            version: row.version,
            first_seen_at: row.first_seen_at,
        })
        .collect())
}

/// Sets the designation, and gives what the account is then; `None` when it was
/// so already.
pub(crate) async fn designate(
    tx: &mut Tx,
    key: &str,
    to: Designation,
    now: DateTime<Utc>,
) -> Result<Option<i64>, Failure> {
    query!(
        "insert into ingestion.bank_account (bank_account, first_seen_at) values ($1, $2) on conflict do nothing",
        key,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(sqlx::query_scalar!(
        "update ingestion.bank_account set designation = $2, version = version + 1
         where bank_account = $1 and (designation <> $2 or version = 0) returning version",
        key,
        to.name()
    )
    .fetch_optional(tx.conn())
    .await?)
}

fn designation(name: &str) -> Designation {
    if name == Designation::Client.name() {
        Designation::Client
    } else {
        Designation::Business
    }
}
