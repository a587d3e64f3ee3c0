//! What stands open on an account, for a statement.

use chrono::NaiveDate;
use contracts::api::dunning::StatementItem;
use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;

use super::money;

/// Lines of one statement.
const LINES_MAX: i64 = 2000;

/// Who an account is, for a letterhead.
pub(crate) struct Addressee {
    pub(crate) account_ref: String,
    pub(crate) name: String,
    pub(crate) address: Option<String>,
    pub(crate) parent_ref: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) segment: Option<String>,
}

pub(crate) async fn addressee(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<Addressee>, Failure> {
    Ok(sqlx::query_as!(
        Addressee,
        "select account_ref, name, address, parent_ref, kind, segment from dunning.account where account_id = $1",
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// Everything open, debts and credit notes, the oldest due first.
pub(crate) async fn open(
    conn: &mut PgConnection,
    account: AccountId,
    today: NaiveDate,
) -> Result<Vec<StatementItem>, Failure> {
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", matter_ref, issued_on as "issued_on!", due_on as "due_on!",
             currency, open as "open!"
           from dunning.item where account_id = $1 and open <> 0 and document_ref is not null
           order by due_on, document_id limit $2"#,
        account.as_uuid(),
        LINES_MAX
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StatementItem {
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                matter_ref: row.matter_ref,
                issued_on: row.issued_on,
                due_on: row.due_on,
                open: money(row.open, &row.currency)?,
                chaseable: None,
                days_late: (today - row.due_on).num_days(),
                reason: None,
            })
        })
        .collect()
}
