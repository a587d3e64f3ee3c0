//! Plans, and what promises and plans are held against.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::dunning::{PlanId, PlanState};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{
    agreed::{Books, Cash},
    plan::Plan,
};

pub(crate) async fn put(
    conn: &mut PgConnection,
    plan: &Plan,
    today: NaiveDate,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into dunning.plan (plan_id, state, account_id, next_on, body) values ($1, $2, $3, $4, $5)
         on conflict (plan_id) do update set state = excluded.state, next_on = excluded.next_on,
           body = excluded.body",
        plan.id.as_uuid(),
        plan.state.name(),
        plan.account.as_uuid(),
        plan.next_on(today),
        serde_json::to_value(plan)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn get(conn: &mut PgConnection, id: PlanId) -> Result<Option<Plan>, Failure> {
    let body = sqlx::query_scalar!(
        "select body from dunning.plan where plan_id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(body.map(serde_json::from_value).transpose()?)
}

/// Plans of accounts, the oldest first: locked.
pub(crate) async fn lock_of(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Plan>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let bodies = sqlx::query_scalar!(
        "select body from dunning.plan where account_id = any($1) order by plan_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

pub(crate) async fn list(
    conn: &mut PgConnection,
    account: Option<AccountId>,
    state: Option<PlanState>,
    after: Option<Uuid>,
    rows: i64,
) -> Result<Vec<Plan>, Failure> {
    let bodies = sqlx::query_scalar!(
        "select body from dunning.plan
         where ($1::uuid is null or account_id = $1) and ($2::text is null or state = $2)
           and ($3::uuid is null or plan_id < $3)
         order by plan_id desc limit $4",
        account.map(AccountId::as_uuid),
        state.map(PlanState::name),
        after,
        rows
    )
    .fetch_all(conn)
    .await?;
    bodies
        .into_iter()
        .map(|body| Ok(serde_json::from_value(body)?))
        .collect()
}

/// The books of accounts: what is open, what is in dispute, and the cash that was
/// recorded after a moment.
pub(crate) async fn books(
    conn: &mut PgConnection,
    accounts: &[AccountId],
    since: DateTime<Utc>,
) -> Result<HashMap<AccountId, Books>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let mut books: HashMap<AccountId, Books> = HashMap::new();
    let items = sqlx::query!(
        r#"select document_id, account_id as "account_id!", open as "open!" from dunning.item
           where account_id = any($1) and open > 0"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for item in items {
        let account = books.entry(item.account_id.into()).or_default();
        account.open.insert(item.document_id.into(), item.open);
    }
    let disputed = sqlx::query!(
        r#"select s.account_id, p.document_id as "document_id!", sum(p.amount) as "amount!"
           from dunning.stop s cross join lateral unnest(s.documents, s.amounts) as p (document_id, amount)
           where s.account_id = any($1) and s.kind = 'query' and s.ended_on is null and p.amount is not null
           group by 1, 2"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for part in disputed {
        let account = books.entry(part.account_id.into()).or_default();
        account
            .disputed
            .insert(part.document_id.into(), part.amount);
    }
    let cash = sqlx::query!(
        r#"select i.account_id as "account_id!", m.document_id, m.amount, m.effective_on, m.receipt_id, m.recorded_at
           from dunning.item i join dunning.movement m using (document_id)
           where i.account_id = any($1) and m.kind = 'cash' and m.recorded_at > $2"#,
        &ids,
        since
    )
    .fetch_all(conn)
    .await?;
    for line in cash {
        let account = books.entry(line.account_id.into()).or_default();
        account.cash.push(Cash {
            document: line.document_id.into(),
            amount: line.amount,
            effective_on: line.effective_on,
            receipt: line.receipt_id,
            recorded_at: line.recorded_at,
        });
    }
    Ok(books)
}

/// A debt that may be promised.
pub(crate) struct Debt {
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) currency: String,
    pub(crate) open: rust_decimal::Decimal,
}

/// Debts of an account by their ids.
pub(crate) async fn debts(
    conn: &mut PgConnection,
    account: AccountId,
    documents: &[DocumentId],
) -> Result<Vec<Debt>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select document_id, document_ref as "document_ref!", currency, open as "open!" from dunning.item
           where account_id = $1 and document_id = any($2) and open > 0 for share"#,
        account.as_uuid(),
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Debt {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            currency: row.currency,
            open: row.open,
        })
        .collect())
}

/// What is known of a debtor, as far as a policy asks.
pub(crate) struct Known {
    pub(crate) account_ref: String,
    pub(crate) parent_ref: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) segment: Option<String>,
}

pub(crate) async fn account(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<Known>, Failure> {
    Ok(sqlx::query_as!(
        Known,
        "select account_ref, parent_ref, kind, segment from dunning.account where account_id = $1",
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}
